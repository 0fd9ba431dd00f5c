//! Lifecycle arguments and time-outs of an instance.

use super::super::decide::Ignore;
use super::{Planner, block_of};
use crate::config::inputs::{self, Verdict};
use crate::config::{IgnoreChanges, ResourceBlock, Rule};
use crate::scope::Place;
use crate::state::OnDestroy;
use groma_lang::expr::{Expr, RefStep, Reference};
use groma_types::schema::Timeouts;
use groma_types::{Address, AttrPath, Diagnostic, InstanceAddr, InstanceKey, Mode, Step, Type, Value};

impl Planner {
    /// Holds conditions in a place. `None`: one fails, and was reported; what is not known yet passes.
    pub fn conditions(
        &mut self,
        rules: &[Rule],
        summary: &'static str,
        place: &Place,
        address: &Address,
    ) -> Option<()> {
        let mut all_hold = true;
        for rule in rules {
            let scope = crate::scope::Scope { eval: &self.eval, values: &self.values, place: place.clone() };
            let (verdict, faults) = inputs::judge(rule, summary, &scope);
            all_hold &= !faults.has_errors();
            self.diagnostics.extend(faults.into_iter().map(|d| d.address(address)));
            if let Verdict::Fails(fault) = verdict {
                all_hold = false;
                self.diagnostics.push(fault.address(address));
            }
        }
        all_hold.then_some(())
    }

    /// Holds a block's preconditions in the place of one of its instances.
    pub fn preconditions(
        &mut self,
        resource: &ResourceBlock,
        place: &Place,
        address: &InstanceAddr,
    ) -> Option<()> {
        let rules = &resource.lifecycle.preconditions;
        self.conditions(rules, "Resource precondition failed", place, &Address::Instance(address.clone()))
    }

    /// Holds an instance's postconditions against its value.
    pub fn postconditions(&mut self, address: &InstanceAddr, value: &Value) -> Option<()> {
        let config = self.config();
        let block = block_of(&address.resource);
        let resource = config.modules.get(&block.0)?.resources.get(&block.1)?;
        let rules = &resource.lifecycle.postconditions;
        if rules.is_empty() {
            return Some(());
        }
        let keys =
            self.values.block(&address.resource).map_or(crate::values::Keys::Single, |b| b.keys.clone());
        let place = Place::instance(address.resource.module.clone(), address.key.clone(), &keys);
        let place = Place { this: Some(value.clone()), ..place };
        self.conditions(rules, "Resource postcondition failed", &place, &Address::Instance(address.clone()))
    }

    pub(super) fn lifecycle(
        &mut self,
        resource: &ResourceBlock,
        place: &Place,
        address: &InstanceAddr,
    ) -> Option<Settings> {
        let lifecycle = &resource.lifecycle;
        let create_before_destroy = self.flag(lifecycle.create_before_destroy.as_ref(), place)?;
        let prevent_destroy = self.flag(lifecycle.prevent_destroy.as_ref(), place)?;
        let on_destroy = match &lifecycle.on_destroy {
            None => OnDestroy::Delete,
            Some(expr) => self.on_destroy(expr, place)?,
        };
        let ignore = match &lifecycle.ignore_changes {
            IgnoreChanges::None => Ignore::Nothing,
            IgnoreChanges::All => Ignore::All,
            IgnoreChanges::Paths(paths) => Ignore::Paths(paths.iter().map(attr_path).collect()),
        };
        let timeouts = self.timeouts(resource, place, address)?;
        Some(Settings { create_before_destroy, prevent_destroy, on_destroy, ignore, timeouts })
    }

    /// Evaluates what the state keeps beside an object. `None`: a fault was reported.
    fn kept(&mut self, expr: &Expr, place: &Place) -> Option<Value> {
        let (value, mut faults) = self.eval.expr(&self.values, place, expr);
        let marks = value.deep_marks();
        if marks.ephemeral || marks.minted {
            faults.push(
                Diagnostic::error("G1031", "A short-lived value would be stored")
                    .detail("What this says is kept in the state with the object.")
                    .help("Decide by a value that stays the same from run to run.")
                    .at(expr.span(), "ephemeral"),
            );
        }
        let failed = faults.has_errors();
        self.diagnostics.extend(faults);
        (!failed).then_some(value)
    }

    pub(super) fn flag(&mut self, expr: Option<&Expr>, place: &Place) -> Option<bool> {
        let Some(expr) = expr else { return Some(false) };
        let value = self.kept(expr, place)?;
        let flag = groma_types::convert::convert(&value, &Type::Bool).ok().and_then(|v| v.as_bool());
        if flag.is_none() {
            self.diagnostics.push(
                Diagnostic::error("G1033", "Invalid lifecycle argument")
                    .detail("It must be true or false, known when the resource is planned.")
                    .at(expr.span(), ""),
            );
        }
        flag
    }

    pub(super) fn on_destroy(&mut self, expr: &Expr, place: &Place) -> Option<OnDestroy> {
        let value = self.kept(expr, place)?;
        match value.as_str() {
            Some("delete") => Some(OnDestroy::Delete),
            Some("keep") => Some(OnDestroy::Keep),
            Some("forbid") => Some(OnDestroy::Forbid),
            _ => {
                self.diagnostics.push(
                    Diagnostic::error("G1033", "Invalid lifecycle argument")
                        .detail("`on_destroy` must be delete, keep or forbid.")
                        .at(expr.span(), ""),
                );
                None
            }
        }
    }

    pub(super) fn timeouts(
        &mut self,
        resource: &ResourceBlock,
        place: &Place,
        address: &InstanceAddr,
    ) -> Option<Option<Timeouts>> {
        if resource.timeouts.is_empty() {
            return Some(None);
        }
        let module = address.resource.module.path();
        let provider =
            crate::config::targets::provider_name(&self.config(), &module, &resource.provider.name);
        let schema = self.schema_of(Mode::Managed, &resource.id.kind, &provider).map(|(_, s)| s.timeouts);
        let mut timeouts = schema.unwrap_or(Timeouts::minutes(10, 10, 10));
        for (operation, expr) in &resource.timeouts {
            let value = self.kept(expr, place)?;
            let Some(duration) = value.as_str().and_then(parse_duration) else {
                self.diagnostics.push(
                    Diagnostic::error("G1034", "Invalid time-out")
                        .detail("A time-out is a text such as \"30m\" or \"1h30m\".")
                        .at(expr.span(), "")
                        .address(address),
                );
                return None;
            };
            match &**operation {
                "create" => timeouts.create = duration,
                "update" => timeouts.update = duration,
                "delete" => timeouts.delete = duration,
                "read" => timeouts.read = duration,
                _ => {}
            }
        }
        Some(Some(timeouts))
    }
}

/// Evaluated lifecycle arguments.
pub(super) struct Settings {
    pub(super) create_before_destroy: bool,
    pub(super) prevent_destroy: bool,
    pub(super) on_destroy: OnDestroy,
    pub(super) ignore: Ignore,
    pub(super) timeouts: Option<Timeouts>,
}

fn attr_path(reference: &Reference) -> AttrPath {
    let first = Step::Attr(reference.root.clone());
    let rest = reference.steps.iter().map(|s| match s {
        RefStep::Attr(name) => Step::Attr(name.clone()),
        RefStep::Index(InstanceKey::Int(i)) => Step::Index(usize::try_from(*i).unwrap_or(usize::MAX)),
        RefStep::Index(InstanceKey::Str(k)) => Step::Key(k.clone()),
    });
    AttrPath([first].into_iter().chain(rest).collect())
}

/// Reads a duration such as `1h30m`.
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        seconds += number
            * match &rest[..unit_end] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    (!text.is_empty() && seconds.is_finite()).then(|| std::time::Duration::from_secs_f64(seconds))
}
