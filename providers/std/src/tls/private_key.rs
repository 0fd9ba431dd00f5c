//! `tls_private_key`: a private key, kept in the state (sealed); as an ephemeral resource it is made in each run and kept
//! nowhere.

use super::key::{Curve, Key, RSA_BITS, Wanted};
use super::ssh;
use crate::kit::{Ephemeral, Host, Resource, bug, int, problem, text, with};
use groma_provider::{OpContext, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(super) struct PrivateKey;

const ALGORITHMS: [&str; 3] = ["RSA", "ECDSA", "ED25519"];
const CURVES: [&str; 4] = ["P224", "P256", "P384", "P521"];

/// The public attributes that keys have.
pub(super) fn with_public(block: Block) -> Block {
    [
        ("public_key_pem", "The public key in PEM."),
        ("public_key_openssh", "The public key as OpenSSH has it in authorized_keys."),
        ("public_key_fingerprint_md5", "MD5 of the public key as OpenSSH shows it."),
        ("public_key_fingerprint_sha256", "SHA-256 of the public key as OpenSSH shows it."),
        ("id", "SHA-1 of the public key."),
    ]
    .into_iter()
    .fold(block, |block, (name, doc)| block.attr(name, Attribute::computed(Type::String, doc)))
}

fn wanted(planned: &Value) -> Result<Wanted, ProviderError> {
    Ok(match (text(planned, "algorithm"), text(planned, "ecdsa_curve")) {
        ("RSA", _) => Wanted::Rsa(int(planned, "rsa_bits").unwrap_or(2048)),
        ("ECDSA", "P256") => Wanted::Ecdsa(Curve::P256),
        ("ECDSA", "P384") => Wanted::Ecdsa(Curve::P384),
        ("ECDSA", "P521") => Wanted::Ecdsa(Curve::P521),
        ("ED25519", _) => Wanted::Ed25519,
        (algorithm, curve) => {
            let message = format!("a key of {algorithm} on {curve} can't be made here");
            return Err(crate::kit::invalid(message).help(P224_HELP));
        }
    })
}

const P224_HELP: &str = "Write ecdsa_curve: P256. P224, which Terraform takes if nothing is said, is refused by today's TLS \
                         libraries, ours among them.";

fn faults(config: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    let algorithm = config.str_attr("algorithm");
    if let Some(name) = algorithm.filter(|a| !ALGORITHMS.contains(a)) {
        found.push(problem("algorithm", format!("algorithm must be RSA, ECDSA or ED25519, got {name:?}")));
    }
    let curve = config.str_attr("ecdsa_curve");
    if let Some(name) = curve.filter(|c| !CURVES.contains(c)) {
        found.push(problem("ecdsa_curve", format!("ecdsa_curve must be P256, P384 or P521, got {name:?}")));
    }
    if algorithm == Some("ECDSA") && curve == Some("P224") {
        found.push(Problem {
            help: Some(P224_HELP.into()),
            ..problem("ecdsa_curve", "a key on the curve P224 can't be made here")
        });
    }
    let bits = config.get("rsa_bits").filter(|_| algorithm == Some("RSA")).and_then(Value::as_number);
    if let Some(bits) = bits.filter(|b| b.to_i64().is_none_or(|b| !RSA_BITS.contains(&b))) {
        found.push(problem("rsa_bits", format!("rsa_bits must be 2048, 3072, 4096 or 8192, got {bits}")));
    }
    found
}

/// The arguments with the attributes of a new key.
fn made(host: &Host, args: &Value) -> Result<Value, ProviderError> {
    let wanted = wanted(args)?;
    let key = Key::generate(wanted, &*host.env.entropy)?;
    let secret = [
        ("private_key_pem", Value::from(key.private_pem()?)),
        ("private_key_pem_pkcs8", key.pkcs8_pem()?.into()),
        ("private_key_openssh", ssh::private_openssh(&key.parts()?)?.into()),
    ];
    let made = with(&with(args, secret), key.public_attributes()?);
    // A key that can't be read back would be found out only when it is used.
    match Key::from_pem(text(&made, "private_key_pem")) {
        Ok(again) if again.id() == key.id() => Ok(made),
        _ => Err(bug("the key that was made can't be read")),
    }
}

#[async_trait]
impl Ephemeral for PrivateKey {
    fn schema(&self) -> KindSchema {
        let mut schema = Resource::schema(self);
        schema.block.doc = "A private key that is made anew in each run.".into();
        schema.block.attrs.remove("id");
        for attribute in schema.block.attrs.values_mut() {
            attribute.forces_replacement = false;
        }
        schema
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        faults(config)
    }

    async fn open(&self, host: &Host, args: &Value) -> Result<Value, ProviderError> {
        made(host, args)
    }
}

#[async_trait]
impl Resource for PrivateKey {
    fn schema(&self) -> KindSchema {
        let secret = |doc| Attribute::computed(Type::String, doc).sensitive();
        let block = Block::new("A private key. It is part of the state, where it is sealed.")
            .attr("algorithm", Attribute::required(Type::String, "RSA, ECDSA or ED25519.").replaces())
            .attr(
                "rsa_bits",
                Attribute::optional(Type::Number, "Size of an RSA key: 2048, 3072, 4096 or 8192.")
                    .default(2048_i64)
                    .replaces(),
            )
            .attr(
                "ecdsa_curve",
                Attribute::optional(
                    Type::String,
                    "Curve of an ECDSA key: P256, P384 or P521; must be given for ECDSA.",
                )
                .default("P224")
                .replaces(),
            )
            .attr(
                "private_key_pem",
                secret("The key in PEM: PKCS#1 for RSA, SEC 1 for ECDSA, PKCS#8 for ED25519."),
            )
            .attr("private_key_pem_pkcs8", secret("The key in PEM, in PKCS#8."))
            .attr("private_key_openssh", secret("The key as OpenSSH has it in a file."));
        KindSchema::new("tls_private_key", "tls", with_public(block))
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        faults(config)
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        made(host, planned)
    }
}
