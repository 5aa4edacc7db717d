//! Where settings come from, and what is said about mistakes in them.

use super::{Installation, event, stderr};
use crate::support::{Db, run};

#[test]
fn an_unknown_key_is_refused_with_the_nearest_name() {
    run(async {
        let installation = Installation::plain().await;
        let file = installation.file("rollcall.toml", "public_ulr = \"https://x.example\"\n\n[guard]\nmax_peopl = 3\n");
        let said = installation.fails(&["--config", &file, "migrate"]).await;
        for text in [
            "rollcall.toml:1",
            "'public_ulr'",
            "'public_url'",
            "rollcall.toml:4",
            "'guard.max_peopl'",
            "'guard.max_people'",
        ] {
            assert!(said.contains(text), "'{text}' is missing: {said}");
        }
        assert!(!installation.data().exists(), "nothing was begun");
    });
}

#[test]
fn an_unknown_variable_is_only_warned_about() {
    run(async {
        let mut installation = Installation::plain().await;
        installation.set("ROLLCALL_TASKROUTER__API_SECRT", "hush");
        let output = installation.run(&["migrate"]).await;
        assert!(output.status.success(), "{}", stderr(&output));
        let said = stderr(&output);
        assert!(
            said.contains("ROLLCALL_TASKROUTER__API_SECRT") && said.contains("'ROLLCALL_TASKROUTER__API_SECRET'"),
            "{said}"
        );
        assert!(!said.contains("hush"), "it may be a secret: {said}");
    });
}

#[test]
fn flags_beat_the_environment_and_that_beats_the_file() {
    run(async {
        let mut installation = Installation::plain().await;
        let text = "data_dir = \"from-file\"\n[guard]\nmax_people = 3\nwindow_s = 7\n[taskrouter]\nmax_rate = 9\n";
        let file = installation.file("rollcall.toml", text);
        installation.set("ROLLCALL_CONFIG", &file);
        installation.set("ROLLCALL_GUARD__MAX_PEOPLE", "4");
        let shown = installation.ok(&["check-config", "--data-dir", "from-flag"]).await;
        let holds = |key: &str, value: &str, origin: &str| {
            assert!(
                shown.lines().any(|line| line.starts_with(&format!("{key} = {value}")) && line.ends_with(origin)),
                "{key}: {shown}"
            );
        };
        holds("data_dir", "\"from-flag\"", "--data-dir");
        holds("max_people", "4", "ROLLCALL_GUARD__MAX_PEOPLE");
        holds("window_s", "7", "rollcall.toml:4");
        holds("max_share", "0.1", "default");
    });
}

#[test]
fn secrets_are_never_shown() {
    run(async {
        let mut installation = Installation::plain().await;
        let secrets = [
            ("ROLLCALL_SECRET_KEY", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
            ("ROLLCALL_TASKROUTER__API_SECRET", "hush-hush-1"),
            ("ROLLCALL_DATABASE_URL", "postgres://rollcall:hush-hush-2@db.example/rollcall"),
        ];
        for (name, value) in secrets {
            installation.set(name, value);
        }
        for (name, value) in [
            ("ROLLCALL_TASKROUTER__ACCOUNT_SID", "AC00000000000000000000000000000000"),
            ("ROLLCALL_TASKROUTER__API_KEY", "SK00000000000000000000000000000000"),
            ("ROLLCALL_TASKROUTER__WORKSPACE_SID", "WS00000000000000000000000000000000"),
        ] {
            installation.set(name, value);
        }
        let output = installation.run(&["check-config"]).await;
        let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
        assert!(output.status.success(), "{all}");
        assert!(all.contains("db.example") && !all.contains("hush-hush") && !all.contains(secrets[0].1), "{all}");
    });
}

#[test]
fn every_mistake_is_told_at_once() {
    run(async {
        let mut installation = Installation::plain().await;
        installation.set("ROLLCALL_LISTEN", "everywhere");
        installation.set("ROLLCALL_GUARD__MAX_SHARE", "10");
        installation.set("ROLLCALL_DATABASE_URL", "mysql://x");
        let said = installation.fails(&["serve"]).await;
        for name in ["ROLLCALL_LISTEN", "ROLLCALL_GUARD__MAX_SHARE", "ROLLCALL_DATABASE_URL"] {
            assert!(said.contains(name), "{name} is missing: {said}");
        }
    });
}

#[test]
fn postgresql_wants_a_key_of_everybodys() {
    run(async {
        let mut installation = Installation::plain().await;
        installation.set("ROLLCALL_DATABASE_URL", "postgres://127.0.0.1:9/rollcall");
        let said = installation.fails(&["migrate"]).await;
        assert!(said.contains("ROLLCALL_SECRET_KEY") && said.contains("64 hexadecimal"), "{said}");
    });
}

#[test]
fn half_of_the_credentials_is_a_mistake_and_none_means_the_stand_in() {
    run(async {
        let mut installation = Installation::new(Db::Sqlite).await;
        let server = installation.serve().await;
        let loud = |line: &str| line.contains("NO TWILIO CREDENTIALS").then_some(());
        server.running.stderr.find("that a stand-in is used", loud).await;
        let printed = |line: &str| line.contains("/owner/rcl_").then(|| line.to_owned());
        let link = server.running.stdout.find("the link of the first start", printed).await;
        assert_eq!(server.running.stdout.all(), [link.as_str()], "logs go to standard error");
        let secret = link.rsplit('/').next().unwrap();
        assert!(server.running.stderr.all().iter().all(|line| !line.contains(secret)), "the link is in no log");
        assert!(server.running.stderr.all().iter().all(|line| line.starts_with('{')), "JSON where no terminal is");
        server.stop().await;
        installation.set("ROLLCALL_TASKROUTER__ACCOUNT_SID", "AC00000000000000000000000000000000");
        let said = installation.fails(&["serve"]).await;
        assert!(said.contains("api_secret") || said.contains("API_SECRET"), "{said}");
    });
}

#[test]
fn the_key_file_and_the_database_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    run(async {
        let installation = Installation::plain().await;
        let server = installation.serve().await;
        let mode = |name: &str| std::fs::metadata(installation.data().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("secret.key"), 0o600);
        assert_eq!(mode(""), 0o700, "the directory that holds everything");
        assert!(mode("rollcall.db") > 0);
        let bound = event(&server.running.stderr.all().join("\n"), "ready");
        assert_eq!(bound, None, "one line each");
        server.stop().await;
    });
}
