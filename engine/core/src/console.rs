//! Answers expressions of a person over a stack: its variables and locals, what the state holds or a plan would make of it,
//! and functions. Nothing is changed and no provider is asked.

use crate::config::{Config, check};
use crate::facade::{Host, Planned, Registry};
use crate::plan::planner::address_of;
use crate::scope::{Evaluator, Place};
use crate::state::State;
use crate::values::{BlockValue, Keys, Values};
use groma_lang::expr::Expr;
use groma_lang::{Text, parse_expression};
use groma_types::{
    Diagnostics, InstanceKey, Mode, ModuleAddr, ResourceAddr, SortedMap, SourceId, Type, Value,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A stack that can be asked.
pub struct Console {
    eval: Evaluator,
    values: Values,
    registry: Registry,
}

/// What an expression gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Value(Value),
    /// Of `type(…)`, which only a console has.
    Type(Type),
}

impl Console {
    /// Over what the state holds. What only a plan tells is unknown; so are data sources, which no state keeps.
    pub fn over_state(
        config: &Arc<Config>,
        variables: BTreeMap<Arc<str>, Value>,
        state: &State,
        host: &Host,
    ) -> Console {
        let eval = Evaluator::new(config.clone(), host);
        let mut values = Values::new(variables);
        // Outer modules first: what they know may say how many inner ones there are.
        for (path, module) in &config.modules {
            for instance in eval.module_instances(&values, path).0 {
                let managed = module.resources.keys().filter(|id| id.mode == Mode::Managed);
                for id in managed {
                    let address = address_of(&instance, id);
                    if let Some(block) = recorded(state, &address) {
                        values.set_block(address, block);
                    }
                }
            }
        }
        Console { eval, values, registry: host.registry.clone() }
    }

    /// Over what a plan would make of the stack.
    pub fn over_plan(planned: Planned) -> Console {
        let planner = planned.planner;
        Console { eval: planner.eval, values: planner.values, registry: planner.host.registry }
    }

    /// Answers an expression of the root module.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn ask(&self, source: SourceId, text: &str) -> Result<Answer, Diagnostics> {
        if let Some(inside) = argument_of_type(text) {
            return Ok(Answer::Type(self.value(source, inside)?.ty()));
        }
        self.value(source, text).map(Answer::Value)
    }

    fn value(&self, source: SourceId, text: &str) -> Result<Value, Diagnostics> {
        let (expr, mut faults) = parse_expression(&Text::plain(text, source, 0));
        faults.extend(expr.call_faults());
        check::expression(&self.eval.config, &self.registry, &expr, &mut faults);
        if faults.has_errors() {
            return Err(faults);
        }
        let (value, faults) = self.eval.expr(&self.values, &Place::module(ModuleAddr::root()), &expr);
        if faults.has_errors() { Err(faults) } else { Ok(value) }
    }
}

/// The instances of a block in the state; `None` where there is none.
fn recorded(state: &State, address: &ResourceAddr) -> Option<BlockValue> {
    let found: SortedMap<Option<InstanceKey>, Value> = state
        .instances(address)
        .filter_map(|(at, id)| Some((at.key.clone(), state.objects.get(id)?.attributes.clone())))
        .collect();
    let keys = match found.keys().next_back()? {
        None => Keys::Single,
        Some(InstanceKey::Int(last)) => Keys::Count(last + 1),
        Some(InstanceKey::Str(_)) => {
            let name = |key: &Option<InstanceKey>| match key {
                Some(InstanceKey::Str(name)) => Some((name.clone(), Value::NULL)),
                Some(InstanceKey::Int(_)) | None => None,
            };
            Keys::Each(Arc::new(found.keys().filter_map(name).collect()))
        }
    };
    Some(BlockValue::new(keys, found))
}

/// The argument of a call of `type` that is all of the text.
fn argument_of_type(text: &str) -> Option<&str> {
    let inside = text.trim().strip_prefix("type")?.trim_start().strip_prefix('(')?.strip_suffix(')')?;
    let is_whole =
        |text: &str| -> (Expr, Diagnostics) { parse_expression(&Text::plain(text, SourceId(0), 0)) };
    (!is_whole(inside).1.has_errors()).then_some(inside)
}
