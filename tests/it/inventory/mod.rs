//! Drift and inventory: walks through the workers of the stand-in, over HTTP.

mod command;
mod disturbed;
mod drift;
mod periodic;
mod strangers;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rollcall::base::{Ambient, Slug};
use rollcall::reconcile::inventory::classify::Class;
use rollcall::reconcile::inventory::{
    Asked, Detail, InventoryPorts, InventorySettings, Repair, Summary, WalkError, Walked, When, walk,
};
use rollcall::store::inventory::findings;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::support::TestApp;

/// As configured by default, but as quick as the stand-in.
fn settings() -> InventorySettings {
    InventorySettings {
        every: Some(Duration::from_hours(6)),
        share: 1.0,
        channels: true,
        repair: true,
        protected_roles: BTreeSet::from(["admin".to_owned()]),
        many_people: 25,
        many_share: 0.1,
    }
}

fn ports(app: &TestApp) -> InventoryPorts {
    InventoryPorts { store: Arc::clone(app.core().store()), ambient: Ambient::system(), wake: Arc::default() }
}

fn asked(app: &TestApp, repair: Repair) -> Asked {
    Asked { account: app.account.id, when: When::Now, repair, stop: CancellationToken::new() }
}

async fn try_walk(app: &TestApp, settings: &InventorySettings, repair: Repair) -> Result<Walked, WalkError> {
    walk(&ports(app), settings, app.router(), &asked(app, repair), &()).await
}

/// A walk that comes to its end.
async fn walked(app: &TestApp, repair: Repair) -> Summary {
    try_walk(app, &settings(), repair).await.unwrap().summary
}

/// What the last walk found, as class, name and what is recorded of it.
async fn found(app: &TestApp) -> Vec<(Class, String, Detail)> {
    let mut all = Vec::new();
    for class in Class::FINDINGS {
        let of_class = findings(app.core().store().read(), app.account.id, class.as_str(), "", 1_000).await.unwrap();
        for finding in of_class {
            all.push((class, finding.name, Detail::read(&finding.detail).unwrap()));
        }
    }
    all
}

async fn classes(app: &TestApp) -> Vec<(Class, String)> {
    found(app).await.into_iter().map(|(class, name, _)| (class, name)).collect()
}

/// People who are agents, and whose workers are in step.
async fn agents(app: &TestApp, names: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for name in names {
        ids.push(app.scim.add_user(name).await);
    }
    let members: Vec<&str> = ids.iter().map(String::as_str).collect();
    app.scim.add_group("CC Agents", &members).await;
    app.settled().await;
    ids
}

fn claims(claims: Value) -> Map<String, Value> {
    match claims {
        Value::Object(claims) => claims,
        other => panic!("not claims: {other}"),
    }
}

fn slug(name: &str) -> Slug {
    name.parse().unwrap()
}
