use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;
use wiremock::matchers::{any, body_string, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{Body, Destination, HttpClient, HttpError, Request, SecretString};

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn get(target: &str) -> Request {
    Request::new(Method::GET, url(target), Destination::Operator)
}

/// Accepts connections, reads something, answers with `answer` and closes.
async fn raw_server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _read = stream.read(&mut buffer).await;
            let _written = stream.write_all(answer).await;
        }
    });
    format!("http://{address}/")
}

#[tokio::test]
async fn sends_form_json_headers_and_basic_auth() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(header("authorization", "Basic U0sxOnMzY3JldA=="))
        .and(header("content-type", "application/x-www-form-urlencoded"))
        .and(header("if-match", "\"3\""))
        .and(body_string("FriendlyName=Ana+Ru%C3%ADz%26Co"))
        .respond_with(ResponseTemplate::new(201).set_body_string("made").insert_header("etag", "\"0\""))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(header("content-type", "application/json"))
        .and(body_string(r#"{"a":1}"#))
        .respond_with(ResponseTemplate::new(204))
        .expect(1)
        .mount(&server)
        .await;
    let client = HttpClient::new().unwrap();
    let request = Request::new(Method::POST, url(&server.uri()), Destination::Operator)
        .basic_auth("SK1", &SecretString::from("s3cret"))
        .header(HeaderName::from_static("if-match"), HeaderValue::from_static("\"3\""))
        .body(Body::Form(vec![("FriendlyName".to_owned(), "Ana Ru\u{ed}z&Co".to_owned())]));
    assert!(!format!("{request:?}").contains("s3cret"));
    let answer = client.send(request).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (201, &b"made"[..]));
    assert_eq!(answer.header(&http::header::ETAG), Some("\"0\""));
    let request = Request::new(Method::POST, url(&server.uri()), Destination::Operator)
        .body(Body::Json(serde_json::json!({"a": 1})));
    assert_eq!(client.send(request).await.unwrap().status, 204);
}

#[tokio::test]
async fn says_who_it_is_unless_told_not_to() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let client = HttpClient::new().unwrap();
    client.send(get(&server.uri())).await.unwrap();
    let request = get(&server.uri())
        .without_header(&http::header::USER_AGENT)
        .body(Body::Other(HeaderValue::from_static("application/scim+json"), bytes::Bytes::from_static(b"{}")));
    client.send(request).await.unwrap();
    let seen = server.received_requests().await.unwrap();
    assert_eq!(seen[0].headers["user-agent"], concat!("rollcall/", env!("CARGO_PKG_VERSION")));
    assert_eq!(seen[1].headers.get("user-agent"), None);
    assert_eq!(seen[1].headers.get_all("content-type").iter().collect::<Vec<_>>(), ["application/scim+json"]);
    assert_eq!(seen[1].body, b"{}");
}

#[tokio::test]
async fn s62_redirects_are_answers_and_not_followed() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(302).insert_header("location", "http://169.254.169.254/"))
        .expect(1)
        .mount(&server)
        .await;
    assert_eq!(HttpClient::new().unwrap().send(get(&server.uri())).await.unwrap().status, 302);
}

#[tokio::test]
async fn s62_a_name_that_leads_to_a_private_address_is_refused_after_resolution() {
    // The check before resolution lets every name pass: what counts is where it leads.
    let request = Request::new(Method::GET, url("https://localhost:1/"), Destination::Public);
    let failure = HttpClient::new().unwrap().send(request).await.unwrap_err();
    assert_eq!(failure, HttpError::Refused("the name leads to a private address"));
    assert!(failure.surely_not_processed());
}

#[tokio::test]
async fn s17_identity_providers_on_this_machine_are_reached_by_the_development_switch_only() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).expect(1).mount(&server).await;
    let client = HttpClient::new().unwrap();
    let ask = |allow| {
        let destination = Destination::of_administrators(allow);
        client.send(Request::to_identity_provider(Method::GET, url(&server.uri()), destination))
    };
    assert_eq!(ask(false).await.unwrap_err(), HttpError::Refused("not HTTPS"));
    assert_eq!(ask(true).await.unwrap().status, 200);
}

#[tokio::test]
async fn s17_the_development_switch_follows_no_redirect_and_reads_no_large_answer() {
    let server = MockServer::start().await;
    let target = "http://169.254.169.254/latest/meta-data";
    let redirect = ResponseTemplate::new(302).insert_header("location", target);
    Mock::given(path("/redirect")).respond_with(redirect).expect(1).mount(&server).await;
    let large = ResponseTemplate::new(200).set_body_bytes(vec![b'x'; Request::IDENTITY_PROVIDER_CAP + 1]);
    Mock::given(path("/large")).respond_with(large).expect(1).mount(&server).await;
    let client = HttpClient::new().unwrap();
    let ask = |at: &str| {
        let target = url(&format!("{}{at}", server.uri()));
        client.send(Request::to_identity_provider(Method::GET, target, Destination::PublicOrLoopback))
    };
    assert_eq!(ask("/redirect").await.unwrap().status, 302);
    assert_eq!(ask("/large").await.unwrap_err(), HttpError::TooLarge(Request::IDENTITY_PROVIDER_CAP));
}

#[tokio::test]
async fn a_refused_connection_is_surely_not_processed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failure = HttpClient::new().unwrap().send(get(&format!("http://{address}/"))).await.unwrap_err();
    assert!(matches!(failure, HttpError::NotSent(_)), "{failure:?}");
    assert!(failure.surely_not_processed());
}

#[tokio::test]
async fn a_cut_connection_leaves_doubt() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nConte",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"a\"",
        b"rubbish\r\n\r\n",
    ] {
        let target = raw_server(answer).await;
        let failure = HttpClient::new().unwrap().send(get(&target)).await.unwrap_err();
        assert!(matches!(failure, HttpError::Broken(_)), "{failure:?}");
        assert!(!failure.surely_not_processed() && !failure.to_string().contains("127.0.0.1"), "{failure}");
    }
}

#[tokio::test]
async fn a_slow_answer_times_out() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_delay(Duration::from_secs(30))).mount(&server).await;
    let request = get(&server.uri()).timeout(Duration::from_millis(100));
    assert_eq!(HttpClient::new().unwrap().send(request).await.unwrap_err(), HttpError::Timeout);
}

#[tokio::test]
async fn a_body_that_stops_midway_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4096];
        let _read = stream.read(&mut buffer).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"a\"").await.unwrap();
        std::future::pending::<()>().await;
    });
    let request = get(&format!("http://{address}/")).timeout(Duration::from_millis(100));
    assert_eq!(HttpClient::new().unwrap().send(request).await.unwrap_err(), HttpError::Timeout);
}

#[tokio::test]
async fn a_large_answer_is_cut_off() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_bytes(vec![b'x'; 5000])).mount(&server).await;
    let client = HttpClient::new().unwrap();
    assert_eq!(client.send(get(&server.uri()).cap(5000)).await.unwrap().body.len(), 5000);
    assert_eq!(client.send(get(&server.uri()).cap(4999)).await.unwrap_err(), HttpError::TooLarge(4999));
}
