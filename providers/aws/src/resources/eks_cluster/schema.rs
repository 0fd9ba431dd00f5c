//! The schema of `aws_eks_cluster`.

use super::VISIBILITY;
use crate::tags::with_tags;
use groma_types::Type;
use groma_types::schema::{Attribute, Block, KindSchema, NestedBlock, Relation, Timeouts};

fn optional(ty: Type, doc: &str) -> Attribute {
    Attribute::optional(ty, doc)
}

fn strings() -> Type {
    Type::set(Type::String)
}

fn vpc_config() -> NestedBlock {
    let block = Block::new("Network of the control plane.")
        .attr("subnet_ids", Attribute::required(strings(), "Subnets, in two zones at least."))
        .attr("security_group_ids", optional(strings(), "Further security groups."))
        .attr(
            "endpoint_private_access",
            optional(Type::Bool, "Whether the API is reachable from the VPC.").default(false),
        )
        .attr(
            "endpoint_public_access",
            optional(Type::Bool, "Whether the API is reachable from the internet.").default(true),
        )
        .attr(
            "public_access_cidrs",
            Attribute::optional_computed(strings(), "Who may reach the public endpoint."),
        )
        .attr("cluster_security_group_id", Attribute::computed(Type::String, "The group that EKS makes."))
        .attr("vpc_id", Attribute::computed(Type::String, "The subnets' VPC."));
    NestedBlock::one(block).required()
}

fn access_config() -> NestedBlock {
    let block = Block::new("Who may use the cluster.")
        .attr(
            "authentication_mode",
            Attribute::optional_computed(Type::String, "CONFIG_MAP, API_AND_CONFIG_MAP or API."),
        )
        .attr(
            "bootstrap_cluster_creator_admin_permissions",
            Attribute::optional_computed(Type::Bool, "Whether the creator becomes administrator.").replaces(),
        );
    NestedBlock::one(block).computed()
}

fn network_config() -> NestedBlock {
    let balancing =
        Block::new("Load balancing of Auto Mode.").attr("enabled", optional(Type::Bool, "Whether it is on."));
    let block = Block::new("Network inside of the cluster.")
        .attr("ip_family", Attribute::optional_computed(Type::String, "ipv4 or ipv6.").replaces())
        .attr(
            "service_ipv4_cidr",
            Attribute::optional_computed(Type::String, "Addresses of services.").replaces(),
        )
        .attr("service_ipv6_cidr", Attribute::computed(Type::String, "IPv6 addresses of services."))
        .block("elastic_load_balancing", NestedBlock::one(balancing).computed());
    NestedBlock::one(block).computed()
}

fn encryption_config() -> NestedBlock {
    let provider = Block::new("The key.").attr("key_arn", Attribute::required(Type::String, "KMS key."));
    let block = Block::new("Encryption of secrets; can be added, not taken away.")
        .attr("resources", Attribute::required(strings(), "What is encrypted: `secrets`."))
        .block("provider", NestedBlock::one(provider).required());
    NestedBlock::one(block)
}

fn auto_mode(block: Block) -> Block {
    let compute = Block::new("Auto Mode's nodes.")
        .attr("enabled", optional(Type::Bool, "Whether it is on."))
        .attr("node_pools", optional(strings(), "Built-in pools."))
        .attr("node_role_arn", optional(Type::String, "Role of the nodes."));
    let storage =
        Block::new("Block storage of Auto Mode.").attr("enabled", optional(Type::Bool, "Whether it is on."));
    let storage = Block::new("Auto Mode's storage.").block("block_storage", NestedBlock::one(storage));
    block
        .block("compute_config", NestedBlock::one(compute))
        .block("storage_config", NestedBlock::one(storage))
}

fn remote_networks() -> NestedBlock {
    let cidrs = || Block::new("Networks.").attr("cidrs", optional(strings(), "Address ranges."));
    let block = Block::new("Networks of hybrid nodes.")
        .block("remote_node_networks", NestedBlock::one(cidrs()))
        .block("remote_pod_networks", NestedBlock::one(cidrs()));
    NestedBlock::one(block)
}

fn computed_attrs(block: Block) -> Block {
    let oidc = Type::list(Type::object([("issuer", Type::String)]));
    let computed = |doc: &str| Attribute::computed(Type::String, doc);
    block
        .attr("arn", computed("ARN of the cluster."))
        .attr("id", computed("The name."))
        .attr("cluster_id", computed("Id of a cluster on an Outpost."))
        .attr("created_at", computed("When it was made (RFC 3339)."))
        .attr("endpoint", computed("Address of the Kubernetes API."))
        .attr("status", computed("ACTIVE when it works."))
        .attr("platform_version", computed("EKS's own version.").changes_with(&["version"]))
        .attr(
            "certificate_authority",
            Attribute::computed(
                Type::list(Type::object([("data", Type::String)])),
                "The CA of the API, base64 of PEM.",
            ),
        )
        .attr(
            "identity",
            Attribute::computed(Type::list(Type::object([("oidc", oidc)])), "The cluster's OIDC issuer."),
        )
}

pub(super) fn schema() -> KindSchema {
    let enabled = || Block::new("Zonal shift.").attr("enabled", optional(Type::Bool, "Whether it is on."));
    let support = Block::new("Support of the version.")
        .attr("support_type", Attribute::optional_computed(Type::String, "STANDARD or EXTENDED."));
    let block = Block::new("An EKS cluster.")
        .attr("name", Attribute::required(Type::String, "Name, unique in account and region.").replaces())
        .attr("role_arn", Attribute::required(Type::String, "Role of the control plane.").replaces())
        .attr("version", Attribute::optional_computed(Type::String, "Kubernetes version, such as 1.33."))
        .attr("enabled_cluster_log_types", optional(strings(), "Logs to send to CloudWatch."))
        .attr(
            "bootstrap_self_managed_addons",
            optional(Type::Bool, "Whether EKS installs its network add-ons.").default(true).replaces(),
        )
        .attr("deletion_protection", Attribute::optional_computed(Type::Bool, "Whether a delete is refused."))
        .block("vpc_config", vpc_config())
        .block("access_config", access_config())
        .block("kubernetes_network_config", network_config())
        .block("encryption_config", encryption_config())
        .block("upgrade_policy", NestedBlock::one(support).computed())
        .block("zonal_shift_config", NestedBlock::one(enabled()))
        .block("remote_network_config", remote_networks());
    let mut kind = KindSchema::new("aws_eks_cluster", "eks", with_tags(computed_attrs(auto_mode(block))))
        .key(&["name"])
        .relation(Relation::UsesGrantsOf { arg: "role_arn".into() })
        .relation(Relation::UsesNetworkOf { arg: "vpc_config.subnet_ids".into() });
    kind.hosts = true;
    kind.owner_mark = true;
    kind.visibility = VISIBILITY;
    kind.timeouts = Timeouts::minutes(30, 60, 15);
    kind.typical = Timeouts::minutes(10, 10, 5);
    kind
}
