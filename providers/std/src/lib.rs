//! Built-in providers: what needs no cloud.
//!
//! An object of theirs lives in the state alone: reading gives back what is remembered, and after a crash nothing
//! of an unfinished create is left anywhere.

mod terraform;

pub use terraform::TerraformProvider;
