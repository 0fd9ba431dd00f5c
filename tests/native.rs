//! Terraform's native syntax from outside: a stack in `.tf` files, and what `groma convert` makes of it.

use crate::kit::Stack;

/// An EKS cluster and an application on it, in one stack with two providers.
const CLUSTER: &str = r#"
data "aws_vpc" "default" {
  default = true
}

data "aws_region" "current" {}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

# Who may take which role.
data "aws_iam_policy_document" "trust" {
  for_each = toset(["eks", "ec2"])

  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["${each.key}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "eks_cluster" {
  name               = "${local.name_prefix}-eks-cluster-role"
  assume_role_policy = data.aws_iam_policy_document.trust["eks"].json
  tags               = local.all_tags
}

resource "aws_iam_role_policy_attachment" "eks_cluster_policy" {
  role       = aws_iam_role.eks_cluster.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
}

resource "aws_iam_role" "eks_node" {
  name               = "${local.name_prefix}-eks-node-role"
  assume_role_policy = data.aws_iam_policy_document.trust["ec2"].json
  tags               = local.all_tags
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each = {
    worker = "AmazonEKSWorkerNodePolicy", cni : "AmazonEKS_CNI_Policy"
    ecr    = "AmazonEC2ContainerRegistryReadOnly"
  }
  role       = aws_iam_role.eks_node.name
  policy_arn = "arn:aws:iam::aws:policy/${each.value}"
}

resource "aws_eks_cluster" "main" {
  name     = "${local.name_prefix}-cluster"
  role_arn = aws_iam_role.eks_cluster.arn
  version  = "1.29"

  vpc_config {
    subnet_ids = data.aws_subnets.default.ids
  }

  # Without the policy the cluster can't do its work.
  depends_on = [aws_iam_role_policy_attachment.eks_cluster_policy]
  tags       = local.all_tags
}

resource "aws_eks_node_group" "main" {
  cluster_name    = aws_eks_cluster.main.name
  node_group_name = "${local.name_prefix}-nodes"
  node_role_arn   = aws_iam_role.eks_node.arn
  subnet_ids      = data.aws_subnets.default.ids
  instance_types  = [var.instance_type]

  scaling_config {
    desired_size = var.min_size
    min_size     = var.min_size
    max_size     = var.max_size
  }
  update_config { max_unavailable = 1 }

  depends_on = [aws_iam_role_policy_attachment.node]
  tags       = local.all_tags
}
"#;

const APP: &str = r#"
data "aws_eks_cluster_auth" "main" { name = aws_eks_cluster.main.name }

provider "kubernetes" {
  host                   = aws_eks_cluster.main.endpoint
  cluster_ca_certificate = base64decode(aws_eks_cluster.main.certificate_authority[0].data)
  token                  = data.aws_eks_cluster_auth.main.token
}

resource "kubernetes_deployment" "fastapi" {
  metadata {
    name      = "fastapi"
    namespace = "default"
    labels    = { app = "fastapi" }
  }
  spec {
    replicas = var.min_size
    selector { match_labels = { app = "fastapi" } }
    template {
      metadata { labels = { app = "fastapi" } }
      spec {
        container {
          name  = "fastapi"
          image = "${var.container_image}:${var.image_tag}"
          port { container_port = 8000 }
          dynamic "env" {
            for_each = { SECRET_NAME = "fastapi/${var.environment}/db", AWS_REGION = data.aws_region.current.name }
            content {
              name  = env.key
              value = env.value
            }
          }
          readiness_probe {
            http_get {
              path = "/health"
              port = 8000
            }
            period_seconds = 5
          }
          resources {
            requests = {
              cpu    = "100m"
              memory = "128Mi"
            }
          }
        }
      }
    }
  }
}

resource "kubernetes_service" "fastapi" {
  metadata {
    name      = "fastapi"
    namespace = "default"
    annotations = {
      "service.beta.kubernetes.io/aws-load-balancer-type" = "nlb"
    }
  }
  spec {
    selector = { app = "fastapi" }
    type     = "LoadBalancer"
    port {
      port        = 80
      target_port = 8000
      protocol    = "TCP"
    }
  }
}

output "service_hostname" {
  value       = kubernetes_service.fastapi.status[0].load_balancer[0].ingress[0].hostname
  description = "Where the application answers"
}
"#;

const VARIABLES: &str = r#"
variable "region" {
  type    = string
  default = "us-east-1"
}
variable "environment" { default = "dev" }
variable "instance_type" { default = "t3.medium" }
variable "min_size" { type = number }
variable "max_size" { type = number }
variable "container_image" { default = "ghcr.io/mohamednourdine/fastapi-items" }
variable "image_tag" { default = "v1.0.0" }

locals {
  name_prefix = "fastapi-${var.environment}"
  all_tags    = { Project = "fastapi", Environment = var.environment }
}

provider "aws" { region = var.region }
"#;

fn fastapi() -> Stack {
    let stack = Stack::new().env("GROMA_SANDBOX", "1").file("variables.tf", VARIABLES);
    stack
        .file("cluster.tf", CLUSTER)
        .file("app.tf", APP)
        .file("terraform.tfvars", "min_size = 2\nmax_size = 4\n")
}

#[test]
fn a_stack_in_native_syntax_applies_in_one_run_and_its_yaml_means_the_same() {
    let stack = fastapi();
    stack.ok(&["plan"]).says(&["# kubernetes_deployment.fastapi will be created", "(deferred: waits for"]);
    stack.ok(&["apply", "-auto-approve"]).says(&["service_hostname = ", ".elb.amazonaws.com"]);
    stack.ok(&["plan", "-detailed-exitcode"]);
    stack.ok(&["convert"]).says(&["app.tf -> app.yaml, the old one is app.tf.bak"]);
    for name in ["app", "cluster", "variables"] {
        assert!(stack.path().join(format!("{name}.tf.bak")).is_file());
        assert!(!stack.path().join(format!("{name}.tf")).exists());
    }
    let yaml = std::fs::read_to_string(stack.path().join("cluster.yaml")).unwrap();
    assert!(
        yaml.contains(
            "      # Without the policy the cluster can't do its work.\n      depends_on: [aws_iam"
        ),
        "{yaml}"
    );
    stack.ok(&["plan", "-detailed-exitcode"]);
    stack.ok(&["destroy", "-auto-approve"]);
}

#[test]
fn convert_writes_all_files_or_none() {
    let stack =
        Stack::new().file("main.tf", "locals {\n  a = 1\n}\n").file("more.tf", "locals {\n  b = )\n}\n");
    let refused = stack.run(&["convert"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("error[G0101]") && refused.stderr.contains("more.tf:2:7"),
        "{}",
        refused.stderr
    );
    assert!(!stack.path().join("main.yaml").exists());
    stack.remove("more.tf");
    stack.write("main.yaml", "locals: {c: 1}\n");
    let refused = stack.run(&["convert"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("error[G0541]"), "{}", refused.stderr);
    stack.ok(&["convert", "-out=other"]);
    assert_eq!(std::fs::read_to_string(stack.path().join("other/main.yaml")).unwrap(), "locals:\n  a: 1\n");
    assert!(stack.path().join("main.tf").is_file());
}

/// What published modules write is read: nothing but the kinds that nobody here knows is told, each of them once.
#[test]
fn the_ways_of_published_modules_are_read() {
    let language = include_str!("fixtures/public/language.tf");
    let stack = Stack::new().file("main.tf", language).env("TF_VAR_any", "x");
    stack.ok(&["validate"]).says_not(&["error["]);
    let stack = Stack::new().file("main.tf", include_str!("fixtures/public/cluster.tf"));
    let stack = stack.file("kms/main.tf", include_str!("fixtures/public/kms.tf"));
    let told = stack.run(&["validate", "-json"]).must(1);
    let json: serde_json::Value = serde_json::from_str(&told.stdout).expect("JSON");
    let all = json["diagnostics"].as_array().expect("a list").iter();
    let errors: Vec<String> =
        all.filter(|d| d["severity"] == "error").map(|d| d["detail"].to_string()).collect();
    assert!(errors.iter().all(|e| e.contains("has no ") && e.contains(" kind ")), "{errors:?}");
    let once: std::collections::BTreeSet<&String> = errors.iter().collect();
    assert_eq!(once.len(), errors.len(), "{errors:?}");
}
