//! The inventory of a machine, from run to run, on machines that do not exist and on the one that runs the test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use cim_es::prelude::*;
use cim_es::store::EventStore;
use cim_es_examples::infrastructure::compute::ComputeCommand;
use cim_es_examples::infrastructure::software::{SoftwareCommand, SoftwareState};
use cim_es_examples::infrastructure::survey::found::{apk, dpkg, routes, system};
use cim_es_examples::infrastructure::survey::{Found, live, record};
use cim_es_examples::infrastructure::values::Interface;
use cim_es_examples::infrastructure::{Compute, Network, Software};
use tokio::task::JoinSet;

fn value<T: TryFrom<String, Error: std::fmt::Debug>>(text: &str) -> T {
    text.to_owned().try_into().expect("a value")
}

fn machine() -> Found {
    Found {
        machine: Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0001),
        hostname: value("server01"),
        system: value("x86_64-linux"),
        capacity: None,
        interfaces: vec![interface("eth0", "02:fc:00:00:00:01")],
        addresses: BTreeSet::from([(value("eth0"), value("10.1.0.7"), value("10.1.0.0/16"))]),
        routes: BTreeSet::from([value("0.0.0.0/0")]),
        packages: packages(&[("nginx", "1.9"), ("zip", "3.0")]),
        left_out: 0,
    }
}

fn interface(name: &str, mac: &str) -> Interface {
    Interface {
        name: value(name),
        mac: value(mac),
    }
}

fn packages<N: TryFrom<String, Error: std::fmt::Debug> + Ord, V>(
    list: &[(&str, &str)],
) -> BTreeMap<N, V>
where
    V: TryFrom<String, Error: std::fmt::Debug>,
{
    let entry = |(name, version): &(&str, &str)| (value(name), value(version));
    list.iter().map(entry).collect()
}

/// Surveys, and gives what was recorded, as `compute.registered 1`.
async fn survey(store: &(impl EventStore + Clone), found: &Found) -> Vec<String> {
    let changes = record(store.clone(), found, |_, _| {})
        .await
        .expect("it is recorded");
    let short = |name: &str| name.trim_start_matches("infrastructure.").to_owned();
    changes
        .iter()
        .map(|(name, count)| format!("{} {count}", short(name)))
        .collect()
}

#[tokio::test]
async fn a_new_machine_is_recorded_once() {
    let store = MemoryEventStore::new();
    assert_eq!(
        survey(&store, &machine()).await,
        [
            "compute.activated 1",
            "compute.interface_added 1",
            "compute.registered 1",
            "network.defined 2",
            "network.interface_attached 1",
            "software.configured 2",
            "software.deployed 2",
        ]
    );
    assert!(survey(&store, &machine()).await.is_empty());
}

#[tokio::test]
async fn what_changed_is_updated_and_what_vanished_is_removed() {
    let store = MemoryEventStore::new();
    survey(&store, &machine()).await;
    let mut found = machine();
    found.hostname = value("server02");
    found.interfaces = vec![interface("eth0", "02:fc:00:00:00:02")];
    found.addresses = BTreeSet::from([(value("eth0"), value("10.2.0.7"), value("10.2.0.0/16"))]);
    found.routes.clear();
    found.packages = packages(&[("nginx", "1.8"), ("curl", "8")]);
    assert_eq!(
        survey(&store, &found).await,
        [
            "compute.interface_added 1",
            "compute.interface_removed 1",
            "compute.renamed 1",
            "network.defined 1",
            "network.interface_attached 1",
            "network.interface_detached 1",
            "network.removed 2",
            "software.configured 1",
            "software.deployed 2",
            "software.reconfigured 1",
            "software.retired 1",
        ]
    );
    assert!(survey(&store, &found).await.is_empty());
    let names = |it: BTreeMap<Id<Software>, Software>| -> BTreeSet<String> {
        it.values()
            .map(|it| it.name.as_ref().expect("a name").to_string())
            .collect()
    };
    assert_eq!(
        names(live(&store).await.expect("it is read")),
        ["curl", "nginx"].map(String::from).into()
    );
    assert_eq!(live::<Network>(&store).await.expect("it is read").len(), 1);
    assert_eq!(live::<Compute>(&store).await.expect("it is read").len(), 1);
}

#[tokio::test]
async fn what_comes_back_is_recorded_anew() {
    let store = MemoryEventStore::new();
    survey(&store, &machine()).await;
    let mut without = machine();
    without.packages.clear();
    without.addresses.clear();
    survey(&store, &without).await;
    assert_eq!(
        survey(&store, &machine()).await,
        [
            "network.defined 1",
            "network.interface_attached 1",
            "software.configured 2",
            "software.deployed 2",
        ]
    );
}

#[tokio::test]
async fn another_address_in_the_same_network_is_attached_instead() {
    let store = MemoryEventStore::new();
    survey(&store, &machine()).await;
    let mut moved = machine();
    moved.addresses = BTreeSet::from([(value("eth0"), value("10.1.0.8"), value("10.1.0.0/16"))]);
    assert_eq!(
        survey(&store, &moved).await,
        [
            "network.interface_attached 1",
            "network.interface_detached 1"
        ]
    );
}

async fn execute<A>(store: &MemoryEventStore, id: Id<A>, command: A::Command)
where
    A: Decide + Aggregate<Id = Id<A>>,
    A::Command: Clone,
{
    let identity = MessageIdentity::new_from_user("test");
    let aggregates = Repository::<A>::new(store.clone());
    let executed = aggregates.execute(&id, command, &identity).await;
    executed.expect("it is accepted");
}

#[tokio::test]
async fn a_survey_that_was_cut_short_is_taken_up_by_the_next() {
    let (store, found) = (MemoryEventStore::new(), machine());
    let register = ComputeCommand::Register {
        hostname: found.hostname.clone(),
        system: found.system.clone(),
    };
    execute::<Compute>(&store, Id::from_uuid(found.machine), register).await;
    let configure = |name: &str, version: &str| SoftwareCommand::Configure {
        compute: Id::from_uuid(found.machine),
        name: value(name),
        version: value(version),
        dependencies: vec![],
    };
    // One was cut short before it was deployed, one while its new version was, and one is another version by now.
    let (zip, curl) = (Id::new(), Id::new());
    execute::<Software>(&store, Id::new(), configure("nginx", "1.9")).await;
    execute::<Software>(&store, zip, configure("zip", "2.0")).await;
    execute::<Software>(&store, zip, SoftwareCommand::Deploy).await;
    let version = value("3.0");
    let reconfigure = SoftwareCommand::Reconfigure {
        version,
        allow_downgrade: false,
    };
    execute::<Software>(&store, zip, reconfigure).await;
    execute::<Software>(&store, curl, configure("curl", "7")).await;

    let mut found = found;
    found.packages.insert(value("curl"), value("8"));
    let recorded = survey(&store, &found).await;
    assert!(recorded.contains(&"compute.activated 1".to_owned()));
    assert!(recorded.contains(&"software.deployed 4".to_owned()));
    assert!(recorded.contains(&"software.reconfigured 1".to_owned()));
    let computes = live::<Compute>(&store).await.expect("it is read");
    assert!(computes.values().all(|it| it.state().name() == "Active"));
    let programs = live::<Software>(&store).await.expect("it is read");
    assert_eq!(programs.len(), 3);
    assert!(
        programs
            .values()
            .all(|it| it.state() == SoftwareState::Deployed)
    );
    assert!(survey(&store, &found).await.is_empty());
}

#[tokio::test]
async fn an_interface_keeps_its_address_in_a_network_while_it_has_it() {
    let store = MemoryEventStore::new();
    let mut found = machine();
    found
        .interfaces
        .push(interface("eth1", "02:fc:00:00:00:02"));
    survey(&store, &found).await;
    // A further one that comes first, that of the network, and the same one on another interface.
    for (name, address) in [
        ("eth0", "10.1.0.5"),
        ("eth0", "10.1.0.0"),
        ("eth1", "10.1.0.7"),
    ] {
        let block = value("10.1.0.0/16");
        found.addresses.insert((value(name), value(address), block));
    }
    assert_eq!(survey(&store, &found).await, [""; 0]);
    let gone = (value("eth0"), value("10.1.0.7"), value("10.1.0.0/16"));
    found.addresses.remove(&gone);
    assert_eq!(
        survey(&store, &found).await,
        [
            "network.interface_attached 2",
            "network.interface_detached 1"
        ]
    );
    assert_eq!(survey(&store, &found).await, [""; 0]);
}

#[tokio::test]
async fn a_machine_in_maintenance_is_kept_current_and_a_decommissioned_one_is_left() {
    let (store, mut found) = (MemoryEventStore::new(), machine());
    survey(&store, &found).await;
    let id = Id::<Compute>::from_uuid(found.machine);
    let reason = value("a new board");
    execute::<Compute>(&store, id, ComputeCommand::BeginMaintenance { reason }).await;
    assert_eq!(survey(&store, &found).await, [""; 0]);
    found.hostname = value("server02");
    assert_eq!(survey(&store, &found).await, ["compute.renamed 1"]);

    let reason = value("worn");
    execute::<Compute>(&store, id, ComputeCommand::Decommission { reason }).await;
    let refused = record(store.clone(), &found, |_, _| {}).await;
    assert_eq!(
        refused.expect_err("it is not used any more").to_string(),
        format!(
            "this machine ({id}) is decommissioned in the inventory, so nothing is recorded of it any more"
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn surveys_that_race_record_each_thing_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = SqliteEventStore::open(directory.path().join("events.db")).expect("a file");
    let versions = ["1", "2"];
    for version in versions {
        let mut found = machine();
        let names = (0..60).map(|number| format!("program{number}"));
        found.packages = names.map(|name| (value(&name), value(version))).collect();
        let mut racing = JoinSet::new();
        for _ in 0..4 {
            let (store, found) = (store.clone(), found.clone());
            racing.spawn(async move { record(store, &found, |_, _| {}).await });
        }
        for outcome in racing.join_all().await {
            outcome.expect("none is in the way of another");
        }
        let programs = live::<Software>(&store).await.expect("it is read");
        assert_eq!(programs.len(), 60);
        assert!(
            programs
                .values()
                .all(|it| it.state() == SoftwareState::Deployed
                    && it.version == Some(value(version)))
        );
        assert!(survey(&store, &found).await.is_empty());
    }
    assert_eq!(live::<Network>(&store).await.expect("it is read").len(), 2);
}

#[tokio::test]
async fn two_machines_share_an_inventory_and_no_name() {
    let store = MemoryEventStore::new();
    survey(&store, &machine()).await;
    let mut other = machine();
    other.machine = Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0002);
    let refused = record(store.clone(), &other, |_, _| {}).await;
    let refused = refused.expect_err("the name is taken");
    let message = cim_es::ErrorChain(&refused).to_string();
    assert!(
        message.starts_with(
            "the machine was not recorded: hostname `server01` is held by infrastructure.compute "
        ),
        "{message}"
    );
    other.hostname = value("server02");
    other.interfaces = vec![interface("eth0", "02:fc:00:00:00:09")];
    survey(&store, &other).await;
    assert_eq!(live::<Compute>(&store).await.expect("it is read").len(), 2);
    assert_eq!(live::<Software>(&store).await.expect("it is read").len(), 4);
}

#[test]
fn installed_packages_are_read_from_dpkg_and_apk() {
    let status = "Package: nginx\nStatus: install ok installed\nArchitecture: all\nVersion: 1.9-1\n\n\
        Package: libc6\nStatus: hold ok installed\nArchitecture: amd64\nMulti-Arch: same\nVersion: 2.36-9+deb12u1\n\n\
        Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n";
    let pair = |name: &str, version: &str| (name.to_owned(), version.to_owned());
    assert_eq!(
        dpkg(status),
        [
            pair("nginx", "1.9-1"),
            pair("libc6:amd64", "2.36-9+deb12u1")
        ]
    );
    let installed = "C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\n\nP:busybox\nV:1.36.1-r29\n";
    assert_eq!(
        apk(installed),
        [pair("musl", "1.2.5-r0"), pair("busybox", "1.36.1-r29")]
    );
}

#[test]
fn a_system_is_named_as_nix_names_it() {
    for (own, expected) in [
        ("x86_64-linux", "x86_64-linux"),
        ("aarch64-macos", "aarch64-darwin"),
        ("ppc64le-linux", "powerpc64le-linux"),
        ("i586-freebsd", "i686-freebsd"),
    ] {
        assert_eq!(system(own), Ok(value(expected)), "{own}");
    }
    assert!(system("vax-linux").is_err());
}

#[test]
fn routes_with_a_gateway_are_read_from_the_kernel() {
    let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
        eth0\t0000100A\t010200C0\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        a line that is none\n";
    assert_eq!(
        routes(table),
        BTreeSet::from([value("0.0.0.0/0"), value("10.16.0.0/16")])
    );
}

#[test]
fn the_program_records_this_machine_and_then_finds_nothing_new() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("infrastructure.db");
    let run = || {
        let output = Command::new(env!("CARGO"))
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .args([
                "run",
                "--quiet",
                "--example",
                "infrastructure",
                "--",
                "--store",
            ])
            .arg(&store)
            .output()
            .expect("cargo starts");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let first = run();
    assert!(
        first.contains("1 infrastructure.compute.registered"),
        "{first}"
    );
    let second = run();
    assert!(
        second.starts_with("Nothing has changed: no event recorded."),
        "{second}"
    );
}
