//! Signing in through a connection, over the wire: from the login URL to a session, a user and a worker.

mod oidc;
mod people;
mod saml;

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use rollcall::service::connections::ConnectionSettings;
use rollcall::service::sign_in::{MetadataFrom, Part, SamlSetup, SsoSetup};
use rollcall::sso::saml::Service;
use rollcall::store::connections::Connection;
use rollcall::store::sign_ins::Selection;
use serde_json::Value;
use url::form_urlencoded;

use crate::support::saml::{Key, Message, Signing, World};
use crate::support::{Answer, Browser, Db, PUBLIC_URL, TestApp, slug};

pub(crate) const RULES: &str = r#"
[[rule]]
name = "agents"
when = 'groups.display eq "Agents"'
role = "agent"
skills = { english = 3 }
attributes = { city = { from = "claims.city" } }

[[rule]]
name = "leads"
when = 'claims.level eq "lead"'
role = "supervisor"
"#;

pub(crate) async fn app(db: Db) -> TestApp {
    TestApp::builder(db).set("ROLLCALL_SSO__ALLOW_LOOPBACK_HTTP", "true").rules(RULES).start().await
}

/// Metadata of the test's identity provider.
pub(crate) fn metadata(world: &World, key: Key) -> String {
    format!(
        "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" \
         entityID=\"{}\"><md:IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">\
         <md:KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>\
         </ds:KeyInfo></md:KeyDescriptor>\
         <md:SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"https://idp.acme.example/slo\"/>\
         <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"https://idp.acme.example/sso\"/>\
         </md:IDPSSODescriptor></md:EntityDescriptor>",
        world.idp.entity_id.replace('&', "&amp;"),
        key.certificate().base64(),
    )
}

/// A connection by SAML with its identity provider.
pub(crate) struct Saml<'a> {
    pub(crate) app: &'a TestApp,
    pub(crate) name: String,
    pub(crate) connection: Connection,
    pub(crate) world: World,
}

impl<'a> Saml<'a> {
    pub(crate) async fn add(app: &'a TestApp, name: &str, settings: ConnectionSettings, setup: SamlSetup) -> Self {
        let mut world = World::new();
        let setup = SamlSetup { metadata: Some(MetadataFrom::Xml(metadata(&world, Key::Idp))), ..setup };
        let setups = vec![SsoSetup::Saml(Box::new(setup))];
        let (connection, _) =
            app.core().add_connection_with(&app.account, slug(name), settings, setups, "test").await.unwrap();
        let Some(Part::Saml(part)) = app.core().part(connection.id, rollcall::domain::Means::Saml).await.unwrap()
        else {
            panic!("it has SAML");
        };
        let base = format!("{PUBLIC_URL}/sso/saml/{name}");
        world.service = Service {
            entity_id: format!("{base}/metadata"),
            acs_url: format!("{base}/acs"),
            slo_url: format!("{base}/slo"),
        };
        world.keys = part.keys.clone();
        Self { app, name: name.to_owned(), connection, world }
    }

    pub(crate) fn path(&self, end: &str) -> String {
        format!("/sso/saml/{}/{end}", self.name)
    }

    /// Begins a sign-in; the world as the identity provider sees it then.
    pub(crate) async fn begin(&self, browser: &mut Browser, query: &str) -> World {
        let answer = browser.get(&self.path(&format!("login{query}"))).await;
        let location = answer.has_status(303).location();
        assert!(location.starts_with("https://idp.acme.example/sso?SAMLRequest="), "{location}");
        let mut world = self.world.clone();
        world.outstanding = vec![request_id(location)];
        world.now = self.app.core().ambient().now();
        world
    }

    /// Brings an answer.
    pub(crate) async fn answer(&self, browser: &mut Browser, form: &str, relay: Option<&str>) -> Answer {
        let mut fields = form_urlencoded::Serializer::new(String::new());
        fields.append_pair("SAMLResponse", form);
        if let Some(relay) = relay {
            fields.append_pair("RelayState", relay);
        }
        let kind = Some("application/x-www-form-urlencoded");
        // It comes from the identity provider's page, and browsers keep the session's cookie to themselves then.
        let session = browser.cookies.remove("__Host-rollcall");
        let before = browser.origin.replace("https://idp.acme.example".to_owned());
        let answer = browser.send(Method::POST, &self.path("acs"), kind, Some(fields.finish())).await;
        browser.origin = before;
        if let Some(session) = session {
            browser.cookies.entry("__Host-rollcall".to_owned()).or_insert(session);
        }
        answer
    }

    /// A whole sign-in with a message that was changed.
    pub(crate) async fn sign_in(&self, browser: &mut Browser, change: impl Fn(&mut Message)) -> Answer {
        let world = self.begin(browser, "").await;
        let mut message = unique(&world, self.app);
        change(&mut message);
        self.answer(browser, &message.send(Signing::Assertion), None).await
    }
}

/// A message that was never sent before.
pub(crate) fn unique(world: &World, app: &TestApp) -> Message {
    let mut message = world.message();
    message.assertion_id = format!("_{}", hex::encode(app.core().ambient().bytes::<16>()));
    message
}

/// The id of a request that was sent by redirect.
fn request_id(location: &str) -> String {
    let query = location.split_once('?').expect("a query").1;
    let (_, request) =
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "SAMLRequest").expect("a request");
    let mut xml = String::new();
    let packed = STANDARD.decode(request.as_bytes()).expect("base64");
    flate2::read::DeflateDecoder::new(packed.as_slice()).read_to_string(&mut xml).expect("deflated");
    xml.split(" ID=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id").to_owned()
}

/// Who the browser is signed in as.
pub(crate) async fn me(browser: &mut Browser) -> Option<Value> {
    let answer = browser.api(Method::GET, "/api/v1/me", None).await;
    (answer.status == 200).then(|| serde_json::from_slice(&answer.body).expect("JSON"))
}

/// The check and the detail of the last attempt that was refused.
pub(crate) async fn last_refusal(app: &TestApp) -> (String, String) {
    let all = app.core().list_sign_ins(app.account.id, &Selection::default(), 100).await.unwrap();
    let last = all.last().expect("an attempt");
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    (said(&last.sign_in.check), said(&last.sign_in.detail))
}
