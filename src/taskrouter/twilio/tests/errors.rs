use http::Method;
use wiremock::matchers::{any, method, path};
use wiremock::{Mock, Request};

use super::*;
use crate::taskrouter::twilio::TwilioConfigError;
use crate::taskrouter::{Channel, ErrorKind, Operation, Result, TaskRouter, TaskRouterError};

/// Every call once, with the failure that it gives.
async fn every_call(client: &TwilioTaskRouter) -> Vec<TaskRouterError> {
    fn failure<T>(result: Result<T>) -> TaskRouterError {
        match result {
            Ok(_) => panic!("every call should fail"),
            Err(error) => error,
        }
    }
    vec![
        failure(client.workspace().await),
        failure(client.activities().await),
        failure(client.fetch_worker(&sid()).await),
        failure(client.find_worker("ana@acme.example").await),
        failure(client.list_workers(None).await),
        failure(client.create_worker(&ana()).await),
        failure(client.update_worker(&sid(), &nothing(), None).await),
        failure(client.delete_worker(&sid(), None).await),
        failure(client.channels(&sid()).await),
        failure(client.set_channel(&sid(), "voice", Channel { capacity: 1, available: true }).await),
        failure(client.open_reservations(&sid()).await),
    ]
}

async fn all_are(answer: ResponseTemplate, reads: ErrorKind, writes: ErrorKind) -> Vec<TaskRouterError> {
    let (server, client) = server().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let errors = every_call(&client).await;
    check(&errors, reads, writes);
    errors
}

fn check(errors: &[TaskRouterError], reads: ErrorKind, writes: ErrorKind) {
    for (error, operation) in errors.iter().zip(Operation::ALL) {
        let expected = if operation.is_write() { writes } else { reads };
        assert_eq!((error.operation, error.kind), (operation, expected), "{error}");
    }
}

#[tokio::test]
async fn a_429_was_not_processed() {
    let errors = all_are(refusal(429, 20429), ErrorKind::Retryable, ErrorKind::Retryable).await;
    assert!(errors.iter().all(|error| error.retry_after.is_none_or(|wait| wait < Duration::from_secs(1))));
    let (server, client) = server().await;
    Mock::given(any()).respond_with(html(429).insert_header("retry-after", "7")).expect(1).mount(&server).await;
    let error = client.create_worker(&ana()).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after), (ErrorKind::Retryable, Some(Duration::from_secs(7))));
    // The next call is held back by the same request to wait, and never leaves.
    let error = client.fetch_worker(&sid()).await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::Retryable, None));
    assert!(error.retry_after.is_some_and(|wait| wait > Duration::from_secs(6)), "{error:?}");
    let counts = client.stats().counts();
    assert_eq!((counts.total(), counts.throttled, counts.held_back), (1, 1, 1));
}

#[tokio::test]
async fn a_server_error_leaves_writes_in_doubt() {
    for answer in [html(500), html(502), ResponseTemplate::new(500), refusal(500, 20500), refusal(503, 20503)] {
        all_are(answer, ErrorKind::Retryable, ErrorKind::Ambiguous).await;
    }
    let answer = refusal(503, 20503).insert_header("retry-after", "2");
    let errors = all_are(answer, ErrorKind::Retryable, ErrorKind::Ambiguous).await;
    assert!(errors.iter().all(|error| error.retry_after == Some(Duration::from_secs(2))));
}

#[tokio::test]
async fn html_instead_of_json_proves_nothing() {
    let errors = all_are(html(200), ErrorKind::Retryable, ErrorKind::Ambiguous).await;
    assert!(errors.iter().all(|error| error.message.contains("text/html") && !error.message.contains('<')));
    all_are(html(201), ErrorKind::Retryable, ErrorKind::Ambiguous).await;
}

#[tokio::test]
async fn unexpected_json_proves_nothing() {
    let (server, client) = server().await;
    for body in ["[]", "{}", "null", "{\"sid\":\"../../x\",\"friendly_name\":\"a\"}", "{\"sid\":\"WK1\"", ""] {
        server.reset().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string(body)).mount(&server).await;
        assert_eq!(client.create_worker(&ana()).await.unwrap_err().kind, ErrorKind::Ambiguous, "{body}");
        assert_eq!(client.fetch_worker(&sid()).await.unwrap_err().kind, ErrorKind::Retryable, "{body}");
        assert_eq!(client.list_workers(None).await.unwrap_err().kind, ErrorKind::Retryable, "{body}");
    }
}

#[tokio::test]
async fn cut_connections_and_late_answers_leave_writes_in_doubt() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 201 Cre",
        b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{\"sid\":\"WK",
        b"\x16\x03\x01rubbish",
    ] {
        let errors = every_call(&cut_server(answer).await).await;
        check(&errors, ErrorKind::Retryable, ErrorKind::Ambiguous);
    }
    let (server, client) = server().await;
    let slow =
        ResponseTemplate::new(201).set_body_json(worker(WORKER, "ana", json!("{}"))).set_delay(Duration::from_secs(9));
    Mock::given(any()).respond_with(slow).mount(&server).await;
    let errors = [client.create_worker(&ana()).await.unwrap_err(), client.fetch_worker(&sid()).await.unwrap_err()];
    assert_eq!(errors.each_ref().map(|error| error.kind), [ErrorKind::Ambiguous, ErrorKind::Retryable]);
}

#[tokio::test]
async fn without_a_connection_nothing_happened() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let errors = every_call(&client(&format!("http://{address}"))).await;
    check(&errors, ErrorKind::Retryable, ErrorKind::Retryable);
}

#[tokio::test]
async fn refused_credentials_are_told_apart() {
    for answer in [refusal(401, 20003), ResponseTemplate::new(401), ResponseTemplate::new(403)] {
        all_are(answer, ErrorKind::Unauthorized, ErrorKind::Unauthorized).await;
    }
    // A key that may not do one thing can still do others.
    all_are(refusal(403, 20403), ErrorKind::Permanent, ErrorKind::Permanent).await;
}

#[tokio::test]
async fn a_404_is_the_worker_or_the_workspace() {
    let (server, client) = server().await;
    Mock::given(any()).respond_with(refusal(404, 20404)).mount(&server).await;
    assert_eq!(client.fetch_worker(&sid()).await, Ok(None));
    let channel = Channel { capacity: 1, available: true };
    for kind in [
        client.update_worker(&sid(), &nothing(), None).await.unwrap_err().kind,
        client.delete_worker(&sid(), None).await.unwrap_err().kind,
        client.set_channel(&sid(), "voice", channel).await.unwrap_err().kind,
        client.channels(&sid()).await.unwrap_err().kind,
        client.open_reservations(&sid()).await.unwrap_err().kind,
    ] {
        assert_eq!(kind, ErrorKind::NotFound);
    }
    for kind in [
        client.workspace().await.unwrap_err().kind,
        client.activities().await.unwrap_err().kind,
        client.find_worker("ana").await.unwrap_err().kind,
        client.list_workers(None).await.unwrap_err().kind,
        client.create_worker(&ana()).await.unwrap_err().kind,
    ] {
        assert_eq!(kind, ErrorKind::Unauthorized);
    }
}

#[tokio::test]
async fn s49_a_404_page_of_a_proxy_is_no_proof_that_a_worker_is_gone() {
    let (server, client) = server().await;
    Mock::given(any()).respond_with(html(404)).mount(&server).await;
    assert_eq!(client.fetch_worker(&sid()).await.unwrap_err().kind, ErrorKind::Retryable);
    assert_eq!(client.delete_worker(&sid(), None).await.unwrap_err().kind, ErrorKind::Ambiguous);
    // The same page from a host whose worker list answers is TaskRouter's own.
    server.reset().await;
    Mock::given(path(ONE)).respond_with(html(404)).mount(&server).await;
    Mock::given(path(WORKERS)).respond_with(page(&[], None)).mount(&server).await;
    assert_eq!(client.fetch_worker(&sid()).await, Ok(None));
}

#[tokio::test]
async fn taken_names_stale_versions_and_blocked_deletions() {
    let rename = WorkerUpdate { friendly_name: Some("ana".to_owned()), ..WorkerUpdate::default() };
    for (status, code) in [(400, 20001), (409, 20409)] {
        let (server, client) = server().await;
        Mock::given(any()).respond_with(refusal(status, code)).mount(&server).await;
        let error = client.create_worker(&ana()).await.unwrap_err();
        assert_eq!((error.kind, error.status, error.code), (ErrorKind::Conflict, Some(status), Some(code)));
        assert_eq!(client.update_worker(&sid(), &rename, None).await.unwrap_err().kind, ErrorKind::Conflict);
        assert_eq!(client.delete_worker(&sid(), None).await.unwrap_err().kind, ErrorKind::Blocked);
    }
    let (server, client) = server().await;
    Mock::given(any()).respond_with(refusal(412, 20412)).mount(&server).await;
    assert_eq!(client.update_worker(&sid(), &nothing(), None).await.unwrap_err().kind, ErrorKind::Stale);
    assert_eq!(client.delete_worker(&sid(), None).await.unwrap_err().kind, ErrorKind::Stale);
    server.reset().await;
    Mock::given(any()).respond_with(refusal(400, 20001)).mount(&server).await;
    assert_eq!(client.update_worker(&sid(), &nothing(), None).await.unwrap_err().kind, ErrorKind::Permanent);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = MockServer::start().await;
    Mock::given(any()).respond_with(page(&[], None)).expect(0).mount(&elsewhere).await;
    let answer = ResponseTemplate::new(307).insert_header("location", elsewhere.uri());
    all_are(answer, ErrorKind::Retryable, ErrorKind::Retryable).await;
}

#[tokio::test]
async fn s59_the_secret_is_in_no_error_and_no_debug_text() {
    let (server, client) = server().await;
    let echo = |request: &Request| {
        let message = format!("you sent {SECRET} to {}", request.url.path());
        ResponseTemplate::new(400).set_body_json(json!({"code": 20001, "message": message}))
    };
    Mock::given(method(Method::POST)).respond_with(echo).mount(&server).await;
    let error = client.create_worker(&ana()).await.unwrap_err();
    assert!(error.message.contains("[secret]"));
    for text in [format!("{error} {error:?}"), format!("{client:?}"), format!("{:?}", config("http://127.0.0.1:1"))] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn only_usable_configurations_make_a_client() {
    let make = |config| TwilioTaskRouter::new(config, HttpClient::new().unwrap(), Ambient::system()).map(drop);
    assert_eq!(make(config("https://taskrouter.twilio.com")), Ok(()));
    assert_eq!(make(config("http://localhost:9000/prefix/")), Ok(()));
    for base in ["http://taskrouter.twilio.com", "https://user:pass@taskrouter.twilio.com", "ftp://localhost/"] {
        assert!(matches!(make(config(base)), Err(TwilioConfigError::BaseUrl(_))), "{base}");
    }
    assert_eq!(make(config("https://taskrouter.twilio.com?x=1")), Err(TwilioConfigError::NotABase));
    let mut bad = config("https://taskrouter.twilio.com");
    bad.workspace_sid = "../Accounts".to_owned();
    assert_eq!(make(bad), Err(TwilioConfigError::WorkspaceSid("../Accounts".to_owned())));
}
