//! Receipts of those who left: lists, figures, and the alert when a removal is late.

use std::collections::HashMap;
use std::time::Duration;

use crate::base::{AccountId, Timestamp};
use crate::store::StoreError;
use crate::store::accounts::Account;
use crate::store::connections::Connection;
use crate::store::receipts::{self, Receipt, Selection, Times};

use super::core::Core;
use super::error::ServiceError;

/// How many receipts are read, judged or deleted at once.
const AT_ONCE: u32 = 500;
/// How many are read at once for figures: only numbers.
const TIMES: u64 = 10_000;

/// The stages after the acceptance of the push, in the order of [`Figures::stages`].
pub const STAGES: [&str; 4] = ["access refused", "worker unavailable", "worker removed", "removal verified"];

/// How long the stages took, from the acceptance of the push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How many receipts there are.
    pub receipts: u64,
    /// How many are not finished.
    pub open: u64,
    /// How many by how they ended.
    pub endings: std::collections::BTreeMap<String, u64>,
    /// Each of [`STAGES`].
    pub stages: [Stage; 4],
}

/// How long one stage took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// How many people it is known of.
    pub count: u64,
    /// Half of them were through it within this time.
    pub p50: Option<Duration>,
    /// 95 of 100 were.
    pub p95: Option<Duration>,
    /// 99 of 100 were.
    pub p99: Option<Duration>,
    /// All of them were.
    pub max: Option<Duration>,
}

impl Stage {
    fn of(mut taken: Vec<u64>) -> Self {
        taken.sort_unstable();
        Self {
            count: u64::try_from(taken.len()).unwrap_or(u64::MAX),
            p50: percentile(&taken, 50),
            p95: percentile(&taken, 95),
            p99: percentile(&taken, 99),
            max: percentile(&taken, 100),
        }
    }
}

/// The smallest value that at least `percent` of the values do not exceed.
fn percentile(sorted: &[u64], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().map(Duration::from_millis)
}

/// Adds up receipts one by one.
#[derive(Default)]
struct Sums {
    figures: Figures,
    taken: [Vec<u64>; 4],
}

impl Sums {
    fn add(&mut self, times: &Times) {
        self.figures.receipts += 1;
        match &times.ending {
            Some(ending) => *self.figures.endings.entry(ending.clone()).or_default() += 1,
            None => self.figures.open += 1,
        }
        // What stays was read back, too, but is no removal.
        let [refused, unavailable, removed, verified] = times.stages;
        let verified = verified.filter(|_| removed.is_some());
        for (taken, at) in self.taken.iter_mut().zip([refused, unavailable, removed, verified]) {
            if let Some(at) = at {
                taken.push(u64::try_from(at.since(times.accepted_at).as_millis()).unwrap_or(u64::MAX));
            }
        }
    }

    fn figures(self) -> Figures {
        Figures { stages: self.taken.map(Stage::of), ..self.figures }
    }
}

impl Core {
    /// Receipts of an account, the newest first, at most `limit`.
    pub async fn receipts(
        &self,
        account: &Account,
        selection: &Selection,
        limit: u32,
    ) -> Result<Vec<Receipt>, ServiceError> {
        Ok(receipts::list(self.store.read(), account.id, selection, u64::from(limit)).await?)
    }

    /// How long the stages took for those of a connection who left since a time.
    pub async fn receipt_figures(&self, connection: &Connection, since: Timestamp) -> Result<Figures, ServiceError> {
        let mut sums = Sums::default();
        let mut last: Option<Times> = None;
        loop {
            let page = receipts::times(self.store.read(), connection.id, since, last.as_ref(), TIMES).await?;
            for times in &page {
                sums.add(times);
            }
            let full = u64::try_from(page.len()).is_ok_and(|rows| rows == TIMES);
            last = page.into_iter().next_back();
            if !full {
                return Ok(sums.figures());
            }
        }
    }

    /// How many removals of each account have been under way for longer than this.
    pub async fn late_removals(&self, than: Duration) -> Result<HashMap<AccountId, u64>, ServiceError> {
        Ok(receipts::late(self.store.read(), than).await?)
    }

    /// Logs removals that have become late, each once, whichever copy of the server looks first; says how many.
    pub async fn report_late_removals(&self, than: Duration) -> Result<usize, ServiceError> {
        let mut reported = 0;
        while receipts::any_unalerted(self.store.read(), than).await? {
            let late: Result<Vec<Receipt>, StoreError> =
                self.store.keep(move |tx| Box::pin(receipts::take_unalerted(tx, than, u64::from(AT_ONCE)))).await;
            let late = late?;
            let now = self.ambient.now();
            for receipt in &late {
                tell(receipt, now);
            }
            reported += late.len();
        }
        Ok(reported)
    }

    /// Deletes finished receipts that are older than this; says how many.
    pub async fn sweep_receipts(&self, keep: Duration) -> Result<u64, ServiceError> {
        let (before, mut swept) = (self.ambient.now().before(keep), 0);
        for account in self.list_accounts().await? {
            let id = account.id;
            loop {
                let some: Result<u64, StoreError> =
                    self.store.keep(move |tx| Box::pin(receipts::sweep(tx, id, before, AT_ONCE))).await;
                let some = some?;
                swept += some;
                if some < u64::from(AT_ONCE) {
                    break;
                }
            }
        }
        Ok(swept)
    }
}

/// Somebody who still gets work, or might, is for a person to act upon now; somebody who is out of the queues can wait.
fn tell(receipt: &Receipt, now: Timestamp) {
    let Receipt { account, user, seq, .. } = receipt;
    let worker = receipt.worker.map(|worker| worker.to_string());
    let seconds = now.since(receipt.accepted_at).as_secs();
    let row = receipt.row.as_ref();
    let (state, attempts) = row.map_or(("", 0), |row| (row.state.as_str(), row.attempts));
    let error = row.and_then(|row| row.error.as_deref());
    if receipt.unavailable_at.is_some() {
        tracing::warn!(%account, %user, worker, receipt = seq, seconds, state, attempts, out_of_queues = true, error, "a removal is late");
    } else {
        tracing::error!(%account, %user, worker, receipt = seq, seconds, state, attempts, out_of_queues = false, error, "a removal is late");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_count_only_what_is_known() {
        let mut sums = Sums::default();
        let at = |ms: i64| Some(Timestamp::from_millis(1_000 + ms));
        for n in 1..=100 {
            sums.add(&Times {
                seq: n,
                accepted_at: Timestamp::from_millis(1_000),
                stages: [at(0), at(n), (n <= 50).then(|| at(10 * n)).flatten(), None],
                ending: (n <= 2).then(|| "verified".to_owned()),
            });
        }
        let figures = sums.figures();
        assert_eq!((figures.receipts, figures.open, figures.endings["verified"]), (100, 98, 2));
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(figures.stages[1], Stage { count: 100, p50: ms(50), p95: ms(95), p99: ms(99), max: ms(100) });
        assert_eq!((figures.stages[2].count, figures.stages[2].p95), (50, ms(480)));
        assert_eq!(figures.stages[3], Stage::default());
    }
}
