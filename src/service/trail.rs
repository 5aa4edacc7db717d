//! What a request did beyond its answer, for the log of pushes.
//!
//! A use case says it while it happens, so that it is known for a client too that went away before the answer. A
//! transaction that runs again says it again: everything here is a set, or counted outside of transactions.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::scim::document::read_resource;
use crate::scim::push::plain_name;
use crate::scim::{Incoming, ResourceKind, ScimError};

use super::cache::Caller;

/// The most resources, and the most names, that are listed for one request.
pub const MAX_LISTED: usize = 1_000;

/// Where a request's doings are noted.
#[derive(Debug, Default)]
pub struct Trail(Mutex<Told>);

/// What was noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The ids of users and groups that were created, changed, deleted, or came or went as members.
    pub resources: BTreeSet<String>,
    /// Whether there were more than [`MAX_LISTED`].
    pub more_resources: bool,
    /// The attributes that were sent and are not stored, without what stood in their filters.
    pub ignored: BTreeSet<String>,
    /// How many operations of a bulk request were tried.
    pub operations: u64,
    /// How many of them failed.
    pub failed: u64,
    /// The error of the first one that failed.
    pub first: Option<ScimError>,
}

impl Trail {
    /// Notes resources by their ids.
    pub fn resources(&self, ids: impl IntoIterator<Item = String>) {
        self.with(|told| {
            for id in ids {
                if told.resources.len() < MAX_LISTED {
                    told.resources.insert(id);
                } else if !told.resources.contains(&id) {
                    told.more_resources = true;
                    break;
                }
            }
        });
    }

    /// Notes attributes that are not stored here.
    pub fn ignored(&self, names: &[String]) {
        if !names.is_empty() {
            self.with(|told| {
                let room = MAX_LISTED.saturating_sub(told.ignored.len());
                told.ignored.extend(names.iter().take(room).map(|name| plain_name(name)));
            });
        }
    }

    /// Notes how an operation of a bulk request ended.
    pub fn operation(&self, error: Option<&ScimError>) {
        self.with(|told| {
            told.operations += 1;
            if let Some(error) = error {
                told.failed += 1;
                told.first.get_or_insert_with(|| error.clone());
            }
        });
    }

    /// Gives what was noted so far.
    #[must_use]
    pub fn take(&self) -> Told {
        self.with(std::mem::take)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Told) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Caller {
    /// Reads a resource that the caller sent, and notes what of it is not stored.
    ///
    /// # Errors
    /// What [`read_resource`] says.
    pub fn read_resource(&self, kind: ResourceKind, body: Value) -> Result<Incoming, ScimError> {
        let incoming = read_resource(kind, body, self.dialect)?;
        self.trail.ignored(&incoming.ignored);
        Ok(incoming)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_is_bounded_and_says_so() {
        let trail = Trail::default();
        trail.resources((0..MAX_LISTED).map(|n| n.to_string()));
        trail.resources(["0".to_owned()]);
        assert!(!trail.with(|told| told.more_resources), "one of them again");
        trail.resources(["x".to_owned()]);
        let names: Vec<String> = (0..2 * MAX_LISTED).map(|n| format!("a{n}")).collect();
        trail.ignored(&names);
        let told = trail.take();
        assert_eq!((told.resources.len(), told.more_resources), (MAX_LISTED, true));
        assert_eq!(told.ignored.len(), MAX_LISTED);
        assert_eq!(trail.take(), Told::default());
    }

    #[test]
    fn the_first_error_of_a_bulk_request_is_kept() {
        let trail = Trail::default();
        trail.operation(None);
        trail.operation(Some(&ScimError::not_found("one")));
        trail.operation(Some(&ScimError::conflict("two")));
        let told = trail.take();
        assert_eq!((told.operations, told.failed, told.first), (3, 2, Some(ScimError::not_found("one"))));
    }
}
