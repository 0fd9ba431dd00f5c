//! Who may call a cluster: the holder of a token made by EKS's recipe (a presigned STS call, bound to
//! the cluster's name) in the account that owns it.

use super::{api, secret_key};
use crate::http::{Reply, Request};
use crate::sigv4::{Claim, Clocks, verify_signature};
use crate::store::World;
use base64::Engine as _;

const LIFETIME: i64 = 15 * 60 * 1000;

pub(super) fn unauthorized() -> Reply {
    api::status(401, "Unauthorized", "Unauthorized", None)
}

pub(super) fn check(world: &World, uid: &str, request: &Request, clocks: Clocks) -> Result<(), Reply> {
    caller_account(world, uid, request, clocks).map(drop).ok_or_else(unauthorized)
}

fn caller_account(world: &World, uid: &str, request: &Request, clocks: Clocks) -> Option<String> {
    // `eks/ACCOUNT/REGION/cluster/NAME`
    let cluster = world.get(&secret_key(uid))?["cluster"].as_str()?;
    let parts: Vec<&str> = cluster.split('/').collect();
    let (account, name) = (*parts.get(1)?, *parts.get(4)?);
    let token = request.header("authorization")?.strip_prefix("Bearer ")?.trim();
    let presigned = presigned(token, name)?;
    let claim = Claim::of(&presigned)?;
    let params = presigned.params();
    let right_call = params.get("Action").is_some_and(|a| a == "GetCallerIdentity");
    if claim.service != "sts"
        || !right_call
        || !claim.signs_header("x-k8s-aws-id")
        || !claim.signs_header("host")
    {
        return None;
    }
    if !fresh(claim.millis()?, clocks) {
        return None;
    }
    let caller = verify_signature(world, &presigned, &claim, clocks.sim).ok()?;
    (caller.account == account).then_some(caller.account)
}

/// A token lives a quarter of an hour from its date; dates may be the wall's or the sandbox's.
fn fresh(date: i64, clocks: Clocks) -> bool {
    let near = |now: i64| now - date < LIFETIME && date - now < LIFETIME;
    near(clocks.sim) || near(clocks.wall)
}

/// The request inside a token, with the header that binds it to the cluster.
fn presigned(token: &str, cluster: &str) -> Option<Request> {
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let url = engine.decode(token.strip_prefix("k8s-aws-v1.")?.trim_end_matches('=')).ok()?;
    let url = String::from_utf8(url).ok()?;
    let (scheme, rest) = url.split_once("://")?;
    let (host, rest) = rest.split_once('/')?;
    let query = rest.strip_prefix('?')?;
    let vendor = scheme == "https"
        && host.starts_with("sts.")
        && [".amazonaws.com", ".amazonaws.com.cn"].iter().any(|end| host.ends_with(end));
    // A client whose STS is the sandbox signs the sandbox's own address.
    let own = host.starts_with("127.0.0.1:") || host.starts_with("localhost:");
    if !vendor && !own {
        return None;
    }
    Some(Request {
        method: "GET".into(),
        path: "/".into(),
        query: query.to_owned(),
        headers: vec![("host".into(), host.to_owned()), ("x-k8s-aws-id".into(), cluster.to_owned())],
        body: bytes::Bytes::new(),
    })
}
