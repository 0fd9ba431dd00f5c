//! The world's rules, each seen through a client as the engine sees them.

use crate::{
    Fault, Latency, Op, SimClock, SimConfig, SimEntropy, SimProvider, SimWorld, When, block_on,
    block_on_until_crash, kinds,
};
use futures::future::join;
use groma_provider::{
    Action, Clock, Configure, Configured, CreateRequest, DeleteRequest, Environment, ErrorKind, Found,
    Identity, Interrupted, Made, Minted, Minter, NetworkPolicy, NoLog, Object, OpContext, Provider,
    ProviderError, Read, ReadRequest, RecoverRequest, ResumeRequest, UpdateRequest, async_trait,
};
use groma_types::schema::{Presence, Timeouts};
use groma_types::{AttrPath, Resolved, Timestamp, Type, Value};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// The engine's side of an operation, as far as a provider sees it.
struct Context {
    clock: SimClock,
    made: Mutex<Vec<Made>>,
    waits: Mutex<Vec<String>>,
    /// Pauses until the user stops the run.
    patience: AtomicU32,
}

#[async_trait]
impl OpContext for Context {
    async fn made(&self, made: Made) {
        self.made.lock().unwrap().push(made);
    }
    fn waiting(&self, what: &str) {
        self.waits.lock().unwrap().push(what.into());
    }
    async fn pause(&self, duration: Duration) -> Result<(), Interrupted> {
        if self.is_stopped() {
            return Err(Interrupted);
        }
        self.patience.fetch_sub(1, Ordering::SeqCst);
        self.clock.sleep(duration).await;
        Ok(())
    }
    fn is_stopped(&self) -> bool {
        self.patience.load(Ordering::SeqCst) == 0
    }
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
    fn made_in_this_run(&self, key: &str) -> bool {
        key.starts_with("fresh")
    }
}

/// A world with a client in it.
#[derive(Clone)]
struct Bench {
    world: SimWorld,
    clock: SimClock,
    client: Arc<dyn Configured>,
}

impl Bench {
    fn new(config: SimConfig) -> Bench {
        let (world, clock) = (SimWorld::new(config), SimClock::new(Timestamp::from_secs(1_000_000)));
        let client = configure(&clock, &SimProvider::cloud(world.clone()), &[], None).unwrap();
        Bench { world, clock, client }
    }
    fn context(&self) -> Context {
        Context {
            clock: self.clock.clone(),
            made: Mutex::default(),
            waits: Mutex::default(),
            patience: AtomicU32::new(u32::MAX),
        }
    }
    fn create_as(&self, kind: &str, attrs: &[(&str, Value)], token: &str) -> Result<Object, ProviderError> {
        block_on(&self.clock, self.client.create(kind, request(kind, attrs, token), &self.context()))
    }
    fn create(&self, kind: &str, attrs: &[(&str, Value)]) -> Result<Object, ProviderError> {
        let token = format!("token-{kind}-{attrs:?}");
        self.create_as(kind, attrs, &token)
    }
    fn read(&self, kind: &str, object: &Object) -> Result<Read, ProviderError> {
        block_on(&self.clock, self.client.read(kind, read_request(object)))
    }
    fn delete(&self, kind: &str, object: &Object) -> Result<(), ProviderError> {
        let timeouts = Timeouts::all(30 * MINUTE);
        let request =
            DeleteRequest { prior: object.attributes.clone(), private: object.private.clone(), timeouts };
        block_on(&self.clock, self.client.delete(kind, request, &self.context()))
    }
    fn update(&self, kind: &str, object: &Object, attr: &str, value: &str) -> Result<Object, ProviderError> {
        let planned = resolved(object.attributes.with_attr(attr, value.into()));
        let request = UpdateRequest {
            prior: object.attributes.clone(),
            private: object.private.clone(),
            config: planned.clone(),
            planned,
            owner_mark: None,
            token: "update".into(),
            timeouts: Timeouts::all(30 * MINUTE),
        };
        block_on(&self.clock, self.client.update(kind, request, &self.context()))
    }
    fn recover(&self, kind: &str, attrs: &[(&str, Value)], token: &str) -> Found {
        let CreateRequest { planned, identity, .. } = request(kind, attrs, token);
        let request = RecoverRequest { planned, identity, begun: self.clock.now() };
        block_on(&self.clock, self.client.recover(kind, request)).unwrap()
    }
    fn host(&self, name: &str) -> Object {
        self.create("sim_host", &[("name", name.into())]).unwrap()
    }
    /// A client of the world on a host.
    fn inside(&self, host: &Object, minter: Option<Arc<dyn Minter>>) -> Bench {
        let provider = SimProvider::hosted(self.world.clone());
        let config = ["endpoint", "ca"].map(|a| host.attributes.get(a).unwrap().clone());
        let [endpoint, ca] = config;
        let client = configure(&self.clock, &provider, &[("host", endpoint), ("ca", ca)], minter).unwrap();
        Bench { client, ..self.clone() }
    }
}

fn resolved(value: Value) -> Resolved {
    value.resolve().unwrap()
}

fn request(kind: &str, attrs: &[(&str, Value)], token: &str) -> CreateRequest {
    let block = &kinds::row(kind).unwrap().schema().block;
    let nulls = block.attrs.iter().map(|(name, a)| (name.clone(), Value::null(a.ty.clone())));
    let given = attrs.iter().map(|(name, value)| ((*name).into(), value.clone()));
    let planned = resolved(Value::object(nulls.chain(given)));
    CreateRequest {
        config: planned.clone(),
        planned,
        identity: Identity { token: token.into(), owner_mark: Some(format!("mark-{token}")) },
        timeouts: Timeouts::all(30 * MINUTE),
    }
}

fn read_request(object: &Object) -> ReadRequest {
    ReadRequest { prior: object.attributes.clone(), private: object.private.clone(), owner_mark: None }
}

fn environment(clock: &SimClock) -> Environment {
    Environment {
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(SimEntropy::new(7)),
        calls: Arc::new(NoLog),
        network: NetworkPolicy::LoopbackOnly,
        vars: Arc::default(),
    }
}

fn configure(
    clock: &SimClock,
    provider: &SimProvider,
    config: &[(&str, Value)],
    minter: Option<Arc<dyn Minter>>,
) -> Result<Arc<dyn Configured>, ProviderError> {
    let config = Value::object(config.iter().map(|(name, value)| (*name, value.clone())));
    let minted: BTreeMap<_, _> = minter.map(|m| (AttrPath::root().attr("token"), m)).into_iter().collect();
    let request = Configure { config: resolved(config), minted, env: environment(clock), fresh_host: false };
    block_on(clock, provider.configure(request))
}

fn kind_of<T: std::fmt::Debug>(answer: Result<T, ProviderError>) -> ErrorKind {
    answer.unwrap_err().kind
}

/// Arguments of an object of each kind that needs nothing else.
fn alone() -> Vec<(&'static str, Vec<(&'static str, Value)>)> {
    vec![
        ("sim_host", vec![("name", "h".into()), ("version", "1".into())]),
        ("sim_role", vec![("name", "r".into()), ("policy", "p".into())]),
        ("sim_item", vec![("value", "v".into()), ("fanout", Value::from(2_i64))]),
        ("sim_named", vec![("name", "n".into()), ("value", "v".into())]),
        ("sim_blind", vec![("value", "v".into())]),
    ]
}

#[test]
fn virtual_time_jumps_to_the_next_sleeper() {
    let clock = SimClock::new(Timestamp(0));
    let order = Mutex::new(Vec::new());
    let nap = |name: &'static str, seconds| {
        let (clock, order) = (clock.clone(), &order);
        async move {
            clock.sleep(Duration::from_secs(seconds)).await;
            order.lock().unwrap().push((name, clock.now().0));
            clock.sleep(Duration::from_secs(seconds)).await;
            order.lock().unwrap().push((name, clock.now().0));
        }
    };
    block_on(&clock, join(nap("a", 3), nap("b", 2)));
    assert_eq!(*order.lock().unwrap(), [("b", 2000), ("a", 3000), ("b", 4000), ("a", 6000)]);
    drop(clock.sleep(MINUTE));
    assert_eq!(clock.now().0, 6000);
}

#[test]
fn every_attribute_is_documented_and_has_a_fitting_value() {
    let world = SimWorld::default();
    for provider in SimProvider::both(&world) {
        let schema = provider.schema();
        for kind in schema.resources.values().chain(schema.data.values()) {
            assert!(!kind.block.doc.is_empty());
            assert!(kind.block.attrs.values().all(|a| !a.doc.is_empty()), "{}", kind.kind);
        }
    }
}

#[test]
fn create_read_update_delete_import_agree_for_every_kind() {
    for (kind, attrs) in alone() {
        let bench = Bench::new(SimConfig::default());
        let object = bench.create(kind, &attrs).unwrap();
        let schema = kinds::row(kind).unwrap().schema();
        assert_eq!(object.attributes.ty(), schema.block.ty(), "{kind}");
        assert!(object.attributes.str_attr("id").is_some());
        assert_eq!(bench.read(kind, &object).unwrap(), Read::Present(object.clone()));
        let id = object.attributes.str_attr("id").unwrap();
        let imported = block_on(&bench.clock, bench.client.import(kind, id)).unwrap();
        assert_eq!(imported, Read::Present(object.clone()));
        let is_plain = |a: &&str| {
            schema.block.attrs.get(*a).is_some_and(|a| {
                a.presence == Presence::Optional && !a.forces_replacement && a.ty == Type::String
            })
        };
        let attr = ["value", "version", "policy"].into_iter().find(is_plain).unwrap();
        let changed = bench.update(kind, &object, attr, "new").unwrap();
        assert_eq!(changed.attributes.str_attr(attr), Some("new"));
        assert_eq!(bench.read(kind, &changed).unwrap(), Read::Present(changed.clone()));
        bench.delete(kind, &changed).unwrap();
        bench.delete(kind, &changed).unwrap();
        assert_eq!(bench.read(kind, &changed).unwrap(), Read::Gone);
        assert!(bench.world.objects().is_empty());
        let others = block_on(&bench.clock, bench.client.read_many(kind, &[read_request(&changed)])).unwrap();
        assert_eq!(others, Some(vec![Read::Gone]));
    }
}

#[test]
fn computed_attributes_follow_arguments() {
    let bench = Bench::new(SimConfig::default());
    let item = bench.create("sim_item", &[("value", "v".into()), ("fanout", Value::from(2_i64))]).unwrap();
    let keys = Value::list(Type::String, vec!["k0".into(), "k1".into()]);
    assert_eq!(item.attributes.get("keys"), Some(&keys));
    assert_eq!(item.attributes.str_attr("derived"), Some("derived from v"));
    let item = bench.update("sim_item", &item, "value", "w").unwrap();
    assert_eq!(item.attributes.str_attr("derived"), Some("derived from w"));
    assert_eq!(item.attributes.get("revision"), Some(&Value::from(1_i64)));
    assert_eq!(kind_of(bench.update("sim_item", &item, "immutable", "x")), ErrorKind::Invalid);
}

#[test]
fn creation_takes_its_time_says_so_and_can_be_interrupted_and_resumed() {
    let bench = Bench::new(SimConfig::default());
    let context = bench.context();
    context.patience.store(3, Ordering::SeqCst);
    let attrs = [("name", Value::from("h"))];
    let answer =
        block_on(&bench.clock, bench.client.create("sim_host", request("sim_host", &attrs, "t"), &context));
    assert_eq!(kind_of(answer), ErrorKind::Interrupted);
    assert_eq!(context.waits.lock().unwrap()[0], "host-0001 to be ready");
    let made = context.made.lock().unwrap().pop().unwrap();
    let object = Object { attributes: made.attributes, private: made.private };
    let timeouts = Timeouts::all(30 * MINUTE);
    let resume = |action| ResumeRequest { action, object: object.clone(), operation: None, timeouts };
    let begun = bench.clock.now();
    let context = bench.context();
    let read = block_on(&bench.clock, bench.client.resume("sim_host", resume(Action::Create), &context));
    assert_eq!(read.unwrap(), Read::Present(object.clone()));
    assert!(bench.clock.now().since(begun) > 9 * MINUTE);
    let read = block_on(&bench.clock, bench.client.resume("sim_host", resume(Action::Delete), &context));
    assert!(matches!(read.unwrap(), Read::Present(_)), "a delete that nobody asked for does not end");
}

#[test]
fn a_wait_ends_with_its_timeout() {
    let bench = Bench::new(SimConfig::default());
    let mut slow = request("sim_host", &[("name", "h".into())], "t");
    slow.timeouts = Timeouts::all(MINUTE);
    let answer = block_on(&bench.clock, bench.client.create("sim_host", slow, &bench.context()));
    assert_eq!(kind_of(answer), ErrorKind::TimedOut);
    assert_eq!(bench.world.of_kind("sim_host").len(), 1);
}

#[test]
fn one_token_makes_one_object_and_one_name_one_owner() {
    let bench = Bench::new(SimConfig::default());
    let attrs = [("value", Value::from("v"))];
    let first = bench.create_as("sim_item", &attrs, "t").unwrap();
    assert_eq!(bench.create_as("sim_item", &attrs, "t").unwrap(), first);
    assert_eq!(bench.world.objects()[0].creates, 2);
    bench.create_as("sim_item", &attrs, "u").unwrap();
    assert_eq!((bench.world.objects().len(), bench.world.doubles().len()), (2, 0));
    let named = [("name", Value::from("n"))];
    bench.create_as("sim_named", &named, "t").unwrap();
    assert_eq!(kind_of(bench.create_as("sim_named", &named, "t")), ErrorKind::Conflict);
}

#[test]
fn a_lost_answer_is_recovered_by_token_mark_or_key() {
    for (kind, attrs) in alone() {
        let bench = Bench::new(SimConfig::default());
        assert!(matches!(bench.recover(kind, &attrs, "t"), Found::Absent | Found::CannotTell));
        bench.world.lose_answer(kind, Op::Create, 1);
        assert_eq!(kind_of(bench.create_as(kind, &attrs, "t")), ErrorKind::Ambiguous);
        let found = bench.recover(kind, &attrs, "t");
        let fits = match kind {
            "sim_blind" => found == Found::CannotTell,
            _ => matches!(found, Found::Ours(_)),
        };
        assert!(fits, "{kind}: {found:?}");
    }
    // Without mark or token, what has other attributes than were planned is somebody else's.
    let bench = Bench::new(SimConfig::default());
    bench.create("sim_named", &[("name", "n".into()), ("value", "theirs".into())]).unwrap();
    let ours = [("name", Value::from("n")), ("value", "ours".into())];
    assert!(matches!(bench.recover("sim_named", &ours, "t"), Found::Foreign(_)));
    let bench = Bench::new(SimConfig::default());
    bench.create("sim_role", &[("name", "r".into())]).unwrap();
    let grant = [("role", Value::from("r")), ("policy", "p".into())];
    bench.world.lose_answer("sim_grant", Op::Create, 1);
    assert_eq!(kind_of(bench.create("sim_grant", &grant)), ErrorKind::Ambiguous);
    assert!(matches!(bench.recover("sim_grant", &grant, "other"), Found::Ours(_)));
    assert!(matches!(bench.recover("sim_role", &[("name", "r".into())], "other"), Found::Foreign(_)));
}

#[test]
fn a_crash_at_any_point_leaves_at_most_one_object_which_recovery_finds() {
    for (kind, attrs) in alone().into_iter().filter(|(kind, _)| !matches!(*kind, "sim_named" | "sim_blind")) {
        let mut polls = 0;
        loop {
            let bench = Bench::new(SimConfig::default());
            let context = bench.context();
            let create = bench.client.create(kind, request(kind, &attrs, "t"), &context);
            let ended = block_on_until_crash(&bench.clock, create, polls).is_some();
            match bench.recover(kind, &attrs, "t") {
                Found::Absent => assert!(context.made.lock().unwrap().is_empty()),
                Found::Ours(_) => {}
                found => panic!("{kind} after {polls} polls: {found:?}"),
            }
            // Kinds without a token answer that the name is taken.
            let again = bench.create_as(kind, &attrs, "t");
            assert!(again.is_ok() || kind_of(again) == ErrorKind::Conflict);
            assert_eq!(bench.world.objects().len(), 1, "{kind} after {polls} polls");
            if ended {
                break;
            }
            polls += 1;
        }
        assert!(polls > 1);
    }
}

#[test]
fn faults_strike_when_they_were_asked_to() {
    let bench = Bench::new(SimConfig::default());
    let create = || bench.create_as("sim_item", &[], &format!("t{}", bench.world.calls().len()));
    bench.world.fail("sim_item", Op::Create, 2, ErrorKind::Unavailable);
    assert!(create().is_ok());
    assert_eq!(kind_of(create()), ErrorKind::Unavailable);
    assert!(create().is_ok());
    assert_eq!(bench.world.objects().len(), 2);
    let (kind, op, when) = ("*".into(), Op::Create, When::Wait);
    bench.world.fault(Fault { kind, op, nth: 1, times: 1, when, error: ErrorKind::Tainted });
    assert_eq!(kind_of(create()), ErrorKind::Tainted);
    assert_eq!(bench.world.objects().len(), 3);
    assert_eq!((bench.world.mutating_calls(), bench.world.count("sim_item", Op::Create)), (4, 4));
    bench.world.configure(|c| c.random_faults = Some((1000, 3)));
    let failed = (0..100).filter(|_| create().is_err()).count();
    assert!((60..95).contains(&failed), "{failed}");
    bench.world.heal();
    assert!(create().is_ok());
}

#[test]
fn quotas_throttle_and_the_client_comes_again() {
    let bench = Bench::new(SimConfig { quota: Some(3), request: Duration::ZERO, ..SimConfig::default() });
    let context = bench.context();
    let all = futures::future::join_all(
        ["a", "b", "c", "d", "e", "f"]
            .map(|n| bench.client.create("sim_blind", request("sim_blind", &[], n), &context)),
    );
    assert!(block_on(&bench.clock, all).into_iter().all(|answer| answer.is_ok()));
    assert!(bench.world.calls().iter().any(|c| c.error == Some(ErrorKind::Throttled)));
    assert_eq!(bench.world.objects().len(), 6);
}

#[test]
fn fresh_objects_may_be_invisible() {
    let bench = Bench::new(SimConfig { visibility: Duration::from_secs(10), ..SimConfig::default() });
    for (role, expected) in [("old", Some(ErrorKind::NotFound)), ("fresh", None)] {
        let context = bench.context();
        let attrs = [("name", Value::from(role))];
        let made = bench.client.create("sim_role", request("sim_role", &attrs, role), &context);
        let grant = [("role", Value::from(role)), ("policy", "p".into())];
        let granted = async {
            bench.clock.sleep(Duration::from_secs(1)).await;
            bench.client.create("sim_grant", request("sim_grant", &grant, role), &context).await
        };
        let (made, granted) = block_on(&bench.clock, join(made, granted));
        assert!(made.is_ok());
        assert_eq!(granted.err().map(|e| e.kind), expected, "{role}");
    }
}

#[test]
fn what_others_need_is_not_deleted() {
    let bench = Bench::new(SimConfig::default());
    let host = bench.host("h");
    let pool = bench.create("sim_pool", &[("host_name", "h".into()), ("name", "p".into())]).unwrap();
    bench.create("sim_entry", &[("host_name", "h".into()), ("principal", "me".into())]).unwrap();
    let role = bench.create("sim_role", &[("name", "r".into())]).unwrap();
    let grant = bench.create("sim_grant", &[("role", "r".into()), ("policy", "p".into())]).unwrap();
    assert_eq!(kind_of(bench.delete("sim_host", &host)), ErrorKind::Conflict);
    assert_eq!(kind_of(bench.delete("sim_role", &role)), ErrorKind::Conflict);
    bench.delete("sim_pool", &pool).unwrap();
    bench.delete("sim_grant", &grant).unwrap();
    bench.delete("sim_host", &host).unwrap();
    bench.delete("sim_role", &role).unwrap();
    assert!(bench.world.objects().is_empty(), "entries go with their host");
}

#[test]
fn a_role_must_have_grants_where_that_is_asked_for() {
    let bench = Bench::new(SimConfig { roles_need_grants: true, ..SimConfig::default() });
    let role = bench.create("sim_role", &[("name", "r".into())]).unwrap();
    let host = [("name", Value::from("h")), ("role", role.attributes.get("arn").unwrap().clone())];
    assert_eq!(kind_of(bench.create("sim_host", &host)), ErrorKind::Invalid);
    bench.create("sim_grant", &[("role", "r".into()), ("policy", "p".into())]).unwrap();
    assert!(bench.create("sim_host", &host).is_ok());
}

#[test]
fn hosted_objects_need_their_host_and_go_with_it() {
    let bench = Bench::new(SimConfig::default());
    let host = bench.host("h");
    let inside = bench.inside(&host, None);
    let identity = block_on(&bench.clock, inside.client.identity()).unwrap();
    assert_eq!(identity.to_string(), "host host-0001");
    let app = [("name", Value::from("a")), ("image", "i".into())];
    let mut starved = request("sim_app", &app, "t");
    starved.timeouts = Timeouts::all(MINUTE);
    let answer = block_on(&bench.clock, inside.client.create("sim_app", starved, &bench.context()));
    assert_eq!(kind_of(answer), ErrorKind::TimedOut);
    bench.create("sim_pool", &[("host_name", "h".into()), ("name", "p".into())]).unwrap();
    let app = block_on(&bench.clock, inside.client.import("sim_app", "a")).unwrap();
    let Read::Present(app) = app else { panic!("it was made") };
    assert!(inside.update("sim_app", &app, "image", "j").is_ok());
    let map = inside.create("sim_map", &[("name", "m".into())]).unwrap();
    let service = [("name", Value::from("s")), ("type", "LoadBalancer".into())];
    let service = inside.create("sim_service", &service).unwrap();
    assert!(service.attributes.str_attr("address").is_some());
    assert_eq!((bench.world.of_kind("sim_load_balancer").len(), bench.world.leaks().len()), (1, 0));
    let other = bench.world.snapshot();
    assert_eq!(bench.world.remove("sim_host", |_| true), 1);
    assert_eq!(kind_of(inside.read("sim_map", &map)), ErrorKind::Unreachable);
    assert_eq!(bench.world.objects().len(), 1, "only the load balancer is left");
    assert_eq!(bench.world.leaks().len(), 1);
    assert_eq!(other.objects().len(), 6, "a snapshot goes its own way");
}

#[test]
fn a_load_balancer_goes_with_its_service() {
    let bench = Bench::new(SimConfig::default());
    let inside = bench.inside(&bench.host("h"), None);
    let balanced = [("name", Value::from("s")), ("type", "LoadBalancer".into())];
    let service = inside.create("sim_service", &balanced).unwrap();
    let service = inside.update("sim_service", &service, "type", "ClusterIP").unwrap();
    assert_eq!(service.attributes.get("address"), Some(&Value::null(Type::String)));
    assert!(bench.world.of_kind("sim_load_balancer").is_empty());
    let service = inside.update("sim_service", &service, "type", "LoadBalancer").unwrap();
    assert_eq!(bench.world.of_kind("sim_load_balancer").len(), 1);
    inside.delete("sim_service", &service).unwrap();
    assert!(bench.world.of_kind("sim_load_balancer").is_empty());
}

/// Mints through the cloud client, as the engine does; `stale` texts are given until renewal is asked for.
struct Tokens {
    bench: Bench,
    host: &'static str,
    held: Mutex<Option<Minted>>,
}

#[async_trait]
impl Minter for Tokens {
    async fn mint(&self, renew: bool) -> Result<Minted, ProviderError> {
        if let (false, Some(minted)) = (renew, self.held.lock().unwrap().clone()) {
            return Ok(minted);
        }
        let args = resolved(Value::object([("host_name", Value::from(self.host))]));
        let minted = self.bench.client.mint("sim_token", args).await?;
        let token = minted.value.get("token").unwrap().clone();
        let minted = Minted { value: token, ..minted };
        *self.held.lock().unwrap() = Some(minted.clone());
        Ok(minted)
    }
}

#[test]
fn tokens_are_checked_expire_and_are_minted_anew_once() {
    let bench = Bench::new(SimConfig { require_token: true, ..SimConfig::default() });
    let (host, _) = (bench.host("h"), bench.host("other"));
    let tokens = |host| Tokens { bench: bench.clone(), host, held: Mutex::default() };
    let create = |inside: &Bench, name: &str| inside.create("sim_map", &[("name", name.into())]);
    assert_eq!(kind_of(create(&bench.inside(&host, None), "a")), ErrorKind::Denied);
    let wrong = bench.inside(&host, Some(Arc::new(tokens("other"))));
    assert_eq!(kind_of(create(&wrong, "a")), ErrorKind::Denied);
    let inside = bench.inside(&host, Some(Arc::new(tokens("h"))));
    assert!(create(&inside, "a").is_ok());
    assert_eq!(bench.world.count("sim_token", Op::Mint), 3);
    bench.clock.advance(20 * MINUTE);
    assert!(create(&inside, "b").is_ok());
    assert_eq!(bench.world.count("sim_token", Op::Mint), 4);
    bench.world.expire_tokens();
    assert!(create(&inside, "c").is_ok());
    assert_eq!(bench.world.count("sim_token", Op::Mint), 5);
}

#[test]
fn data_sources_find_by_name() {
    let bench = Bench::new(SimConfig::default());
    bench.create("sim_named", &[("name", "n".into()), ("value", "v".into())]).unwrap();
    let host = bench.host("h");
    let data = |kind, name: &str| {
        let config = resolved(Value::object([("name", Value::from(name))]));
        block_on(&bench.clock, bench.client.read_data(kind, config)).unwrap()
    };
    assert_eq!(data("sim_lookup", "n").unwrap().str_attr("value"), Some("v"));
    assert_eq!(data("sim_host", "h").unwrap().get("endpoint"), host.attributes.get("endpoint"));
    assert_eq!(data("sim_lookup", "x"), None);
}

#[test]
fn latencies_vary_by_seed_and_repeat() {
    let run = |seed| {
        let latency = Latency { create: MINUTE, update: MINUTE, delete: MINUTE };
        let latency = BTreeMap::from([("*".to_string(), latency)]);
        let bench = Bench::new(SimConfig { latency, jitter: Some(seed), ..SimConfig::default() });
        bench.create("sim_item", &[]).unwrap();
        (bench.world.objects(), bench.clock.now())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).1, run(5).1);
}

#[test]
fn contents_are_equal_whatever_the_order_of_creation() {
    let run = |names: [&str; 2]| {
        let bench = Bench::new(SimConfig::default());
        let made = names.map(|n| bench.create("sim_item", &[("name", n.into())]).unwrap());
        let first = made.iter().find(|o| o.attributes.str_attr("name") == Some("a")).unwrap();
        bench.create("sim_item", &[("value", first.attributes.get("id").unwrap().clone())]).unwrap();
        bench.world.contents()
    };
    assert_eq!(run(["a", "b"]), run(["b", "a"]));
    assert_ne!(run(["a", "b"]), run(["a", "c"]));
}

#[test]
fn what_is_attached_goes_with_what_another_hand_removes() {
    let bench = Bench::new(SimConfig::default());
    for role in ["r", "s"] {
        bench.create("sim_role", &[("name", role.into())]).unwrap();
        bench.create("sim_grant", &[("role", role.into()), ("policy", "p".into())]).unwrap();
    }
    assert_eq!(bench.world.remove("sim_role", |o| o.attributes.str_attr("name") == Some("r")), 1);
    assert_eq!(bench.world.of_kind("sim_grant").len(), 1);
    assert_eq!(bench.world.drift("sim_role", "policy", &"q".into(), |_| true), 1);
}

#[test]
fn bad_arguments_are_named() {
    let provider = SimProvider::cloud(SimWorld::default());
    let rule = Value::object([("port", Value::from(70_000_i64))]);
    let config = Value::object([("fanout", Value::from(-1_i64)), ("rule", Value::tuple(vec![rule]))]);
    let paths: Vec<String> = provider
        .validate(groma_types::Mode::Managed, "sim_item", &config)
        .into_iter()
        .map(|p| p.path.to_string())
        .collect();
    assert_eq!(paths, ["fanout", "rule[0].port"]);
}
