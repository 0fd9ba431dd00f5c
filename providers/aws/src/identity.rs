//! Who the credentials belong to, and whether that is where the user wants to work.

use crate::client::Aws;
use crate::config::{ProviderArgs, partition_of};
use crate::error::Api;
use groma_provider::retry::Retry;
use groma_provider::{ErrorKind, ProviderError, World};
use groma_types::AttrPath;

/// The answer of STS.
pub(crate) struct Caller {
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) user_id: String,
}

impl Aws {
    pub(crate) async fn caller(&self) -> Result<Caller, ProviderError> {
        let api = Api::read("sts", "GetCallerIdentity");
        let answer = self.call(Retry::READ, api, || self.sts.get_caller_identity().send()).await?;
        let part = |text: Option<String>| text.unwrap_or_default();
        if let Some(account) = &answer.account {
            let _ = self.account.set(account.clone());
        }
        Ok(Caller { account: part(answer.account), arn: part(answer.arn), user_id: part(answer.user_id) })
    }

    /// The account, if STS was asked already; the engine asks before all else.
    pub(crate) fn known_account(&self) -> Option<String> {
        self.account.get().cloned()
    }

    /// The world of this configuration: account, partition, region.
    ///
    /// # Errors
    /// STS refuses the credentials, or the account is not one that the user allows.
    pub(crate) async fn world(&self) -> Result<World, ProviderError> {
        let caller = self.caller().await?;
        check_account(&self.args, &caller.account)?;
        // The ARN knows the partition for certain; the region's name is the fallback.
        let partition = caller.arn.split(':').nth(1).filter(|p| !p.is_empty());
        Ok(World::of([
            ("account", caller.account.clone()),
            ("partition", partition.unwrap_or(partition_of(&self.region).id).to_string()),
            ("region", self.region.clone()),
        ]))
    }
}

fn check_account(args: &ProviderArgs, account: &str) -> Result<(), ProviderError> {
    let refuse = |argument: &str, message: String| {
        Err(ProviderError::new(ErrorKind::Denied, message)
            .at(AttrPath::root().attr(argument))
            .help("use credentials of the right account, or change the list"))
    };
    if !args.allowed_accounts.is_empty() && !args.allowed_accounts.iter().any(|a| a == account) {
        return refuse("allowed_account_ids", format!("account {account} is not among the allowed ones"));
    }
    if args.forbidden_accounts.iter().any(|a| a == account) {
        return refuse("forbidden_account_ids", format!("account {account} is forbidden"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_checked() {
        let list = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let check = |allowed: &[&str], forbidden: &[&str], at: Option<&str>| {
            let args = ProviderArgs {
                allowed_accounts: list(allowed),
                forbidden_accounts: list(forbidden),
                ..ProviderArgs::default()
            };
            let got = check_account(&args, "1").err().map(|e| e.path.unwrap().to_string());
            assert_eq!(got.as_deref(), at);
        };
        check(&[], &[], None);
        check(&["1", "2"], &["3"], None);
        check(&["2"], &[], Some("allowed_account_ids"));
        check(&[], &["1"], Some("forbidden_account_ids"));
    }
}
