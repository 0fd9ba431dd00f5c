//! What reads an input, and the texts that inputs are made from.

use super::chance::{Chance, change};
use crate::shapes;
use groma_engine::config::Config;
use groma_engine::config::load::MemoryFiles;
use groma_engine::event::{Event, EventSink};
use groma_engine::facade::{self, Command, Executor, Host, PlanOptions, Registry, Tell};
use groma_engine::state::State;
use groma_lang::document::{Node, NodeKind, parse_json, parse_native, parse_yaml};
use groma_lang::eval::{FunctionHost, NoHost, Scope};
use groma_lang::expr::{Expr, Reference};
use groma_lang::types_syntax::parse_type;
use groma_lang::{Text, evaluate, parse_expression, parse_template};
use groma_provider::{Clock, Environment, NetworkPolicy, NoLog, async_trait};
use groma_provider_sim::{SimClock, SimConfig, SimEntropy, SimProvider, SimWorld, block_on};
use groma_types::{Cause, Diagnostics, Marks, Refinements, SourceId, Timestamp, Type, Unknown, Value};
use std::path::Path;
use std::sync::Arc;

/// Texts that somebody wrote.
pub(super) struct Seeds {
    /// Names and texts of whole files.
    files: Vec<(String, Vec<u8>)>,
    expressions: Vec<String>,
}

impl Seeds {
    pub(super) fn read() -> Seeds {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut files = Vec::new();
        for folder in ["specs", "tests/fixtures", "tests/aws", "tests/kinds"] {
            collect(&top.join(folder), &mut files);
        }
        let world = |n: usize| format!("resource:\n  sim_network:\n    a{n}: {{}}\n");
        files.push(("sim.yaml".into(), world(1).into_bytes()));
        files.push(("x.tf.json".into(), br#"{"locals":{"a":[1,"${local.b}"],"b":{"c":null}},"output":{"x":{"value":"%{ if true }${local.a[0]}%{ endif }"}}}"#.to_vec()));
        for shape in shapes::SHAPES {
            files.push((shape.file.into(), (shape.text)(20).into_bytes()));
        }
        files.sort();
        let mut expressions = Vec::new();
        for corpus in ["expr_corpus", "more_expr", "json_template_corpus", "unknown_corpus", "type_corpus"] {
            let path = top.join(format!("engine/lang/tests/corpus/{corpus}.jsonl"));
            let text = std::fs::read_to_string(&path).expect("the corpus is in the repository");
            let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            let texts = lines.filter_map(|l| {
                ["expr", "json", "constraint"].iter().find_map(|k| l[k].as_str().map(String::from))
            });
            expressions.extend(texts);
        }
        assert!(files.len() > 50 && expressions.len() > 1000, "the seeds are there");
        Seeds { files, expressions }
    }

    fn changed(&self, text: &[u8], chance: &mut Chance) -> Vec<u8> {
        let other = &chance.pick(&self.files).1;
        let mut text = text.to_vec();
        change(&mut text, other, chance);
        text
    }
}

fn collect(folder: &Path, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("the folder is in the repository") {
        let path = entry.expect("it can be listed").path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_string();
        if path.is_dir() {
            collect(&path, files);
        } else if [".yaml", ".tf", ".json"].iter().any(|end| name.ends_with(end)) {
            let text = std::fs::read(&path).expect("it can be read");
            files.push((name, text));
        }
    }
}

/// Makes an input and reads it.
pub(super) fn run(seeds: &Seeds, chance: &mut Chance) {
    if chance.below(2) == 0 {
        let text = seeds.changed(chance.pick(&seeds.expressions).as_bytes(), chance);
        return expression(&String::from_utf8_lossy(&text));
    }
    let (_, seed) = chance.pick(&seeds.files);
    let text = String::from_utf8_lossy(&seeds.changed(seed, chance)).into_owned();
    let id = SourceId(0);
    match chance.below(6) {
        0 => parse_yaml(id, &text).0.iter().for_each(leaves),
        1 => parse_json(id, &text).0.iter().for_each(leaves),
        2 => leaves(&parse_native(id, &text).0),
        _ => folder(seeds, chance),
    }
}

/// All that is written in a document, evaluated.
fn leaves(node: &Node) {
    match &node.kind {
        NodeKind::Map(entries) => entries.iter().for_each(|(_, node)| leaves(node)),
        NodeKind::Seq(items) => items.iter().for_each(leaves),
        _ => {
            node.as_expr().into_iter().for_each(value);
            if let Some(text) = node.as_text() {
                value(&text.template().0);
            }
        }
    }
}

fn expression(text: &str) {
    let text = Text::plain(text, SourceId(0), 0);
    for (expr, faults) in [parse_expression(&text), parse_template(&text)] {
        if !faults.has_errors() {
            value(&expr);
            parse_type(&expr);
        }
    }
}

fn value(expr: &Expr) {
    evaluate(expr, &Names);
}

/// Names of every sort of value.
struct Names;

impl Scope for Names {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostics> {
        let unknown = |ty| {
            let refine = Refinements { not_null: true, ..Refinements::default() };
            Unknown { ty, refine, causes: [Cause::Function("x".into())].into(), residual: None }.into()
        };
        let list = || Value::tuple(vec!["a".into(), Value::number(2i64), Value::NULL]);
        let value: Value = match reference.root.len() % 6 {
            0 => unknown(Type::String),
            1 => Value::from("text").mark(Marks::SENSITIVE),
            2 => unknown(Type::Dynamic),
            3 => list(),
            4 => Value::object([("a", list()), ("key", "k".into()), ("b", unknown(Type::Number))]),
            _ => Value::number(3i64).mark(Marks::EPHEMERAL),
        };
        Ok((value, 0))
    }
    fn host(&self) -> &dyn FunctionHost {
        &NoHost
    }
}

/// A folder of a few files, some of them changed: loaded, checked, and planned if it is sound.
fn folder(seeds: &Seeds, chance: &mut Chance) {
    let ends = ["a.yaml", "b.tf", "c.tf.json", "a.tf", "b_override.tf", "override.yaml", "m/x.tf"];
    let files: Vec<(String, String)> = (0..=chance.below(3))
        .map(|_| {
            let (name, seed) = chance.pick(&seeds.files);
            let text = if chance.below(4) == 0 { seed.clone() } else { seeds.changed(seed, chance) };
            let name = if chance.below(2) == 0 { (*chance.pick(&ends)).to_string() } else { name.clone() };
            (format!("stack/{name}"), String::from_utf8_lossy(&text).into_owned())
        })
        .collect();
    let files = MemoryFiles::new(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let (config, faults) = shapes::read(&files);
    let Some(config) = config.filter(|_| !faults.has_errors()) else { return };
    if config.root().variables.values().all(|v| v.default.is_some()) {
        plan(config);
    }
}

struct Nobody;
impl EventSink for Nobody {
    fn event(&self, _: Event) {}
}
#[async_trait]
impl Executor for Nobody {
    fn shell(&self) -> Vec<String> {
        Vec::new()
    }
    async fn run(&self, _: &Command, _: &Tell<'_>) -> Result<(), String> {
        panic!("a plan runs nothing")
    }
}

fn plan(config: Config) {
    let clock = SimClock::new(Timestamp::from_secs(1_700_000_000));
    let entropy = Arc::new(SimEntropy::new(7));
    let mut registry = Registry::default();
    for provider in SimProvider::both(&SimWorld::new(SimConfig::default())) {
        registry.providers.insert(provider.schema().name.clone(), provider);
    }
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let env = Environment {
        clock: shared.clone(),
        entropy: entropy.clone(),
        calls: Arc::new(NoLog),
        network: NetworkPolicy::Open,
        vars: Arc::default(),
    };
    let host = Host {
        registry,
        clock: shared,
        entropy,
        events: Arc::new(Nobody),
        env,
        executor: Arc::new(Nobody),
        files: Arc::new(NoHost),
        cwd: "/".into(),
        workspace: "default".into(),
    };
    let emitter = host.emitter();
    let options = PlanOptions::default();
    block_on(&clock, facade::plan(Some(Arc::new(config)), &options, &State::default(), &host, &emitter));
}
