//! Namespaces, config maps, secrets and service accounts.

use super::{Kind, Resource, metadata};
use crate::mapping::{Fields, base64_map, binary_map, boolean, group, int, text, text_map};

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

pub(crate) fn secret() -> Kind {
    Kind {
        names: &["kubernetes_secret", "kubernetes_secret_v1"],
        resource: Resource::new("", "v1", "Secret", "secrets", true),
        fields: Fields::new(
            "A Secret: data that pods read and others should not.",
            vec![
                binary_map("binary_data", "Data that is not text, in base64.").api("data").sensitive(),
                binary_map(
                    "binary_data_wo",
                    "Data that is not text, in base64; written and never read back.",
                )
                .api("data")
                .write_only(),
                int("binary_data_wo_revision", "`binary_data_wo` is written when this changes.").local(),
                base64_map("data", "Texts by their key.")
                    .or_computed()
                    .sensitive()
                    .hidden_by(&["data_wo_revision", "binary_data_wo_revision"]),
                base64_map("data_wo", "Texts by their key; written and never read back.")
                    .api("data")
                    .write_only(),
                int("data_wo_revision", "`data_wo` is written when this changes.").local(),
                boolean("immutable", "Whether the data can't change any more."),
                metadata(true),
                text("type", "Kind of the data.").default("Opaque").replaces(),
                boolean("wait_for_service_account_token", "Wait until the token of an account is there.")
                    .default(true)
                    .local(),
            ],
        ),
    }
}

pub(crate) fn service_account() -> Kind {
    let name = || vec![text("name", "Name of the secret.")];
    Kind {
        names: &["kubernetes_service_account", "kubernetes_service_account_v1"],
        resource: Resource::new("", "v1", "ServiceAccount", "serviceaccounts", true),
        fields: Fields::new(
            "A service account: who pods are in the cluster.",
            vec![
                boolean("automount_service_account_token", "Mount the account's token.").default(true),
                text("default_secret_name", "Always empty since Kubernetes 1.24.").computed().local(),
                group("image_pull_secret", "Secrets for pulling images.", name())
                    .api("imagePullSecrets")
                    .keyed(&["name"]),
                metadata(true),
                group("secret", "Secrets that pods of the account may use.", name())
                    .api("secrets")
                    .keyed(&["name"]),
            ],
        ),
    }
}
