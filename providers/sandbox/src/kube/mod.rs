//! The Kubernetes API of each cluster: one TLS port and one CA a cluster.
//!
//! Objects lie under `kube/UID/RESOURCE.GROUP/NAMESPACE/NAME`, as the API shows them but for a member
//! `_sim` that the controllers keep. Keys and ports lie under `secret/kube/UID`.

mod api;
mod apply;
mod auth;
pub(crate) mod controllers;
mod defaults;
mod discovery;
mod kinds;
mod patch;
mod pods;
pub(crate) mod watch;
mod workloads;

use crate::core::{Ctx, Effect, Sandbox};
use crate::crypto::{spread, uuid};
use crate::faults::{self, Fault};
use crate::http::{Reply, Request};
use crate::server::Outcome;
use crate::store::World;
use api::Objects;
use base64::Engine as _;
use kinds::Kind;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

/// Where a new cluster is reached.
pub(crate) struct Access {
    pub(crate) endpoint: String,
    /// The CA's certificate, PEM in base64.
    pub(crate) ca: String,
}

fn secret_key(uid: &str) -> String {
    format!("secret/kube/{uid}")
}

/// The ports of the clusters that are up.
pub(crate) fn ports(world: &World) -> Vec<(String, u16)> {
    let prefix = "secret/kube/";
    let port = |value: &Value| value["port"].as_u64().and_then(|p| u16::try_from(p).ok());
    world.under(prefix).filter_map(|(key, v)| Some((key[prefix.len()..].to_owned(), port(v)?))).collect()
}

/// Brings up a cluster's API: port, CA, the objects that every cluster has.
pub(crate) fn create(ctx: &mut Ctx<'_>, uid: &str, cluster_key: &str) -> Result<Access, String> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(|e| e.to_string())?;
    let port = listener.local_addr().map_err(|e| e.to_string())?.port();
    let certificates = certificates().map_err(|e| e.to_string())?;
    let ca = base64::engine::general_purpose::STANDARD.encode(&certificates.ca);
    ctx.world.put(
        secret_key(uid),
        json!({
            "port": port, "cluster": cluster_key, "ca": certificates.ca, "ca_key": certificates.ca_key,
            "cert": certificates.cert, "key": certificates.key,
        }),
    );
    ctx.effects.push(Effect::Open { uid: uid.to_owned(), listener });
    first_objects(ctx, uid);
    Ok(Access { endpoint: format!("https://127.0.0.1:{port}"), ca })
}

struct Certificates {
    ca: String,
    ca_key: String,
    cert: String,
    key: String,
}

fn certificates() -> Result<Certificates, rcgen::Error> {
    let ca_key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new(Vec::new())?;
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "kubernetes");
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::DigitalSignature];
    let ca = params.self_signed(&ca_key)?;
    let issuer = rcgen::Issuer::new(params, &ca_key);
    let key = rcgen::KeyPair::generate()?;
    let mut own = rcgen::CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    own.distinguished_name.push(rcgen::DnType::CommonName, "kube-apiserver");
    own.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let cert = own.signed_by(&key, &issuer)?;
    Ok(Certificates {
        ca: ca.pem(),
        ca_key: ca_key.serialize_pem(),
        cert: cert.pem(),
        key: key.serialize_pem(),
    })
}

/// What the cluster's listener needs for TLS; none for a cluster that is gone.
pub(crate) fn tls_config(world: &World, uid: &str) -> Option<Arc<rustls::ServerConfig>> {
    let secret = world.get(&secret_key(uid))?;
    let cert = CertificateDer::from_pem_slice(secret["cert"].as_str()?.as_bytes()).ok()?;
    let key = PrivateKeyDer::from_pem_slice(secret["key"].as_str()?.as_bytes()).ok()?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .ok()?;
    Some(Arc::new(config))
}

fn first_objects(ctx: &mut Ctx<'_>, uid: &str) {
    let mut objects = Objects { ctx, uid };
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        objects.make(Kind::of("namespaces"), json!({"metadata": {"name": name}}));
    }
    let service = json!({
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 443}]},
    });
    objects.make(Kind::of("services"), service);
    // What a new EKS cluster has; it is not the default class.
    let class = json!({
        "metadata": {"name": "gp2"}, "provisioner": "kubernetes.io/aws-ebs", "parameters": {"type": "gp2", "fsType": "ext4"},
        "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer",
    });
    objects.make(Kind::of("storageclasses"), class);
    controllers::reconcile(objects.ctx, uid);
}

/// Takes a cluster's API away with all its objects; load balancers made by its services stay behind.
pub(crate) fn destroy(ctx: &mut Ctx<'_>, uid: &str) {
    for prefix in [format!("kube/{uid}/"), secret_key(uid), format!("counter/kube/{uid}")] {
        for key in ctx.world.keys(&prefix) {
            ctx.world.remove(&key);
        }
    }
    ctx.effects.push(Effect::Close { uid: uid.to_owned() });
}

/// Makes the nodes of a node group as many as it wants.
pub(crate) fn sync_nodes(
    ctx: &mut Ctx<'_>,
    uid: &str,
    group: &str,
    count: u64,
    labels: &Map<String, Value>,
    kubelet: &str,
) {
    if ctx.world.get(&secret_key(uid)).is_none() {
        return;
    }
    let wanted: BTreeSet<String> = (0..count).map(|number| node_name(group, number)).collect();
    let mut objects = Objects { ctx, uid };
    let nodes = Kind::of("nodes");
    for node in objects.list(nodes, None) {
        let name = api::name_of(&node);
        if node["_sim"]["group"] == group && !wanted.contains(&name) {
            objects.remove(nodes, "", &name);
        }
    }
    for name in wanted {
        let mut node = json!({
            "metadata": {"name": name, "labels": labels},
            "spec": {"providerID": format!("aws:///{}", spread(&name, 1 << 40))},
            "_sim": {"group": group},
        });
        node["metadata"]["labels"]["kubernetes.io/hostname"] = name.clone().into();
        node["metadata"]["labels"]["kubernetes.io/os"] = "linux".into();
        node["metadata"]["labels"]["kubernetes.io/arch"] = "amd64".into();
        node["status"] = node_status(objects.ctx.now, &name, kubelet);
        match objects.get(nodes, "", &name) {
            None => objects.make(nodes, node),
            Some(old) => objects.put_if_changed(nodes, &old, |new| {
                new["metadata"]["labels"] = node["metadata"]["labels"].clone();
                new["status"]["nodeInfo"] = node["status"]["nodeInfo"].clone();
            }),
        }
    }
    controllers::reconcile(ctx, uid);
}

fn node_name(group: &str, number: u64) -> String {
    let address = spread(&format!("{group}/{number}"), 65_536);
    format!("ip-172-31-{}-{}.{number}.compute.internal", address / 256, address % 256)
}

fn node_status(now: i64, name: &str, kubelet: &str) -> Value {
    let time = crate::clock::rfc3339(now);
    let resources = json!({"cpu": "2", "memory": "3943304Ki", "pods": "17"});
    json!({
        "capacity": resources,
        "allocatable": resources,
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
            "lastHeartbeatTime": time, "lastTransitionTime": time,
        }],
        "addresses": [{"type": "Hostname", "address": name}],
        "nodeInfo": {
            "kubeletVersion": kubelet, "architecture": "amd64", "operatingSystem": "linux",
            "osImage": "Amazon Linux 2023", "kernelVersion": "6.1.0", "containerRuntimeVersion": "containerd://1.7",
            "machineID": spread(name, 1 << 40).to_string(), "systemUUID": uuid(), "bootID": uuid(),
            "kubeProxyVersion": kubelet,
        },
    })
}

/// Answers a request to a cluster's API.
pub(crate) fn handle(sandbox: &Sandbox, uid: &str, request: &Request) -> io::Result<Outcome> {
    let open = ["/version", "/healthz", "/livez", "/readyz"].contains(&request.path.as_str());
    let clocks = sandbox.clocks();
    let known =
        sandbox.run(|ctx| if open { Ok(()) } else { auth::check(ctx.world, uid, request, clocks) })?;
    if let Err(reply) = known {
        return Ok(Outcome::reply(reply));
    }
    let target = api::Target::of(request);
    let resource = target.as_ref().map_or("", |t| t.kind.resource);
    let operation = format!("kubernetes.{} {resource}", request.method);
    let fault = sandbox.run(|ctx| Ok::<_, ()>(faults::draw(ctx.world, &operation)))?.unwrap_or(None);
    match fault {
        Some(Fault::Throttle) => {
            let reply =
                api::status(429, "TooManyRequests", "too many requests, please try again later", None);
            return Ok(Outcome::reply(reply.with("retry-after", "1")));
        }
        Some(Fault::ServerError) => {
            return Ok(Outcome::reply(api::status(500, "InternalError", "Internal error occurred", None)));
        }
        Some(Fault::Denied) => {
            let text = format!("{resource} is forbidden: User cannot do this");
            return Ok(Outcome::reply(api::status(403, "Forbidden", &text, None)));
        }
        Some(Fault::Expired) => return Ok(Outcome::reply(auth::unauthorized())),
        Some(Fault::Timeout) => return Ok(Outcome::Hang),
        Some(Fault::ResetBefore) => return Ok(Outcome::Cut),
        Some(Fault::ResetAfter | Fault::Slow(_)) | None => {}
    }
    if let Some(watch) = target.as_ref().and_then(|target| watch::Watch::of(uid, target, request)) {
        return Ok(Outcome::Watch(watch));
    }
    let done = sandbox.run(|ctx| match &target {
        Some(target) => api::call(ctx, uid, target, request),
        None => discovery::call(ctx.world, uid, request),
    })?;
    let reply = match done {
        Ok(reply) | Err(reply) => with_date(reply, clocks.sim),
    };
    Ok(match fault {
        Some(Fault::ResetAfter) => Outcome::Cut,
        Some(Fault::Slow(millis)) => Outcome::Late(millis, reply),
        _ => Outcome::reply(reply),
    })
}

fn with_date(reply: Reply, sim: i64) -> Reply {
    reply.with("date", crate::clock::http_date(sim)).with("audit-id", uuid())
}
