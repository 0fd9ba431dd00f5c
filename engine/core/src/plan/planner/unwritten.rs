//! Imports of what no block declares: the objects are read, and a block is drafted for each.

use super::imports::{Wanted, read_import};
use super::{Planner, ProviderState, block_of};
use crate::config::ProviderRef;
use crate::config::draft::{self, Draft};
use crate::scope::Place;
use crate::values::apply_schema;
use groma_provider::{Provider, Read};
use groma_types::schema::{KindSchema, Presence};
use groma_types::{Address, InstanceAddr, Mode, ModuleAddr, Step, Value};
use std::sync::Arc;

impl Planner {
    /// Whether a block can be drafted for an address: one of the root module without a key, that no block declares.
    pub(super) fn may_be_drafted(&self, address: &InstanceAddr) -> bool {
        let is_plain = address.resource.module.0.is_empty() && address.key.is_none();
        let config = self.config();
        self.options.draft_imports
            && is_plain
            && !config.root().resources.contains_key(&block_of(&address.resource).1)
    }

    /// Drafts a block for every import that has none.
    pub(crate) async fn draft_imports(&mut self) {
        for (address, wanted) in self.wanted_imports() {
            if self.may_be_drafted(&address)
                && self.state.at(&address).is_none()
                && let Some(draft) = self.draft(&address, &wanted).await
            {
                self.drafts.push(draft);
            }
        }
    }

    async fn draft(&mut self, address: &InstanceAddr, wanted: &Wanted) -> Option<Draft> {
        let kind = address.resource.kind.clone();
        let config = self.config();
        let import = config.root().imports.get(wanted.block?)?;
        let reference = import.provider.clone().unwrap_or_else(|| ProviderRef {
            name: kind.split('_').next().unwrap_or(&kind).into(),
            alias: None,
            key: None,
            span: import.span,
        });
        let root = ModuleAddr::root();
        let provider_addr = self.provider_address(&root, &reference, &Place::module(root.clone()))?;
        let ProviderState::Ready { recipe, .. } = self.provider_state(&provider_addr).await else {
            self.import_fault(
                wanted,
                address,
                "Its provider is not known before the apply, so it can't be read now.".into(),
            );
            return None;
        };
        let Some((provider, schema)) = self.schema_of(Mode::Managed, &kind, &provider_addr.name) else {
            self.import_fault(
                wanted,
                address,
                format!("The provider {} has no kind {kind}.", provider_addr.name),
            );
            return None;
        };
        let Some(id) = self.import_id(wanted, address).ok()? else {
            self.import_fault(
                wanted,
                address,
                "Its id is not known before the apply, so it can't be read now.".into(),
            );
            return None;
        };
        let seen = match read_import(&self.pool, &recipe, &kind, &id).await {
            Ok(Read::Present(seen)) => apply_schema(seen.attributes.value(), &schema.block),
            Ok(Read::Gone) => {
                self.nothing_to_import(&kind, &id, address, wanted.span);
                return None;
            }
            Err(error) => {
                self.report(&error, &Address::Instance(address.clone()), wanted.span);
                return None;
            }
        };
        let arguments = agreed(&*provider, &schema, draft::arguments(&schema.block, &seen));
        let names = (kind, address.resource.name.clone());
        Some(Draft::new(names, import.provider.as_ref().map(text), id, &schema.block, (&arguments, &seen)))
    }
}

/// Leaves out what the provider refuses beside the rest: arguments that exclude each other.
fn agreed(provider: &dyn Provider, schema: &KindSchema, arguments: Value) -> Value {
    let mut arguments = arguments;
    loop {
        let problems = provider.validate(Mode::Managed, &schema.kind, &arguments);
        let refused = problems.iter().find_map(|problem| {
            let Some(Step::Attr(name)) = problem.path.0.first() else { return None };
            let may_go = schema.block.attrs.get(name).is_some_and(|a| a.presence != Presence::Required);
            let is_there = arguments.get(name).is_some_and(|v| !v.is_null());
            (may_go && is_there).then(|| name.clone())
        });
        // Each round leaves one argument out, so there is an end.
        let Some(name) = refused else { return arguments };
        arguments = arguments.with_attr(&name, Value::NULL);
    }
}

fn text(reference: &ProviderRef) -> Arc<str> {
    let alias = reference.alias.as_ref().map(|alias| format!(".{alias}")).unwrap_or_default();
    let key = reference.key.as_ref().map(|key| format!("[{}]", key.source_text())).unwrap_or_default();
    format!("{}{alias}{key}", reference.name).into()
}
