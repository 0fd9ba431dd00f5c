//! What waits for what: the order of blocks (static), and the graph of an apply (per instance).

pub mod build;
pub mod order;
