//! What the driver does with each event.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;
use uuid::Uuid;

use super::queue::Ticket;
use super::recorder::Acknowledged;
use super::{ClaimAnswer, Driver, DriverSettings, attempt};
use crate::base::AccountId;
use crate::reconcile::desired_store::{ClaimRequest, Claimed, Lanes, LeaseId, Outcome, Recorded};
use crate::reconcile::execute::Finished;
use crate::reconcile::lease::LeaseClock;
use crate::reconcile::receipt::Stages;

/// Due times closer together than this are looked at together.
const HINT_GRAIN: Duration = Duration::from_millis(20);

impl Driver {
    /// Fills the free places, leavers first.
    pub(super) fn begin_attempts(&mut self) {
        while let Some(ticket) = self.next_ticket() {
            if ticket.lost.is_cancelled() {
                continue;
            }
            if self.is_closed(&ticket.claimed) {
                self.give_back(&ticket.claimed);
                continue;
            }
            let facts = Arc::clone(self.facts.entry(ticket.claimed.account).or_default());
            let attempt = attempt::make(
                self.ports.clone(),
                Arc::clone(&self.settings),
                facts,
                self.reports.clone(),
                ticket.clone(),
            );
            let id = self.running.spawn(attempt.instrument(attempt::span(&ticket.claimed))).id();
            self.tickets.insert(id, ticket);
        }
    }

    /// The next attempt for which there is a place: one of those that are for all, of those for leavers, or of those for
    /// accounts that have none under way.
    fn next_ticket(&mut self) -> Option<Ticket> {
        let DriverSettings { concurrency, leaver_reserve, account_reserve, .. } = *self.settings;
        let running = self.running.len();
        if running < concurrency {
            return self.queue.pop();
        }
        let others = self.tickets.values().filter(|ticket| !ticket.is_leaver()).count();
        // These have places that leavers may not take, and they none of theirs.
        let newcomers = others.saturating_sub(concurrency);
        if running - newcomers < concurrency + leaver_reserve
            && let Some(leaver) = self.queue.pop_leaver()
        {
            return Some(leaver);
        }
        if newcomers >= account_reserve || running >= concurrency + leaver_reserve + account_reserve {
            return None;
        }
        let busy: BTreeSet<AccountId> = self.tickets.values().map(|ticket| ticket.claimed.account).collect();
        self.queue.pop_of(|account| !busy.contains(&account))
    }

    /// Claims what fits, if there may be something: everything after a wake-up, more after a full answer; leavers, and a few
    /// rows of accounts that have none here, even when the queue is full.
    pub(super) fn claim_if_wanted(&mut self) {
        if self.claiming.is_some() {
            return;
        }
        let target = self.settings.concurrency + self.settings.claim_ahead;
        let room = target.saturating_sub(self.queue.len() + self.running.len());
        // Not for each place that gets free: a claim costs the same for one row as for many.
        let worthwhile = room >= self.settings.claim_ahead.div_ceil(2);
        let leaver_room = target.saturating_sub(self.queue.leavers());
        let (lanes, limit, of_all) = match (self.woken, self.more) {
            (true, _) if room > 0 => (Lanes::All, room, true),
            (true, _) if leaver_room > 0 => (Lanes::Leavers, leaver_room, false),
            (true, _) => (Lanes::All, self.settings.leaver_reserve.max(1), false),
            (false, _) if self.newcomers => (Lanes::All, self.settings.leaver_reserve.max(1), false),
            (false, true) if worthwhile => (Lanes::All, room, true),
            _ => return,
        };
        let mut except = self.closed_accounts();
        if !of_all {
            self.more = true;
            if lanes == Lanes::All {
                let held = self.queue.accounts().chain(self.tickets.values().map(|ticket| ticket.claimed.account));
                except.extend(held.collect::<BTreeSet<_>>());
            }
        }
        self.newcomers = lanes == Lanes::Leavers;
        self.woken = false;
        self.last_look = Instant::now();
        let request = ClaimRequest {
            lease: LeaseId(self.ports.ambient.id::<Uuid>().to_string()),
            lease_for: self.settings.lease,
            lanes,
            limit,
            except,
        };
        let store = Arc::clone(&self.ports.store);
        let asked = self.last_look;
        let claim = async move { ClaimAnswer { of_all, limit, asked, rows: store.claim(&request).await } };
        self.claiming = Some(AbortOnDropHandle::new(tokio::spawn(claim)));
    }

    pub(super) fn claimed(&mut self, answer: Result<ClaimAnswer, JoinError>) {
        let ClaimAnswer { of_all, limit, asked, rows } = match answer {
            Ok(answer) => answer,
            Err(error) => return tracing::error!(%error, "claiming broke"),
        };
        let rows = match rows {
            Ok(rows) => rows,
            // The next look is the retry: a store that is down is asked twice a second, not in a loop.
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                return tracing::warn!(error, "desired workers could not be claimed");
            }
        };
        if of_all {
            self.more = rows.len() >= limit;
        }
        let clock = Arc::new(LeaseClock::new(asked, self.settings.lease));
        for claimed in rows {
            let ticket = Ticket { claimed, lease: Arc::clone(&clock), lost: CancellationToken::new() };
            self.held.take(&ticket);
            self.queue.push(ticket);
        }
        if *self.paused.borrow() {
            self.give_back_queue();
        }
    }

    pub(super) fn attempted(&mut self, id: tokio::task::Id, claimed: &Claimed, finished: Finished) {
        self.tickets.remove(&id);
        if finished.unauthorized && !self.is_closed(claimed) {
            let account = claimed.account;
            let pause = self.settings.unauthorized_pause;
            tracing::error!(%account, ?pause, "TaskRouter refuses the credentials of this account");
            self.closed.insert(account, Instant::now() + pause);
        }
        self.report(claimed, finished.outcome, finished.stages);
    }

    /// An attempt that panicked may have written anything: like a crash, only that it is known at once.
    pub(super) fn attempt_broke(&mut self, error: &JoinError) {
        let Some(Ticket { claimed, .. }) = self.tickets.remove(&error.id()) else { return };
        tracing::error!(worker = %claimed.worker, %error, "an attempt broke");
        let attempts = claimed.attempts.saturating_add(1);
        let mut known = claimed.known.clone();
        if let Some(desired) = &claimed.desired {
            known.widen(desired);
        }
        let outcome = Outcome::Retry {
            known,
            unsure: true,
            attempts,
            after: self.settings.execute.backoff.wait(&self.ports.ambient, attempts, None),
            error: "internal error, see the log".to_owned(),
        };
        self.report(&claimed, outcome, Stages::default());
    }

    pub(super) fn acknowledged(&mut self, ack: &Acknowledged) {
        match (ack.recorded, ack.due_in) {
            (Recorded::Superseded, _) => self.woken = true,
            (Recorded::Stored, Some(wait)) => self.expect(Instant::now() + wait),
            (Recorded::Stored | Recorded::LeaseLost, _) => {}
        }
    }

    /// When to look again without being woken.
    pub(super) fn next_tick(&self) -> Instant {
        // Whoever is woken already and cannot look yet (no room, or paused) gains nothing by a tick.
        let regular = if self.woken { Instant::now() } else { self.last_look } + self.settings.poll;
        self.hints.first().map_or(regular, |hint| regular.min(*hint))
    }

    pub(super) fn ticked(&mut self) {
        self.woken = true;
        self.hints = self.hints.split_off(&(Instant::now() + Duration::from_nanos(1)));
    }

    pub(super) fn give_back_queue(&mut self) {
        while let Some(ticket) = self.queue.pop() {
            self.give_back(&ticket.claimed);
        }
        self.woken = true;
    }

    fn give_back(&mut self, claimed: &Claimed) {
        self.report(claimed, Outcome::Released, Stages::default());
    }

    fn report(&mut self, claimed: &Claimed, outcome: Outcome, stages: Stages) {
        if self.reports.send(attempt::report(claimed, outcome, stages)).is_err() {
            tracing::error!(worker = %claimed.worker, "a report cannot be stored any longer");
        }
    }

    /// Notes that a row becomes due; rounded up, so that many retries do not mean many looks.
    fn expect(&mut self, due: Instant) {
        let grain = HINT_GRAIN.as_nanos();
        let steps = due.saturating_duration_since(self.epoch).as_nanos().div_ceil(grain);
        let rounded = u64::try_from(steps.saturating_mul(grain)).unwrap_or(u64::MAX);
        self.hints.insert(self.epoch + Duration::from_nanos(rounded));
    }

    fn is_closed(&self, claimed: &Claimed) -> bool {
        self.closed.get(&claimed.account).is_some_and(|until| *until > Instant::now())
    }

    fn closed_accounts(&mut self) -> Vec<AccountId> {
        let now = Instant::now();
        self.closed.retain(|_, until| *until > now);
        self.closed.keys().copied().collect()
    }
}
