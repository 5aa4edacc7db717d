//! The log of sign-ins: each attempt, with what an administrator can act on.

use serde_json::Value;

use crate::base::{AccountId, ConnectionId, Timestamp, UserId};

use super::change::Change;
use super::error::StoreError;
use super::row::{RowExt as _, to_json};
use super::session::{Session, Tx};
use super::sql::{Sql, marks};

/// An attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct SignIn {
    /// When.
    pub at: Timestamp,
    /// In which account, if that is known.
    pub account: Option<AccountId>,
    /// By which connection; none: a local account.
    pub connection: Option<ConnectionId>,
    /// Whom it signed in, or would have.
    pub user: Option<UserId>,
    /// `password`, `saml`, `oidc` or `link`.
    pub means: String,
    /// What came of it.
    pub outcome: String,
    /// The check that refused it.
    pub check: Option<String>,
    /// What was found and what was expected, for administrators.
    pub detail: Option<String>,
    /// Who it was said to be.
    pub who: Option<String>,
    /// What the identity provider said, without secrets.
    pub claims: Option<Value>,
    /// Where it came from.
    pub address: String,
    /// What the browser called itself, shortened.
    pub user_agent: String,
    /// What the person was shown; the id of the request.
    pub reference: String,
}

/// An attempt as it is read.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its number: the later, the greater.
    pub seq: i64,
    /// The attempt.
    pub sign_in: SignIn,
    /// The userName of the person, if there is one.
    pub user_name: Option<String>,
}

/// Which attempts of an account are wanted.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Of this connection.
    pub connection: Option<ConnectionId>,
    /// Of this person.
    pub user: Option<UserId>,
    /// The one with this reference.
    pub reference: Option<String>,
    /// Later ones than this number.
    pub after: Option<i64>,
}

impl Change {
    /// Records an attempt.
    pub fn insert_sign_in(&mut self, it: &SignIn) -> Result<(), StoreError> {
        self.push(
            Sql::new(
                "INSERT INTO sign_in (at, account_id, connection_id, user_id, means, outcome, failed_check, detail, who, claims, \
                 address, user_agent, reference) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(it.at.millis())
            .bind(it.account.map(|id| id.to_string()))
            .bind(it.connection.map(|id| id.to_string()))
            .bind(it.user.map(|id| id.to_string()))
            .bind(it.means.as_str())
            .bind(it.outcome.as_str())
            .bind(it.check.clone())
            .bind(it.detail.clone())
            .bind(it.who.clone())
            .bind(it.claims.as_ref().map(|claims| to_json("sign_in", claims)).transpose()?)
            .bind(it.address.as_str())
            .bind(it.user_agent.as_str())
            .bind(it.reference.as_str()),
        );
        Ok(())
    }
}

/// The latest attempts of an account that are wanted, the earliest of them first. Attempts whose account is not known are
/// everybody's who runs the installation, and are among them.
pub async fn list(
    session: &Session,
    account: AccountId,
    selection: &Selection,
    limit: u64,
) -> Result<Vec<Logged>, StoreError> {
    let columns = "i.seq, i.at, i.account_id, i.connection_id, i.user_id, i.means, i.outcome, i.failed_check, i.detail, \
                   i.who, i.claims, i.address, i.user_agent, i.reference, u.user_name";
    let one = |whose: Sql| {
        let mut sql =
            Sql::new(format!("SELECT {columns} FROM sign_in i LEFT JOIN \"user\" u ON u.id = i.user_id WHERE "));
        sql.push(whose);
        if let Some(connection) = selection.connection {
            sql.push(Sql::new(" AND i.connection_id = ?").bind(connection.to_string()));
        }
        if let Some(user) = selection.user {
            sql.push(Sql::new(" AND i.user_id = ?").bind(user.to_string()));
        }
        if let Some(reference) = &selection.reference {
            sql.push(Sql::new(" AND i.reference = ?").bind(reference.as_str()));
        }
        if let Some(after) = selection.after {
            sql.push(Sql::new(" AND i.seq > ?").bind(after));
        }
        sql.push_str(" ORDER BY i.seq DESC");
        sql.push_limit(limit);
        sql
    };
    let mut found = Vec::new();
    for whose in [Sql::new("i.account_id = ?").bind(account.to_string()), Sql::new("i.account_id IS NULL")] {
        for row in session.all(one(whose)).await? {
            found.push(read(&row)?);
        }
    }
    found.sort_by_key(|logged| std::cmp::Reverse(logged.seq));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    found.reverse();
    Ok(found)
}

/// Deletes the oldest attempts if they were before a time, looking at `limit` at most; says how many.
pub async fn sweep(tx: &Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let oldest =
        tx.all(Sql::new("SELECT seq, at FROM sign_in ORDER BY seq LIMIT ? + 0").bind(i64::from(limit))).await?;
    let mut old = Vec::new();
    for row in &oldest {
        if row.int("at")? < before.millis() {
            old.push(row.int("seq")?);
        }
    }
    if old.is_empty() {
        return Ok(0);
    }
    let mut sql = Sql::new(format!("DELETE FROM sign_in WHERE seq IN ({})", marks(old.len())));
    for seq in old {
        sql = sql.bind(seq);
    }
    tx.run(sql).await
}

fn read(row: &sea_orm::QueryResult) -> Result<Logged, StoreError> {
    Ok(Logged {
        seq: row.int("seq")?,
        sign_in: SignIn {
            at: Timestamp::from_millis(row.int("at")?),
            account: row.parsed_opt("sign_in", "account_id")?,
            connection: row.parsed_opt("sign_in", "connection_id")?,
            user: row.parsed_opt("sign_in", "user_id")?,
            means: row.text("means")?,
            outcome: row.text("outcome")?,
            check: row.text_opt("failed_check")?,
            detail: row.text_opt("detail")?,
            who: row.text_opt("who")?,
            claims: row.json_opt("sign_in", "claims")?,
            address: row.text("address")?,
            user_agent: row.text("user_agent")?,
            reference: row.text("reference")?,
        },
        user_name: row.text_opt("user_name")?,
    })
}
