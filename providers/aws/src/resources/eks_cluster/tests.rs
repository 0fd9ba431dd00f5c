use super::change::logging_request;
use super::schema::schema;
use super::*;
use aws_sdk_eks::types::LogType;

fn check_versions(old: &str, new: &str, expected: Option<&str>) {
    let got = check_version(old, new).err().map(|e| e.help.unwrap());
    assert_eq!(got.as_deref(), expected, "{old} -> {new}");
}

#[test]
fn versions_go_up_one_minor_at_a_time() {
    check_versions("1.29", "1.29", None);
    check_versions("1.29", "1.30", None);
    check_versions("1.29", "1.31", Some("apply 1.30 first, node groups included"));
    check_versions("1.30", "1.29", Some("keep 1.30, or replace the cluster by giving it another name"));
    check_versions("1.9", "1.10", None);
}

#[test]
fn authentication_modes_go_one_way() {
    assert!(check_mode("CONFIG_MAP", "API").is_ok());
    assert!(check_mode("API_AND_CONFIG_MAP", "API_AND_CONFIG_MAP").is_ok());
    let error = check_mode("API", "CONFIG_MAP").unwrap_err();
    assert_eq!(error.path.unwrap().to_string(), "access_config[0].authentication_mode");
}

/// A known cluster with these attributes changed, as a conformed value.
fn cluster(changes: Vec<(&'static str, Value)>) -> Value {
    let mut attrs = vec![
        ("name", Value::string("c")),
        ("role_arn", Value::string("arn:aws:iam::1:role/r")),
        ("version", Value::string("1.29")),
        (
            "vpc_config",
            one([
                ("subnet_ids", tuple_of(["a", "b"])),
                ("endpoint_private_access", false.into()),
                ("endpoint_public_access", true.into()),
            ]),
        ),
        (
            "access_config",
            one([
                ("authentication_mode", "CONFIG_MAP".into()),
                ("bootstrap_cluster_creator_admin_permissions", true.into()),
            ]),
        ),
        ("upgrade_policy", one([("support_type", "EXTENDED".into())])),
    ];
    for (name, value) in changes {
        attrs.retain(|(n, _)| *n != name);
        attrs.push((name, value));
    }
    conform(&schema().block, &Value::object(attrs)).unwrap()
}

fn steps(changes: Vec<(&'static str, Value)>) -> Vec<&'static str> {
    config_changes(&cluster(vec![]), &cluster(changes)).into_iter().map(|(step, _)| step).collect()
}

#[test]
fn each_kind_of_change_is_a_step_of_its_own_in_order() {
    assert!(steps(vec![]).is_empty());
    assert!(steps(vec![("version", "1.30".into())]).is_empty());
    let vpc = one([
        ("subnet_ids", tuple_of(["a", "c"])),
        ("security_group_ids", tuple_of(["g"])),
        ("endpoint_private_access", true.into()),
        ("endpoint_public_access", true.into()),
    ]);
    let all = vec![
        ("vpc_config", vpc),
        ("deletion_protection", true.into()),
        ("zonal_shift_config", one([("enabled", true.into())])),
        ("upgrade_policy", one([("support_type", "STANDARD".into())])),
        ("enabled_cluster_log_types", tuple_of(["api"])),
        (
            "encryption_config",
            one([("resources", tuple_of(["secrets"])), ("provider", one([("key_arn", "k".into())]))]),
        ),
        ("access_config", one([("authentication_mode", "API".into())])),
        ("compute_config", one([("enabled", true.into())])),
    ];
    let expected = [
        "access",
        "auto-mode",
        "encryption",
        "logging",
        "upgrade",
        "endpoint",
        "subnets",
        "groups",
        "zonal-shift",
        "protection",
    ];
    assert_eq!(steps(all), expected);
}

#[test]
fn a_log_type_that_is_not_wanted_is_switched_off_by_name() {
    let logging = logging_request(&["api".into(), "audit".into()]);
    let shown: Vec<(bool, Vec<&str>)> = logging
        .cluster_logging()
        .iter()
        .map(|s| (s.enabled().unwrap(), s.types().iter().map(LogType::as_str).collect()))
        .collect();
    assert_eq!(
        shown,
        [(true, vec!["api", "audit"]), (false, vec!["authenticator", "controllerManager", "scheduler"])]
    );
}

#[test]
fn what_can_not_be_changed_in_place_asks_for_a_replacement() {
    let with = |key: &str| {
        let provider = one([("key_arn", Value::string(key))]);
        cluster(vec![(
            "encryption_config",
            one([("resources", tuple_of(["secrets"])), ("provider", provider)]),
        )])
    };
    let check = |prior: &Value, planned: Value, expected: &[&str]| {
        let input = PlanInput {
            prior: Some(prior),
            prior_private: None,
            config: &planned.clone(),
            proposed: planned,
            provider_config: &Value::object([("region", Value::NULL)]),
        };
        let output = Cluster::new().plan(input).unwrap();
        let paths: Vec<String> = output.requires_replace.iter().map(ToString::to_string).collect();
        assert_eq!(paths, expected);
    };
    check(&cluster(vec![]), with("k"), &[]);
    check(&with("k"), with("k"), &[]);
    check(&with("k"), with("l"), &["encryption_config"]);
    check(&with("k"), cluster(vec![]), &["encryption_config"]);
}
