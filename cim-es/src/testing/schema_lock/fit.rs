//! Whether a payload has a recorded shape.

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;

use super::path::{child, is_field, parent};
use super::shape::Field;
use super::text::Fields;

/// What of a payload is otherwise than the shape has it; nothing where it fits.
pub(super) fn misfits(fields: &Fields, payload: &Ipld) -> Vec<String> {
    let mut form = Form {
        fields,
        misfits: Vec::new(),
    };
    form.value("", payload);
    form.misfits
}

struct Form<'a> {
    fields: &'a Fields,
    misfits: Vec<String>,
}

impl Form<'_> {
    fn value(&mut self, path: &str, value: &Ipld) {
        let Some(field) = self.fields.get(path) else {
            match value {
                // That a payload is a map of its fields is not recorded.
                Ipld::Map(map) if path.is_empty() => self.map(path, map),
                other if path.is_empty() => {
                    let is = kind_of(other);
                    self.misfits
                        .push(format!("the payload is {is}, and was a map of fields"));
                }
                // Nothing is recorded of what an ignored value holds.
                _ => {}
            }
            return;
        };
        let has = |kind: &str| field.kinds.contains(kind);
        if has("ignored") || field.kinds.iter().any(|kind| is_read_as(kind, value)) {
            return;
        }
        if let Some(outer) = same_as(path, field) {
            return self.value(outer, value);
        }
        match value {
            Ipld::List(list) => {
                let length = list.len();
                let step = |at: usize| match has(&format!("list of {length}")) {
                    true if self.fields.contains_key(&format!("{path}[{at}]")) => {
                        format!("{path}[{at}]")
                    }
                    _ => format!("{path}[]"),
                };
                if !has("list") && !has(&format!("list of {length}")) {
                    return self.unlike(path, field, value);
                }
                let places: Vec<_> = (0..length).map(step).collect();
                for (place, value) in places.iter().zip(list) {
                    self.value(place, value);
                }
            }
            Ipld::Map(map) => {
                let only = map.iter().next().filter(|_| map.len() == 1);
                match only {
                    Some((tag, content)) if has(&format!("{tag}(…)")) => {
                        self.value(&format!("{path}({tag})"), content);
                    }
                    _ if has("struct") || has("map") => self.map(path, map),
                    _ => self.unlike(path, field, value),
                }
            }
            _ => self.unlike(path, field, value),
        }
    }

    /// The fields of a struct, or the entries of a map.
    fn map(&mut self, path: &str, map: &BTreeMap<String, Ipld>) {
        let mut present = Vec::new();
        for (key, value) in map {
            let named = self.field(path, key);
            let entry = format!("{path}{{}}");
            match named {
                Some(named) => {
                    self.value(&named, value);
                    present.push(named);
                }
                None if self.fields.contains_key(&entry) => self.value(&entry, value),
                None => {
                    let at = child(path, key);
                    self.misfits
                        .push(format!("`{at}` is there, and was not a field"));
                }
            }
        }
        for (at, field) in self.fields {
            let is_own = !at.is_empty() && parent(at) == path && is_field(at);
            if is_own && !field.may_be_absent && !present.contains(at) {
                self.misfits
                    .push(format!("`{at}` is missing, and was `{field}`"));
            }
        }
    }

    /// The field of the struct at a path that a key names, by its name or by another that it was also read as.
    fn field(&self, path: &str, key: &str) -> Option<String> {
        let named = child(path, key);
        if self.fields.contains_key(&named) {
            return Some(named);
        }
        let is_called = |(at, field): &(&String, &Field)| {
            parent(at) == path && is_field(at) && field.aliases.contains(key)
        };
        self.fields.iter().find(is_called).map(|(at, _)| at.clone())
    }

    fn unlike(&mut self, path: &str, field: &Field, value: &Ipld) {
        let is = kind_of(value);
        self.misfits.push(match path {
            "" => format!("the payload is {is}, and was `{field}`"),
            path => format!("`{path}` is {is}, and was `{field}`"),
        });
    }
}

/// The path around this one whose type stands here again.
fn same_as<'a>(path: &str, field: &'a Field) -> Option<&'a str> {
    let mut same = field
        .kinds
        .iter()
        .filter_map(|kind| kind.strip_prefix("as "));
    let outer = match same.next()? {
        "the payload" => "",
        outer => outer,
    };
    (outer.len() < path.len() && path.starts_with(outer)).then_some(outer)
}

/// Whether a value without parts is one of a kind, as the shape names kinds.
fn is_read_as(kind: &str, value: &Ipld) -> bool {
    match value {
        Ipld::Null => matches!(kind, "null" | "unit"),
        Ipld::Bool(_) => kind == "bool",
        Ipld::Integer(number) => kind == "integer" || is_within(kind, *number),
        Ipld::Float(_) => matches!(kind, "f32" | "f64"),
        Ipld::String(text) => match kind {
            "text" => true,
            "char" => text.chars().count() == 1,
            variant => variant == format!("\"{text}\""),
        },
        Ipld::Bytes(_) => kind == "bytes",
        Ipld::Link(_) => kind == "link",
        Ipld::List(_) | Ipld::Map(_) => false,
    }
}

/// Whether a number is one of a type of integers: `u8`, `i64`.
fn is_within(kind: &str, number: i128) -> bool {
    let bits = |bits: &str| bits.parse::<u32>().ok().filter(|bits| *bits <= 64);
    match (kind.get(..1), kind.get(1..).and_then(bits)) {
        (Some("u"), Some(bits)) => (0..1 << bits).contains(&number),
        (Some("i"), Some(bits)) => (-1 << (bits - 1)..1 << (bits - 1)).contains(&number),
        _ => false,
    }
}

fn kind_of(value: &Ipld) -> String {
    match value {
        Ipld::Null => "null".to_owned(),
        Ipld::Bool(_) => "a bool".to_owned(),
        Ipld::Integer(number) => format!("the number {number}"),
        Ipld::Float(number) => format!("the float {number}"),
        Ipld::String(text) => format!("the text {text:?}"),
        Ipld::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Ipld::List(list) => format!("a list of {}", list.len()),
        Ipld::Map(_) => "a map".to_owned(),
        Ipld::Link(_) => "a link".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use ipld_core::ipld;

    use super::super::text::Lock;
    use super::misfits;

    /// What a payload is, in the shape of some lines, and what does not fit.
    #[test]
    fn a_payload_fits_its_shape_or_says_where_it_does_not() {
        let shape = "
    at: list of 2
    at[0]: u8
    at[1]: text
    colour: \"Red\" | Mixed(…)
    colour(Mixed): struct
    colour(Mixed).parts: list
    colour(Mixed).parts[]: i8
    labels: map, may be absent
    labels{}: bool
    next: as the payload | null, may be absent
    note: text | null, may be absent, also read as remark
";
        let lock = Lock::parse(&format!("event home.lamp.switched@1{shape}")).unwrap();
        let fields = lock.former.values().next().unwrap();
        let at = ipld!([1, "a"]);
        for (payload, expected) in [
            (ipld!({"at": at.clone(), "colour": "Red"}), &[][..]),
            (
                ipld!({"at": at.clone(), "colour": {"Mixed": {"parts": [1, (-128)]}}, "remark": null}),
                &[],
            ),
            (
                ipld!({"at": at.clone(), "colour": "Red", "labels": {"a": true}, "next": {"at": [255, ""], "colour": "Red", "next": null}}),
                &[],
            ),
            (
                ipld!({"at": at.clone(), "colour": "White"}),
                &["`colour` is the text \"White\", and was `\"Red\" | Mixed(…)`"],
            ),
            (
                ipld!({"at": at.clone(), "colour": {"Mixed": {"parts": [128]}}}),
                &["`colour(Mixed).parts[]` is the number 128, and was `i8`"],
            ),
            (
                ipld!({"at": [256, "a"], "colour": {"Mixed": {}}}),
                &[
                    "`at[0]` is the number 256, and was `u8`",
                    "`colour(Mixed).parts` is missing, and was `list`",
                ],
            ),
            (
                ipld!({"at": [1], "colour": "Red", "labels": {"a": "b"}, "note": 1, "on": true}),
                &[
                    "`at` is a list of 1, and was `list of 2`",
                    "`labels{}` is the text \"b\", and was `bool`",
                    "`note` is the number 1, and was `text | null, may be absent, also read as remark`",
                    "`on` is there, and was not a field",
                ],
            ),
            (
                ipld!({"at": at.clone(), "colour": "Red", "next": {"at": [256, "a"], "colour": "Red"}}),
                &["`at[0]` is the number 256, and was `u8`"],
            ),
            (
                ipld!({"colour": "Red"}),
                &["`at` is missing, and was `list of 2`"],
            ),
            (
                ipld!("a"),
                &["the payload is the text \"a\", and was a map of fields"],
            ),
        ] {
            assert_eq!(misfits(fields, &payload), expected, "{payload:?}");
        }
    }
}
