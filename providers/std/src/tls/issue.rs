//! What certificates have in common: uses, constraints, serial numbers, moments.

use super::key::Key;
use super::validity::Validity;
use crate::digests;
use crate::kit::{bug, flag, int, invalid, problem, texts};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use groma_provider::{Entropy, Problem, ProviderError};
use groma_types::schema::{Attribute, Block};
use groma_types::{AttrPath, Timestamp, Type, Value};
use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, KeyUsagePurpose, SerialNumber};
use std::fmt::Display;
use std::time::Duration;

const BASIC_CONSTRAINTS: [u64; 4] = [2, 5, 29, 19];
const SUBJECT_KEY_ID: [u64; 4] = [2, 5, 29, 14];
const AUTHORITY_KEY_ID: [u64; 4] = [2, 5, 29, 35];

#[derive(Clone)]
enum Use {
    Key(KeyUsagePurpose),
    Extended(ExtendedKeyUsagePurpose),
}

fn uses() -> Vec<(&'static str, Use)> {
    use ExtendedKeyUsagePurpose as E;
    use KeyUsagePurpose as K;
    let other = |oid: &[u64]| Use::Extended(E::Other(oid.to_vec()));
    vec![
        ("any_extended", Use::Extended(E::Any)),
        ("cert_signing", Use::Key(K::KeyCertSign)),
        ("client_auth", Use::Extended(E::ClientAuth)),
        ("code_signing", Use::Extended(E::CodeSigning)),
        ("content_commitment", Use::Key(K::ContentCommitment)),
        ("crl_signing", Use::Key(K::CrlSign)),
        ("data_encipherment", Use::Key(K::DataEncipherment)),
        ("decipher_only", Use::Key(K::DecipherOnly)),
        ("digital_signature", Use::Key(K::DigitalSignature)),
        ("email_protection", Use::Extended(E::EmailProtection)),
        ("encipher_only", Use::Key(K::EncipherOnly)),
        ("ipsec_end_system", other(&[1, 3, 6, 1, 5, 5, 7, 3, 5])),
        ("ipsec_tunnel", other(&[1, 3, 6, 1, 5, 5, 7, 3, 6])),
        ("ipsec_user", other(&[1, 3, 6, 1, 5, 5, 7, 3, 7])),
        ("key_agreement", Use::Key(K::KeyAgreement)),
        ("key_encipherment", Use::Key(K::KeyEncipherment)),
        ("microsoft_commercial_code_signing", other(&[1, 3, 6, 1, 4, 1, 311, 2, 1, 22])),
        ("microsoft_kernel_code_signing", other(&[1, 3, 6, 1, 4, 1, 311, 61, 1, 1])),
        ("microsoft_server_gated_crypto", other(&[1, 3, 6, 1, 4, 1, 311, 10, 3, 3])),
        ("netscape_server_gated_crypto", other(&[2, 16, 840, 1, 113_730, 4, 1])),
        ("ocsp_signing", Use::Extended(E::OcspSigning)),
        ("server_auth", Use::Extended(E::ServerAuth)),
        ("timestamping", Use::Extended(E::TimeStamping)),
    ]
}

/// The arguments that every certificate has.
pub(super) fn with_constraints(block: Block) -> Block {
    let off = |doc| Attribute::optional(Type::Bool, doc).default(false).replaces();
    let names: Vec<&str> = uses().into_iter().map(|(name, _)| name).collect();
    let doc = format!("What its key may be used for: {}.", names.join(", "));
    block
        .attr("allowed_uses", Attribute::required(Type::list(Type::String), &doc).replaces())
        .attr("is_ca_certificate", off("It is a CA's: it may sign others."))
        .attr(
            "max_path_length",
            Attribute::optional(Type::Number, "How many CAs may stand below this one; -1: any number.")
                .default(-1_i64)
                .replaces(),
        )
        .attr("set_subject_key_id", off("It has a subject key identifier."))
        .attr("cert_pem", Attribute::computed(Type::String, "The certificate in PEM."))
        .attr("id", Attribute::computed(Type::String, "Its serial number."))
}

pub(super) fn check(config: &Value) -> Vec<Problem> {
    let known = uses();
    let mut found = crate::kit::at_least(config, &[("max_path_length", -1)]);
    for (i, name) in texts(config, "allowed_uses").into_iter().enumerate() {
        if !known.iter().any(|(n, _)| *n == name) {
            let near = groma_types::diagnostic::nearest(name, known.iter().map(|(n, _)| *n));
            let path = AttrPath::root().attr("allowed_uses").index(i);
            let help = near.map(|n| format!("Did you mean {n:?}?"));
            found.push(Problem { path, message: format!("{name:?} is not a use of a key"), help });
        }
    }
    if int(config, "max_path_length").is_some_and(|n| n > 255) {
        found.push(problem("max_path_length", "max_path_length must be at most 255"));
    }
    found
}

pub(super) fn failed(error: impl Display) -> ProviderError {
    invalid(format!("the certificate can't be made: {error}"))
}

/// Reads the private key of an argument.
pub(super) fn key(planned: &Value, name: &str) -> Result<Key, ProviderError> {
    Key::from_pem(planned.str_attr(name).unwrap_or_default())
        .map_err(|why| invalid(format!("{name} can't be read: {why}")).at(AttrPath::root().attr(name)))
}

fn extension(oid: &[u64], content: Vec<u8>, critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, content);
    extension.set_criticality(critical);
    extension
}

/// SHA-1 of the public key's bits, as RFC 5280 proposes.
pub(super) fn key_id(public: &[u8]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, public).as_ref().to_vec()
}

fn subject_key_id(id: &[u8]) -> CustomExtension {
    extension(&SUBJECT_KEY_ID, yasna::construct_der(|w| w.write_bytes(id)), false)
}

pub(super) fn authority_key_id(id: &[u8]) -> CustomExtension {
    let content = yasna::construct_der(|w| {
        w.write_sequence(|w| w.next().write_tagged_implicit(yasna::Tag::context(0), |w| w.write_bytes(id)));
    });
    extension(&AUTHORITY_KEY_ID, content, false)
}

/// Whether the certificate is a CA's, and how long a chain below it may be.
fn basic_constraints(planned: &Value) -> CustomExtension {
    let is_ca = flag(planned, "is_ca_certificate") == Some(true);
    let length = int(planned, "max_path_length").and_then(|n| u8::try_from(n).ok()).filter(|_| is_ca);
    let content = yasna::construct_der(|w| {
        w.write_sequence(|w| {
            if is_ca {
                w.next().write_bool(true);
            }
            if let Some(length) = length {
                w.next().write_u8(length);
            }
        });
    });
    extension(&BASIC_CONSTRAINTS, content, true)
}

fn moment(at: Timestamp) -> Result<Duration, ProviderError> {
    // Moments of certificates end with the year 9999.
    const LAST: i64 = 253_402_300_799_000;
    let millis = u64::try_from(at.0).ok().filter(|_| at.0 <= LAST);
    millis
        .map(Duration::from_millis)
        .ok_or_else(|| invalid("the validity leaves the calendar of certificates"))
}

/// Fills in what does not depend on who signs. `public`: the bits of the key that the certificate is for. Returns the
/// id: the serial number.
pub(super) fn fill(
    params: &mut CertificateParams,
    planned: &Value,
    public: &[u8],
    validity: &Validity,
    entropy: &dyn Entropy,
) -> Result<String, ProviderError> {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + moment(validity.start)?;
    params.not_after = epoch + moment(validity.end)?;
    let mut serial = [0; 16];
    entropy.fill(&mut serial);
    // Positive, and as many bytes whatever is drawn.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let known = uses();
    (params.key_usages, params.extended_key_usages) = (Vec::new(), Vec::new());
    for name in texts(planned, "allowed_uses") {
        let found =
            known.iter().find(|(n, _)| *n == name).ok_or_else(|| bug(format!("{name} was not checked")))?;
        match found.1.clone() {
            Use::Key(usage) if !params.key_usages.contains(&usage) => params.key_usages.push(usage),
            Use::Extended(usage) => params.insert_extended_key_usage(usage),
            Use::Key(_) => {}
        }
    }
    params.custom_extensions.push(basic_constraints(planned));
    let is_ca = flag(planned, "is_ca_certificate") == Some(true);
    if is_ca || flag(planned, "set_subject_key_id") == Some(true) {
        params.custom_extensions.push(subject_key_id(&key_id(public)));
    }
    Ok(dashu_int::UBig::from_be_bytes(&serial).to_string())
}

/// SHA-1 of bytes, as an id.
pub(super) fn id_of(der: &[u8]) -> String {
    digests::sha1(der)
}
