//! Over a real connection: what a client sees of a cut one cannot be seen in the process.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::*;
use crate::taskrouter::stand_in::Faults;

/// Sends one request on a connection of its own; everything that comes back.
async fn exchange(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let basic = STANDARD.encode("SKany:secret");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Basic {basic}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset connection is an end like any other here.
    let _ = connection.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn serves_cuts_and_stops() {
    let it = Subject::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(it.stand_in.clone().serve(listener, async {
        let _ = stopped.await;
    }));

    let workers = it.path("/Workers");
    let made = exchange(&address, "POST", &workers, "FriendlyName=ana").await;
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    assert!(made.to_ascii_lowercase().contains("etag: \"0\""));
    exchange(&address, "POST", &workers, "FriendlyName=bo").await;
    let page = exchange(&address, "GET", &format!("{workers}?PageSize=1"), "").await;
    let page: Value = serde_json::from_str(page.split_once("\r\n\r\n").unwrap().1).unwrap();
    let next = page["meta"]["next_page_url"].as_str().unwrap();
    let next = next.strip_prefix(&format!("http://{address}")).unwrap();
    assert!(exchange(&address, "GET", next, "").await.starts_with("HTTP/1.1 200"));

    it.stand_in.set_faults(Faults { rate_lost_after_commit: 1.0, ..Faults::default() }).unwrap();
    assert_eq!(exchange(&address, "POST", &workers, "FriendlyName=cy").await, "", "not a byte of an answer");
    it.stand_in.set_faults(Faults::default()).unwrap();
    assert_eq!(it.stand_in.worker_named("cy").unwrap().attributes, json!({}).as_object().unwrap().clone());

    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
    assert!(TcpStream::connect(&address).await.is_err());
}
