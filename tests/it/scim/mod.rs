//! The SCIM endpoints, over the wire.

mod concurrency;
mod conditional;
mod filters;
mod fixtures;
mod groups;
mod large_groups;
mod me;
mod paging;
mod projection;
mod pushes;
mod restart;
mod security;
mod snapshots;
mod tokens;
