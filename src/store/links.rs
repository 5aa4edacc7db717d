//! Links that work once. Only their hash is kept.

use std::fmt;
use std::str::FromStr;

use crate::base::{AccountId, LinkId, Timestamp, UserId};

use super::change::Change;
use super::error::StoreError;
use super::row::RowExt as _;
use super::session::{Session, Tx};
use super::sql::Sql;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// To become the local owner.
    Owner,
    /// To accept an invitation.
    Invite,
    /// To set a password anew.
    Reset,
}

/// The text names no kind of link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkKindError;

impl LinkKind {
    /// The name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Invite => "invite",
            Self::Reset => "reset",
        }
    }
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LinkKind {
    type Err = LinkKindError;

    fn from_str(text: &str) -> Result<Self, LinkKindError> {
        [Self::Owner, Self::Invite, Self::Reset].into_iter().find(|kind| kind.as_str() == text).ok_or(LinkKindError)
    }
}

/// A link, without its secret.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// The account.
    pub account: AccountId,
    /// What it is for.
    pub kind: LinkKind,
    /// Whom it is for; none: whoever has it.
    pub user: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Change {
    /// Makes a link. Those of the same kind for the same person, made before, open nothing any longer: see
    /// [`Change::void_links`].
    pub fn insert_link(&mut self, link: &Link, hash: &str) {
        self.push(
            Sql::new(
                "INSERT INTO one_time_link (id, hash, account_id, kind, user_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(link.id.to_string())
            .bind(hash)
            .bind(link.account.to_string())
            .bind(link.kind.as_str())
            .bind(link.user.map(|user| user.to_string()))
            .bind(link.created_at.millis())
            .bind(link.expires_at.millis()),
        );
    }

    /// Ends the open links of a kind for one person, or those for whoever has them.
    pub fn void_links(&mut self, account: AccountId, kind: LinkKind, user: Option<UserId>, at: Timestamp) {
        let mut sql = Sql::new(
            "UPDATE one_time_link SET voided_at = ? WHERE account_id = ? AND kind = ? AND used_at IS NULL AND voided_at IS NULL",
        )
        .bind(at.millis())
        .bind(account.to_string())
        .bind(kind.as_str());
        match user {
            Some(user) => sql.push(Sql::new(" AND user_id = ?").bind(user.to_string())),
            None => sql.push_str(" AND user_id IS NULL"),
        }
        self.push(sql);
    }
}

/// The link with that hash, if it is open at that time.
pub async fn open_by_hash(session: &Session, hash: &str, now: Timestamp) -> Result<Option<Link>, StoreError> {
    let sql = Sql::new(
        "SELECT id, account_id, kind, user_id, created_at, expires_at FROM one_time_link \
         WHERE hash = ? AND used_at IS NULL AND voided_at IS NULL",
    );
    let found = session.one(sql.bind(hash)).await?.as_ref().map(read).transpose()?;
    Ok(found.filter(|link| now < link.expires_at))
}

/// Whether an account has an open link of that kind for whoever has it.
pub async fn is_open(
    session: &Session,
    account: AccountId,
    kind: LinkKind,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = Sql::new(
        "SELECT 1 AS one FROM one_time_link WHERE account_id = ? AND kind = ? AND user_id IS NULL AND used_at IS NULL \
         AND voided_at IS NULL AND expires_at > ? LIMIT 1",
    )
    .bind(account.to_string())
    .bind(kind.as_str())
    .bind(now.millis());
    Ok(session.one(sql).await?.is_some())
}

/// Uses a link up; says whether it was still open, which only one of several is told.
pub async fn use_up(tx: &Tx, link: LinkId, at: Timestamp) -> Result<bool, StoreError> {
    let sql = Sql::new(
        "UPDATE one_time_link SET used_at = ? WHERE id = ? AND used_at IS NULL AND voided_at IS NULL AND expires_at > ?",
    )
    .bind(at.millis())
    .bind(link.to_string())
    .bind(at.millis());
    Ok(tx.run(sql).await? > 0)
}

/// Deletes links that ended before a time, at most `limit`; says how many.
pub async fn sweep(tx: &Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let sql = "DELETE FROM one_time_link WHERE id IN \
               (SELECT id FROM one_time_link WHERE expires_at < ? ORDER BY expires_at LIMIT ? + 0)";
    tx.run(Sql::new(sql).bind(before.millis()).bind(i64::from(limit))).await
}

fn read(row: &sea_orm::QueryResult) -> Result<Link, StoreError> {
    Ok(Link {
        id: row.parsed("one_time_link", "id")?,
        account: row.parsed("one_time_link", "account_id")?,
        kind: row.parsed("one_time_link", "kind")?,
        user: row.parsed_opt("one_time_link", "user_id")?,
        created_at: Timestamp::from_millis(row.int("created_at")?),
        expires_at: Timestamp::from_millis(row.int("expires_at")?),
    })
}
