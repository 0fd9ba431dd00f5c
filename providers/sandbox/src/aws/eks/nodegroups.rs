//! Managed node groups: `eks/SCOPE/nodegroup/CLUSTER/NAME`, and the nodes that they bring to a cluster.

use super::updates::{Change, minor, repeated as repeated_update, start};
use super::{
    Answer, Call, MINUTE, check_name, check_role, find as find_cluster, in_use, invalid, names, pick,
    repeated, seconds, strings, zones,
};
use crate::aws::{ApiError, iam, text};
use crate::core::Ctx;
use crate::crypto::{random_hex, spread};
use crate::kube;
use serde_json::{Map, Value, json};

const NODE_POLICIES: &[&[&str]] = &[
    &["AmazonEKSWorkerNodePolicy", "AmazonEKSWorkerNodeMinimalPolicy"],
    &["AmazonEKS_CNI_Policy"],
    &[
        "AmazonEC2ContainerRegistryReadOnly",
        "AmazonEC2ContainerRegistryPullOnly",
        "AmazonEC2ContainerRegistryPowerUser",
        "AmazonEC2ContainerRegistryFullAccess",
    ],
];

fn key(call: &Call<'_>, name: &str) -> String {
    format!("eks/{}/nodegroup/{}/{name}", call.scope, call.cluster())
}

fn find(ctx: &Ctx<'_>, call: &Call<'_>) -> Result<(String, Value), ApiError> {
    find_cluster(ctx, call)?;
    let name = call.segments.get(3).map_or("", String::as_str);
    let key = key(call, name);
    let found = ctx.world.get(&key).cloned().map(|group| (key, group));
    found.ok_or_else(|| {
        ApiError::new(404, "ResourceNotFoundException", format!("No node group found for name: {name}."))
            .with("clusterName", call.cluster())
            .with("nodegroupName", name)
    })
}

pub(super) fn create(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let cluster = find_cluster(ctx, call)?;
    let name = call.body["nodegroupName"].as_str().ok_or_else(|| invalid("nodegroupName is required"))?;
    check_name("nodegroup", name)?;
    let key = key(call, name);
    if let Some(existing) = ctx.world.get(&key) {
        if repeated(existing, &call.body) {
            return Ok(json!({ "nodegroup": existing["api"] }));
        }
        let text = format!("NodeGroup already exists with name {name} and cluster name {}", call.cluster());
        return Err(in_use(text).with("clusterName", call.cluster()).with("nodegroupName", name));
    }
    let status = text(&cluster["api"], "status");
    if status != "ACTIVE" && status != "UPDATING" {
        let text = format!("Cluster '{}' is not in ACTIVE status", call.cluster());
        return Err(ApiError::new(400, "InvalidRequestException", text));
    }
    let role = call.body["nodeRole"].as_str().unwrap_or_default();
    check_role(ctx, role, "ec2.amazonaws.com")?;
    let subnets = strings(&call.body["subnets"]);
    if subnets.is_empty() {
        return Err(invalid("Subnets cannot be empty"));
    }
    zones(ctx, call, &subnets)?;
    let id = random_hex(8);
    let api = shape(ctx, call, &cluster, name, &id)?;
    let group = json!({
        "api": api, "uid": cluster["uid"], "id": id, "token": call.body["clientRequestToken"],
        "body": call.body,
    });
    ctx.world.put(key.clone(), group);
    let takes = if missing_policy(ctx, role).is_some() { 20 * MINUTE } else { 2 * MINUTE };
    let wobble = i64::try_from(spread(&format!("{key}/{}", ctx.now), 90)).unwrap_or(0) * 1000;
    ctx.schedule(ctx.now + takes + wobble, "eks.nodegroup", &key);
    Ok(json!({ "nodegroup": api }))
}

fn missing_policy(ctx: &Ctx<'_>, role: &str) -> Option<&'static str> {
    let Some(role) = iam::seen_role(ctx, role) else { return Some("AmazonEKSWorkerNodePolicy") };
    let lacks = |any: &&&[&'static str]| !any.iter().any(|policy| iam::carries(&role, policy));
    NODE_POLICIES.iter().find(lacks).map(|any| any[0])
}

fn shape(ctx: &Ctx<'_>, call: &Call<'_>, cluster: &Value, name: &str, id: &str) -> Answer {
    let (body, version) = (&call.body, text(&cluster["api"], "version"));
    let version = body["version"].as_str().unwrap_or(&version).to_owned();
    if minor(&version).is_none() || minor(&version) > minor(&text(&cluster["api"], "version")) {
        return Err(invalid(format!("Requested Nodegroup version {version} is not valid for the cluster")));
    }
    let scaling = scaling(&json!({"minSize": 1, "maxSize": 2, "desiredSize": 2}), &body["scalingConfig"])?;
    let uuid = crate::crypto::uuid();
    let template = body.get("launchTemplate").filter(|v| !v.is_null());
    let mut api = json!({
        "nodegroupName": name,
        "nodegroupArn": call.arn(&format!("nodegroup/{}/{name}/{uuid}", call.cluster())),
        "clusterName": call.cluster(),
        "version": version,
        "releaseVersion": pick(body, "releaseVersion", release(&version)),
        "createdAt": seconds(ctx.now),
        "modifiedAt": seconds(ctx.now),
        "status": "CREATING",
        "capacityType": pick(body, "capacityType", "ON_DEMAND"),
        "scalingConfig": scaling,
        "subnets": body["subnets"],
        "amiType": pick(body, "amiType", "AL2023_x86_64_STANDARD"),
        "nodeRole": body["nodeRole"],
        "labels": pick(body, "labels", json!({})),
        "taints": pick(body, "taints", json!([])),
        "resources": {"autoScalingGroups": [{"name": format!("eks-{name}-{id}")}]},
        "health": {"issues": []},
        "updateConfig": pick(body, "updateConfig", json!({"maxUnavailable": 1})),
        "tags": pick(body, "tags", json!({})),
    });
    if template.is_none() {
        api["instanceTypes"] = pick(body, "instanceTypes", json!(["t3.medium"]));
        api["diskSize"] = pick(body, "diskSize", 20);
    }
    for name in ["launchTemplate", "remoteAccess", "nodeRepairConfig", "instanceTypes"] {
        if let Some(value) = body.get(name).filter(|v| !v.is_null()) {
            api[name] = value.clone();
        }
    }
    Ok(api)
}

fn release(version: &str) -> String {
    format!("{version}.0-20251120")
}

fn scaling(before: &Value, change: &Value) -> Answer {
    let number = |name: &str| change[name].as_i64().or_else(|| before[name].as_i64()).unwrap_or(0);
    let (min, max, desired) = (number("minSize"), number("maxSize"), number("desiredSize"));
    if min > desired {
        return Err(invalid(format!("Minimum capacity {min} can't be greater than desired size {desired}")));
    }
    if desired > max {
        return Err(invalid(format!("desired capacity {desired} can't be greater than max size {max}")));
    }
    if max < 1 || min < 0 || max > 450 {
        return Err(invalid(format!("Invalid scaling config: sizes {min} to {max}")));
    }
    Ok(json!({"minSize": min, "maxSize": max, "desiredSize": desired}))
}

/// A node group's time has come: it has joined, or could not, or is gone.
pub(crate) fn nodegroup_due(ctx: &mut Ctx<'_>, key: &str) {
    let Some(group) = ctx.world.get(key).cloned() else { return };
    if group["api"]["status"] == "DELETING" {
        ctx.world.remove(key);
        return;
    }
    let role = text(&group["api"], "nodeRole");
    let issue = missing_policy(ctx, &role).map(|policy| {
        json!([{
            "code": "NodeCreationFailure",
            "message": format!("Instances failed to join the kubernetes cluster: {role} lacks {policy}"),
            "resourceIds": [format!("i-{}", random_hex(17))],
        }])
    });
    let now = ctx.now;
    ctx.world.edit(key, |group| {
        let failed = issue.is_some();
        group["api"]["status"] = if failed { "CREATE_FAILED" } else { "ACTIVE" }.into();
        group["api"]["modifiedAt"] = seconds(now);
        if let Some(issue) = issue {
            group["api"]["health"]["issues"] = issue;
        }
    });
    sync_nodes(ctx, key);
}

/// Makes the cluster's nodes of a group what the group says.
pub(super) fn sync_nodes(ctx: &mut Ctx<'_>, key: &str) {
    let Some(group) = ctx.world.get(key).cloned() else { return };
    let api = &group["api"];
    let count = match api["status"].as_str() {
        Some("ACTIVE" | "UPDATING") => api["scalingConfig"]["desiredSize"].as_u64().unwrap_or(0),
        _ => 0,
    };
    let region = key.split('/').nth(2).unwrap_or_default();
    let mut labels = api["labels"].as_object().cloned().unwrap_or_default();
    labels.insert("eks.amazonaws.com/nodegroup".into(), api["nodegroupName"].clone());
    labels.insert("eks.amazonaws.com/capacityType".into(), api["capacityType"].clone());
    labels.insert("topology.kubernetes.io/region".into(), region.into());
    let kubelet = format!("v{}.0-eks", text(api, "version"));
    kube::sync_nodes(ctx, &text(&group, "uid"), &text(&group, "id"), count, &labels, &kubelet);
}

pub(super) fn list(ctx: &Ctx<'_>, call: &Call<'_>) -> Answer {
    find_cluster(ctx, call)?;
    let all = format!("eks/{}/nodegroup/{}/", call.scope, call.cluster());
    Ok(names(ctx, call, "nodegroups", &all))
}

pub(super) fn describe(ctx: &Ctx<'_>, call: &Call<'_>) -> Answer {
    find(ctx, call).map(|(_, group)| json!({ "nodegroup": group["api"] }))
}

pub(super) fn delete(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let (key, group) = find(ctx, call)?;
    match text(&group["api"], "status").as_str() {
        "DELETING" => return Ok(json!({ "nodegroup": group["api"] })),
        "CREATING" | "UPDATING" => {
            let text = format!("Nodegroup {} has an operation in progress", group["api"]["nodegroupName"]);
            return Err(in_use(text));
        }
        _ => {}
    }
    ctx.world.edit(&key, |group| group["api"]["status"] = "DELETING".into());
    sync_nodes(ctx, &key);
    ctx.schedule(ctx.now + 4 * MINUTE, "eks.nodegroup", &key);
    describe(ctx, call)
}

fn active(ctx: &Ctx<'_>, call: &Call<'_>) -> Result<(String, Value), ApiError> {
    let (key, group) = find(ctx, call)?;
    match text(&group["api"], "status").as_str() {
        "ACTIVE" | "DEGRADED" => Ok((key, group)),
        "CREATE_FAILED" => {
            Err(ApiError::new(400, "InvalidRequestException", "Nodegroup is in CREATE_FAILED status"))
        }
        status => Err(in_use(format!(
            "Nodegroup cannot be updated as it is currently not in Active State: {status}, an operation is in progress"
        ))),
    }
}

pub(super) fn update_config(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    if let Some(answer) = repeated_update(ctx, call) {
        return Ok(answer);
    }
    let (key, group) = active(ctx, call)?;
    let (api, body) = (&group["api"], &call.body);
    let mut patch = json!({});
    if !body["scalingConfig"].is_null() {
        patch["scalingConfig"] = scaling(&api["scalingConfig"], &body["scalingConfig"])?;
    }
    if !body["labels"].is_null() {
        let gone = strings(&body["labels"]["removeLabels"]);
        let mut labels: Map<String, Value> = gone.into_iter().map(|label| (label, Value::Null)).collect();
        labels.extend(body["labels"]["addOrUpdateLabels"].as_object().cloned().unwrap_or_default());
        patch["labels"] = labels.into();
    }
    if !body["taints"].is_null() {
        patch["taints"] = taints(&api["taints"], &body["taints"]);
    }
    for name in ["updateConfig", "nodeRepairConfig"] {
        if !body[name].is_null() {
            patch[name] = body[name].clone();
        }
    }
    if patch["updateConfig"]["maxUnavailable"].is_number() {
        patch["updateConfig"]["maxUnavailablePercentage"] = Value::Null;
    } else if patch["updateConfig"]["maxUnavailablePercentage"].is_number() {
        patch["updateConfig"]["maxUnavailable"] = Value::Null;
    }
    if patch == json!({}) {
        return Err(invalid("No updates were requested"));
    }
    let size = &patch["scalingConfig"];
    let sizes = [("MinSize", "minSize"), ("MaxSize", "maxSize"), ("DesiredSize", "desiredSize")];
    let params =
        sizes.iter().filter(|(_, m)| !size[*m].is_null()).map(|(n, m)| (*n, size[*m].to_string())).collect();
    start(ctx, call, &Change { target: &key, kind: "ConfigUpdate", params, patch, takes: 2 * MINUTE })
}

fn taints(before: &Value, change: &Value) -> Value {
    let same = |a: &Value, b: &Value| a["key"] == b["key"] && a["effect"] == b["effect"];
    let rows = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let (fresh, gone) = (rows(&change["addOrUpdateTaints"]), rows(&change["removeTaints"]));
    let mut kept: Vec<Value> =
        rows(before).into_iter().filter(|old| !gone.iter().chain(&fresh).any(|new| same(old, new))).collect();
    kept.extend(fresh);
    kept.into()
}

pub(super) fn update_version(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    if let Some(answer) = repeated_update(ctx, call) {
        return Ok(answer);
    }
    let cluster = find_cluster(ctx, call)?;
    let (key, group) = active(ctx, call)?;
    let newest = text(&cluster["api"], "version");
    let version = call.body["version"].as_str().unwrap_or(&newest).to_owned();
    let (from, to) = (minor(&text(&group["api"], "version")), minor(&version));
    if to.is_none() || to > minor(&newest) || to < from {
        return Err(invalid(format!("Requested Nodegroup version {version} is not valid for the cluster")));
    }
    let release = pick(&call.body, "releaseVersion", release(&version));
    let mut patch = json!({"version": version, "releaseVersion": release});
    if !call.body["launchTemplate"].is_null() {
        patch["launchTemplate"] = call.body["launchTemplate"].clone();
    }
    let nodes = group["api"]["scalingConfig"]["desiredSize"].as_i64().unwrap_or(0);
    let params = vec![("Version", version), ("ReleaseVersion", text(&patch, "releaseVersion"))];
    let takes = (5 + 3 * nodes) * MINUTE;
    start(ctx, call, &Change { target: &key, kind: "VersionUpdate", params, patch, takes })
}
