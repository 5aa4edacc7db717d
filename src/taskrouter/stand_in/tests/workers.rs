use serde_json::json;

use super::*;
use crate::taskrouter::stand_in::Behaviour;

#[tokio::test]
async fn a_worker_begins_offline_and_empty() {
    let it = Subject::new();
    let made = it.form("/Workers", &[("FriendlyName", "Ana@acme.example")]).await;
    assert_eq!(made.headers[header::ETAG], "\"0\"");
    let worker = made.expect(201);
    let sid = worker["sid"].as_str().unwrap();
    assert!(sid.starts_with("WK") && sid.len() == 34);
    assert_eq!(worker["attributes"], "{}");
    assert_eq!((&worker["activity_name"], &worker["available"]), (&json!("Offline"), &json!(false)));
    assert_eq!(worker["date_created"], "2026-01-31T08:30:00Z");
    assert_eq!(it.get(&format!("/Workers/{sid}")).await.expect(200), worker);
    let call = it.stand_in.calls().latest[0].clone();
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/v1/Workspaces/{workspace}/Workers"));
    assert_eq!((call.worker_sid.as_deref(), call.status, call.processed), (Some(sid), 201, true));
}

#[tokio::test]
async fn names_are_unique_without_case() {
    let it = Subject::new();
    let ana = it.worker("ana", &json!({})).await;
    let again = it.form("/Workers", &[("FriendlyName", "ANA")]).await;
    again.refused(400, 20001);
    assert!(again.json["message"].as_str().unwrap().contains("already exists"));
    // Its own name in another case is no duplicate; the name that a rename gives up is free.
    it.form(&format!("/Workers/{ana}"), &[("FriendlyName", "Ana")]).await.expect(200);
    it.form(&format!("/Workers/{ana}"), &[("FriendlyName", "anna")]).await.expect(200);
    let other = it.worker("ana", &json!({})).await;
    it.form(&format!("/Workers/{other}"), &[("FriendlyName", "ANNA")]).await.refused(400, 20001);
    let found = it.get("/Workers?FriendlyName=ANNA").await.expect(200);
    assert_eq!(found["workers"][0]["sid"], ana.as_str());
    it.stand_in.set_behaviour(Behaviour { name_filter_minds_case: true, ..Behaviour::default() });
    assert_eq!(it.get("/Workers?FriendlyName=ANNA").await.expect(200)["workers"], json!([]));
    it.delete(&format!("/Workers/{other}")).await.expect(204);
    it.worker("aNa", &json!({})).await;
}

#[tokio::test]
async fn attributes_are_an_object_replaced_whole_and_bounded() {
    let it = Subject::new();
    let ana = it.worker("ana", &json!({"a": 1, "b": 2})).await;
    let path = format!("/Workers/{ana}");
    let spaced = "{ \"c\":\"https:\\/\\/x\" }";
    assert_eq!(it.form(&path, &[("Attributes", spaced)]).await.expect(200)["attributes"], spaced);
    assert_eq!(it.stand_in.worker_named("ana").unwrap().attributes["c"], "https://x");
    for bad in ["[]", "1", "{", "null", "{\"a\":1}x", &format!("{}1{}", "{\"a\":".repeat(300), "}".repeat(300))] {
        it.form(&path, &[("Attributes", bad)]).await.refused(400, 20001);
    }
    // Characters count, not bytes, and white space counts.
    let long = |filler: &str, times: usize| format!("{{\"a\":\"{}\"}}", filler.repeat(times));
    it.form(&path, &[("Attributes", &long("\u{e9}", 4096 - 8))]).await.expect(200);
    it.form(&path, &[("Attributes", &long(" ", 4096 - 7))]).await.refused(400, 20001);
    // What is left out stays.
    it.form(&path, &[("Attributes", "{\"k\":1}")]).await.expect(200);
    it.form(&path, &[("FriendlyName", "ana2")]).await.expect(200);
    assert_eq!(it.stand_in.worker_named("ana2").unwrap().attributes["k"], 1);
}

#[tokio::test]
async fn stale_versions_are_refused() {
    let it = Subject::new();
    let path = format!("/Workers/{}", it.worker("ana", &json!({})).await);
    let update = [("Attributes", "{\"a\":1}")];
    let first = it.form_if(&path, &update, Some("\"0\"")).await;
    assert_eq!(first.headers[header::ETAG], "\"1\"");
    it.form_if(&path, &update, Some("\"0\"")).await.refused(412, 20412);
    it.form_if(&path, &update, Some("1")).await.expect(200);
    it.form_if(&path, &update, Some("*")).await.expect(200);
    let delete = |tag: &str| Subject::request("DELETE", &it.path(&path)).header(header::IF_MATCH, tag);
    it.send(delete("\"1\"").body(Body::empty()).unwrap()).await.refused(412, 20412);
    it.stand_in.set_behaviour(Behaviour { etags: false, ..Behaviour::default() });
    let unversioned = it.form_if(&path, &update, Some("\"0\"")).await;
    assert!(unversioned.headers.get(header::ETAG).is_none());
    it.send(delete("\"1\"").body(Body::empty()).unwrap()).await.expect(204);
}

#[tokio::test]
async fn lists_are_walked_by_the_link_to_the_next_page() {
    let it = Subject::new();
    for n in 0..25 {
        it.worker(&format!("w{n}"), &json!({"n": n})).await;
    }
    let mut names = Vec::new();
    let mut next = Some("/Workers?PageSize=10&Available=false".to_owned());
    let mut pages = 0;
    while let Some(url) = next {
        let page = it.get(&url).await.expect(200);
        assert_eq!(page["meta"]["key"], "workers");
        let workers = page["workers"].as_array().unwrap();
        names.extend(workers.iter().map(|worker| worker["friendly_name"].as_str().unwrap().to_owned()));
        next = page["meta"]["next_page_url"].as_str().map(str::to_owned);
        pages += 1;
    }
    names.sort();
    names.dedup();
    assert_eq!((names.len(), pages), (25, 3));
    for bad in ["PageSize=0", "PageSize=1001", "PageSize=x", "Page=1", "PageToken=PAzz", "PageToken=x", "Ordering=Sid"]
    {
        it.get(&format!("/Workers?{bad}")).await.refused(400, 20001);
    }
    it.stand_in.set_behaviour(Behaviour { attributes_in_lists: false, ..Behaviour::default() });
    assert_eq!(it.get("/Workers").await.expect(200)["workers"][0]["attributes"], Value::Null);
}

#[tokio::test]
async fn a_list_can_be_ordered_by_the_change_of_status() {
    let it = Subject::new();
    let available = it.activity("Available").await;
    let mut sids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        it.pass(1);
        sids.push(it.worker(name, &json!({})).await);
    }
    it.pass(1);
    it.form(&format!("/Workers/{}", sids[0]), &[("ActivitySid", &available)]).await.expect(200);
    let mut names = String::new();
    let mut next = Some("/Workers?PageSize=1&Ordering=DateStatusChanged:desc".to_owned());
    while let Some(url) = next {
        let page = it.get(&url).await.expect(200);
        names.push_str(page["workers"][0]["friendly_name"].as_str().unwrap());
        next = page["meta"]["next_page_url"].as_str().map(str::to_owned);
    }
    assert_eq!(names, "adcb");
}

#[tokio::test]
async fn other_workspaces_paths_and_methods_do_not_exist() {
    let it = Subject::new();
    it.get("/v1/Workspaces/WSother/Workers").await.refused(404, 20404);
    it.get("/Workers/WKnone").await.refused(404, 20404);
    it.delete("/Workers/WKnone").await.refused(404, 20404);
    it.get("/Elsewhere").await.refused(404, 20404);
    let put = Subject::request("PUT", &it.path("/Workers")).body(Body::empty()).unwrap();
    it.send(put).await.refused(405, 20004);
    let sid = it.stand_in.credentials().workspace_sid;
    assert_eq!(it.get("").await.expect(200)["sid"], sid.as_str());
    assert_eq!(it.get("/v1/Workspaces").await.expect(200)["workspaces"][0]["sid"], sid.as_str());
}

#[tokio::test]
async fn credentials_are_asked_for() {
    use secrecy::SecretString;
    let anonymous = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let it = Subject::new();
    let refused = it.send(anonymous(&it.path("/Workers"))).await;
    refused.refused(401, 20003);
    assert!(refused.headers.contains_key(header::WWW_AUTHENTICATE));
    assert_eq!(it.send(anonymous("/_stand_in/state")).await.status, 200);

    let options = StandInOptions { api_secret: Some(SecretString::from("s3cret")), ..StandInOptions::default() };
    let it = Subject::open(options, 1);
    it.get("/Workers").await.refused(401, 20003);
    it.send(anonymous("/_stand_in/state")).await.refused(401, 20003);
    let credentials = it.stand_in.credentials();
    for (user, password, status) in [
        (&credentials.api_key, "s3cret", 200),
        (&credentials.account_sid, "s3cret", 200),
        (&credentials.workspace_sid, "s3cret", 401),
        (&credentials.api_key, "s3cre", 401),
    ] {
        let basic = format!("basic {}", STANDARD.encode(format!("{user}:{password}")));
        let request = Request::get(it.path("/Workers")).header(header::AUTHORIZATION, basic);
        assert_eq!(it.send(request.body(Body::empty()).unwrap()).await.status.as_u16(), status, "{user}");
    }
}

#[tokio::test]
async fn channels_have_capacities() {
    let it = Subject::new();
    let ana = it.worker("ana", &json!({})).await;
    let list = it.get(&format!("/Workers/{ana}/Channels")).await.expect(200);
    let channels = list["channels"].as_array().unwrap();
    let capacity = |name: &str| {
        channels.iter().find(|channel| channel["task_channel_unique_name"] == name).unwrap()["configured_capacity"]
            .clone()
    };
    assert_eq!(
        ["default", "voice", "chat", "sms", "video", "email"].map(capacity),
        [10, 1, 10, 10, 1, 1].map(Value::from)
    );
    let path = format!("/Workers/{ana}/Channels/voice");
    let voice = it.form(&path, &[("Capacity", "3"), ("Available", "false")]).await.expect(200);
    assert_eq!((&voice["configured_capacity"], &voice["available"]), (&json!(3), &json!(false)));
    let by_sid = format!("/Workers/{ana}/Channels/{}", voice["sid"].as_str().unwrap());
    assert_eq!(it.get(&by_sid).await.expect(200), voice);
    it.form(&path, &[("Capacity", "50")]).await.expect(200);
    for bad in ["51", "-1", "x"] {
        it.form(&path, &[("Capacity", bad)]).await.refused(400, 20001);
    }
    it.form(&format!("/Workers/{ana}/Channels/fax"), &[("Capacity", "1")]).await.refused(404, 20404);
    // A worker made anew has the channels of a new worker.
    it.delete(&format!("/Workers/{ana}")).await.expect(204);
    it.worker("ana", &json!({})).await;
    assert_eq!(it.stand_in.worker_named("ana").unwrap().channels["voice"].capacity, 1);
}

#[tokio::test]
async fn limits_can_be_set() {
    let it = Subject::new();
    let limits = Behaviour {
        available_worker_limit: Some(1),
        worker_limit: Some(2),
        friendly_name_limit: 5,
        ..Behaviour::default()
    };
    it.stand_in.set_behaviour(limits);
    let available = it.activity("Available").await;
    it.form("/Workers", &[("FriendlyName", "a"), ("ActivitySid", &available)]).await.expect(201);
    it.form("/Workers", &[("FriendlyName", "b"), ("ActivitySid", &available)]).await.refused(400, 14240);
    it.form("/Workers", &[("FriendlyName", "longer")]).await.refused(400, 20001);
    it.form("/Workers", &[("FriendlyName", "b")]).await.expect(201);
    it.form("/Workers", &[("FriendlyName", "c")]).await.refused(400, 20001);
}
