//! TXT records of the domain name system, by which people prove that a domain is theirs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::RData;

/// How long one name server gets, and how often it is asked.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;
/// The most records that are read.
const MAX_RECORDS: usize = 100;

/// Looks up TXT records.
#[async_trait]
pub trait TxtLookup: Send + Sync {
    /// The TXT records of a name, each as one text; empty when there are none.
    ///
    /// # Errors
    /// When no name server gives an answer, which says nothing about the records.
    async fn txt(&self, name: &str) -> Result<Vec<String>, TxtError>;
}

/// The records could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the domain name system gave no answer: {0}")]
pub struct TxtError(pub String);

/// The name servers of this machine, asked anew each time: whoever sets a record wants to see it now.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemTxt {
    server: Option<SocketAddr>,
}

impl SystemTxt {
    /// One name server instead of the machine's.
    #[must_use]
    pub const fn of_server(server: SocketAddr) -> Self {
        Self { server: Some(server) }
    }

    fn resolver(self) -> Result<TokioResolver, NetError> {
        let mut builder = match self.server {
            None => TokioResolver::builder_tokio()?,
            Some(server) => {
                let mut one = NameServerConfig::udp_and_tcp(server.ip());
                for connection in &mut one.connections {
                    connection.port = server.port();
                }
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![one]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options: &mut ResolverOpts = builder.options_mut();
        options.timeout = TIMEOUT;
        options.attempts = ATTEMPTS;
        options.cache_size = 0;
        // Makes a forged answer harder to guess.
        options.case_randomization = true;
        builder.build()
    }
}

#[async_trait]
impl TxtLookup for SystemTxt {
    async fn txt(&self, name: &str) -> Result<Vec<String>, TxtError> {
        let resolver = self.resolver().map_err(|error| TxtError(error.to_string()))?;
        // With the dot the name stands for itself, and no search domain of this machine is added.
        let answer = match resolver.txt_lookup(format!("{name}.")).await {
            Ok(answer) => answer,
            Err(NetError::Dns(DnsError::NoRecordsFound(_))) => return Ok(Vec::new()),
            Err(error) => return Err(TxtError(error.to_string())),
        };
        let texts = answer.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        });
        Ok(texts.take(MAX_RECORDS).collect())
    }
}

/// Records in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryTxt {
    records: Mutex<BTreeMap<String, Result<Vec<String>, TxtError>>>,
}

impl MemoryTxt {
    /// Sets what a name answers.
    pub fn set(&self, name: &str, answer: Result<Vec<String>, TxtError>) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), answer);
    }
}

#[async_trait]
impl TxtLookup for MemoryTxt {
    async fn txt(&self, name: &str) -> Result<Vec<String>, TxtError> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().unwrap_or_else(|| Ok(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UdpSocket;

    use super::*;

    /// What the test server answers: TXT records of character-strings, or an RCODE.
    enum Answer {
        Txt(Vec<Vec<&'static str>>),
        Code(u8),
    }

    /// A name server that answers everything in the same way (RFC 1035 §4).
    async fn server(answer: Answer) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let query = &buffer[..length];
                let question_end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
                let (code, records) = match &answer {
                    Answer::Txt(records) => (0, &records[..]),
                    Answer::Code(code) => (*code, &[][..]),
                };
                let mut reply = vec![query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0];
                reply[7] = u8::try_from(records.len()).unwrap();
                reply.extend(&query[12..question_end]);
                for strings in records {
                    let data: Vec<u8> = strings
                        .iter()
                        .flat_map(|text| [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat())
                        .collect();
                    reply.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
                    reply.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
                    reply.extend(data);
                }
                socket.send_to(&reply, from).await.unwrap();
            }
        });
        address
    }

    async fn ask(answer: Answer) -> Result<Vec<String>, TxtError> {
        SystemTxt::of_server(server(answer).await).txt("_rollcall-challenge.acme.example").await
    }

    #[tokio::test]
    async fn records_are_read_and_their_parts_joined() {
        let records = vec![vec!["v=spf1 -all"], vec!["rollcall-", "verification=abc"]];
        let mut found = ask(Answer::Txt(records)).await.unwrap();
        found.sort();
        assert_eq!(found, ["rollcall-verification=abc", "v=spf1 -all"]);
    }

    #[tokio::test]
    async fn no_record_is_an_answer_and_a_failure_is_none() {
        assert_eq!(ask(Answer::Txt(Vec::new())).await, Ok(Vec::new()));
        assert_eq!(ask(Answer::Code(3)).await, Ok(Vec::new()), "NXDOMAIN");
        assert!(ask(Answer::Code(2)).await.is_err(), "SERVFAIL");
        assert!(ask(Answer::Code(5)).await.is_err(), "REFUSED");
    }

    #[tokio::test]
    async fn memory_answers_what_was_set() {
        let memory = MemoryTxt::default();
        assert_eq!(memory.txt("a.example").await, Ok(Vec::new()));
        memory.set("a.example", Ok(vec!["x".to_owned()]));
        assert_eq!(memory.txt("a.example").await, Ok(vec!["x".to_owned()]));
        memory.set("a.example", Err(TxtError("down".to_owned())));
        assert!(memory.txt("a.example").await.is_err());
    }
}
