//! `kubernetes_job` and `kubernetes_cron_job_v1`.

use super::pod::pod_spec;
use super::{Kind, Resource, metadata, selector_fields, template_metadata};
use crate::mapping::{Field, Fields, boolean, int, int_list, many, one, text};

/// What a change of it means for a job: the API takes none, a template of jobs takes it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Job,
    Template,
}

pub(crate) fn job() -> Kind {
    Kind {
        names: &["kubernetes_job", "kubernetes_job_v1"],
        resource: Resource::new("batch", "v1", "Job", "jobs", true),
        fields: Fields::new(
            "A Job: pods that run to their end.",
            vec![
                metadata(true),
                one("spec", "What the Job does.", job_spec(Of::Job)).required(),
                boolean("wait_for_completion", "Wait until the Job is done.").default(true).local(),
            ],
        ),
    }
}

pub(crate) fn cron_job() -> Kind {
    Kind {
        names: &["kubernetes_cron_job", "kubernetes_cron_job_v1"],
        resource: Resource::new("batch", "v1", "CronJob", "cronjobs", true),
        fields: Fields::new(
            "A CronJob: Jobs on a schedule.",
            vec![metadata(true), one("spec", "When and what.", cron_spec()).required()],
        ),
    }
}

fn cron_spec() -> Vec<Field> {
    let job = vec![
        template_metadata().required(),
        one("spec", "What each Job does.", job_spec(Of::Template)).required(),
    ];
    vec![
        text("concurrency_policy", "`Allow`, `Forbid` or `Replace`.").default("Allow"),
        int("failed_jobs_history_limit", "Number of failed Jobs to keep.").default(1),
        one("job_template", "The Jobs to make.", job).required(),
        text("schedule", "When, in the form of cron.").required(),
        int("starting_deadline_seconds", "Seconds after which a missed start is given up.").default(0),
        int("successful_jobs_history_limit", "Number of finished Jobs to keep.").default(3),
        boolean("suspend", "Whether no more Jobs are started.").default(false),
        text("timezone", "Time zone of the schedule.").api("timeZone"),
    ]
}

fn job_spec(of: Of) -> Vec<Field> {
    let fixed = |field: Field| if of == Of::Job { field.replaces() } else { field };
    let pods = vec![template_metadata().required(), one("spec", "What the pods run.", ending(pod_spec()))];
    vec![
        int("active_deadline_seconds", "Seconds after which the Job is ended."),
        int("backoff_limit", "Number of retries before the Job has failed.").default(6),
        fixed(int("backoff_limit_per_index", "Number of retries for each index.")),
        fixed(text("completion_mode", "`NonIndexed` or `Indexed`.").or_computed()),
        fixed(int("completions", "Number of pods that must succeed.").default(1)),
        fixed(boolean("manual_selector", "Whether the selector is the user's.")),
        int("max_failed_indexes", "Number of failed indexes at which the Job has failed."),
        int("parallelism", "Number of pods at a time.").default(1),
        fixed(one("pod_failure_policy", "What a failed pod means.", failure_policy())),
        fixed(one("selector", "Pods of the Job; drawn if not set.", selector_fields()).or_computed()),
        fixed(one("template", "The pods to make.", pods).required()),
        int("ttl_seconds_after_finished", "Seconds after the end at which the Job is deleted."),
    ]
}

/// Pods of a Job end: unless told they are not started anew in place.
fn ending(spec: Vec<Field>) -> Vec<Field> {
    let never = |field: Field| if field.name == "restart_policy" { field.default("Never") } else { field };
    spec.into_iter().map(never).collect()
}

fn failure_policy() -> Vec<Field> {
    let codes = vec![
        text("container_name", "Container that is looked at; all if not set."),
        text("operator", "`In` or `NotIn`."),
        int_list("values", "Exit codes.").required(),
    ];
    let conditions = vec![
        text("status", "Status of the condition.").default("True"),
        text("type", "Condition of the pod."),
    ];
    let rule = vec![
        text("action", "`FailJob`, `FailIndex`, `Ignore` or `Count`."),
        one("on_exit_codes", "Exit codes that the rule is about.", codes),
        many("on_pod_condition", "Conditions that the rule is about.", conditions).api("onPodConditions"),
    ];
    let rules = many("rule", "Rules, of which the first that fits counts.", rule).api("rules");
    vec![rules.required()]
}
