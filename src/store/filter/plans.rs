//! Which index SQLite takes for filters of users. Integration tests cannot see these statements.

use super::*;
use crate::scim::filter::{Filter, Limits};
use crate::scim::{Dialect, schema_of};
use crate::store::users::User;
use crate::store::{Store, StoreOptions};

/// The plans of the page and of the total.
async fn plans(store: &Store, filter: &str) -> [String; 2] {
    let (session, connection) = (store.read(), ConnectionId::from(uuid::Uuid::nil()));
    let bound = Filter::parse_as(filter, &Limits::default(), Dialect::Strict).unwrap();
    let schema = schema_of(ResourceKind::User);
    let bound = bound.bind_among(schema, &[schema], Dialect::Strict).unwrap();
    let listing = Listing {
        account: AccountId::from(uuid::Uuid::nil()),
        filter: Some(&bound),
        page: Page { offset: 0, limit: 10 },
        order: Order::CREATED,
        base_url: "",
    };
    let condition = User::condition(session, connection, &bound).await.unwrap();
    let selective = condition.selective;
    let from = base::<User>(session, &listing, connection, User::hinted(condition, listing.order));
    let mut plans = [String::new(), String::new()];
    let asked = [pointers::<User>(session, &from, selective, &listing), counted(from)];
    for (sql, plan) in asked.into_iter().zip(&mut plans) {
        *plan = explain(session, sql).await;
    }
    plans
}

async fn explain(session: &Session, sql: Sql) -> String {
    let mut explained = Sql::new("EXPLAIN QUERY PLAN ");
    explained.push(sql);
    let rows = session.all(explained).await.unwrap();
    rows.iter().map(|row| row.text("detail").unwrap() + "\n").collect()
}

#[tokio::test]
async fn a_page_from_the_end_walks_the_index_backwards() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions::Sqlite { file: dir.path().join("a.db"), readers: 1 }).await.unwrap();
    let (session, connection) = (store.read(), ConnectionId::from(uuid::Uuid::nil()));
    let page = Page { offset: 90_000, limit: 100 };
    let account = AccountId::from(uuid::Uuid::nil());
    let listing = Listing { account, filter: None, page, order: Order::CREATED, base_url: "" };
    let from = base::<User>(session, &listing, connection, User::hinted(Condition::all(), listing.order));
    let plan = explain(session, pointers_from_end::<User>(session, connection, &from, page)).await;
    assert!(plan.contains("SEARCH u USING INDEX user_page (connection_id=?)"), "{plan}");
    // The page itself is turned round; what is passed over is not sorted.
    assert_eq!(plan.matches("TEMP B-TREE").count(), 1, "{plan}");
    store.close().await.unwrap();
}

#[tokio::test]
async fn filters_of_users_are_driven_by_their_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions::Sqlite { file: dir.path().join("a.db"), readers: 1 }).await.unwrap();
    for (filter, index) in [
        ("userName eq \"ana@acme.example\"", "user_name_unique"),
        ("userName sw \"ana\"", "user_name_unique"),
        ("userName co \"acme\"", "user_search"),
        ("userName ew \"acme\"", "user_search"),
        ("displayName co \"acme\"", "user_search"),
        ("displayName co \"acme\" or userName co \"acme\"", "user_search"),
        ("userName co \"acme\" and active eq true", "user_search"),
        ("active eq false", "user_not_active"),
        ("externalId eq \"1\"", "user_external_id"),
        ("meta.lastModified gt \"2026-01-01T00:00:00Z\"", "user_updated"),
    ] {
        for plan in plans(&store, filter).await {
            let others = ["user_name_unique", "user_page", "user_search", "user_not_active", "user_external_id"];
            let driven =
                plan.lines().any(|line| line.contains(index) || index == "user_search" && line.contains("VIRTUAL"));
            assert!(driven, "{filter}: {plan}");
            for other in others.into_iter().filter(|other| *other != index) {
                assert!(!plan.contains(other), "{filter}: {other}: {plan}");
            }
        }
    }
    store.close().await.unwrap();
}
