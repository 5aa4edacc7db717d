//! A SCIM client that sends what it is told: no header, no spelling of its own.

use std::net::SocketAddr;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// The core schema of users.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The core schema of groups.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The enterprise extension.
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// The schema of errors.
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// An identity provider's side of a connection.
#[derive(Clone, Debug)]
pub struct Scim {
    address: SocketAddr,
    token: Option<String>,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Scim {
    pub fn new(address: SocketAddr, token: Option<&str>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            address,
            token: token.map(str::to_owned),
            client: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    /// The same client with another token, or with none.
    #[must_use]
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    pub fn token(&self) -> &str {
        self.token.as_deref().expect("a token")
    }

    /// A request to a path below `/scim/v2` (or to any path with [`Draft::at_root`]), with its query as it goes over the wire.
    pub fn request(&self, method: Method, path: &str) -> Draft {
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().expect("a header"));
        }
        Draft { scim: self.clone(), method, path: format!("/scim/v2{path}"), headers, body: Bytes::new() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path).json(body).send().await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::PUT, path).json(body).send().await
    }

    /// A PATCH with these operations.
    pub async fn patch(&self, path: &str, operations: &Value) -> Answer {
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
        self.request(Method::PATCH, path).json(&body).send().await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, path).send().await
    }

    /// The answer to a filter on `/Users` or `/Groups`, properly encoded.
    pub async fn filter(&self, path: &str, filter: &str) -> Answer {
        self.get(&format!("{path}?filter={}", encoded(filter))).await
    }

    /// The ids of what a filter finds, on one page.
    pub async fn found(&self, path: &str, filter: &str) -> Vec<String> {
        let path = format!("{path}?count=1000&attributes=id&filter={}", encoded(filter));
        let list = self.get(&path).await.expect(200);
        ids(&list["Resources"])
    }

    /// Makes an active user with a name and an address; returns the id.
    pub async fn add_user(&self, user_name: &str) -> String {
        let user = json!({
            "schemas": [USER], "userName": user_name, "active": true, "displayName": format!("Person {user_name}"),
            "name": {"givenName": "Person", "familyName": user_name},
            "emails": [{"value": user_name, "type": "work", "primary": true}],
        });
        self.post("/Users", &user).await.created()
    }

    /// Makes many users at once, `prefix0@acme.example` and so on; returns their ids in that order.
    pub async fn add_users(&self, prefix: &str, count: usize) -> Vec<String> {
        let users = (0..count).map(|n| {
            let name = format!("{prefix}{n}@acme.example");
            async move {
                let user = json!({"schemas": [USER], "userName": name, "active": true});
                self.post("/Users?attributes=id", &user).await.created()
            }
        });
        stream::iter(users).buffered(32).collect().await
    }

    /// Makes a group with these members (ids); returns the id.
    pub async fn add_group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
        let group = json!({"schemas": [GROUP], "displayName": name, "members": members});
        self.post("/Groups", &group).await.created()
    }

    pub async fn add_member(&self, group: &str, member: &str) {
        let operations = json!([{"op": "add", "path": "members", "value": [{"value": member}]}]);
        self.patch(&format!("/Groups/{group}"), &operations).await.expect_success();
    }

    pub async fn remove_member(&self, group: &str, member: &str) {
        let operations = json!([{"op": "remove", "path": format!("members[value eq \"{member}\"]")}]);
        self.patch(&format!("/Groups/{group}"), &operations).await.expect_success();
    }

    pub async fn set_active(&self, user: &str, active: bool) {
        let operations = json!([{"op": "replace", "path": "active", "value": active}]);
        self.patch(&format!("/Users/{user}"), &operations).await.expect(200);
    }

    /// The ids of a group's members, sorted.
    pub async fn members(&self, group: &str) -> Vec<String> {
        let group = self.get(&format!("/Groups/{group}")).await.expect(200);
        let mut members: Vec<String> = group["members"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|member| member["value"].as_str().expect("an id").to_owned())
            .collect();
        members.sort();
        members
    }
}

/// A request that is being put together.
#[derive(Debug)]
pub struct Draft {
    scim: Scim,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Draft {
    /// Takes the path as it stands, not below `/scim/v2`.
    #[must_use]
    pub fn at_root(mut self) -> Self {
        self.path = self.path.split_off("/scim/v2".len());
        self
    }

    /// Takes another path, as it stands.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Sets a header; none takes it away.
    #[must_use]
    pub fn header(mut self, name: &str, value: Option<&str>) -> Self {
        let name: http::HeaderName = name.parse().expect("a header name");
        match value {
            Some(value) => drop(self.headers.insert(name, value.parse().expect("a header value"))),
            None => drop(self.headers.remove(name)),
        }
        self
    }

    /// Sets a header to any bytes that a header can have.
    #[must_use]
    pub fn header_value(mut self, name: &'static str, value: http::HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// A JSON body with the content type of RFC 7644 §3.1.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.headers.insert(header::CONTENT_TYPE, "application/scim+json".parse().expect("a header"));
        self.body(body.to_string())
    }

    /// # Panics
    /// If there is no complete answer.
    pub async fn send(self) -> Answer {
        self.try_send().await.expect("an answer")
    }

    /// The answer, unless the connection broke before it was complete.
    pub async fn try_send(self) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let uri = format!("http://{}{}", self.scim.address, self.path);
        let mut request = Request::builder().method(self.method).uri(uri).body(Full::new(self.body))?;
        *request.headers_mut() = self.headers;
        let response = self.scim.client.request(request).await?;
        let (head, body) = response.into_parts();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.collect().await?.to_bytes() })
    }
}

impl Answer {
    /// The JSON body.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self}"))
    }

    /// The JSON body of an answer with this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    #[track_caller]
    pub fn expect_success(&self) {
        assert!((200..300).contains(&self.status), "{self}");
    }

    /// The id of what was created.
    #[track_caller]
    pub fn created(&self) -> String {
        self.expect(201)["id"].as_str().expect("an id").to_owned()
    }

    /// A SCIM Error body (RFC 7644 §3.12) of this status; returns its scimType and detail.
    #[track_caller]
    pub fn expect_error(&self, status: u16) -> (Option<String>, String) {
        let body = self.expect(status);
        assert_eq!(self.header("content-type"), Some("application/scim+json"), "{self}");
        assert_eq!(body["schemas"], json!([ERROR]), "{self}");
        assert_eq!(body["status"], json!(status.to_string()), "{self}");
        let detail = body["detail"].as_str().unwrap_or_else(|| panic!("no detail: {self}"));
        (body["scimType"].as_str().map(str::to_owned), detail.to_owned())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `totalResults` of a list.
    #[track_caller]
    pub fn total(&self) -> u64 {
        self.expect(200)["totalResults"].as_u64().unwrap_or_else(|| panic!("no total: {self}"))
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(f, "status {}, body {}", self.status, body.chars().take(2_000).collect::<String>())
    }
}

/// Percent-encodes a query value.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The ids of a list's resources, in their order.
pub fn ids(resources: &Value) -> Vec<String> {
    let resources = resources.as_array().expect("resources");
    resources.iter().map(|resource| resource["id"].as_str().expect("an id").to_owned()).collect()
}
