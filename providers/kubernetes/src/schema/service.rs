//! `kubernetes_service`.

use super::{Kind, Resource, metadata};
use crate::mapping::{
    Field, Fields, boolean, int, int_or_text, many, one, text, text_list, text_map, text_set,
};

pub(crate) fn kind() -> Kind {
    Kind {
        names: &["kubernetes_service", "kubernetes_service_v1"],
        resource: Resource::new("", "v1", "Service", "services", true),
        fields: Fields::new(
            "A Service: a stable address for a set of pods.",
            vec![
                metadata(true),
                one("spec", "What the Service offers and how.", spec()).required(),
                status(),
                boolean("wait_for_load_balancer", "Wait until a load balancer has an address.")
                    .default(true)
                    .local(),
            ],
        ),
    }
}

fn spec() -> Vec<Field> {
    vec![
        boolean("allocate_load_balancer_node_ports", "Whether a load balancer gets node ports.")
            .default(true)
            .when("type", "LoadBalancer"),
        text("cluster_ip", "Address inside of the cluster, or `None`.")
            .api("clusterIP")
            .or_computed()
            .replaces(),
        text_list("cluster_ips", "All addresses inside of the cluster.")
            .api("clusterIPs")
            .or_computed()
            .replaces(),
        text_set("external_ips", "Addresses outside for which nodes accept traffic.").api("externalIPs"),
        text("external_name", "Name that an `ExternalName` service leads to."),
        text("external_traffic_policy", "`Local` keeps client addresses, `Cluster` spreads.").or_computed(),
        int("health_check_node_port", "Node port of health checks.").or_computed().replaces(),
        text("internal_traffic_policy", "`Local` or `Cluster`.").or_computed(),
        text_list("ip_families", "`IPv4`, `IPv6`, in order.").or_computed(),
        text("ip_family_policy", "`SingleStack`, `PreferDualStack` or `RequireDualStack`.").or_computed(),
        text("load_balancer_class", "Which implementation makes the load balancer.").replaces(),
        text("load_balancer_ip", "Address to ask of the load balancer.").api("loadBalancerIP"),
        text_set("load_balancer_source_ranges", "Client ranges that the load balancer admits."),
        many("port", "Ports that the Service offers.", port()).api("ports").keyed(&["port", "protocol"]),
        boolean("publish_not_ready_addresses", "Publish pods that are not ready.").default(false),
        text_map("selector", "Labels of the pods that get the traffic.").whole(),
        text("session_affinity", "`ClientIP` or `None`.").default("None"),
        one("session_affinity_config", "Settings of the session affinity.", affinity()).or_computed(),
        text("type", "`ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.").default("ClusterIP"),
    ]
}

fn port() -> Vec<Field> {
    vec![
        text("app_protocol", "Protocol of the application, such as `http`."),
        text("name", "Name of the port; needed if there are several."),
        int("node_port", "Port on every node.").or_computed(),
        int("port", "Port of the Service.").required(),
        text("protocol", "`TCP`, `UDP` or `SCTP`.").default("TCP"),
        int_or_text("target_port", "Port of the pods: a number or a name; the Service's if not set.")
            .or_computed(),
    ]
}

fn affinity() -> Vec<Field> {
    let client = vec![int("timeout_seconds", "Seconds that a client sticks to a pod.").or_computed()];
    vec![one("client_ip", "Affinity by the client's address.", client).api("clientIP").or_computed()]
}

/// The addresses of a load balancer.
pub(crate) fn status() -> Field {
    let ingress = vec![
        text("hostname", "Name of the load balancer.").computed(),
        text("ip", "Address of the load balancer.").computed(),
    ];
    let balancer = vec![many("ingress", "Addresses of the load balancer.", ingress).computed()];
    let status = vec![one("load_balancer", "State of the load balancer.", balancer).computed()];
    one("status", "What the cluster says of the load balancer.", status)
        .computed()
        .changes_with(&["metadata", "spec"])
}
