//! Reads the objects of a state as the world has them.
//!
//! Objects are read through their recorded recipes, hosts before what lives on them. Present, gone, unreachable and
//! forbidden are four answers: only a certain «gone» ever counts as absence.

use crate::event::EventKind;
use crate::pool::Pool;
use crate::state::{Object, ObjectId, RecipeId, State};
use futures::stream::{self, StreamExt};
use groma_provider::{
    Configured, ErrorKind, Object as Read, ProviderError, Read as Answer, ReadRequest, World,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Objects of one recipe and kind are read by list where there are at least this many.
const LIST_MIN: usize = 5;
/// Reads under way at once; a bound on sockets, not on the API (limiters are the providers').
const READS_MAX: usize = 64;

#[derive(Clone, Debug)]
pub enum Refreshed {
    Present(Box<Read>),
    Gone,
    /// No certain answer: the object is taken as recorded and its node reports this.
    Failed(Box<ProviderError>),
}

/// Reads the objects with these ids; `emit` gets an event for each.
pub async fn refresh(
    pool: &Arc<Pool>,
    state: &State,
    ids: &BTreeSet<ObjectId>,
    emit: &(dyn Fn(EventKind) + Sync),
) -> BTreeMap<ObjectId, Refreshed> {
    let mut found = BTreeMap::new();
    // A host is never hosted itself, so two rounds serve.
    for hosted in [false, true] {
        let mut open: Vec<&Object> = Vec::new();
        for object in ids.iter().filter_map(|id| state.objects.get(id)).filter(|o| o.host.is_some() == hosted)
        {
            match object.host.as_ref().and_then(|h| found.get(h)) {
                // With its host everything on it is gone.
                Some(Refreshed::Gone) => {
                    found.insert(object.id.clone(), Refreshed::Gone);
                }
                _ => open.push(object),
            }
        }
        found.extend(read_all(pool, state, open, emit).await);
    }
    with_their_hosts(pool, state, &mut found).await;
    found
}

/// A host may go between its own read and that of what lives on it (one that an earlier run began to delete does): where
/// nobody answers there, the host is looked at once more, and with it everything on it is gone.
async fn with_their_hosts(pool: &Arc<Pool>, state: &State, found: &mut BTreeMap<ObjectId, Refreshed>) {
    let silent = |r: &Refreshed| matches!(r, Refreshed::Failed(e) if e.kind == ErrorKind::Unreachable);
    let host_of = |id: &ObjectId| state.objects.get(id)?.host.as_ref();
    let doubted: BTreeSet<&ObjectId> =
        found.iter().filter(|(_, r)| silent(r)).filter_map(|(id, _)| host_of(id)).collect();
    let was_there = |id: &&&ObjectId| matches!(found.get(**id), Some(Refreshed::Present(_)));
    let hosts = doubted.iter().filter(was_there).filter_map(|id| state.objects.get(*id)).collect();
    let again = read_all(pool, state, hosts, &|_| {}).await;
    let gone: BTreeSet<ObjectId> =
        again.into_iter().filter(|(_, r)| matches!(r, Refreshed::Gone)).map(|(id, _)| id).collect();
    for (id, refreshed) in found.iter_mut() {
        if gone.contains(id) || host_of(id).is_some_and(|host| gone.contains(host)) {
            *refreshed = Refreshed::Gone;
        }
    }
}

/// Reads objects, those of one recipe and kind together.
async fn read_all(
    pool: &Arc<Pool>,
    state: &State,
    objects: Vec<&Object>,
    emit: &(dyn Fn(EventKind) + Sync),
) -> Vec<(ObjectId, Refreshed)> {
    let mut groups: BTreeMap<(RecipeId, Arc<str>), Vec<&Object>> = BTreeMap::new();
    for object in objects {
        let key = (object.recipe.clone(), object.address.resource.kind.clone());
        groups.entry(key).or_default().push(object);
    }
    let work = groups.into_iter().flat_map(|(key, objects)| {
        let size = if objects.len() >= LIST_MIN { objects.len() } else { 1 };
        objects.chunks(size).map(|c| (key.clone(), c.to_vec())).collect::<Vec<_>>()
    });
    let answers: Vec<_> = stream::iter(work)
        .map(|((recipe, kind), objects)| async move {
            let nowhere = World::default();
            let world = state.recipes.get(&recipe).map_or(&nowhere, |r| &r.world);
            objects.iter().for_each(|o| emit(EventKind::RefreshStarted { address: o.address.clone() }));
            let read = read_group(pool, &recipe, world, &kind, &objects).await;
            objects.iter().for_each(|o| emit(EventKind::RefreshDone { address: o.address.clone() }));
            read
        })
        .buffer_unordered(READS_MAX)
        .collect()
        .await;
    answers.into_iter().flatten().collect()
}

async fn read_group(
    pool: &Arc<Pool>,
    recipe: &RecipeId,
    recorded: &World,
    kind: &str,
    objects: &[&Object],
) -> Vec<(ObjectId, Refreshed)> {
    let all = |e: &ProviderError| {
        objects.iter().map(|o| (o.id.clone(), Refreshed::Failed(Box::new(e.clone())))).collect::<Vec<_>>()
    };
    let configured = match in_its_world(pool, recipe, recorded).await {
        Ok(configured) => configured,
        Err(e) => return all(&e),
    };
    let requests: Result<Vec<ReadRequest>, ProviderError> = objects.iter().map(|o| request(o)).collect();
    let requests = match requests {
        Ok(requests) => requests,
        Err(e) => return all(&e),
    };
    if objects.len() >= LIST_MIN {
        match configured.read_many(kind, &requests).await {
            Ok(Some(answers)) => {
                return objects.iter().zip(answers).map(|(o, a)| (o.id.clone(), refreshed(Ok(a)))).collect();
            }
            // Where nobody answers to one question, nobody would to thousands.
            Err(error) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Unavailable) => {
                return all(&error);
            }
            Ok(None) | Err(_) => {}
        }
    }
    let mut found = Vec::new();
    for (object, request) in objects.iter().zip(requests) {
        found.push((object.id.clone(), refreshed(configured.read(kind, request).await)));
    }
    found
}

/// The configured provider of a recipe, once its world is seen to be the recorded one.
async fn in_its_world(
    pool: &Arc<Pool>,
    recipe: &RecipeId,
    recorded: &World,
) -> Result<Arc<dyn Configured>, ProviderError> {
    crate::plan::planner::check_world(recorded, &pool.world(recipe).await?)?;
    pool.get(recipe).await
}

/// The request that reads an object.
///
/// # Errors
/// The object's attributes hold something unknown, which only a broken state can.
pub fn request(object: &Object) -> Result<ReadRequest, ProviderError> {
    let prior = object.attributes.clone().resolve().map_err(|u| {
        ProviderError::new(
            ErrorKind::Bug,
            format!("the state of {} is not known at {}", object.address, u.path),
        )
    })?;
    Ok(ReadRequest {
        prior,
        private: object.private.clone(),
        owner_mark: object.owner_mark.as_ref().map(|m| m.to_string()),
    })
}

fn refreshed(answer: Result<Answer, ProviderError>) -> Refreshed {
    match answer {
        Ok(Answer::Present(object)) => Refreshed::Present(Box::new(object)),
        Ok(Answer::Gone) => Refreshed::Gone,
        Err(error) => Refreshed::Failed(Box::new(error)),
    }
}
