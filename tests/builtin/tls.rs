//! Keys and certificates.

use super::{APPLY, DESTROY};
use crate::kit::Stack;

const TLS: &str = r#"
variable:
  names: { type: list(string), default: [localhost] }
resource:
  tls_private_key:
    ca: { algorithm: ECDSA, ecdsa_curve: P384 }
    leaf: { algorithm: ED25519 }
    rsa: { algorithm: RSA }
  tls_self_signed_cert:
    ca:
      private_key_pem: "${tls_private_key.ca.private_key_pem}"
      subject: { common_name: Root, organization: Us }
      validity_period_hours: 1000
      allowed_uses: [cert_signing]
      is_ca_certificate: true
  tls_cert_request:
    leaf:
      private_key_pem: "${tls_private_key.leaf.private_key_pem}"
      subject: { common_name: leaf }
      dns_names: "${var.names}"
  tls_locally_signed_cert:
    leaf:
      cert_request_pem: "${tls_cert_request.leaf.cert_request_pem}"
      ca_private_key_pem: "${tls_private_key.ca.private_key_pem}"
      ca_cert_pem: "${tls_self_signed_cert.ca.cert_pem}"
      validity_period_hours: 100
      allowed_uses: [digital_signature, server_auth]
data:
  tls_public_key:
    pem: { private_key_pem: "${tls_private_key.rsa.private_key_pem}" }
    ssh: { private_key_openssh: "${tls_private_key.rsa.private_key_openssh}" }
  tls_certificate:
    leaf: { content: "${tls_locally_signed_cert.leaf.cert_pem}" }
output:
  same: { value: "${data.tls_public_key.pem.id == tls_private_key.rsa.id && data.tls_public_key.ssh.id == tls_private_key.rsa.id}" }
  issuer: { value: "${data.tls_certificate.leaf.certificates[0].issuer}" }
  ssh: { value: "${tls_private_key.rsa.public_key_openssh}" }
  serial: { value: "${tls_locally_signed_cert.leaf.id}" }
"#;

#[test]
fn a_chain_is_made_kept_and_changed_with_its_names() {
    let stack = Stack::new().file("main.yaml", TLS);
    stack.ok(&["plan"]).says(&["Plan: 6 to add", "(sensitive value)"]);
    stack.settle().says_not(&["PRIVATE KEY"]);
    stack.ok(&["show"]).says_not(&["PRIVATE KEY"]).says(&["BEGIN PUBLIC KEY"]);
    assert_eq!(stack.output("same"), true);
    assert_eq!((stack.text("issuer"), &stack.text("ssh")[..8]), ("CN=Root,O=Us".into(), "ssh-rsa "));
    let serial = stack.text("serial");
    // Other names: another request, another certificate, and the same keys.
    let other = ["-var", "names=[\"other\"]"];
    stack.ok(&[APPLY, &other].concat()).says(&["2 added, 0 changed, 2 destroyed"]);
    assert_ne!(stack.text("serial"), serial);
    for file in stack.files(".groma") {
        let bytes = std::fs::read(&file).expect("a file");
        let found = bytes.windows(11).any(|w| w == b"PRIVATE KEY");
        assert!(!found, "{} holds a key", file.display());
    }
    stack.ok(DESTROY).says(&["6 destroyed"]);
}

#[test]
fn a_certificate_whose_time_is_over_is_replaced() {
    let spec = r#"
resource:
  tls_private_key: { it: { algorithm: ED25519 } }
  tls_self_signed_cert:
    it:
      private_key_pem: "${tls_private_key.it.private_key_pem}"
      validity_period_hours: 2
      early_renewal_hours: EARLY
      allowed_uses: [digital_signature]
"#;
    let stack = Stack::new().file("main.yaml", &spec.replace("EARLY", "1"));
    stack.settle();
    stack.write("main.yaml", &spec.replace("EARLY", "0"));
    stack.ok(APPLY).says(&["0 added, 1 changed, 0 destroyed"]);
    stack.write("main.yaml", &spec.replace("EARLY", "3"));
    stack.ok(APPLY).says(&["0 added, 1 changed, 0 destroyed"]);
    stack.run(&["plan", "-detailed-exitcode"]).must(2).says(&["1 to add, 0 to change, 1 to destroy"]);
}

#[test]
fn what_no_key_or_certificate_can_be_is_told() {
    let check = |body: &str, words: &[&str]| {
        let spec = format!("resource:\n  {body}\n");
        Stack::new().file("main.yaml", &spec).run(&["plan"]).must(1).says(words).says(&["main.yaml:2:"]);
    };
    check("tls_private_key: { it: { algorithm: DSA } }", &["RSA, ECDSA or ED25519"]);
    check("tls_private_key: { it: { algorithm: RSA, rsa_bits: 1024 } }", &["2048, 3072, 4096 or 8192"]);
    check("tls_private_key: { it: { algorithm: ECDSA } }", &["P224", "Write ecdsa_curve: P256"]);
    let cert = |rest: &str| {
        format!("tls_self_signed_cert: {{ it: {{ private_key_pem: x, validity_period_hours: 1, {rest} }} }}")
    };
    check(&cert("allowed_uses: [server_aut]"), &["\"server_aut\" is not a use", "server_auth"]);
    check(&cert("allowed_uses: [], ip_addresses: [a.b]"), &["not an IP address"]);
    let stack = Stack::new().file("main.yaml", &format!("resource:\n  {}\n", cert("allowed_uses: []")));
    stack.run(APPLY).must(1).says(&["private_key_pem can't be read"]);
    let far = "data:\n  tls_certificate: { it: { url: \"https://example.com\" } }\n";
    let stack = Stack::new().file("main.yaml", far);
    stack.run(&["plan", "-sandbox"]).must(1).says(&["not an address of the sandbox", "main.yaml:2:"]);
}
