//! The report as text for people.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};

use super::domain::Compute;
use super::report::{EventRow, Outcome, Report, TamperReport, Verification};

/// How many characters of a CID the table shows: the last ones, since the first are the same in every CID.
const CID_END: usize = 8;

/// Prints what a run came to, at most `columns` wide but for single words that are wider.
///
/// # Errors
/// What keeps `out` from being written.
pub fn print(report: &Report, columns: u16, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", summary(report))?;
    writeln!(out, "Machine {} in {}\n", report.machine, report.store)?;
    writeln!(out, "{}\n", event_table(&report.events, columns).trim_fmt())?;
    let state = report.state;
    writeln!(
        out,
        "State: {state} (availability: {:?})",
        report.availability
    )?;
    for (name, value) in facts(&report.compute) {
        writeln!(out, "  {name:<17} {value}")?;
    }
    writeln!(out, "\nThe lifecycle, as a Mermaid diagram:\n")?;
    for line in report.diagram.lines() {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "\n{}", verified(&report.verification))?;
    out.flush()
}

/// Prints what came of one flipped byte.
///
/// # Errors
/// What keeps `out` from being written.
pub fn print_tampering(report: &TamperReport, out: &mut dyn Write) -> io::Result<()> {
    let tampering = &report.tampering;
    writeln!(
        out,
        "Copied {} and flipped one byte in the copy:",
        report.store
    )?;
    writeln!(
        out,
        "  byte {} of the file, {:#04x} made {:#04x}, in the payload of event {}, {}",
        tampering.offset, tampering.before, tampering.after, tampering.version, tampering.subject
    )?;
    writeln!(out, "  position  {}", tampering.position)?;
    writeln!(out, "  CID       {}\n", tampering.cid)?;
    writeln!(out, "Reading the copy gives this verdict:")?;
    writeln!(out, "  {}\n", tampering.verdict)?;
    writeln!(
        out,
        "The damage was detected. The store itself was only read:"
    )?;
    writeln!(out, "{}", verified(&report.verification))?;
    out.flush()
}

fn summary(report: &Report) -> String {
    let since = report.events.last().map_or("", |last| &last.time);
    match report.outcome {
        Outcome::Registered => format!("Registered this machine: {}.", recorded(report)),
        Outcome::Updated => format!("This machine has changed: {}.", recorded(report)),
        Outcome::Unchanged => format!("Nothing has changed since {since}: no event recorded."),
        Outcome::Decommissioned => format!("Decommissioned this machine: {}.", recorded(report)),
        Outcome::AlreadyDecommissioned => {
            format!("This machine was decommissioned at {since}: nothing is recorded any more.")
        }
    }
}

fn recorded(report: &Report) -> String {
    match report.recorded {
        1 => "1 event recorded".to_owned(),
        events => format!("{events} events recorded"),
    }
}

fn event_table(rows: &[EventRow], columns: u16) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(columns)
        .set_header(["#", "time (UTC)", "subject", "CID", "previous"]);
    for row in rows {
        table.add_row([
            row.version.to_string(),
            seconds(&row.time),
            row.subject.clone(),
            short(Some(&row.cid)),
            short(row.previous.as_ref()),
        ]);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        match index {
            0 => column.set_cell_alignment(CellAlignment::Right),
            // In a narrow terminal a subject is broken between its tokens.
            2 => drop(column.set_delimiter('.')),
            _ => drop(column.set_constraint(ColumnConstraint::ContentWidth)),
        }
    }
    table
}

/// `2026-01-31T12:00:00.123456Z` without what is finer than a second.
fn seconds(time: &str) -> String {
    let time = time.split_once('.').map_or(time, |(seconds, _)| seconds);
    time.trim_end_matches('Z').replace('T', " ")
}

fn short(cid: Option<&String>) -> String {
    match cid {
        Some(cid) => match cid.char_indices().rev().nth(CID_END - 1) {
            Some((start, _)) => format!("…{}", &cid[start..]),
            None => cid.clone(),
        },
        None => "none".to_owned(),
    }
}

/// What is known of a machine, as names and values.
fn facts(compute: &Compute) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(hostname) = &compute.hostname {
        facts.push(("host name", hostname.to_string()));
    }
    if let Some(system) = &compute.system {
        facts.push(("system", system.to_string()));
    }
    if let Some(known) = &compute.capabilities {
        facts.push(("operating system", known.operating_system.to_string()));
        facts.push((
            "processor",
            format!("{}, {} cores", known.processor, known.cores),
        ));
        facts.push(("memory", size(u128::from(known.memory_mib) << 20)));
    }
    for disk in &compute.disks {
        let value = format!(
            "{}, {}, {}",
            disk.device,
            size(disk.bytes.into()),
            disk.file_system
        );
        facts.push(("disk", value));
    }
    for interface in &compute.interfaces {
        facts.push((
            "network interface",
            format!("{}, {}", interface.name, interface.mac),
        ));
    }
    if let Some(reason) = &compute.reason {
        facts.push(("decommissioned", reason.to_string()));
    }
    facts
}

/// A size in the largest binary unit that leaves a whole number before the point.
fn size(bytes: u128) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut unit = 0;
    while unit + 1 < UNITS.len() && bytes >> (10 * (unit + 1)) > 0 {
        unit += 1;
    }
    let tenths = (bytes * 10) >> (10 * unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

fn verified(verification: &Verification) -> String {
    let head = verification.head.as_deref().unwrap_or("none");
    format!(
        "Verified: each of the {} events hashes to its CID and links to the one before, up to the head\n{head}",
        verification.events
    )
}
