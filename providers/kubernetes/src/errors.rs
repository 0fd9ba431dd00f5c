//! Answers of the API and failures of the connection, as errors of the provider kit.

use crate::mapping::Fields;
use groma_provider::{ErrorKind, ProviderError};
use serde_json::Value as Json;
use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

/// Code of the error for a certificate that was not accepted: no time heals it.
pub(crate) const BAD_CERTIFICATE: &str = "BadCertificate";

/// Returns the error for an answer with an error status. `body` is a Status object where the API itself answered.
pub(crate) fn refusal(
    status: u16,
    body: &[u8],
    retry_after: Option<Duration>,
    fields: Option<&Fields>,
) -> ProviderError {
    let parsed: Json = serde_json::from_slice(body).unwrap_or(Json::Null);
    let text = |name: &str| parsed[name].as_str().filter(|s| !s.is_empty());
    let reason = text("reason").map(Into::into);
    let message = text("message").map_or_else(|| plain(status, body), Into::into);
    let causes = parsed["details"]["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let why = Why::of(status, &message, causes);
    let mut error = ProviderError::new(kind_of(status, why), with_causes(message, causes));
    error.code = reason;
    error.status = Some(status);
    let seconds = parsed["details"]["retryAfterSeconds"].as_u64().filter(|&s| s > 0);
    error.retry_after = retry_after.or(seconds.map(Duration::from_secs));
    error.path = fields.and_then(|f| causes.iter().find_map(|c| f.place(c["field"].as_str()?)));
    match help(status, why) {
        Some(help) => error.help(help),
        None => error,
    }
}

/// What an answer means beyond its status: 403 stands for many things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// A quota of the namespace is used up.
    Quota,
    /// The namespace is being deleted.
    Leaving,
    /// A webhook or a policy of the cluster objects.
    Admission,
    Other,
}

impl Why {
    fn of(status: u16, message: &str, causes: &[Json]) -> Why {
        let forbidden = status == 403;
        let is_policy = message.contains("violates PodSecurity") || message.contains("denied request: ");
        match () {
            () if forbidden && message.contains("exceeded quota") => Why::Quota,
            () if forbidden && causes.iter().any(|c| c["reason"] == "NamespaceTerminating") => Why::Leaving,
            () if message.contains("denied the request") || is_policy => Why::Admission,
            () => Why::Other,
        }
    }
}

/// What an answer says that is no Status object: from a load balancer or a proxy in between.
fn plain(status: u16, body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
    let text = text.trim();
    if text.is_empty() { format!("HTTP status {status}") } else { format!("HTTP status {status}: {text}") }
}

fn kind_of(status: u16, why: Why) -> ErrorKind {
    match (why, status) {
        (Why::Quota, _) => ErrorKind::Quota,
        (Why::Leaving, _) => ErrorKind::Conflict,
        (Why::Admission, _) => ErrorKind::Invalid,
        (Why::Other, 401 | 403) => ErrorKind::Denied,
        (Why::Other, 404 | 410) => ErrorKind::NotFound,
        (Why::Other, 409) => ErrorKind::Conflict,
        (Why::Other, 429) => ErrorKind::Throttled,
        (Why::Other, 500..) => ErrorKind::Unavailable,
        (Why::Other, _) => ErrorKind::Invalid,
    }
}

/// Adds the causes that the message does not name already.
fn with_causes(mut message: String, causes: &[Json]) -> String {
    for cause in causes {
        let (field, what) = (cause["field"].as_str().unwrap_or_default(), cause["message"].as_str());
        let Some(what) = what.filter(|w| !message.contains(*w) || !message.contains(field)) else { continue };
        let separator = if message.ends_with(':') { "" } else { ";" };
        // Writing to a string can't fail.
        let _ = write!(message, "{separator} {field}: {what}");
    }
    message
}

fn help(status: u16, why: Why) -> Option<&'static str> {
    match (why, status) {
        (Why::Quota, _) => Some(
            "a ResourceQuota of the namespace is used up: raise it, or free what is not needed; `kubectl describe quota` tells its use",
        ),
        (Why::Leaving, _) => Some(
            "the namespace is being deleted: wait for its end and apply again; what holds it stands in its status and in the finalizers of its objects",
        ),
        (Why::Admission, _) => Some(
            "a webhook or policy of the cluster objects, not its access rules: change what it names, or ask who runs it",
        ),
        (Why::Other, 401) => Some(
            "the cluster does not know these credentials: check the token and the cluster's access entries",
        ),
        (Why::Other, 403) => Some(
            "the cluster knows these credentials but they may not do this: check roles and their bindings",
        ),
        (Why::Other, _) => None,
    }
}

/// Returns the error for a request that got no answer.
pub(crate) fn no_answer(error: &kube::Error, address: &str) -> ProviderError {
    let chain = chain(error);
    if matches!(error, kube::Error::Auth(_)) {
        return ProviderError::new(ErrorKind::Denied, format!("no credentials for {address}: {chain}"));
    }
    if !is_connect(error) {
        return ProviderError::new(
            ErrorKind::Ambiguous,
            format!("the connection to {address} broke: {chain}"),
        );
    }
    let mut failed =
        ProviderError::new(ErrorKind::Unreachable, format!("no connection to {address}: {chain}"));
    if chain.contains("certificate") {
        failed.code = Some(BAD_CERTIFICATE.into());
        return failed.help(
            "the cluster's certificate was not accepted: check `cluster_ca_certificate`, and `tls_server_name` if the address is not the name in it",
        );
    }
    failed.help(
        "check `host`, and that this machine may reach the cluster's API (private endpoint, allowed CIDRs)",
    )
}

/// Whether the failure came before the request was sent.
fn is_connect(error: &kube::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(client) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
            return client.is_connect();
        }
        next = error.source();
    }
    false
}

/// The texts of an error and its sources, each once.
fn chain(error: &dyn Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !texts.iter().any(|t| t.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;
    use serde_json::json;

    fn check(status: u16, body: &Json, expected: ErrorKind, path: &str, contains: &str) {
        let kinds = schema::kinds();
        let fields = kinds.iter().find(|k| k.names[0] == "kubernetes_deployment").map(|k| k.fields.clone());
        let error = refusal(status, body.to_string().as_bytes(), None, fields.as_deref());
        assert_eq!(error.kind, expected, "{body}");
        assert_eq!(error.path.clone().unwrap_or_default().to_string(), path, "{body}");
        assert!(error.to_string().contains(contains), "{error}");
    }

    #[test]
    fn answers_become_errors() {
        let status = |reason: &str, message: &str, details: Json| json!({"kind": "Status", "reason": reason, "message": message, "details": details});
        check(
            401,
            &status("Unauthorized", "Unauthorized", json!(null)),
            ErrorKind::Denied,
            "",
            "Unauthorized",
        );
        check(403, &status("Forbidden", "user can't", json!(null)), ErrorKind::Denied, "", "user can't");
        check(403, &status("Forbidden", "exceeded quota: pods", json!(null)), ErrorKind::Quota, "", "quota");
        check(
            404,
            &status("NotFound", "namespaces \"x\" not found", json!(null)),
            ErrorKind::NotFound,
            "",
            "NotFound",
        );
        check(
            503,
            &json!("upstream connect error"),
            ErrorKind::Unavailable,
            "",
            "HTTP status 503: \"upstream",
        );
        check(
            422,
            &status(
                "Invalid",
                "Deployment.apps \"web\" is invalid: spec.template.spec.containers[0].image: Required value",
                json!({"causes": [{"reason": "FieldValueRequired", "message": "Required value", "field": "spec.template.spec.containers[0].image"}]}),
            ),
            ErrorKind::Invalid,
            "spec[0].template[0].spec[0].container[0].image",
            "Required value",
        );
        check(
            409,
            &status(
                "Conflict",
                "Apply failed with 1 conflict:",
                json!({"causes": [{"reason": "FieldManagerConflict", "message": "conflict with \"kubectl-edit\" using apps/v1", "field": ".spec.replicas"}]}),
            ),
            ErrorKind::Conflict,
            "spec[0].replicas",
            "conflict: .spec.replicas: conflict with \"kubectl-edit\"",
        );
    }

    #[test]
    fn throttling_says_when() {
        let body =
            json!({"reason": "TooManyRequests", "message": "slow", "details": {"retryAfterSeconds": 3}});
        let error = refusal(429, body.to_string().as_bytes(), None, None);
        assert_eq!((error.kind, error.retry_after), (ErrorKind::Throttled, Some(Duration::from_secs(3))));
        let error = refusal(429, b"", Some(Duration::from_secs(1)), None);
        assert_eq!(error.retry_after, Some(Duration::from_secs(1)));
    }
}
