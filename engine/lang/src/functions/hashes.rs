//! Digests and names made of them.

use super::{FunctionError, Outcome, bad_arg, fail, text, whole};
use crate::eval::FunctionHost;
use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512, digest};
use aws_lc_rs::rsa::{Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use groma_types::Value;
use std::fmt::Write;

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// The digests that the language knows.
#[derive(Clone, Copy)]
pub(super) enum Digest {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

pub(super) fn hashed(kind: Digest, data: &[u8]) -> Vec<u8> {
    let by = |algorithm: &'static Algorithm| digest(algorithm, data).as_ref().to_vec();
    match kind {
        Digest::Md5 => md5_of(data).to_vec(),
        Digest::Sha1 => by(&SHA1_FOR_LEGACY_USE_ONLY),
        Digest::Sha256 => by(&SHA256),
        Digest::Sha512 => by(&SHA512),
    }
}

pub(super) fn md5(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(hex(&hashed(Digest::Md5, text(args, 0).as_bytes())).into())
}
pub(super) fn sha1(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(hex(&hashed(Digest::Sha1, text(args, 0).as_bytes())).into())
}
pub(super) fn sha256(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(hex(&hashed(Digest::Sha256, text(args, 0).as_bytes())).into())
}
pub(super) fn sha512(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(hex(&hashed(Digest::Sha512, text(args, 0).as_bytes())).into())
}
pub(super) fn base64sha256(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(STANDARD.encode(hashed(Digest::Sha256, text(args, 0).as_bytes())).into())
}
pub(super) fn base64sha512(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(STANDARD.encode(hashed(Digest::Sha512, text(args, 0).as_bytes())).into())
}

/// MD5 (RFC 1321): no security rests on it, checksums of old APIs do.
fn md5_of(data: &[u8]) -> [u8; 16] {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut message = data.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend(((data.len() as u64).wrapping_mul(8)).to_le_bytes());
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in message.chunks_exact(64) {
        let words: Vec<u32> =
            block.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
        let [mut a, mut b, mut c, mut d] = state;
        for i in 0..64usize {
            let (mix, word) = match i / 16 {
                0 => ((b & c) | (!b & d), i),
                1 => ((d & b) | (!d & c), (5 * i + 1) % 16),
                2 => (b ^ c ^ d, (3 * i + 5) % 16),
                _ => (c ^ (b | !d), (7 * i) % 16),
            };
            // The constants of the RFC: the fraction of |sin(i + 1)| in 32 bits.
            let constant = (((i + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(mix).wrapping_add(constant).wrapping_add(words[word]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[i / 16][i % 4]));
        }
        for (total, part) in state.iter_mut().zip([a, b, c, d]) {
            *total = total.wrapping_add(part);
        }
    }
    let mut out = [0; 16];
    for (bytes, word) in out.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    out
}

pub(super) fn uuid(_: &[Value], host: &dyn FunctionHost) -> Outcome {
    Ok(host.uuid())
}

pub(super) fn uuidv5(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let namespace = match text(args, 0) {
        "dns" => "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "url" => "6ba7b811-9dad-11d1-80b4-00c04fd430c8",
        "oid" => "6ba7b812-9dad-11d1-80b4-00c04fd430c8",
        "x500" => "6ba7b814-9dad-11d1-80b4-00c04fd430c8",
        other => other,
    };
    let mut bytes = parse_uuid(namespace)?;
    bytes.extend(text(args, 1).as_bytes());
    let mut made = hashed(Digest::Sha1, &bytes);
    made.truncate(16);
    made[6] = (made[6] & 0x0f) | 0x50;
    made[8] = (made[8] & 0x3f) | 0x80;
    let h = hex(&made);
    Ok(format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..]).into())
}

/// Reads the usual form of a UUID, also without dashes, in braces, or as an URN.
fn parse_uuid(text: &str) -> Result<Vec<u8>, FunctionError> {
    let bare = text.get(..9).filter(|p| p.eq_ignore_ascii_case("urn:uuid:")).map_or(text, |_| &text[9..]);
    let bare = bare.strip_prefix('{').and_then(|b| b.strip_suffix('}')).unwrap_or(bare);
    let dashed = bare.len() == 36 && [8, 13, 18, 23].iter().all(|at| bare.as_bytes()[*at] == b'-');
    let digits: String = bare.chars().filter(|c| *c != '-').collect();
    if !(dashed || bare.len() == 32) || digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return fail(format!("{text:?} is not one of dns, url, oid, x500 and no UUID"));
    }
    let byte = |i: usize| u8::from_str_radix(&digits[i..i + 2], 16);
    (0..32).step_by(2).map(byte).collect::<Result<_, _>>().or_else(|_| fail("not a UUID"))
}

pub(super) fn bcrypt(args: &[Value], host: &dyn FunctionHost) -> Outcome {
    let cost = if args.len() > 1 { whole(args, 1)? } else { 10 };
    if args.len() > 2 {
        return fail("bcrypt() takes no more than two arguments");
    }
    // Below the least cost the usual one is taken.
    match u32::try_from(if cost < 4 { 10 } else { cost }) {
        Ok(cost) if cost <= 31 => host.bcrypt(text(args, 0), cost).or_else(fail),
        _ => fail("the cost must be between 4 and 31"),
    }
}

pub(super) fn rsadecrypt(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let Some(sealed) = super::encoding::from_base64(text(args, 0)) else {
        return bad_arg(0, "failed to decode input: cipher text must be base64-encoded");
    };
    let Some(key) = private_key(text(args, 1)) else {
        return bad_arg(1, "invalid private key: a PEM block with an RSA key and no passphrase is required");
    };
    let mut buffer = vec![0; key.min_output_size()];
    match key.decrypt(&sealed, &mut buffer).map(|plain| String::from_utf8(plain.to_vec())) {
        Ok(Ok(plain)) => Ok(plain.into()),
        Ok(Err(_)) => fail("the decrypted data is not valid UTF-8"),
        Err(_) => fail("failed to decrypt: this is not the key, or not its padding"),
    }
}

/// Reads a PEM block: PKCS #8, or the older PKCS #1, which is wrapped.
fn private_key(pem: &str) -> Option<Pkcs1PrivateDecryptingKey> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let der = STANDARD.decode(body.split_whitespace().collect::<String>()).ok()?;
    let pkcs8 = match label {
        "PRIVATE KEY" => der,
        "RSA PRIVATE KEY" => wrapped(&der)?,
        _ => return None,
    };
    Pkcs1PrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(&pkcs8).ok()?).ok()
}

/// Wraps a PKCS #1 key as PKCS #8: version 0, the identifier of RSA, the key as an octet string.
fn wrapped(der: &[u8]) -> Option<Vec<u8>> {
    const HEAD: [u8; 18] = [2, 1, 0, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    let element = |tag: u8, body: &[u8]| {
        let len = u16::try_from(body.len()).ok()?.to_be_bytes();
        Some([&[tag, 0x82, len[0], len[1]], body].concat())
    };
    element(0x30, &[HEAD.as_slice(), &element(4, der)?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::NoHost;
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeySize, Pkcs1PublicEncryptingKey};

    /// Bytes of a PKCS #8 key of this size before the PKCS #1 key in it.
    const PKCS8_HEAD: usize = 26;

    #[test]
    fn both_forms_of_a_private_key_decrypt() {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let public = Pkcs1PublicEncryptingKey::new(key.public_key()).unwrap();
        let mut sealed = vec![0; public.ciphertext_size()];
        let sealed = public.encrypt(b"pass", &mut sealed).unwrap().to_vec();
        let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
        let der = der.as_ref();
        for (label, der) in [("PRIVATE KEY", der), ("RSA PRIVATE KEY", &der[PKCS8_HEAD..])] {
            let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
            let args = [Value::from(STANDARD.encode(&sealed)), Value::from(pem)];
            assert_eq!(rsadecrypt(&args, &NoHost).unwrap().as_str(), Some("pass"), "{label}");
        }
    }

    #[test]
    fn md5_of_long_texts() {
        let check = |text: &str, expected: &str| assert_eq!(hex(&md5_of(text.as_bytes())), expected);
        check("", "d41d8cd98f00b204e9800998ecf8427e");
        check(
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "57edf4a22be3c955ac49da2e2107b67a",
        );
        check(&"a".repeat(56), "3b0c8ac703f828b04c6c197006d17218");
    }
}
