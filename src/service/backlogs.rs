//! What waits to be brought about at TaskRouter, and who works on it.

use std::collections::{BTreeMap, HashMap};

use crate::base::{AccountId, ConnectionId};
use crate::store::backlog::{self, Backlog, Copies};
use crate::store::{StoreError, connections};

use super::core::Core;
use super::error::ServiceError;

impl Core {
    /// What waits to be brought about at TaskRouter, for each account that has something waiting or had lately.
    pub async fn backlogs(&self) -> Result<HashMap<AccountId, Backlog>, ServiceError> {
        Ok(backlog::of_all(self.store.read()).await?)
    }

    /// The copies of the server that run.
    pub async fn copies(&self) -> Result<Copies, ServiceError> {
        Ok(backlog::copies(self.store.read()).await?)
    }

    /// Tells the other copies, and whoever asks for the backlog, that this one is there and what it has done since it told last.
    pub async fn tell_of_copy(
        &self,
        copy: &str,
        paused: bool,
        settled: BTreeMap<AccountId, u64>,
    ) -> Result<(), ServiceError> {
        let copy = copy.to_owned();
        let write = self.store.keep(move |tx| {
            let (copy, settled) = (copy.clone(), settled.clone());
            Box::pin(async move {
                backlog::tell(tx, &copy, env!("CARGO_PKG_VERSION"), paused).await?;
                for (account, workers) in settled {
                    backlog::add_settled(tx, &copy, account, workers).await?;
                }
                Ok::<_, StoreError>(())
            })
        });
        Ok(write.await?)
    }

    /// Forgets copies: this one if it stops, and those that are long gone.
    pub async fn forget_copies(&self, stopping: Option<&str>) -> Result<(), ServiceError> {
        let copy = stopping.map(str::to_owned);
        let write = self.store.keep(move |tx| {
            let copy = copy.clone();
            Box::pin(async move { backlog::forget(tx, copy.as_deref()).await })
        });
        Ok(write.await?)
    }

    /// The names of all connections.
    pub async fn connection_names(&self) -> Result<HashMap<ConnectionId, String>, ServiceError> {
        Ok(connections::names(self.store.read()).await?)
    }
}
