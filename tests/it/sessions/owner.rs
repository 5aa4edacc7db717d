//! The local owner: link, password, throttle.

use std::time::Duration;

use rollcall::store::sign_ins::Selection;
use serde_json::json;

use super::{OWNER, WORD, app, by_password, owner, path_of};
use crate::support::{Db, TestApp, USER, on_both_databases};

async fn s65_a_link_makes_the_owner_once(db: Db) {
    let app = app(db).await;
    let account = &app.account;
    assert!(!app.core().has_local_owner(account.id).await.unwrap());
    let first = path_of(&app.core().first_owner_link(account).await.unwrap().unwrap());
    assert_eq!(app.core().first_owner_link(account).await.unwrap(), None, "one is open");
    let second = path_of(&app.core().create_owner_link(account).await.unwrap());
    let mut browser = app.browser();
    browser.get(&first).await.has_status(404);
    let page = browser.get(&second).await;
    page.has_status(200);
    assert!(page.text().contains("Become the owner") && page.text().contains("default"), "{page}");
    browser.get(&second).await.has_status(200);
    let secret = second.rsplit('/').next().unwrap();
    let stored = app.sql().await.texts("SELECT hash FROM one_time_link").await.join(" ");
    assert!(!stored.contains(secret));

    let fields = |name, password| [("name", name), ("password", password), ("again", password)];
    for (name, password, status) in
        [(OWNER, "too short", 400), (OWNER, "Password1234!", 400), ("", WORD, 400), ("bell\u{7}", WORD, 400)]
    {
        browser.post(&second, &fields(name, password)).await.has_status(status);
    }
    browser.post(&second, &[("name", OWNER), ("password", WORD), ("again", "another")]).await.has_status(400);
    let done = browser.post(&second, &fields(OWNER, WORD)).await;
    assert_eq!(done.has_status(303).location(), "/");
    browser.get(&second).await.has_status(404);
    browser.post(&second, &fields("other", WORD)).await.has_status(404);
    let me = browser.api(http::Method::GET, "/api/v1/me", None).await.expect(200);
    assert_eq!((&me["userName"], &me["role"], &me["connection"]), (&json!(OWNER), &json!("owner"), &json!(null)));
    assert!(app.core().has_local_owner(account.id).await.unwrap());
    assert_eq!(app.core().first_owner_link(account).await.unwrap(), None);
    let hash = &app.sql().await.texts("SELECT password_hash FROM credential").await[0];
    assert!(hash.starts_with("$argon2id$"), "{hash}");

    // With the owner's name a link sets the password anew, and ends the sessions.
    let third = path_of(&app.core().create_owner_link(account).await.unwrap());
    let mut other = app.browser();
    other.get(&third).await.has_status(200);
    other.post(&third, &fields(OWNER, "seven quiet rivers run")).await.has_status(303);
    assert_eq!(browser.get("/").await.has_status(303).location(), "/sign-in");
    by_password(&mut browser, OWNER, WORD).await.has_status(403);
    by_password(&mut browser, OWNER, "seven quiet rivers run").await.has_status(303);
    assert_eq!(app.sql().await.number("SELECT COUNT(*) FROM \"user\"").await, 1);
}

async fn a_link_ends_after_a_day(db: Db) {
    let app = app(db).await;
    let path = path_of(&app.core().create_owner_link(&app.account).await.unwrap());
    app.clock.advance(Duration::from_hours(25));
    app.browser().get(&path).await.has_status(404);
    for wrong in ["/owner/rcl_x", "/owner/x", "/owner/rco_x"] {
        app.browser().get(wrong).await.has_status(404);
    }
    app.clock.advance(Duration::from_hours(25));
    assert_eq!(app.core().sweep_links().await.unwrap(), 1);
}

async fn s31_scim_neither_sees_nor_changes_the_local_owner(db: Db) {
    let app: TestApp = app(db).await;
    let mut browser = owner(&app).await;
    let id = app.sql().await.texts("SELECT id FROM \"user\"").await.remove(0);
    let path = format!("/Users/{id}");
    app.scim.get(&path).await.expect(404);
    app.scim.delete(&path).await.expect(404);
    app.scim.patch(&path, &json!([{"op": "replace", "path": "active", "value": false}])).await.expect(404);
    assert_eq!(app.scim.filter("/Users", &format!("userName eq \"{OWNER}\"")).await.total(), 0);
    let same = json!({"schemas": [USER], "userName": OWNER, "active": true});
    app.scim.post("/Users", &same).await.expect(409);
    let path = path_of(&app.core().create_owner_link(&app.account).await.unwrap());
    app.scim.add_user("taken@acme.example").await;
    browser.get(&path).await.has_status(200);
    let fields = [("name", "Taken@acme.example"), ("password", WORD), ("again", WORD)];
    browser.post(&path, &fields).await.has_status(409);
    // Rules that come into force change nothing of a local account.
    app.import_rules("[[rule]]\nname = \"all\"\nwhen = 'userName pr'\nrole = \"agent\"\n").await;
    while app.core().recomputes_pending(app.account.id).await.unwrap() {
        app.core().recompute_chunk(None).await.unwrap();
    }
    let me = browser.api(http::Method::GET, "/api/v1/me", None).await.expect(200);
    assert_eq!(me["role"], json!("owner"));
    let workers = "SELECT COUNT(*) FROM worker w JOIN \"user\" u ON u.id = w.user_id WHERE u.connection_id IS NULL";
    assert_eq!(app.sql().await.number(workers).await, 0);
}

async fn s58_wrong_passwords_are_throttled_alike_whether_the_name_exists(db: Db) {
    let app = app(db).await;
    owner(&app).await;
    let mut answers = Vec::new();
    for name in [OWNER, "nobody@acme.example"] {
        let mut browser = app.browser();
        let mut seen = Vec::new();
        for _ in 0..11 {
            let answer = by_password(&mut browser, name, "wrong").await;
            assert_eq!(browser.session(), None);
            seen.push((answer.status, answer.text().replace(name, "NAME").replace(&browser.form, "FORM")));
        }
        answers.push(seen);
    }
    assert_eq!(answers[0], answers[1], "what is answered tells nothing of who exists");
    assert_eq!(answers[0][9].0, 403);
    assert_eq!(answers[0][10].0, 429);
    let mut browser = app.browser();
    by_password(&mut browser, OWNER, WORD).await.has_status(429);
    app.clock.advance(Duration::from_mins(16));
    by_password(&mut browser, OWNER, WORD).await.has_status(303);
    let log = app.core().list_sign_ins(app.account.id, &Selection::default(), 100).await.unwrap();
    let count = |check: &str| log.iter().filter(|it| it.sign_in.check.as_deref() == Some(check)).count();
    assert_eq!((count("password"), count("throttle")), (20, 3));
    assert!(log.iter().all(|it| !format!("{it:?}").contains("nobody@acme.example")), "what was typed is not kept");
    let kept = app.sql().await.texts("SELECT subject FROM login_throttle").await.join(" ");
    assert!(!kept.contains("nobody") && kept.contains("address:127.0.0.1"), "{kept}");
    app.clock.advance(Duration::from_mins(16));
    assert!(app.core().sweep_attempts().await.unwrap() >= 2);
}

async fn s58_an_address_has_its_own_limit(db: Db) {
    let app = app(db).await;
    owner(&app).await;
    let mut browser = app.browser();
    let mut statuses = Vec::new();
    for n in 0..61 {
        statuses.push(by_password(&mut browser, &format!("n{n}@acme.example"), "wrong").await.status);
    }
    assert!(statuses[..60].iter().all(|status| *status == 403), "{statuses:?}");
    assert_eq!(statuses[60], 429);
    let names = "SELECT COUNT(*) FROM login_throttle WHERE subject LIKE 'name:%'";
    assert_eq!(app.sql().await.number(names).await, 60, "an address that used up its attempts fills nothing");
}

async fn s47_a_local_account_that_was_switched_off_stays_out(db: Db) {
    let app = app(db).await;
    let mut browser = owner(&app).await;
    app.sql().await.run("UPDATE \"user\" SET status = 'inactive' WHERE connection_id IS NULL").await.unwrap();
    browser.get("/").await.has_status(303);
    by_password(&mut browser, OWNER, WORD).await.has_status(403);
    assert_eq!(browser.session(), None);
    let log = app.core().list_sign_ins(app.account.id, &Selection::default(), 1).await.unwrap();
    assert_eq!(log[0].sign_in.check.as_deref(), Some("status"));
}

on_both_databases!(
    s65_a_link_makes_the_owner_once,
    a_link_ends_after_a_day,
    s31_scim_neither_sees_nor_changes_the_local_owner,
    s58_wrong_passwords_are_throttled_alike_whether_the_name_exists,
    s58_an_address_has_its_own_limit,
    s47_a_local_account_that_was_switched_off_stays_out,
);
