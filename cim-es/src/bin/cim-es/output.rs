//! What the program prints: lines and tables for people, JSON for programs.

use std::borrow::Cow;
use std::io::{self, BufWriter, Stdout, Write};

use anstream::{AutoStream, eprintln};
use clap::builder::styling::Style;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::failure::Failure;

/// After how many rows a table decides how wide its columns are.
const MEASURED: usize = 100;
/// What stands between two columns.
const GAP: &str = "  ";

/// The standard output: with colour on a terminal, and without where it is none.
pub struct Output {
    out: BufWriter<AutoStream<Stdout>>,
    /// Whether a program reads it: then each line of stderr is an object as well.
    is_json: bool,
}

impl Output {
    pub fn new(is_json: bool) -> Self {
        Self {
            out: BufWriter::with_capacity(64 * 1024, AutoStream::auto(io::stdout())),
            is_json,
        }
    }

    /// One line for a person. Control characters of what is stored do nothing to the terminal.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{}", shown(text))?)
    }

    /// One object of JSON on a line of its own.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.out, value).map_err(io::Error::from)?;
        Ok(self.out.write_all(b"\n")?)
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        // Past the stream that takes colours out of texts.
        self.out.flush()?;
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        Ok(stdout.flush()?)
    }

    /// A remark on stderr, behind what was printed so far.
    pub fn note(&mut self, text: &str) -> Result<(), Failure> {
        self.flush()?;
        match self.is_json {
            true => eprintln!("{}", serde_json::json!({ "note": text })),
            false => eprintln!("{}", shown(text)),
        }
        Ok(())
    }

    /// Lets a reader have what was printed.
    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }
}

/// A text in which nothing acts on a terminal: control characters, and those that turn the direction of a text, stand as
/// escapes.
pub fn shown(text: &str) -> Cow<'_, str> {
    let acts = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match acts(character) {
            true => safe.extend(character.escape_unicode()),
            false => safe.push(character),
        }
    }
    Cow::Owned(safe)
}

/// A number of things, in words: `1 event`, `2 events`.
pub fn counted(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

/// A table without borders, printed as its rows come: its first rows say how wide the columns are.
pub struct Table {
    head: Vec<&'static str>,
    is_right: Vec<bool>,
    widths: Vec<usize>,
    waiting: Vec<Row>,
    is_begun: bool,
}

/// A row, and what stands below it.
struct Row {
    cells: Vec<String>,
    below: Option<String>,
}

impl Table {
    /// A table with the names of its columns; numbers, whose names begin with `#`, are set to the right.
    pub fn new(columns: &[&'static str]) -> Self {
        let names = columns.iter().map(|name| name.trim_start_matches('#'));
        let head: Vec<_> = names.collect();
        Self {
            widths: head.iter().map(|name| name.width()).collect(),
            head,
            is_right: columns.iter().map(|name| name.starts_with('#')).collect(),
            waiting: Vec::new(),
            is_begun: false,
        }
    }

    /// Adds a row, and a line below it.
    pub fn row(
        &mut self,
        output: &mut Output,
        cells: Vec<String>,
        below: Option<String>,
    ) -> Result<(), Failure> {
        // A line break would begin another row.
        let safe = |text: String| shown(&text).replace('\n', "\\n");
        let cells = cells.into_iter().map(safe).collect();
        self.waiting.push(Row {
            cells,
            below: below.map(safe),
        });
        match self.is_begun || self.waiting.len() >= MEASURED {
            true => self.print(output),
            false => Ok(()),
        }
    }

    /// Prints the rows that wait.
    pub fn print(&mut self, output: &mut Output) -> Result<(), Failure> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        if !self.is_begun {
            self.is_begun = true;
            for row in &self.waiting {
                for (width, cell) in self.widths.iter_mut().zip(&row.cells) {
                    *width = (*width).max(cell.width());
                }
            }
            let head: Vec<_> = self.head.iter().map(|name| (*name).to_owned()).collect();
            let (bold, line) = (Style::new().bold(), self.line(&head));
            writeln!(output.out, "{bold}{line}{bold:#}")?;
        }
        for row in std::mem::take(&mut self.waiting) {
            writeln!(output.out, "{}", self.line(&row.cells))?;
            if let Some(below) = row.below {
                writeln!(output.out, "{GAP}{below}")?;
            }
        }
        Ok(())
    }

    fn line(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for (at, cell) in cells.iter().enumerate() {
            let padding = " ".repeat(self.widths[at].saturating_sub(cell.width()));
            match self.is_right[at] {
                true => line.extend([padding.as_str(), cell]),
                false => line.extend([cell, padding.as_str()]),
            }
            line.push_str(GAP);
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_text_does_nothing_to_a_terminal() {
        assert_eq!(shown("a\u{1b}[31mb\u{202e}c"), "a\\u{1b}[31mb\\u{202e}c");
        assert_eq!(shown("Größe 北"), "Größe 北");
    }

    #[test]
    fn columns_are_as_wide_as_what_they_show() {
        let mut table = Table::new(&["NAME", "#COUNT"]);
        table.widths = vec![6, 5];
        let cells = |name: &str, count: &str| [name.to_owned(), count.to_owned()];
        assert_eq!(table.line(&cells("北京", "7")), "北京        7");
        assert_eq!(table.line(&cells("a", "12345678")), "a       12345678");
    }
}
