//! A browser: keeps cookies, says where its requests come from, and sends forms with their hidden field.

use std::collections::BTreeMap;

use http::{Method, header};
use url::form_urlencoded;

use super::app::PUBLIC_URL;
use super::client::{Answer, Scim};

/// Somebody's browser.
#[derive(Clone, Debug)]
pub struct Browser {
    client: Scim,
    pub cookies: BTreeMap<String, String>,
    /// The hidden field of the page that was loaded last.
    pub form: String,
    /// `Accept-Language`.
    pub language: String,
    /// `Origin` of what it sends; none: it does not say.
    pub origin: Option<String>,
}

impl Browser {
    pub fn new(like: &Scim) -> Self {
        Self {
            client: like.with_token(None),
            cookies: BTreeMap::new(),
            form: String::new(),
            language: "en".to_owned(),
            origin: Some(PUBLIC_URL.to_owned()),
        }
    }

    /// The value of the session's cookie.
    pub fn session(&self) -> Option<&str> {
        self.cookies.get("__Host-rollcall").map(String::as_str)
    }

    /// Takes a session as a sign-in would give it.
    pub fn with_session(mut self, secret: &str) -> Self {
        self.cookies.insert("__Host-rollcall".to_owned(), secret.to_owned());
        self
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, None, None).await
    }

    /// Sends a form with the hidden field of the page that was loaded last.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = self.form.clone();
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair("form", &form).extend_pairs(fields);
        let body = body.finish();
        self.send(Method::POST, path, Some("application/x-www-form-urlencoded"), Some(body)).await
    }

    /// Sends JSON, or nothing, as a script of a page of ours would.
    pub async fn api(&mut self, method: Method, path: &str, body: Option<&serde_json::Value>) -> Answer {
        self.send(method, path, body.map(|_| "application/json"), body.map(ToString::to_string)).await
    }

    pub async fn send(&mut self, method: Method, path: &str, kind: Option<&str>, body: Option<String>) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let draft = self
            .client
            .request(method, "")
            .path(path)
            .header("cookie", (!cookies.is_empty()).then_some(cookies.as_str()))
            .header("accept", Some("text/html"))
            .header("accept-language", Some(&self.language))
            .header("content-type", kind)
            .header("origin", self.origin.as_deref())
            .header("user-agent", Some("Test browser"));
        let answer = draft.body(body.unwrap_or_default()).send().await;
        self.keep(&answer);
        answer
    }

    fn keep(&mut self, answer: &Answer) {
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().expect("text");
            let (pair, rest) = cookie.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let text = String::from_utf8_lossy(&answer.body);
        if let Some((_, rest)) = text.split_once("name=\"form\" value=\"") {
            rest.split('"').next().unwrap_or_default().clone_into(&mut self.form);
        }
    }
}

impl Answer {
    #[track_caller]
    pub fn has_status(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Where it leads.
    pub fn location(&self) -> &str {
        self.headers.get(header::LOCATION).map_or("", |value| value.to_str().expect("text"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
