//! The sandbox's accounts and the keys that open them.
//!
//! Keys of the accounts' administrators are made from the account's number alone: the command can hand
//! them out without asking, and they are no secret (they open nothing but this loopback world). Keys of
//! assumed roles are random and lie in the world.

use crate::crypto::{hmac256, random_name, spread};
use crate::store::World;
use base64::Engine as _;
use serde_json::{Value, json};

/// The account behind the default profile.
pub const DEFAULT_ACCOUNT: &str = "111111111111";

const KEY_PREFIX: &str = "AKIASBOX";

/// A set of keys as the AWS clients take them.
#[derive(Clone)]
pub struct Credentials {
    /// The account that they open.
    pub account: String,
    /// The access key's id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
    /// The session token; administrators' keys have none.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("account", &self.account)
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// The keys behind a profile: `sandbox-222222222222` means that account, no profile (or `default`)
/// account 111111111111, and any other name an account of its own that is always the same.
pub fn credentials(profile: Option<&str>) -> Credentials {
    let account = account_of(profile);
    Credentials {
        access_key: format!("{KEY_PREFIX}{account}"),
        secret_key: secret_of(&account),
        session_token: None,
        account,
    }
}

fn account_of(profile: Option<&str>) -> String {
    let name = profile.unwrap_or("default");
    match name.strip_prefix("sandbox-") {
        Some(number) if is_account(number) => number.to_owned(),
        Some(_) | None if name == "default" || name == "sandbox" || name.is_empty() => DEFAULT_ACCOUNT.into(),
        Some(_) | None => format!("9{:011}", spread(name, 100_000_000_000)),
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn secret_of(account: &str) -> String {
    let bytes = hmac256(b"groma sandbox administrator", account.as_bytes());
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(&bytes[..30])
}

/// Who makes a call, as STS would say it.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) user_id: String,
}

/// What the server knows of an access key.
pub(crate) struct Key {
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    pub(crate) expires: Option<i64>,
    pub(crate) caller: Caller,
}

pub(crate) fn find_key(world: &World, access_key: &str) -> Option<Key> {
    if let Some(account) = access_key.strip_prefix(KEY_PREFIX).filter(|a| is_account(a)) {
        let caller = Caller {
            account: account.to_owned(),
            arn: format!("arn:aws:iam::{account}:user/sandbox"),
            user_id: format!("AIDASBOX{account}"),
        };
        return Some(Key { secret: secret_of(account), token: None, expires: None, caller });
    }
    let session = world.get(&session_key(access_key))?;
    let text = |name: &str| session[name].as_str().unwrap_or_default().to_owned();
    Some(Key {
        secret: text("secret"),
        token: Some(text("token")),
        expires: session["expires"].as_i64(),
        caller: Caller { account: text("account"), arn: text("arn"), user_id: text("userId") },
    })
}

/// Makes keys for an assumed role; the answer is what `find_key` will find.
pub(crate) fn open_session(world: &mut World, caller: &Caller, expires: i64) -> (String, Value) {
    let access_key = format!("ASIA{}", random_name(16));
    let session = json!({
        "secret": random_name(40),
        "token": format!("FwoGZXIvSandbox{}", random_name(120)),
        "expires": expires,
        "account": caller.account,
        "arn": caller.arn,
        "userId": caller.user_id,
    });
    world.put(session_key(&access_key), session.clone());
    (access_key, session)
}

fn session_key(access_key: &str) -> String {
    format!("secret/session/{access_key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_name_accounts() {
        for (profile, account) in [
            (None, "111111111111"),
            (Some("default"), "111111111111"),
            (Some(""), "111111111111"),
            (Some("sandbox-222222222222"), "222222222222"),
        ] {
            let keys = credentials(profile);
            assert_eq!(keys.account, account);
            assert_eq!((keys.access_key.len(), keys.secret_key.len()), (20, 40));
            let key = find_key(&World::default(), &keys.access_key).unwrap();
            assert_eq!((key.secret, key.caller.account), (keys.secret_key, keys.account));
        }
        let other = credentials(Some("prod"));
        assert!(is_account(&other.account) && other.account != DEFAULT_ACCOUNT);
        assert_eq!(other.account, credentials(Some("prod")).account);
        assert_ne!(other.account, credentials(Some("dev")).account);
    }
}
