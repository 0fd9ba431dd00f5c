//! The configured provider: create, read, update and delete of objects, typed and not.
//!
//! All writes are server-side applies, also the first: an object made by POST would have its fields owned by an
//! update of ours, which a later apply could neither change without a conflict nor give up. So a create looks first
//! (somebody else's object is never adopted), then applies; it can be repeated without harm, and the owner mark
//! says later whose object it is.

use crate::client::{Client, MANAGER, Target, is_terminating, named, owner, private_of, text_at};
use crate::mapping::{Fields, OWNER_ANNOTATION};
use crate::schema::{Kind, Resource};
use crate::wait::{self, Goal, Progress};
use crate::watch::Sight;
use crate::write::{Writing, Written, has_other_makers, taken};
use crate::{Catalog, manifest, manifests, owners};
use futures::future::{self, Either};
use futures::{StreamExt, TryStreamExt};
use groma_provider::{
    Action, Configured, CreateRequest, DeleteRequest, ErrorKind, Found, Identity, Made, Object, OpContext,
    ProviderError, Read, ReadRequest, RecoverRequest, RehearseRequest, ResumeRequest, UpdateRequest, World,
    async_trait,
};
use groma_types::{AttrPath, Resolved, Type, Value};
use kube::core::params::ListParams;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// From so many objects of a kind on, one list is cheaper than reading them one by one.
const LIST_FROM: usize = 5;
/// Objects that are read at once.
const READS_MAX: usize = 16;
const PAUSE_FIRST: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) catalog: Arc<Catalog>,
    /// Kinds that the API serves, by API version.
    pub(crate) served: Mutex<BTreeMap<String, Vec<Resource>>>,
    /// Fields that others own are taken over, whatever a resource says.
    pub(crate) takes_over: bool,
    /// Namespaces that a rehearsal did not find: whatever is to come into them can't be asked about.
    pub(crate) absent: Mutex<BTreeSet<String>>,
}

/// How a kind of the spec maps to the API.
pub(crate) enum Handled {
    Typed(Arc<Kind>),
    Manifest {
        /// It came from a text of many.
        of_text: bool,
    },
}

impl Handled {
    pub(crate) fn fields(&self) -> Option<&Fields> {
        match self {
            Handled::Typed(kind) => Some(&kind.fields),
            Handled::Manifest { .. } => None,
        }
    }
}

fn bug(text: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::Bug, text)
}

/// Proves attributes that come from the API; they hold nothing unknown.
fn resolved(value: Value) -> Result<Resolved, ProviderError> {
    value.resolve().map_err(|u| bug(format!("{} is unknown in an answer", u.path)))
}

/// What ended a pause.
#[derive(PartialEq, Eq)]
enum Woken {
    Time,
    Change,
}

/// A wait with an end.
struct Deadline<'a> {
    ctx: &'a dyn OpContext,
    begun: groma_types::Timestamp,
    limit: Duration,
    pause: Duration,
}

impl<'a> Deadline<'a> {
    fn new(ctx: &'a dyn OpContext, limit: Duration) -> Deadline<'a> {
        Deadline { ctx, begun: ctx.now(), limit, pause: PAUSE_FIRST }
    }

    fn is_over(&self) -> bool {
        self.ctx.now().since(self.begun) >= self.limit
    }

    /// Sleeps until it is time to look again, or until the object changes.
    async fn pause(&mut self, sight: &mut Sight<'_>, live: &Json) -> Result<Woken, ProviderError> {
        // The pause is asked first: where time is simulated it may be over at once.
        match future::select(self.ctx.pause(self.pause), pin!(sight.changes(live))).await {
            Either::Left((slept, _)) => slept?,
            Either::Right(((), _)) => return Ok(Woken::Change),
        }
        self.pause = (self.pause * 3 / 2).min(PAUSE_MAX);
        Ok(Woken::Time)
    }

    fn timed_out(&self, target: &Target, what: &str) -> ProviderError {
        let minutes = self.limit.as_secs() / 60;
        let text = format!("{}: after {minutes} min still waiting for {what}", target.label());
        ProviderError::new(ErrorKind::TimedOut, text)
    }
}

impl Cluster {
    fn handled(&self, kind: &str) -> Result<Handled, ProviderError> {
        if manifest::is_manifest(kind) {
            return Ok(Handled::Manifest { of_text: kind == manifests::KIND });
        }
        let kind = self
            .catalog
            .kinds
            .get(kind)
            .ok_or_else(|| bug(format!("{kind} is not a kind of this provider")))?;
        Ok(Handled::Typed(kind.clone()))
    }

    /// The object that attributes name; a drawn name comes from the identity of the operation.
    async fn target(
        &self,
        handled: &Handled,
        attributes: &Value,
        identity: Option<&Identity>,
    ) -> Result<Target, ProviderError> {
        let kind = match handled {
            Handled::Typed(kind) => kind,
            Handled::Manifest { .. } => return self.manifest_target(attributes).await,
        };
        let (namespace, name) = named(attributes);
        let drawn = || drawn_name(attributes, identity?);
        let name = name.map(String::from).or_else(drawn).ok_or_else(|| {
            let at = AttrPath::root().attr("metadata").index(0).attr("name");
            ProviderError::new(ErrorKind::Invalid, "the object needs a `name` or a `generate_name`").at(at)
        })?;
        let namespace = kind.resource.namespaced.then(|| namespace.unwrap_or("default").to_string());
        Ok(Target { resource: kind.resource.clone(), namespace, name })
    }

    async fn manifest_target(&self, attributes: &Value) -> Result<Target, ProviderError> {
        let naming = manifest::naming(attributes)?;
        let resource = self.resource(&naming.api_version, &naming.kind).await?;
        let namespace = resource.namespaced.then(|| naming.namespace.unwrap_or_else(|| "default".into()));
        Ok(Target { resource, namespace, name: naming.name })
    }

    /// Finds where a kind is served: in our tables, else by discovery. A kind that is not known is asked for anew
    /// each time, since its definition may have come in this run.
    async fn resource(&self, api_version: &str, kind: &str) -> Result<Resource, ProviderError> {
        let is = |r: &Resource| r.api_version() == api_version && r.kind == kind;
        if let Some(known) = self.catalog.kinds.values().find(|k| is(&k.resource)) {
            return Ok(known.resource.clone());
        }
        let mut served = self.served.lock().await;
        if let Some(found) = served.get(api_version).and_then(|list| list.iter().find(|r| is(r))) {
            return Ok(found.clone());
        }
        let list = self.discover(api_version).await?;
        let found = list.iter().find(|r| is(r)).cloned();
        served.insert(api_version.into(), list);
        found.ok_or_else(|| unserved(api_version, kind))
    }

    async fn discover(&self, api_version: &str) -> Result<Vec<Resource>, ProviderError> {
        let root = if api_version.contains('/') { "apis" } else { "api" };
        let operation = "GET discovery";
        let answer = match self.client.read_path(&format!("/{root}/{api_version}"), operation).await {
            Ok(answer) => answer.json(operation)?,
            Err(error) if error.status == Some(404) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let list = answer["resources"].as_array().into_iter().flatten();
        let list = list.filter(|r| !text_at(r, "/name").contains('/'));
        Ok(list
            .map(|r| {
                let namespaced = r["namespaced"] == true;
                Resource::new(group, version, text_at(r, "/kind"), text_at(r, "/name"), namespaced)
            })
            .collect())
    }

    /// The object to apply.
    fn desired(
        &self,
        handled: &Handled,
        target: &Target,
        planned: &Value,
        config: &Value,
        mark: Option<&str>,
    ) -> Json {
        let mut object = match handled {
            Handled::Typed(kind) => Json::Object(kind.fields.to_api(planned, Some(config))),
            Handled::Manifest { .. } => manifest::body(planned),
        };
        object["apiVersion"] = target.resource.api_version().into();
        object["kind"] = target.resource.kind.as_str().into();
        let metadata = &mut object["metadata"];
        metadata["name"] = target.name.as_str().into();
        if let Some(namespace) = &target.namespace {
            metadata["namespace"] = namespace.as_str().into();
        }
        if let Some(mark) = mark {
            metadata["annotations"][OWNER_ANNOTATION] = mark.into();
        }
        object
    }

    fn attributes(
        &self,
        handled: &Handled,
        live: &Json,
        guide: Option<&Value>,
    ) -> Result<Resolved, ProviderError> {
        let manager = guide.map_or_else(|| MANAGER.into(), |g| manifest::manager(g).0);
        let live = &*owners::with_our_scale(live, guide.and_then(owners::replicas), &manager);
        let value = match handled {
            Handled::Typed(kind) => {
                let (namespace, name) =
                    (text_at(live, "/metadata/namespace"), text_at(live, "/metadata/name"));
                let id = if kind.resource.namespaced { format!("{namespace}/{name}") } else { name.into() };
                kind.fields.read_api(live, guide).with_attr("id", Value::string(id))
            }
            Handled::Manifest { of_text } => {
                let value = manifest::attributes(&self.catalog.manifest, live, guide);
                if *of_text { value.with_attr("yaml", Value::null(Type::String)) } else { value }
            }
        };
        resolved(value)
    }

    fn object(&self, handled: &Handled, live: &Json, guide: Option<&Value>) -> Result<Object, ProviderError> {
        Ok(Object { attributes: self.attributes(handled, live, guide)?, private: private_of(live) })
    }

    /// What is waited for, by the kind and what the user wants.
    fn goal(&self, handled: &Handled, attributes: &Value) -> Goal {
        let wants = |name: &str| attributes.get(name).and_then(Value::as_bool).unwrap_or(true);
        let kind = match handled {
            Handled::Typed(kind) => kind,
            Handled::Manifest { of_text: true } => return manifests::goal(attributes),
            Handled::Manifest { of_text: false } => return manifest::goal(attributes),
        };
        let said = |name: &str| attributes.get(name).and_then(Value::as_bool) == Some(true);
        match kind.resource.kind.as_str() {
            "Deployment" | "StatefulSet" | "DaemonSet" if wants("wait_for_rollout") => Goal::Rollout,
            "Job" if wants("wait_for_completion") => Goal::Complete,
            "Namespace" => Goal::Active,
            "Ingress" if said("wait_for_load_balancer") => Goal::LoadBalancer,
            "PersistentVolumeClaim" if wants("wait_until_bound") => Goal::Bound,
            "Secret" if wants("wait_for_service_account_token") && is_account_token(attributes) => {
                Goal::Token
            }
            "Service" if wants("wait_for_load_balancer") && is_load_balancer(attributes) => {
                Goal::LoadBalancer
            }
            _ => Goal::Stored,
        }
    }

    /// Waits until the goal is reached; gives the last reading.
    async fn converge(
        &self,
        goal: &Goal,
        target: &Target,
        first: Option<Json>,
        mut deadline: Deadline<'_>,
    ) -> Result<Json, ProviderError> {
        let mut reading = first;
        let mut sight = Sight::of(&self.client, target);
        let mut woken = Woken::Time;
        loop {
            let live = match reading.take() {
                Some(live) => live,
                None => self.client.get(target).await?.ok_or_else(|| {
                    let text = format!("{} was deleted by somebody while we waited for it", target.label());
                    ProviderError::new(ErrorKind::Unconverged, text)
                })?,
            };
            let mut what = match wait::look(goal, &live) {
                Progress::Done => return Ok(live),
                Progress::Failed(why) => return Err(self.unconverged(target, &live, goal, &why).await),
                Progress::Waiting(what) => what,
            };
            if *goal == Goal::Bound && self.waits_for_consumer(&live).await? {
                return Ok(live);
            }
            // Pods are asked at intervals, not whenever a count moves.
            if woken == Woken::Time
                && let Some(trouble) = self.trouble(goal, target, &live).await
            {
                if trouble.hopeless {
                    return Err(failed_rollout(target, &trouble.text));
                }
                what = format!("{what} ({})", trouble.text);
            }
            deadline.ctx.waiting(&what);
            if deadline.is_over() {
                return Err(self.late(&deadline, target, &what).await);
            }
            woken = deadline.pause(&mut sight, &live).await?;
        }
    }

    /// Waits for the default service account of a new namespace, where that is wanted.
    async fn await_account(
        &self,
        target: &Target,
        attributes: &Value,
        mut deadline: Deadline<'_>,
    ) -> Result<(), ProviderError> {
        let wanted = attributes.get("wait_for_default_service_account").and_then(Value::as_bool);
        if target.resource.kind != "Namespace" || wanted != Some(true) {
            return Ok(());
        }
        let resource = Resource::new("", "v1", "ServiceAccount", "serviceaccounts", true);
        let account = Target { resource, namespace: Some(target.name.clone()), name: "default".into() };
        let mut sight = Sight::of(&self.client, &account);
        while self.client.get(&account).await?.is_none() {
            let what = "the default service account";
            deadline.ctx.waiting(what);
            if deadline.is_over() {
                return Err(deadline.timed_out(target, what));
            }
            deadline.pause(&mut sight, &Json::Null).await?;
        }
        Ok(())
    }

    /// Whether a claim gets its volume only when a pod uses it: to wait for that would be to wait for what comes
    /// after us.
    async fn waits_for_consumer(&self, claim: &Json) -> Result<bool, ProviderError> {
        let class = text_at(claim, "/spec/storageClassName");
        if class.is_empty() {
            return Ok(false);
        }
        let resource = Resource::new("storage.k8s.io", "v1", "StorageClass", "storageclasses", false);
        let target = Target { resource, namespace: None, name: class.into() };
        let class = match self.client.get(&target).await {
            Ok(class) => class,
            // Who may write claims may not always read classes; then the claim is stored, and that is all we know.
            Err(error) if error.kind == ErrorKind::Denied => return Ok(true),
            Err(error) => return Err(error),
        };
        Ok(class.is_some_and(|c| text_at(&c, "/volumeBindingMode") == "WaitForFirstConsumer"))
    }

    /// What pods say while a rollout goes on.
    async fn trouble(&self, goal: &Goal, target: &Target, live: &Json) -> Option<wait::Trouble> {
        let rollout = matches!(goal, Goal::Rollout | Goal::Complete | Goal::Shows { rollout: true, .. });
        // Before the change is taken up the pods are those of the change before.
        let begun = rollout && !live["status"].is_null() && wait::is_observed(live);
        if begun { wait::pods(&self.client, target, live).await } else { None }
    }

    async fn unconverged(&self, target: &Target, live: &Json, goal: &Goal, why: &str) -> ProviderError {
        match self.trouble(goal, target, live).await {
            Some(trouble) => failed_rollout(target, &format!("{why}; {}", trouble.text)),
            None => failed_rollout(target, why),
        }
    }

    async fn late(&self, deadline: &Deadline<'_>, target: &Target, what: &str) -> ProviderError {
        let error = deadline.timed_out(target, what);
        match wait::last_warning(&self.client, target).await {
            Some(warning) => error.help(format!("the cluster's last warning about it: {warning}")),
            None => error,
        }
    }

    /// Waits until an object is gone, or another one has its name.
    async fn vanish(
        &self,
        target: &Target,
        uid: &str,
        mut deadline: Deadline<'_>,
    ) -> Result<(), ProviderError> {
        let mut sight = Sight::of(&self.client, target);
        loop {
            let Some(live) = self.client.get(target).await? else { return Ok(()) };
            if !uid.is_empty() && text_at(&live, "/metadata/uid") != uid {
                return Ok(());
            }
            let what = wait::leaving(&live);
            deadline.ctx.waiting(&what);
            if deadline.is_over() {
                return Err(deadline.timed_out(target, &what).help(
                    "a finalizer is taken off by the controller that set it: see whether that still runs; groma never takes one off",
                ));
            }
            deadline.pause(&mut sight, &live).await?;
        }
    }

    /// Makes sure that the name is free, or taken by our own earlier attempt.
    async fn make_room(
        &self,
        target: &Target,
        identity: &Identity,
        deadline: &mut Deadline<'_>,
    ) -> Result<(), ProviderError> {
        let mut sight = Sight::of(&self.client, target);
        loop {
            let Some(live) = self.client.get(target).await? else { return Ok(()) };
            if is_terminating(&live) {
                deadline.ctx.waiting(&format!("the end of the old object: {}", wait::leaving(&live)));
                if deadline.is_over() {
                    return Err(deadline.timed_out(target, "the end of the old object"));
                }
                deadline.pause(&mut sight, &live).await?;
                continue;
            }
            let ours = identity.owner_mark.as_deref().is_some_and(|mark| owner(&live) == Some(mark));
            return if ours { Ok(()) } else { Err(taken(target, &live)) };
        }
    }

    fn read_as(
        &self,
        handled: &Handled,
        request: &ReadRequest,
        live: Option<&Json>,
    ) -> Result<Read, ProviderError> {
        let Some(live) = live else { return Ok(Read::Gone) };
        let recorded = request.private["uid"].as_str().filter(|uid| !uid.is_empty());
        let other = recorded.is_some_and(|uid| text_at(live, "/metadata/uid") != uid);
        // An object that somebody made anew under the old name carries no mark of ours.
        if other && request.owner_mark.is_some() && owner(live) != request.owner_mark.as_deref() {
            return Ok(Read::Gone);
        }
        let mut object = self.object(handled, live, Some(&request.prior))?;
        if same_but_version(&object.attributes, &request.prior) {
            object.attributes = request.prior.clone();
        }
        Ok(Read::Present(object))
    }
}

/// A status that controllers write moves the version and nothing that we hold; that is no change.
fn same_but_version(read: &Value, prior: &Value) -> bool {
    let still = |value: &Value| {
        let bare = value.unmark_deep().0;
        let metadata = bare.get("metadata").and_then(|m| m.at(0)).cloned()?;
        let metadata = metadata.with_attr("resource_version", Value::null(Type::String));
        let list = Value::list(metadata.ty(), vec![metadata]);
        Some(bare.with_attr("metadata", list).with_attr("object", Value::NULL))
    };
    still(read).is_some_and(|read| Some(read) == still(prior))
}

/// Namespace and name of a live object.
fn place(object: &Json) -> (String, String) {
    (text_at(object, "/metadata/namespace").into(), text_at(object, "/metadata/name").into())
}

fn is_account_token(attributes: &Value) -> bool {
    attributes.str_attr("type") == Some("kubernetes.io/service-account-token")
}

fn is_load_balancer(attributes: &Value) -> bool {
    let spec = attributes.get("spec").and_then(|s| s.at(0));
    spec.and_then(|s| s.str_attr("type")) == Some("LoadBalancer")
}

fn unserved(api_version: &str, kind: &str) -> ProviderError {
    ProviderError::new(ErrorKind::NotFound, format!("the cluster serves no kind {kind} in {api_version}"))
        .at(AttrPath::root().attr("manifest"))
        .help("its CustomResourceDefinition must come first: refer to it, or name it in depends_on")
}

fn failed_rollout(target: &Target, why: &str) -> ProviderError {
    ProviderError::new(ErrorKind::Unconverged, format!("{}: the rollout fails: {why}", target.label()))
        .help("the object is stored as asked; mend the cause and apply again")
}

/// Draws the end of a generated name from the operation's token, so that a repeat draws the same.
fn drawn_name(attributes: &Value, identity: &Identity) -> Option<String> {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let prefix = attributes.get("metadata")?.at(0)?.str_attr("generate_name")?;
    // FNV-1a: spreads the token over the letters; uniqueness is the token's.
    let mut hash = identity
        .token
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mut name = prefix.to_string();
    for _ in 0..5 {
        let at = usize::try_from(hash % LETTERS.len() as u64).unwrap_or(0);
        name.push(char::from(LETTERS[at]));
        hash /= LETTERS.len() as u64;
    }
    Some(name)
}

#[async_trait]
impl Configured for Cluster {
    async fn identity(&self) -> Result<World, ProviderError> {
        let resource = Resource::new("", "v1", "Namespace", "namespaces", false);
        let target = Target { resource, namespace: None, name: "kube-system".into() };
        let found = self.client.get(&target).await?;
        let uid = found.as_ref().map(|n| text_at(n, "/metadata/uid")).unwrap_or_default();
        if uid.is_empty() {
            let text = "the cluster has no namespace kube-system, whose uid tells clusters apart";
            return Err(ProviderError::new(ErrorKind::NotFound, text));
        }
        Ok(World::of([("cluster", uid.to_string())]))
    }

    async fn read(&self, kind: &str, request: ReadRequest) -> Result<Read, ProviderError> {
        let handled = self.handled(kind)?;
        let target = match self.target(&handled, &request.prior, None).await {
            Ok(target) => target,
            // A kind that is not served any more has no objects.
            Err(error) if error.kind == ErrorKind::NotFound && error.status.is_none() => {
                return Ok(Read::Gone);
            }
            Err(error) => return Err(error),
        };
        let live = self.client.get(&target).await?;
        self.read_as(&handled, &request, live.as_ref())
    }

    async fn read_many(
        &self,
        kind: &str,
        requests: &[ReadRequest],
    ) -> Result<Option<Vec<Read>>, ProviderError> {
        if requests.len() < LIST_FROM {
            return Ok(None);
        }
        let handled = self.handled(kind)?;
        let listed = self.listed(&handled, requests).await?;
        let read = |(request, live): (&ReadRequest, Option<Json>)| {
            let (handled, request) = (&handled, request.clone());
            async move {
                match live {
                    Some(live) => self.read_as(handled, &request, Some(&live)),
                    // It is gone only when it is asked for by its name.
                    None => self.read(kind, request).await,
                }
            }
        };
        let reads = futures::stream::iter(requests.iter().zip(listed)).map(read).buffered(READS_MAX);
        reads.try_collect().await.map(Some)
    }

    async fn read_data(&self, kind: &str, config: Resolved) -> Result<Option<Value>, ProviderError> {
        let found = self.catalog.data.get(kind);
        let typed = found.ok_or_else(|| bug(format!("{kind} is not a data source of this provider")))?;
        let handled = Handled::Typed(typed.clone());
        let target = self.target(&handled, &config, None).await?;
        let Some(live) = self.client.get(&target).await? else { return Ok(None) };
        Ok(Some(self.attributes(&handled, &live, None)?.into_value()))
    }

    async fn rehearse(&self, kind: &str, request: RehearseRequest) -> Result<(), ProviderError> {
        let handled = self.handled(kind)?;
        let (prior, private) = request.prior.as_ref().map(|(value, private)| (&**value, private)).unzip();
        // A name that the create will draw is drawn here from a word of its own.
        let identity = Identity { token: "rehearsal".into(), owner_mark: None };
        let target = self.target(&handled, prior.unwrap_or(&request.planned), Some(&identity)).await?;
        let mark = request.owner_mark.as_deref();
        let mut body = self.desired(&handled, &target, &request.planned, &request.config, mark);
        if let Some(uid) = private.and_then(|p| p["uid"].as_str()) {
            body["metadata"]["uid"] = uid.into();
        }
        let planned = &*request.planned;
        let mut writing = Writing { handled: &handled, target: &target, body, planned, prior };
        self.keep_written(&mut writing, &request.config).await?;
        self.rehearse_write(&writing).await
    }

    async fn create(
        &self,
        kind: &str,
        request: CreateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let handled = self.handled(kind)?;
        let target = self.target(&handled, &request.planned, Some(&request.identity)).await?;
        let mut deadline = Deadline::new(ctx, request.timeouts.create);
        self.make_room(&target, &request.identity, &mut deadline).await?;
        if ctx.is_stopped() {
            return Err(groma_provider::Interrupted.into());
        }
        let mark = request.identity.owner_mark.as_deref();
        let body = self.desired(&handled, &target, &request.planned, &request.config, mark);
        let planned = &*request.planned;
        let writing = Writing { handled: &handled, target: &target, body, planned, prior: None };
        let Written { is_new, live } = self.write(writing).await?;
        if !is_new && has_other_makers(&live, &manifest::manager(planned).0) {
            return Err(taken(&target, &live));
        }
        let attributes = self.attributes(&handled, &live, Some(&request.planned))?;
        ctx.made(Made { attributes, private: private_of(&live), operation: None }).await;
        let goal = self.goal(&handled, &request.planned);
        let done = self.converge(&goal, &target, Some(live), deadline).await?;
        let deadline = Deadline::new(ctx, request.timeouts.create);
        self.await_account(&target, &request.planned, deadline).await?;
        self.object(&handled, &done, Some(&request.planned))
    }

    async fn update(
        &self,
        kind: &str,
        request: UpdateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let handled = self.handled(kind)?;
        let target = self.target(&handled, &request.prior, None).await?;
        let mark = request.owner_mark.as_deref();
        let mut body = self.desired(&handled, &target, &request.planned, &request.config, mark);
        // An apply to a name whose object is gone would make a new one; with the uid it is refused.
        if let Some(uid) = request.private["uid"].as_str() {
            body["metadata"]["uid"] = uid.into();
        }
        let (planned, prior) = (&*request.planned, Some(&*request.prior));
        let mut writing = Writing { handled: &handled, target: &target, body, planned, prior };
        self.keep_written(&mut writing, &request.config).await?;
        let live = self.write(writing).await?.live;
        let attributes = self.attributes(&handled, &live, Some(&request.planned))?;
        ctx.made(Made { attributes, private: private_of(&live), operation: None }).await;
        let goal = self.goal(&handled, &request.planned);
        let deadline = Deadline::new(ctx, request.timeouts.update);
        let done = self.converge(&goal, &target, Some(live), deadline).await?;
        self.object(&handled, &done, Some(&request.planned))
    }

    async fn delete(
        &self,
        kind: &str,
        request: DeleteRequest,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let handled = self.handled(kind)?;
        let target = match self.target(&handled, &request.prior, None).await {
            Ok(target) => target,
            Err(error) if error.kind == ErrorKind::NotFound && error.status.is_none() => return Ok(()),
            Err(error) => return Err(error),
        };
        let uid = request.private["uid"].as_str();
        if !self.client.delete(&target, uid).await? {
            return Ok(());
        }
        self.vanish(&target, uid.unwrap_or_default(), Deadline::new(ctx, request.timeouts.delete)).await
    }

    async fn resume(
        &self,
        kind: &str,
        request: ResumeRequest,
        ctx: &dyn OpContext,
    ) -> Result<Read, ProviderError> {
        let handled = self.handled(kind)?;
        let attributes = &request.object.attributes;
        let target = self.target(&handled, attributes, None).await?;
        let uid = request.object.private["uid"].as_str().unwrap_or_default();
        let limit = match request.action {
            Action::Delete => {
                let deadline = Deadline::new(ctx, request.timeouts.delete);
                self.vanish(&target, uid, deadline).await?;
                return Ok(Read::Gone);
            }
            Action::Create => request.timeouts.create,
            Action::Update => request.timeouts.update,
        };
        let Some(live) = self.client.get(&target).await? else { return Ok(Read::Gone) };
        if !uid.is_empty() && text_at(&live, "/metadata/uid") != uid {
            return Ok(Read::Gone);
        }
        let goal = self.goal(&handled, attributes);
        let done = self.converge(&goal, &target, Some(live), Deadline::new(ctx, limit)).await?;
        self.await_account(&target, attributes, Deadline::new(ctx, limit)).await?;
        Ok(Read::Present(self.object(&handled, &done, Some(attributes))?))
    }

    async fn import(&self, kind: &str, id: &str) -> Result<Read, ProviderError> {
        let handled = self.handled(kind)?;
        let target = match &handled {
            Handled::Typed(kind) => import_target(kind, id)?,
            Handled::Manifest { .. } => self.manifest_target(&manifest::from_import(id)?).await?,
        };
        let Some(live) = self.client.get(&target).await? else { return Ok(Read::Gone) };
        Ok(Read::Present(self.object(&handled, &live, None)?))
    }

    async fn recover(&self, kind: &str, request: RecoverRequest) -> Result<Found, ProviderError> {
        let handled = self.handled(kind)?;
        let target = self.target(&handled, &request.planned, Some(&request.identity)).await?;
        let Some(live) = self.client.get(&target).await? else { return Ok(Found::Absent) };
        let ours = request.identity.owner_mark.as_deref().is_some_and(|mark| owner(&live) == Some(mark));
        if ours {
            return Ok(Found::Ours(self.object(&handled, &live, Some(&request.planned))?));
        }
        // Somebody's object on its way out: the create waits for its end, so there is none of ours.
        if is_terminating(&live) {
            return Ok(Found::Absent);
        }
        Ok(Found::Foreign(self.object(&handled, &live, Some(&request.planned))?))
    }
}

fn import_target(kind: &Kind, id: &str) -> Result<Target, ProviderError> {
    let resource = kind.resource.clone();
    let parts: Vec<&str> = id.split('/').collect();
    let target = |namespace: Option<&str>, name: &str| Target {
        resource: resource.clone(),
        namespace: namespace.map(Into::into),
        name: name.into(),
    };
    match (parts.as_slice(), resource.namespaced) {
        ([namespace, name], true) if !namespace.is_empty() && !name.is_empty() => {
            Ok(target(Some(namespace), name))
        }
        ([name], false) if !name.is_empty() => Ok(target(None, name)),
        _ => {
            let wanted = if resource.namespaced { "NAMESPACE/NAME" } else { "NAME" };
            Err(ProviderError::new(ErrorKind::Invalid, format!("the import id `{id}` is not {wanted}")))
        }
    }
}

impl Cluster {
    pub(crate) fn new(client: Client, catalog: Arc<Catalog>, takes_over: bool) -> Cluster {
        Cluster { client, catalog, served: Mutex::default(), takes_over, absent: Mutex::default() }
    }

    /// The objects of many requests, as far as lists have them: one list for each kind of which there are many.
    async fn listed(
        &self,
        handled: &Handled,
        requests: &[ReadRequest],
    ) -> Result<Vec<Option<Json>>, ProviderError> {
        let mut groups: BTreeMap<(String, String), Vec<(usize, Target)>> = BTreeMap::new();
        for (at, request) in requests.iter().enumerate() {
            match self.target(handled, &request.prior, None).await {
                Ok(target) => {
                    let key = (target.resource.api_version(), target.resource.kind.clone());
                    groups.entry(key).or_default().push((at, target));
                }
                // The read by name says what is wrong.
                Err(error) if error.status.is_none() => {}
                Err(error) => return Err(error),
            }
        }
        let mut found = vec![None; requests.len()];
        for group in groups.values().filter(|g| g.len() >= LIST_FROM) {
            let (resource, namespace) = (&group[0].1.resource, group[0].1.namespace.as_deref());
            let is_one = group.iter().all(|(_, t)| t.namespace.as_deref() == namespace);
            let listed =
                self.client.list(resource, namespace.filter(|_| is_one), ListParams::default()).await;
            let mut by_name: BTreeMap<(String, String), Json> = match listed {
                Ok(listed) => listed.into_iter().map(|o| (place(&o), o)).collect(),
                // Who may read objects may not always list them.
                Err(error) if error.kind == ErrorKind::Denied => continue,
                Err(error) => return Err(error),
            };
            for (at, target) in group {
                let key = (target.namespace.clone().unwrap_or_default(), target.name.clone());
                found[*at] = by_name.remove(&key).map(|mut object| {
                    // The items of a list do not say what they are: the list does.
                    object["apiVersion"] = resource.api_version().into();
                    object["kind"] = resource.kind.as_str().into();
                    object
                });
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
