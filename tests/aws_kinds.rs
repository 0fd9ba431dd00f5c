//! The laws of every AWS kind, by stacks that hold them all: each attribute that changes in place has one value where
//! `v` is `a` and another where it is `b`. The stacks run with the real binary in the sandbox; what the state then
//! holds is held against the provider's own import, and deleted once more after the destroy.

use crate::kit::{Stack, snapshot};
use groma_provider::{
    CallLog, CallRecord, Clock, Configure, Configured, DeleteRequest, Entropy, Environment, Interrupted,
    Made, NetworkPolicy, OpContext, Provider, Read, async_trait,
};
use groma_provider_aws::{AwsProvider, AwsSettings, StaticCredentials};
use groma_types::{Resolved, Timestamp, Value, convert, json};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What an import can't know: arguments that the API does not tell.
const NOT_TOLD: &[(&str, &str)] = &[
    // Written as it was made up; only the name is there afterwards.
    ("*", "name_prefix"),
    // Default tags are a matter of the configuration, which an import does not have yet.
    ("aws_security_group_rule", "description"),
];

/// Kinds whose import takes something else than their attribute `id`.
fn import_id(kind: &str, attrs: &Json) -> String {
    let text = |name: &str| attrs[name].as_str().unwrap_or_default().to_string();
    match kind {
        "aws_route_table_association" => format!("{}/{}", text("subnet_id"), text("route_table_id")),
        _ => text("id"),
    }
}

/// A clock of the machine that never waits: the sandbox's time flies by itself.
struct Here;

impl Clock for Here {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        Timestamp(i64::try_from(since.as_millis()).expect("not so far"))
    }
    fn sleep(&self, _: Duration) -> futures::future::BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl Entropy for Here {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

impl CallLog for Here {
    fn call(&self, _: CallRecord) {}
}

#[async_trait]
impl OpContext for Here {
    async fn made(&self, _: Made) {}
    fn waiting(&self, _: &str) {}
    async fn pause(&self, _: Duration) -> Result<(), Interrupted> {
        Ok(())
    }
    fn is_stopped(&self) -> bool {
        false
    }
    fn now(&self) -> Timestamp {
        Clock::now(self)
    }
    fn made_in_this_run(&self, _: &str) -> bool {
        false
    }
}

/// The provider, on the sandbox that a stack runs in.
async fn configured(provider: &AwsProvider, tags: &Json) -> Arc<dyn Configured> {
    let block = &provider.schema().config;
    let config = serde_json::json!({"region": "us-west-2", "default_tags": [{"tags": tags}]});
    let env = Environment {
        clock: Arc::new(Here),
        entropy: Arc::new(Here),
        calls: Arc::new(Here),
        network: NetworkPolicy::LoopbackOnly,
        vars: Arc::default(),
    };
    let config = object(&config, block);
    let request = Configure { config, minted: BTreeMap::new(), env, fresh_host: false };
    let aws = provider.configure(request).await.expect("configured");
    aws.identity().await.expect("the sandbox answers");
    aws
}

/// Attributes out of JSON, completed with nulls to the type of their block.
fn object(attrs: &Json, block: &groma_types::schema::Block) -> Resolved {
    let mut all = json::from_json(attrs);
    let groma_types::Type::Object(ty) = block.ty() else { panic!("a block is an object") };
    for name in ty.attrs.keys() {
        if all.get(name).is_none() {
            let is_block = block.blocks.contains_key(name);
            all = all.with_attr(name, if is_block { Value::tuple(Vec::new()) } else { Value::NULL });
        }
    }
    convert::convert(&all, &block.ty()).expect("of the schema's type").resolve().expect("known")
}

fn provider(stack: &Stack) -> AwsProvider {
    let path = stack.path().join(".groma/sandbox/world/serve.json");
    let serve: Json = serde_json::from_str(&std::fs::read_to_string(path).expect("it runs")).expect("JSON");
    AwsProvider::new(AwsSettings {
        endpoint_url: serve["base_url"].as_str().map(str::to_string),
        static_credentials: Some(Arc::new(|profile| {
            let keys = groma_sandbox::credentials(profile);
            StaticCredentials {
                access_key: keys.access_key,
                secret_key: keys.secret_key,
                session_token: keys.session_token,
            }
        })),
    })
}

/// The AWS resources of the state: address, kind, attributes.
fn resources(stack: &Stack) -> Vec<(String, String, Json)> {
    let shown: Json = serde_json::from_str(&stack.ok(&["show", "-json"]).stdout).expect("JSON");
    let all = shown["values"]["root_module"]["resources"].as_array().cloned().unwrap_or_default();
    let of_aws = all.into_iter().filter(|r| r["mode"] == "managed" && r["provider_name"] == "aws");
    let text = |v: &Json| v.as_str().unwrap_or_default().to_string();
    of_aws.map(|r| (text(&r["address"]), text(&r["type"]), r["values"].clone())).collect()
}

/// Kinds that an apply has changed in place; nothing may be made or destroyed.
fn updated(stack: &Stack, v: &str) -> BTreeSet<String> {
    let events = stack.ok(&["apply", "-auto-approve", "-json", "-var", &format!("v={v}")]).events();
    let mut kinds = BTreeSet::new();
    for event in events.iter().filter(|e| e["type"] == "apply_complete") {
        let address = event["hook"]["resource"]["addr"].as_str().unwrap_or_default();
        assert_eq!(event["hook"]["action"], "update", "{address} is not changed in place: {event}");
        kinds.insert(address.split('.').next().unwrap_or_default().to_string());
    }
    kinds
}

/// What differs between an object and its import.
fn differences(kind: &str, made: &Json, imported: &Json) -> Vec<String> {
    let told =
        |name: &&String| !NOT_TOLD.iter().any(|(k, n)| (*k == "*" || *k == kind) && *n == name.as_str());
    let names = made.as_object().expect("an object").keys().filter(told);
    let differs = names.filter(|name| made[name.as_str()] != imported[name.as_str()]);
    differs.map(|n| format!("{n}: made {}, imported {}", made[n.as_str()], imported[n.as_str()])).collect()
}

/// Plays the laws over the kinds of one stack and returns the kinds, each with whether it has anything to change.
fn laws_of(file: &str) -> BTreeMap<String, bool> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws").join(file);
    let text = std::fs::read_to_string(path).expect("the stack");
    let stack = Stack::new().file("main.yaml", &text).env("GROMA_SANDBOX", "1");
    let nothing = |v: &str| {
        stack.ok(&["plan", "-detailed-exitcode", "-var", &format!("v={v}")]);
    };
    stack.ok(&["apply", "-auto-approve"]);
    nothing("a");
    let there = updated(&stack, "b");
    nothing("b");
    let back = updated(&stack, "a");
    nothing("a");
    assert_eq!(there, back, "{file}: what changes goes there and back");

    // What one object did to another is in the state too.
    stack.ok(&["apply", "-auto-approve", "-refresh-only"]);

    let provider = provider(&stack);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let objects = resources(&stack);
    let tags = serde_json::json!({"team": "net"});
    let aws = runtime.block_on(configured(&provider, &tags));
    for (address, kind, attrs) in &objects {
        let id = import_id(kind, attrs);
        let read = runtime.block_on(aws.import(kind, &id)).unwrap_or_else(|e| panic!("{address} {id}: {e}"));
        let Read::Present(found) = read else { panic!("{address}: no import of {id}") };
        let imported = json::to_json(found.attributes.value());
        assert_eq!(differences(kind, attrs, &imported), Vec::<String>::new(), "{address}");
    }

    stack.ok(&["destroy", "-auto-approve"]);
    assert_eq!(stack.ok(&["state", "list"]).stdout, "");
    for (address, kind, attrs) in &objects {
        let schema = &provider.schema().resources[kind.as_str()];
        let prior = object(attrs, &schema.block);
        let request = DeleteRequest { prior, private: Json::Null, timeouts: schema.timeouts };
        let again = runtime.block_on(aws.delete(kind, request, &Here));
        assert!(again.is_ok(), "{address}: a second delete: {again:?}");
    }
    objects.into_iter().map(|(_, kind, _)| (kind.clone(), there.contains(&kind))).collect()
}

/// Laws that hold by the test above, and the table of them.
#[test]
fn every_kind_keeps_the_laws() {
    let mut kinds = BTreeMap::new();
    for file in ["network.yaml"] {
        for (kind, changes) in laws_of(file) {
            *kinds.entry(kind).or_insert(false) |= changes;
        }
    }
    let schema = AwsProvider::new(AwsSettings::default()).schema().clone();
    let kinds_of = schema.resources.keys().map(|k| &**k);
    let untried: Vec<&str> = kinds_of.filter(|k| !kinds.contains_key(*k)).collect();
    assert_eq!(
        untried,
        ["aws_eks_cluster", "aws_eks_node_group", "aws_iam_role", "aws_iam_role_policy_attachment"]
    );

    let mut table = format!("{:42} create  stable  update  import  delete  twice\n", "kind");
    for (kind, changes) in kinds {
        let update = if changes { "yes" } else { "-" };
        table.push_str(&format!("{kind:42} yes     yes     {update:6}  yes     yes     yes\n"));
    }
    snapshot("aws-kinds", &table);
}
