//! Pages of lists.

/// The part of a list that is wanted: index paging as SCIM means it (RFC 7644 §3.4.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many entries to pass over.
    pub offset: u64,
    /// How many entries to return at most.
    pub limit: u64,
}
