//! Objects, recipes, outputs and their parts on disk.

use super::value::{ValueDto, decode, encode};
use super::{FormError, Reader, Writer, parse, text};
use crate::state::{
    Object, ObjectId, OnDestroy, OutputValue, Recipe, RecipeId, RecordedCommand, Settings, Status,
};
use groma_provider::World;
use groma_types::Timestamp;
use groma_types::schema::Timeouts;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ObjectDto {
    pub(crate) id: String,
    address: String,
    provider: String,
    recipe: String,
    status: StatusDto,
    attributes: ValueDto,
    private: Json,
    schema_version: u32,
    groma_version: String,
    dependencies: BTreeSet<String>,
    host: Option<String>,
    owner_mark: Option<String>,
    settings: SettingsDto,
    created_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StatusDto {
    Ready,
    Waiting,
    Unconverged(String),
    Tainted(String),
    Deposed(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SettingsDto {
    create_before_destroy: bool,
    prevent_destroy: bool,
    on_destroy: OnDestroyDto,
    timeouts: TimeoutsDto,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unprovisioned: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    before_destroy: Vec<CommandDto>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CommandDto {
    arguments: BTreeMap<String, String>,
    continues: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnDestroyDto {
    Delete,
    Keep,
    Forbid,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TimeoutsDto {
    create: Duration,
    read: Duration,
    update: Duration,
    delete: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RecipeDto {
    provider: String,
    config: ValueDto,
    minters: BTreeMap<String, String>,
    world: BTreeMap<String, String>,
    host: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OutputDto {
    value: ValueDto,
    sensitive: bool,
}

/// The place of an object's values for the cipher: by id, so that a move leaves them valid.
pub(crate) fn object_scope(id: &ObjectId) -> String {
    format!("object {id}")
}

pub(crate) fn planned_scope(id: &ObjectId) -> String {
    format!("planned {id}")
}

pub(crate) fn recipe_scope(id: &RecipeId) -> String {
    format!("recipe {id}")
}

pub(crate) fn output_scope(name: &str) -> String {
    format!("output {name}")
}

pub(crate) fn encode_object(writer: &mut Writer<'_>, object: &Object) -> Result<ObjectDto, FormError> {
    Ok(ObjectDto {
        id: text(&object.id.0),
        address: object.address.to_string(),
        provider: object.provider.to_string(),
        recipe: text(&object.recipe.0),
        status: encode_status(&object.status),
        attributes: encode(writer, &object_scope(&object.id), &object.attributes)?,
        private: object.private.clone(),
        schema_version: object.schema_version,
        groma_version: text(&object.groma_version),
        dependencies: encode_ids(&object.dependencies),
        host: object.host.as_ref().map(|h| text(&h.0)),
        owner_mark: object.owner_mark.as_ref().map(text),
        settings: encode_settings(&object.settings),
        created_ms: object.created.0,
    })
}

pub(crate) fn decode_object(reader: &mut Reader<'_>, dto: ObjectDto) -> Result<Object, FormError> {
    let id = ObjectId(dto.id.into());
    Ok(Object {
        address: parse("an address", &dto.address)?,
        provider: parse("a provider address", &dto.provider)?,
        recipe: RecipeId(dto.recipe.into()),
        status: decode_status(dto.status),
        attributes: decode(reader, &object_scope(&id), dto.attributes)?,
        private: dto.private,
        schema_version: dto.schema_version,
        groma_version: dto.groma_version.into(),
        dependencies: decode_ids(dto.dependencies),
        host: dto.host.map(|h| ObjectId(h.into())),
        owner_mark: dto.owner_mark.map(Into::into),
        settings: decode_settings(&dto.settings),
        created: Timestamp(dto.created_ms),
        id,
    })
}

fn encode_status(status: &Status) -> StatusDto {
    match status {
        Status::Ready => StatusDto::Ready,
        Status::Waiting => StatusDto::Waiting,
        Status::Unconverged(why) => StatusDto::Unconverged(text(why)),
        Status::Tainted(why) => StatusDto::Tainted(text(why)),
        Status::Deposed(key) => StatusDto::Deposed(text(key)),
    }
}

fn decode_status(dto: StatusDto) -> Status {
    match dto {
        StatusDto::Ready => Status::Ready,
        StatusDto::Waiting => Status::Waiting,
        StatusDto::Unconverged(why) => Status::Unconverged(why.into()),
        StatusDto::Tainted(why) => Status::Tainted(why.into()),
        StatusDto::Deposed(key) => Status::Deposed(key.into()),
    }
}

pub(crate) fn encode_ids(ids: &BTreeSet<ObjectId>) -> BTreeSet<String> {
    ids.iter().map(|id| text(&id.0)).collect()
}

pub(crate) fn decode_ids(ids: BTreeSet<String>) -> BTreeSet<ObjectId> {
    ids.into_iter().map(|id| ObjectId(id.into())).collect()
}

pub(crate) fn encode_settings(settings: &Settings) -> SettingsDto {
    let Timeouts { create, read, update, delete } = settings.timeouts;
    SettingsDto {
        create_before_destroy: settings.create_before_destroy,
        prevent_destroy: settings.prevent_destroy,
        on_destroy: match settings.on_destroy {
            OnDestroy::Delete => OnDestroyDto::Delete,
            OnDestroy::Keep => OnDestroyDto::Keep,
            OnDestroy::Forbid => OnDestroyDto::Forbid,
        },
        timeouts: TimeoutsDto { create, read, update, delete },
        unprovisioned: settings.unprovisioned,
        before_destroy: settings.before_destroy.iter().map(encode_command).collect(),
    }
}

fn encode_command(command: &RecordedCommand) -> CommandDto {
    let arguments = command.arguments.iter().map(|(name, expr)| (text(name), text(expr)));
    CommandDto { arguments: arguments.collect(), continues: command.continues }
}

fn decode_command(dto: &CommandDto) -> RecordedCommand {
    let arguments = dto.arguments.iter().map(|(name, expr)| (name.as_str().into(), expr.as_str().into()));
    RecordedCommand { arguments: arguments.collect(), continues: dto.continues }
}

pub(crate) fn decode_settings(dto: &SettingsDto) -> Settings {
    let TimeoutsDto { create, read, update, delete } = dto.timeouts.clone();
    Settings {
        create_before_destroy: dto.create_before_destroy,
        prevent_destroy: dto.prevent_destroy,
        on_destroy: match dto.on_destroy {
            OnDestroyDto::Delete => OnDestroy::Delete,
            OnDestroyDto::Keep => OnDestroy::Keep,
            OnDestroyDto::Forbid => OnDestroy::Forbid,
        },
        timeouts: Timeouts { create, read, update, delete },
        unprovisioned: dto.unprovisioned,
        before_destroy: dto.before_destroy.iter().map(decode_command).collect(),
    }
}

pub(crate) fn encode_recipe(
    writer: &mut Writer<'_>,
    id: &RecipeId,
    recipe: &Recipe,
) -> Result<RecipeDto, FormError> {
    Ok(RecipeDto {
        provider: recipe.provider.to_string(),
        config: encode(writer, &recipe_scope(id), &recipe.config)?,
        minters: recipe.minters.iter().map(|(a, id)| (a.to_string(), text(&id.0))).collect(),
        world: recipe.world.0.clone(),
        host: recipe.host.as_ref().map(|h| text(&h.0)),
    })
}

pub(crate) fn decode_recipe(
    reader: &mut Reader<'_>,
    id: &RecipeId,
    dto: RecipeDto,
) -> Result<Recipe, FormError> {
    let minter =
        |(address, id): (String, String)| Ok((parse("a provider address", &address)?, RecipeId(id.into())));
    Ok(Recipe {
        provider: parse("a provider address", &dto.provider)?,
        config: decode(reader, &recipe_scope(id), dto.config)?,
        minters: dto.minters.into_iter().map(minter).collect::<Result<_, FormError>>()?,
        world: World(dto.world),
        host: dto.host.map(|h| ObjectId(h.into())),
    })
}

pub(crate) fn encode_output(
    writer: &mut Writer<'_>,
    name: &str,
    output: &OutputValue,
) -> Result<OutputDto, FormError> {
    // A sensitive output is sealed whatever its value's own marks say.
    let marked = output.value.clone().mark(groma_types::Marks::SENSITIVE);
    let value = if output.sensitive { &marked } else { &output.value };
    Ok(OutputDto { value: encode(writer, &output_scope(name), value)?, sensitive: output.sensitive })
}

pub(crate) fn decode_output(
    reader: &mut Reader<'_>,
    name: &str,
    dto: OutputDto,
) -> Result<OutputValue, FormError> {
    Ok(OutputValue { value: decode(reader, &output_scope(name), dto.value)?, sensitive: dto.sensitive })
}
