//! What events mean, for their fingerprint.

use super::model::{Apply, Events, Owner, Statement, Step, Tail, Upcast, Variant, WireName};
use crate::fingerprint::Digest;

pub(super) fn of(events: &Events) -> u64 {
    let Events {
        ident,
        attrs,
        owner,
        variants,
    } = events;
    let digest = Digest::new().name(ident).attributes(attrs);
    let digest = match owner {
        Owner::Aggregate(aggregate) => digest.code(aggregate),
        // Which histories are read says nothing about what is read.
        Owner::Elsewhere {
            domain,
            name,
            was: _,
        } => digest.text(domain).text(name),
    };
    digest.set(variants.iter().map(variant)).value()
}

fn variant(variant: &Variant) -> Digest {
    let Variant {
        ident,
        attrs,
        declared,
        shape: _,
        name,
        former,
        version: _,
        // What is read as other events is folded as these.
        retired: _,
        upcasts,
        kept,
        is_chain_misread: _,
        apply,
    } = variant;
    let digest = Digest::new()
        .name(ident)
        .attributes(attrs)
        .list([wire_name(name)])
        .set(former.iter().map(wire_name))
        .text(&variant.schema().to_string())
        .set(upcasts.iter().map(upcast));
    match apply {
        Apply::Fields {
            statements,
            dropped,
        } => digest
            .text("fields")
            .fields(declared)
            .list(statements.iter().map(statement))
            .set(dropped.iter().map(|field| Digest::new().name(field)))
            .set(kept.iter().map(|(field, _)| Digest::new().name(field))),
        // The function gets the fields in order of declaration.
        Apply::With(path) => digest.text("with").fields_in_order(declared).code(path),
        Apply::Refused => digest,
    }
}

fn statement(statement: &Statement) -> Digest {
    let Statement {
        source,
        expr: _,
        names: _,
    } = statement;
    Digest::new().code(source)
}

fn wire_name(name: &WireName) -> Digest {
    let WireName { tail, literal: _ } = name;
    match tail {
        Tail::Operation(operation) => Digest::new().text("operation").text(operation),
        Tail::Subject(subject) => Digest::new().text("subject").text(subject),
    }
}

fn upcast(upcast: &Upcast) -> Digest {
    let Upcast { from, step } = upcast;
    let digest = Digest::new().code(from);
    match step {
        Step::Payload(path) => digest.code(path),
        Step::WithEnvelope(path) => digest.text("with_envelope").code(path),
        Step::IntoSeveral(path) => digest.text("into_several").code(path),
    }
}
