//! Where an entry stands: what the language reads there as a reference, a type or a word instead of a value.

use crate::config::gather::BlockType;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Place {
    Root,
    /// The body of a block of the language.
    Body(BlockType),
    /// A block that a provider's schema has.
    Nested,
    Lifecycle,
    Dynamic,
    Provisioner,
    RequiredProviders,
    RequiredProvider,
    /// A mapping of names to references.
    Providers,
    Type,
    /// One reference, or a list of them; also words such as `all`.
    Reference,
    Value,
}

impl Place {
    /// The place of an entry with this key.
    pub(in crate::config) fn inside(self, key: &str) -> Place {
        match self {
            Place::Root => BlockType::named(key).map_or(Place::Value, Place::Body),
            Place::Body(ty) => in_body(ty, key),
            Place::Nested if key == "dynamic" => Place::Dynamic,
            Place::Nested => Place::Nested,
            Place::Dynamic => match key {
                "content" => Place::Nested,
                "iterator" => Place::Reference,
                _ => Place::Value,
            },
            Place::Lifecycle => match key {
                "ignore_changes" | "replace_triggered_by" | "hosted_by" => Place::Reference,
                _ => Place::Nested,
            },
            Place::Provisioner => match key {
                "when" | "on_failure" => Place::Reference,
                _ => Place::Nested,
            },
            Place::RequiredProviders => Place::RequiredProvider,
            Place::RequiredProvider if key == "configuration_aliases" => Place::Reference,
            Place::RequiredProvider => Place::Value,
            Place::Providers | Place::Reference => Place::Reference,
            Place::Type | Place::Value => Place::Value,
        }
    }
}

impl Place {
    /// How many levels of labels stand between the key of an entry at this place and what the entry holds.
    pub(in crate::config) fn labels(self) -> usize {
        match self {
            Place::Body(ty) => ty.labels(),
            Place::Dynamic | Place::Provisioner => 1,
            _ => 0,
        }
    }
}

fn in_body(ty: BlockType, key: &str) -> Place {
    use BlockType::{Check, Data, Ephemeral, Import, Module, Moved, Output, Provider, Removed, Resource};
    match (ty, key) {
        (BlockType::Variable, "type") | (Output, "type") => Place::Type,
        (BlockType::Terraform, "required_providers") => Place::RequiredProviders,
        (BlockType::Terraform, "language" | "experiments") => Place::Reference,
        (Resource | Data | Ephemeral | Module | Output, "depends_on") => Place::Reference,
        (Resource | Data | Ephemeral | Import, "provider") => Place::Reference,
        (Module, "providers") => Place::Providers,
        (Moved | Import | Removed, "from" | "to") => Place::Reference,
        (Resource | Data | Ephemeral | Module | Provider | Removed, "lifecycle") => Place::Lifecycle,
        (Resource | Removed, "provisioner") => Place::Provisioner,
        (Resource | Data | Ephemeral | Provider, "dynamic") => Place::Dynamic,
        (Check, "data") => Place::Body(Data),
        _ => Place::Nested,
    }
}
