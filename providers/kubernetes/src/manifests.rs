//! `kubernetes_manifests`: the objects of a YAML text, each as `kubernetes_manifest` has it.
//!
//! A key is `GROUP/KIND/NAMESPACE/NAME`. The group of the oldest objects, which has no name, is `core`; where no namespace
//! is written it is `default`, and nothing for kinds that are known to live in none.

use crate::manifest;
use crate::mapping::Fields;
use crate::wait::Goal;
use groma_provider::{ErrorKind, Part, ProviderError};
use groma_types::schema::{Attribute, Expands, KindSchema};
use groma_types::{Type, Value};

pub(crate) const KIND: &str = "kubernetes_manifests";

/// What other objects of the same text may live in or be instances of.
const FIRST: &[&str] = &["Namespace", "CustomResourceDefinition"];

/// Kinds of the API itself that live in no namespace.
const WITHOUT_NAMESPACE: &[&str] = &[
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "FlowSchema",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
];

pub(crate) fn schema(settings: &Fields) -> KindSchema {
    let one = manifest::schema(settings);
    let yaml = Attribute::required(Type::String, "Objects of the Kubernetes API as YAML, one a document.");
    let mut block = one.block.attr("yaml", yaml);
    block.doc = "Objects of the Kubernetes API, written as YAML: one instance an object.".into();
    let manifest = Attribute::computed(Type::Dynamic, "The object of this instance, as the API has it.");
    KindSchema {
        kind: KIND.into(),
        block: block.attr("manifest", manifest),
        expands: Some(Expands { text: "yaml".into(), into: "manifest".into() }),
        beyond_terraform: true,
        ..one
    }
}

/// The objects of the documents, with those that others may need first.
///
/// # Errors
/// A document is no object of the API.
pub(crate) fn parts(documents: Vec<Value>) -> Result<Vec<Part>, ProviderError> {
    let mut parts = Vec::new();
    for (at, document) in documents.into_iter().enumerate() {
        // An empty document, as between two separators.
        if !document.is_null() {
            take(document, at + 1, &mut parts)?;
        }
    }
    Ok(parts)
}

fn take(object: Value, document: usize, parts: &mut Vec<Part>) -> Result<(), ProviderError> {
    let invalid = |why: &str| {
        ProviderError::new(ErrorKind::Invalid, format!("document {document} {why}"))
            .help("an object of Kubernetes has apiVersion, kind and metadata.name")
    };
    let text = |name: &str| object.str_attr(name).filter(|t| !t.is_empty()).map(str::to_string);
    if object.as_map().is_none() {
        return Err(invalid("is no mapping"));
    }
    let kind = text("kind").ok_or_else(|| invalid("has no kind"))?;
    let api_version = text("apiVersion").ok_or_else(|| invalid("has no apiVersion"))?;
    if kind.ends_with("List") && object.get("metadata").and_then(|m| m.get("name")).is_none() {
        let items = object.get("items").and_then(Value::as_seq).unwrap_or_default().to_vec();
        return items
            .into_iter()
            .try_for_each(|item| take(typed(item, &kind, &api_version), document, parts));
    }
    let metadata = object.get("metadata").cloned().unwrap_or(Value::NULL);
    let name = metadata.str_attr("name").filter(|n| !n.is_empty());
    let name = name.ok_or_else(|| invalid("has no metadata.name"))?;
    let namespace = match metadata.str_attr("namespace") {
        Some(namespace) => namespace,
        None if WITHOUT_NAMESPACE.contains(&kind.as_str()) => "",
        None => "default",
    };
    let group = api_version.split_once('/').map_or("core", |(group, _)| group);
    let key = format!("{group}/{kind}/{namespace}/{name}").into();
    let rank = u8::from(!FIRST.contains(&kind.as_str()));
    parts.push(Part { key, rank, value: object });
    Ok(())
}

/// Items of a `ConfigMapList` say neither their kind nor their version: the list does.
fn typed(item: Value, list: &str, api_version: &str) -> Value {
    let kind = list.trim_end_matches("List");
    let missing = |item: &Value, name: &str| item.get(name).is_none_or(Value::is_null);
    let mut item = item;
    for (name, value) in [("kind", kind), ("apiVersion", api_version)] {
        if !kind.is_empty() && item.as_map().is_some() && missing(&item, name) {
            item = item.with_attr(name, Value::string(value));
        }
    }
    item
}

/// What is waited for: what the block says, else that others may use the object.
pub(crate) fn goal(attributes: &Value) -> Goal {
    let is_said = attributes.get("wait").and_then(|w| w.at(0)).is_some();
    match attributes.get("manifest").and_then(|m| m.str_attr("kind")).filter(|_| !is_said) {
        Some("Namespace") => Goal::Active,
        Some("CustomResourceDefinition") => Goal::Shows {
            conditions: vec![("Established".into(), "True".into())],
            fields: Vec::new(),
            rollout: false,
        },
        _ => manifest::goal(attributes),
    }
}

#[cfg(test)]
mod tests {
    use super::parts;
    use groma_types::json::from_json;
    use serde_json::{Value as Json, json};

    fn keys(documents: &Json) -> Result<Vec<String>, String> {
        let documents = documents.as_array().into_iter().flatten().map(from_json).collect();
        let found = parts(documents).map_err(|e| e.to_string())?;
        Ok(found.iter().map(|p| format!("{} {}", p.rank, p.key)).collect())
    }

    #[test]
    fn a_document_is_an_object_and_a_list_is_many() {
        let object = |version: &str, kind: &str, name: &str| json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}});
        let bare = |name: &str| json!({"metadata": {"name": name, "namespace": "team"}});
        let documents = json!([
            object("apps/v1", "Deployment", "web"),
            null,
            object("v1", "Namespace", "team"),
            {"apiVersion": "v1", "kind": "List", "items": [object("v1", "Service", "web")]},
            {"apiVersion": "v1", "kind": "ConfigMapList", "items": [bare("a"), bare("b")]},
            object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "x.y"),
        ]);
        let expected = [
            "1 apps/Deployment/default/web",
            "0 core/Namespace//team",
            "1 core/Service/default/web",
            "1 core/ConfigMap/team/a",
            "1 core/ConfigMap/team/b",
            "0 apiextensions.k8s.io/CustomResourceDefinition//x.y",
        ];
        assert_eq!(keys(&documents).unwrap(), expected);
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_place() {
        let cases = [
            (json!(["text"]), "document 1 is no mapping"),
            (json!([null, {"apiVersion": "v1"}]), "document 2 has no kind"),
            (json!([{"kind": "Pod"}]), "document 1 has no apiVersion"),
            (json!([{"kind": "Pod", "apiVersion": "v1", "metadata": {}}]), "document 1 has no metadata.name"),
        ];
        for (documents, expected) in cases {
            assert_eq!(keys(&documents).unwrap_err(), expected);
        }
    }
}
