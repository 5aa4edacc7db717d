//! Random sequences of SCIM requests, in the forms of the RFC, Okta and Entra ID, against the server and against a small
//! model: they agree on every status, on what is stored, on membership both ways, and on totals.
//!
//! Each sequence has a seed and a connection of its own. A failure names its seed and what led to it:
//!
//! ```sh
//! ROLLCALL_MODEL_SEED=4711 ROLLCALL_MODEL_SEQUENCES=1 cargo nextest run -E 'test(model::)' --no-capture
//! ```

mod filter;
mod groups;
mod run;
mod state;
mod users;

use std::time::Instant;

use futures::stream::{self, StreamExt as _};
use rollcall::scim::Dialect;
use rollcall::service::connections::ConnectionSettings;

use crate::support::{Db, TestApp, number, on_both_databases};
use run::Run;

/// Sequences of an ordinary run of the tests.
const SEQUENCES: u64 = 80;
/// Sequences under way at the same time.
const TOGETHER: usize = 12;
/// Sequences against one server: the people of all its connections share one search index, which is not what is tested here.
const OF_ONE_SERVER: u64 = 500;

async fn random_sequences_agree_with_the_model(db: Db) {
    let (first, count) = (number("ROLLCALL_MODEL_SEED", 1), number("ROLLCALL_MODEL_SEQUENCES", SEQUENCES));
    let began = Instant::now();
    let end = first + count;
    for from in (first..end).step_by(usize::try_from(OF_ONE_SERVER).unwrap()) {
        let app = TestApp::builder(db).paused().start().await;
        let failures: Vec<String> = stream::iter(from..end.min(from + OF_ONE_SERVER))
            .map(|seed| sequence(&app, seed))
            .buffer_unordered(TOGETHER)
            .filter_map(async |outcome| outcome.err())
            .take(3)
            .collect()
            .await;
        assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    }
    eprintln!("{count} sequences from seed {first} in {:.1} s", began.elapsed().as_secs_f64());
}

async fn sequence(app: &TestApp, seed: u64) -> Result<(), String> {
    // Every third connection reads by the RFC alone, and is sent nothing else.
    let strict = seed.is_multiple_of(3);
    let dialect = Some(if strict { Dialect::Strict } else { Dialect::Auto });
    let settings = ConnectionSettings { dialect, ..ConnectionSettings::default() };
    let scim = app.connect_with(&format!("model-{seed}"), settings).await;
    let mut run = Run::new(scim, seed, strict);
    run.all().await.map_err(|why| {
        let replay = format!("ROLLCALL_MODEL_SEED={seed} ROLLCALL_MODEL_SEQUENCES=1");
        format!("seed {seed}: {why}\n{}\nreplay with {replay}", run.trace.join("\n"))
    })
}

on_both_databases!(random_sequences_agree_with_the_model);
