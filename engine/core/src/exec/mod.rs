//! Running a plan: what starts when.

pub mod context;
pub mod emit;
pub mod operation;
pub mod provision;
pub mod run;
pub mod scheduler;
pub mod settle;
pub mod stop;
