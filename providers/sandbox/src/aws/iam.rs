//! IAM's roles. Global in an account; other services see its changes some seconds late.

use super::{ApiError, Params, list, page, required, text, values};
use crate::accounts::Caller;
use crate::clock::rfc3339;
use crate::core::Ctx;
use crate::crypto::random_name;
use crate::http::encode;
use crate::sigv4::Signed;
use serde_json::{Map, Value, json};

/// AWS's own policies that a cluster's roles commonly carry.
const MANAGED: &[&str] = &[
    "AdministratorAccess",
    "PowerUserAccess",
    "ReadOnlyAccess",
    "AmazonEKSClusterPolicy",
    "AmazonEKSServicePolicy",
    "AmazonEKSVPCResourceController",
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKSWorkerNodeMinimalPolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEKSComputePolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
    "AmazonEKSFargatePodExecutionRolePolicy",
    "AmazonEKSLocalOutpostClusterPolicy",
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonEC2ContainerRegistryPowerUser",
    "AmazonEC2ContainerRegistryFullAccess",
    "AmazonEC2FullAccess",
    "AmazonEC2ReadOnlyAccess",
    "AmazonS3FullAccess",
    "AmazonS3ReadOnlyAccess",
    "AmazonSSMManagedInstanceCore",
    "AmazonVPCFullAccess",
    "AmazonDynamoDBFullAccess",
    "AmazonRDSFullAccess",
    "AmazonSQSFullAccess",
    "AmazonSNSFullAccess",
    "AmazonRoute53FullAccess",
    "CloudWatchAgentServerPolicy",
    "CloudWatchLogsFullAccess",
    "ElasticLoadBalancingFullAccess",
    "IAMFullAccess",
    "IAMReadOnlyAccess",
    "SecretsManagerReadWrite",
    "service-role/AmazonEBSCSIDriverPolicy",
    "service-role/AmazonEFSCSIDriverPolicy",
    "service-role/AWSLambdaBasicExecutionRole",
    "service-role/AWSLambdaVPCAccessExecutionRole",
    "service-role/AmazonECSTaskExecutionRolePolicy",
    "service-role/AmazonEC2RoleforSSM",
];

const ATTACHED_MOST: usize = 10;

type Answer = Result<Value, ApiError>;

pub(super) fn call(ctx: &mut Ctx<'_>, signed: &Signed, action: &str, params: &Params) -> Answer {
    let account = signed.caller.account.as_str();
    match action {
        "CreateRole" => create_role(ctx, account, params),
        "ListRoles" => list_roles(ctx, account, params),
        "GetRole" => read(ctx, account, params).map(|role| json!({ "Role": shape(&role, true) })),
        "UpdateAssumeRolePolicy" => {
            let document = policy_document(ctx, account, required(params, "PolicyDocument")?)?;
            change(ctx, account, params, |role| role["AssumeRolePolicyDocument"] = document.into())
        }
        "UpdateRole" => update_role(ctx, account, params),
        "UpdateRoleDescription" => {
            let description = params.get("Description").cloned().unwrap_or_default();
            change(ctx, account, params, |role| role["Description"] = description.into())?;
            read(ctx, account, params).map(|role| json!({ "Role": shape(&role, true) }))
        }
        "DeleteRole" => delete_role(ctx, account, params),
        "TagRole" => tag_role(ctx, account, params),
        "UntagRole" => {
            let keys = values(params, "TagKeys");
            change(ctx, account, params, |role| {
                if let Some(tags) = role["Tags"].as_object_mut() {
                    tags.retain(|key, _| !keys.contains(key));
                }
            })
        }
        "ListRoleTags" => list_tags(ctx, account, params),
        "AttachRolePolicy" => attach(ctx, account, params),
        "DetachRolePolicy" => detach(ctx, account, params),
        "ListAttachedRolePolicies" => list_attached(ctx, account, params),
        "PutRolePolicy" | "GetRolePolicy" | "DeleteRolePolicy" | "ListRolePolicies" => {
            inline(ctx, account, action, params)
        }
        "ListInstanceProfilesForRole" => {
            read(ctx, account, params)?;
            Ok(json!({"InstanceProfiles": [], "IsTruncated": false}))
        }
        "PutRolePermissionsBoundary" => {
            let arn = required(params, "PermissionsBoundary")?.to_owned();
            policy_name(&arn)?;
            change(ctx, account, params, |role| role["PermissionsBoundary"] = arn.into())
        }
        "DeleteRolePermissionsBoundary" => {
            change(ctx, account, params, |role| role["PermissionsBoundary"] = Value::Null)
        }
        _ => Err(unknown_action(action, "2010-05-08")),
    }
}

pub(super) fn unknown_action(action: &str, version: &str) -> ApiError {
    let text = format!("Could not find operation {action} for version {version}");
    ApiError::new(400, "InvalidAction", text)
}

fn role_key(account: &str, name: &str) -> String {
    format!("iam/{account}/role/{}", name.to_ascii_lowercase())
}

fn no_role(name: &str) -> ApiError {
    ApiError::new(404, "NoSuchEntity", format!("The role with name {name} cannot be found."))
}

/// The role as IAM itself holds it.
pub(super) fn find_role(ctx: &Ctx<'_>, account: &str, name: &str) -> Option<Value> {
    ctx.world.get(&role_key(account, name)).cloned()
}

/// The role behind an ARN as other services see it by now: late, and with late attachments.
pub(crate) fn seen_role(ctx: &Ctx<'_>, arn: &str) -> Option<Value> {
    let mut parts = arn.splitn(6, ':').skip(4);
    let account = parts.next()?;
    let name = parts.next()?.strip_prefix("role/")?.rsplit('/').next()?;
    let lag = i64::from(ctx.switches.iam_lag) * 1000;
    let role = find_role(ctx, account, name)?;
    (text(&role, "Arn") == arn && role["createdAt"].as_i64()? + lag <= ctx.now).then_some(role)
}

/// Whether a role carries AWS's policy of that name.
pub(crate) fn carries(role: &Value, policy: &str) -> bool {
    role["attached"].get(format!("arn:aws:iam::aws:policy/{policy}")).is_some()
}

/// Whether a role's trust policy lets a service assume it.
pub(crate) fn trusts_service(role: &Value, service: &str) -> bool {
    principals(role).iter().any(|(kind, who)| kind == "Service" && who == service)
}

/// Whether a role's trust policy lets this caller assume it.
pub(super) fn trusts(role: &Value, caller: &Caller) -> bool {
    let root = format!("arn:aws:iam::{}:root", caller.account);
    principals(role).iter().any(|(kind, who)| {
        who == "*" || (kind == "AWS" && [&root, &caller.arn, &caller.account].contains(&who))
    })
}

/// The principals of a role's trust policy, as (kind, name).
fn principals(role: &Value) -> Vec<(String, String)> {
    let document = role["AssumeRolePolicyDocument"].as_str().unwrap_or_default();
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let mut found = Vec::new();
    for statement in many(&document["Statement"]) {
        if statement["Effect"] != "Allow" {
            continue;
        }
        match &statement["Principal"] {
            Value::Object(kinds) => {
                for (kind, names) in kinds {
                    let names = many(names).into_iter().filter_map(Value::as_str);
                    found.extend(names.map(|name| (kind.clone(), name.to_owned())));
                }
            }
            other => found.extend(other.as_str().map(|name| ("*".to_owned(), name.to_owned()))),
        }
    }
    found
}

fn many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// Checks a trust policy as far as IAM does at once.
fn policy_document(ctx: &Ctx<'_>, account: &str, document: &str) -> Result<String, ApiError> {
    let malformed = |text: &str| ApiError::new(400, "MalformedPolicyDocument", text);
    let parsed: Value =
        serde_json::from_str(document).map_err(|_| malformed("This policy contains invalid Json"))?;
    let statements = many(&parsed["Statement"]);
    if statements.is_empty() {
        return Err(malformed("Syntax errors in policy."));
    }
    for statement in statements {
        if !matches!(statement["Effect"].as_str(), Some("Allow" | "Deny")) {
            return Err(malformed("Missing required field Effect"));
        }
        if statement["Principal"].is_null() && statement["NotPrincipal"].is_null() {
            return Err(malformed("Missing required field Principal"));
        }
        if statement["Action"].is_null() && statement["NotAction"].is_null() {
            return Err(malformed("Missing required field Action"));
        }
        if !statement["Resource"].is_null() {
            return Err(malformed("Has prohibited field Resource"));
        }
    }
    for (kind, who) in principals(&json!({ "AssumeRolePolicyDocument": document })) {
        let name = who.strip_prefix(&format!("arn:aws:iam::{account}:role/"));
        let missing = name
            .is_some_and(|path| find_role(ctx, account, path.rsplit('/').next().unwrap_or(path)).is_none());
        if kind == "AWS" && missing {
            return Err(malformed(&format!("Invalid principal in policy: \"AWS\":\"{who}\"")));
        }
    }
    Ok(document.to_owned())
}

fn create_role(ctx: &mut Ctx<'_>, account: &str, params: &Params) -> Answer {
    let name = required(params, "RoleName")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    if name.len() > 64 || !name.chars().all(fits) {
        let text = "The specified value for roleName is invalid. It must contain only alphanumeric characters \
                    and/or the following: +=,.@_-";
        return Err(ApiError::new(400, "ValidationError", text));
    }
    let document = policy_document(ctx, account, required(params, "AssumeRolePolicyDocument")?)?;
    let path = params.get("Path").map_or("/", String::as_str);
    if !path.starts_with('/') || !path.ends_with('/') {
        return Err(ApiError::new(400, "ValidationError", "The specified value for path is invalid."));
    }
    if find_role(ctx, account, name).is_some() {
        let text = format!("Role with name {name} already exists.");
        return Err(ApiError::new(409, "EntityAlreadyExists", text));
    }
    if let Some(boundary) = params.get("PermissionsBoundary") {
        policy_name(boundary)?;
    }
    let role = json!({
        "Path": path,
        "RoleName": name,
        "RoleId": format!("AROA{}", random_name(17)),
        "Arn": format!("arn:aws:iam::{account}:role{path}{name}"),
        "CreateDate": rfc3339(ctx.now),
        "AssumeRolePolicyDocument": document,
        "Description": params.get("Description"),
        "MaxSessionDuration": session_length(params)?.unwrap_or(3600),
        "PermissionsBoundary": params.get("PermissionsBoundary"),
        "Tags": tags(params),
        "attached": {},
        "inline": {},
        "createdAt": ctx.now,
    });
    ctx.world.put(role_key(account, name), role.clone());
    Ok(json!({ "Role": shape(&role, true) }))
}

fn session_length(params: &Params) -> Result<Option<u32>, ApiError> {
    let Some(given) = params.get("MaxSessionDuration") else { return Ok(None) };
    match given.parse() {
        Ok(seconds) if (3600..=43200).contains(&seconds) => Ok(Some(seconds)),
        Ok(_) | Err(_) => {
            let text = format!(
                "1 validation error detected: Value '{given}' at 'maxSessionDuration' failed to satisfy \
                 constraint: Member must have value between 3600 and 43200"
            );
            Err(ApiError::new(400, "ValidationError", text))
        }
    }
}

fn tags(params: &Params) -> Map<String, Value> {
    let pair = |row: std::collections::BTreeMap<String, String>| {
        Some((row.get("Key")?.clone(), row.get("Value").cloned().unwrap_or_default().into()))
    };
    list(params, "Tags").into_iter().filter_map(pair).collect()
}

fn tag_rows(role: &Value) -> Vec<Value> {
    let tags = role["Tags"].as_object().cloned().unwrap_or_default();
    tags.into_iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// A role as answers show it; lists leave some of it out.
fn shape(role: &Value, whole: bool) -> Value {
    let document = role["AssumeRolePolicyDocument"].as_str().unwrap_or_default();
    let mut shape = json!({
        "Path": role["Path"],
        "RoleName": role["RoleName"],
        "RoleId": role["RoleId"],
        "Arn": role["Arn"],
        "CreateDate": role["CreateDate"],
        "AssumeRolePolicyDocument": encode(document),
        "Description": role["Description"],
        "MaxSessionDuration": role["MaxSessionDuration"],
    });
    if whole {
        let tags = tag_rows(role);
        if !tags.is_empty() {
            shape["Tags"] = tags.into();
        }
        if let Some(boundary) = role["PermissionsBoundary"].as_str() {
            shape["PermissionsBoundary"] =
                json!({"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary});
        }
        shape["RoleLastUsed"] = json!({});
    }
    shape
}

/// The role that the parameters name, if IAM admits to having it already.
fn read(ctx: &Ctx<'_>, account: &str, params: &Params) -> Answer {
    let name = required(params, "RoleName")?;
    let lag = i64::from(ctx.switches.iam_read_lag) * 1000;
    find_role(ctx, account, name)
        .filter(|role| role["createdAt"].as_i64().unwrap_or(0) + lag <= ctx.now)
        .ok_or_else(|| no_role(name))
}

fn change(ctx: &mut Ctx<'_>, account: &str, params: &Params, edit: impl FnOnce(&mut Value)) -> Answer {
    let name = required(params, "RoleName")?;
    let key = role_key(account, name);
    if ctx.world.get(&key).is_none() {
        return Err(no_role(name));
    }
    ctx.world.edit(&key, edit);
    Ok(Value::Null)
}

fn update_role(ctx: &mut Ctx<'_>, account: &str, params: &Params) -> Answer {
    let length = session_length(params)?;
    change(ctx, account, params, |role| {
        if let Some(description) = params.get("Description") {
            role["Description"] = description.clone().into();
        }
        if let Some(length) = length {
            role["MaxSessionDuration"] = length.into();
        }
    })?;
    Ok(json!({}))
}

fn tag_role(ctx: &mut Ctx<'_>, account: &str, params: &Params) -> Answer {
    let fresh = tags(params);
    change(ctx, account, params, |role| {
        if let Some(tags) = role["Tags"].as_object_mut() {
            tags.extend(fresh);
        }
    })
}

fn delete_role(ctx: &mut Ctx<'_>, account: &str, params: &Params) -> Answer {
    let name = required(params, "RoleName")?;
    let role = find_role(ctx, account, name).ok_or_else(|| no_role(name))?;
    let conflict = |text: &str| Err(ApiError::new(409, "DeleteConflict", text));
    if role["attached"].as_object().is_some_and(|a| !a.is_empty()) {
        return conflict("Cannot delete entity, must detach all policies first.");
    }
    if role["inline"].as_object().is_some_and(|a| !a.is_empty()) {
        return conflict("Cannot delete entity, must delete policies first.");
    }
    ctx.world.remove(&role_key(account, name));
    Ok(Value::Null)
}

fn list_roles(ctx: &Ctx<'_>, account: &str, params: &Params) -> Answer {
    let prefix = params.get("PathPrefix").map_or("/", String::as_str);
    let all = format!("iam/{account}/role/");
    let rows = ctx
        .world
        .under(&all)
        .filter(|(_, role)| text(role, "Path").starts_with(prefix))
        .map(|(_, role)| shape(role, false))
        .collect();
    Ok(paged("Roles", rows, params))
}

fn list_tags(ctx: &Ctx<'_>, account: &str, params: &Params) -> Answer {
    let role = read(ctx, account, params)?;
    Ok(paged("Tags", tag_rows(&role), params))
}

/// A page in IAM's form, with its marker.
fn paged(name: &str, rows: Vec<Value>, params: &Params) -> Value {
    let marker = params.get("Marker").map(String::as_str);
    let (rows, next) = page(rows, marker, params.get("MaxItems").map(String::as_str), 1000);
    json!({name: rows, "IsTruncated": next.is_some(), "Marker": next})
}

fn policy_name(arn: &str) -> Result<&str, ApiError> {
    if !arn.starts_with("arn:aws:iam::") {
        return Err(ApiError::new(400, "InvalidInput", format!("ARN {arn} is not valid.")));
    }
    let name = arn.strip_prefix("arn:aws:iam::aws:policy/").filter(|name| MANAGED.contains(name));
    name.map(|n| n.rsplit('/').next().unwrap_or(n)).ok_or_else(|| {
        let text = format!("Policy {arn} does not exist or is not attachable.");
        ApiError::new(404, "NoSuchEntity", text)
    })
}

fn attach(ctx: &mut Ctx<'_>, account: &str, params: &Params) -> Answer {
    let arn = required(params, "PolicyArn")?;
    let name = required(params, "RoleName")?;
    let role = find_role(ctx, account, name).ok_or_else(|| no_role(name))?;
    let policy = policy_name(arn)?;
    let attached = role["attached"].as_object().cloned().unwrap_or_default();
    if attached.contains_key(arn) {
        return Ok(Value::Null);
    }
    if attached.len() >= ATTACHED_MOST {
        let text = format!("Cannot exceed quota for PoliciesPerRole: {ATTACHED_MOST}");
        return Err(ApiError::new(409, "LimitExceeded", text));
    }
    let now = ctx.now;
    change(ctx, account, params, |role| role["attached"][arn] = json!({"name": policy, "at": now}))
}

fn detach(ctx: &mut Ctx<'_>, account: &str, params: &Params) -> Answer {
    let arn = required(params, "PolicyArn")?;
    let name = required(params, "RoleName")?;
    let role = find_role(ctx, account, name).ok_or_else(|| no_role(name))?;
    if role["attached"].get(arn).is_none() {
        let text = format!("Policy {arn} was not found.");
        return Err(ApiError::new(404, "NoSuchEntity", text));
    }
    change(ctx, account, params, |role| {
        if let Some(attached) = role["attached"].as_object_mut() {
            attached.remove(arn);
        }
    })
}

fn list_attached(ctx: &Ctx<'_>, account: &str, params: &Params) -> Answer {
    let role = read(ctx, account, params)?;
    let mut rows: Vec<Value> = role["attached"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(arn, entry)| json!({"PolicyName": entry["name"], "PolicyArn": arn}))
        .collect();
    rows.sort_by_key(|row| text(row, "PolicyName"));
    Ok(paged("AttachedPolicies", rows, params))
}

fn inline(ctx: &mut Ctx<'_>, account: &str, action: &str, params: &Params) -> Answer {
    let role = read(ctx, account, params)?;
    if action == "ListRolePolicies" {
        let names = role["inline"].as_object().into_iter().flatten();
        return Ok(paged("PolicyNames", names.map(|(name, _)| name.clone().into()).collect(), params));
    }
    let policy = required(params, "PolicyName")?.to_owned();
    let missing = || {
        let text = format!("The role policy with name {policy} cannot be found.");
        ApiError::new(404, "NoSuchEntity", text)
    };
    if action == "PutRolePolicy" {
        let document = required(params, "PolicyDocument")?.to_owned();
        if serde_json::from_str::<Value>(&document).map_or(true, |d| !d.is_object()) {
            return Err(ApiError::new(400, "MalformedPolicyDocument", "Syntax errors in policy."));
        }
        return change(ctx, account, params, |role| role["inline"][&policy] = document.into());
    }
    let document = role["inline"].get(&policy).and_then(Value::as_str).ok_or_else(missing)?;
    if action == "GetRolePolicy" {
        let document = encode(document);
        let body = json!({"RoleName": role["RoleName"], "PolicyName": policy, "PolicyDocument": document});
        return Ok(body);
    }
    change(ctx, account, params, |role| {
        if let Some(inline) = role["inline"].as_object_mut() {
            inline.remove(&policy);
        }
    })
}
