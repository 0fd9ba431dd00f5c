//! `time_static`: a moment, by default the one of its creation.

use super::moment::{Moment, check, triggers, with_parts};
use crate::kit::{Host, Resource, with};
use groma_provider::{OpContext, PlanInput, PlanOutput, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(super) struct Static;

fn filled(planned: &Value, moment: Moment) -> Value {
    let text = planned.str_attr("rfc3339").map_or_else(|| moment.text(), str::to_string);
    with(&with(planned, moment.parts()), [("rfc3339", text.clone().into()), ("id", text.into())])
}

#[async_trait]
impl Resource for Static {
    fn schema(&self) -> KindSchema {
        let block = Block::new("A moment that stays: that of its creation, or a given one.")
            .attr(
                "rfc3339",
                Attribute::optional_computed(
                    Type::String,
                    "The moment, such as 2020-02-12T06:36:13Z; by default now.",
                )
                .replaces(),
            )
            .attr("triggers", triggers())
            .attr("id", Attribute::computed(Type::String, "The moment."));
        KindSchema::new("time_static", "time", with_parts(block, &[]))
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        check(config, &["rfc3339"])
    }

    /// A given moment is known before anything is done.
    fn plan(&self, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        let given = input.proposed.str_attr("rfc3339").map(Moment::parse).transpose()?;
        let planned = given.map_or_else(|| input.proposed.clone(), |moment| filled(&input.proposed, moment));
        Ok(PlanOutput { planned, requires_replace: Vec::new() })
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        let moment = match planned.str_attr("rfc3339") {
            Some(text) => Moment::parse(text)?,
            None => Moment::at(host.env.clock.now()),
        };
        Ok(filled(planned, moment))
    }

    async fn import(&self, _: &Host, id: &str) -> Result<Value, ProviderError> {
        let moment = Moment::parse(id)?;
        Ok(filled(&Value::object([("rfc3339", id)].map(|(k, v)| (k, Value::from(v)))), moment))
    }
}
