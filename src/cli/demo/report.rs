//! The end of the day: a table of everybody, what differs, and the figures.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::check::differences;
use super::idp::Result;
use super::player::Player;
use super::screen::{Style, counts, millis, percentile};
use super::script::Script;
use crate::app::App;
use crate::cli::Outcome;
use crate::cli::output::Table;
use crate::domain::Role;
use crate::reconcile::observe::Stats;
use crate::taskrouter::stand_in::StandIn;

/// What the figures are read from.
pub(super) struct Sources {
    pub(super) stats: Arc<Stats>,
    pub(super) stand_in: Arc<StandIn>,
}

impl Sources {
    pub(super) fn of(app: &App) -> Result<Self> {
        let stand_in = app.stand_in().ok_or("the stand-in of TaskRouter is not running")?;
        Ok(Self { stats: Arc::clone(app.stats()), stand_in: Arc::clone(stand_in) })
    }
}

/// Shows everybody, and compares what there is with what was expected; returns the number of differences.
pub(super) async fn everybody(player: &mut Player<'_>, script: &Script, sources: &Sources) -> Result<usize> {
    let mut table = Table::new(["PERSON", "STATUS", "ROLE", "TEAMS", "WORKER SID", "IN STEP SINCE"]);
    let mut told = IndexMap::new();
    for (person, who) in &script.people {
        let Some((idp, id)) = player.id(person) else { continue };
        let seen = player.watch.look(idp, id).await?;
        let since = seen.in_step_since().filter(|_| seen.in_step());
        table.row([
            script
                .expected
                .people
                .iter()
                .find(|other| other.person == *person)
                .map_or(&who.name(), |other| &other.name),
            seen.status.as_str(),
            seen.role.map_or("-", Role::as_str),
            &if seen.teams.is_empty() { "-".to_owned() } else { seen.teams.join(", ") },
            seen.sid().unwrap_or("removed"),
            &since.map_or_else(|| "not in step".to_owned(), |since| since.to_string()),
        ]);
        told.insert(person.clone(), seen.told());
    }
    player.screen.heading("At the end of the day")?;
    player.screen.table(&table)?;
    player.screen.line(Style::Plain, "")?;
    let workers = sources.stand_in.workers();
    let found = differences(&script.expected, &told, &workers);
    if found.is_empty() {
        let text = format!(
            "  As expected: {} people, and {} workers at TaskRouter compared in every attribute and channel.",
            told.len(),
            workers.len()
        );
        player.screen.line(Style::Good, &text)?;
    } else {
        player.screen.line(Style::Bad, "  Not as expected:")?;
        for difference in &found {
            player.screen.line(Style::Bad, &format!("    {difference}"))?;
        }
    }
    Ok(found.len())
}

/// What it took.
pub(super) fn figures(player: &mut Player<'_>, sources: &Sources, whole: Duration) -> Outcome {
    let summary = sources.stats.summary();
    let calls = sources.stand_in.calls();
    let mut methods = IndexMap::<&str, u64>::new();
    for (kind, n) in &calls.by_kind {
        *methods.entry(kind.split(' ').next().unwrap_or_default()).or_default() += n;
    }
    let links = || player.providers.values().map(|provider| provider.link());
    let pushes: Vec<Duration> = links().flat_map(|link| link.pushes().to_vec()).collect();
    let lookups: u64 = links().map(super::idp::Link::lookups).sum();
    let took = player.took().to_vec();
    let facts = [
        ("pushes", format!("{} accepted, besides {lookups} look-ups; answered in {}", pushes.len(), spread(&pushes))),
        (
            "effects",
            format!(
                "{}: {}",
                summary.total_effects(),
                counts(summary.effects.iter().map(|(name, n)| (effect(name), *n)))
            ),
        ),
        ("calls to TaskRouter", format!("{}: {}", calls.total, counts(methods))),
        ("push to worker in step", spread(&took)),
        ("the whole day", millis(whole)),
    ];
    player.screen.heading("In figures")?;
    for (name, value) in &facts {
        player.screen.fact(name, value)?;
    }
    Ok(())
}

fn effect(name: &str) -> &str {
    match name {
        "create" => "workers made",
        "update" => "changed",
        "set_channel" => "channels set",
        "take_out" => "taken out of the queues",
        "remove" => "removed",
        other => other,
    }
}

fn spread(values: &[Duration]) -> String {
    let of = |percent| percentile(values, percent).map_or_else(|| "none".to_owned(), millis);
    format!("p50 {}, p95 {}, longest {}", of(50), of(95), of(100))
}
