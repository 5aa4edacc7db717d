//! What the application says about a person, and waiting until the person's worker is in step.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::check::Told;
use super::idp::Result;
use super::script::Idp;
use crate::access::Access;
use crate::base::{AccountId, ConnectionId, Timestamp, UserId};
use crate::domain::{Role, UserStatus};
use crate::service::Core;
use crate::store::users;
use crate::store::workers::{self, WorkerRow};

/// Longer than anything takes here; whoever waits so long waits in vain.
const PATIENCE: Duration = Duration::from_secs(15);
/// How exactly the time until a worker is in step is measured.
const LOOK_EVERY: Duration = Duration::from_millis(1);

pub(super) struct Watch {
    core: Arc<Core>,
    account: AccountId,
    connections: HashMap<Idp, ConnectionId>,
}

/// A person as the application has it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) status: UserStatus,
    pub(super) role: Option<Role>,
    pub(super) teams: Vec<String>,
    row: Option<WorkerRow>,
}

impl Watch {
    pub(super) fn new(core: Arc<Core>, account: AccountId, connections: HashMap<Idp, ConnectionId>) -> Self {
        Self { core, account, connections }
    }

    pub(super) async fn look(&self, idp: Idp, id: &str) -> Result<Seen> {
        let id: UserId = id.parse()?;
        let session = self.core.store().read();
        let connection = *self.connections.get(&idp).ok_or("the connection was not made")?;
        let user = users::by_id(session, connection, id).await?.ok_or("a person is gone whom nobody deleted")?;
        let access: Option<Access> = user.access.as_deref().map(serde_json::from_str).transpose()?;
        let attributes = user.attributes()?;
        let name = crate::domain::Person::new(&attributes).user_name().unwrap_or_default().to_owned();
        Ok(Seen {
            name,
            status: user.status,
            role: user.role,
            teams: access.map(|access| access.teams).unwrap_or_default(),
            row: workers::of_user(session, self.account, id).await?,
        })
    }

    /// Waits until the person's worker is as it should be.
    pub(super) async fn in_step(&self, idp: Idp, id: &str) -> Result<Seen> {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        let begun = tokio::time::Instant::now();
        loop {
            ticks.tick().await;
            let seen = self.look(idp, id).await?;
            if seen.in_step() {
                return Ok(seen);
            }
            if begun.elapsed() >= PATIENCE {
                let why = seen.row.and_then(|row| row.last_error).unwrap_or_else(|| "nothing was reported".to_owned());
                return Err(format!("the worker of {} is not in step after {PATIENCE:?}: {why}", seen.name).into());
            }
        }
    }
}

impl Seen {
    /// The worker's SID, while there is one.
    pub(super) fn sid(&self) -> Option<&str> {
        self.row.as_ref()?.sid.as_deref()
    }

    /// Whether what should be is so; without a worker that ever should have been, it is.
    pub(super) fn in_step(&self) -> bool {
        self.row.as_ref().is_none_or(|row| row.applied_version == Some(row.desired_version))
    }

    /// Since when it is so: when the worker became as desired, or was found to be gone.
    pub(super) fn in_step_since(&self) -> Option<Timestamp> {
        let row = self.row.as_ref()?;
        if row.desired.is_some() { row.in_step_at } else { row.removed_at }
    }

    /// Counts what was asked of the worker so far.
    fn version(&self) -> Option<i64> {
        Some(self.row.as_ref()?.desired_version)
    }

    pub(super) fn told(&self) -> Told {
        Told {
            status: self.status,
            role: self.role,
            teams: self.teams.clone(),
            worker_sid: self.sid().map(str::to_owned),
            in_step: self.in_step(),
        }
    }

    fn has(&self) -> String {
        match self.role {
            Some(role) => format!("{role} in {}", self.teams.join(", ")),
            None => "no access".to_owned(),
        }
    }
}

/// Whether anything was asked of the worker: otherwise there was nothing to wait for.
pub(super) fn changed(before: Option<&Seen>, after: &Seen) -> bool {
    before.and_then(Seen::version) != after.version()
}

/// What became of a person's worker, for the narration.
pub(super) fn outcome(before: Option<&Seen>, after: &Seen) -> String {
    let old = before.and_then(Seen::sid);
    let Some(sid) = after.sid() else {
        return match old {
            Some(old) => format!("{} removed, and found to be gone", short(old)),
            None => "no worker, as before".to_owned(),
        };
    };
    let Some(before) = before.filter(|before| before.sid() == Some(sid)) else {
        return format!("{} new: {}", short(sid), after.has());
    };
    if !changed(Some(before), after) {
        return format!("{} as it was: {}", short(sid), after.has());
    }
    let mut changes = Vec::new();
    if before.role != after.role {
        let name = |seen: &Seen| seen.role.map_or("none", Role::as_str);
        changes.push(format!("{} -> {}", name(before), name(after)));
    }
    if before.teams != after.teams {
        changes.push(format!("{} -> {}", before.teams.join(", "), after.teams.join(", ")));
    }
    if before.name != after.name {
        changes.push(format!("now {}", after.name));
    }
    let changes = if changes.is_empty() { "updated".to_owned() } else { changes.join(", ") };
    format!("{} kept: {changes}", short(sid))
}

/// Enough of a SID to recognise it; the table has the whole.
fn short(sid: &str) -> String {
    sid.chars().take(10).collect()
}
