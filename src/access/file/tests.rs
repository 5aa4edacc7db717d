use serde_json::json;

use super::*;
use crate::access::Grant;
use crate::base::Ambient;
use crate::domain::Role;

fn read(text: &str) -> Result<RuleFile, RuleFileError> {
    let ambient = Ambient::system();
    parse(text, |_| ambient.id())
}

fn problems(text: &str) -> Vec<String> {
    read(text).unwrap_err().0.iter().map(ToString::to_string).collect()
}

const GOOD: &str = r#"
# Who works here.
[[rule]]
name = "agents"
when = 'groups.display eq "CC Agents" and not (userType eq "Contractor")'
role = "agent"                                   # owner | admin | supervisor | agent
teams = ["Support"]
skills = { english = 3, billing = 1.5 }
channels = { voice = 1, chat = 3 }
attributes = { site = "north", department_name = { from = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department" } }

[[rule]]
name = "chat"
when = 'department eq "Web"'
act_as_agent = true
[rule.channels]
sms = 0x10
[rule.attributes]
nested = { a = [1, true], since = 2026-01-31 }
"#;

#[test]
fn a_file_becomes_rules_in_its_order() {
    let file = read(GOOD).unwrap();
    assert!(file.warnings.is_empty());
    let rules: Vec<_> = file.rules.iter().map(Rule::definition).collect();
    assert_eq!(rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["agents", "chat"]);
    assert_eq!(rules[0].role, Some(Role::Agent));
    assert_eq!(serde_json::to_value(&rules[0].skills).unwrap(), json!({"english": 3, "billing": 1.5}));
    assert!(matches!(&rules[0].attributes["department_name"], Grant::From(name) if name.ends_with(":department")));
    assert_eq!(rules[1].channels["sms"], 16);
    assert_eq!(rules[1].attributes["nested"], Grant::Literal(json!({"a": [1, true], "since": "2026-01-31"})));
    assert!(rules[1].act_as_agent);
}

#[test]
fn a_rule_keeps_the_id_it_had() {
    let ambient = Ambient::system();
    let known: RuleId = ambient.id();
    let file = parse(GOOD, |name| if name == "chat" { known } else { ambient.id() }).unwrap();
    let ids: Vec<_> = file.rules.iter().map(Rule::id).collect();
    assert!(ids[1] == known && ids[0] != known);
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let text = "[[rule]]\nname = \"a\"\nwhen = 'active eq true'\nrole = \"agent\"\nskill = { x = 1 }\n";
    assert_eq!(problems(text), ["line 5, rule 'a', skill: unknown key; did you mean 'skills'?"]);
    assert_eq!(
        problems("[[rules]]\nname = \"a\"\n"),
        ["line 1, rules: unknown key; a rule file has [[rule]] tables only; did you mean 'rule'?"]
    );
    assert_eq!(problems("[rule]\nname = \"a\"\n").len(), 1);
}

#[test]
fn every_problem_is_told_with_its_line() {
    let text = r#"
[[rule]]
name = "one"
when = 'userTyp eq "x"'
role = "boss"
channels = { voice = -1, chat = 51 }

[[rule]]
when = 'active eq true'
teams = "Support"

[[rule]]
name = "two"
when = 'groups.display eq'
role = "agent"
skills = { english = 2000 }
attributes = { routing = { skills = [] }, team_sid = "x", "a.b" = 1, empty = "", dept = { from = "departmint" } }

[[rule]]
name = "TWO"
when = 'active eq true'
"#;
    let problems = problems(text);
    let starts = [
        "line 5, rule 'one', role: 'boss' is not a role",
        "line 6, rule 'one', channels.voice: takes a whole number from 0 to 50",
        "line 8, rule number 2, name: is missing",
        "line 10, rule number 2, teams: takes a list of names, not text",
        "line 14, rule 'two', when: ",
        "line 16, rule 'two', skills.english: a level lies between 0 and 1000",
        "line 17, rule 'two', attributes.routing: Rollcall sets 'routing' itself: use `skills`",
        "line 17, rule 'two', attributes.team_sid: 'team_sid' belongs to the Teams page of Flex",
        "line 17, rule 'two', attributes.a.b: a dot in a name means nesting",
        "line 17, rule 'two', attributes.empty: an empty value grants nothing",
        "line 17, rule 'two', attributes.dept: a user has no SCIM attribute 'departmint'",
        "line 20, rule 'TWO', name: line 13 has a rule of that name already",
        "line 20, rule 'TWO', name: the rule grants nothing",
    ];
    for start in starts {
        assert!(problems.iter().any(|problem| problem.starts_with(start)), "{start} not in {problems:#?}");
    }
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
}

#[test]
fn conditions_are_checked_when_loaded() {
    let when = |condition: &str| {
        let text = format!("[[rule]]\nname = \"a\"\nwhen = '{condition}'\nrole = \"agent\"\n");
        problems(&text).join("\n")
    };
    assert!(when("userTyp eq \"x\"").starts_with("line 3, rule 'a', when: "));
    assert!(when("userTyp eq \"x\"").contains("did you mean 'userType'?"));
    assert!(when("password eq \"x\"").contains("never kept"));
    assert!(when("meta.created gt \"2026-01-01T00:00:00Z\"").contains("every push"));
    assert!(when("active gt true").contains("active"));
    assert!(when(&format!("{}active pr", "not (".repeat(100))).starts_with("line 3"));
}

#[test]
fn what_is_no_rule_file_is_refused() {
    assert!(problems("")[0].contains("no [[rule]]"));
    assert!(problems("[[rule]]\nname = ")[0].starts_with("line 2: not TOML"));
    assert!(problems("rule = 1")[0].contains("two brackets"));
    assert!(problems("rule = [1]")[0].contains("a rule is a table"));
    assert!(problems("[[rule]]\nname = \"a\"\nname = \"b\"")[0].starts_with("line 3: not TOML"));
    assert!(problems(&format!("#{}", "x".repeat(MAX_FILE_BYTES)))[0].contains("larger"));
    assert!(problems(&format!("rule = {}", "[".repeat(100_000)))[0].contains("not TOML"));
}

#[test]
fn doubtful_names_are_warned_about() {
    let text = "[[rule]]\nname = \"a\"\nwhen = 'active eq true'\nrole = \"agent\"\nskills = { \"tier-2\" = 1 }\n";
    let warnings = read(text).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].to_string().starts_with("line 5, rule 'a', skills.tier-2: queue expressions"));
}

#[test]
fn too_many_rules_are_refused() {
    let rule = |n: usize| format!("[[rule]]\nname = \"r{n}\"\nwhen = 'active pr'\nrole = \"agent\"\n");
    let text: String = (0..=super::super::rule::MAX_RULES).map(rule).collect();
    assert!(problems(&text)[0].contains("1001 rules"));
}
