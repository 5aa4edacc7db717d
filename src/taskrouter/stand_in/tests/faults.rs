use futures::FutureExt as _;
use serde_json::json;

use super::*;
use crate::taskrouter::stand_in::{Faults, Outcome};

async fn create(it: &Subject, name: &str) -> Answer {
    it.form("/Workers", &[("FriendlyName", name)]).await
}

#[tokio::test]
async fn a_refused_call_has_no_effect() {
    let it = Subject::new();
    it.stand_in.set_faults(Faults { rate_429: 1.0, retry_after_s: Some(7), ..Faults::default() }).unwrap();
    let refused = create(&it, "ana").await;
    refused.refused(429, 20429);
    assert_eq!(refused.headers[header::RETRY_AFTER], "7");
    assert_eq!(it.stand_in.worker_count(), 0);
    let log = it.stand_in.calls();
    assert_eq!((log.total, log.latest[0].processed, log.latest[0].outcome), (1, false, Outcome::RateLimited));
}

#[tokio::test]
async fn a_lost_answer_leaves_the_effect_or_not() {
    let it = Subject::new();
    it.stand_in.set_faults(Faults { rate_lost_after_commit: 1.0, ..Faults::default() }).unwrap();
    assert!(create(&it, "ana").await.text.starts_with("cut"));
    it.stand_in.set_faults(Faults { rate_lost_before_commit: 1.0, ..Faults::default() }).unwrap();
    assert!(create(&it, "bo").await.text.starts_with("cut"));
    let names: Vec<_> = it.stand_in.workers().into_iter().map(|worker| worker.friendly_name).collect();
    assert_eq!(names, ["ana"]);
    let log = it.stand_in.calls();
    assert_eq!(log.by_status[&0], 2);
    assert!(log.latest[0].processed && log.latest[0].worker_sid.is_some() && !log.latest[1].processed);
}

#[tokio::test]
async fn failures_may_or_may_not_have_been_processed() {
    for (faults, statuses) in [
        (Faults { rate_500: 1.0, seed: 3, ..Faults::default() }, vec![500]),
        (Faults { rate_html: 1.0, seed: 3, ..Faults::default() }, vec![201, 502]),
    ] {
        let it = Subject::new();
        it.stand_in.set_faults(faults).unwrap();
        for n in 0..40 {
            let answer = create(&it, &format!("w{n}")).await;
            assert!(statuses.contains(&answer.status.as_u16()));
            assert_eq!(answer.json.is_null(), statuses.len() == 2);
        }
        let processed = it.stand_in.calls().latest.iter().filter(|call| call.processed).count();
        assert!((5..35).contains(&processed), "{processed}");
        assert_eq!(it.stand_in.worker_count(), processed);
    }
}

#[tokio::test]
async fn a_limit_of_calls_a_second_is_held() {
    let it = Subject::new();
    it.json("/_stand_in/faults", json!({"limit_per_second": 2})).await.expect(200);
    create(&it, "a").await.expect(201);
    create(&it, "b").await.expect(201);
    create(&it, "c").await.refused(429, 20429);
    it.pass(1);
    create(&it, "c").await.expect(201);
    it.json("/_stand_in/faults", json!({"rate_429": 2})).await.refused(400, 20001);
    it.json("/_stand_in/faults", json!({"rate_42": 1})).await.refused(400, 20001);
    it.form("/_stand_in/faults", &[("rate_429", "1")]).await.refused(400, 20001);
    assert_eq!(it.get("/_stand_in/faults").await.expect(200)["limit_per_second"], 2);
    let calls = it.get("/_stand_in/calls?limit=1").await.expect(200);
    assert_eq!((&calls["total"], calls["latest"].as_array().unwrap().len()), (&json!(4), 1));
    assert_eq!(calls["by_kind"]["POST /v1/Workspaces/{workspace}/Workers"], 4);
    assert_eq!(calls["by_outcome"], json!({"answered": 3, "rate_limited": 1}));
    it.delete("/_stand_in/calls").await.expect(204);
    assert_eq!(it.stand_in.calls().total, 0);
}

#[tokio::test]
async fn a_caller_that_hangs_up_is_recorded_with_what_it_caused() {
    let it = Subject::new();
    it.stand_in.set_faults(Faults { latency_ms: 100, ..Faults::default() }).unwrap();
    assert!(create(&it, "early").now_or_never().is_none());
    // At whatever moment this deadline is noticed, the first half of the latency is over and the second is not.
    assert!(tokio::time::timeout(Duration::from_millis(75), create(&it, "late")).await.is_err());
    create(&it, "patient").await.expect(201);
    let log = it.stand_in.calls();
    let seen: Vec<_> = log.latest.iter().map(|call| (call.outcome, call.processed, call.status)).collect();
    assert_eq!(seen, [(Outcome::HungUp, false, 0), (Outcome::HungUp, true, 0), (Outcome::Answered, true, 201)]);
    assert_eq!(it.stand_in.worker_count(), 2);
}
