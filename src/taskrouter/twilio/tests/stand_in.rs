//! The client and the stand-in, over HTTP: the same suite as every implementation, and promises under failure.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use tokio::net::TcpListener;

use super::*;
use crate::taskrouter::conformance::{self, Bench};
use crate::taskrouter::stand_in::{self, Behaviour, Faults, StandIn, StandInOptions};
use crate::taskrouter::{ErrorKind, Operation, ReservationStatus, TaskRouter};

struct Pair {
    stand_in: Arc<StandIn>,
    client: TwilioTaskRouter,
}

impl Pair {
    async fn start(options: StandInOptions) -> Self {
        Self::start_with(options, |config| config).await
    }

    async fn start_with(options: StandInOptions, set: impl FnOnce(TwilioConfig) -> TwilioConfig) -> Self {
        let stand_in = StandIn::open(options, Ambient::system()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(Arc::clone(&stand_in).serve(listener, std::future::pending()));
        let known = stand_in.credentials();
        let config = set(TwilioConfig::new(base, &known.workspace_sid, &known.api_key, known.api_secret));
        let client = TwilioTaskRouter::new(config, HttpClient::new().unwrap(), Ambient::system()).unwrap();
        Self { stand_in, client }
    }
}

#[async_trait]
impl Bench for Pair {
    fn taskrouter(&self) -> &dyn TaskRouter {
        &self.client
    }

    async fn reserve(&self, worker: &WorkerSid, status: ReservationStatus) {
        let status = match status {
            ReservationStatus::Pending => stand_in::ReservationStatus::Pending,
            ReservationStatus::Accepted => stand_in::ReservationStatus::Accepted,
            ReservationStatus::Wrapping => stand_in::ReservationStatus::Wrapping,
        };
        self.stand_in.add_reservation(worker.as_str(), "voice", status).unwrap();
    }
}

#[tokio::test]
async fn client_and_stand_in_conform() {
    let pair = Pair::start(StandInOptions::default()).await;
    conformance::run(&pair, "").await;
    let behaviour = Behaviour {
        offline_before_delete: true,
        refuse_activity_change_with_pending: true,
        attributes_in_lists: false,
        ..Behaviour::default()
    };
    pair.stand_in.set_behaviour(behaviour);
    conformance::run(&pair, "again-").await;
    let counts = pair.client.stats().counts();
    assert_eq!(counts.total(), pair.stand_in.calls().total);
}

#[tokio::test]
async fn a_case_sensitive_filter_is_outdone_by_the_search() {
    let pair = Pair::start(StandInOptions::default()).await;
    pair.stand_in.set_behaviour(Behaviour { name_filter_minds_case: true, ..Behaviour::default() });
    let made = pair.client.create_worker(&ana()).await.unwrap();
    assert_eq!(pair.client.find_worker("ANA@acme.example").await, Ok(None));
    assert_eq!(pair.client.search_worker("ANA@acme.example").await.unwrap().unwrap().sid, made.sid);
}

#[tokio::test]
async fn no_error_ever_claims_too_much() {
    let faults = Faults {
        rate_429: 0.1,
        rate_lost_before_commit: 0.1,
        rate_lost_after_commit: 0.1,
        rate_500: 0.1,
        rate_html: 0.1,
        seed: 7,
        ..Faults::default()
    };
    let pair = Pair::start(StandInOptions { faults, ..StandInOptions::default() }).await;
    let (mut ambiguous, mut sure) = (0, 0);
    for number in 0..60 {
        let new = NewWorker { friendly_name: format!("person-{number}@acme.example"), ..NewWorker::default() };
        let there = |stand_in: &StandIn| stand_in.worker_named(&new.friendly_name).is_some();
        match pair.client.create_worker(&new).await {
            Ok(worker) => assert_eq!(pair.stand_in.worker_named(&new.friendly_name).unwrap().sid, worker.sid.as_str()),
            Err(error) if error.kind == ErrorKind::Retryable => {
                assert!(!there(&pair.stand_in), "{error}");
                sure += 1;
            }
            Err(error) => {
                assert_eq!((error.kind, error.operation), (ErrorKind::Ambiguous, Operation::CreateWorker), "{error}");
                ambiguous += 1;
            }
        }
        let found = pair.client.find_worker(&new.friendly_name).await;
        match found {
            Ok(found) => assert_eq!(found.is_some(), there(&pair.stand_in)),
            Err(error) => assert_eq!(error.kind, ErrorKind::Retryable, "a read leaves nothing in doubt: {error}"),
        }
    }
    assert!(ambiguous > 8 && sure > 2, "{ambiguous} {sure}");
}

/// So many calls are made by sixteen at a time, each until it is taken; returns how many were refused.
async fn until_taken(pair: &Pair, count: usize) -> u64 {
    let calls = (0..count).map(|_| async {
        while let Err(error) = pair.client.workspace().await {
            assert_eq!(error.kind, ErrorKind::Retryable, "{error}");
        }
    });
    futures::stream::iter(calls).for_each_concurrent(16, |call| call).await;
    pair.client.stats().counts().throttled
}

fn limited(calls_a_second: u32) -> StandInOptions {
    let faults = Faults { limit_per_second: Some(calls_a_second), latency_ms: 20, ..Faults::default() };
    StandInOptions { faults, ..StandInOptions::default() }
}

#[tokio::test]
async fn a_configured_rate_is_never_refused() {
    let pair = Pair::start_with(limited(25), |config| TwilioConfig { rate: Some(25.0), ..config }).await;
    assert_eq!(until_taken(&pair, 60).await, 0);
    assert_eq!(pair.client.allowance().rate, Some(25.0));
}

#[tokio::test]
async fn an_unknown_rate_is_found_at_the_stand_in() {
    let pair = Pair::start_with(limited(40), |config| config).await;
    let refused = until_taken(&pair, 200).await;
    let allowance = pair.client.allowance();
    assert!(refused <= 50, "{refused} of {} refused", 200 + refused);
    assert!(allowance.rate.is_some_and(|rate| (10.0..60.0).contains(&rate)), "{allowance:?}");
    assert_eq!(allowance.in_flight, 0);
}

#[tokio::test]
async fn queries_by_expression_keep_to_their_own_rate() {
    let pair = Pair::start(StandInOptions::default()).await;
    let began = tokio::time::Instant::now();
    for _ in 0..5 {
        let url = pair.client.workers_url(&[("TargetWorkersExpression", "roles HAS 'agent'")]);
        pair.client.worker_page(Operation::ListWorkers, url).await.unwrap();
    }
    assert!(began.elapsed() >= Duration::from_millis(1_300), "{:?}", began.elapsed());
    let began = tokio::time::Instant::now();
    for _ in 0..5 {
        pair.client.workspace().await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(1), "others do not wait: {:?}", began.elapsed());
}
