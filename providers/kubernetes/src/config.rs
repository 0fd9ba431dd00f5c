//! The provider's own arguments: their schema, and what they mean for a client.

use groma_provider::{Environment, ErrorKind, NetworkPolicy, ProviderError};
use groma_types::schema::{Attribute, Block, NestedBlock};
use groma_types::{AttrPath, Type, Value};
use kube::config::{ExecConfig, ExecInteractiveMode, KubeConfigOptions, Kubeconfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Arguments that say which cluster is meant; the host is inferred from these.
pub(crate) const ADDRESS_ARGS: &[&str] = &["host", "cluster_ca_certificate", "exec"];

pub(crate) fn block() -> Block {
    let text = |doc| Attribute::optional(Type::String, doc);
    let exec = Block::new("A command that gives credentials.")
        .attr("api_version", Attribute::required(Type::String, "Version of the ExecCredential."))
        .attr("args", Attribute::optional(Type::list(Type::String), "Arguments of the command."))
        .attr("command", Attribute::required(Type::String, "Command to run."))
        .attr("env", Attribute::optional(Type::map(Type::String), "Environment of the command."));
    let force = "Take fields over that other field managers own, instead of stopping at them.";
    let force = Attribute { beyond_terraform: true, ..Attribute::optional(Type::Bool, force) };
    Block::new("Access to a Kubernetes cluster. Nothing is taken from the surroundings: what is not written is not used.")
        .attr("client_certificate", text("Client certificate in PEM."))
        .attr("client_key", text("Key of the client certificate in PEM.").sensitive())
        .attr("cluster_ca_certificate", text("Certificates in PEM that the cluster's is checked against."))
        .attr("config_context", text("Context of the kubeconfig file."))
        .attr("config_path", text("Path of a kubeconfig file."))
        .attr("force_conflicts", force)
        .attr("host", text("Address of the API, such as `https://1.2.3.4:6443`."))
        .attr("ignore_annotations", Attribute::optional(Type::list(Type::String), "Accepted and not needed: only annotations that the spec sets are compared."))
        .attr("ignore_labels", Attribute::optional(Type::list(Type::String), "Accepted and not needed: only labels that the spec sets are compared."))
        .attr("insecure", Attribute::optional(Type::Bool, "Refused if true: certificates are always checked."))
        .attr("tls_server_name", text("Name that the cluster's certificate must have, if not the host's."))
        .attr("token", text("Bearer token.").sensitive())
        .block("exec", NestedBlock::one(exec))
}

/// What the arguments lead to, before any connection.
pub(crate) struct Access {
    pub(crate) config: kube::Config,
    /// Host and port for messages and for the check of addresses.
    pub(crate) host: String,
    pub(crate) port: u16,
}

fn invalid(arg: &str, message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::Invalid, message).at(AttrPath::root().attr(arg))
}

/// Reads the arguments. `minted_token`: the token is asked for at each use and stands not among them.
///
/// # Errors
/// Arguments are missing, wrong or contradict each other.
pub(crate) async fn access(
    args: &Value,
    minted_token: bool,
    allow_exec: bool,
    env: &Environment,
) -> Result<Access, ProviderError> {
    let vars = &env.vars;
    if args.get("insecure").and_then(Value::as_bool) == Some(true) {
        return Err(invalid("insecure", "certificates are always checked: `insecure = true` is refused")
            .help("write the cluster's own CA in `cluster_ca_certificate`; if its certificate has another name, write that in `tls_server_name`"));
    }
    let config = match (args.str_attr("host"), args.str_attr("config_path")) {
        (Some(host), None) => direct(host, args, minted_token)?,
        (None, Some(path)) => from_file(&home(path, vars), args.str_attr("config_context")).await?,
        (Some(_), Some(_)) => {
            return Err(invalid("config_path", "`host` and `config_path` both say which cluster is meant")
                .help("write one of them"));
        }
        (None, None) => {
            return Err(invalid("host", "the provider does not say which cluster is meant").help(
                "write `host`, `cluster_ca_certificate` and `token` (or `exec`), or `config_path` and `config_context`; \
                 the surroundings' kubeconfig is never taken",
            ));
        }
    };
    if config.auth_info.exec.is_some() && !allow_exec {
        return Err(invalid("exec", "running a command for credentials is not allowed here")
            .help("use a `token`, or allow it by `groma: {allow_exec: [source]}` or -allow-module-exec"));
    }
    checked(config, &env.network)
}

fn direct(host: &str, args: &Value, minted_token: bool) -> Result<kube::Config, ProviderError> {
    let text = if host.contains("://") { host.to_string() } else { format!("https://{host}") };
    let url = text.parse().map_err(|e| invalid("host", format!("`{host}` is not an address: {e}")))?;
    let mut config = kube::Config::new(url);
    if let Some(pem) = args.str_attr("cluster_ca_certificate") {
        config.root_cert = Some(certificates(pem)?);
    }
    config.tls_server_name = args.str_attr("tls_server_name").map(Into::into);
    client_certificate(args, &mut config)?;
    let exec = args.get("exec").and_then(|e| e.at(0));
    let token = args.str_attr("token").filter(|_| !minted_token);
    if exec.is_some() && (token.is_some() || minted_token) {
        return Err(invalid("exec", "`exec` and `token` both give credentials").help("write one of them"));
    }
    config.auth_info.token = token.map(|t| t.trim().to_string().into());
    config.auth_info.exec = exec.map(exec_config);
    Ok(config)
}

fn certificates(pem: &str) -> Result<Vec<Vec<u8>>, ProviderError> {
    let wrong = |cause: String| {
        invalid("cluster_ca_certificate", format!("this is not a PEM certificate: {cause}"))
            .help("EKS and GKE give it in base64: use base64decode(…)")
    };
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates = read.map_err(|e| wrong(format!("{e:?}")))?;
    if certificates.is_empty() {
        return Err(wrong("it holds no certificate".into()));
    }
    Ok(certificates.into_iter().map(|c| c.to_vec()).collect())
}

fn client_certificate(args: &Value, config: &mut kube::Config) -> Result<(), ProviderError> {
    use base64::Engine;
    let encode = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
    match (args.str_attr("client_certificate"), args.str_attr("client_key")) {
        (Some(certificate), Some(key)) => {
            config.auth_info.client_certificate_data = Some(encode(certificate));
            config.auth_info.client_key_data = Some(encode(key).into());
            Ok(())
        }
        (None, None) => Ok(()),
        (Some(_), None) => Err(invalid("client_key", "`client_certificate` needs its `client_key`")),
        (None, Some(_)) => Err(invalid("client_certificate", "`client_key` needs its `client_certificate`")),
    }
}

fn exec_config(exec: &Value) -> ExecConfig {
    let list = exec.get("args").and_then(Value::as_seq).unwrap_or_default();
    let env = exec.get("env").and_then(Value::as_map);
    let pair = |(name, value): (&std::sync::Arc<str>, &Value)| {
        let value = value.as_str().unwrap_or_default();
        HashMap::from([("name".to_string(), name.to_string()), ("value".to_string(), value.to_string())])
    };
    ExecConfig {
        api_version: exec.str_attr("api_version").map(Into::into),
        command: exec.str_attr("command").map(Into::into),
        args: Some(list.iter().filter_map(Value::as_str).map(Into::into).collect()),
        env: env.map(|e| e.iter().map(pair).collect()),
        drop_env: None,
        interactive_mode: Some(ExecInteractiveMode::Never),
        provide_cluster_info: false,
        cluster: None,
        install_hint: None,
        other: BTreeMap::new(),
    }
}

/// Writes a leading `~` out.
fn home(path: &str, vars: &BTreeMap<String, String>) -> String {
    match (path.strip_prefix("~/"), vars.get("HOME")) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ => path.into(),
    }
}

async fn from_file(path: &str, context: Option<&str>) -> Result<kube::Config, ProviderError> {
    let wrong = |cause: String| invalid("config_path", format!("`{path}` can't be used: {cause}"));
    let file = Kubeconfig::read_from(path).map_err(|e| wrong(e.to_string()))?;
    let options = KubeConfigOptions { context: context.map(Into::into), ..KubeConfigOptions::default() };
    let config = kube::Config::from_custom_kubeconfig(file, &options).await;
    let mut config = config.map_err(|e| wrong(e.to_string()))?;
    if config.accept_invalid_certs {
        return Err(wrong(
            "its cluster has `insecure-skip-tls-verify`; certificates are always checked".into(),
        ));
    }
    // A proxy of the file would lead past the check of addresses.
    config.proxy_url = None;
    Ok(config)
}

/// Checks the address itself; addresses behind names are checked when they are looked up.
fn checked(config: kube::Config, network: &NetworkPolicy) -> Result<Access, ProviderError> {
    let url = &config.cluster_url;
    let secure = match url.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        other => {
            let scheme = other.unwrap_or("none");
            return Err(invalid("host", format!("`{url}` has the scheme {scheme}; https is needed")));
        }
    };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_string();
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    if let Ok(ip) = host.parse::<IpAddr>() {
        if !secure && !ip.is_loopback() {
            return Err(invalid(
                "host",
                format!("`{url}` is plain http, which is only for this machine itself"),
            ));
        }
        if !network.allows((ip, port).into()) {
            return Err(refused(&host, port));
        }
    } else if !secure && host != "localhost" {
        return Err(invalid("host", format!("`{url}` is plain http, which is only for this machine itself")));
    }
    Ok(Access { host, port, config })
}

/// The run may not talk to this address.
pub(crate) fn refused(host: &str, port: u16) -> ProviderError {
    ProviderError::new(
        ErrorKind::Invalid,
        format!("{host}:{port} is not an address that this run may talk to"),
    )
    .at(AttrPath::root().attr("host"))
    .help("in sandbox mode only addresses that the sandbox gave are allowed")
}
