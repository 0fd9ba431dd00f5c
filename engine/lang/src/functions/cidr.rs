//! Address ranges.

use super::{FunctionError, Outcome, bad_arg, fail, text};
use crate::eval::FunctionHost;
use groma_types::{Type, Value};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A network: its first address as a number, and the lengths in bits.
#[derive(Clone, Copy)]
struct Net {
    base: u128,
    prefix: u32,
    bits: u32,
}

impl Net {
    fn parse(cidr: &str) -> Result<Net, FunctionError> {
        let bad = || fail(format!("invalid CIDR expression: invalid CIDR address: {cidr}"));
        let Some((address, prefix)) = cidr.split_once('/') else { return bad() };
        let (value, bits) = match parse_v4(address) {
            Some(v) => (u128::from(v), 32),
            None => match address.parse::<Ipv6Addr>() {
                Ok(v) => (u128::from(v), 128),
                Err(_) => return bad(),
            },
        };
        let digits = prefix.bytes().all(|b| b.is_ascii_digit());
        match prefix.parse::<u32>() {
            Ok(prefix) if digits && prefix <= bits => {
                Ok(Net { base: value & mask(prefix, bits), prefix, bits })
            }
            _ => bad(),
        }
    }

    fn address(&self, value: u128) -> String {
        let as_v4 = self.bits == 32 || is_mapped(value);
        match u32::try_from(value & u128::from(u32::MAX)) {
            Ok(low) if as_v4 => Ipv4Addr::from(low).to_string(),
            _ => Ipv6Addr::from(value).to_string(),
        }
    }

    fn show(&self) -> Value {
        let mapped = self.bits == 128 && is_mapped(self.base);
        let prefix = if mapped { self.prefix.saturating_sub(96) } else { self.prefix };
        format!("{}/{prefix}", self.address(self.base)).into()
    }

    /// How many addresses it has, as a power of two.
    fn host_bits(&self) -> u32 {
        self.bits - self.prefix
    }

    /// `new_bits` below zero widen the network.
    fn subnet(&self, new_bits: i64, number: u128) -> Result<Net, FunctionError> {
        let extended = i64::from(self.prefix).saturating_add(new_bits);
        let Some(prefix) = u32::try_from(extended).ok().filter(|p| *p <= self.bits) else {
            return fail(format!(
                "insufficient address space to extend prefix of {} by {new_bits}",
                self.prefix
            ));
        };
        // Terraform compares the low 64 bits alone.
        let most = if (0..64).contains(&new_bits) { (1u64 << new_bits) - 1 } else { u64::MAX };
        if number as u64 > most {
            return fail(format!(
                "prefix extension of {new_bits} does not accommodate a subnet numbered {number}"
            ));
        }
        let shift = self.bits - prefix;
        let shift = if self.bits == 128 && is_mapped(self.base) { shift.min(32) } else { shift };
        if number != 0 && u128::BITS - number.leading_zeros() + shift > self.bits {
            return fail(format!("the subnet numbered {number} is beyond all addresses"));
        }
        let offset = if shift >= 128 { 0 } else { number << shift };
        Ok(Net { base: self.base | offset, prefix, bits: self.bits })
    }
}

impl Net {
    /// A negative number of a subnet: Terraform joins its two's complement with the prefix and takes what
    /// that is without its sign. It is no subnet of this network, but it is what users have in their states.
    fn below(&self, new_bits: i64, number: i128) -> Outcome {
        let sized = self.subnet(new_bits, number.unsigned_abs() & u128::from(u64::MAX))?;
        let shift = self.bits - sized.prefix;
        let joined = (self.base | (number as u128).checked_shl(shift).unwrap_or(0)).wrapping_neg();
        if self.bits == 32 && joined >> 32 != 0 {
            return fail("the number of the subnet is out of range");
        }
        Ok(Net { base: joined, ..sized }.show())
    }
}

/// Whether it is an IPv4 address in the form of an IPv6 one, which is shown as what it stands for.
fn is_mapped(value: u128) -> bool {
    value >> 32 == 0xffff
}

/// Four decimal numbers; leading zeros do not make them octal.
fn parse_v4(text: &str) -> Option<u32> {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() != 4 {
        return None;
    }
    parts.iter().try_fold(0u32, |total, part| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let octet: u8 = digits.then(|| part.parse().ok()).flatten()?;
        Some(total << 8 | u32::from(octet))
    })
}

fn mask(prefix: u32, bits: u32) -> u128 {
    let all = if bits == 128 { u128::MAX } else { (1u128 << bits) - 1 };
    if prefix == 0 { 0 } else { all << (bits - prefix) & all }
}

fn integer(args: &[Value], index: usize) -> Result<i128, FunctionError> {
    match args[index].as_number().filter(|n| n.is_integer()).and_then(|n| n.to_string().parse().ok()) {
        Some(n) => Ok(n),
        None => fail("value must be a whole number"),
    }
}

fn new_bits(args: &[Value], index: usize) -> Result<i64, FunctionError> {
    let bits = integer(args, index)?;
    i64::try_from(bits).or_else(|_| fail("value must be a whole number that fits into 64 bits"))
}

pub(super) fn cidrhost(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let net = Net::parse(text(args, 0))?;
    let number = integer(args, 1)?;
    let host_bits = net.host_bits();
    let size = if host_bits >= 127 { i128::MAX } else { 1i128 << host_bits };
    // Terraform compares the low 64 bits alone, and lets what is beyond them reach into the prefix.
    let compared = if number < 0 { number } else { i128::from(number.unsigned_abs() as u64 as i64) };
    let reaches = number >= size && net.bits == 32;
    if compared >= size || number < -size || reaches {
        return fail(format!("prefix of {} does not accommodate a host numbered {number}", net.prefix));
    }
    let space = mask(0, net.bits) | !mask(net.prefix, net.bits) & mask(net.bits, net.bits);
    let offset = if number < 0 {
        (space.wrapping_add(1)).wrapping_sub(number.unsigned_abs()) & space
    } else {
        number.unsigned_abs()
    };
    let offset = if net.bits == 128 && is_mapped(net.base) { offset << 96 } else { offset };
    Ok(net.address(net.base | offset).into())
}

pub(super) fn cidrnetmask(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let net = Net::parse(text(args, 0))?;
    if net.bits != 32 && is_mapped(net.base) {
        return Ok(Ipv6Addr::from(mask(net.prefix, 128)).to_string().into());
    }
    if net.bits != 32 {
        return fail("IPv6 addresses cannot have a netmask");
    }
    Ok(net.address(mask(net.prefix, 32)).into())
}

pub(super) fn cidrsubnet(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let net = Net::parse(text(args, 0))?;
    let bits = new_bits(args, 1)?;
    let number = integer(args, 2)?;
    match u128::try_from(number) {
        Ok(number) => Ok(net.subnet(bits, number)?.show()),
        Err(_) => net.below(bits, number),
    }
}

pub(super) fn cidrsubnets(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let net = Net::parse(text(args, 0)).or_else(|error| bad_arg(0, error.message))?;
    let mut made = Vec::new();
    // First address that is free, relative to the network; `None` when all is used.
    let mut next: Option<u128> = Some(0);
    for i in 1..args.len() {
        let bits = new_bits(args, i).or_else(|error| bad_arg(i, error.message))?;
        let Some(bits) = u32::try_from(bits).ok().filter(|n| *n >= 1) else {
            return bad_arg(i, "must extend prefix by at least one bit");
        };
        if bits > 32 {
            return bad_arg(i, "may not extend prefix by more than 32 bits");
        }
        let prefix = net.prefix + bits;
        if prefix > net.bits {
            return bad_arg(
                i,
                format!("not enough remaining address space for a subnet with a prefix of {prefix} bits"),
            );
        }
        let shift = net.bits - prefix;
        let size = 1u128 << shift;
        let start = next.and_then(|n| n.checked_next_multiple_of(size));
        let fits = |s: &u128| {
            net.host_bits() == 128 || s.checked_add(size).is_some_and(|end| end <= 1u128 << net.host_bits())
        };
        // Terraform comes from the subnet before the first: from the lowest address there is none.
        let Some(start) = start.filter(fits).filter(|_| net.base != 0) else {
            return bad_arg(
                i,
                format!(
                    "not enough remaining address space for a subnet with a prefix of {prefix} bits after {}",
                    made.len()
                ),
            );
        };
        made.push(Net { base: net.base | start, prefix, bits: net.bits }.show());
        next = start.checked_add(size);
    }
    Ok(Value::list(Type::String, made))
}
