//! What an ID token must say (OpenID Connect Core 1.0 §3.1.3.7).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::flow::{Flow, same};
use super::jws::text_of;
use super::keys::Signer;
use super::provider::{Metadata, TENANT};
use super::settings::{Algorithm, OidcSettings, Preset};
use super::words::{list, refuse, shown};
use crate::base::Timestamp;
use crate::sso::{Check, SsoError};

/// The claims of a token.
pub(super) type Members = Map<String, Value>;

/// A token is made during the sign-in that it belongs to; this much older it cannot be.
const OLDEST: Duration = Duration::from_mins(10);
/// The longest `sub` (OpenID Connect Core 1.0 §2).
const MAX_SUBJECT: usize = 255;

/// What the ID token came with.
pub(super) struct Company<'a> {
    pub(super) flow: &'a Flow,
    pub(super) code: &'a str,
    pub(super) access_token: &'a str,
    pub(super) algorithm: Algorithm,
    pub(super) signer: &'a Signer,
}

/// What every token of a provider must say, ID tokens and logout tokens alike: issuer, audience, times.
pub(super) struct Rules<'a> {
    pub(super) settings: &'a OidcSettings,
    pub(super) metadata: &'a Metadata,
    pub(super) now: Timestamp,
}

impl Rules<'_> {
    /// Checks an ID token whose signature is valid, and returns its issuer.
    pub(super) fn check_id_token(&self, claims: &Members, company: &Company<'_>) -> Result<String, SsoError> {
        let issuer = self.issuer(claims, company.signer)?;
        self.audience(claims)?;
        self.times(claims, true)?;
        let made_at = seconds(claims, "iat")?;
        if made_at.is_some_and(|at| at < company.flow.begun_at.before(OLDEST + self.settings.skew())) {
            return Err(refuse(Check::Time, "the ID token was issued (iat) long before this sign-in began"));
        }
        match claims.get("nonce") {
            Some(Value::String(nonce)) if same(nonce, &company.flow.nonce) => {}
            Some(_) => return Err(refuse(Check::Request, "the nonce of the ID token is not the one of this sign-in")),
            None => return Err(refuse(Check::Request, "the ID token has no nonce")),
        }
        subject(claims)?;
        half_hash(claims, "at_hash", company.access_token, company.algorithm)?;
        half_hash(claims, "c_hash", company.code, company.algorithm)?;
        self.freshness(claims, company.flow)?;
        Ok(issuer)
    }

    /// The issuer, which for several Entra directories depends on `tid`.
    pub(super) fn issuer(&self, claims: &Members, signer: &Signer) -> Result<String, SsoError> {
        let Some(Value::String(found)) = claims.get("iss") else {
            return Err(refuse(Check::Issuer, "the token has no issuer (iss)"));
        };
        let directory = claims.get("tid").and_then(Value::as_str);
        let expected = if self.metadata.issuer.contains(TENANT) {
            let directory = directory.ok_or_else(|| refuse(Check::Claim, "the token names no directory (tid)"))?;
            self.metadata.issuer.replace(TENANT, directory)
        } else {
            self.settings.issuer.clone()
        };
        if *found != expected {
            let detail = format!("the issuer is {}, expected {}", shown(found), shown(&expected));
            return Err(refuse(Check::Issuer, detail));
        }
        let of_key = signer.issuer.as_ref().map(|of_key| of_key.replace(TENANT, directory.unwrap_or_default()));
        if let Some(of_key) = of_key.filter(|of_key| of_key != found) {
            let detail = format!("the key is for the issuer {}, and the token is of {}", shown(&of_key), shown(found));
            return Err(refuse(Check::Signature, detail));
        }
        self.directory(claims)?;
        Ok(expected)
    }

    /// Entra ID: the directory is one of ours (S22).
    fn directory(&self, claims: &Members) -> Result<(), SsoError> {
        let found = claims.get("tid");
        let mut allowed = self.settings.tenants.clone();
        let is_entra = self.settings.preset() == Preset::Entra;
        if is_entra || found.is_some() {
            allowed.extend(self.settings.tenant_of_issuer().filter(|_| self.settings.tenants.is_empty()));
        }
        if allowed.is_empty() {
            return Ok(());
        }
        let expected = list(&allowed);
        match found {
            Some(Value::String(found)) if allowed.iter().any(|tenant| tenant.eq_ignore_ascii_case(found)) => Ok(()),
            Some(other) => {
                let detail = format!("the directory (tid) is {}, expected {expected}", shown(&text_of(other)));
                Err(refuse(Check::Claim, detail))
            }
            None => Err(refuse(Check::Claim, format!("the token names no directory (tid), expected {expected}"))),
        }
    }

    pub(super) fn audience(&self, claims: &Members) -> Result<(), SsoError> {
        let own = &self.settings.client_id;
        let found: Vec<&str> = match claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) if several.iter().all(Value::is_string) => {
                several.iter().filter_map(Value::as_str).collect()
            }
            _ => return Err(refuse(Check::Audience, "the token has no audience (aud)")),
        };
        if found.is_empty() || found.iter().any(|audience| audience != own) {
            let detail = format!("the audience is {}, expected {} alone", list(found), shown(own));
            return Err(refuse(Check::Audience, detail));
        }
        match claims.get("azp") {
            None => Ok(()),
            Some(Value::String(party)) if party == own => Ok(()),
            Some(other) => {
                let detail =
                    format!("the authorized party (azp) is {}, expected {}", shown(&text_of(other)), shown(own));
                Err(refuse(Check::Audience, detail))
            }
        }
    }

    /// `iat` and `nbf` are not in the future, `exp` is not in the past.
    pub(super) fn times(&self, claims: &Members, expires: bool) -> Result<(), SsoError> {
        let (now, skew) = (self.now, self.settings.skew());
        let made_at = seconds(claims, "iat")?;
        let made_at = made_at.ok_or_else(|| refuse(Check::Time, "the token does not say when it was issued (iat)"))?;
        if made_at > now.after(skew) {
            let detail = format!("the token was issued (iat) at {made_at}, in the future: it is {now}");
            return Err(refuse(Check::Time, detail));
        }
        match seconds(claims, "exp")? {
            Some(ends) if ends.after(skew) <= now => {
                Err(refuse(Check::Time, format!("the token expired (exp) at {ends}, and it is {now}")))
            }
            None if expires => Err(refuse(Check::Time, "the token does not say when it expires (exp)")),
            _ => Ok(()),
        }?;
        match seconds(claims, "nbf")? {
            Some(begins) if begins > now.after(skew) => {
                Err(refuse(Check::Time, format!("the token is valid from {begins} on (nbf), and it is {now}")))
            }
            _ => Ok(()),
        }
    }

    /// Step-up: the person proved who they are recently (`auth_time`).
    fn freshness(&self, claims: &Members, flow: &Flow) -> Result<(), SsoError> {
        let proved = seconds(claims, "auth_time")?;
        if proved.is_some_and(|proved| proved > self.now.after(self.settings.skew())) {
            return Err(refuse(Check::Time, "the sign-in at the provider (auth_time) is in the future"));
        }
        let Some(max_age) = flow.max_age_s else { return Ok(()) };
        let Some(proved) = proved else {
            let detail =
                "a fresh sign-in was asked for (max_age), and the ID token does not say when it was (auth_time)";
            return Err(refuse(Check::Freshness, detail));
        };
        let latest = Duration::from_secs(max_age).saturating_add(self.settings.skew());
        if self.now.since(proved) > latest {
            let detail =
                format!("the person signed in at {proved} (auth_time), more than {max_age} s ago: it is {}", self.now);
            return Err(refuse(Check::Freshness, detail));
        }
        Ok(())
    }
}

/// `sub`: text that is neither empty nor longer than it may be.
pub(super) fn subject(claims: &Members) -> Result<&str, SsoError> {
    match claims.get("sub") {
        Some(Value::String(subject)) if subject.trim().is_empty() => {
            Err(refuse(Check::Subject, "the subject (sub) is empty"))
        }
        Some(Value::String(subject)) if subject.len() > MAX_SUBJECT => {
            Err(refuse(Check::Subject, format!("the subject (sub) has more than {MAX_SUBJECT} characters")))
        }
        Some(Value::String(subject)) => Ok(subject),
        Some(_) => Err(refuse(Check::Subject, "the subject (sub) is not text")),
        None => Err(refuse(Check::Subject, "the token has no subject (sub)")),
    }
}

/// A claim that is an instant in seconds since 1970, possibly with a fraction (RFC 7519 §2, `NumericDate`).
pub(super) fn seconds(claims: &Members, name: &str) -> Result<Option<Timestamp>, SsoError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let millis = match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(seconds), _) => seconds.checked_mul(1_000),
            #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
            (None, Some(seconds)) if seconds.abs() < 1e14 => Some((seconds * 1_000.0) as i64),
            _ => None,
        },
        _ => None,
    };
    millis.map(|millis| Some(Timestamp::from_millis(millis))).ok_or_else(|| {
        let detail = format!("the claim {name} is {}, expected a number of seconds", shown(&value.to_string()));
        refuse(Check::Malformed, detail)
    })
}

/// `at_hash` and `c_hash`: the left half of the hash of what came beside the token (OpenID Connect Core 1.0 §3.1.3.6).
fn half_hash(claims: &Members, name: &str, beside: &str, algorithm: Algorithm) -> Result<(), SsoError> {
    let Some(found) = claims.get(name) else { return Ok(()) };
    let hash: Vec<u8> = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => Sha256::digest(beside).to_vec(),
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => Sha384::digest(beside).to_vec(),
        // Ed25519 hashes with SHA-512 itself, and so does everybody who writes this claim with it.
        Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::EdDsa => Sha512::digest(beside).to_vec(),
    };
    let expected = URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2]);
    if found.as_str().is_some_and(|found| found.trim_end_matches('=') == expected) {
        return Ok(());
    }
    let what = if name == "at_hash" { "access token" } else { "code" };
    Err(refuse(Check::Signature, format!("the ID token belongs to another {what}: {name} is not its hash")))
}
