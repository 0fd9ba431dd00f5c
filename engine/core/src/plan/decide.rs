//! Decides what to do with one instance.
//!
//! Pure: the same prior, configuration and schema give the same action, at plan and at apply alike. Calls the
//! provider's offline `plan` and nothing else; knows no graph.
//!
//! Invariant: `NoOp` is returned only if applying would send nothing to the provider.

use super::ChangeAction;
use crate::values::apply_schema;
use groma_provider::{PlanInput, Provider, ProviderError};
use groma_types::schema::{Attribute, Block, ChangesWith, KindSchema, NestedBlock, Nesting};
use groma_types::value::{Cause, Causes};
use groma_types::{AttrPath, Step, Type, Unknown, Value, ValueKind};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub struct Input<'a> {
    pub provider: &'a dyn Provider,
    pub schema: &'a KindSchema,
    /// The object as it is; `None`: there is none.
    pub prior: Option<&'a Value>,
    pub prior_private: Option<&'a Json>,
    /// Exactly of the schema's type; may hold unknowns.
    pub config: &'a Value,
    pub provider_config: &'a Value,
    /// What a computed attribute of this instance waits for: the instance itself.
    pub cause: Causes,
    pub ignore: &'a Ignore,
    /// Whether a cause is an object that will be new, so that what it gives will surely differ.
    pub is_new: &'a dyn Fn(&Cause) -> bool,
    /// Replacement is wanted whatever the difference.
    pub force_replace: bool,
}

/// `lifecycle.ignore_changes`.
#[derive(Clone, Debug, Default)]
pub enum Ignore {
    #[default]
    Nothing,
    All,
    Paths(Vec<AttrPath>),
}

#[derive(Clone, Debug)]
pub struct Decision {
    pub action: ChangeAction,
    pub planned: Value,
    pub replace_paths: Vec<AttrPath>,
}

/// Decides on an instance that the configuration wants.
///
/// # Errors
/// The provider refuses the change.
pub fn decide(input: &Input<'_>) -> Result<Decision, ProviderError> {
    let Some(prior) = input.prior else {
        let planned = plan(input, None, input.config)?.0;
        return Ok(Decision { action: ChangeAction::Create, planned, replace_paths: Vec::new() });
    };
    let config = ignoring(input.config, prior, input.ignore);
    let (planned, mut extra) = plan(input, Some(prior), &config)?;
    let changed = differences(prior, &planned);
    if changed.is_empty() && !input.force_replace {
        let planned = apply_schema(prior, &input.schema.block);
        return Ok(Decision { action: ChangeAction::NoOp, planned, replace_paths: Vec::new() });
    }
    let mut replace_paths: Vec<AttrPath> =
        changed.iter().filter(|p| forces_replacement(&input.schema.block, p)).cloned().collect();
    extra.retain(|p| changed.iter().any(|c| c.starts_with(p) || p.starts_with(c)));
    replace_paths.append(&mut extra);
    // An unknown that comes from an object which stays may turn out equal: not a replacement yet.
    replace_paths.retain(|p| planned.lookup(p).is_none_or(|v| surely_differs(v, input.is_new)));
    replace_paths.sort();
    replace_paths.dedup();
    if replace_paths.is_empty() && !input.force_replace {
        return Ok(Decision { action: ChangeAction::Update, planned, replace_paths });
    }
    let (planned, _) = plan(input, None, &config)?;
    Ok(Decision { action: ChangeAction::Replace, planned, replace_paths })
}

fn surely_differs(value: &Value, is_new: &dyn Fn(&Cause) -> bool) -> bool {
    value.is_wholly_known() || value.causes().iter().any(is_new)
}

/// Proposes from the schema and lets the provider refine.
fn plan(
    input: &Input<'_>,
    prior: Option<&Value>,
    config: &Value,
) -> Result<(Value, Vec<AttrPath>), ProviderError> {
    let block = &input.schema.block;
    let mut proposed = propose_block(block, prior, config, &input.cause);
    if let Some(prior) = prior {
        let changed: BTreeSet<String> =
            differences(prior, &proposed).iter().filter_map(|p| p.first_attr().map(str::to_string)).collect();
        proposed = shake(block, &proposed, config, &changed, &input.cause);
    }
    let out = input.provider.plan(
        &input.schema.kind,
        PlanInput {
            prior,
            prior_private: input.prior_private,
            config,
            proposed,
            provider_config: input.provider_config,
        },
    )?;
    let planned = caused(&out.planned, &input.cause);
    Ok((apply_schema(&planned, block), out.requires_replace))
}

/// Unknowns that the provider made wait for the instance itself.
fn caused(planned: &Value, cause: &Causes) -> Value {
    planned.map_deep(&mut |v| match v.as_unknown() {
        Some(u) if u.causes.is_empty() => {
            Value::from(Unknown { causes: cause.clone(), ..u.clone() }).mark(v.marks())
        }
        _ => v,
    })
}

/// Returns what the schema says the object should be: written values, kept computed ones, unknown new ones.
fn propose_block(block: &Block, prior: Option<&Value>, config: &Value, cause: &Causes) -> Value {
    if config.is_null() || config.is_unknown() {
        return config.clone();
    }
    let mut attrs: BTreeMap<Arc<str>, Value> = BTreeMap::new();
    for (name, attribute) in &block.attrs {
        let written = config.get(name).cloned().unwrap_or_else(|| Value::null(attribute.ty.clone()));
        let before = prior.and_then(|p| p.get(name));
        attrs.insert(name.clone(), propose_attr(attribute, before, written, cause));
    }
    for (name, nested) in &block.blocks {
        let written = config.get(name).cloned().unwrap_or_else(|| Value::null(nested.ty()));
        let before = prior.and_then(|p| p.get(name));
        attrs.insert(name.clone(), propose_nested(nested, before, written, cause));
    }
    Value::object(attrs).mark(config.marks())
}

fn propose_attr(attribute: &Attribute, before: Option<&Value>, written: Value, cause: &Causes) -> Value {
    if attribute.write_only {
        return Value::null(attribute.ty.clone());
    }
    if !written.is_null() || !attribute.is_computed() {
        return written;
    }
    match before {
        Some(before) => before.clone(),
        None => computed(attribute.ty.clone(), cause),
    }
}

fn computed(ty: Type, cause: &Causes) -> Value {
    Unknown { causes: cause.clone(), ..Unknown::of(ty) }.into()
}

fn propose_nested(nested: &NestedBlock, before: Option<&Value>, written: Value, cause: &Causes) -> Value {
    let is_absent = written.is_null() || written.as_seq().is_some_and(<[Value]>::is_empty);
    if is_absent && nested.computed {
        return match before {
            Some(before) if !before.is_null() => before.clone(),
            _ => computed(nested.ty(), cause),
        };
    }
    let inner = &nested.block;
    let marks = written.marks();
    let proposed = match written.kind() {
        ValueKind::List(e, items) => {
            let olds = before.and_then(Value::as_seq).unwrap_or_default();
            let pairs = items.iter().enumerate();
            Value::list(e.clone(), pairs.map(|(i, v)| propose_block(inner, olds.get(i), v, cause)).collect())
        }
        ValueKind::Set(e, items) => {
            let olds = before.and_then(Value::as_seq).unwrap_or_default();
            let pair = |v: &Value| olds.iter().find(|o| is_same_element(inner, o, v));
            Value::set(e.clone(), items.iter().map(|v| propose_block(inner, pair(v), v, cause)).collect())
        }
        ValueKind::Map(e, items) => {
            let old = |k: &str| before.and_then(|b| b.get(k));
            let pairs = items.iter().map(|(k, v)| (k.clone(), propose_block(inner, old(k), v, cause)));
            Value::map(e.clone(), pairs)
        }
        ValueKind::Object(_) if nested.nesting == Nesting::Single => {
            propose_block(inner, before, &written, cause)
        }
        _ => return written,
    };
    proposed.mark(marks)
}

/// Whether an element of a set stands for the same thing: all that is written is equal.
fn is_same_element(block: &Block, old: &Value, written: &Value) -> bool {
    block.attrs.iter().all(|(name, a)| {
        let new = written.get(name);
        (a.is_computed() && new.is_none_or(Value::is_null)) || old.get(name) == new
    })
}

/// Makes the computed attributes unknown that may change with what changed.
fn shake(
    block: &Block,
    proposed: &Value,
    config: &Value,
    changed: &BTreeSet<String>,
    cause: &Causes,
) -> Value {
    if changed.is_empty() {
        return proposed.clone();
    }
    let mut result = proposed.clone();
    for (name, attribute) in &block.attrs {
        let is_written = config.get(name).is_some_and(|v| !v.is_null());
        let moves = match &attribute.changes_with {
            ChangesWith::Never => false,
            ChangesWith::Any => true,
            ChangesWith::Args(args) => args.iter().any(|a| changed.contains(&**a)),
        };
        if attribute.is_computed() && !is_written && moves {
            result = result.with_attr(name, computed(attribute.ty.clone(), cause));
        }
    }
    result
}

/// Returns the configuration with ignored arguments as the object has them.
fn ignoring(config: &Value, prior: &Value, ignore: &Ignore) -> Value {
    match ignore {
        Ignore::Nothing => config.clone(),
        Ignore::All => {
            let mut result = config.clone();
            for (name, value) in config.as_map().into_iter().flatten() {
                if let Some(old) = prior.get(name)
                    && !value.is_null()
                {
                    result = result.with_attr(name, old.clone());
                }
            }
            result
        }
        Ignore::Paths(paths) => paths.iter().fold(config.clone(), |c, path| graft(&c, prior, &path.0)),
    }
}

/// Puts what `from` has at a path into `into`.
fn graft(into: &Value, from: &Value, path: &[Step]) -> Value {
    let Some((first, rest)) = path.split_first() else { return from.clone() };
    match first {
        Step::Attr(name) | Step::Key(name) => match (into.get(name), from.get(name)) {
            (Some(a), Some(b)) => into.with_attr(name, graft(a, b, rest)),
            (None, Some(b)) if rest.is_empty() => into.with_attr(name, b.clone()),
            (Some(_), None) if rest.is_empty() && matches!(into.kind(), ValueKind::Map(..)) => {
                without_key(into, name)
            }
            _ => into.clone(),
        },
        Step::Index(i) => {
            let (ValueKind::List(e, items), Some(old)) = (into.kind(), from.at(*i)) else {
                return into.clone();
            };
            let graft_one = |(at, v): (usize, &Value)| if at == *i { graft(v, old, rest) } else { v.clone() };
            Value::list(e.clone(), items.iter().enumerate().map(graft_one).collect()).mark(into.marks())
        }
    }
}

fn without_key(map: &Value, key: &str) -> Value {
    let ValueKind::Map(e, items) = map.kind() else { return map.clone() };
    let kept = items.iter().filter(|(k, _)| &***k != key).map(|(k, v)| (k.clone(), v.clone()));
    Value::map(e.clone(), kept).mark(map.marks())
}

/// Returns the places where two values of one type differ: leaves, or whole collections of different size. Marks do
/// not count.
pub fn differences(a: &Value, b: &Value) -> Vec<AttrPath> {
    let mut found = Vec::new();
    compare(a, b, &AttrPath::root(), &mut found);
    found
}

fn compare(a: &Value, b: &Value, at: &AttrPath, found: &mut Vec<AttrPath>) {
    match (a.kind(), b.kind()) {
        (ValueKind::Object(x), ValueKind::Object(y)) => {
            let names: BTreeSet<&Arc<str>> = x.keys().chain(y.keys()).collect();
            for name in names {
                let path = at.with(Step::Attr(name.clone()));
                match (x.get(name), y.get(name)) {
                    (Some(a), Some(b)) => compare(a, b, &path, found),
                    (Some(v), None) | (None, Some(v)) if v.is_null() => {}
                    _ => found.push(path),
                }
            }
        }
        (ValueKind::Map(_, x), ValueKind::Map(_, y)) => {
            let names: BTreeSet<&Arc<str>> = x.keys().chain(y.keys()).collect();
            for name in names {
                let path = at.with(Step::Key(name.clone()));
                match (x.get(name), y.get(name)) {
                    (Some(a), Some(b)) => compare(a, b, &path, found),
                    _ => found.push(path),
                }
            }
        }
        (ValueKind::List(_, x), ValueKind::List(_, y)) | (ValueKind::Tuple(x), ValueKind::Tuple(y))
            if x.len() == y.len() =>
        {
            for (i, (a, b)) in x.iter().zip(y.iter()).enumerate() {
                compare(a, b, &at.index(i), found);
            }
        }
        (ValueKind::Null(_), ValueKind::Null(_)) => {}
        _ => {
            if a.unmark_deep().0 != b.unmark_deep().0 {
                found.push(at.clone());
            }
        }
    }
}

/// Whether a change at this place can't be made in place, by the schema.
fn forces_replacement(block: &Block, path: &AttrPath) -> bool {
    let mut block = block;
    for name in path.schema_path() {
        if let Some(attribute) = block.attrs.get(name) {
            return attribute.forces_replacement;
        }
        match block.blocks.get(name) {
            Some(nested) if nested.forces_replacement => return true,
            Some(nested) => block = &nested.block,
            None => return false,
        }
    }
    // A whole block came or went: it replaces if something inside does.
    has_forcing(block)
}

fn has_forcing(block: &Block) -> bool {
    block
        .attrs
        .values()
        .any(|a| a.forces_replacement && a.presence == groma_types::schema::Presence::Required)
}

/// Returns the places where the result contradicts a known part of the plan.
pub fn surprises(planned: &Value, result: &Value) -> Vec<AttrPath> {
    differences(planned, result)
        .into_iter()
        .filter(|p| planned.lookup(p).is_some_and(Value::is_wholly_known))
        .collect()
}

/// Returns the value with unknown parts null: what a request carries for attributes that the API fills.
pub fn without_unknowns(value: &Value) -> Value {
    value.map_deep(&mut |v| match v.kind() {
        ValueKind::Unknown(u) => Value::null(u.ty.clone()).mark(v.marks()),
        _ => v,
    })
}
