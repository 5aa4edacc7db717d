//! The one outbound HTTP client: no redirects, no environment proxy, time-outs, a cap on answers, and no way into the
//! private network unless an operator configured the address.
//!
//! Beside it stands the one question to the domain name system that is not about addresses: TXT records.
//!
//! Nothing else names `reqwest`. Credentials travel as [`SecretString`] and appear in no error and no log.

mod address;
mod client;
mod message;
#[cfg(test)]
mod tests;
mod txt;

pub use client::HttpClient;
pub use message::{Body, Destination, HttpError, Request, Response};
pub use txt::{MemoryTxt, SystemTxt, TxtError, TxtLookup};

pub use secrecy::SecretString;
