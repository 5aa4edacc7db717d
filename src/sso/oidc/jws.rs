//! Signed tokens in the compact form (RFC 7515 §7.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::json;
use super::settings::{Algorithm, names};
use super::words::{refuse, shown};
use crate::sso::{Check, SsoError};

/// The longest token that is read; those with some thousand groups have about 100 kB.
const MAX_LENGTH: usize = 256 << 10;

/// What a token is for: its `typ` must not say something else (RFC 8725 §3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// An ID token.
    IdToken,
    /// A signed answer of the userinfo endpoint.
    UserInfo,
    /// A logout token.
    Logout,
}

impl Purpose {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::IdToken => "ID token",
            Self::UserInfo => "userinfo answer",
            Self::Logout => "logout token",
        }
    }

    fn allows_type(self, typ: &str) -> bool {
        let typ = typ.to_ascii_lowercase();
        let typ = typ.strip_prefix("application/").unwrap_or(&typ);
        match self {
            // Keycloak and others say JWT; what is for something else has a type of its own.
            Self::IdToken | Self::UserInfo => matches!(typ, "jwt" | "jose"),
            Self::Logout => matches!(typ, "logout+jwt" | "jwt" | "jose"),
        }
    }
}

/// The header of a token, as far as it counts. Keys that stand in it or that it links to are never looked at.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
}

/// A token whose signature is not checked yet; nothing of its payload may be believed.
#[derive(Debug)]
pub(super) struct Unverified<'a> {
    pub(super) header: Header,
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
    payload: Vec<u8>,
    purpose: Purpose,
}

impl<'a> Unverified<'a> {
    pub(super) fn read(token: &'a str, purpose: Purpose, accepted: &[Algorithm]) -> Result<Self, SsoError> {
        let malformed = |text: &str| refuse(Check::Malformed, format!("the {} {text}", purpose.name()));
        if token.len() > MAX_LENGTH {
            let detail = format!("the {} has {} bytes, more than {MAX_LENGTH}", purpose.name(), token.len());
            return Err(refuse(Check::Limit, detail));
        }
        let (header, payload, signature) = match token.split('.').collect::<Vec<_>>()[..] {
            [header, payload, signature] => (header, payload, signature),
            [_, _, _, _, _] => {
                let detail = format!("the {} is encrypted, which is not supported", purpose.name());
                return Err(refuse(Check::Encryption, detail));
            }
            _ => return Err(malformed("is not a signed token of three parts")),
        };
        let signed = &token[..header.len() + 1 + payload.len()];
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed("is not in base64url"));
        let header = read_header(&decode(header)?, purpose, accepted)?;
        Ok(Self { header, signed, signature: decode(signature)?, payload: decode(payload)?, purpose })
    }

    /// The claims; to be called once the signature is found valid.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, SsoError> {
        json::object(&self.payload).map_err(|error| {
            refuse(Check::Malformed, format!("the claims of the {} cannot be read: {error}", self.purpose.name()))
        })
    }
}

fn read_header(header: &[u8], purpose: Purpose, accepted: &[Algorithm]) -> Result<Header, SsoError> {
    let malformed = |text: String| refuse(Check::Malformed, format!("the header of the {} {text}", purpose.name()));
    let header = json::object(header).map_err(|error| malformed(format!("cannot be read: {error}")))?;
    let Some(named) = header.get("alg").and_then(Value::as_str) else {
        return Err(malformed("names no algorithm".to_owned()));
    };
    let Some(algorithm) = Algorithm::named(named).filter(|algorithm| accepted.contains(algorithm)) else {
        let detail = format!(
            "the {} is signed by {}, and this connection accepts {}",
            purpose.name(),
            shown(named),
            names(accepted)
        );
        return Err(refuse(Check::Algorithm, detail));
    };
    for name in ["crit", "cty"] {
        if header.contains_key(name) {
            return Err(malformed(format!("has {name:?}, which is not supported")));
        }
    }
    match header.get("typ") {
        None => {}
        Some(Value::String(typ)) if purpose.allows_type(typ) => {}
        Some(other) => return Err(malformed(format!("has the type {}", shown(&text_of(other))))),
    }
    let key_id = match header.get("kid") {
        None => None,
        Some(Value::String(id)) => Some(id.clone()),
        Some(_) => return Err(malformed("has a key id that is not text".to_owned())),
    };
    Ok(Header { algorithm, key_id })
}

/// A value as it is shown to people: text without quotation marks, everything else as JSON.
pub(super) fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ACCEPTED: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];

    fn read(header: &str, purpose: Purpose) -> Result<Check, Check> {
        let token = format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"));
        Unverified::read(&token, purpose, &ACCEPTED).map(|_| Check::Signature).map_err(|error| error.check)
    }

    #[test]
    fn s26_a_token_for_one_purpose_does_not_serve_another() {
        let typed = |typ: &str| format!(r#"{{"alg":"RS256","typ":"{typ}"}}"#);
        for (typ, id_token, logout) in [
            ("JWT", true, true),
            ("jwt", true, true),
            ("application/JWT", true, true),
            ("logout+jwt", false, true),
            ("application/logout+jwt", false, true),
            ("at+jwt", false, false),
        ] {
            assert_eq!(read(&typed(typ), Purpose::IdToken).is_ok(), id_token, "{typ}");
            assert_eq!(read(&typed(typ), Purpose::Logout).is_ok(), logout, "{typ}");
        }
    }

    #[test]
    fn s19_only_accepted_algorithms_are_read() {
        for alg in ["none", "HS256", "RS512", "rs256", "RS256 ", "", "EdDSA"] {
            let header = format!(r#"{{"alg":"{alg}"}}"#);
            assert_eq!(read(&header, Purpose::IdToken), Err(Check::Algorithm), "{alg}");
        }
        assert!(read(r#"{"alg":"ES256"}"#, Purpose::IdToken).is_ok());
        assert_eq!(read(r#"{"alg":"RS256","alg":"none"}"#, Purpose::IdToken), Err(Check::Malformed));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,200}", parts in prop::collection::vec("[A-Za-z0-9_=-]{0,40}", 0..6)) {
            for token in [text, parts.join(".")] {
                let _read = Unverified::read(&token, Purpose::IdToken, &ACCEPTED).map(|token| token.claims().is_ok());
            }
        }
    }
}
