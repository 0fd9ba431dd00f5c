//! What the built-in providers share: a provider is a table of kinds, and most kinds live in the state alone.
//!
//! Invariants: a kind takes clock, randomness, network policy and folder from its [`Host`] and from nowhere else; an
//! object that a kind returns has exactly the attributes of its schema.

use groma_provider::{
    Action, Configure, Configured, CreateRequest, DeleteRequest, Environment, ErrorKind, Found, Minted,
    Object, OpContext, PlanInput, PlanOutput, Problem, Provider, ProviderError, Read, ReadRequest,
    RecoverRequest, ResumeRequest, UpdateRequest, World, async_trait,
};
use groma_types::schema::{Block, KindSchema, ProviderSchema};
use groma_types::{AttrPath, Mode, Resolved, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Other stacks of this machine.
pub trait Stacks: Send + Sync + fmt::Debug {
    /// The root outputs that the last apply left; `None`: nothing was applied yet.
    ///
    /// # Errors
    /// There is no such stack, or its state can't be read: why.
    fn outputs(&self, path: &Path, workspace: &str) -> Result<Option<BTreeMap<Arc<str>, Value>>, String>;
}

/// What the built-in providers know of the machine they run on.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    /// Environment variables for programs where those of the environment are withheld (in the sandbox).
    pub program_vars: BTreeMap<String, String>,
    /// `None`: stacks can't be read.
    pub stacks: Option<Arc<dyn Stacks>>,
}

/// What a kind works with.
pub(crate) struct Host {
    pub(crate) env: Environment,
    pub(crate) machine: Machine,
}

impl Host {
    /// A path as the spec writes it, from the folder that the command works in.
    pub(crate) fn path(&self, written: &str) -> PathBuf {
        self.machine.folder.join(Path::new(written))
    }
}

/// A resource kind. What is not said otherwise: an object lives in the state alone and all of its arguments replace it.
#[async_trait]
pub(crate) trait Resource: Send + Sync {
    fn schema(&self) -> KindSchema;

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let _ = config;
        Vec::new()
    }

    fn plan(&self, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        Ok(PlanOutput { planned: input.proposed, requires_replace: Vec::new() })
    }

    /// An object of another kind as one of this; `None`: it takes none over.
    fn adopt(&self, from: &str, attributes: &Value) -> Option<Value> {
        let _ = (from, attributes);
        None
    }

    /// Makes the object: the planned attributes with the computed ones filled in.
    async fn create(&self, host: &Host, planned: &Value, ctx: &dyn OpContext)
    -> Result<Value, ProviderError>;

    async fn update(
        &self,
        host: &Host,
        prior: &Value,
        planned: &Value,
        ctx: &dyn OpContext,
    ) -> Result<Value, ProviderError> {
        let _ = (host, prior, ctx);
        Ok(planned.clone())
    }

    /// The object as it is; `None`: it is gone.
    async fn read(&self, host: &Host, prior: &Value) -> Result<Option<Value>, ProviderError> {
        let _ = host;
        Ok(Some(prior.clone()))
    }

    async fn delete(&self, host: &Host, prior: &Value, ctx: &dyn OpContext) -> Result<(), ProviderError> {
        let _ = (host, prior, ctx);
        Ok(())
    }

    /// The object that an import id names: the attributes that the id tells.
    async fn import(&self, host: &Host, id: &str) -> Result<Value, ProviderError> {
        let _ = (host, id);
        let kind = self.schema().kind;
        Err(ProviderError::new(ErrorKind::Invalid, format!("{kind} can't be imported"))
            .help("Terraform's provider has no import for this kind either: let it be created."))
    }

    /// Goes on with a create that an earlier run was stopped in.
    async fn resume(
        &self,
        host: &Host,
        object: &Value,
        since: &Json,
        ctx: &dyn OpContext,
    ) -> Result<Value, ProviderError> {
        let _ = (host, since, ctx);
        Ok(object.clone())
    }

    /// What is left of a create whose end nobody saw; `None`: nothing, it may be made anew.
    async fn recover(&self, host: &Host, planned: &Value) -> Result<Option<Value>, ProviderError> {
        let _ = (host, planned);
        Ok(None)
    }
}

/// A data source kind.
#[async_trait]
pub(crate) trait Data: Send + Sync {
    fn schema(&self) -> KindSchema;

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let _ = config;
        Vec::new()
    }

    /// The arguments with the computed attributes filled in, as far as they are known; `None`: there is no such thing.
    async fn read(&self, host: &Host, config: &Value) -> Result<Option<Value>, ProviderError>;
}

/// An ephemeral kind: opened anew in each run, with nothing to close.
#[async_trait]
pub(crate) trait Ephemeral: Send + Sync {
    fn schema(&self) -> KindSchema;

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let _ = config;
        Vec::new()
    }

    /// The arguments with the computed attributes filled in.
    async fn open(&self, host: &Host, args: &Value) -> Result<Value, ProviderError>;
}

struct Kind<T: ?Sized> {
    schema: KindSchema,
    calls: Box<T>,
}

/// The kinds of a provider.
#[derive(Default)]
pub(crate) struct Kinds {
    resources: BTreeMap<Arc<str>, Kind<dyn Resource>>,
    data: BTreeMap<Arc<str>, Kind<dyn Data>>,
    ephemeral: BTreeMap<Arc<str>, Kind<dyn Ephemeral>>,
}

impl Kinds {
    pub(crate) fn resource(mut self, calls: impl Resource + 'static) -> Kinds {
        let schema = calls.schema();
        self.resources.insert(schema.kind.clone(), Kind { schema, calls: Box::new(calls) });
        self
    }

    pub(crate) fn data(mut self, calls: impl Data + 'static) -> Kinds {
        let schema = calls.schema();
        self.data.insert(schema.kind.clone(), Kind { schema, calls: Box::new(calls) });
        self
    }

    pub(crate) fn ephemeral(mut self, calls: impl Ephemeral + 'static) -> Kinds {
        let schema = calls.schema();
        self.ephemeral.insert(schema.kind.clone(), Kind { schema, calls: Box::new(calls) });
        self
    }

    fn get(&self, kind: &str) -> Result<&Kind<dyn Resource>, ProviderError> {
        self.resources.get(kind).ok_or_else(|| unknown_kind(kind))
    }
}

fn unknown_kind(kind: &str) -> ProviderError {
    bug(format!("{kind} is not a kind of this provider"))
}

pub(crate) fn bug(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::Bug, message)
}

/// A built-in provider.
pub struct Builtin {
    schema: ProviderSchema,
    kinds: Arc<Kinds>,
    machine: Machine,
}

impl Builtin {
    /// `upstream`: the versions of Terraform's provider that this one speaks for, from and below.
    pub(crate) fn new(
        name: &str,
        source: &str,
        upstream: Option<(&str, &str)>,
        config: Block,
        kinds: Kinds,
        machine: &Machine,
    ) -> Builtin {
        let schema = ProviderSchema {
            name: name.into(),
            sources: vec![source.into()],
            upstream: upstream.map(|(from, below)| (from.into(), below.into())),
            config,
            resources: kinds.resources.iter().map(|(k, v)| (k.clone(), v.schema.clone())).collect(),
            data: kinds.data.iter().map(|(k, v)| (k.clone(), v.schema.clone())).collect(),
            ephemeral: kinds.ephemeral.iter().map(|(k, v)| (k.clone(), v.schema.clone())).collect(),
            ..ProviderSchema::default()
        };
        Builtin { schema, kinds: Arc::new(kinds), machine: machine.clone() }
    }
}

#[async_trait]
impl Provider for Builtin {
    fn schema(&self) -> &ProviderSchema {
        &self.schema
    }

    fn validate(&self, mode: Mode, kind: &str, config: &Value) -> Vec<Problem> {
        match mode {
            Mode::Managed => self.kinds.resources.get(kind).map(|k| k.calls.validate(config)),
            Mode::Data => self.kinds.data.get(kind).map(|k| k.calls.validate(config)),
            Mode::Ephemeral => self.kinds.ephemeral.get(kind).map(|k| k.calls.validate(config)),
        }
        .unwrap_or_default()
    }

    fn plan(&self, kind: &str, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        self.kinds.get(kind)?.calls.plan(input)
    }

    fn adopt(&self, kind: &str, from: &str, attributes: &Value) -> Result<Value, ProviderError> {
        let known = self.kinds.get(kind)?;
        let Some(value) = known.calls.adopt(from, attributes) else {
            let text = format!("an object of the kind {from} can't become one of the kind {kind}");
            return Err(invalid(text)
                .help("Take the moved block away: the old object is then destroyed and a new one made."));
        };
        Ok(object(&known.schema, &value, Json::Null)?.attributes.into_value())
    }

    async fn configure(&self, request: Configure) -> Result<Arc<dyn Configured>, ProviderError> {
        let host = Host { env: request.env, machine: self.machine.clone() };
        Ok(Arc::new(Client { kinds: self.kinds.clone(), host }))
    }
}

struct Client {
    kinds: Arc<Kinds>,
    host: Host,
}

fn object(schema: &KindSchema, loose: &Value, private: Json) -> Result<Object, ProviderError> {
    let exact = exact(schema, loose)?;
    let attributes = exact.resolve().map_err(|u| bug(format!("{} is not known", u.path)))?;
    Ok(Object { attributes, private })
}

/// Gives a result exactly the attributes of the schema: what is missing is null.
fn exact(schema: &KindSchema, loose: &Value) -> Result<Value, ProviderError> {
    let ty = schema.block.ty();
    let groma_types::Type::Object(attrs) = &ty else { return Err(bug("a block is no object")) };
    let mut exact = Vec::new();
    for (name, ty) in &attrs.attrs {
        let value = match loose.get(name) {
            Some(value) => groma_types::convert::convert(value, ty)
                .map_err(|e| bug(format!("attribute {name} of {}: {e}", schema.kind)))?,
            None => Value::null(ty.clone()),
        };
        exact.push((name.clone(), value));
    }
    Ok(Value::object(exact))
}

#[async_trait]
impl Configured for Client {
    /// They work on one machine, whichever: its identity tells nothing apart.
    async fn identity(&self) -> Result<World, ProviderError> {
        Ok(World::default())
    }

    async fn read(&self, kind: &str, request: ReadRequest) -> Result<Read, ProviderError> {
        let kind = self.kinds.get(kind)?;
        Ok(match kind.calls.read(&self.host, &request.prior).await? {
            Some(value) => Read::Present(object(&kind.schema, &value, request.private)?),
            None => Read::Gone,
        })
    }

    async fn read_data(&self, kind: &str, config: Resolved) -> Result<Option<Value>, ProviderError> {
        let kind = self.kinds.data.get(kind).ok_or_else(|| unknown_kind(kind))?;
        let found = kind.calls.read(&self.host, &config).await?;
        found.map(|value| exact(&kind.schema, &value)).transpose()
    }

    async fn mint(&self, kind: &str, args: Resolved) -> Result<Minted, ProviderError> {
        let kind = self.kinds.ephemeral.get(kind).ok_or_else(|| unknown_kind(kind))?;
        let value = kind.calls.open(&self.host, &args).await?;
        Ok(Minted::new(exact(&kind.schema, &value)?, None))
    }

    async fn create(
        &self,
        kind: &str,
        request: CreateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let kind = self.kinds.get(kind)?;
        let value = kind.calls.create(&self.host, &request.planned, ctx).await?;
        object(&kind.schema, &value, Json::Null)
    }

    async fn update(
        &self,
        kind: &str,
        request: UpdateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let kind = self.kinds.get(kind)?;
        let value = kind.calls.update(&self.host, &request.prior, &request.planned, ctx).await?;
        object(&kind.schema, &value, request.private)
    }

    async fn delete(
        &self,
        kind: &str,
        request: DeleteRequest,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        self.kinds.get(kind)?.calls.delete(&self.host, &request.prior, ctx).await
    }

    async fn resume(
        &self,
        kind: &str,
        request: ResumeRequest,
        ctx: &dyn OpContext,
    ) -> Result<Read, ProviderError> {
        let kind = self.kinds.get(kind)?;
        let prior = &request.object.attributes;
        match request.action {
            Action::Create => {
                let value = kind.calls.resume(&self.host, prior, &request.object.private, ctx).await?;
                Ok(Read::Present(object(&kind.schema, &value, Json::Null)?))
            }
            Action::Update => Ok(Read::Present(request.object)),
            Action::Delete => Ok(match kind.calls.read(&self.host, prior).await? {
                Some(_) => {
                    kind.calls.delete(&self.host, prior, ctx).await?;
                    Read::Gone
                }
                None => Read::Gone,
            }),
        }
    }

    async fn import(&self, kind: &str, id: &str) -> Result<Read, ProviderError> {
        let kind = self.kinds.get(kind)?;
        let value = kind.calls.import(&self.host, id).await?;
        Ok(Read::Present(object(&kind.schema, &value, Json::Null)?))
    }

    async fn recover(&self, kind: &str, request: RecoverRequest) -> Result<Found, ProviderError> {
        let kind = self.kinds.get(kind)?;
        Ok(match kind.calls.recover(&self.host, &request.planned).await? {
            Some(value) => Found::Ours(object(&kind.schema, &value, Json::Null)?),
            None => Found::Absent,
        })
    }
}

/// A fault of one argument.
pub(crate) fn problem(attr: &str, message: impl Into<String>) -> Problem {
    Problem { path: AttrPath::root().attr(attr), message: message.into(), help: None }
}

/// A fault of what an argument or an import id says.
pub(crate) fn invalid(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::Invalid, message)
}

/// A string argument that is known; empty where it is not set.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.str_attr(name).unwrap_or_default()
}

/// A whole number that is known and set.
pub(crate) fn int(value: &Value, name: &str) -> Option<i64> {
    value.get(name).and_then(Value::as_i64)
}

pub(crate) fn flag(value: &Value, name: &str) -> Option<bool> {
    value.get(name).and_then(Value::as_bool)
}

/// The strings of a list or set argument that are known.
pub(crate) fn texts<'a>(value: &'a Value, name: &str) -> Vec<&'a str> {
    value.get(name).and_then(Value::as_seq).unwrap_or_default().iter().filter_map(Value::as_str).collect()
}

/// A list of strings, or what is to become a set.
pub(crate) fn strings<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> Value {
    Value::tuple(items.into_iter().map(|s| Value::string(s.as_ref())).collect())
}

/// Whether an argument is absent or null; what is not known yet is set.
pub(crate) fn is_unset(value: &Value, name: &str) -> bool {
    value.get(name).is_none_or(Value::is_null)
}

/// The object with these attributes on top.
pub(crate) fn with(value: &Value, attrs: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    attrs.into_iter().fold(value.clone(), |v, (name, attr)| v.with_attr(name, attr))
}

/// Numbers that must be whole and not smaller than given, where they are known.
pub(crate) fn at_least(config: &Value, bounds: &[(&str, i64)]) -> Vec<Problem> {
    let mut found = Vec::new();
    for (name, min) in bounds {
        let Some(number) = config.get(name).and_then(Value::as_number) else { continue };
        match number.to_i64() {
            Some(n) if n >= *min => {}
            Some(n) => found.push(problem(name, format!("{name} must be at least {min}, got {n}"))),
            None => found.push(problem(name, format!("{name} must be a whole number, got {number}"))),
        }
    }
    found
}

/// Exactly one of these arguments must be set.
pub(crate) fn exactly_one(config: &Value, names: &[&str]) -> Vec<Problem> {
    let set: Vec<&str> = names.iter().copied().filter(|n| !is_unset(config, n)).collect();
    match set.as_slice() {
        [_] => Vec::new(),
        [] => vec![whole(format!("one of {} must be set", names.join(", ")))],
        [_, second, ..] => {
            vec![problem(
                second,
                format!("only one of {} can be set, got {}", names.join(", "), set.join(", ")),
            )]
        }
    }
}

/// At least one of these arguments must be set.
pub(crate) fn at_least_one(config: &Value, names: &[&str]) -> Vec<Problem> {
    let none = names.iter().all(|n| is_unset(config, n));
    none.then(|| whole(format!("at least one of {} must be set", names.join(", ")))).into_iter().collect()
}

/// A fault of no argument in particular.
pub(crate) fn whole(message: impl Into<String>) -> Problem {
    Problem { path: AttrPath::root(), message: message.into(), help: None }
}
