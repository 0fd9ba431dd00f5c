//! `time_offset`: a moment and another one so much later or earlier.

use super::moment::{Moment, Span, check, triggers, with_parts};
use crate::kit::{Host, Resource, at_least, at_least_one, invalid, with};
use groma_provider::{OpContext, PlanInput, PlanOutput, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(super) struct Offset;

const SPANS: [&str; 6] =
    ["offset_years", "offset_months", "offset_days", "offset_hours", "offset_minutes", "offset_seconds"];

fn filled(planned: &Value, base: Moment) -> Result<Value, ProviderError> {
    let moment = base.plus(Span::of(planned, "offset_"))?;
    let text = planned.str_attr("base_rfc3339").map_or_else(|| base.text(), str::to_string);
    Ok(with(
        &with(planned, moment.parts()),
        [("base_rfc3339", text.clone().into()), ("id", text.into()), ("rfc3339", moment.text().into())],
    ))
}

#[async_trait]
impl Resource for Offset {
    fn schema(&self) -> KindSchema {
        let block = Block::new("A moment some time after or before another one.")
            .attr(
                "base_rfc3339",
                Attribute::optional_computed(
                    Type::String,
                    "The moment to count from; by default that of creation.",
                )
                .replaces(),
            )
            .attr("triggers", triggers())
            .attr(
                "rfc3339",
                Attribute::computed(Type::String, "The moment that is meant.").changes_with(&SPANS),
            )
            .attr("id", Attribute::computed(Type::String, "The moment to count from."));
        let block = SPANS.iter().fold(block, |block, name| {
            let doc = format!("How many {} later; negative: earlier.", &name["offset_".len()..]);
            block.attr(name, Attribute::optional(Type::Number, &doc))
        });
        KindSchema::new("time_offset", "time", with_parts(block, &SPANS))
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let mut found = at_least_one(config, &SPANS);
        found.extend(at_least(config, &SPANS.map(|name| (name, i64::MIN))));
        found.extend(check(config, &["base_rfc3339"]));
        found
    }

    fn plan(&self, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        let is_known = SPANS.iter().all(|n| input.proposed.get(n).is_none_or(Value::is_wholly_known));
        let planned = match input.proposed.str_attr("base_rfc3339") {
            Some(base) if is_known => filled(&input.proposed, Moment::parse(base)?)?,
            _ => input.proposed,
        };
        Ok(PlanOutput { planned, requires_replace: Vec::new() })
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        let base = match planned.str_attr("base_rfc3339") {
            Some(text) => Moment::parse(text)?,
            None => Moment::at(host.env.clock.now()),
        };
        filled(planned, base)
    }

    async fn update(
        &self,
        host: &Host,
        _: &Value,
        planned: &Value,
        ctx: &dyn OpContext,
    ) -> Result<Value, ProviderError> {
        self.create(host, planned, ctx).await
    }

    /// `BASE,YEARS,MONTHS,DAYS,HOURS,MINUTES,SECONDS`.
    async fn import(&self, _: &Host, id: &str) -> Result<Value, ProviderError> {
        let parts: Vec<&str> = id.split(',').collect();
        let span = (parts.len() == 7).then(|| Span::parse(&parts[1..])).flatten();
        let span = span.ok_or_else(|| {
            invalid(format!("the id {id:?} does not tell the offset"))
                .help("Write BASE,YEARS,MONTHS,DAYS,HOURS,MINUTES,SECONDS.")
        })?;
        let base = Value::object([("base_rfc3339", Value::from(parts[0]))]);
        filled(&with(&base, span.arguments(SPANS)), Moment::parse(parts[0])?)
    }
}
