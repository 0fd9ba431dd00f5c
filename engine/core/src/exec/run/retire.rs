//! Retiring an object: deletion through its recorded recipe, drops, and what is let go.

use super::super::operation::Request;
use super::super::scheduler::{NodeId, Outcome};
use super::Run;
use super::settle::digest;
use crate::plan::planner::ChangeKey;
use crate::plan::{Change, ChangeAction};
use crate::state::{BeginOp, Object, OnDestroy, Record};
use groma_provider::{Action, ErrorKind, ProviderError};

impl Run<'_> {
    pub(super) fn start_retire(&mut self, id: NodeId, key: &ChangeKey) {
        let Some(change) = self.approved.get(key).or(self.planner.changes.get(key)).cloned() else {
            return self.finish(id, Outcome::Done);
        };
        let object = self.outgoing.get(key).and_then(|o| self.planner.state.objects.get(o)).cloned();
        let Some(object) = object else { return self.finish(id, Outcome::Done) };
        if !self.approved.contains_key(key)
            && let Some(why) = self.not_approved(None, &change)
        {
            return self.hold(id, &key.0, &change, why);
        }
        // A replacement that turned out not to be one: the object is still the current one.
        let stays = change.action == ChangeAction::ReplaceCreateFirst
            && self.planner.state.current.get(&key.0) == Some(&object.id);
        if stays {
            return self.finish(id, Outcome::Done);
        }
        if change.action == ChangeAction::Forget || change.on_destroy == OnDestroy::Keep {
            self.record(Record::Forgotten(object.id));
            return self.finish(id, Outcome::Done);
        }
        if matches!(self.planner.refreshed.get(&object.id), Some(crate::refresh::Refreshed::Gone)) {
            self.record(Record::Forgotten(object.id));
            return self.finish(id, Outcome::Done);
        }
        if change.dropped_with.is_some() {
            // Its record goes with the end of its host's deletion.
            return self.finish(id, Outcome::Done);
        }
        let this = self.seen(&object).0;
        let Some(jobs) = self.planner.before_delete(&object, &change, &this) else {
            let error = ProviderError::new(ErrorKind::Invalid, "its destroy-time provisioners can't run");
            return self.fail_early(id, &key.0, change.action, &error);
        };
        match self.prepare_delete(&object, &change) {
            Ok((request, begin)) => {
                self.begin(id, request, begin, Some(object), ChangeAction::Delete, None, jobs);
            }
            Err(error) => self.fail_early(id, &key.0, change.action, &error),
        }
    }

    pub(super) fn prepare_delete(
        &mut self,
        object: &Object,
        change: &Change,
    ) -> Result<(Request, BeginOp), ProviderError> {
        let (value, private) = self.seen(object);
        let prior = value.resolve().map_err(|u| {
            ProviderError::new(ErrorKind::Bug, format!("{} of the state is not known", u.path))
        })?;
        let timeouts = change.timeouts.unwrap_or(object.settings.timeouts);
        let begin = BeginOp {
            action: Action::Delete,
            object: object.id.clone(),
            address: object.address.clone(),
            provider: object.provider.clone(),
            recipe: object.recipe.clone(),
            planned: prior.value().clone(),
            digest: digest(&prior),
            token: self.planner.host.entropy.hex(16).into(),
            owner_mark: object.owner_mark.clone(),
            dependencies: object.dependencies.clone(),
            host: object.host.clone(),
            settings: object.settings.clone(),
            schema_version: object.schema_version,
            at: self.planner.host.clock.now(),
        };
        Ok((Request::Delete { prior, private, timeouts }, begin))
    }
}
