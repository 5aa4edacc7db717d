//! How many calls at a time, and how many a second: lets calls pass one by one, at the pace of [`super::pace`].

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::pace::{Pace, Taken};
use crate::taskrouter::stats::Allowance;

/// `TaskRouter` answers this many queries by expression a second (Twilio's changelog of 2024-10-18).
const EXPRESSIONS_A_SECOND: f64 = 3.0;

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// Anything else.
    Usual,
    /// Workers by an expression over their attributes, which is limited for itself.
    Expression,
}

#[derive(Debug)]
struct State {
    usual: Pace,
    expressions: Pace,
    /// The permits that there are, free ones and others.
    permits: usize,
}

/// Lets calls pass one by one.
#[derive(Debug)]
pub(super) struct Limiter {
    in_flight: Semaphore,
    state: Mutex<State>,
    patience: Duration,
}

/// The call did not get its turn in time; nothing was sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoTurn {
    /// How long until it is worth to ask again.
    pub(super) wait: Duration,
}

/// A call in flight, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    limiter: &'a Limiter,
    permit: Option<SemaphorePermit<'a>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let mut state = self.limiter.state();
        if state.permits > state.usual.calls() {
            state.permits -= 1;
            permit.forget();
        }
    }
}

impl Limiter {
    /// At most `in_flight` calls at a time and `rate` calls a second; a call waits no longer than `patience` for its
    /// turn.
    pub(super) fn new(in_flight: usize, rate: Option<f64>, patience: Duration) -> Self {
        let ceiling = rate.filter(|rate| rate.is_finite() && *rate > 0.0).map(|rate| rate.max(0.1));
        let permits = in_flight.clamp(1, Semaphore::MAX_PERMITS);
        let now = Instant::now();
        let state = State {
            usual: Pace::new(ceiling, permits, now),
            expressions: Pace::new(Some(EXPRESSIONS_A_SECOND), permits, now),
            permits,
        };
        Self { in_flight: Semaphore::new(permits), state: Mutex::new(state), patience }
    }

    /// Waits for a turn; the call is in flight until it is dropped.
    pub(super) async fn turn(&self, sort: Sort) -> Result<Turn<'_>, NoTurn> {
        let start = Instant::now();
        let Ok(Ok(permit)) = tokio::time::timeout(self.patience, self.in_flight.acquire()).await else {
            return Err(NoTurn { wait: self.patience });
        };
        let turn = Turn { limiter: self, permit: Some(permit) };
        self.slot(start, |state| &mut state.usual).await?;
        if sort == Sort::Expression {
            self.slot(start, |state| &mut state.expressions).await?;
        }
        Ok(turn)
    }

    async fn slot(&self, start: Instant, of: impl Fn(&mut State) -> &mut Pace) -> Result<(), NoTurn> {
        let now = Instant::now();
        let left = self.patience.saturating_sub(now.duration_since(start));
        let mut wait = of(&mut self.state()).book(now, left).map_err(|wait| NoTurn { wait })?;
        loop {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            match of(&mut self.state()).depart(Instant::now()) {
                Ok(()) => return Ok(()),
                Err(longer) => wait = longer.max(Duration::from_millis(1)),
            }
        }
    }

    /// A call has ended.
    pub(super) fn ended(&self, call: Taken) {
        let mut state = self.state();
        state.usual.ended(Instant::now(), call);
        let calls = state.usual.calls();
        if calls > state.permits {
            self.in_flight.add_permits(calls - state.permits);
            state.permits = calls;
        } else {
            // Those that are taken go when they are given back.
            state.permits -= self.in_flight.forget_permits(state.permits - calls);
        }
    }

    /// What is allowed now.
    pub(super) fn allowance(&self) -> Allowance {
        let state = self.state();
        Allowance {
            rate: state.usual.rate(),
            calls: state.usual.calls(),
            in_flight: state.permits.saturating_sub(self.in_flight.available_permits()),
        }
    }

    /// The present limit in calls a second, if there is one.
    pub(super) fn rate(&self) -> Option<f64> {
        self.state().usual.rate()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every state of a pace is valid, also the one that a panicking holder left.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::Arc;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn calls_in_flight_are_bounded() {
        let limiter = Limiter::new(2, None, Duration::from_millis(20));
        let (one, _two) = (limiter.turn(Sort::Usual).await.unwrap(), limiter.turn(Sort::Usual).await.unwrap());
        assert!(limiter.turn(Sort::Usual).await.is_err());
        drop(one);
        assert!(limiter.turn(Sort::Usual).await.is_ok());
    }

    #[tokio::test]
    async fn fewer_calls_at_a_time_are_let_in_once_twilio_wants_fewer() {
        let limiter = Limiter::new(4, None, Duration::from_millis(20));
        let turns: Vec<_> = futures::future::join_all((0..4).map(|_| limiter.turn(Sort::Usual))).await;
        {
            let mut state = limiter.state();
            let now = Instant::now();
            for company in [1, 2, 2, 2, 2, 3, 4] {
                state.usual.ended(now, Taken { refused: company > 2, company: Some(company), retry_after: None });
            }
            state.usual.ended(now + Duration::from_secs(2), Taken::default());
        }
        limiter.ended(Taken::default());
        assert_eq!((limiter.allowance().calls, limiter.allowance().in_flight), (2, 4));
        drop(turns);
        assert_eq!(limiter.allowance().in_flight, 0);
        let turns: Vec<_> = futures::future::join_all((0..4).map(|_| limiter.turn(Sort::Usual))).await;
        assert_eq!(turns.iter().filter(|turn| turn.is_ok()).count(), 2);
    }

    /// How many of its calls a `TaskRouter` with a limit takes and refuses, a second after the other. A call takes 100 ms,
    /// half of it before it arrives.
    async fn against(limiter: Limiter, sort: Sort, limit: Option<usize>, span: u64) -> Vec<(u32, u32)> {
        let limiter = Arc::new(limiter);
        let started = Instant::now();
        let counts =
            Arc::new(Mutex::new((VecDeque::<Instant>::new(), vec![(0, 0); usize::try_from(span).unwrap() + 2])));
        let callers = (0..16).map(|_| {
            let (limiter, counts) = (Arc::clone(&limiter), Arc::clone(&counts));
            tokio::spawn(async move {
                while started.elapsed() < Duration::from_secs(span) {
                    let Ok(_turn) = limiter.turn(sort).await else { continue };
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let refused = {
                        let (taken, seconds) = &mut *counts.lock().unwrap();
                        while taken.front().is_some_and(|at| at.elapsed() >= Duration::from_secs(1)) {
                            taken.pop_front();
                        }
                        let refused = limit.is_some_and(|limit| taken.len() >= limit);
                        let second = usize::try_from(started.elapsed().as_secs()).unwrap().min(seconds.len() - 1);
                        if refused {
                            seconds[second].1 += 1;
                        } else {
                            taken.push_back(Instant::now());
                            seconds[second].0 += 1;
                        }
                        refused
                    };
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    limiter.ended(Taken { refused, ..Taken::default() });
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        Arc::into_inner(counts).unwrap().into_inner().unwrap().1
    }

    fn sums(seconds: &[(u32, u32)]) -> (u32, u32) {
        seconds.iter().fold((0, 0), |(taken, refused), second| (taken + second.0, refused + second.1))
    }

    #[tokio::test(start_paused = true)]
    async fn a_configured_rate_is_used_and_never_refused() {
        let seconds = against(Limiter::new(20, Some(50.0), PATIENCE), Sort::Usual, Some(50), 60).await;
        let (taken, refused) = sums(&seconds[1..60]);
        assert_eq!(refused, 0);
        assert!(taken >= 50 * 59 * 90 / 100, "{taken}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_rate_is_settled_within_a_minute() {
        let seconds = against(Limiter::new(20, None, PATIENCE), Sort::Usual, Some(50), 180).await;
        let (taken, refused) = sums(&seconds[60..180]);
        assert!(taken >= 50 * 120 * 80 / 100, "{taken} taken, {refused} refused");
        assert!(refused * 20 <= taken + refused, "{refused} of {}", taken + refused);
    }

    #[tokio::test(start_paused = true)]
    async fn expressions_are_asked_for_three_times_a_second() {
        let seconds = against(Limiter::new(16, None, Duration::from_secs(30)), Sort::Expression, Some(3), 30).await;
        let (taken, refused) = sums(&seconds[..30]);
        assert_eq!(refused, 0);
        assert!(taken >= 3 * 29 * 90 / 100, "{taken}");
    }
}
