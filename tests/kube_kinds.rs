//! Every typed kind of the Kubernetes provider at once: `tests/kinds/kinds.yaml` on a cluster of the sandbox.

use crate::kit::Stack;

pub(crate) const KINDS: &str = include_str!("kinds/kinds.yaml");

#[test]
fn every_kind_is_made_stays_and_goes() {
    let stack = Stack::of_spec("fastapi-eks").env("GROMA_SANDBOX", "1").file("kinds.yaml", KINDS);
    stack.ok(&["apply", "-auto-approve"]);
    let again = stack.run(&["plan", "-detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.stdout);
    let changed = stack.ok(&["apply", "-auto-approve", "-var", "tag=2"]);
    changed.says(&["0 added, 1 changed, 0 destroyed"]);
    for path in stack.files(".groma") {
        let is_ours = !path.to_string_lossy().contains("sandbox/world");
        let text = std::fs::read(&path).expect("a file");
        let found = text.windows(19).any(|w| w == b"canary-of-the-kinds");
        assert!(!(is_ours && found), "the secret is in {}", path.display());
    }
    stack.ok(&["destroy", "-auto-approve"]);
    let left: Vec<String> = stack.world().keys().filter(|k| k.contains("eks")).cloned().collect();
    assert!(left.is_empty(), "{left:?}");
}
