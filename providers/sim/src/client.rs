//! A configured provider of the simulation: it makes calls to the world.

use crate::kinds::{self, Row};
use crate::world::{Op, SimObject, SimWorld, State, When, error};
use groma_provider::retry::Retry;
use groma_provider::{
    Action, CallRecord, Configured, CreateRequest, DeleteRequest, Environment, ErrorKind, Found, Made,
    Minted, Minter, Object, OpContext, ProviderError, Read, ReadRequest, RecoverRequest, ResumeRequest,
    UpdateRequest, World, async_trait,
};
use groma_types::{Resolved, Timestamp, Value};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Pause between two polls.
const POLL: Duration = Duration::from_secs(5);

/// Where the client's objects are.
pub(crate) enum Place {
    Cloud { account: String },
    Host { endpoint: String, ca: Option<String> },
}

pub(crate) struct Client {
    pub(crate) world: SimWorld,
    pub(crate) env: Environment,
    pub(crate) place: Place,
    pub(crate) token: Option<String>,
    pub(crate) minter: Option<Arc<dyn Minter>>,
}

/// What a call does under the world's lock; gets the moment and the scope of the client.
type Work<'a, T> = dyn Fn(&mut State, Timestamp, &str) -> Result<T, ProviderError> + Sync + 'a;

/// What a wait waits for.
#[derive(Clone, Copy)]
struct Wait<'a> {
    row: &'static Row,
    id: &'a str,
    op: Op,
    timeout: Duration,
}

impl Client {
    async fn lease(&self, args: &Resolved) -> Result<Minted, ProviderError> {
        let of = args.get("of").cloned().unwrap_or(Value::NULL);
        self.call("sim_lease", Op::Mint, &|state, now, _| {
            let (id, secret, renew_at) = state.lease(now);
            let value =
                Value::object([("of", of.clone()), ("id", id.as_str().into()), ("secret", secret.into())]);
            Ok(Minted { value, renew_at, private: id.into() })
        })
        .await
    }

    async fn token(&self, renew: bool) -> Result<Option<String>, ProviderError> {
        match &self.minter {
            Some(minter) => {
                let minted = minter.mint(renew).await?;
                let text = minted.value.as_str().map(str::to_owned);
                text.map(Some).ok_or_else(|| error(ErrorKind::Bug, "the minted token is no string"))
            }
            None => Ok(self.token.clone()),
        }
    }

    fn scope(&self, state: &State, now: Timestamp, token: Option<&str>) -> Result<String, ProviderError> {
        match &self.place {
            Place::Cloud { account } => Ok(format!("cloud/{account}")),
            Place::Host { endpoint, ca } => {
                let id = state.host_at(now, endpoint, ca.as_deref())?.id.clone();
                state.check_token(now, &id, token)?;
                Ok(format!("host/{id}"))
            }
        }
    }

    /// One call; refused credentials are minted anew once.
    async fn call<T: Send>(&self, kind: &str, op: Op, work: &Work<'_, T>) -> Result<T, ProviderError> {
        let retry = if op.is_mutating() { Retry::ONCE } else { Retry::READ };
        retry
            .run(&self.env, |attempt| async move {
                let token = self.token(false).await?;
                match self.once(kind, op, attempt, token, work).await {
                    Err(refused) if refused.kind == ErrorKind::Denied && self.minter.is_some() => {
                        let token = self.token(true).await?;
                        self.once(kind, op, attempt, token, work).await
                    }
                    answer => answer,
                }
            })
            .await
    }

    async fn once<T: Send>(
        &self,
        kind: &str,
        op: Op,
        attempt: u32,
        token: Option<String>,
        work: &Work<'_, T>,
    ) -> Result<T, ProviderError> {
        let duration = self.world.state().config.request;
        self.env.clock.sleep(duration).await;
        let now = self.env.clock.now();
        let answer = self.world.state().serve(now, kind, op, |state| {
            let scope = self.scope(state, now, token.as_deref())?;
            work(state, now, &scope)
        });
        let answer =
            answer.map_err(|e| if e.asked.is_empty() { e.asked(format!("{op:?} {kind}")) } else { e });
        self.env.calls.call(CallRecord {
            service: if matches!(self.place, Place::Cloud { .. }) { "sim" } else { "simkube" }.into(),
            operation: format!("{op:?} {kind}").into(),
            millis: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            status: status(answer.as_ref().err().map(|e| e.kind)),
            request_id: None,
            attempt,
            mutating: op.is_mutating(),
        });
        answer
    }

    fn row(&self, kind: &str) -> Result<&'static Row, ProviderError> {
        let hosted = matches!(self.place, Place::Host { .. });
        let row = kinds::row(kind).filter(|r| r.hosted == hosted);
        row.ok_or_else(|| error(ErrorKind::Bug, format!("{kind} is not a kind of this provider")))
    }

    /// Asks for an object by its id; `None`: the world says that it is not there.
    async fn get(&self, row: &'static Row, id: &str) -> Result<Option<SimObject>, ProviderError> {
        self.call(row.kind, Op::Read, &|state, now, scope| {
            let number = state.find(scope, row.kind, id);
            Ok(number.and_then(|n| state.objects.get(&n)).filter(|o| o.visible <= now).cloned())
        })
        .await
    }

    /// Waits until an object is as it was asked to be. A fresh object that is not visible yet is waited for too.
    async fn settle(&self, wait: Wait<'_>, ctx: &dyn OpContext) -> Result<Option<SimObject>, ProviderError> {
        let Wait { row, id, op, timeout } = wait;
        let begun = ctx.now();
        let bad = self.world.state().strikes(row.kind, op, When::Wait);
        if let Some(kind) = bad {
            return Err(
                error(kind, format!("{} {id} does not become ready", row.kind)).asked(format!("{op:?}"))
            );
        }
        loop {
            let object = self.get(row, id).await?;
            let waits_for = match (&object, op) {
                (None, Op::Delete) => return Ok(None),
                (None, _) if ctx.now() >= begun + row.schema().visibility + POLL => return Ok(None),
                (None, _) => format!("{id} to be visible"),
                (Some(_), Op::Delete) => format!("{id} to be gone"),
                (Some(object), _) => match self.unready(row, object) {
                    Some(reason) => reason,
                    None => return Ok(Some(object.clone())),
                },
            };
            if ctx.now().since(begun) >= timeout {
                return Err(error(ErrorKind::TimedOut, format!("still waiting for {waits_for}")));
            }
            ctx.waiting(&waits_for);
            ctx.pause(POLL).await?;
        }
    }

    fn unready(&self, row: &Row, object: &SimObject) -> Option<String> {
        let (state, now) = (self.world.state(), self.env.clock.now());
        if object.ready > now {
            return Some(format!("{} to be ready", object.id));
        }
        let starved =
            row.kind == "sim_app" && state.config.apps_need_pools && !state.has_capacity(now, &object.scope);
        starved.then(|| format!("room for {}", object.id))
    }

    /// Asks for a create again while what it names may just not be visible yet, or for a while is not ready.
    async fn create_when_possible(
        &self,
        row: &'static Row,
        request: &CreateRequest,
        ctx: &dyn OpContext,
    ) -> Result<SimObject, ProviderError> {
        let begun = ctx.now();
        loop {
            let work = |state: &mut State, now: Timestamp, scope: &str| {
                let number = state.create(now, scope, row, &request.planned, &request.identity)?;
                if let Some(secret) = request.config.str_attr("secret_wo") {
                    state.write(number, secret)?;
                }
                Ok(state.objects[&number].clone())
            };
            let answer = self.call(row.kind, Op::Create, &work).await;
            let fresh = |e: &ProviderError| {
                let arg = e.path.as_ref().and_then(|p| p.first_attr());
                let name = arg.and_then(|a| request.planned.str_attr(a));
                e.kind == ErrorKind::NotFound && name.is_some_and(|n| ctx.made_in_this_run(n))
            };
            match answer {
                Err(e)
                    if fresh(&e) && ctx.now().since(begun) < Duration::from_secs(60) && !ctx.is_stopped() =>
                {
                    ctx.pause(Duration::from_secs(2)).await?;
                }
                answer => return answer,
            }
        }
    }
}

fn status(error: Option<ErrorKind>) -> u16 {
    match error {
        None => 200,
        Some(ErrorKind::NotFound) => 404,
        Some(ErrorKind::Denied) => 403,
        Some(ErrorKind::Throttled) => 429,
        Some(ErrorKind::Conflict) => 409,
        Some(ErrorKind::Invalid | ErrorKind::Quota) => 400,
        Some(ErrorKind::Unavailable) => 503,
        Some(
            ErrorKind::Unreachable
            | ErrorKind::Ambiguous
            | ErrorKind::Unconverged
            | ErrorKind::Tainted
            | ErrorKind::TimedOut
            | ErrorKind::Interrupted
            | ErrorKind::Bug,
        ) => 0,
    }
}

fn resolved(value: &Value) -> Resolved {
    value.clone().resolve().expect("invariant: the world holds nothing unknown")
}

fn as_object(object: &SimObject) -> Object {
    Object { attributes: resolved(&object.attributes), private: json!({ "id": object.id }) }
}

fn present(object: Option<SimObject>) -> Read {
    object.map_or(Read::Gone, |o| Read::Present(as_object(&o)))
}

/// The id of an object that the engine remembers.
fn id_of<'a>(attributes: &'a Resolved, private: &'a serde_json::Value) -> Result<&'a str, ProviderError> {
    let id = private.get("id").and_then(|id| id.as_str()).or_else(|| attributes.str_attr("id"));
    id.ok_or_else(|| error(ErrorKind::Bug, "the object has no id"))
}

#[async_trait]
impl Configured for Client {
    async fn identity(&self) -> Result<World, ProviderError> {
        match &self.place {
            Place::Cloud { account } => Ok(World::of([("account", account.clone())])),
            Place::Host { .. } => {
                let host = self.call("sim_host", Op::Read, &|_, _, scope| Ok(scope.to_string())).await?;
                Ok(World::of([("host", host.trim_start_matches("host/").to_string())]))
            }
        }
    }

    async fn read(&self, kind: &str, request: ReadRequest) -> Result<Read, ProviderError> {
        let id = id_of(&request.prior, &request.private)?;
        Ok(present(self.get(self.row(kind)?, id).await?))
    }

    async fn read_many(
        &self,
        kind: &str,
        requests: &[ReadRequest],
    ) -> Result<Option<Vec<Read>>, ProviderError> {
        let row = self.row(kind)?;
        let listed = self
            .call(kind, Op::List, &|state, now, scope| {
                let of = |o: &&SimObject| o.kind == row.kind && o.scope == scope && o.visible <= now;
                Ok(state.objects.values().filter(of).cloned().collect::<Vec<_>>())
            })
            .await?;
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            let id = id_of(&request.prior, &request.private)?;
            answers.push(match listed.iter().find(|o| o.id == id) {
                Some(object) => Read::Present(as_object(object)),
                None => present(self.get(row, id).await?),
            });
        }
        Ok(Some(answers))
    }

    async fn read_data(&self, kind: &str, config: Resolved) -> Result<Option<Value>, ProviderError> {
        let (of, attrs): (_, &[&str]) = match kind {
            "sim_lookup" => ("sim_named", &["id", "name", "value"]),
            "sim_host" => ("sim_host", &["id", "name", "version", "endpoint", "ca"]),
            _ => return Err(error(ErrorKind::Bug, format!("{kind} is not a data source of this provider"))),
        };
        let name = config.str_attr("name").unwrap_or_default().to_string();
        self.call(kind, Op::Data, &|state, now, scope| {
            let found = state.named(scope, of, &name).filter(|o| o.visible <= now && o.gone.is_none());
            let pick = |o: &SimObject, a: &str| o.attributes.get(a).cloned().unwrap_or(Value::NULL);
            Ok(found.map(|o| Value::object(attrs.iter().map(|&a| (a, pick(o, a))))))
        })
        .await
    }

    async fn mint(&self, kind: &str, args: Resolved) -> Result<Minted, ProviderError> {
        if kind == "sim_lease" {
            return self.lease(&args).await;
        }
        if kind != "sim_token" {
            return Err(error(ErrorKind::Bug, format!("{kind} is not a minter")));
        }
        let name = args.str_attr("host_name").unwrap_or_default().to_string();
        self.call(kind, Op::Mint, &|state, now, scope| {
            let missing = || error(ErrorKind::NotFound, format!("there is no host {name}"));
            let host = state.named(scope, "sim_host", &name).ok_or_else(missing)?.id.clone();
            let (token, ends) = state.mint(now, &host);
            let value = Value::object([
                ("host_name", name.as_str().into()),
                ("id", host.into()),
                ("token", Value::from(token).mark(groma_types::Marks::SENSITIVE)),
            ]);
            let ahead = ends.since(now) / 3;
            Ok(Minted::new(value, Some(ends - ahead)))
        })
        .await
    }

    async fn renew(&self, kind: &str, args: Resolved, open: Minted) -> Result<Minted, ProviderError> {
        let Some(id) = open.private.as_str() else { return self.mint(kind, args).await };
        let renew_at = self.call(kind, Op::Renew, &|state, now, _| state.renew_lease(now, id)).await?;
        Ok(Minted { renew_at, ..open.clone() })
    }

    async fn close(&self, kind: &str, open: Minted) -> Result<(), ProviderError> {
        let Some(id) = open.private.as_str() else { return Ok(()) };
        self.call(kind, Op::Close, &|state, _, _| state.close_lease(id)).await
    }

    async fn create(
        &self,
        kind: &str,
        request: CreateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let row = self.row(kind)?;
        let object = self.create_when_possible(row, &request, ctx).await?;
        let Object { attributes, private } = as_object(&object);
        ctx.made(Made { attributes, private, operation: Some(format!("create {}", object.id)) }).await;
        let wait = Wait { row, id: &object.id, op: Op::Create, timeout: request.timeouts.create };
        let ready = self.settle(wait, ctx).await?;
        let lost = || error(ErrorKind::Tainted, format!("{} vanished while it was made", object.id));
        ready.map(|o| as_object(&o)).ok_or_else(lost)
    }

    async fn update(
        &self,
        kind: &str,
        request: UpdateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let row = self.row(kind)?;
        let id = id_of(&request.prior, &request.private)?;
        self.call(kind, Op::Update, &|state, now, scope| {
            let missing = || error(ErrorKind::NotFound, format!("{id} is not there"));
            let number = state.find(scope, row.kind, id).ok_or_else(missing)?;
            state.update(now, number, &request.planned)?;
            let version = |v: &Value| v.get("secret_wo_version").map(|v| v.unmark_deep().0);
            match request.config.str_attr("secret_wo") {
                Some(secret) if version(&request.prior) != version(&request.planned) => {
                    state.write(number, secret)
                }
                _ => Ok(()),
            }
        })
        .await?;
        let wait = Wait { row, id, op: Op::Update, timeout: request.timeouts.update };
        let ready = self.settle(wait, ctx).await?;
        ready.map(|o| as_object(&o)).ok_or_else(|| error(ErrorKind::NotFound, format!("{id} vanished")))
    }

    async fn delete(
        &self,
        kind: &str,
        request: DeleteRequest,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let row = self.row(kind)?;
        let id = id_of(&request.prior, &request.private)?;
        self.call(kind, Op::Delete, &|state, now, scope| match state.find(scope, row.kind, id) {
            Some(number) => state.delete(now, number),
            None => Ok(()),
        })
        .await?;
        let wait = Wait { row, id, op: Op::Delete, timeout: request.timeouts.delete };
        self.settle(wait, ctx).await.map(drop)
    }

    async fn resume(
        &self,
        kind: &str,
        request: ResumeRequest,
        ctx: &dyn OpContext,
    ) -> Result<Read, ProviderError> {
        let row = self.row(kind)?;
        let id = id_of(&request.object.attributes, &request.object.private)?;
        let (op, timeout) = match request.action {
            Action::Create => (Op::Create, request.timeouts.create),
            Action::Update => (Op::Update, request.timeouts.update),
            Action::Delete => (Op::Delete, request.timeouts.delete),
        };
        if op == Op::Delete {
            // A delete that never arrived leaves an object that no wait makes go away.
            let object = self.get(row, id).await?;
            if object.as_ref().is_none_or(|o| o.gone.is_none()) {
                return Ok(present(object));
            }
        }
        Ok(present(self.settle(Wait { row, id, op, timeout }, ctx).await?))
    }

    async fn import(&self, kind: &str, id: &str) -> Result<Read, ProviderError> {
        let row = self.row(kind)?;
        let found = self
            .call(kind, Op::Read, &|state, now, scope| {
                let is_it = |o: &&SimObject| {
                    let named = o.id == id || !row.schema().natural_key.is_empty() && key_text(row, o) == id;
                    named && o.kind == row.kind && o.scope == scope && o.visible <= now
                };
                Ok(state.objects.values().find(is_it).cloned())
            })
            .await?;
        Ok(present(found))
    }

    async fn recover(&self, kind: &str, request: RecoverRequest) -> Result<Found, ProviderError> {
        let row = self.row(kind)?;
        let schema = row.schema();
        let (planned, _) = request.planned.unmark_deep();
        self.call(kind, Op::List, &|state, now, scope| {
            let seen = |o: &&SimObject| o.kind == row.kind && o.scope == scope && o.visible <= now;
            let is_ours = |o: &&SimObject| {
                let token = o.token.as_ref() == Some(&request.identity.token);
                let mark = o.owner_mark.is_some() && o.owner_mark == request.identity.owner_mark;
                token || mark
            };
            if let Some(ours) = state.objects.values().filter(seen).find(is_ours) {
                return Ok(Found::Ours(as_object(ours)));
            }
            let by_key =
                state.find_key(scope, row, &planned).and_then(|n| state.objects.get(&n)).filter(seen);
            Ok(match by_key {
                Some(object) if schema.pure_relation => Found::Ours(as_object(object)),
                // No mark is possible: made after the begin with what was planned, it is taken for ours.
                Some(object)
                    if !schema.owner_mark
                        && object.made >= request.begun
                        && has_planned(object, &planned) =>
                {
                    Found::Ours(as_object(object))
                }
                Some(object) => Found::Foreign(as_object(object)),
                None if schema.natural_key.is_empty() && !row.tokens && !schema.owner_mark => {
                    Found::CannotTell
                }
                None => Found::Absent,
            })
        })
        .await
    }
}

/// The natural key as users write it in an import: its parts joined by slashes.
fn key_text(row: &Row, object: &SimObject) -> String {
    let key = &row.schema().natural_key;
    let parts: Vec<&str> = key.iter().map(|k| object.attributes.str_attr(k).unwrap_or_default()).collect();
    parts.join("/")
}

/// Whether an object has every attribute that was planned.
fn has_planned(object: &SimObject, planned: &Value) -> bool {
    let (now, _) = object.attributes.unmark_deep();
    planned.as_map().into_iter().flatten().all(|(name, v)| v.is_null() || now.get(name) == Some(v))
}
