//! Affinity of pods to nodes and to each other.

use super::pod::node_term;
use super::selector_fields;
use crate::mapping::{Field, int, many, one, text, text_set};

const REQUIRED: &str = "required_during_scheduling_ignored_during_execution";
const PREFERRED: &str = "preferred_during_scheduling_ignored_during_execution";

pub(crate) fn affinity() -> Field {
    let fields = vec![
        one("node_affinity", "Which nodes the pod may or should run on.", node_affinity()),
        one("pod_affinity", "Which pods it must or should run near to.", pod_affinity()),
        one("pod_anti_affinity", "Which pods it must or should keep away from.", pod_affinity()),
    ];
    one("affinity", "Constraints of scheduling.", fields)
}

fn node_affinity() -> Vec<Field> {
    let terms = vec![
        many("node_selector_term", "Terms, one of which must hold.", node_term()).api("nodeSelectorTerms"),
    ];
    let preferred = vec![
        one("preference", "Nodes that are preferred.", node_term()).required(),
        int("weight", "Weight from 1 to 100.").required(),
    ];
    vec![many(PREFERRED, "Preferences.", preferred), one(REQUIRED, "Requirements.", terms)]
}

fn pod_affinity() -> Vec<Field> {
    let preferred = vec![
        one("pod_affinity_term", "Pods that count.", pod_term()).required(),
        int("weight", "Weight from 1 to 100.").required(),
    ];
    vec![many(PREFERRED, "Preferences.", preferred), many(REQUIRED, "Requirements.", pod_term())]
}

fn pod_term() -> Vec<Field> {
    vec![
        one("label_selector", "Labels of the pods.", selector_fields()),
        one("namespace_selector", "Labels of the pods' namespaces.", selector_fields()),
        text_set("namespaces", "Namespaces of the pods."),
        text("topology_key", "Node label that says what is near.").required(),
    ]
}
