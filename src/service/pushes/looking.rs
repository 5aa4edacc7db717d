//! Looking at the log of pushes, and deleting what is old of it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::base::Timestamp;
use crate::store::StoreError;
use crate::store::accounts::Account;
use crate::store::audit::{self, Recorded};
use crate::store::connections::Connection;
use crate::store::pushes::{self, Logged, Reads};

use super::super::core::Core;
use super::super::error::ServiceError;

/// How many requests are read by one statement.
const READ: usize = 500;
/// How many rows are deleted in one transaction.
const SWEPT: u32 = 500;
/// How many events of the audit trail are shown with a request.
const EVENTS: u64 = 50;

/// A logged request with what the audit trail says of it.
#[derive(Debug)]
pub struct Shown {
    /// The request.
    pub logged: Logged,
    /// The name of its connection.
    pub connection: String,
    /// What it changed of the resource that it is about.
    pub events: Vec<Recorded>,
}

impl Core {
    /// The latest requests of connections, the oldest first, at most `limit`.
    pub async fn latest_pushes(
        &self,
        connections: &[Connection],
        failed: bool,
        limit: u32,
    ) -> Result<Vec<Logged>, ServiceError> {
        let mut found = Vec::new();
        for connection in connections {
            found.extend(pushes::latest(self.store.read(), connection.id, failed, limit).await?);
        }
        found.sort_by_key(|logged| logged.seq);
        let surplus = found.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found.split_off(surplus))
    }

    /// The numbers of the requests of connections behind a number. Of a connection that has more than are read at once, the
    /// first; then none is given of any connection behind the last of those, so that whoever goes on from the greatest
    /// number misses nothing.
    pub async fn push_numbers_after(
        &self,
        connections: &[Connection],
        seq: i64,
        failed: bool,
        at_once: u32,
    ) -> Result<BTreeSet<i64>, ServiceError> {
        let (mut found, mut end) = (BTreeSet::new(), i64::MAX);
        for connection in connections {
            let numbers = pushes::numbers_after(self.store.read(), connection.id, seq, failed, at_once).await?;
            if numbers.len() >= usize::try_from(at_once).unwrap_or(usize::MAX) {
                end = end.min(numbers.last().copied().unwrap_or(end));
            }
            found.extend(numbers);
        }
        Ok(found.into_iter().take_while(|number| *number <= end).collect())
    }

    /// The requests with these numbers, the oldest first. The numbers are of connections that the caller may see.
    pub async fn pushes_numbered(&self, numbers: &[i64]) -> Result<Vec<Logged>, ServiceError> {
        let mut found = Vec::new();
        for some in numbers.chunks(READ) {
            found.extend(pushes::many(self.store.read(), some).await?);
        }
        found.sort_by_key(|logged| logged.seq);
        Ok(found)
    }

    /// One request, and what it changed.
    pub async fn push(&self, account: &Account, seq: i64) -> Result<Shown, ServiceError> {
        let missing = || ServiceError::Missing {
            kind: "push",
            name: seq.to_string(),
            hint: format!("; see `rollcall pushes tail --account {}`", account.name),
        };
        let logged = pushes::by_seq(self.store.read(), account.id, seq).await?.ok_or_else(missing)?;
        let connections = self.list_connections(account).await?;
        let connection = connections.into_iter().find(|connection| connection.id == logged.push.connection);
        let events = match &logged.push.resource {
            Some(target) => {
                audit::of_request(self.store.read(), account.id, target, &logged.push.request, EVENTS).await?
            }
            None => Vec::new(),
        };
        Ok(Shown { logged, connection: connection.map(|c| c.name.to_string()).unwrap_or_default(), events })
    }

    /// What was read of a connection since a time, by shape.
    pub async fn reads(&self, connection: &Connection, since: Timestamp) -> Result<Vec<Reads>, ServiceError> {
        Ok(pushes::reads(self.store.read(), connection.id, since).await?)
    }

    /// Deletes what the log of pushes has from before a time, in small transactions; says how many requests.
    pub async fn sweep_pushes(&self, keep: Duration) -> Result<u64, ServiceError> {
        let now = self.ambient.now();
        let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let (before, mut swept) = (Timestamp::from_millis(now.millis().saturating_sub(keep)), 0);
        for account in self.list_accounts().await? {
            for connection in self.list_connections(&account).await? {
                let id = connection.id;
                loop {
                    let some: Result<(u64, u64), StoreError> = self
                        .store
                        .keep(move |tx| {
                            Box::pin(async move {
                                let rows = pushes::sweep(tx, id, before, SWEPT).await?;
                                Ok((rows, pushes::sweep_reads(tx, id, before, SWEPT).await?))
                            })
                        })
                        .await;
                    let (rows, reads) = some?;
                    swept += rows;
                    if rows.max(reads) < u64::from(SWEPT) {
                        break;
                    }
                }
            }
        }
        Ok(swept)
    }
}
