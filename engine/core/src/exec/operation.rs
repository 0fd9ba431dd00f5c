//! One changing operation against a provider: the call, and what is done at once about a lost answer.
//!
//! Knows no graph and no journal: it tells the loop through its context.

use crate::plan::decide;
use groma_provider::{
    Action, Configured, CreateRequest, DeleteRequest, ErrorKind, Found, Identity, Made, Object, OpContext,
    ProviderError, Read, RecoverRequest, ResumeRequest, UpdateRequest,
};
use groma_types::schema::Timeouts;
use groma_types::{Resolved, Timestamp};
use serde_json::Value as Json;
use std::time::Duration;

/// How often a lost create is looked for before the operation is left in doubt.
const LOOKS_MAX: u32 = 5;

pub enum Request {
    Create {
        planned: Resolved,
        config: Resolved,
        identity: Identity,
        timeouts: Timeouts,
        begun: Timestamp,
    },
    Update {
        prior: Resolved,
        private: Json,
        planned: Resolved,
        config: Resolved,
        owner_mark: Option<String>,
        token: String,
        timeouts: Timeouts,
    },
    /// Waits anew for an object whose wait ended badly; changes nothing.
    Resume {
        object: Object,
        timeouts: Timeouts,
    },
    Delete {
        prior: Resolved,
        private: Json,
        timeouts: Timeouts,
    },
}

/// The good end of an operation.
pub enum Done {
    Settled(Object),
    Deleted,
}

/// Makes the request and waits for its end.
///
/// # Errors
/// The provider's; kind `Ambiguous` only if looking for the result did not help.
pub async fn run(
    configured: &dyn Configured,
    kind: &str,
    request: Request,
    ctx: &dyn OpContext,
) -> Result<Done, ProviderError> {
    match request {
        Request::Create { planned, config, identity, timeouts, begun } => {
            let recover = RecoverRequest { planned: planned.clone(), identity: identity.clone(), begun };
            let request = CreateRequest { planned, config, identity, timeouts };
            match configured.create(kind, request, ctx).await {
                Err(error) if error.kind == ErrorKind::Ambiguous => {
                    look_for(configured, kind, recover, timeouts, error, ctx).await
                }
                other => other.map(Done::Settled),
            }
        }
        Request::Update { prior, private, planned, config, owner_mark, token, timeouts } => {
            let lost = LostUpdate {
                object: Object { attributes: prior.clone(), private: private.clone() },
                planned: planned.clone(),
                timeouts,
            };
            let request = UpdateRequest { prior, private, planned, config, owner_mark, token, timeouts };
            match configured.update(kind, request, ctx).await {
                Err(error) if error.kind == ErrorKind::Ambiguous => {
                    lost_update(configured, kind, lost, error, ctx).await
                }
                other => other.map(Done::Settled),
            }
        }
        Request::Resume { object, timeouts } => resume(configured, kind, object, timeouts, ctx).await,
        Request::Delete { prior, private, timeouts } => {
            let request = || DeleteRequest { prior: prior.clone(), private: private.clone(), timeouts };
            let first = configured.delete(kind, request(), ctx).await;
            let Err(lost) = first else { return Ok(Done::Deleted) };
            if lost.kind != ErrorKind::Ambiguous {
                return Err(lost);
            }
            // An object that is gone is success, so a delete may be asked for again.
            for look in 1..=LOOKS_MAX {
                ctx.pause(Duration::from_secs(u64::from(look) * 2)).await?;
                match configured.delete(kind, request(), ctx).await {
                    Err(error) if is_no_answer(&error) => {}
                    other => return other.map(|()| Done::Deleted),
                }
            }
            Err(lost)
        }
    }
}

/// Whether an error tells nothing about the object.
fn is_no_answer(error: &ProviderError) -> bool {
    matches!(
        error.kind,
        ErrorKind::Ambiguous | ErrorKind::Unavailable | ErrorKind::Unreachable | ErrorKind::Throttled
    )
}

async fn resume(
    configured: &dyn Configured,
    kind: &str,
    object: Object,
    timeouts: Timeouts,
    ctx: &dyn OpContext,
) -> Result<Done, ProviderError> {
    let request = ResumeRequest { action: Action::Update, object, operation: None, timeouts };
    match configured.resume(kind, request, ctx).await? {
        Read::Present(object) => Ok(Done::Settled(object)),
        Read::Gone => Err(ProviderError::new(ErrorKind::NotFound, "it is not there any more")),
    }
}

struct LostUpdate {
    object: Object,
    planned: Resolved,
    timeouts: Timeouts,
}

/// The answer of an update was lost: it was made if the object has what was planned.
async fn lost_update(
    configured: &dyn Configured,
    kind: &str,
    lost: LostUpdate,
    error: ProviderError,
    ctx: &dyn OpContext,
) -> Result<Done, ProviderError> {
    ctx.pause(Duration::from_secs(2)).await?;
    let object = match resume(configured, kind, lost.object, lost.timeouts, ctx).await {
        Ok(Done::Settled(object)) => object,
        Err(end) if !is_no_answer(&end) => return Err(end),
        Ok(Done::Deleted) | Err(_) => return Err(error),
    };
    let missing = decide::differences(lost.planned.value(), object.attributes.value())
        .into_iter()
        .any(|path| lost.planned.value().lookup(&path).is_some_and(|v| !v.is_null()));
    if missing { Err(error) } else { Ok(Done::Settled(object)) }
}

/// The answer of a create was lost: find out by reading.
async fn look_for(
    configured: &dyn Configured,
    kind: &str,
    recover: RecoverRequest,
    timeouts: Timeouts,
    error: ProviderError,
    ctx: &dyn OpContext,
) -> Result<Done, ProviderError> {
    for look in 1..=LOOKS_MAX {
        let request = RecoverRequest {
            planned: recover.planned.clone(),
            identity: recover.identity.clone(),
            begun: recover.begun,
        };
        if let Ok(Found::Ours(object)) = configured.recover(kind, request).await {
            let made = Made {
                attributes: object.attributes.clone(),
                private: object.private.clone(),
                operation: None,
            };
            ctx.made(made).await;
            let resume = ResumeRequest { action: Action::Create, object, operation: None, timeouts };
            return match configured.resume(kind, resume, ctx).await? {
                Read::Present(object) => Ok(Done::Settled(object)),
                Read::Gone => Err(error),
            };
        }
        ctx.pause(Duration::from_secs(u64::from(look) * 2)).await?;
    }
    Err(error)
}
