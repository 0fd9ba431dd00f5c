//! The provider against a small API on loopback: real HTTP, answers as the API documents them.

use super::*;
use crate::mapping::tests::filled;
use crate::{KubernetesProvider, Settings};
use bytes::Bytes;
use futures::future::BoxFuture;
use groma_provider::{
    CallLog, CallRecord, Clock, Configure, Entropy, Environment, Interrupted, Minted, Minter, NetworkPolicy,
    Provider,
};
use groma_types::Timestamp;
use groma_types::schema::Timeouts;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Mutex as Lock;

#[path = "cluster_stage.rs"]
mod stage;
use stage::{Ctx, Log, arguments, env, world, world_of};

fn attributes(kind: &str, json: &Json) -> Resolved {
    let kinds = crate::schema::kinds();
    let fields = &kinds.iter().find(|k| k.names.contains(&kind)).unwrap().fields;
    filled(fields, json).with_attr("id", Value::null(Type::String)).resolve().unwrap()
}

fn identity() -> Identity {
    Identity { token: "token-1".into(), owner_mark: Some("mark".into()) }
}

fn create_of(planned: Resolved) -> CreateRequest {
    let timeouts = Timeouts::minutes(1, 1, 1);
    CreateRequest { config: planned.clone(), planned, identity: identity(), timeouts }
}

fn missing() -> Json {
    json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": "not found",
        "details": {"name": "web"}})
}

fn config_map() -> Resolved {
    attributes("kubernetes_config_map", &json!({"metadata": {"name": "web"}, "data": {"a": "1"}}))
}

fn live_config_map(mark: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}, "metadata": {"name": "web", "namespace": "default",
        "uid": "u1", "resourceVersion": "5", "annotations": {"groma.dev/owner": mark}}})
}

fn web_deployment() -> Resolved {
    attributes(
        "kubernetes_deployment",
        &json!({"metadata": {"name": "web"}, "spec": {"replicas": "2",
        "selector": {"match_labels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
            "spec": {"container": {"name": "web", "image": "web:1"}}}}}),
    )
}

fn live_deployment(status: &Json) -> Json {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default", "uid": "u1",
        "resourceVersion": "5", "generation": 1, "annotations": {"groma.dev/owner": "mark",
        "deployment.kubernetes.io/revision": "1"}}, "spec": {"replicas": 2,
            "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]}}}, "status": status})
}

const MAPS: &str = "GET /api/v1/namespaces/default/configmaps/web";
const APPLY: &str = "PATCH /api/v1/namespaces/default/configmaps/web?";

#[tokio::test]
async fn a_create_looks_first_then_applies() {
    let script = vec![(MAPS, 404, missing()), (APPLY, 201, live_config_map("mark"))];
    let w = world(script).await;
    let made = w.provider.create("kubernetes_config_map", create_of(config_map()), &w.ctx).await.unwrap();
    w.api.done();
    assert_eq!(
        w.api.lines()[1],
        format!("{APPLY}&force=false&fieldManager=groma&fieldValidation=Strict")
            .replace("?&force=false", "?")
    );
    assert_eq!(
        w.api.body("PATCH"),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"},
            "metadata": {"name": "web", "namespace": "default", "annotations": {"groma.dev/owner": "mark"}}})
    );
    assert_eq!(made.private, json!({"uid": "u1"}));
    assert_eq!(made.attributes.str_attr("id"), Some("default/web"));
    let metadata = made.attributes.get("metadata").unwrap().at(0).unwrap();
    assert_eq!(metadata.str_attr("uid"), Some("u1"));
    assert!(metadata.get("annotations").unwrap().is_null());
    assert_eq!(w.ctx.made.lock().unwrap().len(), 1);
    let calls: Vec<_> =
        w.log.0.lock().unwrap().iter().map(|c| (c.operation.to_string(), c.status, c.mutating)).collect();
    assert_eq!(
        calls,
        [("GET configmaps".to_string(), 404, false), ("PATCH configmaps".to_string(), 201, true)]
    );
}

#[tokio::test]
async fn an_object_of_others_is_not_adopted() {
    let w = world(vec![(MAPS, 200, live_config_map("another"))]).await;
    let error =
        w.provider.create("kubernetes_config_map", create_of(config_map()), &w.ctx).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(error.code.as_deref(), Some("AlreadyExists"));
    assert!(error.help.unwrap().contains("import"));
    w.api.done();
}

#[tokio::test]
async fn a_repeated_create_makes_one_object() {
    let script = vec![(MAPS, 200, live_config_map("mark")), (APPLY, 200, live_config_map("mark"))];
    let w = world(script).await;
    w.provider.create("kubernetes_config_map", create_of(config_map()), &w.ctx).await.unwrap();
    w.api.done();
}

#[tokio::test]
async fn a_create_waits_for_the_end_of_an_old_object() {
    let mut old = live_config_map("another");
    old["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    old["metadata"]["finalizers"] = json!(["x/y"]);
    let script = vec![(MAPS, 200, old), (MAPS, 404, missing()), (APPLY, 201, live_config_map("mark"))];
    let w = world(script).await;
    w.provider.create("kubernetes_config_map", create_of(config_map()), &w.ctx).await.unwrap();
    assert!(w.ctx.waits.lock().unwrap()[0].contains("finalizers x/y"));
    w.api.done();
}

const DEPLOYMENT: &str = "GET /apis/apps/v1/namespaces/default/deployments/web";
const APPLY_DEPLOYMENT: &str = "PATCH /apis/apps/v1/namespaces/default/deployments/web?";
const SETS: &str = "GET /apis/apps/v1/namespaces/default/replicasets?";
const PODS: &str = "GET /api/v1/namespaces/default/pods?";

fn sets() -> Json {
    json!({"items": [{"metadata": {"name": "web-1", "labels": {"pod-template-hash": "h1"},
        "annotations": {"deployment.kubernetes.io/revision": "1"}}}]})
}

#[tokio::test]
async fn a_deployment_is_waited_for() {
    let going = json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 1, "availableReplicas": 1});
    let done = json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2});
    let script = vec![
        (DEPLOYMENT, 404, missing()),
        (APPLY_DEPLOYMENT, 201, live_deployment(&json!(null))),
        (DEPLOYMENT, 200, live_deployment(&going)),
        (SETS, 200, sets()),
        (PODS, 200, json!({"items": []})),
        (DEPLOYMENT, 200, live_deployment(&done)),
    ];
    let w = world(script).await;
    let planned = web_deployment();
    let object = w.provider.create("kubernetes_deployment", create_of(planned), &w.ctx).await.unwrap();
    w.api.done();
    assert_eq!(*w.ctx.waits.lock().unwrap(), ["the change to be taken up", "1 of 2 replicas available"]);
    assert!(w.api.lines()[4].contains("pod-template-hash%3Dh1"), "{:?}", w.api.lines());
    assert_eq!(object.attributes.get("spec").unwrap().at(0).unwrap().str_attr("replicas"), Some("2"));
}

#[tokio::test]
async fn a_hopeless_rollout_is_reported_at_once() {
    let status = json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2});
    let waiting = |reason: &str, message: &str| {
        json!({"items": [{"metadata": {"name": "web-x"}, "status": {"containerStatuses": [
            {"name": "web", "state": {"waiting": {"reason": reason, "message": message}}}]}}]})
    };
    let script = vec![
        (DEPLOYMENT, 404, missing()),
        (APPLY_DEPLOYMENT, 201, live_deployment(&status)),
        (SETS, 200, sets()),
        (PODS, 200, waiting("ImagePullBackOff", "Back-off pulling image \"web:1\"")),
    ];
    let w = world(script).await;
    let error =
        w.provider.create("kubernetes_deployment", create_of(web_deployment()), &w.ctx).await.unwrap_err();
    w.api.done();
    assert_eq!(error.kind, ErrorKind::Unconverged);
    assert!(
        error.message.contains("container web: ImagePullBackOff: Back-off pulling image \"web:1\""),
        "{error}"
    );
    assert_eq!(w.ctx.made.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_rollout_without_end_times_out_with_the_last_warning() {
    let status = json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2});
    let mut script = vec![(DEPLOYMENT, 404, missing()), (APPLY_DEPLOYMENT, 201, live_deployment(&status))];
    for i in 0..11 {
        if i > 0 {
            script.push((DEPLOYMENT, 200, live_deployment(&status)));
        }
        script.push((SETS, 200, sets()));
        script.push((PODS, 200, json!({"items": []})));
    }
    // Ten readings fit into the minute; the first comes with the answer of the apply.
    script.truncate(2 + 3 * 10 - 1);
    script.push((
        "GET /api/v1/namespaces/default/events?",
        200,
        json!({"items": [{"reason": "FailedCreate", "message": "no quota"}]}),
    ));
    let w = world(script).await;
    let error =
        w.provider.create("kubernetes_deployment", create_of(web_deployment()), &w.ctx).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TimedOut, "{error} {:?}", w.api.lines());
    assert!(error.help.unwrap().contains("FailedCreate: no quota"));
    w.api.done();
}

fn web_service() -> Resolved {
    attributes(
        "kubernetes_service",
        &json!({"metadata": {"name": "web"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "port": {"port": 80, "target_port": "8000"}}}),
    )
}

#[tokio::test]
async fn a_service_gets_its_address() {
    let live = |status: Json| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default", "uid": "u2"},
            "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "clusterIP": "10.0.0.1",
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8000, "nodePort": 30000}]}, "status": status})
    };
    let get = "GET /api/v1/namespaces/default/services/web";
    let script = vec![
        (get, 404, missing()),
        ("PATCH /api/v1/namespaces/default/services/web?", 201, live(json!({"loadBalancer": {}}))),
        (get, 200, live(json!({"loadBalancer": {"ingress": [{"hostname": "x.elb.example"}]}}))),
    ];
    let w = world(script).await;
    let object = w.provider.create("kubernetes_service", create_of(web_service()), &w.ctx).await.unwrap();
    w.api.done();
    let path =
        AttrPath::root().attr("status").index(0).attr("load_balancer").index(0).attr("ingress").index(0);
    let hostname = object.attributes.lookup(&path.attr("hostname"));
    assert_eq!(hostname.and_then(Value::as_str), Some("x.elb.example"));
}

#[tokio::test]
async fn an_update_is_bound_to_the_object_and_names_conflicts() {
    let conflict = json!({"kind": "Status", "reason": "Conflict", "code": 409, "message": "Apply failed with 1 conflict:",
        "details": {"causes": [{"reason": "FieldManagerConflict", "field": ".data.a",
            "message": "conflict with \"kubectl-edit\" using v1"}]}});
    let mut live = live_config_map("mark");
    live["data"]["a"] = "edited".into();
    let w = world(vec![(APPLY, 409, conflict), (MAPS, 200, live)]).await;
    let planned = config_map();
    let request = UpdateRequest {
        prior: planned.clone(),
        private: json!({"uid": "u1"}),
        config: planned.clone(),
        planned,
        owner_mark: Some("mark".into()),
        token: "t".into(),
        timeouts: Timeouts::minutes(1, 1, 1),
    };
    let error = w.provider.update("kubernetes_config_map", request, &w.ctx).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(error.path.clone().unwrap().to_string(), "data");
    assert!(error.message.contains(".data.a: \"kubectl-edit\" has \"edited\", this sets \"1\""), "{error}");
    assert!(error.help.unwrap().contains("force_conflicts"));
    assert_eq!(w.api.body("PATCH")["metadata"]["uid"], "u1");
    assert_eq!(w.api.body("PATCH")["metadata"]["annotations"][OWNER_ANNOTATION], "mark");
}

fn delete_of(prior: Resolved) -> DeleteRequest {
    DeleteRequest { prior, private: json!({"uid": "u1"}), timeouts: Timeouts::minutes(1, 1, 1) }
}

#[tokio::test]
async fn a_delete_waits_until_the_object_is_gone() {
    let delete = "DELETE /api/v1/namespaces/default/configmaps/web";
    let mut leaving = live_config_map("mark");
    leaving["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
    let script = vec![(delete, 200, leaving.clone()), (MAPS, 200, leaving), (MAPS, 404, missing())];
    let w = world(script).await;
    w.provider.delete("kubernetes_config_map", delete_of(config_map()), &w.ctx).await.unwrap();
    w.api.done();
    let sent = w.api.body("DELETE");
    assert_eq!(
        (&sent["propagationPolicy"], &sent["preconditions"]["uid"]),
        (&json!("Foreground"), &json!("u1"))
    );
    assert_eq!(*w.ctx.waits.lock().unwrap(), ["the deletion: finalizers foregroundDeletion"]);
    let w = world(vec![(delete, 404, missing())]).await;
    w.provider.delete("kubernetes_config_map", delete_of(config_map()), &w.ctx).await.unwrap();
    let other = json!({"metadata": {"name": "web", "uid": "u9"}});
    let refused = json!({"kind": "Status", "reason": "Conflict", "code": 409, "message": "the UID in the precondition"});
    let w = world(vec![(delete, 409, refused), (MAPS, 200, other)]).await;
    w.provider.delete("kubernetes_config_map", delete_of(config_map()), &w.ctx).await.unwrap();
    w.api.done();
}

#[tokio::test]
async fn lost_creates_are_recovered() {
    for (status, live, expected) in [
        (200, live_config_map("mark"), "ours"),
        (200, live_config_map("another"), "foreign"),
        (404, missing(), "absent"),
    ] {
        let w = world(vec![(MAPS, status, live)]).await;
        let request = RecoverRequest { planned: config_map(), identity: identity(), begun: Timestamp(0) };
        let found = match w.provider.recover("kubernetes_config_map", request).await.unwrap() {
            Found::Ours(_) => "ours",
            Found::Foreign(_) => "foreign",
            Found::Absent => "absent",
            Found::CannotTell => "?",
        };
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_read_tells_ours_from_a_later_namesake() {
    let prior = config_map();
    let request = |uid: &str| ReadRequest {
        prior: prior.clone(),
        private: json!({"uid": uid}),
        owner_mark: Some("mark".into()),
    };
    for (uid, mark, present) in [("u1", "mark", true), ("u0", "another", false), ("u0", "mark", true)] {
        let w = world(vec![(MAPS, 200, live_config_map(mark))]).await;
        let read = w.provider.read("kubernetes_config_map", request(uid)).await.unwrap();
        assert_eq!(matches!(read, Read::Present(_)), present, "{uid} {mark}");
    }
}

#[tokio::test]
async fn a_new_version_alone_is_no_change() {
    let w = world(vec![(MAPS, 404, missing()), (APPLY, 201, live_config_map("mark"))]).await;
    let made = w.provider.create("kubernetes_config_map", create_of(config_map()), &w.ctx).await.unwrap();
    let mut later = live_config_map("mark");
    later["metadata"]["resourceVersion"] = "99".into();
    let w = world(vec![(MAPS, 200, later)]).await;
    let request = ReadRequest { prior: made.attributes.clone(), private: made.private, owner_mark: None };
    let Read::Present(read) = w.provider.read("kubernetes_config_map", request).await.unwrap() else {
        panic!("gone")
    };
    assert_eq!(read.attributes, made.attributes);
}

#[tokio::test]
async fn many_objects_are_read_by_one_list() {
    let named = |i: usize| {
        attributes(
            "kubernetes_config_map",
            &json!({"metadata": {"name": format!("m{i}")}, "data": {"a": "1"}}),
        )
    };
    let live = |i: usize| json!({"metadata": {"name": format!("m{i}"), "namespace": "default", "uid": "u"}, "data": {"a": "2"}});
    let items: Vec<Json> = (0..4).map(live).collect();
    let script = vec![
        (
            "GET /api/v1/namespaces/default/configmaps?&limit=500",
            200,
            json!({"items": items[..2], "metadata": {"continue": "c"}}),
        ),
        (
            "GET /api/v1/namespaces/default/configmaps?&limit=500&continue=c",
            200,
            json!({"items": items[2..]}),
        ),
        ("GET /api/v1/namespaces/default/configmaps/m4", 404, missing()),
    ];
    let w = world(script).await;
    let request = |i| ReadRequest { prior: named(i), private: json!({"uid": "u"}), owner_mark: None };
    let requests: Vec<ReadRequest> = (0..5).map(request).collect();
    let reads = w.provider.read_many("kubernetes_config_map", &requests).await.unwrap().unwrap();
    w.api.done();
    assert_eq!(reads.len(), 5);
    assert_eq!(reads[4], Read::Gone);
    assert!(
        matches!(&reads[3], Read::Present(o) if o.attributes.get("data").unwrap().str_attr("a") == Some("2"))
    );
    assert!(w.provider.read_many("kubernetes_config_map", &requests[..4]).await.unwrap().is_none());
}

#[tokio::test]
async fn tokens_are_minted_as_their_time_comes_and_after_a_401() {
    let system = || json!({"metadata": {"name": "kube-system", "uid": "c1"}});
    let get = "GET /api/v1/namespaces/kube-system";
    let refused = json!({"kind": "Status", "reason": "Unauthorized", "code": 401, "message": "Unauthorized"});
    let script = vec![
        (get, 200, system()),
        (get, 401, refused.clone()),
        (get, 200, system()),
        (get, 200, system()),
        (get, 401, refused.clone()),
        (get, 401, refused),
    ];
    let w = world_of(script, true, false).await;
    let world = w.provider.identity().await.unwrap();
    assert_eq!(world, World::of([("cluster", "c1".to_string())]));
    w.provider.identity().await.unwrap();
    w.ctx.time.sleep(Duration::from_secs(61)).await;
    w.provider.identity().await.unwrap();
    let error = w.provider.identity().await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::Denied, Some(401)));
    w.api.done();
    let tokens: Vec<String> = w.api.seen.lock().unwrap().iter().map(|s| s.token.clone()).collect();
    let expected = ["t1", "t1", "t2", "t3", "t3", "t4"].map(|t| format!("Bearer {t}"));
    assert_eq!(tokens, expected);
}

#[tokio::test]
async fn a_fresh_host_may_refuse_for_a_while() {
    let get = "GET /api/v1/namespaces/kube-system";
    let refused =
        |code: u16| json!({"kind": "Status", "reason": "Forbidden", "code": code, "message": "not yet"});
    let script = vec![
        (get, 403, refused(403)),
        (get, 401, refused(401)),
        (get, 200, json!({"metadata": {"uid": "c1"}})),
    ];
    let w = world_of(script, true, true).await;
    w.provider.identity().await.unwrap();
    w.api.done();
    let w = world_of(vec![(get, 403, refused(403))], true, false).await;
    assert_eq!(w.provider.identity().await.unwrap_err().kind, ErrorKind::Denied);
}

#[tokio::test]
async fn throttled_calls_wait_as_told() {
    let get = "GET /api/v1/namespaces/kube-system";
    let slow = json!({"kind": "Status", "reason": "TooManyRequests", "message": "slow", "details": {"retryAfterSeconds": 7}});
    let w = world(vec![(get, 429, slow), (get, 200, json!({"metadata": {"uid": "c1"}}))]).await;
    w.provider.identity().await.unwrap();
    assert_eq!(w.ctx.now(), Timestamp(7000));
    let attempts: Vec<u32> = w.log.0.lock().unwrap().iter().map(|c| c.attempt).collect();
    assert_eq!(attempts, [1, 2]);
}

#[tokio::test]
async fn an_address_without_server_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (ctx, log) = (Ctx::default(), Log::default());
    let config = arguments(&[("host", Value::string(format!("https://{address}")))]);
    let request = Configure { config, minted: BTreeMap::new(), env: env(&ctx.time, &log), fresh_host: false };
    let provider = KubernetesProvider::new(Settings::default()).configure(request).await.unwrap();
    let error = provider.identity().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.message.contains(&address.to_string()), "{error}");
    assert_eq!(log.0.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn arguments_are_checked_before_any_connection() {
    let text = |s: &str| Value::string(s);
    let exec = Value::list(
        Type::Dynamic,
        vec![Value::object([("command", text("aws")), ("api_version", text("v1"))])],
    );
    for (given, place, contains) in [
        (vec![], "host", "does not say which cluster"),
        (vec![("token", text("t"))], "host", "does not say which cluster"),
        (vec![("host", text("https://127.0.0.1")), ("insecure", Value::bool(true))], "insecure", "refused"),
        (vec![("host", text("http://192.0.2.1"))], "host", "plain http"),
        (vec![("host", text("http://example.com"))], "host", "plain http"),
        (vec![("host", text("https://192.0.2.1"))], "host", "may talk to"),
        (vec![("host", text("ftp://127.0.0.1"))], "host", "https is needed"),
        (
            vec![("host", text("https://127.0.0.1")), ("cluster_ca_certificate", text("Zm9v"))],
            "cluster_ca_certificate",
            "not a PEM",
        ),
        (vec![("host", text("https://127.0.0.1")), ("config_path", text("x"))], "config_path", "both"),
        (vec![("host", text("https://127.0.0.1")), ("exec", exec)], "exec", "not allowed"),
        (vec![("config_path", text("/nonexistent/config"))], "config_path", "can't be used"),
    ] {
        let (ctx, log) = (Ctx::default(), Log::default());
        let request = Configure {
            config: arguments(&given),
            minted: BTreeMap::new(),
            env: env(&ctx.time, &log),
            fresh_host: false,
        };
        let provider = KubernetesProvider::new(Settings::default());
        let error = provider.configure(request).await.err().unwrap();
        assert_eq!(error.kind, ErrorKind::Invalid, "{given:?}");
        assert_eq!(error.path.clone().unwrap().to_string(), place, "{error}");
        assert!(error.message.contains(contains), "{error}");
    }
}

fn manifest_of(manifest: &Json) -> Resolved {
    let manifest = groma_types::json::from_json(manifest);
    let settings = manifest::settings();
    let value = filled(&settings, &json!({}));
    let value = value.with_attr("manifest", manifest).with_attr("object", Value::NULL);
    value.with_attr("computed_fields", Value::null(Type::list(Type::String))).resolve().unwrap()
}

#[tokio::test]
async fn a_manifest_finds_its_place_by_discovery() {
    let manifest = json!({"apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": {"name": "w", "namespace": "a"}, "spec": {"size": "1Gi", "on": false}});
    let live = json!({"apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": {"name": "w", "namespace": "a", "uid": "u1", "annotations": {"groma.dev/owner": "mark"}, "managedFields": []},
        "spec": {"size": "1024Mi", "extra": 1}});
    let served = json!({"resources": [{"name": "widgets", "kind": "Widget", "namespaced": true},
        {"name": "widgets/status", "kind": "Widget", "namespaced": true}]});
    let get = "GET /apis/example.com/v1/namespaces/a/widgets/w";
    let script = vec![
        ("GET /apis/example.com/v1", 200, served),
        (get, 404, missing()),
        ("PATCH /apis/example.com/v1/namespaces/a/widgets/w?", 201, live),
    ];
    let w = world(script).await;
    let planned = manifest_of(&manifest);
    let object = w.provider.create("kubernetes_manifest", create_of(planned.clone()), &w.ctx).await.unwrap();
    w.api.done();
    assert_eq!(object.attributes.get("manifest"), planned.get("manifest"));
    let answer = groma_types::json::to_json(object.attributes.get("object").unwrap());
    assert_eq!(answer["metadata"], json!({"name": "w", "namespace": "a", "uid": "u1"}));
    assert_eq!(w.api.body("PATCH")["metadata"]["annotations"][OWNER_ANNOTATION], "mark");
    let w = world(vec![("GET /apis/example.com/v1", 404, json!("404 page not found"))]).await;
    let error = w.provider.create("kubernetes_manifest", create_of(planned), &w.ctx).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("serves no kind Widget"), "{error}");
}

#[tokio::test]
async fn imports_read_by_id() {
    let w = world(vec![(MAPS, 200, live_config_map("x"))]).await;
    let Read::Present(object) = w.provider.import("kubernetes_config_map", "default/web").await.unwrap()
    else {
        panic!("gone")
    };
    assert_eq!(object.attributes.get("data").unwrap().str_attr("a"), Some("1"));
    let error = w.provider.import("kubernetes_config_map", "web").await.unwrap_err();
    assert!(error.message.contains("NAMESPACE/NAME"), "{error}");
    let w = world(vec![(MAPS, 200, live_config_map("x"))]).await;
    let id = "apiVersion=v1,kind=ConfigMap,namespace=default,name=web";
    let Read::Present(object) = w.provider.import("kubernetes_manifest", id).await.unwrap() else {
        panic!("gone")
    };
    let manifest = groma_types::json::to_json(object.attributes.get("manifest").unwrap());
    assert_eq!(
        manifest,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"},
        "metadata": {"name": "web", "namespace": "default"}})
    );
}

#[tokio::test]
async fn a_namespace_waits_for_its_account_if_told() {
    let live = json!({"metadata": {"name": "a", "uid": "u3"}, "status": {"phase": "Active"}});
    let account = "GET /api/v1/namespaces/a/serviceaccounts/default";
    let script = vec![
        ("GET /api/v1/namespaces/a", 404, missing()),
        ("PATCH /api/v1/namespaces/a?", 201, live),
        (account, 404, missing()),
        (account, 200, json!({"metadata": {"name": "default"}})),
    ];
    let w = world(script).await;
    let planned = attributes(
        "kubernetes_namespace",
        &json!({"metadata": {"name": "a"}, "wait_for_default_service_account": true}),
    );
    let object = w.provider.create("kubernetes_namespace", create_of(planned), &w.ctx).await.unwrap();
    w.api.done();
    assert_eq!(object.attributes.str_attr("id"), Some("a"));
    assert_eq!(*w.ctx.waits.lock().unwrap(), ["the default service account"]);
}

#[tokio::test]
async fn pods_of_an_older_template_are_not_blamed() {
    let status = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 1});
    let mut going = live_deployment(&status);
    going["metadata"]["generation"] = 2.into();
    let mut done = live_deployment(&json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2,
        "readyReplicas": 2, "availableReplicas": 2}));
    done["metadata"]["generation"] = 2.into();
    let crashing = json!({"items": [{"metadata": {"name": "old"}, "status": {"containerStatuses": [
        {"name": "web", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}}]});
    let script = vec![
        (APPLY_DEPLOYMENT, 200, going),
        (SETS, 403, json!({"kind": "Status", "reason": "Forbidden", "message": "no"})),
        (PODS, 200, crashing),
        (DEPLOYMENT, 200, done),
    ];
    let w = world(script).await;
    let planned = web_deployment();
    let request = UpdateRequest {
        prior: planned.clone(),
        private: json!({"uid": "u1"}),
        config: planned.clone(),
        planned,
        owner_mark: None,
        token: "t".into(),
        timeouts: Timeouts::minutes(1, 1, 1),
    };
    w.provider.update("kubernetes_deployment", request, &w.ctx).await.unwrap();
    w.api.done();
}

#[tokio::test]
async fn data_sources_read_objects_of_others() {
    let get = "GET /api/v1/namespaces/default/services/web";
    let live = json!({"metadata": {"name": "web", "namespace": "default", "uid": "u2", "labels": {"a": "b"}},
        "spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1", "ports": [{"port": 80, "protocol": "TCP"}]},
        "status": {"loadBalancer": {"ingress": [{"hostname": "h"}]}}});
    let config =
        || Value::object([("metadata", Value::tuple(vec![Value::object([("name", Value::string("web"))])]))]);
    let w = world(vec![(get, 200, live), (get, 404, missing())]).await;
    let read =
        w.provider.read_data("kubernetes_service", config().resolve().unwrap()).await.unwrap().unwrap();
    let read = groma_types::json::to_json(&read);
    assert_eq!(read["status"][0]["load_balancer"][0]["ingress"][0]["hostname"], "h");
    assert_eq!(read["spec"][0]["port"][0]["port"], 80);
    assert_eq!((&read["metadata"][0]["labels"], &read["id"]), (&json!({"a": "b"}), &json!("default/web")));
    assert_eq!(w.provider.read_data("kubernetes_service", config().resolve().unwrap()).await.unwrap(), None);
    w.api.done();
}

/// A create is asked about also where its name will be drawn; nothing is changed.
#[tokio::test]
async fn a_rehearsal_of_a_create_changes_nothing() {
    let rehearse = "PATCH /api/v1/namespaces/default/configmaps/m-";
    let denied = json!({"kind": "Status", "reason": "Forbidden", "code": 403, "message": "user can't"});
    let script = vec![(rehearse, 201, live_config_map("")), (rehearse, 403, denied)];
    let w = world_of(script, false, false).await;
    let planned = attributes("kubernetes_config_map", &json!({"metadata": {"generate_name": "m-"}}));
    let request = || RehearseRequest {
        prior: None,
        config: planned.clone(),
        planned: planned.clone(),
        owner_mark: None,
    };
    w.provider.rehearse("kubernetes_config_map", request()).await.unwrap();
    assert!(w.api.lines()[0].contains("dryRun=All"), "{:?}", w.api.lines());
    let calls: Vec<bool> = w.log.0.lock().unwrap().iter().map(|c| c.mutating).collect();
    assert_eq!(calls, [false]);
    // A refusal counts only if there is no such object yet.
    w.api.answers.lock().unwrap().push_back(("GET /api/v1/namespaces/default/configmaps/m-", 404, missing()));
    let error = w.provider.rehearse("kubernetes_config_map", request()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    w.api.done();
}

#[test]
fn drawn_names_are_stable() {
    let attributes = attributes("kubernetes_config_map", &json!({"metadata": {"generate_name": "m-"}}));
    let a = drawn_name(&attributes, &identity()).unwrap();
    assert_eq!(Some(&a), drawn_name(&attributes, &identity()).as_ref());
    assert!(a.starts_with("m-") && a.len() == 7, "{a}");
    let other = Identity { token: "token-2".into(), owner_mark: None };
    assert_ne!(Some(a), drawn_name(&attributes, &other));
}
