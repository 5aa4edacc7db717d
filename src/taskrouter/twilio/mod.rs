//! `TaskRouter` over HTTP: Twilio's own, or anything that speaks like it.
//!
//! Robust against what lies between: every call has a time-out, an answer is believed only if it is the JSON that was
//! expected, and what may have happened unseen is reported as [`ErrorKind::Ambiguous`](super::ErrorKind::Ambiguous).

mod answer;
mod client;
mod limiter;
mod pace;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

use self::client::{Call, Client};
use super::stats::{Allowance, CallStats};
use super::{
    ATTRIBUTES_LIMIT, Activity, Channel, ETag, ErrorKind, NewWorker, Operation, PageToken, Reservation,
    ReservationStatus, Result, TaskRouter, TaskRouterError, Worker, WorkerChannel, WorkerPage, WorkerSid, WorkerUpdate,
    Workspace,
};
use crate::base::{Ambient, fold};
use crate::net::{HttpClient, HttpError};

/// The largest page that `TaskRouter` gives.
const PAGE_SIZE: usize = 1000;
/// The most pages of a list that is read to its end: activities and channels are few.
const MOST_PAGES: usize = 20;

/// How to reach a workspace.
#[derive(Clone, Debug)]
pub struct TwilioConfig {
    /// `https://taskrouter.twilio.com`; plain HTTP only to the loopback interface.
    pub base_url: Url,
    /// `WS...`.
    pub workspace_sid: String,
    /// An API key SID (`SK...`) or the account SID (`AC...`).
    pub username: String,
    /// The API key's secret or the account's auth token.
    pub secret: SecretString,
    /// The most calls at the same time.
    pub in_flight: usize,
    /// The most calls a second, `None` for no limit until `TaskRouter` asks to slow down.
    pub rate: Option<f64>,
    /// The time-out of one call.
    pub call_timeout: Duration,
    /// How long a call waits for its turn before it is given back unsent.
    pub patience: Duration,
}

impl TwilioConfig {
    /// The defaults: 16 calls in flight, no rate, 8 s a call, 2 s for its turn.
    pub fn new(base_url: Url, workspace_sid: &str, username: &str, secret: SecretString) -> Self {
        Self {
            base_url,
            workspace_sid: workspace_sid.to_owned(),
            username: username.to_owned(),
            secret,
            in_flight: 16,
            rate: None,
            call_timeout: Duration::from_secs(8),
            patience: Duration::from_secs(2),
        }
    }
}

/// The configuration cannot lead to `TaskRouter`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TwilioConfigError {
    /// The base URL is not allowed.
    #[error("the TaskRouter base URL cannot be used: {0}")]
    BaseUrl(#[from] HttpError),
    /// The base URL carries a query or fragment.
    #[error("the TaskRouter base URL has a query or a fragment")]
    NotABase,
    /// The workspace SID cannot stand in a path.
    #[error("the workspace SID {0:?} is not a SID (WS and 32 hexadecimal digits)")]
    WorkspaceSid(String),
}

/// The client of one workspace.
#[derive(Debug)]
pub struct TwilioTaskRouter {
    client: Client,
}

impl TwilioTaskRouter {
    /// A client; opens no connection.
    pub fn new(
        config: TwilioConfig,
        http: HttpClient,
        ambient: Ambient,
    ) -> std::result::Result<Self, TwilioConfigError> {
        Ok(Self { client: Client::new(config, http, ambient)? })
    }

    /// The counters of this client's calls.
    pub fn stats(&self) -> Arc<CallStats> {
        self.client.stats()
    }

    /// How fast it may call now.
    pub fn allowance(&self) -> Allowance {
        self.client.allowance()
    }

    /// A short list, read to its end.
    async fn all<T: Send>(
        &self,
        operation: Operation,
        path: &[&str],
        query: &[(&str, &str)],
        key: &str,
        read: impl Fn(&Value) -> Option<T> + Send + Sync,
    ) -> Result<Vec<T>> {
        let mut url = self.client.url(path, query);
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let (items, next) = self.client.page(operation, url, key, &read).await?;
            found.extend(items);
            match next {
                Some(next) => url = next,
                None => return Ok(found),
            }
        }
        Err(TaskRouterError::new(ErrorKind::Retryable, operation, "the list does not end"))
    }

    async fn worker_page(&self, operation: Operation, url: Url) -> Result<WorkerPage> {
        let (workers, next) = self.client.page(operation, url, "workers", &|item| wire::worker(item, None)).await?;
        Ok(WorkerPage { workers, next: next.map(PageToken::new) })
    }

    fn workers_url(&self, query: &[(&str, &str)]) -> Url {
        self.client.url(&["Workers"], query)
    }

    /// Whether the workspace answers at all: makes a 404 that is not `TaskRouter`'s own credible.
    async fn list_answers(&self) -> Result<()> {
        self.worker_page(Operation::FetchWorker, self.workers_url(&[("PageSize", "1")])).await.map(drop)
    }

    async fn channel_list(&self, operation: Operation, sid: &WorkerSid) -> Result<Vec<(String, WorkerChannel)>> {
        let path = ["Workers", sid.as_str(), "Channels"];
        self.all(operation, &path, &[("PageSize", "100")], "channels", wire::channel).await
    }

    async fn post_channel(&self, sid: &WorkerSid, name: &str, channel: Channel) -> Result<()> {
        let form = vec![("Capacity", channel.capacity.to_string()), ("Available", channel.available.to_string())];
        let url = self.client.url(&["Workers", sid.as_str(), "Channels", name], &[]);
        self.client.json(Call::new(Operation::SetChannel, Method::POST, url).form(form)).await.map(drop)
    }
}

/// The attributes as they are sent: minified, within `TaskRouter`'s limit.
fn minified(operation: Operation, attributes: &Map<String, Value>) -> Result<String> {
    let refused = |message: String| TaskRouterError::new(ErrorKind::Permanent, operation, message);
    let text = serde_json::to_string(attributes).map_err(|error| refused(error.to_string()))?;
    // In UTF-16 units, the largest of the possible meanings of "character".
    let length = text.encode_utf16().count();
    if length > ATTRIBUTES_LIMIT {
        return Err(refused(format!("the attributes have {length} characters, TaskRouter takes {ATTRIBUTES_LIMIT}")));
    }
    Ok(text)
}

#[async_trait]
impl TaskRouter for TwilioTaskRouter {
    async fn workspace(&self) -> Result<Workspace> {
        let answer = self.client.json(Call::get(Operation::Workspace, self.client.url(&[], &[]))).await?;
        answer.read(wire::workspace)
    }

    async fn activities(&self) -> Result<Vec<Activity>> {
        self.all(Operation::Activities, &["Activities"], &[("PageSize", "100")], "activities", wire::activity).await
    }

    async fn fetch_worker(&self, sid: &WorkerSid) -> Result<Option<Worker>> {
        let call = Call::get(Operation::FetchWorker, self.client.url(&["Workers", sid.as_str()], &[]));
        let answer = match self.client.json(call).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.status == Some(404) => {
                self.list_answers().await?;
                return Ok(None);
            }
            other => other?,
        };
        let worker = answer.worker()?;
        if worker.attributes.is_none() {
            let message = "TaskRouter does not show the worker's attributes as a JSON object";
            return Err(TaskRouterError::new(ErrorKind::Permanent, Operation::FetchWorker, message));
        }
        Ok(Some(worker))
    }

    async fn find_worker(&self, friendly_name: &str) -> Result<Option<Worker>> {
        let url = self.workers_url(&[("FriendlyName", friendly_name), ("PageSize", "50")]);
        let page = self.worker_page(Operation::FindWorker, url).await?;
        let wanted = fold(friendly_name);
        let alike = |worker: &&Worker| fold(&worker.friendly_name) == wanted;
        let same = page.workers.iter().find(|worker| worker.friendly_name == friendly_name);
        match same.or_else(|| page.workers.iter().find(alike)) {
            // Lists give no version, and may hide attributes.
            Some(found) => self.fetch_worker(&found.sid).await,
            // A full page of others: the filter was not applied.
            None if page.next.is_some() => self.search_worker(friendly_name).await,
            None => Ok(None),
        }
    }

    async fn create_worker(&self, worker: &NewWorker) -> Result<Worker> {
        let operation = Operation::CreateWorker;
        let mut form = vec![
            ("FriendlyName", worker.friendly_name.clone()),
            ("Attributes", minified(operation, &worker.attributes)?),
        ];
        form.extend(worker.activity_sid.iter().map(|sid| ("ActivitySid", sid.to_string())));
        let call = Call::new(operation, Method::POST, self.workers_url(&[])).form(form).names();
        self.client.json(call).await?.worker()
    }

    async fn update_worker(&self, sid: &WorkerSid, update: &WorkerUpdate, if_match: Option<&ETag>) -> Result<Worker> {
        let operation = Operation::UpdateWorker;
        let mut form = Vec::new();
        form.extend(update.friendly_name.iter().map(|name| ("FriendlyName", name.clone())));
        if let Some(attributes) = &update.attributes {
            form.push(("Attributes", minified(operation, attributes)?));
        }
        form.extend(update.activity_sid.iter().map(|sid| ("ActivitySid", sid.to_string())));
        if update.reject_pending_reservations {
            form.push(("RejectPendingReservations", "true".to_owned()));
        }
        let url = self.client.url(&["Workers", sid.as_str()], &[]);
        let mut call = Call::new(operation, Method::POST, url).form(form).if_match(if_match);
        if update.friendly_name.is_some() {
            call = call.names();
        }
        self.client.json(call).await?.worker()
    }

    async fn delete_worker(&self, sid: &WorkerSid, if_match: Option<&ETag>) -> Result<()> {
        let url = self.client.url(&["Workers", sid.as_str()], &[]);
        self.client.empty(Call::new(Operation::DeleteWorker, Method::DELETE, url).if_match(if_match)).await
    }

    async fn set_channel(&self, sid: &WorkerSid, unique_name: &str, channel: Channel) -> Result<()> {
        let missing = match self.post_channel(sid, unique_name, channel).await {
            Err(error) if error.kind == ErrorKind::NotFound => error,
            other => return other,
        };
        // Either the worker is gone, or this TaskRouter knows channels by SID only, or the channel does not exist.
        let channels = self.channel_list(Operation::SetChannel, sid).await?;
        match channels.iter().find(|(_, known)| known.unique_name == unique_name) {
            Some((by_sid, _)) if !by_sid.is_empty() => self.post_channel(sid, by_sid, channel).await,
            Some(_) => Err(missing),
            None => {
                let message = format!("the workspace has no task channel {unique_name:?}");
                Err(TaskRouterError { kind: ErrorKind::Permanent, message, ..missing })
            }
        }
    }

    async fn channels(&self, sid: &WorkerSid) -> Result<Vec<WorkerChannel>> {
        let channels = self.channel_list(Operation::Channels, sid).await?;
        Ok(channels.into_iter().map(|(_, channel)| channel).collect())
    }

    async fn open_reservations(&self, sid: &WorkerSid) -> Result<Vec<Reservation>> {
        let path = ["Workers", sid.as_str(), "Reservations"];
        let mut open = Vec::new();
        for status in ReservationStatus::OPEN {
            let query = [("ReservationStatus", status.as_str()), ("PageSize", "100")];
            let read = |item: &Value| {
                let shown = item.get("reservation_status").and_then(Value::as_str)?;
                Some((shown == status.as_str(), item.get("sid")?.as_str()?.to_owned()))
            };
            let listed = self.all(Operation::Reservations, &path, &query, "reservations", read).await?;
            open.extend(listed.into_iter().filter(|(same, _)| *same).map(|(_, sid)| Reservation { sid, status }));
        }
        Ok(open)
    }

    fn rate(&self) -> Option<f64> {
        self.client.rate()
    }

    async fn list_workers(&self, page: Option<&PageToken>) -> Result<WorkerPage> {
        let url = match page {
            Some(token) => self.client.continued(Operation::ListWorkers, token.as_str())?,
            None => self.workers_url(&[("PageSize", &PAGE_SIZE.to_string())]),
        };
        self.worker_page(Operation::ListWorkers, url).await
    }
}
