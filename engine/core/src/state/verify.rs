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
        if !object.attributes.is_wholly_known() {
            broken.push(format!("rule 9: {} has attributes that are not known", object.address));
        }
        if object.attributes.deep_marks().ephemeral {
            broken.push(format!("rule 10: {} holds an ephemeral value", object.address));
        }
        if object.dependencies.contains(id) || object.host.as_ref() == Some(id) {
            broken.push(format!("rule 11: {} depends on itself", object.address));
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
    for (id, recipe) in &state.recipes {
        for (minter, named) in &recipe.minters {
            if !state.recipes.contains_key(named) {
                broken.push(format!(
                    "rule 8: recipe {id} mints through {minter} by a recipe that is not there"
                ));
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::super::samples::{recipe, story};
    use super::super::{ObjectId, RecipeId, Status};
    use super::verify;
    use crate::state::State;
    use groma_types::{Marks, Type, Value};

    fn told() -> State {
        let mut state = State::default();
        story().iter().flatten().for_each(|r| state.apply(r));
        state
    }

    #[test]
    fn every_state_of_a_run_is_valid() {
        let mut state = State::default();
        for record in story().iter().flatten() {
            state.apply(record);
            assert_eq!(verify(&state), Vec::<String>::new());
        }
    }

    #[test]
    fn each_rule_is_seen_when_it_is_broken() {
        let id = || ObjectId("o2".into());
        let o2 = |s: &mut State, change: &dyn Fn(&mut super::super::Object)| {
            change(s.objects.get_mut(&id()).unwrap());
        };
        type Break<'a> = (&'a str, &'a dyn Fn(&mut State));
        let cases: [Break<'_>; 11] = [
            ("rule 1:", &|s| drop(s.objects.remove(&id()))),
            ("rule 2:", &|s| o2(s, &|o| o.address = "a.other".parse().unwrap())),
            ("rule 3:", &|s| o2(s, &|o| o.status = Status::Deposed("k".into()))),
            ("rule 4:", &|s| o2(s, &|o| o.id = ObjectId("x".into()))),
            ("rule 5:", &|s| o2(s, &|o| o.recipe = RecipeId("x".into()))),
            ("rule 6:", &|s| s.current.clear()),
            ("rule 7:", &|s| s.recipes.clear()),
            ("rule 8:", &|s| {
                let mut recipe = recipe();
                recipe.minters.values_mut().for_each(|id| *id = RecipeId("none".into()));
                s.recipes.insert(RecipeId("x".into()), recipe);
            }),
            ("rule 9:", &|s| o2(s, &|o| o.attributes = Value::unknown(Type::String))),
            ("rule 10:", &|s| o2(s, &|o| o.attributes = Value::NULL.mark(Marks::EPHEMERAL))),
            ("rule 11:", &|s| o2(s, &|o| o.dependencies.extend([id()]))),
        ];
        for (rule, break_it) in cases {
            let mut state = told();
            break_it(&mut state);
            let broken = verify(&state);
            assert!(broken.iter().any(|b| b.starts_with(rule)), "{rule} {broken:?}");
        }
    }
}
