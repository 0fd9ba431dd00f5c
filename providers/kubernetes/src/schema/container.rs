//! Containers of pods.

use super::command;
use super::pod::{se_linux_options, seccomp_profile, windows_options};
use crate::mapping::{
    Field, boolean, int, int_or_text, int_text, many, one, quantity, quantity_map, text, text_list,
};

pub(crate) fn containers(name: &'static str, doc: &'static str) -> Field {
    let api = if name == "container" { "containers" } else { "initContainers" };
    let field = many(name, doc, container()).api(api).keyed(&["name"]);
    if name == "container" { field.required() } else { field }
}

fn container() -> Vec<Field> {
    vec![
        text_list("args", "Arguments of the command."),
        command("Command to run instead of the image's entry point."),
        many("env", "Environment variables.", env()).keyed(&["name"]),
        many("env_from", "Objects whose keys become environment variables.", env_from()),
        text("image", "Image to run."),
        text("image_pull_policy", "`Always`, `IfNotPresent` or `Never`.").or_computed(),
        one("lifecycle", "What to do after the start and before the end.", lifecycle()),
        probe("liveness_probe", "Restarts the container when it fails."),
        text("name", "Name of the container.").required(),
        many("port", "Ports that the container opens.", port())
            .api("ports")
            .keyed(&["containerPort", "protocol"]),
        probe("readiness_probe", "Takes the pod out of services while it fails."),
        one("resources", "What the container needs and may use.", resources()).or_computed(),
        text("restart_policy", "`Always` makes an init container a sidecar."),
        one("security_context", "Security settings of the container.", security_context()),
        probe("startup_probe", "Holds the other probes back until it succeeds."),
        boolean("stdin", "Keep the standard input open.").default(false),
        boolean("stdin_once", "Close the standard input after the first client.").default(false),
        text("termination_message_path", "File of the last message.").default("/dev/termination-log"),
        text("termination_message_policy", "`File` or `FallbackToLogsOnError`.").or_computed(),
        boolean("tty", "Give the container a terminal.").default(false),
        many("volume_device", "Block devices.", volume_device()).api("volumeDevices").keyed(&["devicePath"]),
        many("volume_mount", "Where volumes are mounted.", volume_mount())
            .api("volumeMounts")
            .keyed(&["mountPath"]),
        text("working_dir", "Working directory."),
    ]
}

fn env() -> Vec<Field> {
    let config_map_key = vec![
        text("key", "Key of the config map."),
        text("name", "Name of the config map."),
        boolean("optional", "Whether it may be missing."),
    ];
    let secret_key = vec![
        text("key", "Key of the secret."),
        text("name", "Name of the secret."),
        boolean("optional", "Whether it may be missing."),
    ];
    let from = vec![
        one("config_map_key_ref", "A key of a config map.", config_map_key),
        one("field_ref", "A field of the pod.", field_ref()),
        one("resource_field_ref", "A resource of a container.", resource_field_ref()),
        one("secret_key_ref", "A key of a secret.", secret_key),
    ];
    vec![
        text("name", "Name of the variable.").required(),
        text("value", "Value of the variable."),
        one("value_from", "Where the value comes from.", from),
    ]
}

pub(crate) fn field_ref() -> Vec<Field> {
    vec![
        text("api_version", "API version that the path is read in.").default("v1"),
        text("field_path", "Path of the field, such as `metadata.name`."),
    ]
}

pub(crate) fn resource_field_ref() -> Vec<Field> {
    vec![
        text("container_name", "Container that the resource is of."),
        quantity("divisor", "Unit of the value.").or_computed(),
        text("resource", "Resource, such as `limits.cpu`.").required(),
    ]
}

fn env_from() -> Vec<Field> {
    let reference = || {
        vec![
            text("name", "Name of the object.").required(),
            boolean("optional", "Whether it may be missing."),
        ]
    };
    vec![
        one("config_map_ref", "A config map.", reference()),
        text("prefix", "Prefix of the variables' names."),
        one("secret_ref", "A secret.", reference()),
    ]
}

fn exec() -> Field {
    one("exec", "Runs a command in the container.", vec![command("Command and arguments.")])
}

fn http_get() -> Field {
    let header = vec![text("name", "Name of the header."), text("value", "Its value.")];
    let fields = vec![
        text("host", "Host to ask; the pod's address if not set."),
        many("http_header", "Headers of the request.", header).api("httpHeaders"),
        text("path", "Path to ask for.").or_computed(),
        int_or_text("port", "Port: a number or a name."),
        text("scheme", "`HTTP` or `HTTPS`.").default("HTTP"),
    ];
    one("http_get", "Sends an HTTP request.", fields)
}

fn tcp_socket() -> Field {
    let fields = vec![int_or_text("port", "Port: a number or a name.").required()];
    one("tcp_socket", "Opens a TCP connection.", fields)
}

fn lifecycle() -> Vec<Field> {
    let handler = || vec![exec(), http_get(), tcp_socket()];
    vec![
        one("post_start", "Right after the start.", handler()),
        one("pre_stop", "Right before the end.", handler()),
    ]
}

fn probe(name: &'static str, doc: &'static str) -> Field {
    let grpc = vec![
        int("port", "Port of the service.").required(),
        text("service", "Name of the service to ask about.").or_computed(),
    ];
    let fields = vec![
        exec(),
        int("failure_threshold", "Failures in a row that count as one.").default(3),
        one("grpc", "Asks a gRPC health service.", grpc),
        http_get(),
        int("initial_delay_seconds", "Seconds before the first probe."),
        int("period_seconds", "Seconds between probes.").default(10),
        int("success_threshold", "Successes in a row that count as one.").default(1),
        tcp_socket(),
        int("termination_grace_period_seconds", "Seconds to end after a failure."),
        int("timeout_seconds", "Seconds after which a probe fails.").default(1),
    ];
    one(name, doc, fields)
}

fn port() -> Vec<Field> {
    vec![
        int("container_port", "Port that the container opens.").required(),
        text("host_ip", "Address of the node to bind.").api("hostIP"),
        int("host_port", "Port of the node to bind."),
        text("name", "Name of the port."),
        text("protocol", "`TCP`, `UDP` or `SCTP`.").default("TCP"),
    ]
}

fn resources() -> Vec<Field> {
    vec![
        quantity_map("limits", "The most that the container may use.").or_computed(),
        quantity_map("requests", "What is set aside for the container.").or_computed(),
    ]
}

fn security_context() -> Vec<Field> {
    let capabilities =
        vec![text_list("add", "Capabilities to add."), text_list("drop", "Capabilities to drop.")];
    vec![
        boolean("allow_privilege_escalation", "Let processes gain rights.").default(true),
        one("capabilities", "Capabilities of processes.", capabilities),
        boolean("privileged", "Run with all rights of the node.").default(false),
        boolean("read_only_root_filesystem", "Make the root file system read-only.").default(false),
        int_text("run_as_group", "Group id of processes."),
        boolean("run_as_non_root", "Refuse to run as root."),
        int_text("run_as_user", "User id of processes."),
        se_linux_options(),
        seccomp_profile(),
        windows_options(),
    ]
}

fn volume_device() -> Vec<Field> {
    vec![
        text("device_path", "Path of the device in the container.").required(),
        text("name", "Name of the volume.").required(),
    ]
}

fn volume_mount() -> Vec<Field> {
    vec![
        text("mount_path", "Path in the container.").required(),
        text("mount_propagation", "`None`, `HostToContainer` or `Bidirectional`.").default("None"),
        text("name", "Name of the volume.").required(),
        boolean("read_only", "Mount for reading only.").default(false),
        text("sub_path", "Path in the volume."),
        text("sub_path_expr", "Path in the volume, with environment variables."),
    ]
}
