use serde_json::json;

use super::*;

fn users(it: &Subject) -> String {
    format!("/v4/Instances/{}/Users", it.stand_in.credentials().instance_sid)
}

#[tokio::test]
async fn provisioning_makes_user_and_worker_and_deprovisioning_ends_both() {
    let it = Subject::new();
    let configuration = it.get("/v1/Configuration").await.expect(200);
    assert_eq!(configuration["taskrouter_workspace_sid"], it.stand_in.credentials().workspace_sid.as_str());
    let ana = json!({
        "username": "ana@acme.example", "email": "ana@acme.example", "full_name": "Ana Ruiz", "roles": ["agent"],
        "worker": {"attributes": {"routing": {"skills": ["english"]}}},
    });
    let made = it.json(&format!("{}/Provision", users(&it)), ana.clone()).await.expect(201);
    let again = it.json(&format!("{}/Provision", users(&it)), ana.clone()).await.expect(200);
    assert_eq!(again["flex_user_sid"], made["flex_user_sid"]);
    let worker = it.stand_in.worker_named("ana@acme.example").unwrap();
    assert_eq!(made["worker_sid"], worker.sid.as_str());
    assert_eq!((&worker.attributes["roles"], &worker.attributes["full_name"]), (&json!(["agent"]), &json!("Ana Ruiz")));

    let found = it.get(&format!("{}?Username=ANA%40acme.example", users(&it))).await.expect(200);
    assert_eq!(found["users"][0]["flex_user_sid"], made["flex_user_sid"]);
    it.json(&format!("{}/Deprovision", users(&it)), json!({"flex_user_sid": made["flex_user_sid"]})).await.expect(204);
    assert!(it.stand_in.worker_named("ana@acme.example").is_none());
    let path = format!("{}/{}", users(&it), made["flex_user_sid"].as_str().unwrap());
    let user = it.get(&path).await.expect(200);
    assert_eq!((&user["deactivated"], &user["worker_sid"]), (&json!(true), &Value::Null));
    it.json(&format!("{}/Provision", users(&it)), ana).await.expect(200);
    assert_eq!(it.get(&path).await.expect(200)["deactivated"], false);

    it.json(&format!("{}/Provision", users(&it)), json!({"username": "x"})).await.refused(400, 20001);
    it.form(&format!("{}/Provision", users(&it)), &[("username", "x")]).await.refused(400, 20001);
    it.json(&format!("{}/Deprovision", users(&it)), json!({"flex_user_sid": "FUnone"})).await.refused(404, 20404);
    it.get("/v4/Instances/GOother/Users").await.refused(404, 20404);
}

#[tokio::test]
async fn a_sign_on_overwrites_what_it_claims_and_revives_the_worker() {
    let it = Subject::new();
    let ana = it.worker("ana@acme.example", &json!({"full_name": "Old", "routing": {"skills": ["english"]}})).await;
    let login = json!({"friendly_name": "Ana@acme.example", "claims": {"full_name": "New", "roles": "agent"}});
    let signed_in = it.json("/_stand_in/sso-login", login.clone()).await.expect(200);
    assert_eq!(signed_in["worker_sid"], ana.as_str());
    let worker = it.stand_in.worker_named("ana@acme.example").unwrap();
    assert_eq!(worker.attributes["full_name"], "New");
    assert_eq!(worker.attributes["roles"], json!(["agent"]));
    assert_eq!(worker.attributes["routing"], json!({"skills": ["english"]}));

    it.delete(&format!("/Workers/{ana}")).await.expect(204);
    let user = &it.get(&users(&it)).await.expect(200)["users"][0];
    assert_eq!((&user["worker_sid"], &user["deactivated"]), (&Value::Null, &json!(false)));
    let revived = it.json("/_stand_in/sso-login", login).await.expect(200);
    assert_ne!(revived["worker_sid"], ana.as_str());
    let user = &it.get(&users(&it)).await.expect(200)["users"][0];
    assert_eq!(user["worker_sid"], revived["worker_sid"]);
    let bad = json!({"friendly_name": "ana@acme.example", "claims": {"level.int": "high"}});
    it.json("/_stand_in/sso-login", bad).await.refused(400, 20001);
}
