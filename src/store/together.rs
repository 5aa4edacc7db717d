//! Questions of one form that are asked at the same time, put to SQLite as one statement.
//!
//! To hand a statement to SQLite's thread and to wake up for its answer costs more than most look-ups. While as many
//! statements are under way as the machine has use for, whoever asks waits, and is asked together with the others who wait.
//! Nobody waits for company.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbErr};
use tokio::sync::oneshot;

use super::error::StoreError;
use super::sql::Sql;

/// How many questions are asked at once.
const MOST: usize = 8;
/// Questions longer than this, with what they bind, are asked alone.
const LONGEST: usize = 8_000;

/// The questions that wait, and how many statements are under way.
#[derive(Debug)]
pub(super) struct Together {
    pool: DatabaseConnection,
    /// How many statements may be under way.
    slots: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    questions: VecDeque<Question>,
    asking: usize,
}

#[derive(Debug)]
struct Question {
    sql: Sql,
    answer: oneshot::Sender<Result<Option<String>, StoreError>>,
}

impl Together {
    pub(super) fn new(pool: DatabaseConnection) -> Self {
        let slots = std::thread::available_parallelism().map_or(1, usize::from);
        Self { pool, slots, waiting: Mutex::default() }
    }

    /// The text that a statement answers in its only row and column; none: null, or no row.
    pub(super) async fn text(self: &Arc<Self>, sql: Sql) -> Result<Option<String>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let begin = {
            let mut waiting = self.waiting();
            waiting.questions.push_back(Question { sql, answer });
            let begin = waiting.asking < self.slots;
            waiting.asking += usize::from(begin);
            begin
        };
        if begin {
            // A task of its own, because whoever asks first may go away before the others are answered.
            tokio::spawn(Asking { together: Arc::clone(self), done: false }.ask());
        }
        let gone = || StoreError::Unavailable(DbErr::Custom("the question was dropped".to_owned()));
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next questions of one form; none: nobody waits, and the slot is given back.
    fn next(&self) -> Option<Vec<Question>> {
        let mut waiting = self.waiting();
        let Some(first) = waiting.questions.pop_front() else {
            // At the same moment, or somebody could come in between and wait for ever.
            waiting.asking -= 1;
            return None;
        };
        let mut batch = vec![first];
        if batch[0].sql.size() > LONGEST {
            return Some(batch);
        }
        let mut at = 0;
        while batch.len() < MOST && at < waiting.questions.len() {
            let sql = &waiting.questions[at].sql;
            if !sql.is_like(&batch[0].sql) || sql.size() > LONGEST {
                at += 1;
            } else if let Some(question) = waiting.questions.remove(at) {
                batch.push(question);
            }
        }
        Some(batch)
    }

    async fn answer(&self, batch: Vec<Question>) {
        if batch.len() > 1
            && let Ok(texts) = self.read(batch.iter().map(|question| question.sql.clone()).collect()).await
        {
            for (question, text) in batch.into_iter().zip(texts) {
                question.answer(Ok(text));
            }
            return;
        }
        // An error belongs to one: each finds out by itself.
        for question in batch {
            let text = self.read(vec![question.sql.clone()]).await;
            question.answer(text.map(|mut texts| texts.pop().flatten()));
        }
    }

    async fn read(&self, questions: Vec<Sql>) -> Result<Vec<Option<String>>, StoreError> {
        let count = questions.len();
        let statement = Sql::side_by_side(questions).statement(self.pool.get_database_backend());
        // A single statement may have no row; several side by side always have one.
        let Some(row) = self.pool.query_one_raw(statement).await? else { return Ok(vec![None; count]) };
        (0..count).map(|n| Ok(row.try_get_by_index(n)?)).collect()
    }
}

impl Question {
    fn answer(self, text: Result<Option<String>, StoreError>) {
        // Whoever asked may have gone away, and then needs no answer.
        drop(self.answer.send(text));
    }
}

/// One of the slots.
struct Asking {
    together: Arc<Together>,
    done: bool,
}

impl Asking {
    async fn ask(mut self) {
        while let Some(batch) = self.together.next() {
            self.together.answer(batch).await;
        }
        self.done = true;
    }
}

impl Drop for Asking {
    /// After a panic the slot is free again, and nobody waits for somebody who may never come.
    fn drop(&mut self) {
        if !self.done {
            let mut waiting = self.together.waiting();
            waiting.asking -= 1;
            waiting.questions.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn together() -> Arc<Together> {
        let mut options = sea_orm::ConnectOptions::new("sqlite::memory:");
        options.max_connections(1).sqlx_logging(false);
        let pool = sea_orm::Database::connect(options).await.unwrap();
        Arc::new(Together { pool, slots: 1, waiting: Mutex::default() })
    }

    fn question(text: &str) -> Sql {
        Sql::new("SELECT CASE WHEN ? = 'nobody' THEN NULL ELSE json_extract(?, '$') END").bind(text).bind(text)
    }

    #[tokio::test]
    async fn everybody_gets_the_answer_to_the_own_question() {
        let together = together().await;
        let ask = |n: usize| {
            let together = Arc::clone(&together);
            // Every seventh is not JSON, and fails by itself; every fifth has no answer.
            let text = match n {
                n if n % 7 == 3 => "{".to_owned(),
                n if n % 5 == 0 => "nobody".to_owned(),
                n => format!("\"{n}\""),
            };
            tokio::spawn(async move { (n, together.text(question(&text)).await) })
        };
        for asked in (0..100).map(ask).collect::<Vec<_>>() {
            let (n, answer) = asked.await.unwrap();
            match n {
                n if n % 7 == 3 => assert!(answer.is_err(), "{n}"),
                n if n % 5 == 0 => assert_eq!(answer.unwrap(), None, "{n}"),
                n => assert_eq!(answer.unwrap(), Some(n.to_string())),
            }
        }
        assert_eq!(together.waiting().asking, 0);
    }

    #[tokio::test]
    async fn no_row_is_no_text() {
        let together = together().await;
        let nothing = || Sql::new("SELECT 'x' WHERE 1 = ?").bind(2);
        assert_eq!(together.text(nothing()).await.unwrap(), None);
        assert_eq!(together.read(vec![nothing(), nothing()]).await.unwrap(), [None, None]);
    }

    #[tokio::test]
    async fn questions_of_one_form_are_asked_together() {
        let together = together().await;
        let put = |sql: Sql| {
            let (answer, answered) = oneshot::channel();
            together.waiting().questions.push_back(Question { sql, answer });
            answered
        };
        let forms = [question("1"), Sql::new("SELECT '2'"), question("3"), question(&"4".repeat(LONGEST))];
        let answers: Vec<_> = forms.into_iter().map(put).collect();
        together.waiting().asking = 1;
        let sizes: Vec<usize> = std::iter::from_fn(|| together.next()).map(|batch| batch.len()).collect();
        assert_eq!(sizes, [2, 1, 1]);
        assert_eq!(together.waiting().asking, 0);
        drop(answers);
    }
}
