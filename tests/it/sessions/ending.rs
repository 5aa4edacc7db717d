//! What ends a session.

use std::time::Duration;

use rollcall::base::SecretToken;
use rollcall::domain::Role;
use rollcall::service::connections::ConnectionSettings;
use rollcall::service::sign_ins::{Attempt, Origin, Outcome};
use rollcall::store::sessions::IdpSession;
use rollcall::store::sign_ins::Selection;
use serde_json::json;

use super::{ANA, Ana, app, open, sign_in, stands};
use crate::support::{Db, TestApp, USER, on_both_databases, slug};

async fn s46_every_way_out_ends_sessions(db: Db) {
    let app = app(db).await;
    let ana = Ana::with_access(&app).await;
    let path = format!("/Users/{}", ana.user);
    let active = |value: serde_json::Value| json!([{"op": "replace", "path": "active", "value": value}]);
    let session = sign_in(&app, &ana.user, IdpSession::default()).await;
    let who = app.core().signed_in(session.expose()).await.unwrap().unwrap();
    assert_eq!((who.role, who.connection.as_deref()), (Role::Agent, Some("idp")));
    assert_eq!(who.person.map(|person| person.user_name).as_deref(), Some(ANA));

    for off in [json!(false), json!("False")] {
        let session = again(&app, &ana).await;
        app.scim.patch(&path, &active(off)).await.expect(200);
        assert!(!stands(&app, &session).await);
        app.scim.patch(&path, &active(json!(true))).await.expect(200);
        assert!(!stands(&app, &session).await, "access that comes back brings no session back");
    }
    let session = again(&app, &ana).await;
    app.scim.patch(&path, &json!([{"op": "replace", "value": {"active": false}}])).await.expect(200);
    assert!(!stands(&app, &session).await, "without a path");
    app.scim.put(&path, &json!({"schemas": [USER], "userName": ANA, "active": true})).await.expect(200);
    assert!(!stands(&app, &session).await);
    let session = again(&app, &ana).await;
    app.scim.put(&path, &json!({"schemas": [USER], "userName": ANA, "active": false})).await.expect(200);
    assert!(!stands(&app, &session).await, "by PUT");
    app.scim.set_active(&ana.user, true).await;
    let session = again(&app, &ana).await;
    app.scim.remove_member(&ana.group, &ana.user).await;
    assert!(!stands(&app, &session).await, "the group that gave access");
    app.scim.add_member(&ana.group, &ana.user).await;
    assert!(!stands(&app, &session).await);
    let session = again(&app, &ana).await;
    let user = ana.user.parse().unwrap();
    assert_eq!(app.core().sessions_of(app.account.id, user).await.unwrap().len(), 1);
    let bulk = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [{"method": "PATCH", "path": path, "data": {"Operations": [{"op": "replace", "path": "active", "value": false}]}}]});
    app.scim.post("/Bulk", &bulk).await.expect(200);
    assert!(!stands(&app, &session).await, "in a bulk request");
    app.scim.set_active(&ana.user, true).await;
    let session = again(&app, &ana).await;
    app.scim.delete(&path).await.expect(204);
    assert!(!stands(&app, &session).await, "deleted");
}

async fn again(app: &TestApp, ana: &Ana) -> SecretToken {
    let session = sign_in(app, &ana.user, IdpSession::default()).await;
    assert!(stands(app, &session).await);
    session
}

async fn a_disabled_connection_ends_the_sessions_of_its_people(db: Db) {
    let app = app(db).await;
    let ana = Ana::with_access(&app).await;
    let session = sign_in(&app, &ana.user, IdpSession::default()).await;
    let off = ConnectionSettings { enabled: Some(false), ..ConnectionSettings::default() };
    app.core().set_connection(&app.account, &slug("idp"), off).await.unwrap();
    assert!(!stands(&app, &session).await);
    let on = ConnectionSettings { enabled: Some(true), ..ConnectionSettings::default() };
    app.core().set_connection(&app.account, &slug("idp"), on).await.unwrap();
    assert!(!stands(&app, &session).await, "it has ended");
}

async fn s46_nobody_uses_what_waits_to_be_taken(db: Db) {
    let app = app(db).await;
    let ana = Ana::with_access(&app).await;
    let bob = app.scim.add_user("bob@acme.example").await;
    let sql = app.sql().await;
    // As if the rules had just been imported: Bob still has the role of the rules before.
    sql.run(&format!("UPDATE \"user\" SET role = 'agent' WHERE id = '{bob}'")).await.unwrap();
    let (of_ana, of_bob) =
        (sign_in(&app, &ana.user, IdpSession::default()).await, sign_in(&app, &bob, IdpSession::default()).await);
    assert!(stands(&app, &of_bob).await, "nothing waits");
    let account = app.account.id;
    for (users, bob_stands) in
        [("NULL".to_owned(), false), (format!("'[\"{bob}\"]'"), false), ("'[]'".to_owned(), true)]
    {
        sql.run(&format!(
            "INSERT INTO recompute (id, account_id, users, pass, after_user, done, lease_until, event_id, created_at) \
             VALUES ('0192f0c1-2345-7abc-8def-0123456789ab', '{account}', {users}, 0, '', 0, 9000000000000, \
             '0192f0c1-2345-7abc-8def-0123456789ab', 0)"
        ))
        .await
        .unwrap();
        assert_eq!(stands(&app, &of_bob).await, bob_stands, "{users}");
        assert!(stands(&app, &of_ana).await, "{users}");
        sql.run("DELETE FROM recompute").await.unwrap();
    }
}

async fn s50_sessions_end_idle_and_in_any_case(db: Db) {
    let app = app(db).await;
    let ana = Ana::with_access(&app).await;
    let idle = sign_in(&app, &ana.user, IdpSession::default()).await;
    app.clock.advance(Duration::from_mins(59));
    assert!(stands(&app, &idle).await);
    app.clock.advance(Duration::from_mins(59));
    assert!(stands(&app, &idle).await, "the request before was noted");
    app.clock.advance(Duration::from_mins(61));
    assert!(!stands(&app, &idle).await);

    let used = sign_in(&app, &ana.user, IdpSession::default()).await;
    for _ in 0..23 {
        app.clock.advance(Duration::from_mins(30));
        assert!(stands(&app, &used).await);
    }
    app.clock.advance(Duration::from_mins(30));
    assert!(!stands(&app, &used).await, "twelve hours");

    let end = app.core().ambient().now().after(Duration::from_mins(10));
    let short = open(&app, &ana.user, IdpSession::default(), Some(end), None).await;
    assert!(stands(&app, &short).await);
    app.clock.advance(Duration::from_mins(11));
    assert!(!stands(&app, &short).await, "the identity provider's session has ended");
    app.clock.advance(Duration::from_hours(48));
    assert!(app.core().sweep_sessions().await.unwrap() >= 2);
    assert_eq!(app.sql().await.number("SELECT COUNT(*) FROM session").await, 0);
}

async fn s50_a_session_has_a_new_secret_after_each_sign_in_and_step_up(db: Db) {
    let app = app(db).await;
    let ana = Ana::with_access(&app).await;
    let first = sign_in(&app, &ana.user, IdpSession::default()).await;
    let second = open(&app, &ana.user, IdpSession::default(), None, Some(first.expose())).await;
    assert!(!stands(&app, &first).await && stands(&app, &second).await);

    app.clock.advance(Duration::from_mins(6));
    let fresh = async |secret: &str| {
        app.core().signed_in(secret).await.unwrap().map(|who| who.is_fresh(app.core().ambient().now()))
    };
    assert_eq!(fresh(second.expose()).await, Some(false));
    let attempt = Attempt::new("saml", Outcome::SteppedUp);
    let renewed =
        app.core().renew_session(second.expose(), &Origin::default(), attempt.clone()).await.unwrap().unwrap();
    assert_eq!(fresh(renewed.secret.expose()).await, Some(true));
    assert!(!stands(&app, &second).await, "the secret of before opens nothing");
    assert!(app.core().renew_session(second.expose(), &Origin::default(), attempt).await.unwrap().is_none());
    let stored = app.sql().await.texts("SELECT hash FROM session").await.join(" ");
    assert!(!stored.contains(renewed.secret.expose()) && stored.contains(&renewed.secret.hash()));
}

async fn sign_out_ends_what_it_means_and_nothing_else(db: Db) {
    let app = app(db).await;
    let ana = Ana::with_access(&app).await;
    app.connect("other").await;
    let idp = |subject: &str, session: &str| IdpSession {
        subject: Some(subject.to_owned()),
        session: Some(session.to_owned()),
        logout: None,
    };
    let (one, two) =
        (sign_in(&app, &ana.user, idp("ana", "s1")).await, sign_in(&app, &ana.user, idp("ana", "s2")).await);
    let by_idp = async |connection: &str, subject: Option<&str>, session: Option<&str>| {
        let connection = app.core().connection(&app.account, &slug(connection)).await.unwrap();
        app.core().end_sessions_by_idp(connection.id, subject, session).await.unwrap()
    };
    assert_eq!(by_idp("other", Some("ana"), None).await, 0, "another connection's word");
    assert_eq!(by_idp("idp", Some("bob"), Some("s1")).await, 0);
    assert_eq!(by_idp("idp", None, None).await, 0, "nobody is named");
    assert_eq!(by_idp("idp", Some("ana"), Some("s1")).await, 1);
    assert!(!stands(&app, &one).await && stands(&app, &two).await);
    let three = sign_in(&app, &ana.user, idp("ana", "s3")).await;
    assert_eq!(by_idp("idp", Some("ana"), None).await, 2);
    assert!(!stands(&app, &two).await && !stands(&app, &three).await);

    let four = sign_in(&app, &ana.user, idp("ana", "s4")).await;
    let left = app.core().sign_out(four.expose(), &Origin::default()).await.unwrap().unwrap();
    assert_eq!(left.idp, idp("ana", "s4"));
    assert!(!stands(&app, &four).await);
    assert!(app.core().sign_out(four.expose(), &Origin::default()).await.unwrap().is_none());

    let five = sign_in(&app, &ana.user, idp("ana", "s5")).await;
    let who = app.core().signed_in(five.expose()).await.unwrap().unwrap();
    let user = who.person.as_ref().unwrap().user;
    assert_eq!(app.core().sessions_of(app.account.id, user).await.unwrap().len(), 1);
    app.core().end_sessions_of(&who, user, "r").await.unwrap();
    assert!(!stands(&app, &five).await);
}

async fn attempts_are_recorded_and_kept_for_a_while(db: Db) {
    let app = app(db).await;
    let ana = Ana::with_access(&app).await;
    sign_in(&app, &ana.user, IdpSession::default()).await;
    let refused = Attempt { account: Some(app.account.id), ..Attempt::new("saml", Outcome::Refused) }
        .refused("audience", "the audience is \"X\", expected \"Y\"");
    let origin = Origin { reference: "ref-2".to_owned(), ..Origin::default() };
    app.core().record_sign_in(refused, &origin).await.unwrap();
    let list = async |selection: Selection| app.core().list_sign_ins(app.account.id, &selection, 10).await.unwrap();
    let all = list(Selection::default()).await;
    let shown: Vec<_> = all.iter().map(|it| (it.sign_in.outcome.as_str(), it.user_name.as_deref())).collect();
    assert_eq!(shown, [("signed-in", Some(ANA)), ("refused", None)]);
    assert_eq!(all[0].sign_in.address, "203.0.113.9");
    let by_reference = list(Selection { reference: Some("ref-2".to_owned()), ..Selection::default() }).await;
    assert_eq!(by_reference.len(), 1);
    assert_eq!(by_reference[0].sign_in.check.as_deref(), Some("audience"));
    assert!(by_reference[0].sign_in.detail.as_deref().unwrap().contains("expected"));
    assert_eq!(list(Selection { after: Some(all[0].seq), ..Selection::default() }).await.len(), 1);
    let other = app.add_account("acme-uk").await;
    assert_eq!(app.core().list_sign_ins(other.id, &Selection::default(), 10).await.unwrap().len(), 0);
    app.clock.advance(Duration::from_hours(24 * 91));
    assert_eq!(app.core().sweep_sign_ins(Duration::from_hours(24 * 90)).await.unwrap(), 2);
}

/// What a copy knows of a session is what the database says at each request.
async fn s46_another_copy_refuses_at_once(db: Db) {
    if db == Db::Sqlite {
        return;
    }
    let app: TestApp = app(db).await;
    let ana = Ana::with_access(&app).await;
    let copy = app.copy(&[], std::sync::Arc::default()).await;
    for _ in 0..10 {
        let session = sign_in(&app, &ana.user, IdpSession::default()).await;
        let mut browser = copy.browser().with_session(session.expose());
        browser.get("/").await.has_status(200);
        app.scim.set_active(&ana.user, false).await;
        browser.get("/").await.has_status(303);
        app.scim.set_active(&ana.user, true).await;
        browser.get("/").await.has_status(303);
    }
    copy.stop().await;
}

on_both_databases!(
    s46_every_way_out_ends_sessions,
    a_disabled_connection_ends_the_sessions_of_its_people,
    s46_nobody_uses_what_waits_to_be_taken,
    s50_sessions_end_idle_and_in_any_case,
    s50_a_session_has_a_new_secret_after_each_sign_in_and_step_up,
    sign_out_ends_what_it_means_and_nothing_else,
    attempts_are_recorded_and_kept_for_a_while,
    s46_another_copy_refuses_at_once,
);
