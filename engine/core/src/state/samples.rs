//! Records for tests: a small story, and any record at all.

use super::{
    BeginOp, Ended, MadeOp, Object, ObjectId, OnDestroy, OpId, OutputValue, Recipe, RecipeId, Record,
    RecordedCommand, Settings, Status,
};
use groma_provider::{Action, World};
use groma_types::address::Address;
use groma_types::schema::Timeouts;
use groma_types::{
    AttrPath, Cause, Marks, Mint, ModuleAddr, Number, Refinements, Residual, Step, Timestamp, Type, Unknown,
    Value, ValueKind,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What no file may hold in the clear.
pub(crate) const CANARY: &str = "canary-7f3a9c-in-the-clear";

pub(crate) fn settings() -> Settings {
    Settings {
        create_before_destroy: false,
        prevent_destroy: true,
        on_destroy: OnDestroy::Keep,
        timeouts: Timeouts::minutes(30, 20, 10),
        unprovisioned: false,
        before_destroy: Vec::new(),
    }
}

pub(crate) fn recipe() -> Recipe {
    let args = Value::object([
        ("name", Value::string("app")),
        ("salt", Value::string(CANARY).mark(Marks::SENSITIVE)),
    ]);
    let provider = "provider.aws".parse().unwrap();
    let mint = Mint { kind: "aws_eks_cluster_auth".into(), opens: None, provider, args };
    let token: Value = Unknown {
        residual: Some(Arc::new(Residual::Mint(mint, AttrPath::root().attr("token")))),
        ..Unknown::of(Type::String)
    }
    .into();
    let config = Value::object([
        ("host", Value::string("https://k8s")),
        ("token", token.mark(Marks::MINTED)),
        ("password", Value::string(CANARY).mark(Marks::SENSITIVE)),
    ]);
    Recipe {
        provider: "provider.kubernetes.app".parse().unwrap(),
        config,
        minters: BTreeMap::from([("provider.aws".parse().unwrap(), RecipeId("r0".into()))]),
        world: World::of([("cluster", "arn:1".into())]),
        host: Some(ObjectId("o0".into())),
    }
}

pub(crate) fn attributes(name: &str) -> Value {
    Value::object([
        ("name", Value::string(name)),
        ("size", Value::number(3i64)),
        ("secret", Value::string(CANARY).mark(Marks::SENSITIVE)),
        ("tags", Value::map(Type::String, [("a", Value::string("b"))])),
    ])
}

pub(crate) fn object(id: &str, address: &str, status: Status) -> Object {
    Object {
        id: ObjectId(id.into()),
        address: address.parse().unwrap(),
        provider: "provider.aws".parse().unwrap(),
        recipe: RecipeId("r1".into()),
        status,
        attributes: attributes(id),
        private: json!({"etag": 7, "deep": [null, 1.5, "x"]}),
        schema_version: 2,
        groma_version: "0.1.0".into(),
        dependencies: BTreeSet::from([ObjectId("o0".into())]),
        host: None,
        owner_mark: Some("mark".into()),
        settings: settings(),
        created: Timestamp(1_700_000_000_123),
    }
}

pub(crate) fn begin(action: Action, id: &str, address: &str) -> BeginOp {
    BeginOp {
        action,
        object: ObjectId(id.into()),
        address: address.parse().unwrap(),
        provider: "provider.aws".parse().unwrap(),
        recipe: RecipeId("r1".into()),
        planned: attributes(id),
        digest: "d1".into(),
        token: "t1".into(),
        owner_mark: None,
        dependencies: BTreeSet::new(),
        host: None,
        settings: settings(),
        schema_version: 2,
        at: Timestamp(1_700_000_000_456),
    }
}

/// Groups of a run that makes two objects, replaces one and leaves one operation in doubt.
pub(crate) fn story() -> Vec<Vec<Record>> {
    let made = |name: &str| MadeOp {
        attributes: attributes(name),
        private: json!({}),
        operation: Some("handle".into()),
        provisioning: false,
    };
    let vpc = object("o1", "aws_vpc.main", Status::Ready);
    let app = object("o2", "module.a[\"k\"].aws_app.x[0]", Status::Unconverged("too slow".into()));
    let secret = OutputValue { value: Value::string(CANARY), sensitive: true };
    vec![
        vec![
            Record::Run { at: Timestamp(1_700_000_000_000), id: "run1".into() },
            Record::Recipe(RecipeId("r0".into()), Recipe { minters: BTreeMap::new(), ..recipe() }),
            Record::Recipe(RecipeId("r1".into()), recipe()),
            Record::Recipe(RecipeId("unused".into()), recipe()),
        ],
        vec![
            Record::Begin(OpId(1), begin(Action::Create, "o1", "aws_vpc.main")),
            Record::Begin(OpId(2), begin(Action::Create, "o2", "module.a[\"k\"].aws_app.x[0]")),
        ],
        vec![Record::Made(OpId(2), made("o2"))],
        vec![
            Record::End(OpId(1), Ended::Settled(Box::new(vpc))),
            Record::End(OpId(2), Ended::Settled(Box::new(app))),
        ],
        vec![
            Record::Moved(ObjectId("o2".into()), "aws_app.y".parse().unwrap()),
            Record::Deposed(ObjectId("o1".into()), "k1".into()),
            Record::Begin(OpId(3), begin(Action::Create, "o3", "aws_vpc.main")),
        ],
        vec![Record::Output("url".into(), Some(secret)), Record::Made(OpId(3), made("o3"))],
        vec![Record::Begin(OpId(4), begin(Action::Delete, "o1", "aws_vpc.main"))],
    ]
}

fn text() -> impl Strategy<Value = Arc<str>> {
    "[a-zA-Z0-9 ._\"\\\\é\n-]{0,8}".prop_map(Into::into)
}

fn name() -> impl Strategy<Value = Arc<str>> {
    "[a-z][a-z0-9_]{0,6}".prop_map(Into::into)
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<f64>().prop_filter_map("finite", Number::from_f64),
        "-?[1-9][0-9]{0,150}(\\.[0-9]{1,150})?(e-?[0-9]{1,2})?".prop_map(|t| Number::parse(&t).unwrap()),
    ]
}

fn marks() -> impl Strategy<Value = Marks> {
    prop_oneof![4 => Just(Marks::NONE), 1 => Just(Marks::SENSITIVE), 1 => Just(Marks::MINTED)]
}

fn ty() -> impl Strategy<Value = Type> {
    let leaf = prop_oneof![Just(Type::Dynamic), Just(Type::Bool), Just(Type::Number), Just(Type::String)];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(Type::list),
            inner.clone().prop_map(Type::set),
            inner.clone().prop_map(Type::map),
            vec(inner.clone(), 0..3).prop_map(Type::tuple),
            btree_map(name(), inner, 0..3).prop_map(Type::object),
        ]
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![name().prop_map(Step::Attr), (0..9usize).prop_map(Step::Index), text().prop_map(Step::Key)]
}

fn path() -> impl Strategy<Value = AttrPath> {
    vec(step(), 0..3).prop_map(AttrPath)
}

fn cause() -> impl Strategy<Value = Cause> {
    let module = ModuleAddr::root().child("m", None);
    prop_oneof![
        name().prop_map(Cause::Function),
        Just(Cause::Node(Address::Instance("module.m.aws_vpc.main[0]".parse().unwrap()))),
        Just(Cause::Node(Address::Provider("provider.aws.eu".parse().unwrap()))),
        name().prop_map(move |n| Cause::Node(Address::Local(module.clone(), n))),
        name().prop_map(|n| Cause::Node(Address::Variable(ModuleAddr::root(), n))),
    ]
}

fn unknown(inner: impl Strategy<Value = Value> + Clone + 'static) -> impl Strategy<Value = Value> {
    let opens = option::of(Just("module.m.ephemeral.aws_token.t[\"a\"]".parse().unwrap()));
    let mint = (name(), opens, inner.clone(), path()).prop_map(|(kind, opens, args, path)| {
        Residual::Mint(Mint { kind, opens, provider: "provider.aws".parse().unwrap(), args }, path)
    });
    let expr = (text(), btree_map(text(), inner, 0..3), path())
        .prop_map(|(text, inputs, path)| Residual::Expr { text, inputs: inputs.into_iter().collect(), path });
    let refine = (any::<bool>(), option::of(text()), 0..4usize, option::of(4..9usize))
        .prop_map(|(not_null, prefix, len_min, len_max)| Refinements { not_null, prefix, len_min, len_max });
    let residual = option::of(prop_oneof![mint, expr].prop_map(Arc::new));
    (ty(), refine, btree_set(cause(), 0..3), residual).prop_map(|(ty, refine, causes, residual)| {
        Unknown { ty, refine, causes: causes.into_iter().collect(), residual }.into()
    })
}

/// Any value; of a sensitive unknown no prefix, for that is not stored.
pub(crate) fn value() -> impl Strategy<Value = Value> + Clone {
    let leaf = prop_oneof![
        ty().prop_map(Value::null),
        any::<bool>().prop_map(Value::bool),
        number().prop_map(Value::number),
        text().prop_map(Value::string),
    ];
    let leaf = (leaf, marks()).prop_map(|(v, m): (Value, Marks)| v.mark(m)).boxed();
    leaf.prop_recursive(4, 24, 4, |inner| {
        let strings = vec((text(), marks()).prop_map(|(s, m)| Value::string(s).mark(m)), 0..4).boxed();
        let kinds = prop_oneof![
            strings.clone().prop_map(|vs| Value::list(Type::String, vs)),
            strings.prop_map(|vs| Value::set(Type::String, vs)),
            vec(inner.clone(), 0..4).prop_map(Value::tuple),
            btree_map(text(), inner.clone(), 0..4).prop_map(|m| Value::map(Type::Dynamic, m)),
            btree_map(name(), inner.clone(), 0..4).prop_map(Value::object),
            unknown(inner),
        ];
        (kinds, marks()).prop_map(|(v, m): (Value, Marks)| bare_prefix(v.mark(m)))
    })
    .boxed()
}

fn bare_prefix(value: Value) -> Value {
    let marks = value.marks();
    match value.kind() {
        ValueKind::Unknown(u) if marks.sensitive => {
            let refine = Refinements { prefix: None, ..u.refine.clone() };
            Value::from(Unknown { refine, ..(**u).clone() }).with_marks(marks)
        }
        _ => value,
    }
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let on_destroy = prop_oneof![Just(OnDestroy::Delete), Just(OnDestroy::Keep), Just(OnDestroy::Forbid)];
    let command = (btree_map(text(), text(), 0..3), any::<bool>());
    let command = command.prop_map(|(arguments, continues)| RecordedCommand { arguments, continues });
    let commands = vec(command, 0..3);
    (any::<bool>(), any::<bool>(), on_destroy, any::<Duration>(), any::<bool>(), commands).prop_map(
        |(create_before_destroy, prevent_destroy, on_destroy, time, unprovisioned, before_destroy)| {
            Settings {
                create_before_destroy,
                prevent_destroy,
                on_destroy,
                timeouts: Timeouts { read: Duration::from_millis(5), ..Timeouts::all(time) },
                unprovisioned,
                before_destroy,
            }
        },
    )
}

fn any_object() -> impl Strategy<Value = Object> {
    let status = prop_oneof![
        Just(Status::Ready),
        Just(Status::Waiting),
        text().prop_map(Status::Unconverged),
        text().prop_map(Status::Tainted),
        text().prop_map(Status::Deposed),
    ];
    (text(), status, value(), any_settings(), option::of(text())).prop_map(
        |(id, status, attributes, settings, mark)| Object {
            id: ObjectId(id),
            attributes,
            settings,
            owner_mark: mark.clone(),
            host: mark.map(ObjectId),
            ..object("o1", "aws_vpc.main", status)
        },
    )
}

/// Any record.
pub(crate) fn record() -> impl Strategy<Value = Record> {
    let op = || any::<u64>().prop_map(OpId);
    let id = || text().prop_map(ObjectId);
    let action = prop_oneof![Just(Action::Create), Just(Action::Update), Just(Action::Delete)];
    let begin = (action, value(), any_settings(), text()).prop_map(|(action, planned, settings, token)| {
        BeginOp { planned, settings, token, ..begin(action, "o1", "aws_vpc.main") }
    });
    let made =
        (value(), option::of(text()), any::<bool>()).prop_map(|(attributes, operation, provisioning)| {
            MadeOp { attributes, private: json!([1, {"a": null}]), operation, provisioning }
        });
    let ended = prop_oneof![
        any_object().prop_map(|o| Ended::Settled(Box::new(o))),
        vec(id(), 0..3).prop_map(|dropped| Ended::Deleted { dropped }),
        text().prop_map(Ended::Refused),
        Just(Ended::Suspended),
    ];
    let output = (value(), any::<bool>()).prop_map(|(value, sensitive)| OutputValue {
        // A sensitive output comes back with the mark on its value.
        value: if sensitive { bare_prefix(value.mark(Marks::SENSITIVE)) } else { value },
        sensitive,
    });
    prop_oneof![
        (any::<i64>(), text()).prop_map(|(at, id)| Record::Run { at: Timestamp(at), id }),
        (text(), value())
            .prop_map(|(id, config)| Record::Recipe(RecipeId(id), Recipe { config, ..recipe() })),
        (op(), begin).prop_map(|(op, begin)| Record::Begin(op, begin)),
        (op(), made).prop_map(|(op, made)| Record::Made(op, made)),
        (op(), ended).prop_map(|(op, ended)| Record::End(op, ended)),
        any_object().prop_map(|o| Record::Observed(Box::new(o))),
        id().prop_map(Record::Forgotten),
        id().prop_map(|id| Record::Moved(id, "a.b[\"x y\"]".parse().unwrap())),
        (id(), text()).prop_map(|(id, key)| Record::Deposed(id, key)),
        (id(), btree_set(id(), 0..3), any_settings())
            .prop_map(|(id, dependencies, settings)| Record::Resettled { id, dependencies, settings }),
        (text(), option::of(output)).prop_map(|(name, output)| Record::Output(name, output)),
    ]
}
