//! People as the API and the pages list them: of all connections of an account, and local ones.

use crate::base::{AccountId, Timestamp, UserId};
use crate::domain::{Role, UserStatus};

use super::error::StoreError;
use super::row::RowExt as _;
use super::session::Session;
use super::sql::Sql;

/// A person with their worker.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The id.
    pub user: UserId,
    /// userName.
    pub user_name: String,
    /// The attributes as JSON text.
    pub document: String,
    /// Where the person is in life.
    pub status: UserStatus,
    /// The role that was last computed, or given.
    pub role: Option<Role>,
    /// The worker's SID at TaskRouter, once there is one.
    pub sid: Option<String>,
    /// How the worker is; none: there never was to be one.
    pub state: Option<String>,
    /// When the person was made.
    pub created_at: Timestamp,
}

/// People of an account that are not deleted, in the order of their ids, after one of them.
pub async fn list(
    session: &Session,
    account: AccountId,
    after: Option<UserId>,
    limit: u64,
) -> Result<Vec<Listed>, StoreError> {
    // A renamed person may have two rows of workers for a while: the one that goes counts less than the one that stays.
    let worker = "(SELECT x.id FROM worker x WHERE x.user_id = u.id \
                  ORDER BY CASE WHEN x.desired IS NULL THEN 1 ELSE 0 END, x.id DESC LIMIT 1)";
    let mut sql = Sql::new(format!(
        "SELECT u.id, u.user_name, u.document, u.status, u.role, u.created_at, w.sid, w.state \
         FROM \"user\" u LEFT JOIN worker w ON w.id = {worker} WHERE u.account_id = ? AND u.status <> 'deleted'"
    ))
    .bind(account.to_string());
    if let Some(after) = after {
        sql.push(Sql::new(" AND u.id > ?").bind(after.to_string()));
    }
    sql.push_str(" ORDER BY u.account_id, u.id");
    sql.push_limit(limit);
    session.all(sql).await?.iter().map(read).collect()
}

fn read(row: &sea_orm::QueryResult) -> Result<Listed, StoreError> {
    Ok(Listed {
        user: row.parsed("user", "id")?,
        user_name: row.text("user_name")?,
        document: row.text("document")?,
        status: row.parsed("user", "status")?,
        role: row.parsed_opt("user", "role")?,
        sid: row.text_opt("sid")?,
        state: row.text_opt("state")?,
        created_at: Timestamp::from_millis(row.int("created_at")?),
    })
}
