//! The engine: reads a stack, plans it against its state, applies it through providers, journals every step.
//!
//! One way through: files → `config` → `graph` → `plan` → `exec` → `state`; everything the outside may learn is an
//! [`event::Event`]. No cloud and no terminal is known here.

pub mod config;
pub mod exec;
pub mod state;
