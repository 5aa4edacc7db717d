//! What is learned once about an account's workspace.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::base::fold;
use crate::taskrouter::{ActivitySid, Channel, ErrorKind, Operation, Result, TaskRouter, TaskRouterError, WorkerSid};

/// Facts about a workspace that hardly ever change: kept for ten minutes, because an administrator may change them.
#[derive(Debug, Default)]
pub struct WorkspaceFacts {
    offline: Mutex<Option<(Instant, ActivitySid)>>,
    new_worker_channels: Mutex<Option<(Instant, BTreeMap<String, Channel>)>>,
}

const KEPT_FOR: Duration = Duration::from_mins(10);

impl WorkspaceFacts {
    /// The activity for workers that are taken out: the workspace's default if it is not available, else one that is not.
    ///
    /// # Errors
    /// As the port's; [`ErrorKind::Permanent`] if every activity is available.
    pub async fn offline_activity(&self, router: &dyn TaskRouter) -> Result<ActivitySid> {
        // Held while asking: whoever comes meanwhile waits for the answer instead of asking too.
        let mut kept = self.offline.lock().await;
        if let Some(activity) = fresh(kept.as_ref()) {
            return Ok(activity.clone());
        }
        let default = router.workspace().await?.default_activity_sid;
        let mut unavailable = router.activities().await?;
        unavailable.retain(|activity| !activity.available);
        let best = unavailable.into_iter().min_by_key(|activity| {
            (Some(&activity.sid) != default.as_ref(), fold(&activity.friendly_name) != "offline")
        });
        let Some(best) = best else {
            let message = "the workspace has no activity in which workers are not available";
            return Err(TaskRouterError::new(ErrorKind::Permanent, Operation::Activities, message));
        };
        *kept = Some((Instant::now(), best.sid.clone()));
        Ok(best.sid)
    }

    /// The channels of a worker nobody has touched yet, learned from one that was just created.
    ///
    /// # Errors
    /// As the port's.
    pub async fn new_worker_channels(
        &self,
        router: &dyn TaskRouter,
        just_created: &WorkerSid,
    ) -> Result<BTreeMap<String, Channel>> {
        let mut kept = self.new_worker_channels.lock().await;
        if let Some(channels) = fresh(kept.as_ref()) {
            return Ok(channels.clone());
        }
        let channels = channels_of(router, just_created).await?;
        *kept = Some((Instant::now(), channels.clone()));
        Ok(channels)
    }

    /// Forgets the activity, because TaskRouter refused it.
    pub async fn forget_offline_activity(&self) {
        *self.offline.lock().await = None;
    }
}

/// All channels of a worker.
///
/// # Errors
/// As the port's.
pub async fn channels_of(router: &dyn TaskRouter, sid: &WorkerSid) -> Result<BTreeMap<String, Channel>> {
    Ok(router.channels(sid).await?.into_iter().map(|channel| (channel.unique_name, channel.channel)).collect())
}

fn fresh<T>(kept: Option<&(Instant, T)>) -> Option<&T> {
    kept.filter(|(learned, _)| learned.elapsed() < KEPT_FOR).map(|(_, value)| value)
}
