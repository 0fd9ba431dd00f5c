//! What holds for every kind of every built-in provider.

use crate::{Machine, providers};
use groma_provider::{
    Configure, Configured, CreateRequest, DeleteRequest, Environment, Identity, Interrupted, Made,
    NetworkPolicy, NoLog, OpContext, PlanInput, Provider, Read, ReadRequest, async_trait,
};
use groma_provider_sim::{SimClock, SimEntropy, block_on};
use groma_types::schema::{Block, KindSchema, Presence, Timeouts};
use groma_types::{Resolved, Timestamp, Type, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

struct Context(SimClock);

#[async_trait]
impl OpContext for Context {
    async fn made(&self, _: Made) {}
    fn waiting(&self, _: &str) {}
    async fn pause(&self, duration: Duration) -> Result<(), Interrupted> {
        groma_provider::Clock::sleep(&self.0, duration).await;
        Ok(())
    }
    fn is_stopped(&self) -> bool {
        false
    }
    fn now(&self) -> Timestamp {
        groma_provider::Clock::now(&self.0)
    }
    fn made_in_this_run(&self, _: &str) -> bool {
        false
    }
}

/// A provider that is configured, and the world it lives in.
pub(crate) struct World {
    pub(crate) clock: SimClock,
    provider: crate::Builtin,
    client: Arc<dyn Configured>,
}

impl World {
    pub(crate) fn new(name: &str, folder: &Path) -> World {
        let machine = Machine { folder: folder.into(), ..Machine::default() };
        let provider = providers(&machine).into_iter().find(|p| &*p.schema().name == name).unwrap();
        let clock = SimClock::new(Timestamp::from_secs(1_700_000_000));
        let env = Environment {
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SimEntropy::new(1)),
            calls: Arc::new(NoLog),
            network: NetworkPolicy::Open,
            vars: Arc::default(),
        };
        let config = empty(&provider.schema().config).resolve().unwrap();
        let request = Configure { config, minted: BTreeMap::new(), env, fresh_host: false };
        let client = block_on(&clock, provider.configure(request)).unwrap();
        World { clock, provider, client }
    }

    fn schema(&self, kind: &str) -> &KindSchema {
        &self.provider.schema().resources[kind]
    }

    /// Plans and makes an object of these arguments, as the engine does.
    pub(crate) fn create(&self, kind: &str, args: &[(&'static str, Value)]) -> Resolved {
        let config = filled(&self.schema(kind).block, args);
        let open = |name: &str, value: &Value| match self.schema(kind).block.attrs.get(name) {
            Some(attr) if attr.is_computed() && value.is_null() => Value::unknown(attr.ty.clone()),
            _ => value.clone(),
        };
        let attrs = config.as_map().unwrap().iter();
        let proposed = Value::object(attrs.map(|(k, v)| (k.clone(), open(k, v))));
        let input = PlanInput {
            prior: None,
            prior_private: None,
            config: &config,
            proposed,
            provider_config: &Value::NULL,
        };
        let planned = self.provider.plan(kind, input).unwrap().planned;
        let known =
            planned.map_deep(&mut |v| v.as_unknown().map_or(v.clone(), |u| Value::null(u.ty.clone())));
        let request = CreateRequest {
            planned: known.resolve().unwrap(),
            config: config.resolve().unwrap(),
            identity: Identity { token: "t".into(), owner_mark: None },
            timeouts: Timeouts::minutes(1, 1, 1),
        };
        let context = Context(self.clock.clone());
        let made = self.client.create(kind, request, &context);
        let made = block_on(&self.clock, made).unwrap().attributes;
        for (name, value) in planned.as_map().unwrap().iter().filter(|(_, v)| v.is_wholly_known()) {
            assert_eq!(made.get(name), Some(value), "{kind}.{name} was planned");
        }
        made
    }

    pub(crate) fn import(&self, kind: &str, id: &str) -> Result<Resolved, String> {
        match block_on(&self.clock, self.client.import(kind, id)) {
            Ok(Read::Present(object)) => Ok(object.attributes),
            Ok(Read::Gone) => panic!("an import gives no absence"),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) fn read(&self, kind: &str, prior: &Resolved) -> Option<Resolved> {
        let request = ReadRequest { prior: prior.clone(), private: Json::Null, owner_mark: None };
        match block_on(&self.clock, self.client.read(kind, request)).unwrap() {
            Read::Present(object) => Some(object.attributes),
            Read::Gone => None,
        }
    }

    fn delete(&self, kind: &str, prior: &Resolved) {
        let request =
            DeleteRequest { prior: prior.clone(), private: Json::Null, timeouts: Timeouts::minutes(1, 1, 1) };
        block_on(&self.clock, self.client.delete(kind, request, &Context(self.clock.clone()))).unwrap();
    }
}

fn empty(block: &Block) -> Value {
    filled(block, &[])
}

/// The configuration that the engine would give: defaults and nulls filled in.
fn filled(block: &Block, args: &[(&'static str, Value)]) -> Value {
    let Type::Object(ty) = block.ty() else { panic!("a block is an object") };
    let value = |name: &str, ty: &Type| match args.iter().find(|(n, _)| *n == name) {
        Some((_, value)) => groma_types::convert::convert(value, ty).unwrap(),
        None if block.blocks.contains_key(name) => {
            groma_types::convert::convert(&Value::tuple(vec![]), ty).unwrap_or(Value::null(ty.clone()))
        }
        None => block.attrs[name].default.clone().unwrap_or_else(|| Value::null(ty.clone())),
    };
    Value::object(ty.attrs.iter().map(|(name, ty)| (name.clone(), value(name, ty))))
}

fn text(s: &str) -> Value {
    s.into()
}

fn documented(at: &str, block: &Block, missing: &mut Vec<String>) {
    if block.doc.is_empty() {
        missing.push(at.into());
    }
    missing.extend(block.attrs.iter().filter(|(_, a)| a.doc.is_empty()).map(|(n, _)| format!("{at}.{n}")));
    for (name, nested) in &block.blocks {
        documented(&format!("{at}.{name}"), &nested.block, missing);
    }
}

#[test]
fn everything_is_documented_and_says_whom_it_speaks_for() {
    let mut missing = Vec::new();
    for provider in providers(&Machine::default()) {
        let schema = provider.schema();
        let is_ours = matches!(&*schema.name, "terraform" | "groma");
        assert_eq!(schema.upstream.is_none(), is_ours, "{}", schema.name);
        for kind in schema.resources.values().chain(schema.data.values()).chain(schema.ephemeral.values()) {
            documented(&kind.kind, &kind.block, &mut missing);
            let defaults = kind.block.attrs.values().filter(|a| a.default.is_some());
            assert!(defaults.clone().all(|a| a.presence == Presence::Optional), "{}", kind.kind);
        }
    }
    assert!(missing.is_empty(), "not documented: {missing:?}");
}

/// The id that imports what was made; `None`: Terraform has no import either.
type ImportId = Option<fn(&Value) -> String>;
/// A kind, its arguments, its import.
type Case = (&'static str, Vec<(&'static str, Value)>, ImportId);

fn attr(value: &Value, name: &str) -> String {
    let found = value.get(name).unwrap_or(&Value::NULL);
    found
        .as_str()
        .map_or_else(|| found.as_number().map(ToString::to_string).unwrap_or_default(), str::to_string)
}

const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";

fn certificate(args: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    let uses = crate::kit::strings(["digital_signature"]);
    let common = [("validity_period_hours", Value::from(5_i64)), ("allowed_uses", uses)];
    common.into_iter().chain(args.iter().cloned()).collect()
}

fn part() -> Value {
    let names = ["content", "content_type", "filename", "merge_type"];
    Value::object(
        names.map(|name| (name, if name == "content" { text("x") } else { Value::null(Type::String) })),
    )
}

fn cases() -> Vec<Case> {
    let n = |n: i64| Value::from(n);
    let base = || ("rfc3339", text("2023-11-14T22:13:20Z"));
    vec![
        (
            "random_id",
            vec![("byte_length", n(3)), ("prefix", text("a,b"))],
            Some(|v| format!("a,b,{}", attr(v, "id"))),
        ),
        ("random_bytes", vec![("length", n(5))], Some(|v| attr(v, "base64"))),
        ("random_string", vec![("length", n(7))], Some(|v| attr(v, "result"))),
        ("random_password", vec![("length", n(7))], Some(|v| attr(v, "result"))),
        (
            "random_integer",
            vec![("min", n(-3)), ("max", n(3))],
            Some(|v| format!("{},-3,3", attr(v, "result"))),
        ),
        ("random_pet", vec![], None),
        ("random_shuffle", vec![("input", crate::kit::strings(["a", "b"]))], None),
        ("random_uuid", vec![], Some(|v| attr(v, "id"))),
        ("random_uuid4", vec![], Some(|v| attr(v, "id"))),
        ("random_uuid7", vec![], Some(|v| attr(v, "id"))),
        ("null_resource", vec![], None),
        ("terraform_data", vec![], Some(|v| attr(v, "id"))),
        ("local_file", vec![("filename", text("f")), ("content", text("c"))], None),
        ("local_sensitive_file", vec![("filename", text("g")), ("content", text("c"))], None),
        (
            "archive_file",
            vec![
                ("type", text("zip")),
                ("output_path", text("o.zip")),
                ("source_content", text("x")),
                ("source_content_filename", text("x.txt")),
            ],
            None,
        ),
        ("cloudinit_config", vec![("part", Value::tuple(vec![part()]))], None),
        ("tls_private_key", vec![("algorithm", text("ED25519"))], None),
        ("tls_self_signed_cert", certificate(&[("private_key_pem", text(KEY))]), None),
        ("tls_cert_request", vec![("private_key_pem", text(KEY))], None),
        ("time_static", vec![], Some(|v| attr(v, "id"))),
        ("time_offset", vec![("offset_days", n(3))], Some(|v| format!("{},,,3,,,", attr(v, "id")))),
        (
            "time_rotating",
            vec![base(), ("rotation_months", n(1))],
            Some(|v| format!("{},0,1,0,0,0", attr(v, "id"))),
        ),
        ("time_sleep", vec![("create_duration", text("30s"))], Some(|_| "30s,".into())),
    ]
}

#[test]
fn what_is_made_reads_the_same_imports_the_same_and_goes_twice() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, args, import) in cases() {
        let world = World::new(kind.split('_').next().unwrap(), folder.path());
        let made = world.create(kind, &args);
        assert_eq!(world.read(kind, &made).as_ref(), Some(&made), "{kind} reads as it was made");
        match import {
            Some(id) => {
                let imported = world.import(kind, &id(&made)).unwrap();
                // A hash has a salt of its own; the pause of a creation is over when it is imported.
                let volatile = |name: &str| name == "bcrypt_hash" || (kind == "time_sleep" && name == "id");
                for (name, value) in made.as_map().unwrap().iter().filter(|(n, _)| !volatile(n)) {
                    assert_eq!(imported.get(name), Some(value), "{kind}.{name} after an import");
                }
            }
            None => assert!(world.import(kind, "x").unwrap_err().contains("can't be imported"), "{kind}"),
        }
        world.delete(kind, &made);
        world.delete(kind, &made);
    }
}

#[test]
fn every_resource_kind_is_among_the_cases() {
    let named: Vec<&str> = cases().into_iter().map(|(kind, _, _)| kind).collect();
    for provider in providers(&Machine::default()) {
        for kind in provider.schema().resources.keys() {
            // It needs a request and a CA: tls/tests.rs makes them.
            assert!(named.contains(&&**kind) || &**kind == "tls_locally_signed_cert", "{kind} has no case");
        }
    }
}

#[test]
fn import_ids_that_say_nothing_are_refused_with_their_form() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, id) in [
        ("random_id", "??"),
        ("random_integer", "1,2"),
        ("random_uuid", "no"),
        ("random_bytes", "%"),
        ("time_static", "yesterday"),
        ("time_offset", "2023-11-14T22:13:20Z,1"),
        ("time_rotating", "2023-11-14T22:13:20Z,,,,,"),
        ("time_sleep", ","),
    ] {
        let world = World::new(kind.split('_').next().unwrap(), folder.path());
        assert!(world.import(kind, id).is_err(), "{kind} {id}");
    }
}

#[test]
fn a_rotation_is_gone_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new("time", folder.path());
    let made = world.create("time_rotating", &[("rotation_minutes", Value::from(5_i64))]);
    assert!(world.read("time_rotating", &made).is_some());
    let later = groma_provider::Clock::sleep(&world.clock, Duration::from_secs(301));
    block_on(&world.clock, later);
    assert!(world.read("time_rotating", &made).is_none());
}

#[test]
fn ephemeral_kinds_are_drawn_anew_and_have_what_their_resources_have() {
    let password = [("length", Value::from(12_i64)), ("special", Value::bool(false))];
    let key = [("algorithm", text("ED25519"))];
    for (provider, kind, args, secret) in [
        ("random", "random_password", &password[..], "result"),
        ("tls", "tls_private_key", &key[..], "private_key_pem"),
    ] {
        let world = World::new(provider, Path::new("."));
        let schema = &world.provider.schema().ephemeral[kind];
        assert!(schema.block.attrs[secret].sensitive && !schema.block.attrs.contains_key("id"));
        let config = filled(&schema.block, args);
        assert_eq!(world.provider.validate(groma_types::Mode::Ephemeral, kind, &config).len(), 0);
        let open = || {
            let args = config.clone().resolve().unwrap();
            block_on(&world.clock, world.client.mint(kind, args)).unwrap()
        };
        let (first, second) = (open(), open());
        assert_eq!(first.value.ty(), schema.block.ty(), "{kind}");
        assert_eq!(first.renew_at, None);
        assert_ne!(attr(&first.value, secret), attr(&second.value, secret), "{kind}");
        assert!(attr(&first.value, secret).len() >= 12);
        let none = filled(&schema.block, &[]);
        let short = none.with_attr("length", Value::from(0_i64)).with_attr("algorithm", text("DSA"));
        assert!(!world.provider.validate(groma_types::Mode::Ephemeral, kind, &short).is_empty());
    }
}
