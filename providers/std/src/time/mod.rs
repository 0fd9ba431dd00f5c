//! The provider `time`: moments that are kept, and pauses. The clock is the run's.

mod moment;
mod offset;
mod rotating;
mod sleep;
mod stamp;

use crate::kit::{Builtin, Kinds, Machine};
use groma_types::schema::Block;

pub(crate) fn provider(machine: &Machine) -> Builtin {
    let kinds = Kinds::default()
        .resource(stamp::Static)
        .resource(offset::Offset)
        .resource(rotating::Rotating)
        .resource(sleep::Sleep);
    Builtin::new("time", "hashicorp/time", Some(("0.7", "1")), Block::default(), kinds, machine)
}
