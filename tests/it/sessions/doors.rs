//! The table of routes, asked row by row.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use rollcall::domain::Role;
use rollcall::service::api_keys::NewApiKey;
use rollcall::store::sessions::IdpSession;
use rollcall::web::{Forgery, Kind, ROUTES, Row, Who};

use super::{Ana, app, owner, sign_in};
use crate::support::{Browser, Db, on_both_databases};

/// The path of a row, with something that does not exist where a name is open.
fn path(row: &Row) -> String {
    row.path.replace("{name}", "x").replace("{id}", "0192f0c1-2345-7abc-8def-0123456789ab").replace("{secret}", "rcl_x")
}

fn method(row: &Row) -> Method {
    row.method.parse().unwrap()
}

async fn ask(browser: &mut Browser, row: &Row) -> crate::support::Answer {
    match row.kind {
        Kind::Page if row.method == "POST" => browser.post(&path(row), &[]).await,
        _ => browser.api(method(row), &path(row), None).await,
    }
}

async fn s27_nobody_comes_in_without_session_or_key(db: Db) {
    let app = app(db).await;
    for row in ROUTES.iter().filter(|row| row.who != Who::Anyone) {
        for session in [None, Some("rco_wrong"), Some("rck_wrong"), Some("")] {
            let mut browser = app.browser();
            browser.get("/sign-in").await.has_status(200);
            if let Some(session) = session {
                browser = browser.with_session(session);
            }
            let answer = ask(&mut browser, row).await;
            match row.kind {
                Kind::Page => assert!(answer.has_status(303).location().starts_with("/sign-in"), "{row:?}"),
                Kind::Api => drop(answer.has_status(401)),
            }
        }
    }
}

async fn s53_each_role_may_what_the_table_says(db: Db) {
    let app = app(db).await;
    for role in Role::ALL {
        let wanted = NewApiKey { name: String::new(), role, lifetime: None };
        let (_, key) = app.core().create_api_key(app.account.id, None, wanted, "").await.unwrap();
        for row in ROUTES {
            let Who::PersonOrKey(action) = row.who else { continue };
            let answer = app.scim.with_token(Some(key.expose())).request(method(row), "").path(&path(row)).send().await;
            let refused = answer.status == 403 && String::from_utf8_lossy(&answer.body).contains("Your role may not");
            assert_eq!(refused, !action.is_allowed_to(role), "{role} {row:?}: {answer}");
        }
    }
}

async fn s52_sensitive_changes_want_a_fresh_sign_in(db: Db) {
    let app = app(db).await;
    let mut browser = owner(&app).await;
    app.clock.advance(Duration::from_mins(6));
    for row in ROUTES {
        let (Who::Person(action) | Who::PersonOrKey(action)) = row.who else { continue };
        if row.path.ends_with("/everywhere") || (row.method, row.path) == ("DELETE", "/api/v1/sessions") {
            continue;
        }
        browser.get("/").await.has_status(200);
        let answer = ask(&mut browser, row).await;
        let asked = answer.status == 403 && answer.text().contains("fresh-sign-in-required");
        assert_eq!(asked, action.is_sensitive(), "{row:?}: {answer}");
    }
}

async fn s51_no_route_is_changed_by_another_site(db: Db) {
    let app = app(db).await;
    let ana = Ana::with_access(&app).await;
    let session = sign_in(&app, &ana.user, IdpSession::default()).await;
    let mut browser = app.browser().with_session(session.expose());
    browser.get("/").await.has_status(200);
    let kinds: BTreeSet<&str> = ROUTES.iter().map(|row| row.method).collect();
    assert!(kinds.contains("POST") && kinds.contains("DELETE"));
    for row in ROUTES.iter().filter(|row| matches!(row.forgery, Forgery::Form | Forgery::Origin)) {
        for origin in ["https://evil.example", "null"] {
            let mut forged = browser.clone();
            forged.origin = Some(origin.to_owned());
            ask(&mut forged, row).await.has_status(403);
        }
        if row.forgery == Forgery::Origin {
            let mut silent = browser.clone();
            silent.origin = None;
            ask(&mut silent, row).await.has_status(403);
        }
    }
    browser.get("/").await.has_status(200);
}

async fn a_method_without_a_row_is_not_served(db: Db) {
    let app = app(db).await;
    for (method, path, allow) in [
        (Method::PUT, "/", "GET"),
        (Method::DELETE, "/sign-in", "GET, POST"),
        (Method::PATCH, "/api/v1/sessions", "DELETE, GET"),
    ] {
        let answer = app.browser().send(method, path, None, None).await;
        assert_eq!(answer.has_status(405).headers["allow"], allow);
    }
    app.browser().send(Method::HEAD, "/sign-in", None, None).await.has_status(200);
    // Other spellings of the API lead nowhere.
    for path in
        ["/api/v1/users/", "//api/v1/users", "/API/v1/users", "/api/v1/%75sers", "/api%2Fv1%2Fusers", "/api/v1/./users"]
    {
        let status = app.browser().get(path).await.status;
        assert!(status == 404 || status == 401, "{path}: {status}");
    }
}

on_both_databases!(
    s27_nobody_comes_in_without_session_or_key,
    s53_each_role_may_what_the_table_says,
    s52_sensitive_changes_want_a_fresh_sign_in,
    s51_no_route_is_changed_by_another_site,
    a_method_without_a_row_is_not_served,
);
