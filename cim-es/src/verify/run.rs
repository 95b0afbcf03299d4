//! What is done with each event in order: its place in its history, its commit, and the lists beside it.

use std::collections::HashMap;

use super::judge::{Judged, JudgedBlock, Proof};
use super::shown::Shown;
use super::state::{KnownList, VerificationState};
use crate::block::Position;
use crate::store::raw::{RawEvents, RawLinks, SoundPart};
use crate::store::{Damage, Location};

/// A verification that is under way.
pub(super) struct Run {
    pub(super) state: VerificationState,
    pub(super) location: Location,
    /// Up to where there are events to look at.
    pub(super) until: Position,
    may_be_cut: bool,
    /// Where in the state a list stands, by its number.
    lists: HashMap<u64, usize>,
}

impl Run {
    pub(super) fn new(raw: &dyn RawEvents, state: VerificationState) -> Self {
        let lists = state.lists.iter().enumerate();
        Self {
            lists: lists.map(|(at, list)| (list.list, at)).collect(),
            state,
            location: raw.location(),
            until: Position::START,
            may_be_cut: raw.drops_events(),
        }
    }

    /// Behind which position reading has to begin.
    pub(super) fn read_from(&self) -> Position {
        let begun = self.state.commits.begun();
        begun.map_or(self.state.at, |begun| Position(begun.0.saturating_sub(1)))
    }

    /// Takes what stands next; gives all that is wrong with it.
    pub(super) fn take(&mut self, judged: &Judged, lists_have_kinds: bool) -> Vec<Damage> {
        match judged {
            Judged::Unreadable { damage, until } => {
                if *until <= self.state.at {
                    return Vec::new();
                }
                let first = damage.position().unwrap_or(*until);
                self.state.commits.interrupt();
                self.state.noted.note_positions(first, *until);
                self.state.noted.note_cid(damage.cid());
                self.state.at = *until;
                vec![damage.as_ref().clone()]
            }
            Judged::Block(block) if block.position <= self.state.at => {
                // It was looked at before; only its commit goes on.
                match &block.proof {
                    Proof::Envelope(event) => drop(self.state.commits.accept(event)),
                    Proof::Nothing(_) => self.state.commits.interrupt(),
                }
                Vec::new()
            }
            Judged::Block(block) => self.take_block(block, lists_have_kinds),
        }
    }

    fn take_block(&mut self, block: &JudgedBlock, lists_have_kinds: bool) -> Vec<Damage> {
        let JudgedBlock {
            position,
            bytes,
            removed,
            links,
            proof,
            damage,
        } = block;
        let position = *position;
        let state = &mut self.state;
        state.at = position;
        state.counts.events += 1;
        state.counts.bytes += bytes;
        state.counts.removed += removed;
        let mut damages = Vec::from_iter(damage.as_deref().cloned());
        let event = match proof {
            Proof::Envelope(event) => event,
            Proof::Nothing(cids) => {
                state.commits.interrupt();
                state.noted.note_positions(position, position);
                for cid in cids.iter() {
                    state.noted.note_cid(*cid);
                }
                if let Some(links) = *links {
                    self.follow_list(position, links, None);
                }
                return damages;
            }
        };
        state.last = Some((position, event.cid.cid()));
        let (before, chain) = state.chains.accept(event, &state.noted, self.may_be_cut);
        let commit = state.commits.accept(event);
        if chain.is_some() || commit.is_some() {
            for verdict in [chain, commit].into_iter().flatten() {
                let damage = Damage::of(*verdict, self.location.clone());
                damages.push(damage.in_history_of(&event.aggregate_key()));
            }
        }
        if let Some(links) = *links {
            let of_list = self.follow_list(position, links, Some((event, lists_have_kinds)));
            let previous = links.previous_of_aggregate;
            let before = before.map_or(0, |before| before.0);
            // Where the history itself is broken, its list is as well.
            let is_lost = damages.is_empty()
                && previous != before
                && !self.state.noted.has_position(previous);
            let of_aggregate = is_lost.then(|| {
                format!(
                    "the column beside it says that its aggregate's event before is at position {previous}, that one is at {before}"
                )
            });
            for reason in of_aggregate.into_iter().chain(of_list) {
                let damage = Damage::new(self.location.clone(), position, event.cid.cid(), reason);
                damages.push(damage.in_history_of(&event.aggregate_key()));
            }
        }
        if !damages.is_empty() {
            self.state.noted.note_positions(position, position);
        }
        damages
    }

    /// Goes on with a list of events; gives what is wrong with it.
    fn follow_list(
        &mut self,
        position: Position,
        links: RawLinks,
        event: Option<(&Shown, bool)>,
    ) -> Option<String> {
        let Self { state, lists, .. } = self;
        let at = *lists.entry(links.list).or_insert_with(|| {
            state.lists.push(KnownList {
                list: links.list,
                last: 0,
                named: None,
            });
            state.lists.len() - 1
        });
        let known = &mut state.lists[at];
        let last = std::mem::replace(&mut known.last, position.0);
        let (event, have_kinds) = event?;
        let (kind, event_type) = known
            .named
            .get_or_insert_with(|| (event.kind(), event.event_type()));
        if !event.is_of(have_kinds.then_some(kind.as_str()), event_type) {
            return Some(format!(
                "the column beside it says type {}, which is `{event_type}` of {kind}",
                links.list
            ));
        }
        let previous = links.previous_of_list;
        let is_lost = previous != last && !state.noted.has_position(previous);
        is_lost.then(|| {
            format!(
                "the column beside it says that the event of its type before is at position {previous}, that one is at {last}"
            )
        })
    }

    /// Says that nothing else stands up to a position, at how many something was taken away, and what was found sound on
    /// the way.
    pub(super) fn reach(&mut self, position: Position, removed: u64, sound: Option<SoundPart>) {
        self.state.counts.removed += removed;
        self.state.sound.extend(sound);
        self.state.at = self.state.at.max(position);
    }

    /// Says that no event follows, up to where the store ends.
    pub(super) fn finish_commits(&mut self, end: Position) -> Vec<Damage> {
        if end > self.until {
            // Who writes without pause may be in the middle of a commit.
            self.state.commits.interrupt();
        }
        let verdict = self.state.commits.finish();
        let damages = verdict.map(|verdict| Damage::of(verdict, self.location.clone()));
        damages.into_iter().collect()
    }
}
