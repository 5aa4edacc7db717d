//! The configuration epoch, read once for all who ask at the same time.
//!
//! Every request asks, because what another process changed must hold for the next one. Whoever asks gets an answer that was
//! read after the question: while one read is under way, those who come meanwhile wait for the next, and share it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use sea_orm::{DbErr, RuntimeErr};

use super::error::StoreError;
use super::row::RowExt as _;
use super::session::Session;
use super::sql::Sql;

/// A read that several wait for.
type Read = Shared<BoxFuture<'static, Result<i64, StoreError>>>;

/// How long a read may take, since everybody waits for it: as long as for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the epoch.
#[derive(Debug, Default)]
pub(super) struct Epoch {
    /// The read that has not begun yet.
    next: Arc<Mutex<Option<Read>>>,
    /// Held while reading.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Epoch {
    pub(super) async fn read(&self, session: &Arc<Session>) -> Result<i64, StoreError> {
        self.join(session).await
    }

    fn join(&self, session: &Arc<Session>) -> Read {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = &*next {
            return read.clone();
        }
        let (session, turn, waiting) = (Arc::clone(session), Arc::clone(&self.turn), Arc::clone(&self.next));
        let read = async move {
            let _turn = turn.lock().await;
            // From here on whoever asks is too late for this one.
            waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
            let late = || DbErr::Conn(RuntimeErr::Internal("the epoch could not be read in time".to_owned()));
            tokio::time::timeout(PATIENCE, epoch_of(&session)).await.unwrap_or_else(|_| Err(late().into()))
        };
        let read = read.boxed().shared();
        *next = Some(read.clone());
        read
    }
}

pub(super) async fn epoch_of(session: &Session) -> Result<i64, StoreError> {
    match session.one(Sql::new("SELECT epoch FROM installation WHERE id = 1")).await? {
        Some(row) => row.int("epoch"),
        None => Err(StoreError::Damaged { table: "installation", what: "its row is missing".to_owned() }),
    }
}
