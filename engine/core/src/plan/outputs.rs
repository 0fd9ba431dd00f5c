//! Root outputs and check blocks.

use crate::facade::PlanOptions;
use crate::plan::planner::Planner;
use crate::plan::{OutputChange, Plan, decide};
use crate::scope::Place;
use groma_types::{Address, Diagnostic, ModuleAddr, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Planner {
    pub(super) fn outputs(&mut self, plan: &mut Plan, options: &PlanOptions) {
        if options.refresh_only {
            return;
        }
        let config = self.config();
        let mut names: BTreeSet<Arc<str>> = self.state.outputs.keys().cloned().collect();
        if !options.destroy {
            names.extend(config.root().outputs.keys().cloned());
        }
        for name in names {
            let declared = config.root().outputs.get(&name).filter(|_| !options.destroy);
            let before = self.state.outputs.get(&name).map(|o| o.value.clone());
            let after = match declared {
                None => None,
                Some(output) => {
                    let place = Place::module(ModuleAddr::root());
                    let own = Address::Output(ModuleAddr::root(), name.clone());
                    let rules = &output.preconditions;
                    if self.conditions(rules, "Output precondition failed", &place, &own).is_none() {
                        continue;
                    }
                    match self.eval.output(&self.values, &ModuleAddr::root(), &name) {
                        // As in Terraform, an output that is null is not there.
                        Ok(value) => Some(self.checked_output(output, value)).filter(|v| !v.is_null()),
                        Err(diagnostics) => {
                            self.diagnostics.extend(diagnostics);
                            continue;
                        }
                    }
                }
            };
            let same = match (&before, &after) {
                (Some(b), Some(a)) => decide::differences(b, a).is_empty() && b.ty() == a.ty(),
                (None, None) => true,
                _ => false,
            };
            // Left-out blocks leave outputs unknown that are in the state already.
            let is_left_out = plan.targeted && after.as_ref().is_some_and(|a| !a.is_wholly_known());
            if !same && !is_left_out {
                let sensitive = after.as_ref().or(before.as_ref()).is_some_and(|v| v.deep_marks().sensitive);
                plan.outputs.push(OutputChange { name, before, after, sensitive });
            }
        }
    }

    pub(super) fn checked_output(&mut self, output: &crate::config::Output, value: Value) -> Value {
        let marks = value.deep_marks();
        if marks.minted || marks.ephemeral {
            self.diagnostics.push(
                Diagnostic::error("G1031", "A short-lived value would be stored")
                    .detail(format!(
                        "Output {:?} of the root module would write it to the state.",
                        output.name
                    ))
                    .help("Use it in a provider block or a write-only argument instead.")
                    .at(output.span, ""),
            );
        } else if marks.sensitive && !output.sensitive {
            self.diagnostics.push(
                Diagnostic::error("G1066", "An output shows a sensitive value")
                    .detail(format!("The value of output {:?} comes from a sensitive one.", output.name))
                    .help_edit(
                        "Say `sensitive: true` in the output, or nonsensitive(…) in its value.",
                        "Say `sensitive = true` in the output, or nonsensitive(…) in its value.",
                    )
                    .at(output.value.span(), ""),
            );
        }
        value
    }
}
