//! What Prometheus is told, and the command that tells people the same.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use rollcall::metrics::{FAMILIES, Kind};

use crate::support::{Db, Scim, TestApp, on_both_databases, wait_until};

const RULES: &str = "[[rule]]\nname = \"all\"\nwhen = 'userName pr'\nrole = \"agent\"\n";
const DEADLINE: Duration = Duration::from_secs(30);

/// The samples by name and labels.
async fn metrics(app: &TestApp) -> (String, BTreeMap<String, f64>) {
    let answer = Scim::new(app.ops_address(), None).request(Method::GET, "/metrics").at_root().send().await;
    assert_eq!(answer.status, 200, "{answer}");
    let media_type = answer.header("content-type").unwrap();
    assert_eq!(media_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        (name.to_owned(), value.parse().unwrap_or_else(|error| panic!("{line}: {error}")))
    });
    (text.clone(), samples.collect())
}

async fn the_listener_tells_every_metric(db: Db) {
    let app = TestApp::builder(db).rules(RULES).start().await;
    let ana = app.scim.add_user("ana@acme.example").await;
    app.scim.get("/Users/nobody").await.expect_error(404);
    app.settled().await;
    app.scim.set_active(&ana, false).await;
    app.settled().await;
    app.scim.with_token(None).get("/Users").await.expect_error(401);

    let (text, samples) = metrics(&app).await;
    for family in FAMILIES {
        let kind = family.kind.as_str();
        assert!(text.contains(&format!("# TYPE {} {kind}\n", family.name)), "{} is not told", family.name);
    }
    let told = |name: &str| *samples.get(name).unwrap_or_else(|| panic!("{name} is not in\n{text}"));
    assert!(told("rollcall_scim_requests_total{connection=\"idp\",method=\"POST\",outcome=\"ok\"}") >= 1.0);
    assert!(told("rollcall_scim_requests_total{connection=\"idp\",method=\"GET\",outcome=\"refused\"}") >= 1.0);
    assert!(told("rollcall_scim_requests_total{connection=\"\",method=\"GET\",outcome=\"refused\"}") >= 1.0);
    assert!(told("rollcall_scim_request_duration_seconds_count{method=\"POST\"}") >= 1.0);
    let created = "rollcall_taskrouter_calls_total{account=\"default\",operation=\"create_worker\",status=\"201\"}";
    assert!(told(created) >= 1.0);
    assert!(
        told("rollcall_taskrouter_call_duration_seconds_count{account=\"default\",operation=\"delete_worker\"}") >= 1.0
    );
    assert!(told("rollcall_attempts_total{account=\"default\",outcome=\"removed\"}") >= 1.0);
    assert!(told("rollcall_effects_total{action=\"remove\"}") >= 1.0);
    assert!(told("rollcall_settling_duration_seconds_count{lane=\"leavers\"}") >= 1.0);
    assert!(told("rollcall_taskrouter_allowed_calls{account=\"default\"}") >= 16.0);
    assert!(
        told("rollcall_database_connections{state=\"idle\"}") + told("rollcall_database_connections{state=\"busy\"}")
            >= 1.0
    );
    assert_eq!(samples.contains_key("rollcall_database_writer_queue"), db == Db::Sqlite);
    assert!(told("process_resident_memory_bytes") > 1e6 && told("process_start_time_seconds") > 1e9);
    assert_eq!((told("rollcall_database_up"), told("rollcall_reconciler_paused")), (1.0, 0.0));
    assert!(!samples.contains_key("rollcall_taskrouter_allowed_rate{account=\"default\"}"), "there is no limit");

    let secrets = [app.scim.token(), "ana@", "acme.example", &ana];
    assert!(secrets.iter().all(|secret| !text.contains(secret)), "something of a person or a token is in\n{text}");
    for path in ["/healthz", "/readyz"] {
        let ops = Scim::new(app.ops_address(), None);
        assert_eq!(ops.request(Method::GET, path).at_root().send().await.status, 200, "{path}");
    }
}

/// However many people there are.
async fn more_people_make_no_more_samples(db: Db) {
    let app = TestApp::builder(db).rules(RULES).start().await;
    let names = async || metrics(&app).await.1.into_keys().collect::<Vec<_>>();
    let first = app.scim.add_users("w", 2).await;
    app.scim.get(&format!("/Users/{}", first[0])).await.expect(200);
    app.settled().await;
    let sql = app.sql().await;
    wait_until(DEADLINE, "the copy has told of itself", async || sql.number("SELECT COUNT(*) FROM copy").await == 1)
        .await;
    let before = names().await;
    for user in app.scim.add_users("x", 30).await {
        app.scim.get(&format!("/Users/{user}")).await.expect(200);
    }
    app.settled().await;
    let after = names().await;
    let new: Vec<_> = after.iter().filter(|name| !before.contains(name)).collect();
    assert!(new.is_empty(), "{new:?}");
}

async fn the_public_listener_has_no_metrics(db: Db) {
    let app = TestApp::start(db).await;
    for path in ["/metrics", "/metrics/", "//metrics", "/METRICS", "/%6detrics", "/ops/metrics", "/scim/../metrics"] {
        for token in [None, Some(app.scim.token())] {
            let answer = app.scim.with_token(token).request(Method::GET, path).at_root().send().await;
            assert!(matches!(answer.status, 400 | 401 | 404), "{path}: {answer}");
            assert!(!String::from_utf8_lossy(&answer.body).contains("rollcall_"), "{path}: {answer}");
        }
    }
    let answer = app.scim.request(Method::GET, "/metrics").at_root().send().await;
    assert_eq!(answer.status, 404);
    // Nor does the listener for monitoring serve anybody's people.
    let there = Scim::new(app.ops_address(), Some(app.scim.token()));
    assert_eq!(there.get("/Users").await.status, 404);
}

async fn a_backlog_is_told_as_it_is(db: Db) {
    let app = TestApp::builder(db).rules(RULES).paused().start().await;
    app.scim.add_users("w", 3).await;
    let sql = app.sql().await;
    wait_until(DEADLINE, "the copy has told of itself", async || sql.number("SELECT COUNT(*) FROM copy").await == 1)
        .await;
    let (_, samples) = metrics(&app).await;
    let told = |name: &str| samples.get(name).copied();
    assert_eq!(told("rollcall_backlog_workers{account=\"default\",lane=\"others\"}"), Some(3.0));
    assert_eq!(told("rollcall_backlog_workers{account=\"default\",lane=\"leavers\"}"), Some(0.0));
    assert_eq!(told("rollcall_unsettled_workers{account=\"default\",state=\"pending\"}"), Some(3.0));
    assert_eq!(told("rollcall_unsettled_workers{account=\"default\",state=\"blocked\"}"), Some(0.0));
    assert_eq!(told("rollcall_copies{state=\"paused\"}"), Some(1.0));
    assert_eq!(told("rollcall_backlog_time_left_seconds{account=\"default\"}"), None, "nobody works on it");
    let shown = app.command(&["backlog"]).await;
    assert!(shown.contains("PAUSED") && shown.contains("nobody works"), "{shown}");
    let row = shown.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!((row[0], row[1], row[3]), ("default", "0", "3"), "{shown}");
}

async fn the_rate_is_that_of_all_copies(db: Db) {
    let app = TestApp::builder(db).rules(RULES).start().await;
    app.scim.add_users("w", 20).await;
    app.settled().await;
    let sql = app.sql().await;
    let counted = "SELECT CAST(COALESCE(SUM(workers), 0) AS bigint) FROM settled";
    wait_until(DEADLINE, "all are counted", async || sql.number(counted).await == 20).await;
    // As another copy would.
    sql.run("INSERT INTO settled SELECT account_id, MIN(slot), 'other', 80 FROM settled GROUP BY account_id")
        .await
        .unwrap();
    let backlogs = app.core().backlogs().await.unwrap();
    let rate = backlogs[&app.account.id].rate.unwrap();
    // A hundred in at least ten seconds, and at most as long as this may have taken.
    assert!((0.5..=10.0).contains(&rate), "{rate}");
    let shown = app.command(&["backlog", "--account", "default"]).await;
    assert!(shown.contains("/s") && shown.contains("nothing to do"), "{shown}");
}

on_both_databases!(
    the_listener_tells_every_metric,
    more_people_make_no_more_samples,
    the_public_listener_has_no_metrics,
    a_backlog_is_told_as_it_is,
    the_rate_is_that_of_all_copies,
);

#[test]
fn counters_end_in_total_and_nothing_else_does() {
    for family in FAMILIES {
        assert_eq!(family.shown().ends_with("_total"), family.kind == Kind::Counter, "{}", family.name);
    }
}
