//! Whether an event survives being stored, also where its serde attributes drop a part of it.

use std::fmt::Debug;

use crate::block::payload::decode_present;
use crate::domain::event::DomainEvent;
use crate::store::NewEvent;

/// An event as it is stored, and as it reads back.
///
/// # Panics
/// When it cannot be stored, or prints otherwise after it was read back: what serde skips or rounds, or takes for another
/// variant, leaves the same bytes.
#[track_caller]
pub(super) fn stored_form<E: DomainEvent + Debug>(event: &E) -> (NewEvent, E) {
    let stored = NewEvent::and_read_back(event);
    let (stored, read_back) =
        stored.unwrap_or_else(|error| panic!("the event cannot be stored: {error}"));
    demand_survival(event, &read_back);
    (stored, read_back)
}

/// # Panics
/// When an event prints otherwise after it was read back.
#[track_caller]
pub(super) fn demand_survival<E: Debug>(event: &E, read_back: &E) {
    if let Some(loss) = loss(event, read_back) {
        panic!("{loss}");
    }
}

/// What an event loses on its way through the store by the attributes of its types; none when it prints as before.
pub(super) fn loss<E: Debug>(event: &E, read_back: &E) -> Option<String> {
    let (before, after) = (format!("{event:?}"), format!("{read_back:?}"));
    (words(&before) != words(&after)).then(|| {
        format!(
            "the event is not what it was after it was stored:\n  before: {before}\n   after: {after}\n\
             a field is skipped or rounded by serde, or an untagged enum is read as another variant: store what is \
             meant, or leave it out of the event"
        )
    })
}

/// The words of a text without their order: a `HashMap` prints its entries in any.
fn words(text: &str) -> Vec<&str> {
    let is_apart = |char: char| char.is_whitespace() || "{}[](),:".contains(char);
    let mut words: Vec<_> = text
        .split(is_apart)
        .filter(|word| !word.is_empty())
        .collect();
    words.sort_unstable();
    words
}

#[track_caller]
pub(super) fn read_back<E: DomainEvent>(event: &NewEvent) -> E {
    decode_present(&event.event_type, &event.payload)
        .unwrap_or_else(|error| panic!("the event cannot be read again: {error}"))
}
