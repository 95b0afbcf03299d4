//! Whatever happens, what a view that is kept with the events answers is the fold of the events up to the position that
//! it names.

use std::collections::{BTreeMap, BTreeSet};

use cim_es::SqliteEventStore;
use cim_es::block::StoredEvent;
use cim_es::document::{DocumentError, DocumentReader};
use cim_es::prelude::*;
use cim_es::projection::ProjectionManager;
use cim_es::store::read_model::Page;
use cim_es::store::{Bookmark, EventStore, Position, SealedCommit, Selection};
use futures_util::TryStreamExt;

use super::Kept;
use crate::account::{Account, AccountEvent};
use crate::projections::{Card, Cards, LIMIT, commit, deposit};
use crate::sqlite_support::Numbers;

async fn events(store: &dyn EventStore) -> Vec<StoredEvent> {
    let read = store.read(Selection::everything(), Bookmark::START);
    read.try_collect().await.unwrap()
}

/// The fold of the events up to a position, without those that were passed over.
fn fold(
    events: &[StoredEvent],
    up_to: Position,
    skipped: &BTreeSet<Position>,
) -> BTreeMap<String, (i64, u64)> {
    let mut cards: BTreeMap<String, (i64, u64)> = BTreeMap::new();
    let counted =
        |event: &&StoredEvent| event.position <= up_to && !skipped.contains(&event.position);
    for event in events.iter().filter(counted) {
        let change = match event.decode::<AccountEvent>().unwrap() {
            AccountEvent::Deposited { amount } => amount as i64,
            AccountEvent::Withdrawn { amount } => -(amount as i64),
            _ => continue,
        };
        let card = cards
            .entry(event.envelope.aggregate_id.clone())
            .or_default();
        card.0 += change;
        card.1 += 1;
    }
    cards
}

struct Run {
    kept: Kept,
    /// A program on the same file that does not keep the view.
    without: SqliteEventStore,
    reader: DocumentReader<Card>,
    numbers: Numbers,
    ids: Vec<Id<Account>>,
}

impl Run {
    async fn new(seed: u64) -> Self {
        let kept = Kept::new().await;
        let without = SqliteEventStore::open(kept.path()).unwrap();
        Self {
            reader: DocumentReader::new(without.read_models(), "cards"),
            kept,
            without,
            numbers: Numbers::new(seed),
            ids: (0..6).map(|_| Id::new()).collect(),
        }
    }

    fn account(&mut self) -> Id<Account> {
        let number = self.numbers.below(self.ids.len() as u64);
        self.ids[number as usize]
    }

    /// Mostly a small amount, now and then one that is refused or panicked at.
    fn amount(&mut self) -> u64 {
        match self.numbers.below(40) {
            0 => 13,
            1 => 14,
            amount => amount % 9 + 1,
        }
    }

    /// One commit of one to three parts.
    async fn commit(&mut self, store: &SqliteEventStore) {
        let count = 1 + self.numbers.below(3);
        let mut parts = BTreeMap::new();
        for _ in 0..count {
            let (id, amount) = (self.account(), self.amount());
            let events = vec![
                AccountEvent::Deposited { amount },
                AccountEvent::Withdrawn { amount: 1 },
            ];
            parts.insert(id.to_string(), (id, events));
        }
        commit(store, parts.into_values()).await;
    }

    /// Several commits at the same time.
    async fn crowd(&mut self) {
        let store = self.kept.store.clone();
        let mut all = Vec::new();
        for _ in 0..1 + self.numbers.below(12) {
            let (id, amount) = (Id::new(), self.amount());
            all.push(deposit(&store, id, amount));
        }
        futures_util::future::join_all(all).await;
    }

    /// Commits that were sealed elsewhere.
    async fn import(&mut self) {
        let elsewhere = MemoryEventStore::new();
        for _ in 0..1 + self.numbers.below(5) {
            let (id, amount) = (Id::new(), self.amount());
            deposit(&elsewhere, id, amount).await;
        }
        let commits = SealedCommit::split(&events(&elsewhere).await).unwrap();
        self.kept.store.append_sealed(commits).await.unwrap();
    }

    async fn restart(&mut self) {
        self.kept.manager.stop().await;
        self.kept.manager = ProjectionManager::new(self.kept.store.clone());
        let opening = self.kept.manager.inline::<Cards>(&self.kept.store);
        self.kept.cards = opening.await.unwrap();
    }

    async fn act(&mut self) {
        let store = self.kept.store.clone();
        let without = self.without.clone();
        let cards = self.kept.cards.clone();
        match self.numbers.below(24) {
            0..8 => self.commit(&store).await,
            8..11 => self.crowd().await,
            11..13 => self.import().await,
            13..16 => self.commit(&without).await,
            16 => cards.pause().await.unwrap(),
            17 => cards.resume().await.unwrap(),
            18 => self.restart().await,
            19 => cards.rebuild().await.unwrap(),
            // It may have been told otherwise meanwhile.
            _ => drop(cards.skip("an unlucky number", "Eve").await),
        }
    }

    /// What is answered is true up to where it says.
    async fn check(&self) {
        let answer = self.reader.list(&Page::first(1_000)).await;
        let answer = match answer {
            // It is being built again.
            Err(DocumentError::NotServing { .. }) => return,
            answer => answer.unwrap(),
        };
        // Skipped later than the answer at most, and then behind it.
        let skipped = self.kept.cards.status().skipped;
        let skipped = skipped.iter().map(|it| it.bookmark.position).collect();
        let expected = fold(&events(&self.without).await, answer.position, &skipped);
        let found: BTreeMap<_, _> = answer
            .value
            .documents
            .into_iter()
            .map(|it| (it.key, (it.document.sum, it.document.events)))
            .collect();
        assert_eq!(found, expected, "up to {}", answer.position);
    }

    /// In the end everything that can be counted is.
    async fn end(&mut self) {
        let last = self.kept.store.last_position().await.unwrap();
        self.kept.cards.resume().await.unwrap();
        while self.kept.cards.wait_for(last, LIMIT).await.is_err() {
            let cards = &self.kept.cards;
            cards.skip("an unlucky number", "Eve").await.unwrap();
        }
        self.check().await;
        let answer = self.reader.list(&Page::first(1)).await.unwrap();
        assert_eq!(answer.position, last);
        self.kept.store.check().await.unwrap();
    }
}

#[tokio::test]
async fn whatever_happens_the_answer_is_the_fold_up_to_where_it_says() {
    for seed in 1..=8 {
        eprintln!("seed {seed}");
        let mut run = Run::new(seed).await;
        for _ in 0..60 {
            run.act().await;
            run.check().await;
        }
        run.end().await;
    }
}
