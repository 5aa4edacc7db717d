//! Workers of nobody.

use std::collections::{BTreeSet, HashMap};

use super::super::classify::{self, Class, Held, Seen};
use super::super::{Detail, Stage, WalkError};
use super::{BATCH, Walk, identities};
use crate::taskrouter::WorkerSid;

/// A worker that no row holds.
#[derive(Clone, Debug)]
pub(super) struct Stranger {
    pub(super) sid: WorkerSid,
    pub(super) name: String,
    /// By what its person is known.
    pub(super) identities: BTreeSet<String>,
    /// Why it may not be taken over or removed.
    pub(super) protected: Option<String>,
    /// The worker of ours whose person it is, too.
    person: Option<String>,
    /// Whether it was read by itself.
    pub(super) read: bool,
}

/// Which strangers have an identity.
pub(super) fn by_identity(strangers: &[Stranger]) -> HashMap<String, Vec<usize>> {
    let mut all: HashMap<String, Vec<usize>> = HashMap::new();
    for (number, stranger) in strangers.iter().enumerate() {
        for identity in &stranger.identities {
            all.entry(identity.clone()).or_default().push(number);
        }
    }
    all
}

/// Notes the strangers that are second workers of a row's person.
pub(super) fn note_person(strangers: &mut [Stranger], by_identity: &HashMap<String, Vec<usize>>, held: &Held) {
    // Also of one whose worker is not made yet; whoever should have none is nobody's person.
    let Some(desired) = held.desired.as_ref().filter(|_| !by_identity.is_empty()) else { return };
    for identity in identities(&desired.friendly_name, Some(&desired.attributes)) {
        for number in by_identity.get(&identity).into_iter().flatten() {
            if let Some(stranger) = strangers.get_mut(*number) {
                stranger.person = Some(desired.friendly_name.clone());
            }
        }
    }
}

impl Walk<'_> {
    /// Takes note of a worker that no row holds. Where the list does not show attributes, it is read.
    pub(super) async fn meet(&mut self, seen: Seen, remembered: bool) -> Result<(), WalkError> {
        let attributes = seen.attributes.as_ref();
        let protected = attributes.and_then(|attributes| {
            classify::protection(&seen.friendly_name, attributes, &self.settings.protected_roles)
        });
        let mut stranger = Stranger {
            identities: identities(&seen.friendly_name, attributes),
            sid: seen.sid,
            name: seen.friendly_name,
            protected,
            person: None,
            read: false,
        };
        // One that a row remembers was perhaps removed by us since the list was made.
        let doubtful = remembered || seen.attributes.is_none();
        if !doubtful || self.fetch_stranger(&mut stranger).await? {
            self.strangers.push(stranger);
        }
        Ok(())
    }

    /// Says of each worker that no row holds, and still none does, what it is.
    pub(super) async fn sort_strangers(&mut self) -> Result<(), WalkError> {
        let mut strangers = std::mem::take(&mut self.strangers);
        let (all, mut done) = (strangers.len() as u64, 0);
        for chunk in strangers.chunks_mut(BATCH) {
            self.calls.keep_lease().await?;
            let sids: Vec<&str> = chunk.iter().map(|stranger| stranger.sid.as_str()).collect();
            let names: Vec<&str> = chunk.iter().map(|stranger| stranger.name.as_str()).collect();
            let rows = self.rows_of(&sids, &names).await?;
            for stranger in chunk {
                done += 1;
                self.watch.at(Stage::Reading, done, Some(all));
                let Some(remembered) = Self::still_unknown(&rows, stranger) else {
                    // Made, adopted or removed by us while we walked.
                    self.summary.count(Class::Pending);
                    continue;
                };
                if remembered && !stranger.read && !self.fetch_stranger(stranger).await? {
                    continue;
                }
                self.found_stranger(stranger, remembered).await?;
            }
        }
        Ok(())
    }

    async fn found_stranger(&mut self, stranger: &Stranger, remembered: bool) -> Result<(), WalkError> {
        let class = classify::stranger(stranger.person.is_some(), stranger.protected.is_some());
        self.summary.count(class);
        let detail = Detail {
            person: stranger.person.clone(),
            protected: stranger.protected.clone(),
            note: remembered.then(|| "a worker of this name was removed before".to_owned()),
            ..Detail::default()
        };
        self.find(class, &stranger.sid, &stranger.name, None, &detail).await
    }
}
