//! When an object works: rollouts, load balancers, namespaces, conditions.
//!
//! [`look`] is pure: it says of one reading of the object whether the goal is reached. What pods say for themselves
//! is read beside it ([`pods`]), so that a rollout that can't succeed is reported at once.

use crate::client::{Client, Target, text_at};
use crate::schema::Resource;
use kube::core::params::ListParams;
use serde_json::Value as Json;

/// What "done" means for an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The API took it.
    Stored,
    /// All replicas are updated and available.
    Rollout,
    /// A load balancer has an address.
    LoadBalancer,
    /// A namespace is active.
    Active,
    /// A job is done.
    Complete,
    /// A claim has its volume.
    Bound,
    /// The token of a service account is in its secret.
    Token,
    /// Conditions (type, status) and fields (path, wanted) of a manifest, and perhaps a rollout.
    Shows { conditions: Vec<(String, String)>, fields: Vec<(String, String)>, rollout: bool },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Done,
    /// What is waited for.
    Waiting(String),
    /// The end can't be reached without a change.
    Failed(String),
}

/// Judges one reading of an object.
pub(crate) fn look(goal: &Goal, live: &Json) -> Progress {
    match goal {
        Goal::Stored => Progress::Done,
        Goal::Rollout => rollout(live),
        Goal::LoadBalancer => load_balancer(live),
        Goal::Active => match text_at(live, "/status/phase") {
            "Active" => Progress::Done,
            phase => {
                Progress::Waiting(format!("namespace is {}", if phase.is_empty() { "new" } else { phase }))
            }
        },
        Goal::Complete => complete(live),
        Goal::Bound => match text_at(live, "/status/phase") {
            "Bound" => Progress::Done,
            "Lost" => Progress::Failed("the volume of the claim is lost".into()),
            _ => Progress::Waiting("a volume for the claim".into()),
        },
        Goal::Token if live.pointer("/data/token").is_some() => Progress::Done,
        Goal::Token => Progress::Waiting("the token of the service account".into()),
        Goal::Shows { conditions, fields, rollout: wanted } => {
            let first = if *wanted { rollout(live) } else { Progress::Done };
            if first == Progress::Done { shows(conditions, fields, live) } else { first }
        }
    }
}

fn count(object: &Json, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Json::as_i64).unwrap_or(0)
}

fn rollout(live: &Json) -> Progress {
    match text_at(live, "/kind") {
        "DaemonSet" => daemon_set(live),
        "StatefulSet" => stateful_set(live),
        _ => deployment(live),
    }
}

pub(crate) fn is_observed(live: &Json) -> bool {
    count(live, "/status/observedGeneration") >= count(live, "/metadata/generation")
}

fn deployment(live: &Json) -> Progress {
    if live["spec"]["paused"] == true {
        return Progress::Done;
    }
    if !is_observed(live) {
        return Progress::Waiting("the change to be taken up".into());
    }
    let wanted = live["spec"]["replicas"].as_i64().unwrap_or(1);
    let (updated, available) =
        (count(live, "/status/updatedReplicas"), count(live, "/status/availableReplicas"));
    let (all, ready) = (count(live, "/status/replicas"), count(live, "/status/readyReplicas"));
    if let Some(stuck) = condition(live, "Progressing").filter(|c| c["reason"] == "ProgressDeadlineExceeded")
    {
        return Progress::Failed(format!("ProgressDeadlineExceeded: {}", text_at(stuck, "/message")));
    }
    if updated < wanted {
        Progress::Waiting(format!("{updated} of {wanted} replicas updated"))
    } else if all > updated {
        Progress::Waiting(format!("{} old replicas to end", all - updated))
    } else if available < updated || ready < wanted {
        Progress::Waiting(format!("{available} of {wanted} replicas available"))
    } else {
        Progress::Done
    }
}

fn daemon_set(live: &Json) -> Progress {
    if !is_observed(live) {
        return Progress::Waiting("the change to be taken up".into());
    }
    let wanted = count(live, "/status/desiredNumberScheduled");
    let updated = count(live, "/status/updatedNumberScheduled");
    let available = count(live, "/status/numberAvailable");
    if updated < wanted || available < wanted {
        return Progress::Waiting(format!("{} of {wanted} pods available", available.min(updated)));
    }
    Progress::Done
}

fn stateful_set(live: &Json) -> Progress {
    if text_at(live, "/spec/updateStrategy/type") == "OnDelete" {
        return Progress::Done;
    }
    if !is_observed(live) {
        return Progress::Waiting("the change to be taken up".into());
    }
    let wanted = live["spec"]["replicas"].as_i64().unwrap_or(1);
    let partition = count(live, "/spec/updateStrategy/rollingUpdate/partition");
    let (updated, ready) = (count(live, "/status/updatedReplicas"), count(live, "/status/readyReplicas"));
    let revisions = (text_at(live, "/status/currentRevision"), text_at(live, "/status/updateRevision"));
    if ready < wanted || updated < wanted - partition || (partition == 0 && revisions.0 != revisions.1) {
        return Progress::Waiting(format!("{} of {wanted} replicas ready", ready.min(updated)));
    }
    Progress::Done
}

fn complete(live: &Json) -> Progress {
    let holds = |name: &str| condition(live, name).filter(|c| c["status"] == "True");
    if let Some(failed) = holds("Failed") {
        return Progress::Failed(format!(
            "{}{}",
            text_at(failed, "/reason"),
            after_colon(text_at(failed, "/message"))
        ));
    }
    if holds("Complete").is_some() || live["spec"]["suspend"] == true {
        return Progress::Done;
    }
    let wanted = live["spec"]["completions"].as_i64().unwrap_or(1);
    Progress::Waiting(format!("{} of {wanted} pods to succeed", count(live, "/status/succeeded")))
}

fn load_balancer(live: &Json) -> Progress {
    let ingress = live.pointer("/status/loadBalancer/ingress").and_then(Json::as_array);
    let named = |i: &Json| !text_at(i, "/hostname").is_empty() || !text_at(i, "/ip").is_empty();
    if ingress.is_some_and(|list| list.iter().any(named)) {
        Progress::Done
    } else {
        Progress::Waiting("an address of the load balancer".into())
    }
}

fn condition<'a>(live: &'a Json, wanted: &str) -> Option<&'a Json> {
    let all = live.pointer("/status/conditions").and_then(Json::as_array)?;
    all.iter().find(|c| c["type"] == wanted)
}

fn shows(conditions: &[(String, String)], fields: &[(String, String)], live: &Json) -> Progress {
    for (name, wanted) in conditions {
        let status = condition(live, name).map_or("absent", |c| text_at(c, "/status"));
        if status != wanted {
            return Progress::Waiting(format!("condition {name} = {wanted} (now {status})"));
        }
    }
    for (path, wanted) in fields {
        let value = live.pointer(&pointer(path)).filter(|v| !v.is_null());
        let text = value.map(|v| v.as_str().map_or_else(|| v.to_string(), Into::into));
        if !text.as_deref().is_some_and(|t| is_match(wanted, t)) {
            return Progress::Waiting(format!("field {path} = {wanted}"));
        }
    }
    Progress::Done
}

/// Whether a field's text is what is wanted: `*` is any, else a regular expression.
fn is_match(wanted: &str, text: &str) -> bool {
    wanted == "*" || wanted == text || regex::Regex::new(wanted).is_ok_and(|r| r.is_match(text))
}

/// Turns `status.containers[0].ready` into a JSON pointer.
fn pointer(path: &str) -> String {
    let parts = path.split(['.', '[', ']']).filter(|p| !p.is_empty());
    parts.map(|p| format!("/{}", p.trim_matches(['"', '\'']))).collect()
}

/// Reasons of a waiting container that no time heals.
const HOPELESS: &[&str] = &[
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
];

/// What a pod says of its trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) hopeless: bool,
    pub(crate) pod: String,
    pub(crate) container: Option<String>,
    pub(crate) text: String,
    /// Whether the container ran before, so that its last log says why it ended.
    pub(crate) crashed: bool,
}

/// Returns the trouble of a pod, if it has any.
pub(crate) fn trouble(pod: &Json) -> Option<Trouble> {
    let name = text_at(pod, "/metadata/name").to_string();
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let containers = statuses.iter().filter_map(|at| pod.pointer(at).and_then(Json::as_array)).flatten();
    let waiting = containers.filter_map(|c| {
        let reason = text_at(c, "/state/waiting/reason");
        let quiet = matches!(reason, "" | "ContainerCreating" | "PodInitializing");
        (!quiet).then_some((c, reason))
    });
    let worst = waiting.max_by_key(|(_, reason)| HOPELESS.contains(reason));
    if let Some((container, reason)) = worst {
        let message = text_at(container, "/state/waiting/message");
        let which = text_at(container, "/name").to_string();
        let text = format!("pod {name}, container {which}: {reason}{}", after_colon(message));
        let crashed = reason == "CrashLoopBackOff";
        return Some(Trouble {
            hopeless: HOPELESS.contains(&reason),
            pod: name,
            container: Some(which),
            text,
            crashed,
        });
    }
    let unplaced = condition(pod, "PodScheduled").filter(|c| c["status"] == "False")?;
    let text =
        format!("pod {name}: {}{}", text_at(unplaced, "/reason"), after_colon(text_at(unplaced, "/message")));
    Some(Trouble { hopeless: false, pod: name, container: None, text, crashed: false })
}

fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn core(kind: &str, plural: &str) -> Resource {
    Resource::new("", "v1", kind, plural, true)
}

/// Writes `matchLabels` and `matchExpressions` as a query.
fn selector_query(selector: &Json) -> String {
    let mut terms = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        terms.push(format!("{key}={}", value.as_str().unwrap_or_default()));
    }
    for condition in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = text_at(condition, "/key");
        let values: Vec<&str> =
            condition["values"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        terms.push(match text_at(condition, "/operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_string(),
        });
    }
    terms.join(",")
}

/// Looks what the pods of a workload's present generation say; the worst trouble of all. Pods that can't be read
/// are no trouble: the rollout's own state decides.
pub(crate) async fn pods(client: &Client, target: &Target, live: &Json) -> Option<Trouble> {
    let namespace = target.namespace.as_deref();
    let mut query = selector_query(&live["spec"]["selector"]);
    // Pods that may be of an older template are reported but not blamed.
    let mut present = true;
    if target.resource.kind == "Deployment" {
        match template_hash(client, target, live, &query).await {
            Some(hash) => query = format!("{query},pod-template-hash={hash}"),
            None => present = count(live, "/metadata/generation") <= 1,
        }
    }
    let params = ListParams::default().labels(&query);
    let pods = client.list(&core("Pod", "pods"), namespace, params).await.ok()?;
    let staying = pods.iter().filter(|p| !crate::client::is_terminating(p));
    let mut worst = staying.filter_map(trouble).max_by_key(|t| t.hopeless)?;
    worst.hopeless &= present;
    if worst.crashed
        && let Some(log) = last_log(client, namespace.unwrap_or_default(), &worst).await
    {
        worst.text = format!("{}; its last log lines:\n{log}", worst.text);
    }
    Some(worst)
}

/// The hash that the newest ReplicaSet of a deployment gives its pods: older pods may be in trouble unblamed.
async fn template_hash(client: &Client, target: &Target, live: &Json, query: &str) -> Option<String> {
    let revision = |o: &Json| {
        o["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str().map(String::from)
    };
    let sets = Resource::new("apps", "v1", "ReplicaSet", "replicasets", true);
    let params = ListParams::default().labels(query);
    let sets = client.list(&sets, target.namespace.as_deref(), params).await.ok()?;
    let wanted = revision(live)?;
    let newest = sets.iter().find(|s| revision(s).as_deref() == Some(&wanted))?;
    newest["metadata"]["labels"]["pod-template-hash"].as_str().map(Into::into)
}

async fn last_log(client: &Client, namespace: &str, trouble: &Trouble) -> Option<String> {
    let container = trouble.container.as_deref()?;
    let path = format!(
        "/api/v1/namespaces/{namespace}/pods/{}/log?container={container}&previous=true&tailLines=5",
        trouble.pod
    );
    let answer = client.read_path(&path, "GET pods/log").await.ok()?;
    let text = String::from_utf8_lossy(&answer.body).trim().to_string();
    (!text.is_empty()).then_some(text)
}

/// The last warning that the cluster recorded about an object.
pub(crate) async fn last_warning(client: &Client, target: &Target) -> Option<String> {
    let query = format!(
        "involvedObject.kind={},involvedObject.name={},type=Warning",
        target.resource.kind, target.name
    );
    let params = ListParams::default().fields(&query);
    let events = client.list(&core("Event", "events"), target.namespace.as_deref(), params).await.ok()?;
    let when = |e: &Json| text_at(e, "/lastTimestamp").to_string();
    let last = events.iter().max_by_key(|e| when(e))?;
    Some(format!("{}{}", text_at(last, "/reason"), after_colon(text_at(last, "/message"))))
}

/// What an object that is being deleted still waits for.
pub(crate) fn leaving(live: &Json) -> String {
    let list = |pointer: &str| {
        let names = live.pointer(pointer).and_then(Json::as_array).into_iter().flatten();
        names.filter_map(Json::as_str).map(String::from).collect::<Vec<_>>()
    };
    let finalizers = [list("/metadata/finalizers"), list("/spec/finalizers")].concat();
    let conditions = live.pointer("/status/conditions").and_then(Json::as_array).into_iter().flatten();
    let hang = conditions
        .filter(|c| c["status"] == "True" && text_at(c, "/type").starts_with("Namespace"))
        .map(|c| text_at(c, "/message").to_string());
    let mut parts: Vec<String> = hang.filter(|m| !m.is_empty()).collect();
    if !finalizers.is_empty() {
        parts.insert(0, format!("finalizers {}", finalizers.join(", ")));
    }
    if parts.is_empty() { "the deletion".into() } else { format!("the deletion: {}", parts.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(goal: &Goal, live: &Json, expected: &str) {
        let got = match look(goal, live) {
            Progress::Done => "done".to_string(),
            Progress::Waiting(what) => what,
            Progress::Failed(why) => format!("failed: {why}"),
        };
        assert_eq!(got, expected, "{live}");
    }

    fn workload(kind: &str, spec: &Json, status: &Json) -> Json {
        json!({"kind": kind, "metadata": {"generation": 2}, "spec": spec, "status": status})
    }

    #[test]
    fn rollouts_end_when_all_is_new_and_available() {
        let deployment = |spec: Json, status: Json, expected: &str| {
            check(&Goal::Rollout, &workload("Deployment", &spec, &status), expected);
        };
        let three = || json!({"replicas": 3});
        let status = |all: u8, updated: u8, ready: u8, available: u8| {
            json!({"observedGeneration": 2, "replicas": all, "updatedReplicas": updated, "readyReplicas": ready,
                "availableReplicas": available})
        };
        deployment(three(), json!({}), "the change to be taken up");
        deployment(
            three(),
            json!({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3,
            "availableReplicas": 3}),
            "the change to be taken up",
        );
        deployment(three(), status(3, 1, 3, 3), "1 of 3 replicas updated");
        deployment(three(), status(4, 3, 3, 3), "1 old replicas to end");
        deployment(three(), status(3, 3, 3, 2), "2 of 3 replicas available");
        deployment(three(), status(3, 3, 3, 3), "done");
        deployment(json!({}), status(1, 1, 1, 1), "done");
        deployment(json!({"replicas": 0}), status(0, 0, 0, 0), "done");
        deployment(json!({"paused": true}), json!({}), "done");
        let mut stuck = status(3, 1, 3, 3);
        stuck["conditions"] = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
            "message": "too slow"}]);
        deployment(three(), stuck, "failed: ProgressDeadlineExceeded: too slow");
    }

    #[test]
    fn other_workloads_have_their_own_tests() {
        let observed = |status: Json| {
            let mut status = status;
            status["observedGeneration"] = 2.into();
            status
        };
        for (kind, spec, status, expected) in [
            (
                "DaemonSet",
                json!({}),
                observed(json!({"desiredNumberScheduled": 2, "updatedNumberScheduled": 2,
                "numberAvailable": 1})),
                "1 of 2 pods available",
            ),
            ("DaemonSet", json!({}), observed(json!({"desiredNumberScheduled": 0})), "done"),
            ("DaemonSet", json!({}), json!({}), "the change to be taken up"),
            (
                "StatefulSet",
                json!({"replicas": 2}),
                observed(json!({"readyReplicas": 2, "updatedReplicas": 1,
                "currentRevision": "a", "updateRevision": "b"})),
                "1 of 2 replicas ready",
            ),
            (
                "StatefulSet",
                json!({"replicas": 2}),
                observed(json!({"readyReplicas": 2, "updatedReplicas": 2,
                "currentRevision": "b", "updateRevision": "b"})),
                "done",
            ),
            ("StatefulSet", json!({"updateStrategy": {"type": "OnDelete"}}), json!({}), "done"),
        ] {
            check(&Goal::Rollout, &workload(kind, &spec, &status), expected);
        }
    }

    #[test]
    fn balancers_namespaces_and_manifests_are_awaited() {
        let balancer = |ingress: Json| json!({"status": {"loadBalancer": {"ingress": ingress}}});
        check(&Goal::LoadBalancer, &balancer(json!([])), "an address of the load balancer");
        check(&Goal::LoadBalancer, &balancer(json!([{"hostname": "h"}])), "done");
        check(&Goal::LoadBalancer, &balancer(json!([{"ip": "1.2.3.4"}])), "done");
        check(&Goal::Active, &json!({"status": {"phase": "Terminating"}}), "namespace is Terminating");
        check(&Goal::Active, &json!({"status": {"phase": "Active"}}), "done");
        let pairs = |a: &str, b: &str| vec![(a.to_string(), b.to_string())];
        let shows = |conditions, fields| Goal::Shows { conditions, fields, rollout: false };
        let live = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}], "a": [{"b": 1}]}});
        check(&shows(pairs("Ready", "True"), vec![]), &live, "condition Ready = True (now False)");
        check(&shows(pairs("Ready", "False"), vec![]), &live, "done");
        check(&shows(vec![], pairs("status.a[0].b", "1")), &live, "done");
        check(&shows(vec![], pairs("status.a[0].b", "^[0-9]$")), &live, "done");
        check(&shows(vec![], pairs("status.a[0].b", "2")), &live, "field status.a[0].b = 2");
        check(&shows(vec![], pairs("status.c", "*")), &live, "field status.c = *");
    }

    #[test]
    fn pods_tell_their_trouble() {
        let waiting = |reason: &str| {
            json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [{"name": "c",
                "state": {"waiting": {"reason": reason, "message": "m"}}}]}})
        };
        for (pod, expected) in [
            (waiting("ContainerCreating"), None),
            (waiting("ErrImagePull"), Some((false, "pod p, container c: ErrImagePull: m"))),
            (waiting("ImagePullBackOff"), Some((true, "pod p, container c: ImagePullBackOff: m"))),
            (waiting("CrashLoopBackOff"), Some((true, "pod p, container c: CrashLoopBackOff: m"))),
            (
                json!({"metadata": {"name": "p"}, "status": {"conditions": [{"type": "PodScheduled", "status": "False",
                "reason": "Unschedulable", "message": "0/0 nodes"}]}}),
                Some((false, "pod p: Unschedulable: 0/0 nodes")),
            ),
            (json!({"metadata": {"name": "p"}, "status": {"phase": "Running"}}), None),
        ] {
            let found = trouble(&pod);
            assert_eq!(found.as_ref().map(|t| (t.hopeless, t.text.as_str())), expected);
        }
    }

    #[test]
    fn selectors_become_queries() {
        let selector = json!({"matchLabels": {"a": "b"}, "matchExpressions": [
            {"key": "c", "operator": "In", "values": ["d", "e"]}, {"key": "f", "operator": "Exists"},
            {"key": "g", "operator": "DoesNotExist"}, {"key": "h", "operator": "NotIn", "values": ["i"]}]});
        assert_eq!(selector_query(&selector), "a=b,c in (d,e),f,!g,h notin (i)");
    }
}
