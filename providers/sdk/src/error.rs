//! Errors of providers. The kind decides what the engine does; nobody reads the message's text.

use groma_types::AttrPath;
use std::fmt;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The thing asked for is not there (on create: something it needs is not).
    NotFound,
    /// Credentials are missing, expired or may not do this.
    Denied,
    /// No answer from the address: DNS, refused, time-out before the request was sent.
    Unreachable,
    Throttled,
    /// The request collides with another object or another's change.
    Conflict,
    /// The API refuses what the arguments say.
    Invalid,
    /// A quota is used up; waiting does not help.
    Quota,
    /// 5xx: the API is ill, a re-run is safe.
    Unavailable,
    /// The request may or may not have been carried out: the answer was lost.
    Ambiguous,
    /// The object exists, its wait ended badly; it may still become ready.
    Unconverged,
    /// The object exists and can only be replaced.
    Tainted,
    /// The wait's time is over; the object exists.
    TimedOut,
    /// The user stopped the run while the operation only waited.
    Interrupted,
    /// The provider broke its own rules.
    Bug,
}

#[derive(Clone, Debug)]
pub struct ProviderError {
    pub kind: ErrorKind,
    /// What was asked, such as `eks:CreateCluster`; may be empty.
    pub asked: String,
    /// What the API answered, for people. Untrusted text: renderers strip control characters.
    pub message: String,
    /// The API's own code, such as `ResourceInUseException`.
    pub code: Option<String>,
    pub status: Option<u16>,
    pub request_id: Option<String>,
    pub retry_after: Option<Duration>,
    /// The argument that is at fault, where known.
    pub path: Option<AttrPath>,
    /// What to do.
    pub help: Option<String>,
}

impl ProviderError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> ProviderError {
        ProviderError {
            kind,
            asked: String::new(),
            message: message.into(),
            code: None,
            status: None,
            request_id: None,
            retry_after: None,
            path: None,
            help: None,
        }
    }
    #[must_use]
    pub fn asked(mut self, what: impl Into<String>) -> ProviderError {
        self.asked = what.into();
        self
    }
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> ProviderError {
        self.help = Some(help.into());
        self
    }
    #[must_use]
    pub fn at(mut self, path: AttrPath) -> ProviderError {
        self.path = Some(path);
        self
    }
    /// Whether the request certainly changed nothing.
    pub fn is_definite(&self) -> bool {
        !matches!(self.kind, ErrorKind::Ambiguous | ErrorKind::Interrupted)
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.asked.is_empty() {
            write!(f, "{}: ", self.asked)?;
        }
        match &self.code {
            Some(code) => write!(f, "{code}: {}", self.message)?,
            None => f.write_str(&self.message)?,
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}
impl std::error::Error for ProviderError {}

/// The user stopped the run: leave the wait now, the engine records that the operation is waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

impl From<Interrupted> for ProviderError {
    fn from(_: Interrupted) -> ProviderError {
        ProviderError::new(ErrorKind::Interrupted, "stopped while waiting")
    }
}
