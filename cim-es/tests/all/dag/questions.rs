//! Every question, against the plain answer.

use std::collections::BTreeSet;

use cim_es::MemoryEventStore;
use cim_es::block::{Cid, HashCode};
use cim_es::dag::{DagError, DagNode, DagOptions, EdgeKind, EventDag};
use proptest::prelude::*;
use proptest::sample::Index;

use super::model::{Made, Model, append, foreign, histories};
use crate::sqlite_support::{any as commit_of, note, run};
use cim_es::store::EventStore;

fn cids<'a>(nodes: impl IntoIterator<Item = DagNode<'a>>) -> Vec<Cid> {
    nodes.into_iter().map(|node| node.cid()).collect()
}

/// The same CIDs, each once.
fn set<'a>(nodes: impl IntoIterator<Item = DagNode<'a>>) -> BTreeSet<Cid> {
    let cids = cids(nodes);
    let set: BTreeSet<_> = cids.iter().copied().collect();
    assert_eq!(set.len(), cids.len(), "each comes once");
    set
}

/// Whether causes come before what followed from them.
fn is_in_order(model: &Model, order: &[Cid]) -> bool {
    let mut seen = BTreeSet::new();
    order.iter().all(|cid| {
        seen.insert(*cid);
        let causes = model.causes[cid].iter();
        causes
            .filter(|cause| order.contains(cause))
            .all(|cause| seen.contains(cause))
    })
}

fn graph(history: &[Made]) -> (EventDag, Model, Vec<cim_es::block::StoredEvent>) {
    run(async {
        let store = MemoryEventStore::new();
        let mut events = Vec::new();
        append(&store, history, &mut events).await;
        let dag = EventDag::with_options(&store, DagOptions::new().with_payloads()).await;
        (dag.expect("it is built"), Model::of(&events), events)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_before_and_behind_each_event_is_all_that_the_links_say(history in histories()) {
        let (dag, model, events) = graph(&history);
        prop_assert_eq!(dag.events(), events.len());
        prop_assert_eq!(set(dag.nodes()), model.all().into_iter().collect::<BTreeSet<_>>());
        for cid in model.all() {
            let node = dag.get(&cid).expect("it is there");
            prop_assert_eq!(set(node.ancestors()), model.ancestors(&cid));
            prop_assert_eq!(set(node.descendants()), model.descendants(&cid));
            let causes: BTreeSet<_> = node.causes().map(|(_, cause)| cause.cid()).collect();
            prop_assert_eq!(&causes, &model.causes[&cid]);
            let event = events.iter().find(|event| event.cid == cid);
            prop_assert_eq!(node.is_known(), event.is_some());
            let Some(event) = event else {
                prop_assert!(node.event().is_none());
                continue;
            };
            let found = node.event().expect("it is an event");
            prop_assert_eq!(found.event_type, event.event_type());
            prop_assert_eq!(found.kind, &event.envelope.aggregate);
            prop_assert_eq!(found.id, &event.envelope.aggregate_id);
            prop_assert_eq!(found.version, event.envelope.sequence);
            prop_assert_eq!(found.time, event.timestamp());
            prop_assert_eq!(found.position, event.position);
            let previous = node.causes().filter(|(kind, _)| *kind == EdgeKind::Previous);
            let previous: Vec<_> = previous.map(|(_, cause)| cause.cid()).collect();
            prop_assert_eq!(previous, Vec::from_iter(event.envelope.previous));
        }
    }

    #[test]
    fn a_walk_goes_no_further_than_it_is_told_and_gives_the_nearest_first(
        history in histories(), links in 0..5u32,
    ) {
        let (dag, model, _) = graph(&history);
        for cid in model.all() {
            let walk = dag.get(&cid).expect("it is there").ancestors().within(links);
            let given = cids(walk);
            let away = |other: &Cid| model.distance(other, &cid).expect("it is an ancestor");
            let expected = model.ancestors(&cid).into_iter().filter(|it| away(it) <= links as usize);
            prop_assert_eq!(given.iter().copied().collect::<BTreeSet<_>>(), expected.collect());
            prop_assert!(given.is_sorted_by_key(away));
        }
    }

    #[test]
    fn a_closure_has_every_cause_before_what_followed(
        history in histories(), chosen in proptest::collection::vec(any::<Index>(), 1..4),
    ) {
        let (dag, model, _) = graph(&history);
        let all = model.all();
        let chosen: Vec<Cid> = chosen.iter().map(|index| *index.get(&all)).collect();
        let closure = dag.causal_closure(&chosen).expect("they are there");
        let expected = chosen.iter().flat_map(|cid| model.with_itself(cid)).collect();
        prop_assert_eq!(set(closure.iter().copied()), expected);
        prop_assert!(is_in_order(&model, &cids(closure)));
        // What nothing else of them depends on.
        let is_last = |cid: &&Cid| chosen.iter().all(|other| !model.ancestors(other).contains(cid));
        let expected: BTreeSet<Cid> = chosen.iter().filter(is_last).copied().collect();
        prop_assert_eq!(set(dag.frontier_of(&chosen).expect("they are there")), expected);
    }

    #[test]
    fn two_events_have_in_common_what_both_depend_on(
        history in histories(), one in any::<Index>(), other in any::<Index>(),
    ) {
        let (dag, model, _) = graph(&history);
        let all = model.all();
        let (one, other) = (one.get(&all), other.get(&all));
        let common = dag.common_ancestors(one, other).expect("they are there");
        let (ours, theirs) = (model.with_itself(one), model.with_itself(other));
        let expected: BTreeSet<Cid> = ours.intersection(&theirs).copied().collect();
        prop_assert_eq!(set(common.iter().copied()), expected);
        prop_assert!(is_in_order(&model, &cids(common)));
    }

    #[test]
    fn a_path_is_a_shortest_one_and_every_step_of_it_a_link(
        history in histories(), one in any::<Index>(), other in any::<Index>(),
    ) {
        let (dag, model, events) = graph(&history);
        let all = model.all();
        let (cause, effect) = (one.get(&all), other.get(&all));
        let path = dag.path(cause, effect).expect("they are there");
        let distance = model.distance(cause, effect);
        prop_assert_eq!(path.as_ref().map(|path| path.len() - 1), distance);
        let Some(path) = path else {
            return Ok(());
        };
        prop_assert_eq!(path[0].node.cid(), *cause);
        prop_assert_eq!(path[0].edge, None);
        prop_assert_eq!(path[path.len() - 1].node.cid(), *effect);
        for step in path.windows(2) {
            let (before, after) = (step[0].node.cid(), step[1].node.cid());
            let event = events.iter().find(|event| event.cid == after).expect("it is stored");
            let is_link = match step[1].edge {
                Some(EdgeKind::Previous) => event.envelope.previous == Some(before),
                Some(EdgeKind::Parent) => event.envelope.parents.contains(&before),
                _ => false,
            };
            prop_assert!(is_link);
        }
    }

    #[test]
    fn the_frontier_is_what_nothing_follows(history in histories()) {
        let (dag, model, events) = graph(&history);
        let is_cause = |cid: &Cid| model.causes.values().any(|causes| causes.contains(cid));
        let last = events.iter().map(|event| event.cid).filter(|cid| !is_cause(cid));
        prop_assert_eq!(set(dag.frontier()), last.collect());
    }

    #[test]
    fn equal_events_are_found_by_the_cid_of_their_payload(history in histories()) {
        let (dag, _, events) = graph(&history);
        for event in &events {
            let payload = event.envelope.payload;
            let equal = events.iter().filter(|other| other.envelope.payload == payload);
            prop_assert_eq!(set(dag.with_payload(&payload)), equal.map(|other| other.cid).collect());
        }
        prop_assert_eq!(dag.with_payload(&foreign(9)).count(), 0);
    }

    #[test]
    fn the_order_in_which_events_come_in_changes_no_answer(
        history in histories(), order in any::<Vec<Index>>(),
    ) {
        let (dag, model, events) = graph(&history);
        let mut shuffled = events.clone();
        for (at, index) in order.iter().enumerate().take(shuffled.len()) {
            let other = index.index(shuffled.len());
            shuffled.swap(at, other);
        }
        let mut other = EventDag::new(DagOptions::new());
        for event in shuffled.iter().chain(&shuffled) {
            other.insert(event).expect("there is room");
        }
        prop_assert_eq!((other.events(), other.edges()), (dag.events(), dag.edges()));
        prop_assert_eq!(other.bookmark(), dag.bookmark());
        for cid in model.all() {
            let node = other.get(&cid).expect("it is there");
            prop_assert_eq!(set(node.ancestors()), model.ancestors(&cid));
        }
    }
}

#[test]
fn a_parent_of_another_store_is_known_as_such_until_it_comes() {
    run(async {
        let (here, there) = (MemoryEventStore::new(), MemoryEventStore::new());
        let of_there = there.append(commit_of("there", vec![note(1)])).await;
        let cause = of_there.expect("it is stored").remove(0);
        let event = note(2).with_parents([cause.cid]);
        let effect = here.append(commit_of("here", vec![event])).await;
        let effect = effect.expect("it is stored").remove(0);
        let mut dag = EventDag::of(&here).await.expect("it is built");
        let node = dag.get(&cause.cid).expect("it is linked to");
        assert!(!node.is_known() && node.event().is_none());
        assert_eq!(cids(node.descendants()), [effect.cid]);
        assert_eq!((dag.events(), dag.len()), (1, 2));
        assert!(dag.insert(&cause).expect("there is room"));
        let node = dag.get(&cause.cid).expect("it is there");
        assert_eq!(node.event().map(|event| event.id), Some("there"));
        assert_eq!(cids(node.descendants()), [effect.cid]);
        assert_eq!((dag.events(), dag.len()), (2, 2));
    });
}

#[test]
fn what_is_not_in_the_graph_is_said_by_every_question() {
    let dag = EventDag::new(DagOptions::new());
    let cid = HashCode::Sha2_256.cid(b"nowhere");
    assert!(matches!(dag.get(&cid), Err(DagError::NotThere { .. })));
    assert!(matches!(
        dag.causal_closure([&cid]),
        Err(DagError::NotThere { .. })
    ));
    assert!(matches!(
        dag.common_ancestors(&cid, &cid),
        Err(DagError::NotThere { .. })
    ));
    assert!(matches!(
        dag.frontier_of([&cid]),
        Err(DagError::NotThere { .. })
    ));
    assert!(matches!(
        dag.path(&cid, &cid),
        Err(DagError::NotThere { .. })
    ));
    assert!(matches!(
        dag.drawing([&cid]),
        Err(DagError::NotThere { .. })
    ));
}

#[test]
fn a_chain_of_a_hundred_thousand_events_is_walked_without_a_deep_stack() {
    run(async {
        let store = MemoryEventStore::new();
        let mut last = None;
        for _ in 0..100 {
            let events = (0..1_000).map(note).collect();
            let stored = store.append(commit_of("long", events)).await;
            last = stored.expect("it is stored").pop();
        }
        let last = last.expect("there is one").cid;
        let dag = EventDag::of(&store).await.expect("it is built");
        let first = dag.nodes().next().expect("there is one").cid();
        let handle = std::thread::Builder::new()
            .stack_size(128 * 1024)
            .spawn(move || {
                let node = dag.get(&last).expect("it is there");
                assert_eq!(node.ancestors().count(), 99_999);
                assert_eq!(
                    dag.causal_closure([&last]).expect("it is there").len(),
                    100_000
                );
                let path = dag.path(&first, &last).expect("they are there");
                assert_eq!(path.map(|path| path.len()), Some(100_000));
            });
        handle
            .expect("a thread starts")
            .join()
            .expect("the stack is deep enough");
    });
}
