//! Data source `groma_stack`: the root outputs of another stack of ours. Those of a stack that was not applied yet are not
//! known; they are never invented.

use crate::kit::{Builtin, Data, Host, Kinds, Machine, invalid, text, with};
use groma_provider::{ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{AttrPath, Type, Value};

pub(crate) fn provider(machine: &Machine) -> Builtin {
    let kinds = Kinds::default().data(Stack);
    Builtin::new("groma", "groma/groma", None, Block::default(), kinds, machine)
}

struct Stack;

#[async_trait]
impl Data for Stack {
    fn schema(&self) -> KindSchema {
        let block = Block::new("The root outputs of another stack.")
            .attr(
                "path",
                Attribute::required(Type::String, "The stack: its folder, or its one file. A relative path starts from the folder that the command works in."),
            )
            .attr("workspace", Attribute::optional(Type::String, "The workspace; `default` if not set."))
            .attr(
                "outputs",
                Attribute::computed(Type::Dynamic, "Its outputs by name; not known while it was not applied yet."),
            );
        let schema = KindSchema::new("groma_stack", "groma", block);
        KindSchema { beyond_terraform: true, file_args: vec!["path".into()], ..schema }
    }

    async fn read(&self, host: &Host, config: &Value) -> Result<Option<Value>, ProviderError> {
        let Some(stacks) = &host.machine.stacks else { return Err(invalid("stacks can't be read here")) };
        let path = host.path(text(config, "path"));
        let workspace = Some(text(config, "workspace")).filter(|w| !w.is_empty()).unwrap_or("default");
        let found = stacks.outputs(&path, workspace).map_err(|why| {
            invalid(format!("the stack at {} can't be read: {why}", path.display()))
                .at(AttrPath::root().attr("path"))
        })?;
        let outputs = found.map_or_else(|| Value::unknown(Type::Dynamic), Value::object);
        Ok(Some(with(config, [("outputs", outputs)])))
    }
}
