//! The engine on the bench: whole specs against the simulated cloud, in virtual time.

#![expect(clippy::print_stdout, reason = "a test says which seeds and how many crash points it did")]

mod additions;
mod conditions;
mod ephemeral;
mod faults;
mod guard;
mod imports;
mod laws;
mod life;
mod minters;
mod modules;
mod moves;
mod provisioners;
mod speed;
mod stops;
mod support;
mod wishes;
mod worlds;
