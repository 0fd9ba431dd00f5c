//! `groma graph`: the blocks of the spec and what waits for what, in DOT.

use crate::args::GraphArgs;
use crate::exit::Exit;
use crate::session::Session;

pub(crate) fn run(session: &Session, _args: &GraphArgs) -> Result<Exit, Exit> {
    Err(super::plan::not_built(session, "graph", "graphs"))
}
