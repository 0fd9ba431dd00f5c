//! Writing an object: server-side apply, and what other owners of its fields mean for it.
//!
//! Fields that Terraform's provider owns are taken over, since the object is kept here now. A number of pods that something
//! scales is left to it as long as the spec does not change it. All other owners are somebody's decision: unless fields are
//! to be taken over, the write is refused with both values.

use crate::client::{Applied, Manner, Target};
use crate::cluster::{Cluster, Handled};
use crate::manifest;
use crate::owners::{self, Collision};
use groma_provider::{ErrorKind, ProviderError};
use groma_types::Value;
use serde_json::Value as Json;

/// An object to write.
pub(crate) struct Writing<'a> {
    pub(crate) handled: &'a Handled,
    pub(crate) target: &'a Target,
    pub(crate) body: Json,
    /// The attributes that the body was made from, and those before.
    pub(crate) planned: &'a Value,
    pub(crate) prior: Option<&'a Value>,
}

pub(crate) struct Written {
    pub(crate) is_new: bool,
    pub(crate) live: Json,
}

impl Writing<'_> {
    /// Whether the spec changes the number of pods.
    fn rescales(&self) -> bool {
        owners::replicas(self.planned) != self.prior.and_then(owners::replicas)
    }

    fn leaves_to_scaler(&self, collision: &Collision) -> bool {
        collision.is_scale() && !self.rescales()
    }
}

impl Cluster {
    /// Applies an object.
    ///
    /// # Errors
    /// The API refuses it, or others own fields that it sets.
    pub(crate) async fn write(&self, mut writing: Writing<'_>) -> Result<Written, ProviderError> {
        let (manager, may_force) = self.manager(writing.planned);
        let fields = writing.handled.fields();
        let mut manner = Manner { manager: &manager, force: false, rehearse: false, fields };
        let mut taken_over = false;
        // Each way round the loop takes one obstacle away, each only once.
        loop {
            let collisions = match self.client.apply(writing.target, &writing.body, manner).await? {
                Applied::Done { live, .. } if !taken_over && owners::is_of_terraform(&live, &manager) => {
                    taken_over = true;
                    self.client.merge(writing.target, &owners::handed_over(&live, &manager)).await?;
                    continue;
                }
                Applied::Done { is_new, live } => return Ok(Written { is_new, live }),
                Applied::Collides(collisions) => collisions,
            };
            if collisions.iter().any(|c| writing.leaves_to_scaler(c))
                && let Some(spec) = writing.body["spec"].as_object_mut()
                && spec.remove("replicas").is_some()
            {
                continue;
            }
            let live = self.client.get(writing.target).await?.unwrap_or_default();
            if !taken_over && collisions.iter().all(Collision::is_with_terraform) {
                taken_over = true;
                self.client.merge(writing.target, &owners::handed_over(&live, &manager)).await?;
            } else if may_force && !manner.force {
                manner.force = true;
            } else {
                return Err(refused(&writing, &collisions, &live));
            }
        }
    }

    /// Leaves what write-only arguments wrote as the API has it, where their revision stays.
    pub(crate) async fn keep_written(
        &self,
        writing: &mut Writing<'_>,
        config: &Value,
    ) -> Result<(), ProviderError> {
        if let (Some(fields), Some(prior)) = (writing.handled.fields(), writing.prior)
            && fields.has_write_only()
            && let Some(live) = self.client.get(writing.target).await?
        {
            fields.keep_written(&mut writing.body, &live, config, prior, writing.planned);
        }
        Ok(())
    }

    /// Asks what the API would say to an object, without changing anything.
    ///
    /// # Errors
    /// As those of [`Cluster::write`].
    pub(crate) async fn rehearse_write(&self, writing: &Writing<'_>) -> Result<(), ProviderError> {
        let namespace = writing.target.namespace.as_ref();
        if let Some(namespace) = namespace
            && self.absent.lock().await.contains(namespace)
        {
            return Ok(());
        }
        let (manager, may_force) = self.manager(writing.planned);
        let fields = writing.handled.fields();
        let manner = Manner { manager: &manager, force: may_force, rehearse: true, fields };
        let answer = self.client.apply(writing.target, &writing.body, manner).await;
        let refusal = match answer {
            Ok(Applied::Done { .. }) => return Ok(()),
            // A webhook that can't be asked without effect has said nothing.
            Err(error) if error.message.contains("does not support dry run") => return Ok(()),
            Ok(Applied::Collides(mut collisions)) => {
                collisions.retain(|c| !c.is_with_terraform() && !writing.leaves_to_scaler(c));
                if collisions.is_empty() {
                    return Ok(());
                }
                let live = self.client.get(writing.target).await?.unwrap_or_default();
                refused(writing, &collisions, &live)
            }
            // An apply makes what is not there: only what holds it can be missing.
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.absent.lock().await.extend(namespace.cloned());
                return Ok(());
            }
            Err(error) => error,
        };
        // What has the name of an object that is to be made may be on its way out, in the same plan even.
        let says_nothing = writing.prior.is_none() && self.client.get(writing.target).await?.is_some();
        if says_nothing { Ok(()) } else { Err(refusal) }
    }

    /// The field manager to write under, and whether it may take fields over.
    fn manager(&self, attributes: &Value) -> (String, bool) {
        let (name, force) = manifest::manager(attributes);
        (name, force || self.takes_over)
    }
}

fn refused(writing: &Writing<'_>, collisions: &[Collision], live: &Json) -> ProviderError {
    let secrets = owners::secrets(writing.planned);
    let label = writing.target.label();
    let text = owners::text(collisions, &label, live, &writing.body, &secrets);
    let mut error = ProviderError::new(ErrorKind::Conflict, text);
    error.path = writing.handled.fields().and_then(|f| collisions.iter().find_map(|c| f.place(&c.field)));
    error.code = Some("FieldManagerConflict".into());
    let take = match writing.handled {
        Handled::Typed(_) => "`force_conflicts: true` in the provider block",
        Handled::Manifest { .. } => "`field_manager: { force_conflicts: true }`",
    };
    error.help(format!(
        "to take the fields over: {take}; to leave them to the others: take them out of the spec, or name them in `ignore_changes`"
    ))
}

/// An object of somebody else has the name already.
pub(crate) fn taken(target: &Target, live: &Json) -> ProviderError {
    let managers = owners::others(live, "");
    let by =
        if managers.is_empty() { String::new() } else { format!(" (written by {})", managers.join(", ")) };
    let id =
        target.namespace.as_ref().map_or_else(|| target.name.clone(), |ns| format!("{ns}/{}", target.name));
    let mut error = ProviderError::new(ErrorKind::Conflict, format!("{} exists already{by}", target.label()));
    error.code = Some("AlreadyExists".into());
    error.help(format!("to take it over, write an `import` block with id \"{id}\"; else choose another name"))
}

/// Whether managers beside us wrote the object: somebody made it in the moment between our look and our apply.
pub(crate) fn has_other_makers(live: &Json, manager: &str) -> bool {
    owners::others(live, manager).iter().any(|name| !name.starts_with("kube-"))
}
