//! The kinds that a cluster knows: one table.

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) short: &'static str,
    pub(crate) namespaced: bool,
    pub(crate) has_status: bool,
}

const fn kind(
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    kind: &'static str,
    names: [&'static str; 2],
    flags: [bool; 2],
) -> Kind {
    let [singular, short] = names;
    let [namespaced, has_status] = flags;
    Kind { group, version, resource, kind, singular, short, namespaced, has_status }
}

const RBAC: &str = "rbac.authorization.k8s.io";

pub(crate) const KINDS: &[Kind] = &[
    kind("", "v1", "namespaces", "Namespace", ["namespace", "ns"], [false, true]),
    kind("", "v1", "configmaps", "ConfigMap", ["configmap", "cm"], [true, false]),
    kind("", "v1", "secrets", "Secret", ["secret", ""], [true, false]),
    kind("", "v1", "services", "Service", ["service", "svc"], [true, true]),
    kind("", "v1", "pods", "Pod", ["pod", "po"], [true, true]),
    kind("", "v1", "serviceaccounts", "ServiceAccount", ["serviceaccount", "sa"], [true, false]),
    kind("", "v1", "nodes", "Node", ["node", "no"], [false, true]),
    kind("", "v1", "events", "Event", ["event", "ev"], [true, false]),
    kind(
        "",
        "v1",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        ["persistentvolumeclaim", "pvc"],
        [true, true],
    ),
    kind("", "v1", "resourcequotas", "ResourceQuota", ["resourcequota", "quota"], [true, true]),
    kind("apps", "v1", "daemonsets", "DaemonSet", ["daemonset", "ds"], [true, true]),
    kind("apps", "v1", "statefulsets", "StatefulSet", ["statefulset", "sts"], [true, true]),
    kind("batch", "v1", "cronjobs", "CronJob", ["cronjob", "cj"], [true, true]),
    kind("batch", "v1", "jobs", "Job", ["job", ""], [true, true]),
    kind("networking.k8s.io", "v1", "ingresses", "Ingress", ["ingress", "ing"], [true, true]),
    kind("storage.k8s.io", "v1", "storageclasses", "StorageClass", ["storageclass", "sc"], [false, false]),
    kind("apps", "v1", "deployments", "Deployment", ["deployment", "deploy"], [true, true]),
    kind("apps", "v1", "replicasets", "ReplicaSet", ["replicaset", "rs"], [true, true]),
    kind(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        ["horizontalpodautoscaler", "hpa"],
        [true, true],
    ),
    kind(
        "networking.k8s.io",
        "v1",
        "networkpolicies",
        "NetworkPolicy",
        ["networkpolicy", "netpol"],
        [true, false],
    ),
    kind(
        "policy",
        "v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        ["poddisruptionbudget", "pdb"],
        [true, true],
    ),
    kind(RBAC, "v1", "roles", "Role", ["role", ""], [true, false]),
    kind(RBAC, "v1", "rolebindings", "RoleBinding", ["rolebinding", ""], [true, false]),
    kind(RBAC, "v1", "clusterroles", "ClusterRole", ["clusterrole", ""], [false, false]),
    kind(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", ["clusterrolebinding", ""], [false, false]),
];

impl Kind {
    /// The kind of a resource name that the table is known to have.
    pub(crate) fn of(resource: &str) -> Self {
        *KINDS.iter().find(|k| k.resource == resource).expect("invariant: the table has this resource")
    }

    pub(crate) fn find(group: &str, version: &str, resource: &str) -> Option<Self> {
        let fits = |k: &&Kind| k.group == group && k.version == version && k.resource == resource;
        KINDS.iter().find(fits).copied()
    }

    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `deployments.apps`, or the bare resource of the core group.
    pub(crate) fn full_name(&self) -> String {
        if self.group.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}.{}", self.resource, self.group)
        }
    }

    /// Where all objects of the kind lie in a cluster.
    pub(crate) fn prefix(&self, uid: &str) -> String {
        format!("kube/{uid}/{}/", self.full_name())
    }

    pub(crate) fn key(&self, uid: &str, namespace: &str, name: &str) -> String {
        format!("kube/{uid}/{}/{namespace}/{name}", self.full_name())
    }

    /// Whether the API counts generations of the kind.
    pub(crate) fn has_generation(&self) -> bool {
        !self.group.is_empty() || self.resource == "pods"
    }
}
