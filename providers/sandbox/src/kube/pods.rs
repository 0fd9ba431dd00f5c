//! The life of a pod, from simulated time: waiting for a node, pulling, ready, or never.

use super::api::{Objects, name_of, space_of};
use super::kinds::Kind;
use crate::clock::rfc3339;
use crate::crypto::{random_hex, spread, uuid};
use serde_json::{Value, json};

const SECOND: i64 = 1000;

/// A new pod of a replica set.
pub(super) fn of_replica_set(objects: &mut Objects<'_, '_>, set: &Value) {
    let template = &set["spec"]["template"];
    let mut meta = template["metadata"].clone();
    meta["generateName"] = format!("{}-", name_of(set)).into();
    meta["name"] = format!("{}-{}", name_of(set), random_hex(5)).into();
    meta["namespace"] = space_of(set).into();
    meta["ownerReferences"] = json!([owner_reference(set, "ReplicaSet")]);
    objects.make(Kind::of("pods"), json!({"metadata": meta, "spec": template["spec"], "_sim": {}}));
}

pub(super) fn owner_reference(owner: &Value, kind: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": kind, "name": name_of(owner), "uid": owner["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true,
    })
}

pub(super) fn is_ready(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null()
        && pod["status"]["conditions"]
            .as_array()
            .is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

fn is_broken(image: &str) -> bool {
    image.contains("does-not-exist") || image.contains("broken")
}

/// Brings a pod's status up to now; gives the time at which it will next change.
pub(super) fn settle(objects: &mut Objects<'_, '_>, pod: &Value, nodes: &[String]) -> Option<i64> {
    let now = objects.ctx.now;
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return finish(objects, pod, now);
    }
    let Some(node) = place(pod, nodes) else {
        let status = unschedulable(pod, nodes.len(), now);
        objects.put_if_changed(Kind::of("pods"), pod, |new| new["status"] = status);
        return None;
    };
    let placed = pod["_sim"]["placed_at"].as_i64().unwrap_or(now);
    let (status, next) = running(pod, &node, placed, now);
    objects.put_if_changed(Kind::of("pods"), pod, |new| {
        new["spec"]["nodeName"] = node.clone().into();
        new["_sim"]["placed_at"] = placed.into();
        new["status"] = status;
    });
    next
}

fn finish(objects: &mut Objects<'_, '_>, pod: &Value, now: i64) -> Option<i64> {
    let end = pod["_sim"]["deleted_at"].as_i64().unwrap_or(now) + 2 * SECOND;
    if end > now {
        return Some(end);
    }
    objects.remove(Kind::of("pods"), &space_of(pod), &name_of(pod));
    None
}

/// The node of a pod: the one it has, or one of those that there are.
fn place(pod: &Value, nodes: &[String]) -> Option<String> {
    if let Some(node) = pod["spec"]["nodeName"].as_str() {
        return Some(node.to_owned());
    }
    let place = usize::try_from(spread(&name_of(pod), u64::try_from(nodes.len()).ok()?)).ok()?;
    nodes.get(place).cloned()
}

fn condition(kind: &str, fine: bool, since: i64) -> Value {
    json!({"type": kind, "status": if fine { "True" } else { "False" }, "lastTransitionTime": rfc3339(since)})
}

fn unschedulable(pod: &Value, nodes: usize, now: i64) -> Value {
    if pod["status"]["conditions"].is_array() {
        return pod["status"].clone();
    }
    let mut scheduled = condition("PodScheduled", false, now);
    scheduled["reason"] = "Unschedulable".into();
    scheduled["message"] =
        format!("0/{nodes} nodes are available: no nodes available to schedule pods.").into();
    json!({"phase": "Pending", "qosClass": "BestEffort", "conditions": [scheduled]})
}

/// Status of a pod on a node, and when it changes next.
fn running(pod: &Value, node: &str, placed: i64, now: i64) -> (Value, Option<i64>) {
    let containers = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
    let delay = |c: &Value| c["readinessProbe"]["initialDelaySeconds"].as_i64().unwrap_or(0);
    let patience = containers.iter().map(delay).max().unwrap_or(0);
    let started = placed + 10 * SECOND;
    let ready_at = started + 5 * SECOND + patience * SECOND;
    let broken = containers.iter().any(|c| is_broken(c["image"].as_str().unwrap_or_default()));
    let ended_at = started + 20 * SECOND;
    let ends = pod["spec"]["restartPolicy"].as_str().is_some_and(|policy| policy != "Always");
    let ended = ends && !broken && now >= ended_at;
    let (up, ready) = (!broken && now >= started && !ended, !broken && now >= ready_at && !ended);
    let rows: Vec<Value> = containers.iter().map(|c| container(pod, c, placed, now, up, ready)).collect();
    let since = if ready { ready_at } else { placed };
    let address = spread(&name_of(pod), 60_000);
    let mut status = json!({
        "phase": if up { "Running" } else { "Pending" },
        "qosClass": "BestEffort",
        "startTime": rfc3339(placed),
        "hostIP": format!("172.31.{}.{}", spread(node, 90), spread(node, 250)),
        "conditions": [
            condition("PodScheduled", true, placed), condition("Initialized", true, placed),
            condition("ContainersReady", ready, since), condition("Ready", ready, since),
        ],
        "containerStatuses": rows,
    });
    if up {
        let ip = format!("172.31.{}.{}", address / 256, address % 256);
        status["podIPs"] = json!([{"ip": ip}]);
        status["podIP"] = ip.into();
    }
    if ended {
        let failed = containers.iter().any(|c| c["image"].as_str().unwrap_or_default().contains("failing"));
        status["phase"] = if failed { "Failed" } else { "Succeeded" }.into();
        return (status, None);
    }
    let mut steps =
        if broken { vec![placed + 3 * SECOND, placed + 13 * SECOND] } else { vec![started, ready_at] };
    steps.extend(ends.then_some(ended_at).filter(|_| !broken));
    (status, steps.into_iter().filter(|at| *at > now).min())
}

fn container(pod: &Value, container: &Value, placed: i64, now: i64, up: bool, ready: bool) -> Value {
    let image = container["image"].as_str().unwrap_or_default();
    let waiting = |reason: &str, message: String| json!({"waiting": {"reason": reason, "message": message}});
    let state = match (is_broken(image), now - placed) {
        (true, waited) if waited >= 13 * SECOND => {
            waiting("ImagePullBackOff", format!("Back-off pulling image \"{image}\""))
        }
        (true, waited) if waited >= 3 * SECOND => waiting(
            "ErrImagePull",
            format!("failed to pull and unpack image \"{image}\": failed to resolve reference: not found"),
        ),
        _ if up => json!({"running": {"startedAt": rfc3339(placed + 10 * SECOND)}}),
        _ => json!({"waiting": {"reason": "ContainerCreating"}}),
    };
    let name = &container["name"];
    let old =
        pod["status"]["containerStatuses"].as_array().into_iter().flatten().find(|c| c["name"] == *name);
    let id = old.and_then(|c| c["containerID"].as_str()).filter(|id| !id.is_empty());
    let id = id.map(str::to_owned).or_else(|| up.then(|| format!("containerd://{}", uuid())));
    json!({
        "name": name, "image": image, "imageID": "", "ready": ready, "started": up, "restartCount": 0,
        "state": state, "lastState": {}, "containerID": id.unwrap_or_default(),
    })
}
