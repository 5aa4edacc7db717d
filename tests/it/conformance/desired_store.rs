//! The suite of `DesiredStore` on real databases.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rollcall::app;
use rollcall::base::{AccountId, Ambient, EventId, Timestamp, UserId, WorkerId, fold};
use rollcall::config::{Config, Sources};
use rollcall::domain::{DesiredWorker, Reason};
use rollcall::reconcile::conformance::{self, Bench, ReceiptView, View};
use rollcall::reconcile::desired_store::{DesiredStore, Known, RowState};
use rollcall::reconcile::receipt::Ending;
use rollcall::reconcile::sql_store::SqlStore;
use rollcall::service::{Core, Wake};
use rollcall::store::StoreError;
use rollcall::store::receipts::{self, Leaving, Receipt, Selection};
use rollcall::store::workers::{self, Wanted};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::support::{Db, Sql, TestDatabase, on_both_databases, slug};

const SECRET_KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// Without a server: nobody else claims anything.
struct SqlBench {
    core: Core,
    accounts: [AccountId; 2],
    sql: Sql,
}

impl SqlBench {
    async fn open(database: &TestDatabase, dir: &Path) -> Self {
        let environment = [
            ("ROLLCALL_DATA_DIR", dir.to_str().unwrap()),
            ("ROLLCALL_DATABASE_URL", database.url()),
            ("ROLLCALL_SECRET_KEY", SECRET_KEY),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let config = Config::load(&Sources { environment, ..Sources::default() }).unwrap().config;
        let core = app::open(&config, Ambient::system(), "http://localhost", Wake::default()).await.unwrap();
        let other = core.add_account(slug("acme-uk"), None).await.unwrap();
        let accounts = [core.ensure_default_account().await.unwrap().id, other.id];
        Self { core, accounts, sql: database.connect().await }
    }

    async fn say(&self, account: AccountId, name: &str, desired: Option<DesiredWorker>, reason: Reason) -> WorkerId {
        self.enlist(account, name).await;
        let (user, id, event) = (person(account, name), self.core.ambient().id(), self.core.ambient().id::<EventId>());
        self.core
            .store()
            .write(move |tx| {
                let desired = desired.clone();
                Box::pin(async move {
                    let mut change = tx.change();
                    if let Some(desired) = &desired {
                        change.want_worker(&Wanted { id, account, user, connection: None, desired, event })?;
                    } else {
                        let (accepted, had_access) = (None, false);
                        change.leave(&Leaving { account, user, reason, event, accepted, had_access });
                    }
                    tx.apply(change).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        self.row(account, user).await.id
    }

    /// Receipts are those of users.
    async fn enlist(&self, account: AccountId, name: &str) {
        let user = person(account, name);
        let sql = format!(
            "INSERT INTO \"user\" (id, account_id, status, user_name, user_name_fold, search_text, document, version, created_at, \
             updated_at) VALUES ('{user}', '{account}', 'active', '{name}', '{}', '', '{{}}', 1, 0, 0) ON CONFLICT DO NOTHING",
            fold(name)
        );
        self.sql.run(&sql).await.unwrap();
    }

    async fn receipts(&self, account: AccountId, worker: WorkerId) -> Vec<ReceiptView> {
        let all = receipts::list(self.core.store().read(), account, &Selection::default(), 100).await.unwrap();
        let mut views: Vec<ReceiptView> = all.iter().filter(|it| it.worker == Some(worker)).map(receipt_view).collect();
        views.reverse();
        views
    }

    async fn row(&self, account: AccountId, user: UserId) -> workers::WorkerRow {
        workers::of_user(self.core.store().read(), account, user).await.unwrap().expect("the row of a user's worker")
    }
}

/// A worker's row belongs to a person; here there is one for each name.
fn person(account: AccountId, name: &str) -> UserId {
    let digest = Sha256::digest(format!("{account}/{}", fold(name)));
    Uuid::from_slice(&digest[..16]).unwrap().into()
}

#[async_trait]
impl Bench for SqlBench {
    fn store(&self) -> Arc<dyn DesiredStore> {
        Arc::new(SqlStore::new(Arc::clone(self.core.store())))
    }

    fn accounts(&self) -> [AccountId; 2] {
        self.accounts
    }

    async fn want(&self, account: AccountId, name: &str, desired: Option<DesiredWorker>) -> WorkerId {
        self.say(account, name, desired, Reason::Deleted).await
    }

    async fn keep_offline(&self, account: AccountId, name: &str) -> WorkerId {
        let set = async |choice| {
            let sql = format!("UPDATE account SET deactivated = '{choice}' WHERE id = '{account}'");
            self.sql.run(&sql).await.unwrap();
        };
        set("keep-offline").await;
        let worker = self.say(account, name, None, Reason::Deactivated).await;
        set("remove").await;
        worker
    }

    async fn look(&self, worker: WorkerId) -> View {
        for account in self.accounts {
            let rows = workers::page(self.core.store().read(), account, "", 1_000).await.unwrap();
            if let Some(row) = rows.into_iter().find(|row| row.id == worker) {
                return View { receipts: self.receipts(account, worker).await, ..view(row) };
            }
        }
        panic!("there is no row {worker}");
    }

    async fn pass(&self, by: Duration) {
        let ms = by.as_millis();
        let sql = format!(
            "UPDATE worker SET due_at = due_at - {ms}, lease_until = lease_until - {ms}, desired_at = desired_at - {ms}"
        );
        self.sql.run(&sql).await.unwrap();
        let times = ["accepted_at", "unavailable_at", "removed_at", "verified_at"];
        let back: Vec<String> = times.iter().map(|time| format!("{time} = {time} - {ms}")).collect();
        self.sql.run(&format!("UPDATE receipt SET {}", back.join(", "))).await.unwrap();
    }
}

fn receipt_view(receipt: &Receipt) -> ReceiptView {
    let after = |time: Option<Timestamp>| time.map(|time| time.since(receipt.accepted_at));
    ReceiptView {
        unavailable_after: after(receipt.unavailable_at),
        removed_after: after(receipt.removed_at),
        verified_after: after(receipt.verified_at),
        ending: receipt.ending.as_deref().map(|ending| Ending::parse(ending).unwrap()),
    }
}

fn view(row: workers::WorkerRow) -> View {
    let sid = row.sid.map(|sid| sid.parse().unwrap());
    View {
        state: RowState::parse(&row.state).unwrap(),
        known: Known { sid, footprint: serde_json::from_str(&row.footprint).unwrap() },
        unsure: row.unsure,
        attempts: u32::try_from(row.attempts).unwrap(),
        last_error: row.last_error,
        in_step: row.applied_version == Some(row.desired_version),
        receipts: Vec::new(),
    }
}

/// Every check on a fresh database, so that a failure names the check and hides none of the others.
async fn the_database_is_a_desired_store(db: Db) {
    let mut failed = Vec::new();
    for (name, check) in conformance::ALL {
        let dir = tempfile::tempdir().unwrap();
        let database = TestDatabase::make(db, dir.path()).await;
        let bench = Arc::new(SqlBench::open(&database, dir.path()).await);
        if tokio::spawn(check(bench)).await.is_err() {
            failed.push(*name);
        }
        database.remove().await;
    }
    assert!(failed.is_empty(), "{failed:?}");
}

on_both_databases!(the_database_is_a_desired_store);
