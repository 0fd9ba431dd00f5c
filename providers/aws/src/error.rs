//! From the services' answers to [`ProviderError`].
//!
//! The kind follows from code and status. A message's text is looked at in just one place here: EKS reports a missing
//! cluster by a `ClientException`, which no code tells from others.

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use groma_provider::{ErrorKind, ProviderError};
use hyper_util::client::legacy::Error as HyperError;
use std::error::Error;
use std::time::Duration;

/// One operation of a service, as it is logged and named in errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Api {
    pub(crate) service: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) mutating: bool,
}

impl Api {
    pub(crate) const fn read(service: &'static str, operation: &'static str) -> Api {
        Api { service, operation, mutating: false }
    }
    pub(crate) const fn write(service: &'static str, operation: &'static str) -> Api {
        Api { service, operation, mutating: true }
    }
    pub(crate) fn asked(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }
}

const CREDENTIALS_HELP: &str =
    "check the credentials of the provider (`aws sts get-caller-identity` shows them)";

const THROTTLED: [&str; 11] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "RequestThrottled",
    "RequestThrottledException",
    "EC2ThrottledException",
    "SlowDown",
    "PriorRequestNotComplete",
    "TransactionInProgressException",
];

const DENIED: [&str; 19] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestTimeTooSkewed",
    "OptInRequired",
    "UnauthorizedException",
    "InvalidIdentityToken",
];

const NOT_FOUND: [&str; 4] =
    ["NoSuchEntity", "NoSuchEntityException", "ResourceNotFoundException", "NotFoundException"];

const CONFLICT: [&str; 11] = [
    "EntityAlreadyExists",
    "EntityAlreadyExistsException",
    "DeleteConflict",
    "DeleteConflictException",
    "ConcurrentModification",
    "ConcurrentModificationException",
    "EntityTemporarilyUnmodifiable",
    "ResourceInUseException",
    "ResourcePropagationDelayException",
    "DependencyViolation",
    "IncorrectState",
];

/// Returns the kind of a service's error answer.
pub(crate) fn classify(code: Option<&str>, status: u16, mutating: bool) -> ErrorKind {
    let code = code.unwrap_or_default();
    let listed = |codes: &[&str]| codes.contains(&code);
    if listed(&THROTTLED) {
        return ErrorKind::Throttled;
    }
    if listed(&DENIED) {
        return ErrorKind::Denied;
    }
    if listed(&NOT_FOUND) || code.ends_with(".NotFound") {
        return ErrorKind::NotFound;
    }
    if listed(&CONFLICT) || code.ends_with(".Duplicate") {
        return ErrorKind::Conflict;
    }
    if code == "IDPCommunicationError" {
        return ErrorKind::Unavailable;
    }
    if code.trim_end_matches("Exception").ends_with("LimitExceeded") {
        return ErrorKind::Quota;
    }
    classify_status(status, mutating)
}

fn classify_status(status: u16, mutating: bool) -> ErrorKind {
    match status {
        429 => ErrorKind::Throttled,
        401 | 403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        503 => ErrorKind::Unavailable,
        // The service may have done the work before it fell ill.
        500..=599 if mutating => ErrorKind::Ambiguous,
        500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    }
}

/// Converts an SDK's error.
pub(crate) fn from_sdk<E>(api: Api, error: &SdkError<E, HttpResponse>) -> ProviderError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let raw = service.raw();
            let meta = service.err();
            let mut out = answer(api, meta.code(), meta.message(), raw.status().as_u16());
            out.request_id = raw.headers().request_id().or(meta.meta().request_id()).map(str::to_string);
            out.retry_after = raw.headers().get("retry-after").and_then(retry_after);
            out
        }
        SdkError::ResponseError(response) => {
            // An answer that can't be read says nothing of what was done.
            let raw = response.raw();
            let status = raw.status().as_u16();
            let kind = match status {
                200..=299 => lost(api.mutating),
                _ => classify(None, status, api.mutating),
            };
            let mut out = transport(api, kind, DisplayErrorContext(error).to_string());
            out.status = Some(status);
            out.request_id = raw.headers().request_id().map(str::to_string);
            out
        }
        _ if source_is::<CredentialsError>(error, |_| true) => {
            // Nothing was sent, so it is no lost answer even if the connection to the credentials' source broke.
            let unreachable = source_is::<HyperError>(error, HyperError::is_connect);
            let kind = if unreachable { ErrorKind::Unreachable } else { ErrorKind::Denied };
            transport(api, kind, DisplayErrorContext(error).to_string()).help(CREDENTIALS_HELP)
        }
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(connector) => from_connector(api, connector),
            None => transport(api, ErrorKind::Denied, DisplayErrorContext(error).to_string()),
        },
        SdkError::TimeoutError(_) => {
            transport(api, lost(api.mutating), DisplayErrorContext(error).to_string())
        }
        // The request could not be built: nothing was sent.
        _ => transport(api, ErrorKind::Bug, DisplayErrorContext(error).to_string()),
    }
}

/// What an error answer of a service means.
pub(crate) fn answer(api: Api, code: Option<&str>, message: Option<&str>, status: u16) -> ProviderError {
    let message = message.unwrap_or("the service gave no reason");
    let missing_cluster =
        code == Some("ClientException") && message.starts_with("No cluster found for name:");
    let kind = if missing_cluster { ErrorKind::NotFound } else { classify(code, status, api.mutating) };
    let mut out = ProviderError::new(kind, message).asked(api.asked());
    out.code = code.map(str::to_string);
    out.status = Some(status);
    if code == Some("RequestTimeTooSkewed") {
        out.help = Some("the clock of this machine differs too much from the service's".into());
    }
    out
}

pub(crate) fn retry_after(header: &str) -> Option<Duration> {
    header.trim().parse().ok().map(Duration::from_secs)
}

fn transport(api: Api, kind: ErrorKind, message: String) -> ProviderError {
    ProviderError::new(kind, message).asked(api.asked())
}

/// The request went out and no answer came back.
fn lost(mutating: bool) -> ErrorKind {
    if mutating { ErrorKind::Ambiguous } else { ErrorKind::Unavailable }
}

/// Tells a connection that never came about from one that broke.
pub(crate) fn from_connector(api: Api, error: &ConnectorError) -> ProviderError {
    let kind =
        if error.is_user() || never_connected(error) { ErrorKind::Unreachable } else { lost(api.mutating) };
    transport(api, kind, DisplayErrorContext(error).to_string())
}

fn never_connected(error: &ConnectorError) -> bool {
    source_is::<HyperError>(error, HyperError::is_connect)
}

/// Whether the error, or one that it came from, is a `T` for which `test` holds.
fn source_is<T: Error + 'static>(error: &(dyn Error + 'static), test: impl Fn(&T) -> bool) -> bool {
    let mut source = Some(error);
    while let Some(at) = source {
        if at.downcast_ref::<T>().is_some_and(&test) {
            return true;
        }
        source = at.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_status_decide_the_kind() {
        use ErrorKind::{Ambiguous, Conflict, Denied, Invalid, NotFound, Quota, Throttled, Unavailable};
        let table = [
            ("Throttling", 400, true, Throttled),
            ("ThrottlingException", 429, true, Throttled),
            ("RequestLimitExceeded", 503, false, Throttled),
            ("", 429, false, Throttled),
            ("AccessDenied", 403, true, Denied),
            ("UnauthorizedOperation", 403, false, Denied),
            ("ExpiredTokenException", 400, false, Denied),
            ("SignatureDoesNotMatch", 403, false, Denied),
            ("NoSuchEntity", 404, true, NotFound),
            ("ResourceNotFoundException", 404, false, NotFound),
            ("InvalidVpcID.NotFound", 400, false, NotFound),
            ("EntityAlreadyExists", 409, true, Conflict),
            ("DeleteConflict", 409, true, Conflict),
            ("ResourceInUseException", 409, true, Conflict),
            ("InvalidGroup.Duplicate", 400, true, Conflict),
            ("LimitExceeded", 409, true, Quota),
            ("ResourceLimitExceededException", 400, true, Quota),
            ("AddressLimitExceeded", 400, true, Quota),
            ("InvalidParameterException", 400, true, Invalid),
            ("MalformedPolicyDocument", 400, true, Invalid),
            ("UnsupportedAvailabilityZoneException", 400, true, Invalid),
            ("ServerException", 500, true, Ambiguous),
            ("ServerException", 500, false, Unavailable),
            ("ServiceUnavailableException", 503, true, Unavailable),
            ("", 502, true, Ambiguous),
            ("", 504, false, Unavailable),
        ];
        for (code, status, mutating, kind) in table {
            let code = (!code.is_empty()).then_some(code);
            assert_eq!(classify(code, status, mutating), kind, "{code:?} {status} {mutating}");
        }
    }

    #[test]
    fn a_missing_cluster_is_not_found_whatever_its_code() {
        let api = Api::read("eks", "DescribeCluster");
        let error = answer(api, Some("ClientException"), Some("No cluster found for name: x."), 400);
        assert_eq!(error.kind, ErrorKind::NotFound);
        let error = answer(api, Some("ClientException"), Some("something else"), 400);
        assert_eq!(error.kind, ErrorKind::Invalid);
    }
}
