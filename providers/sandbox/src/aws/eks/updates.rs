//! Changes of clusters and node groups that take time: one in flight for each object.
//!
//! An update lies under `eks/SCOPE/update/CLUSTER/ID` with the patch that it brings; the patch is made
//! when it falls due.

use super::{
    Answer, Call, MINUTE, VERSIONS, find, in_use, invalid, logging, names, pick, platform_version, seconds,
    strings, zones,
};
use crate::aws::{ApiError, text};
use crate::core::Ctx;
use crate::crypto::uuid;
use serde_json::{Value, json};

/// A change about to start.
pub(super) struct Change<'a> {
    pub(super) target: &'a str,
    pub(super) kind: &'a str,
    pub(super) params: Vec<(&'a str, String)>,
    /// Merged over the object's `api` in the end.
    pub(super) patch: Value,
    pub(super) takes: i64,
}

pub(super) fn start(ctx: &mut Ctx<'_>, call: &Call<'_>, change: &Change<'_>) -> Answer {
    let id = uuid();
    let params: Vec<Value> =
        change.params.iter().map(|(name, value)| json!({"type": name, "value": value})).collect();
    let api = json!({
        "id": id,
        "status": "InProgress",
        "type": change.kind,
        "params": params,
        "createdAt": seconds(ctx.now),
        "errors": [],
    });
    let key = format!("eks/{}/update/{}/{id}", call.scope, call.cluster());
    let record = json!({
        "api": api, "target": change.target, "patch": change.patch,
        "token": call.body["clientRequestToken"], "body": call.body,
    });
    ctx.world.put(key.clone(), record);
    ctx.world.edit(change.target, |object| object["api"]["status"] = "UPDATING".into());
    ctx.schedule(ctx.now + change.takes, "eks.update", &key);
    Ok(json!({ "update": api }))
}

/// An update's end: the patch is made, the object is active again.
pub(crate) fn update_due(ctx: &mut Ctx<'_>, key: &str) {
    let Some(update) = ctx.world.get(key).cloned() else { return };
    let (target, now) = (text(&update, "target"), ctx.now);
    ctx.world.edit(key, |update| update["api"]["status"] = "Successful".into());
    ctx.world.edit(&target, |object| {
        merge(&mut object["api"], &update["patch"]);
        if object["api"]["status"] == "UPDATING" {
            object["api"]["status"] = "ACTIVE".into();
        }
        if object["api"].get("modifiedAt").is_some() {
            object["api"]["modifiedAt"] = seconds(now);
        }
    });
    if target.contains("/nodegroup/") {
        super::nodegroups::sync_nodes(ctx, &target);
    } else if let Some(uid) = ctx.world.get(&target).map(|c| text(c, "uid")) {
        crate::kube::controllers::reconcile(ctx, &uid);
    }
}

/// JSON merge: objects member by member, null removes, all else replaces.
fn merge(into: &mut Value, patch: &Value) {
    let Some(members) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (name, value) in members {
        if value.is_null() {
            if let Some(object) = into.as_object_mut() {
                object.remove(name);
            }
        } else {
            merge(&mut into[name.as_str()], value);
        }
    }
}

/// An update that the same token and body have started already.
pub(super) fn repeated(ctx: &Ctx<'_>, call: &Call<'_>) -> Option<Value> {
    let all = format!("eks/{}/update/{}/", call.scope, call.cluster());
    let found = ctx.world.under(&all).find(|(_, update)| super::repeated(update, &call.body));
    found.map(|(_, update)| json!({ "update": update["api"] }))
}

fn active(ctx: &Ctx<'_>, call: &Call<'_>) -> Answer {
    let cluster = find(ctx, call)?;
    let (name, status) = (call.cluster(), text(&cluster["api"], "status"));
    match status.as_str() {
        "ACTIVE" => Ok(cluster),
        "FAILED" => {
            let text = format!("Cluster {name} is in FAILED status");
            Err(ApiError::new(400, "InvalidRequestException", text))
        }
        _ => {
            let text = format!("Cannot update cluster {name}: an operation on it is in progress ({status})");
            Err(in_use(text).with("clusterName", name))
        }
    }
}

/// The members of a config update; each call may bring one kind only.
const KINDS: &[(&[&str], &str)] = &[
    (&["resourcesVpcConfig"], "EndpointAccessUpdate"),
    (&["logging"], "LoggingUpdate"),
    (&["accessConfig"], "AccessConfigUpdate"),
    (&["upgradePolicy"], "UpgradePolicyUpdate"),
    (&["zonalShiftConfig"], "ZonalShiftConfigUpdate"),
    (&["computeConfig", "kubernetesNetworkConfig", "storageConfig"], "AutoModeUpdate"),
    (&["remoteNetworkConfig"], "RemoteNetworkConfigUpdate"),
    (&["deletionProtection"], "DeletionProtectionUpdate"),
];

pub(super) fn cluster_config(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    if let Some(answer) = repeated(ctx, call) {
        return Ok(answer);
    }
    let cluster = active(ctx, call)?;
    let given = |members: &[&str]| members.iter().any(|m| call.body.get(*m).is_some_and(|v| !v.is_null()));
    let mut kinds = KINDS.iter().filter(|(members, _)| given(members));
    let (Some((members, kind)), None) = (kinds.next(), kinds.next()) else {
        return Err(invalid("Only one type of update can be allowed."));
    };
    let mut patch = json!({});
    for member in *members {
        if let Some(value) = call.body.get(*member).filter(|v| !v.is_null()) {
            patch[*member] = value.clone();
        }
    }
    let (kind, takes) = refine(ctx, call, &cluster["api"], kind, &mut patch)?;
    let before = cluster["api"].clone();
    let mut after = before.clone();
    merge(&mut after, &patch);
    if after == before {
        let text = format!("No changes needed for the {} config provided", members[0]);
        return Err(invalid(text));
    }
    let params = params_of(kind, &patch);
    start(ctx, call, &Change { target: &call.cluster_key(), kind, params, patch, takes })
}

/// What is special about some kinds, and how long each takes.
fn refine<'a>(
    ctx: &Ctx<'_>,
    call: &Call<'_>,
    api: &Value,
    kind: &'a str,
    patch: &mut Value,
) -> Result<(&'a str, i64), ApiError> {
    match kind {
        "LoggingUpdate" => {
            let setups = logging(&api["logging"]["clusterLogging"], &patch["logging"]["clusterLogging"]);
            patch["logging"]["clusterLogging"] = setups;
            Ok((kind, MINUTE))
        }
        "AccessConfigUpdate" => {
            let rank =
                |mode: &str| ["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"].iter().position(|m| *m == mode);
            let old = rank(&text(&api["accessConfig"], "authenticationMode"));
            let new = rank(&text(&patch["accessConfig"], "authenticationMode"));
            if new.is_none() || new < old {
                let text = "Unsupported authentication mode update: it can't go back";
                return Err(ApiError::new(400, "InvalidParameterException", text));
            }
            Ok((kind, MINUTE))
        }
        "EndpointAccessUpdate" => {
            let vpc = &patch["resourcesVpcConfig"];
            let moves = !vpc["subnetIds"].is_null() || !vpc["securityGroupIds"].is_null();
            let flags = ["endpointPublicAccess", "endpointPrivateAccess", "publicAccessCidrs"];
            if moves && flags.iter().any(|f| !vpc[*f].is_null()) {
                return Err(invalid("Only one type of update can be allowed."));
            }
            zones(ctx, call, &strings(&vpc["subnetIds"]))?;
            Ok((if moves { "VpcConfigUpdate" } else { kind }, 3 * MINUTE))
        }
        _ => Ok((kind, MINUTE)),
    }
}

fn params_of(kind: &str, patch: &Value) -> Vec<(&'static str, String)> {
    let vpc = &patch["resourcesVpcConfig"];
    let plain = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let all = [
        ("EndpointPublicAccess", &vpc["endpointPublicAccess"]),
        ("EndpointPrivateAccess", &vpc["endpointPrivateAccess"]),
        ("PublicAccessCidrs", &vpc["publicAccessCidrs"]),
        ("SubnetIds", &vpc["subnetIds"]),
        ("SecurityGroups", &vpc["securityGroupIds"]),
        ("ClusterLogging", &patch["logging"]),
        ("AuthenticationMode", &patch["accessConfig"]["authenticationMode"]),
        ("UpgradePolicy", &patch["upgradePolicy"]),
    ];
    let _ = kind;
    all.into_iter().filter(|(_, v)| !v.is_null()).map(|(name, v)| (name, plain(v))).collect()
}

pub(super) fn minor(version: &str) -> Option<usize> {
    VERSIONS.iter().position(|v| *v == version)
}

pub(super) fn cluster_version(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    if let Some(answer) = repeated(ctx, call) {
        return Ok(answer);
    }
    let cluster = active(ctx, call)?;
    let (old, new) = (text(&cluster["api"], "version"), text(&call.body, "version"));
    let (from, to) = (minor(&old), minor(&new));
    if to.is_none() {
        return Err(invalid(format!("unsupported Kubernetes version {new}")));
    }
    if to != from.map(|from| from + 1) {
        let text = format!("Unsupported Kubernetes minor version update from {old} to {new}");
        return Err(invalid(text));
    }
    let groups = format!("eks/{}/nodegroup/{}/", call.scope, call.cluster());
    let behind: Vec<String> = ctx
        .world
        .under(&groups)
        .filter(|(_, group)| group["api"]["version"] != old.as_str())
        .map(|(_, group)| text(&group["api"], "nodegroupName"))
        .collect();
    if !behind.is_empty() {
        let names = behind.join(", ");
        let text = format!(
            "Nodegroups {names} must be updated to match cluster version {old} before updating cluster version"
        );
        return Err(ApiError::new(400, "InvalidRequestException", text));
    }
    let patch = json!({"version": new, "platformVersion": platform_version(&new)});
    let params = vec![("Version", new.clone()), ("PlatformVersion", platform_version(&new))];
    let change =
        Change { target: &call.cluster_key(), kind: "VersionUpdate", params, patch, takes: 9 * MINUTE };
    start(ctx, call, &change)
}

pub(super) fn list(ctx: &Ctx<'_>, call: &Call<'_>) -> Answer {
    find(ctx, call)?;
    Ok(names(ctx, call, "updateIds", &format!("eks/{}/update/{}/", call.scope, call.cluster())))
}

pub(super) fn describe(ctx: &Ctx<'_>, call: &Call<'_>) -> Answer {
    find(ctx, call)?;
    let id = call.segments.get(3).map_or("", String::as_str);
    let key = format!("eks/{}/update/{}/{id}", call.scope, call.cluster());
    let group = call.request.params().get("nodegroupName").cloned();
    let fits = |update: &&Value| {
        let target = pick(update, "target", "");
        let target = target.as_str().unwrap_or_default();
        match &group {
            Some(name) => target.ends_with(&format!("/nodegroup/{}/{name}", call.cluster())),
            None => target.contains("/cluster/"),
        }
    };
    let update = ctx.world.get(&key).filter(fits).map(|update| json!({ "update": update["api"] }));
    update.ok_or_else(|| {
        ApiError::new(404, "ResourceNotFoundException", format!("No update found for ID: {id}"))
    })
}
