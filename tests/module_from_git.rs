//! A module in native syntax in a git repository that holds a cluster and the application on it, and takes the provider
//! that its own outputs configure. In the sandbox, end to end.

use crate::kit::Stack;
use crate::modules::Repo;

const APPLY: &[&str] = &["apply", "-auto-approve"];

const VERSIONS: &str = r#"terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
    kubernetes = {
      source  = "hashicorp/kubernetes"
      version = "~> 2.0"
    }
  }
}
"#;

const VARIABLES: &str = r#"variable "environment" { type = string }
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
variable "container_image" { type = string }
variable "image_tag" { type = string }

locals {
  name_prefix = "fastapi-${var.environment}"
}
"#;

const MAIN: &str = r#"data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

resource "aws_iam_role" "this" {
  for_each = { cluster = "eks", node = "ec2" }
  name     = "${local.name_prefix}-${each.key}"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "${each.value}.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "cluster" {
  role       = aws_iam_role.this["cluster"].name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each   = toset(["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly"])
  role       = aws_iam_role.this["node"].name
  policy_arn = "arn:aws:iam::aws:policy/${each.value}"
}

resource "aws_eks_cluster" "main" {
  name     = "${local.name_prefix}-cluster"
  role_arn = aws_iam_role.this["cluster"].arn

  vpc_config {
    subnet_ids = data.aws_subnets.default.ids
  }

  depends_on = [aws_iam_role_policy_attachment.cluster]
}

resource "aws_eks_node_group" "main" {
  cluster_name    = aws_eks_cluster.main.name
  node_group_name = "${local.name_prefix}-nodes"
  node_role_arn   = aws_iam_role.this["node"].arn
  subnet_ids      = data.aws_subnets.default.ids
  instance_types  = [var.instance_type]

  scaling_config {
    desired_size = var.min_size
    min_size     = var.min_size
    max_size     = var.max_size
  }

  depends_on = [aws_iam_role_policy_attachment.node]
}
"#;

const KUBERNETES: &str = r#"resource "kubernetes_deployment" "fastapi" {
  metadata {
    name   = "fastapi"
    labels = { app = "fastapi" }
  }
  spec {
    replicas = var.min_size
    selector {
      match_labels = { app = "fastapi" }
    }
    template {
      metadata {
        labels = { app = "fastapi" }
      }
      spec {
        container {
          name  = "fastapi"
          image = "${var.container_image}:${var.image_tag}"
          port {
            container_port = 8000
          }
          env {
            name  = "GREETING"
            value = templatefile("${path.module}/greeting.tftpl", { environment = var.environment })
          }
        }
      }
    }
  }
}

resource "kubernetes_service" "fastapi" {
  metadata {
    name = "fastapi"
  }
  spec {
    selector = kubernetes_deployment.fastapi.metadata[0].labels
    type     = "LoadBalancer"
    port {
      port        = 80
      target_port = 8000
    }
  }
}
"#;

const OUTPUTS: &str = r#"output "cluster_name" { value = aws_eks_cluster.main.name }
output "cluster_endpoint" { value = aws_eks_cluster.main.endpoint }
output "cluster_ca" { value = aws_eks_cluster.main.certificate_authority[0].data }
output "service_hostname" {
  value = kubernetes_service.fastapi.status[0].load_balancer[0].ingress[0].hostname
}
"#;

fn repository() -> Repo {
    let repo = Repo::new(&[
        ("modules/eks-app/versions.tf", VERSIONS),
        ("modules/eks-app/variables.tf", VARIABLES),
        ("modules/eks-app/main.tf", MAIN),
        ("modules/eks-app/kubernetes.tf", KUBERNETES),
        ("modules/eks-app/outputs.tf", OUTPUTS),
        ("modules/eks-app/greeting.tftpl", "from ${environment}"),
    ]);
    repo.tag("v1.0.0");
    repo
}

fn root(source: &str) -> String {
    format!(
        r#"variable "image_tag" {{
  type    = string
  default = "v1.0.0"
}}

provider "aws" {{
  region = "us-east-1"
}}

data "aws_eks_cluster_auth" "main" {{
  name = module.eks_app.cluster_name
}}

provider "kubernetes" {{
  host                   = module.eks_app.cluster_endpoint
  cluster_ca_certificate = base64decode(module.eks_app.cluster_ca)
  token                  = data.aws_eks_cluster_auth.main.token
}}

module "eks_app" {{
  source = "{source}"

  providers = {{
    aws        = aws
    kubernetes = kubernetes
  }}

  environment     = "dev"
  container_image = "ghcr.io/mohamednourdine/fastapi-items"
  image_tag       = var.image_tag
}}

output "service_hostname" {{
  value = module.eks_app.service_hostname
}}
"#
    )
}

/// The same stack with the same calls as YAML.
fn root_in_yaml(source: &str) -> String {
    format!(
        "variable: {{image_tag: {{type: string, default: v1.0.0}}}}
provider:
  aws: {{region: us-east-1}}
  kubernetes:
    host: ${{module.eks_app.cluster_endpoint}}
    cluster_ca_certificate: ${{base64decode(module.eks_app.cluster_ca)}}
    token: ${{data.aws_eks_cluster_auth.main.token}}
data: {{aws_eks_cluster_auth: {{main: {{name: '${{module.eks_app.cluster_name}}'}}}}}}
module:
  eks_app:
    source: {source}
    providers: {{aws: aws, kubernetes: kubernetes}}
    environment: dev
    container_image: ghcr.io/mohamednourdine/fastapi-items
    image_tag: ${{var.image_tag}}
output: {{service_hostname: {{value: '${{module.eks_app.service_hostname}}'}}}}
"
    )
}

fn sandbox() -> Stack {
    Stack::new().env("GROMA_SANDBOX", "1").env("PATH", &std::env::var("PATH").expect("a PATH"))
}

#[test]
fn a_module_takes_the_provider_that_its_own_outputs_configure() {
    let repo = repository();
    let source = repo.source("//modules/eks-app?ref=v1.0.0");
    let stack = sandbox().file("main.tf", &root(&source));
    stack.ok(&["plan"]).says(&[
        "module.eks_app.kubernetes_deployment.fastapi will be created",
        "(deferred: waits for",
        "module.eks_app.aws_eks_cluster.main",
        "image: \"ghcr.io/mohamednourdine/fastapi-items:v1.0.0\"",
        "Plan: 10 to add, 0 to change, 0 to destroy.",
    ]);
    stack.ok(APPLY).says(&["Apply complete! Resources: 10 added, 0 changed, 0 destroyed."]);
    let host = stack.ok(&["output", "-raw", "service_hostname"]).stdout;
    assert!(host.contains('.'), "{host:?} is no host name");
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);

    // The same in another syntax is the same stack.
    stack.remove("main.tf");
    stack.write("main.yaml", &root_in_yaml(&source));
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);
    stack
        .ok(&["apply", "-auto-approve", "-var", "image_tag=v2.0.0"])
        .says(&["Apply complete! Resources: 0 added, 1 changed, 0 destroyed."]);

    stack.ok(&["destroy", "-auto-approve"]).says(&["Destroy complete!"]);
    assert!(!stack.world().keys().any(|key| key.contains("fastapi")));
}

#[test]
fn a_saved_plan_applies_a_module_whose_repository_is_gone() {
    let repo = repository();
    let stack = sandbox().file("main.tf", &root(&repo.source("//modules/eks-app?ref=v1.0.0")));
    stack.ok(&["plan", "-out=p.plan"]);
    drop(repo);
    std::fs::remove_dir_all(stack.path().join(".groma/modules")).expect("removed");
    stack.remove("main.tf");
    stack.ok(&["apply", "p.plan"]).says(&["Apply complete! Resources: 10 added, 0 changed, 0 destroyed."]);
}
