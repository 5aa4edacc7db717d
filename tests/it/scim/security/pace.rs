//! How often a token may ask.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;

use crate::support::{Db, TestApp, on_both_databases};

async fn s42_a_token_that_asks_too_often_is_told_when_to_come_back(db: Db) {
    let app = TestApp::builder(db).set("ROLLCALL_SCIM__RATE_PER_TOKEN", "25").start().await;
    let other = app.connect("other").await;
    // Far more at once than may come in the time that they take.
    let started = Instant::now();
    let answers = join_all((0..400).map(|_| app.scim.get("/ServiceProviderConfig"))).await;
    let most = 25.0 + 25.0 * started.elapsed().as_secs_f64();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(answers.len() - refused.len() >= 25 && !refused.is_empty(), "{} were refused", refused.len());
    let allowed = u32::try_from(answers.len() - refused.len()).expect("a number");
    assert!(f64::from(allowed) <= most, "{allowed} of {most}");
    for answer in &refused {
        let (kind, detail) = answer.expect_error(429);
        assert!(kind.is_none() && detail.contains("scim.rate_per_token"), "{detail}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    other.get("/Users").await.expect(200);
    app.clock.advance(Duration::from_secs(1));
    app.scim.get("/Users").await.expect(200);
}

async fn s42_a_bulk_request_counts_by_its_operations(db: Db) {
    let app = TestApp::builder(db).set("ROLLCALL_SCIM__RATE_PER_TOKEN", "25").start().await;
    let operations = vec![json!({"method": "DELETE", "path": "/Users/nobody"}); 1_000];
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations});
    app.scim.post("/Bulk", &body).await.expect(200);
    let answer = app.scim.get("/Users").await;
    answer.expect_error(429);
    let wait: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!((20..=40).contains(&wait), "{wait}");
    app.clock.advance(Duration::from_secs(10));
    app.scim.get("/Users").await.expect_error(429);
    app.clock.advance(Duration::from_secs(wait));
    app.scim.get("/Users").await.expect(200);
}

async fn s42_there_is_no_limit_unless_one_is_set(db: Db) {
    let app = TestApp::start(db).await;
    let answers = join_all((0..200).map(|_| app.scim.get("/ServiceProviderConfig"))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}

on_both_databases!(
    s42_a_token_that_asks_too_often_is_told_when_to_come_back,
    s42_a_bulk_request_counts_by_its_operations,
    s42_there_is_no_limit_unless_one_is_set,
);
