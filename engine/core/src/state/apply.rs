//! The only way a state changes: a record at a time. Pure; every record applies to every state, so that replay
//! never stops half-way.

use super::{Ended, MadeOp, Object, OpId, OpenOp, Record, State, Status};
use groma_provider::Action;

impl State {
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Run { .. } => self.serial += 1,
            Record::Recipe(id, recipe) => {
                self.recipes.insert(id.clone(), recipe.clone());
            }
            Record::Begin(op, begin) => {
                self.open.insert(*op, OpenOp { begin: begin.clone(), made: None });
            }
            Record::Made(op, made) => self.made(*op, made),
            Record::End(op, ended) => self.end(*op, ended),
            Record::Observed(object) => self.put((**object).clone()),
            Record::Forgotten(id) => self.remove(id),
            Record::Moved(id, to) => self.relocate(id, to),
            Record::Deposed(id, key) => self.depose(id, key),
            Record::Resettled { id, dependencies, settings } => {
                if let Some(object) = self.objects.get_mut(id) {
                    object.dependencies = dependencies.clone();
                    object.settings = settings.clone();
                }
            }
            Record::Output(name, Some(value)) => {
                self.outputs.insert(name.clone(), value.clone());
            }
            Record::Output(name, None) => {
                self.outputs.remove(name);
            }
        }
    }

    /// An object that the API has named is in the state from here on, waiting.
    fn made(&mut self, op: OpId, made: &MadeOp) {
        let Some(open) = self.open.get_mut(&op) else { return };
        open.made = Some(made.clone());
        let begin = open.begin.clone();
        match begin.action {
            Action::Create => self.put(Object {
                id: begin.object,
                address: begin.address,
                provider: begin.provider,
                recipe: begin.recipe,
                status: Status::Waiting,
                attributes: made.attributes.clone(),
                private: made.private.clone(),
                schema_version: begin.schema_version,
                groma_version: env!("CARGO_PKG_VERSION").into(),
                dependencies: begin.dependencies,
                host: begin.host,
                owner_mark: begin.owner_mark,
                settings: begin.settings,
                created: begin.at,
            }),
            Action::Update | Action::Delete => {
                if let Some(object) = self.objects.get_mut(&begin.object) {
                    // A deposed object that is being deleted stays deposed.
                    if !matches!(object.status, Status::Deposed(_)) {
                        object.status = Status::Waiting;
                    }
                }
            }
        }
    }

    fn end(&mut self, op: OpId, ended: &Ended) {
        match ended {
            Ended::Settled(object) => {
                self.open.remove(&op);
                self.put((**object).clone());
            }
            Ended::Deleted { dropped } => {
                if let Some(open) = self.open.remove(&op) {
                    self.remove(&open.begin.object);
                }
                dropped.iter().for_each(|id| self.remove(id));
            }
            Ended::Refused(_) => {
                self.open.remove(&op);
            }
            Ended::Suspended => {}
        }
    }

    fn put(&mut self, object: Object) {
        if !matches!(object.status, Status::Deposed(_)) {
            self.current.insert(object.address.clone(), object.id.clone());
        }
        self.objects.insert(object.id.clone(), object);
    }

    fn remove(&mut self, id: &super::ObjectId) {
        if let Some(object) = self.objects.remove(id)
            && self.current.get(&object.address) == Some(id)
        {
            self.current.remove(&object.address);
        }
    }

    fn relocate(&mut self, id: &super::ObjectId, to: &groma_types::InstanceAddr) {
        let Some(object) = self.objects.get_mut(id) else { return };
        let from = std::mem::replace(&mut object.address, to.clone());
        if self.current.get(&from) == Some(id) {
            self.current.remove(&from);
            self.current.insert(to.clone(), id.clone());
        }
    }

    fn depose(&mut self, id: &super::ObjectId, key: &std::sync::Arc<str>) {
        let Some(object) = self.objects.get_mut(id) else { return };
        object.status = Status::Deposed(key.clone());
        if self.current.get(&object.address) == Some(id) {
            self.current.remove(&object.address);
        }
    }
}
