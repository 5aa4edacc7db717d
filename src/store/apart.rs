//! Jobs of one SQLite transaction that have nothing to do with each other, run side by side.
//!
//! To hand a statement to SQLite's thread and to wake up for its answer costs as much as many statements do, and while SQLite
//! works the jobs could think. So jobs that say what they touch, and touch nothing in common, go on together: when all of them
//! wait for the database, what they ask for is put to it in as few statements as possible.
//!
//! Each job sees the transaction as if the others had not begun, or were done; which of both makes no difference to it, or
//! it asks to run alone ([`super::Tx::run_alone`]).

use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, QueryResult};
use tokio::sync::oneshot;

use super::error::StoreError;
use super::sql::{Batch, Sql};

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// How many texts are asked for, and how many changes made, by one statement. Few different numbers, so that what SQLite has
/// prepared is found again.
const SIZES: [usize; 4] = [8, 4, 2, 1];

/// What a job waits for.
#[derive(Debug)]
enum Ask {
    /// The text that a statement answers in its only row and column.
    Text(Sql, Answer<Option<String>>),
    /// The rows that a statement answers.
    Rows(Sql, Answer<Vec<QueryResult>>),
    /// How many rows a statement changes.
    Change(Sql, Answer<u64>),
    /// That several changes are made.
    Changes(Sql, Answer<()>),
}

/// What the jobs wait for, until it is put to the database.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    asked: Mutex<Vec<Ask>>,
    /// Whether changes of several jobs failed together: whose fault it was is not known.
    broken: AtomicBool,
}

impl Gathering {
    pub(super) async fn text(&self, sql: Sql) -> Result<Option<String>, StoreError> {
        self.ask(|answer| Ask::Text(sql, answer)).await
    }

    pub(super) async fn rows(&self, sql: Sql) -> Result<Vec<QueryResult>, StoreError> {
        self.ask(|answer| Ask::Rows(sql, answer)).await
    }

    pub(super) async fn change(&self, sql: Sql) -> Result<u64, StoreError> {
        self.ask(|answer| Ask::Change(sql, answer)).await
    }

    pub(super) async fn changes(&self, batch: Batch) -> Result<(), StoreError> {
        self.ask(|answer| Ask::Changes(batch.joined(), answer)).await
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    async fn ask<T>(&self, ask: impl FnOnce(Answer<T>) -> Ask) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(ask(answer));
        let gone = || StoreError::Unavailable(DbErr::Custom("the transaction ended".to_owned()));
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    fn take(&self) -> Vec<Ask> {
        std::mem::take(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs jobs until all have ended. Says how each did; the answers are worth nothing if the gathering broke.
    pub(super) async fn drive<F: Future + Unpin>(
        self: &Arc<Self>,
        tx: &DatabaseTransaction,
        jobs: Vec<F>,
    ) -> Vec<F::Output> {
        let mut ended: Vec<Option<F::Output>> = jobs.iter().map(|_| None).collect();
        let mut jobs = jobs;
        loop {
            let asked = poll_fn(|cx| {
                for (job, ended) in jobs.iter_mut().zip(&mut ended) {
                    if ended.is_none()
                        && let Poll::Ready(output) = std::pin::Pin::new(job).poll(cx)
                    {
                        *ended = Some(output);
                    }
                }
                let asked = self.take();
                if asked.is_empty() && ended.iter().any(Option::is_none) { Poll::Pending } else { Poll::Ready(asked) }
            });
            let asked = asked.await;
            if asked.is_empty() {
                return ended.into_iter().flatten().collect();
            }
            self.put(tx, asked).await;
        }
    }

    /// Puts to the database what is asked for.
    async fn put(&self, tx: &DatabaseTransaction, asked: Vec<Ask>) {
        let (mut texts, mut changes) = (Vec::new(), Vec::new());
        for ask in asked {
            match ask {
                Ask::Text(sql, answer) => texts.push((sql, answer)),
                Ask::Changes(sql, answer) => changes.push((sql, answer)),
                Ask::Rows(sql, answer) if !self.is_broken() => {
                    let rows = tx.query_all_raw(sql.statement(DbBackend::Sqlite)).await;
                    tell(answer, self.noted(rows, 1));
                }
                Ask::Change(sql, answer) if !self.is_broken() => {
                    let done = tx.execute_raw(sql.statement(DbBackend::Sqlite)).await;
                    tell(answer, self.noted(done, 1).map(|done| done.rows_affected()));
                }
                Ask::Rows(..) | Ask::Change(..) => {}
            }
        }
        for alike in alike(texts) {
            self.read(tx, alike).await;
        }
        for alike in alike(changes) {
            self.write(tx, alike).await;
        }
    }

    /// Whose fault a failure is, is not known of several; and after most failures SQLite may have ended the transaction by itself,
    /// so that nothing more may be put to it. Whoever asks then is not answered, and runs again.
    fn noted<T>(&self, result: Result<T, DbErr>, askers: usize) -> Result<T, StoreError> {
        let result = result.map_err(StoreError::from);
        if let Err(error) = &result
            && (askers > 1 || !matches!(error, StoreError::Conflict(_)))
        {
            self.broken.store(true, Ordering::Relaxed);
        }
        result
    }

    async fn read(&self, tx: &DatabaseTransaction, alike: Vec<(Sql, Answer<Option<String>>)>) {
        if self.is_broken() {
            return;
        }
        let (questions, answers): (Vec<Sql>, Vec<_>) = alike.into_iter().unzip();
        let row = tx.query_one_raw(Sql::side_by_side(questions).statement(DbBackend::Sqlite)).await;
        let row = self.noted(row, answers.len());
        for (n, answer) in answers.into_iter().enumerate() {
            // A single statement may have no row; several side by side always have one.
            let text = row
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|row| row.as_ref().map_or(Ok(None), |row| Ok(row.try_get_by_index(n)?)));
            tell(answer, text);
        }
    }

    async fn write(&self, tx: &DatabaseTransaction, alike: Vec<(Sql, Answer<()>)>) {
        if self.is_broken() {
            return;
        }
        let (changes, answers): (Vec<Sql>, Vec<_>) = alike.into_iter().unzip();
        let mut batch = Batch::default();
        for sql in changes {
            batch.push(sql);
        }
        let done = tx.execute_raw(batch.joined().statement(DbBackend::Sqlite)).await.map(|_| ());
        let done = self.noted(done, answers.len());
        for answer in answers {
            tell(answer, done.clone());
        }
    }
}

fn tell<T>(answer: Answer<T>, result: Result<T, StoreError>) {
    // A job that panicked does not wait any longer.
    drop(answer.send(result));
}

/// Puts statements together whose text is the same, in groups of few different sizes.
fn alike<T>(mut asked: Vec<(Sql, T)>) -> Vec<Vec<(Sql, T)>> {
    let mut groups = Vec::new();
    while let Some(first) = asked.pop() {
        let mut same = vec![first];
        let mut others = Vec::new();
        for ask in asked {
            if ask.0.is_like(&same[0].0) { same.push(ask) } else { others.push(ask) }
        }
        asked = others;
        for size in SIZES {
            while same.len() >= size {
                groups.push(same.split_off(same.len() - size));
            }
        }
    }
    groups
}

/// The places of jobs that may run side by side: each says what it touches, and nobody touches the same.
pub(super) fn apart<'a>(touches: impl Iterator<Item = Option<&'a [uuid::Uuid]>>) -> Vec<bool> {
    let mut taken: HashSet<&uuid::Uuid> = HashSet::new();
    let mut places = Vec::new();
    for ids in touches {
        // What is touched by a job that does not fit in is taken all the same: it keeps its place before later ones.
        places.push(ids.is_some_and(|ids| ids.iter().all(|id| !taken.contains(id))));
        taken.extend(ids.unwrap_or_default());
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_touches_the_same_does_not_run_side_by_side() {
        let ids: Vec<uuid::Uuid> = (1..4).map(uuid::Uuid::from_u128).collect();
        let touches = [Some(&ids[..1]), None, Some(&[]), Some(&ids[..2]), Some(&ids[1..2]), Some(&ids[2..])];
        assert_eq!(apart(touches.into_iter()), [true, false, true, false, false, true]);
    }

    #[test]
    fn groups_have_few_sizes_and_one_text() {
        let asked = (0..15).map(|n| (Sql::new(if n == 3 { "b" } else { "a" }), n)).collect();
        let mut sizes: Vec<usize> = alike(asked).iter().map(Vec::len).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 2, 4, 8]);
    }
}
