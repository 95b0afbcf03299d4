//! An aggregate of a declared type, on the stream's history and with what was taken again.

use std::collections::BTreeMap;

use super::OnDivergence;
use crate::block::StoredEvent;
use crate::domain::ErrorChain;
use crate::domain::aggregate::{Aggregate, UniqueName};
use crate::domain::kept::{copy_of, initial};
use crate::domain::machine::StateMachine;
use crate::projection::Source;
use crate::repository::{fold, key_of_name};
use crate::store::{AggregateKey, NewEvent};

/// The unique names of an aggregate, and under which keys they are stored.
pub(super) type HeldNames = BTreeMap<UniqueName, AggregateKey>;

/// What an author has said of a kind.
pub(super) trait Policy: Send + Sync {
    /// Whether it is the kind, or a former name of it.
    fn is_for(&self, kind: &str) -> bool;

    /// The aggregate before its first event.
    fn begin(&self) -> Box<dyn Side>;
}

/// An aggregate, as the stream has it and with what was taken again.
pub(super) trait Side: Send {
    /// Folds an event of the stream.
    fn fold(&mut self, event: &StoredEvent) -> Result<(), String>;

    /// Whether its events wait for each other, and a function of the author's says what follows them.
    fn waits_for_all(&self) -> bool;

    /// Takes an event of this side again, on trial; one that waits for all of them gives nothing yet. The reason where it
    /// is not taken.
    fn take(&mut self, event: &StoredEvent) -> Result<Vec<NewEvent>, String>;

    /// What follows once all events of this side were taken, on trial.
    fn finish(&mut self) -> Result<Vec<NewEvent>, String>;

    /// The unique names that it held before the trial, and those that it holds with it.
    fn names(&self) -> Result<[HeldNames; 2], String>;

    /// Ends the trial.
    fn end(&mut self, is_taken: bool);
}

/// What was said of a kind.
pub(super) struct Typed<A: Aggregate>(pub(super) OnDivergence<A>);

impl<A: Aggregate> Policy for Typed<A> {
    fn is_for(&self, kind: &str) -> bool {
        A::is_kind(kind)
    }

    fn begin(&self) -> Box<dyn Side> {
        Box::new(TypedSide::<A> {
            policy: self.0.clone(),
            settled: initial(),
            open: None,
            gathered: Vec::new(),
        })
    }
}

struct TypedSide<A: Aggregate> {
    policy: OnDivergence<A>,
    settled: A,
    /// With what is on trial.
    open: Option<A>,
    /// The events of this side that wait for each other.
    gathered: Vec<A::Event>,
}

impl<A: Aggregate> TypedSide<A> {
    /// Adds an event to what is on trial, where the machine has an edge for it.
    fn add(&mut self, event: &A::Event) -> Result<NewEvent, String> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => copy_of(&self.settled),
        };
        let next = open.state().next(event);
        next.map_err(|unexpected| unexpected.to_string())?;
        let (new, again) =
            NewEvent::and_read_back(event).map_err(|error| ErrorChain(&error).to_string())?;
        fold(&mut open, again).map_err(|fault| fault.to_string())?;
        self.open = Some(open);
        Ok(new)
    }
}

impl<A: Aggregate> Side for TypedSide<A> {
    fn fold(&mut self, event: &StoredEvent) -> Result<(), String> {
        for event in read::<A>(event)? {
            fold(&mut self.settled, event).map_err(|fault| fault.to_string())?;
        }
        Ok(())
    }

    fn waits_for_all(&self) -> bool {
        !matches!(self.policy, OnDivergence::Reapply(_))
    }

    fn take(&mut self, event: &StoredEvent) -> Result<Vec<NewEvent>, String> {
        let source = Source::new(event, true).map_err(|error| error.to_string())?;
        let events = read::<A>(event)?;
        let agrees = match &self.policy {
            OnDivergence::Reapply(agrees) => agrees.clone(),
            OnDivergence::Refuse | OnDivergence::With(_) => {
                self.gathered.extend(events);
                return Ok(Vec::new());
            }
        };
        let mut taken = Vec::new();
        for event in events {
            let present = self.open.as_ref().unwrap_or(&self.settled);
            if !agrees(present, &event, &source) {
                return Err("the program does not take it again".to_owned());
            }
            taken.push(self.add(&event)?);
        }
        Ok(taken)
    }

    fn finish(&mut self) -> Result<Vec<NewEvent>, String> {
        let OnDivergence::With(writes) = &self.policy else {
            return Ok(Vec::new());
        };
        let events = writes(&self.settled, &self.gathered);
        events.iter().map(|event| self.add(event)).collect()
    }

    fn names(&self) -> Result<[HeldNames; 2], String> {
        let Some(list) = A::UNIQUE_NAMES else {
            return Ok(Default::default());
        };
        let of = |aggregate: &A| {
            let names = list(aggregate).into_iter().map(|name| {
                let key = key_of_name::<A>(&name);
                let key = key.map_err(|error| ErrorChain(&error).to_string());
                Ok((name, key?))
            });
            names.collect::<Result<HeldNames, String>>()
        };
        let open = self.open.as_ref().unwrap_or(&self.settled);
        Ok([of(&self.settled)?, of(open)?])
    }

    fn end(&mut self, is_taken: bool) {
        if let Some(open) = self.open.take().filter(|_| is_taken) {
            self.settled = open;
        }
    }
}

impl<A: Aggregate> Clone for OnDivergence<A> {
    fn clone(&self) -> Self {
        match self {
            Self::Refuse => Self::Refuse,
            Self::Reapply(agrees) => Self::Reapply(agrees.clone()),
            Self::With(writes) => Self::With(writes.clone()),
        }
    }
}

fn read<A: Aggregate>(event: &StoredEvent) -> Result<Vec<A::Event>, String> {
    let events = event.decode_all::<A::Event>();
    events.map_err(|error| ErrorChain(&error).to_string())
}
