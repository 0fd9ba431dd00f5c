//! Configurations of `terraform_data`, which both programs have built in, in the shapes that stacks have.

use serde_json::{Map, Value, json};
use std::path::Path;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Resources that have nothing to do with each other.
    Independent,
    /// Each refers to the one before.
    Chain,
    /// Ten layers; each resource refers to two of the layer before.
    Layers,
    /// One block with `for_each`.
    ForEach,
    /// A call for every ten resources.
    Modules,
    /// One call with `for_each`, ten resources in each of its instances.
    ModuleForEach,
}

impl Shape {
    pub(crate) const ALL: [Shape; 6] = [
        Shape::Independent,
        Shape::Chain,
        Shape::Layers,
        Shape::ForEach,
        Shape::Modules,
        Shape::ModuleForEach,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Shape::Independent => "indep",
            Shape::Chain => "chain",
            Shape::Layers => "layers",
            Shape::ForEach => "foreach",
            Shape::Modules => "mods",
            Shape::ModuleForEach => "modfe",
        }
    }

    pub(crate) fn of(name: &str) -> super::Result<Shape> {
        let names = || Shape::ALL.map(Shape::name).join(", ");
        let found = Shape::ALL.into_iter().find(|s| s.name() == name);
        found.ok_or_else(|| format!("{name} is no shape; there are {}", names()).into())
    }
}

/// Writes a configuration of `size` resources into a folder.
pub(crate) fn write(shape: Shape, size: usize, folder: &Path) -> super::Result<()> {
    let mut root =
        json!({ "terraform": { "required_version": ">= 1.4" }, "output": { "n": { "value": size } } });
    let mut resources = Map::new();
    match shape {
        Shape::Independent => (0..size).for_each(|i| add(&mut resources, i, payload(i))),
        Shape::Chain => (0..size).for_each(|i| {
            let input = match i.checked_sub(1) {
                Some(before) => json!({ "name": format!("item-{i}"), "prev": id_of(before) }),
                None => payload(i),
            };
            add(&mut resources, i, input);
        }),
        Shape::Layers => {
            let width = (size / 10).max(1);
            for i in 0..size {
                let mut input = payload(i);
                if let Some(first) = (i / width).checked_sub(1).map(|layer| layer * width) {
                    input["a"] = id_of(first + i % width);
                    input["b"] = id_of(first + (i + 1) % width);
                }
                add(&mut resources, i, input);
            }
        }
        Shape::ForEach => {
            let all: Map<String, Value> = (0..size).map(|i| (format!("k{i:05}"), payload(i))).collect();
            root["locals"] = json!({ "m": all });
            resources.insert("r".into(), json!({ "for_each": "${local.m}", "input": "${each.value}" }));
        }
        Shape::Modules => {
            let call = |i: usize| json!({ "source": "./m", "name": format!("app{i}") });
            let calls: Map<String, Value> = (0..size / 10).map(|i| (format!("app{i:05}"), call(i))).collect();
            root["module"] = Value::Object(calls);
            write_module(folder)?;
        }
        Shape::ModuleForEach => {
            let keys: Vec<String> = (0..size / 10).map(|i| format!("app{i:05}")).collect();
            root["locals"] = json!({ "keys": keys });
            let for_each = "${toset(local.keys)}";
            root["module"] =
                json!({ "app": { "source": "./m", "for_each": for_each, "name": "${each.key}" } });
            write_module(folder)?;
        }
    }
    if !resources.is_empty() {
        root["resource"] = json!({ "terraform_data": resources });
    }
    Ok(std::fs::write(folder.join("main.tf.json"), serde_json::to_vec(&root)?)?)
}

fn payload(i: usize) -> Value {
    let labels = json!({ "app": format!("app-{}", i % 50), "tier": "web" });
    json!({ "name": format!("item-{i}"), "labels": labels, "replicas": i % 5 })
}

fn id_of(i: usize) -> Value {
    format!("${{terraform_data.r{i:05}.id}}").into()
}

fn add(resources: &mut Map<String, Value>, i: usize, input: Value) {
    let block = Map::from_iter([("input".to_string(), input)]);
    resources.insert(format!("r{i:05}"), block.into());
}

/// Ten resources, every second of which refers to the one before.
fn write_module(folder: &Path) -> super::Result<()> {
    let resource = |i: usize| {
        let mut input = json!({ "name": format!("${{var.name}}-{i}") });
        if i % 2 == 1 {
            input["prev"] = format!("${{terraform_data.r{}.id}}", i - 1).into();
        }
        (format!("r{i}"), json!({ "input": input }))
    };
    let resources: Map<String, Value> = (0..10).map(resource).collect();
    let module = json!({
        "variable": { "name": { "type": "string" } },
        "resource": { "terraform_data": resources },
        "output": { "id": { "value": "${terraform_data.r9.id}" } },
    });
    let inside = folder.join("m");
    std::fs::create_dir_all(&inside)?;
    Ok(std::fs::write(inside.join("main.tf.json"), serde_json::to_vec(&module)?)?)
}
