//! Quantities of Kubernetes (`500m`, `1Gi`, `1e3`) and durations (`90s`, `1h30m0s`), compared by value.

use groma_types::Number;

/// Suffixes and what they multiply by, as a decimal text that [`Number::parse`] reads.
const SUFFIXES: &[(&str, &str)] = &[
    ("Ki", "1024"),
    ("Mi", "1048576"),
    ("Gi", "1073741824"),
    ("Ti", "1099511627776"),
    ("Pi", "1125899906842624"),
    ("Ei", "1152921504606846976"),
    ("n", "1e-9"),
    ("u", "1e-6"),
    ("m", "1e-3"),
    ("k", "1e3"),
    ("M", "1e6"),
    ("G", "1e9"),
    ("T", "1e12"),
    ("P", "1e15"),
    ("E", "1e18"),
];

/// Returns the quantity in thousand-millionths, which are whole for every quantity that the API accepts:
/// `None` if the text is none.
fn nanos(text: &str) -> Option<Number> {
    let suffix = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix));
    let (mantissa, scale) = suffix.map_or((text, "1"), |(s, scale)| (&text[..text.len() - s.len()], *scale));
    let unsigned = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
    let unsigned = unsigned.strip_suffix('.').unwrap_or(unsigned);
    let padded = if unsigned.starts_with('.') { format!("0{unsigned}") } else { unsigned.to_string() };
    let size = Number::parse(&padded).ok()?;
    // Scaling up first keeps fractions of ten exact: they are not in binary.
    let exact = Number::parse("1e9").ok()?.mul(&size);
    let scaled = match scale {
        "1e-9" => exact.div(&Number::parse("1e9").ok()?)?,
        "1e-6" => exact.div(&Number::parse("1e6").ok()?)?,
        "1e-3" => exact.div(&Number::parse("1e3").ok()?)?,
        other => exact.mul(&Number::parse(other).ok()?),
    };
    let rounded = scaled.add(&Number::parse("0.5").ok()?).floor();
    Some(if mantissa.starts_with('-') { rounded.neg() } else { rounded })
}

/// Whether two texts mean the same quantity. Texts that are none are equal only as texts.
pub(crate) fn same_quantity(a: &str, b: &str) -> bool {
    a == b || matches!((nanos(a), nanos(b)), (Some(a), Some(b)) if a == b)
}

/// Units of a duration, the longer ones first where one begins another, and their nanoseconds.
const UNITS: &[(&str, &str)] = &[
    ("ns", "1"),
    ("us", "1e3"),
    ("µs", "1e3"),
    ("ms", "1e6"),
    ("s", "1e9"),
    ("m", "6e10"),
    ("h", "3600000000000"),
];

/// The nanoseconds of a duration; `None` if the text is none.
fn duration(text: &str) -> Option<Number> {
    let mut rest = text;
    let mut sum = Number::parse("0").ok()?;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let count = Number::parse(&rest[..end]).ok()?;
        let (unit, scale) = UNITS.iter().find(|(unit, _)| rest[end..].starts_with(unit))?;
        sum = sum.add(&count.mul(&Number::parse(scale).ok()?));
        rest = &rest[end + unit.len()..];
    }
    (!text.is_empty()).then_some(sum)
}

/// Whether two texts mean the same quantity or the same duration.
pub(crate) fn same_amount(a: &str, b: &str) -> bool {
    same_quantity(a, b) || matches!((duration(a), duration(b)), (Some(a), Some(b)) if a == b)
}

/// Whether the first quantity is less than the second; false where one is none.
pub(crate) fn is_less(a: &str, b: &str) -> bool {
    matches!((nanos(a), nanos(b)), (Some(a), Some(b)) if a < b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_compare_by_value() {
        for (a, b, same) in [
            ("0.5", "500m", true),
            ("1000m", "1", true),
            ("1Gi", "1024Mi", true),
            ("1G", "1Gi", false),
            ("1e3", "1k", true),
            ("1E3", "1000", true),
            ("1E", "1000P", true),
            (".5", "500m", true),
            ("1.", "1", true),
            ("0.1", "100m", true),
            ("1.5Gi", "1536Mi", true),
            ("100m", "250m", false),
            ("-1", "-1000m", true),
            ("1", "-1", false),
            ("128Mi", "134217728", true),
            ("100u", "100000n", true),
            ("", "", true),
            ("lots", "lots", true),
            ("lots", "more", false),
            ("0", "0Mi", true),
        ] {
            assert_eq!(same_quantity(a, b), same, "{a} and {b}");
        }
    }

    #[test]
    fn durations_compare_by_value() {
        for (a, b, same) in [
            ("90m", "1h30m0s", true),
            ("2160h", "2160h0m0s", true),
            ("1.5s", "1500ms", true),
            ("1m", "60s", true),
            ("1m", "1ms", false),
            ("1h", "1", false),
            ("h", "1h", false),
            ("", "0s", false),
        ] {
            assert_eq!(same_amount(a, b), same, "{a} and {b}");
        }
    }

    #[test]
    fn quantities_have_an_order() {
        for (a, b, less) in
            [("1Gi", "2Gi", true), ("1024Mi", "1Gi", false), ("1G", "1Gi", true), ("2", "lots", false)]
        {
            assert_eq!(is_less(a, b), less, "{a} and {b}");
        }
    }
}
