//! Settles what earlier runs left open, before anything else: reads first.
//!
//! A `begin` without an answer is looked for and closed as found; an operation that was left waiting is waited for.
//! Nothing is created or replaced here.

use super::context::{Context, MadeKeys, Message};
use super::emit::Emitter;
use super::stop::StopSignal;
use crate::event::EventKind;
use crate::facade::Host;
use crate::plan::planner::{check_world, code_of, summary_of};
use crate::pool::Pool;
use crate::refresh;
use crate::state::{Ended, Object, OpId, OpenOp, Record, State, Status, Store, StoreError};
use futures::channel::mpsc;
use futures::future::{Either, LocalBoxFuture, select};
use futures::stream::{FuturesUnordered, StreamExt};
use groma_provider::OpContext;
use groma_provider::{
    Action, Configured, ErrorKind, Found, Identity, Object as Seen, ProviderError, Read, RecoverRequest,
    ResumeRequest,
};
use groma_types::{Diagnostic, Diagnostics, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How long a request that had left may take to have its effect after its sender is gone.
const REQUEST_MAX: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Why an object is tainted whose provisioners nobody saw end.
const CUT_OFF: &str = "the run was cut off while its provisioners ran";

fn is_provisioning(open: &OpenOp) -> bool {
    open.made.as_ref().is_some_and(|m| m.provisioning)
}

/// What was found of one operation.
enum Verdict {
    Present(Seen),
    Gone,
    /// A create that certainly made nothing.
    NeverMade,
    Foreign,
    CannotTell,
    Failed(ProviderError),
}

/// Closes every open operation that can be closed.
///
/// # Errors
/// The journal can't be written.
pub async fn settle(
    store: &mut dyn Store,
    host: &Host,
    emitter: &Arc<Emitter>,
    stop: &StopSignal,
) -> Result<Diagnostics, StoreError> {
    let mut state = store.load();
    let mut diagnostics = Diagnostics::new();
    if state.open.is_empty() {
        return Ok(diagnostics);
    }
    let pool = pool(&state, host, emitter);
    let (sender, mut receiver) = mpsc::unbounded();
    let mut futures: FuturesUnordered<LocalBoxFuture<'_, (OpId, Verdict)>> = FuturesUnordered::new();
    for (op, open) in state.open.clone() {
        let context = Context {
            owner: op,
            messages: sender.clone(),
            clock: host.clock.clone(),
            stop: stop.clone(),
            made_keys: MadeKeys::default(),
        };
        let object = state.objects.get(&open.begin.object).cloned();
        let world = state.recipes.get(&open.begin.recipe).map(|r| r.world.clone()).unwrap_or_default();
        let settled_by = open.begin.at + visibility(&pool, &open).max(REQUEST_MAX);
        let pool = pool.clone();
        emitter.emit(EventKind::RefreshStarted { address: open.begin.address.clone() });
        futures.push(Box::pin(async move {
            let verdict = match configured(&pool, &open, &world).await {
                Ok(configured) => look(&*configured, &open, object.as_ref(), settled_by, &context).await,
                Err(error) => Err(error),
            };
            (op, verdict.unwrap_or_else(Verdict::Failed))
        }));
    }
    while !futures.is_empty() {
        match select(futures.next(), receiver.next()).await {
            Either::Left((Some((op, verdict)), _)) => {
                let Some(open) = state.open.get(&op).cloned() else { continue };
                let records = close(&state, op, &open, verdict, &mut diagnostics);
                for record in records {
                    state.apply(&record);
                    store.append(record);
                }
                store.flush()?;
            }
            Either::Right((Some(Message::Waiting { owner, what }), _)) => {
                if let Some(open) = state.open.get(&owner) {
                    emitter.emit(EventKind::OperationWaiting { address: open.begin.address.clone(), what });
                }
            }
            Either::Right((Some(Message::Made { durable, .. }), _)) => drop(durable.send(())),
            _ => {}
        }
    }
    // What could not be closed ends by itself; what is settled is settled.
    let _ = pool.close().await;
    Ok(diagnostics)
}

fn pool(state: &State, host: &Host, emitter: &Arc<Emitter>) -> Arc<Pool> {
    let mut env = host.env.clone();
    env.calls = emitter.clone();
    let pool = Pool::new(host.registry.providers.clone(), env, host.files.clone());
    state.recipes.iter().for_each(|(id, recipe)| pool.add(id, recipe));
    pool
}

/// How long a fresh object of the operation's kind may be invisible.
fn visibility(pool: &Arc<Pool>, open: &OpenOp) -> Duration {
    let provider = pool.provider(&open.begin.provider.name);
    let kind = &open.begin.address.resource.kind;
    provider.and_then(|p| p.schema().resources.get(kind)).map_or(Duration::ZERO, |s| s.visibility)
}

async fn configured(
    pool: &Arc<Pool>,
    open: &OpenOp,
    world: &groma_provider::World,
) -> Result<Arc<dyn Configured>, ProviderError> {
    check_world(world, &pool.world(&open.begin.recipe).await?)?;
    pool.get(&open.begin.recipe).await
}

/// Looks for a create's result until absence counts: a fresh object may be invisible for a while, and the request
/// itself may have been on its way when the run was cut off.
async fn found(
    configured: &dyn Configured,
    kind: &str,
    request: RecoverRequest,
    settled_by: Timestamp,
    context: &Context<OpId>,
) -> Result<Found, ProviderError> {
    loop {
        let again = RecoverRequest {
            planned: request.planned.clone(),
            identity: request.identity.clone(),
            begun: request.begun,
        };
        match configured.recover(kind, again).await? {
            Found::Absent if context.now() < settled_by => {
                context.waiting("looking for what an earlier run may have made");
                let rest = settled_by.since(context.now());
                context.pause(rest.min(LOOK_EVERY)).await?;
            }
            other => return Ok(other),
        }
    }
}

async fn look(
    configured: &dyn Configured,
    open: &OpenOp,
    object: Option<&Object>,
    settled_by: Timestamp,
    context: &Context<OpId>,
) -> Result<Verdict, ProviderError> {
    let kind = &open.begin.address.resource.kind;
    let broken = || ProviderError::new(ErrorKind::Bug, "the journal holds an unknown value");
    if let Some(made) = &open.made {
        let attributes = made.attributes.clone().resolve().map_err(|_| broken())?;
        let request = ResumeRequest {
            action: open.begin.action,
            object: Seen { attributes, private: made.private.clone() },
            operation: made.operation.as_ref().map(|o| o.to_string()),
            timeouts: open.begin.settings.timeouts,
        };
        return configured.resume(kind, request, context).await.map(verdict_of);
    }
    if open.begin.action == Action::Create {
        let request = RecoverRequest {
            planned: open.begin.planned.clone().resolve().map_err(|_| broken())?,
            identity: Identity {
                token: open.begin.token.to_string(),
                owner_mark: open.begin.owner_mark.as_ref().map(|m| m.to_string()),
            },
            begun: open.begin.at,
        };
        return Ok(match found(configured, kind, request, settled_by, context).await? {
            Found::Ours(seen) => {
                let resume = ResumeRequest {
                    action: Action::Create,
                    object: seen,
                    operation: None,
                    timeouts: open.begin.settings.timeouts,
                };
                verdict_of(configured.resume(kind, resume, context).await?)
            }
            Found::Foreign(_) => Verdict::Foreign,
            Found::Absent => Verdict::NeverMade,
            Found::CannotTell => Verdict::CannotTell,
        });
    }
    match object {
        Some(object) => configured.read(kind, refresh::request(object)?).await.map(verdict_of),
        None => Ok(Verdict::Gone),
    }
}

fn verdict_of(read: Read) -> Verdict {
    match read {
        Read::Present(seen) => Verdict::Present(seen),
        Read::Gone => Verdict::Gone,
    }
}

/// The records that close an operation as it was found; none: it stays open.
fn close(
    state: &State,
    op: OpId,
    open: &OpenOp,
    verdict: Verdict,
    diagnostics: &mut Diagnostics,
) -> Vec<Record> {
    let begin = &open.begin;
    let existing = state.objects.get(&begin.object);
    match (verdict, begin.action) {
        (Verdict::Present(seen), Action::Delete) => {
            // Not deleted: it is what it was, and planned anew.
            let _ = seen;
            let mut records = vec![Record::End(op, Ended::Refused("it is still there".into()))];
            if let Some(object) = existing.filter(|o| o.status == Status::Waiting) {
                records.push(Record::Observed(Box::new(Object { status: Status::Ready, ..object.clone() })));
            }
            records
        }
        (Verdict::Present(seen), _) => {
            let object = settled(open, existing, seen);
            vec![Record::End(op, Ended::Settled(Box::new(object)))]
        }
        (Verdict::Gone, _) => {
            let hosted = state.objects.values().filter(|o| o.host.as_ref() == Some(&begin.object));
            let dropped = hosted.map(|o| o.id.clone()).collect();
            vec![Record::End(op, Ended::Deleted { dropped })]
        }
        (Verdict::NeverMade, _) => vec![Record::End(op, Ended::Refused("it was never made".into()))],
        (Verdict::Foreign, _) => {
            diagnostics.push(
                Diagnostic::error("G1070", "An object is there that may not be ours")
                    .detail(format!(
                        "An earlier run began to create {} and was cut off; an object of its name exists without our mark.",
                        begin.address
                    ))
                    .help(format!("If it is this stack's: groma state resolve '{}' -ours; else -foreign.", begin.address))
                    .address(&begin.address),
            );
            Vec::new()
        }
        (Verdict::CannotTell, _) => {
            diagnostics.push(
                Diagnostic::error("G1071", "Nobody can tell whether an object was made")
                    .detail(format!("An earlier run began to create {} and was cut off.", begin.address))
                    .help(format!(
                        "Look for it, then: groma state resolve '{}' -ours or -foreign.",
                        begin.address
                    ))
                    .address(&begin.address),
            );
            Vec::new()
        }
        (Verdict::Failed(error), _) => failed(op, open, existing, &error, diagnostics),
    }
}

/// An answer that is an end all the same (its wait ended badly) closes the operation; others leave it open.
fn failed(
    op: OpId,
    open: &OpenOp,
    existing: Option<&Object>,
    error: &ProviderError,
    diagnostics: &mut Diagnostics,
) -> Vec<Record> {
    let mut diagnostic = Diagnostic::error(code_of(error.kind), summary_of(error.kind))
        .detail(error.to_string())
        .address(&open.begin.address);
    diagnostic.help = error.help.clone();
    diagnostics.push(diagnostic);
    let status = match error.kind {
        _ if is_provisioning(open) && matches!(error.kind, ErrorKind::Unconverged | ErrorKind::TimedOut) => {
            Status::Tainted(CUT_OFF.into())
        }
        ErrorKind::Tainted => Status::Tainted(error.to_string().into()),
        ErrorKind::Unconverged | ErrorKind::TimedOut => Status::Unconverged(error.to_string().into()),
        _ => return Vec::new(),
    };
    match existing {
        Some(object) => vec![Record::End(op, Ended::Settled(Box::new(Object { status, ..object.clone() })))],
        None => Vec::new(),
    }
}

fn settled(open: &OpenOp, existing: Option<&Object>, seen: Seen) -> Object {
    let begin = &open.begin;
    let status = match existing.map(|o| &o.status) {
        Some(Status::Deposed(key)) => Status::Deposed(key.clone()),
        _ if is_provisioning(open) => Status::Tainted(CUT_OFF.into()),
        // They have not begun: the next plan goes on with them.
        _ if begin.settings.unprovisioned => Status::Unconverged("its provisioners have not run".into()),
        _ => Status::Ready,
    };
    Object {
        id: begin.object.clone(),
        address: existing.map_or_else(|| begin.address.clone(), |o| o.address.clone()),
        provider: begin.provider.clone(),
        recipe: begin.recipe.clone(),
        status,
        attributes: seen.attributes.into_value(),
        private: seen.private,
        schema_version: begin.schema_version,
        groma_version: env!("CARGO_PKG_VERSION").into(),
        dependencies: begin.dependencies.clone(),
        host: begin.host.clone(),
        owner_mark: begin.owner_mark.clone(),
        settings: begin.settings.clone(),
        created: existing.map_or(begin.at, |o| o.created),
    }
}
