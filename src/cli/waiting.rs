//! Waiting for the reconciler: that of a running server, or one of the command's own.

use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::progress::Shown;
use crate::app::command::Reach;
use crate::config::Config;
use crate::reconcile::driver::DriverHandle;
use crate::store::StoreError;
use crate::store::inventory::rows::Progress;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(200);
/// A server looks for work twice a second: if nobody has begun after this time, none runs.
const NOBODY_AFTER: Duration = Duration::from_secs(2);
/// Nothing has moved for so long that it is told to whoever waits.
const STUCK_AFTER: Duration = Duration::from_mins(1);

/// Why nothing can be done at TaskRouter.
pub(super) fn unless_paused(config: &Config) -> Result<(), String> {
    if config.reconciler.paused {
        return Err("the reconciler is paused (reconciler.paused), so nothing may be done at TaskRouter".to_owned());
    }
    Ok(())
}

/// Waits for the reconciler.
pub(super) struct Waiting<'a> {
    config: &'a Config,
    reach: &'a Reach,
    stop: CancellationToken,
    driver: Option<DriverHandle>,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(config: &'a Config, reach: &'a Reach, stop: CancellationToken) -> Self {
        Self { config, reach, stop, driver: None }
    }

    /// Waits until all is done that can be, nothing has moved for a minute, or it is told to stop. A server that runs does the work; if nobody
    /// begins, a reconciler is started here. Both would share it by leases.
    pub(super) async fn until_done(
        &mut self,
        shown: &Shown,
        mut progress: impl AsyncFnMut() -> Result<Progress, StoreError>,
    ) -> Result<Progress, StoreError> {
        let began = Instant::now();
        let mut last = (Progress::default(), Instant::now());
        loop {
            let now = progress().await?;
            shown.at("bringing workers into step", now.done, Some(now.all));
            if now.done + now.refused >= now.all {
                return Ok(now);
            }
            if now != last.0 {
                last = (now, Instant::now());
            } else if last.1.elapsed() >= STUCK_AFTER {
                return Ok(now);
            }
            let nobody = now.done + now.touched + now.refused == 0;
            if self.driver.is_none() && nobody && began.elapsed() >= NOBODY_AFTER {
                self.driver = Some(self.reach.start_driver(self.config));
            }
            if self.stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_none() {
                return Ok(now);
            }
        }
    }

    /// Ends the reconciler, if one was started here.
    pub(super) async fn end(self) -> Result<(), JoinError> {
        match self.driver {
            Some(driver) => driver.shutdown().await,
            None => Ok(()),
        }
    }
}
