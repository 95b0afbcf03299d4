//! Faults of what a follower gets.

use std::sync::Arc;

use cim_es::store::{
    Bookmark, EventStore, EventStoreExt, EventStream, Position, Selection, StoreError, StreamExt,
};
use futures_util::future::ready;
use futures_util::{TryStreamExt, stream};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::fault::Fault;
use super::read::{LARGE, PAGE, before};
use super::store::{WrongStore, lock};

impl WrongStore {
    /// The live events of all handles, as they are sent.
    fn live(&self, after: Position) -> EventStream {
        let receiver = self.all().live.subscribe();
        let past = self.inner.read_all(after);
        let start = (self.clone(), receiver, past, after, (false, false));
        Box::pin(stream::unfold(
            start,
            |(store, mut receiver, mut past, mut after, (mut is_live, mut is_begun))| async move {
                loop {
                    if !is_live {
                        if store.fault() == Fault::TheEventBetweenPastAndPresentIsRepeated
                            && !is_begun
                        {
                            // The past is read when it is asked for, and the channel already has its end.
                            past = store.inner.read_all(after);
                        }
                        is_begun = true;
                        if let Some(event) = past.next().await {
                            after = event.as_ref().ok()?.position;
                            return Some((
                                event,
                                (store, receiver, past, after, (is_live, is_begun)),
                            ));
                        }
                        is_live = true;
                        match store.fault() {
                            // What came while the past was read is not in the channel any more.
                            Fault::TheEventBetweenPastAndPresentIsMissed => {
                                receiver = receiver.resubscribe()
                            }
                            Fault::TheEventBetweenPastAndPresentIsRepeated => {
                                after = Position::START
                            }
                            _ => {}
                        }
                    }
                    match receiver.recv().await {
                        Ok(event) if event.position > after => {
                            after = event.position;
                            return Some((
                                Ok(event),
                                (store, receiver, past, after, (is_live, is_begun)),
                            ));
                        }
                        Ok(_) => {}
                        Err(RecvError::Lagged(_)) => {
                            if store.fault() == Fault::ALaggingSubscriptionRepeatsEvents {
                                let again = Position(after.0.saturating_sub(5));
                                past = store.inner.read_all(again);
                                is_live = false;
                                while !matches!(receiver.try_recv(), Err(TryRecvError::Empty)) {}
                            }
                        }
                        Err(RecvError::Closed) => return None,
                    }
                }
            },
        ))
    }

    /// Pairs of neighbours, the other way round where both are there.
    fn swapped(&self, after: Bookmark) -> EventStream {
        let events = self
            .inner
            .follow(Selection::everything(), after)
            .ready_chunks(2);
        Box::pin(events.flat_map(|mut pair| {
            pair.reverse();
            stream::iter(pair)
        }))
    }

    /// The events that a follower gets.
    pub fn followed(&self, selection: Selection, after: Bookmark) -> EventStream {
        let store = self.clone();
        let after = self.mark(after);
        let events = match self.fault() {
            Fault::ALaggingSubscriptionLosesEvents
            | Fault::ALaggingSubscriptionRepeatsEvents
            | Fault::TheEventBetweenPastAndPresentIsMissed
            | Fault::TheEventBetweenPastAndPresentIsRepeated => self.live(after.position),
            Fault::ASubscriptionEnds => self.inner.read(selection, after),
            Fault::ASubscriptionBeginsAtTheStart => self.inner.follow(selection, Bookmark::START),
            Fault::ASubscriptionIncludesThePosition => self.inner.follow(selection, before(after)),
            Fault::AFollowerHasAllPartitions if selection.partitions().is_some() => {
                self.inner.follow(Selection::everything(), after)
            }
            Fault::AFollowerHasAllKinds if selection.to_string().starts_with("all of ") => {
                self.inner.follow(Selection::everything(), after)
            }
            Fault::ABookmarkIsANumberToFollowers => {
                self.inner.follow(selection, after.position.into())
            }
            Fault::ABookmarkOfAnotherHistoryBeginsAgain => {
                let (again, wanted) = (self.inner.clone(), selection.clone());
                let events = self.inner.follow(selection, after);
                Box::pin(events.flat_map(move |event| match event {
                    Err(StoreError::AnotherHistory(_)) => {
                        again.follow(wanted.clone(), Bookmark::START)
                    }
                    event => Box::pin(stream::iter([event])),
                }))
            }
            Fault::FollowersAreNotToldOfImports => {
                let all = Arc::clone(&self.handle.all);
                let events = self.inner.follow(selection, after);
                Box::pin(
                    events
                        .try_filter(move |event| ready(!lock(&all.imported).contains(&event.cid))),
                )
            }
            Fault::ASubscriptionHasWhatItsHandleWrites => {
                let handle = Arc::clone(&self.handle);
                let events = self.inner.follow(selection, after);
                Box::pin(
                    events
                        .try_filter(move |event| ready(lock(&handle.written).contains(&event.cid))),
                )
            }
            Fault::ASubscriptionSkipsLargeEvents => {
                let events = self.inner.follow(selection, after);
                Box::pin(events.try_filter(|event| ready(event.payload().len() < LARGE)))
            }
            Fault::AFollowerOfAnAggregateMissesTheFirstOfAPage
                if selection.one_aggregate().is_some() =>
            {
                let events = self.inner.follow(selection, after);
                let is_first = |place: usize| place > 0 && place.is_multiple_of(PAGE);
                let kept = events
                    .enumerate()
                    .filter(move |(place, _)| ready(!is_first(*place)));
                Box::pin(kept.map(|(_, event)| event))
            }
            fault @ (Fault::ASubscriptionRepeatsTheLastOfAPage
            | Fault::AFollowerOfATypeRepeatsTheLastOfAPage)
                if selection.is_by_type()
                    == (fault == Fault::AFollowerOfATypeRepeatsTheLastOfAPage) =>
            {
                let events = self.inner.follow(selection, after);
                Box::pin(events.enumerate().flat_map(|(place, event)| {
                    let again = match &event {
                        Ok(event) if place % PAGE == PAGE - 1 => Some(Ok(event.clone())),
                        _ => None,
                    };
                    stream::iter([event].into_iter().chain(again))
                }))
            }
            Fault::FollowersAreNotToldOfABranch => {
                let start = (self.inner.clone(), selection, after.position);
                Box::pin(stream::unfold(
                    start,
                    |(inner, selection, after)| async move {
                        let mut events = inner.follow(selection.clone(), after.into());
                        let next = events.next().await?;
                        let after = next.as_ref().map_or(after, |event| event.position);
                        Some((next, (inner, selection, after)))
                    },
                ))
            }
            Fault::ASubscriptionSwapsNeighbours => self.swapped(after),
            Fault::ASubscriptionHasEverything => self.inner.follow(Selection::everything(), after),
            Fault::ASelectionOfNothingIsEmpty if selection.check().is_err() => {
                return Box::pin(stream::empty());
            }
            _ => self.inner.follow(selection, after),
        };
        Box::pin(events.map(move |event| event.map(|event| store.changed(vec![event]).remove(0))))
    }
}
