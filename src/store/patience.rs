//! How long PostgreSQL is waited for.
//!
//! A host that dies, or whose address moves to another one, closes no connection: whoever waits for it learns of that from
//! TCP after a quarter of an hour, or never. So every statement is answered in time or given up. What became of a
//! connection whose answer nobody waited for is not known; for a while all of them are asked for a sign of life before and
//! after they are used, and those that give none make room for new ones.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr};
use sqlx::pool::PoolOptions;
use sqlx::{Connection as _, PgConnection, Postgres};
use tokio::time::Instant;

/// How much longer than the server may work on a statement its answer is waited for.
const ON_THE_WAY: Duration = Duration::from_secs(2);
/// Within this a connection must answer that is not asked for anything.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// Connections that were idle for so long are asked for a sign of life: what lies between may have forgotten them.
const IDLE: Duration = Duration::from_secs(30);
/// Whoever goes away sooner than this says nothing about the database: anybody may open requests and drop them.
const SUSPICIOUS: Duration = Duration::from_secs(1);
/// How long connections are doubted after one did not answer.
const DOUBTED: Duration = Duration::from_mins(1);

/// How long answers are waited for, and whether connections are doubted at the moment.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    /// How long the server may work on a statement; none: for ever.
    statement: Option<Duration>,
    doubt: Arc<Doubt>,
}

#[derive(Debug)]
struct Doubt {
    start: Instant,
    /// Milliseconds after the start.
    until: AtomicU64,
}

impl Doubt {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_raised(&self) -> bool {
        self.now() < self.until.load(Ordering::Relaxed)
    }
}

/// A question that has no answer yet; dropped, nobody waits for one any more.
struct Unanswered<'a> {
    doubt: Option<&'a Doubt>,
    since: Instant,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(doubt) = self.doubt
            && self.since.elapsed() >= SUSPICIOUS
        {
            let doubted = u64::try_from(DOUBTED.as_millis()).unwrap_or(u64::MAX);
            doubt.until.store(doubt.now().saturating_add(doubted), Ordering::Relaxed);
        }
    }
}

impl Patience {
    /// For what is in this process, and for migrations, which may take their time.
    pub(super) fn endless() -> Self {
        Self { statement: None, doubt: Arc::new(Doubt { start: Instant::now(), until: AtomicU64::new(0) }) }
    }

    pub(super) fn of_statements(limit: Duration) -> Self {
        Self { statement: Some(limit), ..Self::endless() }
    }

    /// The times as settings of PostgreSQL, which ends what takes longer.
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        let millis = |limit: Duration| limit.as_millis().to_string();
        ["statement_timeout", "idle_in_transaction_session_timeout"]
            .into_iter()
            .filter_map(|name| self.statement.map(|limit| (name, millis(limit))))
            .collect()
    }

    /// Waits for the answer to a statement.
    pub(super) async fn wait<T>(&self, asked: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        match self.statement {
            Some(limit) => self.wait_for(limit + ON_THE_WAY, asked).await,
            None => asked.await,
        }
    }

    /// Waits a short while, for what costs the server nothing.
    pub(super) async fn wait_briefly<T>(&self, asked: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        match self.statement {
            Some(_) => self.wait_for(SIGN_OF_LIFE, asked).await,
            None => asked.await,
        }
    }

    async fn wait_for<T>(&self, limit: Duration, asked: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        // Dropped in the opposite order: connections are doubted before this one goes back among them.
        let asked = pin!(asked);
        let mut unanswered = Unanswered { doubt: Some(&self.doubt), since: Instant::now() };
        let answer = tokio::time::timeout(limit, asked).await;
        let answer = answer.map_err(|_| DbErr::Conn(RuntimeErr::Internal("there was no answer in time".to_owned())))?;
        unanswered.doubt = None;
        answer
    }

    /// A pool that asks for signs of life.
    pub(super) fn watch(&self, pool: PoolOptions<Postgres>) -> PoolOptions<Postgres> {
        let (taken, given_back) = (Arc::clone(&self.doubt), Arc::clone(&self.doubt));
        pool.before_acquire(move |connection, meta| {
            let doubted = taken.is_raised() || meta.idle_for >= IDLE;
            Box::pin(async move { if doubted { lives(connection).await } else { Ok(true) } })
        })
        .after_release(move |connection, _| {
            let doubted = given_back.is_raised();
            Box::pin(async move { if doubted { lives(connection).await } else { Ok(true) } })
        })
    }
}

async fn lives(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match tokio::time::timeout(SIGN_OF_LIFE, connection.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::future::{pending, ready};

    #[tokio::test(start_paused = true)]
    async fn silence_is_doubted_for_a_while() {
        let patience = Patience::of_statements(Duration::from_secs(30));
        assert_eq!(patience.wait(ready(Ok(5))).await.unwrap(), 5);
        assert!(patience.wait::<()>(pending()).now_or_never().is_none());
        assert!(!patience.doubt.is_raised(), "somebody went away");
        tokio::time::timeout(Duration::from_secs(5), patience.wait::<()>(pending())).await.unwrap_err();
        assert!(patience.doubt.is_raised(), "nobody waited any longer");
        tokio::time::advance(DOUBTED).await;
        assert!(!patience.doubt.is_raised());
        let began = Instant::now();
        let error = patience.wait::<()>(pending()).await.unwrap_err();
        assert!(error.to_string().contains("in time") && began.elapsed() >= Duration::from_secs(32), "{error}");
        assert!(patience.doubt.is_raised());
        let endless = Patience::endless();
        assert!(tokio::time::timeout(Duration::from_hours(1), endless.wait::<()>(pending())).await.is_err());
        assert!(!endless.doubt.is_raised() && endless.settings().is_empty());
    }
}
