//! What a real API server fills into objects, and what it refuses.

use super::api::{Cause, name_of};
use super::kinds::Kind;
use crate::crypto::spread;
use base64::Engine as _;
use serde_json::{Value, json};

/// Fills the defaults of a kind; what the server chose before stays.
pub(super) fn fill(kind: Kind, object: &mut Value, old: Option<&Value>, uid: &str) {
    match kind.resource {
        "namespaces" => {
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name_of(object).into();
            object["spec"]["finalizers"] = json!(["kubernetes"]);
            if old.is_none() {
                object["status"] = json!({"phase": "Active"});
            }
        }
        "secrets" => secret(object),
        "services" => service(object, old, uid),
        "deployments" => deployment(object),
        "statefulsets" => stateful_set(object),
        "daemonsets" => daemon_set(object),
        "jobs" => job(object),
        "cronjobs" => cron_job(object),
        "persistentvolumeclaims" => {
            default(&mut object["spec"], "volumeMode", "Filesystem".into());
            if old.is_none() {
                object["status"] = json!({"phase": "Pending"});
            }
        }
        "storageclasses" => {
            default(object, "reclaimPolicy", "Delete".into());
            default(object, "volumeBindingMode", "Immediate".into());
        }
        "horizontalpodautoscalers" => default(&mut object["spec"], "minReplicas", json!(1)),
        "networkpolicies" => network_policy(object),
        "rolebindings" | "clusterrolebindings" => subjects(object),
        "replicasets" => {
            default(&mut object["spec"], "replicas", json!(1));
            pod_template(&mut object["spec"]["template"]);
        }
        "pods" => {
            pod_spec(&mut object["spec"]);
            if old.is_none() {
                object["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"});
            }
        }
        _ => {}
    }
}

fn default(object: &mut Value, name: &str, value: Value) {
    if object[name].is_null() {
        object[name] = value;
    }
}

fn secret(object: &mut Value) {
    default(object, "type", "Opaque".into());
    let plain = object["stringData"].take();
    if let Some(members) = object.as_object_mut() {
        members.remove("stringData");
    }
    for (name, value) in plain.as_object().into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        object["data"][name] = base64::engine::general_purpose::STANDARD.encode(text).into();
    }
}

fn service(object: &mut Value, old: Option<&Value>, uid: &str) {
    let key = format!("{uid}/{}", object["metadata"]["uid"]);
    let empty = json!({});
    let before = old.map_or(&empty, |o| &o["spec"]);
    let spec = &mut object["spec"];
    default(spec, "type", "ClusterIP".into());
    default(spec, "sessionAffinity", "None".into());
    if spec["type"] == "ExternalName" {
        return;
    }
    let address = match before["clusterIP"].as_str() {
        Some(address) => address.to_owned(),
        None => {
            let place = spread(&key, 65_000) + 256;
            format!("10.100.{}.{}", place / 256, place % 256)
        }
    };
    default(spec, "clusterIP", address.into());
    spec["clusterIPs"] = json!([spec["clusterIP"]]);
    default(spec, "ipFamilies", json!(["IPv4"]));
    default(spec, "ipFamilyPolicy", "SingleStack".into());
    default(spec, "internalTrafficPolicy", "Cluster".into());
    let outside = matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer"));
    if outside {
        default(spec, "externalTrafficPolicy", "Cluster".into());
    }
    if spec["type"] == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", true.into());
    }
    let old_ports = before["ports"].as_array().cloned().unwrap_or_default();
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        default(port, "protocol", "TCP".into());
        let number = port["port"].clone();
        default(port, "targetPort", number.clone());
        if outside && port["nodePort"].is_null() {
            let had = old_ports.iter().find(|p| p["port"] == number && p["protocol"] == port["protocol"]);
            let chosen = had.map(|p| p["nodePort"].clone()).filter(|n| !n.is_null());
            port["nodePort"] =
                chosen.unwrap_or_else(|| (30_000 + spread(&format!("{key}/{number}"), 2_768)).into());
        }
    }
}

fn deployment(object: &mut Value) {
    let spec = &mut object["spec"];
    default(spec, "replicas", json!(1));
    default(spec, "revisionHistoryLimit", json!(10));
    default(spec, "progressDeadlineSeconds", json!(600));
    default(&mut spec["strategy"], "type", "RollingUpdate".into());
    if spec["strategy"]["type"] == "RollingUpdate" {
        default(&mut spec["strategy"]["rollingUpdate"], "maxSurge", "25%".into());
        default(&mut spec["strategy"]["rollingUpdate"], "maxUnavailable", "25%".into());
    }
    pod_template(&mut spec["template"]);
}

fn stateful_set(object: &mut Value) {
    let spec = &mut object["spec"];
    default(spec, "replicas", json!(1));
    default(spec, "revisionHistoryLimit", json!(10));
    default(spec, "podManagementPolicy", "OrderedReady".into());
    default(&mut spec["updateStrategy"], "type", "RollingUpdate".into());
    if spec["updateStrategy"]["type"] == "RollingUpdate" {
        default(&mut spec["updateStrategy"]["rollingUpdate"], "partition", json!(0));
    }
    for when in ["whenDeleted", "whenScaled"] {
        default(&mut spec["persistentVolumeClaimRetentionPolicy"], when, "Retain".into());
    }
    for claim in spec["volumeClaimTemplates"].as_array_mut().into_iter().flatten() {
        claim["apiVersion"] = "v1".into();
        claim["kind"] = "PersistentVolumeClaim".into();
        default(&mut claim["spec"], "volumeMode", "Filesystem".into());
        claim["status"] = json!({"phase": "Pending"});
    }
    pod_template(&mut spec["template"]);
}

fn daemon_set(object: &mut Value) {
    let spec = &mut object["spec"];
    default(spec, "revisionHistoryLimit", json!(10));
    default(&mut spec["updateStrategy"], "type", "RollingUpdate".into());
    if spec["updateStrategy"]["type"] == "RollingUpdate" {
        default(&mut spec["updateStrategy"]["rollingUpdate"], "maxSurge", json!(0));
        default(&mut spec["updateStrategy"]["rollingUpdate"], "maxUnavailable", json!(1));
    }
    pod_template(&mut spec["template"]);
}

fn job(object: &mut Value) {
    let uid = object["metadata"]["uid"].clone();
    let name = object["metadata"]["name"].clone();
    if object["spec"]["manualSelector"] != true && object["spec"]["selector"].is_null() {
        object["spec"]["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
        let labels = &mut object["spec"]["template"]["metadata"]["labels"];
        for (key, value) in [("controller-uid", &uid), ("job-name", &name)] {
            labels[key] = value.clone();
            labels[format!("batch.kubernetes.io/{key}")] = value.clone();
        }
    }
    job_spec(&mut object["spec"]);
    default(&mut object["spec"], "suspend", false.into());
}

fn job_spec(spec: &mut Value) {
    default(spec, "completions", json!(1));
    default(spec, "parallelism", json!(1));
    default(spec, "backoffLimit", json!(6));
    default(spec, "completionMode", "NonIndexed".into());
    pod_template(&mut spec["template"]);
}

fn cron_job(object: &mut Value) {
    let spec = &mut object["spec"];
    default(spec, "concurrencyPolicy", "Allow".into());
    default(spec, "suspend", false.into());
    default(spec, "successfulJobsHistoryLimit", json!(3));
    default(spec, "failedJobsHistoryLimit", json!(1));
    pod_template(&mut spec["jobTemplate"]["spec"]["template"]);
}

fn network_policy(object: &mut Value) {
    for direction in ["ingress", "egress"] {
        for rule in object["spec"].get_mut(direction).and_then(Value::as_array_mut).into_iter().flatten() {
            for port in rule.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
                default(port, "protocol", "TCP".into());
            }
        }
    }
}

fn subjects(object: &mut Value) {
    for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
            default(subject, "apiGroup", "rbac.authorization.k8s.io".into());
        }
    }
}

fn pod_template(template: &mut Value) {
    if template["metadata"].is_null() {
        template["metadata"] = json!({});
    }
    pod_spec(&mut template["spec"]);
}

fn pod_spec(spec: &mut Value) {
    default(spec, "restartPolicy", "Always".into());
    default(spec, "dnsPolicy", "ClusterFirst".into());
    default(spec, "schedulerName", "default-scheduler".into());
    default(spec, "terminationGracePeriodSeconds", json!(30));
    default(spec, "securityContext", json!({}));
    // The old name of the account follows the new one, and the other way round.
    let account = [&spec["serviceAccountName"], &spec["serviceAccount"]].into_iter().find(|a| a.is_string());
    if let Some(account) = account.cloned() {
        default(spec, "serviceAccountName", account);
        spec["serviceAccount"] = spec["serviceAccountName"].clone();
    }
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            fill_container(container);
        }
        if spec[list].is_null()
            && let Some(members) = spec.as_object_mut()
        {
            members.remove(list);
        }
    }
    for volume in spec["volumes"].as_array_mut().into_iter().flatten() {
        for source in ["configMap", "secret", "downwardAPI", "projected"] {
            if volume.get(source).is_some_and(|s| !s.is_null()) {
                default(&mut volume[source], "defaultMode", json!(420));
            }
        }
        if volume.as_object().is_some_and(|v| v.len() == 1) {
            volume["emptyDir"] = json!({});
        }
    }
    if spec["volumes"].is_null()
        && let Some(members) = spec.as_object_mut()
    {
        members.remove("volumes");
    }
}

fn fill_container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    let moving = !image.contains('@') && (!last.contains(':') || last.ends_with(":latest"));
    default(container, "imagePullPolicy", if moving { "Always" } else { "IfNotPresent" }.into());
    default(container, "terminationMessagePath", "/dev/termination-log".into());
    default(container, "terminationMessagePolicy", "File".into());
    default(container, "resources", json!({}));
    for amounts in ["limits", "requests"] {
        for (_, amount) in
            container["resources"].get_mut(amounts).and_then(Value::as_object_mut).into_iter().flatten()
        {
            let text = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
            if let Some(short) = quantity(&text) {
                *amount = short.into();
            }
        }
    }
    if let Some(ports) = container.get_mut("ports").and_then(Value::as_array_mut) {
        for port in ports {
            default(port, "protocol", "TCP".into());
        }
    }
    for row in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        if row["valueFrom"]["fieldRef"].is_object() {
            default(&mut row["valueFrom"]["fieldRef"], "apiVersion", "v1".into());
        } else if row["valueFrom"].is_null()
            && let Some(members) = row.as_object_mut()
        {
            members.remove("valueFrom");
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe).filter(|p| p.is_object()) {
            fill_probe(probe);
        }
    }
}

fn fill_probe(probe: &mut Value) {
    for (name, value) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        default(probe, name, json!(value));
    }
    if let Some(get) = probe.get_mut("httpGet").filter(|g| g.is_object()) {
        default(get, "scheme", "HTTP".into());
        default(get, "path", "/".into());
    }
}

const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/// Decimal suffixes from a billionth upwards, a thousand each.
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];

/// The canonical form of a quantity: whole digits, the largest suffix that keeps them whole.
pub(super) fn quantity(text: &str) -> Option<String> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if part.len() > 9 || number.is_empty() {
        return None;
    }
    // In billionths.
    let mut value: i128 = format!("{whole}{part:0<9}").parse().ok()?;
    if let Some(power) = BINARY.iter().skip(1).position(|s| *s == suffix) {
        value = value.checked_mul(1024_i128.checked_pow(u32::try_from(power).ok()? + 1)?)?;
        let bytes = value / 1_000_000_000;
        if value % 1_000_000_000 == 0 {
            return Some(shortest(bytes, 1024, &BINARY));
        }
        return Some(shortest(value, 1000, &DECIMAL));
    }
    let power = DECIMAL.iter().position(|s| *s == suffix)?;
    let scaled = match power {
        0..3 => value / 1000_i128.pow(u32::try_from(3 - power).ok()?),
        _ => value.checked_mul(1000_i128.checked_pow(u32::try_from(power - 3).ok()?)?)?,
    };
    Some(shortest(scaled, 1000, &DECIMAL))
}

fn shortest(mut value: i128, step: i128, suffixes: &[&str]) -> String {
    let mut at = 0;
    if value == 0 {
        return "0".into();
    }
    while value % step == 0 && at + 1 < suffixes.len() {
        value /= step;
        at += 1;
    }
    format!("{value}{}", suffixes[at])
}

/// What is wrong with an object, or with what it changes.
pub(super) fn check(kind: Kind, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_meta(kind, new, &mut causes);
    match kind.resource {
        "deployments" | "replicasets" | "statefulsets" => check_workload(new, old, &mut causes),
        "daemonsets" => check_pods_of(new, old, &mut causes),
        "rolebindings" | "clusterrolebindings" => fixed(new, old, "roleRef", &mut causes),
        "jobs" => {
            for field in ["selector", "template", "completions"] {
                fixed(&new["spec"], old.map(|o| &o["spec"]), field, &mut causes);
            }
        }
        "storageclasses" => {
            for field in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
                fixed(new, old, field, &mut causes);
            }
        }
        "pods" => check_pod_spec(&new["spec"], "spec", &mut causes),
        "services" => check_service(new, old, &mut causes),
        "configmaps" | "secrets" => check_data(kind, new, old, &mut causes),
        _ => {}
    }
    causes
}

fn bad(causes: &mut Vec<Cause>, field: &str, value: &Value, text: &str) {
    let message = format!("Invalid value: {value}: {text}");
    causes.push(Cause { field: field.into(), reason: "FieldValueInvalid", message });
}

fn needed(causes: &mut Vec<Cause>, field: &str) {
    causes.push(Cause {
        field: field.into(),
        reason: "FieldValueRequired",
        message: "Required value".into(),
    });
}

fn check_meta(kind: Kind, new: &Value, causes: &mut Vec<Cause>) {
    let name = name_of(new);
    let label = matches!(kind.resource, "namespaces" | "services");
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || (c == '.' && !label);
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let free = kind.group.starts_with("rbac.");
    let long = if label { 63 } else { 253 };
    let fine = name.chars().all(fits)
        && edge(name.chars().next())
        && edge(name.chars().last())
        && name.len() <= long;
    if !fine && !free {
        let text = "a lowercase RFC 1123 name must consist of lower case alphanumeric characters, '-' or '.', and \
                    must start and end with an alphanumeric character";
        bad(causes, "metadata.name", &new["metadata"]["name"], text);
    }
    for map in ["labels", "annotations"] {
        for (key, value) in new["metadata"][map].as_object().into_iter().flatten() {
            if !value.is_string() {
                bad(causes, &format!("metadata.{map}[{key}]"), value, "must be a string");
            } else if map == "labels" && value.as_str().is_some_and(|v| !label_value(v)) {
                bad(
                    causes,
                    "metadata.labels",
                    value,
                    "a valid label must consist of alphanumeric characters, '-', '_' or '.'",
                );
            }
        }
    }
}

fn label_value(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && edge(text.chars().next())
        && edge(text.chars().last())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// A field that can't be changed once it is there.
fn fixed(new: &Value, old: Option<&Value>, field: &str, causes: &mut Vec<Cause>) {
    if old.is_some_and(|old| old[field] != new[field]) {
        bad(causes, field, &new[field], "field is immutable");
    }
}

fn check_workload(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let spec = &new["spec"];
    if spec["replicas"].as_i64().is_none_or(|n| n < 0) {
        bad(causes, "spec.replicas", &spec["replicas"], "must be greater than or equal to 0");
    }
    check_pods_of(new, old, causes);
}

/// The selector and the template of a workload.
fn check_pods_of(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let spec = &new["spec"];
    let selector = &spec["selector"];
    let labels = &spec["template"]["metadata"]["labels"];
    let wanted = selector["matchLabels"].as_object();
    if wanted.is_none_or(|w| w.is_empty()) && selector["matchExpressions"].is_null() {
        needed(causes, "spec.selector");
    }
    if wanted.into_iter().flatten().any(|(key, value)| labels[key] != *value) {
        bad(causes, "spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
    }
    if old.is_some_and(|o| o["spec"]["selector"] != *selector) {
        bad(causes, "spec.selector", selector, "field is immutable");
    }
    check_pod_spec(&spec["template"]["spec"], "spec.template.spec", causes);
}

fn check_pod_spec(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let containers = spec["containers"].as_array().cloned().unwrap_or_default();
    if containers.is_empty() {
        needed(causes, &format!("{path}.containers"));
    }
    let volumes: Vec<&str> =
        spec["volumes"].as_array().into_iter().flatten().filter_map(|v| v["name"].as_str()).collect();
    for (number, container) in containers.iter().enumerate() {
        for member in ["name", "image"] {
            if container[member].as_str().is_none_or(str::is_empty) {
                needed(causes, &format!("{path}.containers[{number}].{member}"));
            }
        }
        for (at, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
            if !mount["name"].as_str().is_some_and(|name| volumes.contains(&name)) {
                let field = format!("{path}.containers[{number}].volumeMounts[{at}].name");
                let message = format!("Not found: {}", mount["name"]);
                causes.push(Cause { field, reason: "FieldValueNotFound", message });
            }
        }
        for amounts in ["limits", "requests"] {
            for (name, amount) in container["resources"][amounts].as_object().into_iter().flatten() {
                if amount.as_str().and_then(quantity).is_none() {
                    let field = format!("{path}.containers[{number}].resources.{amounts}[{name}]");
                    bad(causes, &field, amount, "quantities must match the regular expression");
                }
            }
        }
    }
}

fn check_service(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let spec = &new["spec"];
    let ports = spec["ports"].as_array().cloned().unwrap_or_default();
    if ports.is_empty() && spec["clusterIP"] != "None" && spec["type"] != "ExternalName" {
        needed(causes, "spec.ports");
    }
    if !matches!(spec["type"].as_str(), Some("ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName")) {
        let message = format!("Unsupported value: {}", spec["type"]);
        causes.push(Cause { field: "spec.type".into(), reason: "FieldValueNotSupported", message });
    }
    for (number, port) in ports.iter().enumerate() {
        if !port["port"].as_i64().is_some_and(|p| (1..=65_535).contains(&p)) {
            let text = "must be between 1 and 65535, inclusive";
            bad(causes, &format!("spec.ports[{number}].port"), &port["port"], text);
        }
        if ports.len() > 1 && port["name"].as_str().is_none_or(str::is_empty) {
            needed(causes, &format!("spec.ports[{number}].name"));
        }
    }
    let both =
        old.map(|o| &o["spec"]).filter(|o| o["type"] != "ExternalName" && spec["type"] != "ExternalName");
    if both.is_some_and(|o| o["clusterIP"] != spec["clusterIP"]) {
        bad(causes, "spec.clusterIP", &spec["clusterIP"], "field is immutable");
    }
    let class = |o: &&Value| o["type"] == "LoadBalancer" && spec["type"] == "LoadBalancer";
    if both.filter(class).is_some_and(|o| o["loadBalancerClass"] != spec["loadBalancerClass"]) {
        bad(causes, "spec.loadBalancerClass", &spec["loadBalancerClass"], "may not change once set");
    }
}

fn check_data(kind: Kind, new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    for (name, value) in new["data"].as_object().into_iter().flatten() {
        let engine = base64::engine::general_purpose::STANDARD;
        let fine = match value.as_str() {
            Some(text) => kind.resource != "secrets" || engine.decode(text).is_ok(),
            None => false,
        };
        if !fine {
            // Its value may be a secret: it is not shown.
            let text = if kind.resource == "secrets" { "must be base64" } else { "must be a string" };
            bad(causes, &format!("data[{name}]"), &Value::Null, text);
        }
    }
    let Some(old) = old else { return };
    if kind.resource == "secrets" && old["type"] != new["type"] {
        bad(causes, "type", &new["type"], "field is immutable");
    }
    if old["immutable"] == true {
        for member in ["data", "binaryData", "immutable"] {
            if old[member] != new[member] {
                let message = "Forbidden: field is immutable when `immutable` is set".into();
                causes.push(Cause { field: member.into(), reason: "FieldValueForbidden", message });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_get_their_canonical_form() {
        for (text, expected) in [
            ("0.5", Some("500m")),
            ("1000m", Some("1")),
            ("1", Some("1")),
            ("1.5", Some("1500m")),
            ("250m", Some("250m")),
            ("1024Mi", Some("1Gi")),
            ("1000Mi", Some("1000Mi")),
            ("0.5Gi", Some("512Mi")),
            ("128Mi", Some("128Mi")),
            ("1000000", Some("1M")),
            ("0", Some("0")),
            ("", None),
            ("lots", None),
            ("1Xi", None),
        ] {
            assert_eq!(quantity(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn filling_twice_changes_nothing() {
        let kind = Kind::of("deployments");
        let mut once = json!({
            "metadata": {"name": "a"},
            "spec": {
                "selector": {"matchLabels": {"app": "a"}},
                "template": {
                    "metadata": {"labels": {"app": "a"}},
                    "spec": {"containers": [{
                        "name": "a", "image": "a", "ports": [{"containerPort": 80}],
                        "readinessProbe": {"httpGet": {"port": 80}}, "env": [{"name": "X", "value": "1"}],
                    }]},
                },
            },
        });
        fill(kind, &mut once, None, "u");
        let mut twice = once.clone();
        fill(kind, &mut twice, Some(&once), "u");
        assert_eq!(once, twice);
        let container = &once["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["imagePullPolicy"], "Always");
        assert_eq!(container["readinessProbe"]["timeoutSeconds"], 1);
        assert_eq!(container["env"], json!([{"name": "X", "value": "1"}]));
        assert!(check(kind, &once, None).is_empty());
        let mut other = once.clone();
        other["spec"]["selector"] = json!({"matchLabels": {"app": "b"}});
        let fields: Vec<String> = check(kind, &other, Some(&once)).into_iter().map(|c| c.field).collect();
        assert_eq!(fields, ["spec.template.metadata.labels", "spec.selector"]);
    }
}
