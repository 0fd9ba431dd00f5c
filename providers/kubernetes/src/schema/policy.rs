//! Numbers of pods: `kubernetes_horizontal_pod_autoscaler_v2` and `kubernetes_pod_disruption_budget_v1`.

use super::{Kind, Resource, metadata, selector_fields};
use crate::mapping::{Field, Fields, int, int_or_text, many, one, quantity, text};

pub(crate) fn autoscaler() -> Kind {
    let target = vec![
        text("api_version", "API version of the workload."),
        text("kind", "Kind of the workload.").required(),
        text("name", "Name of the workload.").required(),
    ];
    let behavior = vec![
        one("scale_down", "How pods are taken away.", scaling()).or_computed(),
        one("scale_up", "How pods are added.", scaling()).or_computed(),
    ];
    let spec = vec![
        one("behavior", "How fast the number changes.", behavior),
        int("max_replicas", "The most pods.").required(),
        many("metric", "What the number follows.", metric()).api("metrics").or_computed(),
        int("min_replicas", "The least pods.").default(1),
        one("scale_target_ref", "The workload.", target).required(),
    ];
    Kind {
        names: &["kubernetes_horizontal_pod_autoscaler_v2"],
        resource: Resource::new(
            "autoscaling",
            "v2",
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            true,
        ),
        fields: Fields::new(
            "An autoscaler: sets the number of a workload's pods by what they use.",
            vec![metadata(true), one("spec", "Of what, between what, by what.", spec).required()],
        ),
    }
}

fn scaling() -> Vec<Field> {
    let policy = vec![
        int("period_seconds", "Seconds that the policy looks back.").required(),
        text("type", "`Pods` or `Percent`.").required(),
        int("value", "The most that may change in the period.").required(),
    ];
    vec![
        many("policy", "Bounds of a change.", policy).api("policies").or_computed(),
        text("select_policy", "`Min`, `Max` or `Disabled`.").or_computed(),
        int("stabilization_window_seconds", "Seconds that are looked back before a change.").or_computed(),
    ]
}

fn metric() -> Vec<Field> {
    let named = || {
        vec![
            text("name", "Name of the metric.").required(),
            one("selector", "Which series of it.", selector_fields()),
        ]
    };
    let metric = || one("metric", "The metric.", named()).required();
    let described = vec![
        text("api_version", "API version of the object.").required(),
        text("kind", "Kind of the object.").required(),
        text("name", "Name of the object.").required(),
    ];
    vec![
        one(
            "container_resource",
            "A resource of one container of the pods.",
            vec![
                text("container", "Name of the container.").required(),
                text("name", "`cpu` or `memory`.").required(),
                target(),
            ],
        ),
        one("external", "A metric from outside of the cluster.", vec![metric(), target()]),
        one(
            "object",
            "A metric of one object.",
            vec![one("described_object", "The object.", described).required(), metric(), target()],
        ),
        one("pods", "A metric of each pod.", vec![metric(), target()]),
        one(
            "resource",
            "A resource of the pods.",
            vec![text("name", "`cpu` or `memory`.").required(), target()],
        ),
        text("type", "`ContainerResource`, `External`, `Object`, `Pods` or `Resource`.").required(),
    ]
}

fn target() -> Field {
    let fields = vec![
        int("average_utilization", "Percentage of what the pods ask for, on average."),
        quantity("average_value", "Value for each pod, on average."),
        text("type", "`Utilization`, `Value` or `AverageValue`.").required(),
        quantity("value", "Value in all."),
    ];
    one("target", "What is aimed at.", fields)
}

pub(crate) fn disruption_budget() -> Kind {
    let spec = vec![
        int_or_text("max_unavailable", "Pods that may be missing: a number or a percentage."),
        int_or_text("min_available", "Pods that must be there: a number or a percentage."),
        one("selector", "Pods that are counted.", selector_fields()).required(),
    ];
    Kind {
        names: &["kubernetes_pod_disruption_budget_v1"],
        resource: Resource::new("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true),
        fields: Fields::new(
            "A budget: how many pods may be taken away at a time.",
            vec![metadata(true), one("spec", "Which pods and how many.", spec).required()],
        ),
    }
}
