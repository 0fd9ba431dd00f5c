//! Reads a request for a certificate: whom it names, its key, and that the key has signed it.

use aws_lc_rs::signature::{ECDSA_P521_SHA512_ASN1, UnparsedPublicKey};
use rcgen::string::{Ia5String, PrintableString};
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, SanType, SubjectPublicKeyInfo};
use std::net::IpAddr;
use x509_parser::asn1_rs::Tag;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

pub(super) struct Request {
    /// The names; what else is asked for is the CA's to say.
    pub(super) params: CertificateParams,
    pub(super) key: SubjectPublicKeyInfo,
    /// The bits of the key alone.
    pub(super) public: Vec<u8>,
}

/// # Errors
/// It is no request, its key has not signed it, or it asks for a name that can't be kept: why.
pub(super) fn read(text: &str) -> Result<Request, String> {
    let block = pem::parse(text).map_err(|e| format!("it is not PEM: {e}"))?;
    let (_, request) = X509CertificationRequest::from_der(block.contents()).map_err(|e| e.to_string())?;
    let info = &request.certification_request_info;
    let public = info.subject_pki.subject_public_key.data.to_vec();
    if request.verify_signature().is_err() && !is_signed_on_p521(block.contents(), &request, &public) {
        return Err("its key has not signed it".into());
    }
    let key = SubjectPublicKeyInfo::from_der(info.subject_pki.raw).map_err(|e| e.to_string())?;
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&info.subject)?;
    for extension in request.requested_extensions().into_iter().flatten() {
        if let ParsedExtension::SubjectAlternativeName(names) = extension {
            params.subject_alt_names =
                names.general_names.iter().map(alternative).collect::<Result<_, _>>()?;
        }
    }
    Ok(Request { params, key, public })
}

/// The reader of certificates does not know signatures on this curve.
fn is_signed_on_p521(der: &[u8], request: &X509CertificationRequest<'_>, public: &[u8]) -> bool {
    let signed = yasna::parse_ber(der, |reader| {
        reader.read_sequence(|reader| {
            let signed = reader.next().read_der()?;
            reader.next().read_der()?;
            reader.next().read_der()?;
            Ok(signed)
        })
    });
    let key = UnparsedPublicKey::new(&ECDSA_P521_SHA512_ASN1, public);
    signed.is_ok_and(|signed| key.verify(&signed, &request.signature_value.data).is_ok())
}

fn name(name: &X509Name<'_>) -> Result<DistinguishedName, String> {
    let mut dn = DistinguishedName::new();
    for attribute in name.iter_attributes() {
        let oid: Vec<u64> = attribute.attr_type().iter().map(Iterator::collect).unwrap_or_default();
        let ty = DnType::from_oid(&oid);
        let text = attribute.as_str().map_err(|e| format!("a part of its subject is no text: {e}"))?;
        if dn.get(&ty).is_some() {
            return Err(format!("its subject has {} twice", attribute.attr_type().to_id_string()));
        }
        let value = match attribute.attr_value().tag() {
            Tag::PrintableString => PrintableString::try_from(text).map(DnValue::PrintableString).ok(),
            Tag::Ia5String => Ia5String::try_from(text).map(DnValue::Ia5String).ok(),
            _ => None,
        };
        dn.push(ty, value.unwrap_or_else(|| DnValue::Utf8String(text.into())));
    }
    Ok(dn)
}

fn alternative(name: &GeneralName<'_>) -> Result<SanType, String> {
    let ascii = |text: &str| Ia5String::try_from(text).map_err(|e| e.to_string());
    Ok(match name {
        GeneralName::DNSName(text) => SanType::DnsName(ascii(text)?),
        GeneralName::RFC822Name(text) => SanType::Rfc822Name(ascii(text)?),
        GeneralName::URI(text) => SanType::URI(ascii(text)?),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let any = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            SanType::IpAddress(any.map_err(|_| "one of its IP addresses has a wrong length")?)
        }
        other => return Err(format!("it asks for a name of a kind that can't be given: {other}")),
    })
}
