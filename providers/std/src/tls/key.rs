//! Private keys: made, read, and written in each form that tools want.

use super::pem;
use crate::digests;
use crate::kit::{bug, invalid};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
};
use groma_provider::{Entropy, ProviderError};
use groma_types::Value;
use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fmt::Display;
use yasna::models::ObjectIdentifier;
use yasna::{ASN1Result, Tag};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rsa,
    Ecdsa(Curve),
    Ed25519,
}

impl Algorithm {
    pub(super) fn name(self) -> &'static str {
        match self {
            Algorithm::Rsa => "RSA",
            Algorithm::Ecdsa(_) => "ECDSA",
            Algorithm::Ed25519 => "ED25519",
        }
    }
}

/// What a key is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Rsa(i64),
    Ecdsa(Curve),
    Ed25519,
}

/// Sizes of RSA keys that can be made.
pub(super) const RSA_BITS: [i64; 4] = [2048, 3072, 4096, 8192];

/// A private key. Holds a secret: it is never shown and has no `Debug`.
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pair: KeyPair,
}

/// The parts of a key that files in other forms are made of, as unsigned numbers or bytes.
pub(super) enum Parts {
    Rsa { n: Vec<u8>, e: Vec<u8>, d: Vec<u8>, p: Vec<u8>, q: Vec<u8>, iqmp: Vec<u8> },
    Ecdsa { curve: Curve, public: Vec<u8>, private: Vec<u8> },
    Ed25519 { public: Vec<u8>, seed: Vec<u8> },
}

fn library(error: impl Display) -> ProviderError {
    bug(format!("the crypto library fails: {error}"))
}

impl Key {
    pub(super) fn generate(wanted: Wanted, entropy: &dyn Entropy) -> Result<Key, ProviderError> {
        let random = SystemRandom::new();
        let ecdsa = |curve| EcdsaKeyPair::generate_pkcs8(curve, &random).map(|d| d.as_ref().to_vec());
        let pkcs8 = match wanted {
            Wanted::Rsa(bits) => {
                let size = match bits {
                    2048 => KeySize::Rsa2048,
                    3072 => KeySize::Rsa3072,
                    4096 => KeySize::Rsa4096,
                    8192 => KeySize::Rsa8192,
                    _ => return Err(invalid(format!("an RSA key of {bits} bits can't be made"))),
                };
                let pair = RsaKeyPair::generate(size).map_err(library)?;
                AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(library)?.as_ref().to_vec()
            }
            Wanted::Ecdsa(Curve::P256) => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(library)?,
            Wanted::Ecdsa(Curve::P384) => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING).map_err(library)?,
            Wanted::Ecdsa(Curve::P521) => ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING).map_err(library)?,
            Wanted::Ed25519 => {
                let mut seed = [0; 32];
                entropy.fill(&mut seed);
                let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(library)?;
                pair.to_pkcs8v1().map_err(library)?.as_ref().to_vec()
            }
        };
        Key::from_der(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8))).map_err(library)
    }

    /// Reads a key in PEM: PKCS#1, SEC 1 or PKCS#8, not encrypted.
    pub(super) fn from_pem(text: &str) -> Result<Key, String> {
        let block = ::pem::parse(text).map_err(|e| format!("it is not PEM: {e}"))?;
        if block.tag().contains("ENCRYPTED") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err("it is encrypted".into());
        }
        let bytes = block.contents();
        let der = PrivateKeyDer::try_from(bytes)
            .map_err(|_| format!("a PEM block {:?} is no private key", block.tag()))?;
        Key::from_der(&der)
    }

    pub(super) fn from_der(der: &PrivateKeyDer<'_>) -> Result<Key, String> {
        use rcgen::{
            PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
            PKCS_RSA_SHA256,
        };
        let known = [
            (Algorithm::Ed25519, &PKCS_ED25519),
            (Algorithm::Ecdsa(Curve::P256), &PKCS_ECDSA_P256_SHA256),
            (Algorithm::Ecdsa(Curve::P384), &PKCS_ECDSA_P384_SHA384),
            (Algorithm::Ecdsa(Curve::P521), &PKCS_ECDSA_P521_SHA512),
            (Algorithm::Rsa, &PKCS_RSA_SHA256),
        ];
        let mut found = known.into_iter().filter_map(|(algorithm, signature)| {
            let pair = KeyPair::from_der_and_sign_algo(der, signature).ok()?;
            Some(Key { algorithm, pair })
        });
        found.next().ok_or_else(|| {
            "it is no RSA key of 2048 bits or more, no ECDSA key of P256, P384 or P521 and no Ed25519 key"
                .into()
        })
    }

    pub(super) fn pair(&self) -> &KeyPair {
        &self.pair
    }

    /// The public key's bits alone.
    pub(super) fn public_raw(&self) -> &[u8] {
        self.pair.public_key_raw()
    }

    fn public_der(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    pub(super) fn public_pem(&self) -> String {
        pem("PUBLIC KEY", self.public_der())
    }

    pub(super) fn id(&self) -> String {
        digests::sha1(&self.public_der())
    }

    pub(super) fn parts(&self) -> Result<Parts, ProviderError> {
        let der = self.pair.serialized_der();
        match self.algorithm {
            Algorithm::Rsa => rsa_parts(&pkcs1_of(der)).map_err(library),
            Algorithm::Ecdsa(curve) => {
                let private = inner(der).unwrap_or_else(|_| der.to_vec());
                let private = ec_private(&private).map_err(library)?;
                Ok(Parts::Ecdsa {
                    curve,
                    public: self.public_raw().to_vec(),
                    private: padded(curve, &private),
                })
            }
            Algorithm::Ed25519 => {
                let seed =
                    inner(der).and_then(|i| yasna::parse_der(&i, |r| r.read_bytes())).map_err(library)?;
                Ok(Parts::Ed25519 { public: self.public_raw().to_vec(), seed })
            }
        }
    }

    /// The form that belongs to the algorithm: PKCS#1, SEC 1, or PKCS#8 for Ed25519.
    pub(super) fn private_pem(&self) -> Result<String, ProviderError> {
        Ok(match self.parts()? {
            Parts::Rsa { .. } => pem("RSA PRIVATE KEY", pkcs1_of(self.pair.serialized_der())),
            Parts::Ecdsa { curve, public, private } => {
                pem("EC PRIVATE KEY", sec1(Some(curve), &public, &private))
            }
            Parts::Ed25519 { seed, .. } => pem("PRIVATE KEY", pkcs8_ed25519(&seed)),
        })
    }

    pub(super) fn pkcs8_pem(&self) -> Result<String, ProviderError> {
        let der = match self.parts()? {
            Parts::Rsa { .. } => {
                pkcs8(&[1, 2, 840, 113_549, 1, 1, 1], None, &pkcs1_of(self.pair.serialized_der()))
            }
            Parts::Ecdsa { curve, public, private } => {
                pkcs8(&[1, 2, 840, 10045, 2, 1], Some(oid(curve)), &sec1(None, &public, &private))
            }
            Parts::Ed25519 { seed, .. } => pkcs8_ed25519(&seed),
        };
        Ok(pem("PRIVATE KEY", der))
    }

    /// The public attributes, as `tls_private_key` and `tls_public_key` have them.
    pub(super) fn public_attributes(&self) -> Result<[(&'static str, Value); 5], ProviderError> {
        let ssh = super::ssh::Public::of(&self.parts()?)?;
        Ok([
            ("public_key_pem", self.public_pem().into()),
            ("public_key_openssh", ssh.line.into()),
            ("public_key_fingerprint_md5", ssh.md5.into()),
            ("public_key_fingerprint_sha256", ssh.sha256.into()),
            ("id", self.id().into()),
        ])
    }
}

fn oid(curve: Curve) -> &'static [u64] {
    match curve {
        Curve::P256 => &[1, 2, 840, 10045, 3, 1, 7],
        Curve::P384 => &[1, 3, 132, 0, 34],
        Curve::P521 => &[1, 3, 132, 0, 35],
    }
}

/// The key inside of PKCS#8.
fn inner(pkcs8: &[u8]) -> ASN1Result<Vec<u8>> {
    yasna::parse_ber(pkcs8, |reader| {
        reader.read_sequence(|reader| {
            reader.next().read_u8()?;
            reader.next().read_der()?;
            let key = reader.next().read_bytes()?;
            // Attributes and the public key may follow.
            while reader.read_optional(|r| r.read_der())?.is_some() {}
            Ok(key)
        })
    })
}

/// PKCS#1, whether the key was read in it or in PKCS#8.
fn pkcs1_of(der: &[u8]) -> Vec<u8> {
    inner(der).unwrap_or_else(|_| der.to_vec())
}

fn rsa_parts(pkcs1: &[u8]) -> ASN1Result<Parts> {
    yasna::parse_der(pkcs1, |reader| {
        reader.read_sequence(|reader| {
            reader.next().read_u8()?;
            let mut number = || reader.next().read_bigint_bytes().map(|(bytes, _)| bytes);
            let (n, e, d, p, q) = (number()?, number()?, number()?, number()?, number()?);
            let (_dp, _dq, iqmp) = (number()?, number()?, number()?);
            Ok(Parts::Rsa { n, e, d, p, q, iqmp })
        })
    })
}

fn ec_private(sec1: &[u8]) -> ASN1Result<Vec<u8>> {
    yasna::parse_ber(sec1, |reader| {
        reader.read_sequence(|reader| {
            reader.next().read_u8()?;
            let key = reader.next().read_bytes()?;
            while reader.read_optional(|r| r.read_der())?.is_some() {}
            Ok(key)
        })
    })
}

/// A private number of a curve has as many bytes as the curve's field.
pub(super) fn padded(curve: Curve, number: &[u8]) -> Vec<u8> {
    let size = match curve {
        Curve::P256 => 32,
        Curve::P384 => 48,
        Curve::P521 => 66,
    };
    let mut bytes = vec![0; size - number.len().min(size)];
    bytes.extend(number);
    bytes
}

pub(super) fn sec1(curve: Option<Curve>, public: &[u8], private: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_u8(1);
            writer.next().write_bytes(private);
            if let Some(curve) = curve {
                let oid = ObjectIdentifier::from_slice(oid(curve));
                writer.next().write_tagged(Tag::context(0), |w| w.write_oid(&oid));
            }
            writer.next().write_tagged(Tag::context(1), |w| w.write_bitvec_bytes(public, public.len() * 8));
        });
    })
}

/// RSA has a null for the parameters, a curve its name, Ed25519 nothing.
fn pkcs8(algorithm: &[u64], curve: Option<&[u64]>, key: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_u8(0);
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&ObjectIdentifier::from_slice(algorithm));
                match curve {
                    Some(curve) => writer.next().write_oid(&ObjectIdentifier::from_slice(curve)),
                    None => writer.next().write_null(),
                }
            });
            writer.next().write_bytes(key);
        });
    })
}

pub(super) fn pkcs8_ed25519(seed: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_u8(0);
            writer
                .next()
                .write_sequence(|w| w.next().write_oid(&ObjectIdentifier::from_slice(&[1, 3, 101, 112])));
            writer.next().write_bytes(&yasna::construct_der(|w| w.write_bytes(seed)));
        });
    })
}
