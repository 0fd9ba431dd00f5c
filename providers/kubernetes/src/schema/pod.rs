//! The spec of pods, as in the templates of workloads.

use super::affinity::affinity;
use super::container::containers;
use super::volume::volumes;
use super::{expression_fields, selector_fields, template_metadata};
use crate::mapping::{
    Field, boolean, int, int_set, int_text, many, one, text, text_list, text_map, text_set,
};

pub(crate) fn pod_spec() -> Vec<Field> {
    vec![
        int("active_deadline_seconds", "Seconds after which the pod is ended."),
        affinity(),
        boolean("automount_service_account_token", "Mount the service account's token.").default(true),
        containers("container", "Containers of the pod."),
        one("dns_config", "Settings of name resolution.", dns_config()),
        text("dns_policy", "`ClusterFirst`, `ClusterFirstWithHostNet`, `Default` or `None`.")
            .default("ClusterFirst"),
        boolean("enable_service_links", "Give services as environment variables.").default(true),
        many("host_aliases", "Lines of the hosts file.", host_alias()).keyed(&["ip"]),
        boolean("host_ipc", "Use the node's IPC namespace.").api("hostIPC").default(false),
        boolean("host_network", "Use the node's network.").default(false),
        boolean("host_pid", "Use the node's process namespace.").api("hostPID").default(false),
        text("hostname", "Host name of the pod."),
        many("image_pull_secrets", "Secrets for pulling images.", name_only()).keyed(&["name"]).or_computed(),
        containers("init_container", "Containers that run to their end before the others start."),
        text("node_name", "Node to run on, past the scheduler.").or_computed(),
        text_map("node_selector", "Labels that a node must have.").whole(),
        one("os", "Operating system of the pod.", vec![text("name", "`linux` or `windows`.").required()]),
        text("priority_class_name", "Priority class of the pod.").or_computed(),
        many("readiness_gate", "Further conditions of readiness.", readiness_gate()).api("readinessGates"),
        text("restart_policy", "`Always`, `OnFailure` or `Never`.").default("Always"),
        text("runtime_class_name", "Runtime class of the pod."),
        text("scheduler_name", "Scheduler to use.").or_computed(),
        one("security_context", "Security settings of the pod.", security_context()).or_computed(),
        text("service_account_name", "Service account of the pod.").or_computed(),
        boolean("share_process_namespace", "Share one process namespace among containers.").default(false),
        text("subdomain", "Subdomain of the host name."),
        int("termination_grace_period_seconds", "Seconds that the pod gets to end.").default(30),
        many("toleration", "Taints that the pod bears.", toleration()).api("tolerations"),
        many("topology_spread_constraint", "How pods spread over the cluster.", spread())
            .api("topologySpreadConstraints")
            .keyed(&["topologyKey", "whenUnsatisfiable"]),
        volumes(),
    ]
}

/// The pods that a workload keeps running.
pub(crate) fn pod_template() -> Field {
    let fields = vec![template_metadata().required(), one("spec", "What the pods run.", pod_spec())];
    one("template", "The pods to make.", fields).required()
}

fn name_only() -> Vec<Field> {
    vec![text("name", "Name of the object.").required()]
}

fn host_alias() -> Vec<Field> {
    vec![text_list("hostnames", "Names of the address.").required(), text("ip", "Address.").required()]
}

fn readiness_gate() -> Vec<Field> {
    vec![text("condition_type", "Condition of the pod.").required()]
}

fn dns_config() -> Vec<Field> {
    let option = vec![text("name", "Name of the option.").required(), text("value", "Value of the option.")];
    vec![
        text_list("nameservers", "Addresses of name servers."),
        many("option", "Options of the resolver.", option).api("options"),
        text_list("searches", "Search domains."),
    ]
}

fn toleration() -> Vec<Field> {
    vec![
        text("effect", "`NoSchedule`, `PreferNoSchedule` or `NoExecute`; all if not set."),
        text("key", "Key of the taint; all if not set."),
        text("operator", "`Equal` or `Exists`.").or_computed(),
        int_text("toleration_seconds", "Seconds that a `NoExecute` taint is borne."),
        text("value", "Value of the taint."),
    ]
}

fn spread() -> Vec<Field> {
    vec![
        one("label_selector", "Pods that are counted.", selector_fields()),
        text_set("match_label_keys", "Pod labels that restrict the counted pods."),
        int("max_skew", "How unevenly pods may spread.").default(1),
        int("min_domains", "Least number of domains."),
        text("node_affinity_policy", "`Honor` or `Ignore`.").or_computed(),
        text("node_taints_policy", "`Honor` or `Ignore`.").or_computed(),
        text("topology_key", "Node label whose values are the domains."),
        text("when_unsatisfiable", "`DoNotSchedule` or `ScheduleAnyway`.").default("DoNotSchedule"),
    ]
}

pub(crate) fn se_linux_options() -> Field {
    let fields = vec![
        text("level", "SELinux level."),
        text("role", "SELinux role."),
        text("type", "SELinux type."),
        text("user", "SELinux user."),
    ];
    one("se_linux_options", "SELinux context.", fields)
}

pub(crate) fn seccomp_profile() -> Field {
    let fields = vec![
        text("localhost_profile", "Profile on the node; for type `Localhost`."),
        text("type", "`RuntimeDefault`, `Localhost` or `Unconfined`.").default("Unconfined"),
    ];
    one("seccomp_profile", "Seccomp profile.", fields)
}

pub(crate) fn windows_options() -> Field {
    let fields = vec![
        text("gmsa_credential_spec", "GMSA credential spec."),
        text("gmsa_credential_spec_name", "Name of the GMSA credential spec."),
        boolean("host_process", "Run as a host process.").default(false),
        text("run_as_username", "User of the process.").api("runAsUserName"),
    ];
    one("windows_options", "Settings for Windows.", fields)
}

fn security_context() -> Vec<Field> {
    let sysctl =
        vec![text("name", "Name of the parameter.").required(), text("value", "Its value.").required()];
    vec![
        int_text("fs_group", "Group that owns volumes."),
        text("fs_group_change_policy", "`OnRootMismatch` or `Always`."),
        int_text("run_as_group", "Group id of processes."),
        boolean("run_as_non_root", "Refuse to run as root."),
        int_text("run_as_user", "User id of processes."),
        se_linux_options(),
        seccomp_profile(),
        int_set("supplemental_groups", "Further groups of processes."),
        many("sysctl", "Kernel parameters.", sysctl).api("sysctls"),
        windows_options(),
    ]
}

/// A term of node selection.
pub(crate) fn node_term() -> Vec<Field> {
    vec![
        many("match_expressions", "Conditions on labels of nodes.", expression_fields()),
        many("match_fields", "Conditions on fields of nodes.", expression_fields()),
    ]
}
