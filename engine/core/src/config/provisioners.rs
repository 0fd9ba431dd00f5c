//! What a `local-exec` provisioner takes, and what it may name.

use super::{Provisioner, When, body};
use groma_lang::expr::Reference;
use groma_types::schema::{Attribute, Block};
use groma_types::{Diagnostic, Diagnostics, Type};
use std::sync::LazyLock;

/// The one kind that runs here.
pub const LOCAL_EXEC: &str = "local-exec";

static SCHEMA: LazyLock<Block> = LazyLock::new(|| {
    let texts = || Type::list(Type::String);
    Block::new("A command of this machine.")
        .attr("command", Attribute::required(Type::String, "The command, as the interpreter takes it."))
        .attr(
            "interpreter",
            Attribute::optional(texts(), "The program, and its arguments before the command."),
        )
        .attr(
            "environment",
            Attribute::optional(Type::map(Type::String), "Variables beside those of the run."),
        )
        .attr("working_dir", Attribute::optional(Type::String, "The folder that the command runs in."))
        .attr("quiet", Attribute::optional(Type::Bool, "The command itself is not shown."))
});

pub fn schema() -> &'static Block {
    &SCHEMA
}

/// Everything that a provisioner's arguments refer to.
pub fn references(provisioner: &Provisioner) -> Vec<Reference> {
    body::references(&provisioner.body, schema())
}

/// The faults of a provisioner's own arguments. Of a kind that is not run nothing is known.
pub fn check(provisioner: &Provisioner) -> Diagnostics {
    if &*provisioner.kind != LOCAL_EXEC {
        return Diagnostics::new();
    }
    let mut out = body::check(&provisioner.body, schema(), "local-exec");
    if provisioner.when == When::Destroy {
        out.extend(references(provisioner).iter().filter(|r| !is_own(r)).map(foreign));
    }
    out
}

/// Whether a reference leads to the object itself, or to nothing that a destroy could take away.
fn is_own(reference: &Reference) -> bool {
    match &*reference.root {
        "self" | "path" | "terraform" => true,
        "count" => reference.attr(0) == Some("index"),
        "each" => reference.attr(0) == Some("key"),
        _ => false,
    }
}

fn foreign(reference: &Reference) -> Diagnostic {
    Diagnostic::error("G0817", "A destroy-time provisioner names something else")
        .detail(format!(
            "{reference} may be gone, or not be made, when the object is destroyed. Only self, count.index and each.key are there for sure."
        ))
        .help("Keep the value in the object, in an argument such as triggers or input, and name it through self.")
        .at(reference.span, "not of the object itself")
}
