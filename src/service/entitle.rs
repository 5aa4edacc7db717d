//! From a person to what follows: role, access with its reasons, and the worker that should exist.

use serde_json::{Map, Value};

use crate::access::{Access, ConnectionGrants, RuleSet, SignInClaims, desired_worker, evaluate};
use crate::base::{AccountId, ConnectionId, UserId, fold};
use crate::domain::{DesiredWorker, Role, UserStatus, WorkerAt};
use crate::store::users::{User, UserGroup, groups_value};
use crate::store::{Session, StoreError, Tx, groups};

use super::core::Parts;
use super::error::ServiceError;

/// What follows from the rules for one person.
#[derive(Debug)]
pub(super) struct Entitled {
    pub(super) role: Option<Role>,
    /// The outcome with its reasons, to be stored; none when the rules were not asked.
    pub(super) access: Option<String>,
    pub(super) desired: Option<DesiredWorker>,
    /// The outcome, as `access` has it in text.
    pub(super) outcome: Option<Access>,
}

impl Parts {
    /// Computes what a person has now. Only active people have anything, so that nobody's leaving depends on the rules.
    pub(super) async fn entitle(&self, tx: &Tx, person: &Entitling<'_>) -> Result<Entitled, ServiceError> {
        if !person.status.may_have_access() {
            return Ok(Entitled { role: None, access: None, desired: None, outcome: None });
        }
        let rules = self.caches.rules(tx, person.account).await?;
        let grants = self.caches.grants(tx, person.account, person.connection).await?;
        let mut entitled = entitle(&rules, grants, person)?;
        let waits = !person.expected
            && entitled.desired.is_some()
            && self.caches.worker_at(tx, person.account).await? == WorkerAt::SignIn;
        if let (true, Some(access)) = (waits, &entitled.outcome) {
            entitled.access = Some(stored(access, Some(WAITS.to_owned()))?);
            entitled.desired = None;
        }
        Ok(entitled)
    }
}

/// Why somebody with access has no worker yet.
const WAITS: &str = "the worker is made at the first sign-in";

/// Whom it is computed for.
pub(super) struct Entitling<'a> {
    pub(super) account: AccountId,
    pub(super) connection: Option<ConnectionId>,
    pub(super) status: UserStatus,
    pub(super) user: UserId,
    pub(super) attributes: &'a Map<String, Value>,
    pub(super) groups: &'a [UserGroup],
    pub(super) said: &'a SaidBefore,
    /// The person has signed in or has a worker: nothing waits for the first sign-in.
    pub(super) expected: bool,
}

/// What the last sign-in said, as far as it counts.
///
/// SCIM decides about the groups that it pushes: such a name in a claim gives nothing. Somebody whom SCIM provisioned has no
/// group by claims as soon as it pushes any; otherwise a leaver would keep what the last sign-in said.
#[derive(Debug, Default)]
pub(super) struct SaidBefore(Option<SignInClaims>);

impl SaidBefore {
    /// Of a person as stored.
    pub(super) async fn of(session: &Session, user: &User) -> Result<Self, ServiceError> {
        let Some(claims) = &user.claims else { return Ok(Self::default()) };
        let damaged = |error| StoreError::Damaged { table: "user", what: format!("claims of {}: {error}", user.id) };
        let claims = serde_json::from_str(claims).map_err(damaged)?;
        Self::counted(session, user.connection, claims, user.by_sign_in).await
    }

    /// What counts of claims; `by_sign_in`: SCIM does not know the person.
    pub(super) async fn counted(
        session: &Session,
        connection: Option<ConnectionId>,
        mut claims: SignInClaims,
        by_sign_in: bool,
    ) -> Result<Self, ServiceError> {
        let (false, Some(connection)) = (claims.groups.is_empty(), connection) else { return Ok(Self(Some(claims))) };
        if by_sign_in {
            let folded: Vec<String> = claims.groups.iter().map(|name| fold(name)).collect();
            let known = groups::known_names(session, connection, &folded).await?;
            claims.groups.retain(|name| !known.contains(&fold(name)));
        } else if groups::any(session, connection).await? {
            claims.groups.clear();
        }
        Ok(Self(Some(claims)))
    }
}

/// What the rules give somebody who is active, without writing it.
pub(super) fn by_rules(
    rules: &RuleSet,
    grants: ConnectionGrants,
    user: &User,
    said: &SaidBefore,
) -> Result<Option<Entitled>, ServiceError> {
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
        said,
        expected: true,
    };
    entitle(rules, grants, &person).map(Some)
}

/// Computes what rules give to a person, whatever the status.
pub(super) fn entitle(
    rules: &RuleSet,
    grants: ConnectionGrants,
    person: &Entitling<'_>,
) -> Result<Entitled, ServiceError> {
    let Entitling { user, attributes, groups, said, .. } = *person;
    let mut subject = attributes.clone();
    subject.insert("id".to_owned(), Value::String(user.to_string()));
    if !groups.is_empty() {
        subject.insert("groups".to_owned(), groups_value(groups, None));
    }
    if let Some(claims) = &said.0 {
        claims.add_to(&mut subject);
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
    Ok(Entitled { role: access.role, access: Some(stored(&access, problem)?), desired, outcome: Some(access) })
}

fn stored(access: &Access, problem: Option<String>) -> Result<String, ServiceError> {
    let mut value = serde_json::to_value(access)
        .map_err(|error| StoreError::Damaged { table: "user", what: format!("access: {error}") })?;
    if let Some(problem) = problem {
        value["problem"] = Value::String(problem);
    }
    Ok(value.to_string())
}
