//! `terraform_data`: a value with the life of a resource.

use crate::kit::{Host, Resource, with};
use crate::random;
use groma_provider::{OpContext, PlanInput, PlanOutput, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{AttrPath, Type, Unknown, Value};

pub(super) struct Data;

/// Whether an attribute differs, marks aside.
fn differs(a: &Value, b: &Value, attr: &str) -> bool {
    let bare = |v: &Value| v.get(attr).unwrap_or(&Value::NULL).unmark_deep().0;
    bare(a) != bare(b)
}

/// What `output` will be: null as the input is, else not known before apply but of the input's type.
fn planned_output(proposed: &Value, input: &Value) -> Value {
    if input.is_null() {
        return input.clone();
    }
    let proposed = proposed.get("output").and_then(Value::as_unknown);
    let unknown = proposed.cloned().unwrap_or_else(|| Unknown::of(Type::Dynamic));
    Value::from(Unknown { ty: input.ty(), ..unknown }).mark(input.deep_marks())
}

/// The object with its output: what the input is.
fn settled(planned: &Value) -> Value {
    let input = planned.get("input").cloned().unwrap_or(Value::NULL);
    planned.with_attr("output", input)
}

#[async_trait]
impl Resource for Data {
    fn schema(&self) -> KindSchema {
        let block = Block::new("A value that lives as a resource does, without any object outside.")
            .attr("id", Attribute::computed(Type::String, "A random id."))
            .attr("input", Attribute::optional(Type::Dynamic, "Any value; `output` follows it."))
            .attr(
                "output",
                Attribute::computed(Type::Dynamic, "The value of `input`.").changes_with(&["input"]),
            )
            .attr(
                "triggers_replace",
                Attribute::optional(Type::Dynamic, "Any value; when it changes, the resource is replaced.")
                    .replaces(),
            );
        KindSchema::new("terraform_data", "terraform", block)
    }

    fn plan(&self, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        let PlanInput { prior, proposed, .. } = input;
        let replaced = prior.is_some_and(|p| differs(p, &proposed, "triggers_replace"));
        let renewed = prior.is_none_or(|p| differs(p, &proposed, "input")) || replaced;
        let planned = match proposed.get("input") {
            Some(input) if renewed => proposed.with_attr("output", planned_output(&proposed, input)),
            _ => proposed,
        };
        let requires_replace =
            if replaced { vec![AttrPath::root().attr("triggers_replace")] } else { Vec::new() };
        Ok(PlanOutput { planned, requires_replace })
    }

    fn adopt(&self, from: &str, attributes: &Value) -> Option<Value> {
        let get = |name: &str| attributes.get(name).cloned().unwrap_or(Value::NULL);
        // A `{…}` of the spec is an object; the map that it was in the old kind would be another value.
        let triggers = get("triggers");
        let triggers = triggers.as_map().map_or(Value::NULL, |map| {
            Value::object(map.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<Vec<_>>())
        });
        (from == "null_resource").then(|| Value::object([("id", get("id")), ("triggers_replace", triggers)]))
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        Ok(with(&settled(planned), [("id", random::uuid_v4(&*host.env.entropy).into())]))
    }

    async fn update(
        &self,
        _: &Host,
        prior: &Value,
        planned: &Value,
        _: &dyn OpContext,
    ) -> Result<Value, ProviderError> {
        let id = prior.get("id").cloned().unwrap_or(Value::NULL);
        Ok(with(&settled(planned), [("id", id)]))
    }

    async fn import(&self, _: &Host, id: &str) -> Result<Value, ProviderError> {
        Ok(Value::object([("id", id)].map(|(k, v)| (k, Value::from(v)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groma_provider::{
        Configure, Configured, CreateRequest, DeleteRequest, Environment, Found, Identity, Interrupted, Made,
        NetworkPolicy, NoLog, Provider, Read, ReadRequest, RecoverRequest, UpdateRequest,
    };
    use groma_provider_sim::{SimClock, SimEntropy, block_on};
    use groma_types::schema::Timeouts;
    use groma_types::{Marks, Resolved, Timestamp};
    use serde_json::Value as Json;
    use std::sync::Arc;

    const KIND: &str = "terraform_data";
    use std::collections::BTreeMap;
    use std::time::Duration;

    struct NoContext;
    #[async_trait]
    impl OpContext for NoContext {
        async fn made(&self, _: Made) {}
        fn waiting(&self, _: &str) {}
        async fn pause(&self, _: Duration) -> Result<(), Interrupted> {
            Ok(())
        }
        fn is_stopped(&self) -> bool {
            false
        }
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }
        fn made_in_this_run(&self, _: &str) -> bool {
            false
        }
    }

    const TIMEOUTS: Timeouts = Timeouts::minutes(1, 1, 1);

    fn args(input: Value, trigger: Value) -> Value {
        let null = || Value::null(Type::Dynamic);
        Value::object([("id", null()), ("input", input), ("output", null()), ("triggers_replace", trigger)])
    }

    fn resolved(value: &Value) -> Resolved {
        value.clone().resolve().unwrap()
    }

    fn configured(clock: &SimClock) -> Arc<dyn Configured> {
        let env = Environment {
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SimEntropy::new(1)),
            calls: Arc::new(NoLog),
            network: NetworkPolicy::Open,
            vars: Arc::default(),
        };
        let config = resolved(&Value::object::<&str>([]));
        let request = Configure { config, minted: BTreeMap::new(), env, fresh_host: false };
        block_on(clock, crate::terraform::provider(&crate::Machine::default()).configure(request)).unwrap()
    }

    fn plan(prior: Option<&Value>, proposed: Value) -> PlanOutput {
        let config = proposed.clone();
        let input = PlanInput {
            prior,
            prior_private: None,
            config: &config,
            proposed,
            provider_config: &Value::NULL,
        };
        crate::terraform::provider(&crate::Machine::default()).plan(KIND, input).unwrap()
    }

    #[test]
    fn output_follows_input_and_the_id_stays() {
        let clock = SimClock::new(Timestamp(0));
        let client = configured(&clock);
        let input = Value::tuple(vec![Value::from(1_i64), Value::from("x").mark(Marks::SENSITIVE)]);
        let planned = resolved(&args(input.clone(), Value::NULL));
        let identity = Identity { token: "t".into(), owner_mark: None };
        let recover =
            RecoverRequest { planned: planned.clone(), identity: identity.clone(), begun: Timestamp(0) };
        assert_eq!(block_on(&clock, client.recover(KIND, recover)).unwrap(), Found::Absent);
        let request = CreateRequest { config: planned.clone(), planned, identity, timeouts: TIMEOUTS };
        let made = block_on(&clock, client.create(KIND, request, &NoContext)).unwrap();
        assert_eq!(made.attributes.get("output"), Some(&input));
        let id = made.attributes.str_attr("id").unwrap().to_string();
        assert_eq!((id.len(), &id[14..15]), (36, "4"));

        let planned = resolved(&made.attributes.with_attr("input", "new".into()));
        let request = UpdateRequest {
            prior: made.attributes,
            private: Json::Null,
            config: planned.clone(),
            planned,
            owner_mark: None,
            token: "u".into(),
            timeouts: TIMEOUTS,
        };
        let changed = block_on(&clock, client.update(KIND, request, &NoContext)).unwrap();
        assert_eq!(changed.attributes.str_attr("output"), Some("new"));
        assert_eq!(changed.attributes.str_attr("id"), Some(&*id));

        let prior = changed.attributes.clone();
        let request = ReadRequest { prior, private: Json::Null, owner_mark: None };
        assert_eq!(block_on(&clock, client.read(KIND, request)).unwrap(), Read::Present(changed.clone()));
        let request = DeleteRequest { prior: changed.attributes, private: Json::Null, timeouts: TIMEOUTS };
        assert!(block_on(&clock, client.delete(KIND, request, &NoContext)).is_ok());
    }

    #[test]
    fn plans_are_terraforms() {
        let text = |s: &str| Value::from(s);
        let prior = args(text("a"), text("t")).with_attr("id", text("i")).with_attr("output", text("a"));
        // Nothing changes.
        let same = plan(Some(&prior), prior.clone());
        assert_eq!((same.planned, same.requires_replace), (prior.clone(), vec![]));
        // A new input: the output is not known yet, but its type is.
        let output = plan(Some(&prior), prior.with_attr("input", text("b")));
        assert_eq!(output.planned.get("output"), Some(&Value::unknown(Type::String)));
        assert!(output.requires_replace.is_empty());
        // A new trigger: replaced.
        let output = plan(Some(&prior), prior.with_attr("triggers_replace", text("u")));
        assert_eq!(output.requires_replace, [AttrPath::root().attr("triggers_replace")]);
        assert_eq!(output.planned.get("output"), Some(&Value::unknown(Type::String)));
        // Create without and with an input.
        let output = plan(None, args(Value::NULL, Value::NULL));
        assert_eq!(output.planned.get("output"), Some(&Value::NULL));
        let output = plan(None, args(text("a").mark(Marks::SENSITIVE), Value::NULL));
        let expected = Value::unknown(Type::String).mark(Marks::SENSITIVE);
        assert_eq!(output.planned.get("output"), Some(&expected));
    }
}
