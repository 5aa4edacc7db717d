//! Sign-on protocols: an answer of an identity provider becomes a verified [`Identity`], or an [`SsoError`] that says which
//! check failed.
//!
//! No database and no web framework is known here. What must be remembered between two requests (request ids, nonces, used
//! assertions) comes in as arguments and goes out as results.

mod domain;
mod error;
mod fetch;
mod identity;
pub mod oidc;
pub mod saml;

pub use domain::{Challenge, EmailDomain, NoDomain, Unproven};
pub use error::{Check, SsoError};
pub use fetch::MetadataReader;
pub use identity::{Claims, Email, Identity, NameId};

pub use crate::net::TxtLookup;
