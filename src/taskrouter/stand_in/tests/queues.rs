use serde_json::json;

use super::*;

async fn names(it: &Subject, path: &str, key: &str) -> Vec<String> {
    let page = it.get(path).await.expect(200);
    let mut names: Vec<_> =
        page[key].as_array().unwrap().iter().map(|item| item["friendly_name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn membership_follows_the_attributes() {
    let it = Subject::new();
    let expression = "routing.skills HAS 'english' AND routing.levels.english >= 3";
    let queue = it.form("/TaskQueues", &[("FriendlyName", "English"), ("TargetWorkers", expression)]).await.expect(201);
    let queue = queue["sid"].as_str().unwrap();
    let ana = it.worker("ana", &json!({"routing": {"skills": ["english"], "levels": {"english": 3}}})).await;
    let bo = it.worker("bo", &json!({"routing": {"skills": ["english"], "levels": {"english": 2}}})).await;
    assert_eq!(names(&it, &format!("/TaskQueues?WorkerSid={ana}"), "task_queues").await, ["English", "Everyone"]);
    assert_eq!(names(&it, &format!("/TaskQueues?WorkerSid={bo}"), "task_queues").await, ["Everyone"]);
    assert_eq!(names(&it, &format!("/Workers?TaskQueueSid={queue}"), "workers").await, ["ana"]);
    assert_eq!(names(&it, "/Workers?TaskQueueName=English", "workers").await, ["ana"]);
    assert_eq!(names(&it, "/Workers?TaskQueueSid=WQnone", "workers").await, Vec::<String>::new());

    it.form(&format!("/Workers/{ana}"), &[("Attributes", "{}")]).await.expect(200);
    assert_eq!(names(&it, "/Workers?TaskQueueName=English", "workers").await, Vec::<String>::new());
    assert_eq!(it.stand_in.worker_named("ana").unwrap().queues, ["Everyone"]);

    let path = format!("/TaskQueues/{queue}");
    it.form(&path, &[("TargetWorkers", "routing.skills HAS 'english'")]).await.expect(200);
    assert_eq!(names(&it, "/Workers?TaskQueueName=English", "workers").await, ["bo"]);
    it.form(&path, &[("TargetWorkers", "some-key == 1")]).await.refused(400, 20001);
    it.form(&path, &[("FriendlyName", "Everyone")]).await.refused(400, 20001);
    it.form("/TaskQueues", &[("FriendlyName", "English")]).await.refused(400, 20001);
    it.delete(&path).await.expect(204);
    it.get(&path).await.refused(404, 20404);
}

#[tokio::test]
async fn expressions_over_workers_are_held_to_three_a_second() {
    let it = Subject::new();
    it.worker("ana", &json!({"site": "north"})).await;
    it.worker("bo", &json!({"site": "south"})).await;
    let by = |expression: &str| {
        format!("/Workers?{}", serde_urlencoded::to_string([("TargetWorkersExpression", expression)]).unwrap())
    };
    assert_eq!(names(&it, &by("site == 'north'"), "workers").await, ["ana"]);
    assert_eq!(names(&it, &by("friendly_name == 'bo' AND activity_name == 'Offline'"), "workers").await, ["bo"]);
    let queues = "/TaskQueues?EvaluateWorkerAttributes=%7B%7D";
    assert_eq!(names(&it, queues, "task_queues").await, ["Everyone"]);
    it.get(&by("1 == 1")).await.refused(429, 20429);
    it.get(queues).await.refused(429, 20429);
    it.get("/Workers").await.expect(200);
    it.pass(1);
    it.get(&by("1 ==")).await.refused(400, 20001);
    it.get(&by("1 == 1")).await.expect(200);
}
