//! Arguments as the requests of the API, and the changes of an update in the order in which EKS takes them.

use super::LOG_TYPES;
use crate::values::{block, blocks, flag, is_unset, text, texts};
use aws_sdk_eks::operation::update_cluster_config::builders::UpdateClusterConfigFluentBuilder;
use aws_sdk_eks::types::{
    AuthenticationMode, BlockStorage, ComputeConfigRequest, CreateAccessConfigRequest, ElasticLoadBalancing,
    EncryptionConfig, IpFamily, KubernetesNetworkConfigRequest, LogSetup, LogType, Logging,
    Provider as KeyProvider, RemoteNetworkConfigRequest, RemoteNodeNetwork, RemotePodNetwork,
    StorageConfigRequest, SupportType, UpdateAccessConfigRequest, UpgradePolicyRequest, VpcConfigRequest,
    ZonalShiftConfigRequest,
};
use groma_types::Value;

pub(super) fn vpc_request(vpc: &Value) -> VpcConfigRequest {
    VpcConfigRequest::builder()
        .set_subnet_ids(texts(vpc, "subnet_ids"))
        .set_security_group_ids(texts(vpc, "security_group_ids").filter(|g| !g.is_empty()))
        .set_endpoint_private_access(flag(vpc, "endpoint_private_access"))
        .set_endpoint_public_access(flag(vpc, "endpoint_public_access"))
        .set_public_access_cidrs(texts(vpc, "public_access_cidrs").filter(|c| !c.is_empty()))
        .build()
}

pub(super) fn log_setup(types: &[String], on: bool) -> LogSetup {
    let types = types.iter().map(|t| LogType::from(t.as_str())).collect();
    LogSetup::builder().set_types(Some(types)).enabled(on).build()
}

/// The logs that are on, and all others by name, since what is not named stays as it is.
pub(super) fn logging_request(on: &[String]) -> Logging {
    let off: Vec<String> = LOG_TYPES.iter().map(ToString::to_string).filter(|t| !on.contains(t)).collect();
    let mut logging = Logging::builder();
    if !on.is_empty() {
        logging = logging.cluster_logging(log_setup(on, true));
    }
    if !off.is_empty() {
        logging = logging.cluster_logging(log_setup(&off, false));
    }
    logging.build()
}

#[expect(deprecated, reason = "the upstream provider's argument `resources` is this member")]
pub(super) fn encryption_request(planned: &Value) -> Option<Vec<EncryptionConfig>> {
    let configs: Vec<EncryptionConfig> = blocks(planned, "encryption_config")
        .iter()
        .map(|config| {
            let key = block(config, "provider").and_then(|p| text(p, "key_arn"));
            EncryptionConfig::builder()
                .set_resources(texts(config, "resources"))
                .provider(KeyProvider::builder().set_key_arn(key).build())
                .build()
        })
        .collect();
    (!configs.is_empty()).then_some(configs)
}

pub(super) fn access_request(access: &Value) -> CreateAccessConfigRequest {
    CreateAccessConfigRequest::builder()
        .set_authentication_mode(
            text(access, "authentication_mode").map(|m| AuthenticationMode::from(m.as_str())),
        )
        .set_bootstrap_cluster_creator_admin_permissions(flag(
            access,
            "bootstrap_cluster_creator_admin_permissions",
        ))
        .build()
}

fn balancing_request(net: &Value) -> Option<ElasticLoadBalancing> {
    let balancing = block(net, "elastic_load_balancing")?;
    Some(ElasticLoadBalancing::builder().set_enabled(flag(balancing, "enabled")).build())
}

pub(super) fn network_request(net: &Value) -> KubernetesNetworkConfigRequest {
    KubernetesNetworkConfigRequest::builder()
        .set_ip_family(text(net, "ip_family").map(|f| IpFamily::from(f.as_str())))
        .set_service_ipv4_cidr(text(net, "service_ipv4_cidr"))
        .set_elastic_load_balancing(balancing_request(net))
        .build()
}

pub(super) fn upgrade_request(planned: &Value) -> Option<UpgradePolicyRequest> {
    let support = text(block(planned, "upgrade_policy")?, "support_type")?;
    Some(UpgradePolicyRequest::builder().support_type(SupportType::from(support.as_str())).build())
}

pub(super) fn zonal_request(planned: &Value) -> Option<ZonalShiftConfigRequest> {
    let shift = block(planned, "zonal_shift_config")?;
    Some(ZonalShiftConfigRequest::builder().set_enabled(flag(shift, "enabled")).build())
}

pub(super) fn compute_request(compute: &Value) -> ComputeConfigRequest {
    ComputeConfigRequest::builder()
        .set_enabled(flag(compute, "enabled"))
        .set_node_pools(texts(compute, "node_pools"))
        .set_node_role_arn(text(compute, "node_role_arn"))
        .build()
}

pub(super) fn storage_request(planned: &Value) -> Option<StorageConfigRequest> {
    let storage = block(block(planned, "storage_config")?, "block_storage")?;
    let storage = BlockStorage::builder().set_enabled(flag(storage, "enabled")).build();
    Some(StorageConfigRequest::builder().block_storage(storage).build())
}

pub(super) fn remote_request(remote: &Value) -> RemoteNetworkConfigRequest {
    let cidrs = |name: &str| block(remote, name).and_then(|b| texts(b, "cidrs"));
    let mut request = RemoteNetworkConfigRequest::builder();
    if let Some(nodes) = cidrs("remote_node_networks") {
        request = request.remote_node_networks(RemoteNodeNetwork::builder().set_cidrs(Some(nodes)).build());
    }
    if let Some(pods) = cidrs("remote_pod_networks") {
        request = request.remote_pod_networks(RemotePodNetwork::builder().set_cidrs(Some(pods)).build());
    }
    request.build()
}

pub(super) type ConfigCall =
    Box<dyn FnOnce(UpdateClusterConfigFluentBuilder) -> UpdateClusterConfigFluentBuilder + Send>;

/// One kind of change: EKS takes no two in one call.
pub(super) enum Change {
    Encryption(Vec<EncryptionConfig>),
    Config(ConfigCall),
}

impl Change {
    fn config(
        apply: impl FnOnce(UpdateClusterConfigFluentBuilder) -> UpdateClusterConfigFluentBuilder + Send + 'static,
    ) -> Change {
        Change::Config(Box::new(apply))
    }
}

/// The changes in the order in which they are sent, each with the name of its step.
pub(super) fn config_changes(prior: &Value, planned: &Value) -> Vec<(&'static str, Change)> {
    let mut changes = Vec::new();
    let differs = |name: &str| prior.get(name) != planned.get(name) && !is_unset(planned, name);
    let within = |outer: &str, name: &str| {
        let part = |v: &Value| block(v, outer).and_then(|b| b.get(name).cloned()).filter(|v| !v.is_null());
        (part(prior), part(planned))
    };
    let changed = |outer: &str, name: &str| {
        let (old, new) = within(outer, name);
        new.is_some() && old != new
    };
    if changed("access_config", "authentication_mode") {
        let mode = block(planned, "access_config").and_then(|a| text(a, "authentication_mode"));
        let access = UpdateAccessConfigRequest::builder()
            .set_authentication_mode(mode.map(|m| AuthenticationMode::from(m.as_str())))
            .build();
        changes.push(("access", Change::config(|call| call.access_config(access))));
    }
    let balancing = changed("kubernetes_network_config", "elastic_load_balancing");
    if (differs("compute_config") || differs("storage_config") || balancing)
        && block(planned, "compute_config").is_some()
    {
        // EKS takes these three only together.
        let compute = block(planned, "compute_config").map(compute_request);
        let storage = storage_request(planned);
        let network = block(planned, "kubernetes_network_config").and_then(balancing_request);
        let network =
            network.map(|lb| KubernetesNetworkConfigRequest::builder().elastic_load_balancing(lb).build());
        changes.push((
            "auto-mode",
            Change::config(|call| {
                call.set_compute_config(compute)
                    .set_storage_config(storage)
                    .set_kubernetes_network_config(network)
            }),
        ));
    }
    if blocks(prior, "encryption_config").is_empty()
        && let Some(config) = encryption_request(planned)
    {
        changes.push(("encryption", Change::Encryption(config)));
    }
    let logs = |v: &Value| texts(v, "enabled_cluster_log_types").unwrap_or_default();
    if logs(prior) != logs(planned) {
        let logging = logging_request(&logs(planned));
        changes.push(("logging", Change::config(|call| call.logging(logging))));
    }
    if let (true, Some(policy)) = (changed("upgrade_policy", "support_type"), upgrade_request(planned)) {
        changes.push(("upgrade", Change::config(|call| call.upgrade_policy(policy))));
    }
    changes.extend(vpc_changes(prior, planned, &changed));
    if let (true, Some(shift)) = (differs("zonal_shift_config"), zonal_request(planned)) {
        changes.push(("zonal-shift", Change::config(|call| call.zonal_shift_config(shift))));
    }
    if let (true, Some(remote)) = (differs("remote_network_config"), block(planned, "remote_network_config"))
    {
        let remote = remote_request(remote);
        changes.push(("remote-net", Change::config(|call| call.remote_network_config(remote))));
    }
    if let (true, Some(on)) = (differs("deletion_protection"), flag(planned, "deletion_protection")) {
        changes.push(("protection", Change::config(move |call| call.deletion_protection(on))));
    }
    changes
}

fn vpc_changes(
    prior: &Value,
    planned: &Value,
    changed: &dyn Fn(&str, &str) -> bool,
) -> Vec<(&'static str, Change)> {
    let mut changes = Vec::new();
    let Some(vpc) = block(planned, "vpc_config") else { return changes };
    let access = ["endpoint_private_access", "endpoint_public_access", "public_access_cidrs"];
    if access.iter().any(|name| changed("vpc_config", name)) {
        let request = VpcConfigRequest::builder()
            .set_endpoint_private_access(flag(vpc, "endpoint_private_access"))
            .set_endpoint_public_access(flag(vpc, "endpoint_public_access"))
            .set_public_access_cidrs(texts(vpc, "public_access_cidrs").filter(|c| !c.is_empty()))
            .build();
        changes.push(("endpoint", Change::config(|call| call.resources_vpc_config(request))));
    }
    if changed("vpc_config", "subnet_ids") {
        let request = VpcConfigRequest::builder().set_subnet_ids(texts(vpc, "subnet_ids")).build();
        changes.push(("subnets", Change::config(|call| call.resources_vpc_config(request))));
    }
    let groups =
        |v: &Value| block(v, "vpc_config").and_then(|b| texts(b, "security_group_ids")).unwrap_or_default();
    if groups(prior) != groups(planned) {
        let request = VpcConfigRequest::builder().set_security_group_ids(Some(groups(planned))).build();
        changes.push(("groups", Change::config(|call| call.resources_vpc_config(request))));
    }
    changes
}
