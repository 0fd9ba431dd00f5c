//! Rights: roles and their bindings, in a namespace and in the whole cluster.

use super::{Kind, Resource, metadata, selector_fields};
use crate::mapping::{Field, Fields, many, one, text, text_list, text_set};

const GROUP: &str = "rbac.authorization.k8s.io";

pub(crate) fn role() -> Kind {
    let rule = vec![
        text_set("api_groups", "API groups of the resources; empty text is the core group.").required(),
        text_set("resource_names", "Names of the objects; all if none is given."),
        text_set("resources", "Resources, such as `pods`.").required(),
        text_set("verbs", "What may be done, such as `get`.").required(),
    ];
    Kind {
        names: &["kubernetes_role", "kubernetes_role_v1"],
        resource: Resource::new(GROUP, "v1", "Role", "roles", true),
        fields: Fields::new(
            "A Role: rights in a namespace.",
            vec![metadata(true), many("rule", "Rights that the Role gives.", rule).api("rules").required()],
        ),
    }
}

pub(crate) fn cluster_role() -> Kind {
    let rule = vec![
        text_list("api_groups", "API groups of the resources; empty text is the core group."),
        text_list("non_resource_urls", "Paths that are no resources.").api("nonResourceURLs"),
        text_list("resource_names", "Names of the objects; all if none is given."),
        text_list("resources", "Resources, such as `pods`."),
        text_list("verbs", "What may be done, such as `get`.").required(),
    ];
    let selectors = many("cluster_role_selectors", "Roles whose rules are taken.", selector_fields());
    Kind {
        names: &["kubernetes_cluster_role", "kubernetes_cluster_role_v1"],
        resource: Resource::new(GROUP, "v1", "ClusterRole", "clusterroles", false),
        fields: Fields::new(
            "A ClusterRole: rights in all namespaces and in the cluster.",
            vec![
                one("aggregation_rule", "Roles that this one is made of.", vec![selectors]),
                metadata(false),
                many("rule", "Rights that the role gives.", rule).api("rules").or_computed(),
            ],
        ),
    }
}

pub(crate) fn role_binding() -> Kind {
    Kind {
        names: &["kubernetes_role_binding", "kubernetes_role_binding_v1"],
        resource: Resource::new(GROUP, "v1", "RoleBinding", "rolebindings", true),
        fields: Fields::new(
            "A RoleBinding: who has the rights of a role in a namespace.",
            binding(metadata(true)),
        ),
    }
}

pub(crate) fn cluster_role_binding() -> Kind {
    Kind {
        names: &["kubernetes_cluster_role_binding", "kubernetes_cluster_role_binding_v1"],
        resource: Resource::new(GROUP, "v1", "ClusterRoleBinding", "clusterrolebindings", false),
        fields: Fields::new(
            "A ClusterRoleBinding: who has the rights of a role in the cluster.",
            binding(metadata(false)),
        ),
    }
}

fn binding(metadata: Field) -> Vec<Field> {
    let role = vec![
        text("api_group", "`rbac.authorization.k8s.io`.").required(),
        text("kind", "`Role` or `ClusterRole`.").required(),
        text("name", "Name of the role.").required(),
    ];
    let subject = vec![
        text("api_group", "API group of the subject.").or_computed(),
        text("kind", "`User`, `Group` or `ServiceAccount`.").required(),
        text("name", "Name of the subject.").required(),
        text("namespace", "Namespace of a service account.").default("default"),
    ];
    vec![
        metadata,
        one("role_ref", "The role; fixed at creation.", role).required().replaces(),
        many("subject", "Who has the rights.", subject).api("subjects").required(),
    ]
}
