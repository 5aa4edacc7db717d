//! Mapping rules, and every set of them that was ever in force.

use serde_json::Value;

use crate::base::{AccountId, EventId, RuleId, Timestamp};

use super::change::Change;
use super::error::StoreError;
use super::row::{RowExt as _, to_json};
use super::session::Session;
use super::sql::Sql;

/// A rule as it is stored.
#[derive(Clone, Debug)]
pub struct StoredRule {
    /// Its id; a rule that is imported again unchanged keeps it.
    pub id: RuleId,
    /// Its name, unique in the account.
    pub name: String,
    /// The rule.
    pub body: Value,
}

impl Change {
    /// Puts a set of rules in the place of the present one, as the next version.
    pub fn replace_rules(
        &mut self,
        account: AccountId,
        version: i64,
        rules: &[StoredRule],
        event: EventId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let bodies: Vec<&Value> = rules.iter().map(|rule| &rule.body).collect();
        self.push(
            Sql::new(
                "INSERT INTO rule_version (account_id, version, rules, event_id, created_at) VALUES (?, ?, ?, ?, ?)",
            )
            .bind(account.to_string())
            .bind(version)
            .bind(to_json("rule_version", &bodies)?)
            .bind(event.to_string())
            .bind(at.millis()),
        );
        self.push(
            Sql::new("UPDATE account SET rules_version = ?, updated_at = ? WHERE id = ?")
                .bind(version)
                .bind(at.millis())
                .bind(account.to_string()),
        );
        for (position, rule) in rules.iter().enumerate() {
            self.push(
                Sql::new(
                    "INSERT INTO rule (id, account_id, position, name, body, created_at) VALUES (?, ?, ?, ?, ?, ?)",
                )
                .bind(rule.id.to_string())
                .bind(account.to_string())
                .bind(i64::try_from(position).unwrap_or(i64::MAX))
                .bind(rule.name.as_str())
                .bind(to_json("rule", &rule.body)?)
                .bind(at.millis()),
            );
        }
        Ok(())
    }

    /// Takes away the rules of an account, to make room for the next set in a later change of the same transaction.
    pub fn clear_rules(&mut self, account: AccountId) {
        self.push(Sql::new("DELETE FROM rule WHERE account_id = ?").bind(account.to_string()));
    }
}

/// The rules of an account in their order, and their version.
pub async fn of_account(session: &Session, account: AccountId) -> Result<(i64, Vec<StoredRule>), StoreError> {
    let sql = Sql::new("SELECT rules_version FROM account WHERE id = ?").bind(account.to_string());
    let version = session.one(sql).await?.map(|row| row.int("rules_version")).transpose()?.unwrap_or(0);
    let sql =
        Sql::new("SELECT id, name, body FROM rule WHERE account_id = ? ORDER BY position").bind(account.to_string());
    let rules = session.all(sql).await?;
    let rules = rules
        .iter()
        .map(|row| {
            Ok(StoredRule { id: row.parsed("rule", "id")?, name: row.text("name")?, body: row.json("rule", "body")? })
        })
        .collect::<Result<_, StoreError>>()?;
    Ok((version, rules))
}
