//! `kubernetes_namespace` and `kubernetes_config_map`.

use super::{Kind, Resource, metadata};
use crate::mapping::{Fields, boolean, text_map};

pub(crate) fn namespace() -> Kind {
    Kind {
        names: &["kubernetes_namespace", "kubernetes_namespace_v1"],
        resource: Resource::new("", "v1", "Namespace", "namespaces", false),
        fields: Fields::new(
            "A namespace: a scope for names and rights.",
            vec![
                metadata(false),
                boolean(
                    "wait_for_default_service_account",
                    "Wait until the default service account is there.",
                )
                .default(false)
                .local(),
            ],
        ),
    }
}

pub(crate) fn config_map() -> Kind {
    Kind {
        names: &["kubernetes_config_map", "kubernetes_config_map_v1"],
        resource: Resource::new("", "v1", "ConfigMap", "configmaps", true),
        fields: Fields::new(
            "A ConfigMap: settings that pods read.",
            vec![
                metadata(true),
                text_map("binary_data", "Data that is not text, in base64."),
                text_map("data", "Texts by their key."),
                boolean("immutable", "Whether the data can't change any more."),
            ],
        ),
    }
}
