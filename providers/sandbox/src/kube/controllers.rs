//! The cluster's controllers, derived from simulated time: deployments, pods, load balancers, garbage,
//! namespaces. They run after every write and whenever something falls due; between these nothing
//! could change.

use super::api::{Objects, name_of, space_of};
use super::kinds::{KINDS, Kind};
use super::pods;
use crate::clock::rfc3339;
use crate::core::Ctx;
use crate::crypto::{sha256_hex, spread};
use serde_json::{Value, json};

const SECOND: i64 = 1000;
const LB_FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

/// Brings a cluster's objects up to now, and notes when that is to be done next.
pub(crate) fn reconcile(ctx: &mut Ctx<'_>, uid: &str) {
    if ctx.world.get(&super::secret_key(uid)).is_none() {
        return;
    }
    let mut next = None;
    // Controllers feed on each other's work; a handful of rounds settles any chain of them.
    for _ in 0..12 {
        let before = super::watch::newest(ctx.world, uid);
        let removed = ctx.world.changes(&format!("kube/{uid}/")).filter(|(_, _, new)| new.is_none()).count();
        next = round(&mut Objects { ctx, uid });
        let after = ctx.world.changes(&format!("kube/{uid}/")).filter(|(_, _, new)| new.is_none()).count();
        if super::watch::newest(ctx.world, uid) == before && removed == after {
            break;
        }
    }
    if let Some(at) = next {
        wake(ctx, uid, at);
    }
}

/// One waking time a cluster is enough: at it, the next is found.
fn wake(ctx: &mut Ctx<'_>, uid: &str, at: i64) {
    let key = format!("counter/wake/{uid}");
    let known = ctx.world.get(&key).and_then(Value::as_i64);
    if known.is_none_or(|known| known <= ctx.now || known > at) {
        ctx.world.put(key, at.into());
        ctx.schedule(at, "kube", uid);
    }
}

fn round(objects: &mut Objects<'_, '_>) -> Option<i64> {
    let mut times: Vec<Option<i64>> = Vec::new();
    let nodes: Vec<String> = objects.list(Kind::of("nodes"), None).iter().map(name_of).collect();
    namespaces(objects, &mut times);
    collect_garbage(objects);
    for deployment in objects.list(Kind::of("deployments"), None) {
        times.push(settle_deployment(objects, &deployment));
    }
    for set in objects.list(Kind::of("replicasets"), None) {
        scale(objects, &set);
    }
    super::workloads::round(objects, &nodes, &mut times);
    for pod in objects.list(Kind::of("pods"), None) {
        let lost = pod["spec"]["nodeName"].as_str().is_some_and(|node| !nodes.iter().any(|n| n == node));
        if lost {
            objects.remove(Kind::of("pods"), &space_of(&pod), &name_of(&pod));
        } else {
            times.push(pods::settle(objects, &pod, &nodes));
        }
    }
    for service in objects.list(Kind::of("services"), None) {
        let wants = service["spec"]["type"] == "LoadBalancer";
        times.push(settle_balancer(objects, Kind::of("services"), &service, wants));
    }
    for ingress in objects.list(Kind::of("ingresses"), None) {
        times.push(settle_balancer(objects, Kind::of("ingresses"), &ingress, true));
    }
    times.into_iter().flatten().min()
}

pub(super) fn is_deleting(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// Every namespace has its account and CA bundle; one being deleted loses its content, then itself.
fn namespaces(objects: &mut Objects<'_, '_>, times: &mut Vec<Option<i64>>) {
    for space in objects.list(Kind::of("namespaces"), None) {
        let name = name_of(&space);
        if is_deleting(&space) {
            times.push(empty_namespace(objects, &space, &name));
            continue;
        }
        if objects.get(Kind::of("serviceaccounts"), &name, "default").is_none() {
            let account = json!({"metadata": {"name": "default", "namespace": name}});
            objects.make(Kind::of("serviceaccounts"), account);
        }
        if objects.get(Kind::of("configmaps"), &name, "kube-root-ca.crt").is_none() {
            let ca = objects.ctx.world.get(&super::secret_key(objects.uid)).map(|s| s["ca"].clone());
            let bundle =
                json!({"metadata": {"name": "kube-root-ca.crt", "namespace": name}, "data": {"ca.crt": ca}});
            objects.make(Kind::of("configmaps"), bundle);
        }
    }
}

fn empty_namespace(objects: &mut Objects<'_, '_>, space: &Value, name: &str) -> Option<i64> {
    let mut left = 0;
    for kind in KINDS.iter().filter(|k| k.namespaced) {
        for object in objects.list(*kind, Some(name)) {
            left += usize::from(!expire(objects, *kind, &object));
        }
    }
    let earliest = space["_sim"]["deleted_at"].as_i64().unwrap_or(0) + 5 * SECOND;
    if left == 0 && earliest <= objects.ctx.now {
        objects.remove(Kind::of("namespaces"), "", name);
        return None;
    }
    Some(earliest).filter(|at| *at > objects.ctx.now)
}

/// Deletes an object as its owner's end does; true when it is gone at once.
pub(super) fn expire(objects: &mut Objects<'_, '_>, kind: Kind, object: &Value) -> bool {
    let held = object["metadata"]["finalizers"].as_array().is_some_and(|f| !f.is_empty());
    if !held && kind.resource != "pods" {
        objects.remove(kind, &space_of(object), &name_of(object));
        return true;
    }
    if !is_deleting(object) {
        let now = objects.ctx.now;
        objects.put_if_changed(kind, object, |new| {
            new["metadata"]["deletionTimestamp"] = rfc3339(now).into();
            new["_sim"]["deleted_at"] = now.into();
        });
    }
    false
}

/// Kinds that own others.
const OWNERS: &[(&str, &str)] = &[
    ("deployments", "Deployment"),
    ("replicasets", "ReplicaSet"),
    ("statefulsets", "StatefulSet"),
    ("daemonsets", "DaemonSet"),
    ("jobs", "Job"),
];

/// Objects whose owner is gone, or waits for them to go, go too.
fn collect_garbage(objects: &mut Objects<'_, '_>) {
    let kinds = OWNERS.iter().map(|(resource, _)| Kind::of(resource)).chain([Kind::of("pods")]);
    let all: Vec<(Kind, Value)> =
        kinds.flat_map(|k| objects.list(k, None).into_iter().map(move |o| (k, o))).collect();
    for (kind, object) in &all {
        let owners = object["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
        let dead =
            |reference: &Value| match all.iter().find(|(_, o)| o["metadata"]["uid"] == reference["uid"]) {
                Some((_, owner)) => is_deleting(owner),
                None => OWNERS.iter().any(|(_, kind)| reference["kind"] == *kind),
            };
        if !owners.is_empty() && owners.iter().all(dead) && !(is_deleting(object) && kind.resource == "pods")
        {
            expire(objects, *kind, object);
        }
    }
    for (kind, owner) in all.iter().filter(|(_, o)| is_deleting(o)) {
        let uid = &owner["metadata"]["uid"];
        let owned = all.iter().any(|(k, o)| {
            let refers =
                o["metadata"]["ownerReferences"].as_array().into_iter().flatten().any(|r| r["uid"] == *uid);
            refers && objects.get(*k, &space_of(o), &name_of(o)).is_some()
        });
        if !owned {
            drop_finalizer(objects, *kind, owner, "foregroundDeletion");
        }
    }
}

/// Takes a finalizer off; the last one of an object being deleted takes the object along.
pub(super) fn drop_finalizer(objects: &mut Objects<'_, '_>, kind: Kind, object: &Value, finalizer: &str) {
    let mut kept = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let had = kept.len();
    kept.retain(|f| f != finalizer);
    if kept.len() == had {
        return;
    }
    if kept.is_empty() && is_deleting(object) {
        objects.remove(kind, &space_of(object), &name_of(object));
        return;
    }
    objects.put_if_changed(kind, object, |new| new["metadata"]["finalizers"] = kept.into());
}

/// Leaves what an object owned to itself.
pub(super) fn orphan(objects: &mut Objects<'_, '_>, owner: &Value) {
    for kind in ["replicasets", "pods"].map(Kind::of) {
        for object in objects.list(kind, Some(&space_of(owner))) {
            let refers = |r: &Value| r["uid"] == owner["metadata"]["uid"];
            objects.put_if_changed(kind, &object, |new| {
                if let Some(references) = new["metadata"]["ownerReferences"].as_array_mut() {
                    references.retain(|r| !refers(r));
                }
            });
        }
    }
}

pub(super) fn owned(objects: &Objects<'_, '_>, kind: &str, owner: &Value) -> Vec<Value> {
    let uid = &owner["metadata"]["uid"];
    let mut all = objects.list(Kind::of(kind), Some(&space_of(owner)));
    all.retain(|o| {
        o["metadata"]["ownerReferences"].as_array().into_iter().flatten().any(|r| r["uid"] == *uid)
    });
    all
}

/// Makes a replica set's pods as many as it wants, and its status what they are.
fn scale(objects: &mut Objects<'_, '_>, set: &Value) {
    if is_deleting(set) {
        return;
    }
    let wanted = usize::try_from(set["spec"]["replicas"].as_u64().unwrap_or(0)).unwrap_or(0);
    let mut live = owned(objects, "pods", set);
    live.retain(|pod| !is_deleting(pod));
    for _ in live.len()..wanted {
        pods::of_replica_set(objects, set);
    }
    // Pods that aren't ready go first.
    live.sort_by_key(pods::is_ready);
    for pod in live.iter().take(live.len().saturating_sub(wanted)) {
        expire(objects, Kind::of("pods"), pod);
    }
    let kept = live.len().min(wanted);
    let ready = live.iter().rev().take(kept).filter(|p| pods::is_ready(p)).count();
    let status = json!({
        "replicas": wanted, "fullyLabeledReplicas": wanted, "readyReplicas": ready, "availableReplicas": ready,
        "observedGeneration": set["metadata"]["generation"],
    });
    let current = objects.get(Kind::of("replicasets"), &space_of(set), &name_of(set));
    if let Some(current) = current {
        objects.put_if_changed(Kind::of("replicasets"), &current, |new| new["status"] = status);
    }
}

/// What a deployment's replica sets have by now.
struct Rollout {
    wanted: i64,
    new: Value,
    old: Vec<Value>,
}

fn number(set: &Value, section: &str, member: &str) -> i64 {
    set[section][member].as_i64().unwrap_or(0)
}

fn settle_deployment(objects: &mut Objects<'_, '_>, deployment: &Value) -> Option<i64> {
    if is_deleting(deployment) {
        return None;
    }
    let template = &deployment["spec"]["template"];
    let hash = sha256_hex(template.to_string().as_bytes())[..10].to_owned();
    let name = format!("{}-{hash}", name_of(deployment));
    let space = space_of(deployment);
    let sets = Kind::of("replicasets");
    if objects.get(sets, &space, &name).is_none() {
        let revision = revision(objects, deployment) + 1;
        objects.make(sets, replica_set(deployment, &name, &hash, revision));
    }
    let (new, old): (Vec<Value>, Vec<Value>) =
        owned(objects, "replicasets", deployment).into_iter().partition(|set| name_of(set) == name);
    let new = new.into_iter().next()?;
    let rollout = Rollout { wanted: number(deployment, "spec", "replicas"), new, old };
    if deployment["spec"]["paused"] != true {
        step(objects, deployment, &rollout);
    }
    prune(objects, deployment, &rollout);
    report(objects, deployment, &rollout)
}

/// The highest revision among a deployment's sets; going back to an old template makes it the newest.
fn revision(objects: &Objects<'_, '_>, deployment: &Value) -> u64 {
    let number = |set: &Value| {
        set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str()?.parse().ok()
    };
    owned(objects, "replicasets", deployment).iter().filter_map(number).max().unwrap_or(0)
}

fn replica_set(deployment: &Value, name: &str, hash: &str, revision: u64) -> Value {
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"]["pod-template-hash"] = hash.into();
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"]["pod-template-hash"] = hash.into();
    json!({
        "metadata": {
            "name": name, "namespace": space_of(deployment), "labels": template["metadata"]["labels"],
            "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "ownerReferences": [pods::owner_reference(deployment, "Deployment")],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
    })
}

/// `25%` of a number, or a plain number.
fn portion(value: &Value, of: i64, up: bool) -> i64 {
    let part = value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|p| p.parse::<i64>().ok());
    match part {
        Some(part) if up => (of * part + 99) / 100,
        Some(part) => of * part / 100,
        None => value.as_i64().unwrap_or(0),
    }
}

/// Moves replicas from the old sets to the new one as far as the strategy allows now.
fn step(objects: &mut Objects<'_, '_>, deployment: &Value, rollout: &Rollout) {
    let wanted = rollout.wanted;
    let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
    let old_total: i64 = rollout.old.iter().map(|set| number(set, "spec", "replicas")).sum();
    if deployment["spec"]["strategy"]["type"] == "Recreate" {
        rollout.old.iter().for_each(|set| set_replicas(objects, set, 0));
        let pods_left = rollout.old.iter().any(|set| !owned(objects, "pods", set).is_empty());
        if !pods_left {
            set_replicas(objects, &rollout.new, wanted);
        }
        return;
    }
    let surge = portion(&rolling["maxSurge"], wanted, true);
    let mut missing = portion(&rolling["maxUnavailable"], wanted, false);
    if surge == 0 && missing == 0 {
        missing = 1;
    }
    let new_count = number(&rollout.new, "spec", "replicas");
    let room = (wanted + surge - old_total).max(0);
    set_replicas(
        objects,
        &rollout.new,
        if new_count > wanted { wanted } else { wanted.min(room.max(new_count)) },
    );
    let ready = |set: &Value| number(set, "status", "readyReplicas");
    let available: i64 = ready(&rollout.new) + rollout.old.iter().map(ready).sum::<i64>();
    let mut spare = (available - (wanted - missing)).max(0);
    for set in &rollout.old {
        let (count, good) =
            (number(set, "spec", "replicas"), ready(set).min(number(set, "spec", "replicas")));
        // What never got ready serves nobody and may go at once.
        let drop = spare.min(good);
        spare -= drop;
        set_replicas(objects, set, (good - drop).min(count));
    }
}

fn set_replicas(objects: &mut Objects<'_, '_>, set: &Value, count: i64) {
    objects.put_if_changed(Kind::of("replicasets"), set, |new| new["spec"]["replicas"] = count.into());
}

/// Old sets beyond the history limit go.
fn prune(objects: &mut Objects<'_, '_>, deployment: &Value, rollout: &Rollout) {
    let limit =
        usize::try_from(deployment["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(10)).unwrap_or(10);
    let mut empty: Vec<&Value> = rollout
        .old
        .iter()
        .filter(|set| number(set, "spec", "replicas") == 0 && number(set, "status", "replicas") == 0)
        .collect();
    empty.sort_by_key(|set| set["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned());
    for set in empty.iter().take(empty.len().saturating_sub(limit)) {
        objects.remove(Kind::of("replicasets"), &space_of(set), &name_of(set));
    }
}

/// Writes a deployment's status; gives the time of its progress deadline while it is under way.
fn report(objects: &mut Objects<'_, '_>, deployment: &Value, rollout: &Rollout) -> Option<i64> {
    let now = objects.ctx.now;
    let current = |set: &Value| {
        objects.get(Kind::of("replicasets"), &space_of(set), &name_of(set)).unwrap_or_else(|| set.clone())
    };
    let new = current(&rollout.new);
    let old: Vec<Value> = rollout.old.iter().map(current).collect();
    let sum = |member: &str| old.iter().map(|s| number(s, "status", member)).sum::<i64>();
    let updated = number(&new, "status", "replicas");
    let (total, ready) =
        (updated + sum("replicas"), number(&new, "status", "readyReplicas") + sum("readyReplicas"));
    let missing =
        portion(&deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], rollout.wanted, false);
    let new_ready = number(&new, "status", "readyReplicas");
    let done = updated == rollout.wanted && total == updated && new_ready == rollout.wanted;
    // Progress is anything that moves these numbers, or a new generation.
    let mark = json!([deployment["metadata"]["generation"], updated, total, ready]);
    let moved = deployment["_sim"]["mark"] != mark;
    let since = if moved { now } else { deployment["_sim"]["moved_at"].as_i64().unwrap_or(now) };
    let deadline = since + number(deployment, "spec", "progressDeadlineSeconds") * SECOND;
    let late = !done && now >= deadline;
    let available = ready >= rollout.wanted - missing;
    let progress = match (done, late) {
        (true, _) => ("True", "NewReplicaSetAvailable", "has successfully progressed."),
        (_, true) => ("False", "ProgressDeadlineExceeded", "has timed out progressing."),
        _ => ("True", "ReplicaSetUpdated", "is progressing."),
    };
    let text = format!("ReplicaSet \"{}\" {}", name_of(&new), progress.2);
    let availability = if available {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    let conditions = json!([
        condition(deployment, "Available", availability.0, availability.1, availability.2, now),
        condition(deployment, "Progressing", progress.0, progress.1, &text, now),
    ]);
    let mut status =
        json!({"observedGeneration": deployment["metadata"]["generation"], "conditions": conditions});
    let counts = [
        ("replicas", total),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", ready),
        ("unavailableReplicas", (total.max(rollout.wanted) - ready).max(0)),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        status[name] = count.into();
    }
    let revision = new["metadata"]["annotations"]["deployment.kubernetes.io/revision"].clone();
    objects.put_if_changed(Kind::of("deployments"), deployment, |object| {
        object["status"] = status;
        object["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = revision;
        object["_sim"] = json!({"mark": mark, "moved_at": since});
    });
    (!done && !late).then_some(deadline)
}

/// A condition whose times move only when it does.
pub(super) fn condition(
    object: &Value,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: i64,
) -> Value {
    let old = object["status"]["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == kind);
    let same =
        |names: &[(&str, &str)]| old.filter(|old| names.iter().all(|(name, value)| old[*name] == *value));
    let time = rfc3339(now);
    let kept = |old: Option<&Value>, member: &str| {
        old.and_then(|o| o[member].as_str()).map_or_else(|| time.clone(), str::to_owned)
    };
    let turned = same(&[("status", status)]);
    let updated = same(&[("status", status), ("reason", reason), ("message", message)]);
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": kept(turned, "lastTransitionTime"), "lastUpdateTime": kept(updated, "lastUpdateTime"),
    })
}

/// The load balancer of a service or ingress: ordered, there after a minute or so, taken down before the object goes.
fn settle_balancer(objects: &mut Objects<'_, '_>, kind: Kind, object: &Value, wants: bool) -> Option<i64> {
    let now = objects.ctx.now;
    let wants = wants && !is_deleting(object);
    let finalizers = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let held = finalizers.iter().any(|f| f == LB_FINALIZER);
    match (wants, held) {
        (false, false) => None,
        (true, false) => {
            let ready = now + 60 * SECOND + i64::try_from(spread(&name_of(object), 30)).unwrap_or(0) * SECOND;
            objects.put_if_changed(kind, object, |new| {
                let mut all = finalizers.clone();
                all.push(LB_FINALIZER.into());
                new["metadata"]["finalizers"] = all.into();
                new["_sim"]["ready_at"] = ready.into();
                new["status"]["loadBalancer"] = json!({});
            });
            Some(ready)
        }
        (true, true) => {
            let ready = object["_sim"]["ready_at"].as_i64().unwrap_or(now);
            if now < ready {
                return Some(ready);
            }
            let host = raise(objects, object);
            objects.put_if_changed(kind, object, |new| {
                new["status"]["loadBalancer"] = json!({"ingress": [{"hostname": host}]});
            });
            None
        }
        (false, true) => take_down(objects, kind, object, now),
    }
}

fn take_down(objects: &mut Objects<'_, '_>, kind: Kind, object: &Value, now: i64) -> Option<i64> {
    let Some(end) = object["_sim"]["down_at"].as_i64() else {
        let end = now + 15 * SECOND;
        objects.put_if_changed(kind, object, |new| new["_sim"]["down_at"] = end.into());
        return Some(end);
    };
    if now < end {
        return Some(end);
    }
    if let Some((key, _)) = balancer(objects, object) {
        objects.ctx.world.remove(&key);
    }
    objects.put_if_changed(kind, object, |new| {
        new["_sim"] = json!({});
        new["status"]["loadBalancer"] = json!({});
    });
    let current = objects.get(kind, &space_of(object), &name_of(object));
    if let Some(current) = current {
        drop_finalizer(objects, kind, &current, LB_FINALIZER);
    }
    None
}

/// The key and address of a service's load balancer in the cloud.
fn balancer(objects: &Objects<'_, '_>, service: &Value) -> Option<(String, String)> {
    let cluster = objects.ctx.world.get(&super::secret_key(objects.uid))?["cluster"].as_str()?.to_owned();
    let parts: Vec<&str> = cluster.split('/').collect();
    let (account, region) = (*parts.get(1)?, *parts.get(2)?);
    let uid: String = service["metadata"]["uid"].as_str()?.chars().filter(|c| *c != '-').collect();
    let name = format!("a{}", &uid[..uid.len().min(31)]);
    let host = format!("{name}-{}.{region}.elb.amazonaws.com", 1_000_000_000 + spread(&uid, 1_000_000_000));
    Some((format!("elb/{account}/{region}/{name}"), host))
}

fn raise(objects: &mut Objects<'_, '_>, service: &Value) -> String {
    let Some((key, host)) = balancer(objects, service) else { return String::new() };
    if objects.ctx.world.get(&key).is_none() {
        let cluster = objects.ctx.world.get(&super::secret_key(objects.uid)).map(|s| s["cluster"].clone());
        let balancer = json!({
            "dnsName": host, "cluster": cluster, "service": format!("{}/{}", space_of(service), name_of(service)),
            "createdAt": rfc3339(objects.ctx.now),
        });
        objects.ctx.world.put(key, balancer);
    }
    host
}
