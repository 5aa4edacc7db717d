//! The checks about receipts.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Bench, LEASE, ReceiptView, SECOND, claim_one, in_step, known, report, report_with, retry, worker};
use crate::base::WorkerId;
use crate::reconcile::desired_store::{Claimed, Known, Outcome, Recorded, Refused, RowState};
use crate::reconcile::receipt::{Ending, Stages};

/// Ana has a worker.
async fn ana(bench: &Arc<dyn Bench>) -> WorkerId {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let claimed = claim_one(bench, "join").await;
    report(bench, &claimed, in_step(known(Some("WK1"), claimed.desired.as_ref()))).await;
    ana
}

async fn leaves(bench: &Arc<dyn Bench>) -> Claimed {
    let [account, _] = bench.accounts();
    bench.want(account, "ana", None).await;
    claim_one(bench, "leave").await
}

fn gone() -> Outcome {
    Outcome::Removed { known: Known::default(), recheck: None }
}

fn unavailable() -> Stages {
    let mut stages = Stages::default();
    stages.unavailable();
    stages
}

fn verified() -> Stages {
    let mut stages = Stages::default();
    stages.verified();
    stages
}

async fn receipts(bench: &Arc<dyn Bench>, worker: WorkerId) -> Vec<ReceiptView> {
    bench.look(worker).await.receipts
}

async fn latest(bench: &Arc<dyn Bench>, worker: WorkerId) -> ReceiptView {
    match receipts(bench, worker).await.last() {
        Some(receipt) => *receipt,
        None => panic!("there is no receipt"),
    }
}

pub(super) async fn stages(bench: Arc<dyn Bench>) {
    let ana = ana(&bench).await;
    assert_eq!(receipts(&bench, ana).await, [], "nobody has left");
    let claimed = leaves(&bench).await;
    let begun = latest(&bench, ana).await;
    assert_eq!(
        (begun.unavailable_after, begun.removed_after, begun.verified_after, begun.ending),
        (None, None, None, None)
    );
    bench.pass(SECOND * 5).await;
    let ago = |seconds| Instant::now().checked_sub(SECOND * seconds);
    let stages = Stages { unavailable: ago(3), removed: ago(2), verified: ago(1) };
    report_with(&bench, &claimed, gone(), stages).await;
    let done = latest(&bench, ana).await;
    assert_eq!(done.ending, Some(Ending::Verified));
    let times = [done.unavailable_after, done.removed_after, done.verified_after].map(Option::unwrap_or_default);
    assert!(times[0] < times[1] && times[1] < times[2], "{done:?}");
    assert!(times[0] + SECOND <= times[2] && times[2] <= times[0] + SECOND * 3, "{done:?}");
}

pub(super) async fn first_times(bench: Arc<dyn Bench>) {
    let ana = ana(&bench).await;
    let claimed = leaves(&bench).await;
    let blocked = Outcome::Refused {
        known: claimed.known.clone(),
        why: Refused::Blocked,
        attempts: 1,
        after: Duration::ZERO,
        error: "work in hand".to_owned(),
    };
    report_with(&bench, &claimed, blocked, unavailable()).await;
    let first = latest(&bench, ana).await;
    assert!(first.unavailable_after.is_some() && first.removed_after.is_none() && first.ending.is_none(), "{first:?}");
    bench.pass(SECOND * 60).await;
    let again = claim_one(&bench, "again").await;
    report_with(&bench, &again, gone(), verified()).await;
    let done = latest(&bench, ana).await;
    assert_eq!((done.unavailable_after, done.ending), (first.unavailable_after, Some(Ending::Verified)));
}

/// A deletion that TaskRouter confirmed is not a worker that is gone, and neither is one that a lost write may bring back.
pub(super) async fn s49_read_back_alone(bench: Arc<dyn Bench>) {
    let ana = ana(&bench).await;
    let mut claimed = leaves(&bench).await;
    let mut deleted = unavailable();
    deleted.removed();
    let doubtful = Outcome::Removed { known: Known::default(), recheck: Some(Duration::ZERO) };
    for (outcome, stages) in [
        (retry(&claimed, false, Duration::ZERO), deleted),
        (retry(&claimed, true, Duration::ZERO), deleted),
        (doubtful, verified()),
    ] {
        report_with(&bench, &claimed, outcome, stages).await;
        let receipt = latest(&bench, ana).await;
        assert_eq!((receipt.verified_after, receipt.ending), (None, None));
        assert!(receipt.removed_after.is_some());
        bench.pass(LEASE).await;
        claimed = claim_one(&bench, "again").await;
    }
    // Looked for once more, and there was none.
    report(&bench, &claimed, gone()).await;
    let receipt = latest(&bench, ana).await;
    assert!(receipt.verified_after.is_some() && receipt.ending == Some(Ending::Verified), "{receipt:?}");
}

pub(super) async fn superseded(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = ana(&bench).await;
    let claimed = leaves(&bench).await;
    bench.want(account, "ana", Some(worker("ana", "n"))).await;
    assert_eq!(latest(&bench, ana).await.ending, Some(Ending::Superseded));
    // The removal was under way, and comes to its end all the same: the person is back, whatever it says.
    report_with(&bench, &claimed, gone(), verified()).await;
    let receipt = latest(&bench, ana).await;
    assert_eq!((receipt.ending, receipt.verified_after), (Some(Ending::Superseded), None));
}

pub(super) async fn each_leaving(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = ana(&bench).await;
    let claimed = leaves(&bench).await;
    bench.want(account, "ana", None).await;
    assert_eq!(receipts(&bench, ana).await.len(), 1, "saying it twice is one leaving");
    report_with(&bench, &claimed, gone(), verified()).await;
    bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let back = claim_one(&bench, "back").await;
    report(&bench, &back, in_step(known(Some("WK2"), back.desired.as_ref()))).await;
    let claimed = leaves(&bench).await;
    let endings = async || receipts(&bench, ana).await.iter().map(|receipt| receipt.ending).collect::<Vec<_>>();
    assert_eq!(endings().await, [Some(Ending::Verified), None]);
    report_with(&bench, &claimed, gone(), verified()).await;
    assert_eq!(endings().await, [Some(Ending::Verified), Some(Ending::Verified)]);
}

pub(super) async fn kept(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = ana(&bench).await;
    let endings = async || receipts(&bench, ana).await.iter().map(|receipt| receipt.ending).collect::<Vec<_>>();
    bench.keep_offline(account, "ana").await;
    let claimed = claim_one(&bench, "keep").await;
    assert!(claimed.keep && claimed.desired.is_none());
    let stays = Outcome::Kept { known: claimed.known.clone(), after: Some(SECOND * 30) };
    report_with(&bench, &claimed, stays, unavailable()).await;
    let view = bench.look(ana).await;
    assert_eq!((view.state, view.in_step, &view.known), (RowState::KeptOffline, true, &claimed.known));
    let receipt = latest(&bench, ana).await;
    assert_eq!((receipt.ending, receipt.removed_after), (Some(Ending::KeptOffline), None));
    assert!(receipt.unavailable_after.is_some() && receipt.verified_after.is_some());
    bench.keep_offline(account, "ana").await;
    assert_eq!(endings().await.len(), 1, "saying it twice is one leaving");
    // Looked at again, and then told to go.
    bench.pass(SECOND * 31).await;
    let again = claim_one(&bench, "again").await;
    assert!(again.age >= SECOND * 31 && again.settled_before, "{again:?}");
    bench.want(account, "ana", None).await;
    let stays = Outcome::Kept { known: again.known.clone(), after: None };
    assert_eq!(report_with(&bench, &again, stays, unavailable()).await, Recorded::Superseded);
    let claimed = claim_one(&bench, "go").await;
    assert!(!claimed.keep);
    bench.keep_offline(account, "ana").await;
    assert_eq!(endings().await, [Some(Ending::KeptOffline), None], "one that goes is not told to stay");
    report_with(&bench, &claimed, gone(), verified()).await;
    // Told to go before it was seen to stay.
    bench.want(account, "ana", Some(worker("ana", "n"))).await;
    bench.keep_offline(account, "ana").await;
    bench.want(account, "ana", None).await;
    let verified = Some(Ending::Verified);
    assert_eq!(endings().await, [Some(Ending::KeptOffline), verified, Some(Ending::Superseded), None]);
}

pub(super) async fn no_worker(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let claimed = leaves(&bench).await;
    report(&bench, &claimed, gone()).await;
    let receipt = latest(&bench, ana).await;
    assert_eq!((receipt.ending, receipt.verified_after), (Some(Ending::NoWorker), None), "it was never made");
}
