//! Whom a certificate is for: the distinguished name, and the other names.

use crate::kit::{invalid, problem, texts};
use groma_provider::{Problem, ProviderError};
use groma_types::schema::{Attribute, Block, NestedBlock};
use groma_types::{AttrPath, Type, Value};
use rcgen::string::{Ia5String, PrintableString};
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, SanType};
use std::net::IpAddr;

const NAMES: [(&str, &str); 9] = [
    ("common_name", "CN"),
    ("country", "C"),
    ("email_address", "1.2.840.113549.1.9.1"),
    ("locality", "L"),
    ("organization", "O"),
    ("organizational_unit", "OU"),
    ("postal_code", "PC"),
    ("province", "ST"),
    ("serial_number", "SERIALNUMBER"),
];

/// The block `subject` and the other names, which all replace.
pub(super) fn with_subject(block: Block) -> Block {
    let subject = NAMES.iter().fold(Block::new("The distinguished name."), |block, (name, short)| {
        let doc = format!("{short} of the name.");
        block.attr(name, Attribute::optional(Type::String, &doc).replaces())
    });
    let street =
        Attribute::optional(Type::list(Type::String), "STREET of the name; at most one line.").replaces();
    let list = |doc| Attribute::optional(Type::list(Type::String), doc).replaces();
    block
        .block("subject", NestedBlock::one(subject.attr("street_address", street)).replaces())
        .attr("dns_names", list("Host names."))
        .attr("ip_addresses", list("IP addresses."))
        .attr("uris", list("URIs."))
}

pub(super) fn check(config: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    for (i, text) in texts(config, "ip_addresses").iter().enumerate() {
        if text.parse::<IpAddr>().is_err() {
            let path = AttrPath::root().attr("ip_addresses").index(i);
            found.push(Problem { path, message: format!("{text:?} is not an IP address"), help: None });
        }
    }
    for name in ["dns_names", "uris"] {
        for text in texts(config, name).iter().filter(|t| !t.is_ascii() || t.is_empty()) {
            found
                .push(problem(name, format!("{text:?} must be ASCII and not empty (write an IDN as xn--…)")));
        }
    }
    let subject = config.get("subject").and_then(|s| s.at(0));
    let street = subject.and_then(|s| s.get("street_address")).and_then(Value::as_seq);
    if street.is_some_and(|lines| lines.len() > 1) {
        found.push(Problem {
            path: AttrPath::root().attr("subject").index(0).attr("street_address"),
            message: "street_address can have one line here".into(),
            help: Some("Write all of it as one line.".into()),
        });
    }
    found
}

fn value(text: &str) -> DnValue {
    match PrintableString::try_from(text) {
        Ok(text) => DnValue::PrintableString(text),
        Err(_) => DnValue::Utf8String(text.into()),
    }
}

/// The name in the order that Terraform's provider writes it.
fn name(config: &Value) -> Result<DistinguishedName, ProviderError> {
    let mut dn = DistinguishedName::new();
    let Some(subject) = config.get("subject").and_then(|s| s.at(0)) else { return Ok(dn) };
    let custom = |oid: &[u64]| DnType::CustomDnType(oid.to_vec());
    let order = [
        ("country", DnType::CountryName),
        ("organization", DnType::OrganizationName),
        ("organizational_unit", DnType::OrganizationalUnitName),
        ("locality", DnType::LocalityName),
        ("province", DnType::StateOrProvinceName),
        ("street_address", custom(&[2, 5, 4, 9])),
        ("postal_code", custom(&[2, 5, 4, 17])),
        ("common_name", DnType::CommonName),
        ("serial_number", custom(&[2, 5, 4, 5])),
    ];
    for (name, ty) in order {
        let text = subject.str_attr(name).or_else(|| texts(subject, name).first().copied());
        if let Some(text) = text.filter(|t| !t.is_empty()) {
            dn.push(ty, value(text));
        }
    }
    if let Some(email) = subject.str_attr("email_address").filter(|e| !e.is_empty()) {
        let text = Ia5String::try_from(email).map_err(|_| invalid("email_address must be ASCII"))?;
        dn.push(custom(&[1, 2, 840, 113_549, 1, 9, 1]), DnValue::Ia5String(text));
    }
    Ok(dn)
}

fn alternatives(config: &Value) -> Result<Vec<SanType>, ProviderError> {
    let ascii = |text: &str| {
        Ia5String::try_from(text)
            .map_err(|_| invalid(format!("{text:?} must be ASCII to be in a certificate")))
    };
    let mut names = Vec::new();
    for text in texts(config, "dns_names") {
        names.push(SanType::DnsName(ascii(text)?));
    }
    for text in texts(config, "ip_addresses") {
        let ip = text.parse().map_err(|_| invalid(format!("{text:?} is not an IP address")))?;
        names.push(SanType::IpAddress(ip));
    }
    for text in texts(config, "uris") {
        names.push(SanType::URI(ascii(text)?));
    }
    Ok(names)
}

/// What requests and certificates say of whom they are for; nothing else is set.
pub(super) fn params(config: &Value) -> Result<CertificateParams, ProviderError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(config)?;
    params.subject_alt_names = alternatives(config)?;
    Ok(params)
}
