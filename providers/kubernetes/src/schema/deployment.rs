//! `kubernetes_deployment`.

use super::pod::pod_template;
use super::{Kind, Resource, metadata, selector_fields};
use crate::mapping::{Field, Fields, boolean, int, int_or_text, int_text, one, text};

pub(crate) fn kind() -> Kind {
    Kind {
        names: &["kubernetes_deployment", "kubernetes_deployment_v1"],
        resource: Resource::new("apps", "v1", "Deployment", "deployments", true),
        fields: Fields::new(
            "A Deployment: keeps a number of equal pods running and rolls changes out.",
            vec![
                metadata(true),
                one("spec", "What the Deployment is to keep.", spec()).required(),
                boolean("wait_for_rollout", "Wait until all replicas are updated and available.")
                    .default(true)
                    .local(),
            ],
        ),
    }
}

fn spec() -> Vec<Field> {
    vec![
        int("min_ready_seconds", "Seconds a pod must be ready before it counts as available.").default(0),
        boolean("paused", "Whether the rollout is halted.").default(false),
        int("progress_deadline_seconds", "Seconds without progress after which the rollout has failed.")
            .default(600),
        int_text("replicas", "Number of pods; 1 if neither this nor an autoscaler says.").or_computed(),
        int("revision_history_limit", "Number of old ReplicaSets kept for a rollback.").default(10),
        one("selector", "Pods that belong to the Deployment; fixed at creation.", selector_fields())
            .replaces(),
        one("strategy", "How pods are replaced by new ones.", strategy()).or_computed(),
        pod_template(),
    ]
}

fn strategy() -> Vec<Field> {
    let rolling = vec![
        int_or_text("max_surge", "Pods above the wanted number: a number or a percentage.").or_computed(),
        int_or_text("max_unavailable", "Pods that may be missing: a number or a percentage.").or_computed(),
    ];
    vec![
        one("rolling_update", "Bounds of a rolling update.", rolling).or_computed(),
        text("type", "`RollingUpdate` or `Recreate`.").default("RollingUpdate"),
    ]
}
