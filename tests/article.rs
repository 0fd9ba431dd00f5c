//! The stack that the project began with, as its article prints it, in the sandbox.
//!
//! `fixtures/article` holds the printed blocks; here is what the article leaves out: variables, locals, two data sources.

use crate::kit::Stack;
use crate::modules::Repo;

const IAM: &str = include_str!("fixtures/article/iam.tf");
const EKS: &str = include_str!("fixtures/article/eks.tf");
const PROVIDER: &str = include_str!("fixtures/article/provider.tf");
const DEPLOYMENT: &str = include_str!("fixtures/article/deployment.tf");
const SERVICE: &str = include_str!("fixtures/article/service.tf");
const VERSIONS: &str = include_str!("fixtures/article/versions.tf");
const ROOT: &str = include_str!("fixtures/article/root.tf");

const VARIABLES: &str = r#"variable "environment" {
  type    = string
  default = "dev"
}
variable "instance_type" {
  type    = string
  default = "t3.medium"
}
variable "min_size" {
  type    = number
  default = 2
}
variable "max_size" {
  type    = number
  default = 4
}
variable "container_image" {
  type    = string
  default = "ghcr.io/mohamednourdine/fastapi-items"
}
variable "image_tag" {
  type    = string
  default = "v1.0.0"
}
"#;

const LOCALS: &str = r#"locals {
  name_prefix = "fastapi-${var.environment}"
  all_tags    = { Project = "fastapi", Environment = var.environment }
}

data "aws_vpc" "default" {
  default = true
}

data "aws_region" "current" {}
"#;

/// What part 4 leaves to the reader: the module says what its provider is configured from.
const OUTPUTS: &str = r#"output "cluster_name" { value = aws_eks_cluster.main.name }
output "cluster_endpoint" { value = aws_eks_cluster.main.endpoint }
output "cluster_ca" { value = aws_eks_cluster.main.certificate_authority[0].data }
"#;

const APPLY: &[&str] = &["apply", "-auto-approve"];
const DESTROY: &[&str] = &["destroy", "-auto-approve"];
const NEW_TAG: &str = "-var=image_tag=v2.0.0";

fn sandbox() -> Stack {
    Stack::new().env("GROMA_SANDBOX", "1").env("PATH", &std::env::var("PATH").expect("a PATH"))
}

fn printed() -> Stack {
    let stack = sandbox().file("iam.tf", IAM).file("eks.tf", EKS).file("provider.tf", PROVIDER);
    let stack = stack.file("deployment.tf", DEPLOYMENT).file("service.tf", SERVICE);
    stack.file("variables.tf", VARIABLES).file("locals.tf", LOCALS)
}

fn nothing_is_left(stack: &Stack) {
    let world = stack.world();
    assert!(world.is_empty(), "the sandbox holds {:?}", world.keys().collect::<Vec<_>>());
}

/// Not even a region is written there: it is the environment's, or the sandbox's own.
#[test]
fn parts_one_to_three_apply_in_one_run() {
    let stack = printed();
    stack.ok(&["plan"]).says(&[
        "# kubernetes_deployment.fastapi will be created",
        "(deferred: waits for aws_eks_cluster.main)",
        "Plan: 10 to add, 0 to change, 0 to destroy.",
    ]);
    stack.ok(APPLY).says(&["Resources: 10 added, 0 changed, 0 destroyed."]);
    let host = stack.ok(&["output", "-raw", "service_hostname"]).stdout;
    assert!(host.ends_with(".us-east-1.elb.amazonaws.com"), "{host:?}");
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);
    stack.ok(&["apply", "-auto-approve", NEW_TAG]).says(&["Resources: 0 added, 1 changed, 0 destroyed."]);
    stack.ok(DESTROY).says(&["Destroy complete! Resources: 10 destroyed."]);
    nothing_is_left(&stack);
}

/// Nobody needs the two steps any more; whoever has them in a script can keep them.
#[test]
#[ignore = "slow tier: a whole apply and destroy"]
fn the_two_phases_of_the_article_still_work() {
    let stack = printed().env("AWS_REGION", "eu-west-1");
    let first = ["apply", "-auto-approve", "-target=aws_eks_cluster.main", "-target=aws_eks_node_group.main"];
    stack.ok(&first).says(&["Resources: 8 added, 0 changed, 0 destroyed."]);
    stack.ok(APPLY).says(&["Resources: 2 added, 0 changed, 0 destroyed."]);
    let host = stack.ok(&["output", "-raw", "service_hostname"]).stdout;
    assert!(host.ends_with(".eu-west-1.elb.amazonaws.com"), "the region of the environment: {host:?}");
    stack.ok(DESTROY);
    nothing_is_left(&stack);
}

fn repository() -> Repo {
    let repo = Repo::new(&[
        ("modules/eks-app/versions.tf", VERSIONS),
        ("modules/eks-app/variables.tf", VARIABLES),
        ("modules/eks-app/main.tf", &format!("{IAM}{EKS}{LOCALS}")),
        ("modules/eks-app/kubernetes.tf", &format!("{DEPLOYMENT}{SERVICE}")),
        ("modules/eks-app/outputs.tf", OUTPUTS),
    ]);
    repo.tag("v1.0.0");
    repo
}

/// The printed root with its module from here, and its provider from the outputs of the module.
fn root(repo: &Repo) -> String {
    let published =
        "git::https://github.com/mohamednourdine/terraform-modules.git//modules/eks-app?ref=v1.0.0";
    let fed = [
        (published, repo.source("//modules/eks-app?ref=v1.0.0")),
        ("aws_eks_cluster.main.endpoint", "module.eks_app.cluster_endpoint".into()),
        ("aws_eks_cluster.main.certificate_authority[0].data", "module.eks_app.cluster_ca".into()),
    ];
    fed.into_iter().fold(ROOT.to_string(), |text, (printed, here)| {
        assert!(text.contains(printed), "{printed} is not in the printed root");
        text.replace(printed, &here)
    })
}

const TOKEN: &str = "data \"aws_eks_cluster_auth\" \"main\" { name = module.eks_app.cluster_name }\n";

#[test]
fn part_four_takes_the_module_from_git_and_its_provider_from_the_module() {
    let repo = repository();
    let stack =
        sandbox().file("main.tf", &root(&repo)).file("variables.tf", VARIABLES).file("auth.tf", TOKEN);
    stack.ok(&["plan"]).says(&[
        "# module.eks_app.kubernetes_deployment.fastapi will be created",
        "(deferred: waits for module.eks_app.aws_eks_cluster.main)",
        "Plan: 10 to add, 0 to change, 0 to destroy.",
    ]);
    stack.ok(APPLY).says(&["Resources: 10 added, 0 changed, 0 destroyed."]);
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);
    stack.ok(&["apply", "-auto-approve", NEW_TAG]).says(&["Resources: 0 added, 1 changed, 0 destroyed."]);
    stack.ok(DESTROY).says(&["Destroy complete! Resources: 10 destroyed."]);
    nothing_is_left(&stack);
}

/// A second call of the module with the providers of another region.
fn second(repo: &Repo) -> String {
    let source = repo.source("//modules/eks-app?ref=v1.0.0");
    format!(
        r#"provider "aws" {{
  alias  = "eu"
  region = "eu-west-1"
}}

data "aws_eks_cluster_auth" "eu" {{
  provider = aws.eu
  name     = module.eks_app_eu.cluster_name
}}

provider "kubernetes" {{
  alias                  = "eu"
  host                   = module.eks_app_eu.cluster_endpoint
  cluster_ca_certificate = base64decode(module.eks_app_eu.cluster_ca)
  token                  = data.aws_eks_cluster_auth.eu.token
}}

module "eks_app_eu" {{
  source      = "{source}"
  providers   = {{ aws = aws.eu, kubernetes = kubernetes.eu }}
  environment = "${{var.environment}}-eu"
  image_tag   = var.image_tag
}}

output "hosts" {{
  value = join(" ", [module.eks_app.service_hostname, module.eks_app_eu.service_hostname])
}}
"#
    )
}

#[test]
#[ignore = "slow tier: a whole apply and destroy"]
fn part_four_deploys_the_same_module_to_a_second_region() {
    let repo = repository();
    let stack =
        sandbox().file("main.tf", &root(&repo)).file("variables.tf", VARIABLES).file("auth.tf", TOKEN);
    let stack = stack.file("eu.tf", &second(&repo));
    stack.ok(APPLY).says(&["Resources: 20 added, 0 changed, 0 destroyed."]);
    let hosts = stack.ok(&["output", "-raw", "hosts"]).stdout;
    assert!(hosts.contains(".us-east-1.elb.") && hosts.contains(".eu-west-1.elb."), "{hosts:?}");
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);
    stack.ok(&["apply", "-auto-approve", NEW_TAG]).says(&["Resources: 0 added, 2 changed, 0 destroyed."]);
    stack.ok(DESTROY).says(&["Destroy complete! Resources: 20 destroyed."]);
    nothing_is_left(&stack);
}
