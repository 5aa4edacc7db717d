//! Fills the sheet of metrics when monitoring asks.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::routers::AccountRouters;
use crate::base::{AccountId, Causes, ConnectionId, Timestamp};
use crate::metrics::{self as known, MEDIA_TYPE, Sheet, Value};
use crate::reconcile::desired_store::RowState;
use crate::reconcile::observe::Stats;
use crate::service::pushes::PushLog;
use crate::service::{Core, ServiceError};
use crate::store::backlog::{Backlog, Copies};
use crate::web::{Telling, Traffic};

/// How long what was read from the database is told again, at least ...
const KEPT: Duration = Duration::from_secs(5);
/// ... and so many times as long as the reading took: whoever asks often cannot keep the database busy with it.
const KEPT_TIMES: u32 = 20;
/// The database must answer within this time, or its part is left out.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the database says.
#[derive(Debug)]
pub(super) struct Told {
    backlogs: HashMap<AccountId, Backlog>,
    copies: Copies,
    connections: HashMap<ConnectionId, String>,
}

/// When it was said, for how long it is told again, and what; none: there was no answer.
type Answer = (Instant, Duration, Option<Arc<Told>>);

/// Where the numbers come from.
pub(super) struct Gauges {
    pub(super) core: Arc<Core>,
    pub(super) routers: Arc<AccountRouters>,
    pub(super) stats: Arc<Stats>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) pushes: PushLog,
    pub(super) paused: bool,
    pub(super) started: Timestamp,
    pub(super) told: Mutex<Option<Answer>>,
}

impl Gauges {
    /// What the listener for monitoring asks.
    pub(super) fn telling(self) -> Telling {
        let gauges = Arc::new(self);
        Arc::new(move || {
            let gauges = Arc::clone(&gauges);
            Box::pin(async move { gauges.tell().await })
        })
    }

    async fn tell(&self) -> Option<(String, &'static str)> {
        let mut sheet = Sheet::default();
        let told = self.told().await;
        self.process(&mut sheet, told.is_some());
        self.scim(&mut sheet, told.as_deref());
        if let Some(told) = &told {
            self.backlogs(&mut sheet, told);
        }
        self.reconciler(&mut sheet);
        self.calls(&mut sheet);
        match sheet.text() {
            Ok(text) => Some((text, MEDIA_TYPE)),
            Err(error) => {
                tracing::error!(error = %Causes(&error), "the metrics could not be written");
                None
            }
        }
    }

    /// What the database says, asked once for all who ask meanwhile.
    async fn told(&self) -> Option<Arc<Told>> {
        let mut last = self.told.lock().await;
        if let Some((at, keep, told)) = &*last
            && at.elapsed() < *keep
        {
            return told.clone();
        }
        let asked = Instant::now();
        let told = match tokio::time::timeout(PATIENCE, self.ask()).await {
            Ok(Ok(told)) => Some(Arc::new(told)),
            Ok(Err(error)) => {
                tracing::warn!(error = %Causes(&error), "the backlog could not be read for the metrics");
                None
            }
            Err(_) => {
                tracing::warn!("the backlog could not be read in time for the metrics");
                None
            }
        };
        let keep = KEPT.max(asked.elapsed() * KEPT_TIMES);
        *last = Some((Instant::now(), keep, told.clone()));
        told
    }

    async fn ask(&self) -> Result<Told, ServiceError> {
        Ok(Told {
            backlogs: self.core.backlogs().await?,
            copies: self.core.copies().await?,
            connections: self.core.connection_names().await?,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into 2^52")]
    fn process(&self, sheet: &mut Sheet, database: bool) {
        sheet.level(&known::BUILD, &[env!("CARGO_PKG_VERSION")], 1);
        sheet.add(&known::STARTED, &[], Value::Level(self.started.millis() as f64 / 1_000.0));
        if let Some(bytes) = resident() {
            sheet.level(&known::MEMORY, &[], bytes);
        }
        sheet.level(&known::PAUSED, &[], u64::from(self.paused));
        sheet.level(&known::DATABASE_UP, &[], u64::from(database));
        let load = self.core.store().load();
        sheet.level(&known::CONNECTIONS, &["busy"], u64::from(load.busy));
        sheet.level(&known::CONNECTIONS, &["idle"], u64::from(load.idle));
        if let Some(waiting) = load.waiting {
            sheet.level(&known::WRITER_QUEUE, &[], waiting as u64);
        }
    }

    fn scim(&self, sheet: &mut Sheet, told: Option<&Told>) {
        let counts = self.traffic.counts();
        // A connection that was made a moment ago has no name here yet; two of them must not make the same sample twice.
        let mut named: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
        for ((connection, method, outcome), count) in &counts.requests {
            let name =
                connection.map_or(Some(""), |id| told.and_then(|told| told.connections.get(&id)).map(String::as_str));
            *named.entry((name.unwrap_or("unknown"), method, outcome)).or_default() += count;
        }
        for ((connection, method, outcome), count) in named {
            sheet.count(&known::SCIM_REQUESTS, &[connection, method, outcome], count);
        }
        for (method, times) in counts.times {
            sheet.add(&known::SCIM_DURATION, &[method], Value::Times(times));
        }
        sheet.count(&known::PUSHES_DROPPED, &[], self.pushes.dropped());
    }

    fn backlogs(&self, sheet: &mut Sheet, told: &Told) {
        sheet.level(&known::COPIES, &["working"], told.copies.working);
        sheet.level(&known::COPIES, &["paused"], told.copies.paused);
        let none = Backlog::default();
        for (id, account) in self.routers.names() {
            let backlog = told.backlogs.get(&id).unwrap_or(&none);
            let lanes =
                [("leavers", backlog.leavers, backlog.oldest_leaver), ("others", backlog.others, backlog.oldest_other)];
            for (lane, count, oldest) in lanes {
                sheet.level(&known::BACKLOG, &[&account, lane], count);
                let oldest = oldest.unwrap_or_default().as_secs_f64();
                sheet.add(&known::BACKLOG_OLDEST, &[&account, lane], Value::Level(oldest));
            }
            sheet.add(&known::BACKLOG_RATE, &[&account], Value::Level(backlog.rate.unwrap_or(0.0)));
            if let Some(left) = backlog.time_left().filter(|_| told.copies.working > 0) {
                sheet.add(&known::BACKLOG_TIME_LEFT, &[&account], Value::Level(left.as_secs_f64()));
            }
            for state in RowState::ALL.iter().filter(|state| !state.is_settled()) {
                let count = backlog.states.get(state.as_str()).copied().unwrap_or(0);
                sheet.level(&known::UNSETTLED, &[&account, state.as_str()], count);
            }
        }
    }

    fn reconciler(&self, sheet: &mut Sheet) {
        let names = self.routers.names();
        let summary = self.stats.summary();
        for ((account, state), count) in &summary.by_account {
            let account = names.get(account).map_or("unknown", String::as_str);
            sheet.count(&known::ATTEMPTS, &[account, state], *count);
        }
        for (action, count) in &summary.effects {
            sheet.count(&known::EFFECTS, &[action], *count);
        }
        sheet.add(&known::SETTLING, &["leavers"], Value::Times(summary.leavers));
        sheet.add(&known::SETTLING, &["others"], Value::Times(summary.others));
    }

    fn calls(&self, sheet: &mut Sheet) {
        for (account, client) in self.routers.clients() {
            let counts = client.stats().counts();
            for (operation, calls) in &counts.operations {
                for (status, count) in &calls.statuses {
                    let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
                    sheet.count(&known::CALLS, &[&account, operation.as_str(), &status], *count);
                }
                let times = Value::Times(calls.times.clone());
                sheet.add(&known::CALL_DURATION, &[&account, operation.as_str()], times);
            }
            sheet.count(&known::THROTTLED, &[&account], counts.throttled);
            sheet.count(&known::HELD_BACK, &[&account], counts.held_back);
            let allowance = client.allowance();
            if let Some(rate) = allowance.rate {
                sheet.add(&known::ALLOWED_RATE, &[&account], Value::Level(rate));
            }
            sheet.level(&known::ALLOWED_CALLS, &[&account], allowance.calls as u64);
            sheet.level(&known::CALLS_IN_FLIGHT, &[&account], allowance.in_flight as u64);
        }
    }
}

/// The memory that this process has resident, in bytes, as Linux tells it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1_024)
}
