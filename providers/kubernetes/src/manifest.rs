//! `kubernetes_manifest`: any object, written as the API has it.

use crate::mapping::{Field, Fields, boolean, many, one, text, text_map};
use groma_provider::{PlanInput, PlanOutput};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{AttrPath, Type, Value};
use std::sync::Arc;

pub(crate) const KIND: &str = "kubernetes_manifest";

fn field_manager() -> Field {
    let fields = vec![
        boolean("force_conflicts", "Take fields over that others own.").default(false),
        text("name", "Name that our fields are owned under.").default("groma"),
    ];
    one("field_manager", "How fields are owned.", fields)
}

fn wait() -> Field {
    let condition = vec![text("status", "Wanted status."), text("type", "Type of the condition.")];
    let fields = vec![
        many("condition", "Conditions to wait for.", condition),
        text_map("fields", "Fields to wait for: a path, and a text, a regular expression in slashes or `*`."),
        boolean("rollout", "Wait for the rollout of a workload."),
    ];
    one("wait", "What to wait for.", fields)
}

/// The blocks beside the manifest.
pub(crate) fn settings() -> Arc<Fields> {
    Fields::new("Any object of the Kubernetes API.", vec![field_manager(), wait()])
}

pub(crate) fn schema(settings: &Fields) -> KindSchema {
    let fields = Attribute::optional(Type::list(Type::String), "Paths that the API may change.");
    let block: Block = settings
        .block()
        .attr("computed_fields", fields)
        .attr("manifest", Attribute::required(Type::Dynamic, "The object, as the API has it."))
        .attr(
            "object",
            Attribute::optional_computed(Type::Dynamic, "The object as the API answers.").changes_with_any(),
        );
    let key =
        ["manifest.apiVersion", "manifest.kind", "manifest.metadata.namespace", "manifest.metadata.name"];
    KindSchema { owner_mark: true, ..KindSchema::new(KIND, "kubernetes", block).key(&key) }
}

/// Parts of a manifest that name the object.
const NAMING: &[&[&str]] = &[&["apiVersion"], &["kind"], &["metadata", "name"], &["metadata", "namespace"]];

fn part<'a>(manifest: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(manifest, |v, name| v.get(name))
}

/// The answer of the API stays while the manifest stays; another name is another object.
pub(crate) fn plan(input: PlanInput<'_>) -> PlanOutput {
    let mut planned = input.proposed;
    let mut requires_replace = Vec::new();
    let object = AttrPath::root().attr("manifest");
    if let (Some(new), Some(prior)) = (planned.get("manifest").cloned(), input.prior)
        && let Some(old) = prior.get("manifest")
    {
        for path in NAMING {
            let (a, b) = (part(&new, path), part(old, path));
            if a.map(|v| v.unmark_deep().0) != b.map(|v| v.unmark_deep().0) {
                requires_replace.push(path.iter().fold(object.clone(), |at, name| at.attr(name)));
            }
        }
        let same = new.unmark_deep().0 == old.unmark_deep().0;
        if let Some(answer) = prior.get("object").filter(|_| same) {
            planned = planned.with_attr("object", answer.clone());
        }
    }
    PlanOutput { planned, requires_replace }
}
