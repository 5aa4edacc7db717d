//! What the wire tests share.
//!
//! A test is a function that takes the database to run on, and is named in [`on_both_databases`]:
//!
//! ```ignore
//! async fn a_user_can_be_read(db: Db) {
//!     let app = TestApp::start(db).await;
//!     let id = app.scim.add_user("ana@acme.example").await;
//!     app.scim.get(&format!("/Users/{id}")).await.expect(200);
//! }
//! on_both_databases!(a_user_can_be_read);
//! ```
//!
//! which makes the tests `a_user_can_be_read::sqlite` and `a_user_can_be_read::postgres`.

mod app;
mod browser;
mod client;
mod clock;
mod database;
pub mod node_op;
pub mod op;
pub mod process;
mod random;
pub mod saml;
mod wait;

pub use app::{Copy, PUBLIC_URL, TestApp, slug};
pub use browser::Browser;
pub use client::{Answer, ENTERPRISE, ERROR, GROUP, Scim, USER, encoded, ids};
pub use clock::TestClock;
pub use database::{Db, Sql, TestDatabase};
pub use random::Random;
pub use wait::wait_until;

/// Makes two tests of each function: one on SQLite and one on PostgreSQL.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                $crate::support::run(super::$name($crate::support::Db::Sqlite));
            }

            #[test]
            fn postgres() {
                $crate::support::run(super::$name($crate::support::Db::Postgres));
            }
        }
    )+};
}
pub(crate) use on_both_databases;

/// A number from the environment, for tests that can do more of the same.
#[expect(
    clippy::disallowed_methods,
    reason = "how much a test does, and from which seed, is for whoever runs it to say"
)]
pub fn number(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{name}: {error}")),
        Err(_) => usual,
    }
}

/// Runs a test to its end. Warnings of the server are printed, and shown with a test that fails.
pub fn run(test: impl Future<Output = ()>) {
    let subscriber = tracing_subscriber::fmt().with_test_writer().with_max_level(tracing::Level::WARN).finish();
    // Under a runner that shares a process among tests, another test may have been quicker.
    drop(tracing::subscriber::set_global_default(subscriber));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts");
    runtime.block_on(test);
}
