//! The check of a domain: its aggregates share no subject and no name, and are of one domain.
//!
//! A compiler evaluates this, slowly, and stops what takes too long. So all aggregates are compared once, through a
//! table of hashes, and what each of them clashes with is then reported at its own place.

use super::check::report;
use super::nearest::nearest;
use super::text::{Message, equal, position};
use crate::domain::event::DomainEvent;
use crate::domain::info::AggregateInfo;

/// An aggregate as `domain!` lists it.
#[derive(Clone, Copy)]
pub struct Member {
    label: &'static str,
    info: AggregateInfo,
    is_broken: bool,
}

/// The aggregate of events of type `E`; `label` is what the author calls these.
pub const fn member<E: DomainEvent>(label: &'static str) -> Member {
    Member {
        label,
        info: AggregateInfo::of::<E>(),
        is_broken: E::BROKEN || E::LIFECYCLE.is_broken,
    }
}

/// What an aggregate has in common with an earlier one, by the place of that one.
#[derive(Clone, Copy)]
pub enum Clash {
    None,
    Subject(usize, &'static str),
    Name(usize),
    Former(usize, &'static str),
    Domain(usize),
}

/// A place in the table: a subject, and the member that has it.
type Slot = Option<(&'static str, usize)>;

/// A size of the table at which it is at most half full.
pub const fn table_size(members: &[Member]) -> usize {
    let mut types = 0;
    let mut at = 0;
    while at < members.len() {
        types += members[at].info.types.len();
        at += 1;
    }
    2 * types + 1
}

/// What each aggregate clashes with.
pub const fn clashes<const MEMBERS: usize, const SIZE: usize>(
    members: &[Member],
) -> [Clash; MEMBERS] {
    let mut clashes = [Clash::None; MEMBERS];
    let mut table: [Slot; SIZE] = [None; SIZE];
    let mut at = 0;
    while at < MEMBERS {
        if !members[at].is_broken {
            clashes[at] = clash_of_names(members, at);
            let types = members[at].info.types;
            let mut index = 0;
            while index < types.len() {
                if let Some(owner) = insert(&mut table, types[index], at)
                    && owner != at
                {
                    clashes[at] = Clash::Subject(owner, types[index]);
                }
                index += 1;
            }
        }
        at += 1;
    }
    clashes
}

const fn clash_of_names(members: &[Member], at: usize) -> Clash {
    let own = &members[at].info;
    let mut earlier = 0;
    while earlier < at {
        let other = &members[earlier];
        if !other.is_broken {
            if !equal(own.domain, other.info.domain) {
                return Clash::Domain(earlier);
            }
            if equal(own.kind, other.info.kind) {
                return Clash::Name(earlier);
            }
            if let Some(kind) = former_in_common(own, &other.info) {
                return Clash::Former(earlier, kind);
            }
        }
        earlier += 1;
    }
    Clash::None
}

/// A kind that is a former one of one of two aggregates, and one of the other's too.
const fn former_in_common(one: &AggregateInfo, other: &AggregateInfo) -> Option<&'static str> {
    let mut at = 0;
    while at < one.former_kinds.len() {
        let kind = one.former_kinds[at];
        if equal(kind, other.kind) || position(other.former_kinds, kind).is_some() {
            return Some(kind);
        }
        at += 1;
    }
    if position(other.former_kinds, one.kind).is_some() {
        return Some(one.kind);
    }
    None
}

/// Puts a subject into the table; gives the member that has it already.
const fn insert<const SIZE: usize>(
    table: &mut [Slot; SIZE],
    subject: &'static str,
    member: usize,
) -> Option<usize> {
    let mut at = hash(subject) % SIZE;
    while let Some((other, owner)) = table[at] {
        if equal(other, subject) {
            return Some(owner);
        }
        at = (at + 1) % SIZE;
    }
    table[at] = Some((subject, member));
    None
}

/// FNV-1a.
const fn hash(text: &str) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let text = text.as_bytes();
    let mut at = 0;
    while at < text.len() {
        hash = (hash ^ text[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash as usize
}

/// Reports what the aggregate at a place clashes with.
#[track_caller]
pub const fn check_domain_member(members: &[Member], clashes: &[Clash], at: usize) {
    let own = &members[at];
    if !own.is_broken {
        check_others(own, members);
        check_scopes(own, members);
    }
    match clashes[at] {
        Clash::None => {}
        Clash::Subject(other, subject) => report(
            &pair(own, &members[other])
                .text(" share the subject `")
                .text(subject)
                .text("`: set another with `#[event(operation = \"…\")]` or `#[event(subject = \"…\")]`"),
        ),
        Clash::Name(other) => report(
            &pair(own, &members[other])
                .text(" are of aggregates with the same name `")
                .text(own.info.kind)
                .text("`: set another with `#[aggregate(name = \"…\")]`"),
        ),
        Clash::Former(other, kind) => report(
            &pair(own, &members[other])
                .text(" are of aggregates that both are, or were, `")
                .text(kind)
                .text("`: remove the `was` of one of them"),
        ),
        Clash::Domain(other) => report(
            &pair(own, &members[other])
                .text(" are of two domains, `")
                .text(own.info.domain)
                .text("` and `")
                .text(members[other].info.domain)
                .text("`: declare each domain on its own"),
        ),
    }
}

/// The kinds that share ids with an aggregate may be those of another domain, but not misspelled ones of this one.
#[track_caller]
const fn check_others(own: &Member, members: &[Member]) {
    let mut at = 0;
    while at < own.info.shares_ids_with.len() {
        let kind = own.info.shares_ids_with[at];
        let (mut near, mut is_known, mut other) = (None, false, 0);
        while other < members.len() {
            is_known |= equal(members[other].info.kind, kind);
            if near.is_none() {
                near = nearest(kind, &[members[other].info.kind]);
            }
            other += 1;
        }
        if let Some(near) = near
            && !is_known
        {
            report(
                &Message::new("the aggregate of `")
                    .text(own.label)
                    .text("` shares ids with `")
                    .text(kind)
                    .text("`, which this domain does not have; did you mean `")
                    .text(near)
                    .text("`?"),
            );
        }
        at += 1;
    }
}

/// A name is an aggregate of the kind `<domain>.<scope>`, with the events `reserved` and `released`: no other aggregate
/// may have that kind, or these.
#[track_caller]
const fn check_scopes(own: &Member, members: &[Member]) {
    let mut at = 0;
    while at < own.info.scopes.len() {
        let scope = own.info.scopes[at];
        let mut place = 0;
        while place < members.len() {
            let other = &members[place];
            if !other.is_broken && has_kind(&other.info, own.info.domain, scope) {
                report(
                    &Message::new("the aggregate of `")
                        .text(own.label)
                        .text("` keeps unique names in the scope `")
                        .text(scope)
                        .text("`, which would be aggregates of `")
                        .text(own.info.domain)
                        .text(".")
                        .text(scope)
                        .text("` as that of `")
                        .text(other.label)
                        .text("` is: take another word for the scope"),
                );
            }
            place += 1;
        }
        at += 1;
    }
}

/// Whether an aggregate is, or was, of the kind that names in a scope have, or has events of their types.
const fn has_kind(info: &AggregateInfo, domain: &str, scope: &str) -> bool {
    if is_path(info.kind, &[domain, scope]) {
        return true;
    }
    let mut at = 0;
    while at < info.former_kinds.len() {
        if is_path(info.former_kinds[at], &[domain, scope]) {
            return true;
        }
        at += 1;
    }
    let mut at = 0;
    while at < info.types.len() {
        if is_path(info.types[at], &[domain, scope, "reserved"])
            || is_path(info.types[at], &[domain, scope, "released"])
        {
            return true;
        }
        at += 1;
    }
    false
}

/// Whether a text is some parts with dots between.
const fn is_path(text: &str, parts: &[&str]) -> bool {
    let text = text.as_bytes();
    let (mut at, mut part) = (0, 0);
    while part < parts.len() {
        if part > 0 {
            if at >= text.len() || text[at] != b'.' {
                return false;
            }
            at += 1;
        }
        let bytes = parts[part].as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            if at >= text.len() || text[at] != bytes[index] {
                return false;
            }
            (at, index) = (at + 1, index + 1);
        }
        part += 1;
    }
    at == text.len()
}

const fn pair(own: &Member, other: &Member) -> Message {
    Message::new("`")
        .text(own.label)
        .text("` and `")
        .text(other.label)
        .text("`")
}
