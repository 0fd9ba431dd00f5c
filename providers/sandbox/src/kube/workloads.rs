//! Controllers of the workloads beside deployments: stateful sets, daemon sets, jobs; and of claims.

use super::api::{Objects, name_of, space_of};
use super::controllers::{condition, expire, is_deleting, owned};
use super::kinds::Kind;
use super::pods;
use crate::clock::rfc3339;
use crate::crypto::sha256_hex;
use serde_json::{Value, json};

const SECOND: i64 = 1000;
/// Label that says which template a pod was made from.
const REVISION: &str = "controller-revision-hash";
const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";

pub(super) fn round(objects: &mut Objects<'_, '_>, nodes: &[String], times: &mut Vec<Option<i64>>) {
    for set in objects.list(Kind::of("statefulsets"), None) {
        stateful_set(objects, &set);
    }
    for set in objects.list(Kind::of("daemonsets"), None) {
        daemon_set(objects, &set, nodes);
    }
    for job in objects.list(Kind::of("jobs"), None) {
        self::job(objects, &job);
    }
    for claim in objects.list(Kind::of("persistentvolumeclaims"), None) {
        times.push(self::claim(objects, &claim));
    }
}

fn count(object: &Value, pointer: &str, absent: i64) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(absent)
}

fn revision(owner: &Value) -> String {
    sha256_hex(owner["spec"]["template"].to_string().as_bytes())[..10].to_owned()
}

fn has_revision(pod: &Value, revision: &str) -> bool {
    pod["metadata"]["labels"][REVISION] == *revision
}

/// The pods of an owner that are not on their way out.
fn live(objects: &Objects<'_, '_>, owner: &Value) -> Vec<Value> {
    let mut pods = owned(objects, "pods", owner);
    pods.retain(|pod| !is_deleting(pod));
    pods
}

/// Makes a pod of a template, with more in its spec.
fn make_pod(objects: &mut Objects<'_, '_>, owner: &Value, kind: &str, name: Option<String>, extra: &Value) {
    let template = &owner["spec"]["template"];
    let mut meta = template["metadata"].clone();
    match name {
        Some(name) => meta["name"] = name.into(),
        None => meta["generateName"] = format!("{}-", name_of(owner)).into(),
    }
    meta["namespace"] = space_of(owner).into();
    meta["labels"][REVISION] = revision(owner).into();
    meta["ownerReferences"] = json!([pods::owner_reference(owner, kind)]);
    let mut spec = template["spec"].clone();
    for (member, value) in extra.as_object().into_iter().flatten() {
        spec[member] = value.clone();
    }
    objects.make(Kind::of("pods"), json!({"metadata": meta, "spec": spec, "_sim": {}}));
}

fn put_status(objects: &mut Objects<'_, '_>, kind: &str, object: &Value, status: Value) {
    let kind = Kind::of(kind);
    if let Some(current) = objects.get(kind, &space_of(object), &name_of(object)) {
        objects.put_if_changed(kind, &current, |new| new["status"] = status);
    }
}

/// Pods with ordinals: one after the other, unless told otherwise; a change goes from the last to the first.
fn stateful_set(objects: &mut Objects<'_, '_>, set: &Value) {
    if is_deleting(set) {
        return;
    }
    let wanted = count(set, "/spec/replicas", 1);
    let hash = revision(set);
    let at_once = set["spec"]["podManagementPolicy"] == "Parallel";
    let name = |ordinal: i64| format!("{}-{ordinal}", name_of(set));
    let pods = owned(objects, "pods", set);
    let find = |ordinal: i64| pods.iter().find(|p| name_of(p) == name(ordinal));
    for ordinal in 0..wanted {
        match find(ordinal) {
            None => {
                claims_of(objects, set, ordinal);
                make_pod(objects, set, "StatefulSet", Some(name(ordinal)), &json!({}));
            }
            Some(pod) if pods::is_ready(pod) || at_once => continue,
            Some(_) => {}
        }
        if !at_once {
            break;
        }
    }
    let inside = |pod: &Value| (0..wanted).any(|ordinal| name_of(pod) == name(ordinal));
    for pod in pods.iter().filter(|p| !inside(p) && !is_deleting(p)) {
        expire(objects, Kind::of("pods"), pod);
    }
    let rolling = set["spec"]["updateStrategy"]["type"] != "OnDelete";
    let partition = count(set, "/spec/updateStrategy/rollingUpdate/partition", 0);
    let all_ready = (0..wanted).all(|ordinal| find(ordinal).is_some_and(pods::is_ready));
    let stale = (partition..wanted).rev().find_map(|o| find(o).filter(|p| !has_revision(p, &hash)));
    if let Some(pod) = stale.filter(|_| rolling && all_ready) {
        expire(objects, Kind::of("pods"), pod);
    }
    report_stateful(objects, set, &hash, wanted);
}

fn report_stateful(objects: &mut Objects<'_, '_>, set: &Value, hash: &str, wanted: i64) {
    let pods = live(objects, set);
    let updated = pods.iter().filter(|p| has_revision(p, hash)).count();
    let ready = pods.iter().filter(|p| pods::is_ready(p)).count();
    let update = format!("{}-{hash}", name_of(set));
    let all_new = i64::try_from(updated.min(ready)).unwrap_or(0) >= wanted;
    let known = set["status"]["currentRevision"].as_str();
    let current = known.filter(|_| !all_new).unwrap_or(&update).to_owned();
    let status = json!({
        "observedGeneration": set["metadata"]["generation"], "replicas": pods.len(), "readyReplicas": ready,
        "availableReplicas": ready, "currentReplicas": updated, "updatedReplicas": updated,
        "currentRevision": current, "updateRevision": update, "collisionCount": 0,
    });
    put_status(objects, "statefulsets", set, status);
}

/// The claims of one pod; they outlive it.
fn claims_of(objects: &mut Objects<'_, '_>, set: &Value, ordinal: i64) {
    let kind = Kind::of("persistentvolumeclaims");
    for template in set["spec"]["volumeClaimTemplates"].as_array().cloned().unwrap_or_default() {
        let name = format!("{}-{}-{ordinal}", name_of(&template), name_of(set));
        if objects.get(kind, &space_of(set), &name).is_some() {
            continue;
        }
        let mut metadata = template["metadata"].clone();
        metadata["name"] = name.into();
        metadata["namespace"] = space_of(set).into();
        objects.make(kind, json!({"metadata": metadata, "spec": template["spec"]}));
    }
}

/// One pod on every node; of a change one node at a time.
fn daemon_set(objects: &mut Objects<'_, '_>, set: &Value, nodes: &[String]) {
    if is_deleting(set) {
        return;
    }
    let hash = revision(set);
    let pods = owned(objects, "pods", set);
    for node in nodes {
        if !pods.iter().any(|p| p["spec"]["nodeName"] == *node.as_str()) {
            make_pod(objects, set, "DaemonSet", None, &json!({"nodeName": node}));
        }
    }
    let rolling = set["spec"]["updateStrategy"]["type"] != "OnDelete";
    let pods = live(objects, set);
    let stale = pods.iter().find(|p| !has_revision(p, &hash));
    if let Some(pod) = stale.filter(|_| rolling && pods.iter().all(pods::is_ready)) {
        expire(objects, Kind::of("pods"), pod);
    }
    let updated = pods.iter().filter(|p| has_revision(p, &hash)).count();
    let ready = pods.iter().filter(|p| pods::is_ready(p)).count();
    let status = json!({
        "observedGeneration": set["metadata"]["generation"], "desiredNumberScheduled": nodes.len(),
        "currentNumberScheduled": pods.len(), "updatedNumberScheduled": updated, "numberReady": ready,
        "numberAvailable": ready, "numberMisscheduled": 0,
    });
    put_status(objects, "daemonsets", set, status);
}

fn phase(pod: &Value) -> &str {
    pod["status"]["phase"].as_str().unwrap_or_default()
}

/// Pods until enough have succeeded, or too many failed.
fn job(objects: &mut Objects<'_, '_>, job: &Value) {
    let over = ["Complete", "Failed"].iter().any(|kind| {
        let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().any(|c| c["type"] == **kind && c["status"] == "True")
    });
    if is_deleting(job) || over {
        return;
    }
    let now = objects.ctx.now;
    let pods = live(objects, job);
    let (succeeded, failed) = (
        pods.iter().filter(|p| phase(p) == "Succeeded").count(),
        pods.iter().filter(|p| phase(p) == "Failed").count(),
    );
    let active = pods.len() - succeeded - failed;
    let wanted = usize::try_from(count(job, "/spec/completions", 1)).unwrap_or(1);
    let limit = usize::try_from(count(job, "/spec/backoffLimit", 6)).unwrap_or(6);
    let at_once = usize::try_from(count(job, "/spec/parallelism", 1)).unwrap_or(1);
    let mut status = json!({
        "active": active, "succeeded": succeeded, "failed": failed,
        "startTime": job["status"]["startTime"].as_str().map_or_else(|| rfc3339(now), str::to_owned),
    });
    if succeeded >= wanted {
        status["completionTime"] = rfc3339(now).into();
        let text = "Reached expected number of succeeded pods";
        status["conditions"] = json!([condition(job, "Complete", "True", "CompletionsReached", text, now)]);
    } else if failed > limit {
        let text = "Job has reached the specified backoff limit";
        status["conditions"] = json!([condition(job, "Failed", "True", "BackoffLimitExceeded", text, now)]);
    } else if job["spec"]["suspend"] != true {
        for _ in active..at_once.min(wanted - succeeded) {
            make_pod(objects, job, "Job", None, &json!({}));
        }
    }
    put_status(objects, "jobs", job, status);
}

/// A claim gets its volume: at once, or with the first pod that uses it. It stays while a pod uses it.
fn claim(objects: &mut Objects<'_, '_>, claim: &Value) -> Option<i64> {
    let kind = Kind::of("persistentvolumeclaims");
    let name = name_of(claim);
    let pods = objects.list(Kind::of("pods"), Some(&space_of(claim)));
    let uses = |pod: &&Value| {
        let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
        volumes.into_iter().any(|v| v["persistentVolumeClaim"]["claimName"] == *name.as_str())
    };
    let is_used = pods.iter().any(|p| uses(&p));
    if is_deleting(claim) {
        if !is_used {
            super::controllers::drop_finalizer(objects, kind, claim, CLAIM_FINALIZER);
        }
        return None;
    }
    if claim["metadata"]["finalizers"].is_null() {
        objects.put_if_changed(kind, claim, |new| new["metadata"]["finalizers"] = json!([CLAIM_FINALIZER]));
        return None;
    }
    if claim["status"]["phase"] == "Bound" {
        return None;
    }
    let class = claim["spec"]["storageClassName"].as_str().unwrap_or_default();
    let class = objects.get(Kind::of("storageclasses"), "", class)?;
    if class["volumeBindingMode"] == "WaitForFirstConsumer" && !is_used {
        return None;
    }
    let now = objects.ctx.now;
    let Some(ready) = claim["_sim"]["ready_at"].as_i64() else {
        let ready = now + 5 * SECOND;
        objects.put_if_changed(kind, claim, |new| new["_sim"]["ready_at"] = ready.into());
        return Some(ready);
    };
    if now < ready {
        return Some(ready);
    }
    objects.put_if_changed(kind, claim, |new| {
        new["spec"]["volumeName"] =
            format!("pvc-{}", claim["metadata"]["uid"].as_str().unwrap_or_default()).into();
        new["status"] = json!({
            "phase": "Bound", "accessModes": claim["spec"]["accessModes"],
            "capacity": claim["spec"]["resources"]["requests"],
        });
    });
    None
}
