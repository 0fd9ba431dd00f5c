//! Keys as OpenSSH has them.

use super::key::{Curve, Key, Parts, padded, pkcs8_ed25519, sec1};
use crate::digests;
use crate::kit::bug;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use dashu_int::UBig;
use groma_provider::ProviderError;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use ssh_key::private::KeypairData;
use ssh_key::{Algorithm, EcdsaCurve, LineEnding, PrivateKey};
use std::fmt::Display;

fn library(error: impl Display) -> ProviderError {
    bug(format!("the key has no form of OpenSSH: {error}"))
}

/// The public half, in words.
pub(super) struct Public {
    pub(super) line: String,
    pub(super) md5: String,
    pub(super) sha256: String,
}

impl Public {
    pub(super) fn of(parts: &Parts) -> Result<Public, ProviderError> {
        let key = private(parts)?;
        let public = key.public_key();
        let bytes = public.to_bytes().map_err(library)?;
        let md5: Vec<String> = digests::md5_raw(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        Ok(Public {
            line: format!("{}\n", public.to_openssh().map_err(library)?.trim_end()),
            md5: md5.join(":"),
            sha256: format!("SHA256:{}", STANDARD_NO_PAD.encode(sha256)),
        })
    }
}

/// The fields as they go over the wire, from which the library reads a key.
#[derive(Default)]
struct Wire(Vec<u8>);

impl Wire {
    fn bytes(mut self, bytes: &[u8]) -> Wire {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.0.extend(length.to_be_bytes());
        self.0.extend(bytes);
        self
    }

    /// A number that is not negative: without leading zeros, but with one where its first bit would be a sign.
    fn number(self, number: &[u8]) -> Wire {
        let start = number.iter().position(|b| *b != 0).unwrap_or(number.len());
        let mut bytes = number[start..].to_vec();
        if bytes.first().is_some_and(|b| b & 0x80 != 0) {
            bytes.insert(0, 0);
        }
        self.bytes(&bytes)
    }
}

fn private(parts: &Parts) -> Result<PrivateKey, ProviderError> {
    let wire = Wire::default();
    let (algorithm, wire) = match parts {
        Parts::Rsa { n, e, d, p, q, iqmp } => (
            Algorithm::Rsa { hash: None },
            wire.number(n).number(e).number(d).number(iqmp).number(p).number(q),
        ),
        Parts::Ecdsa { curve, public, private } => {
            let curve = match curve {
                Curve::P256 => EcdsaCurve::NistP256,
                Curve::P384 => EcdsaCurve::NistP384,
                Curve::P521 => EcdsaCurve::NistP521,
            };
            // As many bytes as the curve has: the library knows no shorter numbers.
            let wire = wire.bytes(curve.as_str().as_bytes()).bytes(public).bytes(private);
            (Algorithm::Ecdsa { curve }, wire)
        }
        Parts::Ed25519 { public, seed } => {
            (Algorithm::Ed25519, wire.bytes(public).bytes(&[seed.as_slice(), public].concat()))
        }
    };
    let data = KeypairData::decode_as(&mut wire.0.as_slice(), algorithm).map_err(library)?;
    PrivateKey::new(data, "").map_err(library)
}

pub(super) fn private_openssh(parts: &Parts) -> Result<String, ProviderError> {
    private(parts)?.to_openssh(LineEnding::LF).map(|text| text.to_string()).map_err(library)
}

/// The fields of a file, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.word()?).ok()?;
        self.take(length)
    }

    fn number(&mut self) -> Option<UBig> {
        self.bytes().map(UBig::from_be_bytes)
    }
}

const MAGIC: &[u8] = b"openssh-key-v1\0";

/// Reads a key in OpenSSH's own form, not encrypted. (The library's reader refuses ECDSA keys whose number begins with
/// zeros, as every second one on P521 does.)
pub(super) fn read(text: &str) -> Result<Key, String> {
    let block = pem::parse(text).map_err(|_| "it is not an OpenSSH key: it is not PEM")?;
    let broken = || "it is not an OpenSSH key: it breaks off, or its parts don't fit".to_string();
    let mut file = Fields(block.contents().strip_prefix(MAGIC).ok_or_else(broken)?);
    if file.bytes().ok_or_else(broken)? != b"none" {
        return Err("it is encrypted".into());
    }
    let secret = (|| {
        file.bytes()?;
        file.bytes()?;
        let is_one = file.word()? == 1;
        file.bytes()?;
        let mut secret = Fields(file.bytes()?);
        (is_one && secret.word()? == secret.word()?).then_some(secret)
    })();
    let mut secret = secret.ok_or_else(broken)?;
    let name = secret.bytes().ok_or_else(broken)?;
    let der = match name {
        b"ssh-rsa" => rsa(&mut secret).map(|der| PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der))),
        b"ssh-ed25519" => (|| {
            secret.bytes()?;
            let seed = secret.bytes()?.get(..32)?;
            Some(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8_ed25519(seed))))
        })(),
        b"ecdsa-sha2-nistp256" => ecdsa(Curve::P256, &mut secret),
        b"ecdsa-sha2-nistp384" => ecdsa(Curve::P384, &mut secret),
        b"ecdsa-sha2-nistp521" => ecdsa(Curve::P521, &mut secret),
        other => return Err(format!("keys of {} are not known here", String::from_utf8_lossy(other))),
    };
    Key::from_der(&der.ok_or_else(broken)?)
}

fn ecdsa(curve: Curve, fields: &mut Fields<'_>) -> Option<PrivateKeyDer<'static>> {
    fields.bytes()?;
    let public = fields.bytes()?;
    let number = fields.number()?.to_be_bytes();
    let der = sec1(Some(curve), public, &padded(curve, &number));
    Some(PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der)))
}

/// PKCS#1 from what OpenSSH keeps of a key.
fn rsa(fields: &mut Fields<'_>) -> Option<Vec<u8>> {
    let (n, e, d) = (fields.number()?, fields.number()?, fields.number()?);
    let (iqmp, p, q) = (fields.number()?, fields.number()?, fields.number()?);
    if p <= UBig::ONE || q <= UBig::ONE {
        return None;
    }
    let (dp, dq) = (&d % (&p - UBig::ONE), &d % (&q - UBig::ONE));
    Some(yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_u8(0);
            for number in [&n, &e, &d, &p, &q, &dp, &dq, &iqmp] {
                writer.next().write_bigint_bytes(&number.to_be_bytes(), true);
            }
        });
    }))
}
