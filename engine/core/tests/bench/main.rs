//! The engine on the bench: whole specs against the simulated cloud, in virtual time.

mod conditions;
mod laws;
mod life;
mod support;
