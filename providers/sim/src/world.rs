//! The simulated world: objects, rules, faults and the log of calls.

use crate::clock::scramble;
use crate::kinds::{self, LOAD_BALANCER, Row};
use groma_provider::{ErrorKind, Identity, ProviderError};
use groma_types::{Timestamp, Type, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    Create,
    Read,
    Update,
    Delete,
    List,
    Data,
    Mint,
    Renew,
    Close,
}

impl Op {
    pub fn is_mutating(self) -> bool {
        matches!(self, Op::Create | Op::Update | Op::Delete)
    }
}

/// One call that reached the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimCall {
    pub at: Timestamp,
    pub kind: String,
    pub op: Op,
    /// What the caller was told; an [`ErrorKind::Ambiguous`] call was carried out.
    pub error: Option<ErrorKind>,
}

/// At which point a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Nothing was done.
    Before,
    /// The work was done, the answer is lost.
    After,
    /// The work was done, the wait for it ends badly.
    Wait,
}

/// A fault on demand.
#[derive(Clone, Debug)]
pub struct Fault {
    /// `*` stands for all kinds.
    pub kind: String,
    pub op: Op,
    /// Which matching call is hit first, from 1, counted from now.
    pub nth: u32,
    /// How many calls in a row are hit.
    pub times: u32,
    pub when: When,
    pub error: ErrorKind,
}

/// How long operations of a kind take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    pub create: Duration,
    pub update: Duration,
    pub delete: Duration,
}

/// How the world behaves. The default is the friendly one with the typical latencies of the schema.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Other latencies than the typical ones, by kind; `*` for all others.
    pub latency: BTreeMap<String, Latency>,
    /// Latencies vary between half and one and a half, by this seed.
    pub jitter: Option<u64>,
    /// How long one request takes.
    pub request: Duration,
    /// How long fresh objects are invisible, for kinds that may be; at most what their schema says.
    pub visibility: Duration,
    /// Calls in a second above this are throttled.
    pub quota: Option<u32>,
    /// A host that names a role fails unless something is granted to the role.
    pub roles_need_grants: bool,
    /// Workloads become ready only where a pool is.
    pub apps_need_pools: bool,
    /// Hosted calls without a token are denied.
    pub require_token: bool,
    /// How long minted tokens hold.
    pub token_ttl: Duration,
    /// How long leases hold that nobody renews; `None`: until they are closed.
    pub lease_ttl: Option<Duration>,
    /// Of a thousand changing calls so many fail, half of them after the work was done; by this seed.
    pub random_faults: Option<(u32, u64)>,
}

impl Default for SimConfig {
    fn default() -> SimConfig {
        SimConfig {
            latency: BTreeMap::new(),
            jitter: None,
            request: Duration::from_millis(50),
            visibility: Duration::ZERO,
            quota: None,
            roles_need_grants: false,
            apps_need_pools: true,
            require_token: false,
            token_ttl: Duration::from_secs(15 * 60),
            lease_ttl: None,
            random_faults: None,
        }
    }
}

/// An object of the world.
#[derive(Clone, Debug, PartialEq)]
pub struct SimObject {
    pub kind: String,
    pub id: String,
    /// `cloud/ACCOUNT` or `host/ID`.
    pub scope: String,
    pub attributes: Value,
    pub owner_mark: Option<String>,
    /// Idempotency token of the create, where the kind takes one.
    pub token: Option<String>,
    pub made: Timestamp,
    /// Create requests that led to this one object.
    pub creates: u32,
    pub updates: u32,
    /// When its creation or last update is complete.
    pub ready: Timestamp,
    pub visible: Timestamp,
    /// When a delete that was asked for is complete.
    pub gone: Option<Timestamp>,
    /// The place and id of the object whose effect this one is.
    pub effect_of: Option<(String, String)>,
    /// What was written to it that nobody reads back, and how often.
    pub written: Option<String>,
    pub writes: u32,
}

impl SimObject {
    pub(crate) fn name(&self) -> Option<&str> {
        self.attributes.str_attr("name")
    }
}

/// A world. Clones are the same world; [`SimWorld::snapshot`] makes another one.
#[derive(Clone)]
pub struct SimWorld(Arc<Mutex<State>>);

#[derive(Clone)]
pub(crate) struct State {
    pub(crate) config: SimConfig,
    pub(crate) objects: BTreeMap<u64, SimObject>,
    count: u64,
    calls: Vec<SimCall>,
    faults: Vec<Fault>,
    /// Tokens with the id of their host and their end.
    tokens: BTreeMap<String, (String, Timestamp)>,
    /// Secrets of leases that are open, by id, and their end.
    leases: BTreeMap<String, (String, Option<Timestamp>)>,
    /// The second of the last call, and the calls in it.
    second: (i64, u32),
    random: u64,
}

impl Default for SimWorld {
    fn default() -> SimWorld {
        SimWorld::new(SimConfig::default())
    }
}

impl SimWorld {
    pub fn new(config: SimConfig) -> SimWorld {
        let seed = config.random_faults.map_or(0, |f| f.1) ^ config.jitter.unwrap_or(0);
        SimWorld(Arc::new(Mutex::new(State {
            config,
            objects: BTreeMap::new(),
            count: 0,
            calls: Vec::new(),
            faults: Vec::new(),
            tokens: BTreeMap::new(),
            leases: BTreeMap::new(),
            second: (0, 0),
            random: seed,
        })))
    }

    /// Returns a copy that goes its own way.
    #[must_use]
    pub fn snapshot(&self) -> SimWorld {
        SimWorld(Arc::new(Mutex::new(self.state().clone())))
    }

    /// Changes how the world behaves from now on.
    pub fn configure(&self, change: impl FnOnce(&mut SimConfig)) {
        change(&mut self.state().config);
    }

    /// All objects in the order of their creation, effects such as load balancers included.
    pub fn objects(&self) -> Vec<SimObject> {
        self.state().objects.values().cloned().collect()
    }

    /// The objects of a kind.
    pub fn of_kind(&self, kind: &str) -> Vec<SimObject> {
        self.state().objects.values().filter(|o| o.kind == kind).cloned().collect()
    }

    /// What there is, sorted, without times and drawn ids (an id that an attribute mentions becomes its kind):
    /// equal for worlds that a user can't tell apart.
    pub fn contents(&self) -> Vec<String> {
        let state = self.state();
        let drawn: Vec<&SimObject> = state.objects.values().filter(|o| !o.id.starts_with(&o.kind)).collect();
        let mut lines: Vec<String> = state.objects.values().map(describe).collect();
        for line in &mut lines {
            for object in drawn.iter().filter(|o| line.contains(&o.id)).collect::<Vec<_>>() {
                *line = line.replace(&object.id, &object.kind);
            }
        }
        lines.sort();
        lines
    }

    /// Objects with an owner mark that another object has too: one intent was carried out twice.
    pub fn doubles(&self) -> Vec<SimObject> {
        let state = self.state();
        let mut marks: BTreeMap<&str, u32> = BTreeMap::new();
        state
            .objects
            .values()
            .filter_map(|o| o.owner_mark.as_deref())
            .for_each(|m| *marks.entry(m).or_default() += 1);
        let is_double = |o: &&SimObject| o.owner_mark.as_deref().is_some_and(|m| marks[m] > 1);
        state.objects.values().filter(is_double).cloned().collect()
    }

    /// Effects whose cause is gone: what nobody will ever delete.
    pub fn leaks(&self) -> Vec<SimObject> {
        let state = self.state();
        let lost = |o: &&SimObject| {
            let there = |(scope, id): &(String, String)| {
                state.objects.values().any(|c| &c.scope == scope && &c.id == id)
            };
            o.effect_of.as_ref().is_some_and(|cause| !there(cause))
        };
        state.objects.values().filter(lost).cloned().collect()
    }

    pub fn calls(&self) -> Vec<SimCall> {
        self.state().calls.clone()
    }

    /// Number of changing calls so far.
    pub fn mutating_calls(&self) -> usize {
        self.state().calls.iter().filter(|c| c.op.is_mutating()).count()
    }

    /// Number of calls of one sort so far.
    pub fn count(&self, kind: &str, op: Op) -> usize {
        self.state().calls.iter().filter(|c| c.kind == kind && c.op == op).count()
    }

    pub fn forget_calls(&self) {
        self.state().calls.clear();
    }

    pub fn fault(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// The `nth` call from now fails before anything is done.
    pub fn fail(&self, kind: &str, op: Op, nth: u32, error: ErrorKind) {
        self.fault(Fault { kind: kind.into(), op, nth, times: 1, when: When::Before, error });
    }

    /// The `nth` call from now is carried out and its answer lost.
    pub fn lose_answer(&self, kind: &str, op: Op, nth: u32) {
        let error = ErrorKind::Ambiguous;
        self.fault(Fault { kind: kind.into(), op, nth, times: 1, when: When::After, error });
    }

    /// Takes away faults that have not struck.
    pub fn heal(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.config.random_faults = None;
    }

    /// Makes all tokens minted so far invalid.
    pub fn expire_tokens(&self) {
        self.state().tokens.clear();
    }

    /// Another hand mints a token for a host, that lasts.
    pub fn give_token(&self, host: &str) -> String {
        let mut state = self.state();
        let id = state
            .objects
            .values()
            .find(|o| o.kind == "sim_host" && o.name() == Some(host))
            .map(|o| o.id.clone());
        state.mint(Timestamp(i64::MAX), &id.unwrap_or_default()).0
    }

    /// How many leases nobody has closed.
    pub fn open_leases(&self) -> usize {
        self.state().leases.len()
    }

    /// Another hand deletes objects at once, with all that lives on them; effects of hosted ones stay.
    pub fn remove(&self, kind: &str, is_meant: impl Fn(&SimObject) -> bool) -> usize {
        let mut state = self.state();
        let meant = |o: &SimObject| o.kind == kind && is_meant(o);
        let ids: Vec<u64> = state.objects.iter().filter(|(_, o)| meant(o)).map(|(&n, _)| n).collect();
        ids.iter().for_each(|&n| state.vanish(n));
        ids.len()
    }

    /// Another hand changes an attribute of objects.
    pub fn drift(
        &self,
        kind: &str,
        attr: &str,
        value: &Value,
        is_meant: impl Fn(&SimObject) -> bool,
    ) -> usize {
        let mut state = self.state();
        let mut count = 0;
        for object in state.objects.values_mut().filter(|o| o.kind == kind && is_meant(o)) {
            object.attributes = object.attributes.with_attr(attr, value.clone());
            count += 1;
        }
        count
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("invariant: nothing panics under this lock")
    }
}

/// An object without what differs from one run to the next.
fn describe(object: &SimObject) -> String {
    let generated = ["id", "arn", "endpoint", "ca", "revision", "address"];
    let attrs = object.attributes.as_map().into_iter().flatten();
    let attrs: Vec<String> = attrs
        .filter(|(name, value)| !value.is_null() && !generated.contains(&&***name))
        .map(|(name, value)| format!("{name}={}", groma_types::json::to_json(value)))
        .collect();
    format!("{} {}", object.kind, attrs.join(" "))
}

pub(crate) fn error(kind: ErrorKind, message: impl Into<String>) -> ProviderError {
    ProviderError::new(kind, message)
}

impl State {
    /// Takes a call in: log, quota, faults; `work` is what it does.
    pub(crate) fn serve<T>(
        &mut self,
        now: Timestamp,
        kind: &str,
        op: Op,
        work: impl FnOnce(&mut State) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        self.settle(now);
        let answer = match self.refusal(now, kind, op) {
            Some(refused) => Err(refused),
            None => work(self).and_then(|done| match self.strikes(kind, op, When::After) {
                Some(lost) => Err(error(lost, "the connection was cut before an answer came")),
                None => Ok(done),
            }),
        };
        let kind = kind.to_string();
        self.calls.push(SimCall { at: now, kind, op, error: answer.as_ref().err().map(|e| e.kind) });
        answer
    }

    fn refusal(&mut self, now: Timestamp, kind: &str, op: Op) -> Option<ProviderError> {
        let second = now.0.div_euclid(1000);
        self.second = if self.second.0 == second { (second, self.second.1 + 1) } else { (second, 1) };
        if self.config.quota.is_some_and(|quota| self.second.1 > quota) {
            return Some(error(ErrorKind::Throttled, "rate exceeded"));
        }
        let struck = self.strikes(kind, op, When::Before)?;
        Some(error(struck, format!("{op:?} of {kind} fails, as was asked for")))
    }

    /// Whether a fault strikes this call now.
    pub(crate) fn strikes(&mut self, kind: &str, op: Op, when: When) -> Option<ErrorKind> {
        let mut struck = None;
        for fault in &mut self.faults {
            if fault.op != op || fault.when != when || fault.kind != kind && fault.kind != "*" {
                continue;
            }
            fault.nth = fault.nth.saturating_sub(1);
            if fault.nth == 0 && fault.times > 0 && struck.is_none() {
                fault.times -= 1;
                struck = Some(fault.error);
            }
        }
        self.faults.retain(|f| f.times > 0);
        struck.or_else(|| self.random_strike(op, when))
    }

    fn random_strike(&mut self, op: Op, when: When) -> Option<ErrorKind> {
        let (permille, _) = self.config.random_faults.filter(|_| op.is_mutating())?;
        let error = match when {
            When::Before => ErrorKind::Unavailable,
            When::After => ErrorKind::Ambiguous,
            When::Wait => return None,
        };
        (scramble(&mut self.random) % 2000 < u64::from(permille)).then_some(error)
    }

    /// Carries out the deletes whose time has come.
    fn settle(&mut self, now: Timestamp) {
        loop {
            let due = self.objects.iter().filter_map(|(&n, o)| o.gone.filter(|&g| g <= now).map(|g| (g, n)));
            let Some((_, number)) = due.min() else { return };
            self.vanish_with_effects(number);
        }
    }

    fn vanish_with_effects(&mut self, number: u64) {
        if let Some(object) = self.objects.get(&number) {
            let cause = (object.scope.clone(), object.id.clone());
            self.objects.retain(|_, o| o.effect_of.as_ref() != Some(&cause));
        }
        self.vanish(number);
    }

    /// Takes an object away and all that lives on it or is attached to it. Effects of what lived there stay behind.
    fn vanish(&mut self, number: u64) {
        let Some(object) = self.objects.remove(&number) else { return };
        let inside = format!("host/{}", object.id);
        self.objects.retain(|_, o| {
            let attached =
                kinds::row(&o.kind).and_then(|r| r.schema().attached_to.as_ref()).is_some_and(|attached| {
                    let name = object.name();
                    let names_it = name.is_some() && o.attributes.str_attr(&attached.arg) == name;
                    *attached.to == *object.kind && o.scope == object.scope && names_it
                });
            o.scope != inside && !attached
        });
    }

    pub(crate) fn find(&self, scope: &str, kind: &str, id: &str) -> Option<u64> {
        let is_it = |o: &&SimObject| o.kind == kind && o.scope == scope && o.id == id;
        self.number_of(is_it)
    }

    pub(crate) fn find_key(&self, scope: &str, row: &Row, attributes: &Value) -> Option<u64> {
        let key = &row.schema().natural_key;
        let same = |o: &SimObject| key.iter().all(|k| o.attributes.get(k) == attributes.get(k));
        self.number_of(|o| !key.is_empty() && o.kind == row.kind && o.scope == scope && same(o))
    }

    pub(crate) fn number_of(&self, is_it: impl Fn(&&SimObject) -> bool) -> Option<u64> {
        self.objects.iter().find(|(_, o)| is_it(o)).map(|(&n, _)| n)
    }

    /// The object of `kind` that an argument names.
    pub(crate) fn named(&self, scope: &str, kind: &str, name: &str) -> Option<&SimObject> {
        let by = |o: &&SimObject| o.name() == Some(name) || o.attributes.str_attr("arn") == Some(name);
        self.objects.values().filter(|o| o.kind == kind && o.scope == scope).find(by)
    }

    fn latency(&mut self, row: &Row, op: Op) -> Duration {
        let [create, update, delete] = row.seconds.map(Duration::from_secs);
        let given = self.config.latency.get(row.kind).or_else(|| self.config.latency.get("*"));
        let latency = given.copied().unwrap_or(Latency { create, update, delete });
        let duration = match op {
            Op::Update => latency.update,
            Op::Delete => latency.delete,
            Op::Create | Op::Read | Op::List | Op::Data | Op::Mint | Op::Renew | Op::Close => latency.create,
        };
        match self.config.jitter {
            Some(_) => duration.mul_f64(0.5 + (scramble(&mut self.random) % 1000) as f64 / 1000.0),
            None => duration,
        }
    }

    pub(crate) fn create(
        &mut self,
        now: Timestamp,
        scope: &str,
        row: &Row,
        planned: &Value,
        identity: &Identity,
    ) -> Result<u64, ProviderError> {
        let (planned, _) = planned.unmark_deep();
        let token = row.tokens.then(|| identity.token.clone());
        if let Some(number) = self.number_of(|o| row.tokens && o.scope == scope && o.token == token) {
            self.objects.entry(number).and_modify(|o| o.creates += 1);
            return Ok(number);
        }
        if self.find_key(scope, row, &planned).is_some() {
            return Err(error(ErrorKind::Conflict, format!("a {} with this name exists", row.kind)));
        }
        self.check_refs(now, scope, row, &planned)?;
        let schema = row.schema();
        self.count += 1;
        let number = self.count;
        let id = match planned.str_attr("name").filter(|_| row.hosted) {
            Some(name) => format!("{}/{name}", row.kind),
            None => format!("{}-{number:04}", row.kind.trim_start_matches("sim_")),
        };
        let ready = now + self.latency(row, Op::Create);
        let object = SimObject {
            kind: row.kind.into(),
            attributes: fill(row, &planned, &id, 0),
            id,
            scope: scope.into(),
            owner_mark: identity.owner_mark.clone().filter(|_| schema.owner_mark),
            token,
            made: now,
            creates: 1,
            updates: 0,
            ready,
            visible: now + self.config.visibility.min(schema.visibility),
            gone: None,
            effect_of: None,
            written: None,
            writes: 0,
        };
        self.add_effect(&object);
        self.objects.insert(number, object);
        Ok(number)
    }

    /// A service of type `LoadBalancer` makes one in the cloud, one of another type takes it away.
    fn add_effect(&mut self, service: &SimObject) {
        let cause = (service.scope.clone(), service.id.clone());
        self.objects.retain(|_, o| o.effect_of.as_ref() != Some(&cause));
        if service.kind != "sim_service" || service.attributes.str_attr("type") != Some("LoadBalancer") {
            return;
        }
        self.count += 1;
        let id = format!("lb-{:04}", self.count);
        let attributes = Value::object([("service", service.name().unwrap_or_default().into())]);
        let host =
            self.objects.values().find(|o| o.kind == "sim_host" && format!("host/{}", o.id) == service.scope);
        let scope = host.map_or_else(|| service.scope.clone(), |h| h.scope.clone());
        let effect = SimObject {
            kind: LOAD_BALANCER.into(),
            id,
            scope,
            attributes,
            owner_mark: None,
            token: None,
            effect_of: Some(cause),
            ..service.clone()
        };
        self.objects.insert(self.count, effect);
    }

    /// Everything that arguments name must be there, visible and, for a host, ready.
    fn check_refs(
        &self,
        now: Timestamp,
        scope: &str,
        row: &Row,
        planned: &Value,
    ) -> Result<(), ProviderError> {
        for &(arg, kind) in row.refs {
            let Some(name) = planned.str_attr(arg) else { continue };
            let at = groma_types::AttrPath::root().attr(arg);
            let Some(target) = self.named(scope, kind, name).filter(|t| t.visible <= now) else {
                return Err(error(ErrorKind::NotFound, format!("there is no {kind} {name}")).at(at));
            };
            if target.gone.is_some() || kind == "sim_host" && target.ready > now {
                return Err(error(ErrorKind::Conflict, format!("{kind} {name} is not ready")).at(at));
            }
            let granted =
                |o: &SimObject| o.kind == "sim_grant" && o.attributes.str_attr("role") == target.name();
            let needs_grants = row.kind == "sim_host" && self.config.roles_need_grants;
            if needs_grants && !self.objects.values().any(granted) {
                return Err(error(ErrorKind::Invalid, format!("nothing is granted to role {name}")).at(at));
            }
        }
        Ok(())
    }

    pub(crate) fn update(
        &mut self,
        now: Timestamp,
        number: u64,
        planned: &Value,
    ) -> Result<(), ProviderError> {
        let (planned, _) = planned.unmark_deep();
        let object =
            self.objects.get(&number).ok_or_else(|| error(ErrorKind::NotFound, "it is not there"))?;
        if object.gone.is_some() || object.ready > now {
            return Err(error(ErrorKind::Conflict, "another operation is going on"));
        }
        let row = kinds::row(&object.kind).expect("invariant: every object that a client names has a row");
        for (name, attr) in &row.schema().block.attrs {
            if attr.forces_replacement && object.attributes.get(name) != planned.get(name) {
                let at = groma_types::AttrPath::root().attr(name);
                return Err(error(ErrorKind::Invalid, format!("{name} can't change in place")).at(at));
            }
        }
        let ready = now + self.latency(row, Op::Update);
        let object = self.objects.get_mut(&number).expect("invariant: it was there two lines ago");
        let old_type = object.attributes.get("type").cloned();
        object.updates += 1;
        object.ready = ready;
        object.attributes = fill(row, &planned, &object.id, object.updates);
        if old_type.as_ref() != object.attributes.get("type") {
            let copy = object.clone();
            self.add_effect(&copy);
        }
        Ok(())
    }

    /// Begins a delete.
    pub(crate) fn delete(&mut self, now: Timestamp, number: u64) -> Result<(), ProviderError> {
        let Some(object) = self.objects.get(&number) else { return Ok(()) };
        if object.gone.is_some() {
            return Ok(());
        }
        if let Some(pin) = self.pin(object) {
            return Err(error(ErrorKind::Conflict, format!("{} {} is still there", pin.kind, pin.id)));
        }
        let row = kinds::row(&object.kind).expect("invariant: every object that a client names has a row");
        let gone = now + self.latency(row, Op::Delete);
        self.objects.entry(number).and_modify(|o| o.gone = Some(gone));
        self.settle(now);
        Ok(())
    }

    /// An object that keeps another from being deleted.
    fn pin(&self, object: &SimObject) -> Option<&SimObject> {
        let name = object.name()?;
        self.objects.values().find(|o| {
            let space = |o: &SimObject| o.attributes.str_attr("space").map(String::from);
            if object.kind == "sim_claim" && o.kind == "sim_app" {
                return o.scope == object.scope && space(o) == space(object);
            }
            let row = kinds::row(&o.kind).filter(|r| r.pins && o.scope == object.scope);
            let first = row.and_then(|r| r.refs.first());
            first.is_some_and(|&(arg, kind)| kind == object.kind && o.attributes.str_attr(arg) == Some(name))
        })
    }

    /// Whether a pool of the host is ready.
    pub(crate) fn has_capacity(&self, now: Timestamp, scope: &str) -> bool {
        let host = self.objects.values().find(|o| o.kind == "sim_host" && format!("host/{}", o.id) == scope);
        let is_pool = |o: &&SimObject, h: &SimObject| {
            o.kind == "sim_pool" && o.scope == h.scope && o.attributes.str_attr("host_name") == h.name()
        };
        let ready = |o: &SimObject| o.ready <= now && o.gone.is_none();
        host.is_some_and(|h| self.objects.values().filter(|o| is_pool(o, h)).any(ready))
    }

    /// The host at an endpoint, if it answers there.
    pub(crate) fn host_at(
        &self,
        now: Timestamp,
        endpoint: &str,
        ca: Option<&str>,
    ) -> Result<&SimObject, ProviderError> {
        let at = |o: &&SimObject| o.kind == "sim_host" && o.attributes.str_attr("endpoint") == Some(endpoint);
        let host = self.objects.values().find(at).filter(|h| h.updates > 0 || h.ready <= now);
        let host = host.ok_or_else(|| error(ErrorKind::Unreachable, format!("no answer from {endpoint}")))?;
        if ca.is_some_and(|ca| host.attributes.str_attr("ca") != Some(ca)) {
            return Err(error(
                ErrorKind::Unreachable,
                format!("{endpoint} shows a certificate of another authority"),
            ));
        }
        Ok(host)
    }

    /// A lease's id, its secret, and when it is to be renewed.
    pub(crate) fn lease(&mut self, now: Timestamp) -> (String, String, Option<Timestamp>) {
        self.count += 1;
        let id = format!("lease-{:04}", self.count);
        let secret = format!("simsecret-{:04}-{:016x}", self.count, scramble(&mut self.random));
        let ends = self.config.lease_ttl.map(|ttl| now + ttl);
        self.leases.insert(id.clone(), (secret.clone(), ends));
        (id, secret, self.renew_lease_at(now))
    }

    pub(crate) fn renew_lease(
        &mut self,
        now: Timestamp,
        id: &str,
    ) -> Result<Option<Timestamp>, ProviderError> {
        let ends = self.config.lease_ttl.map(|ttl| now + ttl);
        match self.leases.get_mut(id) {
            Some(lease) if lease.1.is_none_or(|end| now < end) => {
                lease.1 = ends;
                Ok(self.renew_lease_at(now))
            }
            _ => Err(error(ErrorKind::NotFound, format!("{id} is not open"))),
        }
    }

    fn renew_lease_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.config.lease_ttl.map(|ttl| now + ttl * 2 / 3)
    }

    pub(crate) fn close_lease(&mut self, id: &str) -> Result<(), ProviderError> {
        let gone = || error(ErrorKind::NotFound, format!("{id} is not open"));
        self.leases.remove(id).map(drop).ok_or_else(gone)
    }

    /// Takes what is written to an object and never read back; a secret is one of a lease that is open, or the user's own.
    pub(crate) fn write(&mut self, number: u64, secret: &str) -> Result<(), ProviderError> {
        let is_open = self.leases.values().any(|(open, _)| open == secret);
        if secret.starts_with("simsecret-") && !is_open {
            return Err(error(ErrorKind::Denied, "the secret is of a lease that is closed"));
        }
        if let Some(object) = self.objects.get_mut(&number) {
            object.written = Some(secret.into());
            object.writes += 1;
        }
        Ok(())
    }

    pub(crate) fn mint(&mut self, now: Timestamp, host_id: &str) -> (String, Timestamp) {
        self.count += 1;
        let ends = now + self.config.token_ttl;
        let token = format!("simtoken-{:04}-{:016x}", self.count, scramble(&mut self.random));
        self.tokens.insert(token.clone(), (host_id.into(), ends));
        (token, ends)
    }

    pub(crate) fn check_token(
        &self,
        now: Timestamp,
        host_id: &str,
        token: Option<&str>,
    ) -> Result<(), ProviderError> {
        let denied = |why: &str| Err(error(ErrorKind::Denied, why));
        let Some(token) = token else {
            return if self.config.require_token { denied("a token is needed") } else { Ok(()) };
        };
        match self.tokens.get(token) {
            None => denied("the token is unknown"),
            Some((host, _)) if host != host_id => denied("the token is for another host"),
            Some(&(_, ends)) if ends <= now => denied("the token has expired"),
            Some(_) => Ok(()),
        }
    }
}

/// All attributes of an object: the planned ones, computed ones filled in.
fn fill(row: &Row, planned: &Value, id: &str, revision: u32) -> Value {
    let block = &row.schema().block;
    let attrs = block.attrs.iter().map(|(name, attr)| {
        let given = planned.get(name).filter(|_| attr.is_settable()).cloned();
        let value = given.unwrap_or_else(|| {
            if attr.is_computed() {
                kinds::computed(name, &attr.ty, id, planned, revision)
            } else {
                Value::null(attr.ty.clone())
            }
        });
        (name.clone(), value)
    });
    let blocks = block.blocks.iter().map(|(name, nested)| {
        let empty = || match nested.ty() {
            Type::List(element) => Value::list((*element).clone(), Vec::new()),
            other => Value::null(other),
        };
        (name.clone(), planned.get(name).filter(|v| !v.is_null()).cloned().unwrap_or_else(empty))
    });
    Value::object(attrs.chain(blocks))
}
