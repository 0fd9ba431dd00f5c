//! Decimal text of numbers: reading with 512 bits, and the shortest form that tells a number from its
//! neighbours of the same precision.

use super::{Big, EXPONENT_MAX, NumberError, TEXT_BITS, signed};
use dashu_int::ops::BitTest;
use dashu_int::{IBig, Sign, UBig};
use std::str::FromStr;

/// Bits more than wanted that powers of five are made with, so that the quotient is rounded well.
const GUARD_BITS: u32 = 64;
/// The greatest power of five that is exact in 64 bits.
const SMALL_POWER: u64 = 27;

/// Reads digits, an optional fraction, an optional exponent, an optional minus.
pub(super) fn parse(text: &str) -> Result<Big, NumberError> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], unsigned[at + 1..].parse().map_err(|_| NumberError)?),
        None => (unsigned, 0i64),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let pointed = mantissa.contains('.') && fraction.is_empty();
    // So many digits are as absurd as an exponent of so many; to read them takes more than time in proportion.
    if signed(mantissa.len()) > EXPONENT_MAX {
        return Err(NumberError);
    }
    if whole.is_empty() || pointed || !digits(whole) || !digits(fraction) || exponent.abs() > EXPONENT_MAX {
        return Err(NumberError);
    }
    let magnitude = UBig::from_str(&format!("{whole}{fraction}")).map_err(|_| NumberError)?;
    let sign = if text.starts_with('-') { Sign::Negative } else { Sign::Positive };
    Ok(with_exponent(IBig::from_parts(sign, magnitude), exponent - signed(fraction.len())))
}

/// `digits * 10^exponent`, rounded.
fn with_exponent(digits: IBig, exponent: i64) -> Big {
    let exact = Big { mantissa: digits, exponent, bits: TEXT_BITS };
    match exponent {
        0 => Big::rounded(exact.mantissa, 0, TEXT_BITS),
        1.. => exact.mul(&power_of_five(exponent.unsigned_abs()), TEXT_BITS),
        _ => exact.div(&power_of_five(exponent.unsigned_abs()), TEXT_BITS),
    }
}

/// Five to a power, as exact as Terraform's library makes it.
fn power_of_five(power: u64) -> Big {
    let bits = TEXT_BITS + GUARD_BITS;
    let small = |power: u64| Big::rounded(IBig::from(5u64.pow(u32::try_from(power).unwrap_or(0))), 0, bits);
    let mut rest = power.saturating_sub(SMALL_POWER);
    let mut made = small(power.min(SMALL_POWER));
    let mut factor = small(1);
    while rest > 0 {
        if rest % 2 == 1 {
            made = made.mul(&factor, bits);
        }
        factor = factor.mul(&factor, bits + GUARD_BITS);
        rest /= 2;
    }
    made
}

/// Digits without zeros at the end, and how many of them stand before the point.
struct Decimal {
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    /// Exactly `mantissa * 2^exponent`.
    fn new(mantissa: UBig, exponent: i64) -> Decimal {
        let places = usize::try_from(-exponent).unwrap_or(0);
        let scaled = match usize::try_from(exponent) {
            Ok(exponent) => mantissa << exponent,
            Err(_) => mantissa * UBig::from(5u8).pow(places),
        };
        let mut digits = scaled.to_string().into_bytes();
        let point = signed(digits.len()) - signed(places);
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        Decimal { digits, point }
    }

    fn at(&self, index: usize) -> u8 {
        self.digits.get(index).copied().unwrap_or(b'0')
    }

    fn cut(&mut self, count: usize) {
        self.digits.truncate(count);
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
        }
    }

    fn cut_up(&mut self, count: usize) {
        self.digits.truncate(count);
        while self.digits.last() == Some(&b'9') {
            self.digits.pop();
        }
        match self.digits.last_mut() {
            Some(last) => *last += 1,
            None => {
                self.digits.push(b'1');
                self.point += 1;
            }
        }
    }

    /// Cuts to `count` digits, to the nearer side and half to even.
    fn cut_near(&mut self, count: usize) {
        let next = self.at(count);
        let half = next == b'5' && count + 1 == self.digits.len();
        let odd = count > 0 && (self.at(count - 1) - b'0') % 2 == 1;
        if count >= self.digits.len() {
        } else if if half { odd } else { next >= b'5' } {
            self.cut_up(count);
        } else {
            self.cut(count);
        }
    }

    fn text(&self, sign: Sign) -> String {
        let sign = if sign == Sign::Negative { "-" } else { "" };
        let digits: String = self.digits.iter().copied().map(char::from).collect();
        match usize::try_from(self.point) {
            Ok(point) if point >= digits.len() => format!("{sign}{digits:0<point$}"),
            Ok(point) if point > 0 => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
            _ => format!("{sign}0.{}{digits}", "0".repeat(usize::try_from(-self.point).unwrap_or(0))),
        }
    }
}

/// The shortest decimal between the halves to both neighbours.
pub(super) fn shortest(big: &Big) -> String {
    let (sign, magnitude) = big.mantissa.clone().into_parts();
    if big.exponent >= 0 && big.bit_len() + big.exponent <= i64::from(big.bits) {
        return Decimal::new(magnitude, big.exponent).text(sign);
    }
    // Here the last bit is half of the distance to the neighbours.
    let wanted = big.bits as usize + 1;
    let shift = wanted.saturating_sub(magnitude.bit_len());
    let (exact, exponent) = (magnitude << shift, big.exponent - signed(shift));
    let lower = Decimal::new(&exact - UBig::ONE, exponent);
    let upper = Decimal::new(&exact + UBig::ONE, exponent);
    // The neighbours' halves round to this number only if its mantissa is even.
    let inclusive = !exact.bit(1);
    let mut made = Decimal::new(exact, exponent);
    for at in 0..made.digits.len() {
        let (low, digit, high) = (lower.at(at), made.at(at), upper.at(at));
        let down = low != digit || (inclusive && at + 1 == lower.digits.len());
        let up = digit != high && (inclusive || digit + 1 < high || at + 1 < upper.digits.len());
        match (down, up) {
            (true, true) => made.cut_near(at + 1),
            (true, false) => made.cut(at + 1),
            (false, true) => made.cut_up(at + 1),
            (false, false) => continue,
        }
        break;
    }
    made.text(sign)
}
