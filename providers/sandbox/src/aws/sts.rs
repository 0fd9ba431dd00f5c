//! STS: who am I, and keys for a role.

use super::{ApiError, Params, iam, required};
use crate::accounts::{Caller, open_session};
use crate::clock::rfc3339;
use crate::core::Ctx;
use crate::sigv4::Signed;
use serde_json::{Value, json};

pub(super) fn call(
    ctx: &mut Ctx<'_>,
    signed: &Signed,
    action: &str,
    params: &Params,
) -> Result<Value, ApiError> {
    match action {
        "GetCallerIdentity" => Ok(json!({
            "Arn": signed.caller.arn, "UserId": signed.caller.user_id, "Account": signed.caller.account,
        })),
        "AssumeRole" => assume_role(ctx, signed, params),
        _ => Err(iam::unknown_action(action, "2011-06-15")),
    }
}

fn assume_role(ctx: &mut Ctx<'_>, signed: &Signed, params: &Params) -> Result<Value, ApiError> {
    let arn = required(params, "RoleArn")?;
    let session = required(params, "RoleSessionName")?;
    let seconds: i64 = params.get("DurationSeconds").and_then(|s| s.parse().ok()).unwrap_or(3600);
    let refused = || {
        let who = &signed.caller.arn;
        ApiError::new(
            403,
            "AccessDenied",
            format!("User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}"),
        )
    };
    let mut parts = arn.splitn(6, ':').skip(4);
    let account = parts.next().filter(|a| a.len() == 12).ok_or_else(refused)?;
    let path = parts.next().and_then(|r| r.strip_prefix("role/")).ok_or_else(refused)?;
    let name = path.rsplit('/').next().unwrap_or(path);
    let role_id = match iam::find_role(ctx, account, name) {
        Some(role) if iam::trusts(&role, &signed.caller) => super::text(&role, "RoleId"),
        None if ctx.switches.assume_any_role => {
            format!("AROASBOX{:012}", crate::crypto::spread(arn, 1 << 39))
        }
        Some(_) | None => return Err(refused()),
    };
    if !(900..=43200).contains(&seconds) {
        let text =
            format!("1 validation error detected: Value '{seconds}' at 'durationSeconds' is out of range");
        return Err(ApiError::new(400, "ValidationError", text));
    }
    let caller = Caller {
        account: account.to_owned(),
        arn: format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"),
        user_id: format!("{role_id}:{session}"),
    };
    let expires = ctx.now + seconds * 1000;
    let (access_key, keys) = open_session(ctx.world, &caller, expires);
    Ok(json!({
        "Credentials": {
            "AccessKeyId": access_key,
            "SecretAccessKey": keys["secret"],
            "SessionToken": keys["token"],
            "Expiration": rfc3339(expires),
        },
        "AssumedRoleUser": {"AssumedRoleId": caller.user_id, "Arn": caller.arn},
    }))
}
