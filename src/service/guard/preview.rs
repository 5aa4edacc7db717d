//! What other rules would take from people, before they are in force.

use std::collections::{BTreeMap, HashMap};

use crate::access::{ConnectionGrants, Loss, RuleSet};
use crate::base::{Causes, ConnectionId, UserId};
use crate::domain::{Beyond, LossKind};
use crate::store::accounts::Account;
use crate::store::connections::{self, Connection};
use crate::store::users::{self, User};

use super::super::core::Core;
use super::super::entitle::{Entitling, SaidBefore, entitle};
use super::super::error::ServiceError;
use super::{count, loses};

/// People that are looked at together.
const PAGE: u64 = 500;
/// People that are named as examples.
const EXAMPLES: usize = 3;

/// What rules would take away.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// By connection and kind.
    pub losses: Vec<Foreseen>,
}

/// What rules would take from the people of one connection.
#[derive(Clone, Debug)]
pub struct Foreseen {
    /// The connection's name.
    pub connection: String,
    /// What they would lose.
    pub kind: LossKind,
    /// How many.
    pub people: usize,
    /// The limit that this is beyond.
    pub beyond: Option<Beyond>,
    /// Some of them by userName, with what they would lose.
    pub examples: Vec<(String, Loss)>,
}

impl Preview {
    /// Whether the guard would hold some of it.
    #[must_use]
    pub fn is_beyond(&self) -> bool {
        self.losses.iter().any(|loss| loss.beyond.is_some())
    }
}

#[derive(Default)]
struct Group {
    users: Vec<UserId>,
    examples: Vec<(String, Loss)>,
}

/// The connections of an account, and what their people would lose.
struct Looking<'a> {
    rules: &'a RuleSet,
    connections: HashMap<ConnectionId, Connection>,
    groups: BTreeMap<(ConnectionId, LossKind), Group>,
}

impl Core {
    /// Computes what rules would take from everybody whom the present ones give something. Nothing is changed.
    pub async fn preview_rules(&self, account: &Account, rules: &RuleSet) -> Result<Preview, ServiceError> {
        let session = self.store.read();
        let connections = connections::of_account(session, account.id).await?.into_iter().map(|one| (one.id, one));
        let mut looking = Looking { rules, connections: connections.collect(), groups: BTreeMap::new() };
        let mut after = String::new();
        loop {
            let ids = users::ids_after(session, account.id, &after, PAGE).await?;
            let Some(last) = ids.last() else { break };
            after = last.to_string();
            for (user, had) in users::many(session, account.id, &ids).await? {
                let said = SaidBefore::of(session, &user).await?;
                looking.look_at(&user, had.is_some(), &said)?;
            }
        }
        let mut preview = Preview::default();
        for ((id, kind), group) in looking.groups {
            let Some(connection) = looking.connections.get(&id) else { continue };
            let limits = connection.guard.over(self.limits);
            let beyond = if limits.are_off() {
                None
            } else {
                count(session, (id, kind), &group.users, &limits, self.ambient.now()).await?
            };
            let (connection, people) = (connection.name.to_string(), group.users.len());
            preview.losses.push(Foreseen { connection, kind, people, beyond, examples: group.examples });
        }
        Ok(preview)
    }
}

impl Looking<'_> {
    fn look_at(&mut self, user: &User, had_worker: bool, said: &SaidBefore) -> Result<(), ServiceError> {
        let Some(connection) = user.connection.and_then(|id| self.connections.get(&id)) else { return Ok(()) };
        // Whoever is in a hold stays there, whatever the rules.
        if !user.status.may_have_access() || user.hold.is_some() {
            return Ok(());
        }
        let attributes = match user.attributes() {
            Ok(attributes) => attributes,
            Err(error) => {
                tracing::error!(user = %user.id, error = %Causes(&error), "a person's access cannot be computed");
                return Ok(());
            }
        };
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
        let grants = ConnectionGrants { may_grant: connection.may_grant.iter().copied().collect() };
        let entitled = entitle(self.rules, grants, &person)?;
        if let Some(loss) = loses(user, had_worker, &entitled) {
            let group = self.groups.entry((connection.id, loss.kind)).or_default();
            group.users.push(user.id);
            if group.examples.len() < EXAMPLES {
                let name = attributes.get("userName").and_then(|name| name.as_str()).unwrap_or_default();
                group.examples.push((name.to_owned(), loss));
            }
        }
        Ok(())
    }
}
