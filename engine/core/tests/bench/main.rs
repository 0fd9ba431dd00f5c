//! The engine on the bench: whole specs against the simulated cloud, in virtual time.

mod life;
mod support;
