//! The one outbound HTTP client: no redirects, no environment proxy, time-outs, a cap on answers, and no way into the
//! private network unless an operator configured the address.
//!
//! Nothing else names `reqwest`. Credentials travel as [`SecretString`] and appear in no error and no log.

mod address;
mod client;
mod message;
#[cfg(test)]
mod tests;

pub use client::HttpClient;
pub use message::{Body, Destination, HttpError, Request, Response};

pub use secrecy::SecretString;
