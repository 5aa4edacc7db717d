//! One walk through the workers of an account.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::calls::{Calls, LEASE};
use super::classify::{self, Class, Held, Rows, Seen, Sight};
use super::{Detail, InventoryPorts, InventorySettings, Repair, Stage, Summary, WalkError, Walked, Watch, When};
use crate::base::{AccountId, Timestamp, WorkerId, fold};
use crate::reconcile::desired_store::Footprint;
use crate::store::StoreError;
use crate::store::inventory::rows::{self, InventoryRow};
use crate::store::inventory::{self, Finding};
use crate::taskrouter::{ErrorKind, TaskRouter, Worker, WorkerSid};

mod finish;
mod suspects;
mod unknown;

use unknown::Stranger;

/// Far more pages than a workspace can have (15,000 workers).
const MOST_PAGES: usize = 1_000;
/// How many rows are read, and findings written, at once.
const BATCH: usize = 200;

/// A walk, and what is asked of it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whose workers.
    pub account: AccountId,
    /// Whether it may begin before its time.
    pub when: When,
    /// What becomes of what is drifted or missing.
    pub repair: Repair,
    /// Ends it early.
    pub stop: CancellationToken,
}

/// Walks through all workers of an account, and records what it finds.
///
/// # Errors
/// [`WalkError`]; what was found until then is recorded, and the next walk begins anew.
pub async fn walk(
    ports: &InventoryPorts,
    settings: &InventorySettings,
    router: Arc<dyn TaskRouter>,
    asked: &Asked,
    watch: &dyn Watch,
) -> Result<Walked, WalkError> {
    let id = ports.ambient.id::<Uuid>().to_string();
    let began = begin(ports, settings, asked, &id).await?.ok_or(WalkError::Busy)?;
    let calls = Calls::new(ports, asked.account, &id, router, settings, asked.stop.clone());
    let mut walk = Walk {
        ports,
        settings,
        asked,
        id: &id,
        began,
        started: Instant::now(),
        calls,
        watch,
        seen: HashSet::new(),
        suspects: Vec::new(),
        strangers: Vec::new(),
        repairs: Vec::new(),
        found: Vec::new(),
        summary: Summary { channels: settings.channels, ..Summary::default() },
    };
    match walk.run().await {
        Ok(()) => Ok(Walked { summary: walk.summary, walk: id }),
        Err(error) => {
            walk.give_up(&error).await;
            Err(error)
        }
    }
}

async fn begin(
    ports: &InventoryPorts,
    settings: &InventorySettings,
    asked: &Asked,
    id: &str,
) -> Result<Option<Timestamp>, WalkError> {
    let (account, when, id) = (asked.account, asked.when, Arc::<str>::from(id));
    let first = settings.every.unwrap_or(super::periodic::FIRST_AFTER).min(super::periodic::FIRST_AFTER);
    let first = first + ports.ambient.jitter(first / 5);
    let began = ports.store.keep(move |tx| {
        let id = Arc::clone(&id);
        Box::pin(async move { inventory::begin(tx, account, &id, when, LEASE, first).await })
    });
    Ok(began.await?)
}

struct Walk<'a> {
    ports: &'a InventoryPorts,
    settings: &'a InventorySettings,
    asked: &'a Asked,
    id: &'a str,
    began: Timestamp,
    started: Instant,
    calls: Calls<'a>,
    watch: &'a dyn Watch,
    /// The workers that the list had, each by a hash of its SID.
    seen: HashSet<u128>,
    /// Rows whose worker seems to differ, or not to be there.
    suspects: Vec<WorkerId>,
    strangers: Vec<Stranger>,
    /// Rows to repair, with the SID of the finding.
    repairs: Vec<(WorkerId, String)>,
    /// Findings that are not yet written.
    found: Vec<Finding>,
    summary: Summary,
}

impl Walk<'_> {
    async fn run(&mut self) -> Result<(), WalkError> {
        self.read_list().await?;
        self.look_for_rows().await?;
        self.read_suspects().await?;
        self.sort_strangers().await?;
        self.write_found().await?;
        self.hand_over().await?;
        self.finish().await
    }

    async fn read_list(&mut self) -> Result<(), WalkError> {
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let page = self.calls.list(next.as_ref()).await?;
            for workers in page.workers.chunks(BATCH) {
                self.read_page(workers).await?;
            }
            match page.next {
                Some(token) => next = Some(token),
                None => return Ok(()),
            }
        }
        Err(WalkError::Endless)
    }

    async fn read_page(&mut self, workers: &[Worker]) -> Result<(), WalkError> {
        let sids: Vec<&str> = workers.iter().map(|worker| worker.sid.as_str()).collect();
        let names: Vec<&str> = workers.iter().map(|worker| worker.friendly_name.as_str()).collect();
        let rows = self.rows_of(&sids, &names).await?;
        for worker in workers {
            // A walk by key may show a worker twice.
            if self.seen.insert(digest(&worker.sid)) {
                self.summary.workers += 1;
                self.sort_in(&rows, seen_in_list(worker)).await?;
            }
            self.watch.at(Stage::Listing, self.summary.workers, None);
        }
        Ok(())
    }

    async fn rows_of(&self, sids: &[&str], names: &[&str]) -> Result<Rows, WalkError> {
        let session = self.ports.store.read();
        let held = |rows: HashMap<String, InventoryRow>| rows.into_iter().map(|(key, row)| (key, held(&row))).collect();
        Ok(Rows {
            by_sid: held(rows::by_sids(session, self.asked.account, sids).await?),
            by_name: held(rows::by_names(session, self.asked.account, names).await?),
        })
    }

    async fn sort_in(&mut self, rows: &Rows, seen: Seen) -> Result<(), WalkError> {
        match classify::classify(rows, &seen) {
            Sight::Pending(_) => self.summary.count(Class::Pending),
            Sight::Drifted(held) => self.suspects.push(held.worker),
            // Its row's own worker must be gone: the row is looked at, not the worker.
            Sight::Successor(_) => {}
            Sight::Unadopted(held) => {
                self.summary.count(Class::Unadopted);
                let detail = Detail { protected: Some(held_why(held)), ..Detail::default() };
                self.find(Class::Unadopted, &seen.sid, &seen.friendly_name, Some(held.worker), &detail).await?;
            }
            Sight::Stranger(remembered) => self.meet(seen, remembered.is_some()).await?,
            Sight::InStep(held) if !self.reads_channels_of(held) => self.summary.count(Class::InStep),
            Sight::InStep(held) | Sight::Unclear(held) => {
                let unclear = seen.attributes.is_none();
                let read = if unclear { self.look(held).await? } else { self.with_channels(held, seen).await? };
                match read {
                    Some(read) if classify::actions(held, &read).is_empty() => self.summary.count(Class::InStep),
                    _ => self.suspects.push(held.worker),
                }
            }
        }
        Ok(())
    }

    fn reads_channels_of(&self, held: &Held) -> bool {
        self.settings.channels && held.desired.as_ref().is_some_and(|desired| !desired.channels.is_empty())
    }

    /// Reads the worker of a row, with its channels; none: it is gone.
    async fn look(&mut self, held: &Held) -> Result<Option<Seen>, WalkError> {
        let Some(sid) = &held.sid else { return Ok(None) };
        match self.calls.fetch(sid).await {
            Ok(Some(worker)) => self.with_channels(held, seen_in_list(&worker)).await,
            Ok(None) => Ok(None),
            // It is there, and its attributes are not a JSON object.
            Err(WalkError::Call(error)) if error.kind == ErrorKind::Permanent => Ok(Some(Seen {
                sid: sid.clone(),
                friendly_name: held.name.clone(),
                attributes: None,
                available: false,
                channels: None,
            })),
            Err(error) => Err(error),
        }
    }

    /// Adds the channels, if they are to be compared; none: the worker is gone.
    async fn with_channels(&mut self, held: &Held, seen: Seen) -> Result<Option<Seen>, WalkError> {
        if !self.reads_channels_of(held) {
            return Ok(Some(seen));
        }
        let channels = self.calls.channels(&seen.sid).await?;
        Ok(channels.map(|channels| Seen { channels: Some(channels), ..seen }))
    }

    /// Goes through the rows: those whose worker was not in the list are suspects, and those that have an identity of a
    /// stranger are its person.
    async fn look_for_rows(&mut self) -> Result<(), WalkError> {
        let by_identity = unknown::by_identity(&self.strangers);
        let (mut after, mut done) = (String::new(), 0);
        loop {
            self.calls.keep_lease().await?;
            let page = rows::page(self.ports.store.read(), self.asked.account, &after, BATCH as u64).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = fold(&last.name);
            done += page.len() as u64;
            for row in &page {
                let held = held(row);
                if held.has_a_worker() && held.sid.as_ref().is_some_and(|sid| !self.seen.contains(&digest(sid))) {
                    self.suspects.push(held.worker);
                }
                unknown::note_person(&mut self.strangers, &by_identity, &held);
            }
            self.watch.at(Stage::Looking, done, None);
        }
    }

    /// Records something that is not in step.
    async fn find(
        &mut self,
        class: Class,
        sid: &WorkerSid,
        name: &str,
        worker: Option<WorkerId>,
        detail: &Detail,
    ) -> Result<(), WalkError> {
        let detail = serde_json::to_value(detail)
            .map_err(|error| StoreError::Damaged { table: "finding", what: error.to_string() })?;
        self.found.push(Finding {
            subject: sid.to_string(),
            class: class.as_str().to_owned(),
            name: name.to_owned(),
            worker,
            detail,
            handed_over: false,
            first_at: self.began,
        });
        if self.found.len() < BATCH { Ok(()) } else { self.write_found().await }
    }

    async fn write_found(&mut self) -> Result<(), WalkError> {
        let found = std::mem::take(&mut self.found);
        if found.is_empty() {
            return Ok(());
        }
        let job = Arc::new((self.asked.account, self.id.to_owned(), found));
        self.ports
            .store
            .keep(move |tx| {
                let job = Arc::clone(&job);
                Box::pin(async move {
                    let mut change = tx.change();
                    for finding in &job.2 {
                        change.put_finding(job.0, &job.1, finding)?;
                    }
                    tx.apply(change).await
                })
            })
            .await?;
        Ok(())
    }
}

/// A worker as an answer shows it.
fn seen_in_list(worker: &Worker) -> Seen {
    Seen {
        sid: worker.sid.clone(),
        friendly_name: worker.friendly_name.clone(),
        attributes: worker.attributes.clone(),
        available: worker.available,
        channels: None,
    }
}

/// A row as it is compared. One that cannot be read is the reconciler's to complain about.
pub(super) fn held(row: &InventoryRow) -> Held {
    let sid = row.sid.as_deref().map(str::parse::<WorkerSid>).transpose();
    let footprint = serde_json::from_str::<Footprint>(&row.footprint);
    let readable = sid.is_ok() && footprint.is_ok();
    Held {
        worker: row.id,
        name: row.name.clone(),
        sid: sid.ok().flatten(),
        desired: row.desired.clone(),
        footprint: footprint.unwrap_or_default(),
        standing: Held::standing(&row.state, row.settled && readable),
    }
}

fn held_why(held: &Held) -> String {
    format!("'{}' should have this worker, which may not be taken over", held.name)
}

fn digest(sid: &WorkerSid) -> u128 {
    let hash = Sha256::digest(sid.as_str().as_bytes());
    hash.iter().take(16).fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
}

/// The identities of a worker as far as they can be known.
fn identities(name: &str, attributes: Option<&Map<String, Value>>) -> BTreeSet<String> {
    classify::identities(name, attributes.unwrap_or(&Map::new()))
}
