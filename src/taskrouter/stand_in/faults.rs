//! The dice that decide what goes wrong with a call, and the windows that count calls a second.

use std::collections::VecDeque;
use std::time::Duration;

use super::StandInError;
use super::options::Faults;
use crate::base::{Entropy as _, SeededEntropy, Timestamp};

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    RateLimited,
    LostBeforeCommit,
    LostAfterCommit,
    Failed { processed: bool },
    Html { processed: bool },
}

#[derive(Debug)]
pub(super) struct Dice {
    faults: Faults,
    entropy: SeededEntropy,
    window: Window,
}

impl Dice {
    pub(super) fn new(faults: Faults) -> Result<Self, StandInError> {
        faults.check()?;
        Ok(Self { entropy: SeededEntropy::new(faults.seed), faults, window: Window::default() })
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(super) fn throw(&mut self, now: Timestamp) -> Fate {
        if self.faults.limit_per_second.is_some_and(|limit| !self.window.admit(now, limit)) {
            return Fate::RateLimited;
        }
        let processed = self.chance(0.5);
        let faces = [
            (self.faults.rate_429, Fate::RateLimited),
            (self.faults.rate_lost_before_commit, Fate::LostBeforeCommit),
            (self.faults.rate_lost_after_commit, Fate::LostAfterCommit),
            (self.faults.rate_500, Fate::Failed { processed }),
            (self.faults.rate_html, Fate::Html { processed }),
        ];
        faces.into_iter().find(|(rate, _)| self.chance(*rate)).map_or(Fate::Answered, |(_, fate)| fate)
    }

    fn chance(&self, rate: f64) -> bool {
        let mut bytes = [0; 4];
        self.entropy.fill(&mut bytes);
        // Strictly below 1, so that a rate of 1 always and a rate of 0 never hits.
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0) < rate
    }
}

/// Admits so many calls in any second.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<Timestamp>);

impl Window {
    pub(super) fn admit(&mut self, now: Timestamp, limit: u32) -> bool {
        while self.0.front().is_some_and(|at| now.since(*at) >= Duration::from_secs(1)) {
            self.0.pop_front();
        }
        let admitted = self.0.len() < limit as usize;
        if admitted {
            self.0.push_back(now);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_throws_the_same() {
        let faults = Faults { rate_429: 0.3, rate_500: 0.3, rate_html: 0.5, seed: 7, ..Faults::default() };
        let row = |faults: &Faults| {
            let mut dice = Dice::new(faults.clone()).unwrap();
            (0..200).map(|_| dice.throw(Timestamp::from_millis(0))).collect::<Vec<_>>()
        };
        assert_eq!(row(&faults), row(&faults));
        assert_ne!(row(&faults), row(&Faults { seed: 8, ..faults.clone() }));
        let limited = row(&faults).iter().filter(|fate| **fate == Fate::RateLimited).count();
        assert!((30..90).contains(&limited), "{limited}");
    }

    #[test]
    fn rates_of_nothing_and_of_all() {
        let mut never = Dice::new(Faults::default()).unwrap();
        assert!((0..1000).all(|_| never.throw(Timestamp::from_millis(0)) == Fate::Answered));
        let mut always = Dice::new(Faults { rate_429: 1.0, ..Faults::default() }).unwrap();
        assert!((0..1000).all(|_| always.throw(Timestamp::from_millis(0)) == Fate::RateLimited));
        assert!(Dice::new(Faults { rate_500: 1.1, ..Faults::default() }).is_err());
        assert!(Dice::new(Faults { rate_500: f64::NAN, ..Faults::default() }).is_err());
    }

    #[test]
    fn a_window_admits_so_many_a_second() {
        let mut window = Window::default();
        let admitted = |window: &mut Window, at| window.admit(Timestamp::from_millis(at), 3);
        assert_eq!([0, 1, 2, 3, 999].map(|at| admitted(&mut window, at)), [true, true, true, false, false]);
        assert_eq!([1000, 1000, 1001].map(|at| admitted(&mut window, at)), [true, false, true]);
    }
}
