//! EKS: clusters, their updates, tags. Node groups are in `nodegroups`.
//!
//! A cluster lies under `eks/ACCOUNT/REGION/cluster/NAME` as `{api, uid, roleChecked..}`; `api` is what
//! answers show. What takes time is scheduled and done when it falls due.

mod nodegroups;
mod updates;

use super::{ApiError, ec2, iam, page, text};
use crate::core::Ctx;
use crate::crypto::{random_hex, spread};
use crate::http::{Reply, Request};
use crate::kube;
use crate::sigv4::Signed;
use serde_json::{Map, Value, json};

pub(crate) use nodegroups::nodegroup_due;
pub(crate) use updates::update_due;

/// Kubernetes versions on offer, oldest first.
const VERSIONS: &[&str] = &["1.29", "1.30", "1.31", "1.32", "1.33", "1.34", "1.35"];
const DEFAULT_VERSION: &str = "1.34";
const LOG_TYPES: &[&str] = &["api", "audit", "authenticator", "controllerManager", "scheduler"];
const MINUTE: i64 = 60_000;

type Answer = Result<Value, ApiError>;

/// The name of the operation that a method and a path mean.
pub(super) fn operation(method: &str, segments: &[String]) -> &'static str {
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (method, &parts[..]) {
        ("POST", ["clusters"]) => "CreateCluster",
        ("GET", ["clusters"]) => "ListClusters",
        ("GET", ["clusters", _]) => "DescribeCluster",
        ("DELETE", ["clusters", _]) => "DeleteCluster",
        ("POST", ["clusters", _, "update-config"]) => "UpdateClusterConfig",
        ("POST", ["clusters", _, "updates"]) => "UpdateClusterVersion",
        ("GET", ["clusters", _, "updates"]) => "ListUpdates",
        ("GET", ["clusters", _, "updates", _]) => "DescribeUpdate",
        ("POST", ["clusters", _, "node-groups"]) => "CreateNodegroup",
        ("GET", ["clusters", _, "node-groups"]) => "ListNodegroups",
        ("GET", ["clusters", _, "node-groups", _]) => "DescribeNodegroup",
        ("DELETE", ["clusters", _, "node-groups", _]) => "DeleteNodegroup",
        ("POST", ["clusters", _, "node-groups", _, "update-config"]) => "UpdateNodegroupConfig",
        ("POST", ["clusters", _, "node-groups", _, "update-version"]) => "UpdateNodegroupVersion",
        ("GET", ["tags", _]) => "ListTagsForResource",
        ("POST", ["tags", _]) => "TagResource",
        ("DELETE", ["tags", _]) => "UntagResource",
        _ => "Unknown",
    }
}

/// A call with its place in the world taken apart.
struct Call<'a> {
    scope: String,
    account: &'a str,
    region: &'a str,
    caller: &'a str,
    segments: Vec<String>,
    request: &'a Request,
    body: Value,
}

impl Call<'_> {
    fn cluster(&self) -> &str {
        self.segments.get(1).map_or("", String::as_str)
    }

    fn cluster_key(&self) -> String {
        format!("eks/{}/cluster/{}", self.scope, self.cluster())
    }

    fn arn(&self, rest: &str) -> String {
        format!("arn:aws:eks:{}:{}:{rest}", self.region, self.account)
    }
}

pub(super) fn call(
    ctx: &mut Ctx<'_>,
    signed: &Signed,
    operation: &str,
    request: &Request,
) -> Result<Reply, ApiError> {
    let body = match request.body.is_empty() {
        true => json!({}),
        false => serde_json::from_slice(&request.body)
            .map_err(|_| ApiError::new(400, "SerializationException", "the body is not JSON"))?,
    };
    let call = Call {
        scope: format!("{}/{}", signed.caller.account, signed.region),
        account: &signed.caller.account,
        region: &signed.region,
        caller: &signed.caller.arn,
        segments: request.segments(),
        request,
        body,
    };
    let answer = match operation {
        "CreateCluster" => create(ctx, &call),
        "ListClusters" => list(ctx, &call),
        "DescribeCluster" => find(ctx, &call).map(|cluster| json!({ "cluster": cluster["api"] })),
        "DeleteCluster" => delete(ctx, &call),
        "UpdateClusterConfig" => updates::cluster_config(ctx, &call),
        "UpdateClusterVersion" => updates::cluster_version(ctx, &call),
        "ListUpdates" => updates::list(ctx, &call),
        "DescribeUpdate" => updates::describe(ctx, &call),
        "CreateNodegroup" => nodegroups::create(ctx, &call),
        "ListNodegroups" => nodegroups::list(ctx, &call),
        "DescribeNodegroup" => nodegroups::describe(ctx, &call),
        "DeleteNodegroup" => nodegroups::delete(ctx, &call),
        "UpdateNodegroupConfig" => nodegroups::update_config(ctx, &call),
        "UpdateNodegroupVersion" => nodegroups::update_version(ctx, &call),
        "ListTagsForResource" | "TagResource" | "UntagResource" => tags(ctx, &call, operation),
        _ => Err(ApiError::new(404, "UnknownOperationException", "the sandbox has no such operation")),
    };
    answer.map(|body| Reply::json(200, &body))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameterException", message)
}

fn in_use(message: impl Into<String>) -> ApiError {
    ApiError::new(409, "ResourceInUseException", message)
}

fn find(ctx: &Ctx<'_>, call: &Call<'_>) -> Answer {
    ctx.world.get(&call.cluster_key()).cloned().ok_or_else(|| {
        let text = format!("No cluster found for name: {}.", call.cluster());
        ApiError::new(404, "ResourceNotFoundException", text).with("clusterName", call.cluster())
    })
}

/// Times in EKS's JSON are seconds with a fraction.
fn seconds(millis: i64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "dates are far below 2^52 ms")]
    let seconds = millis as f64 / 1000.0;
    seconds.into()
}

/// A resource name: letters, digits, `-` and `_`, at most a hundred.
fn check_name(kind: &str, name: &str) -> Result<(), ApiError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if first && name.len() <= 100 && name.chars().all(fits) {
        return Ok(());
    }
    Err(invalid(format!("The {kind} name should match ^[0-9A-Za-z][A-Za-z0-9\\-_]*")))
}

/// What a token repeats: the same body gets the first answer, another one is an error.
fn repeated(existing: &Value, body: &Value) -> bool {
    let token = &body["clientRequestToken"];
    token.is_string() && existing["token"] == *token && existing["body"] == *body
}

fn create(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let name = call.body["name"].as_str().ok_or_else(|| invalid("name is required"))?;
    check_name("cluster", name)?;
    let key = format!("eks/{}/cluster/{name}", call.scope);
    if let Some(existing) = ctx.world.get(&key) {
        if repeated(existing, &call.body) {
            return Ok(json!({ "cluster": existing["api"] }));
        }
        let text = format!("Cluster already exists with name: {name}");
        return Err(in_use(text).with("clusterName", name));
    }
    check_role(ctx, call.body["roleArn"].as_str().unwrap_or_default(), "eks.amazonaws.com")?;
    check_subnets(ctx, call, name)?;
    let uid = random_hex(32);
    let first = strings(&call.body["resourcesVpcConfig"]["subnetIds"]).into_iter().next().unwrap_or_default();
    let place = ec2::subnet_place(ctx, call.account, call.region, &first);
    let vpc = place.map(|(_, vpc)| vpc).unwrap_or_default();
    let group = ec2::cluster_group(ctx, call.account, call.region, &vpc, name);
    let api = shape(ctx, call, name, &vpc, &group)?;
    let cluster = json!({
        "api": api, "uid": uid, "token": call.body["clientRequestToken"], "body": call.body,
        "creator": call.caller,
    });
    ctx.world.put(key.clone(), cluster);
    let wobble = i64::try_from(spread(&format!("{key}/{}", ctx.now), 120)).unwrap_or(0) * 1000;
    ctx.schedule(ctx.now + 9 * MINUTE + wobble, "eks.cluster", &key);
    Ok(json!({ "cluster": api }))
}

/// The role must be there as EKS sees it, and trust the service.
fn check_role(ctx: &Ctx<'_>, arn: &str, service: &str) -> Result<(), ApiError> {
    let role = iam::seen_role(ctx, arn);
    if role.is_some_and(|role| iam::trusts_service(&role, service)) {
        return Ok(());
    }
    Err(invalid(format!(
        "Role with arn: {arn}, could not be assumed because it does not exist or the trusted entity is not \
         correct"
    )))
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// The zones of the given subnets; a subnet that isn't there is an error.
fn zones(ctx: &Ctx<'_>, call: &Call<'_>, ids: &[String]) -> Result<Vec<String>, ApiError> {
    let zone = |id: &String| {
        let place = ec2::subnet_place(ctx, call.account, call.region, id);
        place.map(|(zone, _)| zone).ok_or_else(|| invalid(format!("The subnet ID '{id}' does not exist")))
    };
    ids.iter().map(zone).collect()
}

fn check_subnets(ctx: &Ctx<'_>, call: &Call<'_>, name: &str) -> Result<(), ApiError> {
    let ids = strings(&call.body["resourcesVpcConfig"]["subnetIds"]);
    let mut zones = zones(ctx, call, &ids)?;
    zones.sort();
    zones.dedup();
    if let Some(bad) = zones.iter().find(|z| *z == "us-east-1e" && ctx.switches.refuse_us_east_1e) {
        let valid: Vec<String> = ec2::subnets(call.account, call.region)
            .into_iter()
            .map(|s| s.zone)
            .filter(|z| z != bad)
            .collect();
        let text = format!(
            "Cannot create cluster '{name}' because EKS does not support creating control plane instances in \
             {bad}, the targeted availability zone. Retry cluster creation using control plane subnets that \
             span at least two of these availability zones: {}.",
            valid.join(", ")
        );
        return Err(
            ApiError::new(400, "UnsupportedAvailabilityZoneException", text).with("validZones", valid)
        );
    }
    if zones.len() < 2 {
        return Err(invalid("Subnets specified must be in at least two different AZs"));
    }
    Ok(())
}

fn platform_version(version: &str) -> String {
    format!("eks.{}", spread(version, 9) + 3)
}

fn pick(value: &Value, name: &str, default: impl Into<Value>) -> Value {
    value.get(name).filter(|v| !v.is_null()).cloned().unwrap_or_else(|| default.into())
}

/// A new cluster as answers show it.
fn shape(ctx: &Ctx<'_>, call: &Call<'_>, name: &str, vpc: &str, group: &str) -> Answer {
    let body = &call.body;
    let version = body["version"].as_str().unwrap_or(DEFAULT_VERSION);
    if !VERSIONS.contains(&version) {
        return Err(invalid(format!("unsupported Kubernetes version {version}")));
    }
    let access = &body["accessConfig"];
    let network = &body["kubernetesNetworkConfig"];
    let mut api = json!({
        "name": name,
        "arn": call.arn(&format!("cluster/{name}")),
        "createdAt": seconds(ctx.now),
        "version": version,
        "roleArn": body["roleArn"],
        "resourcesVpcConfig": vpc_shape(call, vpc, group),
        "kubernetesNetworkConfig": {
            "serviceIpv4Cidr": pick(network, "serviceIpv4Cidr", "10.100.0.0/16"),
            "ipFamily": pick(network, "ipFamily", "ipv4"),
            "elasticLoadBalancing": pick(network, "elasticLoadBalancing", json!({"enabled": false})),
        },
        "logging": {"clusterLogging": logging(&json!([]), &body["logging"]["clusterLogging"])},
        "status": "CREATING",
        "certificateAuthority": {},
        "platformVersion": platform_version(version),
        "tags": pick(body, "tags", json!({})),
        "health": {"issues": []},
        "accessConfig": {"authenticationMode": pick(access, "authenticationMode", "CONFIG_MAP")},
        "upgradePolicy": {"supportType": pick(&body["upgradePolicy"], "supportType", "EXTENDED")},
        "deletionProtection": pick(body, "deletionProtection", false),
    });
    for name in
        ["encryptionConfig", "computeConfig", "storageConfig", "zonalShiftConfig", "remoteNetworkConfig"]
    {
        if let Some(value) = body.get(name).filter(|v| !v.is_null()) {
            api[name] = value.clone();
        }
    }
    Ok(api)
}

fn vpc_shape(call: &Call<'_>, id: &str, group: &str) -> Value {
    let vpc = &call.body["resourcesVpcConfig"];
    json!({
        "subnetIds": pick(vpc, "subnetIds", json!([])),
        "securityGroupIds": pick(vpc, "securityGroupIds", json!([])),
        "clusterSecurityGroupId": group,
        "vpcId": id,
        "endpointPublicAccess": pick(vpc, "endpointPublicAccess", true),
        "endpointPrivateAccess": pick(vpc, "endpointPrivateAccess", false),
        "publicAccessCidrs": pick(vpc, "publicAccessCidrs", json!(["0.0.0.0/0"])),
    })
}

/// The set of log types after a change, as the two lists that answers show.
fn logging(before: &Value, change: &Value) -> Value {
    let mut on: Vec<String> = enabled_types(before);
    for setup in change.as_array().into_iter().flatten() {
        let types = strings(&setup["types"]);
        on.retain(|t| !types.contains(t));
        if setup["enabled"] == true {
            on.extend(types);
        }
    }
    let (on, off): (Vec<&str>, Vec<&str>) = LOG_TYPES.iter().partition(|t| on.iter().any(|o| o == *t));
    let lists = [(on, true), (off, false)];
    let shown = lists.into_iter().filter(|(types, _)| !types.is_empty());
    shown.map(|(types, enabled)| json!({"types": types, "enabled": enabled})).collect()
}

fn enabled_types(setups: &Value) -> Vec<String> {
    let setups = setups.as_array().into_iter().flatten();
    setups.filter(|s| s["enabled"] == true).flat_map(|s| strings(&s["types"])).collect()
}

fn list(ctx: &Ctx<'_>, call: &Call<'_>) -> Answer {
    let all = format!("eks/{}/cluster/", call.scope);
    Ok(names(ctx, call, "clusters", &all))
}

/// A page of the names under a prefix.
fn names(ctx: &Ctx<'_>, call: &Call<'_>, member: &str, prefix: &str) -> Value {
    let names = ctx.world.under(prefix).map(|(key, _)| key[prefix.len()..].to_owned()).collect();
    let params = call.request.params();
    let token = params.get("nextToken").map(String::as_str);
    let (rows, next) = page::<String>(names, token, params.get("maxResults").map(String::as_str), 100);
    let mut answer = super::member(member, rows);
    if let Some(next) = next {
        answer["nextToken"] = next.into();
    }
    answer
}

fn delete(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let cluster = find(ctx, call)?;
    let name = call.cluster();
    let groups = format!("eks/{}/nodegroup/{name}/", call.scope);
    if ctx.world.under(&groups).next().is_some() {
        return Err(in_use("Cluster has nodegroups attached").with("clusterName", name));
    }
    match text(&cluster["api"], "status").as_str() {
        "DELETING" => return Ok(json!({ "cluster": cluster["api"] })),
        "CREATING" | "UPDATING" => {
            let text = format!("Cannot delete cluster {name}: an operation on it is in progress");
            return Err(in_use(text).with("clusterName", name));
        }
        _ => {}
    }
    if cluster["api"]["deletionProtection"] == true {
        let text = format!("Cluster {name} has deletion protection enabled");
        return Err(ApiError::new(400, "InvalidRequestException", text));
    }
    let key = call.cluster_key();
    ctx.world.edit(&key, |cluster| cluster["api"]["status"] = "DELETING".into());
    ctx.schedule(ctx.now + 5 * MINUTE, "eks.cluster", &key);
    find(ctx, call).map(|cluster| json!({ "cluster": cluster["api"] }))
}

/// A cluster's time has come: it is up, or failed, or gone.
pub(crate) fn cluster_due(ctx: &mut Ctx<'_>, key: &str) {
    let Some(cluster) = ctx.world.get(key).cloned() else { return };
    let uid = text(&cluster, "uid");
    if cluster["api"]["status"] == "DELETING" {
        kube::destroy(ctx, &uid);
        let mut place = key.split('/').skip(1);
        if let (Some(account), Some(region)) = (place.next(), place.next()) {
            let group = text(&cluster["api"]["resourcesVpcConfig"], "clusterSecurityGroupId");
            ec2::drop_group(ctx, account, region, &group);
        }
        let name = text(&cluster["api"], "name");
        let scope = key.strip_prefix("eks/").and_then(|k| k.split_once("/cluster/")).map_or("", |(s, _)| s);
        for update in ctx.world.keys(&format!("eks/{scope}/update/{name}/")) {
            ctx.world.remove(&update);
        }
        ctx.world.remove(key);
        return;
    }
    let arn = text(&cluster["api"], "roleArn");
    let role = iam::seen_role(ctx, &arn);
    let issue = match role {
        None => Some(("IamRoleNotFound", format!("The role {arn} was not found."))),
        Some(role) if !iam::carries(&role, "AmazonEKSClusterPolicy") => Some((
            "AccessDenied",
            format!("The role {arn} doesn't have the Amazon EKS Managed Policies associated with it."),
        )),
        Some(_) => None,
    };
    match issue {
        Some((code, message)) => ctx.world.edit(key, |cluster| {
            cluster["api"]["status"] = "FAILED".into();
            cluster["api"]["health"]["issues"] =
                json!([{"code": code, "message": message, "resourceIds": [arn]}]);
        }),
        None => bring_up(ctx, key, &uid),
    }
}

fn bring_up(ctx: &mut Ctx<'_>, key: &str, uid: &str) {
    let region = key.split('/').nth(2).unwrap_or_default().to_owned();
    let access = kube::create(ctx, uid, key);
    ctx.world.edit(key, |cluster| {
        let api = &mut cluster["api"];
        match access {
            Ok(access) => {
                api["status"] = "ACTIVE".into();
                api["endpoint"] = access.endpoint.into();
                api["certificateAuthority"] = json!({"data": access.ca});
                let id = uid.to_uppercase();
                api["identity"] =
                    json!({"oidc": {"issuer": format!("https://oidc.eks.{region}.amazonaws.com/id/{id}")}});
            }
            Err(message) => {
                api["status"] = "FAILED".into();
                api["health"]["issues"] =
                    json!([{"code": "InternalFailure", "message": message, "resourceIds": []}]);
            }
        }
    });
}

fn tags(ctx: &mut Ctx<'_>, call: &Call<'_>, operation: &str) -> Answer {
    let arn = call.cluster();
    let missing = || ApiError::new(404, "NotFoundException", format!("No resource found for arn: {arn}"));
    let key = keyed_by_arn(ctx, call, arn).ok_or_else(missing)?;
    match operation {
        "TagResource" => {
            let fresh = call.body["tags"].as_object().cloned().unwrap_or_default();
            edit_tags(ctx, &key, |tags| tags.extend(fresh));
        }
        "UntagResource" => {
            let query = crate::http::raw_pairs(&call.request.query);
            let gone: Vec<String> =
                query.filter(|(k, _)| *k == "tagKeys").map(|(_, v)| crate::http::decode(v, true)).collect();
            edit_tags(ctx, &key, |tags| tags.retain(|name, _| !gone.contains(name)));
        }
        _ => {
            let tags = ctx.world.get(&key).map(|o| o["api"]["tags"].clone());
            return Ok(json!({ "tags": tags }));
        }
    }
    Ok(json!({}))
}

fn edit_tags(ctx: &mut Ctx<'_>, key: &str, change: impl FnOnce(&mut Map<String, Value>)) {
    ctx.world.edit(key, |object| {
        if let Some(tags) = object["api"]["tags"].as_object_mut() {
            change(tags);
        }
    });
}

fn keyed_by_arn(ctx: &Ctx<'_>, call: &Call<'_>, arn: &str) -> Option<String> {
    ["cluster", "nodegroup"].iter().find_map(|kind| {
        let all = format!("eks/{}/{kind}/", call.scope);
        let member = if *kind == "cluster" { "arn" } else { "nodegroupArn" };
        ctx.world.under(&all).find(|(_, o)| o["api"][member] == arn).map(|(key, _)| key.to_owned())
    })
}
