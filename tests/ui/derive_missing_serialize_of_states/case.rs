//! The states lack `Serialize`, which the aggregate derives: the errors are those of that derive.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Debug, Deserialize)]
enum DoorState {
    #[state(initial)]
    #[on(Open / Opened => Ajar)]
    Closed,
    #[on(Close / Shut => Closed)]
    Ajar,
}

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
enum DoorEvent {
    Opened { by: String },
    Shut,
}

#[derive(Command, Clone, Debug)]
enum DoorCommand {
    Open { by: String },
    Close,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "house", name = "door")]
struct Door {
    state: DoorState,
    by: Option<String>,
}

impl Decide for Door {
    fn decide(&self, command: DoorCommand, _: &Context) -> Decision<Self> {
        match command {
            DoorCommand::Open { by } => emit(DoorEvent::Opened { by }),
            DoorCommand::Close => emit(DoorEvent::Shut),
        }
    }
}

async fn close(id: &Id<Door>) -> Option<String> {
    let doors = Repository::<Door>::new(MemoryEventStore::new());
    let by = MessageIdentity::new_from_user("me");
    doors.execute(id, DoorCommand::Close, &by).await.ok()?;
    doors.load(id).await.ok()?.by.clone()
}

fn main() {}
