//! Encodings of text: base64, gzip, character sets, URLs, CSV.

use super::charsets::{self, SingleByte};
use super::{FunctionError, Outcome, bad_arg, fail, text};
use crate::eval::FunctionHost;
use base64::Engine;
use base64::alphabet::STANDARD as STANDARD_ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use encoding_rs::Encoding;
use groma_types::{Type, Value};
use std::fmt::Write;

pub(super) fn base64encode(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(STANDARD.encode(text(args, 0)).into())
}

/// Bits that are left over at the end may be anything.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD_ALPHABET,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Decodes base64, over line breaks.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    LENIENT.decode(text).ok()
}

fn decoded(args: &[Value]) -> Result<Vec<u8>, FunctionError> {
    match from_base64(text(args, 0)) {
        Some(bytes) => Ok(bytes),
        None => fail(format!("failed to decode base64 data {:?}", text(args, 0))),
    }
}

pub(super) fn base64decode(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    match String::from_utf8(decoded(args)?) {
        Ok(s) => Ok(s.into()),
        Err(_) => fail("the result of decoding the provided string is not valid UTF-8"),
    }
}

pub(super) fn base64gzip(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(STANDARD.encode(super::gzip::gzip(text(args, 0).as_bytes())).into())
}

/// Character sets that texts can be written in.
enum Charset {
    Utf8,
    Ascii,
    Utf16 { big: bool, mark: bool },
    Single(&'static SingleByte),
    Multi(&'static Encoding),
}

fn charset(args: &[Value]) -> Result<Charset, FunctionError> {
    let name = text(args, 1).trim().to_ascii_uppercase();
    match name.as_str() {
        "UTF-8" | "CSUTF8" => Ok(Charset::Utf8),
        "UTF-16LE" | "CSUTF16LE" => Ok(Charset::Utf16 { big: false, mark: false }),
        "UTF-16BE" | "CSUTF16BE" => Ok(Charset::Utf16 { big: true, mark: false }),
        "UTF-16" | "CSUTF16" => Ok(Charset::Utf16 { big: true, mark: true }),
        "US-ASCII" | "ISO-IR-6" | "ANSI_X3.4-1968" | "ANSI_X3.4-1986" | "ISO_646.IRV:1991" | "ISO646-US"
        | "US" | "IBM367" | "CP367" | "CSASCII" => Ok(Charset::Ascii),
        "SHIFT_JIS" | "MS_KANJI" | "CSSHIFTJIS" => Ok(Charset::Multi(encoding_rs::SHIFT_JIS)),
        "EUC-JP" | "CSEUCPKDFMTJAPANESE" | "EXTENDED_UNIX_CODE_PACKED_FORMAT_FOR_JAPANESE" => {
            Ok(Charset::Multi(encoding_rs::EUC_JP))
        }
        "ISO-2022-JP" | "CSISO2022JP" => Ok(Charset::Multi(encoding_rs::ISO_2022_JP)),
        "EUC-KR" | "CSEUCKR" => Ok(Charset::Multi(encoding_rs::EUC_KR)),
        "GBK" | "CP936" | "MS936" | "WINDOWS-936" | "CSGBK" => Ok(Charset::Multi(encoding_rs::GBK)),
        "GB18030" | "CSGB18030" => Ok(Charset::Multi(encoding_rs::GB18030)),
        "BIG5" | "CSBIG5" => Ok(Charset::Multi(encoding_rs::BIG5)),
        other => match charsets::find(other) {
            Some(single) => Ok(Charset::Single(single)),
            None => bad_arg(1, format!("{:?} is not a supported IANA encoding name or alias", text(args, 1))),
        },
    }
}

/// The bytes of a text; `None` where it holds a character that the set does not have.
fn encoded(s: &str, charset: &Charset) -> Option<Vec<u8>> {
    match charset {
        Charset::Utf8 => Some(s.as_bytes().to_vec()),
        Charset::Ascii => s.is_ascii().then(|| s.as_bytes().to_vec()),
        Charset::Utf16 { big, mark } => {
            let units = mark.then_some(0xfeff).into_iter().chain(s.encode_utf16());
            Some(units.flat_map(|u: u16| if *big { u.to_be_bytes() } else { u.to_le_bytes() }).collect())
        }
        Charset::Single(single) => {
            let chars = single.chars();
            let byte = |c: char| chars.iter().position(|o| *o == c && c != char::REPLACEMENT_CHARACTER);
            s.chars().map(|c| byte(c).and_then(|at| u8::try_from(at).ok())).collect()
        }
        Charset::Multi(encoding) => {
            let (bytes, _, lossy) = encoding.encode(s);
            (!lossy).then(|| bytes.into_owned())
        }
    }
}

/// The text of bytes; `None` where they mean nothing in the set.
fn read(bytes: Vec<u8>, charset: &Charset) -> Option<String> {
    match charset {
        Charset::Utf8 => String::from_utf8(bytes).ok(),
        Charset::Ascii => String::from_utf8(bytes).ok().filter(|s| s.is_ascii()),
        Charset::Utf16 { big, .. } => {
            let units = bytes.chunks(2).map(|c| match c {
                [a, b] if *big => Some(u16::from_be_bytes([*a, *b])),
                [a, b] => Some(u16::from_le_bytes([*a, *b])),
                _ => None,
            });
            units.collect::<Option<Vec<u16>>>().and_then(|u| String::from_utf16(&u).ok())
        }
        Charset::Single(single) => {
            let chars = single.chars();
            let text: String = bytes.iter().filter_map(|b| chars.get(usize::from(*b))).collect();
            (!text.contains(char::REPLACEMENT_CHARACTER)).then_some(text)
        }
        Charset::Multi(encoding) => {
            encoding.decode_without_bom_handling_and_without_replacement(&bytes).map(String::from)
        }
    }
}

pub(super) fn textencodebase64(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    match encoded(text(args, 0), &charset(args)?) {
        Some(bytes) => Ok(STANDARD.encode(bytes).into()),
        None => bad_arg(
            0,
            format!("the given string contains characters that cannot be represented in {}", text(args, 1)),
        ),
    }
}

pub(super) fn textdecodebase64(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let charset = charset(args)?;
    let bytes = decoded(args).or_else(|_| bad_arg(0, "invalid base64 data"))?;
    match read(bytes, &charset) {
        Some(text) => Ok(text.trim_start_matches('\u{feff}').into()),
        None => bad_arg(0, "the given string contains invalid or unsupported sequences"),
    }
}

pub(super) fn urlencode(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let mut out = String::new();
    for byte in text(args, 0).bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    Ok(out.into())
}

pub(super) fn csvdecode(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let mut rows = parse_csv(text(args, 0))?.into_iter();
    let Some(header) = rows.next() else { return fail("missing header line") };
    if let Some(twice) = header.iter().enumerate().find(|(i, name)| header[..*i].contains(name)) {
        return fail(format!("duplicate column name {:?}", twice.1));
    }
    let ty = Type::object(header.iter().map(|h| (h.as_str(), Type::String)));
    let mut made = Vec::new();
    for (line, row) in rows.enumerate() {
        if row.len() != header.len() {
            return fail(format!(
                "record {} has {} fields, the header has {}",
                line + 1,
                row.len(),
                header.len()
            ));
        }
        made.push(Value::object(header.iter().zip(row).map(|(k, v)| (k.as_str(), Value::string(v)))));
    }
    Ok(Value::list(ty, made))
}

fn parse_csv(text: &str) -> Result<Vec<Vec<String>>, FunctionError> {
    let mut rows = Vec::new();
    let mut row: Vec<String> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if row.is_empty() && rest.starts_with(['\n', '\r']) {
            rest = &rest[1..];
            continue;
        }
        let (field, after) = csv_field(rest)?;
        row.push(field);
        rest = after;
        if let Some(after) = rest.strip_prefix(',') {
            rest = after;
            if rest.is_empty() || rest.starts_with(['\n', '\r']) {
                row.push(String::new());
            } else {
                continue;
            }
        }
        rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')).unwrap_or(rest);
        rows.push(std::mem::take(&mut row));
    }
    Ok(rows)
}

fn csv_field(rest: &str) -> Result<(String, &str), FunctionError> {
    let Some(mut quoted) = rest.strip_prefix('"') else {
        let end = rest.find([',', '\n']).unwrap_or(rest.len());
        let field = rest[..end].trim_end_matches('\r');
        if field.contains('"') {
            return fail("bare \" in a field that is not quoted");
        }
        return Ok((field.to_string(), &rest[end..]));
    };
    let mut field = String::new();
    loop {
        let Some(end) = quoted.find('"') else { return fail("a quoted field is not closed") };
        field.push_str(&quoted[..end]);
        quoted = &quoted[end + 1..];
        match quoted.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                quoted = after;
            }
            None if quoted.is_empty() || quoted.starts_with([',', '\n', '\r']) => return Ok((field, quoted)),
            None => return fail("extraneous \" in a quoted field"),
        }
    }
}
