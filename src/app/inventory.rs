//! The walks of a server.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::routers::AccountRouters;
use crate::config::{Config, DriftPolicy};
use crate::reconcile::inventory::{self, InventoryPorts, InventorySettings};
use crate::service::{Core, Wake};

/// How walks are made, as configured.
pub(super) fn settings(config: &Config) -> InventorySettings {
    InventorySettings {
        every: config.inventory.every,
        share: config.inventory.share,
        channels: config.inventory.channels,
        repair: config.inventory.drift == DriftPolicy::Repair,
        protected_roles: config.reconciler.protected_roles.iter().cloned().collect(),
        many_people: config.guard.max_people,
        many_share: config.guard.max_share,
    }
}

pub(super) fn ports(core: &Arc<Core>, wake: &Wake) -> InventoryPorts {
    InventoryPorts { store: Arc::clone(core.store()), ambient: core.ambient().clone(), wake: Arc::clone(&wake.workers) }
}

/// Walks all accounts in their time, until it is told to stop.
pub(super) fn run(
    config: &Config,
    core: &Arc<Core>,
    routers: &Arc<AccountRouters>,
    wake: &Wake,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    inventory::run(ports(core, wake), settings(config), Arc::clone(routers) as Arc<_>, stop)
}
