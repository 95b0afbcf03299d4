//! Drawings in the language of Graphviz.

use std::fmt::Write;

use super::{Drawing, lines, numbers};
use crate::dag::graph::EdgeKind;

impl Drawing {
    /// As a graph for `dot`; arrows lead from a cause to what followed from it.
    pub fn dot(&self) -> String {
        let mut out =
            String::from("digraph events {\n  node [shape=box, fontname=\"sans-serif\"];\n");
        for (number, node) in self.nodes.iter().enumerate() {
            let label: Vec<_> = lines(node).iter().map(|line| escaped(line)).collect();
            let style = match node.what {
                "event" => "solid",
                "object" => "rounded",
                _ => "dashed",
            };
            let label = label.join("\\n");
            // Writing to a string does not fail.
            let _ = writeln!(out, "  n{number} [label=\"{label}\", style={style}];");
        }
        let numbers = numbers(&self.nodes);
        for edge in &self.edges {
            let (Some(effect), Some(cause)) = (numbers.get(&edge.from), numbers.get(&edge.to))
            else {
                continue;
            };
            let style = match edge.kind {
                EdgeKind::Previous => "solid",
                EdgeKind::Parent => "bold",
                EdgeKind::Link => "dotted",
            };
            let _ = writeln!(out, "  n{cause} -> n{effect} [style={style}];");
        }
        out.push_str("}\n");
        out
    }
}

/// A text within quotes: Graphviz reads escapes and the entities of HTML in it, and no control characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '&' => out.push_str("&amp;"),
            letter if letter.is_control() => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}
