use clap::CommandFactory as _;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_long_help_explains_more_than_the_short_one() {
    let help = |line: &str| parse(line).unwrap_err().to_string();
    assert!(help("rollcall token create --help").contains("cannot be shown again"));
    assert!(help("rollcall rules import --help").contains("Nobody has access without a role"));
    assert!(!help("rollcall token create -h").contains("cannot be shown again"));
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_help_with_an_example() {
    fn walk(command: &mut clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name()).trim().to_owned();
        assert!(command.get_about().is_some(), "{path} has no description");
        if command.has_subcommands() {
            command
                .get_subcommands_mut()
                .filter(|inner| inner.get_name() != "help")
                .for_each(|inner| walk(inner, &path));
        } else {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Example") && help.contains(&path), "{path}: {help}");
            assert!(help.lines().all(|line| line.chars().count() <= 120), "{path} has a line that terminals break");
        }
    }
    walk(&mut Cli::command(), "");
}

#[test]
fn the_account_is_default_unless_named() {
    for line in [
        "rollcall connection add okta",
        "rollcall connection set okta --disable",
        "rollcall connection list",
        "rollcall token create --connection okta",
        "rollcall token list",
        "rollcall token revoke x",
        "rollcall rules import rules.toml",
        "rollcall rules list",
    ] {
        let account = |line: &str| match parse(line).unwrap().command {
            Command::Connection(connection::ConnectionCommand::Add(args)) => args.account.account,
            Command::Connection(connection::ConnectionCommand::Set(args)) => args.account.account,
            Command::Connection(connection::ConnectionCommand::List(args)) => args.account.account,
            Command::Token(token::TokenCommand::Create(args)) => args.account.account,
            Command::Token(token::TokenCommand::List(args)) => args.which.account.account,
            Command::Token(token::TokenCommand::Revoke(args)) => args.account.account,
            Command::Rules(rules::RulesCommand::Import(args)) => args.account.account,
            Command::Rules(rules::RulesCommand::List(args)) => args.account.account,
            other => panic!("{other:?}"),
        };
        assert_eq!(account(line).as_str(), "default");
        assert_eq!(account(&format!("{line} --account acme-uk")).as_str(), "acme-uk");
    }
}

#[test]
fn global_flags_go_before_and_after_the_command_and_beat_the_environment() {
    let environment = || vec![("ROLLCALL_DATA_DIR".to_owned(), "from-environment".to_owned())];
    for line in ["rollcall --data-dir here migrate", "rollcall migrate --data-dir here"] {
        let loaded = parse(line).unwrap().load(environment()).unwrap();
        assert_eq!(loaded.config.data_dir, PathBuf::from("here"));
    }
    let loaded = parse("rollcall serve --listen 127.0.0.1:9").unwrap().load(environment()).unwrap();
    assert_eq!(loaded.config.listen.port(), 9);
    assert_eq!(loaded.config.data_dir, PathBuf::from("from-environment"));
}

#[test]
fn the_configuration_file_is_named_by_flag_or_variable() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[guard]\nmax_people = 3\n").unwrap();
    let path = file.path().display().to_string();
    let by_flag = parse(&format!("rollcall migrate --config {path}")).unwrap().load(vec![]).unwrap();
    let by_variable = parse("rollcall migrate").unwrap().load(vec![("ROLLCALL_CONFIG".to_owned(), path)]).unwrap();
    assert_eq!((by_flag.config.guard.max_people, by_variable.config.guard.max_people), (3, 3));
    assert!(parse("rollcall migrate --config /nowhere").unwrap().load(vec![]).is_err());
}

#[test]
fn a_demonstration_never_sees_production() {
    let environment = [
        ("ROLLCALL_DATABASE_URL", "postgres://db/production"),
        ("ROLLCALL_SECRET_KEY", "x"),
        ("ROLLCALL_TASKROUTER__BASE_URL", "https://taskrouter.twilio.example"),
        ("ROLLCALL_TASKROUTER__API_SECRET", "hush"),
        ("ROLLCALL_LISTEN", "127.0.0.1:7"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let loaded = parse("rollcall demo --exit").unwrap().load(environment).unwrap();
    assert!(loaded.is_default("database_url") && loaded.config.taskrouter.credentials.is_none());
    assert_eq!(loaded.config.listen.port(), 7);
    assert_eq!(parse("rollcall demo").unwrap().load(vec![]).unwrap().config.listen.port(), 0);
    assert_eq!(parse("rollcall demo --listen 127.0.0.1:8").unwrap().load(vec![]).unwrap().config.listen.port(), 8);
}

#[test]
fn mistakes_are_refused() {
    for line in [
        "rollcall",
        "rollcall connection add Okta_1",
        "rollcall connection add okta --dialect klingon",
        "rollcall connection add okta --may-grant king",
        "rollcall connection set okta",
        "rollcall connection set okta --enable --disable",
        "rollcall token create",
        "rollcall token create --connection okta --expires-in 0",
        "rollcall account add uk --account-sid AC1",
        "rollcall account add uk --account-sid AC0123456789abcdef0123456789abcdef",
        "rollcall account add uk --account-sid AC1 --api-key SK0123456789abcdef0123456789abcdef --api-secret-file - \
         --workspace-sid WS0123456789abcdef0123456789abcdef",
        "rollcall account add uk --api-key SK1",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn sids_are_read() {
    let digits = "0123456789abcdef0123456789abcdef";
    let line = |account: &str| {
        format!(
            "rollcall account add uk --account-sid {account}{digits} --api-key SK{digits} --api-secret-file - --workspace-sid WS{digits}"
        )
    };
    assert!(parse(&line("AC")).is_ok());
    assert!(parse(&line("WS")).unwrap_err().to_string().contains("it is AC and 32 hexadecimal characters"));
}

#[test]
fn roles_and_dialects_are_read() {
    let Command::Connection(connection::ConnectionCommand::Add(args)) =
        parse("rollcall connection add okta --dialect okta --may-grant admin,agent").unwrap().command
    else {
        panic!("not the command");
    };
    assert_eq!(args.dialect, crate::scim::Dialect::Okta);
    assert_eq!(args.may_grant, [crate::domain::Role::Admin, crate::domain::Role::Agent]);
}

#[test]
fn secrets_come_from_files() {
    use secrecy::ExposeSecret as _;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), " hush \r\n").unwrap();
    let secret = |path: &str| path.parse::<SecretFile>().unwrap().read();
    assert_eq!(secret(&file.path().display().to_string()).unwrap().expose_secret(), " hush ");
    std::fs::write(file.path(), "\n").unwrap();
    assert!(secret(&file.path().display().to_string()).is_err());
    assert!(secret("/nowhere").is_err());
}

#[test]
fn tables_are_aligned_and_tame() {
    let mut table = output::Table::new(["name", "role"]);
    table.row(["Zoë\u{1b}[2J", "agent"]);
    table.row(["Al", ""]);
    assert_eq!(table.to_string(), "name     role\nZoë\u{fffd}[2J  agent\nAl");
}
