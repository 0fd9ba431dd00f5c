//! Native syntax and JSON in, YAML out.

use super::*;
use groma_types::SourceMap;

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
