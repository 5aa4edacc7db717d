//! Workers of nobody: told what they are, and removed or adopted only because a person says so.

use std::collections::BTreeSet;

use rollcall::reconcile::inventory::Repair;
use rollcall::reconcile::inventory::classify::Class;
use rollcall::reconcile::inventory::strangers::{StrangerError, Strangers};
use rollcall::taskrouter::WorkerSid;
use serde_json::json;

use super::{agents, claims, classes, found, ports, walked};
use crate::pipeline::{ANA, DELETE, RULES, app, assert_no_worker, counts, names, worker, writes};
use crate::support::{Db, TestApp, on_both_databases};

const GHOST: &str = "ghost@acme.example";
const CONSOLE: &str = "ana_40acme_2Eexample";

fn sign_in(app: &TestApp, name: &str, roles: &str) -> WorkerSid {
    app.stand_in().sso_login(name, &claims(json!({"roles": roles}))).unwrap().parse().unwrap()
}

async fn strangers_are_told_apart_and_left_alone(db: Db) {
    let app = app(db).await;
    agents(&app, &[ANA]).await;
    sign_in(&app, GHOST, "agent");
    sign_in(&app, "boss@acme.example", "admin");
    sign_in(&app, CONSOLE, "admin");
    sign_in(&app, "bob_40acme_2Eexample", "agent");
    app.stand_in().sso_login("aruiz", &claims(json!({"email": "Ana@acme.example"}))).unwrap();
    app.stand_in().clear_calls();
    let summary = walked(&app, Repair::Always).await;
    assert_eq!((summary.workers, summary.in_step), (6, 1));
    assert_eq!((summary.orphan, summary.duplicate, summary.unadopted), (1, 2, 2), "{summary:?}");
    let mut told = classes(&app).await;
    told.sort();
    let expected = [
        (Class::Orphan, GHOST),
        (Class::Duplicate, CONSOLE),
        (Class::Duplicate, "aruiz"),
        (Class::Unadopted, "bob_40acme_2Eexample"),
        (Class::Unadopted, "boss@acme.example"),
    ];
    assert_eq!(told, expected.map(|(class, name)| (class, name.to_owned())));
    let persons: BTreeSet<_> = found(&app).await.into_iter().filter_map(|(_, _, detail)| detail.person).collect();
    assert_eq!(persons, BTreeSet::from([ANA.to_owned()]));
    assert_eq!(writes(app.stand_in()), counts([]));
    assert_eq!(names(&app).len(), 6);
}

async fn a_person_removes_an_orphan(db: Db) {
    let app = app(db).await;
    agents(&app, &[ANA]).await;
    let ghost = sign_in(&app, GHOST, "agent");
    let boss = sign_in(&app, "boss@acme.example", "admin");
    let console = sign_in(&app, CONSOLE, "agent");
    walked(&app, Repair::UnlessMany).await;
    app.stand_in().clear_calls();
    let (ports, roles) = (ports(&app), BTreeSet::from(["admin".to_owned()]));
    let router = app.router();
    let strangers =
        Strangers { ports: &ports, account: app.account.id, router: router.as_ref(), protected_roles: &roles };
    for protected in [&boss, &console] {
        assert!(matches!(strangers.remove(protected).await, Err(StrangerError::Protected { .. })));
        assert!(matches!(strangers.adopt(protected, Some(ANA)).await, Err(StrangerError::Protected { .. })));
    }
    let ours: WorkerSid = worker(&app, ANA).sid.parse().unwrap();
    assert!(matches!(strangers.remove(&ours).await, Err(StrangerError::Held { .. })));
    assert_eq!(writes(app.stand_in()), counts([]));

    strangers.remove(&ghost).await.unwrap();
    app.settled().await;
    assert_no_worker(&app, GHOST);
    assert_eq!(writes(app.stand_in()).get(DELETE), Some(&1));
    assert!(matches!(strangers.remove(&ghost).await, Err(StrangerError::Gone(_))));
    assert!(!classes(&app).await.contains(&(Class::Orphan, GHOST.to_owned())));
    let trail = app.sql().await.texts("SELECT action FROM audit_event WHERE target_kind = 'worker'").await;
    assert_eq!(trail, ["worker.remove"]);

    // One that comes back is an orphan again, and can be removed again; hired, the name is anybody's.
    let again = sign_in(&app, GHOST, "agent");
    let summary = walked(&app, Repair::Always).await;
    assert_eq!(summary.orphan, 1, "{summary:?}");
    strangers.remove(&again).await.unwrap();
    app.settled().await;
    let id = app.scim.add_user(GHOST).await;
    app.scim.add_group("CC Supervisors", &[&id]).await;
    app.settled().await;
    assert_eq!(worker(&app, GHOST).attributes["roles"], json!(["supervisor", "agent"]));
    assert_eq!(walked(&app, Repair::Always).await.in_step, 2);
}

async fn a_leavers_worker_that_comes_back_is_told(db: Db) {
    let app = app(db).await;
    let ids = agents(&app, &[ANA]).await;
    app.scim.set_active(&ids[0], false).await;
    app.settled().await;
    assert_no_worker(&app, ANA);
    sign_in(&app, ANA, "agent");
    let summary = walked(&app, Repair::Always).await;
    assert_eq!((summary.orphan, summary.handed_over), (1, 0), "{summary:?}");
    let told = found(&app).await;
    assert_eq!(told[0].2.note.as_deref(), Some("a worker of this name was removed before"));
    // Who has no access is not given a worker by adopting one.
    let (ports, roles, router) = (ports(&app), BTreeSet::new(), app.router());
    let strangers =
        Strangers { ports: &ports, account: app.account.id, router: router.as_ref(), protected_roles: &roles };
    let back: WorkerSid = worker(&app, ANA).sid.parse().unwrap();
    assert!(matches!(strangers.adopt(&back, None).await, Err(StrangerError::NoAccess(_))));
    strangers.remove(&back).await.unwrap();
    app.settled().await;
    assert_no_worker(&app, ANA);
}

async fn a_person_gives_an_orphan_to_a_user(db: Db) {
    // Paused at first, so that she has no worker yet.
    let mut app = TestApp::builder(db).rules(RULES).paused().start().await;
    let id = app.scim.add_user(ANA).await;
    app.scim.add_group("CC Agents", &[&id]).await;
    let old = app.stand_in().sso_login("aruiz", &claims(json!({"theme": "dark"}))).unwrap();
    let sid: WorkerSid = old.parse().unwrap();
    {
        let (ports, roles, router) = (ports(&app), BTreeSet::new(), app.router());
        let strangers =
            Strangers { ports: &ports, account: app.account.id, router: router.as_ref(), protected_roles: &roles };
        assert!(matches!(strangers.adopt(&sid, None).await, Err(StrangerError::NoUser(_))));
        strangers.adopt(&sid, Some("Ana@acme.example")).await.unwrap();
        assert!(matches!(strangers.adopt(&sid, Some(ANA)).await, Err(StrangerError::Held { .. })));
        assert!(matches!(strangers.remove(&sid).await, Err(StrangerError::Held { .. })));
    }
    app.resume().await;
    app.settled().await;
    let adopted = worker(&app, ANA);
    assert_eq!((adopted.sid, &adopted.attributes["theme"]), (old, &json!("dark")));
    assert_eq!(adopted.attributes["roles"], json!(["agent"]));
    assert_eq!(names(&app), [ANA]);
}

on_both_databases!(
    strangers_are_told_apart_and_left_alone,
    a_person_removes_an_orphan,
    a_leavers_worker_that_comes_back_is_told,
    a_person_gives_an_orphan_to_a_user,
);
