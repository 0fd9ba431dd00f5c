//! How long a certificate is valid, and when it is time for a new one.

use crate::kit::{Host, at_least, flag, int, with};
use groma_provider::{PlanInput, PlanOutput, Problem, ProviderError};
use groma_types::schema::{Attribute, Block};
use groma_types::{AttrPath, Timestamp, Type, Value};
use std::time::Duration;

pub(super) fn with_validity(block: Block) -> Block {
    let hours = |doc| Attribute::required(Type::Number, doc).replaces();
    let moment = |doc| Attribute::computed(Type::String, doc);
    block
        .attr("validity_period_hours", hours("How many hours it is valid from its creation on."))
        .attr(
            "early_renewal_hours",
            Attribute::optional(Type::Number, "A new one is made so many hours before it ends.")
                .default(0_i64),
        )
        .attr("validity_start_time", moment("When it begins to be valid."))
        .attr("validity_end_time", moment("When it ends to be valid."))
        .attr(
            "ready_for_renewal",
            Attribute::computed(Type::Bool, "Whether it is time for a new one; then it is replaced.")
                .changes_with(&["early_renewal_hours"]),
        )
}

pub(super) fn check(config: &Value) -> Vec<Problem> {
    at_least(config, &[("validity_period_hours", 0), ("early_renewal_hours", 0)])
}

/// From now on, whole seconds.
pub(super) struct Validity {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

const HOUR: u64 = 3600;

fn hours(value: &Value, name: &str) -> Duration {
    let hours = int(value, name).and_then(|h| u64::try_from(h).ok()).unwrap_or_default();
    Duration::from_secs(hours.saturating_mul(HOUR))
}

fn rfc3339(moment: Timestamp) -> String {
    jiff::Timestamp::from_second(moment.0.div_euclid(1000)).unwrap_or(jiff::Timestamp::MAX).to_string()
}

impl Validity {
    pub(super) fn of(host: &Host, planned: &Value) -> Validity {
        let start = Timestamp::from_secs(host.env.clock.now().0.div_euclid(1000));
        Validity { start, end: start + hours(planned, "validity_period_hours") }
    }

    pub(super) fn attributes(&self) -> [(&'static str, Value); 3] {
        [
            ("validity_start_time", rfc3339(self.start).into()),
            ("validity_end_time", rfc3339(self.end).into()),
            ("ready_for_renewal", false.into()),
        ]
    }
}

/// The certificate as it is now: whether its time is over, or nearly so.
pub(super) fn read(host: &Host, prior: &Value) -> Value {
    let end = prior.str_attr("validity_end_time").and_then(|t| t.parse::<jiff::Timestamp>().ok());
    let is_over = end.is_some_and(|end| {
        let early = hours(prior, "early_renewal_hours");
        host.env.clock.now() + early >= Timestamp::from_secs(end.as_second())
    });
    with(prior, [("ready_for_renewal", is_over.into())])
}

/// One whose time is over is replaced. An update can only change when that is.
pub(super) fn plan(input: &PlanInput<'_>) -> PlanOutput {
    let is_over = input.prior.is_some_and(|p| flag(p, "ready_for_renewal") == Some(true));
    let planned = with(&input.proposed, [("ready_for_renewal", false.into())]);
    let requires_replace =
        if is_over { vec![AttrPath::root().attr("ready_for_renewal")] } else { Vec::new() };
    PlanOutput { planned, requires_replace }
}

pub(super) fn update(planned: &Value) -> Result<Value, ProviderError> {
    Ok(with(planned, [("ready_for_renewal", false.into())]))
}
