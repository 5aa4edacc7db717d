//! The desired workers in the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::desired_store::{
    ClaimRequest, Claimed, DesiredStore, DesiredStoreError, Footprint, Known, Lanes, LeaseId, Outcome, Record,
    Recorded, RowState,
};
use super::fair::shares;
use super::receipt::Ending;
use super::row::Settlement;
use crate::base::{AccountId, WorkerId};
use crate::store::receipts::{self, Ended, Seen};
use crate::store::workers::{self, Claim, Due, Reached, Report, Settled, Share, WorkerRow};
use crate::store::{Store, StoreError};
use crate::taskrouter::WorkerSid;

/// A [`DesiredStore`] on SQLite or PostgreSQL; all its times are the database's.
#[derive(Clone, Debug)]
pub struct SqlStore(Arc<Store>, Arc<AtomicUsize>);

impl SqlStore {
    /// On this database.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        Self(store, Arc::default())
    }
}

#[async_trait]
impl DesiredStore for SqlStore {
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, DesiredStoreError> {
        // Looking costs no transaction, and mostly there is nothing to do.
        let due = workers::due(self.0.read(), &as_claim(request)).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let shares = divided(due, request.limit, self.1.fetch_add(1, Ordering::Relaxed));
        let wanted = Arc::new((request.clone(), shares));
        let rows = self
            .0
            .keep(move |tx| {
                let wanted = Arc::clone(&wanted);
                Box::pin(async move { workers::claim(tx, &as_claim(&wanted.0), &wanted.1).await })
            })
            .await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.id.to_string();
            match claimed(row, &request.lease) {
                Ok(claimed) => all.push(claimed),
                Err(error) => {
                    let why = crate::base::Causes(&error).to_string();
                    let job = Arc::new((id, why));
                    self.0
                        .keep(move |tx| {
                            let job = Arc::clone(&job);
                            Box::pin(async move { workers::set_aside(tx, &job.0, &job.1).await })
                        })
                        .await?;
                }
            }
        }
        Ok(all)
    }

    async fn renew(
        &self,
        held: &[(WorkerId, LeaseId)],
        lease_for: Duration,
    ) -> Result<Vec<WorkerId>, DesiredStoreError> {
        let held = Arc::new(held.to_vec());
        let renewed = self
            .0
            .keep(move |tx| {
                let held = Arc::clone(&held);
                Box::pin(async move {
                    let mut renewed = Vec::with_capacity(held.len());
                    for (worker, lease) in held.iter() {
                        if workers::renew(tx, *worker, &lease.0, lease_for).await? {
                            renewed.push(*worker);
                        }
                    }
                    Ok::<_, StoreError>(renewed)
                })
            })
            .await?;
        Ok(renewed)
    }

    async fn record(&self, records: &[Record]) -> Result<Vec<Recorded>, DesiredStoreError> {
        let records = Arc::new(records.to_vec());
        let recorded = self
            .0
            .keep(move |tx| {
                let records = Arc::clone(&records);
                Box::pin(async move {
                    let mut recorded = Vec::with_capacity(records.len());
                    for record in records.iter() {
                        let version = record_one(tx, record).await?;
                        recorded.push(match version {
                            None => Recorded::LeaseLost,
                            Some(version) if version == record.desired_version => Recorded::Stored,
                            Some(_) => Recorded::Superseded,
                        });
                    }
                    Ok::<_, StoreError>(recorded)
                })
            })
            .await?;
        Ok(recorded)
    }

    async fn holder(&self, account: AccountId, sid: &WorkerSid) -> Result<Option<WorkerId>, DesiredStoreError> {
        Ok(workers::holder(self.0.read(), account, sid.as_str()).await?)
    }
}

async fn record_one(tx: &crate::store::Tx, record: &Record) -> Result<Option<i64>, StoreError> {
    let end = Settlement::of(&record.outcome);
    let known = match &end.known {
        Some(known) => Some((known.sid.as_ref().map(WorkerSid::as_str), footprint_text(&known.footprint)?)),
        None => None,
    };
    let settled = end.state.map(|state| Settled {
        state: state.as_str(),
        attempts: end.attempts,
        due_in: end.due_in,
        error: end.error.as_deref(),
        reached: match state {
            RowState::InStep | RowState::KeptOffline => Some(Reached::InStep),
            RowState::Removed => Some(Reached::Removed),
            _ => None,
        },
    });
    let report = Report {
        worker: record.worker,
        lease: &record.lease.0,
        desired_version: record.desired_version,
        known,
        unsure: end.unsure,
        ends: !matches!(record.outcome, Outcome::Progress { .. }),
        settled,
    };
    let version = workers::record(tx, &report).await?;
    if version == Some(record.desired_version) && end.state.is_some() {
        receipts::note(tx, record.worker, record.desired_version, &seen(record)).await?;
    }
    Ok(version)
}

fn seen(record: &Record) -> Seen {
    let [unavailable, removed, verified] = record.stages.ages();
    let ending = match Ending::of(&record.outcome, &record.stages) {
        Some(Ending::Verified) => Some(Ended::Verified),
        Some(Ending::KeptOffline) => Some(Ended::KeptOffline),
        Some(Ending::NoWorker) => Some(Ended::NoWorker),
        // Coming back is for whoever brings the person back to say.
        Some(Ending::Superseded) | None => None,
    };
    Seen { unavailable, removed, verified, ending }
}

/// Divides the places among the accounts, those for leavers first. Whoever is the first in line changes from `turn` to turn.
fn divided(mut due: Vec<Due>, places: usize, turn: usize) -> Vec<Share> {
    let accounts = due.len();
    due.rotate_left(turn.wrapping_mul(places) % accounts);
    let leavers = shares(places, &due.iter().map(|due| due.leavers).collect::<Vec<_>>());
    let left = places.saturating_sub(leavers.iter().sum());
    let others = shares(left, &due.iter().map(|due| due.others).collect::<Vec<_>>());
    let lanes = [(0, leavers), (1, others)];
    let all = lanes.into_iter().flat_map(|(lane, rows)| {
        due.iter().zip(rows).map(move |(due, rows)| Share { account: due.account, lane, rows }).collect::<Vec<_>>()
    });
    all.filter(|share| share.rows > 0).collect()
}

fn as_claim(request: &ClaimRequest) -> Claim<'_> {
    Claim {
        lease: &request.lease.0,
        lease_for: request.lease_for,
        leavers_only: request.lanes == Lanes::Leavers,
        limit: request.limit,
        except: &request.except,
    }
}

fn claimed(row: WorkerRow, lease: &LeaseId) -> Result<Claimed, DesiredStoreError> {
    let damaged = |what: String| DesiredStoreError(Box::new(StoreError::Damaged { table: "worker", what }));
    let mut known = Known {
        sid: row
            .sid
            .map(|sid| sid.parse().map_err(|_| damaged(format!("sid of {} is '{sid}'", row.id))))
            .transpose()?,
        footprint: serde_json::from_str(&row.footprint)
            .map_err(|error| damaged(format!("footprint of {}: {error}", row.id)))?,
    };
    for old in &row.superseded {
        known.widen(old);
    }
    Ok(Claimed {
        worker: row.id,
        account: row.account,
        name: row.name,
        desired: row.desired,
        desired_version: row.desired_version,
        desired_at: row.desired_at,
        age: row.age,
        keep: row.keep,
        user: row.user,
        settled_before: row.applied_version == Some(row.desired_version),
        known,
        unsure: row.unsure,
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        lease: lease.clone(),
    })
}

fn footprint_text(footprint: &Footprint) -> Result<String, StoreError> {
    serde_json::to_string(footprint)
        .map_err(|error| StoreError::Damaged { table: "worker", what: format!("footprint: {error}") })
}

impl From<StoreError> for DesiredStoreError {
    fn from(error: StoreError) -> Self {
        Self(Box::new(error))
    }
}
