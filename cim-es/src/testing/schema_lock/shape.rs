//! The shape of an event's payload: what stands, or may stand, at each path of its fields.

use std::collections::{BTreeMap, BTreeSet};

use ipld_core::ipld::Ipld;
use ipld_core::serde::SerdeError;

use super::path::child;
use super::record::{Edit, Record};
use crate::block::payload::{decode_content, encode_payload};
use crate::domain::event::DomainEvent;

/// What may stand at one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Field {
    /// What is read there: `text`, `u32`, `struct`, `null`, `"Active"` for a variant, `Other(…)` for one with content.
    pub kinds: BTreeSet<String>,
    /// Whether the field may be missing.
    pub may_be_absent: bool,
    /// Other names under which the field is read.
    pub aliases: BTreeSet<String>,
}

/// What a type reads, by path: `hostname`, `capacity.cores`, `interfaces[].name`, `labels{}`, `owner(Person).id`.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    pub fields: BTreeMap<String, Field>,
    /// The names of the fields that a struct declares, and the variants that an enum declares.
    declared_fields: BTreeMap<String, BTreeSet<String>>,
    declared_variants: BTreeMap<String, BTreeSet<String>>,
}

impl Shape {
    pub(super) fn kind(&mut self, path: &str, kind: &str) {
        let field = self.fields.entry(path.to_owned()).or_default();
        field.kinds.insert(kind.to_owned());
    }

    pub(super) fn declares(&mut self, path: &str, fields: &[&str]) {
        let declared = self.declared_fields.entry(path.to_owned()).or_default();
        declared.extend(fields.iter().map(|name| (*name).to_owned()));
    }

    pub(super) fn chooses(&mut self, path: &str, variants: &[&str]) {
        let declared = self.declared_variants.entry(path.to_owned()).or_default();
        declared.extend(variants.iter().map(|name| (*name).to_owned()));
    }

    fn add(&mut self, other: Self) {
        for (path, field) in other.fields {
            self.fields
                .entry(path)
                .or_default()
                .kinds
                .extend(field.kinds);
        }
        for (path, names) in other.declared_fields {
            self.declared_fields.entry(path).or_default().extend(names);
        }
        for (path, names) in other.declared_variants {
            self.declared_variants
                .entry(path)
                .or_default()
                .extend(names);
        }
    }

    fn has(&self, path: &str, kind: &str) -> bool {
        self.fields
            .get(path)
            .is_some_and(|field| field.kinds.contains(kind))
    }
}

/// The samples of one kind of event.
struct Samples<E> {
    index: usize,
    payloads: Vec<Vec<u8>>,
    event: std::marker::PhantomData<E>,
}

impl<E: DomainEvent> Samples<E> {
    fn read(&self, payload: &[u8], record: &Record) -> Result<E, SerdeError> {
        let value: Ipld =
            serde_ipld_dagcbor::from_slice(payload).map_err(serde::de::Error::custom)?;
        decode_content(self.index, record.value(value))
    }

    /// What comes of each sample in which the edit meets its place.
    fn edited(&self, edit: &Edit) -> Vec<(&Vec<u8>, Result<E, SerdeError>)> {
        let mut met = Vec::new();
        for payload in &self.payloads {
            let record = Record::editing(edit.clone());
            let event = self.read(payload, &record);
            if record.met() {
                met.push((payload, event));
            }
        }
        met
    }

    fn reads_all(&self, edit: &Edit) -> bool {
        let all = self.edited(edit);
        !all.is_empty() && all.iter().all(|(_, event)| event.is_ok())
    }

    /// The field for which a declared name that no sample has is another name.
    fn field_also_called(&self, path: &str, name: &str) -> Option<String> {
        let edit = Edit::With(path.to_owned(), name.to_owned());
        self.edited(&edit).into_iter().find_map(|(_, event)| {
            let message = event.err()?.to_string();
            let (_, rest) = message.split_once("duplicate field `")?;
            Some(rest.split_once('`')?.0.to_owned())
        })
    }

    /// What a declared variant that no sample has would be recorded as; none when only a sample can tell.
    fn variant(&self, path: &str, name: &str) -> Option<String> {
        let unit = Edit::Unit(path.to_owned(), name.to_owned());
        if self.reads_all(&unit) {
            return Some(format!("\"{name}\""));
        }
        let other = Edit::Tag(path.to_owned(), name.to_owned());
        let is_same = |(payload, event): &(&Vec<u8>, Result<E, SerdeError>)| {
            let again = event.as_ref().ok().map(encode_payload);
            again.is_some_and(|again| again.as_ref() == Ok(*payload))
        };
        let same = self.edited(&other).iter().any(is_same);
        same.then(|| format!("{name}(…)"))
    }
}

/// The shape of the events at an index, from samples of them.
///
/// # Errors
/// What the samples do not show, each with what to add.
pub(super) fn shape<E: DomainEvent>(index: usize, samples: &[E]) -> Result<Shape, Vec<String>> {
    let name = E::VARIANTS[index];
    let payloads: Result<Vec<_>, _> = samples.iter().map(encode_payload).collect();
    let payloads = payloads.map_err(|error| vec![format!("a sample cannot be stored: {error}")])?;
    if payloads.is_empty() {
        return Err(vec![format!("no sample is a `{name}`")]);
    }
    let samples = Samples::<E> {
        index,
        payloads,
        event: std::marker::PhantomData,
    };
    let mut shape = Shape::default();
    for payload in &samples.payloads {
        let record = Record::default();
        if let Err(error) = samples.read(payload, &record) {
            return Err(vec![format!(
                "a sample of `{name}` is not read again: {error}"
            )]);
        }
        shape.add(record.into_shape());
    }
    let mut missing = Vec::new();
    for (path, names) in shape.declared_fields.clone() {
        for field in names {
            let at = child(&path, &field);
            if shape.fields.contains_key(&at) {
                let without = Edit::Without(at.clone());
                shape.fields.entry(at).or_default().may_be_absent = samples.reads_all(&without);
            } else if let Some(present) = samples.field_also_called(&path, &field) {
                let present = shape.fields.entry(child(&path, &present)).or_default();
                present.aliases.insert(field);
            } else {
                missing.push(format!("no sample of `{name}` has the field `{at}`"));
            }
        }
    }
    for (path, variants) in shape.declared_variants.clone() {
        for variant in variants {
            let is_there = shape.has(&path, &format!("\"{variant}\""))
                || shape.has(&path, &format!("{variant}(…)"));
            match samples.variant(&path, &variant) {
                _ if is_there => {}
                Some(kind) => shape.kind(&path, &kind),
                None => missing.push(format!("no sample of `{name}` has `{variant}` at `{path}`")),
            }
        }
    }
    for (path, field) in &shape.fields {
        let has_part = |step: &str| {
            let start = format!("{path}{step}");
            shape.fields.keys().any(|path| path.starts_with(&start))
        };
        if field.kinds.len() == 1 && field.kinds.contains("null") {
            missing.push(format!("no sample of `{name}` has a value at `{path}`"));
        }
        if field.kinds.contains("list") && !has_part("[") {
            missing.push(format!("no sample of `{name}` has an element in `{path}`"));
        }
        if field.kinds.contains("map")
            && !has_part("{")
            && !(path.is_empty() && E::EVENTS[index].fields.is_empty())
        {
            missing.push(format!("no sample of `{name}` has an entry in `{path}`"));
        }
    }
    match missing.is_empty() {
        true => Ok(shape),
        false => Err(missing),
    }
}
