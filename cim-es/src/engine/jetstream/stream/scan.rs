//! Reading the stream across aggregates: a selection of it, what is yet to come, one CID.

use std::sync::Arc;

use cid::Cid;
use futures_util::future::try_join_all;
use futures_util::stream;

use super::{Stream, fragments};
use crate::block::StoredEvent;
use crate::domain::subject::Pattern;
use crate::domain::subject::pattern::overlaps;
use crate::engine::jetstream::api::{Commits, Filters, Leader, Read, State, Step, end_of};
use crate::engine::jetstream::retry;
use crate::store::{Bookmark, EventStream, Position, Selection, SelectionError, StoreError};

/// The most subjects that a consumer is made to filter by; what is left over is filtered here.
const MOST_FILTERS: usize = 256;

/// The events of a selection behind a bookmark, up to the last one that the stream has when reading
/// starts.
pub(super) fn read(store: Arc<Stream>, selection: Selection, after: Bookmark) -> EventStream {
    let scan = Scan {
        store,
        selection,
        stage: Stage::Start(after),
    };
    Box::pin(stream::unfold(scan, |mut scan| async move {
        let next = scan.next().await.transpose()?;
        if next.is_err() {
            scan.stage = Stage::Over;
        }
        Some((next, scan))
    }))
}

struct Scan {
    store: Arc<Stream>,
    selection: Selection,
    stage: Stage,
}

enum Stage {
    Start(Bookmark),
    Reading(Box<Reading>),
    Over,
}

struct Reading {
    commits: Commits,
    /// What the server filters by; nothing where it gives everything.
    subjects: Vec<String>,
    until: u64,
}

impl Scan {
    async fn next(&mut self) -> Result<Option<StoredEvent>, StoreError> {
        if let Stage::Start(after) = self.stage {
            self.start(after).await?;
        }
        loop {
            let Stage::Reading(reading) = &mut self.stage else {
                return Ok(None);
            };
            let read = reading.commits.next().await?;
            let event = match read {
                // Of a commit that was being stored when reading began, nothing is given.
                Read::Event(event) if end_of(&event) > reading.until => {
                    self.end().await;
                    return Ok(None);
                }
                Read::Event(event) => Some(event),
                Read::CutOff(events) => {
                    fragments::pass_over(&self.store, &self.selection, &events)?;
                    None
                }
                Read::Idle => None,
            };
            let commits = &reading.commits;
            let may_be_over = commits.is_empty() && (event.is_none() || commits.is_dry());
            let is_over = commits.is_empty() && commits.at() >= reading.until;
            let is_held = event.is_none() && !commits.held().is_empty();
            if is_over || ((may_be_over || is_held) && !self.is_any_left().await?) {
                self.end().await;
            }
            if let Some(event) = event
                && self.selection.includes(&event)
            {
                return Ok(Some(*event));
            }
        }
    }

    async fn start(&mut self, after: Bookmark) -> Result<(), StoreError> {
        let subjects = subjects(&self.store, &self.selection)?;
        let state = check(&self.store, &after).await?;
        let filters = Filters {
            subjects: subjects.clone(),
            headers_only: false,
        };
        let reader = self.store.reader(filters, after.position.0);
        // Who reads everything mostly wants all of it; who selects often stops early.
        let reader = match subjects.is_empty() {
            true => reader.pushed(),
            false => reader,
        };
        self.stage = Stage::Reading(Box::new(Reading {
            commits: self.store.commits(reader, after.position.0),
            subjects,
            until: state.last_seq,
        }));
        if !self.is_any_left().await? {
            self.stage = Stage::Over;
        }
        Ok(())
    }

    /// Whether the leader has, or had, messages that the reader is still to get; moves the end to
    /// the last of them where the stream has dropped what stood there.
    ///
    /// A consumer that has nothing more to give does not say it: it may be on a replica that lags.
    async fn is_any_left(&mut self) -> Result<bool, StoreError> {
        let Stage::Reading(reading) = &mut self.stage else {
            return Ok(false);
        };
        let at = reading.commits.at();
        if at >= reading.until {
            return Ok(false);
        }
        let leader = Leader::new(&self.store.api);
        if reading.subjects.is_empty() {
            let state = leader.state().await?;
            let last = rest(&state, at, reading.until);
            reading.until = last.unwrap_or(reading.until);
            return Ok(last.is_some());
        }
        let mut asked = Vec::with_capacity(reading.subjects.len());
        for subject in &reading.subjects {
            asked.push(leader.next(subject, at + 1));
        }
        let next = try_join_all(asked).await?;
        let mut next = next.into_iter().flatten();
        Ok(next.any(|raw| raw.sequence <= reading.until))
    }

    async fn end(&mut self) {
        if let Stage::Reading(reading) = std::mem::replace(&mut self.stage, Stage::Over) {
            reading.commits.close().await;
        }
    }
}

/// The stored subjects that hold what is selected, none of which shares a subject with another;
/// none at all where that is everything.
///
/// # Errors
/// [`StoreError::NothingSelected`] for a selection that nothing in the stream can match.
fn subjects(store: &Stream, selection: &Selection) -> Result<Vec<String>, StoreError> {
    selection.check()?;
    let stored = store.subjects();
    if let Some(key) = selection.one_aggregate() {
        return Ok(vec![stored.guard(key.id())]);
    }
    let kept = &store.options.stream.subjects;
    let wanted = selection.patterns();
    let is_kept = |pattern: &&Pattern| kept.iter().any(|kept| overlaps(kept, pattern.as_str()));
    let patterns: Vec<_> = wanted.iter().filter(is_kept).collect();
    if patterns.is_empty() {
        let wanted: Vec<_> = wanted.iter().map(Pattern::to_string).collect();
        return Err(SelectionError::NotKept {
            location: store.api.location(),
            kept: kept.join(", "),
            wanted: wanted.join(", "),
        }
        .into());
    }
    let public = patterns.iter().map(|pattern| pattern.as_str());
    Ok(match selection.partitions() {
        Some(partitions) if partitions.len() * patterns.len() <= MOST_FILTERS => {
            let of_partition = |public: &str| {
                let of_one = |partition: &u8| stored.partition_filter(*partition, public);
                partitions.iter().map(of_one).collect::<Vec<_>>()
            };
            public.flat_map(of_partition).collect()
        }
        _ if patterns.len() > MOST_FILTERS || patterns == [&Pattern::ALL] => Vec::new(),
        _ => public.map(|public| stored.filter(public)).collect(),
    })
}

/// Compares where a reader was with what the stream has; gives where the stream ends.
///
/// A leader that was deposed and does not know it yet may not have the last events, so it is asked
/// again before it is believed that the stream ends before the reader.
async fn check(store: &Stream, after: &Bookmark) -> Result<State, StoreError> {
    let leader = Leader::new(&store.api);
    let mut retry = retry::STALE.within(store.staleness());
    let state = loop {
        let state = leader.state().await?;
        if after.position.0 <= state.last_seq || !retry.pause().await {
            break state;
        }
    };
    let found = match after.names_event() && after.position.0 <= state.last_seq {
        true => leader.at(after.position.0).await?.and_then(|raw| raw.cid),
        false => None,
    };
    after.check(&store.api.location(), Position(state.last_seq), found)?;
    Ok(state)
}

/// The last message of those after a sequence and up to another that a reader can still get: what
/// it waits for may meanwhile be dropped, where the stream drops events.
pub(super) fn rest(state: &State, after: u64, until: u64) -> Option<u64> {
    state.last_until(until).filter(|last| *last > after)
}

/// The events of a selection behind a bookmark, then those that are yet to come.
pub(super) fn follow(store: Arc<Stream>, selection: Selection, after: Bookmark) -> EventStream {
    let following = Following {
        store,
        selection,
        after,
        commits: None,
    };
    Box::pin(stream::unfold(Some(following), |following| async move {
        let mut following = following?;
        match following.next().await {
            Ok(event) => Some((Ok(event), Some(following))),
            Err(error) => Some((Err(error), None)),
        }
    }))
}

struct Following {
    store: Arc<Stream>,
    selection: Selection,
    after: Bookmark,
    commits: Option<Commits>,
}

impl Following {
    async fn next(&mut self) -> Result<StoredEvent, StoreError> {
        let commits = match &mut self.commits {
            Some(commits) => commits,
            None => {
                let subjects = subjects(&self.store, &self.selection)?;
                check(&self.store, &self.after).await?;
                let filters = Filters {
                    subjects,
                    headers_only: false,
                };
                let after = self.after.position.0;
                let reader = self.store.reader(filters, after);
                let commits = self.store.commits(reader, after);
                self.commits.insert(commits.without_end())
            }
        };
        loop {
            match commits.next().await? {
                Read::Event(event) => {
                    let id = &event.envelope.aggregate_id;
                    self.store.api.seen.note_aggregate(id, event.position.0);
                    if self.selection.includes(&event) {
                        return Ok(*event);
                    }
                }
                Read::CutOff(events) => {
                    fragments::pass_over(&self.store, &self.selection, &events)?;
                }
                Read::Idle => {}
            }
        }
    }
}

/// Of how many messages the headers are read first, from the end on; then of eight times as many each time.
const FIRST_HEADERS: u64 = 4_096;

/// The event with a CID.
///
/// The server finds messages by subject and by sequence alone, so a CID that was not met lately is
/// looked for among the headers of all messages, the newest first: what is asked for is mostly of late.
pub(super) async fn by_cid(store: &Stream, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
    let leader = Leader::new(&store.api);
    if let Some(position) = store.place_of(cid)
        && let Some(raw) = leader.at(position.0).await?
        && raw.cid.as_ref() == Some(cid)
    {
        return store.verify(raw).map(Some);
    }
    let mut until = leader.state().await?.last_seq;
    let mut headers = FIRST_HEADERS;
    while until > 0 {
        let after = until.saturating_sub(headers);
        if let Some(sequence) = place_behind(store, &leader, cid, after, until).await? {
            return match leader.at(sequence).await? {
                Some(raw) => store.verify(raw).map(Some),
                None => Ok(None),
            };
        }
        until = after;
        headers = headers.saturating_mul(8);
    }
    Ok(None)
}

/// Where the event with a CID stands behind one sequence, and up to another.
async fn place_behind(
    store: &Stream,
    leader: &Leader<'_>,
    cid: &Cid,
    after: u64,
    until: u64,
) -> Result<Option<u64>, StoreError> {
    let Some(mut until) = rest(&leader.state().await?, after, until) else {
        return Ok(None);
    };
    let mut seen = after;
    let filters = Filters {
        subjects: Vec::new(),
        headers_only: true,
    };
    let mut reader = store.reader(filters, after).pushed();
    let found = loop {
        match reader.step().await? {
            Step::Message(raw) if raw.sequence > until => break None,
            Step::Message(raw) if raw.cid.as_ref() == Some(cid) => break Some(raw.sequence),
            Step::Message(raw) if raw.sequence == until => break None,
            Step::Message(raw) => seen = raw.sequence,
            Step::Idle => match rest(&leader.state().await?, seen, until) {
                Some(last) => until = last,
                None => break None,
            },
        }
    };
    reader.close().await;
    Ok(found)
}
