//! One view of the events of several domains, of which some were written by an earlier release.

use cim_es::aggregate::IdText;
use cim_es::event::Elsewhere;
use cim_es::message::{Clock, MessageIdentity, SystemClock};
use cim_es::prelude::*;
use cim_es::store::{AggregateKey, CommitRequest, EventStore, ExpectedVersion, NewEvent, Position};

use super::{LIMIT, deposit, on_each_store, open};
use crate::account::{Account, AccountEvent};

/// How long people were at the desk; the first release counted minutes.
#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(domain = "desk", name = "visit")]
enum VisitEvent {
    #[event(version = 2)]
    #[upcast(from = 1, with = in_seconds)]
    Ended {
        seconds: u64,
    },
    Cancelled,
}

fn in_seconds(payload: Ipld) -> Result<Ipld, UpcastError> {
    let Ipld::Map(mut map) = payload else {
        return Err(UpcastError::new("not a map"));
    };
    match map.remove("minutes") {
        Some(Ipld::Integer(minutes)) => {
            map.insert("seconds".to_owned(), Ipld::Integer(minutes * 60));
            Ok(Ipld::Map(map))
        }
        _ => Err(UpcastError::new("no minutes")),
    }
}

#[derive(Projection, Debug, Default, Clone, PartialEq)]
#[projection(name = "days", version = 1, events = [AccountEvent::{Deposited}, VisitEvent::{Ended}])]
struct Day {
    deposited: u64,
    seconds: u64,
    events: u64,
}

impl Project<AccountEvent> for Day {
    fn project(&mut self, event: AccountEvent, _: &Source<Account>) {
        if let AccountEvent::Deposited { amount } = event {
            self.deposited += amount;
        }
        self.events += 1;
    }
}

impl Project<VisitEvent> for Day {
    fn project(&mut self, event: VisitEvent, _: &Source<Elsewhere>) {
        if let VisitEvent::Ended { seconds } = event {
            self.seconds += seconds;
        }
        self.events += 1;
    }
}

async fn visit(store: &dyn EventStore, event: NewEvent) -> Position {
    let id = IdText::new(&Uuid::now_v7().to_string()).expect("an id");
    let key = AggregateKey::new("desk.visit", id);
    let request = CommitRequest::new(MessageIdentity::new_from_user("test"), SystemClock.now());
    let request = request.aggregate(key, ExpectedVersion::Any, vec![event]);
    let stored = store.append(request).await.expect("it is stored");
    stored.last().expect("an event").position
}

#[tokio::test]
async fn a_view_of_two_domains_takes_what_it_chose_of_each_and_former_versions_as_they_are_now() {
    on_each_store(|store| async move {
        deposit(&*store, Id::new(), 7).await;
        // `{"minutes": 2}`
        let former = [&[0xa1, 0x67][..], b"minutes", &[2]].concat();
        let ended = "desk.visit.ended";
        visit(&*store, NewEvent::from_payload(ended, 1, former)).await;
        let view = open::<Day>(&store).await;
        let now = NewEvent::of(&VisitEvent::Ended { seconds: 5 }).expect("it encodes");
        visit(&*store, now).await;
        let cancelled = NewEvent::of(&VisitEvent::Cancelled).expect("it encodes");
        let last = visit(&*store, cancelled).await;
        view.wait_for(last, LIMIT).await.unwrap();
        let seen = view.read(Day::clone).await.unwrap();
        let wanted = Day {
            deposited: 7,
            seconds: 125,
            events: 3,
        };
        assert_eq!(seen.value, wanted);
    })
    .await;
}
