//! Desired workers in memory, for tests and simulations.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::desired_store::{ClaimRequest, Claimed, DesiredStore, DesiredStoreError, Lanes, LeaseId, Record, Recorded};
use super::fair::shares;
use super::row::Row;
use crate::base::{AccountId, Ambient, WorkerId, fold};
use crate::domain::worker::DesiredWorker;
use crate::taskrouter::WorkerSid;

/// A [`DesiredStore`] whose "database time" is the clock that it is given.
#[derive(Debug)]
pub struct MemoryStore {
    ambient: Ambient,
    rows: Mutex<BTreeMap<WorkerId, Row>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(ambient: Ambient) -> Self {
        Self { ambient, rows: Mutex::default() }
    }

    /// Desires a worker, or its absence, under a name; returns the row.
    pub fn want(&self, account: AccountId, name: &str, desired: Option<DesiredWorker>) -> WorkerId {
        let now = self.ambient.now();
        let mut rows = self.lock();
        let worker = find(&rows, account, name).unwrap_or_else(|| self.ambient.id());
        rows.entry(worker).or_insert_with(|| Row::new(worker, account, name.to_owned(), now)).want(desired, now);
        worker
    }

    /// Says that somebody leaves whose worker stays, offline; returns the row.
    pub fn keep_offline(&self, account: AccountId, name: &str) -> WorkerId {
        let now = self.ambient.now();
        let mut rows = self.lock();
        let worker = find(&rows, account, name).unwrap_or_else(|| self.ambient.id());
        let row = rows.entry(worker).or_insert_with(|| Row::new(worker, account, name.to_owned(), now));
        if row.desired.is_some() {
            row.want_or_keep(None, true, now);
        }
        worker
    }

    /// Desires that the worker of one name becomes `desired`, which has another name.
    ///
    /// If the row may follow ([`Row::may_be_renamed`]) and no other row stands in the way, the worker is renamed in place;
    /// else the old name leaves and the new one joins.
    pub fn rename(&self, account: AccountId, from: &str, desired: DesiredWorker) -> WorkerId {
        let now = self.ambient.now();
        let mut rows = self.lock();
        let taken = find(&rows, account, &desired.friendly_name);
        let Some(worker) = find(&rows, account, from).filter(|worker| Some(*worker) != taken) else {
            drop(rows);
            return self.want(account, &desired.friendly_name.clone(), Some(desired));
        };
        let follows = rows.get(&worker).is_some_and(Row::may_be_renamed)
            && taken.as_ref().and_then(|taken| rows.get(taken)).is_none_or(Row::is_forgettable);
        if !follows {
            if let Some(row) = rows.get_mut(&worker) {
                row.want(None, now);
            }
            drop(rows);
            return self.want(account, &desired.friendly_name.clone(), Some(desired));
        }
        if let Some(taken) = taken {
            rows.remove(&taken);
        }
        if let Some(row) = rows.get_mut(&worker) {
            row.want(Some(desired), now);
        }
        worker
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.lock().values().cloned().collect()
    }

    /// One row.
    #[must_use]
    pub fn row(&self, worker: WorkerId) -> Option<Row> {
        self.lock().get(&worker).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DesiredStore for MemoryStore {
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, DesiredStoreError> {
        let now = self.ambient.now();
        let mut rows = self.lock();
        let mut due: Vec<&mut Row> = rows
            .values_mut()
            .filter(|row| row.is_claimable(now) && !request.except.contains(&row.account))
            .filter(|row| request.lanes == Lanes::All || row.is_leaver())
            .collect();
        due.sort_by_key(|row| (!row.is_leaver(), row.due_at, row.worker));
        let mut left = request.limit;
        let mut taken: BTreeMap<(bool, AccountId), usize> = BTreeMap::new();
        for leaver in [true, false] {
            let mut wanted: BTreeMap<AccountId, usize> = BTreeMap::new();
            for row in due.iter().filter(|row| row.is_leaver() == leaver) {
                *wanted.entry(row.account).or_default() += 1;
            }
            let shares = shares(left, &wanted.values().copied().collect::<Vec<_>>());
            left -= shares.iter().sum::<usize>();
            taken.extend(wanted.into_keys().map(|account| (leaver, account)).zip(shares));
        }
        due.retain(|row| {
            let share = taken.get_mut(&(row.is_leaver(), row.account));
            share.is_some_and(|share| std::mem::replace(share, share.saturating_sub(1)) > 0)
        });
        Ok(due.into_iter().map(|row| row.claim(&request.lease, request.lease_for, now)).collect())
    }

    async fn renew(
        &self,
        held: &[(WorkerId, LeaseId)],
        lease_for: Duration,
    ) -> Result<Vec<WorkerId>, DesiredStoreError> {
        let now = self.ambient.now();
        let mut rows = self.lock();
        let mut renewed = Vec::with_capacity(held.len());
        for (worker, lease) in held {
            if rows.get_mut(worker).is_some_and(|row| row.renew(lease, lease_for, now)) {
                renewed.push(*worker);
            }
        }
        Ok(renewed)
    }

    async fn record(&self, records: &[Record]) -> Result<Vec<Recorded>, DesiredStoreError> {
        let now = self.ambient.now();
        let mut rows = self.lock();
        let answers = records
            .iter()
            .map(|record| rows.get_mut(&record.worker).map_or(Recorded::LeaseLost, |row| row.record(record, now)));
        Ok(answers.collect())
    }

    async fn holder(&self, account: AccountId, sid: &WorkerSid) -> Result<Option<WorkerId>, DesiredStoreError> {
        let holds = |row: &&Row| row.account == account && row.known.sid.as_ref() == Some(sid);
        Ok(self.lock().values().find(holds).map(|row| row.worker))
    }
}

fn find(rows: &BTreeMap<WorkerId, Row>, account: AccountId, name: &str) -> Option<WorkerId> {
    let folded = fold(name);
    rows.values().find(|row| row.account == account && fold(&row.name) == folded).map(|row| row.worker)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::{MockClock, SeededEntropy, Timestamp};
    use crate::reconcile::conformance::{self, Bench, ReceiptView, View};
    use crate::reconcile::receipt::Receipt;
    use crate::reconcile::testing::{account, desired};

    fn view(receipt: &Receipt) -> ReceiptView {
        let after = |time: Option<Timestamp>| time.map(|time| time.since(receipt.accepted_at));
        ReceiptView {
            unavailable_after: after(receipt.unavailable_at),
            removed_after: after(receipt.removed_at),
            verified_after: after(receipt.verified_at),
            ending: receipt.ending,
        }
    }

    struct MemoryBench {
        store: Arc<MemoryStore>,
        clock: Arc<MockClock>,
    }

    fn bench() -> MemoryBench {
        let clock = Arc::new(MockClock::new(Timestamp::from_millis(1_000_000)));
        let ambient = Ambient::new(Arc::clone(&clock) as Arc<_>, Arc::new(SeededEntropy::new(1)));
        MemoryBench { store: Arc::new(MemoryStore::new(ambient)), clock }
    }

    #[async_trait]
    impl Bench for MemoryBench {
        fn store(&self) -> Arc<dyn DesiredStore> {
            Arc::clone(&self.store) as Arc<_>
        }

        fn accounts(&self) -> [AccountId; 2] {
            [account(1), account(2)]
        }

        async fn want(&self, account: AccountId, name: &str, desired: Option<DesiredWorker>) -> WorkerId {
            self.store.want(account, name, desired)
        }

        async fn keep_offline(&self, account: AccountId, name: &str) -> WorkerId {
            self.store.keep_offline(account, name)
        }

        async fn look(&self, worker: WorkerId) -> View {
            let row = self.store.row(worker).unwrap();
            View {
                state: row.state,
                known: row.known,
                unsure: row.unsure,
                attempts: row.attempts,
                last_error: row.last_error,
                in_step: row.applied_version == Some(row.desired_version),
                receipts: row.receipts.iter().map(view).collect(),
            }
        }

        async fn pass(&self, by: Duration) {
            self.clock.advance(by);
        }
    }

    #[tokio::test]
    async fn conforms() {
        for (name, check) in conformance::ALL {
            let done = tokio::spawn(check(Arc::new(bench())));
            assert!(done.await.is_ok(), "{name}");
        }
    }

    #[test]
    fn a_row_follows_its_person_to_a_new_name() {
        let store = bench().store;
        let want = |name: &str| desired(name, serde_json::json!({"roles": ["agent"]}), &[]);
        let ana = store.want(account(1), "ana", Some(want("ana")));
        assert_eq!(store.rename(account(1), "ANA", want("bea")), ana);
        assert_eq!(store.row(ana).unwrap().name, "bea");
        // The name of somebody who is still there, or not yet gone, is that row's.
        let cleo = store.want(account(1), "cleo", Some(want("cleo")));
        assert_eq!(store.rename(account(1), "bea", want("cleo")), cleo);
        assert_eq!(store.row(ana).unwrap().desired, None);
        // Only another spelling.
        assert_eq!(store.rename(account(1), "cleo", want("Cleo")), cleo);
        assert_eq!(store.rows().len(), 2);
    }
}
