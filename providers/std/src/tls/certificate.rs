//! Data source `tls_certificate`: what certificates say, those of an address or given ones.

use super::{dial, pem};
use crate::digests;
use crate::kit::{Data, Host, exactly_one, flag, invalid, text, with};
use groma_provider::{Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{AttrPath, ObjectType, Type, Value};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

pub(super) struct Certificate;

fn element() -> Type {
    let text = || Type::String;
    let attrs = [
        ("cert_pem", text()),
        ("is_ca", Type::Bool),
        ("issuer", text()),
        ("not_after", text()),
        ("not_before", text()),
        ("public_key_algorithm", text()),
        ("serial_number", text()),
        ("sha1_fingerprint", text()),
        ("signature_algorithm", text()),
        ("subject", text()),
        ("version", Type::Number),
    ];
    let attrs = attrs.into_iter().map(|(name, ty)| (name.into(), ty)).collect();
    Type::Object(Arc::new(ObjectType { attrs, optional: Default::default() }))
}

#[async_trait]
impl Data for Certificate {
    fn schema(&self) -> KindSchema {
        let block = Block::new("What the certificates of an address, or given ones, say.")
            .attr("url", Attribute::optional(Type::String, "The address: https://host or tls://host:port."))
            .attr("content", Attribute::optional(Type::String, "Certificates in PEM, instead of an address."))
            .attr(
                "verify_chain",
                Attribute::optional(Type::Bool, "The address must prove itself by them.").default(true),
            )
            .attr(
                "certificates",
                Attribute::computed(
                    Type::list(element()),
                    "The certificates; of an address the one next to the root first.",
                ),
            )
            .attr("id", Attribute::computed(Type::String, "SHA-1 of all of them."));
        KindSchema::new("tls_certificate", "tls", block)
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        exactly_one(config, &["content", "url"])
    }

    async fn read(&self, host: &Host, config: &Value) -> Result<Option<Value>, ProviderError> {
        let (name, chain) = match config.str_attr("content") {
            Some(content) => {
                let blocks =
                    ::pem::parse_many(content).map_err(|e| invalid(format!("content is not PEM: {e}")))?;
                ("content", blocks.into_iter().map(::pem::Pem::into_contents).collect())
            }
            None => {
                let verify = flag(config, "verify_chain") != Some(false);
                let mut chain = dial::certificates(&host.env, text(config, "url"), verify).await?;
                chain.reverse();
                ("url", chain)
            }
        };
        let at = || AttrPath::root().attr(name);
        if chain.is_empty() {
            return Err(invalid(format!("{name} gives no certificate")).at(at()));
        }
        let described: Result<Vec<Value>, String> = chain.iter().map(|der| describe(der)).collect();
        let described =
            described.map_err(|e| invalid(format!("a certificate can't be read: {e}")).at(at()))?;
        let id = digests::sha1(&chain.concat());
        Ok(Some(with(config, [("certificates", Value::list(element(), described)), ("id", id.into())])))
    }
}

pub(super) fn describe(der: &[u8]) -> Result<Value, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|e| e.to_string())?;
    let moment = |at: &x509_parser::time::ASN1Time| {
        jiff::Timestamp::from_second(at.timestamp()).map(|t| t.to_string()).map_err(|e| e.to_string())
    };
    let validity = certificate.validity();
    let serial = dashu_int::UBig::from_be_bytes(&certificate.serial.to_bytes_be()).to_string();
    Ok(Value::object([
        ("cert_pem", pem("CERTIFICATE", der).into()),
        ("is_ca", certificate.is_ca().into()),
        ("issuer", name(certificate.issuer()).into()),
        ("not_after", moment(&validity.not_after)?.into()),
        ("not_before", moment(&validity.not_before)?.into()),
        (
            "public_key_algorithm",
            public_algorithm(&certificate.public_key().algorithm.algorithm.to_id_string()).into(),
        ),
        ("serial_number", serial.into()),
        ("sha1_fingerprint", digests::sha1(der).into()),
        ("signature_algorithm", signature(&certificate.signature_algorithm.algorithm.to_id_string()).into()),
        ("subject", name(certificate.subject()).into()),
        ("version", Value::from(i64::from(certificate.version().0) + 1)),
    ]))
}

fn public_algorithm(oid: &str) -> &str {
    match oid {
        "1.2.840.113549.1.1.1" => "RSA",
        "1.2.840.10045.2.1" => "ECDSA",
        "1.3.101.112" => "Ed25519",
        "1.2.840.10040.4.1" => "DSA",
        other => other,
    }
}

/// The names that Terraform's provider has for them.
fn signature(oid: &str) -> &str {
    match oid {
        "1.2.840.113549.1.1.5" => "SHA1-RSA",
        "1.2.840.113549.1.1.11" => "SHA256-RSA",
        "1.2.840.113549.1.1.12" => "SHA384-RSA",
        "1.2.840.113549.1.1.13" => "SHA512-RSA",
        "1.2.840.10045.4.1" => "ECDSA-SHA1",
        "1.2.840.10045.4.3.2" => "ECDSA-SHA256",
        "1.2.840.10045.4.3.3" => "ECDSA-SHA384",
        "1.2.840.10045.4.3.4" => "ECDSA-SHA512",
        "1.3.101.112" => "Ed25519",
        other => other,
    }
}

/// A distinguished name as RFC 2253 writes it: the last part first.
fn name(name: &X509Name<'_>) -> String {
    let part = |oid: &str| {
        Some(match oid {
            "2.5.4.3" => "CN",
            "2.5.4.5" => "SERIALNUMBER",
            "2.5.4.6" => "C",
            "2.5.4.7" => "L",
            "2.5.4.8" => "ST",
            "2.5.4.9" => "STREET",
            "2.5.4.10" => "O",
            "2.5.4.11" => "OU",
            "2.5.4.17" => "POSTALCODE",
            _ => return None,
        })
    };
    let mut words: Vec<String> = Vec::new();
    for relative in name.iter_rdn() {
        let pairs = relative.iter().map(|pair| {
            let oid = pair.attr_type().to_id_string();
            match (part(&oid), pair.as_str()) {
                (Some(short), Ok(text)) => format!("{short}={}", escaped(text)),
                _ => format!("{oid}=#{}", digests::hex(pair.attr_value().data)),
            }
        });
        words.push(pairs.collect::<Vec<_>>().join("+"));
    }
    words.reverse();
    words.join(",")
}

fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        let special = ",+\"\\<>;".contains(c) || (c == ' ' && (i == 0 || i == last)) || (c == '#' && i == 0);
        if special {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
