use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::taskrouter::stand_in::{ReservationStatus, StandInError};

fn in_dir(dir: &Path, seed: u64) -> Subject {
    Subject::open(StandInOptions { dir: Some(dir.to_owned()), ..StandInOptions::default() }, seed)
}

fn journal(dir: &Path) -> std::path::PathBuf {
    dir.join("taskrouter.jsonl")
}

async fn populate(it: &Subject) {
    let ana = it.worker("ana", &json!({"site": "north"})).await;
    let bo = it.worker("bo", &json!({})).await;
    it.worker("cy", &json!({})).await;
    it.form(&format!("/Workers/{ana}/Channels/voice"), &[("Capacity", "4")]).await.expect(200);
    it.form(&format!("/Workers/{ana}"), &[("ActivitySid", &it.activity("Available").await)]).await.expect(200);
    it.delete(&format!("/Workers/{bo}")).await.expect(204);
    it.form("/TaskQueues", &[("FriendlyName", "North"), ("TargetWorkers", "site == 'north'")]).await.expect(201);
    it.stand_in.add_reservation(&ana, "chat", ReservationStatus::Accepted).unwrap();
    it.stand_in.sso_login("dee", &json!({"email": "dee@acme.example"}).as_object().unwrap().clone()).unwrap();
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let it = in_dir(dir.path(), 1);
    populate(&it).await;
    let before = it.get("/_stand_in/state").await.expect(200);
    let (workers, sids) = (it.stand_in.workers(), it.stand_in.credentials());
    assert_eq!(workers.iter().find(|worker| worker.friendly_name == "ana").unwrap().queues, ["Everyone", "North"]);
    drop(it);
    // Twice: the second start reads what the first one compacted.
    for seed in [2, 3] {
        let it = in_dir(dir.path(), seed);
        assert_eq!(it.stand_in.workers(), workers);
        assert_eq!(it.get("/_stand_in/state").await.expect(200), before);
        let now = it.stand_in.credentials();
        assert_eq!((now.account_sid, now.workspace_sid), (sids.account_sid.clone(), sids.workspace_sid.clone()));
        assert_eq!((now.api_key, now.instance_sid), (sids.api_key.clone(), sids.instance_sid.clone()));
        it.form("/Workers", &[("FriendlyName", "ANA")]).await.refused(400, 20001);
    }
}

#[tokio::test]
async fn a_line_is_written_before_the_answer_and_a_torn_one_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let it = in_dir(dir.path(), 1);
    populate(&it).await;
    let workers = it.stand_in.workers();
    let whole = fs::read(journal(dir.path())).unwrap();
    it.worker("zed", &json!({"a": "b"})).await;
    let longer = fs::read(journal(dir.path())).unwrap();
    drop(it);
    // Wherever the process ended while it wrote the last line, what was answered before is there and nothing else.
    for end in [whole.len(), whole.len() + 1, longer.len() - 2, longer.len() - 1] {
        fs::write(journal(dir.path()), &longer[..end]).unwrap();
        assert_eq!(in_dir(dir.path(), 2).stand_in.workers(), workers, "{end}");
    }
    fs::write(journal(dir.path()), &longer).unwrap();
    let it = in_dir(dir.path(), 2);
    assert!(it.stand_in.worker_named("zed").is_some());
    it.worker("after", &json!({})).await;
    drop(it);
    assert!(in_dir(dir.path(), 3).stand_in.worker_named("after").is_some());
}

#[tokio::test]
async fn a_journal_that_cannot_be_trusted_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let it = in_dir(dir.path(), 1);
    let options = || StandInOptions { dir: Some(dir.path().to_owned()), ..StandInOptions::default() };
    let open = |options| StandIn::open(options, Ambient::system());
    assert!(matches!(open(options()), Err(StandInError::InUse(_))));
    drop(it);
    let other = StandInOptions { workspace_sid: Some("WSother".to_owned()), ..options() };
    assert!(matches!(open(other), Err(StandInError::OtherIdentity { .. })));
    let good = fs::read_to_string(journal(dir.path())).unwrap();
    fs::write(journal(dir.path()), good.replace("\"format\":1", "\"format\":2")).unwrap();
    assert!(matches!(open(options()), Err(StandInError::Format { found: 2, .. })));
    fs::write(journal(dir.path()), good.replacen("[{", "[{]", 1)).unwrap();
    assert!(matches!(open(options()), Err(StandInError::Damaged { line: 1, .. })));
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(open(StandInOptions { dir: Some(file), ..options() }), Err(StandInError::Io { .. })));
}

#[tokio::test]
async fn a_start_compacts_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let it = in_dir(dir.path(), 1);
    let path = format!("/Workers/{}", it.worker("ana", &json!({})).await);
    for n in 0..200 {
        it.form(&format!("{path}/Channels/voice"), &[("Available", if n % 2 == 0 { "true" } else { "false" })])
            .await
            .expect(200);
        it.form(&path, &[("FriendlyName", &format!("ana{n}"))]).await.expect(200);
    }
    drop(it);
    let size = || fs::metadata(journal(dir.path())).unwrap().len();
    let before = size();
    // Half a file that a crash during an earlier compaction left is no obstacle.
    let mut left = fs::File::create(dir.path().join("taskrouter.jsonl.new")).unwrap();
    left.write_all("x".repeat(1_000_000).as_bytes()).unwrap();
    let it = in_dir(dir.path(), 2);
    assert!(size() < before * 3 / 4, "{before} {}", size());
    assert_eq!(it.stand_in.worker_named("ana199").unwrap().version, 200);
    assert!(!dir.path().join("taskrouter.jsonl.new").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_reads_the_journal() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let _it = in_dir(dir.path(), 1);
    assert_eq!(fs::metadata(journal(dir.path())).unwrap().permissions().mode() & 0o777, 0o600);
}
