//! The traits that a provider implements, and the context that the engine gives to operations.

use crate::error::{Interrupted, ProviderError};
use crate::request::{
    Configure, CreateRequest, DeleteRequest, Found, Made, Minted, Object, Part, PlanInput, PlanOutput,
    Problem, Read, ReadRequest, RecoverRequest, RehearseRequest, ResumeRequest, UpdateRequest, World,
};
use async_trait::async_trait;
use groma_types::schema::ProviderSchema;
use groma_types::{Mode, Resolved, Timestamp, Value};
use std::sync::Arc;
use std::time::Duration;

/// A provider before configuration: everything that needs no network.
#[async_trait]
pub trait Provider: Send + Sync {
    fn schema(&self) -> &ProviderSchema;

    /// Whether its API can be asked what it would say to a change ([`Configured::rehearse`]).
    fn rehearses(&self) -> bool {
        false
    }

    /// Finds faults of a resource's or data source's arguments that the schema can't express. Unknown parts pass.
    fn validate(&self, mode: Mode, kind: &str, config: &Value) -> Vec<Problem> {
        let _ = (mode, kind, config);
        Vec::new()
    }

    /// Refines what the engine proposes: normal forms, computed values that follow from arguments, replacements
    /// that depend on values. Pure and offline. MUST give the same answer at plan and at apply for the same input.
    ///
    /// # Errors
    /// The change is impossible (kind `Invalid`), with the argument's place.
    fn plan(&self, kind: &str, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        let _ = kind;
        Ok(PlanOutput { planned: input.proposed, requires_replace: Vec::new() })
    }

    /// The instances of a block whose kind expands by itself, from the documents of its text. Pure and offline.
    ///
    /// # Errors
    /// A document is none that the kind takes (kind `Invalid`).
    fn parts(&self, kind: &str, documents: Vec<Value>) -> Result<Vec<Part>, ProviderError> {
        let _ = documents;
        Err(ProviderError::new(crate::ErrorKind::Bug, format!("{kind} does not expand")))
    }

    /// Brings attributes that an older schema version wrote to the present one, step by step.
    ///
    /// # Errors
    /// The version is not known.
    fn upgrade(&self, kind: &str, from_version: u32, attributes: Value) -> Result<Value, ProviderError> {
        let _ = (kind, from_version);
        Ok(attributes)
    }

    /// The attributes of an object of another kind (of any provider) as one of this kind: what a `moved` block asks for.
    ///
    /// # Errors
    /// This kind takes over no objects of that one.
    fn adopt(&self, kind: &str, from: &str, attributes: &Value) -> Result<Value, ProviderError> {
        let _ = attributes;
        let text = format!("an object of the kind {from} can't become one of the kind {kind}");
        Err(ProviderError::new(crate::ErrorKind::Invalid, text)
            .help("Take the moved block away: the old object is then destroyed and a new one made."))
    }

    /// Makes clients. SHOULD NOT call the network: `identity` does.
    ///
    /// # Errors
    /// Arguments are missing or contradict each other.
    async fn configure(&self, request: Configure) -> Result<Arc<dyn Configured>, ProviderError>;
}

/// A configured provider: it makes the calls.
///
/// Each mutating method makes its request, calls [`OpContext::made`] as soon as the API has named the object, calls
/// [`OpContext::waiting`] when it only waits, and returns when the thing works. Waits sleep by [`OpContext::pause`].
#[async_trait]
pub trait Configured: Send + Sync {
    /// Reads the identity of the world. For a hosted provider this is the fallback for a host outside of the stack.
    async fn identity(&self) -> Result<World, ProviderError>;

    async fn read(&self, kind: &str, request: ReadRequest) -> Result<Read, ProviderError>;

    /// Reads many objects by few calls, where that pays; `None`: read them one by one. The answers are in the order
    /// of the requests. An object that is absent from a list MUST be read by id before it is called gone.
    async fn read_many(
        &self,
        kind: &str,
        requests: &[ReadRequest],
    ) -> Result<Option<Vec<Read>>, ProviderError> {
        let _ = (kind, requests);
        Ok(None)
    }

    /// Reads a data source; `None` if the thing is not there. What is not known yet is asked for again in the apply.
    async fn read_data(&self, kind: &str, config: Resolved) -> Result<Option<Value>, ProviderError>;

    /// Mints the value of a minter kind, or opens an ephemeral resource: all attributes, arguments included.
    async fn mint(&self, kind: &str, args: Resolved) -> Result<Minted, ProviderError> {
        let _ = args;
        Err(ProviderError::new(crate::ErrorKind::Bug, format!("{kind} is not a minter")))
    }

    /// Asks the API, where it can be asked, whether it would take a change. Changes nothing.
    ///
    /// # Errors
    /// What the API would say to the change now; also why it could not be asked.
    async fn rehearse(&self, kind: &str, request: RehearseRequest) -> Result<(), ProviderError> {
        let _ = (kind, request);
        Ok(())
    }

    /// Renews what an ephemeral resource has open, when its time has come. Where a renewal is another value with no ties
    /// to the old one, opening anew is all.
    async fn renew(&self, kind: &str, args: Resolved, open: Minted) -> Result<Minted, ProviderError> {
        let _ = open;
        self.mint(kind, args).await
    }

    /// Closes what an ephemeral resource has open: nobody uses it any more.
    async fn close(&self, kind: &str, open: Minted) -> Result<(), ProviderError> {
        let _ = (kind, open);
        Ok(())
    }

    async fn create(
        &self,
        kind: &str,
        request: CreateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError>;
    async fn update(
        &self,
        kind: &str,
        request: UpdateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError>;
    /// Deletes and waits until the API says that the object is not there. An object that is gone is success.
    async fn delete(
        &self,
        kind: &str,
        request: DeleteRequest,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError>;

    /// Goes on waiting for an operation that an earlier run began. `Gone` is the good end of a delete.
    async fn resume(
        &self,
        kind: &str,
        request: ResumeRequest,
        ctx: &dyn OpContext,
    ) -> Result<Read, ProviderError>;

    /// Reads an existing object by the id that users write in `import`.
    async fn import(&self, kind: &str, id: &str) -> Result<Read, ProviderError>;

    /// Looks for the result of a create whose answer was lost: by natural key or token, then by owner mark. Only reads.
    async fn recover(&self, kind: &str, request: RecoverRequest) -> Result<Found, ProviderError>;
}

/// The engine's side of a running operation.
#[async_trait]
pub trait OpContext: Send + Sync {
    /// Records that the API has named the object. Durable when it returns; until then make no further call.
    async fn made(&self, made: Made);

    /// Says what the operation waits for. From the first call on it holds no slot.
    fn waiting(&self, what: &str);

    /// Sleeps between polls.
    ///
    /// # Errors
    /// The user stopped the run: return at once.
    async fn pause(&self, duration: Duration) -> Result<(), Interrupted>;

    /// Whether the user has stopped the run: make no further changing request.
    fn is_stopped(&self) -> bool;

    fn now(&self) -> Timestamp;

    /// Whether an object with this natural key value (a role name, an ARN) was made in this run: errors of eventual
    /// consistency about it are retried, about others not.
    fn made_in_this_run(&self, key: &str) -> bool;
}
