use super::*;
use proptest::prelude::*;

const PATIENCE: Duration = Duration::from_secs(2);
const REFUSED: Taken = Taken { refused: true, company: None, retry_after: None };
const GOOD: Taken = Taken { refused: false, company: None, retry_after: None };

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn pace(ceiling: Option<f64>, now: Instant) -> Pace {
    Pace::new(ceiling, 16, now)
}

/// A `TaskRouter` that takes so many calls in any second; after each step it is told what came of it at once.
struct Limit {
    most: usize,
    taken: VecDeque<Instant>,
}

impl Limit {
    fn new(most: usize) -> Self {
        Self { most, taken: VecDeque::new() }
    }

    fn takes(&mut self, now: Instant) -> bool {
        while self.taken.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            self.taken.pop_front();
        }
        let takes = self.taken.len() < self.most;
        if takes {
            self.taken.push_back(now);
        }
        takes
    }
}

/// Offers `per_second` calls a second for `span` seconds; returns how many were taken and refused after `from` seconds.
fn simulate(pace: &mut Pace, start: Instant, per_second: u32, limit: &mut Limit, span: u32, from: u32) -> (u32, u32) {
    let (mut done, mut refused) = (0, 0);
    for second in 0..span {
        for call in 0..per_second {
            let now = start + seconds(f64::from(second) + f64::from(call) / f64::from(per_second));
            if pace.book(now, Duration::ZERO).is_ok() {
                let takes = limit.takes(now);
                pace.ended(now, if takes { GOOD } else { REFUSED });
                if second >= from {
                    *(if takes { &mut done } else { &mut refused }) += 1;
                }
            }
        }
    }
    (done, refused)
}

#[test]
fn without_a_429_nothing_waits() {
    let start = Instant::now();
    let mut pace = pace(None, start);
    assert!((0..10_000).all(|_| pace.book(start, Duration::ZERO) == Ok(Duration::ZERO)));
}

#[test]
fn a_configured_rate_spaces_calls_and_refuses_long_waits() {
    let start = Instant::now();
    let mut pace = pace(Some(2.0), start);
    let waits: Vec<_> = (0..6).map(|_| pace.book(start, PATIENCE)).collect();
    let expected = [0.0, 0.5, 1.0, 1.5, 2.0].map(|s| Ok(seconds(s)));
    assert_eq!(waits[..5], expected);
    assert_eq!(waits[5], Err(seconds(2.5)));
    assert_eq!(pace.book(start + seconds(0.5), PATIENCE), Ok(seconds(2.0)));
}

#[test]
fn calls_that_were_late_do_not_go_together() {
    let start = Instant::now();
    let mut pace = pace(Some(50.0), start);
    assert!((0..50).all(|_| pace.depart(start) == Ok(())));
    assert_eq!(pace.depart(start), Err(seconds(SLACK)));
    assert_eq!(pace.depart(start + seconds(1.0)), Err(seconds(SLACK).saturating_sub(seconds(1.0))));
    assert_eq!(pace.depart(start + seconds(SLACK)), Ok(()));
    let mut free = self::pace(None, start);
    assert!((0..1_000).all(|_| free.depart(start) == Ok(())));
}

#[test]
fn the_first_429_halves_the_speed() {
    let start = Instant::now();
    let mut pace = pace(None, start);
    for call in 0..100_u32 {
        assert!(pace.book(start + seconds(f64::from(call) / 200.0), PATIENCE).is_ok());
    }
    pace.ended(start + seconds(0.5), REFUSED);
    assert_eq!(pace.rate, Some(50.0));
    pace.ended(start + seconds(0.6), REFUSED);
    assert_eq!(pace.rate, Some(50.0), "one burst of refusals counts once");
}

#[test]
fn retry_after_holds_all_calls() {
    let start = Instant::now();
    let mut pace = pace(None, start);
    let refused = |wait| Taken { retry_after: Some(seconds(wait)), ..REFUSED };
    pace.ended(start, refused(5.0));
    assert_eq!(pace.book(start, PATIENCE), Err(seconds(5.0)));
    assert_eq!(pace.book(start + seconds(4.0), PATIENCE), Ok(seconds(1.0)));
    pace.ended(start, refused(86_400.0));
    assert!(pace.book(start + LONGEST_HOLD, Duration::ZERO).is_ok());
}

#[test]
fn an_unknown_limit_is_found_and_used() {
    for limit in [20, 50, 137] {
        for offered in [1_000, 3_000] {
            let start = Instant::now();
            let mut pace = pace(None, start);
            let (taken, refused) = simulate(&mut pace, start, offered, &mut Limit::new(limit), 180, 60);
            let all = u32::try_from(limit * 120).unwrap();
            assert!(taken * 100 >= all * 90, "limit {limit}: {taken} of {all} taken");
            assert!(refused * 100 <= (taken + refused) * 3, "limit {limit}: {refused} of {} refused", taken + refused);
        }
    }
}

#[test]
fn the_rate_settles_below_the_limit_and_recovers() {
    let start = Instant::now();
    let mut pace = pace(None, start);
    let (taken, refused) = simulate(&mut pace, start, 200, &mut Limit::new(50), 30, 29);
    assert!(taken >= 20 && refused * 2 <= taken + refused, "{taken} {refused}");
    let (taken, refused) = simulate(&mut pace, start + seconds(30.0), 200, &mut Limit::new(10_000), 80, 79);
    assert_eq!((taken, refused, pace.rate), (200, 0, None));
}

#[test]
fn a_limit_that_falls_is_followed() {
    let start = Instant::now();
    let mut pace = pace(None, start);
    simulate(&mut pace, start, 400, &mut Limit::new(200), 60, 0);
    let (taken, refused) = simulate(&mut pace, start + seconds(60.0), 400, &mut Limit::new(20), 60, 10);
    assert!(taken >= 18 * 50 && refused * 20 <= taken, "{taken} {refused}");
}

#[test]
fn scattered_refusals_do_not_starve_the_calls() {
    let start = Instant::now();
    let mut pace = pace(None, start);
    let mut sent = 0_u32;
    for call in 0..3000_u32 {
        let now = start + seconds(f64::from(call) / 100.0);
        if pace.book(now, Duration::ZERO).is_ok() {
            sent += 1;
            pace.ended(now, if sent.is_multiple_of(10) { REFUSED } else { GOOD });
        }
    }
    assert!(sent > 600, "{sent} of 3000 in 30 s");
}

/// Twilio takes ten at a time, of which two are somebody else's. Each step is a tenth of a second, in which all calls
/// at a time are made.
#[test]
fn a_limit_of_calls_at_a_time_leads_to_fewer_of_them() {
    let start = Instant::now();
    let mut pace = pace(None, start);
    let (mut done, mut refused) = (0, 0);
    for step in 0..600_u32 {
        let now = start + seconds(f64::from(step) / 10.0);
        for call in 0..u32::try_from(pace.calls()).unwrap() {
            if pace.book(now, Duration::ZERO).is_err() {
                continue;
            }
            let company = 2 + call + 1;
            let takes = company <= 10;
            pace.ended(now, Taken { refused: !takes, company: Some(company), retry_after: None });
            if step >= 100 {
                *(if takes { &mut done } else { &mut refused }) += 1;
            }
        }
    }
    assert!((7..=9).contains(&pace.calls()), "{}", pace.calls());
    assert_eq!(pace.rate, None, "it is not the rate that is limited");
    assert!(done >= 8 * 500 * 8 / 10 && refused * 20 <= done, "{done} {refused}");
}

#[test]
fn company_that_says_nothing_leaves_the_calls_alone() {
    let start = Instant::now();
    let mut pace = pace(None, start);
    let mut limit = Limit::new(50);
    for call in 0..20_000_u32 {
        let now = start + seconds(f64::from(call) / 200.0);
        if pace.book(now, Duration::ZERO).is_ok() {
            let company = Some(3 + call % 7);
            pace.ended(now, Taken { refused: !limit.takes(now), company, retry_after: None });
        }
    }
    assert!(pace.calls() >= 12, "{}", pace.calls());
}

proptest! {
    #[test]
    fn the_rate_stays_within_its_bounds(
        ceiling in proptest::option::of(1.0..500.0_f64),
        steps in proptest::collection::vec(
            (0..3000_u64, any::<bool>(), proptest::option::of(0..100_u64), proptest::option::of(0..40_u32)),
            0..200,
        ),
    ) {
        let mut now = Instant::now();
        let mut pace = pace(ceiling, now);
        for (millis, refused, hold, company) in steps {
            now += Duration::from_millis(millis);
            if let Ok(wait) = pace.book(now, PATIENCE) {
                prop_assert!(wait <= PATIENCE);
                let retry_after = hold.filter(|_| refused).map(Duration::from_secs);
                pace.ended(now, Taken { refused, company, retry_after });
            }
            let rate = pace.rate.unwrap_or(UNLIMITED);
            prop_assert!(rate >= FLOOR.min(ceiling.unwrap_or(FLOOR)) && rate <= ceiling.unwrap_or(UNLIMITED));
            prop_assert!((FEWEST..=16).contains(&pace.calls()));
        }
    }
}
