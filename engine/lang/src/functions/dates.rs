//! Moments as RFC 3339 text.

use super::{FunctionError, Outcome, bad_arg, fail, text};
use crate::eval::FunctionHost;
use groma_types::Value;

/// A moment with the offset it was written with.
#[derive(Clone, Copy)]
struct Moment {
    /// Seconds since the Unix epoch.
    secs: i64,
    nanos: u32,
    offset_minutes: i64,
    /// Written with `Z`.
    zulu: bool,
}

/// A date and time of day as a calendar on the wall shows them.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    /// Sunday is 0.
    weekday: usize,
}

/// Days since the epoch of a date in the Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

impl Moment {
    fn parse(text: &str) -> Option<Moment> {
        let number = |from: usize, to: usize| -> Option<i64> {
            let part = text.get(from..to)?;
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten()
        };
        let is = |at: usize, c: &str| text.get(at..at + 1).is_some_and(|s| s == c);
        if !(is(4, "-") && is(7, "-") && is(10, "T") && is(13, ":") && is(16, ":")) {
            return None;
        }
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let days = days_from_civil(year, month, day);
        let real = (1..=12).contains(&month) && civil_from_days(days) == (year, month, day);
        if !real || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let mut zone = text.get(19..)?;
        let mut nanos = 0;
        if let Some(rest) = zone.strip_prefix('.') {
            let len = rest.find(|c: char| !c.is_ascii_digit()).filter(|n| *n > 0)?;
            nanos = format!("{:0<9}", &rest[..len.min(9)]).parse().ok()?;
            zone = &rest[len..];
        }
        let (offset_minutes, zulu) = parse_zone(zone)?;
        let secs = days * 86_400 + hour * 3600 + minute * 60 + second - offset_minutes * 60;
        Some(Moment { secs, nanos, offset_minutes, zulu })
    }

    fn civil(&self) -> Civil {
        let local = self.secs + self.offset_minutes * 60;
        let days = local.div_euclid(86_400);
        let rest = local.rem_euclid(86_400);
        let (year, month, day) = civil_from_days(days);
        let weekday = usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0);
        Civil { year, month, day, hour: rest / 3600, minute: rest / 60 % 60, second: rest % 60, weekday }
    }

    fn zone(&self, colon: &str) -> String {
        let sign = if self.offset_minutes < 0 { '-' } else { '+' };
        let minutes = self.offset_minutes.abs();
        format!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
    }

    fn show(&self) -> String {
        let c = self.civil();
        let zone = if self.zulu || self.offset_minutes == 0 { "Z".into() } else { self.zone(":") };
        let (date, time) = ((c.year, c.month, c.day), (c.hour, c.minute, c.second));
        format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{zone}", date.0, date.1, date.2, time.0, time.1, time.2)
    }
}

fn parse_zone(zone: &str) -> Option<(i64, bool)> {
    if zone == "Z" {
        return Some((0, true));
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let both = hours.len() == 2 && minutes.len() == 2;
    let value = |s: &str| s.bytes().all(|b| b.is_ascii_digit()).then(|| s.parse::<i64>().ok()).flatten();
    let (hours, minutes) = (value(hours)?, value(minutes)?);
    (both && hours < 24 && minutes < 60).then_some((sign * (hours * 60 + minutes), false))
}

fn moment(args: &[Value], index: usize) -> Result<Moment, FunctionError> {
    let given = text(args, index);
    match Moment::parse(given) {
        Some(moment) => Ok(moment),
        None => bad_arg(index, format!("not a valid RFC3339 timestamp: {given:?}")),
    }
}

pub(super) fn timestamp(_: &[Value], host: &dyn FunctionHost) -> Outcome {
    Ok(host.timestamp())
}

pub(super) fn plantimestamp(_: &[Value], host: &dyn FunctionHost) -> Outcome {
    Ok(host.plan_timestamp())
}

pub(super) fn timecmp(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let (a, b) = (moment(args, 0)?, moment(args, 1)?);
    Ok(Value::number((a.secs, a.nanos).cmp(&(b.secs, b.nanos)) as i64))
}

pub(super) fn timeadd(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let given = text(args, 0);
    let Some(at) = Moment::parse(given) else {
        return fail(format!("not a valid RFC3339 timestamp: {given:?}"));
    };
    let Some(by) = parse_duration(text(args, 1)) else {
        return fail(format!("{:?} is not a duration such as 1h30m", text(args, 1)));
    };
    if by.abs() >= 1 << 63 {
        return fail(format!("{:?} is too long a duration", text(args, 1)));
    }
    let total = i128::from(at.secs) * 1_000_000_000 + i128::from(at.nanos) + by;
    // The result is written in whole seconds.
    match i64::try_from(total.div_euclid(1_000_000_000)) {
        Ok(secs) if secs.abs() < 400_000_000_000 => Ok(Moment { secs, nanos: 0, ..at }.show().into()),
        _ => fail("the result is outside of the calendar"),
    }
}

/// Nanoseconds of a duration as Go writes it: signed numbers with units.
fn parse_duration(text: &str) -> Option<i128> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: i128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let len = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).filter(|n| *n > 0)?;
        let (number, after) = rest.split_at(len);
        let unit_len = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let scale: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() > 12 || (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        total += whole.parse::<i128>().unwrap_or(0) * scale;
        let fraction = &fraction[..fraction.len().min(15)];
        let places = u32::try_from(fraction.len()).ok()?;
        total += fraction.parse::<i128>().unwrap_or(0) * scale / 10i128.pow(places);
        rest = after;
    }
    Some(sign * total)
}

/// A plain scalar of YAML that is a date or a moment, as RFC 3339; `None` if it is neither.
pub(super) fn from_yaml(text: &str) -> Option<String> {
    let at = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let (date, time) = text.split_at(at);
    let number = |s: &str, len: std::ops::RangeInclusive<usize>| {
        (len.contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit()))
            .then(|| s.parse::<u32>().ok())
            .flatten()
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, month, day) = (number(year, 4..=4)?, number(month, 1..=2)?, number(day, 1..=2)?);
    let moment = |time: &str| {
        let whole = format!("{year:04}-{month:02}-{day:02}T{time}");
        parts.clone().next().is_none().then(|| Moment::parse(&whole)).flatten().map(|m| m.show())
    };
    if time.is_empty() {
        return moment("00:00:00Z");
    }
    let spaced = time.starts_with(' ');
    let clock_len = time[1..].find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(time.len() - 1) + 1;
    let (clock, zone) = time[1..].split_at(clock_len - 1);
    let mut clock_parts = clock.split(':').map(|p| number(p, 1..=2));
    let (hour, minute, second) = (clock_parts.next()??, clock_parts.next()??, clock_parts.next()??);
    let bare = zone.strip_prefix('.').map_or(zone, |f| f.trim_start_matches(|c: char| c.is_ascii_digit()));
    // After a space there is no zone, after a T there is one.
    if clock_parts.next().is_some() || spaced != bare.is_empty() {
        return None;
    }
    moment(&format!("{hour:02}:{minute:02}:{second:02}{zone}{}", if spaced { "Z" } else { "" }))
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

pub(super) fn formatdate(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let at = moment(args, 1)?;
    let civil = at.civil();
    let mut out = String::new();
    let mut rest = text(args, 0);
    while let Some(c) = rest.chars().next() {
        // Two quotes outside of a literal are one quote.
        if let Some(after) = rest.strip_prefix("''") {
            out.push('\'');
            rest = after;
            continue;
        }
        if c == '\'' {
            let (literal, after) = quoted(rest)?;
            out.push_str(&literal);
            rest = after;
            continue;
        }
        if !c.is_ascii_alphabetic() {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let len = rest.find(|other| other != c).unwrap_or(rest.len());
        match verb(&rest[..len], &at, &civil) {
            Some(written) => out.push_str(&written),
            None => return bad_arg(0, format!("invalid date format verb {:?}", &rest[..len])),
        }
        rest = &rest[len..];
    }
    Ok(out.into())
}

/// A literal in single quotes, where two quotes stand for one.
fn quoted(rest: &str) -> Result<(String, &str), FunctionError> {
    let mut literal = String::new();
    let mut at = 1;
    loop {
        let Some(n) = rest[at..].find('\'') else { return bad_arg(0, "unterminated literal '") };
        literal.push_str(&rest[at..at + n]);
        at += n + 1;
        if !rest[at..].starts_with('\'') {
            return Ok((literal, &rest[at..]));
        }
        literal.push('\'');
        at += 1;
    }
}

fn verb(word: &str, at: &Moment, c: &Civil) -> Option<String> {
    let month = MONTHS[usize::try_from(c.month - 1).unwrap_or(0) % 12];
    let twelve = if c.hour % 12 == 0 { 12 } else { c.hour % 12 };
    Some(match word {
        "YYYY" => format!("{:04}", c.year),
        "YY" => format!("{:02}", c.year % 100),
        "MMMM" => month.into(),
        "MMM" => month[..3].into(),
        "MM" => format!("{:02}", c.month),
        "M" => c.month.to_string(),
        "DD" => format!("{:02}", c.day),
        "D" => c.day.to_string(),
        "EEEE" => DAYS[c.weekday].into(),
        "EEE" => DAYS[c.weekday][..3].into(),
        "hh" => format!("{:02}", c.hour),
        "h" => c.hour.to_string(),
        "HH" => format!("{twelve:02}"),
        "H" => twelve.to_string(),
        "AA" => if c.hour < 12 { "AM" } else { "PM" }.into(),
        "aa" => if c.hour < 12 { "am" } else { "pm" }.into(),
        "mm" => format!("{:02}", c.minute),
        "m" => c.minute.to_string(),
        "ss" => format!("{:02}", c.second),
        "s" => c.second.to_string(),
        "Z" if at.offset_minutes == 0 => "Z".into(),
        "Z" | "ZZZZZ" => at.zone(":"),
        "ZZZ" if at.offset_minutes == 0 => "UTC".into(),
        "ZZZ" | "ZZZZ" => at.zone(""),
        _ => return None,
    })
}
