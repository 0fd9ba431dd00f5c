//! The mapping as data: attributes here, JSON there.

use super::*;
use crate::schema;
use groma_types::convert::convert;
use groma_types::json::from_json;
use serde_json::json;

/// Fills a value of JSON up to the type of a kind: absent attributes null, absent blocks empty, defaults applied.
pub(crate) fn filled(fields: &Fields, json: &Json) -> Value {
    Value::object(fields.list.iter().map(|field| {
        let value = match (json.get(field.name), &field.shape) {
            (None, _) => field.default.clone().unwrap_or_else(|| field.absent()),
            (Some(blocks), Shape::One(inner) | Shape::Many(inner, _)) => {
                let items = blocks.as_array().cloned().unwrap_or_else(|| vec![blocks.clone()]);
                Value::list(inner.ty.clone(), items.iter().map(|j| filled(inner, j)).collect())
            }
            (Some(blocks), Shape::Group(inner, _)) => {
                let items = blocks.as_array().cloned().unwrap_or_else(|| vec![blocks.clone()]);
                Value::set(inner.ty.clone(), items.iter().map(|j| filled(inner, j)).collect())
            }
            (Some(plain), _) => convert(&from_json(plain), &field.ty()).unwrap(),
        };
        (field.name, value)
    }))
}

fn fields(name: &str) -> Arc<Fields> {
    let kinds = schema::kinds();
    kinds.iter().find(|k| k.names.contains(&name)).unwrap().fields.clone()
}

/// The attributes become this JSON, and the JSON read back with the attributes as guide gives them again.
fn check(name: &str, attributes: &Json, api: &Json) {
    let fields = fields(name);
    let value = filled(&fields, attributes);
    assert_eq!(Json::Object(fields.to_api(&value, Some(&value))), *api, "{name} to the API");
    let back = fields.read_api(api, Some(&value));
    assert_eq!(back, value, "{name} read back");
}

#[test]
fn a_config_map_maps_both_ways() {
    let meta = json!({"name": "a", "namespace": "b"});
    check(
        "kubernetes_config_map",
        &json!({"metadata": meta, "data": {"Some_Key": "1000m"}, "immutable": true}),
        &json!({"metadata": meta, "data": {"Some_Key": "1000m"}, "immutable": true}),
    );
    check(
        "kubernetes_config_map",
        &json!({"metadata": {"name": "a", "labels": {}}}),
        &json!({"metadata": {"name": "a", "namespace": "default"}}),
    );
}

#[test]
fn a_service_maps_both_ways() {
    check(
        "kubernetes_service",
        &json!({
            "metadata": {"name": "web", "annotations": {"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}},
            "spec": {"selector": {"app": "web"}, "type": "LoadBalancer",
                "port": {"port": 80, "target_port": "8000", "protocol": "TCP"}},
        }),
        &json!({
            "metadata": {"name": "web", "namespace": "default",
                "annotations": {"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}},
            "spec": {"selector": {"app": "web"}, "type": "LoadBalancer", "sessionAffinity": "None",
                "allocateLoadBalancerNodePorts": true, "publishNotReadyAddresses": false,
                "ports": [{"port": 80, "targetPort": 8000, "protocol": "TCP"}]},
        }),
    );
}

/// A deployment with this container and further fields of the pod's spec.
fn deployment(container: &Json, pod: &Json) -> Json {
    let mut spec = json!({"container": container});
    spec.as_object_mut().unwrap().extend(pod.as_object().unwrap().clone());
    json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": "2",
            "selector": {"match_labels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": spec},
        },
    })
}

fn pod_json(attributes: &Json) -> Json {
    let fields = fields("kubernetes_deployment");
    let value = filled(&fields, attributes);
    let api = Json::Object(fields.to_api(&value, Some(&value)));
    assert_eq!(fields.read_api(&api, Some(&value)), value, "read back");
    assert_eq!(api["spec"]["replicas"], json!(2));
    assert_eq!(api["spec"]["selector"], json!({"matchLabels": {"app": "web"}}));
    api["spec"]["template"]["spec"].clone()
}

#[test]
fn containers_map_both_ways() {
    let check = |attributes: Json, api: Json| {
        let mut container = json!({"name": "c"});
        container.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        let pod = pod_json(&deployment(&container, &json!({})));
        let got = pod["containers"][0].as_object().unwrap();
        for (key, value) in api.as_object().unwrap() {
            assert_eq!(&got[key], value, "{key}");
        }
    };
    check(
        json!({"port": {"container_port": 8000}}),
        json!({"ports": [{"containerPort": 8000, "protocol": "TCP"}]}),
    );
    check(
        json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "value_from": {"secret_key_ref": {"name": "s", "key": "k"}}}]}),
        json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}),
    );
    check(
        json!({"env_from": [{"prefix": "X_", "config_map_ref": {"name": "m", "optional": true}}]}),
        json!({"envFrom": [{"prefix": "X_", "configMapRef": {"name": "m", "optional": true}}]}),
    );
    check(
        json!({"readiness_probe": {"http_get": {"path": "/health", "port": "8000"}, "initial_delay_seconds": 10, "period_seconds": 5}}),
        json!({"readinessProbe": {"httpGet": {"path": "/health", "port": 8000, "scheme": "HTTP"}, "initialDelaySeconds": 10,
            "periodSeconds": 5, "failureThreshold": 3, "successThreshold": 1, "timeoutSeconds": 1}}),
    );
    check(
        json!({"liveness_probe": {"tcp_socket": {"port": "web"}}}),
        json!({"livenessProbe": {"tcpSocket": {"port": "web"}, "periodSeconds": 10, "failureThreshold": 3,
            "successThreshold": 1, "timeoutSeconds": 1}}),
    );
    check(
        json!({"resources": {"requests": {"cpu": "100m", "nvidia.com/gpu": "1"}, "limits": {"memory": "1Gi"}}}),
        json!({"resources": {"requests": {"cpu": "100m", "nvidia.com/gpu": "1"}, "limits": {"memory": "1Gi"}}}),
    );
    check(
        json!({"volume_mount": {"name": "v", "mount_path": "/v", "read_only": true}}),
        json!({"volumeMounts": [{"name": "v", "mountPath": "/v", "mountPropagation": "None", "readOnly": true}]}),
    );
    check(
        json!({"security_context": {"run_as_user": "1000", "capabilities": {"drop": ["ALL"]}}}),
        json!({"securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}, "privileged": false,
            "allowPrivilegeEscalation": true, "readOnlyRootFilesystem": false}}),
    );
    check(
        json!({"command": ["sh", "-c"], "args": ["true"]}),
        json!({"command": ["sh", "-c"], "args": ["true"]}),
    );
}

#[test]
fn pods_map_both_ways() {
    let check = |attributes: Json, api: Json| {
        let pod = pod_json(&deployment(&json!({"name": "c"}), &attributes));
        for (key, value) in api.as_object().unwrap() {
            assert_eq!(&pod[key], value, "{key}");
        }
    };
    check(
        json!({}),
        json!({"hostIPC": false, "hostPID": false, "dnsPolicy": "ClusterFirst", "restartPolicy": "Always"}),
    );
    check(
        json!({"volume": [
            {"name": "a", "empty_dir": {}},
            {"name": "b", "config_map": {"name": "m", "default_mode": "0400", "items": {"key": "k", "path": "p"}}},
            {"name": "c", "secret": {"secret_name": "s"}},
            {"name": "d", "persistent_volume_claim": {"claim_name": "x"}},
            {"name": "e", "host_path": {"path": "/x"}},
            {"name": "f", "projected": {"sources": {"service_account_token": {"path": "t"}}}},
        ]}),
        json!({"volumes": [
            {"name": "a", "emptyDir": {}},
            {"name": "b", "configMap": {"name": "m", "defaultMode": 256, "items": [{"key": "k", "path": "p"}]}},
            {"name": "c", "secret": {"secretName": "s", "defaultMode": 420}},
            {"name": "d", "persistentVolumeClaim": {"claimName": "x", "readOnly": false}},
            {"name": "e", "hostPath": {"path": "/x"}},
            {"name": "f", "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}]}},
        ]}),
    );
    check(
        json!({"toleration": {"key": "k", "operator": "Exists", "toleration_seconds": "30"}, "node_selector": {"a/b_c": "d"}}),
        json!({"tolerations": [{"key": "k", "operator": "Exists", "tolerationSeconds": 30}], "nodeSelector": {"a/b_c": "d"}}),
    );
    check(
        json!({"affinity": {"pod_anti_affinity": {"preferred_during_scheduling_ignored_during_execution":
            {"weight": 1, "pod_affinity_term": {"topology_key": "host", "label_selector":
                {"match_expressions": {"key": "app", "operator": "In", "values": ["b", "a"]}}}}}}}),
        json!({"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution":
            [{"weight": 1, "podAffinityTerm": {"topologyKey": "host", "labelSelector":
                {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]}}}]}}}),
    );
    check(
        json!({"security_context": {"fs_group": "1000", "supplemental_groups": [3, 2]}, "image_pull_secrets": {"name": "p"}}),
        json!({"securityContext": {"fsGroup": 1000, "supplementalGroups": [2, 3]}, "imagePullSecrets": [{"name": "p"}]}),
    );
}

/// Reads `live` with what we wrote as guide, and compares one place.
fn reads(name: &str, ours: &Json, live: &Json, place: &[&str], expected: &Json) {
    let fields = fields(name);
    let guide = filled(&fields, ours);
    let read = to_json(&fields.read_api(live, Some(&guide)));
    let at = place.iter().fold(&read, |v, step| step.parse::<usize>().map_or_else(|_| &v[*step], |i| &v[i]));
    assert_eq!(at, expected, "{name} at {place:?}");
}

#[test]
fn what_others_write_is_not_read_as_ours() {
    let ours = json!({"metadata": {"name": "web", "annotations": {"a": "1"}},
        "spec": {"selector": {"app": "web"}, "port": {"port": 80}}});
    let live = json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "u-1", "resourceVersion": "7",
            "annotations": {"a": "2", "b": "3", "groma.dev/owner": "me"}, "labels": {"theirs": "x"}},
        "spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "type": "ClusterIP", "selector": {"app": "web", "x": "y"},
            "sessionAffinity": "None", "externalName": "x", "internalTrafficPolicy": "Cluster",
            "ports": [{"port": 443, "protocol": "TCP", "targetPort": 443},
                {"port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30080}]},
        "status": {"loadBalancer": {}},
    });
    let reads = |place: &[&str], expected: Json| reads("kubernetes_service", &ours, &live, place, &expected);
    reads(&["metadata", "0", "annotations"], json!({"a": "2"}));
    reads(&["metadata", "0", "labels"], json!(null));
    reads(&["metadata", "0", "uid"], json!("u-1"));
    reads(&["spec", "0", "cluster_ip"], json!("10.0.0.1"));
    reads(&["spec", "0", "external_name"], json!(null));
    reads(&["spec", "0", "selector"], json!({"app": "web", "x": "y"}));
    reads(
        &["spec", "0", "port"],
        json!([{"app_protocol": null, "name": null, "node_port": 30080, "port": 80,
        "protocol": "TCP", "target_port": "80"}]),
    );
    reads(&["spec", "0", "publish_not_ready_addresses"], json!(false));
    reads(&["spec", "0", "allocate_load_balancer_node_ports"], json!(true));
    reads(&["status"], json!([{"load_balancer": [{"ingress": []}]}]));
    reads(&["wait_for_load_balancer"], json!(true));
}

#[test]
fn equal_values_keep_our_spelling() {
    let container =
        json!({"name": "c", "image": "i", "resources": {"limits": {"cpu": "0.5", "memory": "1Gi"}}});
    let ours = deployment(&container, &json!({"security_context": {"run_as_user": "01000"}}));
    let live = json!({"spec": {"replicas": 2, "template": {"spec": {"securityContext": {"runAsUser": 1000},
    "containers": [
        {"name": "sidecar", "image": "theirs"},
        {"name": "c", "image": "j", "imagePullPolicy": "Always", "resources": {"limits": {"cpu": "500m", "memory": "2Gi"}}},
    ]}}}});
    let reads = |place: &[&str], expected: Json| {
        let base = ["spec", "0", "template", "0", "spec", "0"];
        reads("kubernetes_deployment", &ours, &live, &[&base, place].concat(), &expected);
    };
    reads(&["container", "0", "resources", "0", "limits"], json!({"cpu": "0.5", "memory": "2Gi"}));
    reads(&["container", "0", "image"], json!("j"));
    reads(&["container", "0", "image_pull_policy"], json!("Always"));
    reads(&["container", "1"], json!(null));
    reads(&["security_context", "0", "run_as_user"], json!("01000"));
}

#[test]
fn the_place_of_an_api_field_is_found() {
    for (api, ours) in [
        ("spec.template.spec.containers[0].image", "spec[0].template[0].spec[0].container[0].image"),
        (".spec.replicas", "spec[0].replicas"),
        ("spec.ports[1].nodePort", "spec[0].port[1].node_port"),
        ("metadata.annotations[a.b/c]", "metadata[0].annotations"),
        ("metadata.labels", "metadata[0].labels"),
        (
            "spec.template.spec.containers[0].resources.limits[cpu]",
            "spec[0].template[0].spec[0].container[0].resources[0].limits",
        ),
        ("spec.clusterIPs[0]", "spec[0].cluster_ips"),
        ("nonsense", ""),
    ] {
        let name = if api.contains("orts") || api.contains("cluster") {
            "kubernetes_service"
        } else {
            "kubernetes_deployment"
        };
        let place = fields(name).place(api).unwrap_or_default();
        assert_eq!(place.to_string(), ours, "{api}");
    }
}

#[test]
fn keys_of_controllers_are_known() {
    for (key, internal) in [
        ("kubectl.kubernetes.io/last-applied-configuration", true),
        ("deployment.kubernetes.io/revision", true),
        ("kubernetes.io/metadata.name", true),
        ("app.kubernetes.io/name", false),
        ("service.beta.kubernetes.io/aws-load-balancer-type", false),
        ("app", false),
        ("deprecated.daemonset.template.generation", true),
        ("example.com/x", false),
    ] {
        assert_eq!(is_internal_key(key), internal, "{key}");
    }
}

#[test]
fn a_write_only_argument_goes_to_the_api_and_does_not_come_back() {
    let fields = fields("kubernetes_secret");
    let of = |revision: u32, password: &str| {
        let attributes = json!({
            "metadata": {"name": "a"}, "data_wo": {"password": password}, "data_wo_revision": revision,
        });
        filled(&fields, &attributes)
    };
    let config = of(1, "first");
    let planned = fields.hide(config.with_attr("data_wo", Value::null(Type::map(Type::String))), &config);
    let mut body = Json::Object(fields.to_api(&planned, Some(&config)));
    assert_eq!(body["data"], json!({"password": BASE64.encode("first")}));
    let back = fields.read_api(&body, Some(&planned));
    assert_eq!(back, planned, "nothing of it is read, not as `data` either");

    // Where the revision stays, what is there stays.
    let live = body.clone();
    let config = of(1, "second");
    body = Json::Object(fields.to_api(&planned, Some(&config)));
    fields.keep_written(&mut body, &live, &config, &planned, &planned);
    assert_eq!(body["data"], live["data"]);
    let next = planned.with_attr("data_wo_revision", Value::number(2i64));
    body = Json::Object(fields.to_api(&next, Some(&config)));
    fields.keep_written(&mut body, &live, &config, &planned, &next);
    assert_eq!(body["data"], json!({"password": BASE64.encode("second")}));
}
