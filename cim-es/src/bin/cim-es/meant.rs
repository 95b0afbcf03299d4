//! What was probably meant by a name that the store does not have.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cim_es::__private::nearest_name;
use cim_es::aggregate::IdText;
use cim_es::store::{AggregateKey, AggregateQuery, Position, Selection, StoredType, StreamExt};

use crate::failure::Failure;
use crate::store::Store;

/// How many names are listed where none is near.
const LISTED: usize = 12;
/// How many ids are compared with one that is not there.
const COMPARED: usize = 10_000;

/// The nearest of some names.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<_> = known.into_iter().collect();
    // A name of which the beginning was left out.
    let ends = |known: &&&str| known.rsplit_once('.').is_some_and(|(_, last)| last == name);
    let mut ending = known.iter().filter(ends);
    match (ending.next(), ending.next()) {
        (Some(one), None) => Some(one),
        _ => nearest_name(name, &known),
    }
}

/// The file that was probably meant, beside one that is not there.
pub fn near_file(path: &Path) -> Option<PathBuf> {
    let parent = path.parent();
    let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
    let directory = parent.unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|it| !it.is_dir()));
    let names = files.filter_map(|entry| entry.file_name().into_string().ok());
    // What SQLite keeps beside a file is never meant.
    let names: Vec<_> = names
        .filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm"))
        .collect();
    let wanted = path.file_name()?.to_string_lossy();
    let near = nearest(&wanted, names.iter().map(String::as_str))?;
    Some(
        parent
            .map_or_else(|| PathBuf::from("."), Path::to_owned)
            .join(near),
    )
}

/// A position behind which something begins, which the store must have come to.
pub async fn position(store: &Store, position: u64) -> Result<Position, Failure> {
    let last = store.events().last_position().await?;
    match position > last.0 {
        false => Ok(Position(position)),
        true => Err(
            Failure::usage(format!("the store has not come to position {position}"))
                .help(format!("its last event is at position {last}")),
        ),
    }
}

/// Says that no event matches a filter of subjects, if none does.
pub async fn check_subject(store: &Store, filter: &str) -> Result<(), Failure> {
    let selection = Selection::subjects(filter.to_owned());
    let mut events = store.events().read(selection, Position::START.into());
    match events.next().await.transpose()? {
        None if filter != ">" => Err(no_subject(filter, &store.event_types().await?)),
        _ => Ok(()),
    }
}

/// The kinds of aggregates that have events.
pub fn kinds(types: &[StoredType]) -> BTreeSet<&str> {
    types.iter().filter_map(|it| it.kind.as_deref()).collect()
}

/// Says that no aggregate is of a kind.
pub fn no_kind(kind: &str, types: &[StoredType]) -> Failure {
    let kinds = kinds(types);
    let failure = Failure::usage(format!("the store has no aggregates of kind `{kind}`"));
    if let Some(near) = nearest(kind, kinds.iter().copied()) {
        return failure.help(format!("did you mean `{near}`?"));
    }
    match kinds.is_empty() {
        true => failure.help("it has no events yet"),
        false => failure.help(format!("it has {}", listed(&kinds))),
    }
}

/// Says that an aggregate has no events, and what was probably meant.
pub async fn no_aggregate(store: &Store, key: &AggregateKey) -> Result<Failure, Failure> {
    let (kind, id) = (key.kind(), key.id().as_str());
    let failure = Failure::usage(format!("the store has no `{kind}` with the id `{id}`"));
    let other_kinds = store.events().kinds(key.id()).await?;
    if !other_kinds.is_empty() {
        let other_kinds: BTreeSet<_> = other_kinds.iter().map(String::as_str).collect();
        return Ok(failure.help(format!("under this id it has {}", listed(&other_kinds))));
    }
    let types = store.event_types().await?;
    if !kinds(&types).contains(kind) && types.iter().all(|it| it.kind.is_some()) {
        return Ok(no_kind(kind, &types));
    }
    let ids = near_ids(store, key).await?;
    let known = ids.iter().map(String::as_str);
    let help = match nearest_name(id, &known.collect::<Vec<_>>()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("`cim-es streams {kind}` lists the ids"),
    };
    Ok(failure.help(help))
}

/// Ids of a kind: those that begin as one does, and the first ones.
async fn near_ids(store: &Store, key: &AggregateKey) -> Result<Vec<String>, Failure> {
    let query = || AggregateQuery::new().kind(key.kind());
    let mut ids = Vec::new();
    let mut half = key.id().as_str().len() / 2;
    while !key.id().as_str().is_char_boundary(half) {
        half -= 1;
    }
    if let (Store::File(_), Ok(start)) = (store, IdText::new(&key.id().as_str()[..half])) {
        let after = AggregateKey::new(key.kind().to_owned(), start);
        let page = store.aggregates(query().after(after).limit(1_000)).await?;
        ids.extend(page.aggregates);
    }
    ids.extend(store.aggregates(query().limit(COMPARED)).await?.aggregates);
    let ids = ids
        .iter()
        .map(|entry| entry.aggregate.id().as_str().to_owned());
    Ok(ids.collect())
}

/// Says that no event matches a filter of subjects, and which filter was probably meant.
pub fn no_subject(filter: &str, types: &[StoredType]) -> Failure {
    let failure = Failure::usage(format!("no event in the store matches `{filter}`"));
    let names = types.iter().map(|it| it.event_type.as_str());
    let shaped: BTreeSet<_> = names.filter_map(|name| shape(filter, name)).collect();
    if let Some(near) = nearest_name(
        filter,
        &shaped.iter().map(String::as_str).collect::<Vec<_>>(),
    ) {
        return failure.help(format!("did you mean `{near}`?"));
    }
    let all: BTreeSet<_> = types.iter().map(|it| it.event_type.as_str()).collect();
    match all.is_empty() {
        true => failure.help("the store has no events yet"),
        false => failure.help(format!("it has {}", listed(&all))),
    }
}

/// A subject with the wildcards of a filter; none where the filter asks for other lengths.
fn shape(filter: &str, subject: &str) -> Option<String> {
    let mut subject = subject.split('.');
    let mut tokens = Vec::new();
    for wanted in filter.split('.') {
        let found = subject.next()?;
        match wanted {
            ">" => {
                tokens.push(wanted);
                return Some(tokens.join("."));
            }
            "*" => tokens.push(wanted),
            _ => tokens.push(found),
        }
    }
    subject.next().is_none().then(|| tokens.join("."))
}

/// Names in a sentence.
fn listed(names: &BTreeSet<&str>) -> String {
    let first = names.iter().take(LISTED).map(|name| format!("`{name}`"));
    let mut text = first.collect::<Vec<_>>().join(", ");
    if names.len() > LISTED {
        text.push_str(&format!(" and {} more", names.len() - LISTED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_keeps_its_wildcards_when_another_is_suggested() {
        let shaped = |filter| shape(filter, "library.book.lent");
        assert_eq!(shaped("library.bok.>").as_deref(), Some("library.book.>"));
        assert_eq!(shaped("libary.*.lent").as_deref(), Some("library.*.lent"));
        assert_eq!(shaped("library.book"), None);
        assert_eq!(shaped("a.b.c.d"), None);
    }

    #[test]
    fn a_kind_without_its_domain_is_found() {
        let known = ["library.book", "library.reader"];
        assert_eq!(nearest("book", known), Some("library.book"));
        assert_eq!(nearest("library.raeder", known), Some("library.reader"));
        assert_eq!(nearest("planet", known), None);
    }
}
