//! A kind's schema, in its provider: schemas are large, and are looked at for every instance.

use groma_provider::Provider;
use groma_types::Mode;
use groma_types::schema::KindSchema;
use std::ops::Deref;
use std::sync::Arc;

/// Derefs to the schema. Invariant: the provider has the kind; its schema never changes.
pub struct Kind {
    provider: Arc<dyn Provider>,
    mode: Mode,
    name: Arc<str>,
}

impl Kind {
    /// `None`: the provider has no such kind.
    pub fn find(provider: &Arc<dyn Provider>, mode: Mode, name: &str) -> Option<Kind> {
        let (name, _) = provider.schema().kinds(mode).get_key_value(name)?;
        Some(Kind { provider: provider.clone(), mode, name: name.clone() })
    }
}

impl Deref for Kind {
    type Target = KindSchema;

    fn deref(&self) -> &KindSchema {
        &self.provider.schema().kinds(self.mode)[&self.name]
    }
}
