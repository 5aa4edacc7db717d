//! Somebody who comes back: one worker, and it is the new person's.

use std::time::Duration;

use rollcall::taskrouter::stand_in::Faults;
use serde_json::json;

use super::{ANA, CREATE, DELETE, app, attributes, channel, names, worker, writes};
use crate::support::{Db, on_both_databases, wait_until};

async fn reactivation_brings_the_worker_back(db: Db) {
    let app = app(db).await;
    let id = app.scim.add_user(ANA).await;
    app.scim.add_group("CC Agents", &[&id]).await;
    app.settled().await;
    let before = worker(&app, ANA);
    app.scim.set_active(&id, false).await;
    app.settled().await;
    app.scim.set_active(&id, true).await;
    app.settled().await;
    let after = worker(&app, ANA);
    assert_eq!(after.attributes, before.attributes);
    assert_eq!(after.channels["chat"], channel(3, true));
    assert_ne!(after.sid, before.sid);
}

async fn a_rehire_takes_over_the_row_and_has_one_worker(db: Db) {
    let app = app(db).await;
    let group = app.scim.add_group("CC Agents", &[]).await;
    let old = app.scim.add_user(ANA).await;
    app.scim.add_member(&group, &old).await;
    app.settled().await;
    // Slow enough that the new person comes while the old one's worker is being removed.
    app.stand_in().set_faults(Faults { latency_ms: 120, ..Faults::default() }).unwrap();
    let before = worker(&app, ANA);
    app.scim.delete(&format!("/Users/{old}")).await.expect_success();
    let begun = async || app.stand_in().worker_named(ANA).is_none_or(|now| now != before);
    wait_until(Duration::from_secs(10), "the removal has begun", begun).await;
    let new = app.scim.add_user(&ANA.to_uppercase()).await;
    assert_ne!(new, old);
    app.scim.add_member(&group, &new).await;
    app.settled().await;
    assert_eq!(names(&app), [ANA.to_uppercase()]);
    assert_eq!(attributes(&app, ANA)["email"], json!(ANA.to_uppercase()));
    assert_eq!(attributes(&app, ANA)["routing"]["skills"], json!(["billing", "english"]));
    let rows = app.sql().await.texts("SELECT user_id FROM worker").await;
    assert_eq!(rows, [new], "one row for the name, and it is the new person's");
}

async fn many_changes_of_mind_end_as_the_last_one(db: Db) {
    let app = app(db).await;
    app.stand_in().set_faults(Faults { latency_ms: 20, ..Faults::default() }).unwrap();
    let id = app.scim.add_user(ANA).await;
    app.scim.add_group("CC Agents", &[&id]).await;
    for n in 0..15 {
        app.scim.set_active(&id, n % 2 == 1).await;
        if n % 4 == 0 {
            tokio::task::yield_now().await;
        }
    }
    app.settled().await;
    assert_eq!(names(&app), Vec::<String>::new());
    app.scim.set_active(&id, true).await;
    app.settled().await;
    assert_eq!(names(&app), [ANA]);
    let writes = writes(app.stand_in());
    assert_eq!(writes[CREATE], writes.get(DELETE).copied().unwrap_or_default() + 1, "{writes:?}");
}

on_both_databases!(
    reactivation_brings_the_worker_back,
    a_rehire_takes_over_the_row_and_has_one_worker,
    many_changes_of_mind_end_as_the_last_one,
);
