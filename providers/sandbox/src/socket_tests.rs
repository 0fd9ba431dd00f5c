//! The process's side: sockets, lock, addresses, the client, a cluster's TLS and its watches.

use crate::clock::{amz_date, wall_millis};
use crate::http::Request;
use crate::sigv4::{cluster_token, sign};
use crate::{Error, ServeOptions, Server, client, credentials};
use base64::Engine as _;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Calls an AWS API over a socket, signed with wall time as foreign clients do.
async fn aws(server: &Server, service: &str, method: &str, path: &str, body: &str) -> Value {
    let host = server.base_url().trim_start_matches("http://").to_owned();
    let mut request = Request {
        method: method.into(),
        path: path.into(),
        headers: vec![("host".into(), host.clone())],
        body: bytes::Bytes::copy_from_slice(body.as_bytes()),
        ..Request::default()
    };
    sign(&mut request, &credentials(None), service, "us-west-2", &amz_date(wall_millis()));
    let mut text =
        format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = TcpStream::connect(&host).await.unwrap();
    stream.write_all(format!("{text}\r\n{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap_or_else(|_| body.into())
}

async fn make_cluster(server: &Server) -> Value {
    let trust = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    let body =
        format!("Action=CreateRole&RoleName=c&AssumeRolePolicyDocument={}", crate::http::encode(trust));
    aws(server, "iam", "POST", "/", &body).await;
    let policy = crate::http::encode("arn:aws:iam::aws:policy/AmazonEKSClusterPolicy");
    aws(server, "iam", "POST", "/", &format!("Action=AttachRolePolicy&RoleName=c&PolicyArn={policy}")).await;
    server.sandbox().skip(Duration::from_secs(60));
    let subnets: Vec<String> =
        crate::aws::ec2::subnets("111111111111", "us-west-2").into_iter().map(|s| s.id).collect();
    let body = json!({
        "name": "demo", "roleArn": "arn:aws:iam::111111111111:role/c",
        "resourcesVpcConfig": {"subnetIds": subnets},
    });
    aws(server, "eks", "POST", "/clusters", &body.to_string()).await;
    server.sandbox().skip(Duration::from_secs(15 * 60));
    aws(server, "eks", "GET", "/clusters/demo", "").await["cluster"].clone()
}

fn token() -> String {
    cluster_token(&credentials(None), "us-west-2", "demo", wall_millis())
}

type Tls = tokio_rustls::client::TlsStream<TcpStream>;

/// Connects as a client does that trusts nothing but the cluster's own CA.
async fn connect(cluster: &Value) -> Tls {
    let ca = cluster["certificateAuthority"]["data"].as_str().unwrap();
    let pem = base64::engine::general_purpose::STANDARD.decode(ca).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = cluster["endpoint"].as_str().unwrap().trim_start_matches("https://");
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

async fn send(stream: &mut Tls, method: &str, path: &str, body: &str) {
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        token(),
        body.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_and_addresses_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServeOptions { speed: 1.0, ..ServeOptions::new(folder.path()) };
    let server = Server::start(options.clone()).await.unwrap();
    let (base, cluster) = (server.base_url(), make_cluster(&server).await);
    assert_eq!(cluster["status"], "ACTIVE");
    assert!(matches!(Server::start(options.clone()).await, Err(Error::Locked(_))));
    server.stop().await.unwrap();
    let server = Server::start(options).await.unwrap();
    assert_eq!(server.base_url(), base);
    let again = aws(&server, "eks", "GET", "/clusters/demo", "").await["cluster"].clone();
    assert_eq!(again, cluster);
    let mut watch = connect(&cluster).await;
    send(
        &mut watch,
        "GET",
        "/api/v1/namespaces/default/configmaps?watch=true&fieldSelector=metadata.name%3Dm",
        "",
    )
    .await;
    let mut lines = BufReader::new(watch).lines();
    while !lines.next_line().await.unwrap().unwrap().is_empty() {}
    let mut writer = connect(&cluster).await;
    let map = json!({"metadata": {"name": "m"}, "data": {"a": "b"}}).to_string();
    send(&mut writer, "POST", "/api/v1/namespaces/default/configmaps", &map).await;
    let event = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if line.starts_with('{') {
            break serde_json::from_str::<Value>(&line).unwrap();
        }
    };
    assert_eq!((&event["type"], &event["object"]["data"]["a"]), (&json!("ADDED"), &json!("b")));
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_finds_asks_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    assert!(client::status(&path).is_none());
    let server = Server::start(ServeOptions::new(&path)).await.unwrap();
    let asking = tokio::task::spawn_blocking(move || {
        let running = client::status(&path).unwrap();
        assert_eq!(running.pid, std::process::id());
        let first = client::now(&path).unwrap();
        assert!(first.now_millis() >= first.sim_millis && (first.speed - 600.0).abs() < 0.1);
        client::fault(&path, "eks.*: throttle 2x").unwrap();
        assert!(client::fault(&path, "nonsense").unwrap_err().to_string().contains("SERVICE.Operation"));
        client::clear_faults(&path).unwrap();
        assert_eq!(client::world(&path).unwrap(), json!({}));
        client::reset(&path).unwrap();
        let address = std::fs::read_to_string(path.join("world/serve.json")).unwrap();
        assert!(
            address.contains(&running.admin_token) && !format!("{running:?}").contains(&running.admin_token)
        );
    });
    asking.await.unwrap();
    server.stop().await.unwrap();
    assert!(client::status(folder.path()).is_none());
}

#[tokio::test]
async fn an_idle_sandbox_ends_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServeOptions { idle: Duration::from_millis(1), ..ServeOptions::new(folder.path()) };
    crate::serve(options, std::future::pending()).await.unwrap();
    assert!(!folder.path().join("world/serve.json").exists());
}
