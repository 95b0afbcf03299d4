//! Drawings for other tools, whatever the names are.

use cim_es::MemoryEventStore;
use cim_es::aggregate::IdText;
use cim_es::block::Cid;
use cim_es::dag::{DagOptions, Drawing, EventDag};
use cim_es::store::{AggregateKey, EventStore, ExpectedVersion};

use crate::dag::model::foreign;
use crate::sqlite_support::{commit, note, run};

/// Ids that mean something to Graphviz, to Mermaid, or to HTML.
const HOSTILE: [&str; 14] = [
    "quote\" ] n9 [label=\"x",
    "back\\slash\\",
    "\\N \\G \\l",
    "<script>alert(1)</script>",
    "&amp; &lt; &#34; #quot; #35;",
    "`markdown`",
    "end",
    "a --> b; subgraph x",
    "%% comment",
    "[{(|/\\|)}]",
    "ünïcödé 漢字 🙂",
    "\u{202e}right to left",
    "tab\tand\u{7f}delete",
    "line\nbreak",
];

pub async fn hostile() -> (EventDag, Drawing) {
    let store = MemoryEventStore::new();
    let mut cids: Vec<Cid> = Vec::new();
    for id in HOSTILE {
        let key = AggregateKey::new("test.note", IdText::new(id).expect("an id"));
        let event = note(1).with_parents(cids.last().copied().into_iter().chain([foreign(1)]));
        let commit = commit().aggregate(key, ExpectedVersion::Any, vec![event, note(2)]);
        let stored = store.append(commit).await.expect("it is stored");
        cids.extend(stored.iter().map(|event| event.cid));
    }
    let dag = EventDag::with_options(&store, DagOptions::new()).await;
    let dag = dag.expect("it is built");
    cids.push(foreign(1));
    let drawing = dag.drawing(&cids).expect("all are there");
    (dag, drawing)
}

#[test]
fn a_drawing_has_each_node_once_and_the_links_between_them_alone() {
    run(async {
        let (dag, drawing) = hostile().await;
        assert_eq!(drawing.nodes.len(), dag.len());
        assert_eq!(drawing.edges.len(), dag.edges());
        let first = drawing.nodes[0].cid;
        let second = drawing.nodes[1].cid;
        let part = dag
            .drawing([&second, &first, &second])
            .expect("they are there");
        assert_eq!((part.nodes.len(), part.edges.len()), (2, 1));
        assert_eq!((part.edges[0].from, part.edges[0].to), (second, first));
    });
}

#[test]
fn json_has_what_is_known_of_each_node_and_link() {
    run(async {
        let (_, drawing) = hostile().await;
        let json: serde_json::Value = serde_json::from_str(&drawing.json()).expect("it is JSON");
        let nodes = json["nodes"].as_array().expect("a list");
        for (node, drawn) in nodes.iter().zip(&drawing.nodes) {
            assert_eq!(node["cid"], drawn.cid.to_string());
            assert_eq!(node["what"], drawn.what);
            if let Some(event) = &drawn.event {
                assert_eq!(node["type"], "test.note.written");
                assert_eq!(node["subject"], "test.note.written");
                assert_eq!(node["aggregate"]["kind"], "test.note");
                assert_eq!(node["aggregate"]["id"], event.aggregate.id);
                assert_eq!(node["version"], event.version);
                assert_eq!(node["position"], event.position.0);
                assert_eq!(node["time"], event.time.to_string());
            }
        }
        assert_eq!(nodes[nodes.len() - 1]["what"], "unknown");
        let edges = json["edges"].as_array().expect("a list");
        assert_eq!(edges.len(), drawing.edges.len());
        let kinds: Vec<_> = edges.iter().map(|edge| edge["kind"].as_str()).collect();
        assert!(kinds.contains(&Some("previous")) && kinds.contains(&Some("parent")));
        assert_eq!(edges[0]["from"], drawing.edges[0].from.to_string());
    });
}

#[test]
fn no_name_ends_a_label_or_begins_a_line() {
    run(async {
        let (_, drawing) = hostile().await;
        let nodes = drawing.nodes.len();
        let edges = drawing.edges.len();
        let dot = drawing.dot();
        assert_eq!(dot.lines().count(), 2 + nodes + edges + 1);
        for line in dot.lines().skip(2).take(nodes) {
            assert!(line.starts_with("  n") && line.ends_with("];"), "{line}");
            // But for those that are escaped, there are two quotes.
            let plain = line.replace("\\\\", "").replace("\\\"", "");
            assert_eq!(plain.matches('"').count(), 2, "{line}");
        }
        let mermaid = drawing.mermaid();
        assert_eq!(mermaid.lines().count(), 1 + nodes + edges);
        for line in mermaid.lines().skip(1).take(nodes) {
            assert_eq!(line.matches('"').count(), 2, "{line}");
            let label = line
                .split('"')
                .nth(1)
                .expect("a label")
                .replace("<br/>", "");
            assert!(
                !label.contains(['<', '>', '&', '`', '\\', '[', ']']),
                "{line}"
            );
        }
    });
}
