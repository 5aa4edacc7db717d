//! The log of pushes: taken down beside the request, written behind it.
//!
//! A request hands over what it has and goes on: no database, no waiting, no reading of bodies. A task brings it into form
//! and writes it in batches. What does not fit into the queue is counted and lost, and so is the tail when the process is
//! killed: changes and the audit trail never depend on it.
//!
//! Who is turned away at the door, with a token that has ended, from a wrong address or too often, can send without end:
//! of those requests nothing is kept but their number, in one row for each bearer, reason and minute.

mod looking;

pub use looking::Shown;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::base::{AccountId, Causes, ConnectionId, Timestamp, TokenId};
use crate::scim::{Dialect, ResourceKind, ScimError, push};
use crate::store::pushes::{self, Push, Reads};
use crate::store::{Store, StoreError, tokens};

use super::trail::{MAX_LISTED, Told};

/// How many requests may wait to be written.
const QUEUE: usize = 2_048;
/// How many bytes of bodies may wait with them.
const BODIES: usize = 8 * 1024 * 1024;
/// The longest body that is looked at; a longer one is noted by its size.
pub const LONGEST_BODY: usize = 64 * 1024;
/// How often what waits is written.
const EVERY: Duration = Duration::from_millis(200);
/// How many requests are written by one statement.
const BATCH: usize = 100;
/// How many shapes of reads are told apart within a minute.
const SHAPES: usize = 1_000;
/// How many kinds of requests that were turned away wait to be written: far more than there are tokens.
const ALIKE: usize = 10_000;

/// Whose request it is.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// The account.
    pub account: AccountId,
    /// The connection.
    pub connection: ConnectionId,
    /// The token or OAuth client.
    pub bearer: Uuid,
    /// How the connection is read.
    pub dialect: Dialect,
}

/// The body of a request, as far as it was kept hold of.
#[derive(Debug, Default)]
pub enum Body {
    /// There was none.
    #[default]
    None,
    /// All of it.
    Whole(Vec<u8>),
    /// It was longer than [`LONGEST_BODY`]: at least this many bytes.
    Long(usize),
}

/// A request that was answered, or left.
#[derive(Debug)]
pub struct Exchange {
    /// Whose.
    pub sender: Sender,
    /// When it came.
    pub at: Timestamp,
    /// The HTTP method.
    pub method: String,
    /// The path below the SCIM base URL.
    pub path: String,
    /// The body.
    pub body: Body,
    /// The HTTP status; 0 if the client went away before the answer.
    pub status: u16,
    /// The refusal.
    pub error: Option<ScimError>,
    /// What was noted while it was done.
    pub told: Told,
    /// From the head of the request to its answer.
    pub latency: Duration,
    /// The id of the request.
    pub request: Arc<str>,
    /// The id of the resource that it made.
    pub created: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    dropped: AtomicU64,
    /// Of those, how many were warned about.
    told: AtomicU64,
    bodies: AtomicUsize,
    reads: Mutex<HashMap<(AccountId, ConnectionId, Timestamp, String), i64>>,
    turned_away: Mutex<HashMap<String, (Exchange, i64)>>,
    used: Mutex<HashMap<TokenId, Timestamp>>,
}

/// Where requests are handed over.
#[derive(Clone, Debug)]
pub struct PushLog {
    queue: mpsc::Sender<Exchange>,
    shared: Arc<Shared>,
}

/// The task that writes.
#[derive(Debug)]
pub struct PushWriter {
    queue: mpsc::Receiver<Exchange>,
    shared: Arc<Shared>,
    store: Arc<Store>,
}

impl PushLog {
    /// A log and the task that writes it.
    #[must_use]
    pub fn new(store: Arc<Store>) -> (Self, PushWriter) {
        Self::with_room_for(store, QUEUE)
    }

    fn with_room_for(store: Arc<Store>, requests: usize) -> (Self, PushWriter) {
        let (sender, queue) = mpsc::channel(requests);
        let shared = Arc::new(Shared::default());
        (Self { queue: sender, shared: Arc::clone(&shared) }, PushWriter { queue, shared, store })
    }

    /// How many requests are missing from the log, because more came than could be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Takes down a request. Never waits.
    pub fn note(&self, mut exchange: Exchange) {
        if let Body::Whole(body) = &exchange.body {
            let size = body.len();
            if self.shared.bodies.fetch_add(size, Ordering::Relaxed) + size > BODIES {
                self.shared.bodies.fetch_sub(size, Ordering::Relaxed);
                exchange.body = Body::Long(size);
            }
        }
        if let Err(mpsc::error::TrySendError::Full(lost) | mpsc::error::TrySendError::Closed(lost)) =
            self.queue.try_send(exchange)
        {
            self.shared.let_go(&lost.body);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a read that succeeded. `shape` says what was read, without anybody's data.
    pub fn count(&self, sender: &Sender, now: Timestamp, shape: String) {
        let mut reads = self.shared.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let shape = if reads.len() < SHAPES { shape } else { "other".to_owned() };
        *reads.entry((sender.account, sender.connection, minute_of(now), shape)).or_default() += 1;
    }

    /// Counts a request that was turned away at the door for that reason, whatever it was.
    pub fn turned_away(&self, exchange: Exchange, reason: &str) {
        let alike = format!("{} {} {reason}", exchange.sender.bearer, minute_of(exchange.at).millis());
        let mut waiting = self.shared.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= ALIKE && !waiting.contains_key(&alike) {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.entry(alike).or_insert((Exchange { body: Body::None, ..exchange }, 0)).1 += 1;
    }

    /// Takes down that a token is in use, to be written with the rest.
    pub fn used(&self, token: TokenId, at: Timestamp) {
        self.shared.used.lock().unwrap_or_else(PoisonError::into_inner).insert(token, at);
    }
}

fn minute_of(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.millis() - time.millis().rem_euclid(60_000))
}

fn take<T: Default>(waiting: &Mutex<T>) -> T {
    std::mem::take(&mut *waiting.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Shared {
    fn let_go(&self, body: &Body) {
        if let Body::Whole(body) = body {
            self.bodies.fetch_sub(body.len(), Ordering::Relaxed);
        }
    }
}

impl PushWriter {
    /// Writes until it is told to stop, and then what is left.
    pub async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            self.flush().await;
        }
        self.queue.close();
        self.flush().await;
    }

    async fn flush(&mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            while batch.len() < BATCH {
                let Ok(exchange) = self.queue.try_recv() else { break };
                self.shared.let_go(&exchange.body);
                batch.push(in_form(exchange));
            }
            if batch.is_empty() {
                break;
            }
            self.write(std::mem::take(&mut batch)).await;
        }
        let mut alike = take(&self.shared.turned_away).into_iter().peekable();
        while alike.peek().is_some() {
            let some = alike.by_ref().take(BATCH);
            let rows = some.map(|(alike, (first, times))| Push { alike: Some(alike), times, ..in_form(first) });
            self.write(rows.collect()).await;
        }
        self.write_reads().await;
        self.write_used().await;
        let all = self.shared.dropped.load(Ordering::Relaxed);
        let dropped = all.saturating_sub(self.shared.told.swap(all, Ordering::Relaxed));
        if dropped > 0 {
            tracing::warn!(dropped, "requests are missing from the log of pushes: more came than could be written");
        }
    }

    async fn write(&self, batch: Vec<Push>) {
        let (lost, batch) = (batch.len(), Arc::new(batch));
        let written: Result<(), StoreError> = self
            .store
            .keep(move |tx| {
                let batch = Arc::clone(&batch);
                Box::pin(async move { pushes::insert(tx, &batch).await })
            })
            .await;
        if let Err(error) = written {
            tracing::warn!(error = %Causes(&error), lost, "requests could not be written to the log of pushes");
        }
    }

    async fn write_reads(&self) {
        let counted = take(&self.shared.reads);
        if counted.is_empty() {
            return;
        }
        let reads: Vec<Reads> = counted
            .into_iter()
            .map(|((account, connection, minute, shape), total)| Reads { account, connection, minute, shape, total })
            .collect();
        let reads = Arc::new(reads);
        let written: Result<(), StoreError> = self
            .store
            .keep(move |tx| {
                let reads = Arc::clone(&reads);
                Box::pin(async move { pushes::add_reads(tx, &reads).await })
            })
            .await;
        if let Err(error) = written {
            tracing::warn!(error = %Causes(&error), "reads could not be counted");
        }
    }

    /// A failure here is logged and costs a date on a page.
    async fn write_used(&self) {
        let used: Arc<Vec<(TokenId, Timestamp)>> = Arc::new(take(&self.shared.used).into_iter().collect());
        if used.is_empty() {
            return;
        }
        let written: Result<(), StoreError> = self
            .store
            .keep(move |tx| {
                let used = Arc::clone(&used);
                Box::pin(async move {
                    for (token, at) in used.iter() {
                        tokens::touch(tx, *token, *at).await?;
                    }
                    Ok(())
                })
            })
            .await;
        if let Err(error) = written {
            tracing::warn!(error = %Causes(&error), "the last use of tokens was not recorded");
        }
    }
}

/// What is kept of a request.
fn in_form(exchange: Exchange) -> Push {
    let (kind, id) = about(&exchange.path);
    let (kept, unkept) = match &exchange.body {
        Body::None => (None, None),
        Body::Long(size) => (None, Some(format!("{size} bytes or more, not kept"))),
        Body::Whole(body) => match push::keep(body, kind) {
            Some(kept) => (Some(kept), None),
            None => (None, Some(format!("{} bytes that are not JSON, not kept", body.len()))),
        },
    };
    let told = exchange.told;
    let resource = id.map(str::to_owned).or(exchange.created);
    let kept = kept.unwrap_or_default();
    let about = resource.clone().filter(|_| kind == Some(ResourceKind::User));
    // What was done comes first, and then what was only named.
    let people: BTreeSet<String> = about.into_iter().chain(told.resources).collect();
    let named = kept.members.into_iter().filter(|id| !people.contains(id)).collect::<Vec<_>>();
    let too_many = told.more_resources || people.len() + named.len() > MAX_LISTED;
    let people = people.into_iter().chain(named).take(MAX_LISTED).collect();
    let unlisted = too_many.then(|| format!("{MAX_LISTED} people are listed, there are more"));
    let error = exchange.error.or_else(|| {
        let first = told.first?;
        let detail = format!("{} of {} operations failed, the first: {}", told.failed, told.operations, first.detail);
        Some(ScimError { detail, ..first })
    });
    Push {
        at: exchange.at,
        account: exchange.sender.account,
        connection: exchange.sender.connection,
        bearer: exchange.sender.bearer.to_string(),
        method: exchange.method,
        path: exchange.path,
        body: Some(kept.body).filter(|body| !body.is_empty()),
        note: [unkept, unlisted].into_iter().flatten().reduce(|one, other| format!("{one}; {other}")),
        status: exchange.status,
        scim_type: error.as_ref().and_then(|error| error.scim_type).map(|kind| kind.as_str().to_owned()),
        detail: error.as_ref().map(push::plain_detail),
        latency_ms: i64::try_from(exchange.latency.as_millis()).unwrap_or(i64::MAX),
        request: exchange.request.to_string(),
        resource,
        people,
        ignored: told.ignored.into_iter().collect(),
        failed_operations: i64::try_from(told.failed).unwrap_or(i64::MAX),
        alike: None,
        times: 1,
    }
}

/// The type of resource that a path below the SCIM base URL is about, and the id in it.
fn about(path: &str) -> (Option<ResourceKind>, Option<&str>) {
    let mut parts = path.split('/').skip(1);
    let kind = match parts.next() {
        Some("Users") => ResourceKind::User,
        Some("Groups") => ResourceKind::Group,
        _ => return (None, None),
    };
    (Some(kind), parts.next().filter(|id| !id.is_empty() && !id.starts_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOptions;

    fn exchange(path: &str, body: Body) -> Exchange {
        let sender = Sender {
            account: Uuid::from_u128(1).into(),
            connection: Uuid::from_u128(2).into(),
            bearer: Uuid::from_u128(3),
            dialect: Dialect::Auto,
        };
        Exchange {
            sender,
            at: Timestamp::from_millis(0),
            method: "POST".to_owned(),
            path: path.to_owned(),
            body,
            status: 201,
            error: None,
            told: Told::default(),
            latency: Duration::from_millis(3),
            request: "r".into(),
            created: Some("made".to_owned()),
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_counted_and_nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::Sqlite { file: dir.path().join("x.db"), readers: 1 };
        let (log, mut writer) = PushLog::with_room_for(Arc::new(Store::open(&options).await.unwrap()), 3);
        for _ in 0..5 {
            log.note(exchange("/Users", Body::Whole(vec![b'x'; 100])));
        }
        assert_eq!(log.shared.dropped.load(Ordering::Relaxed), 2);
        assert_eq!(log.shared.bodies.load(Ordering::Relaxed), 300, "what was dropped holds nothing");
        while writer.queue.try_recv().map(|exchange| writer.shared.let_go(&exchange.body)).is_ok() {}
        log.note(exchange("/Users", Body::Whole(vec![b'x'; BODIES + 1])));
        let taken = writer.queue.try_recv().unwrap();
        assert!(matches!(taken.body, Body::Long(_)), "too much of it waits already");
        assert_eq!(log.shared.bodies.load(Ordering::Relaxed), 0);
        drop(writer);
        log.note(exchange("/Users", Body::None));
        assert_eq!(log.shared.dropped.load(Ordering::Relaxed), 3);
        for n in 0..2 * SHAPES {
            log.count(&exchange("", Body::None).sender, Timestamp::from_millis(61_000), format!("GET /x{n}"));
        }
        let reads = log.shared.reads.lock().unwrap();
        assert_eq!(reads.len(), SHAPES + 1);
        assert!(reads.keys().all(|(_, _, minute, _)| minute.millis() == 60_000));
    }

    #[test]
    fn a_request_is_about_what_it_names_or_made() {
        let form = |path: &str, body: &[u8]| in_form(exchange(path, Body::Whole(body.to_vec())));
        let made = form("/Users", b"{\"userName\":\"a\"}");
        assert_eq!((made.resource.as_deref(), made.people), (Some("made"), vec!["made".to_owned()]));
        let named = form("/Groups/g1", b"{}");
        assert_eq!((named.resource.as_deref(), named.people.len()), (Some("g1"), 0));
        assert_eq!(about("/Users/.search"), (Some(ResourceKind::User), None));
        assert_eq!(about("/Bulk"), (None, None));
        assert_eq!(form("/Users", b"password=x").note.as_deref(), Some("10 bytes that are not JSON, not kept"));
        assert_eq!(in_form(exchange("/Users", Body::Long(9))).body, None);
    }
}
