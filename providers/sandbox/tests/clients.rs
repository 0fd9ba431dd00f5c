//! The vendors' own clients against the sandbox, over loopback: what they send is understood, and they
//! understand what comes back.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_eks::error::ProvideErrorMetadata as _;
use aws_sdk_eks::types::{Cluster, ClusterStatus, NodegroupStatus, VpcConfigRequest};
use base64::Engine as _;
use futures::StreamExt as _;
use groma_sandbox::{ServeOptions, Server, cluster_token, credentials, default_subnets};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams, WatchEvent, WatchParams};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn config(server: &Server, profile: Option<&str>) -> SdkConfig {
    let keys = credentials(profile);
    let keys = Credentials::new(keys.access_key, keys.secret_key, keys.session_token, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-west-2"))
        .endpoint_url(server.base_url())
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build()
}

async fn make_role(iam: &aws_sdk_iam::Client, name: &str, service: &str, policies: &[&str]) -> String {
    let trust = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{{"Service":"{service}"}}}}]}}"#
    );
    let made = iam.create_role().role_name(name).assume_role_policy_document(trust).send().await.unwrap();
    for policy in policies {
        let arn = format!("arn:aws:iam::aws:policy/{policy}");
        iam.attach_role_policy().role_name(name).policy_arn(arn).send().await.unwrap();
    }
    made.role.unwrap().arn
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_makes_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServeOptions { speed: 1.0, ..ServeOptions::new(folder.path()) };
    let server = Server::start(options).await.unwrap();
    let config = config(&server, None);
    let me = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.unwrap();
    assert_eq!(me.account(), Some("111111111111"));
    let iam = aws_sdk_iam::Client::new(&config);
    let missing = iam.get_role().role_name("none").send().await.unwrap_err();
    assert!(missing.into_service_error().is_no_such_entity_exception());
    let role = make_role(&iam, "c", "eks.amazonaws.com", &["AmazonEKSClusterPolicy"]).await;
    let found = iam.get_role().role_name("c").send().await.unwrap().role.unwrap();
    assert_eq!((found.arn(), found.max_session_duration()), (role.as_str(), Some(3600)));
    let attached = iam.list_attached_role_policies().role_name("c").send().await.unwrap();
    assert_eq!(attached.attached_policies()[0].policy_name(), Some("AmazonEKSClusterPolicy"));
    let conflict = iam.delete_role().role_name("c").send().await.unwrap_err();
    assert!(conflict.into_service_error().is_delete_conflict_exception());

    let eks = aws_sdk_eks::Client::new(&config);
    let subnets = default_subnets("111111111111", "us-west-2");
    let vpc = VpcConfigRequest::builder().set_subnet_ids(Some(subnets.clone())).build();
    let create = || eks.create_cluster().name("demo").role_arn(&role).resources_vpc_config(vpc.clone());
    let early = create().send().await.unwrap_err().into_service_error();
    assert!(early.is_invalid_parameter_exception(), "{early:?}");
    assert!(early.message().unwrap().contains("does not exist"));
    let gone = eks.describe_cluster().name("demo").send().await.unwrap_err().into_service_error();
    assert!(gone.is_resource_not_found_exception());
    let node_role = make_role(
        &iam,
        "n",
        "ec2.amazonaws.com",
        &["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly"],
    )
    .await;
    server.sandbox().skip(Duration::from_secs(60));
    let made = create().send().await.unwrap().cluster.unwrap();
    assert_eq!(made.status(), Some(&ClusterStatus::Creating));
    assert!(create().send().await.unwrap_err().into_service_error().is_resource_in_use_exception());
    server.sandbox().skip(Duration::from_secs(900));
    let cluster = eks.describe_cluster().name("demo").send().await.unwrap().cluster.unwrap();
    assert_eq!(cluster.status(), Some(&ClusterStatus::Active));
    assert!(cluster.created_at().is_some() && cluster.identity().unwrap().oidc().is_some());
    let group = eks.create_nodegroup().cluster_name("demo").nodegroup_name("main").node_role(node_role);
    group.set_subnets(Some(subnets)).send().await.unwrap();
    server.sandbox().skip(Duration::from_secs(300));
    let group = eks.describe_nodegroup().cluster_name("demo").nodegroup_name("main").send().await.unwrap();
    let group = group.nodegroup.unwrap();
    assert_eq!(
        (group.status(), group.scaling_config().unwrap().desired_size()),
        (Some(&NodegroupStatus::Active), Some(2))
    );
    let arn = cluster.arn().unwrap();
    eks.tag_resource().resource_arn(arn).tags("a/b", "c d").send().await.unwrap();
    let tags = eks.list_tags_for_resource().resource_arn(arn).send().await.unwrap().tags.unwrap();
    assert_eq!(tags.get("a/b").map(String::as_str), Some("c d"));
    eks.untag_resource().resource_arn(arn).tag_keys("a/b").send().await.unwrap();

    application(&server, &cluster).await;
    server.stop().await.unwrap();
}

/// The Kubernetes client against the cluster: discovery, apply, conflict, watch, rollout.
async fn application(server: &Server, cluster: &Cluster) {
    let mut config = kube::Config::new(cluster.endpoint().unwrap().parse().unwrap());
    let ca = cluster.certificate_authority().unwrap().data().unwrap();
    let pem = base64::engine::general_purpose::STANDARD.decode(ca).unwrap();
    config.root_cert = Some(vec![CertificateDer::from_pem_slice(&pem).unwrap().to_vec()]);
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let token = cluster_token(&credentials(None), "us-west-2", "demo", i64::try_from(wall).unwrap());
    config.auth_info.token = Some(token.into());
    let client = kube::Client::try_from(config).unwrap();
    let discovery = kube::Discovery::new(client.clone()).run().await.unwrap();
    assert!(discovery.has_group("apps"));
    let api: Api<Deployment> = Api::default_namespaced(client);
    let spec: Deployment = serde_json::from_value(serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            },
        },
    }))
    .unwrap();
    let made = api.patch("web", &PatchParams::apply("one"), &Patch::Apply(&spec)).await.unwrap();
    assert_eq!(made.spec.unwrap().revision_history_limit, Some(10));
    let mut other = spec;
    other.spec.as_mut().unwrap().replicas = Some(5);
    let refused = api.patch("web", &PatchParams::apply("two"), &Patch::Apply(&other)).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 409), "{refused:?}");
    let events = api.watch(&WatchParams::default().fields("metadata.name=web"), "0").await.unwrap();
    let mut events = std::pin::pin!(events);
    server.sandbox().skip(Duration::from_secs(60));
    loop {
        let event = events.next().await.unwrap().unwrap();
        if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event
            && object.status.and_then(|status| status.available_replicas) == Some(2)
        {
            break;
        }
    }
}
