//! Encodings of text: base64, gzip, character sets, URLs, CSV.

use super::{FunctionError, Outcome, bad_arg, fail, text};
use crate::eval::FunctionHost;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use groma_types::{Type, Value};
use std::fmt::Write;

pub(super) fn base64encode(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(STANDARD.encode(text(args, 0)).into())
}

fn decoded(args: &[Value]) -> Result<Vec<u8>, FunctionError> {
    STANDARD.decode(text(args, 0).trim()).or_else(|_| fail("failed to decode base64 data"))
}

pub(super) fn base64decode(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    match String::from_utf8(decoded(args)?) {
        Ok(s) => Ok(s.into()),
        Err(_) => fail("the result of decoding the provided string is not valid UTF-8"),
    }
}

pub(super) fn base64gzip(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(STANDARD.encode(gzip(text(args, 0).as_bytes())).into())
}

/// Bits in the order of DEFLATE: values begin at the lowest bit, codes of Huffman at the highest.
#[derive(Default)]
struct Bits {
    out: Vec<u8>,
    filled: u32,
}

impl Bits {
    fn bit(&mut self, bit: u32) {
        if self.filled.is_multiple_of(8) {
            self.out.push(0);
        }
        if let Some(last) = self.out.last_mut() {
            *last |= u8::from(bit != 0) << (self.filled % 8);
        }
        self.filled += 1;
    }
    fn code(&mut self, code: u32, len: u32) {
        (0..len).rev().for_each(|i| self.bit(code >> i & 1));
    }
    fn align(&mut self) {
        while !self.filled.is_multiple_of(8) {
            self.filled += 1;
        }
    }
}

/// A gzip member without time and name, so that equal texts give equal results. The fixed code is used
/// without back references: the point is the format, not the size.
fn gzip(data: &[u8]) -> Vec<u8> {
    let mut bits = Bits { out: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff], filled: 80 };
    if !data.is_empty() {
        bits.bit(0);
        bits.bit(1);
        bits.bit(0);
        for byte in data {
            let byte = u32::from(*byte);
            if byte < 144 { bits.code(0x30 + byte, 8) } else { bits.code(0x190 + byte - 144, 9) }
        }
        bits.code(0, 7);
        // An empty stored block brings the stream to a byte boundary.
        (0..3).for_each(|_| bits.bit(0));
        bits.align();
        bits.out.extend([0, 0, 0xff, 0xff]);
    }
    bits.out.extend([1, 0, 0, 0xff, 0xff]);
    bits.out.extend(crc32(data).to_le_bytes());
    bits.out.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    bits.out
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
    })
}

/// Character sets that texts can be written in.
enum Charset {
    Utf8,
    Utf16 {
        big: bool,
        mark: bool,
    },
    /// One byte a character, up to this code point.
    Single(u32),
}

fn charset(args: &[Value]) -> Result<Charset, FunctionError> {
    match text(args, 1).to_ascii_uppercase().as_str() {
        "UTF-8" | "UTF8" => Ok(Charset::Utf8),
        "UTF-16LE" => Ok(Charset::Utf16 { big: false, mark: false }),
        "UTF-16BE" => Ok(Charset::Utf16 { big: true, mark: false }),
        "UTF-16" => Ok(Charset::Utf16 { big: true, mark: true }),
        "US-ASCII" | "ASCII" => Ok(Charset::Single(0x7f)),
        "ISO-8859-1" | "LATIN1" => Ok(Charset::Single(0xff)),
        other => bad_arg(1, format!("{other:?} is not a supported IANA encoding name or alias")),
    }
}

pub(super) fn textencodebase64(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let s = text(args, 0);
    let bytes: Vec<u8> = match charset(args)? {
        Charset::Utf8 => s.as_bytes().to_vec(),
        Charset::Utf16 { big, mark } => {
            let units = mark.then_some(0xfeff).into_iter().chain(s.encode_utf16());
            units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
        }
        Charset::Single(limit) => {
            let byte =
                |c: char| Some(u32::from(c)).filter(|c| *c <= limit).and_then(|c| u8::try_from(c).ok());
            match s.chars().map(byte).collect::<Option<Vec<u8>>>() {
                Some(bytes) => bytes,
                None => {
                    return bad_arg(
                        0,
                        format!(
                            "the given string contains characters that cannot be represented in {}",
                            text(args, 1)
                        ),
                    );
                }
            }
        }
    };
    Ok(STANDARD.encode(bytes).into())
}

pub(super) fn textdecodebase64(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let bytes = decoded(args).or_else(|_| bad_arg(0, "invalid base64 data"))?;
    let text = match charset(args)? {
        Charset::Utf8 => String::from_utf8(bytes).ok(),
        Charset::Utf16 { big, .. } => {
            let units = bytes.chunks(2).map(|c| match c {
                [a, b] if big => Some(u16::from_be_bytes([*a, *b])),
                [a, b] => Some(u16::from_le_bytes([*a, *b])),
                _ => None,
            });
            units.collect::<Option<Vec<u16>>>().and_then(|u| String::from_utf16(&u).ok())
        }
        Charset::Single(limit) => {
            let within = bytes.iter().all(|b| u32::from(*b) <= limit);
            within.then(|| bytes.iter().map(|b| char::from(*b)).collect())
        }
    };
    match text {
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
