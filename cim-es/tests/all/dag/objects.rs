//! Objects as nodes, and links in both directions.

use cim_es::MemoryEventStore;
use cim_es::block::{Cid, HashCode};
use cim_es::dag::{DagError, DagNode, DagOptions, EventDag};
use cim_es::prelude::Ipld;
use cim_es::store::{EventStore, NewEvent};

use crate::sqlite_support::{any, run};

fn block(value: Ipld) -> (Cid, Vec<u8>) {
    let bytes = serde_ipld_dagcbor::to_vec(&value).expect("it encodes");
    (HashCode::Sha2_256.cid(&bytes), bytes)
}

fn list(links: &[Cid]) -> Ipld {
    let links = links.iter().map(|cid| Ipld::Link(*cid));
    Ipld::List(
        links
            .chain([Ipld::Float(0.5), Ipld::Null, Ipld::Integer(1 << 40)])
            .collect(),
    )
}

fn cids<'a>(nodes: impl Iterator<Item = DagNode<'a>>) -> Vec<Cid> {
    let mut cids: Vec<_> = nodes.map(|node| node.cid()).collect();
    cids.sort();
    cids
}

#[test]
fn links_of_objects_and_payloads_are_walked_in_both_directions() {
    run(async {
        let (leaf, leaf_bytes) = block(Ipld::String("leaf".to_owned()));
        let (far, _) = block(Ipld::String("elsewhere".to_owned()));
        let (tree, tree_bytes) = block(list(&[leaf, far, leaf]));
        let (_, payload) = block(Ipld::Map(
            [
                ("float".to_owned(), Ipld::Float(1.5)),
                ("tree".to_owned(), list(&[tree])),
            ]
            .into(),
        ));
        let store = MemoryEventStore::new();
        let event = NewEvent::from_payload("test.note.written", 1, payload);
        let stored = store
            .append(any("a", vec![event]))
            .await
            .expect("it is stored");
        let event = stored[0].cid;
        let options = DagOptions::new().with_links();
        let mut dag = EventDag::with_options(&store, options)
            .await
            .expect("it is built");
        assert!(!dag.get(&tree).expect("it is linked to").is_known());
        assert!(dag.add_object(&tree, &tree_bytes).expect("there is room"));
        assert!(dag.add_object(&leaf, &leaf_bytes).expect("there is room"));
        assert!(!dag.add_object(&leaf, &leaf_bytes).expect("there is room"));
        let node = |cid: &Cid| dag.get(cid).expect("it is there");
        assert_eq!(cids(node(&event).links()), [tree]);
        assert!(node(&tree).is_object() && node(&leaf).is_object());
        let mut of_tree = [leaf, far];
        of_tree.sort();
        assert_eq!(cids(node(&tree).links()), of_tree);
        assert_eq!(cids(node(&tree).linked_from()), [event]);
        assert_eq!(cids(node(&leaf).linked_from()), [tree]);
        assert_eq!(cids(node(&far).linked_from()), [tree]);
        assert!(!node(&far).is_known());
        // They are no causes.
        assert_eq!(
            node(&event).ancestors().count() + node(&leaf).descendants().count(),
            0
        );
    });
}

#[test]
fn bytes_that_are_not_the_object_are_refused() {
    let mut dag = EventDag::new(DagOptions::new());
    let (leaf, bytes) = block(Ipld::String("leaf".to_owned()));
    let refused = dag.add_object(&leaf, b"other");
    assert!(
        matches!(refused, Err(DagError::NotTheObject { .. })),
        "{refused:?}"
    );
    let no_cbor = HashCode::Sha2_256.cid(&[0xff]);
    let refused = dag.add_object(&no_cbor, &[0xff]);
    assert!(
        matches!(refused, Err(DagError::NotTheObject { .. })),
        "{refused:?}"
    );
    assert!(dag.is_empty());
    assert!(dag.add_object(&leaf, &bytes).expect("there is room"));
}
