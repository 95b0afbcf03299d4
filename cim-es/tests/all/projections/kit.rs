//! The test kit for projections: it notices one that is not made of its events alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use cim_es::prelude::*;
use cim_es::projection::{ProjectDocuments, ProjectionError};
use cim_es::testing::proptest::prelude::*;
use cim_es::testing::{ProjectAll, events_of, project_all, project_generated};

use super::Balances;
use crate::account::{Account, AccountCommand, AccountEvent};

/// Counts with something that is not of the events.
static ELSEWHERE: AtomicU64 = AtomicU64::new(0);

macro_rules! counts_by {
    ($view:ident, $name:literal, [$($serde:meta)?], $next:path) => {
        #[derive(Projection, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[projection(name = $name, version = 1, events = [AccountEvent])]
        struct $view {
            $(#[$serde])?
            counted: u64,
        }

        impl Project<AccountEvent> for $view {
            fn project(&mut self, _: AccountEvent, at: &Source<Account>) {
                self.counted = $next(self.counted, at.is_new());
            }
        }
    };
}

fn elsewhere(_: u64, _: bool) -> u64 {
    ELSEWHERE.fetch_add(1, Ordering::Relaxed)
}

fn what_is_new(counted: u64, is_new: bool) -> u64 {
    counted + u64::from(is_new)
}

fn each(counted: u64, _: bool) -> u64 {
    counted + 1
}

counts_by!(OfElsewhere, "elsewhere", [], elsewhere);
counts_by!(OfWhatIsNew, "new", [], what_is_new);
counts_by!(Skipped, "skipped", [serde(skip)], each);

/// How many events were counted together with the first one of an account.
#[derive(Document, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Together {
    events: u64,
}

#[derive(Projection, Default)]
#[projection(name = "together", version = 1, events = [AccountEvent], documents = Together)]
struct ByBatches {
    /// Stays from one commit to the next where they are counted together.
    seen: AtomicU64,
}

impl ProjectDocuments<AccountEvent> for ByBatches {
    async fn project(
        &self,
        _: AccountEvent,
        at: &Source<'_, Account>,
        documents: &mut Documents<'_, Together>,
    ) -> Result<(), ProjectionError> {
        let events = self.seen.fetch_add(1, Ordering::Relaxed);
        Ok(documents.put(&at.id(), Together { events })?)
    }
}

fn given() -> ProjectAll {
    let (one, other) = (Id::new(), Id::new());
    let deposited = |amount| AccountEvent::Deposited { amount };
    project_all([
        events_of(&one, [AccountEvent::Opened]),
        events_of(&other, [AccountEvent::Opened, deposited(2)]),
        events_of(&one, [deposited(1)]),
    ])
}

/// What the kit says.
fn said<T>(check: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(check)) else {
        return "nothing".to_owned();
    };
    let text = panic.downcast_ref::<String>().cloned();
    text.unwrap_or_else(|| "something without a text".to_owned())
}

#[test]
fn a_view_that_is_made_of_more_than_its_events_is_noticed() {
    let said_of = said(|| given().counts_the_same::<OfElsewhere>());
    assert!(said_of.contains("when it is counted again"), "{said_of}");
    let said_of = said(|| given().counts_the_same::<OfWhatIsNew>());
    assert!(said_of.contains("when it is built again"), "{said_of}");
    assert_eq!(said(|| given().counts_the_same::<Balances>()), "nothing");
}

#[test]
fn a_state_that_is_not_saved_whole_is_noticed() {
    let said_of = said(|| given().survives_saving::<Skipped>());
    assert!(said_of.contains("skipped or rounded by serde"), "{said_of}");
    assert_eq!(said(|| given().survives_saving::<Balances>()), "nothing");
}

#[test]
fn documents_that_depend_on_how_they_are_counted_together_are_noticed() {
    let said_of = said(|| given().then_documents(ByBatches::default(), |_| {}));
    assert!(said_of.contains("come out otherwise"), "{said_of}");
}

#[test]
fn what_is_looked_at_is_said_as_it_was() {
    let said_of = said(|| given().then(|view: &Balances| assert_eq!(view.events, 3, "so many")));
    assert!(said_of.contains("so many"), "{said_of}");
}

/// Courses of events that accounts may have.
fn courses() -> Vec<ProjectAll> {
    project_generated::<Account, _>(Id::new, |account| {
        let most = account.balance.max(1);
        prop_oneof![
            1 => Just(AccountCommand::Open),
            8 => (1..100_u64).prop_map(|amount| AccountCommand::Deposit { amount }),
            4 => (1..=most).prop_map(|amount| AccountCommand::Withdraw { amount }),
            1 => Just(AccountCommand::Close),
        ]
    })
}

/// What the accounts of each course hold in the end.
fn sums() -> Vec<i64> {
    let (tell, told) = std::sync::mpsc::channel();
    for course in courses() {
        let tell = tell.clone();
        let checked = course.survives_saving::<Balances>();
        checked.then(move |view: &Balances| tell.send(view.sum()).expect("it is heard"));
    }
    told.try_iter().collect()
}

#[test]
fn generated_commands_lead_to_the_same_courses_each_time() {
    let first = sums();
    assert_eq!(first, sums());
    assert!(first.iter().all(|sum| *sum >= 0), "{first:?}");
    assert!(first.iter().any(|sum| *sum > 0), "{first:?}");
}

#[test]
fn a_fault_is_found_by_generated_commands_and_what_happened_elsewhere_takes_turns() {
    let course = courses().remove(0).and(given());
    let said_of = said(|| course.survives_saving::<Skipped>());
    assert!(said_of.contains("skipped or rounded by serde"), "{said_of}");
    let (tell, told) = std::sync::mpsc::channel();
    let checked = given().and(given());
    checked.then(move |view: &Balances| tell.send(view.accounts.len()).expect("it is heard"));
    assert_eq!(told.recv(), Ok(2 + 2));
}
