//! Whether what is stored is what was meant: a value that was read back is written to the same bytes again.

use ipld_core::ipld::Ipld;
use serde::Serialize;

use super::inspect::{Inspection, Met, Refused, inspect};
use crate::block::reader::prepend;

/// What stands in front of the keys with which `serde_json` marks types of its own, such as a number of any length.
const SERDE_JSON_PRIVATE: &str = "$serde_json::private::";
const PRIVATE: &str = "it has a form of `serde_json`'s own, which comes and goes with the features `arbitrary_precision` \
    and `raw_value` that any dependency may turn on: use an integer, a float, a text or a type of your own instead";
const UNORDERED: &str = "its elements come in another order each time it is written, so that equal values would have \
    different CIDs: use a `BTreeSet` for a `HashSet`, and a `BTreeMap` for a `HashMap`";
/// How many times a list without an order is read and written again. Two elements then stand in their first order with a
/// chance of one in 2^40.
const ROUNDS: usize = 40;

/// Compares a value with how it was read back.
///
/// `payload` is what the value was written as and `met` what a walk over it met. `write` writes a value again, `read` reads
/// the payload again. Lists of a type that may have no order are read and written many times.
pub(super) fn compare<T: Serialize, U: Serialize>(
    value: &T,
    read_back: &U,
    payload: &[u8],
    met: &Met,
    write: impl Fn(&U) -> Result<Vec<u8>, Refused>,
    read_unordered: Option<impl Fn() -> Result<U, String>>,
) -> Result<(), Refused> {
    let again = write(read_back)?;
    if again != payload {
        return Err(difference(payload, &again));
    }
    if met.null.get() {
        compare_options(value, read_back, met)?;
    }
    if let Some(read) = read_unordered {
        for _ in 0..ROUNDS {
            let again = write(&read().map_err(Refused::new)?)?;
            if again != payload {
                return Err(difference(payload, &again));
            }
        }
    }
    Ok(())
}

/// An option that holds nothing and none are written in the same way.
fn compare_options<T: Serialize, U: Serialize>(
    value: &T,
    read_back: &U,
    met: &Met,
) -> Result<(), Refused> {
    let again = inspect(read_back, Inspection::Values)?;
    let (before, after) = (met.hollow.get(), again.hollow.get());
    if before == after {
        return Ok(());
    }
    let path = |refused: Option<Refused>| refused.map(|refused| refused.path);
    let differs = |at: &usize| path(hollow(value, *at)) != path(hollow(read_back, *at));
    let at = (0..before.max(after)).find(differs).unwrap_or(0);
    let refused = match before > after {
        true => hollow(value, at),
        false => hollow(read_back, at).map(|refused| Refused {
            reason: "none would read back as an option that holds nothing: leave the field out where it is none, by \
                `#[serde(skip_serializing_if = \"Option::is_none\")]`"
                .to_owned(),
            ..refused
        }),
    };
    Err(refused.unwrap_or_else(|| Refused::new("it has an option that reads back otherwise")))
}

/// The option at a place among those that hold nothing.
fn hollow<T: Serialize>(value: &T, at: usize) -> Option<Refused> {
    inspect(value, Inspection::Hollow(at)).err()
}

/// Where what was written first differs from what is written after it was read back, and why.
#[cold]
fn difference(before: &[u8], after: &[u8]) -> Refused {
    let decoded = |bytes| serde_ipld_dagcbor::from_slice::<Ipld>(bytes);
    let (Ok(before), Ok(after)) = (decoded(before), decoded(after)) else {
        return Refused::new("it is written otherwise after it was read back");
    };
    let (path, before, after) = first_difference(Some(&before), Some(&after));
    let reason = match (before, after) {
        (Some(Ipld::List(before)), Some(Ipld::List(after))) if is_reordered(before, after) => {
            UNORDERED.to_owned()
        }
        _ => format!(
            "it is written as {}, and after it was read back as {}: make what is read what was written; look for \
             `#[serde(untagged)]`, where the first variant that fits is read, and for `skip_deserializing`, `default`, \
             `with` or numbers that are rounded",
            shown(before),
            shown(after)
        ),
    };
    Refused { path, reason }
}

/// The path at which two payloads differ first; empty for payloads that are no blocks.
#[cfg(feature = "testing")]
pub(crate) fn differing_path(one: &[u8], other: &[u8]) -> String {
    let decoded = |bytes| serde_ipld_dagcbor::from_slice::<Ipld>(bytes).ok();
    first_difference(decoded(one).as_ref(), decoded(other).as_ref()).0
}

type Found<'a> = (String, Option<&'a Ipld>, Option<&'a Ipld>);

fn first_difference<'a>(before: Option<&'a Ipld>, after: Option<&'a Ipld>) -> Found<'a> {
    let within = |segment: &str, before, after| {
        let (mut path, before, after) = first_difference(before, after);
        prepend(&mut path, segment);
        (path, before, after)
    };
    match (before, after) {
        (Some(Ipld::Map(one)), Some(Ipld::Map(other))) => {
            let mut keys = one.keys().chain(other.keys());
            match keys.find(|key| one.get(*key) != other.get(*key)) {
                Some(key) => within(key, one.get(key), other.get(key)),
                None => (String::new(), before, after),
            }
        }
        (Some(Ipld::List(one)), Some(Ipld::List(other)))
            if one.len() == other.len() && !is_reordered(one, other) =>
        {
            match (0..one.len()).find(|at| one[*at] != other[*at]) {
                Some(at) => within(&format!("[{at}]"), one.get(at), other.get(at)),
                None => (String::new(), before, after),
            }
        }
        _ => (String::new(), before, after),
    }
}

/// Whether two lists have the same elements, in different orders.
fn is_reordered(before: &[Ipld], after: &[Ipld]) -> bool {
    if before == after || before.len() != after.len() {
        return false;
    }
    let sorted = |list: &[Ipld]| {
        let encoded = list.iter().map(serde_ipld_dagcbor::to_vec);
        let mut encoded: Vec<_> = encoded.filter_map(Result::ok).collect();
        encoded.sort();
        encoded
    };
    sorted(before) == sorted(after)
}

/// A value in a few words.
fn shown(value: Option<&Ipld>) -> String {
    const LONGEST: usize = 60;
    let short = |text: String| match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    match value {
        None => "nothing".to_owned(),
        Some(Ipld::Null) => "null".to_owned(),
        Some(Ipld::Bool(value)) => value.to_string(),
        Some(Ipld::Integer(value)) => value.to_string(),
        Some(Ipld::Float(value)) => format!("{value:?}"),
        Some(Ipld::String(value)) => short(format!("{value:?}")),
        Some(Ipld::Bytes(value)) => format!("{} bytes", value.len()),
        Some(Ipld::List(value)) => format!("a list of {}", value.len()),
        Some(Ipld::Map(value)) => {
            let keys: Vec<_> = value.keys().map(|key| format!("`{key}`")).collect();
            short(format!("a map of {}", keys.join(", ")))
        }
        Some(Ipld::Link(value)) => format!("a link to {value}"),
    }
}

/// Looks for keys that `serde_json` has to itself.
pub(super) fn check_keys(payload: &[u8]) -> Result<(), Refused> {
    // A dollar is rare, so that this is all that most payloads cost.
    let is_there = payload.contains(&b'$')
        && payload
            .windows(SERDE_JSON_PRIVATE.len())
            .any(|window| window == SERDE_JSON_PRIVATE.as_bytes());
    if !is_there {
        return Ok(());
    }
    let value = serde_ipld_dagcbor::from_slice::<Ipld>(payload);
    match value.ok().and_then(|value| private_key(&value)) {
        Some(path) => Err(Refused {
            path,
            reason: PRIVATE.to_owned(),
        }),
        None => Ok(()),
    }
}

/// The path of the map that has such a key.
fn private_key(value: &Ipld) -> Option<String> {
    let within = |segment: &str, value| {
        let mut path = private_key(value)?;
        prepend(&mut path, segment);
        Some(path)
    };
    match value {
        Ipld::Map(map) if map.keys().any(|key| key.starts_with(SERDE_JSON_PRIVATE)) => {
            Some(String::new())
        }
        Ipld::Map(map) => map.iter().find_map(|(key, value)| within(key, value)),
        Ipld::List(list) => {
            let mut list = list.iter().enumerate();
            list.find_map(|(at, value)| within(&format!("[{at}]"), value))
        }
        _ => None,
    }
}

/// The path of the longest list of numbers of one byte each; none when there is no long one.
#[cold]
pub(super) fn list_of_bytes(payload: &[u8]) -> Option<String> {
    let value = serde_ipld_dagcbor::from_slice::<Ipld>(payload).ok()?;
    longest(&value).map(|(_, path)| path)
}

fn longest(value: &Ipld) -> Option<(usize, String)> {
    let within = |segment: &str, value| {
        let (length, mut path) = longest(value)?;
        prepend(&mut path, segment);
        Some((length, path))
    };
    let is_byte =
        |value: &Ipld| matches!(value, Ipld::Integer(number) if (0..=255).contains(number));
    match value {
        Ipld::List(list)
            if list.len() >= super::inspect::MANY_BYTES && list.iter().all(is_byte) =>
        {
            Some((list.len(), String::new()))
        }
        Ipld::List(list) => {
            let list = list.iter().enumerate();
            list.filter_map(|(at, value)| within(&format!("[{at}]"), value))
                .max()
        }
        Ipld::Map(map) => {
            let map = map.iter();
            map.filter_map(|(key, value)| within(key, value)).max()
        }
        _ => None,
    }
}
