//! The provider `terraform`: values that live as resources do, and what other stacks put out.

mod value;

use crate::kit::{Builtin, Kinds, Machine};
use groma_types::schema::Block;

pub(crate) fn provider(machine: &Machine) -> Builtin {
    let kinds = Kinds::default().resource(value::Data);
    Builtin::new("terraform", "terraform.io/builtin/terraform", None, Block::default(), kinds, machine)
}
