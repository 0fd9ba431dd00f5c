//! The calls of each kind against canned answers of the vendor's documented shapes.

use super::server::{Answer, Bench, Step, fault, identity, ok, xml_error};
use crate::values::{block, one, text, text_map, texts, tuple_of};
use groma_provider::{
    Action, Clock, ErrorKind, Found, NetworkPolicy, Read, ReadRequest, RecoverRequest, ResumeRequest,
};
use groma_types::schema::Timeouts;
use groma_types::{Resolved, Timestamp, Type, Value};
use serde_json::{Value as Json, json};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const ROLE_ARN: &str = "arn:aws:iam::111111111111:role/r";

/// The answer of CreateRole and GetRole: the document percent-encoded, as the service gives it.
fn role(operation: &str, arn: &str, mark: &str) -> Answer {
    let document: String = TRUST.bytes().map(|b| format!("%{b:02X}")).collect();
    ok(&format!(
        "<{operation}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{operation}Result><Role>\
         <Path>/</Path><RoleName>r</RoleName><RoleId>AROAEXAMPLE</RoleId><Arn>{arn}</Arn>\
         <CreateDate>2026-01-02T03:04:05Z</CreateDate>\
         <AssumeRolePolicyDocument>{document}</AssumeRolePolicyDocument>\
         <MaxSessionDuration>3600</MaxSessionDuration><Tags>\
         <member><Key>groma-owner</Key><Value>{mark}</Value></member>\
         <member><Key>app</Key><Value>x</Value></member></Tags></Role></{operation}Result>\
         <ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></{operation}Response>"
    ))
}

fn role_attrs() -> Vec<(&'static str, Value)> {
    vec![
        ("name", "r".into()),
        ("assume_role_policy", format!(" {TRUST}\n").into()),
        ("path", "/".into()),
        ("max_session_duration", 3600.into()),
        ("tags", Value::map(Type::String, [("app", Value::string("x"))])),
        ("tags_all", Value::map(Type::String, [("app", Value::string("x"))])),
    ]
}

fn empty(operation: &str) -> Answer {
    ok(&format!(
        "<{operation}Response><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{operation}Response>"
    ))
}

#[tokio::test]
async fn a_role_is_created_made_known_and_read_back() {
    let bench = Bench::new(vec![
        ("Action=CreateRole", role("CreateRole", ROLE_ARN, "mark-1")),
        ("Action=GetRole", xml_error(404, "NoSuchEntity", "not yet")),
        ("Action=GetRole", role("GetRole", "AROAEXAMPLE", "mark-1")),
        ("Action=GetRole", role("GetRole", ROLE_ARN, "mark-1")),
    ])
    .await;
    let request = bench.create("aws_iam_role", role_attrs());
    let object = bench.aws.create("aws_iam_role", request, &*bench.ctx).await.unwrap();
    bench.finish();
    // The layout of the document is the user's, the owner mark is nobody's.
    assert_eq!(text(&object.attributes, "assume_role_policy").unwrap(), format!(" {TRUST}\n"));
    assert_eq!(text(&object.attributes, "arn").unwrap(), ROLE_ARN);
    assert_eq!(text(&object.attributes, "create_date").unwrap(), "2026-01-02T03:04:05Z");
    assert_eq!(text_map(&object.attributes, "tags_all").unwrap(), [("app".into(), "x".into())].into());
    assert_eq!(bench.ctx.made.lock().unwrap().len(), 1);
    let sent = bench.bodies("Action=CreateRole").remove(0);
    assert!(sent.contains("Tags.member.2.Key=groma-owner&Tags.member.2.Value=mark-1"), "{sent}");
    assert_eq!(
        bench.log(),
        ["iam:CreateRole 200 #1", "iam:GetRole 404 #1", "iam:GetRole 200 #1", "iam:GetRole 200 #1"]
    );
}

#[tokio::test]
async fn a_throttled_create_is_repeated_and_a_lost_answer_is_ambiguous() {
    let throttled = xml_error(400, "Throttling", "Rate exceeded");
    let bench = Bench::new(vec![("Action=CreateRole", throttled), ("Action=CreateRole", Answer::Cut)]).await;
    let request = bench.create("aws_iam_role", role_attrs());
    let error = bench.aws.create("aws_iam_role", request, &*bench.ctx).await.unwrap_err();
    bench.finish();
    assert_eq!(error.kind, ErrorKind::Ambiguous, "{error}");
    assert_eq!(bench.log(), ["iam:CreateRole 400 #1", "iam:CreateRole 0 #2"]);
}

#[tokio::test]
async fn a_role_is_recovered_by_its_mark() {
    for (mark, ours) in [("mark-1", true), ("somebody", false)] {
        let bench = Bench::new(vec![("Action=GetRole", role("GetRole", ROLE_ARN, mark))]).await;
        let planned = bench.object("aws_iam_role", role_attrs());
        let request = RecoverRequest { planned, identity: identity(), begun: Timestamp(0) };
        let found = bench.aws.recover("aws_iam_role", request).await.unwrap();
        assert_eq!(matches!(found, Found::Ours(_)), ours);
        assert_eq!(matches!(found, Found::Foreign(_)), !ours);
    }
    let bench = Bench::new(vec![("Action=GetRole", xml_error(404, "NoSuchEntity", "no"))]).await;
    let planned = bench.object("aws_iam_role", role_attrs());
    let request = RecoverRequest { planned, identity: identity(), begun: Timestamp(0) };
    assert_eq!(bench.aws.recover("aws_iam_role", request).await.unwrap(), Found::Absent);
}

#[tokio::test]
async fn a_principal_that_iam_does_not_know_yet_is_waited_for_only_if_this_run_made_it() {
    let trust = r#"{"Statement":[{"Principal":{"AWS":"arn:aws:iam::1:role/other"}}]}"#;
    let refused = || xml_error(400, "MalformedPolicyDocument", "Invalid principal in policy: AWS");
    for fresh in [true, false] {
        let mut steps: Vec<Step> = vec![("Action=CreateRole", refused())];
        if fresh {
            steps.push(("Action=CreateRole", role("CreateRole", ROLE_ARN, "m")));
            steps.push(("Action=GetRole", role("GetRole", ROLE_ARN, "m")));
        }
        let bench = Bench::new(steps).await;
        if fresh {
            bench.ctx.fresh.lock().unwrap().insert("other".into());
        }
        let attrs = vec![("name", Value::string("r")), ("assume_role_policy", trust.into())];
        let request = bench.create("aws_iam_role", attrs);
        let made = bench.aws.create("aws_iam_role", request, &*bench.ctx).await;
        bench.finish();
        assert_eq!(made.map_err(|e| e.kind).err(), (!fresh).then_some(ErrorKind::Invalid));
    }
}

#[tokio::test]
async fn a_role_update_sends_only_what_differs() {
    let bench = Bench::new(vec![
        ("Action=UpdateRole&", empty("UpdateRole")),
        ("Action=UntagRole", empty("UntagRole")),
        ("Action=TagRole", empty("TagRole")),
        ("Action=GetRole", role("GetRole", ROLE_ARN, "mark-1")),
    ])
    .await;
    let prior = bench.object("aws_iam_role", role_attrs());
    let tags = Value::map(Type::String, [("new", Value::string("y"))]);
    let planned = prior.value().with_attr("description", "d".into()).with_attr("tags_all", tags);
    let request = bench.update("aws_iam_role", prior, planned.resolve().unwrap());
    bench.aws.update("aws_iam_role", request, &*bench.ctx).await.unwrap();
    bench.finish();
    assert!(bench.bodies("Action=UntagRole")[0].contains("TagKeys.member.1=app"));
}

#[tokio::test]
async fn a_role_manages_the_policies_that_are_written_in_it() {
    let attached = "<ListAttachedRolePoliciesResponse><ListAttachedRolePoliciesResult><AttachedPolicies><member>\
         <PolicyArn>arn:p</PolicyArn></member><member><PolicyArn>arn:drift</PolicyArn></member></AttachedPolicies>\
         <IsTruncated>false</IsTruncated></ListAttachedRolePoliciesResult></ListAttachedRolePoliciesResponse>";
    let names = "<ListRolePoliciesResponse><ListRolePoliciesResult><PolicyNames><member>i</member></PolicyNames>\
         <IsTruncated>false</IsTruncated></ListRolePoliciesResult></ListRolePoliciesResponse>";
    let inline = "<GetRolePolicyResponse><GetRolePolicyResult><RoleName>r</RoleName><PolicyName>i</PolicyName>\
         <PolicyDocument>%7B%22Statement%22%3A%5B%5D%7D</PolicyDocument></GetRolePolicyResult></GetRolePolicyResponse>";
    let bench = Bench::new(vec![
        ("Action=CreateRole", role("CreateRole", ROLE_ARN, "mark-1")),
        ("Action=PutRolePolicy", empty("PutRolePolicy")),
        ("Action=AttachRolePolicy", empty("AttachRolePolicy")),
        ("Action=GetRole", role("GetRole", ROLE_ARN, "mark-1")),
        ("Action=ListAttachedRolePolicies", ok(attached)),
        ("Action=ListRolePolicies", ok(names)),
        ("Action=GetRolePolicy", ok(inline)),
    ])
    .await;
    let mut attrs = role_attrs();
    let document = r#"{ "Statement": [] }"#;
    attrs.push(("managed_policy_arns", tuple_of(["arn:p"])));
    attrs.push(("inline_policy", one([("name", "i".into()), ("policy", document.into())])));
    let request = bench.create("aws_iam_role", attrs);
    let object = bench.aws.create("aws_iam_role", request, &*bench.ctx).await.unwrap();
    bench.finish();
    assert_eq!(texts(&object.attributes, "managed_policy_arns").unwrap(), ["arn:drift", "arn:p"]);
    assert_eq!(text(block(&object.attributes, "inline_policy").unwrap(), "policy").unwrap(), document);
}

#[tokio::test]
async fn a_role_is_deleted_when_its_detachments_have_settled() {
    let profiles = "<ListInstanceProfilesForRoleResponse><ListInstanceProfilesForRoleResult><InstanceProfiles/>\
                    <IsTruncated>false</IsTruncated></ListInstanceProfilesForRoleResult>\
                    </ListInstanceProfilesForRoleResponse>";
    let conflict =
        || xml_error(409, "DeleteConflict", "Cannot delete entity, must detach all policies first.");
    let bench = Bench::new(vec![
        ("Action=ListInstanceProfilesForRole", ok(profiles)),
        ("Action=DeleteRole", conflict()),
        ("Action=DeleteRole", empty("DeleteRole")),
        ("Action=ListInstanceProfilesForRole", xml_error(404, "NoSuchEntity", "gone")),
        ("Action=DeleteRole", xml_error(404, "NoSuchEntity", "gone")),
    ])
    .await;
    for _ in 0..2 {
        let request = bench.delete("aws_iam_role", bench.object("aws_iam_role", role_attrs()));
        bench.aws.delete("aws_iam_role", request, &*bench.ctx).await.unwrap();
    }
    bench.finish();
}

#[tokio::test]
async fn an_attachment_is_found_on_a_later_page() {
    let page = |arn: &str, more: &str| {
        ok(&format!(
            "<ListAttachedRolePoliciesResponse><ListAttachedRolePoliciesResult><AttachedPolicies><member>\
             <PolicyName>p</PolicyName><PolicyArn>{arn}</PolicyArn></member></AttachedPolicies>{more}\
             </ListAttachedRolePoliciesResult></ListAttachedRolePoliciesResponse>"
        ))
    };
    let more = "<IsTruncated>true</IsTruncated><Marker>m1</Marker>";
    let bench = Bench::new(vec![
        ("Action=AttachRolePolicy", xml_error(404, "NoSuchEntity", "role r")),
        ("Action=AttachRolePolicy", empty("AttachRolePolicy")),
        ("Action=ListAttachedRolePolicies", page("arn:other", more)),
        ("Marker=m1", page("arn:p", "<IsTruncated>false</IsTruncated>")),
        ("Action=DetachRolePolicy", xml_error(404, "NoSuchEntity", "gone")),
    ])
    .await;
    bench.ctx.fresh.lock().unwrap().insert("r".into());
    let kind = "aws_iam_role_policy_attachment";
    let request = bench.create(kind, vec![("role", "r".into()), ("policy_arn", "arn:p".into())]);
    let object = bench.aws.create(kind, request, &*bench.ctx).await.unwrap();
    assert_eq!(bench.aws.import(kind, "r/arn:p").await.unwrap(), Read::Present(object.clone()));
    bench.aws.delete(kind, bench.delete(kind, object.attributes), &*bench.ctx).await.unwrap();
    bench.finish();
}

fn cluster(status: &str, changes: &Json) -> Answer {
    let mut cluster = json!({
        "name": "c", "arn": "arn:aws:eks:us-east-1:111111111111:cluster/c", "createdAt": 1767323045.0,
        "version": "1.29", "roleArn": ROLE_ARN, "status": status, "platformVersion": "eks.1",
        "resourcesVpcConfig": {
            "subnetIds": ["subnet-b", "subnet-a"], "securityGroupIds": [], "clusterSecurityGroupId": "sg-1",
            "vpcId": "vpc-1", "endpointPublicAccess": true, "endpointPrivateAccess": false,
            "publicAccessCidrs": ["0.0.0.0/0"]
        },
        "kubernetesNetworkConfig": { "serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4" },
        "logging": { "clusterLogging": [{ "types": ["api"], "enabled": false }] },
        "accessConfig": { "authenticationMode": "CONFIG_MAP" },
        "upgradePolicy": { "supportType": "EXTENDED" },
        "tags": { "groma-owner": "mark-1", "app": "x" }
    });
    if status == "ACTIVE" {
        cluster["endpoint"] = "https://X.eks.amazonaws.com".into();
        cluster["certificateAuthority"] = json!({ "data": "Q0E=" });
        cluster["identity"] = json!({ "oidc": { "issuer": "https://oidc/X" } });
    }
    for (key, value) in changes.as_object().unwrap() {
        cluster[key] = value.clone();
    }
    ok(&json!({ "cluster": cluster }).to_string())
}

fn cluster_attrs() -> Vec<(&'static str, Value)> {
    vec![
        ("name", "c".into()),
        ("role_arn", ROLE_ARN.into()),
        ("version", "1.29".into()),
        (
            "vpc_config",
            one([
                ("subnet_ids", tuple_of(["subnet-a", "subnet-b"])),
                ("endpoint_public_access", true.into()),
                ("endpoint_private_access", false.into()),
            ]),
        ),
        ("bootstrap_self_managed_addons", true.into()),
        ("tags", Value::map(Type::String, [("app", Value::string("x"))])),
    ]
}

const CLUSTER: &str = "aws_eks_cluster";

#[tokio::test]
async fn a_cluster_is_created_once_its_role_is_seen_and_waited_for() {
    let unseen = fault(400, "InvalidParameterException", "Error in role params");
    let bench = Bench::new(vec![
        ("POST /clusters", unseen),
        ("POST /clusters", cluster("CREATING", &json!({}))),
        ("GET /clusters/c", fault(404, "ResourceNotFoundException", "No cluster found for name: c.")),
        ("GET /clusters/c", cluster("CREATING", &json!({}))),
        ("GET /clusters/c", Answer::Status(500, "{}".into())),
        ("GET /clusters/c", cluster("ACTIVE", &json!({}))),
    ])
    .await;
    bench.ctx.fresh.lock().unwrap().insert("r".into());
    let request = bench.create(CLUSTER, cluster_attrs());
    let object = bench.aws.create(CLUSTER, request, &*bench.ctx).await.unwrap();
    bench.finish();
    let attrs = object.attributes.value();
    assert_eq!(attrs.ty(), bench.block(CLUSTER).ty());
    assert_eq!(text(attrs, "endpoint").unwrap(), "https://X.eks.amazonaws.com");
    assert_eq!(text(block(attrs, "certificate_authority").unwrap(), "data").unwrap(), "Q0E=");
    assert_eq!(text(attrs, "created_at").unwrap(), "2026-01-02T03:04:05Z");
    assert_eq!(texts(block(attrs, "vpc_config").unwrap(), "subnet_ids").unwrap(), ["subnet-a", "subnet-b"]);
    assert!(block(attrs, "vpc_config").unwrap().get("security_group_ids").unwrap().is_null());
    assert_eq!(text_map(attrs, "tags_all").unwrap(), [("app".into(), "x".into())].into());
    let made = bench.ctx.made.lock().unwrap();
    assert!(made[0].attributes.get("endpoint").unwrap().is_null());
    assert!(bench.ctx.waits.lock().unwrap().contains(&"EKS cluster c to be ACTIVE (CREATING)".to_string()));
    let sent: Json = serde_json::from_str(&bench.bodies("POST /clusters")[1]).unwrap();
    assert_eq!(sent["clientRequestToken"], "token-1");
    assert_eq!(sent["tags"], json!({ "app": "x", "groma-owner": "mark-1" }));
    assert_eq!(sent["resourcesVpcConfig"]["subnetIds"], json!(["subnet-a", "subnet-b"]));
    assert_eq!(sent["bootstrapSelfManagedAddons"], true);
    assert!(sent.get("logging").is_none() && sent.get("encryptionConfig").is_none(), "{sent}");
}

#[tokio::test]
async fn a_subnet_that_does_not_exist_is_not_waited_for() {
    let refused = fault(400, "InvalidParameterException", "The subnet ID 'subnet-x' does not exist");
    let bench = Bench::new(vec![("POST /clusters", refused)]).await;
    bench.ctx.fresh.lock().unwrap().insert("r".into());
    let request = bench.create(CLUSTER, cluster_attrs());
    let error = bench.aws.create(CLUSTER, request, &*bench.ctx).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert_eq!(error.to_string().split(": ").next().unwrap(), "eks:CreateCluster");
    assert_eq!(error.request_id.as_deref(), Some("req-1"));
    bench.finish();
}

#[tokio::test]
async fn a_failed_cluster_is_tainted_with_its_reasons() {
    let health = json!({ "health": { "issues": [
        { "code": "AccessDenied", "message": "no policy", "resourceIds": ["r"] }] } });
    let bench = Bench::new(vec![
        ("POST /clusters", cluster("CREATING", &json!({}))),
        ("GET /clusters/c", cluster("FAILED", &health)),
    ])
    .await;
    let request = bench.create(CLUSTER, cluster_attrs());
    let error = bench.aws.create(CLUSTER, request, &*bench.ctx).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Tainted);
    assert_eq!(error.message, "the cluster c is FAILED: AccessDenied: no policy (r)");
}

#[tokio::test]
async fn a_cluster_of_the_same_name_is_adopted_only_if_it_is_ours() {
    for (mark, kind) in [("mark-1", None), ("other", Some(ErrorKind::Conflict))] {
        let there = json!({ "tags": { "groma-owner": mark } });
        let mut steps = vec![
            ("POST /clusters", fault(409, "ResourceInUseException", "Cluster already exists with name: c")),
            ("GET /clusters/c", cluster("CREATING", &there)),
        ];
        if kind.is_none() {
            steps.push(("GET /clusters/c", cluster("ACTIVE", &json!({}))));
        }
        let bench = Bench::new(steps).await;
        let request = bench.create(CLUSTER, cluster_attrs());
        let made = bench.aws.create(CLUSTER, request, &*bench.ctx).await;
        bench.finish();
        assert_eq!(made.map_err(|e| e.kind).err(), kind);
    }
}

fn update(id: &str, kind: &str, status: &str) -> Answer {
    let errors = if status == "Failed" {
        json!([{ "errorCode": "PodEvictionFailure", "errorMessage": "budget", "resourceIds": ["pod"] }])
    } else {
        json!([])
    };
    ok(&json!({ "update": { "id": id, "status": status, "type": kind, "errors": errors } }).to_string())
}

#[tokio::test]
async fn a_cluster_update_sends_the_version_first_and_one_change_a_call() {
    let busy = fault(409, "ResourceInUseException", "Cannot VersionUpdate, update in progress");
    let bench = Bench::new(vec![
        ("POST /clusters/c/updates", busy),
        ("POST /clusters/c/updates", update("u1", "VersionUpdate", "InProgress")),
        ("GET /clusters/c/updates/u1", update("u1", "VersionUpdate", "InProgress")),
        ("GET /clusters/c/updates/u1", update("u1", "VersionUpdate", "Successful")),
        ("POST /clusters/c/update-config", update("u2", "LoggingUpdate", "InProgress")),
        ("GET /clusters/c/updates/u2", update("u2", "LoggingUpdate", "Successful")),
        ("POST /clusters/c/update-config", update("u3", "EndpointAccessUpdate", "InProgress")),
        ("GET /clusters/c/updates/u3", update("u3", "EndpointAccessUpdate", "Successful")),
        ("GET /clusters/c", cluster("ACTIVE", &json!({ "version": "1.30" }))),
    ])
    .await;
    let prior = bench.object(CLUSTER, cluster_attrs());
    let mut attrs = cluster_attrs();
    attrs.retain(|(name, _)| !["version", "vpc_config", "tags"].contains(name));
    attrs.extend([
        ("version", "1.30".into()),
        ("tags", prior.get("tags").unwrap().clone()),
        ("enabled_cluster_log_types", tuple_of(["api"])),
        (
            "vpc_config",
            one([
                ("subnet_ids", tuple_of(["subnet-a", "subnet-b"])),
                ("endpoint_public_access", true.into()),
                ("endpoint_private_access", true.into()),
            ]),
        ),
    ]);
    let all = Value::map(Type::String, [("app", Value::string("x"))]);
    let known = |object: Resolved| object.into_value().with_attr("tags_all", all.clone()).resolve().unwrap();
    let planned = known(bench.object(CLUSTER, attrs));
    let request = bench.update(CLUSTER, known(prior), planned);
    let object = bench.aws.update(CLUSTER, request, &*bench.ctx).await.unwrap();
    bench.finish();
    assert_eq!(text(&object.attributes, "version").unwrap(), "1.30");
    let sent: Vec<Json> =
        bench.bodies("update-config").iter().map(|b| serde_json::from_str(b).unwrap()).collect();
    let mut members: Vec<Vec<&String>> =
        sent.iter().map(|s| s.as_object().unwrap().keys().collect()).collect();
    members.iter_mut().for_each(|m| m.sort());
    assert_eq!(members, [["clientRequestToken", "logging"], ["clientRequestToken", "resourcesVpcConfig"]]);
}

#[tokio::test]
async fn a_cluster_is_gone_when_the_api_says_so_three_times() {
    let gone = || fault(404, "ResourceNotFoundException", "No cluster found for name: c.");
    let bench = Bench::new(vec![
        ("DELETE /clusters/c", fault(409, "ResourceInUseException", "Cluster has an update in progress")),
        ("DELETE /clusters/c", cluster("DELETING", &json!({}))),
        ("GET /clusters/c", cluster("DELETING", &json!({}))),
        ("GET /clusters/c", gone()),
        ("GET /clusters/c", gone()),
        ("GET /clusters/c", gone()),
        ("DELETE /clusters/c", gone()),
    ])
    .await;
    for _ in 0..2 {
        let request = bench.delete(CLUSTER, bench.object(CLUSTER, cluster_attrs()));
        bench.aws.delete(CLUSTER, request, &*bench.ctx).await.unwrap();
    }
    bench.finish();
}

#[tokio::test]
async fn a_wait_ends_at_its_time_limit_and_goes_on_in_a_later_run() {
    let creating = || ("GET /clusters/c", cluster("CREATING", &json!({})));
    let mut steps: Vec<Step> = vec![("POST /clusters", cluster("CREATING", &json!({})))];
    steps.extend((0..5).map(|_| creating()));
    steps.push(("GET /clusters/c", cluster("ACTIVE", &json!({}))));
    let bench = Bench::new(steps).await;
    let mut request = bench.create(CLUSTER, cluster_attrs());
    request.timeouts = Timeouts::all(std::time::Duration::from_secs(40));
    let begun = bench.ctx.now();
    let error = bench.aws.create(CLUSTER, request, &*bench.ctx).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TimedOut, "{error}");
    assert!(bench.ctx.now().since(begun).as_secs() <= 70);
    let made = bench.ctx.made.lock().unwrap()[0].clone();
    let request = ResumeRequest {
        action: Action::Create,
        object: groma_provider::Object { attributes: made.attributes, private: made.private },
        operation: made.operation,
        timeouts: Timeouts::minutes(30, 60, 15),
    };
    let read = bench.aws.resume(CLUSTER, request, &*bench.ctx).await.unwrap();
    assert!(matches!(read, Read::Present(o) if text(&o.attributes, "status").unwrap() == "ACTIVE"));
    bench.finish();
}

const GROUP: &str = "aws_eks_node_group";

fn group(status: &str, issues: &Json) -> Answer {
    ok(&json!({ "nodegroup": {
        "nodegroupName": "n", "nodegroupArn": "arn:n", "clusterName": "c", "version": "1.29",
        "releaseVersion": "1.29.0-20260101", "status": status, "capacityType": "ON_DEMAND",
        "scalingConfig": { "minSize": 1, "maxSize": 3, "desiredSize": 2 }, "instanceTypes": ["t3.medium"],
        "subnets": ["subnet-a"], "amiType": "AL2023_x86_64_STANDARD", "nodeRole": ROLE_ARN, "diskSize": 20,
        "labels": {}, "updateConfig": { "maxUnavailable": 1 }, "health": { "issues": issues },
        "resources": { "autoScalingGroups": [{ "name": "asg-1" }] }, "tags": { "groma-owner": "mark-1" }
    } })
    .to_string())
}

fn group_attrs() -> Vec<(&'static str, Value)> {
    let sizes = [("min_size", 1.into()), ("max_size", 3.into()), ("desired_size", 2.into())];
    vec![
        ("cluster_name", "c".into()),
        ("node_group_name", "n".into()),
        ("node_role_arn", ROLE_ARN.into()),
        ("subnet_ids", tuple_of(["subnet-a"])),
        ("version", "1.29".into()),
        ("scaling_config", one(sizes)),
    ]
}

#[tokio::test]
async fn a_node_group_is_created_and_waited_for() {
    let bench = Bench::new(vec![
        ("POST /clusters/c/node-groups", group("CREATING", &json!([]))),
        ("GET /clusters/c/node-groups/n", group("CREATING", &json!([]))),
        ("GET /clusters/c/node-groups/n", group("ACTIVE", &json!([]))),
        ("GET /clusters/c/node-groups/n", group("ACTIVE", &json!([]))),
    ])
    .await;
    let request = bench.create(GROUP, group_attrs());
    let object = bench.aws.create(GROUP, request, &*bench.ctx).await.unwrap();
    let attrs = object.attributes.value();
    assert_eq!(attrs.ty(), bench.block(GROUP).ty());
    assert_eq!(text(attrs, "id").unwrap(), "c:n");
    assert_eq!(texts(attrs, "instance_types").unwrap(), ["t3.medium"]);
    assert!(attrs.get("labels").unwrap().is_null());
    let resources = block(attrs, "resources").unwrap();
    assert_eq!(text(block(resources, "autoscaling_groups").unwrap(), "name").unwrap(), "asg-1");
    // A second read of the same object finds no difference.
    let request = ReadRequest { prior: object.attributes.clone(), private: Json::Null, owner_mark: None };
    assert_eq!(bench.aws.read(GROUP, request).await.unwrap(), Read::Present(object));
    bench.finish();
}

#[tokio::test]
async fn nodes_that_do_not_join_taint_the_group() {
    let issues = json!([{ "code": "NodeCreationFailure", "message": "Instances failed to join", "resourceIds": ["i-1"] }]);
    let bench = Bench::new(vec![
        ("POST /clusters/c/node-groups", group("CREATING", &json!([]))),
        ("GET /clusters/c/node-groups/n", group("CREATING", &issues)),
        ("GET /clusters/c/node-groups/n", group("CREATE_FAILED", &issues)),
    ])
    .await;
    let request = bench.create(GROUP, group_attrs());
    let error = bench.aws.create(GROUP, request, &*bench.ctx).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Tainted);
    assert_eq!(
        error.message,
        "the node group n is CREATE_FAILED: NodeCreationFailure: Instances failed to join (i-1)"
    );
    let waits = bench.ctx.waits.lock().unwrap();
    assert!(waits.iter().any(|w| w.contains("Instances failed to join")), "{waits:?}");
    assert_eq!(bench.ctx.made.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_node_group_update_sends_version_then_config() {
    let bench = Bench::new(vec![
        ("POST /clusters/c/node-groups/n/update-version", update("u1", "VersionUpdate", "InProgress")),
        ("GET /clusters/c/updates/u1?nodegroupName=n", update("u1", "VersionUpdate", "Successful")),
        ("POST /clusters/c/node-groups/n/update-config", update("u2", "ConfigUpdate", "InProgress")),
        ("GET /clusters/c/updates/u2?nodegroupName=n", update("u2", "ConfigUpdate", "Failed")),
    ])
    .await;
    let labels =
        |pairs: &[(&str, &str)]| Value::map(Type::String, pairs.iter().map(|(k, v)| (*k, Value::string(*v))));
    let mut old = group_attrs();
    old.push(("labels", labels(&[("a", "1"), ("b", "2")])));
    let mut new = group_attrs();
    new.retain(|(name, _)| *name != "version");
    new.extend([("version", "1.30".into()), ("labels", labels(&[("a", "1"), ("c", "3")]))]);
    let taint = [("key", "k".into()), ("value", "v".into()), ("effect", "NO_SCHEDULE".into())];
    new.push(("taint", one(taint)));
    let request = bench.update(GROUP, bench.object(GROUP, old), bench.object(GROUP, new));
    let error = bench.aws.update(GROUP, request, &*bench.ctx).await.unwrap_err();
    bench.finish();
    assert_eq!(error.kind, ErrorKind::Unconverged);
    assert!(error.message.contains("PodEvictionFailure: budget (pod)"), "{error}");
    let sent: Json = serde_json::from_str(&bench.bodies("update-config")[0]).unwrap();
    assert_eq!(sent["labels"], json!({ "addOrUpdateLabels": { "c": "3" }, "removeLabels": ["b"] }));
    let added = json!([{ "key": "k", "value": "v", "effect": "NO_SCHEDULE" }]);
    assert_eq!(sent["taints"], json!({ "addOrUpdateTaints": added }));
    assert!(sent.get("scalingConfig").is_none());
}

async fn data(bench: &Bench, kind: &str, attrs: Vec<(&'static str, Value)>) -> Option<Value> {
    let provider = crate::AwsProvider::new(crate::AwsSettings::default());
    let block = &groma_provider::Provider::schema(&provider).data[kind].block;
    let config = crate::values::conform(block, &Value::object(attrs)).unwrap().resolve().unwrap();
    let value = bench.aws.read_data(kind, config).await.unwrap();
    assert!(value.iter().all(|v| v.ty() == block.ty()), "{kind}");
    value
}

const CALLER: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
    <GetCallerIdentityResult><Arn>arn:aws-us-gov:iam::111111111111:user/u</Arn><UserId>AIDA</UserId>\
    <Account>111111111111</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

#[tokio::test]
async fn data_sources_read_the_world() {
    let vpcs =
        |items: &str| ok(&format!("<DescribeVpcsResponse><vpcSet>{items}</vpcSet></DescribeVpcsResponse>"));
    let vpc = "<item><vpcId>vpc-1</vpcId><ownerId>111111111111</ownerId><isDefault>true</isDefault>\
               <cidrBlock>172.31.0.0/16</cidrBlock><tagSet><item><key>K</key><value>V</value></item></tagSet></item>";
    let denied = Answer::Status(
        403,
        "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors>\
         <RequestID>r</RequestID></Response>"
            .into(),
    );
    let subnets = |id: &str, more: &str| {
        ok(&format!(
            "<DescribeSubnetsResponse><subnetSet><item><subnetId>{id}</subnetId></item></subnetSet>{more}\
             </DescribeSubnetsResponse>"
        ))
    };
    let bench = Bench::new(vec![
        ("Filter.1.Name=is-default&Filter.1.Value.1=true", vpcs(vpc)),
        ("Attribute=enableDnsSupport", ok("<R><enableDnsSupport><value>true</value></enableDnsSupport></R>")),
        ("Attribute=enableDnsHostnames", denied),
        (
            "Action=DescribeRouteTables",
            ok("<R><routeTableSet><item><routeTableId>rtb-1</routeTableId></item></routeTableSet></R>"),
        ),
        ("Action=DescribeVpcs", vpcs("")),
        ("Action=DescribeSubnets", subnets("subnet-z", "<nextToken>t</nextToken>")),
        ("NextToken=t", subnets("subnet-a", "")),
        ("Action=GetCallerIdentity", ok(CALLER)),
        ("GET /clusters/c", cluster("ACTIVE", &json!({}))),
        ("GET /clusters/d", fault(404, "ResourceNotFoundException", "no")),
    ])
    .await;
    let found = data(&bench, "aws_vpc", vec![("default", true.into())]).await.unwrap();
    assert_eq!(text(&found, "id").unwrap(), "vpc-1");
    assert_eq!(text(&found, "main_route_table_id").unwrap(), "rtb-1");
    assert_eq!(found.get("enable_dns_support").unwrap().as_bool(), Some(true));
    assert!(found.get("enable_dns_hostnames").unwrap().is_null());
    assert!(data(&bench, "aws_vpc", vec![]).await.is_none());
    let filter = one([("name", "vpc-id".into()), ("values", tuple_of(["vpc-1"]))]);
    let found = data(&bench, "aws_subnets", vec![("filter", filter)]).await.unwrap();
    assert_eq!(texts(&found, "ids").unwrap(), ["subnet-a", "subnet-z"]);
    let found = data(&bench, "aws_caller_identity", vec![]).await.unwrap();
    assert_eq!(text(&found, "account_id").unwrap(), "111111111111");
    let found = data(&bench, "aws_eks_cluster", vec![("name", "c".into())]).await.unwrap();
    assert_eq!(text(&found, "endpoint").unwrap(), "https://X.eks.amazonaws.com");
    assert!(data(&bench, "aws_eks_cluster", vec![("name", "d".into())]).await.is_none());
    bench.finish();
    // These make no call.
    let found = data(&bench, "aws_region", vec![]).await.unwrap();
    assert_eq!(
        (text(&found, "name").unwrap(), text(&found, "region").unwrap()),
        ("us-east-1".into(), "us-east-1".into())
    );
    assert_eq!(text(&found, "description").unwrap(), "US East (N. Virginia)");
    let found = data(&bench, "aws_partition", vec![]).await.unwrap();
    assert_eq!(text(&found, "dns_suffix").unwrap(), "amazonaws.com");
    data(&bench, "aws_iam_policy_document", vec![]).await.unwrap();
}

#[tokio::test]
async fn the_world_is_account_partition_and_region() {
    let bench = Bench::new(vec![("Action=GetCallerIdentity", ok(CALLER))]).await;
    let world = bench.aws.identity().await.unwrap();
    assert_eq!(world.to_string(), "account 111111111111, partition aws-us-gov, region us-east-1");
    let config = Value::object([
        ("region", Value::string("us-east-1")),
        ("allowed_account_ids", tuple_of(["222222222222"])),
    ]);
    let bench = Bench::with(vec![("Action=GetCallerIdentity", ok(CALLER))], config).await;
    assert_eq!(bench.aws.identity().await.unwrap_err().kind, ErrorKind::Denied);
}

#[tokio::test]
async fn a_role_is_assumed_before_the_first_call() {
    let config = Value::object([
        ("region", Value::string("us-east-1")),
        ("assume_role", one([("role_arn", "arn:aws:iam::2:role/r".into()), ("external_id", "e".into())])),
    ]);
    let steps = vec![("ExternalId=e", assumed("ASIA2")), ("Action=GetCallerIdentity", ok(CALLER))];
    let bench = Bench::with(steps, config).await;
    bench.aws.identity().await.unwrap();
    bench.finish();
    assert_eq!(bench.log(), ["sts:AssumeRole 200 #1", "sts:GetCallerIdentity 200 #1"]);
}

fn assumed(key: &str) -> Answer {
    ok(&format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
         <SessionToken>t</SessionToken><Expiration>2026-01-02T03:08:05Z</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>AROA:g</AssumedRoleId><Arn>arn:aws:sts::2:assumed-role/r/g</Arn>\
         </AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"
    ))
}

#[tokio::test]
async fn credentials_are_shared_and_renewed_when_they_expire() {
    let subnets = || ok("<R><subnetSet/></R>");
    let config = Value::object([
        ("region", Value::string("us-east-1")),
        ("assume_role", one([("role_arn", "arn:aws:iam::2:role/r".into())])),
    ]);
    let steps = vec![
        ("Action=AssumeRole", assumed("ASIA1")),
        ("Action=GetCallerIdentity", ok(CALLER)),
        ("Action=DescribeSubnets", subnets()),
        // A service that calls them expired is believed, once.
        ("Action=GetCallerIdentity", xml_error(403, "ExpiredToken", "expired")),
        ("Action=AssumeRole", assumed("ASIA2")),
        ("Action=GetCallerIdentity", ok(CALLER)),
        // Their own end comes.
        ("Action=AssumeRole", assumed("ASIA3")),
        ("Action=DescribeSubnets", subnets()),
    ];
    let bench = Bench::with(steps, config).await;
    bench.aws.identity().await.unwrap();
    data(&bench, "aws_subnets", vec![]).await.unwrap();
    bench.aws.identity().await.unwrap();
    bench.ctx.sleep(std::time::Duration::from_secs(200)).await;
    data(&bench, "aws_subnets", vec![]).await.unwrap();
    bench.finish();
}

#[tokio::test]
async fn credentials_that_can_not_be_had_are_denied_and_nothing_is_ambiguous() {
    let config = Value::object([
        ("region", Value::string("us-east-1")),
        ("assume_role", one([("role_arn", "arn:aws:iam::2:role/r".into())])),
    ]);
    for (answer, attempts) in [(xml_error(403, "AccessDenied", "not you"), 1), (Answer::Cut, 1)] {
        let bench = Bench::with(vec![("Action=AssumeRole", answer)], config.clone()).await;
        let request = bench.create("aws_iam_role", role_attrs());
        let error = bench.aws.create("aws_iam_role", request, &*bench.ctx).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{error}");
        assert_eq!(bench.log().len(), attempts);
        bench.finish();
    }
}

#[tokio::test]
async fn a_token_is_minted_without_a_call_and_renewed_in_time() {
    let bench = Bench::new(vec![]).await;
    let args = Value::object([("name", Value::string("demo"))]).resolve().unwrap();
    let minted = bench.aws.mint("aws_eks_cluster_auth", args).await.unwrap();
    assert!(text(&minted.value, "token").unwrap().starts_with("k8s-aws-v1.aHR0cHM6Ly9zdHMudXMtZWFzdC0xLm"));
    assert_eq!(minted.renew_at.unwrap().since(bench.ctx.now()).as_secs(), 600);
    assert!(bench.log().is_empty());
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_a_forbidden_address_is_not_called() {
    let bench = Bench::dead(NetworkPolicy::LoopbackOnly).await;
    let error = bench.aws.identity().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    assert_eq!(bench.log().len(), 8);
    let bench = Bench::dead(NetworkPolicy::Only(Default::default())).await;
    let request = bench.create("aws_iam_role", role_attrs());
    let error = bench.aws.create("aws_iam_role", request, &*bench.ctx).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    assert!(error.message.contains("not allowed here"), "{error}");
    assert!(bench.log().is_empty());
}
