//! What older programs stored: samples of it, which must still be read, and what there must be samples of.

use std::fmt::Write;

use ipld_core::ipld::Ipld;

use super::fit::misfits;
use super::text::{Fields, Lock};
use crate::domain::aggregate::Aggregate;
use crate::domain::event::{DomainEvent, EnvelopeView, EventInfo};
use crate::domain::kept::{copy_of, initial};
use crate::domain::machine::StateMachine;
use crate::repository::{FoldFault, fold};
use crate::testing::stored::read_stored_all;

/// A payload as an older program stored it, and what the present one makes of it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    event_type: String,
    schema: u32,
    payload: Ipld,
    /// Why it does not become a part of a history.
    fault: Option<String>,
}

/// What there must be a sample of, because it may stand in a store.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    /// How the aggregate is written in a test.
    aggregate: &'static str,
    /// What asks for it, as the attribute has it.
    because: String,
    /// The types under which the sample may be stored; the first is the one to take.
    types: Vec<String>,
    /// Its version; any when it is the name that matters.
    version: Option<u32>,
}

impl Sample {
    fn is_of(&self, types: &[String], version: Option<u32>) -> bool {
        types.contains(&self.event_type) && version.is_none_or(|version| version == self.schema)
    }
}

/// Reads samples by the upcasters and folds them one after another. An aggregate starts where the state has an edge for
/// the sample: a sample need not tell the whole history.
pub(super) fn samples<'a, A: Aggregate>(
    samples: impl IntoIterator<Item = (EnvelopeView<'a>, Ipld)>,
) -> Vec<Sample> {
    let mut aggregate: A = initial();
    let read = samples.into_iter().map(|(envelope, payload)| Sample {
        event_type: envelope.event_type.to_owned(),
        schema: envelope.schema,
        fault: taken(&mut aggregate, &envelope, &payload).err(),
        payload,
    });
    read.collect()
}

/// Folds what a sample gives: in the present state, else in the first other one that takes it.
fn taken<A: Aggregate>(
    aggregate: &mut A,
    envelope: &EnvelopeView<'_>,
    payload: &Ipld,
) -> Result<(), String> {
    let present = aggregate.state().index();
    let others = (0..A::State::STATES.len()).filter(|state| *state != present);
    let mut refused = None;
    for state in std::iter::once(present).chain(others) {
        let mut after = copy_of(aggregate);
        if let Some(state) = A::State::from_index(state) {
            after.set_state(state);
            after.leave_states();
        }
        let mut events = read_stored_all::<A::Event>(envelope, payload)
            .map_err(|error| error.to_string())?
            .into_iter();
        match events.try_for_each(|event| fold(&mut after, event)) {
            Ok(()) => {
                *aggregate = after;
                return Ok(());
            }
            // A state that takes it says more than one that has no edge for it.
            Err(fault @ FoldFault::Panicked { .. }) => refused = Some(fault.to_string()),
            Err(FoldFault::Unexpected(error)) => {
                let event = error.event;
                refused.get_or_insert(format!(
                    "it becomes `{event}`, for which no state has an edge: keep the edge, `#[on(/ {event} => …)]`"
                ));
            }
        }
    }
    refused.map_or(Ok(()), Err)
}

/// What there must be samples of by what an aggregate declares: each version before the present one, and each former
/// name.
pub(super) fn demands<A: Aggregate>() -> Vec<Demand> {
    let path = std::any::type_name::<A>();
    let aggregate = path.rsplit("::").next().unwrap_or(path);
    let mut demands = Vec::new();
    let mut under_kinds: Vec<Vec<String>> = vec![Vec::new(); A::FORMER_KINDS.len()];
    for info in A::Event::EVENTS {
        let all = || names(info).map(str::to_owned);
        demands.extend((1..info.schema).map(|version| Demand {
            aggregate,
            because: format!("`version = {}`", info.schema),
            types: all().collect(),
            version: Some(version),
        }));
        for former in info.former_types {
            match under_a_former_kind::<A>(info, former) {
                Some(kind) => under_kinds[kind].push((*former).to_owned()),
                None => demands.push(Demand {
                    aggregate,
                    because: "its `was`".to_owned(),
                    types: vec![(*former).to_owned()],
                    version: None,
                }),
            }
        }
    }
    let of_kinds = A::FORMER_KINDS.iter().zip(under_kinds);
    demands.extend(
        of_kinds
            .filter(|(_, types)| !types.is_empty())
            .map(|(kind, types)| Demand {
                aggregate,
                because: format!("`#[aggregate(was = \"{kind}\")]`"),
                types,
                version: None,
            }),
    );
    demands
}

/// All types under which an event is stored.
fn names(info: &EventInfo) -> impl Iterator<Item = &'static str> {
    std::iter::once(info.event_type).chain(info.former_types.iter().copied())
}

/// The former kind that alone makes a type a former one: the event's name in it is a present one under the present kind.
fn under_a_former_kind<A: Aggregate>(info: &EventInfo, former: &str) -> Option<usize> {
    let is_moved = |from: &str, to: &str| {
        let tail = former
            .strip_prefix(from)
            .and_then(|it| it.strip_prefix('.'));
        let is_now = |tail: &str| names(info).any(|name| name == format!("{to}.{tail}"));
        from != to && tail.is_some_and(is_now)
    };
    let kinds = A::FORMER_KINDS.iter().zip(A::FORMER_DOMAINS);
    let mut kinds =
        kinds.map(|(kind, domain)| is_moved(kind, A::KIND) || is_moved(domain, A::DOMAIN));
    kinds.position(|is_under| is_under)
}

/// What the samples do not show, each with what to add or to mend. The lock has the former shapes.
pub(super) fn faults(lock: &Lock, demands: &[Demand], samples: &[Sample]) -> Vec<String> {
    let mut faults: Vec<_> = samples
        .iter()
        .flat_map(|sample| mended(lock, sample))
        .collect();
    for demand in demands {
        let Some((name, _)) = demand.types.first().and_then(|it| lock.event_of(it)) else {
            continue;
        };
        let recorded: Vec<_> = lock
            .former_of(name)
            .filter(|((_, version), _)| demand.version == Some(*version))
            .collect();
        // Each type that was stored under the version has a shape of its own.
        let mut asked: Vec<_> = recorded
            .iter()
            .map(|((event_type, _), fields)| (vec![event_type.clone()], Some(*fields)))
            .collect();
        if asked.is_empty() {
            asked.push((demand.types.clone(), None));
        }
        for (types, fields) in asked {
            if !samples.iter().any(|it| it.is_of(&types, demand.version)) {
                faults.push(missing(lock, demand, &types[0], fields));
            }
        }
    }
    faults
}

fn mended(lock: &Lock, sample: &Sample) -> Vec<String> {
    let Sample {
        event_type, schema, ..
    } = sample;
    let of = format!("the sample of `{event_type}`, version {schema},");
    let mut faults: Vec<_> = sample
        .fault
        .iter()
        .map(|fault| format!("{of} does not become a part of a history: {fault}"))
        .collect();
    if let Some(fields) = shape_of(lock, event_type, *schema) {
        let misfits = misfits(fields, &sample.payload).join("; ");
        if !misfits.is_empty() {
            faults.insert(
                0,
                format!("{of} is not as that version was stored: {misfits}: give one that is, such as a stored one"),
            );
        }
    }
    faults
}

/// The shape that a version of an event has, or had; none where it was never recorded.
fn shape_of<'a>(lock: &'a Lock, event_type: &str, schema: u32) -> Option<&'a Fields> {
    let (name, now) = lock.event_of(event_type)?;
    if now.version == schema {
        return Some(&now.fields);
    }
    let exact = lock.former.get(&(event_type.to_owned(), schema));
    exact.or_else(|| {
        let mut former = lock.former_of(name);
        former.find_map(|((_, version), fields)| (*version == schema).then_some(fields))
    })
}

fn missing(lock: &Lock, demand: &Demand, event_type: &str, fields: Option<&Fields>) -> String {
    let Demand {
        aggregate, because, ..
    } = demand;
    // Under a name that is no more, the first version that is known.
    let version = demand.version.unwrap_or_else(|| {
        let former = lock.former.keys().find(|(former, _)| former == event_type);
        former.map_or(1, |(_, version)| *version)
    });
    let fields = fields.or_else(|| shape_of(lock, event_type, version));
    let mut message = format!(
        "no sample of `{event_type}`, version {version}, which {because} says is stored: add `.former::<{aggregate}>([(EnvelopeView::new({event_type:?}, {version}), payload)])` with a payload as it was stored"
    );
    match fields {
        None => {}
        Some(fields) if fields.is_empty() => message.push_str(", without fields"),
        Some(fields) => {
            for (number, (path, field)) in fields.iter().enumerate() {
                let before = if number == 0 { ", with " } else { ", " };
                let _ = write!(message, "{before}`{path}: {field}`");
            }
        }
    }
    message
}
