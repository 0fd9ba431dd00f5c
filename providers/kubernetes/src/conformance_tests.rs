//! The tables against the API's own types: every name and every type must be one that the API knows.

use crate::mapping::{Field, Fields, Shape};
use crate::{Catalog, KubernetesProvider, Settings, schema};
use groma_provider::Provider;
use groma_types::schema::{Presence, Relation};
use groma_types::{Type, Value};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    ConfigMap, Namespace, PersistentVolumeClaim, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::Value as Json;

/// A value with everything set.
fn full(fields: &Fields) -> Value {
    Value::object(fields.list.iter().map(|field| (field.name, full_field(field))))
}

fn full_field(field: &Field) -> Value {
    let text = |s: &str| Value::string(s);
    match &field.shape {
        Shape::Text if field.name == "type" => text("LoadBalancer"),
        Shape::Text => text("x"),
        Shape::Bool => Value::bool(true),
        Shape::Int => Value::number(7_i64),
        Shape::IntText | Shape::IntOrText => text("7"),
        Shape::Octal => text("0644"),
        Shape::Quantity => text("1Gi"),
        // Base64 of one byte, for binary data.
        Shape::TextMap => Value::map(Type::String, [("k", text("AQ=="))]),
        Shape::Base64Map => Value::map(Type::String, [("t", text("words"))]),
        Shape::BinaryMap => Value::map(Type::String, [("b", text("//4="))]),
        Shape::QuantityMap => Value::map(Type::String, [("cpu", text("1"))]),
        Shape::TextList => Value::list(Type::String, vec![text("a"), text("b")]),
        Shape::TextSet => Value::set(Type::String, vec![text("a"), text("b")]),
        Shape::IntList => Value::list(Type::Number, vec![Value::number(1_i64)]),
        Shape::IntSet => Value::set(Type::Number, vec![Value::number(1_i64)]),
        Shape::One(inner) | Shape::Many(inner, _) => Value::list(inner.ty.clone(), vec![full(inner)]),
        Shape::Group(inner, _) => Value::set(inner.ty.clone(), vec![full(inner)]),
    }
}

/// What is sent survives the way through the API's type.
fn through<T: serde::Serialize + serde::de::DeserializeOwned>(name: &str) {
    let kinds = schema::kinds();
    let kind = kinds.iter().find(|k| k.names.contains(&name)).unwrap();
    let value = full(&kind.fields);
    let mut sent = Json::Object(kind.fields.to_api(&value, Some(&value)));
    sent["apiVersion"] = kind.resource.api_version().into();
    sent["kind"] = kind.resource.kind.as_str().into();
    let typed: T = serde_json::from_value(sent.clone()).unwrap();
    let kept = serde_json::to_value(&typed).unwrap();
    same(&sent, &kept, name);
    let back = kind.fields.read_api(&kept, Some(&value));
    for field in kind.fields.list.iter().filter(|f| f.presence != Presence::Computed && f.name != "metadata")
    {
        let unread = field.write_only.then(|| field.absent());
        let wanted = unread.as_ref().or(value.get(field.name));
        assert_eq!(back.get(field.name), wanted, "{name} {}", field.name);
    }
}

fn same(sent: &Json, kept: &Json, at: &str) {
    match (sent, kept) {
        (Json::Object(sent), Json::Object(kept)) => {
            for (key, value) in sent {
                let found = kept.get(key).unwrap_or_else(|| panic!("the API knows no {at}.{key}"));
                same(value, found, &format!("{at}.{key}"));
            }
        }
        (Json::Array(sent), Json::Array(kept)) if sent.len() == kept.len() => {
            sent.iter().zip(kept).for_each(|(a, b)| same(a, b, at));
        }
        _ => assert_eq!(sent, kept, "{at}"),
    }
}

#[test]
fn every_field_is_one_of_the_api() {
    through::<Deployment>("kubernetes_deployment");
    through::<Service>("kubernetes_service");
    through::<Namespace>("kubernetes_namespace");
    through::<ConfigMap>("kubernetes_config_map");
    through::<DaemonSet>("kubernetes_daemonset");
    through::<StatefulSet>("kubernetes_stateful_set");
    through::<HorizontalPodAutoscaler>("kubernetes_horizontal_pod_autoscaler_v2");
    through::<CronJob>("kubernetes_cron_job_v1");
    through::<Job>("kubernetes_job");
    through::<PersistentVolumeClaim>("kubernetes_persistent_volume_claim");
    through::<Secret>("kubernetes_secret");
    through::<ServiceAccount>("kubernetes_service_account");
    through::<Ingress>("kubernetes_ingress_v1");
    through::<NetworkPolicy>("kubernetes_network_policy");
    through::<PodDisruptionBudget>("kubernetes_pod_disruption_budget_v1");
    through::<ClusterRole>("kubernetes_cluster_role");
    through::<ClusterRoleBinding>("kubernetes_cluster_role_binding");
    through::<Role>("kubernetes_role");
    through::<RoleBinding>("kubernetes_role_binding");
    through::<StorageClass>("kubernetes_storage_class");
}

#[test]
fn every_attribute_is_documented() {
    fn documented(fields: &Fields, at: &str) {
        assert!(fields.doc.ends_with('.'), "{at}");
        for field in &fields.list {
            let at = format!("{at}.{}", field.name);
            assert!(field.doc.ends_with('.'), "{at}");
            if let Shape::One(inner) | Shape::Many(inner, _) | Shape::Group(inner, _) = &field.shape {
                documented(inner, &at);
            }
        }
    }
    for kind in schema::kinds() {
        documented(&kind.fields, kind.names[0]);
    }
}

#[test]
fn values_have_the_types_of_the_schema() {
    let catalog = Catalog::new();
    for (name, kind) in catalog.kinds.iter().chain(&catalog.data) {
        let fields = &kind.fields;
        assert_eq!(fields.block().ty(), fields.ty, "{name}");
        let value = full(fields);
        assert_eq!(value.ty(), fields.ty, "{name}");
        let sent = Json::Object(fields.to_api(&value, None));
        for guide in [None, Some(&value)] {
            assert_eq!(fields.read_api(&sent, guide).ty(), fields.ty, "{name}");
            assert_eq!(fields.read_api(&Json::Null, guide).ty(), fields.ty, "{name}");
        }
    }
}

#[test]
fn the_schema_says_what_the_engine_infers_from() {
    let provider = KubernetesProvider::new(Settings::default());
    let schema = provider.schema();
    let kinds: Vec<&str> = schema.resources.keys().map(|k| &**k).collect();
    assert_eq!(
        kinds,
        [
            "kubernetes_cluster_role",
            "kubernetes_cluster_role_binding",
            "kubernetes_cluster_role_binding_v1",
            "kubernetes_cluster_role_v1",
            "kubernetes_config_map",
            "kubernetes_config_map_v1",
            "kubernetes_cron_job",
            "kubernetes_cron_job_v1",
            "kubernetes_daemon_set_v1",
            "kubernetes_daemonset",
            "kubernetes_deployment",
            "kubernetes_deployment_v1",
            "kubernetes_horizontal_pod_autoscaler_v2",
            "kubernetes_ingress_v1",
            "kubernetes_job",
            "kubernetes_job_v1",
            "kubernetes_manifest",
            "kubernetes_manifests",
            "kubernetes_namespace",
            "kubernetes_namespace_v1",
            "kubernetes_network_policy",
            "kubernetes_network_policy_v1",
            "kubernetes_persistent_volume_claim",
            "kubernetes_persistent_volume_claim_v1",
            "kubernetes_pod_disruption_budget_v1",
            "kubernetes_role",
            "kubernetes_role_binding",
            "kubernetes_role_binding_v1",
            "kubernetes_role_v1",
            "kubernetes_secret",
            "kubernetes_secret_v1",
            "kubernetes_service",
            "kubernetes_service_account",
            "kubernetes_service_account_v1",
            "kubernetes_service_v1",
            "kubernetes_stateful_set",
            "kubernetes_stateful_set_v1",
            "kubernetes_storage_class",
            "kubernetes_storage_class_v1",
        ]
    );
    let service = &schema.resources["kubernetes_service"];
    let when = Some(("spec.type".into(), "LoadBalancer".into()));
    assert_eq!(service.relations, [Relation::ExternalEffect { when }]);
    assert_eq!(schema.resources["kubernetes_deployment"].relations, [Relation::NeedsCapacity]);
    let keys: Vec<&str> = service.natural_key.iter().map(|k| &**k).collect();
    assert_eq!(keys, ["metadata.namespace", "metadata.name"]);
    let status = service.block.attrs["status"].ty.to_string();
    assert!(status.contains("hostname = string"), "{status}");
    assert!(schema.config.attrs["token"].sensitive && schema.config.attrs["client_key"].sensitive);
}
