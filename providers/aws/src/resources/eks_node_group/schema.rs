//! The schema of `aws_eks_node_group`.

use super::VISIBILITY;
use crate::tags::with_tags;
use groma_types::Type;
use groma_types::schema::{Attribute, Block, KindSchema, NestedBlock, Nesting, Relation, Timeouts};

fn scaling_config() -> NestedBlock {
    let size = |doc: &str| Attribute::required(Type::Number, doc);
    let block = Block::new("How many nodes.")
        .attr("desired_size", size("Nodes to have now; an autoscaler changes it."))
        .attr("max_size", size("Nodes at most."))
        .attr("min_size", size("Nodes at least."));
    NestedBlock::one(block).required()
}

fn update_config() -> NestedBlock {
    let block = Block::new("How nodes are replaced.")
        .attr("max_unavailable", Attribute::optional(Type::Number, "Nodes that may be missing."))
        .attr(
            "max_unavailable_percentage",
            Attribute::optional(Type::Number, "Part of the nodes that may be missing."),
        );
    NestedBlock::one(block).computed()
}

fn launch_template() -> NestedBlock {
    let block = Block::new("Launch template of the nodes.")
        .attr("id", Attribute::optional_computed(Type::String, "Id of the template.").replaces())
        .attr("name", Attribute::optional_computed(Type::String, "Name of the template.").replaces())
        .attr("version", Attribute::required(Type::String, "Version of the template."));
    NestedBlock::one(block)
}

fn remote_access() -> NestedBlock {
    let block = Block::new("Logins to the nodes.")
        .attr("ec2_ssh_key", Attribute::optional(Type::String, "Key pair.").replaces())
        .attr(
            "source_security_group_ids",
            Attribute::optional(Type::set(Type::String), "Groups that may log in.").replaces(),
        );
    NestedBlock::one(block).replaces()
}

fn taint() -> NestedBlock {
    let block = Block::new("A taint of the nodes.")
        .attr("key", Attribute::required(Type::String, "Key."))
        .attr("value", Attribute::optional(Type::String, "Value."))
        .attr("effect", Attribute::required(Type::String, "NO_SCHEDULE, NO_EXECUTE or PREFER_NO_SCHEDULE."));
    NestedBlock { max: Some(50), ..NestedBlock::new(Nesting::Set, block) }
}

fn computed_attrs(block: Block) -> Block {
    let asg = Type::list(Type::object([("name", Type::String)]));
    let resources =
        Type::object([("autoscaling_groups", asg), ("remote_access_security_group_id", Type::String)]);
    block
        .attr("arn", Attribute::computed(Type::String, "ARN of the group."))
        .attr("id", Attribute::computed(Type::String, "Cluster and group: CLUSTER:NAME."))
        .attr("status", Attribute::computed(Type::String, "ACTIVE when it works."))
        .attr("resources", Attribute::computed(Type::list(resources), "What EKS made for the group."))
}

pub(super) fn schema() -> KindSchema {
    let replaced = |ty: Type, doc: &str| Attribute::optional_computed(ty, doc).replaces();
    let repair = Block::new("Repair of broken nodes.")
        .attr("enabled", Attribute::optional(Type::Bool, "Whether it is on."));
    let block = Block::new("A managed node group.")
        .attr("cluster_name", Attribute::required(Type::String, "The cluster.").replaces())
        .attr("node_group_name", replaced(Type::String, "Name, unique in the cluster."))
        .attr("node_group_name_prefix", replaced(Type::String, "Beginning of a name that is made up."))
        .attr("node_role_arn", Attribute::required(Type::String, "Role of the nodes.").replaces())
        .attr("subnet_ids", Attribute::required(Type::set(Type::String), "Subnets of the nodes.").replaces())
        .attr("ami_type", replaced(Type::String, "Kind of machine image."))
        .attr("capacity_type", replaced(Type::String, "ON_DEMAND or SPOT."))
        .attr("disk_size", replaced(Type::Number, "Disk of a node in GiB."))
        .attr("instance_types", replaced(Type::list(Type::String), "Instance types."))
        .attr("labels", Attribute::optional(Type::map(Type::String), "Labels of the nodes."))
        .attr(
            "force_update_version",
            Attribute::optional(Type::Bool, "Whether an upgrade goes on where pods can't be evicted."),
        )
        .attr("version", Attribute::optional_computed(Type::String, "Kubernetes version of the nodes."))
        .attr(
            "release_version",
            Attribute::optional_computed(Type::String, "Version of the machine image.")
                .changes_with(&["version", "launch_template"]),
        )
        .block("scaling_config", scaling_config())
        .block("update_config", update_config())
        .block("launch_template", launch_template())
        .block("node_repair_config", NestedBlock::one(repair))
        .block("remote_access", remote_access())
        .block("taint", taint());
    let mut kind = KindSchema::new("aws_eks_node_group", "eks", with_tags(computed_attrs(block)))
        .key(&["cluster_name", "node_group_name"])
        .attached_to("cluster_name", "aws_eks_cluster")
        .relation(Relation::UsesGrantsOf { arg: "node_role_arn".into() })
        .relation(Relation::UsesNetworkOf { arg: "subnet_ids".into() })
        .relation(Relation::GivesCapacity);
    kind.owner_mark = true;
    kind.visibility = VISIBILITY;
    kind.timeouts = Timeouts::minutes(60, 60, 60);
    kind.typical = Timeouts::minutes(3, 10, 5);
    kind
}
