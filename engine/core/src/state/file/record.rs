//! Records of the journal on disk.

use super::object::{
    ObjectDto, OutputDto, RecipeDto, SettingsDto, decode_ids, decode_object, decode_output, decode_recipe,
    decode_settings, encode_ids, encode_object, encode_output, encode_recipe, encode_settings, planned_scope,
};
use super::value::{ValueDto, decode, encode};
use super::{FormError, Reader, Writer, parse, text};
use crate::state::{BeginOp, Ended, MadeOp, ObjectId, OpId, OpenOp, RecipeId, Record};
use groma_provider::Action;
use groma_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecordDto {
    Run { at_ms: i64, id: String },
    Recipe { id: String, recipe: RecipeDto },
    Begin { op: u64, begin: BeginDto },
    Made { op: u64, made: MadeDto },
    End { op: u64, ended: EndedDto },
    Observed { object: ObjectDto },
    Forgotten { id: String },
    Moved { id: String, to: String },
    Deposed { id: String, key: String },
    Resettled { id: String, dependencies: BTreeSet<String>, settings: SettingsDto },
    Output { name: String, output: Option<OutputDto> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BeginDto {
    action: ActionDto,
    object: String,
    address: String,
    provider: String,
    recipe: String,
    planned: ValueDto,
    digest: String,
    token: String,
    owner_mark: Option<String>,
    dependencies: BTreeSet<String>,
    host: Option<String>,
    settings: SettingsDto,
    schema_version: u32,
    at_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ActionDto {
    Create,
    Update,
    Delete,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MadeDto {
    attributes: ValueDto,
    private: Json,
    operation: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    provisioning: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndedDto {
    Settled(Box<ObjectDto>),
    Deleted { dropped: Vec<String> },
    Refused(String),
    Suspended,
}

/// An open operation, in a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenOpDto {
    begin: BeginDto,
    made: Option<MadeDto>,
}

pub(crate) fn encode_record(writer: &mut Writer<'_>, record: &Record) -> Result<RecordDto, FormError> {
    Ok(match record {
        Record::Run { at, id } => RecordDto::Run { at_ms: at.0, id: text(id) },
        Record::Recipe(id, recipe) => {
            RecordDto::Recipe { id: text(&id.0), recipe: encode_recipe(writer, id, recipe)? }
        }
        Record::Begin(op, begin) => RecordDto::Begin { op: op.0, begin: encode_begin(writer, begin)? },
        Record::Made(op, made) => RecordDto::Made { op: op.0, made: encode_made(writer, *op, made)? },
        Record::End(op, ended) => RecordDto::End { op: op.0, ended: encode_ended(writer, ended)? },
        Record::Observed(object) => RecordDto::Observed { object: encode_object(writer, object)? },
        Record::Forgotten(id) => RecordDto::Forgotten { id: text(&id.0) },
        Record::Moved(id, to) => RecordDto::Moved { id: text(&id.0), to: to.to_string() },
        Record::Deposed(id, key) => RecordDto::Deposed { id: text(&id.0), key: text(key) },
        Record::Resettled { id, dependencies, settings } => RecordDto::Resettled {
            id: text(&id.0),
            dependencies: encode_ids(dependencies),
            settings: encode_settings(settings),
        },
        Record::Output(name, output) => RecordDto::Output {
            name: text(name),
            output: output.as_ref().map(|o| encode_output(writer, name, o)).transpose()?,
        },
    })
}

pub(crate) fn decode_record(reader: &mut Reader<'_>, dto: RecordDto) -> Result<Record, FormError> {
    let object_id = |id: String| ObjectId(id.into());
    Ok(match dto {
        RecordDto::Run { at_ms, id } => Record::Run { at: Timestamp(at_ms), id: id.into() },
        RecordDto::Recipe { id, recipe } => {
            let id = RecipeId(id.into());
            let recipe = decode_recipe(reader, &id, recipe)?;
            Record::Recipe(id, recipe)
        }
        RecordDto::Begin { op, begin } => Record::Begin(OpId(op), decode_begin(reader, begin)?),
        RecordDto::Made { op, made } => Record::Made(OpId(op), decode_made(reader, OpId(op), made)?),
        RecordDto::End { op, ended } => Record::End(OpId(op), decode_ended(reader, ended)?),
        RecordDto::Observed { object } => Record::Observed(Box::new(decode_object(reader, object)?)),
        RecordDto::Forgotten { id } => Record::Forgotten(object_id(id)),
        RecordDto::Moved { id, to } => Record::Moved(object_id(id), parse("an address", &to)?),
        RecordDto::Deposed { id, key } => Record::Deposed(object_id(id), key.into()),
        RecordDto::Resettled { id, dependencies, settings } => Record::Resettled {
            id: object_id(id),
            dependencies: decode_ids(dependencies),
            settings: decode_settings(&settings),
        },
        RecordDto::Output { name, output } => {
            let output = output.map(|o| decode_output(reader, &name, o)).transpose()?;
            Record::Output(name.into(), output)
        }
    })
}

fn encode_begin(writer: &mut Writer<'_>, begin: &BeginOp) -> Result<BeginDto, FormError> {
    Ok(BeginDto {
        action: match begin.action {
            Action::Create => ActionDto::Create,
            Action::Update => ActionDto::Update,
            Action::Delete => ActionDto::Delete,
        },
        object: text(&begin.object.0),
        address: begin.address.to_string(),
        provider: begin.provider.to_string(),
        recipe: text(&begin.recipe.0),
        planned: encode(writer, &planned_scope(&begin.object), &begin.planned)?,
        digest: text(&begin.digest),
        token: text(&begin.token),
        owner_mark: begin.owner_mark.as_ref().map(text),
        dependencies: encode_ids(&begin.dependencies),
        host: begin.host.as_ref().map(|h| text(&h.0)),
        settings: encode_settings(&begin.settings),
        schema_version: begin.schema_version,
        at_ms: begin.at.0,
    })
}

fn decode_begin(reader: &mut Reader<'_>, dto: BeginDto) -> Result<BeginOp, FormError> {
    let object = ObjectId(dto.object.into());
    Ok(BeginOp {
        action: match dto.action {
            ActionDto::Create => Action::Create,
            ActionDto::Update => Action::Update,
            ActionDto::Delete => Action::Delete,
        },
        address: parse("an address", &dto.address)?,
        provider: parse("a provider address", &dto.provider)?,
        recipe: RecipeId(dto.recipe.into()),
        planned: decode(reader, &planned_scope(&object), dto.planned)?,
        object,
        digest: dto.digest.into(),
        token: dto.token.into(),
        owner_mark: dto.owner_mark.map(Into::into),
        dependencies: decode_ids(dto.dependencies),
        host: dto.host.map(|h| ObjectId(h.into())),
        settings: decode_settings(&dto.settings),
        schema_version: dto.schema_version,
        at: Timestamp(dto.at_ms),
    })
}

pub(crate) fn operation_scope(op: OpId) -> String {
    format!("operation {}", op.0)
}

fn encode_made(writer: &mut Writer<'_>, op: OpId, made: &MadeOp) -> Result<MadeDto, FormError> {
    Ok(MadeDto {
        attributes: encode(writer, &operation_scope(op), &made.attributes)?,
        private: made.private.clone(),
        operation: made.operation.as_ref().map(text),
        provisioning: made.provisioning,
    })
}

fn decode_made(reader: &mut Reader<'_>, op: OpId, dto: MadeDto) -> Result<MadeOp, FormError> {
    Ok(MadeOp {
        attributes: decode(reader, &operation_scope(op), dto.attributes)?,
        private: dto.private,
        operation: dto.operation.map(Into::into),
        provisioning: dto.provisioning,
    })
}

fn encode_ended(writer: &mut Writer<'_>, ended: &Ended) -> Result<EndedDto, FormError> {
    Ok(match ended {
        Ended::Settled(object) => EndedDto::Settled(Box::new(encode_object(writer, object)?)),
        Ended::Deleted { dropped } => {
            EndedDto::Deleted { dropped: dropped.iter().map(|id| text(&id.0)).collect() }
        }
        Ended::Refused(why) => EndedDto::Refused(text(why)),
        Ended::Suspended => EndedDto::Suspended,
    })
}

fn decode_ended(reader: &mut Reader<'_>, dto: EndedDto) -> Result<Ended, FormError> {
    Ok(match dto {
        EndedDto::Settled(object) => Ended::Settled(Box::new(decode_object(reader, *object)?)),
        EndedDto::Deleted { dropped } => {
            Ended::Deleted { dropped: dropped.into_iter().map(|id| ObjectId(id.into())).collect() }
        }
        EndedDto::Refused(why) => Ended::Refused(why.into()),
        EndedDto::Suspended => Ended::Suspended,
    })
}

pub(crate) fn encode_open(writer: &mut Writer<'_>, op: OpId, open: &OpenOp) -> Result<OpenOpDto, FormError> {
    let made = open.made.as_ref().map(|m| encode_made(writer, op, m)).transpose()?;
    Ok(OpenOpDto { begin: encode_begin(writer, &open.begin)?, made })
}

pub(crate) fn decode_open(reader: &mut Reader<'_>, op: OpId, dto: OpenOpDto) -> Result<OpenOp, FormError> {
    let made = dto.made.map(|m| decode_made(reader, op, m)).transpose()?;
    Ok(OpenOp { begin: decode_begin(reader, dto.begin)?, made })
}
