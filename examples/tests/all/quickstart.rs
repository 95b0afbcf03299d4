//! The first program, from the command line to what it prints and stores, on a machine that does not exist.

use std::fs;
use std::process::ExitCode;

use crate::support::{Machine, disk, interface};
use serde_json::{Value, json};

const PREFIX: &str = "infrastructure.compute.";

/// The operations of the events for which `is_wanted` holds, in order.
fn operations(report: &Value, is_wanted: impl Fn(&Value) -> bool) -> Vec<&str> {
    let operation = |event| -> Option<&str> {
        let subject = Value::as_str(event)?;
        subject.strip_prefix(PREFIX)
    };
    let events = report["events"].as_array().expect("events");
    let wanted = events.iter().filter(|event| is_wanted(event));
    let operations = wanted.map(|event| operation(&event["subject"]));
    operations
        .collect::<Option<_>>()
        .expect("subjects of this domain")
}

fn recorded_ever(report: &Value) -> Vec<&str> {
    operations(report, |_| true)
}

/// The operations of the events that the run itself recorded.
fn recorded(report: &Value) -> Vec<&str> {
    operations(report, |event| event["is_new"] == true)
}

#[test]
fn the_first_run_registers_the_machine() {
    let report = Machine::new().run(&["--json"]).json();
    assert_eq!(report["outcome"], "registered");
    assert_eq!(
        recorded_ever(&report),
        ["registered", "updated", "disk_added", "interface_added"]
    );
    assert_eq!(report["recorded"], 4);
    assert_eq!(report["state"], "Active");
    assert_eq!(report["availability"], "Schedulable");
    assert_eq!(report["compute"]["hostname"], "node-1.example.org");
    assert_eq!(report["compute"]["capabilities"]["cores"], 8);
    assert_eq!(report["compute"]["disks"][0]["bytes"], 1_u64 << 40);
    assert_eq!(report["events"][3]["data"]["interface"]["name"], "eth0");
}

#[test]
fn the_events_form_a_chain_up_to_the_head() {
    let report = Machine::new().run(&["--json"]).json();
    let events = report["events"].as_array().expect("events");
    assert_eq!(events[0]["previous"], Value::Null);
    for (index, pair) in events.windows(2).enumerate() {
        assert_eq!(pair[1]["previous"], pair[0]["cid"]);
        assert_eq!(pair[0]["version"], index + 1);
    }
    let head = &events[events.len() - 1]["cid"];
    assert_eq!(
        report["verification"],
        json!({"verified": true, "events": events.len(), "head": head})
    );
}

#[test]
fn a_run_on_an_unchanged_machine_records_nothing_and_says_so() {
    let machine = Machine::new();
    let first = machine.run(&["--json"]).json();
    let second = machine.run(&["--json"]).json();
    assert_eq!(second["outcome"], "unchanged");
    assert_eq!(second["recorded"], 0);
    assert_eq!(second["verification"], first["verification"]);
    let text = machine.run(&[]).out;
    assert!(text.starts_with("Nothing has changed since "), "{text}");
}

#[test]
fn a_run_on_a_changed_machine_records_only_what_changed() {
    let mut machine = Machine::new();
    machine.run(&[]);
    machine.host.capabilities.memory_mib *= 2;
    machine
        .host
        .interfaces
        .push(interface("eth1", "02:fc:00:00:00:02"));
    let report = machine.run(&["--json"]).json();
    assert_eq!(report["outcome"], "updated");
    assert_eq!(recorded(&report), ["updated", "interface_added"]);
    assert_eq!(report["compute"]["capabilities"]["memory_mib"], 32_768);

    machine.host.interfaces.remove(0);
    let report = machine.run(&["--json"]).json();
    assert_eq!(recorded(&report), ["interface_removed"]);
    assert_eq!(
        report["compute"]["interfaces"],
        json!([{"name": "eth1", "mac": "02:fc:00:00:00:02"}])
    );
}

#[test]
fn a_device_that_changed_is_removed_and_added_again() {
    let mut machine = Machine::new();
    machine.run(&[]);
    machine.host.disks = vec![disk("/dev/sda1", 2 << 40)];
    let report = machine.run(&["--json"]).json();
    assert_eq!(recorded(&report), ["disk_removed", "disk_added"]);
    assert_eq!(report["compute"]["disks"][0]["bytes"], 2_u64 << 40);
}

#[test]
fn a_new_name_leaves_it_the_same_machine() {
    let mut machine = Machine::new();
    let before = machine.run(&["--json"]).json();
    machine.host.hostname = "node-2".parse().expect("a name");
    let after = machine.run(&["--json"]).json();
    assert_eq!(recorded(&after), ["renamed"]);
    assert_eq!(after["machine"], before["machine"]);
    assert_eq!(after["compute"]["hostname"], "node-2");
}

#[test]
fn two_machines_share_a_store_and_each_sees_its_own_history() {
    let mut machine = Machine::new();
    machine.run(&[]);
    machine.host.machine = uuid::Uuid::from_u128(2);
    let report = machine.run(&["--json"]).json();
    assert_eq!(report["outcome"], "registered");
    assert_eq!(report["events"].as_array().map(Vec::len), Some(4));
    assert_eq!(report["events"][0]["version"], 1);
}

#[test]
fn runs_at_the_same_time_record_each_fact_once() {
    let machine = Machine::new();
    let reports: Vec<Value> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| machine.run(&["--json"]).json()))
            .collect();
        runs.into_iter()
            .map(|run| run.join().expect("a run"))
            .collect()
    });
    let recorded_by_all: u64 = reports
        .iter()
        .filter_map(|report| report["recorded"].as_u64())
        .sum();
    let history = machine.run(&["--json"]).json();
    assert_eq!(recorded_by_all, 4, "{reports:?}");
    assert_eq!(recorded_ever(&history).len(), 4);
}

#[test]
fn decommissioning_ends_the_history_and_later_runs_say_so() {
    let mut machine = Machine::new();
    machine.run(&[]);
    let report = machine.run(&["--json", "--decommission", "sold"]).json();
    assert_eq!(report["outcome"], "decommissioned");
    assert_eq!(recorded(&report), ["decommissioned"]);
    assert_eq!(report["state"], "Decommissioned");
    assert_eq!(report["availability"], "None");
    assert_eq!(report["compute"]["reason"], "sold");

    machine.host.capabilities.cores = 1;
    let later = machine.run(&["--json"]).json();
    assert_eq!(later["outcome"], "already_decommissioned");
    assert_eq!(later["recorded"], 0);
    let text = machine.run(&[]).out;
    assert!(
        text.starts_with("This machine was decommissioned at "),
        "{text}"
    );
    assert!(text.contains("sold"), "{text}");
}

#[test]
fn decommissioning_twice_is_refused() {
    let machine = Machine::new();
    machine.run(&[]);
    machine.run(&["--decommission", "sold"]);
    let again = machine.run(&["--decommission", "sold"]);
    let message = again.refusal(1);
    assert!(
        message.starts_with("`Decommission` is not accepted in state `Decommissioned`"),
        "{message}"
    );
}

#[test]
fn decommissioning_a_machine_that_is_not_registered_is_refused() {
    let mut machine = Machine::new();
    let ran = machine.run(&["--decommission", "sold"]);
    assert!(ran.refusal(1).contains("does not exist"), "{ran:?}");
    assert!(!machine.store().exists());

    machine.run(&[]);
    machine.host.machine = uuid::Uuid::from_u128(2);
    let ran = machine.run(&["--decommission", "sold"]);
    assert!(
        ran.refusal(1)
            .contains("is not accepted in state `Unregistered`"),
        "{ran:?}"
    );
}

#[test]
fn the_text_tells_what_the_json_tells() {
    for columns in [80, 100, 120] {
        let mut machine = Machine::new();
        machine.columns = columns;
        machine.run(&[]);
        let report = machine.run(&["--json"]).json();
        let text = machine.run(&[]).out;
        for event in report["events"].as_array().expect("events") {
            let cid = event["cid"].as_str().expect("a CID");
            let end = format!("…{}", &cid[cid.len() - 8..]);
            let version = format!(" {} ", event["version"]);
            let time = event["time"].as_str().expect("a time")[..19].replace('T', " ");
            let row = text
                .lines()
                .find(|line| line.contains(&version) && line.contains(&time));
            let row = row.unwrap_or_else(|| panic!("no row for {event} in {text}"));
            assert!(row.contains(&end), "{row}");
            let subject = event["subject"].as_str().expect("a subject");
            assert!(columns < 100 || row.contains(subject), "{row}");
        }
        let head = report["verification"]["head"].as_str().expect("a head");
        assert!(text.contains(head), "{text}");
        let diagram = report["diagram"].as_str().expect("a diagram");
        assert!(diagram.starts_with("stateDiagram-v2"), "{diagram}");
        for line in diagram.lines() {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
        for fact in [
            "node-1.example.org",
            "x86_64",
            "Debian 13",
            "16.0 GiB",
            "1.0 TiB",
            "eth0",
        ] {
            assert!(text.contains(fact), "{fact} is missing in {text}");
        }
        let widest = text.lines().map(|line| line.chars().count()).max();
        let table_edge = text
            .lines()
            .find(|line| line.starts_with('┌'))
            .expect("a table");
        assert!(
            table_edge.chars().count() <= usize::from(columns),
            "{widest:?}"
        );
    }
}

#[test]
fn one_flipped_byte_in_a_copy_is_detected_and_located() {
    let machine = Machine::new();
    let history = machine.run(&["--json"]).json();
    let before = fs::read(machine.store()).expect("the store");
    let report = machine.run(&["--json", "--tamper"]).json();
    let tampering = &report["tampering"];
    let event = &history["events"][2];
    for key in ["cid", "subject", "version", "position"] {
        assert_eq!(tampering[key], event[key], "{key}");
    }
    assert_eq!(tampering["verdict_cid"], event["cid"]);
    assert_eq!(tampering["verdict_position"], event["position"]);
    assert!(
        tampering["verdict"]
            .as_str()
            .is_some_and(|text| text.contains("tampered"))
    );
    assert_ne!(tampering["before"], tampering["after"]);
    assert_eq!(report["verification"], history["verification"]);
    assert_eq!(fs::read(machine.store()).expect("the store"), before);

    let ran = machine.run(&["--tamper"]);
    assert_eq!(ran.code, ExitCode::SUCCESS);
    assert!(ran.out.contains("The damage was detected."), "{}", ran.out);
    assert!(
        ran.out.contains(event["cid"].as_str().expect("a CID")),
        "{}",
        ran.out
    );
}

#[test]
fn tampering_needs_a_history() {
    let mut machine = Machine::new();
    assert!(
        machine
            .run(&["--tamper"])
            .refusal(1)
            .contains("does not exist")
    );
    machine.run(&[]);
    machine.host.machine = uuid::Uuid::from_u128(2);
    assert!(
        machine
            .run(&["--tamper"])
            .refusal(1)
            .contains("has no history of this machine")
    );
}

#[test]
fn damage_in_the_store_itself_is_an_error() {
    let machine = Machine::new();
    machine.run(&[]);
    // The name of the host stands in the first payload.
    let mut bytes = fs::read(machine.store()).expect("the store");
    let name = b"node-1.example.org";
    let places: Vec<_> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(name))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] = b'm';
    }
    fs::write(machine.store(), bytes).expect("the store");
    let ran = machine.run(&[]);
    assert!(ran.refusal(1).contains("damaged"), "{ran:?}");
}

#[test]
fn a_store_in_a_new_directory_is_made_with_it() {
    let machine = Machine::new();
    let store = machine.directory().join("a/b/machine.db");
    let report = machine
        .run(&["--json", "--store", &store.to_string_lossy()])
        .json();
    assert_eq!(report["store"], store.to_string_lossy().as_ref());
    assert!(store.is_file());
    assert!(!machine.store().exists());
}

#[test]
fn a_store_that_cannot_be_is_one_clear_line() {
    let machine = Machine::new();
    let directory = machine.directory().to_string_lossy().into_owned();
    let ran = machine.run(&["--store", &directory]);
    assert_eq!(
        ran.refusal(1).trim_end(),
        format!("{directory} is a directory: name a file with --store FILE")
    );

    let text = machine.directory().join("notes.txt");
    fs::write(
        &text,
        "not a database, but longer than the header of one would be\n".repeat(9),
    )
    .expect("a file");
    let ran = machine.run(&["--store", &text.to_string_lossy()]);
    assert!(ran.refusal(1).contains("notes.txt"), "{ran:?}");

    let under_a_file = text.join("machine.db");
    let ran = machine.run(&["--store", &under_a_file.to_string_lossy()]);
    assert!(ran.refusal(1).contains("cannot be made"), "{ran:?}");
}

#[test]
fn a_wrong_command_line_says_what_is_wrong_and_exits_with_2() {
    let machine = Machine::new();
    let wrong: [(&[&str], &str); 5] = [
        (&["--stor", "x"], "'--stor'"),
        (&["extra"], "'extra'"),
        (&["--decommission", ""], "reason"),
        (&["--decommission"], "a value is required"),
        (
            &["--tamper", "--decommission", "sold"],
            "cannot be used with",
        ),
    ];
    for (args, said) in wrong {
        let ran = machine.run(args);
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (ExitCode::from(2), ""),
            "{args:?}"
        );
        let first = ran.err.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("error: ") && ran.err.contains(said),
            "{}",
            ran.err
        );
    }
    assert!(!machine.store().exists());
}

#[test]
fn help_goes_to_the_output() {
    let ran = Machine::new().run(&["--help"]);
    assert_eq!((ran.code, ran.err.as_str()), (ExitCode::SUCCESS, ""));
    assert!(ran.out.contains("--decommission <REASON>"), "{}", ran.out);
}
