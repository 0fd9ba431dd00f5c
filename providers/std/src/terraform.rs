//! The provider `terraform`, with `terraform_data`: a value with the life of a resource.

use groma_provider::{
    Action, Configure, Configured, CreateRequest, DeleteRequest, Entropy, ErrorKind, Found, Object,
    OpContext, PlanInput, PlanOutput, Provider, ProviderError, Read, ReadRequest, RecoverRequest,
    ResumeRequest, UpdateRequest, World, async_trait,
};
use groma_types::schema::{Attribute, Block, KindSchema, ProviderSchema};
use groma_types::{AttrPath, Resolved, Type, Unknown, Value};
use serde_json::Value as Json;
use std::sync::Arc;

const KIND: &str = "terraform_data";

/// The provider `terraform`.
pub struct TerraformProvider {
    schema: ProviderSchema,
}

impl Default for TerraformProvider {
    fn default() -> TerraformProvider {
        TerraformProvider::new()
    }
}

impl TerraformProvider {
    pub fn new() -> TerraformProvider {
        let kind = data();
        TerraformProvider {
            schema: ProviderSchema {
                name: "terraform".into(),
                sources: vec!["terraform.io/builtin/terraform".into()],
                resources: [(kind.kind.clone(), kind)].into(),
                ..ProviderSchema::default()
            },
        }
    }
}

fn data() -> KindSchema {
    let block = Block::new("A value that lives as a resource does, without any object outside.")
        .attr("id", Attribute::computed(Type::String, "A random id."))
        .attr("input", Attribute::optional(Type::Dynamic, "Any value; `output` follows it."))
        .attr("output", Attribute::computed(Type::Dynamic, "The value of `input`.").changes_with(&["input"]))
        .attr(
            "triggers_replace",
            Attribute::optional(Type::Dynamic, "Any value; when it changes, the resource is replaced.")
                .replaces(),
        );
    KindSchema::new(KIND, "terraform", block)
}

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

#[async_trait]
impl Provider for TerraformProvider {
    fn schema(&self) -> &ProviderSchema {
        &self.schema
    }

    fn plan(&self, _: &str, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
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

    async fn configure(&self, request: Configure) -> Result<Arc<dyn Configured>, ProviderError> {
        Ok(Arc::new(Terraform { entropy: request.env.entropy }))
    }
}

struct Terraform {
    entropy: Arc<dyn Entropy>,
}

impl Terraform {
    /// A random UUID, version 4.
    fn id(&self) -> String {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }
}

/// The object with these attributes; `output` is what `input` is.
fn object(id: Value, planned: &Value) -> Result<Object, ProviderError> {
    let get = |name: &str| planned.get(name).cloned().unwrap_or(Value::NULL);
    let attributes = Value::object([
        ("id", id),
        ("input", get("input")),
        ("output", get("input")),
        ("triggers_replace", get("triggers_replace")),
    ]);
    let unknown = |_| ProviderError::new(ErrorKind::Bug, "an argument is not known");
    Ok(Object { attributes: attributes.resolve().map_err(unknown)?, private: Json::Null })
}

fn only_data(kind: &str) -> Result<(), ProviderError> {
    let unknown = || ProviderError::new(ErrorKind::Bug, format!("{kind} is not a kind of this provider"));
    (kind == KIND).then_some(()).ok_or_else(unknown)
}

#[async_trait]
impl Configured for Terraform {
    async fn identity(&self) -> Result<World, ProviderError> {
        Ok(World::default())
    }

    async fn read(&self, kind: &str, request: ReadRequest) -> Result<Read, ProviderError> {
        only_data(kind)?;
        Ok(Read::Present(Object { attributes: request.prior, private: request.private }))
    }

    async fn read_data(&self, kind: &str, _: Resolved) -> Result<Option<Value>, ProviderError> {
        Err(ProviderError::new(ErrorKind::Bug, format!("{kind} is not a data source of this provider")))
    }

    async fn create(
        &self,
        kind: &str,
        request: CreateRequest,
        _: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        only_data(kind)?;
        object(self.id().into(), &request.planned)
    }

    async fn update(
        &self,
        kind: &str,
        request: UpdateRequest,
        _: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        only_data(kind)?;
        object(request.prior.get("id").cloned().unwrap_or(Value::NULL), &request.planned)
    }

    async fn delete(&self, kind: &str, _: DeleteRequest, _: &dyn OpContext) -> Result<(), ProviderError> {
        only_data(kind)
    }

    async fn resume(
        &self,
        kind: &str,
        request: ResumeRequest,
        _: &dyn OpContext,
    ) -> Result<Read, ProviderError> {
        only_data(kind)?;
        Ok(match request.action {
            Action::Delete => Read::Gone,
            Action::Create | Action::Update => Read::Present(request.object),
        })
    }

    async fn import(&self, kind: &str, id: &str) -> Result<Read, ProviderError> {
        only_data(kind)?;
        object(id.into(), &Value::NULL).map(Read::Present)
    }

    /// Nothing exists outside of the state, so nothing can be left of a create that did not end.
    async fn recover(&self, kind: &str, _: RecoverRequest) -> Result<Found, ProviderError> {
        only_data(kind).map(|()| Found::Absent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groma_provider::{Environment, Identity, Interrupted, Made, NetworkPolicy, NoLog};
    use groma_provider_sim::{SimClock, SimEntropy, block_on};
    use groma_types::schema::Timeouts;
    use groma_types::{Marks, Timestamp};
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
        block_on(clock, TerraformProvider::new().configure(request)).unwrap()
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
        TerraformProvider::new().plan(KIND, input).unwrap()
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
