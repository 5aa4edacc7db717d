//! The SCIM 2.0 protocol engine (RFC 7643, RFC 7644), without I/O, clock or database.
//!
//! A request body is read by [`json`], checked against the [`schema`] by [`document`] and [`value`], changed by
//! `patch`, selected by `filter`, cut down by [`projection`] and framed by [`messages`]. What identity providers need
//! beyond the RFC is listed in one place, [`Dialect`].

pub mod bulk;
pub mod dialect;
pub mod discovery;
pub mod document;
pub mod error;
pub mod filter;
pub mod json;
pub mod messages;
pub mod patch;
pub mod path;
pub mod projection;
pub mod push;
pub mod schema;
pub mod search;
pub mod sort;
pub mod value;
pub mod version;

pub use dialect::Dialect;
pub use document::{Incoming, Meta};
pub use error::{ScimError, ScimType};
pub use projection::Projection;
pub use schema::{AttrName, AttrRef, ResourceKind, ResourceSchema, schema_of};
pub use sort::Sort;
pub use version::Versions;
