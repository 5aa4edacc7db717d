//! From claims to an identity, by what is known of the provider.

use serde_json::Value;

use super::id_token::{Members, seconds, subject};
use super::jws::text_of;
use super::provider::Metadata;
use super::settings::{OidcSettings, Preset};
use super::words::{list, refuse, shown};
use crate::sso::{Check, Claims, Email, Identity, SsoError};

/// Claims that tell nothing about the person.
const OF_THE_PROTOCOL: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];
/// The longest claim that may be the subject.
const MAX_SUBJECT: usize = 255;

/// Whether userinfo has to be asked: the address is missing, or the groups are though the provider could tell them.
pub(super) fn wants_userinfo(settings: &OidcSettings, metadata: &Metadata, claims: &Members) -> bool {
    let lacks_groups = settings.claims.groups.as_ref().is_some_and(|groups| {
        let could_tell =
            settings.scopes.iter().any(|scope| scope == "groups") || metadata.claims_supported.contains(groups);
        could_tell && !claims.contains_key(groups) && !overflows(claims, groups)
    });
    lacks_groups || !claims.contains_key(&settings.claims.email)
}

/// The identity that an ID token, and perhaps userinfo, tell. The ID token wins where both speak.
pub(super) fn identity(
    settings: &OidcSettings,
    issuer: String,
    token: &Members,
    userinfo: Option<&Members>,
) -> Result<Identity, SsoError> {
    if let Some(groups) = settings.claims.groups.as_ref().filter(|groups| overflows(token, groups)) {
        let detail = format!(
            "Entra ID left out the groups of this person, who has more than a token holds (claim {}): in the app's token \
             configuration choose \"Groups assigned to the application\", or let SCIM bring the groups and set no claim for \
             them here",
            shown(groups)
        );
        return Err(refuse(Check::Claim, detail));
    }
    hosted_domain(settings, token)?;
    let mut claims = Claims::new();
    for (name, value) in token.iter().chain(userinfo.into_iter().flatten()) {
        if !OF_THE_PROTOCOL.contains(&name.as_str()) {
            claims.entry(name.clone()).or_insert_with(|| values(value));
        }
    }
    let text = |name: &str| token.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(Identity {
        issuer,
        subject: key(settings, token)?,
        email: email(settings, token, userinfo),
        claims,
        name_id: None,
        session: text("sid").filter(|sid| !sid.is_empty()),
        session_ends_at: None,
        authenticated_at: seconds(token, "auth_time")?,
        context: text("acr"),
    })
}

fn values(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(several) => several.clone(),
        one => vec![one.clone()],
    }
}

/// Entra ID leaves the groups out when they are too many, and says so.
fn overflows(claims: &Members, groups: &str) -> bool {
    let elsewhere =
        claims.get("_claim_names").and_then(Value::as_object).is_some_and(|names| names.contains_key(groups));
    let has_groups = match claims.get("hasgroups") {
        Some(Value::Bool(has)) => *has,
        Some(Value::String(has)) => has.eq_ignore_ascii_case("true"),
        _ => false,
    };
    (elsewhere || has_groups) && !claims.contains_key(groups)
}

/// What never changes about the person (S21).
fn key(settings: &OidcSettings, token: &Members) -> Result<String, SsoError> {
    if let Some(name) = &settings.claims.subject {
        return needed(token, name);
    }
    if settings.preset() == Preset::Entra {
        // `sub` differs from app to app; these two are the same everywhere, and the directory says whose oid it is.
        return Ok(format!("{}/{}", needed(token, "tid")?, needed(token, "oid")?));
    }
    subject(token).map(str::to_owned)
}

fn needed(token: &Members, name: &str) -> Result<String, SsoError> {
    match token.get(name) {
        Some(Value::String(value)) if !value.trim().is_empty() && value.len() <= MAX_SUBJECT => Ok(value.clone()),
        Some(_) => Err(refuse(Check::Subject, format!("the claim {} cannot be a subject", shown(name)))),
        None => {
            let detail = format!(
                "the ID token has no claim {}, which says who the person is; Entra ID sends oid with the scope profile",
                shown(name)
            );
            Err(refuse(Check::Subject, detail))
        }
    }
}

/// Google: the Workspace domain is one of ours (S22).
fn hosted_domain(settings: &OidcSettings, token: &Members) -> Result<(), SsoError> {
    if settings.hosted_domains.is_empty() {
        return Ok(());
    }
    let expected = list(&settings.hosted_domains);
    match token.get("hd") {
        Some(Value::String(domain)) if settings.hosted_domains.iter().any(|ours| ours.eq_ignore_ascii_case(domain)) => {
            Ok(())
        }
        Some(other) => {
            let detail = format!("the Workspace domain (hd) is {}, expected {expected}", shown(&text_of(other)));
            Err(refuse(Check::Claim, detail))
        }
        None => {
            let detail = format!("the account is in no Google Workspace (no hd), expected {expected}");
            Err(refuse(Check::Claim, detail))
        }
    }
}

/// The address, which is verified only if the provider said exactly so in the same place (S22).
fn email(settings: &OidcSettings, token: &Members, userinfo: Option<&Members>) -> Option<Email> {
    let name = &settings.claims.email;
    let places = [Some(token), userinfo];
    let (place, address) = places.into_iter().flatten().find_map(|place| {
        let address = place.get(name)?.as_str()?.trim();
        address.contains('@').then(|| (place, address.to_owned()))
    })?;
    // Anybody can write any address into a directory of Entra ID of their own ("nOAuth").
    let is_proof = name == "email" && settings.preset() != Preset::Entra;
    let said = place.get("email_verified").or_else(|| {
        let same = |other: &&Members| other.get(name).and_then(Value::as_str) == Some(&address);
        userinfo.filter(same)?.get("email_verified")
    });
    Some(Email { verified: is_proof && said == Some(&Value::Bool(true)), address })
}
