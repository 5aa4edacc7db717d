//! Keys of scripts for the JSON API.

use crate::base::{AccountId, ApiKeyId, Timestamp, UserId};
use crate::domain::{Role, UserStatus};

use super::change::Change;
use super::error::StoreError;
use super::row::RowExt as _;
use super::session::{Session, Tx};
use super::sql::Sql;

/// A key, without its secret: only the hash is kept.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The account.
    pub account: AccountId,
    /// Whose it is: it ends with that person's access. None: the account's.
    pub user: Option<UserId>,
    /// What it is for, in words.
    pub name: String,
    /// Its first characters.
    pub hint: String,
    /// The most that it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; none: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it opens anything at that time.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// A key with the person whose it is, as they are now.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// The key.
    pub key: ApiKey,
    /// The account's name.
    pub account_name: String,
    /// The person whose it is.
    pub owner: Option<KeyOwner>,
}

/// The person whose a key is.
#[derive(Clone, Debug)]
pub struct KeyOwner {
    /// Where the person is in life.
    pub status: UserStatus,
    /// The role that was last computed.
    pub role: Option<Role>,
    /// The person's userName.
    pub user_name: String,
    /// The person's attributes as JSON text.
    pub document: String,
    /// The connection that the person belongs to, its name, and whether it is in use.
    pub connection: Option<(crate::base::ConnectionId, String, bool)>,
    /// Whether a recomputation that waits may change the role.
    pub unsettled: bool,
}

const COLUMNS: &str = "k.id, k.account_id, k.user_id, k.name, k.hint, k.role, k.created_at, k.expires_at, k.last_used_at, \
                       k.revoked_at";

impl Change {
    /// Records a key.
    pub fn insert_api_key(&mut self, key: &ApiKey, hash: &str) {
        self.push(
            Sql::new(
                "INSERT INTO api_key (id, hash, account_id, user_id, name, hint, role, created_at, expires_at, access_losses) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, COALESCE((SELECT access_losses FROM \"user\" WHERE id = ?), 0))",
            )
            .bind(key.id.to_string())
            .bind(hash)
            .bind(key.account.to_string())
            .bind(key.user.map(|user| user.to_string()))
            .bind(key.name.as_str())
            .bind(key.hint.as_str())
            .bind(key.role.as_str())
            .bind(key.created_at.millis())
            .bind(key.expires_at.map(Timestamp::millis))
            .bind(key.user.map(|user| user.to_string())),
        );
    }

    /// Revokes a key.
    pub fn revoke_api_key(&mut self, account: AccountId, key: ApiKeyId, at: Timestamp) {
        self.push(
            Sql::new("UPDATE api_key SET revoked_at = ? WHERE id = ? AND account_id = ? AND revoked_at IS NULL")
                .bind(at.millis())
                .bind(key.to_string())
                .bind(account.to_string()),
        );
    }
}

/// The key with that hash, whatever its state, with the person whose it is.
pub async fn by_hash(session: &Session, hash: &str) -> Result<Option<Bearer>, StoreError> {
    let named = if session.is_postgres() { "strpos(r.users, k.user_id)" } else { "instr(r.users, k.user_id)" };
    let sql = Sql::new(format!(
        "SELECT {COLUMNS}, a.name AS account_name, u.account_id AS home_account, u.access_losses, \
         k.access_losses AS known_losses, u.status, u.role AS owner_role, u.user_name, \
         u.document, u.connection_id AS home, c.name AS connection_name, c.state, \
         CAST(CASE WHEN EXISTS (SELECT 1 FROM recompute r WHERE r.account_id = k.account_id \
         AND (r.users IS NULL OR {named} > 0)) THEN 1 ELSE 0 END AS bigint) AS unsettled \
         FROM api_key k JOIN account a ON a.id = k.account_id LEFT JOIN \"user\" u ON u.id = k.user_id \
         LEFT JOIN connection c ON c.id = u.connection_id WHERE k.hash = ?"
    ));
    let Some(row) = session.one(sql.bind(hash)).await? else { return Ok(None) };
    let key = read(&row)?;
    let owner = match key.user {
        None => None,
        // The person is gone, or of another account: nobody has the key.
        Some(_) if row.text_opt("home_account")?.as_deref() != Some(&*row.text("account_id")?) => return Ok(None),
        // So is what the person had before losing all access.
        Some(_) if row.int_opt("access_losses")? != Some(row.int("known_losses")?) => return Ok(None),
        Some(_) => {
            let enabled = row.text_opt("state")?.as_deref() == Some("enabled");
            let home = row.parsed_opt("user", "home")?;
            Some(KeyOwner {
                status: row.parsed("user", "status")?,
                role: row.parsed_opt("user", "owner_role")?,
                user_name: row.text("user_name")?,
                document: row.text("document")?,
                connection: home.zip(row.text_opt("connection_name")?).map(|(id, name)| (id, name, enabled)),
                unsettled: row.int("unsettled")? != 0,
            })
        }
    };
    Ok(Some(Bearer { key, account_name: row.text("account_name")?, owner }))
}

/// The keys of an account, the newest first; those that open nothing any longer are among them if they are wanted.
pub async fn list(
    session: &Session,
    account: AccountId,
    good_at: Option<Timestamp>,
    limit: u64,
) -> Result<Vec<ApiKey>, StoreError> {
    let mut sql = Sql::new(format!("SELECT {COLUMNS} FROM api_key k WHERE k.account_id = ?")).bind(account.to_string());
    if let Some(now) = good_at {
        let good = " AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?)";
        sql.push(Sql::new(good).bind(now.millis()));
    }
    sql.push_str(" ORDER BY k.id DESC");
    sql.push_limit(limit);
    session.all(sql).await?.iter().map(read).collect()
}

/// One key of an account.
pub async fn by_id(session: &Session, account: AccountId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
    let sql = Sql::new(format!("SELECT {COLUMNS} FROM api_key k WHERE k.id = ? AND k.account_id = ?"))
        .bind(id.to_string())
        .bind(account.to_string());
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// Notes that a key was used.
pub async fn touch(tx: &Tx, id: ApiKeyId, at: Timestamp) -> Result<(), StoreError> {
    tx.run(
        Sql::new("UPDATE api_key SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at < ?)")
            .bind(at.millis())
            .bind(id.to_string())
            .bind(at.millis()),
    )
    .await?;
    Ok(())
}

fn read(row: &sea_orm::QueryResult) -> Result<ApiKey, StoreError> {
    let time = |column| Ok::<_, StoreError>(row.int_opt(column)?.map(Timestamp::from_millis));
    Ok(ApiKey {
        id: row.parsed("api_key", "id")?,
        account: row.parsed("api_key", "account_id")?,
        user: row.parsed_opt("api_key", "user_id")?,
        name: row.text("name")?,
        hint: row.text("hint")?,
        role: row.parsed("api_key", "role")?,
        created_at: Timestamp::from_millis(row.int("created_at")?),
        expires_at: time("expires_at")?,
        last_used_at: time("last_used_at")?,
        revoked_at: time("revoked_at")?,
    })
}
