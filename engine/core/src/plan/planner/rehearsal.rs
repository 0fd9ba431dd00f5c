//! Asks the providers of a plan's changes what their APIs would say to them, before any is made.
//!
//! An answer is told only if it is about the change itself. Whoever may not ask, or asks about something whose
//! surroundings are not there yet, learns it in the apply: the plan does without.

use super::{Planner, ProviderState, code_of};
use crate::config::body;
use crate::plan::{Change, ChangeAction};
use crate::state::RecipeId;
use futures::stream::{self, StreamExt};
use groma_provider::{ErrorKind, ProviderError, RehearseRequest};
use groma_types::{Diagnostic, InstanceAddr, Value};

/// Questions under way at once.
const QUESTIONS_MAX: usize = 16;

struct Question {
    address: InstanceAddr,
    recipe: RecipeId,
    request: RehearseRequest,
}

impl Planner {
    /// Asks about every change that is known as a whole.
    pub async fn rehearse(&mut self) {
        let written = std::mem::take(&mut self.written);
        let questions: Vec<Question> =
            written.into_iter().filter_map(|(address, config)| self.question(address, config)).collect();
        let pool = self.pool.clone();
        let ask = |question: Question| {
            let pool = pool.clone();
            async move {
                let kind = question.address.resource.kind.clone();
                let asked =
                    async { pool.get(&question.recipe).await?.rehearse(&kind, question.request).await };
                (question.address, asked.await)
            }
        };
        let mut answers: Vec<(InstanceAddr, Result<(), ProviderError>)> =
            stream::iter(questions).map(ask).buffer_unordered(QUESTIONS_MAX).collect().await;
        answers.sort_by(|a, b| a.0.cmp(&b.0));
        for (address, answer) in answers {
            if let Err(error) = answer {
                self.tell(&address, &error);
            }
        }
    }

    fn question(&self, address: InstanceAddr, config: Value) -> Option<Question> {
        let change = self.changes.get(&(address.clone(), None)).filter(|c| !c.is_deferred())?;
        if !matches!(change.action, ChangeAction::Create | ChangeAction::Update) {
            return None;
        }
        let ProviderState::Ready { recipe, .. } = self.providers.get(&change.provider)? else { return None };
        let request = self.request_of(change, config)?;
        Some(Question { address, recipe: recipe.clone(), request })
    }

    /// `None`: something in it is not known.
    fn request_of(&self, change: &Change, config: Value) -> Option<RehearseRequest> {
        let config = config.resolve().ok()?;
        let planned = crate::plan::decide::without_unknowns(change.planned.as_ref()?).resolve().ok()?;
        let object = self.state.at(&change.address).filter(|_| change.action == ChangeAction::Update);
        let prior = match self.prior_of(object) {
            Some((value, private)) => Some((value.resolve().ok()?, private)),
            None => None,
        };
        let owner_mark = object.and_then(|o| o.owner_mark.as_ref()).map(|m| m.to_string());
        Some(RehearseRequest { prior, planned, config, owner_mark })
    }

    fn tell(&mut self, address: &InstanceAddr, error: &ProviderError) {
        let code = code_of(error.kind);
        let diagnostic = match error.kind {
            ErrorKind::Conflict | ErrorKind::Invalid => {
                Diagnostic::error(code, "The API would refuse this change")
            }
            // Another change of this plan may make room.
            ErrorKind::Quota => Diagnostic::warning(code, "The API would refuse this change as things are"),
            _ => return,
        };
        let block = self.block_at(address);
        let span = block.map(|b| error.path.as_ref().map_or(b.span, |p| body::span_of(&b.body, p)));
        let mut diagnostic = diagnostic.detail(error.to_string()).address(address);
        diagnostic.help = error.help.clone();
        self.diagnostics.push(match span {
            Some(span) => diagnostic.at(span, ""),
            None => diagnostic,
        });
    }
}
