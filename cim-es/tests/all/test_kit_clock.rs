//! The clock of the test kit: the test moves it, and a walk through a machine lets time pass.

use std::time::Duration;

use cim_es::MemoryEventStore;
use cim_es::prelude::*;
use cim_es::testing::proptest::prelude::*;
use cim_es::testing::{check_machine, check_machine_after, given, given_nothing};

use OfferCommand::{Accept, Expire, Make, Remind};
use OfferEvent::{Accepted, Expired, Made, Reminded};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const START: Timestamp = Timestamp::from_micros(0);
/// How long an offer is open.
const TERM: Duration = DAY.saturating_mul(28);

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum OfferState {
    #[state(initial)]
    #[on(Make / Made => Open)]
    Draft,
    #[on(Accept / Accepted => Closed)]
    #[on(Remind / Reminded => _)]
    #[on(Expire / Expired => Closed)]
    Open,
    #[state(terminal)]
    Closed,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
enum OfferEvent {
    Made { until: Timestamp, days: u32 },
    Accepted,
    Reminded,
    Expired { number: uuid::Uuid },
}

#[derive(Command, Clone, Debug)]
enum OfferCommand {
    Make { days: u32 },
    Accept,
    Remind,
    Expire,
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum OfferError {
    #[error("the offer is over")]
    Over,
    #[error("the offer is still open")]
    StillOpen,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "shop", name = "offer", error = OfferError)]
struct Offer {
    state: OfferState,
    until: Option<Timestamp>,
    days: u32,
    number: Option<uuid::Uuid>,
}

impl Decide for Offer {
    fn decide(&self, command: OfferCommand, context: &Context) -> Decision<Self> {
        let is_over = self.until.is_some_and(|until| context.now() >= until);
        match command {
            Make { days } => emit(Made {
                until: context.now().after(DAY * days),
                days,
            }),
            Accept | Remind if is_over => Err(OfferError::Over),
            Accept => emit(Accepted),
            Remind => emit(Reminded),
            Expire if !is_over => Err(OfferError::StillOpen),
            Expire => emit(Expired {
                number: context.id(0),
            }),
        }
    }
}

fn commands(days: u32) -> impl Fn(&Offer) -> BoxedStrategy<OfferCommand> {
    move |_| {
        prop_oneof![
            Just(Make { days }),
            Just(Accept),
            Just(Remind),
            Just(Expire)
        ]
        .boxed()
    }
}

#[test]
fn the_clock_of_a_scenario_is_moved() {
    let start = Timestamp::from_micros(5);
    let made = Made {
        until: start.after(TERM),
        days: 28,
    };
    let offer = || given([made.clone()]).at(start);
    offer()
        .after(TERM - DAY)
        .when(Expire)
        .then_error(OfferError::StillOpen);
    offer()
        .after(TERM)
        .when(Accept)
        .then_error(OfferError::Over);
    offer().after(DAY).after(DAY).when(Accept).then([Accepted]);
}

#[tokio::test]
async fn a_scenario_goes_on_later_with_what_its_commands_led_to() {
    let (store, start) = (MemoryEventStore::new(), Timestamp::from_micros(5));
    let made = Made {
        until: start.after(TERM),
        days: 28,
    };
    let reminded = given_nothing::<Offer>()
        .at(start)
        .when(Make { days: 28 })
        .then([made])
        .after(DAY)
        .when(Expire)
        .then_error(OfferError::StillOpen)
        .after(DAY)
        .when(Remind)
        .then([Reminded]);
    let late = reminded.after(TERM);
    assert_eq!(late.aggregate().state, OfferState::Open);
    late.when(Accept)
        .then_error(OfferError::Over)
        .on(store, &Id::new())
        .await;
}

fn over() -> OfferEvent {
    Made {
        until: START,
        days: 0,
    }
}

/// The event of the first message with an identity, and of that one alone.
fn expired_by(identity: &MessageIdentity) -> OfferEvent {
    let context = Context::new(identity.clone(), START);
    Expired {
        number: context.id(0),
    }
}

#[test]
#[should_panic = "on the pure aggregate, after Expire"]
fn the_command_that_comes_later_is_another_message() {
    let identity = MessageIdentity::new_from_user("Ann");
    given([over()])
        .by(identity.clone())
        .when(Accept)
        .then_error(OfferError::Over)
        .after(DAY)
        .at(START)
        .when(Expire)
        .then([expired_by(&identity)]);
}

#[test]
fn the_command_that_comes_first_is_the_message_of_the_scenario() {
    let identity = MessageIdentity::new_from_user("Ann");
    given([over()])
        .by(identity.clone())
        .at(START)
        .when(Expire)
        .then([expired_by(&identity)]);
}

#[test]
fn a_walk_takes_an_edge_that_is_open_only_after_days() {
    for days in [1, 28, 365] {
        let report = check_machine::<Offer, _>(commands(days));
        assert_eq!(report.taken.len(), 4, "{days} days: {:?}", report.taken);
    }
}

#[test]
fn a_walk_lets_as_much_time_pass_as_it_is_told() {
    let report = check_machine_after::<Offer, _>([DAY * 3_000], commands(3_000));
    assert_eq!(report.taken.len(), 4, "{:?}", report.taken);
}

#[test]
#[should_panic = "no generated sequence of commands takes `Open: Expire / Expired`"]
fn an_edge_that_no_time_of_the_walk_opens_is_named() {
    check_machine_after::<Offer, _>([DAY], commands(3_000));
}
