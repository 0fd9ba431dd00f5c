//! Hashes, keys and random names, all from aws-lc-rs.

use aws_lc_rs::{digest, hmac, rand};
use std::fmt::Write as _;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&sha256(bytes))
}

pub(crate) fn hmac256(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), bytes).as_ref().to_vec()
}

/// Compares without telling by its duration where two texts differ.
pub(crate) fn same(left: &str, right: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left.as_bytes(), right.as_bytes()).is_ok()
}

pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("invariant: the operating system gives random bytes");
    bytes
}

pub(crate) fn random_hex(digits: usize) -> String {
    let mut text = String::new();
    while text.len() < digits {
        text.push_str(&hex(&random_bytes::<16>()));
    }
    text.truncate(digits);
    text
}

/// A name of upper-case letters and digits, as in access keys and IAM's unique ids.
pub(crate) fn random_name(length: usize) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::new();
    while text.len() < length {
        for byte in random_bytes::<16>() {
            text.push(char::from(LETTERS[usize::from(byte) % 32]));
        }
    }
    text.truncate(length);
    text
}

pub(crate) fn uuid() -> String {
    let hex = random_hex(32);
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// A number below `bound` that is always the same for a text.
pub(crate) fn spread(text: &str, bound: u64) -> u64 {
    let hash = sha256(text.as_bytes());
    let head: [u8; 8] = hash[..8].try_into().expect("invariant: a hash has 32 bytes");
    u64::from_be_bytes(head) % bound.max(1)
}
