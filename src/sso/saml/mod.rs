//! SAML 2.0: we are a service provider for identity providers, and an identity provider for Flex.
//!
//! Everything is synchronous and takes up to some milliseconds of a processor: call it where blocking is allowed.
//! - Setting up: [`idp_metadata`] reads what an administrator gives, [`ServiceKeys`] are made, [`service_metadata`] is what the
//!   identity provider reads of us.
//! - Signing in: [`authn_request`] makes what the browser carries to the identity provider, [`verify_response`] judges what it
//!   brings back.
//! - Signing out: [`Logout`], both ways.
//! - Towards Flex: [`broker_metadata`], [`read_authn_request`], [`issue`].

mod broker;
mod certificate;
mod idp;
mod idp_metadata;
mod keys;
mod logout;
mod names;
mod options;
mod query;
mod request;
mod response;
mod service;
mod sign;
mod signature;
mod tree;
mod wire;
mod words;

pub use broker::{Broker, Relying, SignInAsked, Told, broker_metadata, issue, read_authn_request};
pub use certificate::Certificate;
pub use idp::{Binding, Endpoint, IdpSettings};
pub use idp_metadata::{MetadataPolicy, idp_metadata};
pub use keys::{PrivateKey, ServiceKey, ServiceKeys};
pub use logout::{Logout, LogoutAsked, LogoutDone};
pub use options::{SamlOptions, SubjectFrom};
pub use query::Incoming;
pub use request::{Ask, SentRequest, authn_request};
pub use response::{Expected, Verified, verify_response};
pub use service::{Service, service_metadata};
pub use wire::{Direction, Outgoing};
