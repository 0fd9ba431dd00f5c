//! Every reference of every expression: is the name declared, may it stand here, has the schema what is asked of it.

use super::graph::lifecycle_exprs;
use super::{Schemas, kind_schema};
use crate::config::targets::{Target, provider_name, target};
use crate::config::{
    BlockId, Config, Expansion, IgnoreChanges, Module, Provisioner, ResourceBlock, Rule, When, body, fixed,
    provisioners,
};
use groma_lang::expr::{Expr, RefStep, Reference};
use groma_types::diagnostic::nearest;
use groma_types::schema::Block;
use groma_types::{Diagnostic, Diagnostics, InstanceKey, Mode, Type, Value};
use std::sync::Arc;

pub(super) fn check(config: &Config, schemas: &dyn Schemas, out: &mut Diagnostics) {
    for module in config.modules.values() {
        Names { config, schemas, module, out, at: Place::default() }.module();
    }
}

pub(super) fn expression(config: &Config, schemas: &dyn Schemas, expr: &Expr, out: &mut Diagnostics) {
    Names { config, schemas, module: config.root(), out, at: Place::default() }.expr(expr);
}

/// What may be named where an expression stands.
#[derive(Clone, Copy, Default)]
struct Place {
    each: bool,
    count: bool,
    self_object: bool,
}

struct Names<'a> {
    config: &'a Config,
    schemas: &'a dyn Schemas,
    module: &'a Module,
    out: &'a mut Diagnostics,
    at: Place,
}

impl Names<'_> {
    fn module(&mut self) {
        let module = self.module;
        module.locals.values().for_each(|l| self.expr(&l.value));
        for output in module.outputs.values() {
            self.expr(&output.value);
            self.depends_on(&output.depends_on);
            self.rules(&output.preconditions);
        }
        for variable in module.variables.values() {
            self.rules(&variable.validations);
        }
        for check in module.checks.values() {
            self.rules(&check.assertions);
        }
        module.resources.values().for_each(|b| self.resource(b));
        for (_, argument) in module.backend.iter().flat_map(|b| b.arguments(self.out)).collect::<Vec<_>>() {
            let faults = argument.references().into_iter().filter_map(|r| fixed::check(module, &r).err());
            faults.for_each(|f| self.out.extend(f));
        }
        for provider in &module.providers {
            let name = provider_name(self.config, &module.path, &provider.name);
            let empty = Block::default();
            let schema = self.schemas.provider(&name).map_or(&empty, |p| &p.config);
            provider.for_each.iter().for_each(|e| self.expr(e));
            self.at.each = provider.for_each.is_some();
            self.all(&body::references(&provider.body, schema));
            provider.expect.iter().for_each(|e| self.expr(e));
            provider.hosted_by.iter().for_each(|r| self.reference(r));
            self.at = Place::default();
        }
        module.removed.iter().for_each(|r| self.provisioners(&r.provisioners));
        for import in &module.imports {
            import.for_each.iter().for_each(|e| self.expr(e));
            self.at.each = import.for_each.is_some();
            import.exprs().for_each(|e| self.expr(e));
            self.at = Place::default();
        }
        for call in module.calls.values() {
            self.expansion(&call.expansion);
            self.depends_on(&call.depends_on);
            self.at = place_of(&call.expansion);
            call.arguments.values().for_each(|e| self.expr(e));
            call.providers.values().filter_map(|p| p.key.as_ref()).for_each(|e| self.expr(e));
            self.at = Place::default();
        }
    }

    fn resource(&mut self, block: &ResourceBlock) {
        self.expansion(&block.expansion);
        self.depends_on(&block.depends_on);
        self.at = place_of(&block.expansion);
        let schema = kind_schema(self.config, self.schemas, self.module, block);
        let empty = Block::default();
        let references = body::references(&block.body, schema.map_or(&empty, |k| &k.block));
        self.all(&references);
        if let (IgnoreChanges::Paths(paths), Some(kind)) = (&block.lifecycle.ignore_changes, schema) {
            paths.iter().for_each(|path| self.ignored(block, path, &kind.block.ty()));
        }
        lifecycle_exprs(block).for_each(|e| self.expr(e));
        block.provider.key.iter().for_each(|e| self.expr(e));
        block.lifecycle.replace_triggered_by.iter().for_each(|e| self.trigger(e));
        self.rules(&block.lifecycle.preconditions);
        self.at.self_object = true;
        self.rules(&block.lifecycle.postconditions);
        self.provisioners(&block.provisioners);
        self.at = Place::default();
    }

    /// What is waited for is whole: a block, one of its instances, or a module.
    fn depends_on(&mut self, references: &[Reference]) {
        self.all(references);
        for reference in references {
            let Ok(found) = target(self.module, reference) else { continue };
            let rest = reference.steps.get(found.steps()..).unwrap_or_default();
            let rest = rest.iter().skip_while(|step| matches!(step, RefStep::Index(_)));
            if matches!(found, Target::Resource(_) | Target::Module { .. }) && rest.count() > 0 {
                self.out.push(
                    Diagnostic::error("G0619", "Not an address that can stand here")
                        .detail(
                            "depends_on names whole blocks and modules: no attribute can stand behind them.",
                        )
                        .at(reference.span, "more than a block"),
                );
            }
        }
    }

    /// Only resources change in a way that a replacement can follow.
    fn trigger(&mut self, expr: &Expr) {
        self.expr(expr);
        let reference = expr.traversal_with(&mut |_| Some(InstanceKey::Int(0)));
        let found = reference.as_ref().and_then(|r| target(self.module, r).ok());
        if found.is_some_and(|found| !matches!(found, Target::Resource(_))) {
            self.out.push(
                Diagnostic::error("G0619", "Not an address that can stand here")
                    .detail("replace_triggered_by names resources, their instances and attributes. For another value there is terraform_data: give it as its input, and name that.")
                    .at(expr.span(), "no resource"),
            );
        }
    }

    /// What a destroy-time provisioner must not name at all is told by its own check.
    fn provisioners(&mut self, all: &[Provisioner]) {
        for provisioner in all {
            self.out.extend(provisioners::check(provisioner));
            if provisioner.when == When::Create && &*provisioner.kind == provisioners::LOCAL_EXEC {
                self.all(&provisioners::references(provisioner));
            }
        }
    }

    /// An entry of `ignore_changes` is a path in the block itself.
    fn ignored(&mut self, block: &ResourceBlock, path: &Reference, ty: &Type) {
        let steps: Vec<RefStep> =
            [RefStep::Attr(path.root.clone())].into_iter().chain(path.steps.iter().cloned()).collect();
        if let Err((why, near)) = descend(ty, &steps) {
            self.no_attribute(&block.id, path, &why, near.as_deref());
        }
    }

    fn no_attribute(&mut self, id: &BlockId, reference: &Reference, why: &str, near: Option<&str>) {
        let label = near.map_or("no such attribute".to_string(), |n| format!("did you mean {n}?"));
        let fault = Diagnostic::error("G0814", "Unsupported attribute")
            .detail(format!("In {id}: {why}"))
            .at(reference.span, label);
        self.out.push(fault);
    }

    fn expansion(&mut self, expansion: &Expansion) {
        match expansion {
            Expansion::Single => {}
            Expansion::Count(e) | Expansion::ForEach(e) | Expansion::Enabled(e) => self.expr(e),
        }
    }

    fn rules(&mut self, rules: &[Rule]) {
        for rule in rules {
            self.expr(&rule.condition);
            self.expr(&rule.error_message);
        }
    }

    fn expr(&mut self, expr: &Expr) {
        self.all(&expr.references());
    }

    fn all(&mut self, references: &[Reference]) {
        references.iter().for_each(|r| self.reference(r));
    }

    fn reference(&mut self, reference: &Reference) {
        let found = match target(self.module, reference) {
            Ok(found) => found,
            Err(fault) => return self.out.push(fault),
        };
        match found {
            Target::Each if !self.at.each => self.misplaced(reference, "each", "for_each"),
            Target::Count if !self.at.count => self.misplaced(reference, "count", "count"),
            Target::SelfObject if !self.at.self_object => self.out.push(
                Diagnostic::error("G0813", "self cannot stand here")
                    .detail(
                        "It names the object whose postcondition, provisioner or connection it stands in.",
                    )
                    .at(reference.span, "not in such a block"),
            ),
            Target::Module { call, output } => self.module_output(reference, &call, output.as_ref()),
            Target::Resource(id) => self.attribute(reference, &id),
            Target::Variable(_)
            | Target::Local(_)
            | Target::Each
            | Target::Count
            | Target::Path
            | Target::Terraform
            | Target::SelfObject => {}
        }
    }

    fn misplaced(&mut self, reference: &Reference, root: &str, argument: &str) {
        self.out.push(
            Diagnostic::error("G0812", "Used without an expansion")
                .detail(format!("{root:?} can be used only in a block that has {argument:?}."))
                .at(reference.span, format!("the block has no {argument:?}")),
        );
    }

    fn module_output(&mut self, reference: &Reference, call: &Arc<str>, output: Option<&Arc<str>>) {
        let mut path = self.module.path.clone();
        path.push(call.clone());
        let Some(called) = self.config.modules.get(&path) else { return };
        let expansion = self.module.calls.get(call).map(|c| &c.expansion);
        let key = reference.steps.get(1);
        if expansion.is_some_and(|e| !self.key_fits(reference, key, e, &format!("module.{call}"))) {
            return;
        }
        let Some(output) = output.filter(|o| !called.outputs.contains_key(*o)) else { return };
        let near = nearest(output, called.outputs.keys().map(|k| &**k));
        self.out.push(
            Diagnostic::error("G0814", "Unsupported attribute")
                .detail(format!("The module {call:?} has no output named {output:?}."))
                .at(
                    reference.span,
                    near.map_or("no such output".to_string(), |n| format!("did you mean {n:?}?")),
                ),
        );
    }

    /// Whether a key stands just where there are instances with keys.
    fn key_fits(
        &mut self,
        reference: &Reference,
        step: Option<&RefStep>,
        expansion: &Expansion,
        name: &str,
    ) -> bool {
        let fault = match (expansion, step) {
            (Expansion::Count(_) | Expansion::ForEach(_), Some(RefStep::Attr(_))) => {
                let (argument, key) = if matches!(expansion, Expansion::Count(_)) {
                    ("count", "[0]")
                } else {
                    ("for_each", "[each.key]")
                };
                Diagnostic::error("G0815", "Missing instance key")
                    .detail(format!(
                        "{name} has {argument:?}: a reference to one of its instances needs a key."
                    ))
                    .help(format!("Write {name}{key}, or {name}[*] for all."))
                    .at(reference.span, "which one?")
            }
            (Expansion::Single | Expansion::Enabled(_), Some(RefStep::Index(_))) => {
                Diagnostic::error("G0816", "Unexpected instance key")
                    .detail(format!("{name} has neither count nor for_each: there is one, without a key."))
                    .help("Remove the key.")
                    .at(reference.span, "no key may stand here")
            }
            (Expansion::Count(_), Some(RefStep::Index(InstanceKey::Str(_)))) => {
                Diagnostic::error("G0816", "Unexpected instance key")
                    .detail(format!("{name} has \"count\": its keys are numbers."))
                    .at(reference.span, "not a number")
            }
            (Expansion::ForEach(_), Some(RefStep::Index(InstanceKey::Int(_)))) => {
                Diagnostic::error("G0816", "Unexpected instance key")
                    .detail(format!("{name} has \"for_each\": its keys are strings."))
                    .at(reference.span, "not a string")
            }
            _ => return true,
        };
        self.out.push(fault);
        false
    }

    fn attribute(&mut self, reference: &Reference, id: &BlockId) {
        let Some(block) = self.module.resources.get(id) else { return };
        let at = if id.mode == Mode::Managed { 1 } else { 2 };
        let step = reference.steps.get(at);
        let schema = kind_schema(self.config, self.schemas, self.module, block);
        // Instances of a text have keys as those of for_each.
        let expands = schema.is_some_and(|s| s.expands.is_some());
        let keyed = Expansion::ForEach(Expr::literal(Value::NULL, block.span));
        let expansion = if expands { &keyed } else { &block.expansion };
        if !self.key_fits(reference, step, expansion, &id.to_string()) {
            return;
        }
        let from = if matches!(step, Some(RefStep::Index(_))) { at + 1 } else { at };
        let Some(schema) = schema else { return };
        let steps = reference.steps.get(from..).unwrap_or_default();
        if let Err((why, near)) = descend(&schema.block.ty(), steps) {
            self.no_attribute(id, reference, &why, near.as_deref());
        }
    }
}

fn place_of(expansion: &Expansion) -> Place {
    Place {
        each: matches!(expansion, Expansion::ForEach(_)),
        count: matches!(expansion, Expansion::Count(_)),
        self_object: false,
    }
}

/// Goes down a type along static steps; says what is not there, and a near name.
fn descend(ty: &Type, steps: &[RefStep]) -> Result<(), (String, Option<String>)> {
    let Some((step, rest)) = steps.split_first() else { return Ok(()) };
    match (ty, step) {
        (Type::Object(o), RefStep::Attr(name) | RefStep::Index(InstanceKey::Str(name))) => {
            match o.attrs.get(name) {
                Some(inner) => descend(inner, rest),
                None => {
                    let near = nearest(name, o.attrs.keys().map(|k| &**k)).map(|n| format!("{n:?}"));
                    Err((
                        format!("there is no argument, nested block or exported attribute named {name:?}."),
                        near,
                    ))
                }
            }
        }
        (Type::Map(inner), RefStep::Attr(_) | RefStep::Index(_)) => descend(inner, rest),
        // `x.0.y` is the old way to write an index; the parser gives it as one.
        (Type::List(inner), RefStep::Index(InstanceKey::Int(_))) => descend(inner, rest),
        (Type::List(inner), RefStep::Attr(name)) if matches!(&**inner, Type::Object(_)) => Err((
            format!("{name:?} is asked of a list of objects: an index must stand before it."),
            Some(format!("[0].{name}")),
        )),
        (Type::Set(_), _) => {
            Err(("a set has no order and no keys: its elements cannot be named.".to_string(), None))
        }
        (Type::String | Type::Number | Type::Bool, RefStep::Attr(name)) => {
            Err((format!("{name:?} is asked of a {}, which has no attributes.", ty.friendly()), None))
        }
        _ => Ok(()),
    }
}
