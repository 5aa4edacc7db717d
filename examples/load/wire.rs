//! A connection to the server that costs as little as possible.
//!
//! The generator shares the machine with what it measures. A general client took a third of the time of a look-up; this one
//! knows only what the server under load answers: HTTP/1.1, kept open, with a length or in chunks.

use http::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Fault;

/// A connection that is kept open.
pub struct Wire {
    stream: TcpStream,
    /// What every request has after its first line.
    headers: String,
    request: Vec<u8>,
    /// What has arrived.
    arrived: Vec<u8>,
    /// The body of the last answer.
    body: Vec<u8>,
}

impl Wire {
    /// Connects as the bearer of a token.
    pub async fn connect(address: &str, token: &str) -> Result<Self, Fault> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let headers = format!(
            " HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/scim+json\r\n"
        );
        Ok(Self { stream, headers, request: Vec::new(), arrived: Vec::new(), body: Vec::new() })
    }

    /// Sends a request and waits for its answer; says the status.
    pub async fn send(&mut self, method: &Method, path: &str, body: Option<&Value>) -> Result<u16, Fault> {
        self.request.clear();
        self.request.extend_from_slice(method.as_str().as_bytes());
        self.request.extend_from_slice(b" /scim/v2");
        self.request.extend_from_slice(path.as_bytes());
        self.request.extend_from_slice(self.headers.as_bytes());
        if let Some(body) = body {
            let body = body.to_string();
            self.request.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            self.request.extend_from_slice(body.as_bytes());
        } else {
            self.request.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&self.request).await?;
        self.answer().await
    }

    /// The body of the last answer.
    pub fn json(&self) -> Result<Value, Fault> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    async fn answer(&mut self) -> Result<u16, Fault> {
        self.arrived.clear();
        let (status, length, start) = loop {
            if let Some(head) = self.head()? {
                break head;
            }
            self.more().await?;
        };
        self.body.clear();
        match length {
            Some(length) => {
                while self.arrived.len() < start + length {
                    self.more().await?;
                }
                self.body.extend_from_slice(&self.arrived[start..start + length]);
            }
            None => self.chunks(start).await?,
        }
        Ok(status)
    }

    /// The status, the length of the body unless it comes in chunks, and where it begins.
    fn head(&self) -> Result<Option<(u16, Option<usize>, usize)>, Fault> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(start) = head.parse(&self.arrived)? else { return Ok(None) };
        let status = head.code.ok_or("the answer has no status")?;
        let find = |name: &str| head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        let length = match (find("content-length"), find("transfer-encoding")) {
            (Some(length), _) => Some(std::str::from_utf8(length.value)?.parse()?),
            (None, Some(_)) => None,
            (None, None) => Some(0),
        };
        Ok(Some((status, length, start)))
    }

    async fn chunks(&mut self, mut at: usize) -> Result<(), Fault> {
        loop {
            let (skip, size) = loop {
                match httparse::parse_chunk_size(&self.arrived[at..]).map_err(|_| "a chunk has no size")? {
                    httparse::Status::Complete((skip, size)) => break (skip, usize::try_from(size)?),
                    httparse::Status::Partial => self.more().await?,
                }
            };
            at += skip;
            while self.arrived.len() < at + size + 2 {
                self.more().await?;
            }
            self.body.extend_from_slice(&self.arrived[at..at + size]);
            at += size + 2;
            if size == 0 {
                return Ok(());
            }
        }
    }

    async fn more(&mut self) -> Result<(), Fault> {
        if self.stream.read_buf(&mut self.arrived).await? == 0 {
            return Err("the server hung up".into());
        }
        Ok(())
    }
}
