//! Numbers as Terraform has them: binary floats of 512 bits, written in the shortest decimal form that
//! reads back as the same number.
//!
//! Invariant: equal numbers are represented equally, so `Eq`, `Ord` and `Hash` agree.

use dashu_float::round::mode::HalfEven;
use dashu_float::{DBig, FBig};
use dashu_int::IBig;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

type Big = FBig<HalfEven, 2>;

/// Bits of the mantissa, as in Terraform.
const PRECISION: usize = 512;
/// A decimal of this many digits survives the way to 512 bits and back.
const SAFE_DIGITS: usize = 154;
/// Exponents beyond this are refused: printing them would take megabytes.
const EXPONENT_MAX: i64 = 100_000;

/// An arbitrary-precision number.
#[derive(Clone)]
pub struct Number(Repr);

#[derive(Clone)]
enum Repr {
    /// Every integer that fits; the common case, cheap to copy and compare.
    Small(i64),
    Big(Box<Big>),
    /// What a division by zero gives; exists only inside expressions.
    Infinity {
        negative: bool,
    },
}

/// Why a text is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberError;

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number is required")
    }
}

impl Number {
    pub const ZERO: Number = Number(Repr::Small(0));

    fn from_big(big: Big) -> Number {
        let big = big.with_precision(PRECISION).value();
        let whole = big.repr().exponent() >= 0 || big.repr().significand() == &IBig::ZERO;
        if whole
            && let Ok(int) = IBig::try_from(big.clone())
            && let Ok(small) = i64::try_from(int)
        {
            return Number(Repr::Small(small));
        }
        Number(Repr::Big(Box::new(big)))
    }

    /// Returns an infinite number. It is ordered beyond all others; no other operation is defined on it.
    pub fn infinity(negative: bool) -> Number {
        Number(Repr::Infinity { negative })
    }

    pub fn is_infinite(&self) -> bool {
        matches!(self.0, Repr::Infinity { .. })
    }

    fn big(&self) -> Big {
        match &self.0 {
            Repr::Small(n) => Big::from(*n).with_precision(PRECISION).value(),
            Repr::Big(b) => (**b).clone(),
            Repr::Infinity { .. } => Big::ZERO,
        }
    }

    /// Reads a decimal number: digits, an optional fraction, an optional exponent, an optional sign.
    ///
    /// # Errors
    /// The text is not a number, or its exponent is absurd.
    pub fn parse(text: &str) -> Result<Number, NumberError> {
        if let Ok(small) = text.parse::<i64>() {
            return if text.starts_with('+') { Err(NumberError) } else { Ok(Number(Repr::Small(small))) };
        }
        check_decimal(text)?;
        let decimal = DBig::from_str(text).map_err(|_| NumberError)?;
        let big = decimal.with_base_and_precision::<2>(PRECISION + 64).value();
        Ok(Number::from_big(big.with_rounding::<HalfEven>()))
    }

    /// Reads a number as a conversion of text does: like [`Number::parse`], but with a plus sign, and without
    /// digits on one side of the point if there are some on the other.
    ///
    /// # Errors
    /// The text is not a number, or its exponent is absurd.
    pub fn from_text(text: &str) -> Result<Number, NumberError> {
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        let at = rest.find(['e', 'E']).unwrap_or(rest.len());
        let (mantissa, exponent) = rest.split_at(at);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if (whole.is_empty() && fraction.is_empty()) || rest.starts_with(['-', '+']) {
            return Err(NumberError);
        }
        let zero = |digits: &str| if digits.is_empty() { "0".to_string() } else { digits.to_string() };
        if fraction.is_empty() {
            return Number::parse(&format!("{sign}{}{exponent}", zero(whole)));
        }
        Number::parse(&format!("{sign}{}.{fraction}{exponent}", zero(whole)))
    }

    /// Returns the number nearest to `value`; `None` for infinities and NaN.
    pub fn from_f64(value: f64) -> Option<Number> {
        Big::try_from(value).ok().filter(|_| value.is_finite()).map(Number::from_big)
    }

    pub fn to_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Small(n) => Some(*n),
            Repr::Big(_) | Repr::Infinity { .. } => None,
        }
    }

    pub fn to_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Small(n) => u64::try_from(*n).ok(),
            Repr::Big(_) => self.to_int().and_then(|i| u64::try_from(i).ok()),
            Repr::Infinity { .. } => None,
        }
    }

    pub fn to_f64(&self) -> f64 {
        match &self.0 {
            Repr::Small(n) => *n as f64,
            Repr::Big(b) => b.to_f64().value(),
            Repr::Infinity { negative: true } => f64::NEG_INFINITY,
            Repr::Infinity { negative: false } => f64::INFINITY,
        }
    }

    pub fn is_integer(&self) -> bool {
        match &self.0 {
            Repr::Small(_) => true,
            Repr::Big(b) => b.repr().exponent() >= 0,
            Repr::Infinity { .. } => false,
        }
    }

    /// Returns the number as an integer of any size, `None` if it has a fraction.
    pub fn to_int(&self) -> Option<IBig> {
        match &self.0 {
            Repr::Small(n) => Some(IBig::from(*n)),
            Repr::Big(b) if b.repr().exponent() >= 0 => IBig::try_from((**b).clone()).ok(),
            Repr::Big(_) | Repr::Infinity { .. } => None,
        }
    }

    pub fn from_int(int: IBig) -> Number {
        match i64::try_from(int.clone()) {
            Ok(small) => Number(Repr::Small(small)),
            Err(_) => Number::from_big(Big::from(int)),
        }
    }

    /// On which end of the number line it is, if on any.
    fn side(&self) -> i8 {
        match self.0 {
            Repr::Infinity { negative: true } => -1,
            Repr::Infinity { negative: false } => 1,
            Repr::Small(_) | Repr::Big(_) => 0,
        }
    }

    pub fn is_zero(&self) -> bool {
        matches!(self.0, Repr::Small(0))
    }

    pub fn is_negative(&self) -> bool {
        self.cmp(&Number::ZERO) == Ordering::Less
    }

    #[must_use]
    pub fn add(&self, other: &Number) -> Number {
        if let (Repr::Small(a), Repr::Small(b)) = (&self.0, &other.0)
            && let Some(sum) = a.checked_add(*b)
        {
            return Number(Repr::Small(sum));
        }
        Number::from_big(self.big() + other.big())
    }

    #[must_use]
    pub fn sub(&self, other: &Number) -> Number {
        self.add(&other.neg())
    }

    #[must_use]
    pub fn mul(&self, other: &Number) -> Number {
        if let (Repr::Small(a), Repr::Small(b)) = (&self.0, &other.0)
            && let Some(product) = a.checked_mul(*b)
        {
            return Number(Repr::Small(product));
        }
        Number::from_big(self.big() * other.big())
    }

    /// Divides; `None` if `other` is zero.
    pub fn div(&self, other: &Number) -> Option<Number> {
        if other.is_zero() {
            return None;
        }
        Some(Number::from_big(self.big() / other.big()))
    }

    /// Remainder with the sign of `self`; `None` if `other` is zero.
    pub fn rem(&self, other: &Number) -> Option<Number> {
        if other.is_zero() {
            return None;
        }
        if let (Repr::Small(a), Repr::Small(b)) = (&self.0, &other.0)
            && let Some(rest) = a.checked_rem(*b)
        {
            return Some(Number(Repr::Small(rest)));
        }
        let quotient = self.div(other)?.trunc();
        Some(self.sub(&quotient.mul(other)))
    }

    #[must_use]
    pub fn neg(&self) -> Number {
        match &self.0 {
            Repr::Small(n) if *n != i64::MIN => Number(Repr::Small(-n)),
            Repr::Infinity { negative } => Number::infinity(!negative),
            _ => Number::from_big(-self.big()),
        }
    }

    #[must_use]
    pub fn floor(&self) -> Number {
        match &self.0 {
            Repr::Small(_) | Repr::Infinity { .. } => self.clone(),
            Repr::Big(b) => Number::from_big(b.floor()),
        }
    }

    #[must_use]
    pub fn ceil(&self) -> Number {
        match &self.0 {
            Repr::Small(_) | Repr::Infinity { .. } => self.clone(),
            Repr::Big(b) => Number::from_big(b.ceil()),
        }
    }

    /// Cuts the fraction off, towards zero.
    #[must_use]
    pub fn trunc(&self) -> Number {
        match &self.0 {
            Repr::Small(_) | Repr::Infinity { .. } => self.clone(),
            Repr::Big(b) => Number::from_big(b.trunc()),
        }
    }
}

fn check_decimal(text: &str) -> Result<(), NumberError> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(NumberError);
    }
    if let Some(exponent) = exponent {
        let value: i64 = exponent.parse().map_err(|_| NumberError)?;
        if value.abs() > EXPONENT_MAX {
            return Err(NumberError);
        }
    }
    Ok(())
}

impl fmt::Display for Number {
    /// Writes the shortest decimal form without an exponent, as Terraform prints numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let big = match &self.0 {
            Repr::Small(n) => return write!(f, "{n}"),
            Repr::Big(big) => big,
            Repr::Infinity { negative } => {
                return f.write_str(if *negative { "-Infinity" } else { "Infinity" });
            }
        };
        for digits in SAFE_DIGITS..SAFE_DIGITS + 2 {
            let decimal = big.clone().with_base_and_precision::<10>(digits).value();
            let text = plain_decimal(decimal.repr().significand(), decimal.repr().exponent());
            if Number::parse(&text).is_ok_and(|back| back == *self) {
                return f.write_str(&text);
            }
        }
        let exact = big.clone().with_base_and_precision::<10>(SAFE_DIGITS + 2).value();
        f.write_str(&plain_decimal(exact.repr().significand(), exact.repr().exponent()))
    }
}

/// Writes `significand * 10^exponent` without an exponent and without trailing zeros of the fraction.
fn plain_decimal(significand: &IBig, exponent: isize) -> String {
    let text = significand.to_string();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.as_str()),
    };
    if exponent >= 0 {
        return format!("{sign}{digits}{}", "0".repeat(exponent.unsigned_abs()));
    }
    let places = exponent.unsigned_abs();
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Number {}
impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Small(a), Repr::Small(b)) => a.cmp(b),
            (Repr::Infinity { .. }, _) | (_, Repr::Infinity { .. }) => self.side().cmp(&other.side()),
            _ => self.big().cmp(&other.big()),
        }
    }
}
impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Repr::Small(n) => n.hash(state),
            Repr::Infinity { negative } => negative.hash(state),
            Repr::Big(b) => {
                b.repr().significand().hash(state);
                b.repr().exponent().hash(state);
            }
        }
    }
}
impl From<i64> for Number {
    fn from(n: i64) -> Number {
        Number(Repr::Small(n))
    }
}
impl From<usize> for Number {
    fn from(n: usize) -> Number {
        Number::from_int(IBig::from(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Number::parse(text).map(|n| n.to_string()).unwrap_or_else(|_| "error".into())
    }

    #[test]
    fn a_number_prints_as_it_was_meant() {
        for (input, output) in [
            ("0", "0"),
            ("-0", "0"),
            ("1.30", "1.3"),
            ("1e3", "1000"),
            ("0.1", "0.1"),
            ("1.5", "1.5"),
            ("12345678901234567890123456789", "12345678901234567890123456789"),
            ("0.000000000000000000001", "0.000000000000000000001"),
            ("9223372036854775808", "9223372036854775808"),
            ("x", "error"),
            ("", "error"),
            ("1e999999999", "error"),
            ("1_0", "error"),
            (".5", "error"),
            ("0x10", "error"),
        ] {
            assert_eq!(shown(input), output, "{input}");
        }
    }

    #[test]
    fn text_converts_as_in_terraform() {
        for (input, output) in [
            ("+1", "1"),
            (".5", "0.5"),
            ("1.", "1"),
            ("-.5e1", "-5"),
            ("12", "12"),
            (".", "error"),
            ("", "error"),
            ("+-1", "error"),
            (" 1", "error"),
            ("0x10", "error"),
        ] {
            let shown = Number::from_text(input).map_or("error".into(), |n| n.to_string());
            assert_eq!(shown, output, "{input}");
        }
    }

    #[test]
    fn tenths_add_up() {
        let sum = Number::parse("0.1").unwrap().add(&Number::parse("0.2").unwrap());
        assert_eq!(sum.to_string(), "0.3");
        assert_eq!(sum, Number::parse("0.3").unwrap());
    }

    #[test]
    fn a_third_has_154_digits() {
        let third = Number::from(1i64).div(&Number::from(3i64)).unwrap();
        assert!(third.to_string().starts_with("0.33333333"));
        assert_eq!(Number::parse(&third.to_string()).unwrap(), third);
        assert_eq!(Number::from(7i64).rem(&Number::from(-3i64)).unwrap().to_string(), "1");
        assert_eq!(Number::parse("5.5").unwrap().rem(&Number::from(2i64)).unwrap().to_string(), "1.5");
        assert_eq!(Number::parse("-1.5").unwrap().floor().to_string(), "-2");
    }
}
