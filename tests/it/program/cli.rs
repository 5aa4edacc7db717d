//! The commands, as people and scripts use them: results on standard output, everything else on standard error.

use futures::future::join_all;

use super::{Installation, stderr};
use crate::support::{Db, on_both_databases, run};

const COMMANDS: &[&[&str]] = &[
    &["serve"],
    &["demo"],
    &["migrate"],
    &["account", "add"],
    &["account", "list"],
    &["connection", "add"],
    &["connection", "set"],
    &["connection", "list"],
    &["token", "create"],
    &["token", "list"],
    &["token", "rotate"],
    &["token", "revoke"],
    &["client", "create"],
    &["client", "list"],
    &["client", "revoke"],
    &["rules", "import"],
    &["rules", "list"],
    &["holds", "list"],
    &["holds", "show"],
    &["holds", "approve"],
    &["holds", "reject"],
    &["pushes", "tail"],
    &["pushes", "show"],
    &["pushes", "reads"],
    &["check-config"],
    &["stand-in"],
];

#[test]
fn the_help_of_every_command_has_an_example() {
    run(async {
        let installation = Installation::plain().await;
        for command in COMMANDS {
            let help = installation.ok(&[command, &["--help"][..]].concat()).await;
            let line = format!("rollcall {}", command.join(" "));
            let (_, examples) = help.split_once("Example").unwrap_or_else(|| panic!("no example: {help}"));
            assert!(examples.contains(&line), "{line}: {help}");
        }
        let all = installation.ok(&["--help"]).await;
        assert!(COMMANDS.iter().all(|command| all.contains(command[0])), "{all}");
        assert!(!installation.data().exists(), "asking for help makes nothing");
    });
}

/// The list says it, and the server when it starts.
async fn tokens_that_end_soon_are_warned_about(db: Db) {
    let installation = Installation::new(db).await;
    installation.ok(&["connection", "add", "okta"]).await;
    for (days, label) in [("13", "soon"), ("300", "later")] {
        installation.ok(&["token", "create", "--connection", "okta", "--expires-in", days, "--label", label]).await;
    }
    let list = installation.run(&["token", "list"]).await;
    let shown = String::from_utf8(list.stdout.clone()).unwrap();
    let row = |label: &str| shown.lines().find(|line| line.ends_with(label)).unwrap().to_owned();
    assert!(row("soon").contains("expiring") && row("later").contains("valid"), "{shown}");
    let id = row("soon").split(' ').next().unwrap().to_owned();
    let warning = stderr(&list);
    assert!(warning.contains(&format!("rollcall token rotate {id} --account default")), "{warning}");
    assert_eq!(warning.matches("expires soon").count(), 1, "{warning}");

    let server = installation.serve().await;
    let warned = server.running.stderr.find("which token ends", |line| {
        serde_json::from_str::<serde_json::Value>(line).ok().filter(|line| line["token"] == id.as_str())
    });
    let warned = warned.await;
    assert_eq!((warned["connection"].as_str(), warned["level"].as_str()), (Some("okta"), Some("WARN")), "{warned}");
    let text = server.running.stderr.all().concat();
    assert_eq!(text.matches("expires soon").count(), 1, "{text}");
    server.stop().await;
    installation.remove().await;
}

async fn a_token_is_all_that_its_command_prints(db: Db) {
    let installation = Installation::new(db).await;
    installation.ok(&["connection", "add", "okta"]).await;
    let output = installation.run(&["--log", "debug", "token", "create", "--connection", "okta"]).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    let token = printed.strip_suffix('\n').expect("one line");
    assert!(token.starts_with("rcs_") && token.len() > 40 && !token.contains(char::is_whitespace), "{token}");
    let log = stderr(&output);
    assert!(log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{log}");
    assert!(!log.contains(token), "a secret in the log");

    let list = installation.ok(&["token", "list"]).await;
    assert!(list.contains("okta") && list.contains("valid") && !list.contains(token), "{list}");
    let stored = installation.database.connect().await.texts("SELECT hash FROM scim_token").await;
    assert!(!stored[0].contains(&token[4..]));
    let missing = installation.fails(&["token", "create", "--connection", "otka"]).await;
    assert!(missing.contains("'otka'") && missing.contains("rollcall connection add otka"), "{missing}");
    installation.remove().await;
}

async fn what_is_added_is_listed(db: Db) {
    let installation = Installation::new(db).await;
    installation.ok(&["account", "add", "acme-uk"]).await;
    installation
        .ok(&["connection", "add", "entra", "--account", "acme-uk", "--dialect", "entra", "--may-grant", "agent"])
        .await;
    let accounts = installation.ok(&["account", "list"]).await;
    assert!(accounts.contains("default") && accounts.contains("acme-uk"), "{accounts}");
    let connections = installation.ok(&["connection", "list", "--account", "acme-uk"]).await;
    let row = connections.lines().find(|line| line.starts_with("entra")).expect("the connection");
    assert!(row.contains("enabled") && row.contains(" agent ") && !row.contains("supervisor"), "{row}");
    assert!(!installation.ok(&["connection", "list"]).await.contains("entra"), "another account's");
    installation.ok(&["connection", "set", "entra", "--account", "acme-uk", "--disable"]).await;
    assert!(installation.ok(&["connection", "list", "--account", "acme-uk"]).await.contains("disabled"));

    let taken = installation.fails(&["connection", "add", "entra"]).await;
    assert!(taken.contains("already taken"), "{taken}");
    let foreign = installation.fails(&["connection", "set", "entra", "--enable"]).await;
    assert!(foreign.contains("no connection 'entra' in account 'default'"), "{foreign}");
    let nobody = installation.fails(&["rules", "list", "--account", "acme-fr"]).await;
    assert!(nobody.contains("no account 'acme-fr'") && nobody.contains("rollcall account"), "{nobody}");
    installation.remove().await;
}

const RULES: &str = r#"
[[rule]]
name = "agents"
when = 'groups.display eq "CC Agents"'
role = "agent"
teams = ["Support"]
skills = { english = 3 }
channels = { voice = 1 }
attributes = { site = "north" }
"#;

async fn rules_are_imported_from_a_file_and_from_a_pipe(db: Db) {
    let installation = Installation::new(db).await;
    let file = installation.file("rules.toml", RULES);
    let said = installation.ok(&["rules", "import", &file]).await;
    assert!(said.contains("1 rules in force (version 1)"), "{said}");
    let said = installation.ok(&["rules", "import", &file]).await;
    assert!(said.contains("unchanged (version 1)"), "{said}");
    let piped = installation.run_with_input(&["rules", "import", "-"], &RULES.replace("Support", "Sales")).await;
    assert!(piped.status.success(), "{}", stderr(&piped));
    let list = installation.ok(&["rules", "list"]).await;
    for text in ["agents", "agent", "Sales", "english=3", "voice=1", "site", "groups.display eq \"CC Agents\""] {
        assert!(list.contains(text), "{text}: {list}");
    }
    installation.remove().await;
}

#[test]
fn mistakes_in_rules_are_told_with_their_places() {
    run(async {
        let installation = Installation::plain().await;
        let good = installation.file("good.toml", RULES);
        installation.ok(&["rules", "import", &good]).await;
        let before = installation.ok(&["rules", "list"]).await;
        for (mistake, expected) in [
            (
                RULES.replace("role = \"agent\"", "role = \"agnet\""),
                &["line 5", "'agents'", "'agnet' is not a role"][..],
            ),
            (RULES.replace("teams", "team"), &["line 6", "'agents'", "team", "unknown key"]),
            (RULES.replace("groups.display eq", "groups.dispaly eq"), &["line 4", "'agents'", "dispaly"]),
            (RULES.replace("eq \"CC Agents\"", "eq"), &["line 4", "'agents'", "when"]),
            (RULES.replace("english = 3", "english = \"high\""), &["line 7", "'agents'", "english"]),
            (RULES.replace("site = \"north\"", "roles = [\"admin\"]"), &["line 9", "'agents'", "roles"]),
            (format!("{RULES}{RULES}"), &["line 12", "'agents'"]),
            (RULES.replace("]]", "]"), &["line 2"]),
        ] {
            let file = installation.file("bad.toml", &mistake);
            let said = installation.fails(&["rules", "import", &file]).await;
            for text in expected {
                assert!(said.contains(text), "'{text}' is missing: {said}");
            }
        }
        // All of them at once, not one after the other.
        let file = installation.file("bad.toml", &RULES.replace("teams", "team").replace("\"agent\"", "\"agnet\""));
        assert_eq!(installation.fails(&["rules", "import", &file]).await.lines().count(), 2);
        assert_eq!(installation.ok(&["rules", "list"]).await, before);
    });
}

async fn the_first_commands_may_come_all_at_once(db: Db) {
    let installation = Installation::new(db).await;
    let names: Vec<String> = (0..6).map(|n| format!("idp-{n}")).collect();
    join_all(names.iter().map(|name| async { installation.ok(&["connection", "add", name]).await })).await;
    let tokens = join_all(names.iter().map(|name| installation.token(name))).await;
    let list = installation.ok(&["connection", "list"]).await;
    assert!(names.iter().all(|name| list.contains(name.as_str())), "{list}");
    assert_eq!(installation.ok(&["token", "list"]).await.matches("valid").count(), tokens.len());
    installation.remove().await;
}

#[test]
fn what_makes_no_sense_is_refused_with_a_hint() {
    run(async {
        let installation = Installation::plain().await;
        let output = installation.run(&["conection", "add", "okta"]).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("connection"), "{}", stderr(&output));
        let said = installation.fails(&["connection", "add", "Not A Slug"]).await;
        assert!(said.contains("--help"), "{said}");
        let said = installation.fails(&["rules", "import", "nowhere.toml"]).await;
        assert!(said.contains("nowhere.toml"), "{said}");
        let said = installation.fails(&["token", "revoke", "abc"]).await;
        assert!(said.contains("no token 'abc'") && said.contains("rollcall token list"), "{said}");
    });
}

on_both_databases!(
    a_token_is_all_that_its_command_prints,
    tokens_that_end_soon_are_warned_about,
    what_is_added_is_listed,
    rules_are_imported_from_a_file_and_from_a_pipe,
    the_first_commands_may_come_all_at_once,
);
