//! How fast, and how many at a time: the pure part of [`super::limiter`]. Every method takes the time.
//!
//! `TaskRouter`'s limits differ by endpoint and customer and are not published, so there is no rate until one is
//! configured or `TaskRouter` answers 429. The first 429 halves the speed. From then on each second is judged by its
//! answers: where calls were refused, the rate goes a little below what was taken; where none was, it grows, the slower
//! the closer it is to what was refused last. Refusals that do not become fewer when we slow down are not about our
//! rate, and are borne.
//!
//! Twilio also limits calls at a time, and says in a header how many there are
//! (`Twilio-Concurrent-Requests`, Twilio's error 20429). If all calls that were refused met more company than any that
//! was taken, that is the limit, and we send fewer at a time instead.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The span over which answers are judged.
const WINDOW: Duration = Duration::from_secs(1);
/// The lowest rate that adapting leads to, in calls a second. A refused call was not processed and costs little, so
/// waiting longer than this would only delay leavers.
const FLOOR: f64 = 10.0;
/// The first 429 may come after a few calls, which say little about the speed that `TaskRouter` bears.
const FIRST_CUT: f64 = 64.0;
/// From here on an adapted rate no longer limits anything and is dropped.
const UNLIMITED: f64 = 1000.0;
/// The longest that one `Retry-After` stops all calls.
const LONGEST_HOLD: Duration = Duration::from_secs(30);
/// How far below what was taken the rate goes.
const BELOW: f64 = 0.95;
/// The rate shrinks by no more than this when too few calls were made to tell the limit.
const BLIND_CUT: f64 = 0.7;
/// From this share of refusals on they are about our rate, whatever they did before.
const MANY: f64 = 0.25;
/// Growth in a second, as a share: far below what was refused last; the first step near to it; how each further step
/// without a refusal exceeds the one before.
const FAST: f64 = 0.25;
const SLOW: f64 = 0.005;
const FASTER: f64 = 1.1;
/// Seconds without a refusal after which one more call at a time is tried.
const PATIENT: u32 = 5;
/// Fewer calls that were taken say nothing about the company that calls may have.
const TELLING: u32 = 5;
/// Adapting leaves so many calls at a time.
const FEWEST: usize = 2;
/// A limit of so many calls a second is counted over this much more than a second: on their way calls come closer
/// together than they were sent.
const SLACK: f64 = 1.04;

/// What came of a call, as far as the pace is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Whether it was refused for its rate (429).
    pub(super) refused: bool,
    /// How many calls Twilio says were under way.
    pub(super) company: Option<u32>,
    /// How long Twilio asks to wait.
    pub(super) retry_after: Option<Duration>,
}

/// One span of time and what came of its calls.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: Instant,
    sent: u32,
    taken: u32,
    refused: u32,
    /// The most company of a call that was taken, and the least of one that was refused.
    most_taken: u32,
    least_refused: Option<u32>,
    /// The rate before the first 429 of all came in this span.
    before_first: bool,
}

impl Span {
    fn new(start: Instant) -> Self {
        Self { start, sent: 0, taken: 0, refused: 0, most_taken: 0, least_refused: None, before_first: false }
    }
}

/// The present pace.
#[derive(Debug)]
pub(super) struct Pace {
    ceiling: Option<f64>,
    rate: Option<f64>,
    next_slot: Instant,
    /// When the latest calls were sent, as many as the ceiling lets go in its span.
    departures: VecDeque<Instant>,
    span: Span,
    /// Calls a second in the last full span.
    speed: f64,
    /// What was taken a second when calls were refused last.
    limit: Option<f64>,
    /// The share that was refused before the last cut, while it is not known whether the cut was of use.
    cut_for: Option<f64>,
    /// Whether the last span ended in a cut.
    just_cut: bool,
    /// The share that is refused whatever we do.
    noise: f64,
    /// Steps of growth near the limit since the last refusal.
    steps: i32,
    quiet: u32,
    most: usize,
    calls: usize,
}

impl Pace {
    /// At most `ceiling` calls a second and `most` at a time.
    pub(super) fn new(ceiling: Option<f64>, most: usize, now: Instant) -> Self {
        Self {
            ceiling,
            rate: ceiling,
            next_slot: now,
            departures: VecDeque::new(),
            span: Span::new(now),
            speed: 0.0,
            limit: None,
            cut_for: None,
            just_cut: false,
            noise: 0.0,
            steps: 0,
            quiet: 0,
            most,
            calls: most,
        }
    }

    /// Calls a second, if they are limited.
    pub(super) fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Calls at a time.
    pub(super) fn calls(&self) -> usize {
        self.calls
    }

    /// Books the next free slot; `Err` with the time until it if that is longer than `patience`, then nothing is
    /// booked.
    pub(super) fn book(&mut self, now: Instant, patience: Duration) -> Result<Duration, Duration> {
        self.roll(now);
        let slot = self.next_slot.max(now);
        let wait = slot.duration_since(now);
        if wait > patience {
            return Err(wait);
        }
        self.next_slot = match self.rate {
            Some(rate) => slot + Duration::from_secs_f64(1.0 / rate),
            None => slot,
        };
        self.span.sent = self.span.sent.saturating_add(1);
        Ok(wait)
    }

    /// Lets a call go at its slot; `Err` with the time to wait if more than the ceiling would go within its span,
    /// because calls that were late go together.
    pub(super) fn depart(&mut self, now: Instant) -> Result<(), Duration> {
        let Some(ceiling) = self.ceiling else { return Ok(()) };
        let most = ceiling.ceil().max(1.0);
        let span = Duration::from_secs_f64(most / ceiling * SLACK);
        while self.departures.front().is_some_and(|at| now.duration_since(*at) >= span) {
            self.departures.pop_front();
        }
        if u32::try_from(self.departures.len()).is_ok_and(|gone| f64::from(gone) < most) {
            self.departures.push_back(now);
            return Ok(());
        }
        Err(self.departures.front().map_or(Duration::ZERO, |first| span.saturating_sub(now.duration_since(*first))))
    }

    /// A call has ended.
    pub(super) fn ended(&mut self, now: Instant, call: Taken) {
        self.roll(now);
        if !call.refused {
            self.span.taken = self.span.taken.saturating_add(1);
            self.span.most_taken = self.span.most_taken.max(call.company.unwrap_or(0));
            return;
        }
        self.span.refused = self.span.refused.saturating_add(1);
        if let Some(company) = call.company {
            self.span.least_refused = Some(self.span.least_refused.map_or(company, |least| least.min(company)));
        }
        self.quiet = 0;
        if self.rate.is_none() {
            let halved = self.speed.max(f64::from(self.span.sent)).max(FIRST_CUT) / 2.0;
            self.rate = Some(self.bounded(self.limit.map_or(halved, |limit| halved.min(limit * BELOW))));
            self.span.before_first = true;
        }
        if let Some(hold) = call.retry_after {
            self.next_slot = self.next_slot.max(now + hold.min(LONGEST_HOLD));
        }
    }

    /// Judges the span if it is over.
    fn roll(&mut self, now: Instant) {
        let elapsed = now.duration_since(self.span.start);
        if elapsed < WINDOW {
            return;
        }
        let span = std::mem::replace(&mut self.span, Span::new(now));
        let seconds = elapsed.as_secs_f64();
        self.speed = f64::from(span.sent) / seconds;
        if self.is_about_company(&span) {
            return;
        }
        let answered = span.taken + span.refused;
        if answered == 0 {
            return;
        }
        if span.refused == 0 {
            self.quiet += 1;
            if self.quiet.is_multiple_of(PATIENT) {
                self.calls = (self.calls + 1).min(self.most);
            }
        }
        let Some(rate) = self.rate else { return };
        let share = f64::from(span.refused) / f64::from(answered);
        let taken = f64::from(span.taken) / seconds;
        if std::mem::take(&mut self.just_cut) && share < MANY {
            // Calls of the time before the cut come to their end in it.
            return;
        }
        self.rate = if self.is_our_doing(share) {
            self.limit = Some(taken.max(FLOOR));
            self.cut_for = Some(share);
            self.just_cut = true;
            self.steps = 0;
            let busy = f64::from(answered) / seconds >= rate / 2.0;
            let least = if busy { 0.0 } else { rate * BLIND_CUT };
            Some(self.bounded((taken * BELOW).max(least).min(rate)))
        } else {
            let grown = self.grown(rate);
            let grown = self.bounded(grown);
            if grown >= UNLIMITED { self.ceiling } else { Some(grown) }
        };
    }

    /// Whether the refusals of a span are about the number of calls at a time; then there are to be fewer.
    fn is_about_company(&mut self, span: &Span) -> bool {
        let Some(least_refused) = span.least_refused.filter(|least| *least > span.most_taken) else { return false };
        if span.taken < TELLING || span.most_taken == 0 {
            return false;
        }
        let kept = self.calls.saturating_mul(span.most_taken as usize) / least_refused as usize;
        self.calls = kept.min(self.calls.saturating_sub(1)).max(FEWEST.min(self.most));
        if span.before_first {
            self.rate = self.ceiling;
        }
        true
    }

    /// Whether a share of refusals says that we are too fast.
    fn is_our_doing(&mut self, share: f64) -> bool {
        if share >= MANY {
            return true;
        }
        if let Some(before) = self.cut_for.take()
            && before < MANY
            && share >= before / 2.0
        {
            self.noise = self.noise.max(share);
        }
        if share == 0.0 {
            self.noise /= 2.0;
            return false;
        }
        share > self.noise * 1.5 + if self.noise > 0.0 { 0.05 } else { 0.0 }
    }

    fn grown(&mut self, rate: f64) -> f64 {
        match self.limit.map(|limit| limit * BELOW) {
            Some(near) if rate < near => (rate * (1.0 + FAST)).min(near),
            Some(_) => {
                let step = (SLOW * FASTER.powi(self.steps)).min(FAST);
                self.steps = self.steps.saturating_add(1);
                rate * (1.0 + step)
            }
            None => rate * (1.0 + FAST),
        }
    }

    fn bounded(&self, rate: f64) -> f64 {
        let rate = rate.max(FLOOR);
        self.ceiling.map_or(rate, |ceiling| rate.min(ceiling))
    }
}

#[cfg(test)]
mod tests;
