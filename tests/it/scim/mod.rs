//! The SCIM endpoints, over the wire.

mod bulk;
mod concurrency;
mod conditional;
mod cursors;
mod dialects;
mod filters;
mod fixtures;
mod groups;
mod large_groups;
mod me;
mod paging;
mod projection;
mod pushes;
mod restart;
mod search;
mod security;
mod snapshots;
mod sorting;
mod tokens;
