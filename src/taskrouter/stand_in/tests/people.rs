//! Taking people out, their work in hand, and what is told about them afterwards.

use serde_json::json;

use super::*;
use crate::taskrouter::stand_in::{Behaviour, ReservationStatus};

#[tokio::test]
async fn work_in_hand_blocks_a_deletion() {
    let it = Subject::new();
    let ana = it.worker("ana", &json!({})).await;
    let path = format!("/Workers/{ana}");
    let pending = it.stand_in.add_reservation(&ana, "voice", ReservationStatus::Pending).unwrap();
    let accepted = it.json("/_stand_in/reservations", json!({"friendly_name": "ANA", "status": "accepted"})).await;
    let accepted = accepted.expect(201)["sid"].as_str().unwrap().to_owned();
    it.delete(&path).await.refused(400, 20001);
    let list = it.get(&format!("{path}/Reservations?ReservationStatus=pending")).await.expect(200);
    assert_eq!(list["reservations"][0]["sid"], pending.as_str());
    assert_eq!(list["reservations"].as_array().unwrap().len(), 1);

    let (offline, available) = (it.activity("Offline").await, it.activity("Available").await);
    let reject = ("RejectPendingReservations", "true");
    it.form(&path, &[("ActivitySid", &available), reject]).await.refused(400, 20001);
    it.form(&path, &[("ActivitySid", &offline), reject]).await.expect(200);
    let status = |sid: &str| format!("{path}/Reservations/{sid}");
    assert_eq!(it.get(&status(&pending)).await.expect(200)["reservation_status"], "rejected");
    assert_eq!(it.get(&status(&accepted)).await.expect(200)["reservation_status"], "accepted");
    it.delete(&path).await.refused(400, 20001);
    it.json(&format!("/_stand_in/reservations/{accepted}"), json!({"status": "completed"})).await.expect(200);
    it.delete(&path).await.expect(204);
    it.get(&path).await.refused(404, 20404);
    it.delete(&path).await.refused(404, 20404);
    assert!(it.stand_in.add_reservation(&ana, "voice", ReservationStatus::Pending).is_err());
}

#[tokio::test]
async fn open_questions_can_be_answered_either_way() {
    let it = Subject::new();
    let (offline, available) = (it.activity("Offline").await, it.activity("Available").await);
    let ana = it.worker("ana", &json!({})).await;
    let path = format!("/Workers/{ana}");
    it.form(&path, &[("ActivitySid", &available)]).await.expect(200);
    let strict = json!({"offline_before_delete": true, "refuse_activity_change_with_pending": true});
    it.json("/_stand_in/behaviour", strict).await.expect(200);
    it.delete(&path).await.refused(400, 20001);
    it.stand_in.add_reservation(&ana, "chat", ReservationStatus::Pending).unwrap();
    it.form(&path, &[("ActivitySid", &offline)]).await.refused(400, 20001);
    it.form(&path, &[("ActivitySid", &offline), ("RejectPendingReservations", "true")]).await.expect(200);
    it.delete(&path).await.expect(204);
    it.json("/_stand_in/behaviour", json!({"offline_befor_delete": true})).await.refused(400, 20001);
    assert!(it.stand_in.behaviour().offline_before_delete);
}

#[tokio::test]
async fn activities_keep_their_kind_and_their_workers() {
    let it = Subject::new();
    let made = it.form("/Activities", &[("FriendlyName", "Lunch"), ("Available", "false")]).await.expect(201);
    let lunch = made["sid"].as_str().unwrap();
    it.form("/Activities", &[("FriendlyName", "Lunch")]).await.refused(400, 20001);
    let path = format!("/Activities/{lunch}");
    let renamed = it.form(&path, &[("FriendlyName", "Meal"), ("Available", "true")]).await.expect(200);
    assert_eq!((&renamed["friendly_name"], &renamed["available"]), (&json!("Meal"), &json!(false)));
    let ana = it.worker("ana", &json!({})).await;
    it.form(&format!("/Workers/{ana}"), &[("ActivitySid", lunch)]).await.expect(200);
    it.form(&format!("/Workers/{ana}"), &[("ActivitySid", "WAnone")]).await.refused(400, 20001);
    it.delete(&path).await.refused(400, 20001);
    it.delete(&format!("/Activities/{}", it.activity("Offline").await)).await.refused(400, 20001);
    it.delete(&format!("/Workers/{ana}")).await.expect(204);
    it.delete(&path).await.expect(204);
    it.get(&path).await.refused(404, 20404);
    assert_eq!(it.get("/Activities?Available=true").await.expect(200)["activities"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn events_tell_the_last_thirty_days() {
    let it = Subject::new();
    let available = it.activity("Available").await;
    let ana = it.worker("ana", &json!({})).await;
    it.pass(60);
    it.form(&format!("/Workers/{ana}"), &[("Attributes", "{\"a\":1}"), ("ActivitySid", &available)]).await.expect(200);
    it.form(&format!("/Workers/{ana}/Channels/voice"), &[("Capacity", "2")]).await.expect(200);
    it.delete(&format!("/Workers/{ana}")).await.expect(204);
    let kinds = |page: &Value| {
        let events = page["events"].as_array().unwrap();
        events.iter().map(|event| event["event_type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = it.get(&format!("/Events?WorkerSid={ana}&PageSize=3")).await.expect(200);
    assert_eq!(kinds(&first), ["worker.deleted", "worker.capacity.update", "worker.activity.update"]);
    assert_eq!(first["events"][2]["event_data"]["worker_time_in_previous_activity"], "60");
    let second = it.get(first["meta"]["next_page_url"].as_str().unwrap()).await.expect(200);
    assert_eq!(kinds(&second), ["worker.attributes.update", "worker.created"]);
    let one = first["events"][0]["sid"].as_str().unwrap();
    assert_eq!(it.get(&format!("/Events/{one}")).await.expect(200)["event_data"]["worker_name"], "ana");

    it.pass(20 * 60);
    assert!(kinds(&it.get("/Events").await.expect(200)).is_empty());
    assert_eq!(kinds(&it.get("/Events?Minutes=30").await.expect(200)).len(), 5);
    let since = it.get("/Events?StartDate=2026-01-31T08:30:30Z&EventType=worker.deleted").await.expect(200);
    assert_eq!(kinds(&since).len(), 1);
    it.get("/Events?StartDate=yesterday").await.refused(400, 20001);
    it.pass(30 * 24 * 60 * 60);
    it.worker("bo", &json!({})).await;
    assert_eq!(kinds(&it.get("/Events?StartDate=2026-01-01T00:00:00Z").await.expect(200)), ["worker.created"]);
}

#[tokio::test]
async fn statistics_end_at_a_hundred_workers() {
    let it = Subject::new();
    let ana = it.worker("ana", &json!({})).await;
    it.stand_in.add_reservation(&ana, "voice", ReservationStatus::Accepted).unwrap();
    it.pass(90);
    let one = it.get(&format!("/Workers/{ana}/Statistics")).await.expect(200);
    assert_eq!(one["cumulative"]["reservations_accepted"], 1);
    let durations = one["cumulative"]["activity_durations"].as_array().unwrap();
    assert_eq!(durations.iter().find(|it| it["friendly_name"] == "Offline").unwrap()["total"], 90);
    assert_eq!(it.get("/Workers/RealTimeStatistics").await.expect(200)["total_workers"], 1);
    assert_eq!(it.get("/Workers/CumulativeStatistics").await.expect(200)["reservations_created"], 1);
    it.stand_in.set_behaviour(Behaviour { statistics_worker_limit: 1, ..Behaviour::default() });
    assert!(it.get("/Workers/Statistics").await.expect(200)["realtime"].is_object());
    it.worker("bo", &json!({})).await;
    it.get("/Workers/Statistics").await.refused(400, 20001);
    it.get(&format!("/Workers/{ana}/Statistics")).await.refused(400, 20001);
}
