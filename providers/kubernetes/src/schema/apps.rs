//! Workloads beside deployments: `kubernetes_stateful_set` and `kubernetes_daemonset`.

use super::pod::pod_template;
use super::storage::claim_spec;
use super::{Kind, Resource, metadata, selector_fields};
use crate::mapping::{Field, Fields, boolean, int, int_or_text, int_text, many, one, text, text_map};

fn wait_for_rollout() -> Field {
    boolean("wait_for_rollout", "Wait until all pods are updated and available.").default(true).local()
}

pub(crate) fn stateful_set() -> Kind {
    Kind {
        names: &["kubernetes_stateful_set", "kubernetes_stateful_set_v1"],
        resource: Resource::new("apps", "v1", "StatefulSet", "statefulsets", true),
        fields: Fields::new(
            "A StatefulSet: pods with names and volumes of their own, made and ended in order.",
            vec![
                metadata(true),
                one("spec", "What the StatefulSet is to keep.", stateful_spec()).required(),
                wait_for_rollout(),
            ],
        ),
    }
}

fn stateful_spec() -> Vec<Field> {
    let kept = vec![
        text("when_deleted", "`Retain` or `Delete`.").default("Retain"),
        text("when_scaled", "`Retain` or `Delete`.").default("Retain"),
    ];
    let rolling = vec![
        text_percent("max_unavailable", "Pods that may be missing: a number or a percentage."),
        int("partition", "Pods below this ordinal stay as they are.").default(0),
    ];
    let strategy = vec![
        one("rolling_update", "Bounds of a rolling update.", rolling).or_computed(),
        text("type", "`RollingUpdate` or `OnDelete`.").default("RollingUpdate"),
    ];
    vec![
        int("min_ready_seconds", "Seconds a pod must be ready before it counts as available.").default(0),
        one("persistent_volume_claim_retention_policy", "What becomes of the claims.", kept).or_computed(),
        text("pod_management_policy", "`OrderedReady` or `Parallel`.").or_computed().replaces(),
        int_text("replicas", "Number of pods; 1 if neither this nor an autoscaler says.").or_computed(),
        int("revision_history_limit", "Number of old revisions kept for a rollback.").or_computed(),
        one("selector", "Pods that belong to the StatefulSet; fixed at creation.", selector_fields())
            .required()
            .replaces(),
        text("service_name", "Service that gives the pods their names.").required().replaces(),
        pod_template(),
        one("update_strategy", "How pods are replaced by new ones.", strategy).or_computed(),
        many("volume_claim_template", "Claims made for each pod.", claim_template())
            .api("volumeClaimTemplates")
            .replaces(),
    ]
}

fn text_percent(name: &'static str, doc: &'static str) -> Field {
    int_or_text(name, doc).or_computed()
}

fn claim_template() -> Vec<Field> {
    let metadata = vec![
        text_map("annotations", "Annotations of the claims."),
        text_map("labels", "Labels of the claims."),
        text("name", "Name of the volume that the claims are for."),
        text("namespace", "Namespace of the claims: that of the StatefulSet."),
    ];
    vec![
        one("metadata", "Metadata of the claims.", metadata).required(),
        one("spec", "What is claimed.", claim_spec()).required(),
    ]
}

pub(crate) fn daemon_set() -> Kind {
    Kind {
        names: &["kubernetes_daemonset", "kubernetes_daemon_set_v1"],
        resource: Resource::new("apps", "v1", "DaemonSet", "daemonsets", true),
        fields: Fields::new(
            "A DaemonSet: one pod on every node, or on those that it selects.",
            vec![
                metadata(true),
                one("spec", "What the DaemonSet is to keep.", daemon_spec()).required(),
                wait_for_rollout(),
            ],
        ),
    }
}

fn daemon_spec() -> Vec<Field> {
    let rolling = vec![
        text_percent("max_surge", "Nodes that may have two pods: a number or a percentage."),
        text_percent("max_unavailable", "Pods that may be missing: a number or a percentage."),
    ];
    let strategy = vec![
        one("rolling_update", "Bounds of a rolling update.", rolling).or_computed(),
        text("type", "`RollingUpdate` or `OnDelete`.").default("RollingUpdate"),
    ];
    vec![
        int("min_ready_seconds", "Seconds a pod must be ready before it counts as available.").default(0),
        int("revision_history_limit", "Number of old revisions kept for a rollback.").default(10),
        one("selector", "Pods that belong to the DaemonSet; fixed at creation.", selector_fields())
            .replaces(),
        one("strategy", "How pods are replaced by new ones.", strategy).api("updateStrategy").or_computed(),
        pod_template(),
    ]
}
