//! Claimed rows that wait for a free place.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

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

/// Two lanes, leavers first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    leavers: VecDeque<Ticket>,
    others: VecDeque<Ticket>,
}

impl Queue {
    pub(super) fn push(&mut self, ticket: Ticket) {
        if ticket.is_leaver() { self.leavers.push_back(ticket) } else { self.others.push_back(ticket) }
    }

    pub(super) fn pop_leaver(&mut self) -> Option<Ticket> {
        self.leavers.pop_front()
    }

    pub(super) fn pop(&mut self) -> Option<Ticket> {
        self.leavers.pop_front().or_else(|| self.others.pop_front())
    }

    pub(super) fn leavers(&self) -> usize {
        self.leavers.len()
    }

    pub(super) fn len(&self) -> usize {
        self.leavers.len() + self.others.len()
    }
}
