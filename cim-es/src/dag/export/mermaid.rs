//! Drawings in the language of Mermaid.

use std::fmt::Write;

use super::{Drawing, lines, numbers};
use crate::dag::graph::EdgeKind;

impl Drawing {
    /// As a flowchart for Mermaid; arrows lead from a cause to what followed from it.
    pub fn mermaid(&self) -> String {
        let mut out = String::from("flowchart TD\n");
        for (number, node) in self.nodes.iter().enumerate() {
            let label: Vec<_> = lines(node).iter().map(|line| escaped(line)).collect();
            let label = label.join("<br/>");
            let (open, close) = match node.what {
                "event" => ("[", "]"),
                "object" => ("(", ")"),
                _ => ("{{", "}}"),
            };
            // Writing to a string does not fail.
            let _ = writeln!(out, "  n{number}{open}\"{label}\"{close}");
        }
        let numbers = numbers(&self.nodes);
        for edge in &self.edges {
            let (Some(effect), Some(cause)) = (numbers.get(&edge.from), numbers.get(&edge.to))
            else {
                continue;
            };
            let arrow = match edge.kind {
                EdgeKind::Previous => "-->",
                EdgeKind::Parent => "==>",
                EdgeKind::Link => "-.->",
            };
            let _ = writeln!(out, "  n{cause} {arrow} n{effect}");
        }
        out
    }
}

/// A text within quotes: whatever is not plain stands as an entity in the way of Mermaid.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            ' ' | '.' | ':' | '-' | '_' | '…' => out.push(letter),
            letter if letter.is_alphanumeric() => out.push(letter),
            letter if letter.is_control() => out.push('\u{fffd}'),
            letter => {
                // Writing to a string does not fail.
                let _ = write!(out, "#{};", u32::from(letter));
            }
        }
    }
    out
}
