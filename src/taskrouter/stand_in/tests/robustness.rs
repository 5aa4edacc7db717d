use proptest::prelude::*;

use super::*;

fn path() -> impl Strategy<Value = String> {
    let segments = prop::sample::select(vec![
        "Workers",
        "TaskQueues",
        "Events",
        "Activities",
        "TaskChannels",
        "Channels",
        "Reservations",
        "Statistics",
        "voice",
        "WK1",
        "%00",
        "%2F",
        "%zz",
        "..",
        "",
    ]);
    prop::collection::vec(segments, 0..5).prop_map(|parts| format!("/{}", parts.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_request_is_answered_in_the_service_s_own_form(
        method in prop::sample::select(vec!["GET", "POST", "DELETE", "PUT", "HEAD"]),
        path in path(),
        query in "[A-Za-z]{0,4}(PageSize|Page|PageToken|Minutes|StartDate|WorkerSid|TargetWorkersExpression)?=[ -~&&[^#\"<>\\\\^`{|}]]{0,30}",
        body in "\\PC{0,60}",
        kind in prop::sample::select(vec!["application/x-www-form-urlencoded", "application/json", "text/plain"]),
    ) {
        let it = Subject::new();
        let uri = format!("{}?{}", it.path(&path), query.replace(' ', "+"));
        let request = Subject::request(method, &uri).header(header::CONTENT_TYPE, kind).body(Body::from(body));
        prop_assume!(request.is_ok());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(it.send(request.unwrap()));
        prop_assert!(answer.status.as_u16() < 500, "{:?}", answer);
        prop_assert!(method == "HEAD" || answer.status == StatusCode::NO_CONTENT || answer.json.is_object(), "{:?}", answer);
    }

    #[test]
    fn any_form_makes_a_worker_or_a_plain_refusal(name in "\\PC{0,80}", attributes in "\\PC{0,80}", flag in "\\PC{0,6}") {
        let it = Subject::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fields = [("FriendlyName", &*name), ("Attributes", &*attributes), ("RejectPendingReservations", &*flag)];
        let answer = runtime.block_on(it.form("/Workers", &fields));
        prop_assert!([201, 400].contains(&answer.status.as_u16()), "{:?}", answer);
        prop_assert_eq!(it.stand_in.worker_count(), usize::from(answer.status == StatusCode::CREATED));
    }
}
