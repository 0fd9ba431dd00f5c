//! The words that every room of groma shares: values, types, addresses, schemas, diagnostics.
//!
//! Everything here is inert: no I/O, no async, no clock, no environment. No other crate of groma is used,
//! so no cycle between rooms can arise through the vocabulary.

pub mod address;
pub mod codes;
pub mod convert;
pub mod diagnostic;
pub mod json;
pub mod marks;
pub mod names;
pub mod number;
pub mod path;
pub mod schema;
mod set_order;
pub mod source;
pub mod time;
pub mod ty;
mod unify;
pub mod value;
pub mod version;

pub use address::{
    Address, InstanceAddr, InstanceKey, Mode, ModuleAddr, ModuleStep, ProviderAddr, ProviderParts,
    ResourceAddr, ResourceParts,
};
pub use diagnostic::{Diagnostic, Diagnostics, Label, Severity};
pub use marks::Marks;
pub use names::{Causes, NameMap, SortedMap};
pub use number::Number;
pub use path::{AttrPath, Step};
pub use source::{SourceId, SourceMap, Span};
pub use time::Timestamp;
pub use ty::{ObjectType, Type};
pub use value::{Cause, Mint, Refinements, Residual, Resolved, Unknown, Unresolved, Value, ValueKind};
