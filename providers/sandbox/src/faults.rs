//! Faults on demand: `eks.CreateCluster: throttle 3x`.
//!
//! A rule names an operation (`eks.CreateCluster`, `eks.*`, `*`, `kubernetes.PATCH deployments`), what
//! goes wrong, and how often: `3x` for the next three calls, `20%` for a part of all, drawn from a seed.
//! Rules lie in the world, so a restart keeps them.

use crate::crypto::spread;
use crate::store::World;
use serde::{Deserialize, Serialize};

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fault {
    /// Refused as too fast.
    Throttle,
    /// Refused as an error of the server.
    ServerError,
    /// Never answered.
    Timeout,
    /// Done, then the connection is cut before the answer.
    ResetAfter,
    /// The connection is cut before anything is done.
    ResetBefore,
    /// Done and answered late, by so many milliseconds of wall time.
    Slow(u64),
    /// Refused for lack of permission.
    Denied,
    /// Refused since the credentials are too old.
    Expired,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Rule {
    operation: String,
    fault: Fault,
    /// Calls left to hit; none means a part of all calls.
    left: Option<u32>,
    percent: u32,
    seed: u64,
    drawn: u64,
}

/// Adds the rule that a text describes.
pub(crate) fn add(world: &mut World, text: &str, seed: u64) -> Result<(), String> {
    let rule = parse(text, seed)?;
    let key = format!("fault/{:08}", world.next("fault"));
    world.put(key, serde_json::to_value(rule).map_err(|e| e.to_string())?);
    Ok(())
}

/// The fault for a call, if a rule has one; the rule's count goes down.
pub(crate) fn draw(world: &mut World, operation: &str) -> Option<Fault> {
    for key in world.keys("fault/") {
        let rule = world.get(&key).and_then(|v| serde_json::from_value::<Rule>(v.clone()).ok());
        let Some(mut rule) = rule.filter(|rule| matches(&rule.operation, operation)) else { continue };
        rule.drawn += 1;
        let hit = match &mut rule.left {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => spread(&format!("{}/{}", rule.seed, rule.drawn), 100) < u64::from(rule.percent),
        };
        if rule.left == Some(0) {
            world.remove(&key);
        } else {
            world.put(key, serde_json::to_value(&rule).expect("invariant: a rule is plain data"));
        }
        if hit {
            return Some(rule.fault);
        }
    }
    None
}

fn matches(pattern: &str, operation: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => operation.starts_with(prefix),
        None => pattern.eq_ignore_ascii_case(operation),
    }
}

fn parse(text: &str, seed: u64) -> Result<Rule, String> {
    let usage = || {
        format!(
            "`{text}` is no fault; write `SERVICE.Operation: KIND Nx` (or `N%`), with KIND one of throttle, \
             5xx, timeout, reset-after, reset-before, slow MS, denied, expired"
        )
    };
    let (operation, rest) = text.split_once(':').ok_or_else(usage)?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (kind, count) = match words[..] {
        ["slow", millis] => (Fault::Slow(millis.parse().map_err(|_| usage())?), "1x"),
        ["slow", millis, count] => (Fault::Slow(millis.parse().map_err(|_| usage())?), count),
        [kind] => (parse_kind(kind).ok_or_else(usage)?, "1x"),
        [kind, count] => (parse_kind(kind).ok_or_else(usage)?, count),
        _ => return Err(usage()),
    };
    let number = |text: &str| text.parse::<u32>().map_err(|_| usage());
    let (left, percent) = match (count.strip_suffix('x'), count.strip_suffix('%')) {
        (Some(times), _) => (Some(number(times)?), 0),
        (None, Some(part)) => (None, number(part)?),
        (None, None) => return Err(usage()),
    };
    let operation = operation.trim().to_owned();
    if operation.is_empty() || left == Some(0) {
        return Err(usage());
    }
    Ok(Rule { operation, fault: kind, left, percent, seed, drawn: 0 })
}

fn parse_kind(word: &str) -> Option<Fault> {
    Some(match word {
        "throttle" => Fault::Throttle,
        "5xx" => Fault::ServerError,
        "timeout" => Fault::Timeout,
        "reset-after" => Fault::ResetAfter,
        "reset-before" => Fault::ResetBefore,
        "denied" => Fault::Denied,
        "expired" => Fault::Expired,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_hit_as_often_as_they_say() {
        let mut world = World::default();
        add(&mut world, "eks.CreateCluster: throttle 2x", 0).unwrap();
        add(&mut world, "iam.*: slow 50 1x", 0).unwrap();
        add(&mut world, "kubernetes.PATCH deployments: reset-after", 0).unwrap();
        let lines = [
            ("eks.DeleteCluster", None),
            ("eks.CreateCluster", Some(Fault::Throttle)),
            ("iam.GetRole", Some(Fault::Slow(50))),
            ("iam.GetRole", None),
            ("eks.createcluster", Some(Fault::Throttle)),
            ("eks.CreateCluster", None),
            ("kubernetes.PATCH deployments", Some(Fault::ResetAfter)),
        ];
        for (operation, expected) in lines {
            assert_eq!(draw(&mut world, operation), expected, "{operation}");
        }
        assert_eq!(world.keys("fault/").len(), 0);
    }

    #[test]
    fn parts_are_drawn_from_the_seed() {
        let mut world = World::default();
        add(&mut world, "*: 5xx 30%", 7).unwrap();
        let hits = (0..1000).filter(|_| draw(&mut world, "sts.GetCallerIdentity").is_some()).count();
        assert!((250..350).contains(&hits), "{hits}");
    }

    #[test]
    fn bad_rules_say_how_to_write_them() {
        for text in ["", "eks", "eks.A: nothing", "eks.A: throttle 3", ": throttle", "a: slow x", "a: 5xx 0x"]
        {
            assert!(parse(text, 0).unwrap_err().contains("SERVICE.Operation"), "{text}");
        }
    }
}
