//! The place of a stack's state, as the spec asks for it.

use super::fixed::{Frame, Given};
use super::values::expression;
use super::{Backend, Config, Module};
use groma_lang::expr::Expr;
use groma_types::{Diagnostic, Diagnostics, Type, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Backend {
    /// Its arguments by name.
    pub(super) fn arguments(&self, out: &mut Diagnostics) -> Vec<(Arc<str>, Expr)> {
        let entries = self.body.node.as_map().unwrap_or_default();
        let mut argument = |(key, node): &(groma_lang::document::Key, _)| {
            (key.text.clone(), expression(node, &Type::Dynamic, out))
        };
        entries.iter().filter(|(k, _)| &*k.text != "//").map(&mut argument).collect()
    }
}

/// Says why the state can't be where the spec wants it: a state that is elsewhere must not be taken for an empty one.
pub fn refuse_unbuilt(config: &Config, variables: &BTreeMap<Arc<str>, Value>) -> Diagnostics {
    let mut out = Diagnostics::new();
    let root = config.root();
    let Some(backend) = &root.backend else { return out };
    let ask = |_: &Module| variables.clone();
    let frame = Frame::new(root, &config.root_dir, Given::root(&ask));
    // What is wrong with the text was told when the spec was read.
    let arguments = backend.arguments(&mut Diagnostics::new());
    let mut values = Vec::new();
    for (name, expr) in &arguments {
        values.extend(frame.value(expr, &format!("The backend's {name:?}"), &mut out).map(|v| (name, v)));
    }
    let is_default = &*backend.kind == "local" && values.iter().all(|(_, v)| v.is_null());
    if out.has_errors() || is_default {
        return out;
    }
    let what = match &*backend.kind {
        "local" => "a local state in another place than the stack's folder".to_string(),
        kind => format!("the backend {kind:?}"),
    };
    let fault = Diagnostic::error("G0620", "A place for the state that is not built")
        .detail(format!(
            "This version of groma has not {what}. It keeps the state in the folder .groma beside the spec, and does not put it there where the spec says otherwise: an existing state would be taken for an empty one."
        ))
        .help("Take the backend block out to keep the state beside the spec, or try the stack with --sandbox, whose state is its own.")
        .at(backend.span, "this backend");
    out.push(fault);
    out
}
