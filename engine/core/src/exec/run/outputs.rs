//! Root outputs after a run.

use crate::plan::planner::Planner;
use crate::state::{OutputValue, Record, Store};
use groma_types::ModuleAddr;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Evaluates the root outputs with what is known, and records those that changed.
pub fn record_outputs(planner: &mut Planner, store: &mut dyn Store) {
    let config = planner.config();
    let mut names: BTreeSet<Arc<str>> = config.root().outputs.keys().cloned().collect();
    let mut records = Vec::new();
    for name in names.clone() {
        let Ok(value) = planner.eval.output(&planner.values, &ModuleAddr::root(), &name) else { continue };
        // As in Terraform, an output that is null is not there.
        if value.is_null() {
            names.remove(&name);
            continue;
        }
        if !value.is_wholly_known() || value.deep_marks().minted || value.deep_marks().ephemeral {
            continue;
        }
        let sensitive = value.deep_marks().sensitive;
        let new = OutputValue { value, sensitive };
        if planner.state.outputs.get(&name) != Some(&new) {
            records.push(Record::Output(name, Some(new)));
        }
    }
    let gone: Vec<Arc<str>> = planner.state.outputs.keys().filter(|n| !names.contains(*n)).cloned().collect();
    records.extend(gone.into_iter().map(|n| Record::Output(n, None)));
    for record in records {
        planner.state.apply(&record);
        store.append(record);
    }
}

/// After a destroy of everything the outputs are gone too.
pub fn forget_outputs(planner: &mut Planner, store: &mut dyn Store, plan: &crate::plan::Plan) {
    if plan.targeted || !planner.state.objects.is_empty() {
        return;
    }
    let names: Vec<Arc<str>> = planner.state.outputs.keys().cloned().collect();
    for name in names {
        let record = Record::Output(name, None);
        planner.state.apply(&record);
        store.append(record);
    }
}
