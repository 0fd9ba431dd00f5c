//! Tests of groma from outside: the real binary, its exit codes and what it says; the rules of the house.

mod additions;
mod article;
#[cfg(feature = "aws")]
mod aws_kinds;
mod bad_input;
mod builtin;
mod console;
mod ephemeral;
mod fmt;
mod forms;
#[cfg(feature = "kubernetes")]
mod import_kinds;
mod imports;
mod interrupts;
mod kit;
#[cfg(feature = "kubernetes")]
mod kube_api;
mod kube_kinds;
mod module_from_git;
mod modules;
mod native;
mod provisioners;
mod refactoring;
mod refusals;
mod sandbox;
mod saved_plans;
mod surface;
mod tidy;
