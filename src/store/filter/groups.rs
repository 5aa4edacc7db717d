//! Which columns and indexes carry conditions on groups.

use serde_json::{Map, Value};

use crate::base::{ConnectionId, fold};
use crate::scim::ResourceKind;
use crate::scim::document::Meta;
use crate::scim::filter::{Bound, Operand, Relation};
use crate::scim::schema::{AttrRef, GROUP_URN};

use super::super::error::StoreError;
use super::super::groups::{self, Group};
use super::super::order::{Column, PlaceKey};
use super::super::session::Session;
use super::super::sql::Sql;
use super::condition::{Condition, Leaves, constant, instant, text};
use super::{Listed, Listing, with_common};

impl Listed for Group {
    const KIND: &'static str = "Group";
    const FROM: &'static str = "FROM \"group\" g WHERE true";
    const ALIAS: &'static str = "g";

    fn columns(_session: &Session) -> String {
        groups::COLUMNS.to_owned()
    }

    fn pointer(_session: &Session) -> &'static str {
        "g.id"
    }

    async fn pointed_to(
        session: &Session,
        _connection: ConnectionId,
        pointers: Sql,
        order: &str,
    ) -> Result<Vec<Self>, StoreError> {
        let mut sql = Sql::new(format!("SELECT {} FROM \"group\" g WHERE g.id IN (", groups::COLUMNS));
        sql.push(pointers);
        sql.push_str(&format!(") ORDER BY {order}"));
        session.all(sql).await?.iter().map(groups::read).collect()
    }

    fn read(row: &sea_orm::QueryResult) -> Result<Self, StoreError> {
        groups::read(row)
    }

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn column(column: Column) -> (&'static str, bool) {
        match column {
            Column::ExternalId => ("g.external_id", true),
            Column::UserName | Column::DisplayName => ("g.display_name_fold", false),
            Column::LastModified => ("g.updated_at", false),
            Column::Id => ("g.id", false),
        }
    }

    fn key(&self, column: Column) -> Result<Option<PlaceKey>, StoreError> {
        let attributes = self.attributes()?;
        let text = |name: &str| attributes.get(name).and_then(Value::as_str);
        Ok(match column {
            Column::ExternalId => text("externalId").map(|id| PlaceKey::Text(id.to_owned())),
            Column::UserName | Column::DisplayName => {
                Some(PlaceKey::Text(fold(text("displayName").unwrap_or_default())))
            }
            Column::LastModified => Some(PlaceKey::Number(self.updated_at.millis())),
            Column::Id => None,
        })
    }

    async fn condition(session: &Session, _connection: ConnectionId, filter: &Bound) -> Result<Condition, StoreError> {
        Ok(GroupLeaves { postgres: session.is_postgres() }.condition(filter, filter.root()))
    }

    async fn resources(
        session: &Session,
        rows: &[Self],
        listing: &Listing<'_>,
    ) -> Result<Option<Vec<Map<String, Value>>>, StoreError> {
        let mut left = groups::MEMBERS_FOR_FILTER;
        let with_members =
            listing.filter.is_some_and(|filter| filter.targets().any(|target| target.attr.name == "members"));
        let mut resources = Vec::with_capacity(rows.len());
        for group in rows {
            let (id, kind) = (group.id.to_string(), ResourceKind::Group);
            let location = format!("{}{}/{id}", listing.base_url, kind.endpoint());
            let meta = Meta {
                id: &id,
                created: group.created_at,
                last_modified: group.updated_at,
                version: group.version,
                location: &location,
            };
            let mut resource = with_common(group.attributes()?, kind, &meta);
            if with_members {
                let members = groups::members_for_filter(session, group.id, listing.base_url, left).await?;
                let Some(rest) = left.checked_sub(u64::try_from(members.len()).unwrap_or(u64::MAX)) else {
                    return Ok(None);
                };
                left = rest;
                resource.insert("members".to_owned(), Value::Array(members));
            }
            resources.push(resource);
        }
        Ok(Some(resources))
    }
}

struct GroupLeaves {
    postgres: bool,
}

impl Leaves for GroupLeaves {
    fn compare(&self, target: AttrRef, relation: Relation, operand: &Operand) -> Option<Condition> {
        let sub = target.sub.or_else(|| target.compared()).map(|sub| sub.name);
        let column = match (target.attr.name, sub, operand) {
            ("meta", Some("resourceType"), operand) => return constant(Group::KIND, &[], relation, operand),
            ("schemas", None, operand) => return constant(GROUP_URN, &[], relation, operand),
            ("meta", Some(name), Operand::Instant(time)) => {
                let column = if name == "created" { "g.created_at" } else { "g.updated_at" };
                return Some(Condition::new(instant(column, relation, *time)?, true, false));
            }
            ("members", Some("value"), Operand::Text(wanted)) if relation == Relation::Eq => {
                let sql = Sql::new("g.id IN (SELECT group_id FROM membership WHERE member_id = ?)")
                    .bind(wanted.written.as_str());
                return Some(Condition::new(sql, true, true));
            }
            ("id", None, Operand::Text(wanted)) => ("g.id", false, wanted),
            ("displayName", None, Operand::Text(wanted)) => ("g.display_name_fold", false, wanted),
            ("externalId", None, Operand::Text(wanted)) => ("g.external_id", true, wanted),
            _ => return None,
        };
        let (sql, indexed) = text(column.0, column.1, relation, &column.2.compared, self.postgres);
        Some(Condition::new(sql, true, indexed).of(relation))
    }

    fn present(&self, target: AttrRef) -> Option<Condition> {
        let sql = match (target.attr.name, target.sub) {
            ("id" | "displayName" | "meta" | "schemas", _) => "g.id IS NOT NULL",
            ("externalId", None) => "(g.external_id IS NOT NULL AND g.external_id <> '')",
            ("members", None) => "EXISTS (SELECT 1 FROM membership WHERE group_id = g.id)",
            _ => return None,
        };
        Some(Condition::new(Sql::new(sql), true, false))
    }
}
