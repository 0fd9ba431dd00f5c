//! The provider kit: all that a provider author may import.
//!
//! A provider is an object of trait [`Provider`]: its schema, its offline checks and plans, and `configure`,
//! which gives a [`Configured`] that makes the calls. A provider knows nothing of graph, plan, state or
//! scheduling. It MUST NOT retry beyond what one request needs ([`retry::Retry`] is the one helper), print,
//! read the machine's clock (use [`Clock`]) or keep global mutable data.
//!
//! Values cross the border as [`groma_types::Value`]; those of create, update and delete are
//! [`groma_types::Resolved`], so that nothing unknown can reach them.

pub mod env;
pub mod error;
pub mod provider;
pub mod request;
pub mod retry;

pub use async_trait::async_trait;
pub use env::{CallLog, CallRecord, Clock, Entropy, Environment, NetworkPolicy, NoLog};
pub use error::{ErrorKind, Interrupted, ProviderError};
pub use provider::{Configured, OpContext, Provider};
pub use request::{
    Action, Configure, CreateRequest, DeleteRequest, Found, Identity, Made, Minted, Minter, Object, Part,
    PlanInput, PlanOutput, Problem, Read, ReadRequest, RecoverRequest, RehearseRequest, ResumeRequest,
    UpdateRequest, World,
};
