//! The stand-in through its own routes, in the process and over a socket.

mod durability;
mod faults;
mod flex;
mod people;
mod queues;
mod robustness;
mod socket;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{StandIn, StandInOptions};
use crate::base::{Ambient, MockClock, SeededEntropy, Timestamp};

/// 2026-01-31T08:30:00Z
const START: i64 = 1_769_848_200_000;

struct Subject {
    stand_in: Arc<StandIn>,
    clock: Arc<MockClock>,
    workspace: String,
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
    json: Value,
}

impl Answer {
    #[track_caller]
    fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json
    }

    #[track_caller]
    fn refused(&self, status: u16, code: u32) {
        assert_eq!(
            (self.status.as_u16(), self.json["code"].as_u64()),
            (status, Some(u64::from(code))),
            "{}",
            self.text
        );
        assert_eq!(self.json["status"], status);
        assert!(self.json["message"].is_string() && self.json["more_info"].is_string());
    }
}

impl Subject {
    fn new() -> Self {
        Self::open(StandInOptions::default(), 1)
    }

    fn open(options: StandInOptions, seed: u64) -> Self {
        let clock = Arc::new(MockClock::new(Timestamp::from_millis(START)));
        let ambient = Ambient::new(clock.clone(), Arc::new(SeededEntropy::new(seed)));
        let stand_in = StandIn::open(options, ambient).unwrap();
        let workspace = format!("/v1/Workspaces/{}", stand_in.credentials().workspace_sid);
        Self { stand_in, clock, workspace }
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.stand_in.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = match body.collect().await {
            Ok(body) => String::from_utf8(body.to_bytes().to_vec()).unwrap(),
            Err(error) => format!("cut: {error}"),
        };
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: parts.status, headers: parts.headers, text, json }
    }

    fn request(method: &str, path: &str) -> Builder {
        let basic = format!("Basic {}", STANDARD.encode("SKany:secret"));
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "stand-in:1")
            .header(header::AUTHORIZATION, basic)
    }

    /// `path` is below the workspace, or absolute when it begins with `/v` or `/_`, or as `next_page_url` gives it.
    async fn get(&self, path: &str) -> Answer {
        self.send(Self::request("GET", &self.path(path)).body(Body::empty()).unwrap()).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(Self::request("DELETE", &self.path(path)).body(Body::empty()).unwrap()).await
    }

    async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.form_if(path, fields, None).await
    }

    async fn form_if(&self, path: &str, fields: &[(&str, &str)], if_match: Option<&str>) -> Answer {
        let request = Self::request("POST", &self.path(path));
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = if_match.into_iter().fold(request, |request, tag| request.header(header::IF_MATCH, tag));
        self.send(request.body(Body::from(serde_urlencoded::to_string(fields).unwrap())).unwrap()).await
    }

    async fn json(&self, path: &str, body: Value) -> Answer {
        let request = Self::request("POST", &self.path(path)).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    fn path(&self, path: &str) -> String {
        if path.starts_with("/v") || path.starts_with("/_") {
            return path.to_owned();
        }
        path.strip_prefix("http://stand-in:1").map_or_else(|| format!("{}{path}", self.workspace), str::to_owned)
    }

    /// Makes a worker, returns its SID.
    async fn worker(&self, name: &str, attributes: &Value) -> String {
        let made = self.form("/Workers", &[("FriendlyName", name), ("Attributes", &attributes.to_string())]).await;
        made.expect(201)["sid"].as_str().unwrap().to_owned()
    }

    async fn activity(&self, name: &str) -> String {
        let list = self.get(&format!("/Activities?FriendlyName={name}")).await.expect(200);
        list["activities"][0]["sid"].as_str().unwrap().to_owned()
    }
}
