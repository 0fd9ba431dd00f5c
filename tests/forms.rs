//! Forms that modules of the wild are written in: what Terraform takes, groma takes, and what it refuses is told once.

use crate::kit::Stack;

fn stack(spec: &str) -> Stack {
    Stack::new().file("main.tf", spec)
}

#[test]
fn each_value_may_come_from_the_same_run() {
    let stack = stack(
        r#"
resource "terraform_data" "a" { input = "x" }

resource "terraform_data" "b" {
  for_each = { one = terraform_data.a.output, two = "y" }
  input    = "${each.key}-${each.value}"

  lifecycle {
    postcondition {
      condition     = endswith(self.output, each.value)
      error_message = "it ends otherwise"
    }
  }
}

module "m" {
  source   = "./m"
  for_each = { one = terraform_data.b["one"].output }
  text     = each.value
}

output "all" { value = concat([for b in terraform_data.b : b.output], [module.m["one"].text]) }
"#,
    )
    .file(
        "m/main.tf",
        "variable \"text\" {}\nresource \"terraform_data\" \"c\" { input = var.text }\n\
         output \"text\" { value = terraform_data.c.output }\n",
    );
    stack.ok(&["apply", "-auto-approve"]);
    let all = stack.ok(&["output", "-json", "all"]);
    assert_eq!(all.stdout.trim(), r#"["one-x","two-y","one-x"]"#);
    stack.ok(&["plan"]).says(&["No changes"]);
}

#[test]
fn names_that_dynamic_blocks_bind_are_no_references_in_what_is_not_known_here() {
    let stack = stack(
        r#"
resource "google_x" "a" {
  outer {
    dynamic "inner" {
      for_each = ["a"]
      content { v = inner.value }
    }
  }
  dynamic "top" {
    for_each = ["a"]
    iterator = it
    content {
      v = it.value
      w = local.missing
    }
  }
  timeouts { default = "5m" }
}

resource "aws_vpc" "b" {
  cidr_block = "10.0.0.0/16"
  none {
    dynamic "inner" {
      for_each = ["a"]
      content { v = inner.value }
    }
  }
}
"#,
    );
    let told = stack.run(&["validate"]).must(1);
    for (code, times) in [("G0803", 1), ("G0701", 1), ("G0801", 1), ("G0606", 0)] {
        assert_eq!(told.all().matches(&format!("{code}]")).count(), times, "{code}\n{}", told.all());
    }
    told.says(&["no local value named \"missing\"", "Declare it: locals { missing = … }"]);
    // What asks for names alone does not stop there; faults of names do.
    stack.write("main.tf", "resource \"google_x\" \"a\" {\n  x = 1\n}\nmodule \"m\" { source = \"./m\" }\n");
    stack.write("m/main.tf", "");
    for command in ["init", "providers", "modules", "graph"] {
        stack.ok(&[command]).says_not(&["G0803"]);
    }
    stack.run(&["validate"]).must(1).says(&["G0803"]);
}

#[test]
fn null_is_as_good_as_not_written_for_what_a_provider_decides() {
    let stack =
        stack("resource \"terraform_data\" \"a\" {\n  output = null\n  id = true ? null : \"x\"\n}\n");
    stack.ok(&["validate"]);
    stack.write("main.tf", "resource \"terraform_data\" \"a\" { output = true ? \"x\" : null }\n");
    stack.run(&["validate"]).must(1).says(&["G0703", "main.tf:1:33"]);
}

#[test]
fn time_outs_that_no_kind_here_has_are_told() {
    let stack = stack(
        "resource \"aws_vpc\" \"a\" {\n  cidr_block = \"10.0.0.0/16\"\n  timeouts { default = \"5m\" }\n}\n",
    );
    stack.run(&["validate"]).must(1).says(&["G0606", "main.tf:3:24", "\"default\""]);
}

#[test]
fn paths_are_from_the_folder_that_the_command_works_in() {
    let stack = Stack::new()
        .file(
            "in/main.tf",
            "module \"m\" { source = \"./m\" }\n\
             output \"all\" { value = \"${path.module} ${path.root} ${module.m.at} ${file(\"${path.root}/x\")}\" }\n\
             output \"cwd\" { value = path.cwd }\n",
        )
        .file("in/m/main.tf", "output \"at\" { value = \"${path.module} ${path.root} ${abspath(path.module)}\" }\n")
        .file("in/x", "text");
    let here = stack.path().display().to_string();
    stack.ok(&["-chdir=in", "apply", "-auto-approve"]);
    let all = stack.ok(&["-chdir=in", "output", "-raw", "all"]).stdout;
    assert_eq!(all, format!(". . m . {here}/in/m text"));
    assert_eq!(stack.ok(&["-chdir=in", "output", "-raw", "cwd"]).stdout, here);
    // A saved plan is the same from wherever it is applied.
    stack.write("in/x", "other");
    stack.ok(&["-chdir=in", "plan", "-out=p"]);
    stack.ok(&["apply", "in/p"]);
    assert!(stack.ok(&["-chdir=in", "output", "-raw", "all"]).stdout.ends_with("in/m other"));
}

#[test]
fn functions_of_terraforms_own_provider_are_there() {
    let stack = stack(
        r#"
terraform {
  required_providers {
    terraform = { source = "terraform.io/builtin/terraform" }
  }
}
resource "terraform_data" "a" { input = "x" }
output "text" { value = provider::terraform::encode_tfvars({ a = terraform_data.a.output, bc = [1] }) }
output "back" { value = provider::terraform::decode_tfvars("n = 1\n").n }
output "expr" { value = provider::terraform::encode_expr(["a"]) }
"#,
    );
    stack.ok(&["apply", "-auto-approve"]);
    assert_eq!(stack.ok(&["output", "-raw", "text"]).stdout, "a  = \"x\"\nbc = [1]\n");
    assert_eq!(stack.ok(&["output", "-raw", "back"]).stdout, "1");
    assert_eq!(stack.ok(&["output", "-raw", "expr"]).stdout, "[\"a\"]");
    for (call, why) in [
        ("provider::aws::arn_parse(1)", "terraform alone offers functions"),
        ("map(\"a\", 1)", "Write tomap({KEY = VALUE, …})"),
        ("list(1)", "Write tolist([…])"),
    ] {
        stack.write("main.tf", &format!("output \"x\" {{ value = {call} }}\n"));
        stack.run(&["validate"]).must(1).says(&["G0114", why]);
    }
}

#[test]
fn where_the_state_is_kept_the_root_alone_says() {
    let root = "module \"m\" { source = \"./m\" }\n";
    let cloud = "terraform {\n  cloud {\n    organization = \"x\"\n  }\n}\n";
    let stack = stack(root).file("m/main.tf", cloud);
    stack.ok(&["validate"]).says_not(&["G06"]);
    stack.write("m/main.tf", "terraform {\n  backend \"s3\" {\n    bucket = \"x\"\n  }\n}\n");
    stack.ok(&["plan"]).says(&["G0624", "m/main.tf:2:3"]);
    stack.write("main.tf", cloud);
    stack.run(&["validate"]).must(1).says(&["G0615"]);
}

#[test]
fn numbers_stay_whole_and_null_is_no_output() {
    let stack = stack(
        "output \"big\" { value = [12345678901234567890123, 0.1234567890123456789012345, null] }\n\
         output \"none\" { value = null }\n",
    );
    stack.ok(&["apply", "-auto-approve"]).says_not(&["none"]);
    let big = "12345678901234567890123,0.1234567890123456789012345,null";
    assert_eq!(stack.ok(&["output", "-json", "big"]).stdout.trim(), format!("[{big}]"));
    let all = stack.ok(&["output", "-json"]).stdout;
    let plain: String = all.split_whitespace().collect();
    assert_eq!(
        plain,
        format!(
            r#"{{"big":{{"sensitive":false,"type":["tuple",["number","number","dynamic"]],"value":[{big}]}}}}"#
        )
    );
    stack.ok(&["plan"]).says(&["No changes"]);
    // One that was there and is null now goes.
    stack.write("main.tf", "output \"big\" { value = null }\n");
    stack.ok(&["apply", "-auto-approve"]);
    assert_eq!(stack.ok(&["output", "-json"]).stdout.trim(), "{}");
}

#[test]
fn null_is_the_name_of_a_provider_where_providers_are_named() {
    let stack = stack(
        r#"
provider "null" {}
provider "null" { alias = "one" }
module "m" {
  source    = "./m"
  providers = { null = null, null.a = null.one }
}
resource "null_resource" "r" { provider = null.one }
resource "null_resource" "s" { provider = null }
"#,
    )
    .file(
        "m/main.tf",
        r#"
terraform {
  required_providers {
    null = {
      source                = "hashicorp/null"
      configuration_aliases = [null.a]
    }
  }
}
resource "null_resource" "a" { provider = null.a }
"#,
    );
    stack.ok(&["apply", "-auto-approve"]).says(&["3 added"]);
    stack.write("main.tf", "resource \"null_resource\" \"r\" { provider = null.nope }\n");
    stack.run(&["validate"]).must(1).says(&["G0805"]);
}

#[test]
fn a_type_in_quotes_is_of_another_age() {
    let stack = stack("variable \"a\" {\n  type = \"list\"\n  default = []\n}\n");
    stack.run(&["validate"]).must(1).says(&["G0625", "main.tf:2:10", "Write list(string)"]);
    // In JSON there is no other way.
    stack.remove("main.tf");
    stack.write("main.tf.json", r#"{"variable": {"a": {"type": "list(string)", "default": []}}}"#);
    stack.ok(&["validate"]);
}

#[test]
fn another_kind_is_suggested_only_for_a_slip_of_the_hand() {
    let stack = stack("resource \"aws_iam_polic\" \"a\" {}\nresource \"aws_iam_rolle\" \"b\" {}\n");
    stack.run(&["validate"]).must(1).says(&["did you mean \"aws_iam_role\"?"]);
    stack.write("main.tf", "resource \"aws_iam_something\" \"a\" {}\nresource \"aws_ec2_fleet\" \"b\" {}\n");
    stack.run(&["validate"]).must(1).says(&["G0804"]).says_not(&["did you mean"]);
}
