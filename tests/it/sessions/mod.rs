//! Sessions: when they begin, what ends them, and what people and scripts may do with them.

mod api;
mod doors;
mod ending;
mod owner;
mod pages;

use rollcall::base::{SecretToken, Timestamp};
use rollcall::domain::Means;
use rollcall::service::sessions::NewSession;
use rollcall::service::sign_ins::{Attempt, Origin, Outcome};
use rollcall::store::sessions::IdpSession;

use crate::support::{Answer, Browser, Db, PUBLIC_URL, TestApp, slug};

/// Who is in the group is an agent.
const RULES: &str = "[[rule]]\nname = \"agents\"\nwhen = 'groups.display eq \"CC Agents\"'\nrole = \"agent\"\n";
pub(crate) const ANA: &str = "ana@acme.example";

pub(crate) async fn app(db: Db) -> TestApp {
    TestApp::builder(db).rules(RULES).paused().start().await
}

/// Ana with access, and the group that gives it.
pub(crate) struct Ana {
    pub(crate) user: String,
    pub(crate) group: String,
}

impl Ana {
    pub(crate) async fn with_access(app: &TestApp) -> Self {
        let user = app.scim.add_user(ANA).await;
        let group = app.scim.add_group("CC Agents", &[&user]).await;
        Self { user, group }
    }
}

/// Signs a user of the connection `idp` in, as sign-on does once it knows who it is.
pub(crate) async fn sign_in(app: &TestApp, user: &str, idp: IdpSession) -> SecretToken {
    open(app, user, idp, None, None).await
}

pub(crate) async fn open(
    app: &TestApp,
    user: &str,
    idp: IdpSession,
    ends_at: Option<Timestamp>,
    before: Option<&str>,
) -> SecretToken {
    let connection = app.core().connection(&app.account, &slug("idp")).await.unwrap();
    let user = user.parse().unwrap();
    let wanted = NewSession {
        account: app.account.id,
        user,
        connection: Some(connection.id),
        means: Means::Saml,
        idp,
        ends_at,
        replaces: None,
        authenticated_at: None,
    };
    let origin = Origin {
        address: Some("203.0.113.9".parse().unwrap()),
        user_agent: "Firefox".to_owned(),
        reference: "ref-1".to_owned(),
    };
    let attempt = Attempt {
        account: Some(app.account.id),
        connection: Some(connection.id),
        user: Some(user),
        ..Attempt::new("saml", Outcome::SignedIn)
    };
    app.core().open_session(wanted, before, &origin, attempt).await.unwrap().secret
}

pub(crate) async fn stands(app: &TestApp, secret: &SecretToken) -> bool {
    app.core().signed_in(secret.expose()).await.unwrap().is_some()
}

pub(crate) const OWNER: &str = "owner@acme.example";
pub(crate) const WORD: &str = "orange pedal volcano mist";

/// The path of a link.
pub(crate) fn path_of(url: &str) -> String {
    url.strip_prefix(PUBLIC_URL).expect("a link to the public URL").to_owned()
}

/// Becomes the owner of the account `default` by a link; the browser is signed in then.
pub(crate) async fn owner(app: &TestApp) -> Browser {
    let mut browser = app.browser();
    let path = path_of(&app.core().create_owner_link(&app.account).await.unwrap());
    browser.get(&path).await.has_status(200);
    let fields = [("name", OWNER), ("password", WORD), ("again", WORD)];
    browser.post(&path, &fields).await.has_status(303);
    browser
}

/// Signs in with name and password; the answer to the password.
pub(crate) async fn by_password(browser: &mut Browser, name: &str, password: &str) -> Answer {
    browser.get("/sign-in").await.has_status(200);
    browser.post("/sign-in", &[("name", name)]).await.has_status(200);
    browser.post("/sign-in/password", &[("name", name), ("password", password)]).await
}
