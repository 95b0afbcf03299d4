//! Every form of `#[apply(…)]`, and assignment by name beside it.

use std::collections::BTreeMap;

use cim_es::prelude::*;

use self::HouseEvent::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum HouseState {
    #[state(initial)]
    #[on(Change / Built => Built)]
    Planned,
    #[on(
        Change / Renamed => _, Change / Paid => _, Change / Sold => _, Change / GuestPlaced => _,
        Change / GuestMoved => _, Change / Counted => _, Change / Numbered => _, Change / Noted => _,
        Change / Forgotten => _, Change / Measured => _, Change / Painted => _, Change / Cleaned => _,
        Change / Halved => _, Change / Inspected => _, Change / Swapped => _, Change / Tagged => _, Change / Heated => _,
    )]
    Built,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Painting {
    color: String,
    coats: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inspection {
    by: String,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
enum HouseEvent {
    Built {
        name: String,
        rooms: u8,
    },
    Renamed {
        name: String,
    },
    #[apply(balance += amount)]
    Paid {
        amount: i64,
    },
    #[apply(owner = Some(owner))]
    Sold {
        owner: String,
    },
    #[apply(guests.push(guest))]
    GuestPlaced {
        guest: String,
    },
    #[apply(guests[from].clear(), guests[to] = guest, _ = (reason, at))]
    GuestMoved {
        from: usize,
        to: usize,
        guest: String,
        reason: String,
        at: u64,
    },
    #[apply(*counts.entry(thing).or_insert(0) += number)]
    Counted {
        thing: String,
        number: u32,
    },
    #[apply(rooms = self::halves(rooms))]
    Halved {
        rooms: u8,
    },
    #[apply(numbers.extend(texts.iter().map(|text| text.parse::<u8>().unwrap_or_default())))]
    #[apply(pairs = Vec::<(u8, u8)>::from([(1, 2), (3, 4)]))]
    Numbered {
        texts: Vec<String>,
    },
    #[apply(notes.push(format!("{text} ({})", self.name)), name = text)]
    Noted {
        #[serde(default)]
        text: String,
    },
    #[apply(_ = reason)]
    #[apply(_ = at)]
    Forgotten {
        reason: String,
        at: u64,
    },
    #[apply(size.width = width, size.height = self.size.width * 2)]
    Measured {
        width: u32,
    },
    #[apply(color = Some(event.color), coats += event.coats)]
    Painted(Painting),
    #[apply(with = House::cleaned)]
    Cleaned,
    #[apply(with = inspected)]
    Inspected(Inspection),
    #[apply(with = House::swapped)]
    Swapped {
        color: String,
        coats: u32,
    },
    #[apply(tags.append(&mut tags))]
    Tagged {
        tags: Vec<String>,
        r#type: String,
        aggregate: u8,
    },
    #[apply(_ = event)]
    Heated(Inspection),
}

#[derive(Command, Clone, Debug)]
enum HouseCommand {
    Change,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Size {
    width: u32,
    height: u32,
}

#[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(domain = "town", name = "house")]
struct House {
    state: HouseState,
    name: String,
    rooms: u64,
    balance: i64,
    owner: Option<String>,
    guests: Vec<String>,
    counts: BTreeMap<String, u32>,
    numbers: Vec<u8>,
    pairs: Vec<(u8, u8)>,
    notes: Vec<String>,
    size: Size,
    color: Option<String>,
    coats: u32,
    is_clean: bool,
    inspector: Option<String>,
    tags: Vec<String>,
    r#type: Option<String>,
    aggregate: Option<u8>,
}

impl House {
    fn cleaned(&mut self) {
        self.is_clean = true;
    }

    fn swapped(&mut self, color: String, coats: u32) {
        self.color = Some(color);
        self.coats = coats;
    }
}

fn inspected(house: &mut House, inspection: Inspection) {
    house.inspector = Some(inspection.by);
}

impl Decide for House {
    fn decide(&self, HouseCommand::Change: HouseCommand, _: &Context) -> Decision<Self> {
        nothing()
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// A house that is built, with these events applied behind that.
fn house(events: impl IntoIterator<Item = HouseEvent>) -> House {
    let mut house = House::default();
    let built = Built {
        name: text("Mill"),
        rooms: 3,
    };
    house.apply(built).unwrap();
    for event in events {
        house.apply(event).unwrap();
    }
    house
}

#[test]
fn a_field_is_assigned_by_name_and_converted_on_the_way() {
    let house = house([]);
    assert_eq!((house.name.as_str(), house.rooms), ("Mill", 3_u64));
    assert_eq!(house.state, HouseState::Built);
    assert!(house.state.can_accept(&HouseCommand::Change));
}

#[test]
fn a_statement_adds_to_a_field() {
    let house = house([Paid { amount: 5 }, Paid { amount: -2 }]);
    assert_eq!(house.balance, 3);
}

#[test]
fn a_statement_sets_a_field_of_the_same_name() {
    let owner = text("Ann");
    assert_eq!(house([Sold { owner }]).owner, Some(text("Ann")));
}

#[test]
fn a_statement_calls_a_method_of_a_field() {
    let guest = text("Bob");
    assert_eq!(house([GuestPlaced { guest }]).guests, ["Bob"]);
}

#[test]
fn a_statement_indexes_a_field_and_others_follow_in_order() {
    let placed = ["Bob", "Eve"].map(|guest| GuestPlaced { guest: text(guest) });
    let moved = GuestMoved {
        from: 0,
        to: 1,
        guest: text("Bob"),
        reason: text("draught"),
        at: 7,
    };
    let house = house(placed.into_iter().chain([moved]));
    assert_eq!(house.guests, ["", "Bob"]);
}

#[test]
fn a_statement_writes_through_what_a_method_gives() {
    let counted = |number| Counted {
        thing: text("door"),
        number,
    };
    assert_eq!(house([counted(2), counted(3)]).counts["door"], 5);
}

#[test]
fn commas_in_closures_and_in_types_separate_nothing() {
    let texts = vec![text("1"), text("x"), text("3")];
    let house = house([Numbered { texts }]);
    assert_eq!(house.numbers, [1, 0, 3]);
    assert_eq!(house.pairs, [(1, 2), (3, 4)]);
}

#[test]
fn a_name_inside_a_format_string_counts_as_used_and_self_is_the_aggregate() {
    let house = house([Noted { text: text("Inn") }]);
    assert_eq!(house.notes, ["Inn (Mill)"]);
    assert_eq!(house.name, "Inn");
}

#[test]
fn a_path_that_begins_with_self_is_a_path() {
    assert_eq!(house([Halved { rooms: 8 }]).rooms, 4);
}

fn halves(rooms: u8) -> u64 {
    u64::from(rooms / 2)
}

#[test]
fn a_dropped_field_changes_nothing() {
    let forgotten = Forgotten {
        reason: text("old"),
        at: 1,
    };
    assert_eq!(house([forgotten]), house([]));
    assert_eq!(house([Heated(Inspection { by: text("Ann") })]), house([]));
}

#[test]
fn a_statement_sees_what_the_one_before_it_did() {
    let size = Size {
        width: 4,
        height: 8,
    };
    assert_eq!(house([Measured { width: 4 }]).size, size);
}

#[test]
fn the_struct_of_a_payload_is_called_event() {
    let painted = |color: &str, coats| {
        Painted(Painting {
            color: text(color),
            coats,
        })
    };
    let house = house([painted("red", 1), painted("blue", 2)]);
    assert_eq!((house.color, house.coats), (Some(text("blue")), 3));
}

#[test]
fn a_function_gets_the_aggregate_and_all_fields_in_order() {
    let swapped = Swapped {
        color: text("green"),
        coats: 9,
    };
    let inspected = Inspected(Inspection { by: text("Eve") });
    let house = house([Cleaned, inspected, swapped]);
    assert!(house.is_clean);
    assert_eq!(house.inspector, Some(text("Eve")));
    assert_eq!((house.color, house.coats), (Some(text("green")), 9));
}

#[test]
fn names_of_the_event_and_of_the_aggregate_are_kept_apart() {
    let tagged = |tag: &str| Tagged {
        tags: vec![text(tag)],
        r#type: text("mark"),
        aggregate: 1,
    };
    let house = house([tagged("a"), tagged("b")]);
    assert_eq!(house.tags, ["a", "b"]);
    assert_eq!(
        (house.r#type, house.aggregate),
        (Some(text("mark")), Some(1))
    );
}

#[test]
fn the_payload_of_every_shape_is_stored_and_read_again() {
    let inspection = Inspection { by: text("Eve") };
    let events = [
        Built {
            name: text("Mill"),
            rooms: 3,
        },
        Cleaned,
        Inspected(inspection),
    ];
    for event in events {
        let payload = cim_es::event::encode_payload(&event).unwrap();
        let read: HouseEvent =
            cim_es::event::decode_payload(event.event_type(), 1, &payload).unwrap();
        assert_eq!(read, event);
    }
}
