//! The AWS APIs: one address for all services, told apart by the signature's scope.

pub(crate) mod ec2;
pub(crate) mod eks;
pub(crate) mod iam;
mod sts;
mod xml;

use crate::clock::http_date;
use crate::core::{Ctx, Sandbox};
use crate::crypto::uuid;
use crate::faults::{self, Fault};
use crate::http::{Reply, Request, form};
use crate::server::Outcome;
use crate::sigv4::{Claim, Refusal, Signed, verify};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io;

/// The ids of the subnets of an account's default network in a region, in the order of their zones.
pub fn default_subnets(account: &str, region: &str) -> Vec<String> {
    ec2::subnets(account, region).into_iter().map(|subnet| subnet.id).collect()
}

/// Decoded parameters of a query-protocol call.
pub(crate) type Params = BTreeMap<String, String>;

/// An error as a service answers it; each protocol has its own envelope.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    /// Further members of a JSON error.
    pub(crate) more: Map<String, Value>,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), more: Map::new() }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }
}

/// The services that are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Sts,
    Iam,
    Ec2,
    Eks,
}

impl Service {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "sts" => Self::Sts,
            "iam" => Self::Iam,
            "ec2" => Self::Ec2,
            "eks" => Self::Eks,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::Iam => "iam",
            Self::Ec2 => "ec2",
            Self::Eks => "eks",
        }
    }

    /// Burst and refill a second of each account's bucket.
    fn quota(self, operation: &str) -> (f64, f64) {
        let reads = ["Describe", "Get", "List"].iter().any(|verb| operation.starts_with(verb));
        match self {
            Self::Sts => (600.0, 600.0),
            Self::Iam if reads => (100.0, 20.0),
            Self::Iam => (60.0, 15.0),
            Self::Ec2 => (100.0, 20.0),
            Self::Eks if reads => (100.0, 20.0),
            Self::Eks => (50.0, 5.0),
        }
    }

    fn throttled(self) -> ApiError {
        match self {
            Self::Sts | Self::Iam => ApiError::new(400, "Throttling", "Rate exceeded"),
            Self::Ec2 => ApiError::new(503, "RequestLimitExceeded", "Request limit exceeded."),
            Self::Eks => ApiError::new(429, "ThrottlingException", "Rate exceeded"),
        }
    }

    fn broken(self) -> ApiError {
        match self {
            Self::Sts | Self::Iam => {
                ApiError::new(500, "ServiceFailure", "The request processing has failed because of an error.")
            }
            Self::Ec2 => ApiError::new(500, "InternalError", "An internal error has occurred"),
            Self::Eks => ApiError::new(500, "ServerException", "Internal server error"),
        }
    }

    fn denied(self, signed: &Signed, operation: &str) -> ApiError {
        let message =
            format!("User: {} is not authorized to perform: {}:{operation}", signed.caller.arn, self.name());
        match self {
            Self::Sts | Self::Iam => ApiError::new(403, "AccessDenied", message),
            Self::Ec2 => ApiError::new(
                403,
                "UnauthorizedOperation",
                "You are not authorized to perform this operation.",
            ),
            Self::Eks => ApiError::new(403, "AccessDeniedException", message),
        }
    }

    fn refused(self, refusal: &Refusal) -> ApiError {
        let invalid = "The security token included in the request is invalid";
        let expired = "The security token included in the request is expired";
        let mismatch = "The request signature we calculated does not match the signature you provided. Check \
                        your AWS Secret Access Key and signing method.";
        let (query, json, text) = match refusal {
            Refusal::Missing => (
                "MissingAuthenticationToken",
                "MissingAuthenticationTokenException",
                "Request is missing Authentication Token",
            ),
            Refusal::UnknownKey => ("InvalidClientTokenId", "UnrecognizedClientException", invalid),
            Refusal::BadToken => ("InvalidClientTokenId", "UnrecognizedClientException", invalid),
            Refusal::ExpiredToken => ("ExpiredToken", "ExpiredTokenException", expired),
            Refusal::Skewed(text) => ("SignatureDoesNotMatch", "InvalidSignatureException", text.as_str()),
            Refusal::Mismatch => ("SignatureDoesNotMatch", "InvalidSignatureException", mismatch),
        };
        match self {
            Self::Sts | Self::Iam => ApiError::new(403, query, text),
            Self::Ec2 if *refusal == Refusal::ExpiredToken => ApiError::new(400, "RequestExpired", text),
            Self::Ec2 => ApiError::new(
                401,
                "AuthFailure",
                "AWS was not able to validate the provided access credentials",
            ),
            Self::Eks => ApiError::new(403, json, text),
        }
    }

    fn error(self, error: &ApiError, request_id: &str) -> Reply {
        match self {
            Self::Sts | Self::Iam => xml::query_error(error, self == Self::Sts, request_id),
            Self::Ec2 => xml::ec2_error(error, request_id),
            Self::Eks => json_error(error),
        }
    }
}

fn json_error(error: &ApiError) -> Reply {
    let mut body = error.more.clone();
    body.insert("message".into(), error.message.clone().into());
    Reply::json(error.status, &Value::Object(body)).with("x-amzn-errortype", error.code.clone())
}

/// A call, understood but not yet done.
struct Call<'a> {
    service: Service,
    operation: String,
    params: Params,
    request: &'a Request,
}

impl<'a> Call<'a> {
    fn of(service: Service, request: &'a Request) -> Self {
        if service == Service::Eks {
            let operation = eks::operation(&request.method, &request.segments()).to_owned();
            return Self { service, operation, params: request.params(), request };
        }
        let mut params = request.params();
        params.extend(form(&String::from_utf8_lossy(&request.body)));
        let operation = params.get("Action").cloned().unwrap_or_default();
        Self { service, operation, params, request }
    }

    fn perform(&self, ctx: &mut Ctx<'_>, signed: &Signed, request_id: &str) -> Result<Reply, ApiError> {
        let (action, params) = (self.operation.as_str(), &self.params);
        match self.service {
            Service::Sts => sts::call(ctx, signed, action, params)
                .map(|body| xml::answer(action, &body, true, request_id)),
            Service::Iam => iam::call(ctx, signed, action, params)
                .map(|body| xml::answer(action, &body, false, request_id)),
            Service::Ec2 => {
                ec2::call(ctx, signed, action, params).map(|body| xml::ec2_answer(action, &body, request_id))
            }
            Service::Eks => eks::call(ctx, signed, action, self.request),
        }
    }
}

/// Answers a request to any of the services.
pub(crate) fn handle(sandbox: &Sandbox, request: &Request) -> io::Result<Outcome> {
    let request_id = uuid();
    let claim = Claim::of(request);
    let Some(service) = claim.as_ref().and_then(|c| Service::of(&c.service)) else {
        let error = match &claim {
            Some(claim) => ApiError::new(
                501,
                "NotImplemented",
                format!("the sandbox has no service `{}`", claim.service),
            ),
            None => Service::Sts.refused(&Refusal::Missing),
        };
        return Ok(Outcome::reply(json_error(&error)));
    };
    let call = Call::of(service, request);
    let outcome = answer(sandbox, &call, &request_id)?;
    Ok(outcome.map(|reply| {
        let clocks = sandbox.clocks();
        let date = claim.and_then(|c| c.millis()).unwrap_or(clocks.sim);
        let near_wall = (date - clocks.wall).abs() < (date - clocks.sim).abs();
        let header = if service == Service::Eks { "x-amzn-requestid" } else { "x-amzn-RequestId" };
        reply
            .with("date", http_date(if near_wall { clocks.wall } else { clocks.sim }))
            .with(header, request_id)
    }))
}

fn answer(sandbox: &Sandbox, call: &Call<'_>, request_id: &str) -> io::Result<Outcome> {
    let (service, operation) = (call.service, call.operation.as_str());
    let name = format!("{}.{operation}", service.name());
    let fail = |error: &ApiError| Outcome::reply(service.error(error, request_id));
    let checked = sandbox.run(|ctx| verify(ctx.world, call.request, sandbox.clocks()))?;
    let signed = match checked {
        Ok(signed) => signed,
        Err(refusal) => return Ok(fail(&service.refused(&refusal))),
    };
    let fault = sandbox.run(|ctx| Ok::<_, ()>(faults::draw(ctx.world, &name)))?.unwrap_or(None);
    match fault {
        Some(Fault::Throttle) => return Ok(fail(&service.throttled())),
        Some(Fault::ServerError) => return Ok(fail(&service.broken())),
        Some(Fault::Denied) => return Ok(fail(&service.denied(&signed, operation))),
        Some(Fault::Expired) => return Ok(fail(&service.refused(&Refusal::ExpiredToken))),
        Some(Fault::Timeout) => return Ok(Outcome::Hang),
        Some(Fault::ResetBefore) => return Ok(Outcome::Cut),
        Some(Fault::ResetAfter | Fault::Slow(_)) | None => {}
    }
    let (burst, per_second) = service.quota(operation);
    let kind =
        if operation.starts_with("Create") || operation.starts_with("Delete") { "write" } else { "other" };
    let bucket = format!("{}/{}/{}/{kind}", service.name(), signed.caller.account, signed.region);
    if !sandbox.within_quota(&bucket, burst, per_second) {
        return Ok(fail(&service.throttled()));
    }
    let done = sandbox.run(|ctx| call.perform(ctx, &signed, request_id))?;
    let reply = done.unwrap_or_else(|error| service.error(&error, request_id));
    Ok(match fault {
        Some(Fault::ResetAfter) => Outcome::Cut,
        Some(Fault::Slow(millis)) => Outcome::Late(millis, reply),
        _ => Outcome::reply(reply),
    })
}

/// A parameter that must be there.
fn required<'a>(params: &'a Params, name: &str) -> Result<&'a str, ApiError> {
    params.get(name).map(String::as_str).filter(|v| !v.is_empty()).ok_or_else(|| {
        ApiError::new(400, "ValidationError", format!("1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"))
    })
}

/// `Prefix.member.1.Key=..` (or `Prefix.1.Key`) as objects, in order.
fn list(params: &Params, prefix: &str) -> Vec<BTreeMap<String, String>> {
    let mut rows: BTreeMap<usize, BTreeMap<String, String>> = BTreeMap::new();
    for (key, value) in params {
        let Some(rest) = key.strip_prefix(prefix).and_then(|r| r.strip_prefix('.')) else { continue };
        let rest = rest.strip_prefix("member.").unwrap_or(rest);
        let (number, field) = rest.split_once('.').unwrap_or((rest, ""));
        if let Ok(number) = number.parse() {
            rows.entry(number).or_default().insert(field.to_owned(), value.clone());
        }
    }
    rows.into_values().collect()
}

/// The values of `Prefix.member.1=..` or `Prefix.1=..`.
fn values(params: &Params, prefix: &str) -> Vec<String> {
    list(params, prefix).into_iter().filter_map(|mut row| row.remove("")).collect()
}

/// One page of rows and the marker of the next.
fn page<T>(rows: Vec<T>, start: Option<&str>, size: Option<&str>, most: usize) -> (Vec<T>, Option<String>) {
    let start = start.and_then(|text| text.strip_prefix("page-")).and_then(|n| n.parse().ok()).unwrap_or(0);
    let size = size.and_then(|text| text.parse().ok()).unwrap_or(most).clamp(1, most);
    let next = (rows.len() > start + size).then(|| format!("page-{}", start + size));
    (rows.into_iter().skip(start).take(size).collect(), next)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn member(name: &str, value: impl Into<Value>) -> Value {
    json!({ name: value.into() })
}
