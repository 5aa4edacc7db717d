//! How often a token may ask.

use std::time::Duration;

use futures::future::join_all;

use crate::support::{Db, TestApp, on_both_databases};

async fn s42_a_token_that_asks_too_often_is_told_when_to_come_back(db: Db) {
    let app = TestApp::builder(db).set("ROLLCALL_SCIM__RATE_PER_TOKEN", "25").start().await;
    let other = app.connect("other").await;
    // Far more at once than may come in the time that they take.
    let answers = join_all((0..400).map(|_| app.scim.get("/ServiceProviderConfig"))).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(answers.len() - refused.len() >= 25 && !refused.is_empty(), "{} were refused", refused.len());
    for answer in &refused {
        let (kind, detail) = answer.expect_error(429);
        assert!(kind.is_none() && detail.contains("scim.rate_per_token"), "{detail}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    other.get("/Users").await.expect(200);
    app.clock.advance(Duration::from_secs(1));
    app.scim.get("/Users").await.expect(200);
}

async fn s42_there_is_no_limit_unless_one_is_set(db: Db) {
    let app = TestApp::start(db).await;
    let answers = join_all((0..200).map(|_| app.scim.get("/ServiceProviderConfig"))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}

on_both_databases!(s42_a_token_that_asks_too_often_is_told_when_to_come_back, s42_there_is_no_limit_unless_one_is_set,);
