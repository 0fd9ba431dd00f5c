//! The client over TLS, and credentials that a command gives.

use super::*;
use crate::config;
use groma_provider::{Clock, Entropy, NoLog};
use groma_types::{Type, Value};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Still;
impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
    fn sleep(&self, _: Duration) -> futures::future::BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}
impl Entropy for Still {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn env() -> Environment {
    Environment {
        clock: Arc::new(Still),
        entropy: Arc::new(Still),
        calls: Arc::new(NoLog),
        network: NetworkPolicy::LoopbackOnly,
        vars: Arc::default(),
    }
}

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn authority() -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { pem, issuer: Issuer::new(params, key) }
}

/// Serves one answer a connection, with a certificate for `name`; the answer echoes the credentials.
async fn serve(authority: &Authority, name: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_string()]).unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let server = tokio_rustls::rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.unwrap() > 0 {}
            let text = String::from_utf8_lossy(&request).to_string();
            let bearer = text.lines().find_map(|l| l.strip_prefix("authorization: ")).unwrap_or_default();
            let body = json!({ "bearer": bearer }).to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    address.to_string()
}

async fn ask(given: &[(&'static str, Value)], allow_exec: bool) -> Result<Json, ProviderError> {
    let access = config::access(&Value::object(given.to_vec()), false, allow_exec, &env()).await?;
    let client = Client::new(&access, None, env(), false)?;
    client.read_path("/version", "GET version").await?.json("GET version")
}

#[tokio::test]
async fn the_cluster_is_checked_against_its_own_authority() {
    let (ours, other) = (authority(), authority());
    let address = serve(&ours, "127.0.0.1").await;
    let host = ("host", Value::string(format!("https://{address}")));
    let ca = |authority: &Authority| ("cluster_ca_certificate", Value::string(authority.pem.as_str()));
    let token = ("token", Value::string("secret"));
    let answer = ask(&[host.clone(), ca(&ours), token], false).await.unwrap();
    assert_eq!(answer, json!({"bearer": "Bearer secret"}));
    let error = ask(&[host, ca(&other)], false).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Unreachable, Some(errors::BAD_CERTIFICATE)));
    assert!(error.message.contains(&address) && error.message.contains("certificate"), "{error}");
}

#[tokio::test]
async fn another_name_of_the_server_is_believed_if_told() {
    let ours = authority();
    let address = serve(&ours, "kube.example").await;
    let host = ("host", Value::string(format!("https://{address}")));
    let ca = ("cluster_ca_certificate", Value::string(ours.pem.as_str()));
    let error = ask(&[host.clone(), ca.clone()], false).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some(errors::BAD_CERTIFICATE));
    ask(&[host, ca, ("tls_server_name", Value::string("kube.example"))], false).await.unwrap();
}

#[tokio::test]
async fn a_command_gives_credentials_where_that_is_allowed() {
    let ours = authority();
    let address = serve(&ours, "127.0.0.1").await;
    let credential = json!({"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential",
        "status": {"token": "drawn"}});
    let words = [Value::string("-c"), Value::string(format!("test \"$A\" = b && echo '{credential}'"))];
    let exec = Value::object([
        ("api_version", Value::string("client.authentication.k8s.io/v1beta1")),
        ("command", Value::string("sh")),
        ("args", Value::list(Type::String, words.to_vec())),
        ("env", Value::map(Type::String, [("A", Value::string("b"))])),
    ]);
    let given = [
        ("host", Value::string(address)),
        ("cluster_ca_certificate", Value::string(ours.pem.as_str())),
        ("exec", Value::list(exec.ty(), vec![exec])),
    ];
    assert_eq!(ask(&given, true).await.unwrap(), json!({"bearer": "Bearer drawn"}));
    let error = ask(&given, false).await.unwrap_err();
    assert!(error.message.contains("not allowed"), "{error}");
}
