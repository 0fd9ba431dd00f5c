//! Numbers as Terraform has them: binary floats that each have a precision, written in the shortest decimal
//! form that reads back as the same number.
//!
//! Text reads with 512 bits; what is counted (lengths, positions) has 64, what floating point gives has 53,
//! and the result of an operation has the greater precision of its operands. So `0.1 + 0.2` is 0.3, and a
//! length divided by a length has 64 bits, as in Terraform.
//!
//! Invariants: equal numbers compare and hash equally, whatever their precision; what is whole and fits is
//! `Small`; the mantissa of a `Big` is odd.

mod decimal;

use dashu_int::ops::{BitTest, DivRem};
use dashu_int::{IBig, Sign, UBig};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Bits of what is read from text.
const TEXT_BITS: u32 = 512;
/// Bits of what is counted.
const COUNT_BITS: u32 = 64;
/// Bits of what floating point gives.
const FLOAT_BITS: u32 = 53;
/// Decimal exponents beyond this are refused: printing them would take megabytes.
const EXPONENT_MAX: i64 = 100_000;
/// Binary exponents that no text within [`EXPONENT_MAX`] comes near; beyond them are infinity and zero.
const BINARY_EXPONENT_MAX: i64 = 4_000_000;

/// An arbitrary-precision number.
#[derive(Clone)]
pub struct Number(Repr);

#[derive(Clone)]
enum Repr {
    /// Every integer that fits, with its precision: the common case, cheap to copy and compare.
    Small(i64, u32),
    Big(Box<Big>),
    /// What a division by zero gives; exists only inside expressions.
    Infinity {
        negative: bool,
    },
}

/// `mantissa * 2^exponent`, the mantissa odd and of at most `bits` bits.
#[derive(Clone)]
struct Big {
    mantissa: IBig,
    exponent: i64,
    bits: u32,
}

/// Why a text is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberError;

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number is required")
    }
}

impl Big {
    /// Rounds half to even to `bits` bits.
    fn rounded(mantissa: IBig, exponent: i64, bits: u32) -> Big {
        let (sign, mut magnitude) = mantissa.into_parts();
        let mut exponent = exponent;
        let excess = magnitude.bit_len().saturating_sub(bits as usize);
        if excess > 0 {
            let (low, high) = magnitude.split_bits(excess);
            let half = UBig::ONE << (excess - 1);
            let up = low > half || (low == half && high.bit(0));
            magnitude = if up { high + UBig::ONE } else { high };
            exponent += signed(excess);
        }
        let zeros = magnitude.trailing_zeros().unwrap_or(0);
        Big { mantissa: IBig::from_parts(sign, magnitude >> zeros), exponent: exponent + signed(zeros), bits }
    }

    /// The mantissa for a smaller exponent.
    fn mantissa_at(&self, exponent: i64) -> IBig {
        &self.mantissa << usize::try_from(self.exponent - exponent).unwrap_or(0)
    }

    fn bit_len(&self) -> i64 {
        signed(self.mantissa.bit_len())
    }

    fn add(&self, other: &Big, bits: u32) -> Big {
        let exponent = self.exponent.min(other.exponent);
        Big::rounded(self.mantissa_at(exponent) + other.mantissa_at(exponent), exponent, bits)
    }

    fn mul(&self, other: &Big, bits: u32) -> Big {
        Big::rounded(&self.mantissa * &other.mantissa, self.exponent + other.exponent, bits)
    }

    /// The quotient by what is not zero, with one bit more that stands for all that is cut off.
    fn div(&self, other: &Big, bits: u32) -> Big {
        let shift = (i64::from(bits) + 2 + other.bit_len() - self.bit_len()).max(0);
        let dividend = &self.mantissa << usize::try_from(shift).unwrap_or(0);
        let (quotient, rest) = dividend.div_rem(&other.mantissa);
        let (_, magnitude) = quotient.into_parts();
        let sign = self.mantissa.sign() * other.mantissa.sign();
        let sticky = if rest.is_zero() { UBig::ZERO } else { UBig::ONE };
        let mantissa = IBig::from_parts(sign, (magnitude << 1) + sticky);
        Big::rounded(mantissa, self.exponent - other.exponent - shift - 1, bits)
    }

    fn negated(&self) -> Big {
        Big { mantissa: -self.mantissa.clone(), exponent: self.exponent, bits: self.bits }
    }

    fn cmp(&self, other: &Big) -> Ordering {
        let side = |b: &Big| {
            if b.mantissa.is_zero() { 0 } else { if b.mantissa.sign() == Sign::Negative { -1 } else { 1 } }
        };
        let by_side = side(self).cmp(&side(other));
        if by_side != Ordering::Equal || self.mantissa.is_zero() {
            return by_side;
        }
        let magnitude = (self.bit_len() + self.exponent).cmp(&(other.bit_len() + other.exponent));
        if magnitude != Ordering::Equal {
            return if side(self) < 0 { magnitude.reverse() } else { magnitude };
        }
        let exponent = self.exponent.min(other.exponent);
        self.mantissa_at(exponent).cmp(&other.mantissa_at(exponent))
    }
}

fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Number {
    pub const ZERO: Number = Number(Repr::Small(0, COUNT_BITS));

    fn from_big(big: Big) -> Number {
        if big.mantissa.is_zero() || big.bit_len() + big.exponent < -BINARY_EXPONENT_MAX {
            return Number(Repr::Small(0, big.bits));
        }
        if big.bit_len() + big.exponent > BINARY_EXPONENT_MAX {
            return Number::infinity(big.mantissa.sign() == Sign::Negative);
        }
        if (0..64).contains(&big.exponent)
            && let Ok(small) = i64::try_from(big.mantissa_at(0))
        {
            return Number(Repr::Small(small, big.bits));
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
            Repr::Small(n, bits) => {
                let zeros = if *n == 0 { 0 } else { n.trailing_zeros() };
                Big { mantissa: IBig::from(*n >> zeros), exponent: i64::from(zeros), bits: *bits }
            }
            Repr::Big(b) => (**b).clone(),
            Repr::Infinity { .. } => Big { mantissa: IBig::ZERO, exponent: 0, bits: TEXT_BITS },
        }
    }

    fn bits(&self) -> u32 {
        match &self.0 {
            Repr::Small(_, bits) => *bits,
            Repr::Big(b) => b.bits,
            Repr::Infinity { .. } => TEXT_BITS,
        }
    }

    /// Reads a decimal number: digits, an optional fraction, an optional exponent, an optional sign.
    ///
    /// # Errors
    /// The text is not a number, or its exponent is absurd.
    pub fn parse(text: &str) -> Result<Number, NumberError> {
        if let Ok(small) = text.parse::<i64>() {
            let plus = text.starts_with('+');
            return if plus { Err(NumberError) } else { Ok(Number(Repr::Small(small, TEXT_BITS))) };
        }
        decimal::parse(text).map(Number::from_big)
    }

    /// Reads a number as a conversion of text does: like [`Number::parse`], but with a plus sign, without
    /// digits on one side of the point if there are some on the other, with `p` before a power of two, and
    /// with a word for infinity.
    ///
    /// # Errors
    /// The text is not a number, or its exponent is absurd.
    pub fn from_text(text: &str) -> Result<Number, NumberError> {
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "Inf" || rest == "inf" {
            return Ok(Number::infinity(sign == "-"));
        }
        if let Some((mantissa, power)) = rest.split_once(['p', 'P']) {
            return Number::from_text(&format!("{sign}{mantissa}"))?.scaled(power);
        }
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

    /// Multiplies by a power of two that is given as text.
    fn scaled(&self, power: &str) -> Result<Number, NumberError> {
        let power: i64 = power.parse().map_err(|_| NumberError)?;
        if power.abs() > EXPONENT_MAX || self.is_infinite() {
            return Err(NumberError);
        }
        let big = self.big();
        Ok(Number::from_big(Big { exponent: big.exponent + power, ..big }))
    }

    /// Returns the number that `value` shows as; `None` for infinities and NaN.
    pub fn from_f64(value: f64) -> Option<Number> {
        Number::parse(&format!("{value}")).ok().filter(|_| value.is_finite())
    }

    /// Returns exactly `value`, with the precision of a float; `None` for infinities and NaN.
    pub fn exactly(value: f64) -> Option<Number> {
        if !value.is_finite() {
            return None;
        }
        let bits = value.to_bits();
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, exponent) = match i64::try_from(bits >> 52 & 0x7ff).unwrap_or(0) {
            0 => (fraction, -1074),
            exponent => (fraction | 1 << 52, exponent - 1075),
        };
        let sign = if value.is_sign_negative() { Sign::Negative } else { Sign::Positive };
        let mantissa = IBig::from_parts(sign, UBig::from(mantissa));
        Some(Number::from_big(Big::rounded(mantissa, exponent, FLOAT_BITS)))
    }

    /// Returns the number as it reads back from its text: what leaves an evaluation is stored as text.
    #[must_use]
    pub fn settled(&self) -> Number {
        match &self.0 {
            Repr::Big(b) if b.bits != TEXT_BITS => Number::parse(&self.to_string()).unwrap_or(self.clone()),
            _ => self.clone(),
        }
    }

    pub fn to_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Small(n, _) => Some(*n),
            Repr::Big(_) | Repr::Infinity { .. } => None,
        }
    }

    pub fn to_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Small(n, _) => u64::try_from(*n).ok(),
            Repr::Big(_) => self.to_int().and_then(|i| u64::try_from(i).ok()),
            Repr::Infinity { .. } => None,
        }
    }

    pub fn to_f64(&self) -> f64 {
        match &self.0 {
            Repr::Small(n, _) => *n as f64,
            // The crate of the standard library rounds what is shown correctly.
            Repr::Big(_) => self.to_string().parse().unwrap_or(f64::NAN),
            Repr::Infinity { negative: true } => f64::NEG_INFINITY,
            Repr::Infinity { negative: false } => f64::INFINITY,
        }
    }

    pub fn is_integer(&self) -> bool {
        match &self.0 {
            Repr::Small(..) => true,
            Repr::Big(b) => b.exponent >= 0,
            Repr::Infinity { .. } => false,
        }
    }

    /// Returns the number as an integer of any size, `None` if it has a fraction.
    pub fn to_int(&self) -> Option<IBig> {
        match &self.0 {
            Repr::Small(n, _) => Some(IBig::from(*n)),
            Repr::Big(b) if b.exponent >= 0 => Some(b.mantissa_at(0)),
            Repr::Big(_) | Repr::Infinity { .. } => None,
        }
    }

    /// Reads an integer of any size by the values of its digits.
    pub fn from_digits(digits: impl IntoIterator<Item = u32>, radix: u32) -> Number {
        let total = digits.into_iter().fold(UBig::ZERO, |total, digit| total * radix + digit);
        Number::from_int(IBig::from(total))
    }

    /// A counted number: of 64 bits, or as many as it needs.
    pub fn from_int(int: IBig) -> Number {
        let bits = u32::try_from(int.bit_len()).unwrap_or(u32::MAX).max(COUNT_BITS);
        Number::from_big(Big::rounded(int, 0, bits))
    }

    /// On which end of the number line it is, if on any.
    fn side(&self) -> i8 {
        match self.0 {
            Repr::Infinity { negative: true } => -1,
            Repr::Infinity { negative: false } => 1,
            Repr::Small(..) | Repr::Big(_) => 0,
        }
    }

    pub fn is_zero(&self) -> bool {
        matches!(self.0, Repr::Small(0, _))
    }

    pub fn is_negative(&self) -> bool {
        self.cmp(&Number::ZERO) == Ordering::Less
    }

    #[must_use]
    pub fn add(&self, other: &Number) -> Number {
        let bits = self.bits().max(other.bits());
        if let (Repr::Small(a, _), Repr::Small(b, _)) = (&self.0, &other.0)
            && let Some(sum) = a.checked_add(*b)
        {
            return Number(Repr::Small(sum, bits));
        }
        Number::from_big(self.big().add(&other.big(), bits))
    }

    #[must_use]
    pub fn sub(&self, other: &Number) -> Number {
        self.add(&other.neg())
    }

    #[must_use]
    pub fn mul(&self, other: &Number) -> Number {
        let bits = self.bits().max(other.bits());
        if let (Repr::Small(a, _), Repr::Small(b, _)) = (&self.0, &other.0)
            && let Some(product) = a.checked_mul(*b)
        {
            return Number(Repr::Small(product, bits));
        }
        Number::from_big(self.big().mul(&other.big(), bits))
    }

    /// Divides; `None` if `other` is zero.
    pub fn div(&self, other: &Number) -> Option<Number> {
        if other.is_zero() {
            return None;
        }
        let bits = self.bits().max(other.bits());
        Some(Number::from_big(self.big().div(&other.big(), bits)))
    }

    /// Remainder with the sign of `self` and its precision; `None` if `other` is zero.
    ///
    /// It is what is left of `self` after the whole part of the quotient, all in this precision: of numbers
    /// that are far apart nothing is left.
    pub fn rem(&self, other: &Number) -> Option<Number> {
        if other.is_zero() {
            return None;
        }
        let bits = self.bits();
        if let (Repr::Small(a, _), Repr::Small(b, _)) = (&self.0, &other.0)
            && let Some(rest) = a.checked_rem(*b)
        {
            return Some(Number(Repr::Small(rest, bits)));
        }
        let quotient = self.div(other)?.trunc().big();
        let whole = Big::rounded(quotient.mantissa, quotient.exponent, bits);
        let taken = whole.mul(&other.big(), bits);
        Some(Number::from_big(self.big().add(&taken.negated(), bits)))
    }

    #[must_use]
    pub fn neg(&self) -> Number {
        match &self.0 {
            Repr::Small(n, bits) if *n != i64::MIN => Number(Repr::Small(-n, *bits)),
            Repr::Infinity { negative } => Number::infinity(!negative),
            _ => Number::from_big(self.big().negated()),
        }
    }

    #[must_use]
    pub fn floor(&self) -> Number {
        let cut = self.trunc();
        if cut > *self { cut.add(&Number(Repr::Small(-1, COUNT_BITS))) } else { cut }
    }

    #[must_use]
    pub fn ceil(&self) -> Number {
        let cut = self.trunc();
        if cut < *self { cut.add(&Number(Repr::Small(1, COUNT_BITS))) } else { cut }
    }

    /// Cuts the fraction off, towards zero.
    #[must_use]
    pub fn trunc(&self) -> Number {
        match &self.0 {
            Repr::Big(b) if b.exponent < 0 => {
                let (sign, magnitude) = b.mantissa.clone().into_parts();
                let whole = magnitude >> usize::try_from(-b.exponent).unwrap_or(usize::MAX);
                Number::from_big(Big::rounded(IBig::from_parts(sign, whole), 0, b.bits))
            }
            Repr::Small(..) | Repr::Big(_) | Repr::Infinity { .. } => self.clone(),
        }
    }
}

impl fmt::Display for Number {
    /// Writes the shortest decimal form without an exponent, as Terraform prints numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Small(n, _) => write!(f, "{n}"),
            Repr::Big(big) => f.write_str(&decimal::shortest(big)),
            Repr::Infinity { negative } => f.write_str(if *negative { "-Inf" } else { "+Inf" }),
        }
    }
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
            (Repr::Small(a, _), Repr::Small(b, _)) => a.cmp(b),
            (Repr::Big(a), Repr::Big(b)) => a.cmp(b),
            (Repr::Infinity { .. }, _) | (_, Repr::Infinity { .. }) => self.side().cmp(&other.side()),
            _ => self.big().cmp(&other.big()),
        }
    }
}
impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Repr::Small(n, _) => n.hash(state),
            Repr::Infinity { negative } => negative.hash(state),
            Repr::Big(b) => {
                b.mantissa.hash(state);
                b.exponent.hash(state);
            }
        }
    }
}
impl From<i64> for Number {
    fn from(n: i64) -> Number {
        Number(Repr::Small(n, COUNT_BITS))
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
            ("1p3", "8"),
            ("+Inf", "+Inf"),
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

    /// Recorded from Terraform: each sum, difference and quotient is rounded once, to the precision it has.
    #[test]
    fn operations_round_as_in_terraform() {
        let n = |text: &str| Number::parse(text).unwrap();
        for (made, expected) in [
            (n("1000").sub(&n("0.1")), "999.9"),
            (n("0.30000000000000004").sub(&n("0.1")), "0.20000000000000004"),
            (n("1e30").sub(&n("0.1")), "999999999999999999999999999999.9"),
            (n("1e-20").sub(&n("42")), "-41.99999999999999999999"),
            (n("1e300").mul(&n("1e-300")), "1"),
            (Number::from(2i64).div(&Number::from(3i64)).unwrap(), "0.6666666666666666667"),
            (Number::from(3i64).rem(&n("0.7")).unwrap(), "0.20000000000000000004"),
            (n("1e200").rem(&n("7")).unwrap(), "0"),
            (Number::exactly(0.1).unwrap(), "0.1"),
            (
                Number::exactly(0.1).unwrap().add(&n("0")),
                "0.1000000000000000055511151231257827021181583404541015625",
            ),
            (Number::exactly(2f64.sqrt()).unwrap().settled().add(&n("0")), "1.4142135623730951"),
            (n("-1.5").ceil(), "-1"),
            (n("1.5").ceil(), "2"),
        ] {
            assert_eq!(made.to_string(), expected);
        }
        assert_eq!(Number::exactly(5e-324).unwrap().to_f64(), 5e-324);
        assert!(!n("1e100000").mul(&n("1e100000")).mul(&n("1e100000")).is_zero());
    }

    #[test]
    fn order_is_by_value() {
        let texts =
            ["-1e40", "-2.5", "-2", "-0.1", "0", "1e-30", "0.1", "2", "2.5", "9007199254740993", "1e40"];
        let numbers: Vec<Number> = texts.iter().map(|t| Number::parse(t).unwrap()).collect();
        assert!(numbers.is_sorted() && numbers.windows(2).all(|w| w[0] != w[1]));
        assert!(Number::infinity(true) < numbers[0] && numbers[10] < Number::infinity(false));
        assert_eq!(Number::from(2i64), numbers[7]);
    }

    #[test]
    fn a_third_has_154_digits() {
        let third = Number::parse("1").unwrap().div(&Number::parse("3").unwrap()).unwrap();
        assert!(third.to_string().starts_with("0.33333333"));
        assert_eq!(Number::parse(&third.to_string()).unwrap(), third);
        assert_eq!(Number::from(7i64).rem(&Number::from(-3i64)).unwrap().to_string(), "1");
        assert_eq!(Number::parse("5.5").unwrap().rem(&Number::from(2i64)).unwrap().to_string(), "1.5");
        assert_eq!(Number::parse("-1.5").unwrap().floor().to_string(), "-2");
    }
}
