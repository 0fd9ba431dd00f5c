//! `random_shuffle`: a list in random order, all of it or some, or over again until there are enough.

use super::{Seeded, keepers, shuffle};
use crate::kit::{Host, Resource, at_least, int, strings, texts, with};
use groma_provider::{Entropy, OpContext, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(super) struct Shuffle;

/// Whole permutations one after the other, cut where there are enough.
fn permuted<'a>(entropy: &dyn Entropy, input: &[&'a str], count: usize) -> Vec<&'a str> {
    let mut result = Vec::new();
    while result.len() < count && !input.is_empty() {
        let mut round = input.to_vec();
        shuffle(entropy, &mut round);
        result.extend(round);
    }
    result.truncate(count);
    result
}

#[async_trait]
impl Resource for Shuffle {
    fn schema(&self) -> KindSchema {
        let list = || Type::list(Type::String);
        let block = Block::new("A list in random order.")
            .attr("keepers", keepers())
            .attr("input", Attribute::required(list(), "What is put in order.").replaces())
            .attr(
                "result_count",
                Attribute::optional(Type::Number, "How many are wanted: by default as many as there are.")
                    .replaces(),
            )
            .attr(
                "seed",
                Attribute::optional(
                    Type::String,
                    "Makes the order repeatable (not the same as Terraform's).",
                )
                .replaces(),
            )
            .attr("result", Attribute::computed(list(), "The list in its order."))
            .attr("id", Attribute::computed(Type::String, "Always `-`."));
        KindSchema::new("random_shuffle", "random", block)
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        at_least(config, &[("result_count", 0)])
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        let input = texts(planned, "input");
        let count = int(planned, "result_count").and_then(|n| usize::try_from(n).ok()).unwrap_or(input.len());
        let result = match planned.str_attr("seed") {
            Some(seed) => permuted(&Seeded::new(seed), &input, count),
            None => permuted(&*host.env.entropy, &input, count),
        };
        Ok(with(planned, [("result", strings(result)), ("id", "-".into())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groma_provider_sim::SimEntropy;

    #[test]
    fn fewer_all_and_more_than_there_are() {
        let entropy = SimEntropy::new(1);
        let sorted = |count| {
            let mut result = permuted(&entropy, &["a", "b", "c"], count);
            result.sort_unstable();
            result
        };
        assert_eq!(sorted(3), ["a", "b", "c"]);
        assert_eq!(sorted(6), ["a", "a", "b", "b", "c", "c"]);
        assert_eq!(sorted(1).len(), 1);
        assert!(permuted(&entropy, &[], 4).is_empty());
    }
}
