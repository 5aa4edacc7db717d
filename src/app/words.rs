//! Waking the reconcilers of all copies: this one's at once, the others by a word over the database.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::routers::AccountRouters;
use crate::base::Causes;
use crate::reconcile::driver;
use crate::service::{Core, Wake};

/// The shortest time between two words: a burst of pushes is one piece of news.
const QUIET: Duration = Duration::from_millis(20);
/// A connection that nothing came over for so long is made anew: the other end may be gone without our knowing.
const SILENCE: Duration = Duration::from_mins(1);
/// How long to wait before it is tried again to hear.
const RETRY: Duration = Duration::from_secs(1);

/// What wakes and is woken.
#[derive(Clone)]
pub(super) struct Words {
    pub(super) core: Arc<Core>,
    pub(super) routers: Arc<AccountRouters>,
    pub(super) driver: driver::Wake,
    /// What this copy calls itself.
    pub(super) copy: String,
    pub(super) stop: CancellationToken,
}

impl Words {
    /// Wakes this copy's reconciler when a request of its own made work, and has the others told.
    pub(super) async fn wake(self, wake: Wake, news: Arc<Notify>) {
        while self.stop.run_until_cancelled(wake.workers.notified()).await.is_some() {
            news.notify_one();
            self.wake_driver().await;
        }
    }

    /// Tells the others, off the way of everything else. What happens meanwhile is told with the next word.
    pub(super) async fn tell(self, news: Arc<Notify>) {
        while self.stop.run_until_cancelled(news.notified()).await.is_some() {
            if let Err(error) = self.core.store().say(&self.copy).await {
                tracing::debug!(error = %Causes(&error), "other copies could not be told of work");
            }
            if self.stop.run_until_cancelled(tokio::time::sleep(QUIET)).await.is_none() {
                return;
            }
        }
    }

    /// Wakes this copy's reconciler when another copy has made work.
    pub(super) async fn hear(self) {
        let stop = self.stop.clone();
        stop.run_until_cancelled(self.hear_always()).await;
    }

    async fn hear_always(&self) {
        let mut warned = false;
        loop {
            match self.core.store().hear().await {
                Ok(None) => return,
                Ok(Some(mut hearing)) => {
                    warned = false;
                    // Somebody may have spoken while nobody heard.
                    self.wake_driver().await;
                    while let Ok(Ok(heard)) = tokio::time::timeout(SILENCE, hearing.next()).await {
                        if heard.as_ref() != Some(&self.copy) {
                            self.wake_driver().await;
                        }
                    }
                }
                Err(error) => {
                    if !warned {
                        tracing::warn!(error = %Causes(&error), "work of other copies is found by polling only");
                    }
                    warned = true;
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn wake_driver(&self) {
        // The work may be for an account that was made a moment ago: without its TaskRouter it would be put off.
        if let Err(error) = self.routers.refresh().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the accounts could not be read");
        }
        self.driver.wake();
    }
}
