//! The provider `terraform`: values that live as resources do, and what other stacks put out.

mod remote_state;
mod value;

use crate::kit::{Builtin, Kinds, Machine};
use groma_types::schema::Block;

pub(crate) fn provider(machine: &Machine) -> Builtin {
    let kinds = Kinds::default().resource(value::Data).data(remote_state::RemoteState);
    Builtin::new("terraform", "terraform.io/builtin/terraform", None, Block::default(), kinds, machine)
}
