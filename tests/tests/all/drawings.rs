//! Graphviz and Mermaid read what is drawn for them, and see the nodes and links that there are, whatever the names.

use cim_es::MemoryEventStore;
use cim_es::aggregate::IdText;
use cim_es::block::{Cid, HashCode};
use cim_es::dag::{Drawing, EventDag};
use cim_es::store::{AggregateKey, EventStore, ExpectedVersion};
use cim_es_tests::node;
use serde_json::{Value, json};

use crate::jetstream::sample::{commit, notes};

/// Ids that mean something to Graphviz, to Mermaid, or to HTML.
const HOSTILE: [&str; 18] = [
    "plain",
    "quote\" ] n9 [label=\"x",
    "quote\"]; n8 --> n9; n9[\"",
    "back\\slash\\",
    "\\N \\G \\l",
    "<script>alert(1)</script>",
    "<b>bold</b><br/>",
    "&amp; &lt; &#34; #quot; #35;",
    "`markdown` **bold**",
    "end",
    "a --> b; subgraph x",
    "%% comment",
    "%%{init: {}}%%",
    "[{(|/\\|)}]",
    "ünïcödé 漢字 🙂",
    "\u{202e}right to left",
    "tab\tand\u{7f}delete",
    "line\nbreak\r\n",
];

const CHECK: &str = r#"
import { JSDOM } from "jsdom";
import { Graphviz } from "@hpcc-js/wasm-graphviz";
const { window } = new JSDOM("");
globalThis.window = window;
globalThis.document = window.document;
const { default: mermaid } = await import("mermaid");
let text = "";
for await (const chunk of process.stdin.setEncoding("utf8")) text += chunk;
const graphviz = await Graphviz.load();
const seen = [];
for (const { dot, chart } of JSON.parse(text)) {
    const svg = graphviz.layout(dot, "svg", "dot");
    const count = (name) => svg.split(`class="${name}"`).length - 1;
    // It knows the kinds of diagrams only once it has read one.
    await mermaid.parse(chart);
    const diagram = await mermaid.mermaidAPI.getDiagramFromText(chart);
    seen.push({
        graphviz: [count("node"), count("edge")],
        mermaid: [diagram.db.getVertices().size, diagram.db.getEdges().length],
    });
}
console.log(JSON.stringify(seen));
"#;

async fn drawn(ids: &[&str]) -> Drawing {
    let store = MemoryEventStore::new();
    let elsewhere = HashCode::Sha2_256.cid(b"elsewhere");
    let mut cids: Vec<Cid> = vec![elsewhere];
    for id in ids {
        let key = AggregateKey::new("contract.sample", IdText::new(id).unwrap());
        let mut events = notes([1, 2]);
        let parents = [cids[0], cids[cids.len() - 1]];
        events[0] = events[0].clone().with_parents(parents);
        let commit = commit().aggregate(key, ExpectedVersion::Any, events);
        let stored = store.append(commit).await.unwrap();
        cids.extend(stored.iter().map(|event| event.cid));
    }
    let dag = EventDag::of(&store).await.unwrap();
    dag.drawing(&cids).unwrap()
}

#[tokio::test]
async fn graphviz_and_mermaid_see_the_nodes_and_links_that_there_are() {
    let Some(home) = node::packages("drawings against Graphviz and Mermaid") else {
        return;
    };
    let one_by_one = HOSTILE.iter().map(std::slice::from_ref);
    let (mut drawings, mut input) = (Vec::new(), Vec::new());
    for ids in std::iter::once(&HOSTILE[..]).chain(one_by_one) {
        let drawing = drawn(ids).await;
        input.push(json!({ "dot": drawing.dot(), "chart": drawing.mermaid() }));
        drawings.push((ids, drawing));
    }
    // All by one program: to start it takes longer than to read any of them.
    let seen = node::run(home, CHECK, &json!(input).to_string());
    let seen: Vec<Value> = serde_json::from_str(&seen.unwrap()).unwrap();
    assert_eq!(seen.len(), drawings.len());
    for (seen, (ids, drawing)) in seen.iter().zip(&drawings) {
        let expected = json!([drawing.nodes.len(), drawing.edges.len()]);
        assert_eq!(seen["graphviz"], expected, "{ids:?}: {}", drawing.dot());
        assert_eq!(seen["mermaid"], expected, "{ids:?}: {}", drawing.mermaid());
    }
}

#[tokio::test]
async fn what_is_not_a_drawing_is_refused_by_the_tools() {
    let Some(home) = node::packages("that Graphviz and Mermaid refuse anything") else {
        return;
    };
    let drawing = drawn(&["plain"]).await;
    let broken = drawing.dot().replace("];", "");
    let input = json!([{ "dot": broken, "chart": drawing.mermaid() }]);
    assert!(node::run(home, CHECK, &input.to_string()).is_err());
    let broken = drawing.mermaid().replace("\"]", "");
    let input = json!([{ "dot": drawing.dot(), "chart": broken }]);
    assert!(node::run(home, CHECK, &input.to_string()).is_err());
}
