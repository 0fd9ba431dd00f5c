//! Kinds whose objects are read whole by one id: what such a kind must say, and the resource that is made of it.
//!
//! A [`Plain`] kind gives its schema and single calls. The order of the calls, the waits, what is made known to the
//! engine and when, tags, and the search for an object after a lost answer are here, once.

use super::{Resource, plan_tags};
use crate::client::Aws;
use crate::tags::{self, OWNER_TAG, TagChange, Tags};
use crate::values::{conform, resolved, text, text_or_empty};
use crate::wait::{Poll, until};
use groma_provider::{
    Action, CreateRequest, DeleteRequest, ErrorKind, Found, Identity, Made, Object, OpContext, PlanInput,
    PlanOutput, Problem, ProviderError, Read, ReadRequest, RecoverRequest, ResumeRequest, UpdateRequest,
    async_trait,
};
use groma_types::schema::KindSchema;
use groma_types::{AttrPath, Timestamp, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an update may go on to be shown as it was.
const STALE: Duration = Duration::from_secs(30);
/// Longest pause between two looks at an object that is on its way.
const SLOWEST: Duration = Duration::from_secs(15);

/// How an object stands.
pub(crate) enum State {
    Ready,
    /// On its way; the text says how it stands.
    Pending(String),
    /// It will not become ready; the text is the reason.
    Failed(String),
}

/// What a read found: attributes, loosely; tags, where the kind has them.
pub(crate) struct Seen {
    pub(crate) attrs: Vec<(&'static str, Value)>,
    pub(crate) tags: Tags,
    pub(crate) state: State,
}

impl Seen {
    pub(crate) fn of(attrs: Vec<(&'static str, Value)>, tags: Tags) -> Seen {
        Seen { attrs, tags, state: State::Ready }
    }
}

/// An object to be made.
pub(crate) struct New<'a> {
    pub(crate) planned: &'a Value,
    /// All tags to write, the owner mark included.
    pub(crate) tags: &'a Tags,
    pub(crate) identity: &'a Identity,
}

/// A change to be made; `prior` is `None` for what a create's own call does not take.
pub(crate) struct Change<'a> {
    pub(crate) id: &'a str,
    pub(crate) prior: Option<&'a Value>,
    pub(crate) planned: &'a Value,
    pub(crate) deadline: Timestamp,
}

impl Change<'_> {
    /// Whether a top-level argument is to be written.
    pub(crate) fn of(&self, name: &str) -> bool {
        match self.prior {
            Some(prior) => prior.get(name) != self.planned.get(name),
            None => self.planned.get(name).is_some_and(|v| !v.is_null()),
        }
    }
}

/// A kind whose objects are read whole by one id. Ids are what users write in `import`, unless said otherwise.
#[async_trait]
pub(crate) trait Plain: Send + Sync {
    fn schema(&self) -> KindSchema;

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let _ = config;
        Vec::new()
    }

    /// Refines the plan, `tags_all` aside.
    fn refine(&self, input: &PlanInput<'_>, out: &mut PlanOutput) -> Result<(), ProviderError> {
        let _ = (input, out);
        Ok(())
    }

    /// The id by which an object is read, from its attributes.
    fn id(&self, attrs: &Value) -> String {
        text_or_empty(attrs, "id")
    }

    /// Attributes that are known as soon as the object has its id, beyond the planned ones.
    fn known(&self, id: &str) -> Vec<(&'static str, Value)> {
        vec![("id", Value::string(id))]
    }

    /// Makes the object and returns its id.
    async fn make(&self, aws: &Aws, new: &New<'_>, ctx: &dyn OpContext) -> Result<String, ProviderError>;

    /// Reads the object; `None` if it is certainly not there. `before` is what the user or the last read had.
    async fn see(&self, aws: &Aws, id: &str, before: &Value) -> Result<Option<Seen>, ProviderError>;

    /// Reads objects that one list call finds, by id; `None`: this kind has no such call.
    async fn see_many(
        &self,
        aws: &Aws,
        ids: &[(String, &Value)],
    ) -> Result<Option<BTreeMap<String, Seen>>, ProviderError> {
        let _ = (aws, ids);
        Ok(None)
    }

    /// Writes what is to be changed, tags aside; tells whether there was anything.
    async fn change(
        &self,
        aws: &Aws,
        change: &Change<'_>,
        ctx: &dyn OpContext,
    ) -> Result<bool, ProviderError> {
        let _ = (aws, change, ctx);
        Ok(false)
    }

    async fn tag(&self, aws: &Aws, id: &str, prior: &Value, change: &TagChange) -> Result<(), ProviderError> {
        let _ = (aws, id, prior, change);
        Ok(())
    }

    /// Asks for the object's end; that it is not there is an error of kind `NotFound`.
    async fn remove(
        &self,
        aws: &Aws,
        id: &str,
        prior: &Value,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError>;

    /// Whether a refused deletion is asked for again: what stands in its way may be on its way out.
    fn remove_again(&self, error: &ProviderError) -> bool {
        error.kind == ErrorKind::Conflict
    }

    /// Whether a delete only lets go of the object, which stays.
    fn stays(&self) -> bool {
        false
    }

    /// What stands in the way of a deletion, for people.
    async fn blockers(&self, aws: &Aws, id: &str) -> Option<String> {
        let _ = (aws, id);
        None
    }

    /// The id of what a create with this plan has made, by natural key or by mark.
    async fn find(
        &self,
        aws: &Aws,
        planned: &Value,
        identity: &Identity,
    ) -> Result<Option<String>, ProviderError>;
}

/// The resource of a plain kind.
pub(crate) struct Of<K> {
    kind: K,
    schema: KindSchema,
}

impl<K: Plain + 'static> Of<K> {
    pub(crate) fn boxed(kind: K) -> Box<dyn Resource> {
        Box::new(Of { schema: kind.schema(), kind })
    }

    fn has_tags(&self) -> bool {
        self.schema.block.attrs.contains_key("tags_all")
    }

    fn object(&self, aws: &Aws, seen: Seen, before: Option<&Value>) -> Result<Object, ProviderError> {
        // What the API does not tell stays as it was.
        let mut loose = before.cloned().unwrap_or(Value::object::<&str>([]));
        for (name, value) in seen.attrs {
            loose = loose.with_attr(name, value);
        }
        if self.has_tags() {
            for (name, value) in tags::read(&seen.tags, aws.default_tags(), before) {
                loose = loose.with_attr(name, value);
            }
        }
        Ok(Object { attributes: resolved(conform(&self.schema.block, &loose)?)?, private: Json::Null })
    }

    fn label(&self, id: &str) -> String {
        format!("{} {id}", self.schema.kind)
    }

    fn gone(&self, id: &str) -> ProviderError {
        ProviderError::new(ErrorKind::NotFound, format!("{} is gone", self.label(id)))
    }

    /// Waits until the object shows itself and is ready.
    async fn ready(
        &self,
        aws: &Aws,
        id: &str,
        before: &Value,
        deadline: Timestamp,
        ctx: &dyn OpContext,
    ) -> Result<Seen, ProviderError> {
        let what = format!("{} to be ready", self.label(id));
        let begun = ctx.now();
        // Most objects are there at once, and what is there at once is no wait.
        if let Some(seen) = self.kind.see(aws, id, before).await?
            && matches!(seen.state, State::Ready)
        {
            return Ok(seen);
        }
        until(ctx, &what, deadline, SLOWEST, || async move {
            let Some(seen) = self.kind.see(aws, id, before).await? else {
                if aws.now().since(begun) < self.schema.visibility {
                    return Ok(Poll::Pending("not shown yet".into()));
                }
                return Err(self.gone(id));
            };
            match seen.state {
                State::Ready => Ok(Poll::Ready(seen)),
                State::Pending(text) => Ok(Poll::Pending(text)),
                State::Failed(why) => {
                    Err(ProviderError::new(ErrorKind::Tainted, format!("{}: {why}", self.label(id))))
                }
            }
        })
        .await
    }

    async fn wait_gone(
        &self,
        aws: &Aws,
        id: &str,
        prior: &Value,
        deadline: Timestamp,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        if self.kind.see(aws, id, prior).await?.is_none() {
            return Ok(());
        }
        let what = format!("{} to be gone", self.label(id));
        until(ctx, &what, deadline, SLOWEST, || async move {
            Ok(match self.kind.see(aws, id, prior).await? {
                None => Poll::Ready(()),
                Some(Seen { state: State::Pending(text), .. }) => Poll::Pending(text),
                Some(Seen { state: State::Failed(why), .. }) => {
                    let text = format!("{}: {why}", self.label(id));
                    return Err(ProviderError::new(ErrorKind::Unconverged, text));
                }
                Some(_) => Poll::Pending("still there".into()),
            })
        })
        .await
    }

    /// Asks for the end until nothing stands in its way, and says what does.
    async fn remove(
        &self,
        aws: &Aws,
        id: &str,
        prior: &Value,
        deadline: Timestamp,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let mut pause = Duration::from_secs(2);
        loop {
            let error = match self.kind.remove(aws, id, prior, ctx).await {
                Ok(()) => return Ok(()),
                Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
                Err(error) if !self.kind.remove_again(&error) => return Err(error),
                Err(error) => error,
            };
            if ctx.now() >= deadline {
                let what = self.kind.blockers(aws, id).await;
                return Err(what.into_iter().fold(error, |e, what| e.help(format!("in its way: {what}"))));
            }
            ctx.waiting(&format!("{} to let go: {}", self.label(id), error.message));
            ctx.pause(pause).await?;
            pause = pause.mul_f64(1.5).min(SLOWEST);
        }
    }

    /// Reads after an update, a little longer while the old values are still shown.
    async fn updated(
        &self,
        aws: &Aws,
        change: &Change<'_>,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let end = ctx.now() + STALE;
        loop {
            let seen = self.ready(aws, change.id, change.planned, change.deadline, ctx).await?;
            let object = self.object(aws, seen, Some(change.planned))?;
            if ctx.now() >= end || !is_stale(change, &object.attributes) {
                return Ok(object);
            }
            ctx.pause(Duration::from_secs(2)).await?;
        }
    }
}

/// Whether what was to change is still shown as it was.
fn is_stale(change: &Change<'_>, after: &Value) -> bool {
    let Some(prior) = change.prior else { return false };
    let planned = change.planned.as_map().into_iter().flatten();
    let changed = planned.filter(|(name, value)| prior.get(name) != Some(value));
    changed.into_iter().any(|(name, value)| !value.is_null() && after.get(name) == prior.get(name))
}

#[async_trait]
impl<K: Plain + 'static> Resource for Of<K> {
    fn schema(&self) -> KindSchema {
        self.schema.clone()
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        self.kind.validate(config)
    }

    fn plan(&self, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        let planned = match self.has_tags() {
            true => plan_tags(&input.proposed, input.config, input.provider_config),
            false => input.proposed.clone(),
        };
        let mut out = PlanOutput { planned, requires_replace: Vec::new() };
        self.kind.refine(&input, &mut out)?;
        Ok(out)
    }

    async fn read(&self, aws: &Aws, request: ReadRequest) -> Result<Read, ProviderError> {
        let id = self.kind.id(&request.prior);
        Ok(match self.kind.see(aws, &id, &request.prior).await? {
            Some(seen) => Read::Present(self.object(aws, seen, Some(&request.prior))?),
            None => Read::Gone,
        })
    }

    async fn read_many(
        &self,
        aws: &Aws,
        requests: &[ReadRequest],
    ) -> Result<Option<Vec<Read>>, ProviderError> {
        let ids: Vec<(String, &Value)> =
            requests.iter().map(|r| (self.kind.id(&r.prior), r.prior.value())).collect();
        let Some(mut found) = self.kind.see_many(aws, &ids).await? else { return Ok(None) };
        let mut reads = Vec::new();
        for (request, (id, _)) in requests.iter().zip(&ids) {
            reads.push(match found.remove(id) {
                Some(seen) => Read::Present(self.object(aws, seen, Some(&request.prior))?),
                // Absent from a list is not yet gone.
                None => self.read(aws, request.clone()).await?,
            });
        }
        Ok(Some(reads))
    }

    async fn create(
        &self,
        aws: &Aws,
        request: CreateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let planned = request.planned.value();
        let deadline = ctx.now() + request.timeouts.create;
        let tags = tags::for_create(planned, aws.default_tags(), request.identity.owner_mark.as_deref());
        let new = New { planned, tags: &tags, identity: &request.identity };
        let id = self.kind.make(aws, &new, ctx).await.map_err(|e| self.explain_existing(e))?;
        let known = Seen::of(self.kind.known(&id), tags.clone());
        let known = self.object(aws, known, Some(planned))?.attributes;
        let before = known.value().clone();
        ctx.made(Made { attributes: known, private: Json::Null, operation: None }).await;
        let mut seen = self.ready(aws, &id, &before, deadline, ctx).await?;
        let change = Change { id: &id, prior: None, planned, deadline };
        if self.kind.change(aws, &change, ctx).await? {
            seen = self.ready(aws, &id, &before, deadline, ctx).await?;
        }
        self.object(aws, seen, Some(&before))
    }

    async fn update(
        &self,
        aws: &Aws,
        request: UpdateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let (prior, planned) = (request.prior.value(), request.planned.value());
        let id = self.kind.id(prior);
        let deadline = ctx.now() + request.timeouts.update;
        let change = Change { id: &id, prior: Some(prior), planned, deadline };
        self.kind.change(aws, &change, ctx).await?;
        if self.has_tags() {
            let tags = tags::change(prior, planned, aws.default_tags());
            if tags != TagChange::default() {
                self.kind.tag(aws, &id, prior, &tags).await?;
            }
        }
        // An update may give the object a new id.
        let id = self.kind.id(planned);
        self.updated(aws, &Change { id: &id, ..change }, ctx).await
    }

    async fn delete(
        &self,
        aws: &Aws,
        request: DeleteRequest,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        if self.kind.stays() {
            return Ok(());
        }
        let (id, deadline) = (self.kind.id(&request.prior), ctx.now() + request.timeouts.delete);
        self.remove(aws, &id, &request.prior, deadline, ctx).await?;
        self.wait_gone(aws, &id, &request.prior, deadline, ctx).await
    }

    async fn resume(
        &self,
        aws: &Aws,
        request: ResumeRequest,
        ctx: &dyn OpContext,
    ) -> Result<Read, ProviderError> {
        let before = request.object.attributes.value();
        let id = self.kind.id(before);
        if request.action == Action::Delete {
            if self.kind.stays() {
                return Ok(Read::Gone);
            }
            let deadline = ctx.now() + request.timeouts.delete;
            self.wait_gone(aws, &id, before, deadline, ctx).await?;
            return Ok(Read::Gone);
        }
        if self.kind.see(aws, &id, before).await?.is_none() {
            return Ok(Read::Gone);
        }
        let seen = self.ready(aws, &id, before, ctx.now() + request.timeouts.create, ctx).await?;
        Ok(Read::Present(self.object(aws, seen, Some(before))?))
    }

    async fn import(&self, aws: &Aws, id: &str) -> Result<Read, ProviderError> {
        Ok(match self.kind.see(aws, id, &Value::NULL).await? {
            Some(seen) => Read::Present(self.object(aws, seen, None)?),
            None => Read::Gone,
        })
    }

    async fn recover(&self, aws: &Aws, request: RecoverRequest) -> Result<Found, ProviderError> {
        let planned = request.planned.value();
        let Some(id) = self.kind.find(aws, planned, &request.identity).await? else {
            return Ok(Found::Absent);
        };
        let Some(seen) = self.kind.see(aws, &id, planned).await? else { return Ok(Found::Absent) };
        let mark = seen.tags.get(OWNER_TAG).cloned();
        let ours = self.schema.pure_relation || (mark.is_some() && mark == request.identity.owner_mark);
        let object = self.object(aws, seen, Some(planned))?;
        Ok(if ours { Found::Ours(object) } else { Found::Foreign(object) })
    }
}

impl<K: Plain + 'static> Of<K> {
    fn explain_existing(&self, error: ProviderError) -> ProviderError {
        let exists = error.code.as_deref().is_some_and(|c| c.contains("Duplicate") || c.contains("Exists"));
        if exists && error.help.is_none() {
            return error.help("import the object that is there, or choose another name");
        }
        error
    }
}

/// A fault of one argument.
pub(crate) fn fault(argument: &str, message: impl Into<String>) -> Problem {
    Problem { path: AttrPath::root().attr(argument), message: message.into(), help: None }
}

/// Faults of arguments that exclude each other, and of a set of which one is needed.
pub(crate) fn exclusive(config: &Value, arguments: &[&str], one_needed: bool) -> Vec<Problem> {
    let is_set = |name: &&&str| {
        let value = config.get(name);
        value.is_some_and(|v| !v.is_null() && v.as_seq().is_none_or(|s| !s.is_empty()))
    };
    let written: Vec<&&str> = arguments.iter().filter(is_set).collect();
    let names = arguments.iter().map(|a| format!("`{a}`")).collect::<Vec<_>>().join(", ");
    match written.as_slice() {
        [] if one_needed => vec![fault(arguments[0], format!("one of {names} is needed"))],
        [_, second, ..] => vec![fault(second, format!("only one of {names} may be written"))],
        _ => Vec::new(),
    }
}

/// A plan in which `name` keeps its old text where both mean the same.
pub(crate) fn keep_if_same(
    input: &PlanInput<'_>,
    out: &mut PlanOutput,
    name: &str,
    same: impl Fn(&str, &str) -> bool,
) {
    if let (Some(old), Some(new)) = (input.prior.and_then(|p| text(p, name)), text(&out.planned, name))
        && same(&old, &new)
    {
        out.planned = out.planned.with_attr(name, Value::string(old));
    }
}
