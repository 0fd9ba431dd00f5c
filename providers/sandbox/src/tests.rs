//! Whole requests against a sandbox in this process: signed as clients sign them, without sockets, on
//! simulated time that jumps.

use crate::clock::amz_date;
use crate::http::{Reply, Request, encode};
use crate::server::Outcome;
use crate::sigv4::{cluster_token, sign};
use crate::{Credentials, Sandbox, ServeOptions, aws, credentials, kube};
use serde_json::{Value, json};
use std::time::Duration;

const MANAGED: &str = "arn:aws:iam::aws:policy/";
const CLUSTER_POLICY: &str = "AmazonEKSClusterPolicy";
const NODE_POLICIES: [&str; 3] =
    ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly"];

/// A world and the keys to it.
struct Bench {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    keys: Credentials,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::open(&Self::options(folder.path())).unwrap();
        Self { folder, sandbox, keys: credentials(None) }
    }

    fn options(folder: &std::path::Path) -> ServeOptions {
        ServeOptions { speed: 1.0, ..ServeOptions::new(folder) }
    }

    /// What a kill and a new start leave.
    fn killed(mut self) -> Self {
        self.sandbox = Sandbox::open(&Self::options(self.folder.path())).unwrap();
        self
    }

    fn skip(&self, minutes: u64) {
        self.sandbox.skip(Duration::from_secs(minutes * 60));
    }

    fn aws(&self, service: &str, method: &str, path: &str, body: &str) -> Outcome {
        let mut request = Request {
            method: method.into(),
            path: path.into(),
            headers: vec![("host".into(), "127.0.0.1".into())],
            body: bytes::Bytes::copy_from_slice(body.as_bytes()),
            ..Request::default()
        };
        let date = amz_date(self.sandbox.clocks().sim);
        sign(&mut request, &self.keys, service, "us-west-2", &date);
        aws::handle(&self.sandbox, &request).unwrap()
    }

    fn query(&self, service: &str, action: &str, params: &[(&str, &str)]) -> (u16, String) {
        let mut body = format!("Action={action}&Version=1");
        for (name, value) in params {
            body.push_str(&format!("&{name}={}", encode(value)));
        }
        let reply = reply(self.aws(service, "POST", "/", &body));
        (reply.status, String::from_utf8(reply.body).unwrap())
    }

    fn eks(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        json_of(&reply(self.aws("eks", method, path, &body)))
    }

    fn make_role(&self, name: &str, service: &str, policies: &[&str]) -> String {
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service},
        }]});
        let trust = trust.to_string();
        let (status, text) =
            self.query("iam", "CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", &trust)]);
        assert_eq!(status, 200, "{text}");
        for policy in policies {
            let arn = format!("{MANAGED}{policy}");
            let params = [("RoleName", name), ("PolicyArn", arn.as_str())];
            assert_eq!(self.query("iam", "AttachRolePolicy", &params).0, 200);
        }
        format!("arn:aws:iam::{}:role/{name}", self.keys.account)
    }

    fn subnets(&self) -> Vec<String> {
        aws::ec2::subnets(&self.keys.account, "us-west-2").into_iter().map(|s| s.id).collect()
    }

    fn cluster_body(&self, role: &str) -> Value {
        json!({"name": "demo", "roleArn": role, "resourcesVpcConfig": {"subnetIds": self.subnets()}, "clientRequestToken": "t"})
    }

    fn cluster(&self) -> String {
        let role = self.make_role("cluster", "eks.amazonaws.com", &[CLUSTER_POLICY]);
        self.skip(1);
        assert_eq!(self.eks("POST", "/clusters", &self.cluster_body(&role)).0, 200);
        self.skip(12);
        assert_eq!(self.cluster_status(), "ACTIVE");
        let uid = self.sandbox.run(|ctx| Ok::<_, ()>(kube::ports(ctx.world).remove(0).0));
        uid.unwrap().unwrap()
    }

    fn cluster_status(&self) -> String {
        self.eks("GET", "/clusters/demo", &Value::Null).1["cluster"]["status"]
            .as_str()
            .unwrap_or("")
            .to_owned()
    }

    fn nodes(&self) {
        let role = self.make_role("node", "ec2.amazonaws.com", &NODE_POLICIES);
        self.skip(1);
        let body = json!({"nodegroupName": "main", "nodeRole": role, "subnets": self.subnets()});
        assert_eq!(self.eks("POST", "/clusters/demo/node-groups", &body).0, 200);
        self.skip(5);
        let group = self.eks("GET", "/clusters/demo/node-groups/main", &Value::Null).1;
        assert_eq!(group["nodegroup"]["status"], "ACTIVE");
    }

    fn token(&self, cluster: &str, keys: &Credentials) -> String {
        cluster_token(keys, "us-west-2", cluster, self.sandbox.clocks().sim)
    }

    fn kube(&self, uid: &str, method: &str, path: &str, kind: &str, body: &Value) -> (u16, Value) {
        self.kube_with(uid, method, path, kind, body, &self.token("demo", &self.keys))
    }

    fn kube_with(
        &self,
        uid: &str,
        method: &str,
        path: &str,
        kind: &str,
        body: &Value,
        token: &str,
    ) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = Request {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            headers: vec![
                ("authorization".into(), format!("Bearer {token}")),
                ("content-type".into(), kind.into()),
                ("user-agent".into(), "test/1".into()),
            ],
            body: if body.is_null() { bytes::Bytes::new() } else { body.to_string().into() },
        };
        json_of(&reply(kube::handle(&self.sandbox, uid, &request).unwrap()))
    }

    fn apply(&self, uid: &str, path: &str, manager: &str, body: &Value) -> (u16, Value) {
        let path = format!("{path}?fieldManager={manager}");
        self.kube(uid, "PATCH", &path, "application/apply-patch+yaml", body)
    }

    fn get(&self, uid: &str, path: &str) -> (u16, Value) {
        self.kube(uid, "GET", path, "", &Value::Null)
    }

    fn delete(&self, uid: &str, path: &str) -> u16 {
        self.kube(uid, "DELETE", path, "", &Value::Null).0
    }

    fn balancers(&self) -> usize {
        self.sandbox.run(|ctx| Ok::<_, ()>(ctx.world.under("elb/").count())).unwrap().unwrap()
    }
}

type Line<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str);

fn reply(outcome: Outcome) -> Reply {
    match outcome {
        Outcome::Reply(reply) | Outcome::Late(_, reply) => reply,
        Outcome::Hang | Outcome::Cut | Outcome::Watch(_) => Reply::default(),
    }
}

fn json_of(reply: &Reply) -> (u16, Value) {
    (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
}

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/web";
const SERVICE: &str = "/api/v1/namespaces/default/services/web";

fn deployment(image: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": image, "ports": [{"containerPort": 80}]}]},
            },
        },
    })
}

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]},
    })
}

#[test]
fn keys_open_their_own_account() {
    let mut bench = Bench::new();
    for (profile, account) in [(None, "111111111111"), (Some("sandbox-222222222222"), "222222222222")] {
        bench.keys = credentials(profile);
        let (status, text) = bench.query("sts", "GetCallerIdentity", &[]);
        assert!(status == 200 && text.contains(&format!("<Account>{account}</Account>")), "{text}");
    }
    bench.keys.secret_key = "wrong".into();
    let (status, text) = bench.query("sts", "GetCallerIdentity", &[]);
    assert!(status == 403 && text.contains("SignatureDoesNotMatch"), "{text}");
    bench.keys.access_key = "AKIAUNKNOWN".into();
    let (status, text) = bench.query("sts", "GetCallerIdentity", &[]);
    assert!(status == 403 && text.contains("InvalidClientTokenId"), "{text}");
}

#[test]
fn roles_and_their_conflicts() {
    let bench = Bench::new();
    bench.make_role("r", "eks.amazonaws.com", &[CLUSTER_POLICY]);
    let policy = format!("{MANAGED}{CLUSTER_POLICY}");
    let trust = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}"#;
    let role = ("RoleName", "r");
    let lines: &[Line<'_>] = &[
        ("CreateRole", &[role, ("AssumeRolePolicyDocument", trust)], 409, "EntityAlreadyExists"),
        (
            "CreateRole",
            &[("RoleName", "x"), ("AssumeRolePolicyDocument", "{")],
            400,
            "MalformedPolicyDocument",
        ),
        ("GetRole", &[("RoleName", "R")], 200, "<RoleName>r</RoleName>"),
        ("GetRole", &[("RoleName", "none")], 404, "NoSuchEntity"),
        ("DeleteRole", &[role], 409, "DeleteConflict"),
        ("ListAttachedRolePolicies", &[role], 200, CLUSTER_POLICY),
        ("DetachRolePolicy", &[role, ("PolicyArn", &policy)], 200, ""),
        ("DetachRolePolicy", &[role, ("PolicyArn", &policy)], 404, "NoSuchEntity"),
        ("AttachRolePolicy", &[role, ("PolicyArn", "arn:aws:iam::aws:policy/Nope")], 404, "NoSuchEntity"),
        ("TagRole", &[role, ("Tags.member.1.Key", "a"), ("Tags.member.1.Value", "b<")], 200, ""),
        ("ListRoleTags", &[role], 200, "<Value>b&lt;</Value>"),
        ("UntagRole", &[role, ("TagKeys.member.1", "a")], 200, ""),
        ("DeleteRole", &[role], 200, ""),
        ("GetRole", &[role], 404, "NoSuchEntity"),
        ("MakeCoffee", &[], 400, "InvalidAction"),
    ];
    for (action, params, status, part) in lines {
        let (seen, text) = bench.query("iam", action, params);
        assert!(seen == *status && text.contains(part), "{action}: {seen} {text}");
    }
}

#[test]
fn networks_by_filter_and_page() {
    let bench = Bench::new();
    let vpc = aws::ec2::vpc_id(&bench.keys.account, "us-west-2");
    let count = |params: &[(&str, &str)], element: &str| {
        bench.query("ec2", "DescribeSubnets", params).1.matches(element).count()
    };
    let by_vpc = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc.as_str())];
    assert_eq!(count(&by_vpc, "<subnetId>"), 4);
    assert_eq!(count(&[("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", "vpc-0")], "<subnetId>"), 0);
    assert_eq!(count(&[("MaxResults", "3")], "<nextToken>"), 1);
    assert_eq!(count(&[("MaxResults", "3"), ("NextToken", "page-3")], "<subnetId>"), 1);
    let is_default = [("Filter.1.Name", "is-default"), ("Filter.1.Value.1", "true")];
    assert!(bench.query("ec2", "DescribeVpcs", &is_default).1.contains(&vpc));
    let (status, text) = bench.query("ec2", "DescribeVpcs", &[("VpcId.1", "vpc-0")]);
    assert!(status == 400 && text.contains("InvalidVpcID.NotFound"), "{text}");
}

#[test]
fn a_cluster_takes_its_time() {
    let bench = Bench::new();
    let role = bench.make_role("cluster", "eks.amazonaws.com", &[CLUSTER_POLICY]);
    let body = bench.cluster_body(&role);
    let (status, early) = bench.eks("POST", "/clusters", &body);
    assert!(status == 400 && early["message"].as_str().unwrap().contains("does not exist"), "{early}");
    bench.skip(1);
    let (status, made) = bench.eks("POST", "/clusters", &body);
    assert_eq!((status, &made["cluster"]["status"]), (200, &json!("CREATING")), "{made}");
    assert_eq!(bench.eks("POST", "/clusters", &body).1["cluster"]["arn"], made["cluster"]["arn"]);
    let mut other = body;
    other["clientRequestToken"] = "u".into();
    assert_eq!(bench.eks("POST", "/clusters", &other).0, 409);
    bench.skip(5);
    assert_eq!(bench.cluster_status(), "CREATING");
    bench.skip(7);
    let cluster = bench.eks("GET", "/clusters/demo", &Value::Null).1;
    assert_eq!(cluster["cluster"]["status"], "ACTIVE");
    assert!(cluster["cluster"]["endpoint"].as_str().unwrap().starts_with("https://127.0.0.1:"));
    let change = json!({"resourcesVpcConfig": {"endpointPrivateAccess": true}});
    let (status, update) = bench.eks("POST", "/clusters/demo/update-config", &change);
    assert_eq!(status, 200);
    let other = json!({"resourcesVpcConfig": {"endpointPrivateAccess": false}});
    assert_eq!(bench.eks("POST", "/clusters/demo/update-config", &other).0, 409);
    assert_eq!(bench.eks("DELETE", "/clusters/demo", &Value::Null).0, 409);
    bench.skip(4);
    let path = format!("/clusters/demo/updates/{}", update["update"]["id"].as_str().unwrap());
    assert_eq!(bench.eks("GET", &path, &Value::Null).1["update"]["status"], "Successful");
    bench.nodes();
    assert_eq!(bench.eks("DELETE", "/clusters/demo", &Value::Null).0, 409);
    assert_eq!(bench.eks("DELETE", "/clusters/demo/node-groups/main", &Value::Null).0, 200);
    bench.skip(5);
    assert_eq!(bench.eks("GET", "/clusters/demo/node-groups/main", &Value::Null).0, 404);
    let bench = bench.killed();
    assert_eq!(bench.eks("DELETE", "/clusters/demo", &Value::Null).0, 200);
    assert_eq!(bench.cluster_status(), "DELETING");
    bench.skip(6);
    assert_eq!(bench.eks("GET", "/clusters/demo", &Value::Null).0, 404);
}

#[test]
fn roles_without_their_policies_make_failures() {
    let bench = Bench::new();
    let role = bench.make_role("bare", "eks.amazonaws.com", &[]);
    bench.skip(1);
    assert_eq!(bench.eks("POST", "/clusters", &bench.cluster_body(&role)).0, 200);
    bench.skip(12);
    let cluster = bench.eks("GET", "/clusters/demo", &Value::Null).1;
    assert_eq!(cluster["cluster"]["status"], "FAILED");
    assert_eq!(cluster["cluster"]["health"]["issues"][0]["code"], "AccessDenied");
}

#[test]
fn tokens_by_the_recipe_and_no_others() {
    let bench = Bench::new();
    let uid = bench.cluster();
    // Away from the wall's time, by which a token would also hold.
    bench.skip(60);
    let list = |token: &str| bench.kube_with(&uid, "GET", "/api/v1/namespaces", "", &Value::Null, token).0;
    let good = bench.token("demo", &bench.keys);
    assert_eq!(list(&good), 200);
    assert_eq!(list(&bench.token("other", &bench.keys)), 401);
    assert_eq!(list(&bench.token("demo", &credentials(Some("sandbox-222222222222")))), 401);
    assert_eq!(list("nonsense"), 401);
    bench.skip(14);
    assert_eq!(list(&good), 200);
    bench.skip(1);
    // Its date is by now too old on the sandbox's clock, and in the wall's future.
    assert_eq!(list(&good), 401);
}

#[test]
fn an_application_comes_up_and_goes() {
    let bench = Bench::new();
    let uid = bench.cluster();
    assert_eq!(bench.apply(&uid, DEPLOYMENT, "groma", &deployment("web:1", 2)).0, 201);
    assert_eq!(bench.apply(&uid, SERVICE, "groma", &service()).0, 201);
    bench.skip(2);
    let status = || bench.get(&uid, DEPLOYMENT).1["status"].clone();
    assert!(status()["readyReplicas"].is_null(), "no nodes yet: {}", status());
    let host = bench.get(&uid, SERVICE).1["status"]["loadBalancer"]["ingress"][0]["hostname"].clone();
    assert!(host.as_str().unwrap().ends_with(".elb.amazonaws.com") && bench.balancers() == 1);
    bench.nodes();
    bench.skip(1);
    assert_eq!(status()["availableReplicas"], 2, "{}", status());
    let same = bench.get(&uid, DEPLOYMENT).1["metadata"]["resourceVersion"].clone();
    let again = bench.apply(&uid, DEPLOYMENT, "groma", &deployment("web:1", 2)).1;
    assert_eq!(again["metadata"]["resourceVersion"], same);
    assert_eq!(
        bench.apply(&uid, DEPLOYMENT, "groma", &deployment("web:2", 2)).1["metadata"]["generation"],
        2
    );
    bench.skip(2);
    assert_eq!((&status()["updatedReplicas"], &status()["replicas"]), (&json!(2), &json!(2)), "{}", status());
    let bench = bench.killed();
    assert_eq!(bench.delete(&uid, SERVICE), 202);
    assert_eq!(bench.get(&uid, SERVICE).0, 200);
    bench.skip(1);
    assert_eq!((bench.get(&uid, SERVICE).0, bench.balancers()), (404, 0));
    assert_eq!(bench.delete(&uid, &format!("{DEPLOYMENT}?propagationPolicy=Foreground")), 202);
    bench.skip(1);
    assert_eq!(bench.get(&uid, DEPLOYMENT).0, 404);
    let pods = bench.get(&uid, "/api/v1/namespaces/default/pods").1;
    assert_eq!(pods["items"], json!([]));
}

#[test]
fn a_broken_image_says_so() {
    let bench = Bench::new();
    let uid = bench.cluster();
    bench.nodes();
    bench.apply(&uid, DEPLOYMENT, "groma", &deployment("does-not-exist:1", 1));
    bench.skip(1);
    let pods = bench.get(&uid, "/api/v1/namespaces/default/pods?labelSelector=app%3Dweb").1;
    let reason = &pods["items"][0]["status"]["containerStatuses"][0]["state"]["waiting"]["reason"];
    assert_eq!(reason, "ImagePullBackOff");
    bench.skip(11);
    let conditions = bench.get(&uid, DEPLOYMENT).1["status"]["conditions"].to_string();
    assert!(conditions.contains("ProgressDeadlineExceeded"), "{conditions}");
}

#[test]
fn conflicts_dry_runs_and_refusals() {
    let bench = Bench::new();
    let uid = bench.cluster();
    bench.apply(&uid, DEPLOYMENT, "groma", &deployment("web:1", 2));
    let (status, text) = bench.apply(&uid, DEPLOYMENT, "other", &deployment("web:2", 2));
    let message = text["message"].as_str().unwrap();
    assert!(status == 409 && message.contains("\"groma\"") && message.contains(".image"), "{text}");
    assert_eq!(text["details"]["causes"][0]["reason"], "FieldManagerConflict");
    let dry = format!("{DEPLOYMENT}?fieldManager=groma&dryRun=All");
    let (_, shown) = bench.kube(&uid, "PATCH", &dry, "application/apply-patch+yaml", &deployment("web:9", 3));
    assert_eq!(shown["spec"]["replicas"], 3);
    assert_eq!(bench.get(&uid, DEPLOYMENT).1["spec"]["replicas"], 2);
    let mut moved = deployment("web:1", 2);
    moved["spec"]["selector"]["matchLabels"]["app"] = "x".into();
    moved["spec"]["template"]["metadata"]["labels"]["app"] = "x".into();
    let (status, text) = bench.apply(&uid, DEPLOYMENT, "groma", &moved);
    assert!(status == 422 && text["details"]["causes"][0]["field"] == "spec.selector", "{text}");
    let lost = "/apis/apps/v1/namespaces/none/deployments/web";
    let (status, text) = bench.apply(&uid, lost, "groma", &deployment("web:1", 1));
    assert_eq!((status, &text["reason"]), (404, &json!("NotFound")), "{text}");
}

#[test]
fn namespaces_take_their_content_along() {
    let bench = Bench::new();
    let uid = bench.cluster();
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}});
    assert_eq!(bench.apply(&uid, "/api/v1/namespaces/team", "groma", &space).0, 201);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "b"}});
    assert_eq!(bench.apply(&uid, "/api/v1/namespaces/team/configmaps/m", "groma", &map).0, 201);
    assert_eq!(bench.delete(&uid, "/api/v1/namespaces/team"), 200);
    assert_eq!(bench.get(&uid, "/api/v1/namespaces/team").1["status"]["phase"], "Terminating");
    bench.skip(1);
    assert_eq!(bench.get(&uid, "/api/v1/namespaces/team").0, 404);
    assert_eq!(bench.get(&uid, "/api/v1/namespaces/team/configmaps/m").0, 404);
}

#[test]
fn a_cluster_deleted_first_leaves_its_load_balancers() {
    let bench = Bench::new();
    let uid = bench.cluster();
    bench.apply(&uid, SERVICE, "groma", &service());
    bench.skip(2);
    bench.get(&uid, SERVICE);
    assert_eq!(bench.eks("DELETE", "/clusters/demo", &Value::Null).0, 200);
    bench.skip(6);
    assert_eq!((bench.cluster_status().as_str(), bench.balancers()), ("", 1));
}

#[test]
fn faults_hit_and_say_so() {
    let bench = Bench::new();
    let fault =
        |text: &str| bench.sandbox.run(|ctx| crate::faults::add(ctx.world, text, 0)).unwrap().unwrap();
    fault("sts.GetCallerIdentity: throttle 1x");
    fault("eks.ListClusters: 5xx 1x");
    fault("iam.CreateRole: reset-after 1x");
    assert!(bench.query("sts", "GetCallerIdentity", &[]).1.contains("Throttling"));
    assert_eq!(bench.query("sts", "GetCallerIdentity", &[]).0, 200);
    assert_eq!(bench.eks("GET", "/clusters", &Value::Null).0, 500);
    let trust = encode(r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}"#);
    let body = format!("Action=CreateRole&RoleName=cut&AssumeRolePolicyDocument={trust}");
    assert!(matches!(bench.aws("iam", "POST", "/", &body), Outcome::Cut));
    assert_eq!(bench.query("iam", "GetRole", &[("RoleName", "cut")]).0, 200);
}
