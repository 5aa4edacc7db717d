//! Which columns and indexes carry conditions on users.

use serde_json::{Map, Value};

use crate::base::{ConnectionId, fold};
use crate::scim::ResourceKind;
use crate::scim::document::Meta;
use crate::scim::filter::{Bound, BoundNode, NodeId, Operand, Relation};
use crate::scim::schema::{AttrRef, CONTACT_CENTRE_URN, ENTERPRISE_URN, USER_URN};

use super::super::error::StoreError;
use super::super::memberships;
use super::super::order::{Column, Order, PlaceKey};
use super::super::packed;
use super::super::search::{self, EMAILS_VALUE, EMPLOYEE_NUMBER, MANAGER_VALUE};
use super::super::session::Session;
use super::super::sql::Sql;
use super::super::users::{self, User, groups_value};
use super::condition::{Condition, Entry, Leaves, constant, instant, text};
use super::{Listed, Listing, with_common};

impl Listed for User {
    const KIND: &'static str = "User";
    const FROM: &'static str = "FROM \"user\" u WHERE u.status <> 'deleted'";
    const ALIAS: &'static str = "u";

    fn columns(session: &Session) -> String {
        users::columns(session)
    }

    fn read(row: &sea_orm::QueryResult) -> Result<Self, StoreError> {
        users::read(row)
    }

    /// SQLite keeps the number of the row in every index, so nothing else has to be looked up for it.
    fn pointer(session: &Session) -> &'static str {
        if session.is_postgres() { "u.id" } else { "u.seq" }
    }

    async fn pointed_to(
        session: &Session,
        connection: ConnectionId,
        pointers: Sql,
        order: &str,
    ) -> Result<Vec<Self>, StoreError> {
        let page = session.text(packed::users(session, pointers, order)).await?;
        packed::read_users(page.as_deref().unwrap_or_default(), connection)
    }

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn column(column: Column) -> (&'static str, bool) {
        match column {
            Column::Id => ("u.id", false),
            Column::UserName => ("u.user_name_fold", false),
            Column::DisplayName => ("u.display_name_fold", true),
            Column::ExternalId => ("u.external_id", true),
            Column::LastModified => ("u.updated_at", false),
        }
    }

    fn key(&self, column: Column) -> Result<Option<PlaceKey>, StoreError> {
        if column == Column::LastModified {
            return Ok(Some(PlaceKey::Number(self.updated_at.millis())));
        }
        let derived = search::Derived::of(&self.attributes()?);
        let text = match column {
            Column::UserName => Some(derived.user_name_fold),
            Column::DisplayName => derived.display_name_fold,
            Column::ExternalId => derived.external_id,
            Column::Id | Column::LastModified => None,
        };
        Ok(text.map(PlaceKey::Text))
    }

    /// The index of userNames begins with the account, because they are unique in it.
    fn hinted(condition: Condition, order: Order) -> Condition {
        if order.column == Column::UserName && !condition.selective {
            Condition { entry: Entry::Account, ..condition }
        } else {
            condition
        }
    }

    async fn condition(session: &Session, connection: ConnectionId, filter: &Bound) -> Result<Condition, StoreError> {
        let needles = needles(filter, filter.root());
        let trigrams = search::Trigrams::choose(session, &needles).await?;
        let leaves = UserLeaves { connection, postgres: session.is_postgres(), trigrams };
        Ok(leaves.condition(filter, filter.root()))
    }

    async fn resources(
        _session: &Session,
        rows: &[Self],
        listing: &Listing<'_>,
    ) -> Result<Option<Vec<Map<String, Value>>>, StoreError> {
        let resources: Result<Vec<_>, StoreError> = rows
            .iter()
            .map(|user| {
                let (id, kind) = (user.id.to_string(), ResourceKind::User);
                let location = format!("{}{}/{id}", listing.base_url, kind.endpoint());
                let meta = Meta {
                    id: &id,
                    created: user.created_at,
                    last_modified: user.updated_at,
                    version: user.version,
                    location: &location,
                };
                let mut resource = with_common(user.attributes()?, kind, &meta);
                // Whoever is without `active`, because it was removed, is not active: the column says so too.
                resource.entry("active").or_insert(Value::Bool(false));
                if !user.groups.is_empty() {
                    resource.insert("groups".to_owned(), groups_value(&user.groups, Some(listing.base_url)));
                }
                Ok(resource)
            })
            .collect();
        Ok(Some(resources?))
    }
}

struct UserLeaves {
    connection: ConnectionId,
    postgres: bool,
    trigrams: search::Trigrams,
}

/// The texts that a filter may look for by trigrams, folded.
fn needles(filter: &Bound, node: NodeId) -> Vec<String> {
    match filter.node(node) {
        BoundNode::And(children) | BoundNode::Or(children) => {
            children.iter().flat_map(|child| needles(filter, *child)).collect()
        }
        BoundNode::Not(inner) | BoundNode::ValuePath { inner, .. } => needles(filter, *inner),
        BoundNode::Compare { target, relation, operand: Operand::Text(text) }
            if matches!(relation, Relation::Co | Relation::Ew) || target.attr.name == "name" =>
        {
            vec![fold(&text.written)]
        }
        BoundNode::Compare { .. } | BoundNode::Present(_) | BoundNode::ExtensionPresent(_) => Vec::new(),
    }
}

impl Leaves for UserLeaves {
    fn compare(&self, target: AttrRef, relation: Relation, operand: &Operand) -> Option<Condition> {
        let sub = target.sub.or_else(|| target.compared()).map(|sub| sub.name);
        match (target.extension, target.attr.name, sub, operand) {
            (None, "meta", Some("resourceType"), operand) => constant(User::KIND, &[], relation, operand),
            (None, "schemas", None, operand) => {
                constant(USER_URN, &[ENTERPRISE_URN, CONTACT_CENTRE_URN], relation, operand)
            }
            (None, "active", None, Operand::Bool(active)) => Some(Self::active(*active)),
            (None, "meta", Some(name), Operand::Instant(time)) => {
                let column = if name == "created" { "u.created_at" } else { "u.updated_at" };
                Some(Condition::new(
                    instant(column, relation, *time)?,
                    true,
                    name == "lastModified" && relation.is_order(),
                ))
            }
            (None, "id", None, Operand::Text(wanted)) => {
                let (sql, indexed) = text("u.id", false, relation, &wanted.compared, self.postgres);
                Some(Condition::new(sql, true, indexed).of(relation))
            }
            (None, "userName", None, Operand::Text(wanted)) => {
                let condition = self.column("u.user_name_fold", false, relation, &wanted.compared);
                Some(if condition.entry == Entry::Connection { condition.by(Entry::Account) } else { condition })
            }
            (None, "displayName", None, Operand::Text(wanted)) => {
                Some(self.column("u.display_name_fold", true, relation, &wanted.compared))
            }
            (None, "externalId", None, Operand::Text(wanted)) => {
                let (sql, indexed) = text("u.external_id", true, relation, &wanted.compared, self.postgres);
                Some(Condition::new(sql, true, indexed).of(relation))
            }
            (None, "name", Some("givenName" | "familyName"), Operand::Text(wanted)) if !relation.is_order() => {
                Some(Condition::new(self.trigrams.may_contain(&fold(&wanted.written))?, false, true).by(Entry::Text))
            }
            (None, "emails", Some("value"), Operand::Text(wanted)) => {
                self.key(EMAILS_VALUE, relation, &wanted.written, !wanted.exact)
            }
            (Some(ENTERPRISE_URN), "employeeNumber", None, Operand::Text(wanted)) => {
                self.key(EMPLOYEE_NUMBER, relation, &wanted.written, !wanted.exact)
            }
            (Some(ENTERPRISE_URN), "manager", Some("value"), Operand::Text(wanted)) => {
                self.key(MANAGER_VALUE, relation, &wanted.written, !wanted.exact)
            }
            (None, "groups", Some(part @ ("value" | "display")), Operand::Text(wanted)) if relation == Relation::Eq => {
                Some(self.in_group(part, &wanted.written, wanted.exact))
            }
            _ => None,
        }
    }

    fn present(&self, target: AttrRef) -> Option<Condition> {
        let column = match (target.extension, target.attr.name, target.sub) {
            (None, "id" | "userName" | "meta" | "schemas" | "active", _) => "u.id",
            (None, "displayName", None) => "u.display_name",
            (None, "externalId", None) => "u.external_id",
            _ => return None,
        };
        Some(Condition::new(Sql::new(format!("({column} IS NOT NULL AND {column} <> '')")), true, false))
    }
}

impl UserLeaves {
    fn active(active: bool) -> Condition {
        if active {
            return Condition::new(Sql::new("u.status = 'active'"), true, false);
        }
        Condition { entry: Entry::Both, ..Condition::new(Sql::new("u.status <> 'active'"), true, false) }
    }

    /// A folded column whose value also stands in the search text: what it contains is found by trigrams, and checked.
    fn column(&self, column: &str, nullable: bool, relation: Relation, wanted: &str) -> Condition {
        let (sql, indexed) = text(column, nullable, relation, wanted, self.postgres);
        if !matches!(relation, Relation::Co | Relation::Ew) {
            return Condition::new(sql, true, indexed);
        }
        let Some(mut both) = self.trigrams.may_contain(wanted) else {
            return Condition::new(sql, true, false).of(relation);
        };
        both.push_str(" AND ");
        both.push(sql);
        let mut grouped = Sql::new("(");
        grouped.push(both);
        grouped.push_str(")");
        Condition::new(grouped, true, true).by(Entry::Text).of(relation)
    }

    /// A folded value among the keys. `exact`: the attribute ignores case, as the keys do.
    fn key(&self, attribute: &str, relation: Relation, wanted: &str, exact: bool) -> Option<Condition> {
        let wanted = fold(wanted);
        if matches!(relation, Relation::Co | Relation::Ew) {
            // The search text holds addresses, not numbers or managers.
            let sql = (attribute == EMAILS_VALUE).then(|| self.trigrams.may_contain(&wanted)).flatten()?;
            return Some(Condition::new(sql, false, true).by(Entry::Text));
        }
        let (value, indexed) = text("k.value", false, relation, &wanted, self.postgres);
        let mut sql =
            Sql::new("u.id IN (SELECT k.user_id FROM user_key k WHERE k.connection_id = ? AND k.attribute = ? AND ")
                .bind(self.connection.to_string())
                .bind(attribute);
        sql.push(value);
        sql.push_str(")");
        Some(Condition::new(sql, exact, indexed))
    }

    /// Members of a group, directly or through groups of groups.
    fn in_group(&self, part: &str, wanted: &str, exact: bool) -> Condition {
        let (column, wanted) =
            if part == "value" { ("id", wanted.to_owned()) } else { ("display_name_fold", fold(wanted)) };
        let seed = format!("SELECT id, 0 FROM \"group\" WHERE connection_id = ? AND {column} = ?");
        let sql = format!(
            "u.id IN (WITH RECURSIVE {} SELECT m.member_id FROM down CROSS JOIN membership m WHERE m.group_id = down.id)",
            memberships::down(self.postgres, &seed)
        );
        let sql = Sql::new(sql).bind(self.connection.to_string()).bind(wanted);
        Condition::new(sql, part == "value" || !exact, false)
    }
}
