//! `data.aws_eks_cluster`: a cluster by its name.

use super::DataSource;
use crate::client::Aws;
use crate::resources::eks::{describe_cluster, tags_of};
use crate::resources::eks_cluster::{log_types, shared_attributes, vpc_value};
use crate::tags;
use crate::values::{one, text_or_empty, tuple_of};
use groma_provider::{ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(crate) struct Cluster;

fn objects(attrs: &[(&'static str, Type)]) -> Type {
    Type::list(Type::object(attrs.iter().cloned()))
}

#[async_trait]
impl DataSource for Cluster {
    fn schema(&self) -> KindSchema {
        let strings = || Type::set(Type::String);
        let computed = |ty: Type, doc: &str| Attribute::computed(ty, doc);
        let text = |doc: &str| Attribute::computed(Type::String, doc);
        let oidc = objects(&[("issuer", Type::String)]);
        let vpc = objects(&[
            ("subnet_ids", strings()),
            ("security_group_ids", strings()),
            ("endpoint_private_access", Type::Bool),
            ("endpoint_public_access", Type::Bool),
            ("public_access_cidrs", strings()),
            ("cluster_security_group_id", Type::String),
            ("vpc_id", Type::String),
        ]);
        let network = objects(&[
            ("ip_family", Type::String),
            ("service_ipv4_cidr", Type::String),
            ("service_ipv6_cidr", Type::String),
            ("elastic_load_balancing", objects(&[("enabled", Type::Bool)])),
        ]);
        let access = objects(&[
            ("authentication_mode", Type::String),
            ("bootstrap_cluster_creator_admin_permissions", Type::Bool),
        ]);
        let block = Block::new("An EKS cluster.")
            .attr("name", Attribute::required(Type::String, "Name of the cluster."))
            .attr("arn", text("ARN of the cluster."))
            .attr("id", text("The name."))
            .attr("cluster_id", text("Id of a cluster on an Outpost."))
            .attr("created_at", text("When it was made (RFC 3339)."))
            .attr("endpoint", text("Address of the Kubernetes API."))
            .attr("status", text("ACTIVE when it works."))
            .attr("version", text("Kubernetes version."))
            .attr("platform_version", text("EKS's own version."))
            .attr("role_arn", text("Role of the control plane."))
            .attr("deletion_protection", computed(Type::Bool, "Whether a delete is refused."))
            .attr("enabled_cluster_log_types", computed(strings(), "Logs that go to CloudWatch."))
            .attr("certificate_authority", computed(objects(&[("data", Type::String)]), "The CA of the API."))
            .attr("identity", computed(objects(&[("oidc", oidc)]), "The cluster's OIDC issuer."))
            .attr("vpc_config", computed(vpc, "Network of the control plane."))
            .attr("kubernetes_network_config", computed(network, "Network inside of the cluster."))
            .attr("access_config", computed(access, "Who may use the cluster."))
            .attr(
                "upgrade_policy",
                computed(objects(&[("support_type", Type::String)]), "Support of the version."),
            )
            .attr("tags", computed(Type::map(Type::String), "Tags of the cluster."));
        KindSchema::new("aws_eks_cluster", "eks", block).key(&["name"])
    }

    async fn read(&self, aws: &Aws, config: &Value) -> Result<Option<Value>, ProviderError> {
        let Some(cluster) = describe_cluster(aws, &text_or_empty(config, "name")).await? else {
            return Ok(None);
        };
        let [_, (_, all)] = tags::read(&tags_of(cluster.tags()), &tags::Tags::new(), None);
        let mode = cluster.access_config().and_then(|a| a.authentication_mode());
        let access = mode.map_or_else(
            || Value::tuple(Vec::new()),
            |mode| {
                one([
                    ("authentication_mode", Value::string(mode.as_str())),
                    ("bootstrap_cluster_creator_admin_permissions", Value::null(Type::Bool)),
                ])
            },
        );
        let mut attrs = shared_attributes(&cluster);
        attrs.extend([
            ("vpc_config", vpc_value(&cluster, None)),
            ("access_config", access),
            ("enabled_cluster_log_types", tuple_of(log_types(&cluster))),
            ("tags", all),
        ]);
        Ok(Some(Value::object(attrs)))
    }
}
