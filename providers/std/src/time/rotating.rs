//! `time_rotating`: a moment that is made anew when its time is over.

use super::moment::{Moment, Span, check, triggers, with_parts};
use crate::kit::{Host, Resource, at_least, at_least_one, invalid, is_unset, with};
use groma_provider::{OpContext, PlanInput, PlanOutput, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(super) struct Rotating;

const SPANS: [&str; 5] =
    ["rotation_years", "rotation_months", "rotation_days", "rotation_hours", "rotation_minutes"];
const END: &str = "rotation_rfc3339";

/// The base moment and the end of its time: base and spans, or what is written where no span is.
fn filled(planned: &Value, base: Moment) -> Result<Value, ProviderError> {
    let text = planned.str_attr("rfc3339").map_or_else(|| base.text(), str::to_string);
    let end = match planned.str_attr(END) {
        Some(written) if SPANS.iter().all(|n| is_unset(planned, n)) => written.to_string(),
        _ => base.plus(Span::of(planned, "rotation_"))?.text(),
    };
    Ok(with(
        &with(planned, base.parts()),
        [("rfc3339", text.clone().into()), ("id", text.into()), (END, end.into())],
    ))
}

fn base_of(host: &Host, planned: &Value) -> Result<Moment, ProviderError> {
    match planned.str_attr("rfc3339") {
        Some(text) => Moment::parse(text),
        None => Ok(Moment::at(host.env.clock.now())),
    }
}

#[async_trait]
impl Resource for Rotating {
    fn schema(&self) -> KindSchema {
        let block = Block::new("A moment that is made anew by the first run after its time is over.")
            .attr(
                "rfc3339",
                Attribute::optional_computed(
                    Type::String,
                    "The moment to count from; by default that of creation.",
                )
                .replaces(),
            )
            .attr(
                END,
                Attribute::optional_computed(Type::String, "When its time is over.").changes_with(&SPANS),
            )
            .attr("triggers", triggers())
            .attr("id", Attribute::computed(Type::String, "The moment to count from."));
        let block = SPANS.iter().fold(block, |block, name| {
            let doc = format!("Its time is over so many {} later; at least 1.", &name["rotation_".len()..]);
            block.attr(name, Attribute::optional(Type::Number, &doc))
        });
        KindSchema::new("time_rotating", "time", with_parts(block, &[]))
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let names: Vec<&str> = SPANS.into_iter().chain([END]).collect();
        let mut found = at_least_one(config, &names);
        found.extend(at_least(config, &SPANS.map(|name| (name, 1))));
        found.extend(check(config, &["rfc3339", END]));
        if !is_unset(config, END) && SPANS.iter().any(|n| !is_unset(config, n)) {
            let message = format!("{END} can't be set together with {}", SPANS.join(", "));
            found.push(crate::kit::problem(END, message));
        }
        found
    }

    fn plan(&self, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        let names = SPANS.iter().chain([&END]);
        let is_known = names.clone().all(|n| input.config.get(n).is_none_or(Value::is_wholly_known));
        let planned = match input.proposed.str_attr("rfc3339") {
            Some(base) if is_known => filled(&input.proposed, Moment::parse(base)?)?,
            _ => input.proposed,
        };
        Ok(PlanOutput { planned, requires_replace: Vec::new() })
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        filled(planned, base_of(host, planned)?)
    }

    async fn update(
        &self,
        host: &Host,
        _: &Value,
        planned: &Value,
        _: &dyn OpContext,
    ) -> Result<Value, ProviderError> {
        filled(planned, base_of(host, planned)?)
    }

    /// Gone when its time is over: that makes it anew.
    async fn read(&self, host: &Host, prior: &Value) -> Result<Option<Value>, ProviderError> {
        let end = prior.str_attr(END).map(Moment::parse).transpose()?;
        let is_over = end.is_some_and(|end| Moment::at(host.env.clock.now()).is_after(end));
        Ok((!is_over).then(|| prior.clone()))
    }

    /// `BASE,YEARS,MONTHS,DAYS,HOURS,MINUTES` or `BASE,END`.
    async fn import(&self, _: &Host, id: &str) -> Result<Value, ProviderError> {
        let form = || {
            invalid(format!("the id {id:?} does not tell the rotation"))
                .help("Write BASE,YEARS,MONTHS,DAYS,HOURS,MINUTES or BASE,END.")
        };
        let parts: Vec<&str> = id.split(',').collect();
        let base = Moment::parse(parts[0])?;
        let written = Value::object([("rfc3339", Value::from(parts[0]))]);
        let span = match parts.as_slice() {
            [_, end] => return filled(&with(&written, [(END, Moment::parse(end)?.text().into())]), base),
            [_, span @ ..] if span.len() == 5 => Span::parse(span).filter(|s| *s != Span::default()),
            _ => None,
        };
        let [y, mo, d, h, mi] = SPANS;
        let arguments = span.ok_or_else(form)?.arguments([y, mo, d, h, mi, ""]);
        filled(&with(&written, arguments.into_iter().filter(|(name, _)| !name.is_empty())), base)
    }
}
