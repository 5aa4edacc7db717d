//! How people of a connection sign in, and which e-mail domains are a connection's.

use crate::base::{AccountId, ConnectionId, Slug, Timestamp};

use super::change::Change;
use super::connections::{self, Connection};
use super::error::StoreError;
use super::row::RowExt as _;
use super::session::{Session, Tx};
use super::sql::Sql;

/// The sign-on part of a connection.
#[derive(Clone, Debug)]
pub struct Part {
    /// The connection.
    pub connection: ConnectionId,
    /// `saml` or `oidc`.
    pub kind: String,
    /// The account.
    pub account: AccountId,
    /// The settings with their secrets, sealed.
    pub settings: String,
    /// When the identity provider's metadata is read again.
    pub refresh_at: Option<Timestamp>,
    /// Why that failed the last time.
    pub refresh_error: Option<String>,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const COLUMNS: &str = "connection_id, kind, account_id, settings, refresh_at, refresh_error, updated_at";

impl Change {
    /// Sets how people of a connection sign in.
    pub fn set_part(&mut self, part: &Part) {
        self.push(
            Sql::new(
                "INSERT INTO sso (connection_id, kind, account_id, settings, refresh_at, refresh_error, created_at, updated_at) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (connection_id, kind) DO UPDATE SET settings = excluded.settings, \
                 refresh_at = excluded.refresh_at, refresh_error = excluded.refresh_error, updated_at = excluded.updated_at",
            )
            .bind(part.connection.to_string())
            .bind(part.kind.as_str())
            .bind(part.account.to_string())
            .bind(part.settings.as_str())
            .bind(part.refresh_at.map(Timestamp::millis))
            .bind(part.refresh_error.clone())
            .bind(part.updated_at.millis())
            .bind(part.updated_at.millis()),
        );
    }

    /// Takes a way to sign in away.
    pub fn delete_part(&mut self, connection: ConnectionId, kind: &str) {
        self.push(
            Sql::new("DELETE FROM sso WHERE connection_id = ? AND kind = ?").bind(connection.to_string()).bind(kind),
        );
    }

    /// Notes when metadata is to be read again, and why it could not be read.
    pub fn note_refresh(&mut self, connection: ConnectionId, kind: &str, next: Timestamp, error: Option<&str>) {
        self.push(
            Sql::new("UPDATE sso SET refresh_at = ?, refresh_error = ? WHERE connection_id = ? AND kind = ?")
                .bind(next.millis())
                .bind(error)
                .bind(connection.to_string())
                .bind(kind),
        );
    }
}

/// A connection of any account, by its name in a URL.
pub async fn connection_named(session: &Session, name: &str) -> Result<Option<Connection>, StoreError> {
    let Ok(name) = name.parse::<Slug>() else { return Ok(None) };
    connections::by_global_name(session, &name).await
}

/// A connection by its id.
pub async fn connection(session: &Session, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
    connections::by_id(session, id).await
}

/// The ways to sign in of a connection.
pub async fn parts(session: &Session, connection: ConnectionId) -> Result<Vec<Part>, StoreError> {
    let sql = Sql::new(format!("SELECT {COLUMNS} FROM sso WHERE connection_id = ? ORDER BY kind"))
        .bind(connection.to_string());
    session.all(sql).await?.iter().map(read).collect()
}

/// Parts whose metadata is to be read again, the longest overdue first. Claims them until `until`.
pub async fn claim_refresh(tx: &Tx, now: Timestamp, until: Timestamp) -> Result<Option<Part>, StoreError> {
    let skip = if tx.is_postgres() { " FOR UPDATE SKIP LOCKED" } else { "" };
    let sql = Sql::new(format!(
        "SELECT {COLUMNS} FROM sso WHERE refresh_at IS NOT NULL AND refresh_at <= ? ORDER BY refresh_at LIMIT 1{skip}"
    ))
    .bind(now.millis());
    let Some(part) = tx.one(sql).await?.as_ref().map(read).transpose()? else { return Ok(None) };
    let sql = Sql::new("UPDATE sso SET refresh_at = ? WHERE connection_id = ? AND kind = ?")
        .bind(until.millis())
        .bind(part.connection.to_string())
        .bind(part.kind.as_str());
    tx.run(sql).await?;
    Ok(Some(part))
}

/// All ways to sign in of all enabled connections, at most `limit`: to know whether there is only one.
pub async fn enabled(session: &Session, limit: u64) -> Result<Vec<(Connection, String)>, StoreError> {
    let mut sql = Sql::new(
        "SELECT s.connection_id, s.kind FROM sso s JOIN connection c ON c.id = s.connection_id WHERE c.state = 'enabled' \
         ORDER BY s.connection_id, s.kind",
    );
    sql.push_limit(limit);
    let rows = session.all(sql).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Some(connection) = connections::by_id(session, row.parsed("sso", "connection_id")?).await? {
            found.push((connection, row.text("kind")?));
        }
    }
    Ok(found)
}

fn read(row: &sea_orm::QueryResult) -> Result<Part, StoreError> {
    Ok(Part {
        connection: row.parsed("sso", "connection_id")?,
        kind: row.text("kind")?,
        account: row.parsed("sso", "account_id")?,
        settings: row.text("settings")?,
        refresh_at: row.int_opt("refresh_at")?.map(Timestamp::from_millis),
        refresh_error: row.text_opt("refresh_error")?,
        updated_at: Timestamp::from_millis(row.int("updated_at")?),
    })
}

/// An e-mail domain of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The connection.
    pub connection: ConnectionId,
    /// The account.
    pub account: AccountId,
    /// The domain, in lower case and ASCII.
    pub domain: String,
    /// What its TXT record has to say.
    pub challenge: String,
    /// `dns`, or who gave their word; none: nobody has verified it.
    pub verified_by: Option<String>,
    /// When.
    pub verified_at: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
}

const DOMAIN_COLUMNS: &str = "connection_id, account_id, domain, challenge, verified_by, verified_at, created_at";

impl Change {
    /// Adds a domain that nobody has verified yet; one that is there stays.
    pub fn insert_domain(&mut self, domain: &Domain) {
        self.push(
            Sql::new(
                "INSERT INTO sso_domain (connection_id, account_id, domain, challenge, created_at) VALUES (?, ?, ?, ?, ?) \
                 ON CONFLICT (connection_id, domain) DO NOTHING",
            )
            .bind(domain.connection.to_string())
            .bind(domain.account.to_string())
            .bind(domain.domain.as_str())
            .bind(domain.challenge.as_str())
            .bind(domain.created_at.millis()),
        );
    }

    /// Notes that a domain is the connection's. Another connection may have it, so this must be the first part of a change.
    pub fn verify_domain(&mut self, connection: ConnectionId, domain: &str, by: &str, at: Timestamp) {
        self.push(
            Sql::new("UPDATE sso_domain SET verified_by = ?, verified_at = ? WHERE connection_id = ? AND domain = ?")
                .bind(by)
                .bind(at.millis())
                .bind(connection.to_string())
                .bind(domain),
        );
    }

    /// Takes a domain away.
    pub fn delete_domain(&mut self, connection: ConnectionId, domain: &str) {
        self.push(
            Sql::new("DELETE FROM sso_domain WHERE connection_id = ? AND domain = ?")
                .bind(connection.to_string())
                .bind(domain),
        );
    }
}

/// The domains of a connection.
pub async fn domains(session: &Session, connection: ConnectionId) -> Result<Vec<Domain>, StoreError> {
    let sql = Sql::new(format!("SELECT {DOMAIN_COLUMNS} FROM sso_domain WHERE connection_id = ? ORDER BY domain"))
        .bind(connection.to_string());
    session.all(sql).await?.iter().map(read_domain).collect()
}

/// The verified domain of that name, whoever's it is.
pub async fn verified_domain(session: &Session, domain: &str) -> Result<Option<Domain>, StoreError> {
    let sql = Sql::new(format!("SELECT {DOMAIN_COLUMNS} FROM sso_domain WHERE domain = ? AND verified_at IS NOT NULL"))
        .bind(domain);
    session.one(sql).await?.as_ref().map(read_domain).transpose()
}

fn read_domain(row: &sea_orm::QueryResult) -> Result<Domain, StoreError> {
    Ok(Domain {
        connection: row.parsed("sso_domain", "connection_id")?,
        account: row.parsed("sso_domain", "account_id")?,
        domain: row.text("domain")?,
        challenge: row.text("challenge")?,
        verified_by: row.text_opt("verified_by")?,
        verified_at: row.int_opt("verified_at")?.map(Timestamp::from_millis),
        created_at: Timestamp::from_millis(row.int("created_at")?),
    })
}
