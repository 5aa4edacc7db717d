//! The checks themselves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{
    ALMOST, Bench, LEASE, SECOND, claim, claim_one, claim_with, in_step, known, report, request, retry, worker,
};
use crate::base::{AccountId, WorkerId};
use crate::reconcile::desired_store::{
    ClaimRequest, Claimed, Known, Lanes, LeaseId, Outcome, Record, Recorded, Refused, RowState,
};
use crate::reconcile::receipt::Stages;

pub(super) async fn claims_are_exclusive(bench: Arc<dyn Bench>) {
    let [account, other] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let twin = bench.want(other, "ana", Some(worker("ana", "n"))).await;
    assert_ne!(ana, twin, "the same name in two accounts is two workers");
    assert_eq!(bench.want(account, "ANA", Some(worker("ANA", "n"))).await, ana, "names compare without case");
    let claimed: BTreeSet<WorkerId> = claim(&bench, "a").await.into_iter().map(|row| row.worker).collect();
    assert_eq!(claimed, BTreeSet::from([ana, twin]));
    assert!(claim(&bench, "b").await.is_empty());
    assert_eq!(claim_with(&bench, &request("c", Lanes::All, 0)).await.len(), 0);
}

pub(super) async fn concurrent_claims_share_the_rows(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    for n in 0..40 {
        bench.want(account, &format!("w{n}"), Some(worker(&format!("w{n}"), "n"))).await;
    }
    let requests: Vec<ClaimRequest> = (0..8).map(|n| request(&format!("lease{n}"), Lanes::All, 7)).collect();
    let store = bench.store();
    let claims = futures::future::join_all(requests.iter().map(|request| store.claim(request))).await;
    let mut seen = BTreeSet::new();
    for claimed in claims.into_iter().flat_map(Result::unwrap_or_default) {
        assert!(seen.insert(claimed.worker), "claimed twice: {claimed:?}");
    }
    // A claim may come back short while others hold rows back, so the rest is fetched one after the other.
    for claimed in claim(&bench, "rest").await {
        assert!(seen.insert(claimed.worker), "claimed twice: {claimed:?}");
    }
    assert_eq!(seen.len(), 40);
}

pub(super) async fn lapsed_leases_come_back_as_unsure(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let first = claim_one(&bench, "a").await;
    assert!(!first.unsure && first.attempts == 0 && first.known == Known::default() && !first.settled_before);
    bench.pass(ALMOST).await;
    assert!(claim(&bench, "b").await.is_empty(), "still held");
    bench.pass(SECOND * 2).await;
    let second = claim_one(&bench, "b").await;
    assert_eq!(second.worker, ana);
    assert!(second.unsure, "nobody knows what the first one did");
    assert_eq!(report(&bench, &second, in_step(known(Some("WK1"), second.desired.as_ref()))).await, Recorded::Stored);
    assert!(!bench.look(ana).await.unsure);
}

pub(super) async fn renewed_leases_do_not_lapse(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let first = claim_one(&bench, "a").await;
    let held = [(ana, first.lease.clone())];
    for _ in 0..3 {
        bench.pass(ALMOST).await;
        assert_eq!(bench.store().renew(&held, LEASE).await.unwrap_or_default(), [ana]);
        assert!(claim(&bench, "b").await.is_empty());
    }
    bench.pass(LEASE + SECOND).await;
    assert_eq!(claim(&bench, "b").await.len(), 1);
    assert!(bench.store().renew(&held, LEASE).await.unwrap_or_default().is_empty(), "taken over");
}

pub(super) async fn leavers_come_first(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let leaver = bench.want(account, "zoe", Some(worker("zoe", "n"))).await;
    let first = claim_one(&bench, "a").await;
    report(&bench, &first, in_step(known(Some("WK1"), first.desired.as_ref()))).await;
    for n in 0..5 {
        bench.want(account, &format!("w{n}"), Some(worker(&format!("w{n}"), "n"))).await;
    }
    bench.pass(SECOND).await;
    bench.want(account, "zoe", None).await;
    let next = claim_with(&bench, &request("b", Lanes::All, 1)).await;
    assert_eq!(next.iter().map(|row| row.worker).collect::<Vec<_>>(), [leaver], "though it is due last");
    assert_eq!(next[0].desired, None);
    assert!(claim_with(&bench, &request("c", Lanes::Leavers, 10)).await.is_empty());
    assert_eq!(claim_with(&bench, &request("d", Lanes::All, 10)).await.len(), 5);
}

pub(super) async fn accounts_take_turns(bench: Arc<dyn Bench>) {
    let [big, small] = bench.accounts();
    let many = |name: &str| (0..12).map(|n| format!("{name}{n:02}")).collect::<Vec<_>>();
    for name in many("z") {
        bench.want(big, &name, Some(worker(&name, "n"))).await;
    }
    for claimed in claim(&bench, "a").await {
        report(&bench, &claimed, in_step(known(Some("WK1"), claimed.desired.as_ref()))).await;
    }
    // Twelve leavers and twelve joiners of the one were there before the leaver and the joiner of the other.
    for (gone, new) in many("z").iter().zip(many("j")) {
        bench.want(big, gone, None).await;
        bench.want(big, &new, Some(worker(&new, "n"))).await;
    }
    bench.pass(SECOND).await;
    bench.want(small, "leaver", Some(worker("leaver", "n"))).await;
    for claimed in claim_with(&bench, &ClaimRequest { except: vec![big], ..request("b", Lanes::All, 10) }).await {
        report(&bench, &claimed, in_step(known(Some("WK2"), claimed.desired.as_ref()))).await;
    }
    bench.want(small, "leaver", None).await;
    bench.want(small, "joiner", Some(worker("joiner", "n"))).await;

    let first = claim_with(&bench, &request("c", Lanes::All, 6)).await;
    assert!(first.iter().all(|row| row.desired.is_none()), "leavers overtake: {first:?}");
    assert_eq!(first.iter().filter(|row| row.account == small).count(), 1, "{first:?}");
    let second = claim_with(&bench, &request("d", Lanes::All, 11)).await;
    assert_eq!(second.iter().filter(|row| row.desired.is_none()).count(), 7, "{second:?}");
    let joiners: Vec<AccountId> = second.iter().filter(|row| row.desired.is_some()).map(|row| row.account).collect();
    assert_eq!(joiners.iter().filter(|account| **account == small).count(), 1, "{joiners:?}");
    assert_eq!(joiners.len(), 4);
}

pub(super) async fn excepted_accounts_are_left_alone(bench: Arc<dyn Bench>) {
    let [account, other] = bench.accounts();
    bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let twin = bench.want(other, "ana", Some(worker("ana", "n"))).await;
    let spared = ClaimRequest { except: vec![account], ..request("a", Lanes::All, 10) };
    let claimed = claim_with(&bench, &spared).await;
    assert_eq!(claimed.iter().map(|row| row.worker).collect::<Vec<_>>(), [twin]);
    assert_eq!(claim(&bench, "b").await.len(), 1);
}

pub(super) async fn settled_rows_are_not_due(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let claimed = claim_one(&bench, "a").await;
    let what = known(Some("WK1"), claimed.desired.as_ref());
    assert_eq!(report(&bench, &claimed, in_step(what.clone())).await, Recorded::Stored);
    let view = bench.look(ana).await;
    assert_eq!((view.state, view.in_step, &view.known), (RowState::InStep, true, &what));
    bench.pass(LEASE * 100).await;
    assert!(claim(&bench, "b").await.is_empty());

    bench.want(account, "ana", None).await;
    let claimed = claim_one(&bench, "c").await;
    assert_eq!(claimed.known, what, "the SID and what we wrote are remembered");
    let gone = Outcome::Removed { known: Known::default(), recheck: None };
    assert_eq!(report(&bench, &claimed, gone).await, Recorded::Stored);
    let view = bench.look(ana).await;
    assert_eq!((view.state, view.in_step, view.known), (RowState::Removed, true, Known::default()));
    bench.pass(LEASE * 100).await;
    assert!(claim(&bench, "d").await.is_empty());
}

pub(super) async fn outdated_reports(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let old = claim_one(&bench, "a").await;
    bench.want(account, "ana", Some(worker("ana", "s"))).await;
    assert!(claim(&bench, "b").await.is_empty(), "one at a time works on a person");
    let what = known(Some("WK1"), old.desired.as_ref());
    assert_eq!(report(&bench, &old, in_step(what.clone())).await, Recorded::Superseded);
    let view = bench.look(ana).await;
    assert_eq!((view.state, view.in_step), (RowState::Pending, false));
    assert_eq!(view.known, what, "what was learned is kept");
    let new = claim_one(&bench, "c").await;
    assert_eq!((new.desired, new.known, new.unsure), (Some(worker("ana", "s")), what, false));
}

pub(super) async fn outdated_removals(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let first = claim_one(&bench, "a").await;
    report(&bench, &first, in_step(known(Some("WK1"), first.desired.as_ref()))).await;
    bench.want(account, "ana", None).await;
    let leaving = claim_one(&bench, "b").await;
    bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let gone = Outcome::Removed { known: Known::default(), recheck: None };
    assert_eq!(report(&bench, &leaving, gone).await, Recorded::Superseded);
    let view = bench.look(ana).await;
    assert_eq!((view.state, view.in_step, view.known), (RowState::Pending, false, Known::default()));
    let again = claim_one(&bench, "c").await;
    assert_eq!((again.desired, again.known.sid), (Some(worker("ana", "n")), None));
}

pub(super) async fn retry_times_are_kept(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let claimed = claim_one(&bench, "a").await;
    report(&bench, &claimed, retry(&claimed, true, SECOND * 20)).await;
    let view = bench.look(ana).await;
    assert_eq!((view.state, view.attempts, view.in_step), (RowState::Retrying, 1, false));
    assert_eq!(view.last_error.as_deref(), Some("TaskRouter is busy"));
    bench.pass(SECOND * 18).await;
    assert!(claim(&bench, "b").await.is_empty());
    bench.pass(SECOND * 3).await;
    let again = claim_one(&bench, "c").await;
    assert!(again.unsure, "an unknown outcome is remembered");
    assert_eq!(again.attempts, 1);
    report(&bench, &again, retry(&again, false, Duration::ZERO)).await;
    let third = claim_one(&bench, "d").await;
    assert_eq!((third.unsure, third.attempts), (false, 2));
}

pub(super) async fn new_desires_are_due_at_once(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let claimed = claim_one(&bench, "a").await;
    report(&bench, &claimed, retry(&claimed, false, SECOND * 1000)).await;
    bench.want(account, "ana", Some(worker("ana", "s"))).await;
    let next = claim_one(&bench, "b").await;
    assert_eq!(next.attempts, 0, "attempts are counted by version");

    bench.want(account, "ana", Some(worker("ana", "e"))).await;
    assert_eq!(report(&bench, &next, retry(&next, true, SECOND * 1000)).await, Recorded::Superseded);
    let last = claim_one(&bench, "c").await;
    assert_eq!((last.attempts, last.unsure), (0, true), "the doubt stays, the waiting does not");
}

pub(super) async fn lost_leases_are_refused(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let lost = claim_one(&bench, "a").await;
    bench.pass(LEASE + SECOND).await;
    let taken = claim_one(&bench, "b").await;
    let before = bench.look(ana).await;
    let foreign = known(Some("WK9"), lost.desired.as_ref());
    for outcome in [
        in_step(foreign.clone()),
        Outcome::Removed { known: foreign.clone(), recheck: None },
        Outcome::Progress { known: foreign },
        retry(&lost, false, Duration::ZERO),
        Outcome::Released,
    ] {
        assert_eq!(report(&bench, &lost, outcome).await, Recorded::LeaseLost);
    }
    assert_eq!(bench.look(ana).await, before);
    assert!(claim(&bench, "c").await.is_empty(), "the second holder still has it");
    let mine = in_step(known(Some("WK1"), taken.desired.as_ref()));
    assert_eq!(report(&bench, &taken, mine.clone()).await, Recorded::Stored);
    assert_eq!(report(&bench, &taken, mine).await, Recorded::LeaseLost, "a report ends the lease");
}

pub(super) async fn late_reports_count(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let claimed = claim_one(&bench, "a").await;
    bench.pass(LEASE * 5).await;
    let what = known(Some("WK1"), claimed.desired.as_ref());
    assert_eq!(report(&bench, &claimed, in_step(what)).await, Recorded::Stored);
    assert!(bench.look(ana).await.in_step);
    assert!(claim(&bench, "b").await.is_empty());
}

pub(super) async fn progress_is_kept(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let claimed = claim_one(&bench, "a").await;
    let mut what = known(Some("WK1"), claimed.desired.as_ref());
    what.footprint.creations.push(worker("ana", "lost").attributes);
    assert_eq!(report(&bench, &claimed, Outcome::Progress { known: what.clone() }).await, Recorded::Stored);
    let view = bench.look(ana).await;
    assert_eq!((view.known.clone(), view.in_step, view.state), (what.clone(), false, RowState::Pending));
    assert!(claim(&bench, "b").await.is_empty(), "still at it");
    bench.pass(LEASE + SECOND).await;
    let again = claim_one(&bench, "c").await;
    assert_eq!((again.known, again.unsure), (what, true));
}

pub(super) async fn released_rows_are_as_before(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let before = bench.look(ana).await;
    let claimed = claim_one(&bench, "a").await;
    assert_eq!(report(&bench, &claimed, Outcome::Released).await, Recorded::Stored);
    assert_eq!(bench.look(ana).await, before);
    assert!(!claim_one(&bench, "b").await.unsure);
}

pub(super) async fn rechecks_come_back(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let claimed = claim_one(&bench, "a").await;
    let what = known(Some("WK1"), claimed.desired.as_ref());
    report(&bench, &claimed, Outcome::InStep { known: what.clone(), recheck: Some(SECOND * 30) }).await;
    let view = bench.look(ana).await;
    assert_eq!((view.state, view.in_step), (RowState::InStep, true), "it counts as in step meanwhile");
    assert!(claim(&bench, "b").await.is_empty());
    bench.pass(SECOND * 31).await;
    let again = claim_one(&bench, "c").await;
    assert_eq!((again.unsure, again.settled_before), (true, true));
    report(&bench, &again, in_step(what)).await;
    bench.pass(LEASE * 100).await;
    assert!(claim(&bench, "d").await.is_empty());
}

pub(super) async fn refusals_are_visible(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    for (why, state) in [
        (Refused::Blocked, RowState::Blocked),
        (Refused::Unadopted, RowState::Unadopted),
        (Refused::Invalid, RowState::Rejected),
        (Refused::NoTaskRouter, RowState::Rejected),
    ] {
        let claimed = claim_one(&bench, state.as_str()).await;
        let outcome = Outcome::Refused {
            known: claimed.known.clone(),
            why,
            attempts: claimed.attempts + 1,
            after: SECOND * 60,
            error: "no".to_owned(),
        };
        assert_eq!(report(&bench, &claimed, outcome).await, Recorded::Stored);
        let view = bench.look(ana).await;
        assert_eq!((view.state, view.in_step, view.last_error.as_deref()), (state, false, Some("no")));
        assert!(claim(&bench, "early").await.is_empty());
        bench.pass(SECOND * 61).await;
    }
}

pub(super) async fn footprints_are_widened(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    bench.want(account, "ana", Some(worker("ana", "w"))).await;
    assert_eq!(bench.look(ana).await.known, Known::default(), "nobody wrote what was never claimed");
    claim_one(&bench, "a").await;
    bench.want(account, "ana", Some(worker("Ana", "s"))).await;
    bench.pass(LEASE + SECOND).await;
    let next = claim_one(&bench, "b").await;
    assert_eq!(next.known.footprint.applied.keys.iter().collect::<Vec<_>>(), ["roles", "site_w"]);
    assert_eq!(next.known.footprint.applied.channels.keys().collect::<Vec<_>>(), ["channel_w"]);
    assert_eq!(
        next.known.footprint.creations,
        [worker("ana", "w").attributes],
        "a worker with these attributes may exist"
    );
    report(&bench, &next, retry(&next, true, Duration::ZERO)).await;
    bench.want(account, "ana", None).await;
    let last = claim_one(&bench, "c").await;
    assert!(last.known.footprint.applied.keys.contains("site_s"), "doubtful outcomes count like lost ones");
    assert!(last.known.footprint.applied.keys.contains("site_w"));
}

pub(super) async fn unattempted_channels(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let first = claim_one(&bench, "a").await;
    // Both while the first is under way, so nobody ever works on the one in the middle.
    bench.want(account, "ana", Some(worker("ana", "w"))).await;
    let mut last = worker("ana", "s");
    last.channels = worker("ana", "w").channels;
    bench.want(account, "ana", Some(last)).await;
    let applied = known(Some("WK1"), first.desired.as_ref());
    assert_eq!(report(&bench, &first, in_step(applied)).await, Recorded::Superseded);
    let next = claim_one(&bench, "b").await;
    assert!(!next.unsure);
    let channels = &next.known.footprint.applied.channels;
    assert_eq!(channels["channel_n"], Some(1));
    assert_eq!(channels.get("channel_w").copied().flatten(), None, "nobody has set it");
}

pub(super) async fn equal_desires_change_nothing(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let claimed = claim_one(&bench, "a").await;
    report(&bench, &claimed, in_step(known(Some("WK1"), claimed.desired.as_ref()))).await;
    let before = bench.look(ana).await;
    assert_eq!(bench.want(account, "ana", Some(worker("ana", "n"))).await, ana);
    assert_eq!(bench.look(ana).await, before);
    assert!(claim(&bench, "b").await.is_empty());
}

pub(super) async fn holders(bench: Arc<dyn Bench>) {
    let [account, other] = bench.accounts();
    let ana = bench.want(account, "ana", Some(worker("ana", "n"))).await;
    let claimed = claim_one(&bench, "a").await;
    let what = known(Some("WK1"), claimed.desired.as_ref());
    let Some(sid) = what.sid.clone() else { panic!("a SID") };
    let holder = async |account| bench.store().holder(account, &sid).await.unwrap_or_default();
    assert_eq!(holder(account).await, None);
    report(&bench, &claimed, Outcome::Progress { known: what.clone() }).await;
    assert_eq!(holder(account).await, Some(ana), "from the moment it is known");
    assert_eq!(holder(other).await, None, "another account is another workspace");
    report(&bench, &claimed, in_step(what)).await;
    bench.want(account, "ana", None).await;
    assert_eq!(holder(account).await, Some(ana));
    let claimed = claim_one(&bench, "b").await;
    report(&bench, &claimed, Outcome::Removed { known: Known::default(), recheck: None }).await;
    assert_eq!(holder(account).await, None);
}

pub(super) async fn batches(bench: Arc<dyn Bench>) {
    let [account, _] = bench.accounts();
    for name in ["a", "b", "c"] {
        bench.want(account, name, Some(worker(name, "n"))).await;
    }
    let claimed = claim(&bench, "a").await;
    let [first, second, third] = &claimed[..] else { panic!("three rows are due: {claimed:?}") };
    bench.want(account, &second.name, None).await;
    let record = |claimed: &Claimed, lease: &LeaseId, outcome: Outcome| Record {
        worker: claimed.worker,
        lease: lease.clone(),
        desired_version: claimed.desired_version,
        outcome,
        stages: Stages::default(),
    };
    let done = || in_step(known(Some("WK1"), None));
    let records = [
        record(third, &LeaseId("somebody".to_owned()), done()),
        record(second, &second.lease, done()),
        record(first, &first.lease, done()),
    ];
    let answers = bench.store().record(&records).await.unwrap_or_default();
    assert_eq!(answers, [Recorded::LeaseLost, Recorded::Superseded, Recorded::Stored]);
    assert!(bench.look(first.worker).await.in_step);
    assert!(!bench.look(second.worker).await.in_step);
    assert!(!bench.look(third.worker).await.in_step);
    assert!(bench.store().record(&[]).await.unwrap_or_default().is_empty());
}
