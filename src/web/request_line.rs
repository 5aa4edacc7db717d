//! Characters in a request's query that clients send as they are and that the HTTP library refuses: quotes, angle brackets
//! and bytes beyond ASCII. They are percent-encoded before the library sees them.
//!
//! A byte is changed only where it certainly stands in a query: bodies are measured and passed over, and as soon as a
//! request has a body that cannot be measured here without doubt, the rest of its connection is left as it is. What this
//! reader takes for a head, and for the length of a body, must never differ from what the library takes for it: changed
//! bytes in a body would shift where the next request begins.

/// As much of a line of a head as is kept: enough for a name that matters and its value.
const KEPT: usize = 64;

/// Where in its connection the reader is.
#[derive(Debug)]
pub(super) struct Queries {
    state: State,
    /// The beginning of the header line that is being read.
    line: Vec<u8>,
    /// The length of the body that the head announces.
    body: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a request, or in its method.
    Method,
    /// At the first byte of the target.
    Target,
    Path,
    Query,
    /// Behind the target, to the end of the line.
    Version,
    Headers,
    /// In a body of which so many bytes are left.
    Body(u64),
    /// Nothing is certain any more.
    Lost,
}

impl Queries {
    /// At the beginning of a connection.
    pub(super) const fn new() -> Self {
        Self { state: State::Method, line: Vec::new(), body: None }
    }

    /// Reads the next bytes of the connection; returns what they become, if anything in them changes.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut changed: Option<Vec<u8>> = None;
        let mut rest = bytes;
        while self.state != State::Lost
            && let Some((byte, after)) = rest.split_first()
        {
            let read = bytes.len() - rest.len();
            rest = after;
            match self.state {
                State::Body(left) => rest = self.pass_body(left, after),
                State::Query if must_be_encoded(*byte) => {
                    let changed = changed.get_or_insert_with(|| bytes[..read].to_vec());
                    changed.extend_from_slice(format!("%{byte:02X}").as_bytes());
                    continue;
                }
                _ => self.head(*byte),
            }
            if let Some(changed) = &mut changed {
                changed.extend_from_slice(&bytes[read..bytes.len() - rest.len()]);
            }
        }
        if let Some(changed) = &mut changed {
            changed.extend_from_slice(rest);
        }
        changed
    }

    /// The body whose first byte was read goes on for as long as it was announced; returns what is behind it.
    fn pass_body<'b>(&mut self, left: u64, after: &'b [u8]) -> &'b [u8] {
        let left = left.saturating_sub(1);
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(after.len());
        let left = left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
        self.state = if left == 0 { State::Method } else { State::Body(left) };
        &after[here..]
    }

    fn head(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::Method, b' ') => State::Target,
            // The other forms of a target are for proxies, tunnels and HTTP/2.
            (State::Target, b'/') => State::Path,
            (State::Target, _) => State::Lost,
            (State::Path, b'?') => State::Query,
            (State::Path | State::Query, b' ') => State::Version,
            (State::Version, b'\n') => {
                self.line.clear();
                self.body = None;
                State::Headers
            }
            (State::Headers, b'\n') => self.end_of_line(),
            (State::Headers, byte) => {
                if self.line.len() < KEPT {
                    self.line.push(byte);
                }
                State::Headers
            }
            (state, _) => state,
        };
    }

    /// A header line is complete; an empty one ends the head.
    fn end_of_line(&mut self) -> State {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let state = if line.is_empty() {
            match self.body {
                None | Some(0) => State::Method,
                Some(length) => State::Body(length),
            }
        } else if let Some(length) = header(line, "content-length") {
            match (length_of(length), self.body) {
                (Some(length), None) if self.line.len() < KEPT => {
                    self.body = Some(length);
                    State::Headers
                }
                _ => State::Lost,
            }
        } else if ["transfer-encoding", "expect", "upgrade"].iter().any(|name| header(line, name).is_some()) {
            State::Lost
        } else {
            State::Headers
        };
        self.line.clear();
        state
    }
}

/// The value of a header line, if it has this name.
fn header<'l>(line: &'l [u8], name: &str) -> Option<&'l [u8]> {
    let (found, value) = line.split_at_checked(name.len())?;
    if found.eq_ignore_ascii_case(name.as_bytes()) { value.strip_prefix(b":") } else { None }
}

/// Digits and nothing else: other spellings of a length are for the library to judge.
fn length_of(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    if digits.iter().all(u8::is_ascii_digit) { str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

/// Whether a URL cannot hold the byte in its query, and the library refuses it.
const fn must_be_encoded(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | 0x80..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a connection becomes, read in pieces of this size.
    fn through(text: &[u8], size: usize) -> Vec<u8> {
        let mut queries = Queries::new();
        text.chunks(size.max(1)).flat_map(|chunk| queries.read(chunk).unwrap_or_else(|| chunk.to_vec())).collect()
    }

    fn assert_becomes(text: &str, wanted: &str) {
        for size in [1, 2, 3, 7, 24, text.len()] {
            let became = through(text.as_bytes(), size);
            assert_eq!(String::from_utf8_lossy(&became), wanted, "in pieces of {size}");
        }
    }

    const RAW: &str = "GET /Users?filter=userName+eq+\"a@b\" HTTP/1.1\r\nHost: \"x\"\r\n\r\n";
    const ENCODED: &str = "GET /Users?filter=userName+eq+%22a@b%22 HTTP/1.1\r\nHost: \"x\"\r\n\r\n";

    #[test]
    fn only_queries_change() {
        assert_becomes(RAW, ENCODED);
        assert_becomes("\r\nGET /a\"?<é>[x]%22 HTTP/1.1\r\n\r\n", "\r\nGET /a\"?%3C%C3%A9%3E[x]%22 HTTP/1.1\r\n\r\n");
        for unchanged in
            ["GET /Users HTTP/1.1\nX: ?\"\n\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n \"? /?\" \r\n\"", "", "\"?\" /"]
        {
            assert_becomes(unchanged, unchanged);
            assert!(Queries::new().read(unchanged.as_bytes()).is_none(), "{unchanged}");
        }
    }

    #[test]
    fn every_request_of_a_connection_is_read() {
        assert_becomes(&RAW.repeat(3), &ENCODED.repeat(3));
        let body = "POST /x HTTP/1.1\r\ncontent-LENGTH:  5 \r\n\r\n?\"é\"";
        assert_becomes(&format!("{body}{RAW}"), &format!("{body}{ENCODED}"));
        let empty = "POST /x HTTP/1.1\nContent-Length: 0\n\n";
        assert_becomes(&format!("{empty}{RAW}"), &format!("{empty}{ENCODED}"));
    }

    /// A body may look like a request: it is one only where the length of the body before says so.
    #[test]
    fn bodies_never_change() {
        let head = format!("POST /x?\"=1 HTTP/1.1\r\nContent-Length: {}\r\n\r\n", RAW.len());
        assert_becomes(&format!("{head}{RAW}{RAW}"), &format!("{}{RAW}{ENCODED}", head.replace('"', "%22")));
        for doubtful in [
            "Transfer-Encoding: chunked",
            "transfer-encoding: identity\r\nContent-Length: 1",
            "Content-Length: 1\r\nContent-Length: 1",
            "Content-Length: +1",
            "Content-Length: 1, 1",
            "Content-Length: 99999999999999999999",
            "Content-Length: 0000000000000000000000000000000000000000000000000000000000000000000000001",
            "Expect: 100-continue\r\nContent-Length: 1",
            "Upgrade: h2c",
        ] {
            let text = format!("POST /x HTTP/1.1\r\n{doubtful}\r\n\r\n{RAW}{RAW}");
            assert_becomes(&text, &text);
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_pieces_do_not_matter(
            parts in prop::collection::vec(prop::sample::select(vec![
                "GET /", "POST /?", " HTTP/1.1", "\r\n", "\n", "Content-Length: ", "3", "\"", "<x>", "é", "?", " ", "/", ":",
            ]), 0..40),
            size in 1..20_usize,
        ) {
            let text = parts.concat();
            let became = through(text.as_bytes(), size);
            prop_assert_eq!(&became, &through(text.as_bytes(), text.len()));
            let back: Vec<u8> = percent_encoding::percent_decode(&became).collect();
            prop_assert_eq!(back, text.as_bytes());
        }
    }
}
