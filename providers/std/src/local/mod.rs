//! The provider `local`: files of the machine.
//!
//! A file is put in its place as a whole: nobody sees half of it, and a write that fails leaves what was there.

mod data;
mod file;
pub(crate) mod write;

use crate::kit::{Builtin, Kinds, Machine};
use groma_types::schema::Block;

pub(crate) fn provider(machine: &Machine) -> Builtin {
    let kinds = Kinds::default()
        .resource(file::File { secret: false })
        .resource(file::File { secret: true })
        .data(data::File { secret: false })
        .data(data::File { secret: true });
    Builtin::new("local", "hashicorp/local", Some(("2", "3")), Block::default(), kinds, machine)
}
