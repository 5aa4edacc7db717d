use serde_json::json;

use super::*;
use crate::access::file;
use crate::config::{Config, Sources};

fn script() -> Script {
    Script::embedded().unwrap()
}

fn place() -> Place {
    Place::prepare(&Config::load(&Sources { environment: harmless(Vec::new()), ..Sources::default() }).unwrap())
        .unwrap()
}

async fn play(script: &Script, place: Place) -> (Outcome, String) {
    let mut screen = Screen::kept();
    let ended = show(script, place, true, &mut screen, std::future::pending()).await;
    (ended, screen.text().to_owned())
}

#[test]
fn the_script_fits_together() {
    let script = script();
    let rules = file::parse(&script.rules, |_| Ambient::system().id()).unwrap();
    assert!(rules.warnings.is_empty(), "{:?}", rules.warnings);
    let expected: Vec<&str> = script.expected.people.iter().map(|person| person.person.as_str()).collect();
    assert_eq!(expected, script.people.keys().collect::<Vec<_>>());
    let joiners = script.day.iter().filter_map(|event| match &event.does {
        script::Does::Join { people } => Some((event.idp, people)),
        _ => None,
    });
    let joiners: Vec<_> = joiners.flat_map(|(idp, people)| people.iter().map(move |person| (idp, person))).collect();
    assert_eq!(joiners.len(), 25);
    assert!(joiners.iter().all(|(idp, person)| script.people[*person].idp == *idp));
}

#[test]
fn a_demonstration_sees_nothing_of_a_server() {
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let seen = harmless(vec![
        set("ROLLCALL_DATABASE_URL", "postgres://prod"),
        set("ROLLCALL_TASKROUTER__API_SECRET", "s"),
        set("ROLLCALL_LISTEN", ""),
        set("ROLLCALL_DATA_DIR", "here"),
    ]);
    assert_eq!(seen, [set("ROLLCALL_LISTEN", "127.0.0.1:0"), set("ROLLCALL_DATA_DIR", "here")]);
}

#[test]
fn logs_are_calm_unless_told_otherwise() {
    let filter = |line: &str| {
        let cli = <crate::cli::Cli as clap::Parser>::try_parse_from(line.split(' ')).unwrap();
        cli.load(Vec::new()).unwrap().config.log.filter
    };
    assert!(filter("rollcall demo").starts_with("warn"));
    assert_eq!(filter("rollcall demo --log debug"), "debug");
    assert!(!filter("rollcall serve").starts_with("warn"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_not_as_expected_is_named_and_fails_the_demonstration() {
    let mut script = script();
    let ana = script.expected.people[0].worker.as_mut().unwrap();
    ana.attributes.insert("roles".to_owned(), json!(["admin"]));
    let (ended, text) = play(&script, place()).await;
    assert_eq!(ended.unwrap_err().to_string(), "the day did not end as expected: 1 difference", "{text}");
    let difference = "Ana Ruiz: attribute roles: expected [\"admin\"], found [\"supervisor\",\"agent\"]";
    assert!(text.contains(difference), "{text}");
    assert!(!text.contains("As expected"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_refused_ends_the_demonstration_with_the_reason() {
    let mut script = script();
    script.people["ben"].profile.insert("userName".to_owned(), "".into());
    let (ended, text) = play(&script, place()).await;
    let reason = ended.unwrap_err().to_string();
    assert!(reason.starts_with("Okta: POST /Users was answered 400: ") && reason.contains("userName"), "{reason}");
    assert!(text.contains("Ana Ruiz joins") && !text.contains("Ben Carter joins"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_day_can_be_played_twice_in_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let environment = harmless(vec![("ROLLCALL_DATA_DIR".to_owned(), directory.path().display().to_string())]);
    let loaded = Config::load(&Sources { environment, ..Sources::default() }).unwrap();
    let (ended, first) = play(&script(), Place::prepare(&loaded).unwrap()).await;
    ended.unwrap();
    assert!(!first.contains("was played here before") && first.contains("Olga Novak joins CC Sales"), "{first}");
    let (ended, second) = play(&script(), Place::prepare(&loaded).unwrap()).await;
    ended.unwrap();
    assert!(second.contains("was played here before") && second.contains("group found"), "{second}");
    // She was renamed the first time, and Entra knows her by her object id.
    let olga = second.lines().find(|line| line.contains("Olga Novak joins")).unwrap();
    assert!(olga.contains("kept: now olga.novak@acme.example"), "{olga}");
    let ben = second.lines().find(|line| line.contains("Ben Carter joins")).unwrap();
    assert!(ben.contains("as it was") && !ben.contains(" ms"), "{ben}");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_stops_in_order() {
    let mut screen = Screen::kept();
    let place = place();
    let directory = place.config.data_dir.clone();
    let ended = show(&script(), place, false, &mut screen, std::future::ready(())).await;
    assert_eq!(ended.unwrap_err().to_string(), "told to stop before the end of the day");
    assert!(!directory.exists());
}
