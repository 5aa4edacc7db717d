use wiremock::Mock;
use wiremock::matchers::{any, method, path, query_param};

use super::*;
use crate::taskrouter::{ETag, ErrorKind, PageToken, ReservationStatus, TaskRouter};

#[tokio::test]
async fn the_list_follows_next_page_url_absolute_or_relative() {
    let (server, client) = server().await;
    let second = format!("{}{WORKERS}?PageSize=1000&Page=1&PageToken=PTWK1", server.uri());
    let third = format!("{WORKERS}?PageToken=PTWK2");
    Mock::given(path(WORKERS))
        .and(query_param("PageToken", "PTWK2"))
        .respond_with(page(&[worker("WK3", "c", json!("{}"))], None))
        .mount(&server)
        .await;
    Mock::given(path(WORKERS))
        .and(query_param("PageToken", "PTWK1"))
        .respond_with(page(&[worker("WK2", "b", json!("{\"a\":1}"))], Some(&third)))
        .mount(&server)
        .await;
    Mock::given(path(WORKERS))
        .and(query_param("PageSize", "1000"))
        .respond_with(page(&[worker("WK1", "a", json!(null))], Some(&second)))
        .mount(&server)
        .await;
    let mut found = Vec::new();
    let mut page = client.list_workers(None).await.unwrap();
    loop {
        found.append(&mut page.workers);
        let Some(next) = page.next else { break };
        page = client.list_workers(Some(&next)).await.unwrap();
    }
    assert_eq!(found.iter().map(|worker| worker.sid.as_str()).collect::<Vec<_>>(), ["WK1", "WK2", "WK3"]);
    assert_eq!(found[0].attributes, None, "null means unknown");
    assert_eq!(found[1].attributes.as_ref().map(serde_json::Map::len), Some(1));
    assert_eq!(client.search_worker("nobody").await, Ok(None));
}

#[tokio::test]
async fn s62_a_next_page_on_another_host_is_refused() {
    let elsewhere = MockServer::start().await;
    Mock::given(any()).respond_with(page(&[], None)).expect(0).mount(&elsewhere).await;
    let (server, client) = server().await;
    let port = server.address().port();
    for next in [
        elsewhere.uri(),
        format!("http://localhost:{port}{WORKERS}?PageToken=x"),
        format!("https://127.0.0.1:{port}{WORKERS}?PageToken=x"),
        format!("http://user:pass@127.0.0.1:{port}{WORKERS}"),
        format!("//{}/x", elsewhere.address()),
        "https://taskrouter.twilio.com/v1/Workspaces".to_owned(),
        "file:///etc/passwd".to_owned(),
        "data:application/json,{}".to_owned(),
        "http://[".to_owned(),
    ] {
        server.reset().await;
        Mock::given(any()).respond_with(page(&[], Some(&next))).mount(&server).await;
        let error = client.list_workers(None).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Permanent, "{next}");
        // A token that was kept is checked again when it is used.
        let error = client.list_workers(Some(&PageToken::new(next.clone()))).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Permanent, "{next}");
    }
}

#[tokio::test]
async fn lists_that_never_end_are_given_up() {
    let (server, client) = server().await;
    let same = format!("{WORKERS}?PageSize=1000");
    Mock::given(any()).respond_with(page(&[], Some(&same))).mount(&server).await;
    assert_eq!(client.list_workers(None).await.unwrap_err().kind, ErrorKind::Permanent);
    server.reset().await;
    let pages = std::sync::atomic::AtomicU32::new(0);
    let ever_more = move |_: &wiremock::Request| {
        let number = pages.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let meta = json!({"key": "activities", "next_page_url": format!("{WORKERS}?PageToken={number}")});
        ResponseTemplate::new(200).set_body_json(json!({"meta": meta, "activities": []}))
    };
    Mock::given(any()).respond_with(ever_more).mount(&server).await;
    assert_eq!(client.activities().await.unwrap_err().kind, ErrorKind::Retryable);
}

#[tokio::test]
async fn entries_that_cannot_be_read_do_not_hide_the_others() {
    let (server, client) = server().await;
    let entries = [json!({"sid": "WK1"}), json!(null), worker("WK2", "b", json!("not json"))];
    Mock::given(any()).respond_with(page(&entries, None)).mount(&server).await;
    let page = client.list_workers(None).await.unwrap();
    assert_eq!(page.workers.len(), 1);
    assert_eq!(page.workers[0].attributes, None);
}

#[tokio::test]
async fn find_compares_names_itself_and_fetches_hidden_attributes() {
    let (server, client) = server().await;
    let found = worker(WORKER, "Ana@Acme.example", json!(null));
    Mock::given(path(WORKERS))
        .and(query_param("FriendlyName", "ana+1@acme.example"))
        .respond_with(page(&[worker("WK9", "bob@acme.example", json!("{}"))], None))
        .mount(&server)
        .await;
    Mock::given(path(WORKERS))
        .and(query_param("FriendlyName", "ana@acme.example"))
        .respond_with(page(&[worker("WK9", "ana@acme.example.org", json!("{}")), found], None))
        .mount(&server)
        .await;
    let whole = worker(WORKER, "Ana@Acme.example", json!("{\"theirs\":true}"));
    Mock::given(path(ONE))
        .respond_with(ResponseTemplate::new(200).set_body_json(whole).insert_header("etag", "\"7\""))
        .mount(&server)
        .await;
    let worker = client.find_worker("ana@acme.example").await.unwrap().unwrap();
    assert_eq!((worker.sid.as_str(), worker.etag.as_ref().map(ETag::as_str)), (WORKER, Some("\"7\"")));
    assert_eq!(worker.attributes.unwrap()["theirs"], true);
    assert_eq!(
        client.find_worker("ana+1@acme.example").await,
        Ok(None),
        "a filter that answers with others finds nobody"
    );
}

#[tokio::test]
async fn find_reads_everything_where_the_filter_is_ignored() {
    let (server, client) = server().await;
    let second = format!("{WORKERS}?PageToken=2");
    Mock::given(path(WORKERS))
        .and(query_param("PageToken", "2"))
        .respond_with(page(&[worker(WORKER, "ANA", json!("{}"))], None))
        .mount(&server)
        .await;
    let first = page(&[worker("WK9", "bob", json!("{}"))], Some(&second));
    Mock::given(path(WORKERS)).respond_with(first).mount(&server).await;
    let whole = ResponseTemplate::new(200).set_body_json(worker(WORKER, "ANA", json!("{}")));
    Mock::given(path(ONE)).respond_with(whole).mount(&server).await;
    assert_eq!(client.find_worker("ana").await.unwrap().unwrap().sid, sid());
}

#[tokio::test]
async fn reservations_channels_activities_and_the_workspace_are_read() {
    let (server, client) = server().await;
    for (status, shown) in [("pending", "pending"), ("accepted", "accepted"), ("wrapping", "completed")] {
        let reservation = json!({"sid": format!("WR-{status}"), "reservation_status": shown});
        let body = json!({"meta": {"key": "reservations"}, "reservations": [reservation]});
        Mock::given(path(format!("{ONE}/Reservations")))
            .and(query_param("ReservationStatus", status))
            .respond_with(ResponseTemplate::new(200).set_body_json(body))
            .mount(&server)
            .await;
    }
    let open = client.open_reservations(&sid()).await.unwrap();
    let open: Vec<_> = open.iter().map(|reservation| (reservation.sid.as_str(), reservation.status)).collect();
    assert_eq!(open, [("WR-pending", ReservationStatus::Pending), ("WR-accepted", ReservationStatus::Accepted)]);

    let channels = json!({"meta": {"key": "channels"}, "channels": [
        {"sid": "WC1", "task_channel_unique_name": "voice", "configured_capacity": 1, "available": true}]});
    Mock::given(path(format!("{ONE}/Channels")))
        .respond_with(ResponseTemplate::new(200).set_body_json(channels))
        .mount(&server)
        .await;
    let channels = client.channels(&sid()).await.unwrap();
    assert_eq!((channels[0].unique_name.as_str(), channels[0].channel.capacity), ("voice", 1));

    let root = format!("/v1/Workspaces/{WORKSPACE}");
    let activities = json!({"meta": {"key": "activities"}, "activities": [
        {"sid": "WA1", "friendly_name": "Offline", "available": false},
        {"sid": "WA2", "friendly_name": "Da", "available": true}]});
    Mock::given(path(format!("{root}/Activities")))
        .respond_with(ResponseTemplate::new(200).set_body_json(activities))
        .mount(&server)
        .await;
    let workspace = json!({"sid": WORKSPACE, "friendly_name": "Flex Task Assignment", "default_activity_sid": "WA1"});
    Mock::given(method("GET"))
        .and(path(root))
        .respond_with(ResponseTemplate::new(200).set_body_json(workspace))
        .mount(&server)
        .await;
    let activities = client.activities().await.unwrap();
    assert_eq!(activities.iter().map(|activity| activity.available).collect::<Vec<_>>(), [false, true]);
    assert_eq!(client.workspace().await.unwrap().default_activity_sid.as_ref(), Some(&activities[0].sid));
}
