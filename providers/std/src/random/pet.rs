//! `random_pet`: a name of words.

use super::{index, keepers};
use crate::kit::{Host, Resource, at_least, int, text, with};
use groma_provider::{Entropy, OpContext, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};
use petname::Petnames;

pub(super) struct Pet;

/// Adverbs, then an adjective, then a noun; as many words as wanted.
fn name(entropy: &dyn Entropy, length: i64, separator: &str) -> String {
    let words = Petnames::medium();
    let word = |place: i64| {
        let list = match length - place {
            1 => &words.nouns,
            2 => &words.adjectives,
            _ => &words.adverbs,
        };
        list[index(entropy, list.len())]
    };
    (0..length).map(word).collect::<Vec<_>>().join(separator)
}

#[async_trait]
impl Resource for Pet {
    fn schema(&self) -> KindSchema {
        let block = Block::new("A random name of words, easy to tell and to remember.")
            .attr("keepers", keepers())
            .attr(
                "length",
                Attribute::optional(Type::Number, "How many words, the prefix not counted.")
                    .default(2_i64)
                    .replaces(),
            )
            .attr("prefix", Attribute::optional(Type::String, "Text before the name.").replaces())
            .attr(
                "separator",
                Attribute::optional(Type::String, "Text between words.").default("-").replaces(),
            )
            .attr("id", Attribute::computed(Type::String, "The name."));
        KindSchema::new("random_pet", "random", block)
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        at_least(config, &[("length", 1)])
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        let separator = text(planned, "separator");
        let length = int(planned, "length").unwrap_or(2).min(1000);
        let mut id = name(&*host.env.entropy, length, separator);
        if let Some(prefix) = planned.str_attr("prefix").filter(|p| !p.is_empty()) {
            id = format!("{prefix}{separator}{id}");
        }
        Ok(with(planned, [("id", id.into())]))
    }
}
