use serde_json::json;

use super::*;
use crate::access::RuleDefinition;
use crate::base::Ambient;

fn rules(definitions: Value) -> RuleSet {
    let ambient = Ambient::system();
    let definitions: Vec<RuleDefinition> = serde_json::from_value(definitions).unwrap();
    let compile = |definition| Rule::compile(ambient.id(), definition).unwrap();
    RuleSet::new(definitions.into_iter().map(compile).collect()).unwrap()
}

fn person(groups: &[&str]) -> Map<String, Value> {
    let groups: Vec<_> = groups.iter().map(|name| json!({"value": format!("id of {name}"), "display": name})).collect();
    match json!({"id": "u1", "userName": "ana", "userType": "Employee", "active": true, "groups": groups}) {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

fn sample() -> RuleSet {
    rules(json!([
        {"name": "admins", "when": r#"groups.display eq "Admins""#, "role": "admin", "teams": ["Management"], "act_as_agent": true},
        {"name": "leads", "when": r#"groups.display eq "Leads""#, "role": "supervisor", "teams": ["Leads"], "skills": {"english": 5, "coaching": 2}},
        {"name": "agents", "when": r#"groups.display eq "Agents""#, "role": "agent", "teams": ["Support", "LEADS"],
         "skills": {"english": 3, "billing": 1}, "channels": {"voice": 1}, "attributes": {"site": "north", "kind": {"from": "userType"}}},
        {"name": "everybody", "when": "active eq true", "channels": {"voice": 5, "chat": 2}, "attributes": {"site": "south", "kind": "unknown"}}
    ]))
}

#[test]
fn the_first_role_counts_and_the_rest_is_united() {
    let access = evaluate(&sample(), &person(&["Agents", "Leads"]), &ConnectionGrants::all());
    assert_eq!(access.role, Some(Role::Supervisor));
    assert_eq!(access.teams, ["Leads", "Support"]);
    assert_eq!(serde_json::to_value(&access.skills).unwrap(), json!({"english": 5, "coaching": 2, "billing": 1}));
    assert_eq!(serde_json::to_value(&access.channels).unwrap(), json!({"voice": 1, "chat": 2}));
    assert_eq!(serde_json::to_value(&access.attributes).unwrap(), json!({"site": "north", "kind": "Employee"}));
    assert!(!access.act_as_agent);
}

#[test]
fn each_grant_names_its_rule_and_the_evidence() {
    let access = evaluate(&sample(), &person(&["Agents", "Leads"]), &ConnectionGrants::all());
    let because = |what: &str| access.reason(&what.parse().unwrap()).map(|because| because.rule_name.as_str());
    assert_eq!(because("role"), Some("leads"));
    assert_eq!(because("skill:english"), Some("leads"));
    assert_eq!(because("skill:billing"), Some("agents"));
    assert_eq!(because("team:Leads"), Some("leads"));
    assert_eq!(because("attribute:kind"), Some("agents"));
    assert_eq!(because("channel:chat"), Some("everybody"));
    assert_eq!(because("team:Management"), None);
    let agents = access.because.iter().find(|because| because.rule_name == "agents").unwrap();
    assert!(agents.also.contains(&Granted::Role) && agents.also.contains(&Granted::Team("Leads".to_owned())));
    assert_eq!(
        serde_json::to_value(&agents.matched).unwrap(),
        json!([
            {"kind": "group", "value": "id of Agents", "display": "Agents"},
            {"kind": "attribute", "path": "userType", "value": "Employee"}
        ])
    );
}

#[test]
fn s31_a_rule_that_grants_more_than_the_connection_may_gives_nothing() {
    let access = evaluate(&sample(), &person(&["Admins", "Agents"]), &ConnectionGrants::default());
    assert_eq!(access.role, Some(Role::Agent));
    assert!(!access.teams.contains(&"Management".to_owned()));
    let [skipped] = &access.skipped[..] else { panic!("{:?}", access.skipped) };
    assert_eq!(
        (skipped.rule_name.as_str(), skipped.reason),
        ("admins", SkipReason::RoleNotAllowed { role: Role::Admin })
    );
    assert_eq!(skipped.reason.to_string(), "the connection may not grant the role admin");
}

#[test]
fn s30_without_a_role_nothing_counts() {
    for groups in [&[][..], &["Admins"], &["Other"]] {
        let access = evaluate(&sample(), &person(groups), &ConnectionGrants::default());
        let skipped = access.skipped.clone();
        assert_eq!(access, Access { skipped, ..Access::default() });
        assert_eq!(access.skipped.last().map(|skipped| skipped.reason), Some(SkipReason::NoRole));
    }
}

#[test]
fn acting_as_agent_is_for_greater_roles() {
    let access = evaluate(&sample(), &person(&["Admins"]), &ConnectionGrants::all());
    assert_eq!((access.role, access.act_as_agent), (Some(Role::Admin), true));
    let both = rules(json!([{"name": "a", "when": "active eq true", "role": "agent", "act_as_agent": true}]));
    let access = evaluate(&both, &person(&[]), &ConnectionGrants::all());
    assert!(!access.act_as_agent);
    assert_eq!(access.because[0].granted, [Granted::Role]);
}

#[test]
fn who_lacks_the_source_gets_the_next_rules_value() {
    let mut ana = person(&["Agents"]);
    ana.shift_remove("userType");
    let access = evaluate(&sample(), &ana, &ConnectionGrants::all());
    assert_eq!(access.attributes["kind"], json!("unknown"));
}

#[test]
fn access_survives_storage() {
    let access = evaluate(&sample(), &person(&["Admins", "Agents"]), &ConnectionGrants::default());
    let text = serde_json::to_string(&access).unwrap();
    assert_eq!(serde_json::from_str::<Access>(&text).unwrap(), access);
    assert!(serde_json::from_str::<Granted>("\"queue:x\"").is_err());
}
