//! Digests of bytes, in the forms that kinds show.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn md5(bytes: &[u8]) -> String {
    hex(md5_raw(bytes))
}

pub(crate) fn md5_raw(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

pub(crate) fn sha1(bytes: &[u8]) -> String {
    hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes))
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes))
}

pub(crate) fn sha512(bytes: &[u8]) -> String {
    hex(digest(&SHA512, bytes))
}

pub(crate) fn base64sha256(bytes: &[u8]) -> String {
    STANDARD.encode(digest(&SHA256, bytes))
}

pub(crate) fn base64sha512(bytes: &[u8]) -> String {
    STANDARD.encode(digest(&SHA512, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_a_known_text() {
        assert_eq!(md5(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(sha1(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert!(sha256(b"abc").starts_with("ba7816bf8f01cfea"));
        assert!(sha512(b"abc").starts_with("ddaf35a193617aba"));
        assert_eq!(base64sha256(b"abc"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        assert!(base64sha512(b"abc").starts_with("3a81oZNherrMQXNJriBBMRLm"));
    }
}
