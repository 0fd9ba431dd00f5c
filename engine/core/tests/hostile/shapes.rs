//! Specs that have very much of one thing.

use groma_engine::config::Config;
use groma_engine::config::check;
use groma_engine::config::load::{LoadRequest, MemoryFiles, load};
use groma_engine::facade::Registry;
use groma_provider::Provider;
use groma_types::Diagnostics;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// A spec of one file that has `n` of something.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    pub(crate) text: fn(usize) -> String,
}

/// The checks have a provider to ask, the one that needs no cloud.
static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Registry::default();
    for provider in groma_provider_std::providers(&groma_provider_std::Machine::default()) {
        registry.providers.insert(provider.schema().name.clone(), Arc::new(provider));
    }
    registry
});

/// What `validate` does: reads, binds and checks.
pub(crate) fn read(files: &MemoryFiles) -> (Option<Config>, Diagnostics) {
    let (config, _, mut faults) = load(LoadRequest { path: Path::new("stack"), files });
    if let Some(config) = &config {
        check::check_after(config, &*REGISTRY, &mut faults);
    }
    (config, faults)
}

pub(crate) fn in_memory(file: &str, text: String) -> MemoryFiles {
    MemoryFiles::new([(Path::new("stack").join(file), text)])
}

/// `n` times what is written for each number.
fn each(n: usize, mut one: impl FnMut(&mut String, usize)) -> String {
    let mut out = String::new();
    (0..n).for_each(|i| one(&mut out, i));
    out
}

macro_rules! lines {
    ($n:expr, $i:ident, $($format:tt)*) => {
        each($n, |out, $i| writeln!(out, $($format)*).expect("a string takes all"))
    };
}

pub(crate) const SHAPES: &[Shape] = &[
    // YAML
    Shape {
        name: "wide map",
        file: "a.yaml",
        text: |n| format!("locals:\n{}", lines!(n, i, "  k{i}: v{i}")),
    },
    Shape {
        name: "wide list",
        file: "a.yaml",
        text: |n| format!("locals:\n  a:\n{}", lines!(n, i, "    - {i}")),
    },
    Shape { name: "wide flow", file: "a.yaml", text: |n| format!("locals:\n  a: [{}0]\n", "0, ".repeat(n)) },
    Shape {
        name: "comments",
        file: "a.yaml",
        text: |n| format!("{}locals: {{}}\n", lines!(n, i, "# comment {i}")),
    },
    Shape { name: "documents", file: "a.yaml", text: |n| lines!(n, i, "---\nlocals:\n  a{i}: 1") },
    Shape {
        name: "long plain scalar",
        file: "a.yaml",
        text: |n| format!("locals:\n  a: {}\n", "word ".repeat(n)),
    },
    Shape {
        name: "long quoted scalar",
        file: "a.yaml",
        text: |n| format!("locals:\n  a: \"{}\"\n", "w\\n".repeat(n)),
    },
    Shape {
        name: "block scalar",
        file: "a.yaml",
        text: |n| format!("locals:\n  a: |\n{}", lines!(n, i, "    line {i}")),
    },
    Shape { name: "long key", file: "a.yaml", text: |n| format!("locals:\n  {}: 1\n", "k".repeat(n)) },
    Shape { name: "same key", file: "a.yaml", text: |n| format!("locals:\n{}", "  a: 1\n".repeat(n)) },
    Shape { name: "unknown keys", file: "a.yaml", text: |n| lines!(n, i, "blok{i}: {{}}") },
    Shape {
        name: "anchors",
        file: "a.yaml",
        text: |n| format!("x-a:\n{}locals: {{}}\n", lines!(n, i, "  - &a{i} [*a{i}]")),
    },
    Shape {
        name: "aliases",
        file: "a.yaml",
        text: |n| format!("x-a: &a {{k: v}}\nlocals:\n{}", lines!(n, i, "  b{i}: *a")),
    },
    Shape {
        name: "merges",
        file: "a.yaml",
        text: |n| format!("x-a: &a {{k: v}}\nlocals:\n{}", lines!(n, i, "  b{i}: {{<<: *a}}")),
    },
    Shape {
        name: "merged list",
        file: "a.yaml",
        text: |n| format!("x-a: &a {{k: v}}\nlocals:\n  b:\n    <<: [{}*a]\n", "*a, ".repeat(n)),
    },
    Shape {
        name: "alias bomb",
        file: "a.yaml",
        text: |n| {
            format!("x-a0: &a0 [1, 1]\n{}locals: {{}}\n", lines!(n, i, "x-b{i}: &b{i} [*a0, *a0, *a0]"))
        },
    },
    Shape { name: "doubling aliases", file: "a.yaml", text: doubling },
    Shape {
        name: "unknown aliases",
        file: "a.yaml",
        text: |n| format!("locals:\n{}", lines!(n, i, "  a{i}: *b{i}")),
    },
    Shape {
        name: "traps",
        file: "a.yaml",
        text: |n| format!("locals:\n{}", lines!(n, i, "  a{i}: [${{local.b}}, 1]")),
    },
    Shape {
        name: "unclosed templates",
        file: "a.yaml",
        text: |n| format!("locals:\n{}", lines!(n, i, "  a{i}: ${{1")),
    },
    Shape { name: "open flows", file: "a.yaml", text: |n| format!("locals:\n  a: {}", "[".repeat(n)) },
    Shape { name: "open maps", file: "a.yaml", text: |n| format!("locals:\n  a: {}", "{a: ".repeat(n)) },
    Shape { name: "tags", file: "a.yaml", text: |n| format!("locals:\n{}", lines!(n, i, "  a{i}: !t{i} 1")) },
    Shape { name: "tabs", file: "a.yaml", text: |n| format!("locals:\n{}", lines!(n, i, "\ta{i}: 1")) },
    Shape {
        name: "numbers in doubt",
        file: "a.yaml",
        text: |n| format!("locals:\n{}", lines!(n, i, "  a{i}: 0{i}")),
    },
    Shape { name: "long number", file: "a.yaml", text: |n| format!("locals:\n  a: 1{}\n", "0".repeat(n)) },
    Shape {
        name: "deep blocks",
        file: "a.yaml",
        text: |n| {
            format!(
                "locals:\n  a:\n{}",
                each(n.min(1000), |out, i| {
                    let _ = writeln!(out, "{}b:", " ".repeat(i + 3));
                })
            )
        },
    },
    Shape { name: "dashes", file: "a.yaml", text: |n| format!("locals:\n  a:\n    {}x\n", "- ".repeat(n)) },
    Shape { name: "questions", file: "a.yaml", text: |n| format!("locals:\n  {}x\n", "? ".repeat(n)) },
    Shape {
        name: "interpolations",
        file: "a.yaml",
        text: |n| format!("locals:\n  b: 1\n  a: \"{}\"\n", "${local.b} ".repeat(n)),
    },
    Shape {
        name: "faults in a template",
        file: "a.yaml",
        text: |n| format!("locals:\n  a: \"{}\"\n", "${local.b} ".repeat(n)),
    },
    Shape {
        name: "syntax faults in a template",
        file: "a.yaml",
        text: |n| format!("locals:\n  a: \"{}\"\n", "${1 +} ".repeat(n)),
    },
    Shape {
        name: "faulty resources",
        file: "a.yaml",
        text: |n| format!("resource:\n  terraform_data:\n{}", lines!(n, i, "    a{i}: {{inptu: 1}}")),
    },
    Shape {
        name: "resources of no kind",
        file: "a.yaml",
        text: |n| format!("resource:\n{}", lines!(n, i, "  terraform_datta{i}: {{a: {{}}}}")),
    },
    Shape {
        name: "undeclared names",
        file: "a.yaml",
        text: |n| {
            format!(
                "resource:\n  terraform_data:\n{}",
                lines!(n, i, "    a{i}: {{input: \"${{terraform_data.b{i}.id}}\"}}")
            )
        },
    },
    Shape {
        name: "undeclared variables",
        file: "a.yaml",
        text: |n| {
            format!(
                "variable:\n{}output:\n{}",
                lines!(n, i, "  v{i}: {{}}"),
                lines!(n, i, "  o{i}: {{value: \"${{var.w{i}}}\"}}")
            )
        },
    },
    Shape {
        name: "a chain",
        file: "a.yaml",
        text: |n| format!("locals:\n  a0: 1\n{}", lines!(n, i, "  a{next}: ${{local.a{i}}}", next = i + 1)),
    },
    Shape {
        name: "a cycle",
        file: "a.yaml",
        text: |n| {
            format!(
                "locals:\n  a{n}: ${{local.a0}}\n{}",
                lines!(n, i, "  a{i}: ${{local.a{next}}}", next = i + 1)
            )
        },
    },
    Shape {
        name: "many cycles",
        file: "a.yaml",
        text: |n| format!("locals:\n{}", lines!(n, i, "  a{i}: ${{local.b{i}}}\n  b{i}: ${{local.a{i}}}")),
    },
    Shape {
        name: "bad variables",
        file: "a.yaml",
        text: |n| format!("variable:\n{}", lines!(n, i, "  v{i}: {{type: strin, default: 1}}")),
    },
    Shape {
        name: "bad types",
        file: "a.yaml",
        text: |n| format!("variable:\n{}", lines!(n, i, "  v{i}: {{type: number, default: many}}")),
    },
    Shape {
        name: "modules that are not there",
        file: "a.yaml",
        text: |n| format!("module:\n{}", lines!(n, i, "  m{i}: {{source: ./m{i}}}")),
    },
    Shape { name: "CRLF", file: "a.yaml", text: |n| format!("locals:\r\n{}", lines!(n, i, "  a{i}: 1\r")) },
    Shape { name: "NULs", file: "a.yaml", text: |n| format!("locals:\n  a: {}\n", "\0".repeat(n)) },
    // JSON
    Shape {
        name: "wide object",
        file: "a.tf.json",
        text: |n| format!("{{\"locals\":{{{}\"z\":1}}}}", lines!(n, i, "\"a{i}\":1,")),
    },
    Shape {
        name: "wide array",
        file: "a.tf.json",
        text: |n| format!("{{\"locals\":{{\"a\":[{}1]}}}}", "1,".repeat(n)),
    },
    Shape {
        name: "open arrays",
        file: "a.tf.json",
        text: |n| format!("{{\"locals\":{{\"a\":{}", "[".repeat(n)),
    },
    Shape {
        name: "open objects",
        file: "a.tf.json",
        text: |n| format!("{{\"locals\":{}", "{\"a\":".repeat(n)),
    },
    Shape {
        name: "long string",
        file: "a.tf.json",
        text: |n| format!("{{\"locals\":{{\"a\":\"{}\"}}}}", "\\u00e4 ".repeat(n)),
    },
    Shape {
        name: "same property",
        file: "a.tf.json",
        text: |n| format!("{{\"locals\":{{{}\"a\":1}}}}", "\"a\":1,".repeat(n)),
    },
    Shape {
        name: "bad strings",
        file: "a.tf.json",
        text: |n| format!("{{\"locals\":{{{}\"z\":1}}}}", lines!(n, i, "\"a{i}\":\"\\q\",")),
    },
    Shape {
        name: "faults on one line",
        file: "a.tf.json",
        text: |n| {
            format!(
                "{{\"resource\":{{\"terraform_data\":{{{}\"z\":{{}}}}}}}}",
                lines!(n, i, "\"a{i}\":{{\"inptu\":1}},").replace('\n', "")
            )
        },
    },
    Shape {
        name: "templates in JSON",
        file: "a.tf.json",
        text: |n| format!("{{\"locals\":{{\"b\":1,\"a\":\"{}\"}}}}", "${local.b} \\n".repeat(n)),
    },
    Shape {
        name: "broken values",
        file: "a.tf.json",
        text: |n| format!("{{\"locals\":{{{}\"z\":1}}}}", "\"a\":nul,".repeat(n)),
    },
    // native
    Shape {
        name: "attributes",
        file: "a.tf",
        text: |n| format!("locals {{\n{}}}\n", lines!(n, i, "  a{i} = {i}")),
    },
    Shape {
        name: "blocks",
        file: "a.tf",
        text: |n| lines!(n, i, "resource \"terraform_data\" \"a{i}\" {{}}"),
    },
    Shape {
        name: "nested blocks",
        file: "a.tf",
        // What is nested deeper than 255 levels is an error.
        text: |n| format!("{}{}", "a {\n".repeat(n + 255), "}\n".repeat(n + 255)),
    },
    Shape { name: "open blocks", file: "a.tf", text: |n| "a {\n".repeat(n) },
    Shape { name: "closing braces", file: "a.tf", text: |n| "}\n".repeat(n) },
    Shape { name: "native comments", file: "a.tf", text: |n| lines!(n, i, "# c{i}\n// d\n/* e */") },
    Shape { name: "open comment", file: "a.tf", text: |n| "/* a ".repeat(n) },
    Shape {
        name: "heredocs",
        file: "a.tf",
        text: |n| format!("locals {{\n{}}}\n", lines!(n, i, "  a{i} = <<-EOT\n    x\n  EOT")),
    },
    Shape {
        name: "a long heredoc",
        file: "a.tf",
        text: |n| format!("locals {{\n  a = <<-EOT\n{}  EOT\n}}\n", lines!(n, i, "    line {i} ${{1}}")),
    },
    Shape {
        name: "open heredocs",
        file: "a.tf",
        text: |n| format!("locals {{\n{}}}\n", lines!(n, i, "  a{i} = <<E{i}")),
    },
    Shape { name: "a sum", file: "a.tf", text: |n| format!("locals {{\n  a = {}1\n}}\n", "1 + ".repeat(n)) },
    Shape {
        name: "parentheses",
        file: "a.tf",
        text: |n| format!("locals {{\n  a = {}1{}\n}}\n", "(".repeat(n), ")".repeat(n)),
    },
    Shape {
        name: "open parentheses",
        file: "a.tf",
        text: |n| format!("locals {{\n  a = {}\n}}\n", "(".repeat(n)),
    },
    Shape {
        name: "brackets",
        file: "a.tf",
        text: |n| format!("locals {{\n  a = {}1{}\n}}\n", "[".repeat(n), "]".repeat(n)),
    },
    Shape {
        name: "negations",
        file: "a.tf",
        text: |n| format!("locals {{\n  a = {}true\n}}\n", "!".repeat(n)),
    },
    Shape {
        name: "conditions",
        file: "a.tf",
        text: |n| format!("locals {{\n  a = {}1\n}}\n", "true ? 1 : ".repeat(n)),
    },
    Shape {
        name: "steps",
        file: "a.tf",
        text: |n| format!("locals {{\n  b = 1\n  a = local.b{}\n}}\n", ".c".repeat(n)),
    },
    Shape {
        name: "indices",
        file: "a.tf",
        text: |n| format!("locals {{\n  b = 1\n  a = local.b{}\n}}\n", "[0]".repeat(n)),
    },
    Shape {
        name: "splats",
        file: "a.tf",
        text: |n| format!("locals {{\n  b = 1\n  a = local.b{}\n}}\n", "[*].c".repeat(n)),
    },
    Shape {
        name: "calls in calls",
        file: "a.tf",
        text: |n| format!("locals {{\n  a = {}1{}\n}}\n", "abs(".repeat(n), ")".repeat(n)),
    },
    Shape {
        name: "calls of nothing",
        file: "a.tf",
        text: |n| format!("locals {{\n{}}}\n", lines!(n, i, "  a{i} = uppr({i})")),
    },
    Shape {
        name: "many arguments",
        file: "a.tf",
        text: |n| format!("locals {{\n  a = max({}1)\n}}\n", "1, ".repeat(n)),
    },
    Shape {
        name: "syntax faults",
        file: "a.tf",
        text: |n| format!("locals {{\n{}}}\n", lines!(n, i, "  a{i} = 1 +")),
    },
    Shape { name: "stray characters", file: "a.tf", text: |n| "@ ".repeat(n) },
    Shape { name: "quotes", file: "a.tf", text: |n| format!("locals {{\n  a = {}\n}}\n", "\"${".repeat(n)) },
    Shape {
        name: "directives",
        file: "a.tf",
        text: |n| format!("locals {{\n  a = \"{}{}\"\n}}\n", "%{if true}".repeat(n), "%{endif}".repeat(n)),
    },
    Shape {
        name: "open directives",
        file: "a.tf",
        text: |n| format!("locals {{\n  a = \"{}\"\n}}\n", "%{if true}".repeat(n)),
    },
    Shape {
        name: "long identifier",
        file: "a.tf",
        text: |n| format!("locals {{\n  {} = local.{}\n}}\n", "a".repeat(n), "b".repeat(n)),
    },
    Shape {
        name: "a long line",
        file: "a.tf",
        text: |n| format!("locals {{\n  a = [{}]\n}}\n", "local.b, ".repeat(n)),
    },
    Shape {
        name: "faulty resources, native",
        file: "a.tf",
        text: |n| lines!(n, i, "resource \"terraform_data\" \"a{i}\" {{\n  inptu = 1\n}}"),
    },
    Shape {
        name: "same resource",
        file: "a.tf",
        text: |n| "resource \"terraform_data\" \"a\" {\n  input = 1\n}\n".repeat(n),
    },
    Shape {
        name: "overrides of nothing",
        file: "a_override.tf",
        text: |n| lines!(n, i, "resource \"terraform_data\" \"a{i}\" {{}}"),
    },
    Shape {
        name: "types in types",
        file: "a.tf",
        text: |n| format!("variable \"a\" {{\n  type = {}string{}\n}}\n", "list(".repeat(n), ")".repeat(n)),
    },
    Shape {
        name: "dynamic blocks",
        file: "a.tf",
        text: |n| {
            format!(
                "resource \"terraform_data\" \"a\" {{\n{}}}\n",
                lines!(n, i, "  dynamic \"x{i}\" {{\n    for_each = []\n    content {{}}\n  }}")
            )
        },
    },
    Shape {
        name: "unicode",
        file: "a.tf",
        text: |n| format!("locals {{\n  a = \"{}\"\n}}\n", "e\u{301}\u{302}😀".repeat(n)),
    },
    Shape {
        name: "one long grapheme",
        file: "a.tf",
        text: |n| format!("locals {{\n  a = \"e{}\"\n}}\n", "\u{301}".repeat(n)),
    },
];

/// Each anchor stands for twice what the one before stands for.
fn doubling(n: usize) -> String {
    let lines = lines!(n, i, "x-a{next}: &a{next} [*a{i}, *a{i}]", next = i + 1);
    format!("x-a0: &a0 [1, 1]\n{lines}locals: {{}}\n")
}
