//! Sessions of people who signed in.
//!
//! A session counts only together with its user, its connection and its account as they are now: [`by_hash`] reads them in
//! one statement, and nothing of it is kept. That is what ends a session everywhere when access ends.

use crate::base::{AccountId, ConnectionId, SessionId, Timestamp, UserId};
use crate::domain::{Means, Role, SessionLimits, SessionTimes, UserStatus};

use super::accounts;
use super::change::Change;
use super::error::StoreError;
use super::row::RowExt as _;
use super::session::{Session, Tx};
use super::sql::Sql;

/// A session, without its secret.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Its id, which is not the secret and may be shown.
    pub id: SessionId,
    /// The account.
    pub account: AccountId,
    /// The person.
    pub user: UserId,
    /// The connection by which the person signed in; none: a local account.
    pub connection: Option<ConnectionId>,
    /// By what.
    pub means: Means,
    /// Its times.
    pub times: SessionTimes,
    /// Where the sign-in came from.
    pub address: String,
    /// What the browser called itself, shortened.
    pub user_agent: String,
}

/// What an identity provider knows a session by, for sign-out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdpSession {
    /// What it calls the person when it signs somebody out: the text of a SAML `NameID`, an OIDC `sub`.
    pub subject: Option<String>,
    /// SAML `SessionIndex`, OIDC `sid`.
    pub session: Option<String>,
    /// What it wants to be told when the person signs out here, in the words of whoever wrote it.
    pub logout: Option<String>,
}

/// A session with all that decides whether it counts.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The session.
    pub session: SignedIn,
    /// What the identity provider knows it by.
    pub idp: IdpSession,
    /// The account's name.
    pub account_name: String,
    /// The account's limits now.
    pub limits: SessionLimits,
    /// The connection's name, and whether it is in use.
    pub connection: Option<(String, bool)>,
    /// The connection that the person belongs to.
    pub home: Option<ConnectionId>,
    /// Where the person is in life.
    pub status: UserStatus,
    /// The role that was last computed.
    pub role: Option<Role>,
    /// The person's userName.
    pub user_name: String,
    /// The person's attributes as JSON text.
    pub document: String,
    /// Whether a recomputation that waits may change the role.
    pub unsettled: bool,
}

/// The columns of a session, whose table is `s`.
const COLUMNS: &str = "s.id, s.account_id, s.user_id, s.connection_id, s.means, s.created_at, s.authenticated_at, \
                       s.last_seen_at, s.ends_at, s.address, s.user_agent";

/// It began after the person last lost all access.
const SINCE: &str = "s.access_losses = (SELECT u.access_losses FROM \"user\" u WHERE u.id = s.user_id)";

impl Change {
    /// Begins a session.
    pub fn insert_session(&mut self, session: &SignedIn, idp: &IdpSession, hash: &str) {
        self.push(
            Sql::new(
                "INSERT INTO session (id, hash, account_id, user_id, connection_id, means, idp_subject, idp_session, logout, \
                 created_at, authenticated_at, last_seen_at, ends_at, address, user_agent, access_losses) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, \
                 COALESCE((SELECT access_losses FROM \"user\" WHERE id = ?), -1))",
            )
            .bind(session.id.to_string())
            .bind(hash)
            .bind(session.account.to_string())
            .bind(session.user.to_string())
            .bind(session.connection.map(|id| id.to_string()))
            .bind(session.means.as_str())
            .bind(idp.subject.clone())
            .bind(idp.session.clone())
            .bind(idp.logout.clone())
            .bind(session.times.created_at.millis())
            .bind(session.times.authenticated_at.millis())
            .bind(session.times.last_seen_at.millis())
            .bind(session.times.ends_at.millis())
            .bind(session.address.as_str())
            .bind(session.user_agent.as_str())
            .bind(session.user.to_string()),
        );
    }

    /// Ends one session of an account.
    pub fn end_session(&mut self, account: AccountId, session: SessionId, at: Timestamp) {
        self.push(
            Sql::new("UPDATE session SET ended_at = ? WHERE id = ? AND account_id = ? AND ended_at IS NULL")
                .bind(at.millis())
                .bind(session.to_string())
                .bind(account.to_string()),
        );
    }

    /// Ends the session that has this secret, if it stands.
    pub fn end_session_of(&mut self, hash: &str, at: Timestamp) {
        self.push(
            Sql::new("UPDATE session SET ended_at = ? WHERE hash = ? AND ended_at IS NULL")
                .bind(at.millis())
                .bind(hash),
        );
    }

    /// Ends all sessions that began through a connection.
    pub fn end_sessions_of_connection(&mut self, account: AccountId, connection: ConnectionId, at: Timestamp) {
        self.push(
            Sql::new("UPDATE session SET ended_at = ? WHERE account_id = ? AND connection_id = ? AND ended_at IS NULL")
                .bind(at.millis())
                .bind(account.to_string())
                .bind(connection.to_string()),
        );
    }

    /// Ends all sessions of a person.
    pub fn end_sessions_of_user(&mut self, account: AccountId, user: UserId, at: Timestamp) {
        self.push(
            Sql::new("UPDATE session SET ended_at = ? WHERE user_id = ? AND account_id = ? AND ended_at IS NULL")
                .bind(at.millis())
                .bind(user.to_string())
                .bind(account.to_string()),
        );
    }
}

/// The session with that hash, unless it was ended, with all that decides whether it counts.
pub async fn by_hash(session: &Session, hash: &str) -> Result<Option<Standing>, StoreError> {
    let names = if session.is_postgres() { "strpos(r.users, s.user_id)" } else { "instr(r.users, s.user_id)" };
    let sql = Sql::new(format!(
        "SELECT {COLUMNS}, s.idp_subject, s.idp_session, s.logout, u.status, u.role, u.user_name, u.document, \
         u.connection_id AS home, u.account_id AS home_account, \
         u.access_losses, s.access_losses AS known_losses, a.name AS account_name, a.session_idle_ms, a.session_absolute_ms, c.name AS connection_name, c.state, \
         CAST(CASE WHEN EXISTS (SELECT 1 FROM recompute r WHERE r.account_id = s.account_id \
         AND (r.users IS NULL OR {names} > 0)) THEN 1 ELSE 0 END AS bigint) AS unsettled \
         FROM session s JOIN \"user\" u ON u.id = s.user_id \
         JOIN account a ON a.id = s.account_id LEFT JOIN connection c ON c.id = s.connection_id \
         WHERE s.hash = ? AND s.ended_at IS NULL"
    ));
    let Some(row) = session.one(sql.bind(hash)).await? else { return Ok(None) };
    // Compared here: as a condition of the join it would let PostgreSQL look for the person among all of the account.
    if row.text("home_account")? != row.text("account_id")? || row.int("access_losses")? != row.int("known_losses")? {
        return Ok(None);
    }
    let state = row.text_opt("state")?;
    Ok(Some(Standing {
        session: read(&row)?,
        idp: IdpSession {
            subject: row.text_opt("idp_subject")?,
            session: row.text_opt("idp_session")?,
            logout: row.text_opt("logout")?,
        },
        account_name: row.text("account_name")?,
        limits: accounts::limits(&row)?,
        connection: row.text_opt("connection_name")?.map(|name| (name, state.as_deref() == Some("enabled"))),
        home: row.parsed_opt("user", "home")?,
        status: row.parsed("user", "status")?,
        role: row.parsed_opt("user", "role")?,
        user_name: row.text("user_name")?,
        document: row.text("document")?,
        unsettled: row.int("unsettled")? != 0,
    }))
}

/// The sessions of a person that were not ended, the newest first; those that have run out are among them.
pub async fn of_user(
    session: &Session,
    account: AccountId,
    user: UserId,
    limit: u64,
) -> Result<Vec<SignedIn>, StoreError> {
    let mut sql = Sql::new(format!(
        "SELECT {COLUMNS} FROM session s WHERE s.user_id = ? AND s.account_id = ? AND s.ended_at IS NULL AND {SINCE} \
         ORDER BY s.id DESC"
    ))
    .bind(user.to_string())
    .bind(account.to_string());
    sql.push_limit(limit);
    session.all(sql).await?.iter().map(read).collect()
}

/// One session of an account, unless it was ended.
pub async fn by_id(session: &Session, account: AccountId, id: SessionId) -> Result<Option<SignedIn>, StoreError> {
    let sql = Sql::new(format!(
        "SELECT {COLUMNS} FROM session s WHERE s.id = ? AND s.account_id = ? AND s.ended_at IS NULL AND {SINCE}"
    ))
    .bind(id.to_string())
    .bind(account.to_string());
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// Gives a session another secret, because the person proved again who they are; says whether it still stood.
pub async fn renew(tx: &Tx, id: SessionId, old: &str, new: &str, at: Timestamp) -> Result<bool, StoreError> {
    let sql = Sql::new(
        "UPDATE session SET hash = ?, authenticated_at = ?, last_seen_at = ? WHERE id = ? AND hash = ? AND ended_at IS NULL",
    )
    .bind(new)
    .bind(at.millis())
    .bind(at.millis())
    .bind(id.to_string())
    .bind(old);
    Ok(tx.run(sql).await? > 0)
}

/// Ends the sessions of a connection that its identity provider means, and says which they were: those of a subject, of a
/// session, or of both. It must name one of them.
pub async fn end_by_idp(
    tx: &Tx,
    connection: ConnectionId,
    subject: Option<&str>,
    session: Option<&str>,
    at: Timestamp,
) -> Result<Vec<SessionId>, StoreError> {
    if subject.is_none() && session.is_none() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new("UPDATE session SET ended_at = ? WHERE connection_id = ? AND ended_at IS NULL")
        .bind(at.millis())
        .bind(connection.to_string());
    if let Some(session) = session {
        sql.push(Sql::new(" AND idp_session = ?").bind(session));
    }
    if let Some(subject) = subject {
        sql.push(Sql::new(" AND idp_subject = ?").bind(subject));
    }
    sql.push_str(" RETURNING id");
    tx.all_writing(sql).await?.iter().map(|row| row.parsed("session", "id")).collect()
}

/// Notes that a session was used.
pub async fn touch(tx: &Tx, id: SessionId, at: Timestamp) -> Result<(), StoreError> {
    tx.run(
        Sql::new("UPDATE session SET last_seen_at = ? WHERE id = ? AND last_seen_at < ?")
            .bind(at.millis())
            .bind(id.to_string())
            .bind(at.millis()),
    )
    .await?;
    Ok(())
}

/// Deletes sessions whose last possible end is before a time, at most `limit`; says how many.
pub async fn sweep(tx: &Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let sql = "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE ends_at < ? ORDER BY ends_at LIMIT ? + 0)";
    tx.run(Sql::new(sql).bind(before.millis()).bind(i64::from(limit))).await
}

fn read(row: &sea_orm::QueryResult) -> Result<SignedIn, StoreError> {
    let time = |column| Ok::<_, StoreError>(Timestamp::from_millis(row.int(column)?));
    Ok(SignedIn {
        id: row.parsed("session", "id")?,
        account: row.parsed("session", "account_id")?,
        user: row.parsed("session", "user_id")?,
        connection: row.parsed_opt("session", "connection_id")?,
        means: row.parsed("session", "means")?,
        times: SessionTimes {
            created_at: time("created_at")?,
            authenticated_at: time("authenticated_at")?,
            last_seen_at: time("last_seen_at")?,
            ends_at: time("ends_at")?,
        },
        address: row.text("address")?,
        user_agent: row.text("user_agent")?,
    })
}
