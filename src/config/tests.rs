use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::*;

const SID: &str = "0123456789abcdef0123456789abcdef";

fn environment(pairs: &[(&str, &str)]) -> Sources {
    let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { environment, ..Sources::default() }
}

fn file(text: &str) -> Sources {
    Sources { file: Some(ConfigFile { name: "my.toml".to_owned(), text: text.to_owned() }), ..Sources::default() }
}

fn load(sources: &Sources) -> Loaded {
    Config::load(sources).unwrap()
}

fn refused(sources: &Sources) -> Vec<String> {
    Config::load(sources).unwrap_err().problems.iter().map(ToString::to_string).collect()
}

#[test]
fn defaults_are_complete_and_quiet() {
    let loaded = load(&Sources::default());
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let config = loaded.config;
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.public_url_at(config.listen), "http://127.0.0.1:8080");
    assert!(matches!(&config.database.target, Database::Sqlite(path) if *path == Path::new("./data/rollcall.db")));
    assert!(config.taskrouter.credentials.is_none());
    assert_eq!(config.taskrouter.max_rate, None);
    assert!(config.server.keep_alive >= Duration::from_mins(2));
    assert_eq!((config.guard.max_people, config.guard.window), (25, Duration::from_mins(10)));
    assert!((config.guard.max_share - 0.1).abs() < f64::EPSILON);
    assert!(!config.sso.allow_loopback_http);
    assert!(config.secret_key.is_none());
}

#[test]
fn monitoring_listens_where_it_is_told_or_nowhere() {
    let ops = |pairs: &[(&str, &str)]| load(&environment(pairs)).config.ops_listen;
    let at = |address: &str, chosen| Some(OpsListen { address: address.parse().unwrap(), chosen });
    assert_eq!(ops(&[]), at("127.0.0.1:9464", false));
    assert_eq!(ops(&[("ROLLCALL_OPS_LISTEN", "0.0.0.0:9000")]), at("0.0.0.0:9000", true));
    assert_eq!(ops(&[("ROLLCALL_OPS_LISTEN", "127.0.0.1:9464")]), at("127.0.0.1:9464", true));
    assert_eq!(ops(&[("ROLLCALL_OPS_LISTEN", "")]), None);
    assert_eq!(load(&file("ops_listen = \"\"")).config.ops_listen, None);
    assert!(refused(&environment(&[("ROLLCALL_OPS_LISTEN", "9464")]))[0].contains("or empty for no listener"));
    // Of all others an empty variable leaves what was said before.
    assert_eq!(load(&environment(&[("ROLLCALL_LISTEN", "")])).config.listen.to_string(), "127.0.0.1:8080");
}

#[test]
fn every_default_names_its_variable_and_every_named_variable_is_known() {
    let settings = load(&Sources::default()).settings;
    let mut named: Vec<&str> = DEFAULTS
        .split(|c: char| !c.is_ascii_uppercase() && c != '_')
        .filter(|word| word.starts_with(PREFIX) && *word != PREFIX)
        .collect();
    let mut known: Vec<String> = settings.iter().map(|setting| layers::variable_of(&setting.key)).collect();
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
}

#[test]
fn every_key_is_read() {
    // A value that no key accepts: whoever reads the key complains. Texts and lists that take anything are listed.
    let free = [
        "data_dir",
        "account_sid",
        "api_key",
        "api_secret",
        "workspace_sid",
        "protected_roles",
        "paused",
        "loopback_http",
    ];
    for setting in load(&Sources::default()).settings {
        if free.iter().any(|name| setting.key.ends_with(name)) {
            continue;
        }
        let number = setting.value.parse::<f64>().is_ok();
        let value = if number { "-1" } else { "=bad=" };
        let variable = layers::variable_of(&setting.key);
        assert!(refused(&environment(&[(&variable, value)]))[0].starts_with(&variable), "{}", setting.key);
    }
}

#[test]
fn later_sources_win() {
    let mut sources = file("listen = \"127.0.0.1:1\"\ndata_dir = \"file\"\n[guard]\nmax_people = 1\nmax_share = 1\n");
    sources.environment =
        environment(&[("ROLLCALL_LISTEN", "127.0.0.1:2"), ("ROLLCALL_GUARD__MAX_PEOPLE", "2")]).environment;
    sources.flags = vec![Flag { name: "--listen", key: "listen", value: "127.0.0.1:3".to_owned() }];
    let loaded = load(&sources);
    assert_eq!(loaded.config.listen.port(), 3);
    assert_eq!(loaded.config.guard.max_people, 2);
    assert!((loaded.config.guard.max_share - 1.0).abs() < f64::EPSILON);
    assert_eq!(loaded.config.data_dir, Path::new("file"));
    let origin = |key: &str| loaded.settings.iter().find(|s| s.key == key).map(|s| s.origin.to_string()).unwrap();
    assert_eq!(origin("listen"), "--listen");
    assert_eq!(origin("guard.max_people"), "ROLLCALL_GUARD__MAX_PEOPLE");
    assert_eq!(origin("data_dir"), "my.toml:2");
    assert_eq!(origin("guard.window_s"), "default");
    assert!(loaded.is_default("guard.window_s") && !loaded.is_default("listen"));
}

#[test]
fn fixed_variables_are_understood() {
    let sources = environment(&[
        ("ROLLCALL_LISTEN", "0.0.0.0:9999"),
        ("ROLLCALL_PUBLIC_URL", "https://rollcall.acme.example/"),
        ("ROLLCALL_DATABASE_URL", "postgres://u:hush@db.example/rollcall"),
        ("ROLLCALL_DATA_DIR", "/srv/rollcall"),
        ("ROLLCALL_SECRET_KEY", &"ab".repeat(32)),
        ("ROLLCALL_TASKROUTER__BASE_URL", "http://127.0.0.1:4000"),
        ("ROLLCALL_TASKROUTER__FLEX_BASE_URL", "http://127.0.0.1:4001"),
        ("ROLLCALL_TASKROUTER__ACCOUNT_SID", &format!("AC{SID}")),
        ("ROLLCALL_TASKROUTER__API_KEY", &format!("SK{SID}")),
        ("ROLLCALL_TASKROUTER__API_SECRET", "0012"),
        ("ROLLCALL_TASKROUTER__WORKSPACE_SID", &format!("WS{SID}")),
        ("ROLLCALL_RECONCILER__PAUSED", "true"),
        ("ROLLCALL_RECONCILER__PROTECTED_ROLES", "admin, lead"),
        ("ROLLCALL_GUARD__MAX_PEOPLE", "7"),
        ("ROLLCALL_GUARD__MAX_SHARE", "0.5"),
        ("ROLLCALL_GUARD__WINDOW_S", "60"),
        ("ROLLCALL_LOG", "debug,rollcall::scim=trace"),
        ("PATH", "/bin"),
        ("ROLLCALL_TEST_POSTGRES_URL", "x"),
        ("ROLLCALL_CONFIG", "x"),
    ]);
    let Loaded { config, warnings, .. } = load(&sources);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("paused"));
    let credentials = config.taskrouter.credentials.clone().unwrap();
    assert_eq!(credentials.api_secret.expose_secret(), "0012");
    assert_eq!(credentials.workspace_sid, format!("WS{SID}"));
    assert_eq!(config.public_url_at(config.listen), "https://rollcall.acme.example");
    assert_eq!(config.reconciler.protected_roles, ["admin", "lead"]);
    assert_eq!((config.guard.max_people, config.guard.window.as_secs()), (7, 60));
    assert_eq!(config.log.filter, "debug,rollcall::scim=trace");
}

#[test]
fn unknown_keys_in_a_file_are_refused_with_line_and_nearest_name() {
    let sources =
        file("listen = \"127.0.0.1:1\"\n\n[guard]\nmax_peple = 3\n[gaurd]\nwindow_s = 1\n[server]\ndata_dir = \"x\"\n");
    assert_eq!(
        refused(&sources),
        [
            "my.toml:5: unknown key 'gaurd'; did you mean 'guard'?",
            "my.toml:4: unknown key 'guard.max_peple'; did you mean 'guard.max_people'?",
            "my.toml:8: unknown key 'server.data_dir'; did you mean 'data_dir'?",
        ]
    );
    assert_eq!(refused(&file("zzzz = 1")), ["my.toml:1: unknown key 'zzzz'"]);
    assert_eq!(refused(&file("\"guard.max_people\" = 1")).len(), 1);
    assert_eq!(refused(&file("guard = 3")), ["my.toml:1: 'guard' is a table: write [guard] and its keys below"]);
}

#[test]
fn unknown_variables_are_only_warned_about() {
    let loaded =
        load(&environment(&[("ROLLCALL_LISTN", "x"), ("ROLLCALL_GUARD_MAX_PEOPLE", "1"), ("ROLLCALL_listen", "x")]));
    assert_eq!(
        loaded.warnings,
        [
            "the environment variable ROLLCALL_LISTN is not known and was ignored; did you mean 'ROLLCALL_LISTEN'?",
            "the environment variable ROLLCALL_GUARD_MAX_PEOPLE is not known and was ignored; did you mean \
             'ROLLCALL_GUARD__MAX_PEOPLE'?",
            "the environment variable ROLLCALL_listen is not known and was ignored; did you mean 'ROLLCALL_LISTEN'?",
        ]
    );
    assert_eq!(loaded.config.listen.port(), 8080);
}

#[test]
fn types_are_not_bent() {
    for (text, want) in [
        ("[guard]\nmax_people = 0.5", "my.toml:2: 'guard.max_people' must be a whole number"),
        ("[guard]\nmax_people = \"5\"", "my.toml:2: 'guard.max_people' must be a whole number"),
        ("[guard]\nmax_share = true", "my.toml:2: 'guard.max_share' must be a number"),
        ("[reconciler]\npaused = 1", "my.toml:2: 'reconciler.paused' must be true or false"),
        ("[reconciler]\nprotected_roles = [1]", "my.toml:2: 'reconciler.protected_roles' must be a list of texts"),
        ("listen = 1979-05-27", "my.toml:1: 'listen' must be a text in quotes"),
        ("listen = {}", "my.toml:1: 'listen' must be a text in quotes"),
    ] {
        assert_eq!(refused(&file(text)), [want]);
    }
    for (name, value) in [("ROLLCALL_GUARD__MAX_PEOPLE", "yes"), ("ROLLCALL_RECONCILER__PAUSED", "maybe")] {
        assert_eq!(refused(&environment(&[(name, value)])).len(), 1);
    }
    let broken = refused(&file("listen = \"127.0.0.1:1\"\n[guard\n"));
    assert!(broken[0].starts_with("my.toml:2: is not TOML:"), "{broken:?}");
}

#[test]
fn all_problems_are_told_at_once_with_what_to_set() {
    let sources = environment(&[
        ("ROLLCALL_LISTEN", "8080"),
        ("ROLLCALL_SERVER__KEEP_ALIVE_S", "119"),
        ("ROLLCALL_GUARD__MAX_SHARE", "10"),
        ("ROLLCALL_TASKROUTER__ACCOUNT_SID", "AC1"),
    ]);
    let error = Config::load(&sources).unwrap_err();
    assert_eq!(error.problems.len(), 4, "{error}");
    let text = error.to_string();
    for want in [
        "ROLLCALL_LISTEN: must be ADDRESS:PORT",
        "ROLLCALL_SERVER__KEEP_ALIVE_S: must be 120 to 86400",
        "ROLLCALL_GUARD__MAX_SHARE: must be a share from 0 to 1",
        "set ROLLCALL_TASKROUTER__API_KEY and ROLLCALL_TASKROUTER__API_SECRET and ROLLCALL_TASKROUTER__WORKSPACE_SID too",
    ] {
        assert!(text.contains(want), "{want} not in {text}");
    }
}

#[test]
fn databases() {
    let target =
        |url: &str| Config::load(&environment(&[("ROLLCALL_DATABASE_URL", url)])).map(|l| l.config.database.target);
    for (url, path) in [
        ("sqlite:x.db", "x.db"),
        ("sqlite://x.db?mode=rwc", "x.db"),
        ("sqlite:///srv/a%20b.db", "/srv/a b.db"),
        ("sqlite:./d/x.db", "./d/x.db"),
    ] {
        assert!(matches!(target(url), Ok(Database::Sqlite(p)) if p == Path::new(path)), "{url}");
    }
    for bad in ["sqlite:", "sqlite::memory:", "sqlite:x?cache=shared", "mysql://x/y", "x.db", "postgres://h"] {
        assert!(target(bad).is_err(), "{bad}");
    }
    let needs_key = refused(&environment(&[("ROLLCALL_DATABASE_URL", "postgres://h/d")]));
    assert!(needs_key[0].starts_with("'secret_key' (ROLLCALL_SECRET_KEY) must be set when PostgreSQL is used"));
    let short = refused(&environment(&[("ROLLCALL_SECRET_KEY", "abcd")]));
    assert!(short[0].starts_with("ROLLCALL_SECRET_KEY: is not usable"), "{short:?}");
}

#[test]
fn urls() {
    let public = |url: &str| Config::load(&environment(&[("ROLLCALL_PUBLIC_URL", url)]));
    for bad in ["rollcall.example", "ftp://x", "https://x/path", "https://u:p@x", "https://x?q", "https://"] {
        assert!(public(bad).is_err(), "{bad}");
    }
    assert_eq!(public("http://rollcall.example").unwrap().warnings.len(), 1);
    assert!(public("http://localhost:1").unwrap().warnings.is_empty());
    let base = |url: &str| refused(&environment(&[("ROLLCALL_TASKROUTER__BASE_URL", url)]));
    assert!(base("http://twilio.example")[0].contains("must be https"));
    assert!(base("http://127.0.0.1:1")[0].contains("without credentials"));
    let open = load(&environment(&[("ROLLCALL_LISTEN", "0.0.0.0:80")]));
    assert!(open.warnings[0].contains("ROLLCALL_PUBLIC_URL"));
    assert_eq!(open.config.public_url_at(open.config.listen), "http://localhost:80");
}

#[test]
fn s60_secrets_are_never_shown() {
    let key = "cd".repeat(32);
    let sources = environment(&[
        ("ROLLCALL_DATABASE_URL", "postgres://u:canary-1@db/rollcall?password=canary-2"),
        ("ROLLCALL_SECRET_KEY", &key),
        ("ROLLCALL_TASKROUTER__ACCOUNT_SID", "ACx"),
        ("ROLLCALL_TASKROUTER__API_KEY", "SKx"),
        ("ROLLCALL_TASKROUTER__API_SECRET", "canary-3"),
        ("ROLLCALL_TASKROUTER__WORKSPACE_SID", "WSx"),
    ]);
    let loaded = load(&sources);
    let shown = format!("{loaded:?}");
    assert!(!shown.contains("canary") && !shown.contains(&key), "{shown}");
    assert!(shown.contains("postgres://db/rollcall"));
    for bad in ["mysql://u:canary@x/y", "postgres://canary", "canary"] {
        assert!(!refused(&environment(&[("ROLLCALL_DATABASE_URL", bad)]))[0].contains("canary"));
    }
    assert!(!refused(&environment(&[("ROLLCALL_SECRET_KEY", "canary")]))[0].contains("canary"));
}

#[test]
fn the_shown_settings_are_a_file_that_means_the_same() {
    let shown = |loaded: &Loaded| {
        let lines: Vec<String> = loaded.settings.iter().map(|s| format!("{} = {}\n", s.key, s.value)).collect();
        lines.concat()
    };
    let first =
        load(&environment(&[("ROLLCALL_RECONCILER__PROTECTED_ROLES", "a,b"), ("ROLLCALL_DATA_DIR", "a \"b\"")]));
    assert_eq!(shown(&load(&file(&shown(&first)))), shown(&first));
}

#[test]
fn a_missing_file_is_named() {
    let error = ConfigFile::read(Path::new("/nowhere/rollcall.toml")).unwrap_err().to_string();
    assert!(error.contains("/nowhere/rollcall.toml cannot be read"), "{error}");
}

proptest! {
    #[test]
    fn no_file_or_variable_panics(text in "[a-z_.=\\[\\]\"0-9\n ]{0,200}", name in "[A-Z_]{0,30}", value in ".{0,40}") {
        let mut sources = file(&text);
        sources.environment = vec![(format!("{PREFIX}{name}"), value)];
        let _ = Config::load(&sources);
    }
}
