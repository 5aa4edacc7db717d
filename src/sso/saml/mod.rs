//! SAML 2.0: we are a service provider for identity providers.
//!
//! Everything is synchronous and takes milliseconds of a processor: call it where blocking is allowed. The steps of a sign-in:
//! [`authn_request`] makes what the browser carries to the identity provider; [`verify_response`] judges what it brings back.

mod certificate;
mod idp;
mod idp_metadata;
mod keys;
mod names;
mod options;
mod request;
mod response;
mod service;
mod sign;
mod signature;
mod tree;
mod wire;
mod words;

pub use certificate::Certificate;
pub use idp::{Binding, Endpoint, IdpSettings};
pub use idp_metadata::{MetadataPolicy, idp_metadata};
pub use keys::{PrivateKey, ServiceKey, ServiceKeys};
pub use options::{SamlOptions, SubjectFrom};
pub use request::{Ask, SentRequest, authn_request};
pub use response::{Expected, Verified, verify_response};
pub use service::{Service, service_metadata};
pub use wire::{Direction, Outgoing};
