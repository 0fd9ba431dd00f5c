//! Values on disk. A sensitive value is one sealed text with all that is inside; an unknown one is never sealed as a
//! whole, because its residual must outlive a lost key (what is sensitive inside of it is sealed by itself).
//! A null tells nothing and stays open. An ephemeral value is stored as null.

use super::{Blob, FormError, Lost, Reader, SealErrorKind, Writer, from_bytes, parse, text, to_bytes};
use crate::state::seal::{SealError, Sealed};
use groma_types::address::Address;
use groma_types::json::{type_from_json, type_to_json};
use groma_types::{
    AttrPath, Cause, Marks, Mint, ModuleAddr, NameMap, Number, Refinements, Residual, Step, Type, Unknown,
    Value, ValueKind,
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Values nest at most this deep: what is written must be readable, and readers stop at 1024 levels of MessagePack.
const DEPTH_MAX: usize = 120;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ValueDto {
    Null(Json),
    Bool(bool),
    Int(i64),
    /// Decimal digits.
    Number(String),
    String(String),
    List(Json, Vec<ValueDto>),
    Set(Json, Vec<ValueDto>),
    Map(Json, BTreeMap<String, ValueDto>),
    Tuple(Vec<ValueDto>),
    Object(BTreeMap<String, ValueDto>),
    Unknown(Box<UnknownDto>),
    Marked {
        marks: MarksDto,
        value: Box<ValueDto>,
    },
    Sealed {
        marks: MarksDto,
        ty: Json,
        key: String,
        data: Blob,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MarksDto {
    sensitive: bool,
    ephemeral: bool,
    minted: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct UnknownDto {
    ty: Json,
    not_null: bool,
    prefix: Option<String>,
    len_min: u64,
    len_max: Option<u64>,
    causes: Vec<CauseDto>,
    residual: Option<ResidualDto>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CauseDto {
    Instance(String),
    Resource(String),
    Provider(String),
    Module(String),
    Variable(String, String),
    Local(String, String),
    Output(String, String),
    Function(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResidualDto {
    Mint {
        kind: String,
        #[serde(default)]
        opens: Option<String>,
        provider: String,
        args: ValueDto,
        path: Vec<StepDto>,
    },
    Expr {
        text: String,
        inputs: BTreeMap<String, ValueDto>,
        path: Vec<StepDto>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepDto {
    Attr(String),
    Index(u64),
    Key(String),
}

pub(crate) fn encode(writer: &mut Writer<'_>, scope: &str, value: &Value) -> Result<ValueDto, FormError> {
    if depth(value) > DEPTH_MAX {
        let why = format!("it nests deeper than {DEPTH_MAX} levels");
        return Err(FormError::Unstorable { what: "a value", why });
    }
    encode_at(writer, scope, &AttrPath::root(), value)
}

pub(crate) fn decode(reader: &mut Reader<'_>, scope: &str, dto: ValueDto) -> Result<Value, FormError> {
    decode_at(reader, scope, &AttrPath::root(), dto)
}

fn depth(value: &Value) -> usize {
    let inner = match value.kind() {
        ValueKind::List(_, vs) | ValueKind::Set(_, vs) | ValueKind::Tuple(vs) => vs.iter().map(depth).max(),
        ValueKind::Map(_, vs) | ValueKind::Object(vs) => vs.values().map(depth).max(),
        ValueKind::Unknown(unknown) => match unknown.residual.as_deref() {
            Some(Residual::Mint(mint, _)) => Some(depth(&mint.args)),
            Some(Residual::Expr { inputs, .. }) => inputs.values().map(depth).max(),
            None => None,
        },
        ValueKind::Null(_) | ValueKind::Bool(_) | ValueKind::Number(_) | ValueKind::String(_) => None,
    };
    1 + inner.unwrap_or(0)
}

fn encode_at(
    writer: &mut Writer<'_>,
    scope: &str,
    at: &AttrPath,
    value: &Value,
) -> Result<ValueDto, FormError> {
    let marks = value.marks();
    if marks.is_none() {
        return encode_kind(writer, scope, at, value);
    }
    let dto_marks = MarksDto { sensitive: marks.sensitive, ephemeral: marks.ephemeral, minted: marks.minted };
    let plain = match value.kind() {
        ValueKind::Unknown(_) | ValueKind::Null(_) => encode_kind(writer, scope, at, value)?,
        _ if marks.ephemeral => ValueDto::Null(type_to_json(&shallow(&value.ty()))),
        _ if marks.sensitive && !writer.sealing => return seal(writer, scope, at, value, dto_marks),
        _ => encode_kind(writer, scope, at, value)?,
    };
    Ok(ValueDto::Marked { marks: dto_marks, value: Box::new(plain) })
}

/// The whole of a sensitive value as one sealed text. Marks inside travel within; nothing inside is sealed twice.
fn seal(
    writer: &mut Writer<'_>,
    scope: &str,
    at: &AttrPath,
    value: &Value,
    marks: MarksDto,
) -> Result<ValueDto, FormError> {
    let inner = encode_kind(&mut Writer { keys: writer.keys, sealing: true }, scope, at, value)?;
    let sealed = writer.keys.seal(&place(scope, at), &to_bytes("a value", &inner)?)?;
    let ty = type_to_json(&shallow(&value.ty()));
    Ok(ValueDto::Sealed { marks, ty, key: sealed.key, data: Blob(sealed.data) })
}

/// Names of attributes may be secret in a sensitive value (decoded JSON): its type is kept only as far as it has none.
fn shallow(ty: &Type) -> Type {
    match ty {
        Type::Dynamic | Type::Bool | Type::Number | Type::String => ty.clone(),
        Type::List(e) => Type::list(shallow(e)),
        Type::Set(e) => Type::set(shallow(e)),
        Type::Map(e) => Type::map(shallow(e)),
        Type::Tuple(_) | Type::Object(_) => Type::Dynamic,
    }
}

fn encode_kind(
    writer: &mut Writer<'_>,
    scope: &str,
    at: &AttrPath,
    value: &Value,
) -> Result<ValueDto, FormError> {
    let mut all = |vs: &[Value]| {
        let each = vs.iter().enumerate().map(|(i, v)| encode_at(writer, scope, &at.index(i), v));
        each.collect::<Result<Vec<_>, _>>()
    };
    Ok(match value.kind() {
        ValueKind::Null(ty) => ValueDto::Null(type_to_json(ty)),
        ValueKind::Bool(b) => ValueDto::Bool(*b),
        ValueKind::Number(n) => n.to_i64().map_or_else(|| ValueDto::Number(n.to_string()), ValueDto::Int),
        ValueKind::String(s) => ValueDto::String(text(s)),
        ValueKind::List(ty, vs) => ValueDto::List(type_to_json(ty), all(vs)?),
        ValueKind::Set(ty, vs) => ValueDto::Set(type_to_json(ty), all(vs)?),
        ValueKind::Tuple(vs) => ValueDto::Tuple(all(vs)?),
        ValueKind::Map(ty, vs) => {
            ValueDto::Map(type_to_json(ty), encode_map(writer, scope, at, vs, Step::Key)?)
        }
        ValueKind::Object(vs) => ValueDto::Object(encode_map(writer, scope, at, vs, Step::Attr)?),
        ValueKind::Unknown(unknown) => {
            ValueDto::Unknown(Box::new(encode_unknown(writer, scope, at, unknown, value.marks().sensitive)?))
        }
    })
}

fn encode_map(
    writer: &mut Writer<'_>,
    scope: &str,
    at: &AttrPath,
    values: &NameMap<Value>,
    step: fn(Arc<str>) -> Step,
) -> Result<BTreeMap<String, ValueDto>, FormError> {
    let each = values.iter();
    each.map(|(k, v)| Ok((text(k), encode_at(writer, scope, &at.with(step(k.clone())), v)?))).collect()
}

fn encode_unknown(
    writer: &mut Writer<'_>,
    scope: &str,
    at: &AttrPath,
    unknown: &Unknown,
    sensitive: bool,
) -> Result<UnknownDto, FormError> {
    let residual = match unknown.residual.as_deref() {
        None => None,
        Some(Residual::Mint(mint, path)) => Some(ResidualDto::Mint {
            kind: text(&mint.kind),
            opens: mint.opens.as_ref().map(ToString::to_string),
            provider: mint.provider.to_string(),
            args: encode_at(writer, scope, &at.attr("@args"), &mint.args)?,
            path: encode_path(path),
        }),
        Some(Residual::Expr { text: source, inputs, path }) => Some(ResidualDto::Expr {
            text: text(source),
            inputs: encode_map(writer, scope, &at.attr("@inputs"), inputs, Step::Attr)?,
            path: encode_path(path),
        }),
    };
    let refine = &unknown.refine;
    Ok(UnknownDto {
        ty: type_to_json(&unknown.ty),
        not_null: refine.not_null,
        // The beginning of a secret is a part of the secret.
        prefix: refine.prefix.as_ref().filter(|_| writer.sealing || !sensitive).map(text),
        len_min: refine.len_min as u64,
        len_max: refine.len_max.map(|n| n as u64),
        causes: unknown.causes.iter().map(encode_cause).collect(),
        residual,
    })
}

fn encode_cause(cause: &Cause) -> CauseDto {
    match cause {
        Cause::Function(name) => CauseDto::Function(text(name)),
        Cause::Node(Address::Instance(a)) => CauseDto::Instance(a.to_string()),
        Cause::Node(Address::Resource(a)) => CauseDto::Resource(a.to_string()),
        Cause::Node(Address::Provider(a)) => CauseDto::Provider(a.to_string()),
        Cause::Node(Address::Module(m)) => CauseDto::Module(m.to_string()),
        Cause::Node(Address::Variable(m, n)) => CauseDto::Variable(m.to_string(), text(n)),
        Cause::Node(Address::Local(m, n)) => CauseDto::Local(m.to_string(), text(n)),
        Cause::Node(Address::Output(m, n)) => CauseDto::Output(m.to_string(), text(n)),
    }
}

fn decode_cause(dto: CauseDto) -> Result<Cause, FormError> {
    let module = |m: &str| parse::<ModuleAddr>("a module address", m);
    Ok(Cause::Node(match dto {
        CauseDto::Function(name) => return Ok(Cause::Function(name.into())),
        CauseDto::Instance(a) => Address::Instance(parse("an address", &a)?),
        CauseDto::Resource(a) => Address::Resource(parse("an address", &a)?),
        CauseDto::Provider(a) => Address::Provider(parse("a provider address", &a)?),
        CauseDto::Module(m) => Address::Module(module(&m)?),
        CauseDto::Variable(m, n) => Address::Variable(module(&m)?, n.into()),
        CauseDto::Local(m, n) => Address::Local(module(&m)?, n.into()),
        CauseDto::Output(m, n) => Address::Output(module(&m)?, n.into()),
    }))
}

fn encode_path(path: &AttrPath) -> Vec<StepDto> {
    let step = |step: &Step| match step {
        Step::Attr(name) => StepDto::Attr(text(name)),
        Step::Index(index) => StepDto::Index(*index as u64),
        Step::Key(key) => StepDto::Key(text(key)),
    };
    path.0.iter().map(step).collect()
}

fn decode_path(steps: Vec<StepDto>) -> AttrPath {
    let step = |step| match step {
        StepDto::Attr(name) => Step::Attr(name.into()),
        StepDto::Index(index) => Step::Index(usize::try_from(index).unwrap_or(usize::MAX)),
        StepDto::Key(key) => Step::Key(key.into()),
    };
    AttrPath(steps.into_iter().map(step).collect())
}

/// What the cipher authenticates beside the text. Unambiguous: each part carries its length.
fn place(scope: &str, at: &AttrPath) -> Vec<u8> {
    let mut place = format!("groma value 1 {}:{scope}", scope.len());
    for step in &at.0 {
        let step = match step {
            Step::Attr(name) => format!(" a{}:{name}", name.len()),
            Step::Index(index) => format!(" i{index}"),
            Step::Key(key) => format!(" k{}:{key}", key.len()),
        };
        place.push_str(&step);
    }
    place.into_bytes()
}

fn decode_type(json: &Json) -> Result<Type, FormError> {
    type_from_json(json)
        .ok_or_else(|| FormError::Unknown { what: "a type", why: format!("{json} is not one") })
}

fn decode_at(reader: &mut Reader<'_>, scope: &str, at: &AttrPath, dto: ValueDto) -> Result<Value, FormError> {
    let kind = match dto {
        ValueDto::Null(ty) => ValueKind::Null(decode_type(&ty)?),
        ValueDto::Bool(b) => ValueKind::Bool(b),
        ValueDto::Int(n) => ValueKind::Number(n.into()),
        ValueDto::Number(n) => ValueKind::Number(
            Number::parse(&n).map_err(|e| FormError::Unknown { what: "a number", why: e.to_string() })?,
        ),
        ValueDto::String(s) => ValueKind::String(s.into()),
        ValueDto::List(ty, vs) => {
            ValueKind::List(decode_type(&ty)?, Arc::new(decode_seq(reader, scope, at, vs)?))
        }
        ValueDto::Set(ty, vs) => {
            return Ok(Value::set(decode_type(&ty)?, decode_seq(reader, scope, at, vs)?));
        }
        ValueDto::Tuple(vs) => ValueKind::Tuple(Arc::new(decode_seq(reader, scope, at, vs)?)),
        ValueDto::Map(ty, vs) => {
            ValueKind::Map(decode_type(&ty)?, Arc::new(decode_map(reader, scope, at, vs, Step::Key)?))
        }
        ValueDto::Object(vs) => ValueKind::Object(Arc::new(decode_map(reader, scope, at, vs, Step::Attr)?)),
        ValueDto::Unknown(unknown) => return Ok(decode_unknown(reader, scope, at, *unknown)?.into()),
        ValueDto::Marked { marks, value } => {
            return Ok(decode_at(reader, scope, at, *value)?.with_marks(decode_marks(marks)));
        }
        ValueDto::Sealed { marks, ty, key, data } => {
            let marks = decode_marks(marks);
            let sealed = Sealed { key, data: data.0 };
            return match unseal(reader, scope, at, &sealed, marks)? {
                Some(value) => Ok(value),
                None => Ok(Value::null(decode_type(&ty)?).with_marks(marks)),
            };
        }
    };
    Ok(kind.into())
}

fn unseal(
    reader: &mut Reader<'_>,
    scope: &str,
    at: &AttrPath,
    sealed: &Sealed,
    marks: Marks,
) -> Result<Option<Value>, FormError> {
    let opened = match reader.keys.open_sealed(&place(scope, at), sealed) {
        Ok(text) => text,
        Err(error) => {
            let missing = matches!(error, SealError::Lost(_));
            let why = if missing { SealErrorKind::KeyMissing } else { SealErrorKind::Damaged };
            reader.lost.push(Lost { scope: scope.into(), path: at.to_string(), why });
            return Ok(None);
        }
    };
    let value = decode_at(reader, scope, at, from_bytes("a sealed value", &opened)?)?;
    Ok(Some(value.mark(marks)))
}

fn decode_seq(
    reader: &mut Reader<'_>,
    scope: &str,
    at: &AttrPath,
    values: Vec<ValueDto>,
) -> Result<Vec<Value>, FormError> {
    let each = values.into_iter().enumerate();
    each.map(|(i, v)| decode_at(reader, scope, &at.index(i), v)).collect()
}

fn decode_map(
    reader: &mut Reader<'_>,
    scope: &str,
    at: &AttrPath,
    values: BTreeMap<String, ValueDto>,
    step: fn(Arc<str>) -> Step,
) -> Result<NameMap<Value>, FormError> {
    let each = values.into_iter().map(|(k, v)| (Arc::<str>::from(k), v));
    each.map(|(k, v)| Ok((k.clone(), decode_at(reader, scope, &at.with(step(k)), v)?))).collect()
}

fn decode_marks(dto: MarksDto) -> Marks {
    Marks { sensitive: dto.sensitive, ephemeral: dto.ephemeral, minted: dto.minted }
}

fn decode_unknown(
    reader: &mut Reader<'_>,
    scope: &str,
    at: &AttrPath,
    dto: UnknownDto,
) -> Result<Unknown, FormError> {
    let residual = match dto.residual {
        None => None,
        Some(ResidualDto::Mint { kind, opens, provider, args, path }) => {
            let opens = opens.map(|a| parse("an address", &a)).transpose()?;
            let provider = parse("a provider address", &provider)?;
            let args = decode_at(reader, scope, &at.attr("@args"), args)?;
            let mint = Mint { kind: kind.into(), opens, provider, args };
            Some(Residual::Mint(mint, decode_path(path)))
        }
        Some(ResidualDto::Expr { text, inputs, path }) => {
            let inputs = decode_map(reader, scope, &at.attr("@inputs"), inputs, Step::Attr)?;
            Some(Residual::Expr { text: text.into(), inputs, path: decode_path(path) })
        }
    };
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Ok(Unknown {
        ty: decode_type(&dto.ty)?,
        refine: Refinements {
            not_null: dto.not_null,
            prefix: dto.prefix.map(Into::into),
            len_min: size(dto.len_min),
            len_max: dto.len_max.map(size),
        },
        causes: dto.causes.into_iter().map(decode_cause).collect::<Result<_, _>>()?,
        residual: residual.map(Arc::new),
    })
}
