//! The token by which EKS knows the caller: a presigned STS request, encoded.
//!
//! No call is made. The cluster accepts a token for 15 minutes from its signing date, so it is renewed after 10.

use crate::client::system_time;
use crate::config::partition_of;
use crate::ec2::push_encoded;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningParams, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use groma_provider::{ErrorKind, ProviderError};
use groma_types::Timestamp;
use std::time::Duration;

/// Age at which a token is replaced.
pub(crate) const RENEW_AFTER: Duration = Duration::from_secs(10 * 60);

/// Makes the token for a cluster.
///
/// # Errors
/// The signer refuses the request: a fault of this crate.
pub(crate) fn mint(
    identity: &Identity,
    region: &str,
    cluster: &str,
    now: Timestamp,
) -> Result<String, ProviderError> {
    let bug = |e: &dyn std::fmt::Display| ProviderError::new(ErrorKind::Bug, format!("signing a token: {e}"));
    let base = format!("https://sts.{region}.{}/", partition_of(region).dns_suffix);
    let url = format!("{base}?Action=GetCallerIdentity&Version=2011-06-15");
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_secs(60));
    let params: SigningParams<'_> = v4::SigningParams::builder()
        .identity(identity)
        .region(region)
        .name("sts")
        .time(system_time(now))
        .settings(settings)
        .build()
        .map_err(|e| bug(&e))?
        .into();
    let headers = [("x-k8s-aws-id", cluster)];
    let request = SignableRequest::new("GET", url.as_str(), headers.into_iter(), SignableBody::Bytes(b""))
        .map_err(|e| bug(&e))?;
    let (instructions, _) = sign(request, &params).map_err(|e| bug(&e))?.into_parts();
    let mut presigned = url;
    for (name, value) in in_order(instructions.params()) {
        presigned.push('&');
        presigned.push_str(name);
        presigned.push('=');
        push_encoded(&mut presigned, value);
    }
    Ok(format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(presigned)))
}

/// The order that the vendor's own tool writes: by name, then the session token, the signature last.
fn in_order<'a>(
    params: &'a [(&'a str, std::borrow::Cow<'static, str>)],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let mut sorted: Vec<_> = params.iter().map(|(k, v)| (*k, &**v)).collect();
    sorted.sort_by_key(|(name, _)| (*name == "X-Amz-Signature", *name == "X-Amz-Security-Token", *name));
    sorted.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::Credentials;

    /// The vectors were made with the vendor's tool and computed again by hand from the signing rules.
    fn check(session: Option<&str>, signature: &str, length: usize, sha256: &str) {
        let identity: Identity = Credentials::new(
            "AKIDEXAMPLE",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            session.map(str::to_string),
            None,
            "test",
        )
        .into();
        let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let token = mint(&identity, "us-west-2", "demo", Timestamp(now.as_millisecond())).unwrap();
        let url = URL_SAFE_NO_PAD.decode(token.strip_prefix("k8s-aws-v1.").unwrap()).unwrap();
        let url = String::from_utf8(url).unwrap();
        assert_eq!(url.split("X-Amz-Signature=").nth(1).unwrap(), signature, "{url}");
        assert_eq!(token.len(), length, "{url}");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
        let digest: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(digest, sha256, "{url}");
        let names: Vec<&str> = url.split(['?', '&']).skip(1).map(|p| p.split('=').next().unwrap()).collect();
        let mut expected = vec![
            "Action",
            "Version",
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Date",
            "X-Amz-Expires",
            "X-Amz-SignedHeaders",
            "X-Amz-Signature",
        ];
        if session.is_some() {
            expected.insert(7, "X-Amz-Security-Token");
        }
        assert_eq!(names, expected);
    }

    #[test]
    fn the_token_agrees_with_the_vendors_tool() {
        check(
            None,
            "a53315e5b5b4bb54c29d32b3dcd0619487e455d104b30b5e4d92eb5fcadfc552",
            481,
            "22af78c37df05d50f5c452ba38c9f37ba30c213811a6ef4e6c74424ad25348d2",
        );
        check(
            Some("FwoGZXIvYXdzEXAMPLE//token=="),
            "7d7835d7aa1c39638325548d7c6e8e9d344b0035f3aa12966ed780cf50e4da14",
            558,
            "0af06c3d58ec096f430ce5ba8b49025be1a909e0b8a3cdc91c0d515c04a89b9b",
        );
    }
}
