//! The engine on the bench: whole specs against the simulated cloud, in virtual time.

mod conditions;
mod faults;
mod guard;
mod laws;
mod life;
mod minters;
mod modules;
mod stops;
mod support;
mod wishes;
