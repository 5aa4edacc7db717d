//! Rules that take something from many: asked about before, or forced, or held.

use rollcall::service::rules::{Force, Import};

use super::{RULES, agents, holds, in_state, open_hold, role, touched, workers};
use crate::support::{Db, on_both_databases};

async fn an_import_that_takes_too_much_needs_force(db: Db) {
    let (app, people, _) = agents(db, 30).await;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("rules.toml");
    std::fs::write(&file, RULES.replace("CC Agents", "Nobody")).expect("a file");
    let file = file.to_str().expect("UTF-8");
    let refused = app.refused(&["rules", "import", file]).await;
    for part in ["connection idp: 30 people lose access (beyond max_people)", "role agent; worker", "--force"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    app.settled().await;
    assert_eq!((workers(&app), touched(&app), holds(&app).await), (30, 0, 0));
    assert_eq!(app.core().list_rules(&app.account).await.unwrap().0, 1, "nothing was changed");
    // What loses nothing needs nothing.
    let more = dir.path().join("more.toml");
    std::fs::write(&more, RULES.replace("english = 3", "english = 4")).expect("a file");
    app.command(&["rules", "import", more.to_str().expect("UTF-8")]).await;
    app.command(&["rules", "import", file, "--force"]).await;
    app.settled().await;
    let sql = app.sql().await;
    assert_eq!((workers(&app), holds(&app).await, role(&sql, &people[0]).await.as_str()), (0, 0, "none"));
    let forced = "SELECT COUNT(*) FROM audit_event WHERE action = 'rules.import' AND after LIKE '%\"forced\":true%'";
    assert_eq!(sql.number(forced).await, 2, "the first rules of a test are forced too");
}

/// Roles that a connection may no longer grant: what follows is computed in the background, and judged as a whole.
async fn roles_that_may_not_be_granted_any_longer_are_held(db: Db) {
    let (app, people, _) = agents(db, 30).await;
    app.command(&["connection", "set", "idp", "--may-grant", "supervisor"]).await;
    app.settled().await;
    assert_eq!((workers(&app), touched(&app), in_state(&app, "held").await), (30, 0, 30));
    let shown = app.command(&["holds", "show", &open_hold(&app).await]).await;
    assert!(shown.contains("connection.set idp"), "{shown}");
    app.command(&["holds", "approve", &open_hold(&app).await]).await;
    app.settled().await;
    assert_eq!((workers(&app), role(&app.sql().await, &people[0]).await.as_str()), (0, "none"));
}

/// What a preview says is what the import would do.
async fn a_preview_counts_what_would_be_lost(db: Db) {
    let (app, _, _) = agents(db, 12).await;
    let fewer = RULES.replace("CC Agents", "Nobody");
    let Import::TooMuch(preview) = app.core().import_rules(&app.account, &fewer, Force::No).await.unwrap() else {
        panic!("the rules were imported");
    };
    assert_eq!(preview.losses.len(), 1);
    let lost = &preview.losses[0];
    assert_eq!((lost.connection.as_str(), lost.people, lost.examples.len()), ("idp", 12, 3));
    assert_eq!(lost.examples[0].1.describe(), "role agent; worker");
    let more = RULES.replace("english = 3", "english = 4, french = 1");
    assert!(matches!(app.core().import_rules(&app.account, &more, Force::No).await.unwrap(), Import::Done(_)));
    app.settled().await;
}

on_both_databases!(
    an_import_that_takes_too_much_needs_force,
    roles_that_may_not_be_granted_any_longer_are_held,
    a_preview_counts_what_would_be_lost,
);
