//! The instances of a block: from `count`, `for_each` or `enabled`, or from a text that the block itself holds.
//!
//! A kind that says so in its schema expands by itself: the engine reads the documents of a text, the provider says what
//! is an instance and under which key, and from there on an instance is like any other.

use super::{Kind, Planner};
use crate::config::{ResourceBlock, body, targets};
use crate::scope::{Place, Scope, check_key_marks};
use crate::values::Keys;
use groma_lang::functions::yaml_documents;
use groma_provider::{Part, Provider, ProviderError};
use groma_types::schema::{Expands, KindSchema};
use groma_types::{
    AttrPath, Causes, Diagnostic, Diagnostics, InstanceAddr, Mode, ResourceAddr, Span, Type, Value, ValueKind,
};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Planner {
    /// The instances of a block in a module instance, held against the bound that the block sets.
    pub(super) fn instances(
        &mut self,
        address: &ResourceAddr,
        resource: &ResourceBlock,
        place: &Place,
    ) -> (Keys, Diagnostics) {
        let (keys, mut diagnostics) = self.eval.expand(&self.values, place, &resource.expansion);
        let keys = match self.expanding(address, resource) {
            Some((provider, schema, expands)) if keys == Keys::Single && !diagnostics.has_errors() => {
                let found = self.parts(address, resource, place, &*provider, &schema, &expands);
                found.unwrap_or_else(|faults| {
                    diagnostics.extend(faults);
                    Keys::Unknown { causes: Causes::new(), counted: false }
                })
            }
            _ => keys,
        };
        if let Some(bound) = self.bound(resource, place).filter(|bound| keys.instances() > *bound) {
            diagnostics.push(
                Diagnostic::error("G1013", "More instances than allowed")
                    .detail(format!(
                        "There would be {}, and lifecycle.max_instances is {bound}.",
                        keys.instances()
                    ))
                    .help("Raise max_instances if that many are meant.")
                    .at(
                        resource.lifecycle.max_instances.as_ref().map_or(resource.span, |e| e.span()),
                        "the bound",
                    ),
            );
        }
        (keys, diagnostics)
    }

    /// The place of an instance, with `each.value` as it is known by now: in the plan a part of it may have been open.
    /// `None`: faults were reported.
    pub fn place_of(&mut self, address: &InstanceAddr, resource: &ResourceBlock) -> Option<Place> {
        let InstanceAddr { resource: block, key } = address;
        let planned = Place::instance(block.module.clone(), key.clone(), &self.values.block(block)?.keys);
        if planned.each_value.as_ref().is_none_or(Value::is_wholly_known) {
            return Some(planned);
        }
        let around = Place::module(block.module.clone());
        let (keys, faults) = self.eval.expand(&self.values, &around, &resource.expansion);
        let failed = faults.has_errors();
        self.diagnostics.extend(faults.into_iter().map(|d| d.address(block)));
        self.values.renew_keys(block, keys);
        let keys = &self.values.block(block).filter(|_| !failed)?.keys;
        Some(Place::instance(block.module.clone(), key.clone(), keys))
    }

    /// `lifecycle.max_instances`, where it is known.
    pub(super) fn bound(&mut self, resource: &ResourceBlock, place: &Place) -> Option<u64> {
        let expr = resource.lifecycle.max_instances.as_ref()?;
        let (value, diagnostics) = self.eval.expr(&self.values, place, expr);
        self.diagnostics.extend(diagnostics);
        value.as_number().and_then(groma_types::Number::to_u64)
    }

    /// The provider and schema of a block whose kind expands by itself.
    fn expanding(
        &self,
        address: &ResourceAddr,
        resource: &ResourceBlock,
    ) -> Option<(Arc<dyn Provider>, Kind, Expands)> {
        if resource.id.mode != Mode::Managed {
            return None;
        }
        let name = targets::provider_name(&self.config(), &address.module.path(), &resource.provider.name);
        let (provider, schema) = self.schema_of(Mode::Managed, &resource.id.kind, &name)?;
        let expands = schema.expands.clone()?;
        Some((provider, schema, expands))
    }

    fn parts(
        &mut self,
        address: &ResourceAddr,
        resource: &ResourceBlock,
        place: &Place,
        provider: &dyn Provider,
        schema: &KindSchema,
        expands: &Expands,
    ) -> Result<Keys, Diagnostics> {
        let scope = Scope { eval: &self.eval, values: &self.values, place: place.clone() };
        let (text, faults) = body::evaluate_argument(&resource.body, &schema.block, &expands.text, &scope);
        let text = text.filter(|_| !faults.has_errors()).ok_or(faults)?;
        let span = body::span_of(&resource.body, &AttrPath::root().attr(&expands.text));
        if let Some((_, fault)) = check_key_marks(&text, span, &expands.text) {
            return Err(fault);
        }
        let written = match text.kind() {
            ValueKind::Unknown(unknown) => {
                return Ok(Keys::Unknown { causes: unknown.causes.clone(), counted: false });
            }
            ValueKind::String(written) => written,
            _ => return Err(unreadable(span, "there is no text").into()),
        };
        let documents = yaml_documents(written).map_err(|why| unreadable(span, &why))?;
        let parts = provider.parts(&schema.kind, documents).map_err(|error| refused(span, &error))?;
        self.ranks.retain(|a, _| a.resource != *address);
        let mut found = BTreeMap::new();
        for Part { key, rank, value } in parts {
            self.ranks.insert(address.instance(Some(groma_types::InstanceKey::Str(key.clone()))), rank);
            if found.insert(key.clone(), value).is_some() {
                return Err(unreadable(span, &format!("{key} is there twice")).into());
            }
        }
        Ok(Keys::Each(Arc::new(found.into_iter().collect())))
    }
}

/// The arguments of one instance: its own document in place of the text of them all.
pub(super) fn arguments(schema: &KindSchema, config: Value, place: &Place) -> Value {
    let (Some(expands), Some(part)) = (&schema.expands, &place.each_value) else { return config };
    config.with_attr(&expands.text, Value::null(Type::String)).with_attr(&expands.into, part.clone())
}

fn unreadable(span: Span, why: &str) -> Diagnostic {
    Diagnostic::error("G1012", "The text does not give instances")
        .detail(format!("{why}."))
        .at(span, "this text")
}

fn refused(span: Span, error: &ProviderError) -> Diagnostic {
    let mut fault = unreadable(span, &error.to_string());
    fault.help.clone_from(&error.help);
    fault
}
