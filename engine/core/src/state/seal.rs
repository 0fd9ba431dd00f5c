//! Secrets at rest: AES-256-GCM with a random nonce; the place of the value (its scope and path) is authenticated
//! with it, so that a sealed value can't be put in another's place.
//!
//! A key file holds one key a line; the last one seals, all open. The file is made when the first secret is to be
//! sealed and never before. A key that is not there loses what it sealed and nothing else.

use super::disk;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, rand};
use std::fmt;
use std::path::{Path, PathBuf};

const KEY_LEN: usize = 32;
const LINE: &str = "groma-key-1 ";

/// Where the key of a stack is.
#[derive(Clone)]
pub enum KeySource {
    /// A file in the user's data folder; made when first needed.
    File(PathBuf),
    Bytes([u8; KEY_LEN]),
    /// There is none: a sensitive value can't be stored.
    None,
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::File(path) => write!(f, "File({})", path.display()),
            KeySource::Bytes(_) => f.write_str("Bytes(…)"),
            KeySource::None => f.write_str("None"),
        }
    }
}

/// Why a value can't be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("a sensitive value is to be stored and no key is given")]
    NoKey,
    #[error("the key file {path} can't be {verb}: {why}")]
    File { path: PathBuf, verb: &'static str, why: String },
    #[error("the key file {0} is damaged: each line is `groma-key-1` and 64 hexadecimal digits")]
    Damaged(PathBuf),
    #[error("key {0} is not here")]
    Lost(String),
    #[error("the sealed value is damaged or was moved from another place")]
    Forged,
    #[error("the system gives no random numbers, or the cipher failed")]
    Cipher,
}

struct Key {
    id: String,
    bytes: [u8; KEY_LEN],
}

impl Key {
    fn new(bytes: [u8; KEY_LEN]) -> Key {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"groma key id\0");
        context.update(&bytes);
        let id = hex(&context.finish().as_ref()[..8]);
        Key { id, bytes }
    }

    fn cipher(&self) -> Result<RandomizedNonceKey, SealError> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.bytes).map_err(|_| SealError::Cipher)
    }
}

/// A sealed text: nonce, cipher text and tag, and the key that opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub key: String,
    pub data: Vec<u8>,
}

/// The keys at hand. Reads the key file once; makes it when the first value is sealed.
pub struct Keys {
    source: KeySource,
    keys: Vec<Key>,
    made: Option<PathBuf>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.keys.iter().map(|k| k.id.as_str()).collect();
        write!(f, "Keys({ids:?})")
    }
}

impl Keys {
    /// # Errors
    /// The key file is there and can't be read or understood.
    pub fn open(source: KeySource) -> Result<Keys, SealError> {
        let keys = match &source {
            KeySource::None => Vec::new(),
            KeySource::Bytes(bytes) => vec![Key::new(*bytes)],
            KeySource::File(path) => read_keys(path)?,
        };
        Ok(Keys { source, keys, made: None })
    }

    /// The key file that was made by this run, to be told to the user once.
    pub fn made(&self) -> Option<&Path> {
        self.made.as_deref()
    }

    /// Seals a text for one place.
    ///
    /// # Errors
    /// There is no key and none can be made.
    pub fn seal(&mut self, place: &[u8], text: &[u8]) -> Result<Sealed, SealError> {
        let key = self.current()?;
        let mut data = text.to_vec();
        let nonce = key.cipher()?.seal_in_place_append_tag(Aad::from(place), &mut data);
        let nonce = nonce.map_err(|_| SealError::Cipher)?;
        data.splice(0..0, *nonce.as_ref());
        Ok(Sealed { key: key.id.clone(), data })
    }

    /// Opens a text that was sealed for the same place.
    ///
    /// # Errors
    /// The key is not here, or the text is not what was sealed for this place.
    pub fn open_sealed(&self, place: &[u8], sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        let key = self.keys.iter().find(|k| k.id == sealed.key);
        let key = key.ok_or_else(|| SealError::Lost(sealed.key.clone()))?;
        let (nonce, text) = sealed.data.split_at_checked(NONCE_LEN).ok_or(SealError::Forged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Forged)?;
        let mut text = text.to_vec();
        let opened = key.cipher()?.open_in_place(nonce, Aad::from(place), &mut text);
        let len = opened.map_err(|_| SealError::Forged)?.len();
        text.truncate(len);
        Ok(text)
    }

    /// Seals bytes into one self-contained text: key id, NUL, nonce, cipher text.
    ///
    /// # Errors
    /// There is no key and none can be made.
    pub fn seal_bytes(&mut self, place: &[u8], text: &[u8]) -> Result<Vec<u8>, SealError> {
        let sealed = self.seal(place, text)?;
        Ok([sealed.key.as_bytes(), &[0], &sealed.data].concat())
    }

    /// Opens what [`Keys::seal_bytes`] made for the same place.
    ///
    /// # Errors
    /// The key is not here, or the bytes are not what was sealed for this place.
    pub fn open_bytes(&self, place: &[u8], bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        let at = bytes.iter().position(|b| *b == 0).ok_or(SealError::Forged)?;
        let key = String::from_utf8(bytes[..at].to_vec()).map_err(|_| SealError::Forged)?;
        self.open_sealed(place, &Sealed { key, data: bytes[at + 1..].to_vec() })
    }

    fn current(&mut self) -> Result<&Key, SealError> {
        if self.keys.is_empty() {
            self.keys = match &self.source {
                KeySource::None => return Err(SealError::NoKey),
                KeySource::Bytes(bytes) => vec![Key::new(*bytes)],
                KeySource::File(path) => {
                    let (keys, made) = make_keys(path)?;
                    self.made = made.then(|| path.clone());
                    keys
                }
            };
        }
        self.keys.last().ok_or(SealError::NoKey)
    }
}

fn read_keys(path: &Path) -> Result<Vec<Key>, SealError> {
    let text = disk::read(path).map_err(|e| file_error(path, "read", &e))?;
    let Some(text) = text else { return Ok(Vec::new()) };
    let damaged = || SealError::Damaged(path.to_path_buf());
    let text = String::from_utf8(text).map_err(|_| damaged())?;
    let keys: Option<Vec<Key>> =
        text.lines().map(|line| unhex(line.strip_prefix(LINE)?).map(Key::new)).collect();
    keys.filter(|keys| !keys.is_empty()).ok_or_else(damaged)
}

/// Makes the key file, or reads it if another run was faster.
fn make_keys(path: &Path) -> Result<(Vec<Key>, bool), SealError> {
    let mut bytes = [0; KEY_LEN];
    rand::fill(&mut bytes).map_err(|_| SealError::Cipher)?;
    let line = format!("{LINE}{}\n", hex(&bytes));
    if let Some(folder) = path.parent() {
        disk::make_folder(folder).map_err(|e| file_error(path, "made", &e))?;
    }
    let made = disk::make(path, line.as_bytes()).map_err(|e| file_error(path, "made", &e))?;
    Ok((read_keys(path)?, made))
}

fn file_error(path: &Path, verb: &'static str, error: &std::io::Error) -> SealError {
    SealError::File { path: path.to_path_buf(), verb, why: error.to_string() }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; KEY_LEN]> {
    let mut bytes = [0; KEY_LEN];
    if text.len() != 2 * KEY_LEN || !text.is_ascii() {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_opens_at_its_place_alone() {
        let mut keys = Keys::open(KeySource::Bytes([7; 32])).unwrap();
        let sealed = keys.seal(b"here", b"canary").unwrap();
        assert_eq!(keys.open_sealed(b"here", &sealed).unwrap(), b"canary");
        assert_eq!(keys.open_sealed(b"there", &sealed), Err(SealError::Forged));
        let other = Keys::open(KeySource::Bytes([8; 32])).unwrap();
        assert_eq!(other.open_sealed(b"here", &sealed), Err(SealError::Lost(sealed.key.clone())));
        for at in 0..sealed.data.len() {
            let mut bad = sealed.clone();
            bad.data[at] ^= 1;
            assert_eq!(keys.open_sealed(b"here", &bad), Err(SealError::Forged));
        }
        assert_ne!(keys.seal(b"here", b"canary").unwrap().data, sealed.data);
        let bytes = keys.seal_bytes(b"plan", b"canary").unwrap();
        assert_eq!(keys.open_bytes(b"plan", &bytes).unwrap(), b"canary");
    }

    #[test]
    fn the_key_file_is_made_when_first_needed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/groma/keys/stack");
        let mut keys = Keys::open(KeySource::File(path.clone())).unwrap();
        assert!(!path.exists() && keys.made().is_none());
        let sealed = keys.seal(b"x", b"secret").unwrap();
        assert_eq!(keys.made(), Some(path.as_path()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let again = Keys::open(KeySource::File(path.clone())).unwrap();
        assert_eq!(again.open_sealed(b"x", &sealed).unwrap(), b"secret");
        std::fs::write(&path, "groma-key-1 zz\n").unwrap();
        assert!(matches!(Keys::open(KeySource::File(path)), Err(SealError::Damaged(_))));
    }
}
