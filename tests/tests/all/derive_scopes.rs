//! Which name a statement of `#[apply(…)]` means: a field of the event, a name that the statement
//! binds, or another.

use cim_es::prelude::*;

use self::ShelfEvent::*;

/// Declares events that each change nothing but what their statements say, and the machine that
/// takes them.
macro_rules! shelf {
    ($($(#[$apply:meta])* $event:ident $({ $($field:ident: $ty:ty),* $(,)? })?;)*) => {
        #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
        enum ShelfEvent {
            $($(#[$apply])* $event $({ $($field: $ty),* })?),*
        }

        #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        enum ShelfState {
            #[state(initial)]
            $(#[on(Change / $event => _)])*
            Any,
        }
    };
}

#[derive(Command, Clone, Debug)]
#[allow(dead_code, reason = "only what the events do counts")]
enum ShelfCommand {
    Change,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Card {
    title: String,
    by: String,
}

#[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(domain = "library", name = "shelf")]
struct Shelf {
    state: ShelfState,
    title: String,
    by: Option<String>,
    items: Vec<String>,
    cards: Vec<Card>,
    total: i64,
    note: String,
    rounded: bool,
}

impl Shelf {
    const LIMIT: i64 = 7;
}

impl ShelfEvent {
    #[allow(
        dead_code,
        reason = "only so that a statement could take it for the aggregate's"
    )]
    const LIMIT: i64 = 1;
}

fn rounded(total: i64) -> i64 {
    total / 10 * 10
}

fn first<T: Clone + Default>(all: &[T]) -> T {
    all.first().cloned().unwrap_or_default()
}

mod title {
    pub fn limit() -> i64 {
        3
    }
}

shelf! {
    // The name is bound within the statement: the field is assigned by name.
    #[apply(items.retain(|title| title != "x"))]
    ByClosure { title: String };
    #[apply(items.sort_by(|title, by| by.cmp(title)))]
    ByTwoParameters { title: String, by: String };
    #[apply(total = self.cards.iter().map(|Card { title, by: _ }| title.len() as i64).sum())]
    ByPatternOfAClosure { title: String };
    #[apply(note = match self.items.first() { Some(title) => title.clone(), None => String::new() })]
    ByArm { title: String };
    #[apply(note = { let title = self.items.len(); title.to_string() })]
    ByLet { title: String };
    #[apply(note = if let Some(title) = self.items.first() && !title.is_empty() { title.clone() } else { String::new() })]
    ByIfLet { title: String };
    #[apply(note = { let mut all = String::new(); for title in &self.items { all += title; } all })]
    ByFor { title: String };
    #[apply(note = { let mut items = self.items.clone(); while let Some(title) = items.pop() { drop(title); } String::new() })]
    ByWhileLet { title: String };
    #[apply(note = match self.items.as_slice() { [title @ .., _] if !title.is_empty() => title.concat(), _ => "-".into() })]
    BySubpattern { title: String };
    #[apply(total = i64::from(matches!(self.items.first(), Some(title) if title == "a")))]
    ByMatches { title: String };
    #[apply(items.iter_mut().for_each(|item| item.extend(["b"].iter().map(|title| title.trim()))))]
    ByNestedClosure { title: String };
    #[apply(note = self.items.iter().map(|title| format!("{title}.")).collect())]
    ByFormattedParameter { title: String };
    #[apply(note = if self.items.is_empty() { String::new() } else if let Some(title) = self.items.last() { title.clone() } else { String::new() })]
    ByElseIfLet { title: String };

    // The name stands for something else than a value.
    #[apply(note = "title".to_owned())]
    InAText { title: String };
    #[apply(note = format!("{{title}} {}", "{title}"))]
    Escaped { title: String };
    #[apply(note = format!("{title}", title = 1))]
    AsNamedArgument { title: String };
    #[apply(total = 'title: { if self.items.is_empty() { break 'title 1; } 2 })]
    AsLabel { title: String };
    #[apply(cards.push(Card { title: "a".into(), by: self.cards.len().to_string() }))]
    AsKey { title: String };
    #[apply(total = self.cards.iter().map(|card| card.title.len() as i64).sum())]
    AsMember { title: String };
    #[apply(total = title::limit())]
    AsPath { title: String };
    #[apply(total = rounded(16))]
    AsFunction { rounded: bool };
    #[apply(note = stringify!(title).to_owned())]
    AsToken { title: String };
    #[apply(note = first::<String>(&self.items))]
    AsGeneric { title: String };

    // The name is the event's, and the field is not assigned by name.
    #[apply(items.push(title))]
    Used { title: String };
    #[apply(note = { let title = title.len(); title.to_string() })]
    UsedBeforeItIsHidden { title: String };
    #[apply(note = { { let title = 1; assert_eq!(title, 1); } title })]
    UsedAfterItWasHidden { title: String };
    #[apply(note = if let Some(title) = self.items.first() { title.clone() } else { title })]
    UsedInElse { title: String };
    #[apply(note = { let Some(title) = self.items.first() else { panic!("{title}") }; title.clone() })]
    UsedInLetElse { title: String };
    #[apply(cards.push(Card { title, by }))]
    UsedAsShorthand { title: String, by: String };
    #[apply(items.extend((0..2).map(|_| title.clone())))]
    UsedInAClosure { title: String };
    #[apply(note = format!("{title:>width$.places$}|{by:?}"))]
    Formatted { title: String, width: usize, places: usize, by: String };
    #[apply(note = match self.items.first() { Some(item) if *item == title => "same".into(), Some(title) => title.clone(), None => String::new() })]
    UsedInAGuard { title: String };
    #[apply(items.retain(|title| title != "x"), note = title)]
    UsedByTheOtherStatement { title: String };
    #[apply(items.iter_mut().for_each(|item| item.push_str(&title)))]
    UsedWithin { title: String };
    #[apply(note = { let by = 5; format!("{title:>by$}") })]
    FormattedToAWidth { title: String, by: String };
    #[apply(note = format!("{} {title}", 1))]
    FormattedBehindAnother { title: String };
    #[apply(items = vec![title; 2])]
    UsedInAList { title: String };
    #[apply(note = format!("{total} {}", self.total))]
    OfBoth { total: i64 };
    #[apply(note = format!("{type}"))]
    OfAKeyword { r#type: String };

    #[apply(note = format!("{größe}"), total = i64::from(größe))]
    OfAnotherScript { größe: u32 };
    #[apply(items.retain(|item| { if item.is_empty() { return false; } *item != title }))]
    UsedBesideAReturnOfAClosure { title: String };
    #[apply(note = { assert!(!title.is_empty(), "{title}"); concat!("{", "title", "}").to_owned() })]
    UsedInAnAssertion { title: String };

    // The aggregate.
    #[apply(note = format!("{self:?}").chars().take(5).collect())]
    Printed;
    #[apply(total = Self::LIMIT)]
    OfTheType;
    #[apply(cards = Vec::<Card>::from([Card::default()]), total = <Self as Default>::default().total + Self::LIMIT)]
    OfTheTypeAsTrait;
}

impl Decide for Shelf {
    fn decide(&self, ShelfCommand::Change: ShelfCommand, _: &Context) -> Decision<Self> {
        nothing()
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// A shelf with two items, and the event applied to it.
fn shelf(event: ShelfEvent) -> Shelf {
    let mut shelf = Shelf {
        items: vec![text("a"), text("x")],
        title: text("old"),
        ..Shelf::default()
    };
    shelf.apply(event).unwrap();
    shelf
}

#[test]
fn a_field_whose_name_a_statement_only_binds_is_assigned_by_name() {
    let title = || text("new");
    for event in [
        ByClosure { title: title() },
        ByTwoParameters {
            title: title(),
            by: text("Ann"),
        },
        ByPatternOfAClosure { title: title() },
        ByArm { title: title() },
        ByLet { title: title() },
        ByIfLet { title: title() },
        ByFor { title: title() },
        ByWhileLet { title: title() },
        BySubpattern { title: title() },
        ByMatches { title: title() },
        ByNestedClosure { title: title() },
        ByFormattedParameter { title: title() },
        ByElseIfLet { title: title() },
    ] {
        assert_eq!(shelf(event.clone()).title, "new", "{event:?}");
    }
    assert_eq!(shelf(ByClosure { title: title() }).items, ["a"]);
    assert_eq!(shelf(ByArm { title: title() }).note, "a");
    assert_eq!(shelf(ByLet { title: title() }).note, "2");
    assert_eq!(shelf(ByIfLet { title: title() }).note, "a");
    assert_eq!(shelf(ByFor { title: title() }).note, "ax");
    assert_eq!(shelf(BySubpattern { title: title() }).note, "a");
    assert_eq!(
        shelf(ByNestedClosure { title: title() }).items,
        ["ab", "xb"]
    );
    assert_eq!(shelf(ByFormattedParameter { title: title() }).note, "a.x.");
    assert_eq!(shelf(ByElseIfLet { title: title() }).note, "x");
    assert_eq!(shelf(ByMatches { title: title() }).total, 1);
}

#[test]
fn a_field_whose_name_stands_for_something_else_is_assigned_by_name() {
    let title = || text("new");
    for (event, note) in [
        (InAText { title: title() }, "title"),
        (Escaped { title: title() }, "{title} {title}"),
        (AsNamedArgument { title: title() }, "1"),
        (AsLabel { title: title() }, ""),
        (AsKey { title: title() }, ""),
        (AsMember { title: title() }, ""),
        (AsPath { title: title() }, ""),
        (AsToken { title: title() }, "title"),
        (AsGeneric { title: title() }, "a"),
    ] {
        let shelf = shelf(event.clone());
        assert_eq!(shelf.title, "new", "{event:?}");
        assert_eq!(shelf.note, note, "{event:?}");
    }
    let shelf = shelf(AsFunction { rounded: true });
    assert!(shelf.rounded);
    assert_eq!(shelf.total, 10);
}

#[test]
fn a_field_that_a_statement_uses_is_not_assigned_by_name() {
    let title = || text("new");
    for (event, note) in [
        (Used { title: title() }, ""),
        (UsedBeforeItIsHidden { title: title() }, "3"),
        (UsedAfterItWasHidden { title: title() }, "new"),
        (UsedInElse { title: title() }, "a"),
        (UsedInLetElse { title: title() }, "a"),
        (UsedInAClosure { title: title() }, ""),
        (UsedInAGuard { title: title() }, "a"),
        (UsedByTheOtherStatement { title: title() }, "new"),
        (UsedWithin { title: title() }, ""),
        (FormattedBehindAnother { title: title() }, "1 new"),
        (UsedInAList { title: title() }, ""),
    ] {
        let shelf = shelf(event.clone());
        assert_eq!(shelf.title, "old", "{event:?}");
        assert_eq!(shelf.note, note, "{event:?}");
    }
    let by = || text("Ann");
    let shorthand = shelf(UsedAsShorthand {
        title: title(),
        by: by(),
    });
    let card = Card {
        title: title(),
        by: by(),
    };
    assert_eq!((shorthand.cards, shorthand.by), (vec![card], None));
    let to_a_width = FormattedToAWidth {
        title: title(),
        by: by(),
    };
    let width = shelf(to_a_width);
    assert_eq!((width.note.as_str(), width.by), ("  new", Some(by())));
    let formatted = Formatted {
        title: title(),
        width: 4,
        places: 2,
        by: by(),
    };
    assert_eq!(shelf(formatted.clone()).note, "  ne|\"Ann\"");
    assert_eq!(shelf(formatted).by, None);
    assert_eq!(shelf(OfBoth { total: 5 }).note, "5 0");
    assert_eq!(shelf(OfAnotherScript { größe: 4 }).note, "4");
    let item = UsedBesideAReturnOfAClosure { title: text("x") };
    assert_eq!(shelf(item).items, ["a"]);
    let asserted = shelf(UsedInAnAssertion { title: title() });
    assert_eq!(
        (asserted.note.as_str(), asserted.title.as_str()),
        ("{title}", "old")
    );
    let keyword = OfAKeyword { r#type: text("k") };
    assert_eq!(shelf(keyword).note, "k");
}

#[test]
fn self_in_a_statement_is_the_aggregate_and_its_type() {
    assert_eq!(shelf(Printed).note, "Shelf");
    assert_eq!(shelf(OfTheType).total, 7);
    assert_eq!(shelf(OfTheTypeAsTrait).total, 7);
}
