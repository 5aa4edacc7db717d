//! `rollcall demo`, as somebody who has just built it runs it.

use std::process::{Command, Output};

fn demo(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollcall"))
        .arg("demo")
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_day_ends_as_expected() {
    let parent = tempfile::tempdir().unwrap();
    let place = parent.path().display().to_string();
    // What a server's shell has set must not matter: none of it can be reached.
    let ran = demo(
        &["--exit"],
        &[("TMPDIR", &place), ("ROLLCALL_DATABASE_URL", "postgres://127.0.0.1:1/prod"), ("ROLLCALL_SECRET_KEY", "00")],
    );
    let (out, err) = (text(&ran.stdout), text(&ran.stderr));
    assert!(ran.status.success(), "{out}\n{err}");
    assert_eq!(err, "");
    assert!(out.contains("As expected: 25 people, and 23 workers at TaskRouter"), "{out}");
    assert_eq!(out.matches(" joins CC ").count(), 25, "{out}");
    assert_eq!(out.matches(" removed, and found to be gone").count(), 3, "{out}");
    for figure in ["pushes", "effects", "calls to TaskRouter", "p50", "p95"] {
        assert!(out.contains(figure), "{figure}: {out}");
    }
    assert!(out.is_ascii(), "colours or control characters went to a file: {out}");
    assert!(!out.contains('\u{1b}'), "{out}");
    assert_eq!(parent.path().read_dir().unwrap().count(), 0, "the temporary data directory is still there");
}

#[test]
fn a_servers_data_directory_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("rollcall.db"), "a server's").unwrap();
    let place = directory.path().display().to_string();
    let ran = demo(&["--exit", "--data-dir", &place], &[]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(text(&ran.stderr).contains("not a demonstration"), "{}", text(&ran.stderr));
    assert_eq!(std::fs::read_to_string(directory.path().join("rollcall.db")).unwrap(), "a server's");
    assert_eq!(directory.path().read_dir().unwrap().count(), 1);
}

#[test]
fn it_has_a_database_of_its_own() {
    let ran = demo(&["--exit", "--database-url", "sqlite:somewhere.db"], &[]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(text(&ran.stderr).contains("leave out --database-url"), "{}", text(&ran.stderr));
}
