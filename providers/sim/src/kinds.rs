//! The kinds, as one table: schema and behaviour of each.

use groma_types::Type;
use groma_types::Value;
use groma_types::schema::{
    Attribute, Block, KindSchema, NestedBlock, Nesting, ProviderSchema, Relation, Timeouts,
};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// What the world does with objects of a kind, beyond its schema.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) kind: &'static str,
    /// Lives on a `sim_host`, reached by the hosted provider.
    pub(crate) hosted: bool,
    schema: fn() -> KindSchema,
    /// Arguments that name other objects by their `name`, which must be there at create.
    pub(crate) refs: &'static [(&'static str, &'static str)],
    /// While it exists, the object of its first reference can't be deleted.
    pub(crate) pins: bool,
    /// Creates take an idempotency token.
    pub(crate) tokens: bool,
    /// Seconds that create, update and delete take.
    pub(crate) seconds: [u64; 3],
}

const ROW: Row =
    Row { kind: "", hosted: false, schema: host, refs: &[], pins: false, tokens: false, seconds: [0, 0, 0] };

pub(crate) const ROWS: &[Row] = &[
    Row {
        kind: "sim_host",
        schema: host,
        refs: &[("role", "sim_role")],
        tokens: true,
        seconds: [600, 300, 200],
        ..ROW
    },
    Row {
        kind: "sim_pool",
        schema: pool,
        refs: &[("host_name", "sim_host")],
        pins: true,
        tokens: true,
        seconds: [120, 60, 180],
        ..ROW
    },
    Row { kind: "sim_entry", schema: entry, refs: &[("host_name", "sim_host")], tokens: true, ..ROW },
    Row { kind: "sim_role", schema: role, ..ROW },
    Row { kind: "sim_grant", schema: grant, refs: &[("role", "sim_role")], pins: true, ..ROW },
    Row { kind: "sim_item", schema: item, tokens: true, seconds: [2, 1, 1], ..ROW },
    Row { kind: "sim_named", schema: named, seconds: [2, 1, 1], ..ROW },
    Row { kind: "sim_blind", schema: blind, ..ROW },
    Row { kind: "sim_app", hosted: true, schema: app, seconds: [30, 20, 5], ..ROW },
    Row { kind: "sim_claim", hosted: true, schema: claim, seconds: [5, 1, 5], ..ROW },
    Row { kind: "sim_service", hosted: true, schema: service, seconds: [60, 1, 40], ..ROW },
    Row { kind: "sim_map", hosted: true, schema: map, ..ROW },
    Row { kind: "sim_auth_map", hosted: true, schema: auth_map, ..ROW },
];

pub(crate) fn row(kind: &str) -> Option<&'static Row> {
    ROWS.iter().find(|r| r.kind == kind)
}

/// Schemas of all rows, built once.
static SCHEMAS: LazyLock<BTreeMap<&'static str, KindSchema>> =
    LazyLock::new(|| ROWS.iter().map(|r| (r.kind, (r.schema)())).collect());

impl Row {
    pub(crate) fn schema(&self) -> &'static KindSchema {
        SCHEMAS.get(self.kind).expect("invariant: there is a schema for each row")
    }
}

/// The effect of a `sim_service` of type `LoadBalancer` outside of its host. No kind of the schema.
pub(crate) const LOAD_BALANCER: &str = "sim_load_balancer";

fn name() -> Attribute {
    Attribute::required(Type::String, "Name, unique in its world.").replaces()
}
fn id() -> Attribute {
    Attribute::computed(Type::String, "Id that the world gives.")
}
fn text(doc: &str) -> Attribute {
    Attribute::optional(Type::String, doc)
}
fn strings(doc: &str) -> Attribute {
    Attribute::optional(Type::map(Type::String), doc)
}
fn kind(name: &str, block: Block) -> KindSchema {
    KindSchema { lists: true, ..KindSchema::new(name, "sim", block) }
}
fn hosted(name: &str, block: Block) -> KindSchema {
    KindSchema { lists: true, ..KindSchema::new(name, "simkube", block) }
}

fn host() -> KindSchema {
    let block = Block::new("A host of other objects, as a cluster is.")
        .attr("name", name())
        .attr("version", text("Version; changes in place."))
        .attr("size", text("Size; a change makes a new host.").replaces())
        .attr("role", text("Name or ARN of the role that the host acts as.").replaces())
        .attr("id", id())
        .attr("endpoint", Attribute::computed(Type::String, "Address of the hosted world."))
        .attr("ca", Attribute::computed(Type::String, "Certificate authority of the hosted world."));
    KindSchema {
        hosts: true,
        owner_mark: true,
        timeouts: Timeouts::minutes(30, 60, 15),
        ..kind("sim_host", block)
    }
    .key(&["name"])
    .relation(Relation::UsesGrantsOf { arg: "role".into() })
}

fn pool() -> KindSchema {
    let block = Block::new("Room for workloads on a host.")
        .attr("host_name", Attribute::required(Type::String, "Name of the host.").replaces())
        .attr("name", name())
        .attr("size", Attribute::optional(Type::Number, "Number of machines; changes in place."))
        .attr("id", id());
    KindSchema { owner_mark: true, ..kind("sim_pool", block) }
        .key(&["host_name", "name"])
        .attached_to("host_name", "sim_host")
        .relation(Relation::GivesCapacity)
}

fn entry() -> KindSchema {
    let block = Block::new("Access of a principal to a host.")
        .attr("host_name", Attribute::required(Type::String, "Name of the host.").replaces())
        .attr("principal", Attribute::required(Type::String, "Who may come in.").replaces())
        .attr("id", id());
    kind("sim_entry", block)
        .key(&["host_name", "principal"])
        .attached_to("host_name", "sim_host")
        .relation(Relation::GrantsHostAccess)
}

fn role() -> KindSchema {
    let block = Block::new("A role; fresh ones may be invisible for some seconds.")
        .attr("name", name())
        .attr("policy", text("Who may assume it; changes in place."))
        .attr("id", id())
        .attr("arn", Attribute::computed(Type::String, "Long name of the role."));
    let visibility = Duration::from_secs(15);
    KindSchema { owner_mark: true, visibility, ..kind("sim_role", block) }.key(&["name"])
}

fn grant() -> KindSchema {
    let block = Block::new("A policy attached to a role; nothing but its key.")
        .attr("role", Attribute::required(Type::String, "Name of the role.").replaces())
        .attr("policy", Attribute::required(Type::String, "Name of the policy.").replaces())
        .attr("id", id());
    KindSchema { pure_relation: true, ..kind("sim_grant", block) }
        .key(&["role", "policy"])
        .attached_to("role", "sim_role")
        .relation(Relation::GrantsTo { arg: "role".into() })
}

fn item() -> KindSchema {
    let rule = Block::new("A rule.")
        .attr("port", Attribute::required(Type::Number, "Port."))
        .attr("note", text("Remark."));
    let block = Block::new("A thing of no special nature, whose identity the world draws.")
        .attr("name", text("Name; needs not be unique, changes in place."))
        .attr("value", text("Value; changes in place."))
        .attr("immutable", text("A change makes a new object.").replaces())
        .attr("tags", strings("Tags."))
        .attr("secret", text("A secret.").sensitive())
        .attr("secret_wo", text("A secret that is written and never read back.").write_only())
        .attr(
            "secret_wo_version",
            Attribute::optional(Type::Number, "`secret_wo` is written when this changes."),
        )
        .attr("fanout", Attribute::optional(Type::Number, "Number of `keys`."))
        .block("rule", NestedBlock::new(Nesting::List, rule))
        .attr("id", id())
        .attr("derived", Attribute::computed(Type::String, "Follows from `value`.").changes_with(&["value"]))
        .attr(
            "keys",
            Attribute::computed(Type::list(Type::String), "`k0`, `k1` and so on.").changes_with(&["fanout"]),
        )
        .attr("revision", Attribute::computed(Type::Number, "Number of updates.").changes_with_any());
    KindSchema { owner_mark: true, ..kind("sim_item", block) }
}

fn named() -> KindSchema {
    let block = Block::new("A thing with a name of its own and no place for marks.")
        .attr("name", name())
        .attr("value", text("Value; changes in place."))
        .attr("id", id());
    kind("sim_named", block).key(&["name"])
}

fn blind() -> KindSchema {
    let block = Block::new("A thing that can't be found again but by its id.")
        .attr("value", text("Value; changes in place."))
        .attr("id", id());
    kind("sim_blind", block)
}

fn app() -> KindSchema {
    let block = Block::new("A workload; ready when its host has room.")
        .attr("name", name())
        .attr("image", Attribute::required(Type::String, "What runs; changes in place."))
        .attr("config", text("Configuration; changes in place."))
        .attr("space", text("Where it runs."))
        .attr("id", id());
    hosted("sim_app", block).key(&["name"]).relation(Relation::NeedsCapacity)
}

fn service() -> KindSchema {
    let block = Block::new("An address for a workload; of type `LoadBalancer` it makes one in the cloud.")
        .attr("name", name())
        .attr("type", text("`ClusterIP` or `LoadBalancer`.").default("ClusterIP"))
        .attr("app", text("Name of the workload."))
        .attr("id", id())
        .attr("address", Attribute::computed(Type::String, "Address outside.").changes_with(&["type"]));
    let when = Some(("type".into(), "LoadBalancer".into()));
    hosted("sim_service", block).key(&["name"]).relation(Relation::ExternalEffect { when })
}

fn claim() -> KindSchema {
    let block = Block::new("A disk outside of the host, that the workloads of its space hold.")
        .attr("name", name())
        .attr("space", Attribute::required(Type::String, "Where it is used.").replaces())
        .attr("id", id());
    hosted("sim_claim", block)
        .key(&["name"])
        .relation(Relation::ExternalEffect { when: None })
        .relation(Relation::HeldByWorkloads { same: "space".into() })
}

fn map() -> KindSchema {
    let block = Block::new("Configuration data.")
        .attr("name", name())
        .attr("data", strings("Entries."))
        .attr("id", id());
    hosted("sim_map", block).key(&["name"])
}

fn auth_map() -> KindSchema {
    let block = Block::new("The old standard of access: who may come in, kept inside the host.")
        .attr("name", name())
        .attr("data", strings("Principals."))
        .attr("id", id());
    hosted("sim_auth_map", block).key(&["name"])
}

fn lookup() -> KindSchema {
    let block = Block::new("Finds a `sim_named` by its name.")
        .attr("name", Attribute::required(Type::String, "Its name."))
        .attr("id", id())
        .attr("value", Attribute::computed(Type::String, "Its value.").changes_with_any());
    KindSchema::new("sim_lookup", "sim", block)
}

fn host_data() -> KindSchema {
    let computed = |doc| Attribute::computed(Type::String, doc);
    let block = Block::new("Finds a `sim_host` by its name.")
        .attr("name", Attribute::required(Type::String, "Its name."))
        .attr("id", id())
        .attr("version", computed("Its version.").changes_with_any())
        .attr("endpoint", computed("Address of the hosted world."))
        .attr("ca", computed("Certificate authority of the hosted world."));
    KindSchema::new("sim_host", "sim", block)
}

fn token() -> KindSchema {
    let block = Block::new("Mints a token for a hosted world; it expires.")
        .attr("host_name", Attribute::required(Type::String, "Name of the host."))
        .attr("id", id())
        .attr("token", Attribute::computed(Type::String, "The token.").sensitive());
    KindSchema { minter: true, ..KindSchema::new("sim_token", "sim", block) }
}

fn lease() -> KindSchema {
    let block = Block::new("A secret that is there as long as it is open.")
        .attr("of", text("What it is for."))
        .attr("id", id())
        .attr("secret", Attribute::computed(Type::String, "The secret.").sensitive());
    KindSchema::new("sim_lease", "sim", block)
}

/// Schema of the provider `sim`.
pub(crate) fn cloud() -> ProviderSchema {
    let config = Block::new("A simulated cloud.")
        .attr("account", text("Account; `main` if absent."))
        .attr("token", text("Credential; not looked at.").sensitive());
    let data: [KindSchema; 3] = [lookup(), host_data(), token()];
    ProviderSchema {
        name: "sim".into(),
        sources: vec!["groma/sim".into()],
        config,
        resources: resources(false),
        ephemeral: [lease(), KindSchema { minter: false, ..token() }]
            .into_iter()
            .map(|k| (k.kind.clone(), k))
            .collect(),
        data: data.into_iter().map(|k| (k.kind.clone(), k)).collect(),
        ..ProviderSchema::default()
    }
}

/// Schema of the provider `simkube`.
pub(crate) fn on_host() -> ProviderSchema {
    let config = Block::new("The inside of a simulated host.")
        .attr("host", Attribute::required(Type::String, "Endpoint of the host."))
        .attr("ca", text("Certificate authority of the host."))
        .attr("token", text("Token; may be minted.").sensitive());
    ProviderSchema {
        name: "simkube".into(),
        sources: vec!["groma/simkube".into()],
        config,
        address_args: vec!["host".into(), "ca".into()],
        resources: resources(true),
        ..ProviderSchema::default()
    }
}

fn resources(hosted: bool) -> BTreeMap<Arc<str>, KindSchema> {
    let schema = |row: &Row| {
        let [create, update, delete] = row.seconds.map(|s| Duration::from_secs(s.max(1)));
        let typical = Timeouts { create, read: Duration::from_secs(1), update, delete };
        let schema = KindSchema { typical, ..row.schema().clone() };
        (schema.kind.clone(), schema)
    };
    ROWS.iter().filter(|r| r.hosted == hosted).map(schema).collect()
}

/// The value of a computed attribute.
pub(crate) fn computed(attr: &str, ty: &Type, id: &str, attrs: &Value, revision: u32) -> Value {
    let value = attrs.str_attr("value");
    match attr {
        "id" => id.into(),
        "endpoint" => format!("https://{id}.sim").into(),
        "ca" => format!("ca-{id}").into(),
        "arn" => format!("arn:sim:{id}:{}", attrs.str_attr("name").unwrap_or_default()).into(),
        "derived" => format!("derived from {}", value.unwrap_or("nothing")).into(),
        "revision" => Value::number(i64::from(revision)),
        "address" if attrs.str_attr("type") == Some("LoadBalancer") => format!("{id}.lb.sim").into(),
        "keys" => {
            let count = attrs.get("fanout").and_then(Value::as_i64).unwrap_or(0);
            Value::list(Type::String, (0..count).map(|i| format!("k{i}").into()).collect())
        }
        _ => Value::null(ty.clone()),
    }
}
