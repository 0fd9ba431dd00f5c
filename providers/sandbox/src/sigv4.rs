//! Checks AWS's Signature Version 4, in the header and in the query, from its published rules.
//!
//! Dates may be near simulated time or near wall time: our own clients take the sandbox's clock, all
//! others come with the wall's.

use crate::accounts::{Caller, Credentials, find_key};
use crate::clock::{amz_date, parse_amz_date, rfc3339};
use crate::crypto::{hex, hmac256, same, sha256_hex};
use crate::http::{Request, decode, encode, raw_pairs};
use crate::store::World;
use base64::Engine as _;

const SKEW: i64 = 15 * 60 * 1000;

/// The two clocks that a date may agree with, and how far simulated time runs in a slow answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    pub(crate) sim: i64,
    pub(crate) wall: i64,
    pub(crate) speed: f64,
}

/// A request whose signature holds.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) caller: Caller,
    pub(crate) region: String,
}

/// What a signature says of itself, checked or not.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    access_key: String,
    scope: String,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) date: String,
    signed_headers: Vec<String>,
    signature: String,
    token: Option<String>,
    presigned: bool,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Missing,
    UnknownKey,
    BadToken,
    ExpiredToken,
    Skewed(String),
    Mismatch,
}

impl Claim {
    pub(crate) fn of(request: &Request) -> Option<Self> {
        match request.header("authorization") {
            Some(text) if text.starts_with("AWS4-HMAC-SHA256") => Self::of_header(request, text),
            Some(_) | None => Self::of_query(request),
        }
    }

    fn of_header(request: &Request, text: &str) -> Option<Self> {
        let rest = text.strip_prefix("AWS4-HMAC-SHA256")?;
        let part = |name: &str| {
            rest.split(',').find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
        };
        let date = request.header("x-amz-date")?.to_owned();
        let token = request.header("x-amz-security-token").map(str::to_owned);
        Self::build(&part("Credential")?, date, &part("SignedHeaders")?, part("Signature")?, token, false)
    }

    fn of_query(request: &Request) -> Option<Self> {
        let params = request.params();
        let get = |name: &str| params.get(name).cloned();
        Self::build(
            &get("X-Amz-Credential")?,
            get("X-Amz-Date")?,
            &get("X-Amz-SignedHeaders")?,
            get("X-Amz-Signature")?,
            get("X-Amz-Security-Token"),
            true,
        )
    }

    fn build(
        credential: &str,
        date: String,
        signed_headers: &str,
        signature: String,
        token: Option<String>,
        presigned: bool,
    ) -> Option<Self> {
        let (access_key, scope) = credential.split_once('/')?;
        let parts: Vec<&str> = scope.split('/').collect();
        let [day, region, service, "aws4_request"] = parts[..] else { return None };
        if !date.starts_with(day) {
            return None;
        }
        Some(Self {
            access_key: access_key.to_owned(),
            scope: scope.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            date,
            signed_headers: signed_headers.split(';').map(str::to_owned).collect(),
            signature,
            token,
            presigned,
        })
    }

    pub(crate) fn signs_header(&self, name: &str) -> bool {
        self.signed_headers.iter().any(|h| h == name)
    }

    pub(crate) fn millis(&self) -> Option<i64> {
        parse_amz_date(&self.date)
    }
}

/// Checks key, session, date and signature of a request to an AWS API.
pub(crate) fn verify(world: &World, request: &Request, clocks: Clocks) -> Result<Signed, Refusal> {
    let claim = Claim::of(request).ok_or(Refusal::Missing)?;
    check_date(&claim, clocks)?;
    let caller = verify_signature(world, request, &claim, clocks.sim)?;
    Ok(Signed { caller, region: claim.region })
}

fn check_date(claim: &Claim, clocks: Clocks) -> Result<(), Refusal> {
    let date = claim.millis().ok_or(Refusal::Missing)?;
    // A request that waits ten seconds on a busy machine is not old, whatever the speed makes of them.
    #[expect(clippy::cast_possible_truncation, reason = "a speed is a small number")]
    let patience = SKEW + (clocks.speed * 10_000.0) as i64;
    let near = |now: i64, bound: i64| (now - date).abs() <= bound;
    if near(clocks.sim, patience) || near(clocks.wall, SKEW) {
        return Ok(());
    }
    let (verb, now) =
        if date < clocks.sim { ("expired", clocks.sim) } else { ("not yet current", clocks.sim) };
    Err(Refusal::Skewed(format!(
        "Signature {verb}: {} is not within 15 min. of {}",
        claim.date,
        rfc3339(now)
    )))
}

/// Checks everything but the date, for callers with a rule of their own about it.
pub(crate) fn verify_signature(
    world: &World,
    request: &Request,
    claim: &Claim,
    sim: i64,
) -> Result<Caller, Refusal> {
    let key = find_key(world, &claim.access_key).ok_or(Refusal::UnknownKey)?;
    if key.token != claim.token {
        return Err(Refusal::BadToken);
    }
    let expected = signature(request, claim, &key.secret);
    if !same(&expected, &claim.signature) {
        return Err(Refusal::Mismatch);
    }
    if key.expires.is_some_and(|expires| sim >= expires) {
        return Err(Refusal::ExpiredToken);
    }
    Ok(key.caller)
}

fn signature(request: &Request, claim: &Claim, secret: &str) -> String {
    let text = format!(
        "AWS4-HMAC-SHA256\n{}\n{}\n{}",
        claim.date,
        claim.scope,
        sha256_hex(canonical(request, claim).as_bytes())
    );
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in claim.scope.split('/') {
        key = hmac256(&key, part.as_bytes());
    }
    hex(&hmac256(&key, text.as_bytes()))
}

fn canonical(request: &Request, claim: &Claim) -> String {
    let mut headers = String::new();
    for name in &claim.signed_headers {
        let values: Vec<String> = request
            .headers
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        headers.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    let sent = request.header("x-amz-content-sha256").filter(|_| claim.signs_header("x-amz-content-sha256"));
    let hash = sent.map_or_else(|| sha256_hex(&request.body), str::to_owned);
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{hash}",
        request.method,
        canonical_path(&request.path),
        canonical_query(&request.query, claim.presigned),
        claim.signed_headers.join(";")
    )
}

/// Every service but S3 signs the path encoded once more than it is sent.
fn canonical_path(path: &str) -> String {
    if path.is_empty() {
        return "/".to_owned();
    }
    path.split('/').map(encode).collect::<Vec<_>>().join("/")
}

fn canonical_query(query: &str, presigned: bool) -> String {
    let mut pairs: Vec<(String, String)> = raw_pairs(query)
        .map(|(key, value)| (encode(&decode(key, true)), encode(&decode(value, true))))
        .filter(|(key, _)| !(presigned && key == "X-Amz-Signature"))
        .collect();
    pairs.sort();
    pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
}

/// Signs a request in its header, as clients do.
#[cfg(test)]
pub(crate) fn sign(request: &mut Request, keys: &Credentials, service: &str, region: &str, date: &str) {
    request.headers.push(("x-amz-date".into(), date.into()));
    let scope = format!("{}/{region}/{service}/aws4_request", &date[..8]);
    let credential = format!("{}/{scope}", keys.access_key);
    let claim =
        Claim::build(&credential, date.into(), "host;x-amz-date", String::new(), None, false).unwrap();
    let signature = signature(request, &claim, &keys.secret_key);
    let text = format!(
        "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, Signature={signature}"
    );
    request.headers.push(("authorization".into(), text));
}

/// Makes the token that EKS's recipe makes: a presigned STS call, bound to the cluster's name, for a
/// time in milliseconds since the Unix epoch (the wall's or the sandbox's).
pub fn cluster_token(keys: &Credentials, region: &str, cluster: &str, millis: i64) -> String {
    let host = format!("sts.{region}.amazonaws.com");
    let date = amz_date(millis);
    let scope = format!("{}/{region}/sts/aws4_request", &date[..8]);
    let credential = format!("{}/{scope}", keys.access_key);
    let mut query = format!(
        "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}\
         &X-Amz-Date={date}&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id",
        encode(&credential)
    );
    if let Some(token) = &keys.session_token {
        query.push_str(&format!("&X-Amz-Security-Token={}", encode(token)));
    }
    let request = Request {
        method: "GET".into(),
        path: "/".into(),
        query: query.clone(),
        headers: vec![("host".into(), host.clone()), ("x-k8s-aws-id".into(), cluster.into())],
        ..Request::default()
    };
    let claim = Claim {
        access_key: keys.access_key.clone(),
        scope,
        region: region.into(),
        service: "sts".into(),
        date,
        signed_headers: vec!["host".into(), "x-k8s-aws-id".into()],
        signature: String::new(),
        token: keys.session_token.clone(),
        presigned: true,
    };
    let signature = signature(&request, &claim, &keys.secret_key);
    let url = format!("https://{host}/?{query}&X-Amz-Signature={signature}");
    format!("k8s-aws-v1.{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that the SDK made for the EKS token of cluster `demo`.
    fn presigned(token: Option<&str>) -> Request {
        let mut query = "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Fus-west-2%2Fsts%2Faws4_request\
            &X-Amz-Date=20260102T030405Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id"
            .to_owned();
        if let Some(token) = token {
            query.push_str(&format!("&X-Amz-Security-Token={}", encode(token)));
        }
        query.push_str("&X-Amz-Signature=0");
        Request {
            method: "GET".into(),
            path: "/".into(),
            query,
            headers: vec![
                ("host".into(), "sts.us-west-2.amazonaws.com".into()),
                ("x-k8s-aws-id".into(), "demo".into()),
            ],
            body: bytes::Bytes::new(),
        }
    }

    #[test]
    fn the_published_vectors_hold() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        for (token, expected) in [
            (None, "a53315e5b5b4bb54c29d32b3dcd0619487e455d104b30b5e4d92eb5fcadfc552"),
            (
                Some("FwoGZXIvYXdzEXAMPLE//token=="),
                "7d7835d7aa1c39638325548d7c6e8e9d344b0035f3aa12966ed780cf50e4da14",
            ),
        ] {
            let request = presigned(token);
            let claim = Claim::of(&request).unwrap();
            assert_eq!(claim.token.as_deref(), token);
            assert_eq!(signature(&request, &claim, secret), expected);
            let keys = Credentials {
                account: String::new(),
                access_key: "AKIDEXAMPLE".into(),
                secret_key: secret.into(),
                session_token: token.map(str::to_owned),
            };
            let made = cluster_token(&keys, "us-west-2", "demo", claim.millis().unwrap());
            assert_eq!(made.len(), if token.is_some() { 558 } else { 481 });
        }
    }

    #[test]
    fn dates_are_held_against_both_clocks() {
        let claim = Claim::of(&presigned(None)).unwrap();
        let date = claim.millis().unwrap();
        let far = date + 86_400_000;
        for (sim, wall, fine) in [
            (date, far, true),
            (far, date, true),
            (far, far, false),
            (date + SKEW, far, true),
            (far, date + SKEW + 1, false),
        ] {
            let clocks = Clocks { sim, wall, speed: 1.0 };
            assert_eq!(check_date(&claim, clocks).is_ok(), fine, "{sim} {wall}");
        }
    }
}
