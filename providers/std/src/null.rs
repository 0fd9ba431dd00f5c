//! The provider `null`: resources that do nothing, for what they trigger.

use crate::kit::{Builtin, Data, Host, Kinds, Machine, Resource, is_unset, with};
use crate::random::uuid_v4;
use groma_provider::{Entropy, OpContext, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(crate) fn provider(machine: &Machine) -> Builtin {
    let kinds = Kinds::default().resource(NullResource).data(NullData);
    Builtin::new("null", "hashicorp/null", Some(("3", "4")), Block::default(), kinds, machine)
}

/// `null_resource`.
struct NullResource;

/// A random number as text, as Terraform's ids are.
fn number(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    (u64::from_le_bytes(bytes) >> 1).to_string()
}

#[async_trait]
impl Resource for NullResource {
    fn schema(&self) -> KindSchema {
        let triggers = "Any values; when they change, the resource is replaced.";
        let block =
            Block::new("A resource that does nothing. `terraform_data` does the same without a provider.")
                .attr("triggers", Attribute::optional(Type::map(Type::String), triggers).replaces())
                .attr("id", Attribute::computed(Type::String, "A random id."));
        KindSchema::new("null_resource", "null", block)
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        Ok(with(planned, [("id", number(&*host.env.entropy).into())]))
    }
}

/// `null_data_source`.
struct NullData;

#[async_trait]
impl Data for NullData {
    fn schema(&self) -> KindSchema {
        let map = || Type::map(Type::String);
        let outdated = "Use locals: they do the same.";
        let block = Block::new("Copies its inputs to its outputs. Outdated: locals do the same.")
            .attr(
                "inputs",
                Attribute { deprecated: Some(outdated.into()), ..Attribute::optional(map(), "Any values.") },
            )
            .attr(
                "has_computed_default",
                Attribute::optional_computed(Type::String, "Any text; `default` if not set."),
            )
            .attr("outputs", Attribute::computed(map(), "The inputs."))
            .attr("random", Attribute::computed(Type::String, "A random text, another one at each read."))
            .attr("id", Attribute::computed(Type::String, "Always `static`."));
        KindSchema::new("null_data_source", "null", block)
    }

    async fn read(&self, host: &Host, config: &Value) -> Result<Option<Value>, ProviderError> {
        let default =
            config.get("has_computed_default").filter(|_| !is_unset(config, "has_computed_default"));
        Ok(Some(with(
            config,
            [
                ("outputs", config.get("inputs").cloned().unwrap_or(Value::NULL)),
                ("has_computed_default", default.cloned().unwrap_or("default".into())),
                ("random", uuid_v4(&*host.env.entropy).into()),
                ("id", "static".into()),
            ],
        )))
    }
}
