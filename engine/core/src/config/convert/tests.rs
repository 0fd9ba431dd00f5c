//! Native syntax and JSON in, YAML out.

use super::*;
use groma_types::SourceMap;
use proptest::prelude::*;

#[track_caller]
fn check(from: From, text: &str, expected: &str) {
    let mut sources = SourceMap::default();
    let id = sources.add("main.tf", text);
    match convert(from, id, text) {
        Ok(yaml) => assert_eq!(yaml, expected, "\n{yaml}"),
        Err(faults) => panic!("{}", crate::config::tests::render(&sources, &faults)),
    }
}

#[test]
fn blocks_are_gathered_under_their_labels_and_comments_stay() {
    check(
        From::Native,
        r#"# The network.
resource "aws_vpc" "main" { # wide
  cidr_block = "10.0.0.0/16" // all of it
  tags       = { Name = "${local.prefix}-vpc", "a b" : 1 }
  /* below */
  ingress {
    # ssh
    port = 22
  }
  ingress { port = 80 }
  depends_on = [aws_iam_role.x, aws_iam_role.y["k"]]
  # end
}

resource "aws_vpc" "other" {}

variable "size" {
  type    = number
  default = 3
}

variable "object" {
  type = object({
    name = string # its name
    port = optional(number, 80)
  })
}
"#,
        r#"resource:
  aws_vpc:
    # The network.
    main:
      # wide
      cidr_block: 10.0.0.0/16 # all of it
      tags:
        Name: ${local.prefix}-vpc
        a b: 1
      ingress:
        # below
        # ssh
        - port: 22
        - port: 80
      depends_on:
        - aws_iam_role.x
        - aws_iam_role.y["k"]
      # end
    other: {}

variable:
  size:
    type: number
    default: 3
  object:
    type: |-
      object({
        name = string # its name
        port = optional(number, 80)
      })
"#,
    );
}

#[test]
fn values_are_written_in_the_plainest_form_that_reads_back() {
    check(
        From::Native,
        r#"locals {
  text    = "a: b"
  number  = "1.29"
  count   = 1.50
  yes     = true
  nothing = null
  literal = "$${x} %%{y}"
  mixed   = "${a.b}-${upper("c")}"
  typed   = "${a.b}"
  list    = ["a", "b c", 1]
  empty   = [{}, [], ""]
  calls   = concat(a.b, [for x in c.d : x if x != "y"])
  several = merge(
    a.b, # first
    { c = 1 },
  )
  heredoc = <<-EOT
    one ${a.b}
      two # no comment
  EOT
  tabs = "a\tb"
}

locals {
  other = a ? b : c
}
"#,
        r#"locals:
  text: "a: b"
  number: "1.29"
  count: 1.5
  yes: true
  nothing: null
  literal: $${x} %%{y}
  mixed: ${a.b}-${upper("c")}
  typed: ${a.b}
  list: [a, b c, 1]
  empty:
    - {}
    - []
    - ""
  calls: '${concat(a.b, [for x in c.d : x if x != "y"])}'
  several: |-
    ${merge(
      a.b, # first
      { c = 1 },
    )}
  heredoc: |
    one ${a.b}
      two # no comment
  tabs: "a\tb"
  other: "${a ? b : c}"
"#,
    );
}

#[test]
fn line_breaks_that_a_block_scalar_keeps_stay_as_many() {
    check(
        From::Native,
        "locals {\n  a = <<E\none\n\nE\n}\noutput \"o\" { value = 1 }\n",
        "locals:\n  a: |+\n    one\n\noutput:\n  o:\n    value: 1\n",
    );
}

#[test]
fn references_and_labels_of_blocks() {
    check(
        From::Native,
        r#"terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.0", configuration_aliases = [aws.eu] }
  }
  backend "local" {}
}
provider "aws" {}
provider "aws" { alias = "eu" }
module "m" {
  source    = "./m"
  providers = { aws.x = aws.eu }
}
resource "aws_x" "y" {
  provider = aws.eu
  dynamic "rule" {
    for_each = var.rules
    iterator = it
    content { port = it.value }
  }
  lifecycle {
    ignore_changes = all
    replace_triggered_by = ["aws_z.w"]
  }
}
moved {
  from = aws_a.b
  to   = aws_a.c[0]
}
"#,
        r#"terraform:
  required_providers:
    aws:
      source: hashicorp/aws
      version: ~> 5.0
      configuration_aliases: [aws.eu]
  backend:
    local: {}

provider:
  aws:
    - {}
    - alias: eu

module:
  m:
    source: ./m
    providers:
      aws.x: aws.eu

resource:
  aws_x:
    y:
      provider: aws.eu
      dynamic:
        rule:
          for_each: ${var.rules}
          iterator: it
          content:
            port: ${it.value}
      lifecycle:
        ignore_changes: all
        replace_triggered_by: [aws_z.w]

moved:
  from: aws_a.b
  to: aws_a.c[0]
"#,
    );
}

#[test]
fn json_keeps_its_templates_and_its_absent_blocks() {
    check(
        From::Json,
        r#"{"//": "made by hand", "variable": {"a": null, "b": {"type": "list(string)"}},
            "output": {"o": {"value": "${var.b}", "description": "1.0"}}, "resource": [{"t": {"x": [{"n": 1.0}]}}]}"#,
        r#"# made by hand

variable:
  b:
    type: list(string)

output:
  o:
    value: ${var.b}
    description: "1.0"

resource:
  - t:
      x:
        - n: 1.0
"#,
    );
}

/// Values in native syntax, strings of all kinds among them.
fn value() -> impl Strategy<Value = String> {
    let text = "[ -~]{0,12}".prop_map(|s| format!("{:?}", s.replace("${", "$").replace("%{", "%")));
    let lines = prop::collection::vec("[ -~]{0,12}", 0..4).prop_map(|lines| {
        let body: String = lines.iter().map(|l| l.replace("${", "$").replace("%{", "%") + "\n").collect();
        format!("<<EOT_\n{body}EOT_\n")
    });
    let leaf = prop_oneof![
        text,
        lines,
        "[a-c]\\.[a-c]",
        "[0-9]{1,3}(\\.[0-9]{1,3})?",
        Just("null".to_string()),
        Just("true".to_string()),
        Just("\"${a.b}\"".to_string()),
        Just("\"${a.b}: ${c[\"d\"]} # %{ if e }f%{ endif }\"".to_string()),
        Just("[for x in a.b :\n  x # why\n  if x != \"}\"]".to_string()),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let items = prop::collection::vec(inner.clone(), 0..3);
        let keyed = prop::collection::vec(("[ -!#-\\[\\]-~]{1,6}", inner), 0..3);
        prop_oneof![
            items.prop_map(|v| format!("[{}]", v.join(", "))),
            keyed.prop_map(|v| {
                let line = |(k, v): &(String, String)| {
                    let key = k.replace("${", "$").replace("%{", "%");
                    format!("  \"{key}\" = {}\n", v.trim_end_matches('\n'))
                };
                format!("{{\n{}}}", v.iter().map(line).collect::<String>())
            }),
        ]
    })
}

/// Values in JSON, templates of all kinds among them.
fn json_value() -> impl Strategy<Value = String> {
    let text = "[ -~\n\té]{0,12}"
        .prop_map(|s| serde_json::Value::from(s.replace("${", "$").replace("%{", "%")).to_string());
    let leaf = prop_oneof![
        4 => text,
        1 => "-?[1-9][0-9]{0,2}(\\.[0-9]{1,3})?(e[0-9])?",
        1 => Just("null".to_string()),
        1 => Just("true".to_string()),
        1 => Just("\"1.50\"".to_string()),
        1 => Just("\"yes\"".to_string()),
        1 => Just("\"${a.b}\"".to_string()),
        1 => Just("\"$${a} %%{b}\"".to_string()),
        1 => Just("\"${a.b}: ${c[\\\"d\\\"]} # %{ if e }f%{ endif }\"".to_string()),
        1 => Just("\"${[for x in a.b :\\n  x\\n  if x != \\\"}\\\"]}\"".to_string()),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let items = prop::collection::vec(inner.clone(), 0..3);
        let keyed = prop::collection::btree_map("[ -!#-\\[\\]-~]{1,6}", inner, 0..3);
        prop_oneof![
            items.prop_map(|v| format!("[{}]", v.join(", "))),
            keyed.prop_map(|v| {
                let line = |(k, v): (&String, &String)| {
                    format!("\"{}\": {v}", k.replace("${", "$").replace("%{", "%"))
                };
                format!("{{{}}}", v.iter().map(line).collect::<Vec<_>>().join(", "))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// A conversion compares both texts before it gives one: it must not refuse what is sound.
    #[test]
    fn what_is_sound_converts_to_the_same(values in prop::collection::vec(value(), 1..4)) {
        let line = |(i, v): (usize, &String)| format!("  a{i} = {}\n", v.trim_end_matches('\n'));
        let body: String = values.iter().enumerate().map(line).collect();
        let text = format!("locals {{\n{body}}}\nresource \"t\" \"n\" {{\n{body}  b {{\n{body}  }}\n}}\n");
        let id = SourceId(0);
        let (_, faults) = parse_native(id, &text);
        prop_assume!(!faults.has_errors());
        let yaml = convert(From::Native, id, &text);
        prop_assert!(yaml.is_ok(), "{text}\n{yaml:?}");
        let yaml = yaml.unwrap_or_default();
        let laid_out = crate::config::format::format(crate::config::format::Syntax::Yaml, id, &yaml);
        prop_assert_eq!(laid_out.as_deref(), Ok(&*yaml));
    }

    /// The same from Terraform's JSON, whose strings are templates; the layout that `fmt` gives is the one that is written.
    #[test]
    fn what_is_sound_in_json_converts_to_the_same(values in prop::collection::vec(json_value(), 1..4)) {
        let line = |(i, v): (usize, &String)| format!("\"a{i}\": {v}");
        let body = values.iter().enumerate().map(line).collect::<Vec<_>>().join(", ");
        let text = format!("{{\"locals\": {{{body}}}, \"resource\": {{\"t\": {{\"n\": {{{body}, \"b\": [{{{body}}}]}}}}}}}}");
        let id = SourceId(0);
        let (_, faults) = parse_json(id, &text);
        prop_assert!(!faults.has_errors(), "{text}\n{faults:?}");
        let yaml = convert(From::Json, id, &text);
        prop_assert!(yaml.is_ok(), "{text}\n{yaml:?}");
        let yaml = yaml.unwrap_or_default();
        let laid_out = crate::config::format::format(crate::config::format::Syntax::Yaml, id, &yaml);
        prop_assert_eq!(laid_out.as_deref(), Ok(&*yaml));
    }
}
