//! Running a plan: what starts when.

pub mod scheduler;
