//! What hyper would not read, before there is a request that could reach us. Raw quotes in a query are encoded for it. To
//! any other request line or head that it does not read it answers without a body; identity providers show people the body,
//! so it gets one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::scim::ScimError;
use crate::scim::messages::MEDIA_TYPE;

use super::request_line::Queries;

/// A connection on which bare refusals are replaced by SCIM Error bodies, and raw quotes in queries by their codes.
/// Everything else passes unchanged.
#[derive(Debug)]
pub(super) struct Explained<T> {
    inner: T,
    queries: Queries,
    /// What was read and found no room in the reader's buffer, because codes are longer, and how much of it is through.
    waiting: (Vec<u8>, usize),
    /// What is sent in the place of the bytes that are being written, and how much of it is through.
    own: Option<(Vec<u8>, usize)>,
}

impl<T> Explained<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, queries: Queries::new(), waiting: (Vec::new(), 0), own: None }
    }
}

impl<T> Explained<T> {
    /// Gives the reader as much of what waits as it has room for.
    fn pass_on(&mut self, buffer: &mut ReadBuf<'_>) {
        let (waiting, through) = &mut self.waiting;
        let now = buffer.remaining().min(waiting.len() - *through);
        buffer.put_slice(&waiting[*through..*through + now]);
        *through += now;
        if *through == waiting.len() {
            self.waiting = (Vec::new(), 0);
        }
    }
}

/// The answer in the place of one of hyper's, if this is one: our own answers of these statuses have a body.
fn explained(written: &[u8]) -> Option<Vec<u8>> {
    let head = written.strip_prefix(b"HTTP/1.1 4")?;
    let error = match head.get(..2)? {
        // Nothing but a filter makes a SCIM request line as long as that (RFC 7644 §3.4.2.2), whatever it says.
        b"14" => ScimError::invalid_filter("The request line is too long. A filter may have 8192 bytes."),
        b"31" => ScimError { status: 431, ..ScimError::payload_too_large("The head of the request is too long.") },
        b"00" => {
            ScimError::invalid_syntax("The request is not HTTP. Percent-encode what a URL cannot hold, such as spaces.")
        }
        _ => return None,
    };
    let bare = b"\r\ncontent-length: 0\r\n";
    if !written.windows(bare.len()).any(|part| part == bare) {
        return None;
    }
    let (body, status) = (error.to_body().to_string(), http::StatusCode::from_u16(error.status).ok()?);
    let head = format!(
        "HTTP/1.1 {} {}\r\nconnection: close\r\ncontent-type: {MEDIA_TYPE}\r\nx-content-type-options: nosniff\r\ncontent-length: {}\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        body.len()
    );
    Some((head + &body).into_bytes())
}

impl<T: AsyncRead + Unpin> AsyncRead for Explained<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.waiting.1 < this.waiting.0.len() {
            this.pass_on(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
        if let Some(changed) = this.queries.read(&buffer.filled()[before..]) {
            buffer.set_filled(before);
            this.waiting = (changed, 0);
            this.pass_on(buffer);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Explained<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, written: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.own.is_none() {
            this.own = explained(written).map(|own| (own, 0));
        }
        let Some((own, through)) = &mut this.own else { return Pin::new(&mut this.inner).poll_write(cx, written) };
        while *through < own.len() {
            match ready!(Pin::new(&mut this.inner).poll_write(cx, &own[*through..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *through += more,
            }
        }
        this.own = None;
        Poll::Ready(Ok(written.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match parts.iter().find(|part| !part.is_empty()) {
            Some(first) if self.own.is_some() || explained(first).is_some() => self.poll_write(cx, first),
            _ => Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_refusals_are_replaced() {
        let bare = "HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let answer = String::from_utf8(explained(bare.as_bytes()).unwrap()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains("invalidFilter"), "{answer}");
        for other in [
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 12\r\n\r\n",
            "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 4",
            "PRI * HTTP/2.0",
            "",
        ] {
            assert_eq!(explained(other.as_bytes()), None, "{other}");
        }
    }
}
