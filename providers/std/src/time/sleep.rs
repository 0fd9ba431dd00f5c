//! `time_sleep`: a pause after creation or before destruction. It ends at once when the run is stopped, and goes on
//! with what is left of it in the next run.

use super::moment::{Moment, triggers};
use crate::kit::{Host, Resource, at_least_one, problem, with};
use groma_provider::{Made, OpContext, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, Timeouts};
use groma_types::{Timestamp, Type, Value};
use serde_json::{Value as Json, json};
use std::time::Duration;

pub(super) struct Sleep;

const NAMES: [&str; 2] = ["create_duration", "destroy_duration"];

/// `30s`, `1.5h`, `200ms`.
fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

/// Waits from `since` for as long as the argument says.
async fn pause(
    value: &Value,
    name: &str,
    since: Timestamp,
    ctx: &dyn OpContext,
) -> Result<(), ProviderError> {
    let Some((text, whole)) = value.str_attr(name).and_then(|t| Some((t, duration(t)?))) else {
        return Ok(());
    };
    let left = (since + whole).since(ctx.now());
    if !left.is_zero() {
        ctx.waiting(&format!("{text} to pass"));
        ctx.pause(left).await?;
    }
    Ok(())
}

#[async_trait]
impl Resource for Sleep {
    fn schema(&self) -> KindSchema {
        let wait = |doc| Attribute::optional(Type::String, doc);
        let block = Block::new("A pause, after creation or before destruction.")
            .attr("create_duration", wait("How long creation takes, such as 30s; units are ms, s, m, h."))
            .attr("destroy_duration", wait("How long destruction takes, such as 30s."))
            .attr("triggers", triggers())
            .attr("id", Attribute::computed(Type::String, "The moment of creation."));
        // As long as the pause is: the user has said how long that is.
        let mut kind = KindSchema::new("time_sleep", "time", block);
        kind.timeouts = Timeouts::minutes(60 * 24 * 365, 10, 60 * 24 * 365);
        kind
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let mut found = at_least_one(config, &NAMES);
        let texts = NAMES.iter().filter_map(|n| Some((n, config.str_attr(n)?)));
        found.extend(texts.filter(|(_, text)| duration(text).is_none()).map(|(name, text)| {
            let message =
                format!("{name} must be a number and a unit (ms, s, m or h), such as 30s; got {text:?}");
            problem(name, message)
        }));
        found
    }

    async fn create(&self, _: &Host, planned: &Value, ctx: &dyn OpContext) -> Result<Value, ProviderError> {
        let now = ctx.now();
        let object = with(planned, [("id", Moment::at(now).text().into())]);
        let attributes = object.clone().resolve().map_err(|_| crate::kit::bug("an argument is not known"))?;
        ctx.made(Made { attributes, private: json!({ "since": now.0 }), operation: None }).await;
        pause(&object, "create_duration", now, ctx).await?;
        Ok(object)
    }

    async fn resume(
        &self,
        _: &Host,
        object: &Value,
        since: &Json,
        ctx: &dyn OpContext,
    ) -> Result<Value, ProviderError> {
        let since = since.get("since").and_then(Json::as_i64).map_or_else(|| ctx.now(), Timestamp);
        pause(object, "create_duration", since, ctx).await?;
        Ok(object.clone())
    }

    async fn delete(&self, _: &Host, prior: &Value, ctx: &dyn OpContext) -> Result<(), ProviderError> {
        pause(prior, "destroy_duration", ctx.now(), ctx).await
    }

    /// `CREATE,DESTROY`; one of them may be empty.
    async fn import(&self, host: &Host, id: &str) -> Result<Value, ProviderError> {
        let form = || {
            crate::kit::invalid(format!("the id {id:?} does not tell the durations"))
                .help("Write CREATE,DESTROY; one of them may be empty, as in 30s, or ,30s.")
        };
        let (create, destroy) = id.split_once(',').ok_or_else(form)?;
        let read = |text: &str| match text {
            "" => Ok(Value::null(Type::String)),
            text => duration(text).map(|_| Value::from(text)).ok_or_else(form),
        };
        let id = Moment::at(host.env.clock.now()).text();
        if create.is_empty() && destroy.is_empty() {
            return Err(form());
        }
        Ok(Value::object([
            ("create_duration", read(create)?),
            ("destroy_duration", read(destroy)?),
            ("id", id.into()),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        let millis = |n| Some(Duration::from_millis(n));
        for (text, wanted) in [("30s", millis(30_000)), ("1.5h", millis(5_400_000)), ("200ms", millis(200))] {
            assert_eq!(duration(text), wanted, "{text}");
        }
        for bad in ["", "30", "s", "1h30m", "-1s", "1.s", ".5s", "1d"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
