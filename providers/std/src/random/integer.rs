//! `random_integer`: a whole number between two, both included.

use super::{Seeded, below, keepers};
use crate::kit::{Host, Resource, at_least, bug, int, invalid, problem, with};
use groma_provider::{Entropy, OpContext, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(super) struct Integer;

fn draw(entropy: &dyn Entropy, min: i64, max: i64) -> i64 {
    let span = max.abs_diff(min);
    let steps = match span.checked_add(1) {
        Some(bound) => below(entropy, bound),
        None => {
            let mut bytes = [0; 8];
            entropy.fill(&mut bytes);
            u64::from_le_bytes(bytes)
        }
    };
    min.wrapping_add_unsigned(steps)
}

#[async_trait]
impl Resource for Integer {
    fn schema(&self) -> KindSchema {
        let block = Block::new("A random whole number.")
            .attr("keepers", keepers())
            .attr("min", Attribute::required(Type::Number, "The smallest that it can be.").replaces())
            .attr("max", Attribute::required(Type::Number, "The largest that it can be.").replaces())
            .attr(
                "seed",
                Attribute::optional(
                    Type::String,
                    "Makes the number repeatable (not the same as Terraform's).",
                )
                .replaces(),
            )
            .attr("result", Attribute::computed(Type::Number, "The number."))
            .attr("id", Attribute::computed(Type::String, "The number as text."));
        KindSchema::new("random_integer", "random", block)
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let mut found = at_least(config, &[("min", i64::MIN), ("max", i64::MIN)]);
        if let (Some(min), Some(max)) = (int(config, "min"), int(config, "max"))
            && min > max
        {
            found.push(problem("min", format!("min must not be greater than max, got {min} and {max}")));
        }
        found
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        let (Some(min), Some(max)) = (int(planned, "min"), int(planned, "max")) else {
            return Err(bug("min and max are not whole numbers"));
        };
        if min > max {
            return Err(invalid(format!("min must not be greater than max, got {min} and {max}")));
        }
        let number = match planned.str_attr("seed") {
            Some(seed) => draw(&Seeded::new(seed), min, max),
            None => draw(&*host.env.entropy, min, max),
        };
        Ok(with(planned, [("result", number.into()), ("id", number.to_string().into())]))
    }

    /// `RESULT,MIN,MAX` or `RESULT,MIN,MAX,SEED`.
    async fn import(&self, _: &Host, id: &str) -> Result<Value, ProviderError> {
        let form = || {
            invalid(format!("the id {id:?} does not tell the number"))
                .help("Write RESULT,MIN,MAX or RESULT,MIN,MAX,SEED.")
        };
        let mut parts = id.splitn(4, ',');
        let mut number = || parts.next().and_then(|p| p.trim().parse::<i64>().ok()).ok_or_else(form);
        let (result, min, max) = (number()?, number()?, number()?);
        let seed = parts.next().map_or(Value::null(Type::String), Value::from);
        Ok(Value::object([
            ("result", Value::from(result)),
            ("id", result.to_string().into()),
            ("min", min.into()),
            ("max", max.into()),
            ("seed", seed),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groma_provider_sim::SimEntropy;

    #[test]
    fn both_ends_are_included_however_far_apart() {
        let entropy = SimEntropy::new(3);
        assert_eq!(draw(&entropy, 5, 5), 5);
        let drawn: Vec<i64> = (0..200).map(|_| draw(&entropy, -1, 1)).collect();
        assert!([-1, 0, 1].iter().all(|n| drawn.contains(n)) && drawn.iter().all(|n| (-1..=1).contains(n)));
        assert!((0..20).any(|_| draw(&entropy, i64::MIN, i64::MAX) < 0));
    }
}
