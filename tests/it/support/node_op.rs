//! The npm package oidc-provider as an identity provider, and a browser that follows it. `script/oidc-provider` installs it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// A provider in a process of its own, which ends with the test.
pub struct NodeOp {
    pub issuer: String,
    _process: Child,
    _lifeline: ChildStdin,
}

impl NodeOp {
    /// Starts a provider that knows these clients (OpenID Connect Dynamic Client Registration 1.0 §2).
    pub async fn start(clients: &Value) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/oidc-provider");
        let mut process = Command::new("node")
            .arg(folder.join("server.mjs"))
            .arg(json!({ "clients": clients }).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts; script/oidc-provider runs these tests");
        let lifeline = process.stdin.take().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let said = lines.next_line().await.unwrap().expect("the provider says where it is; see script/oidc-provider");
        let said: Value = serde_json::from_str(&said).unwrap();
        Self { issuer: said["issuer"].as_str().unwrap().to_owned(), _process: process, _lifeline: lifeline }
    }

    /// Replaces the provider's keys.
    pub async fn rotate(&self) {
        let answer = Browser::new().send(Method::POST, &format!("{}/test/rotate", self.issuer), "").await;
        assert_eq!(answer.status, 204);
    }
}

/// A browser with cookies that follows redirects within the provider.
pub struct Browser {
    client: Client<HttpConnector, Full<Bytes>>,
    cookies: BTreeMap<String, String>,
}

/// An answer that the browser got.
pub struct Page {
    pub status: u16,
    pub location: Option<String>,
    pub body: String,
}

impl Browser {
    pub fn new() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), cookies: BTreeMap::new() }
    }

    /// Follows a sign-in until it leads to `redirect_uri`: the query that comes there.
    pub async fn sign_in(&mut self, url: &str, redirect_uri: &str) -> String {
        let end = self.follow(url, redirect_uri).await.expect("the provider sends the browser back");
        end.split_once('?').expect("a query").1.to_owned()
    }

    /// Follows a sign-out, and agrees to it: where it ends.
    pub async fn sign_out(&mut self, url: &str, back_to: &str) -> Option<String> {
        let page = self.send(Method::GET, url, "").await;
        let token = page.body.split("name=\"xsrf\" value=\"").nth(1).expect("a form").split('"').next().unwrap();
        let confirm = format!("{}/confirm", url.split('?').next().unwrap());
        let page = self.send(Method::POST, &confirm, &format!("xsrf={token}&logout=yes")).await;
        page.location.filter(|location| location.starts_with(back_to))
    }

    async fn follow(&mut self, url: &str, until: &str) -> Option<String> {
        let mut url = url::Url::parse(url).unwrap();
        for _ in 0..10 {
            let location = self.send(Method::GET, url.as_str(), "").await.location?;
            if location.starts_with(until) {
                return Some(location);
            }
            url = url.join(&location).unwrap();
        }
        None
    }

    async fn send(&mut self, method: Method, url: &str, form: &str) -> Page {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::COOKIE, cookies.join("; "))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(form.to_owned()))
            .unwrap();
        let (head, body) = self.client.request(request).await.unwrap().into_parts();
        self.keep_cookies(&head.headers);
        let location = head.headers.get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned());
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Page { status: head.status.as_u16(), location, body }
    }

    fn keep_cookies(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}
