//! Checks across settings, and what an operator should know before trusting a configuration.

use secrecy::ExposeSecret as _;

use super::reader::{Reader, is_loopback};
use super::{Config, Database};
use crate::base::Keyring;

pub(super) fn check(config: &Config, reader: &mut Reader<'_>, warnings: &mut Vec<String>) {
    check_keys(config, reader);
    warn_of_addresses(config, warnings);
    warn_of_twilio(config, reader, warnings);
    if let Some(rate) = config.scim.rate_per_token.filter(|rate| *rate < 25) {
        warnings.push(format!(
            "scim.rate_per_token is {rate}: Entra ID pushes up to 25 requests a second, and falls behind with less"
        ));
    }
    if config.reconciler.paused {
        warnings.push(
            "the reconciler is paused (reconciler.paused): pushes are accepted, and nothing happens at Twilio"
                .to_owned(),
        );
    }
    if config.sso.allow_loopback_http {
        warnings.push(
            "sso.allow_loopback_http is on: sign-on over plain http on this machine is for development only".to_owned(),
        );
    }
}

fn check_keys(config: &Config, reader: &mut Reader<'_>) {
    match (&config.secret_key, &config.database.target) {
        (Some(keys), _) => {
            if let Err(error) = Keyring::from_hex(keys.expose_secret()) {
                reader.problem("secret_key", &format!("is not usable: {error}"));
            }
        }
        (None, Database::Postgres(_)) => reader.problem(
            "secret_key",
            "must be set when PostgreSQL is used, since all copies need the same key: 64 hexadecimal characters, for \
             example from `openssl rand -hex 32`",
        ),
        (None, Database::Sqlite(_)) => {}
    }
}

fn warn_of_addresses(config: &Config, warnings: &mut Vec<String>) {
    match &config.public_url {
        None if !config.listen.ip().is_loopback() => warnings.push(format!(
            "listening at {} without public_url: set ROLLCALL_PUBLIC_URL to the URL that identity providers use, or \
             locations in answers will be wrong for them",
            config.listen
        )),
        Some(url) if url.scheme() == "http" && !is_loopback(url) => warnings.push(format!(
            "public_url is {}: over plain http everybody on the way can read tokens; put TLS in front and use https",
            url.as_str().trim_end_matches('/')
        )),
        _ => {}
    }
}

fn warn_of_twilio(config: &Config, reader: &mut Reader<'_>, warnings: &mut Vec<String>) {
    let Some(credentials) = &config.taskrouter.credentials else {
        if !reader.is_default("taskrouter.base_url") {
            reader.problem(
                "taskrouter.base_url",
                "is set without credentials: set ROLLCALL_TASKROUTER__ACCOUNT_SID, __API_KEY, __API_SECRET and \
                 __WORKSPACE_SID too, or remove it to use the built-in stand-in",
            );
        }
        return;
    };
    let parts = [
        ("account_sid", &credentials.account_sid, &["AC"][..]),
        ("api_key", &credentials.api_key, &["SK", "AC"][..]),
        ("workspace_sid", &credentials.workspace_sid, &["WS"][..]),
    ];
    for (name, sid, prefixes) in parts {
        let digits = prefixes.iter().find_map(|prefix| sid.strip_prefix(prefix));
        if !digits.is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit())) {
            let prefixes = prefixes.join(" or ");
            warnings
                .push(format!("taskrouter.{name} is not {prefixes} and 32 hexadecimal characters; is it complete?"));
        }
    }
}
