//! What the guard has to say once the transaction is committed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::{AccountId, HoldId};
use crate::domain::Beyond;

use super::Group;

/// A hold that was opened.
#[derive(Clone, Debug)]
pub(in crate::service) struct Opened {
    pub(in crate::service) hold: HoldId,
    pub(in crate::service) account: AccountId,
    pub(in crate::service) group: Group,
    pub(in crate::service) people: usize,
    pub(in crate::service) beyond: Beyond,
}

/// Holds that were opened by a transaction. One that runs again opens another one in the place of the first.
#[derive(Clone, Debug, Default)]
pub(in crate::service) struct Notices(Arc<Mutex<BTreeMap<Group, Opened>>>);

impl Notices {
    /// Notes a hold.
    pub(super) fn note(&self, opened: Opened) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(opened.group, opened);
    }

    /// Logs what was noted. To be called after the commit.
    pub(in crate::service) fn tell(&self) {
        let noted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for Opened { hold, account, group: (connection, kind), people, beyond } in noted.into_values() {
            tracing::warn!(
                %hold, %account, %connection, %kind, people, beyond = beyond.as_str(),
                "a hold was opened"
            );
        }
    }
}
