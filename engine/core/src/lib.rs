//! The engine: reads a stack, plans it against its state, applies it through providers, journals every step.
//!
//! One way through: files → `config` → `graph` → `plan` → `exec` → `state`; everything the outside may learn is an
//! [`event::Event`]. No cloud and no terminal is known here.

pub mod config;
mod confined;
pub mod console;
pub mod event;
pub mod exec;
pub mod facade;
pub mod graph;
pub mod plan;
pub mod pool;
pub mod refresh;
pub mod scope;
pub mod state;
pub mod values;
