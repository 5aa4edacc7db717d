//! The SCIM endpoints, over the wire.

mod concurrency;
mod conditional;
mod dialects;
mod filters;
mod fixtures;
mod groups;
mod large_groups;
mod paging;
mod projection;
mod restart;
mod security;
mod snapshots;
mod tokens;
