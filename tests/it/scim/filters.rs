//! Filters: what the database answers is what the pure evaluator says of each resource.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rollcall::scim::filter::{Filter, Limits};
use rollcall::scim::{Dialect, ResourceKind, schema_of};
use serde_json::{Map, Value, json};

use crate::support::{Db, ENTERPRISE, Scim, TestApp, USER, encoded, on_both_databases};

const CONTACT_CENTRE: &str = "urn:rollcall:params:scim:schemas:extension:contactcentre:2.0:User";
/// Random filters for each resource type and database.
const FILTERS: usize = 400;

/// Few words, so that random filters hit: cases, spellings, wildcards and letters of two languages among them.
const WORDS: &[&str] = &[
    "ana",
    "Ana",
    "ANA RUIZ",
    "Straße",
    "strasse",
    "Zoë",
    "zoe",
    "100%",
    "a_b",
    "ab",
    "O'Neil",
    "back\\slash",
    "\"quoted\"",
    "work",
    "home",
    "north",
    "North Care",
    "1",
    "true",
    "2026-01-31T08:30:00Z",
    "日本",
    "é",
    "e\u{301}",
];

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(WORDS)
}

fn user() -> impl Strategy<Value = Map<String, Value>> {
    let text = |name: &'static str| prop::option::of(word()).prop_map(move |value| (name, value.map(Value::from)));
    let element = (
        prop::option::of(word()),
        prop::sample::select(vec!["work", "home", "other"]),
        prop::option::of(any::<bool>()),
    );
    let emails = prop::collection::vec(element, 0..3).prop_map(|elements| {
        let mut primary = false;
        let elements = elements.into_iter().map(|(value, kind, wanted)| {
            let mut element = json!({"type": kind, "value": value.unwrap_or("x@acme.example")});
            if let Some(wanted) = wanted {
                element["primary"] = json!(wanted && !primary);
                primary |= wanted;
            }
            element
        });
        ("emails", Some(Value::Array(elements.collect())))
    });
    let skills = prop::collection::vec((word(), 0..6_i64), 0..3).prop_map(|skills| {
        let skills: Vec<Value> = skills.iter().map(|(name, level)| json!({"value": name, "level": level})).collect();
        (CONTACT_CENTRE, Some(json!({"skills": skills, "actAsAgent": skills.len() == 1})))
    });
    let enterprise = (prop::option::of(word()), prop::option::of(word())).prop_map(|(department, manager)| {
        (ENTERPRISE, Some(json!({"department": department, "manager": {"value": manager}})))
    });
    let name = (prop::option::of(word()), word())
        .prop_map(|(given, family)| ("name", Some(json!({"givenName": given, "familyName": family}))));
    let active = any::<bool>().prop_map(|active| ("active", Some(json!(active))));
    (
        text("title"),
        text("externalId"),
        text("displayName"),
        text("nickName"),
        name,
        emails,
        skills,
        enterprise,
        active,
        text("profileUrl"),
    )
        .prop_map(|(title, external, display, nick, name, emails, skills, enterprise, active, profile)| {
            [title, external, display, nick, name, emails, skills, enterprise, active, profile]
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect()
        })
}

/// Attributes that a user filter may name.
const USER_ATTRIBUTES: &[&str] = &[
    "userName",
    "USERNAME",
    "externalId",
    "id",
    "displayName",
    "title",
    "nickName",
    "profileUrl",
    "active",
    "name.givenName",
    "name.familyName",
    "emails",
    "emails.value",
    "emails.type",
    "emails.primary",
    "groups",
    "groups.value",
    "groups.display",
    "groups.type",
    "groups.$ref",
    "meta.created",
    "meta.lastModified",
    "meta.resourceType",
    "meta.version",
    "meta.location",
    "schemas",
    "phoneNumbers.value",
    "roles.value",
    "name",
    "meta",
    "password",
    "noSuchAttribute",
    "emails.noSuch",
    "urn:ietf:params:scim:schemas:core:2.0:User:userName",
    "department",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    "urn:rollcall:params:scim:schemas:extension:contactcentre:2.0:User:skills.value",
    "urn:rollcall:params:scim:schemas:extension:contactcentre:2.0:User:skills.level",
    "urn:rollcall:params:scim:schemas:extension:contactcentre:2.0:User:actAsAgent",
];
const GROUP_ATTRIBUTES: &[&str] = &[
    "displayName",
    "externalId",
    "id",
    "members",
    "members.value",
    "members.type",
    "members.display",
    "members.$ref",
    "meta.resourceType",
    "meta.created",
    "meta.lastModified",
    "meta.version",
    "schemas",
    "noSuchAttribute",
    "urn:ietf:params:scim:schemas:core:2.0:Group:displayName",
];

/// Filters as text. `values` are texts that occur in the resources.
fn filter(attributes: &'static [&'static str], values: Vec<String>) -> impl Strategy<Value = String> {
    let quoted = |text: String| Value::String(text).to_string();
    let value = prop_oneof![
        4 => prop::sample::select(values).prop_map(quoted),
        4 => word().prop_map(move |word| quoted(word.to_owned())),
        2 => (word(), 0..4_usize).prop_map(move |(word, n)| quoted(word.chars().take(n).collect())),
        2 => prop::sample::select(vec!["true", "false", "null", "3", "0", "2.5", "\"True\""]).prop_map(str::to_owned),
        1 => Just("\"2026-01-31T08:30:00Z\"".to_owned()),
        1 => Just("\"2099-01-31T09:30:00+01:00\"".to_owned()),
    ];
    let operator = prop::sample::select(vec!["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "EQ", "Co"]);
    let attribute = prop::sample::select(attributes);
    let comparison = (attribute.clone(), operator.clone(), value.clone())
        .prop_map(|(attribute, operator, value)| format!("{attribute} {operator} {value}"));
    let present = attribute.prop_map(|attribute| format!("{attribute} pr"));
    let (plural, subs) = if attributes.len() == GROUP_ATTRIBUTES.len() {
        (vec!["members"], vec!["value", "type", "display", "$ref"])
    } else {
        (
            vec!["emails", "groups", "urn:rollcall:params:scim:schemas:extension:contactcentre:2.0:User:skills"],
            vec!["value", "type", "primary", "display", "level", "$ref"],
        )
    };
    let inner = (prop::sample::select(subs), operator, value)
        .prop_map(|(sub, operator, value)| format!("{sub} {operator} {value}"));
    let inner = prop_oneof![
        inner.clone(),
        (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("{one} and {other}")),
        (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("{one} or {other}")),
        inner.prop_map(|inner| format!("not ({inner})")),
    ];
    let path = (prop::sample::select(plural), inner).prop_map(|(attribute, inner)| format!("{attribute}[{inner}]"));
    let leaf = prop_oneof![6 => comparison, 2 => present, 2 => path];
    leaf.prop_recursive(3, 12, 3, |part| {
        prop_oneof![
            prop::collection::vec(part.clone(), 2..4).prop_map(|parts| parts.join(" and ")),
            prop::collection::vec(part.clone(), 2..4).prop_map(|parts| parts.join(" or ")),
            part.clone().prop_map(|part| format!("not ({part})")),
            part.prop_map(|part| format!("({part})")),
        ]
    })
}

async fn users_are_found_as_the_evaluator_says(db: Db) {
    let app = TestApp::start(db).await;
    let mut runner = TestRunner::deterministic();
    let mut ids = Vec::new();
    for n in 0..30 {
        let mut person = user().new_tree(&mut runner).expect("a user").current();
        let name = format!("{}{n}@acme.example", WORDS[n % 5].replace(' ', "."));
        person.insert("userName".to_owned(), Value::from(name));
        person.insert("schemas".to_owned(), json!([USER, ENTERPRISE, CONTACT_CENTRE]));
        ids.push(app.scim.post("/Users", &Value::Object(person)).await.created());
    }
    // Whose `active` was taken away is as whoever's is false.
    for id in ids.iter().step_by(5) {
        let remove = json!([{"op": "remove", "path": "active"}]);
        app.scim.patch(&format!("/Users/{id}"), &remove).await.expect(200);
    }
    for filter in ["active eq false", "not (active eq true)", "active eq false and userName co \"acme\" and active pr"]
    {
        let found = app.scim.found("/Users", filter).await;
        assert!(ids.iter().step_by(5).all(|id| found.contains(id)), "{filter}");
    }
    let north = app.scim.add_group("North Care", &[&ids[0], &ids[1], &ids[2]]).await;
    app.scim.add_group("ana", &[&ids[1], &ids[3], &north]).await;
    check(&app.scim, ResourceKind::User, USER_ATTRIBUTES, &mut runner).await;
}

async fn groups_are_found_as_the_evaluator_says(db: Db) {
    let app = TestApp::start(db).await;
    let mut runner = TestRunner::deterministic();
    let people = app.scim.add_users("p", 6).await;
    for (n, word) in WORDS.iter().enumerate().take(14) {
        let members: Vec<Value> = people.iter().skip(n % 7).take(n % 4).map(|id| json!({"value": id})).collect();
        let external = (n % 3 != 0).then(|| WORDS[n + 2]);
        let group = json!({"displayName": format!("{word} {n}"), "externalId": external, "members": members});
        app.scim.post("/Groups", &group).await.created();
    }
    check(&app.scim, ResourceKind::Group, GROUP_ATTRIBUTES, &mut runner).await;
}

/// Asks random filters and compares with the evaluator over all resources as they are shown.
async fn check(scim: &Scim, kind: ResourceKind, attributes: &'static [&'static str], runner: &mut TestRunner) {
    let path = format!("/{}s", kind.name());
    let list = scim.get(&format!("{path}?count=1000")).await.expect(200);
    let mut all: Vec<Map<String, Value>> = list["Resources"]
        .as_array()
        .expect("resources")
        .iter()
        .map(|r| r.as_object().expect("an object").clone())
        .collect();
    if kind == ResourceKind::User {
        // Whoever is not said to be active is not.
        for user in &mut all {
            user.entry("active").or_insert(json!(false));
        }
    }
    let mut values = Vec::new();
    for value in all.iter().flat_map(Map::values) {
        texts(value, &mut values);
    }
    let filters = filter(attributes, values);
    let (mut answered, mut hits, mut wrong) = (0, 0, Vec::new());
    for _ in 0..FILTERS {
        let text = filters.new_tree(runner).expect("a filter").current();
        let bound =
            Filter::parse(&text, &Limits::default()).and_then(|filter| filter.bind(schema_of(kind), Dialect::Auto));
        let answer = scim.get(&format!("{path}?count=1000&filter={}", encoded(&text))).await;
        let Ok(bound) = bound else {
            // A filter that cannot be read never gives a list.
            if answer.status != 400 || answer.expect_error(400).0.as_deref() != Some("invalidFilter") {
                wrong.push(format!("{text}: {answer}"));
            }
            continue;
        };
        if answer.status != 200 {
            wrong.push(format!("{text}: {answer}"));
            continue;
        }
        answered += 1;
        let wanted: BTreeSet<&str> = all.iter().filter(|resource| bound.matches(resource)).map(id).collect();
        let body = answer.json();
        let got: BTreeSet<&str> = body["Resources"]
            .as_array()
            .expect("resources")
            .iter()
            .map(|r| id(r.as_object().expect("an object")))
            .collect();
        hits += usize::from(!wanted.is_empty());
        if got != wanted || body["totalResults"] != json!(wanted.len()) {
            let missing = all.iter().find(|resource| wanted.contains(id(resource)) && !got.contains(id(resource)));
            let extra = all.iter().find(|resource| got.contains(id(resource)) && !wanted.contains(id(resource)));
            wrong.push(format!(
                "{text}: wanted {}, got {}, total {}; missing {missing:?}, too much {extra:?}",
                wanted.len(),
                got.len(),
                body["totalResults"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {FILTERS}, shortest first:\n{}", wrong.len(), shortest(wrong));
    assert!(
        answered > FILTERS / 4 && hits > FILTERS / 10,
        "the filters say too little: {answered} answered, {hits} with hits"
    );
}

fn shortest(mut wrong: Vec<String>) -> String {
    wrong.sort_by_key(String::len);
    wrong.truncate(8);
    wrong.join("\n")
}

fn id(resource: &Map<String, Value>) -> &str {
    resource["id"].as_str().expect("an id")
}

fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

on_both_databases!(users_are_found_as_the_evaluator_says, groups_are_found_as_the_evaluator_says);
