//! Claimed rows that wait for a free place.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::base::AccountId;
use crate::reconcile::desired_store::Claimed;
use crate::reconcile::lease::LeaseClock;

/// A claimed row with its lease.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    pub(super) claimed: Claimed,
    pub(super) lease: Arc<LeaseClock>,
    /// Cancelled when the lease is lost.
    pub(super) lost: CancellationToken,
}

impl Ticket {
    pub(super) fn is_leaver(&self) -> bool {
        self.claimed.desired.is_none()
    }
}

/// One lane, in which the accounts take turns.
#[derive(Debug, Default)]
struct Lane {
    waiting: BTreeMap<AccountId, VecDeque<Ticket>>,
    /// The accounts that have something waiting.
    turns: VecDeque<AccountId>,
    len: usize,
}

impl Lane {
    fn push(&mut self, ticket: Ticket) {
        let account = ticket.claimed.account;
        let waiting = self.waiting.entry(account).or_default();
        if waiting.is_empty() {
            self.turns.push_back(account);
        }
        waiting.push_back(ticket);
        self.len += 1;
    }

    /// The next of an account that may have a turn.
    fn pop(&mut self, may: impl Fn(AccountId) -> bool) -> Option<Ticket> {
        let at = self.turns.iter().position(|account| may(*account))?;
        let account = self.turns.remove(at)?;
        let waiting = self.waiting.get_mut(&account)?;
        let ticket = waiting.pop_front()?;
        self.len -= 1;
        if waiting.is_empty() {
            self.waiting.remove(&account);
        } else {
            self.turns.push_back(account);
        }
        Some(ticket)
    }
}

/// Two lanes, leavers first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    leavers: Lane,
    others: Lane,
}

impl Queue {
    pub(super) fn push(&mut self, ticket: Ticket) {
        if ticket.is_leaver() { self.leavers.push(ticket) } else { self.others.push(ticket) }
    }

    pub(super) fn pop_leaver(&mut self) -> Option<Ticket> {
        self.leavers.pop(|_| true)
    }

    pub(super) fn pop(&mut self) -> Option<Ticket> {
        self.pop_of(|_| true)
    }

    /// The next one of these accounts.
    pub(super) fn pop_of(&mut self, may: impl Fn(AccountId) -> bool) -> Option<Ticket> {
        self.leavers.pop(&may).or_else(|| self.others.pop(&may))
    }

    /// The accounts that have something waiting.
    pub(super) fn accounts(&self) -> impl Iterator<Item = AccountId> {
        self.leavers.turns.iter().chain(&self.others.turns).copied()
    }

    pub(super) fn leavers(&self) -> usize {
        self.leavers.len
    }

    pub(super) fn len(&self) -> usize {
        self.leavers.len + self.others.len
    }
}
