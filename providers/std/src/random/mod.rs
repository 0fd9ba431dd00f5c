//! The provider `random`: values that are drawn once and kept.
//!
//! All randomness is the run's own. A `seed` makes a draw repeatable with groma; the stream is not the one of
//! Terraform's generator, so one seed gives other values there.

mod bytes;
mod id;
mod integer;
mod pet;
mod shuffle;
mod string;
mod uuid;

use crate::kit::{Builtin, Kinds, Machine};
use aws_lc_rs::digest::{SHA256, digest};
use groma_provider::Entropy;
use groma_types::Type;
use groma_types::schema::{Attribute, Block};
use std::sync::Mutex;

pub(crate) use uuid::v4 as uuid_v4;

pub(crate) fn provider(machine: &Machine) -> Builtin {
    let kinds = Kinds::default()
        .resource(bytes::Bytes)
        .resource(id::Id)
        .resource(integer::Integer)
        .resource(pet::Pet)
        .resource(shuffle::Shuffle)
        .resource(string::Text { secret: false })
        .resource(string::Text { secret: true })
        .ephemeral(string::Password)
        .resource(uuid::Uuid { kind: "random_uuid", version: 4 })
        .resource(uuid::Uuid { kind: "random_uuid4", version: 4 })
        .resource(uuid::Uuid { kind: "random_uuid7", version: 7 });
    Builtin::new("random", "hashicorp/random", Some(("3", "4")), Block::default(), kinds, machine)
}

/// `keepers`: whatever else should lead to a new value.
fn keepers() -> Attribute {
    Attribute::optional(Type::map(Type::String), "Any values; when they change, a new one is drawn.")
        .replaces()
}

/// A number below `bound`, each equally likely. `bound` must not be 0.
fn below(entropy: &dyn Entropy, bound: u64) -> u64 {
    // Draws from the incomplete last stretch would favour small numbers.
    let limit = u64::MAX - u64::MAX % bound;
    loop {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        let drawn = u64::from_le_bytes(bytes);
        if drawn < limit {
            return drawn % bound;
        }
    }
}

fn index(entropy: &dyn Entropy, len: usize) -> usize {
    usize::try_from(below(entropy, len.max(1) as u64)).unwrap_or(0)
}

fn shuffle<T>(entropy: &dyn Entropy, items: &mut [T]) {
    for i in (1..items.len()).rev() {
        items.swap(i, index(entropy, i + 1));
    }
}

/// A stream that a text determines.
struct Seeded {
    seed: String,
    blocks: Mutex<u64>,
}

impl Seeded {
    fn new(seed: &str) -> Seeded {
        Seeded { seed: seed.into(), blocks: Mutex::new(0) }
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        let mut count = self.blocks.lock().expect("no holder of this lock panics");
        for chunk in bytes.chunks_mut(32) {
            let block = digest(&SHA256, format!("{count}:{}", self.seed).as_bytes());
            chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
            *count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groma_provider_sim::SimEntropy;

    #[test]
    fn draws_stay_below_their_bound_and_reach_all_of_it() {
        let entropy = SimEntropy::new(7);
        let mut seen = [0_u32; 6];
        for _ in 0..600 {
            seen[usize::try_from(below(&entropy, 6)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|n| (60..140).contains(n)), "{seen:?}");
        let mut items: Vec<usize> = (0..50).collect();
        shuffle(&entropy, &mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn a_seed_determines_the_stream() {
        let take = |seed: &str| {
            let stream = Seeded::new(seed);
            (0..5).map(|_| below(&stream, 1000)).collect::<Vec<_>>()
        };
        assert_eq!(take("a"), take("a"));
        assert_ne!(take("a"), take("b"));
    }
}
