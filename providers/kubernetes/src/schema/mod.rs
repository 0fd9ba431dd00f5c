//! The kinds as tables: one module for each part of the API.

pub(crate) mod affinity;
pub(crate) mod apps;
pub(crate) mod batch;
pub(crate) mod container;
pub(crate) mod core;
pub(crate) mod deployment;
pub(crate) mod networking;
pub(crate) mod pod;
pub(crate) mod policy;
pub(crate) mod rbac;
pub(crate) mod service;
pub(crate) mod storage;
pub(crate) mod volume;

use crate::mapping::{Field, Fields, Shape, int, many, one, text, text_list, text_map};
use groma_types::schema::Presence;
use std::sync::Arc;

/// A kind of object whose attributes come from a table.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Names in the spec: the plain one and that with the API version.
    pub(crate) names: &'static [&'static str],
    pub(crate) resource: Resource,
    pub(crate) fields: Arc<Fields>,
}

/// Where the API serves objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// Empty for the core group.
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) namespaced: bool,
}

impl Resource {
    pub(crate) fn new(group: &str, version: &str, kind: &str, plural: &str, namespaced: bool) -> Resource {
        Resource {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            plural: plural.into(),
            namespaced,
        }
    }

    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `deployments.apps`, `services`.
    pub(crate) fn label(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The path of the collection, in a namespace or over all.
    pub(crate) fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        let version = self.api_version();
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/{version}/namespaces/{namespace}/{}", self.plural),
            None => format!("{root}/{version}/{}", self.plural),
        }
    }
}

/// All typed kinds.
pub(crate) fn kinds() -> Vec<Kind> {
    vec![
        apps::daemon_set(),
        apps::stateful_set(),
        batch::cron_job(),
        batch::job(),
        core::config_map(),
        core::namespace(),
        core::secret(),
        core::service_account(),
        deployment::kind(),
        networking::ingress(),
        networking::network_policy(),
        policy::autoscaler(),
        policy::disruption_budget(),
        rbac::cluster_role(),
        rbac::cluster_role_binding(),
        rbac::role(),
        rbac::role_binding(),
        service::kind(),
        storage::persistent_volume_claim(),
        storage::storage_class(),
    ]
}

/// Kinds of the API that are data sources as well.
pub(crate) const READABLE: &[&str] = &[
    "ConfigMap",
    "Ingress",
    "Namespace",
    "PersistentVolumeClaim",
    "Secret",
    "Service",
    "ServiceAccount",
    "StorageClass",
];

/// The data source of a kind: named by its metadata, all else computed.
pub(crate) fn as_data(kind: &Kind) -> Kind {
    let shown = |field: &Field| !field.api.is_empty() && !field.write_only;
    let computed = |field: &Field| match &field.shape {
        Shape::One(fields) if field.name == "metadata" => {
            let inner = fields.list.iter().cloned().map(|f| match f.name {
                "name" => Field { presence: Presence::Required, replaces: false, ..f },
                "namespace" => Field { replaces: false, ..f },
                _ => f.computed(),
            });
            one("metadata", fields.doc, inner.collect()).required()
        }
        _ => Field { default: None, hidden_by: &[], ..field.clone().computed() },
    };
    let fields = kind.fields.list.iter().filter(|f| shown(f)).map(computed).collect();
    Kind { names: kind.names, resource: kind.resource.clone(), fields: Fields::new(kind.fields.doc, fields) }
}

/// The standard metadata of an object that the user names.
pub(crate) fn metadata(namespaced: bool) -> Field {
    let mut fields = vec![
        text_map("annotations", "Notes for tools. Keys that others write are left alone."),
        text("generate_name", "Prefix of a name that is drawn at creation; only if `name` is not set.")
            .replaces(),
        int("generation", "Counts the changes of the wanted state.").computed().volatile(),
        text_map("labels", "Labels to select the object by."),
        text("name", "Name, unique among objects of the kind in the namespace.").or_computed().replaces(),
        text("resource_version", "Version of the object as the API stores it.").computed().volatile(),
        text("uid", "Identity of the object in time and space.").computed(),
    ];
    if namespaced {
        fields.push(text("namespace", "Namespace of the object.").default("default").replaces());
    }
    one("metadata", "Standard metadata of the object.", fields).required()
}

/// The metadata of a template: labels and annotations of the objects made from it.
pub(crate) fn template_metadata() -> Field {
    let fields = vec![
        text_map("annotations", "Annotations of the pods."),
        text("generate_name", "Prefix of the pods' names."),
        text_map("labels", "Labels of the pods."),
        text("name", "Name of the template."),
        text("namespace", "Namespace of the template."),
    ];
    one("metadata", "Metadata of the pods.", fields)
}

/// A selector of labels.
pub(crate) fn selector_fields() -> Vec<Field> {
    vec![
        many("match_expressions", "Conditions, all of which must hold.", expression_fields()),
        text_map("match_labels", "Labels that must have these values.").whole(),
    ]
}

pub(crate) fn expression_fields() -> Vec<Field> {
    vec![
        text("key", "Label that the condition is about."),
        text("operator", "`In`, `NotIn`, `Exists`, `DoesNotExist`, for nodes also `Gt` and `Lt`."),
        crate::mapping::text_set("values", "Values that the operator compares with."),
    ]
}

/// A key of another object: `items` of config maps, secrets and projections.
pub(crate) fn item_fields() -> Vec<Field> {
    vec![
        text("key", "Key to project."),
        crate::mapping::octal("mode", "File mode in octal, such as `0644`."),
        text("path", "Relative path of the file."),
    ]
}

pub(crate) fn command(doc: &'static str) -> Field {
    text_list("command", doc)
}
