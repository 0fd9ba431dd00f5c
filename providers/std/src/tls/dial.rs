//! The certificates that an address shows, by a handshake and nothing more.

use crate::kit::{bug, invalid};
use crate::net::{self, Resolver};
use groma_provider::{Environment, ErrorKind, ProviderError};
use groma_types::AttrPath;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long connecting and the handshake may take, each.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes any chain, since nothing is said to the address: its certificates are all that is wanted.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn config(verify: bool) -> Result<ClientConfig, ProviderError> {
    let crypto = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(crypto.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| bug(format!("TLS: {e}")))?;
    if !verify {
        let any = Arc::new(Unverified(crypto));
        return Ok(builder.dangerous().with_custom_certificate_verifier(any).with_no_client_auth());
    }
    let builder = builder
        .with_platform_verifier()
        .map_err(|e| invalid(format!("this machine's list of CAs can't be read: {e}")))?;
    Ok(builder.with_no_client_auth())
}

/// The chain of an address, its own certificate first.
///
/// # Errors
/// The policy does not allow the address, it does not answer, or its chain does not prove it.
pub(super) async fn certificates(
    env: &Environment,
    written: &str,
    verify: bool,
) -> Result<Vec<Vec<u8>>, ProviderError> {
    let at = |e: ProviderError| e.at(AttrPath::root().attr("url"));
    // A bare TLS address is judged as an https one is.
    let https = written.strip_prefix("tls://").map(|rest| format!("https://{rest}"));
    let url = net::allowed(&env.network, https.as_deref().unwrap_or(written)).map_err(at)?;
    if url.scheme() != "https" {
        return Err(at(invalid(format!("{written:?} has no certificates: its scheme must be https or tls"))));
    }
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_string();
    let port = url.port_or_known_default().unwrap_or(443);
    let lost = |why: String| {
        at(ProviderError::new(ErrorKind::Unreachable, format!("{host}:{port} gave no certificates: {why}")))
    };
    let addresses = Resolver::addresses(&env.network, &host, port).await.map_err(lost)?;
    let timed_out = || lost("no answer in time".into());
    let stream = tokio::time::timeout(PATIENCE, TcpStream::connect(addresses.as_slice()));
    let stream = stream.await.map_err(|_| timed_out())?.map_err(|e| lost(e.to_string()))?;
    let name = ServerName::try_from(host.clone()).map_err(|e| lost(e.to_string()))?;
    let connector = TlsConnector::from(Arc::new(config(verify)?));
    let tls =
        tokio::time::timeout(PATIENCE, connector.connect(name, stream)).await.map_err(|_| timed_out())?;
    let tls = tls.map_err(|e| {
        lost(e.to_string()).help(
            "If its CA is a private one: verify_chain: false reads the certificates without trusting them.",
        )
    })?;
    let chain = tls.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(chain.iter().map(|c| c.as_ref().to_vec()).collect())
}
