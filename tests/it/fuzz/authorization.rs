//! The `Authorization` header, over the wire.

use super::{Outcome, fuzz};
use crate::support::{Db, Scim, TestApp};

#[test]
fn s34_fuzzed_credentials_open_nothing() {
    crate::support::run(async {
        let app = TestApp::start(Db::Sqlite).await;
        let (handle, scim) = (tokio::runtime::Handle::current(), app.scim.clone());
        tokio::task::block_in_place(|| fuzz("authorization", |input| handle.block_on(ask(&scim, input))));
    });
}

/// The corpus writes `TOKEN` for the token of the connection.
async fn ask(scim: &Scim, input: &[u8]) -> Outcome {
    let header: Vec<u8> = match input.windows(5).position(|window| window == b"TOKEN") {
        Some(at) => [&input[..at], scim.token().as_bytes(), &input[at + 5..]].concat(),
        None => input.to_vec(),
    };
    // What no client can put into a header never gets here.
    let Ok(value) = http::HeaderValue::from_bytes(&header) else { return Ok("no header".to_owned()) };
    let draft = scim.request(http::Method::GET, "/Users?count=0");
    let answer = draft.header_value("authorization", value).send().await;
    let text = String::from_utf8_lossy(&header);
    match answer.status {
        200 => {
            // The token, after the word Bearer or alone.
            let rest = text.trim().trim_end_matches(scim.token()).trim().to_ascii_lowercase();
            let whole = text.trim().ends_with(scim.token()) && ["", "bearer"].contains(&rest.as_str());
            if whole { Ok("open".to_owned()) } else { Err(format!("it opens: {answer}")) }
        }
        // 431: the server reads no header of that length.
        401 | 431 => Ok(format!("{} {}", answer.status, answer.header("www-authenticate").unwrap_or_default())),
        _ => Err(format!("neither open nor shut: {answer}")),
    }
}
