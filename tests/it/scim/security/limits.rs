//! What input may cost, and what it may not mean.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Answer, Db, Scim, TestApp, USER, encoded, ids, on_both_databases};

async fn post_raw(scim: &Scim, body: impl Into<bytes::Bytes>) -> Answer {
    scim.request(Method::POST, "/Users").header("content-type", Some("application/scim+json")).body(body).send().await
}

/// Sends text as it is over a connection of its own; returns what comes back until the server closes it.
async fn raw(app: &TestApp, text: &[u8]) -> String {
    let mut stream = TcpStream::connect(app.address()).await.expect("a connection");
    // The server may answer, and close, before it has read everything.
    drop(stream.write_all(text).await);
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "no end of {} bytes", answer.len());
    String::from_utf8_lossy(&answer).into_owned()
}

async fn alive(app: &TestApp) {
    app.scim.get("/Users?count=1").await.expect(200);
}

async fn s34_deep_filters_are_refused(db: Db) {
    let app = TestApp::start(db).await;
    let id = app.scim.add_user("ana@acme.example").await;
    let group = app.scim.add_group("Agents", &[&id]).await;
    // As many as fit into a request line, and as many as the body allows.
    for open in ["not(", "not (", "(", "((", "emails[", "a[not(", "title pr and ("] {
        let deep = open.repeat(60_000 / open.len());
        let answer = app.scim.get(&format!("/Users?filter={}", deep.replace(' ', "+"))).await;
        assert_eq!(answer.expect_error(400).0.as_deref(), Some("invalidFilter"), "{open}");
        let deep = open.repeat(100_000);
        for (path, target) in [
            (format!("emails[{deep}"), format!("/Users/{id}")),
            (format!("members[{deep}"), format!("/Groups/{group}")),
        ] {
            let answer = app.scim.patch(&target, &json!([{"op": "remove", "path": path}])).await;
            answer.expect_error(400);
        }
    }
    for filter in ["not(".repeat(40) + "title pr" + &")".repeat(40), "title pr and ".repeat(300) + "title pr"] {
        assert_eq!(app.scim.filter("/Users", &filter).await.expect_error(400).0.as_deref(), Some("invalidFilter"));
    }
    let fits = "not(".repeat(20) + "title pr" + &")".repeat(20);
    assert_eq!(app.scim.filter("/Users", &fits).await.total(), 0);
    assert_eq!(app.scim.members(&group).await, [id]);
    alive(&app).await;
}

/// A request line longer than a server reads: answered, and the process lives.
async fn s34_a_hundred_thousand_brackets_in_a_request_line(db: Db) {
    let app = TestApp::start(db).await;
    let line = format!(
        "GET /scim/v2/Users?filter={} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        "not(".repeat(100_000),
        app.scim.token()
    );
    let answer = raw(&app, line.as_bytes()).await;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    assert_eq!(status, "400", "{answer}");
    assert!(answer.contains("urn:ietf:params:scim:api:messages:2.0:Error"), "{answer}");
    alive(&app).await;
}

/// Brackets and quotes of a filter may come as they are, in every request of a connection; what looks like that in a body
/// is the body's.
async fn raw_quotes_in_a_query_are_read(db: Db) {
    let app = TestApp::start(db).await;
    app.scim.add_user("ana@acme.example").await;
    let token = app.scim.token();
    let look = |filter: &str, last: &str| {
        format!("GET /scim/v2/Users?filter={filter} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{last}\r\n")
    };
    let title = "GET /x?filter=\"a\" HTTP/1.1";
    let body = json!({"schemas": [USER], "userName": "bo@acme.example", "title": title}).to_string();
    let add = format!(
        "POST /scim/v2/Users?attributes=title&x=\"\" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let close = "Connection: close\r\n";
    let text = [
        look("userName+eq+\"ana@acme.example\"", ""),
        add,
        look("emails[type+eq+\"work\"].value+eq+\"ANA@acme.example\"", ""),
        look("title+eq+\"GET%20/x?filter=\\\"a\\\"%20HTTP/1.1\"", ""),
        look("userName+eq+\"<\u{e9}>\"", close),
    ]
    .concat();
    let answers = raw(&app, text.as_bytes()).await;
    let totals: Vec<&str> =
        answers.split("\"totalResults\":").skip(1).filter_map(|rest| rest.split([',', '}']).next()).collect();
    assert_eq!(totals, ["1", "1", "1", "0"], "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 20").count(), 5, "{answers}");
    // A line that arrives letter by letter.
    let mut stream = TcpStream::connect(app.address()).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    for byte in look("userName+eq+\"ana@acme.example\"", close).bytes() {
        stream.write_all(&[byte]).await.expect("a letter is taken");
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.contains("\"totalResults\":1"), "{answer}");
}

async fn s35_an_unreadable_filter_never_gives_the_list(db: Db) {
    let app = TestApp::start(db).await;
    app.scim.add_user("ana@acme.example").await;
    app.scim.add_group("Agents", &[]).await;
    let filters = [
        "",
        " ",
        "userName",
        "userName eq",
        "userName eq ana",
        "userName = \"ana\"",
        "userName like \"ana\"",
        "eq \"ana\"",
        "userName eq \"ana",
        "userName eq 'ana'",
        "userName eq \"a\" and",
        "userName eq \"a\" xor title pr",
        "(title pr",
        "title pr)",
        "noSuch eq \"x\"",
        "noSuch pr",
        "emails.noSuch eq \"x\"",
        "emails[noSuch eq \"x\"]",
        "urn:x:y:User:z pr",
        "userName eq 5",
        "active eq 1",
        "active gt true",
        "active eq \"maybe\"",
        "meta.created gt \"yesterday\"",
        "meta.created co \"2026\"",
        "password eq \"x\"",
        "password pr",
        "title pr pr",
        "not title pr",
        "userName eq \"a\" title pr",
        "*",
        "true",
        "1 eq 1",
        "userName eq \"\\x\"",
        "userName[value eq \"x\"",
        "emails[type eq \"work\"] eq \"x\"",
    ];
    for filter in filters {
        for path in ["/Users", "/Groups"] {
            let answer = app.scim.filter(path, filter).await;
            assert_eq!(answer.expect_error(400).0.as_deref(), Some("invalidFilter"), "{path} {filter}: {answer}");
        }
    }
    app.scim.get("/Users?filter=%FF%FE").await.expect_error(400);
}

/// More members than a filter looks at: by index and by cursor, and whichever way they are sorted.
async fn s35_what_cannot_be_looked_at_never_gives_the_list(db: Db) {
    let app = TestApp::start(db).await;
    let (small, large) = (app.scim.add_group("Small", &[]).await, app.scim.add_group("Large", &[]).await);
    let sql = app.sql().await;
    sql.run(&format!(
        "INSERT INTO membership (group_id, member_id, member_kind, event_id, created_at) \
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20001) \
         SELECT '{large}', '00000000-0000-7000-8000-' || substr(CAST(1000000000000 + n AS text), 2), 'User', '', 0 FROM n"
    ))
    .await
    .expect("members of nobody");
    for path in ["", "&cursor", "&cursor&sortBy=displayName", "&sortBy=displayName", "&cursor&sortBy=externalId"] {
        let path = format!("/Groups?filter={}{path}", encoded("members.display co \"nobody\""));
        assert_eq!(app.scim.get(&path).await.expect_error(400).0.as_deref(), Some("tooMany"), "{path}");
    }
    sql.run(&format!("DELETE FROM membership WHERE group_id = '{large}' AND member_id LIKE '%01'"))
        .await
        .expect("fewer");
    let path = format!("/Groups?cursor&filter={}", encoded("not (members.display co \"nobody\")"));
    assert_eq!(ids(&app.scim.get(&path).await.expect(200)["Resources"]), [small, large]);
}

async fn s36_values_of_filters_are_values(db: Db) {
    let app = TestApp::start(db).await;
    for name in
        ["100%", "1000", "a_b", "axb", "O'Neil", "back\\slash", "semi;colon", "dash--dash", "star*", "quo\"te", "z!z"]
    {
        let user = json!({"schemas": [USER], "userName": name, "displayName": name, "title": name});
        app.scim.post("/Users", &user).await.created();
    }
    for (value, hits) in [
        ("%", 1),
        ("_", 1),
        ("100%", 1),
        ("a_b", 1),
        ("O'Neil", 1),
        ("\\\\", 1),
        (";", 1),
        ("--", 1),
        ("*", 1),
        ("\\\"", 1),
        ("!", 1),
        ("' OR '1'='1", 0),
        ("\\u0000", 0),
        ("') UNION SELECT hash FROM scim_token --", 0),
        ("?", 0),
        ("$1", 0),
        ("\u{0}", 0),
    ] {
        for attribute in ["userName", "displayName", "title"] {
            let filter = format!("{attribute} co \"{value}\"");
            let answer = app.scim.filter("/Users", &filter).await;
            if value.contains("\\u0000") || value.contains('\u{0}') {
                answer.expect_error(400);
                continue;
            }
            assert_eq!(answer.total(), hits, "{filter}");
            for operator in ["eq", "sw", "ew", "gt", "ne"] {
                app.scim.filter("/Users", &format!("{attribute} {operator} \"{value}\"")).await.expect(200);
            }
        }
    }
    for filter in [
        "externalId eq \"\\u0000\"",
        "id eq \"\\u0000\"",
        "emails.value eq \"a\\u0000\"",
        "groups.value eq \"\\u0000\"",
    ] {
        app.scim.filter("/Users", filter).await.expect_error(400);
    }
}

/// PostgreSQL holds no NUL in a text: that must not become an error of ours.
async fn s36_a_nul_in_a_value_harms_nothing(db: Db) {
    let app = TestApp::start(db).await;
    for (n, attribute) in ["userName", "displayName", "externalId", "title"].into_iter().enumerate() {
        let mut user = json!({"schemas": [USER], "userName": format!("p{n}@acme.example")});
        user[attribute] = json!(format!("a\u{0}b{n}"));
        let answer = app.scim.post("/Users", &user).await;
        assert!([201, 400].contains(&answer.status), "{attribute}: {answer}");
        let group = json!({"displayName": format!("g\u{0}{n}"), "externalId": "x\u{0}"});
        let answer = app.scim.post("/Groups", &group).await;
        assert!([201, 400].contains(&answer.status), "{answer}");
    }
    let user = app.scim.add_user("ana@acme.example").await;
    let group = app.scim.add_group("Agents", &[&user]).await;
    for operations in [
        json!([{"op": "add", "path": "members", "value": [{"value": "a\u{0}"}]}]),
        json!([{"op": "remove", "path": "members", "value": [{"value": "a\u{0}"}]}]),
        json!([{"op": "remove", "path": "members[value eq \"a\\u0000\"]"}]),
        json!([{"op": "remove", "path": "members[value eq \"a\u{0}\"]"}]),
    ] {
        let answer = app.scim.patch(&format!("/Groups/{group}"), &operations).await;
        assert!([200, 204, 400, 404].contains(&answer.status), "{operations}: {answer}");
    }
    assert_eq!(app.scim.members(&group).await, [user]);
    app.scim.get("/Users/%00").await.expect_error(404);
    app.scim.get("/Groups/a%00b").await.expect_error(404);
    alive(&app).await;
}

async fn s40_bodies_have_limits(db: Db) {
    let app = TestApp::start(db).await;
    let large = format!("{{\"userName\":\"x\",\"title\":\"{}\"}}", "x".repeat(10_000_000));
    post_raw(&app.scim, large.clone()).await.expect_error(413);
    // Announced by nobody: counted as it comes.
    let chunk = "x".repeat(60_000);
    let mut text = format!(
        "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        app.scim.token()
    );
    text.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()).repeat(170));
    text.push_str("0\r\n\r\n");
    let answer = raw(&app, text.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{}", answer.chars().take(300).collect::<String>());
    for (deep, what) in [
        ("[".repeat(10_000), "arrays"),
        ("{\"a\":".repeat(10_000), "objects"),
        ("{\"userName\":[{\"x\":".repeat(5_000), "both"),
    ] {
        let (kind, _) = post_raw(&app.scim, deep).await.expect_error(400);
        assert_eq!(kind.as_deref(), Some("invalidSyntax"), "{what}");
    }
    let invalid = [
        &b"{\"userName\":\"\xff\xfe\"}"[..],
        b"\xef\xbb",
        b"{\"userName\":\"\\ud800\"}",
        b"",
        b" ",
        b"null",
        b"[]",
        b"1",
        b"{}x",
    ];
    for body in invalid {
        post_raw(&app.scim, body).await.expect_error(400);
    }
    for twice in [
        r#"{"userName":"a@x","userName":"b@x"}"#,
        r#"{"userName":"a@x","username":"b@x"}"#,
        r#"{"userName":"a@x","emails":[{"value":"a","Value":"b"}]}"#,
        r#"{"userName":"a@x","active":true,"active":false}"#,
    ] {
        post_raw(&app.scim, twice).await.expect_error(400);
    }
    assert_eq!(app.scim.get("/Users").await.total(), 0);
}

/// A client that writes its whole request before it reads must find the answer, not a broken connection.
async fn s40_whoever_sends_too_much_is_told(db: Db) {
    let app = TestApp::start(db).await;
    let body = vec![b'x'; 10_000_000];
    for (token, status) in [(app.scim.token(), "413"), ("rcs_none", "401")] {
        let mut stream = TcpStream::connect(app.address()).await.expect("a connection");
        let head = format!(
            "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("the head is taken");
        stream.write_all(&body).await.expect("the body is taken");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(answer, format!("HTTP/1.1 {status}").as_bytes());
    }
    alive(&app).await;
}

async fn s40_slow_bodies_end(db: Db) {
    let app = TestApp::builder(db).set("ROLLCALL_SERVER__REQUEST_TIMEOUT_S", "1").start().await;
    let head = format!(
        "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n{{",
        app.scim.token()
    );
    let answer = raw(&app, head.as_bytes()).await;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    assert!(["408", "503"].contains(&status), "{answer}");
    assert!(answer.contains("urn:ietf:params:scim:api:messages:2.0:Error"), "{answer}");
    alive(&app).await;
}

/// Silent from the beginning, or where it is not known yet which version of HTTP will follow.
async fn s40_connections_that_ask_nothing_end(db: Db) {
    let app = TestApp::builder(db).set("ROLLCALL_SERVER__REQUEST_TIMEOUT_S", "1").start().await;
    for beginning in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM"] {
        assert_eq!(raw(&app, beginning.as_bytes()).await, "", "{beginning}");
    }
    alive(&app).await;
}

async fn s40_connections_are_limited_in_number(db: Db) {
    let builder = TestApp::builder(db).set("ROLLCALL_SERVER__REQUEST_TIMEOUT_S", "1");
    let app = builder.set("ROLLCALL_SERVER__MAX_CONNECTIONS", "2").start().await;
    let began = Instant::now();
    let silent = futures::future::join_all([0, 1].map(|_| TcpStream::connect(app.address()))).await;
    // It has to wait until the silent ones have ended.
    let answer = raw(&app, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    drop(silent);
}

async fn s41_pages_are_clamped(db: Db) {
    let app = TestApp::start(db).await;
    app.scim.add_users("p", 1_010).await;
    for (query, items, start) in [
        ("count=1000000", 1_000, 1),
        ("count=99999999999999999999999", 1_000, 1),
        ("count=0", 0, 1),
        ("count=-5", 0, 1),
        ("", 100, 1),
        ("startIndex=0&count=3", 3, 1),
        ("startIndex=-9&count=3", 3, 1),
        ("startIndex=1009", 2, 1_009),
        ("startIndex=5000", 0, 5_000),
        ("startIndex=9223372036854775807&count=1000", 0, i64::MAX),
        ("startIndex=99999999999999999999999", 0, i64::MAX),
    ] {
        let list = app.scim.get(&format!("/Users?attributes=id&{query}")).await.expect(200);
        assert_eq!(list["itemsPerPage"], json!(items), "{query}");
        assert_eq!(list["Resources"].as_array().map(Vec::len), Some(items), "{query}");
        assert_eq!(list["startIndex"], json!(start), "{query}");
        assert_eq!(list["totalResults"], json!(1_010), "{query}");
    }
    for query in ["count=x", "startIndex=1.5", "count=%00"] {
        app.scim.get(&format!("/Users?{query}")).await.expect_error(400);
    }
}

/// A filter on members that is more than ids looks at each of them, while nobody else can write.
async fn s40_the_members_that_filters_look_at_are_bounded(db: Db) {
    let app = TestApp::start(db).await;
    let ids = app.scim.add_users("p", 150).await;
    let group = app.scim.add_group("Agents", &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let target = format!("/Groups/{group}");
    let filter = vec!["display eq \"x\""; 250].join(" and ");
    let remove = json!({"op": "remove", "path": format!("members[{filter}]")});
    app.scim.patch(&target, &json!(vec![&remove; 10])).await.expect_success();
    let answer = app.scim.patch(&target, &json!(vec![&remove; 120])).await;
    assert_eq!(answer.expect_error(400).0.as_deref(), Some("tooMany"), "{answer}");
    assert_eq!(app.scim.members(&group).await.len(), 150);
    app.scim.patch(&target, &json!([{"op": "remove", "path": "members[display sw \"p1\"]"}])).await.expect_success();
    assert_eq!(app.scim.members(&group).await.len(), 150 - 61);
}

async fn s45_only_json_is_read_and_only_json_is_sent(db: Db) {
    let app = TestApp::start(db).await;
    let user = |n: usize| json!({"schemas": [USER], "userName": format!("<script>alert({n})</script>")}).to_string();
    for (n, kind) in [
        "text/html",
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonx",
        "json",
    ]
    .into_iter()
    .enumerate()
    {
        let draft = app.scim.request(Method::POST, "/Users").header("content-type", Some(kind)).body(user(n));
        draft.send().await.expect_error(415);
    }
    for (n, kind) in
        [Some("application/scim+json"), Some("application/json"), Some("Application/SCIM+JSON; charset=utf-8"), None]
            .into_iter()
            .enumerate()
    {
        let draft = app.scim.request(Method::POST, "/Users").header("content-type", kind).body(user(n));
        let answer = draft.send().await;
        assert_eq!(answer.status, 201, "{kind:?}: {answer}");
        assert_eq!(answer.header("content-type"), Some("application/scim+json"));
    }
    let script = encoded("<script>");
    for path in [
        "/Users".to_owned(),
        format!("/Users/{script}"),
        format!("/{script}"),
        format!("/Users?filter={script}"),
        format!("/Schemas/{script}"),
    ] {
        for accept in ["text/html", "*/*", "application/scim+json"] {
            let answer = app.scim.request(Method::GET, &path).header("accept", Some(accept)).send().await;
            assert_eq!(answer.header("content-type"), Some("application/scim+json"), "{path} {accept}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path} {accept}");
        }
    }
}

on_both_databases!(
    s34_deep_filters_are_refused,
    s34_a_hundred_thousand_brackets_in_a_request_line,
    raw_quotes_in_a_query_are_read,
    s35_an_unreadable_filter_never_gives_the_list,
    s35_what_cannot_be_looked_at_never_gives_the_list,
    s36_values_of_filters_are_values,
    s36_a_nul_in_a_value_harms_nothing,
    s40_bodies_have_limits,
    s40_whoever_sends_too_much_is_told,
    s40_slow_bodies_end,
    s40_the_members_that_filters_look_at_are_bounded,
    s40_connections_that_ask_nothing_end,
    s40_connections_are_limited_in_number,
    s41_pages_are_clamped,
    s45_only_json_is_read_and_only_json_is_sent,
);
