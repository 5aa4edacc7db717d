//! Use cases: each a function that does one thing for a caller, whole or not at all.
//!
//! A change of people commits together with its audit event and the workers that follow from it; the reconciler is woken
//! afterwards, and nobody waits for Twilio.

pub mod accounts;
pub mod api_keys;
mod authenticate;
mod backlogs;
pub mod broker;
pub mod bulk;
mod cache;
pub mod clients;
pub mod connections;
mod core;
pub mod credentials;
mod cursor;
mod entitle;
mod error;
pub mod groups;
pub mod guard;
pub mod holds;
pub mod local;
mod members;
pub mod owner;
pub mod passwords;
pub mod people;
mod principal;
pub mod pushes;
pub mod receipts;
pub mod recompute;
mod render;
pub mod rules;
pub mod search;
pub mod sessions;
pub mod sign_in;
pub mod sign_ins;
pub mod tokens;
pub mod trail;
pub mod users;

pub use crate::scim::Versions;
pub use authenticate::Refused;
pub use cache::Caller;
pub use core::{Core, Wake};
pub use error::ServiceError;
pub use principal::{By, Principal, SessionFacts};
pub use render::{GroupBody, Rendered};
pub use search::{Found, Paging, Search, Shown};
