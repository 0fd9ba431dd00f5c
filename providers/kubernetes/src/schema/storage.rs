//! `kubernetes_persistent_volume_claim` and `kubernetes_storage_class`.

use super::{Kind, Resource, metadata, selector_fields};
use crate::mapping::{Field, Fields, boolean, many, one, quantity_map, text, text_map, text_set};

pub(crate) fn persistent_volume_claim() -> Kind {
    Kind {
        names: &["kubernetes_persistent_volume_claim", "kubernetes_persistent_volume_claim_v1"],
        resource: Resource::new("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
        fields: Fields::new(
            "A claim of a volume.",
            vec![
                metadata(true),
                one("spec", "What is claimed.", claim_spec()).required(),
                boolean(
                    "wait_until_bound",
                    "Wait for the volume, unless its class waits for the first pod that uses it.",
                )
                .default(true)
                .local(),
            ],
        ),
    }
}

/// What a claim asks for; all but the size is fixed.
pub(crate) fn claim_spec() -> Vec<Field> {
    let resources = vec![
        quantity_map("limits", "The most.").replaces(),
        quantity_map("requests", "The least, as `storage`."),
    ];
    vec![
        text_set("access_modes", "How the volume may be mounted, such as `ReadWriteOnce`.")
            .required()
            .replaces(),
        one("resources", "Size of the volume.", resources).required(),
        one("selector", "Volumes that fit.", selector_fields()).replaces(),
        text("storage_class_name", "Class of the volume; the cluster's default if not set.")
            .or_computed()
            .replaces(),
        text("volume_mode", "`Filesystem` or `Block`.").or_computed().replaces(),
        text("volume_name", "Name of the volume.").or_computed().replaces(),
    ]
}

pub(crate) fn storage_class() -> Kind {
    let expression =
        vec![text("key", "Label of nodes."), text_set("values", "Values, one of which a node must have.")];
    let topologies = vec![many("match_label_expressions", "Conditions on labels of nodes.", expression)];
    Kind {
        names: &["kubernetes_storage_class", "kubernetes_storage_class_v1"],
        resource: Resource::new("storage.k8s.io", "v1", "StorageClass", "storageclasses", false),
        fields: Fields::new(
            "A StorageClass: how volumes are made.",
            vec![
                boolean("allow_volume_expansion", "Whether volumes may grow.").default(true),
                many("allowed_topologies", "Nodes that volumes are made for.", topologies).replaces(),
                metadata(false),
                text_set("mount_options", "Options of the mount.").replaces(),
                text_map("parameters", "Parameters of the provisioner.").replaces(),
                text("reclaim_policy", "`Delete` or `Retain`.").default("Delete").replaces(),
                text("storage_provisioner", "Who makes the volumes.")
                    .api("provisioner")
                    .required()
                    .replaces(),
                text("volume_binding_mode", "`Immediate` or `WaitForFirstConsumer`.")
                    .default("Immediate")
                    .replaces(),
            ],
        ),
    }
}
