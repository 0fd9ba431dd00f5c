//! `kubernetes_ingress_v1` and `kubernetes_network_policy`.

use super::{Kind, Resource, metadata, selector_fields};
use crate::mapping::{Field, Fields, boolean, int, int_or_text, many, one, text, text_list};

pub(crate) fn ingress() -> Kind {
    Kind {
        names: &["kubernetes_ingress_v1"],
        resource: Resource::new("networking.k8s.io", "v1", "Ingress", "ingresses", true),
        fields: Fields::new(
            "An Ingress: hosts and paths from outside, led to services.",
            vec![
                metadata(true),
                one("spec", "What is led where.", ingress_spec()).required(),
                super::service::status(),
                boolean("wait_for_load_balancer", "Wait until the load balancer has an address.").local(),
            ],
        ),
    }
}

fn ingress_spec() -> Vec<Field> {
    let path = vec![
        one("backend", "Where the traffic goes.", backend()),
        text("path", "Path that is asked for."),
        text("path_type", "`Exact`, `Prefix` or `ImplementationSpecific`.").default("ImplementationSpecific"),
    ];
    let http = vec![many("path", "Paths and where they lead.", path).api("paths").required()];
    let rule = vec![
        text("host", "Host that is asked for; all if not set."),
        one("http", "Paths of the host.", http),
    ];
    let tls = vec![
        text_list("hosts", "Hosts of the certificate."),
        text("secret_name", "Secret that holds the certificate."),
    ];
    vec![
        one("default_backend", "Where the rest goes.", backend()),
        text("ingress_class_name", "Which controller does it.").or_computed(),
        many("rule", "Hosts and their paths.", rule).api("rules"),
        many("tls", "Certificates.", tls),
    ]
}

fn backend() -> Vec<Field> {
    let resource = vec![
        text("api_group", "API group of the object.").required(),
        text("kind", "Kind of the object.").required(),
        text("name", "Name of the object.").required(),
    ];
    let port = vec![text("name", "Name of the port."), int("number", "Number of the port.")];
    let service = vec![
        text("name", "Name of the service.").required(),
        one("port", "Port of the service.", port).required(),
    ];
    vec![one("resource", "Another object.", resource), one("service", "A service.", service)]
}

pub(crate) fn network_policy() -> Kind {
    let ingress = vec![
        many("from", "Where the traffic may come from; anywhere if none is given.", peer()),
        many("ports", "Ports that are open; all if none is given.", port()),
    ];
    let egress = vec![
        many("ports", "Ports that may be reached; all if none is given.", port()),
        many("to", "Where the traffic may go; anywhere if none is given.", peer()),
    ];
    let spec = vec![
        many("egress", "What the pods may reach.", egress),
        many("ingress", "What may reach the pods.", ingress),
        one("pod_selector", "Pods that the policy is about; all if empty.", selector_fields()).required(),
        text_list("policy_types", "`Ingress`, `Egress` or both.").required(),
    ];
    Kind {
        names: &["kubernetes_network_policy", "kubernetes_network_policy_v1"],
        resource: Resource::new("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true),
        fields: Fields::new(
            "A NetworkPolicy: what may reach pods, and what they may reach.",
            vec![metadata(true), one("spec", "What is allowed.", spec).required()],
        ),
    }
}

fn peer() -> Vec<Field> {
    let block = vec![
        text("cidr", "Range of addresses."),
        text_list("except", "Ranges inside of it that are left out."),
    ];
    vec![
        one("ip_block", "Addresses.", block),
        one("namespace_selector", "Namespaces; all if empty.", selector_fields()),
        one("pod_selector", "Pods; all if empty.", selector_fields()),
    ]
}

fn port() -> Vec<Field> {
    vec![
        int("end_port", "Last port of a range."),
        int_or_text("port", "Number or name of the port."),
        text("protocol", "`TCP`, `UDP` or `SCTP`.").default("TCP"),
    ]
}
