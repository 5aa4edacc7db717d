//! Walks that nobody asks for: each account in its time, whichever copy is free.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::walk::{Asked, walk};
use super::{InventoryPorts, InventorySettings, Repair, WalkError, When};
use crate::base::{AccountId, Causes};
use crate::reconcile::Routers;
use crate::store::{StoreError, accounts, inventory};

/// The first walk through a new account waits for this long, so that a start is no rush.
pub(super) const FIRST_AFTER: Duration = Duration::from_mins(5);
/// How often it is looked for accounts whose time has come.
const LOOK: Duration = Duration::from_secs(30);

/// Runs until it is told to stop; does nothing if walks are switched off.
pub async fn run(
    ports: InventoryPorts,
    settings: InventorySettings,
    routers: Arc<dyn Routers>,
    stop: CancellationToken,
) {
    let Some(every) = settings.every else { return };
    let (ports, settings) = (Arc::new(ports), Arc::new(settings));
    let mut walking: JoinSet<AccountId> = JoinSet::new();
    let mut under_way = HashSet::new();
    loop {
        while let Some(ended) = walking.try_join_next() {
            match ended {
                Ok(account) => drop(under_way.remove(&account)),
                Err(error) => {
                    // Which one it was is not told; its lease keeps it from being walked twice.
                    tracing::error!(%error, "a walk broke");
                    under_way.clear();
                }
            }
        }
        match due(&ports, &under_way).await {
            Ok(accounts) => {
                for account in accounts {
                    let Some(router) = routers.for_account(account) else { continue };
                    under_way.insert(account);
                    let (ports, settings, stop) = (Arc::clone(&ports), Arc::clone(&settings), stop.clone());
                    walking.spawn(async move {
                        let repair = if settings.repair { Repair::UnlessMany } else { Repair::Never };
                        let asked = Asked { account, when: When::Due, repair, stop };
                        match walk(&ports, &settings, router, &asked, &()).await {
                            // What goes wrong is logged where it does.
                            Ok(_) | Err(WalkError::Busy) => {}
                            Err(error) => tracing::debug!(%account, error = %Causes(&error), "walk ended early"),
                        }
                        account
                    });
                }
            }
            Err(error) => tracing::warn!(error = %Causes(&error), "the accounts to walk could not be read"),
        }
        let wait = LOOK.min(every).max(Duration::from_secs(1));
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            break;
        }
    }
    // Each ends with its next call.
    while walking.join_next().await.is_some() {}
}

async fn due(ports: &InventoryPorts, under_way: &HashSet<AccountId>) -> Result<Vec<AccountId>, StoreError> {
    let session = ports.store.read();
    let mut due = Vec::new();
    for account in accounts::all(session).await? {
        if !under_way.contains(&account.id) && inventory::is_due(session, account.id).await? {
            due.push(account.id);
        }
    }
    Ok(due)
}
