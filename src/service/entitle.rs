//! From a person to what follows: role, access with its reasons, and the worker that should exist.

use serde_json::{Map, Value};

use crate::access::{Access, ConnectionGrants, RuleSet, desired_worker, evaluate};
use crate::base::{AccountId, ConnectionId, UserId};
use crate::domain::{DesiredWorker, Role, UserStatus};
use crate::store::users::User;
use crate::store::users::{UserGroup, groups_value};
use crate::store::{StoreError, Tx};

use super::core::Parts;
use super::error::ServiceError;

/// What follows from the rules for one person.
#[derive(Debug)]
pub(super) struct Entitled {
    pub(super) role: Option<Role>,
    /// The outcome with its reasons, to be stored; none when the rules were not asked.
    pub(super) access: Option<String>,
    pub(super) desired: Option<DesiredWorker>,
}

impl Parts {
    /// Computes what a person has now. Only active people have anything, so that nobody's leaving depends on the rules.
    pub(super) async fn entitle(&self, tx: &Tx, person: &Entitling<'_>) -> Result<Entitled, ServiceError> {
        if !person.status.may_have_access() {
            return Ok(Entitled { role: None, access: None, desired: None });
        }
        let rules = self.caches.rules(tx, person.account).await?;
        let grants = self.caches.grants(tx, person.account, person.connection).await?;
        entitle(&rules, grants, person)
    }
}

/// Whom it is computed for.
pub(super) struct Entitling<'a> {
    pub(super) account: AccountId,
    pub(super) connection: Option<ConnectionId>,
    pub(super) status: UserStatus,
    pub(super) user: UserId,
    pub(super) attributes: &'a Map<String, Value>,
    pub(super) groups: &'a [UserGroup],
}

/// The role that the rules give somebody, without writing it.
pub(super) fn role_by_rules(
    rules: &RuleSet,
    grants: ConnectionGrants,
    user: &User,
) -> Result<Option<Role>, ServiceError> {
    if !user.status.may_have_access() {
        return Ok(None);
    }
    let attributes = user.attributes()?;
    let person = Entitling {
        account: user.account,
        connection: user.connection,
        status: user.status,
        user: user.id,
        attributes: &attributes,
        groups: &user.groups,
    };
    Ok(entitle(rules, grants, &person)?.role)
}

fn entitle(rules: &RuleSet, grants: ConnectionGrants, person: &Entitling<'_>) -> Result<Entitled, ServiceError> {
    let Entitling { user, attributes, groups, .. } = *person;
    let mut subject = attributes.clone();
    subject.insert("id".to_owned(), Value::String(user.to_string()));
    if !groups.is_empty() {
        subject.insert("groups".to_owned(), groups_value(groups, None));
    }
    let access = evaluate(rules, &subject, &grants);
    let (desired, problem) = match desired_worker(attributes, &access) {
        Ok(desired) => (desired, None),
        Err(error) => {
            // One person whose worker cannot be described must not stop the push that brought the others.
            tracing::warn!(user = %user, error = %crate::base::Causes(&error), "no worker can be made of this access");
            (None, Some(error.to_string()))
        }
    };
    Ok(Entitled { role: access.role, access: Some(stored(&access, problem)?), desired })
}

fn stored(access: &Access, problem: Option<String>) -> Result<String, ServiceError> {
    let mut value = serde_json::to_value(access)
        .map_err(|error| StoreError::Damaged { table: "user", what: format!("access: {error}") })?;
    if let Some(problem) = problem {
        value["problem"] = Value::String(problem);
    }
    Ok(value.to_string())
}
