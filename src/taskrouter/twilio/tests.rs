//! The client against answers of every kind: wiremock where HTTP is spoken, raw sockets where it is not.

mod errors;
mod lists;
mod stand_in;
mod workers;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;
use wiremock::{MockServer, ResponseTemplate};

use super::{TwilioConfig, TwilioTaskRouter};
use crate::base::Ambient;
use crate::net::{HttpClient, SecretString};
use crate::taskrouter::{NewWorker, WorkerSid, WorkerUpdate};

const WORKSPACE: &str = "WS00000000000000000000000000000001";
const WORKER: &str = "WK00000000000000000000000000000001";
const WORKERS: &str = "/v1/Workspaces/WS00000000000000000000000000000001/Workers";
const ONE: &str = "/v1/Workspaces/WS00000000000000000000000000000001/Workers/WK00000000000000000000000000000001";
const SECRET: &str = "canary-5ecret";
const HTML: &str = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>";

fn config(base: &str) -> TwilioConfig {
    let secret = SecretString::from(SECRET);
    let mut config = TwilioConfig::new(Url::parse(base).unwrap(), WORKSPACE, "SK1", secret);
    config.call_timeout = Duration::from_millis(500);
    config.patience = Duration::from_millis(100);
    config
}

fn client(base: &str) -> TwilioTaskRouter {
    TwilioTaskRouter::new(config(base), HttpClient::new().unwrap(), Ambient::system()).unwrap()
}

async fn server() -> (MockServer, TwilioTaskRouter) {
    let server = MockServer::start().await;
    let client = client(&server.uri());
    (server, client)
}

/// Reads a request, writes `answer` and closes: a cut connection.
async fn cut_server(answer: &'static [u8]) -> TwilioTaskRouter {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 8192];
            let _read = stream.read(&mut buffer).await;
            let _written = stream.write_all(answer).await;
        }
    });
    client(&format!("http://{address}"))
}

fn sid() -> WorkerSid {
    WORKER.parse().unwrap()
}

fn ana() -> NewWorker {
    NewWorker { friendly_name: "ana@acme.example".to_owned(), ..NewWorker::default() }
}

fn nothing() -> WorkerUpdate {
    WorkerUpdate { attributes: Some(serde_json::Map::new()), ..WorkerUpdate::default() }
}

/// A worker as `TaskRouter` shows it; `attributes` is what stands in that field.
fn worker(sid: &str, name: &str, attributes: impl Into<Value>) -> Value {
    let attributes: Value = attributes.into();
    json!({
        "sid": sid, "account_sid": "AC1", "workspace_sid": WORKSPACE, "friendly_name": name, "attributes": attributes,
        "activity_sid": "WA00000000000000000000000000000001", "activity_name": "Offline", "available": false,
        "date_created": "2026-01-31T08:30:00Z", "date_updated": "2026-01-31T08:30:00Z",
        "date_status_changed": "2026-01-31T08:30:00Z", "url": "https://taskrouter.twilio.com/x", "links": {},
    })
}

fn page(workers: &[Value], next: Option<&str>) -> ResponseTemplate {
    let meta = json!({"key": "workers", "page": 0, "page_size": 50, "next_page_url": next});
    ResponseTemplate::new(200).set_body_json(json!({"meta": meta, "workers": workers}))
}

fn refusal(status: u16, code: u32) -> ResponseTemplate {
    let body =
        json!({"code": code, "message": "said so", "more_info": "https://www.twilio.com/docs", "status": status});
    ResponseTemplate::new(status).set_body_json(body)
}

fn html(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(HTML, "text/html; charset=utf-8")
}
