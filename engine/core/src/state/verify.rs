//! Numbered rules of a valid state, checked after a read and before a write.

use super::{State, Status};

/// Returns every broken rule, in words.
pub fn verify(state: &State) -> Vec<String> {
    let mut broken = Vec::new();
    for (address, id) in &state.current {
        match state.objects.get(id) {
            None => broken.push(format!("rule 1: {address} names object {id}, which is not there")),
            Some(o) if o.address != *address => {
                broken.push(format!("rule 2: {address} names object {id}, which says it is {}", o.address));
            }
            Some(o) if matches!(o.status, Status::Deposed(_)) => {
                broken.push(format!("rule 3: the current object of {address} is deposed"));
            }
            Some(_) => {}
        }
    }
    for (id, object) in &state.objects {
        if object.id != *id {
            broken.push(format!("rule 4: object {id} says it is {}", object.id));
        }
        if !state.recipes.contains_key(&object.recipe) {
            broken.push(format!(
                "rule 5: {} names recipe {}, which is not there",
                object.address, object.recipe
            ));
        }
        let is_current = state.current.get(&object.address) == Some(id);
        if !is_current && !matches!(object.status, Status::Deposed(_)) {
            broken.push(format!("rule 6: object {id} is neither current nor deposed at {}", object.address));
        }
    }
    for (op, open) in &state.open {
        if !state.recipes.contains_key(&open.begin.recipe) {
            broken.push(format!("rule 7: operation {} names a recipe that is not there", op.0));
        }
    }
    broken
}
