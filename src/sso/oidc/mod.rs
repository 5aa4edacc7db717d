//! OpenID Connect, as relying party (OpenID Connect Core 1.0, code flow with PKCE).
//!
//! A sign-in has two steps. [`RelyingParty::begin`] gives the address for the browser and a [`Flow`]; the caller keeps the
//! flow, bound to the browser. The answer is read by [`Callback::read`]; the caller takes the flow of its `state` away, so
//! that it is used once, and [`RelyingParty::complete`] gives the verified [`Identity`](super::Identity) or the reason of
//! the refusal. Logout tokens (back-channel) are checked by [`RelyingParty::logout_notice`].
//!
//! `openidconnect` makes the requests and checks signatures. Its reader of claims is not used: it holds the standard claims
//! in fixed types, so that the textual `updated_at` of Auth0 or a textual `email_verified` of `PingFederate` would refuse a
//! valid token. Claims are read here, once, as JSON, and checked one by one; that also holds what the crate leaves out:
//! `iat` and `nbf` in the future, an empty `sub`, `at_hash`, `azp`.

mod client_key;
mod exchange;
mod flow;
mod id_token;
mod json;
mod jws;
mod kept;
mod keys;
mod logout;
mod party;
mod person;
mod provider;
mod settings;
mod userinfo;
mod words;

pub use client_key::ClientKey;
pub use flow::{Ask, Begun, Callback, Flow};
pub use logout::LogoutNotice;
pub use party::{Client, RelyingParty, SignedIn};
pub use settings::{Algorithm, ClaimNames, ClientAuth, Credential, OidcSettings, Preset};
