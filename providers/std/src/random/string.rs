//! `random_string` and `random_password`: text of chosen kinds of characters. The password is secret, and comes with
//! its bcrypt hash; as an ephemeral resource it is drawn in each run and kept nowhere.

use super::{index, keepers, shuffle};
use crate::kit::{Ephemeral, Host, Resource, at_least, bug, flag, int, is_unset, problem, with};
use groma_provider::{Entropy, OpContext, PlanInput, PlanOutput, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

/// Cost of the bcrypt hash: Terraform's.
const COST: u32 = 10;
const SPECIAL: &str = "!@#$%&*()-_=+[]{}<>:?";

pub(super) struct Text {
    pub(super) secret: bool,
}

/// One kind of characters.
struct Class {
    chars: Vec<char>,
    /// Whether characters beyond the minimum may be of this kind.
    allowed: bool,
    min: usize,
}

/// What a text is made of.
struct Recipe {
    length: usize,
    classes: [Class; 4],
}

impl Recipe {
    fn of(planned: &Value) -> Recipe {
        let count = |name| int(planned, name).and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
        let class = |chars: &str, allowed, min| Class {
            chars: chars.chars().collect(),
            allowed: flag(planned, allowed).unwrap_or(true),
            min: count(min),
        };
        let special = planned.str_attr("override_special").filter(|s| !s.is_empty()).unwrap_or(SPECIAL);
        Recipe {
            length: count("length"),
            classes: [
                class("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "upper", "min_upper"),
                class("abcdefghijklmnopqrstuvwxyz", "lower", "min_lower"),
                class("0123456789", "numeric", "min_numeric"),
                class(special, "special", "min_special"),
            ],
        }
    }

    /// The minimum of each kind, the rest from all that are allowed, in random order.
    fn draw(&self, entropy: &dyn Entropy) -> Option<String> {
        let pick = |chars: &[char]| chars[index(entropy, chars.len())];
        let mut result: Vec<char> = Vec::with_capacity(self.length);
        for class in &self.classes {
            result.extend((0..class.min).map(|_| pick(&class.chars)));
        }
        let allowed: Vec<char> =
            self.classes.iter().filter(|c| c.allowed).flat_map(|c| c.chars.iter().copied()).collect();
        if result.len() > self.length || (result.len() < self.length && allowed.is_empty()) {
            return None;
        }
        result.extend((result.len()..self.length).map(|_| pick(&allowed)));
        shuffle(entropy, &mut result);
        Some(result.into_iter().collect())
    }
}

fn bcrypt_hash(entropy: &dyn Entropy, text: &str) -> Result<Value, ProviderError> {
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    // bcrypt takes the first 72 bytes, here as in Terraform.
    let hash = bcrypt::hash_with_salt(text, COST, salt).map_err(|e| bug(format!("bcrypt: {e}")))?;
    Ok(hash.format_for_version(bcrypt::Version::TwoA).into())
}

impl Text {
    fn filled(&self, host: &Host, object: &Value, text: &str) -> Result<Value, ProviderError> {
        if !self.secret {
            return Ok(with(object, [("result", text.into()), ("id", text.into())]));
        }
        let hash = bcrypt_hash(&*host.env.entropy, text)?;
        Ok(with(object, [("result", text.into()), ("id", "none".into()), ("bcrypt_hash", hash)]))
    }
}

fn drawn(host: &Host, args: &Value) -> Result<String, ProviderError> {
    Recipe::of(args).draw(&*host.env.entropy).ok_or_else(|| {
        crate::kit::invalid("no text of this length can be made of the characters that are allowed")
    })
}

fn faults(config: &Value) -> Vec<Problem> {
    let mins = ["min_upper", "min_lower", "min_numeric", "min_special"];
    let mut found = at_least(config, &[("length", 1)]);
    found.extend(at_least(config, &mins.map(|m| (m, 0))));
    let sum = mins.iter().filter_map(|m| int(config, m)).fold(0, i64::saturating_add);
    if let Some(length) = int(config, "length").filter(|l| *l >= 1 && *l < sum) {
        let parts = mins.join(" + ");
        found.push(problem("length", format!("length must be at least {parts} = {sum}, got {length}")));
    }
    let off = |name| flag(config, name) == Some(false);
    if off("upper") && off("lower") && off("special") && (off("numeric") || off("number")) {
        found.push(problem("length", "at least one of upper, lower, numeric and special must be true"));
    }
    if let (Some(a), Some(b)) = (flag(config, "numeric"), flag(config, "number"))
        && a != b
    {
        found.push(problem("number", "number is the older name of numeric, and says the opposite here"));
    }
    found
}

/// The ephemeral `random_password`.
pub(super) struct Password;

#[async_trait]
impl Ephemeral for Password {
    /// The resource's arguments, but for those that are about keeping the password.
    fn schema(&self) -> KindSchema {
        let mut schema = Text { secret: true }.schema();
        schema.block.doc = "A random password that is drawn anew in each run.".into();
        schema.block.attrs.retain(|name, _| !matches!(&**name, "keepers" | "number" | "id"));
        for attribute in schema.block.attrs.values_mut() {
            attribute.forces_replacement = false;
        }
        if let Some(numeric) = schema.block.attrs.get_mut("numeric") {
            *numeric = Attribute::optional(Type::Bool, "Digits may be in it.").default(true);
        }
        schema
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        faults(config)
    }

    async fn open(&self, host: &Host, args: &Value) -> Result<Value, ProviderError> {
        Text { secret: true }.filled(host, args, &drawn(host, args)?)
    }
}

#[async_trait]
impl Resource for Text {
    fn schema(&self) -> KindSchema {
        let on = |doc| Attribute::optional(Type::Bool, doc).default(true).replaces();
        let min = |doc| Attribute::optional(Type::Number, doc).default(0_i64).replaces();
        let digits = |doc| Attribute::optional_computed(Type::Bool, doc).replaces();
        let result = Attribute::computed(Type::String, "The text.");
        let doc = if self.secret { "A random password." } else { "Random text that is not secret." };
        let block = Block::new(doc)
            .attr("keepers", keepers())
            .attr(
                "length",
                Attribute::required(
                    Type::Number,
                    "How many characters; at least 1 and the sum of the minimums.",
                )
                .replaces(),
            )
            .attr("upper", on("Capital letters may be in it."))
            .attr("lower", on("Small letters may be in it."))
            .attr("numeric", digits("Digits may be in it; true if not set."))
            .attr(
                "number",
                Attribute { deprecated: Some("Use numeric.".into()), ..digits("Older name of numeric.") },
            )
            .attr("special", on("Special characters may be in it."))
            .attr("min_upper", min("At least so many capital letters."))
            .attr("min_lower", min("At least so many small letters."))
            .attr("min_numeric", min("At least so many digits."))
            .attr("min_special", min("At least so many special characters."))
            .attr(
                "override_special",
                Attribute::optional(
                    Type::String,
                    "The special characters, instead of `!@#$%&*()-_=+[]{}<>:?`.",
                )
                .replaces(),
            )
            .attr("result", if self.secret { result.sensitive() } else { result });
        let (kind, block) = if self.secret {
            let hash = Attribute::computed(Type::String, "bcrypt hash of the first 72 bytes, cost 10.");
            let id = Attribute::computed(Type::String, "Always `none`.");
            ("random_password", block.attr("bcrypt_hash", hash.sensitive()).attr("id", id))
        } else {
            ("random_string", block.attr("id", Attribute::computed(Type::String, "The text.")))
        };
        KindSchema::new(kind, "random", block)
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        faults(config)
    }

    /// `number` and `numeric` are one thing under two names.
    fn plan(&self, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        let written = ["numeric", "number"].into_iter().find(|n| !is_unset(input.config, n));
        let digits = written.and_then(|n| input.config.get(n)).cloned().unwrap_or(Value::bool(true));
        let planned = with(&input.proposed, [("numeric", digits.clone()), ("number", digits)]);
        Ok(PlanOutput { planned, requires_replace: Vec::new() })
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        self.filled(host, planned, &drawn(host, planned)?)
    }

    /// The text itself; its arguments are taken for the defaults, as Terraform takes them.
    async fn import(&self, host: &Host, id: &str) -> Result<Value, ProviderError> {
        let length = i64::try_from(id.chars().count()).unwrap_or(i64::MAX);
        let on = ["upper", "lower", "numeric", "number", "special"].map(|n| (n, Value::bool(true)));
        let min = ["min_upper", "min_lower", "min_numeric", "min_special"].map(|n| (n, Value::from(0_i64)));
        let object = Value::object([("length", Value::from(length))].into_iter().chain(on).chain(min));
        self.filled(host, &object, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groma_provider_sim::SimEntropy;

    fn recipe(attrs: &[(&'static str, Value)]) -> Recipe {
        Recipe::of(&Value::object(attrs.iter().cloned()))
    }

    #[test]
    fn minimums_are_kept_and_nothing_else_gets_in() {
        let entropy = SimEntropy::new(5);
        let number = |n: i64| Value::from(n);
        let mixed = recipe(&[
            ("length", number(8)),
            ("upper", false.into()),
            ("special", false.into()),
            ("min_special", number(2)),
            ("min_numeric", number(3)),
            ("override_special", "_".into()),
        ]);
        for _ in 0..50 {
            let text = mixed.draw(&entropy).unwrap();
            let count = |test: fn(char) -> bool| text.chars().filter(|c| test(*c)).count();
            assert_eq!((text.len(), count(|c| c == '_')), (8, 2), "{text}");
            assert!(count(|c| c.is_ascii_digit()) >= 3 && count(|c| c.is_ascii_uppercase()) == 0, "{text}");
        }
        let none = ["upper", "lower", "numeric", "special"].map(|n| (n, Value::bool(false)));
        let mut nothing = none.to_vec();
        nothing.push(("length", number(4)));
        assert!(recipe(&nothing).draw(&entropy).is_none());
    }

    #[test]
    fn the_hash_is_of_the_text() {
        let entropy = SimEntropy::new(5);
        let hash = bcrypt_hash(&entropy, "secret").unwrap();
        let hash = hash.as_str().unwrap();
        assert!(hash.starts_with("$2a$10$") && bcrypt::verify("secret", hash).unwrap());
    }
}
