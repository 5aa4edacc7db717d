//! Pages as browsers see them.

use std::time::Duration;

use http::{Method, header};
use rollcall::store::sessions::IdpSession;
use serde_json::json;

use super::{Ana, OWNER, WORD, app, by_password, owner, sign_in};
use crate::support::{Answer, Db, USER, on_both_databases};

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

async fn s50_signing_in_and_out(db: Db) {
    let app = app(db).await;
    owner(&app).await;
    let mut browser = app.browser();
    assert_eq!(browser.get("/").await.has_status(303).location(), "/sign-in");
    browser.get("/sign-in?to=%2Fpeople%3Fq%3Dana").await.has_status(200);
    browser.post("/sign-in", &[("name", OWNER), ("to", "/people?q=ana")]).await.has_status(200);
    let fields = [("name", OWNER), ("password", WORD), ("to", "/people?q=ana")];
    let done = browser.post("/sign-in/password", &fields).await;
    assert_eq!(done.has_status(303).location(), "/people?q=ana");
    let cookie = done.headers.get(header::SET_COOKIE).unwrap().to_str().unwrap();
    let (name, attributes) = cookie.split_once(';').unwrap();
    assert!(name.starts_with("__Host-rollcall=rco_"), "{cookie}");
    assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Lax; Secure");

    let first = browser.session().unwrap().to_owned();
    let page = browser.get("/").await;
    assert!(page.has_status(200).text().contains("Signed in as owner@acme.example"), "{page}");
    assert!(page.text().contains("Owner") && page.text().contains("a password"), "{page}");
    assert_eq!(browser.get("/sign-in").await.has_status(303).location(), "/");
    by_password_again(&mut browser).await;
    assert_ne!(browser.session(), Some(first.as_str()), "another sign-in, another secret");
    app.browser().with_session(&first).get("/").await.has_status(303);

    browser.get("/").await.has_status(200);
    let secret = browser.session().unwrap().to_owned();
    assert_eq!(browser.post("/sign-out", &[]).await.has_status(303).location(), "/signed-out");
    assert_eq!(browser.session(), None);
    assert!(browser.get("/signed-out").await.has_status(200).text().contains("You are signed out"));
    app.browser().with_session(&secret).get("/").await.has_status(303);
}

async fn by_password_again(browser: &mut crate::support::Browser) {
    browser.post("/sign-in", &[("name", OWNER)]).await.has_status(200);
    browser.post("/sign-in/password", &[("name", OWNER), ("password", WORD)]).await.has_status(303);
}

async fn signing_out_everywhere_and_one_session(db: Db) {
    let app = app(db).await;
    let mut here = owner(&app).await;
    let (mut there, mut third) = (app.browser(), app.browser());
    by_password(&mut there, OWNER, WORD).await.has_status(303);
    by_password(&mut third, OWNER, WORD).await.has_status(303);
    let page = here.get("/").await.text();
    assert_eq!(page.matches("/end\"").count(), 2, "{page}");
    let end = page.split("action=\"/sessions/").nth(1).unwrap().split('"').next().unwrap();
    here.post(&format!("/sessions/{end}"), &[]).await.has_status(303);
    assert_eq!(there.get("/").await.status + third.get("/").await.status, 503, "one of the two has ended");
    // Somebody else's session is not one's own to end.
    let ana = Ana::with_access(&app).await;
    let other = sign_in(&app, &ana.user, IdpSession::default()).await;
    let id = app.sql().await.texts(&format!("SELECT id FROM session WHERE user_id = '{}'", ana.user)).await.remove(0);
    here.post(&format!("/sessions/{id}/end"), &[]).await.has_status(303);
    let mut anas = app.browser().with_session(other.expose());
    anas.get("/").await.has_status(200);

    here.get("/").await.has_status(200);
    assert!(here.post("/sign-out/everywhere", &[]).await.has_status(200).text().contains("All your sessions"));
    for mut browser in [here, there, third] {
        browser.get("/").await.has_status(303);
    }
    anas.get("/").await.has_status(200);
}

async fn s52_a_step_up_leads_back(db: Db) {
    let app = app(db).await;
    let mut browser = owner(&app).await;
    let before = browser.session().unwrap().to_owned();
    app.clock.advance(Duration::from_mins(6));
    let refused = browser.api(Method::POST, "/api/v1/api-keys", Some(&json!({"role": "admin"}))).await;
    assert_eq!(refused.expect(403)["type"], json!("urn:rollcall:problem:fresh-sign-in-required"));
    let page = browser.get("/step-up?to=%2Fconnections").await;
    assert!(page.has_status(200).text().contains("Confirm that it is you") && page.text().contains(OWNER));
    browser.post("/step-up", &[("password", "wrong"), ("to", "/connections")]).await.has_status(403);
    assert_eq!(browser.session(), Some(before.as_str()));
    let done = browser.post("/step-up", &[("password", WORD), ("to", "/connections"), ("name", "somebody else")]).await;
    assert_eq!(done.has_status(303).location(), "/connections");
    assert_ne!(browser.session(), Some(before.as_str()));
    app.browser().with_session(&before).get("/").await.has_status(303);
    browser.api(Method::POST, "/api/v1/api-keys", Some(&json!({"role": "admin"}))).await.has_status(201);
    let evil = browser.post("/step-up", &[("password", WORD), ("to", "//evil.example")]).await;
    assert_eq!(evil.has_status(303).location(), "/");
}

async fn s52_a_step_up_asks_for_the_means_of_the_sign_in(db: Db) {
    let app = app(db).await;
    let ana = Ana::with_access(&app).await;
    let mut browser = app.browser().with_session(sign_in(&app, &ana.user, IdpSession::default()).await.expose());
    let led = browser.get("/step-up?to=%2Fpeople").await;
    assert_eq!(led.has_status(303).location(), "/sso/saml/idp/login?to=%2Fpeople&step_up=1");
    browser.get("/").await.has_status(200);
    browser.post("/step-up", &[("password", WORD)]).await.has_status(403);
}

async fn s57_pages_have_a_strict_policy_and_escape_everything(db: Db) {
    let app = app(db).await;
    let corpus = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'-alert(1)-'",
        "</title><svg onload=alert(1)>",
        "{{7*7}}",
        "javascript:alert(1)",
        "&lt;b&gt;",
    ];
    let group = app.scim.add_group("CC Agents", &[]).await;
    for (n, text) in corpus.iter().enumerate() {
        let name = format!("x{n}{text}");
        let user = json!({"schemas": [USER], "userName": name, "displayName": text, "active": true,
            "emails": [{"value": format!("{text}@x.example"), "primary": true}], "photos": [{"value": "https://evil.example/x.svg"}]});
        let id = app.scim.post("/Users", &user).await.created();
        app.scim.add_member(&group, &id).await;
        let mut browser = app.browser().with_session(sign_in(&app, &id, IdpSession::default()).await.expose());
        let page = browser.get("/").await;
        let html = page.has_status(200).text();
        for bad in ["<script", "<img", "<svg", "evil.example", "onerror=alert(1)>", "onload=alert(1)>"] {
            assert!(!html.contains(bad), "{bad}: {html}");
        }
        assert!(*text != "{{7*7}}" || html.contains("Signed in as {{7*7}}"), "{html}");
        let policy = header(&page, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(header(&page, "cache-control"), "no-store");
        assert_eq!(header(&page, "x-content-type-options"), "nosniff");
        let tags = html.split('<').skip(1).map(|tag| tag.split('>').next().unwrap_or_default());
        for tag in tags {
            let inline =
                tag.split_whitespace().skip(1).any(|word| word.starts_with("on") || word.starts_with("style="));
            assert!(!inline, "nothing inline: <{tag}>");
        }
    }
    let typed = by_password(&mut app.browser(), corpus[0], "x").await;
    assert!(!typed.text().contains("<script"), "{typed}");
    let missing = app.browser().get("/nowhere%3Cscript%3E").await;
    assert!(missing.has_status(404).text().contains("There is nothing here"));
}

async fn s51_forms_come_from_our_pages(db: Db) {
    let app = app(db).await;
    owner(&app).await;
    let mut browser = app.browser();
    by_password(&mut browser, OWNER, WORD).await.has_status(303);
    browser.get("/").await.has_status(200);
    let still = async |browser: &crate::support::Browser| browser.clone().get("/").await.status == 200;
    for origin in ["https://evil.example", "null", "https://rollcall.example.evil.example"] {
        let mut forged = browser.clone();
        forged.origin = Some(origin.to_owned());
        forged.post("/sign-out", &[]).await.has_status(403);
        assert!(still(&browser).await, "{origin}");
    }
    for form in ["", "x", &"0".repeat(64)] {
        let mut forged = browser.clone();
        form.clone_into(&mut forged.form);
        forged.post("/sign-out", &[]).await.has_status(403);
        assert!(still(&browser).await, "without the hidden field");
    }
    // The field of another browser.
    let mut other = app.browser();
    other.get("/sign-in").await.has_status(200);
    let mut forged = browser.clone();
    other.form.clone_into(&mut forged.form);
    forged.post("/sign-out", &[]).await.has_status(403);
    let mut json = browser.clone();
    json.send(Method::POST, "/sign-out", Some("text/plain"), Some(format!("form={}", browser.form)))
        .await
        .has_status(403);
    // Signing somebody in by force is forged, too.
    let mut victim = app.browser();
    victim.origin = Some("https://evil.example".to_owned());
    victim.post("/sign-in/password", &[("name", OWNER), ("password", WORD)]).await.has_status(403);
    assert_eq!(victim.session(), None);
    // A browser that does not say is judged by the hidden field.
    let mut silent = browser.clone();
    silent.origin = None;
    silent.post("/sign-out", &[]).await.has_status(303);
}

async fn pages_speak_the_language_of_the_browser(db: Db) {
    let app = app(db).await;
    let mut browser = app.browser();
    let page = browser.get("/sign-in").await;
    assert!(page.text().contains("<html lang=\"en\">") && page.text().contains("Sign in"));
    "es-MX,es;q=0.9,en;q=0.1".clone_into(&mut browser.language);
    let page = browser.get("/sign-in").await;
    assert!(page.text().contains("<html lang=\"es\">") && page.text().contains("Iniciar sesi\u{f3}n"), "{page}");
    let style = page.text().split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let sheet = browser.get(&style).await;
    assert_eq!(header(sheet.has_status(200), "content-type"), "text/css; charset=utf-8");
    assert!(header(&sheet, "cache-control").contains("immutable"));
    assert!(sheet.text().contains("prefers-color-scheme: dark"));
    browser.get("/assets/style.0000000000000000.css").await.has_status(404);
    browser.get("/assets/..%2F..%2FCargo.toml").await.has_status(404);
}

on_both_databases!(
    s50_signing_in_and_out,
    signing_out_everywhere_and_one_session,
    s52_a_step_up_leads_back,
    s52_a_step_up_asks_for_the_means_of_the_sign_in,
    s57_pages_have_a_strict_policy_and_escape_everything,
    s51_forms_come_from_our_pages,
    pages_speak_the_language_of_the_browser,
);
