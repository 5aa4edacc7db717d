use wiremock::matchers::{any, body_string, header, headers, method, path};
use wiremock::{Mock, Request};

use super::*;
use crate::taskrouter::{Channel, ETag, ErrorKind, Operation, TaskRouter};

fn made(status: u16) -> ResponseTemplate {
    let body = worker(WORKER, "ana@acme.example", json!("{\"roles\":[\"agent\"]}"));
    ResponseTemplate::new(status).set_body_json(body).insert_header("etag", "\"0\"")
}

#[tokio::test]
async fn creation_sends_a_minified_form_with_basic_auth() {
    let (server, client) = server().await;
    Mock::given(method("POST"))
        .and(path(WORKERS))
        .and(header("authorization", "Basic U0sxOmNhbmFyeS01ZWNyZXQ="))
        .and(body_string(
            "FriendlyName=ana%2B1%40acme.example&Attributes=%7B%22roles%22%3A%5B%22agent%22%5D%2C%22n%22%3A%22%C3%A9%26+%22%7D&ActivitySid=WA2",
        ))
        .respond_with(made(201))
        .expect(1)
        .mount(&server)
        .await;
    let attributes = json!({"roles": ["agent"], "n": "\u{e9}& "});
    let new = NewWorker {
        friendly_name: "ana+1@acme.example".to_owned(),
        attributes: attributes.as_object().unwrap().clone(),
        activity_sid: "WA2".parse().ok(),
    };
    let worker = client.create_worker(&new).await.unwrap();
    assert_eq!((worker.sid, worker.etag), (sid(), Some(ETag::new("\"0\""))));
    assert_eq!(client.stats().counts().of(Operation::CreateWorker), 1);
}

#[tokio::test]
async fn an_update_sends_only_what_changes() {
    let (server, client) = server().await;
    Mock::given(method("POST"))
        .and(path(ONE))
        .and(header("if-match", "\"3\""))
        .and(body_string("ActivitySid=WA1&RejectPendingReservations=true"))
        .respond_with(made(200))
        .expect(1)
        .mount(&server)
        .await;
    let update =
        WorkerUpdate { activity_sid: "WA1".parse().ok(), reject_pending_reservations: true, ..WorkerUpdate::default() };
    client.update_worker(&sid(), &update, Some(&ETag::new("\"3\""))).await.unwrap();
}

#[tokio::test]
async fn a_version_that_cannot_be_sent_is_stale() {
    let client = client("http://127.0.0.1:1");
    let error = client.delete_worker(&sid(), Some(&ETag::new("a\nb"))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stale);
}

#[tokio::test]
async fn deletion_expects_nothing_and_sends_the_version() {
    let (server, client) = server().await;
    Mock::given(method("DELETE"))
        .and(path(ONE))
        .and(headers("if-match", vec!["\"3\""]))
        .respond_with(ResponseTemplate::new(204))
        .expect(1)
        .mount(&server)
        .await;
    client.delete_worker(&sid(), Some(&ETag::new("\"3\""))).await.unwrap();
}

#[tokio::test]
async fn too_long_attributes_are_never_sent() {
    let (server, client) = server().await;
    Mock::given(any()).respond_with(made(201)).expect(1).mount(&server).await;
    let sized = |length: usize| json!({"a": "x".repeat(length - 8)}).as_object().unwrap().clone();
    let mut new = ana();
    new.attributes = sized(4097);
    assert_eq!(client.create_worker(&new).await.unwrap_err().kind, ErrorKind::Permanent);
    let update = WorkerUpdate { attributes: Some(sized(4097)), ..WorkerUpdate::default() };
    assert_eq!(client.update_worker(&sid(), &update, None).await.unwrap_err().kind, ErrorKind::Permanent);
    new.attributes = sized(4096);
    client.create_worker(&new).await.unwrap();
}

#[tokio::test]
async fn a_fetched_worker_shows_its_attributes_or_fails() {
    let (server, client) = server().await;
    for hidden in [json!(null), json!("[]"), json!("rubbish")] {
        server.reset().await;
        let answer = ResponseTemplate::new(200).set_body_json(worker(WORKER, "ana", hidden));
        Mock::given(any()).respond_with(answer).mount(&server).await;
        assert_eq!(client.fetch_worker(&sid()).await.unwrap_err().kind, ErrorKind::Permanent);
    }
}

#[tokio::test]
async fn channels_go_by_unique_name_and_fall_back_to_the_sid() {
    let (server, client) = server().await;
    let form = body_string("Capacity=3&Available=true");
    let ok = || ResponseTemplate::new(200).set_body_json(json!({"sid": "WC2"}));
    Mock::given(path(format!("{ONE}/Channels/chat"))).and(form).respond_with(ok()).expect(1).mount(&server).await;
    let by_sid = Mock::given(path(format!("{ONE}/Channels/WC1"))).and(body_string("Capacity=0&Available=false"));
    by_sid.respond_with(ok()).expect(1).mount(&server).await;
    let list = json!({"meta": {"key": "channels"}, "channels": [
        {"sid": "WC1", "task_channel_unique_name": "voice", "configured_capacity": 1, "available": true}]});
    let list = ResponseTemplate::new(200).set_body_json(list);
    Mock::given(method("GET")).and(path(format!("{ONE}/Channels"))).respond_with(list).mount(&server).await;
    Mock::given(any()).respond_with(refusal(404, 20404)).mount(&server).await;
    client.set_channel(&sid(), "chat", Channel { capacity: 3, available: true }).await.unwrap();
    let off = Channel { capacity: 0, available: false };
    client.set_channel(&sid(), "voice", off).await.unwrap();
    assert_eq!(client.set_channel(&sid(), "fax", off).await.unwrap_err().kind, ErrorKind::Permanent);
    assert_eq!(client.set_channel(&sid(), "../x?y", off).await.unwrap_err().kind, ErrorKind::Permanent);
}

#[tokio::test]
async fn a_base_url_may_have_a_path() {
    let server = MockServer::start().await;
    Mock::given(path(format!("/twilio{ONE}"))).respond_with(made(200)).expect(2).mount(&server).await;
    for base in [format!("{}/twilio", server.uri()), format!("{}/twilio/", server.uri())] {
        assert!(client(&base).fetch_worker(&sid()).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn calls_are_bounded_in_number() {
    let server = MockServer::start().await;
    let slow = move |_: &Request| made(200).set_delay(Duration::from_millis(300));
    Mock::given(any()).respond_with(slow).expect(2).mount(&server).await;
    let mut config = config(&server.uri());
    config.in_flight = 2;
    let client = TwilioTaskRouter::new(config, HttpClient::new().unwrap(), Ambient::system()).unwrap();
    let sid = sid();
    let (one, two, three) =
        tokio::join!(client.fetch_worker(&sid), client.fetch_worker(&sid), client.fetch_worker(&sid));
    let held: Vec<_> = [one, two, three].into_iter().filter_map(Result::err).collect();
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].kind, held[0].status), (ErrorKind::Retryable, None));
}
