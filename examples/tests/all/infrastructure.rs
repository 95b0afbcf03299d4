//! The rules of the infrastructure domain: as tables on its page, over generated histories, and value by value.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use crate::accepted::is_accepted;
use cim_es::prelude::*;
use cim_es::testing::proptest::prelude::*;
use cim_es::testing::proptest::sample::select;
use cim_es::testing::{Specification, check_machine, given, given_nothing};
use cim_es_examples::infrastructure::connection::Medium;
use cim_es_examples::infrastructure::site::{SiteCommand, SiteError, SiteEvent};
use cim_es_examples::infrastructure::values::*;
use cim_es_examples::infrastructure::*;

fn text<T: TryFrom<String>>(text: &str) -> T
where
    T::Error: Debug,
{
    text.to_owned().try_into().expect("a value")
}

fn id(number: u128) -> Id<Compute> {
    Id::from_uuid(Uuid::from_u128(
        0x0197_0000_0000_7000_8000_0000_0000_0000 + number,
    ))
}

fn capacity(cores: u32, memory_mib: u32) -> Capacity {
    let positive = |number: u32| number.try_into().expect("positive");
    Capacity {
        cores: positive(cores),
        memory_mib: positive(memory_mib),
    }
}

fn interface(name: &str, last: u8) -> Interface {
    Interface {
        name: text(name),
        mac: text(&format!("02:fc:00:00:00:{last:02x}")),
    }
}

fn port(compute: u128, name: &str) -> InterfaceRef {
    InterfaceRef {
        compute: id(compute),
        name: text(name),
    }
}

fn blocks(texts: &[&str]) -> Vec<Cidr> {
    texts.iter().map(|it| text(it)).collect()
}

fn reason() -> Reason {
    text("replaced")
}

fn compute(specification: Specification) -> Specification {
    use cim_es_examples::infrastructure::compute::{ComputeCommand::*, ComputeEvent::*, Severity};
    let registered = || Registered {
        hostname: text("server01"),
        system: text("x86_64-linux"),
    };
    let equipped = || {
        vec![
            registered(),
            Updated {
                capacity: capacity(8, 16_384),
            },
            InterfaceAdded {
                interface: interface("eth0", 1),
            },
            OwnerAssigned { owner: text("Ann") },
        ]
    };
    let active = |more: Vec<ComputeEvent>| given([equipped(), vec![Activated], more].concat());
    let placed = || GuestPlaced {
        guest: id(7),
        needs: capacity(6, 8_192),
    };
    let started = || MaintenanceStarted { reason: reason() };
    let decommissioned = Decommissioned {
        reason: reason(),
        severity: Severity::Critical,
    };
    let states = vec![
        ("Unregistered", given_nothing::<Compute>()),
        ("Provisioning", given(equipped())),
        ("Active", active(vec![])),
        ("Active with guest 7", active(vec![placed()])),
        ("Maintenance", active(vec![started()])),
        (
            "Maintenance with guest 7",
            active(vec![placed(), started()]),
        ),
        ("Decommissioned", active(vec![decommissioned])),
    ];
    let commands = vec![
        (
            "Register",
            Register {
                hostname: text("server02"),
                system: text("aarch64-linux"),
            },
        ),
        ("Activate", Activate),
        (
            "Rename",
            Rename {
                hostname: text("server03"),
            },
        ),
        (
            "Rename, same name",
            Rename {
                hostname: text("server01"),
            },
        ),
        (
            "Update",
            Update {
                capacity: capacity(16, 32_768),
            },
        ),
        (
            "Update, same capacity",
            Update {
                capacity: capacity(8, 16_384),
            },
        ),
        (
            "AddInterface",
            AddInterface {
                interface: interface("eth1", 2),
            },
        ),
        (
            "AddInterface, name known",
            AddInterface {
                interface: interface("eth0", 3),
            },
        ),
        (
            "AddInterface, address known",
            AddInterface {
                interface: interface("eth1", 1),
            },
        ),
        ("RemoveInterface", RemoveInterface { name: text("eth0") }),
        (
            "RemoveInterface, not known",
            RemoveInterface { name: text("eth9") },
        ),
        ("BeginMaintenance", BeginMaintenance { reason: reason() }),
        ("EndMaintenance", EndMaintenance),
        ("AssignOwner", AssignOwner { owner: text("Bob") }),
        ("AssignOwner, same", AssignOwner { owner: text("Ann") }),
        (
            "AssignOrganization",
            AssignOrganization {
                organization: text("Acme"),
            },
        ),
        (
            "AssignLocation",
            AssignLocation {
                location: text("Rack 4"),
            },
        ),
        (
            "PlaceGuest",
            PlaceGuest {
                guest: id(8),
                needs: capacity(4, 4_096),
            },
        ),
        (
            "PlaceGuest, placed",
            PlaceGuest {
                guest: id(7),
                needs: capacity(1, 1),
            },
        ),
        ("RemoveGuest", RemoveGuest { guest: id(7) }),
        ("Decommission", Decommission { reason: reason() }),
    ];
    specification.aggregate(states, commands)
}

fn network(specification: Specification) -> Specification {
    use cim_es_examples::infrastructure::network::{NetworkCommand::*, NetworkEvent::*};
    let defined = || Defined {
        name: text("office"),
        scope: text("site-1"),
        blocks: blocks(&["10.1.0.0/24"]),
        vlan: Some(7.try_into().expect("a VLAN")),
    };
    let attached = || Attached {
        interface: port(1, "eth0"),
        address: text("10.1.0.7"),
    };
    let removed = Removed { reason: reason() };
    let states = vec![
        ("Undefined", given_nothing::<Network>()),
        ("Defined", given([defined()])),
        ("Defined, eth0 attached", given([defined(), attached()])),
        ("Removed", given([defined(), removed])),
    ];
    let define = |texts: &[&str]| Define {
        name: text("lab"),
        scope: text("site-1"),
        blocks: blocks(texts),
        vlan: None,
    };
    let attach = |name: &str, address: &str| Attach {
        interface: port(1, name),
        address: text(address),
    };
    let resize = |texts: &[&str]| Resize {
        blocks: blocks(texts),
    };
    let commands = vec![
        ("Define", define(&["10.2.0.0/16", "2001:db8::/48"])),
        ("Define, no block", define(&[])),
        (
            "Define, overlapping",
            define(&["10.2.0.0/16", "10.2.3.0/24"]),
        ),
        ("Resize", resize(&["10.1.0.0/16"])),
        ("Resize, same blocks", resize(&["10.1.0.0/24"])),
        ("Resize, away", resize(&["10.9.0.0/16"])),
        ("Attach", attach("eth1", "10.1.0.8")),
        ("Attach, same interface", attach("eth0", "10.1.0.8")),
        ("Attach, same address", attach("eth1", "10.1.0.7")),
        ("Attach, network address", attach("eth1", "10.1.0.0")),
        ("Attach, broadcast address", attach("eth1", "10.1.0.255")),
        ("Attach, outside", attach("eth1", "10.8.0.1")),
        (
            "Detach",
            Detach {
                interface: port(1, "eth0"),
            },
        ),
        ("Remove", Remove { reason: reason() }),
    ];
    specification.aggregate(states, commands)
}

fn connection(specification: Specification) -> Specification {
    use cim_es_examples::infrastructure::connection::{ConnectionCommand::*, ConnectionEvent::*};
    let established = || Established {
        first: port(1, "eth0"),
        second: port(2, "eth0"),
        medium: Medium::Physical,
    };
    let severed = Severed { reason: reason() };
    let states = vec![
        ("Unconnected", given_nothing::<Connection>()),
        ("Established", given([established()])),
        ("Severed", given([established(), severed])),
    ];
    let connect = |one, other| Connect {
        one,
        other,
        medium: Medium::Virtual,
    };
    let commands = vec![
        ("Connect", connect(port(2, "eth0"), port(1, "eth0"))),
        (
            "Connect, one machine",
            connect(port(1, "eth0"), port(1, "eth1")),
        ),
        ("Sever", Sever { reason: reason() }),
    ];
    specification.aggregate(states, commands)
}

fn software(specification: Specification) -> Specification {
    use cim_es_examples::infrastructure::software::{SoftwareCommand::*, SoftwareEvent::*};
    let configured = || Configured {
        compute: id(1),
        name: text("nginx"),
        version: text("1.9"),
        dependencies: vec![text("libc6")],
    };
    let reconfigured = || Reconfigured {
        version: text("1.10"),
    };
    let retired = Retired { reason: reason() };
    let states = vec![
        ("Unconfigured", given_nothing::<Software>()),
        ("Configured", given([configured()])),
        ("Deployed", given([configured(), Deployed])),
        (
            "Reconfigured",
            given([configured(), Deployed, reconfigured()]),
        ),
        ("Retired", given([configured(), Deployed, retired])),
    ];
    let configure = |dependency| Configure {
        compute: id(1),
        name: text("nginx"),
        version: text("1.9"),
        dependencies: vec![text(dependency)],
    };
    let reconfigure = |version, allow_downgrade| Reconfigure {
        version: text(version),
        allow_downgrade,
    };
    let commands = vec![
        ("Configure", configure("libc6")),
        ("Configure, needs itself", configure("nginx")),
        ("Deploy", Deploy),
        ("Reconfigure to 1.10", reconfigure("1.10", false)),
        ("Reconfigure to 1.8", reconfigure("1.8", false)),
        ("Reconfigure to 1.8, allowed", reconfigure("1.8", true)),
        ("Retire", Retire { reason: reason() }),
    ];
    specification.aggregate(states, commands)
}

fn policy(specification: Specification) -> Specification {
    use cim_es_examples::infrastructure::policy::{PolicyCommand::*, PolicyEvent::*};
    let rules = |rule: &str| vec![text(rule)];
    let set = || Set {
        name: text("patching"),
        scope: text("site-1"),
        rules: rules("weekly"),
    };
    let states = vec![
        ("Unset", given_nothing::<Policy>()),
        ("Set", given([set()])),
        ("Revoked", given([set(), Revoked { reason: reason() }])),
    ];
    let apply = |name, rules| Apply {
        name: text(name),
        scope: text("site-1"),
        rules,
    };
    let commands = vec![
        ("Apply", apply("patching", rules("daily"))),
        ("Apply, same rules", apply("patching", rules("weekly"))),
        ("Apply, no rule", apply("patching", vec![])),
        ("Apply, another name", apply("backup", rules("daily"))),
        ("Revoke", Revoke { reason: reason() }),
    ];
    specification.aggregate(states, commands)
}

fn topology(specification: Specification) -> Specification {
    use cim_es_examples::infrastructure::topology::{
        PlannedConnection, PlannedNetwork, TopologyCommand::*, TopologyEvent::*,
    };
    let part = |number: u128| Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0100 + number);
    let network = |number, vlan: Option<u16>| PlannedNetwork {
        id: Id::from_uuid(part(number)),
        name: text("office"),
        scope: text("site-1"),
        blocks: blocks(&["10.1.0.0/24"]),
        vlan: vlan.map(|vlan| vlan.try_into().expect("a VLAN")),
    };
    let connection = PlannedConnection {
        id: Id::from_uuid(part(2)),
        one: port(1, "eth0"),
        other: port(2, "eth0"),
        medium: Medium::Virtual,
    };
    let planned = || Planned {
        name: text("branch"),
        networks: vec![network(1, Some(7)), network(3, None)],
        connections: vec![connection.clone()],
    };
    let abandoned = Abandoned { reason: reason() };
    let states = vec![
        ("Unplanned", given_nothing::<Topology>()),
        ("Planned", given([planned()])),
        ("Defined", given([planned(), Defined])),
        ("Abandoned", given([planned(), abandoned])),
    ];
    let plan = |networks, connections| Plan {
        name: text("branch"),
        networks,
        connections,
    };
    let commands = vec![
        (
            "Plan",
            plan(vec![network(1, None)], vec![connection.clone()]),
        ),
        ("Plan, no part", plan(vec![], vec![])),
        (
            "Plan, one part twice",
            plan(vec![network(2, None)], vec![connection.clone()]),
        ),
        ("Complete", Complete),
        ("Abandon", Abandon { reason: reason() }),
    ];
    specification.aggregate(states, commands)
}

fn infrastructure() -> Specification {
    let aggregates = [compute, network, connection, software, policy, topology];
    let empty = Specification::new();
    aggregates
        .into_iter()
        .fold(empty, |all, aggregate| aggregate(all))
}

fn beside(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("infrastructure")
        .join(file)
}

#[test]
fn the_page_shows_every_lifecycle_every_subject_and_every_rule() {
    infrastructure().check_page(beside("README.md"));
}

#[test]
fn stored_events_survive_every_change() {
    infrastructure().check_lock(beside("schema.lock"));
}

fn some_text<T: TryFrom<String> + Clone + Debug + 'static>(
    texts: &[&str],
) -> impl Strategy<Value = T> + Clone + use<T>
where
    T::Error: Debug,
{
    let values: Vec<T> = texts.iter().map(|it| text(it)).collect();
    select(values)
}

fn some_capacity() -> impl Strategy<Value = Capacity> {
    (1..8_u32, 1..8_u32).prop_map(|(cores, memory)| capacity(cores, memory * 1_024))
}

#[test]
fn machines_keep_their_rules_over_any_history() {
    use cim_es_examples::infrastructure::compute::ComputeCommand::*;
    check_machine(|compute: &Compute| {
        let names: BTreeSet<_> = compute.interfaces.iter().map(|it| &it.name).collect();
        assert_eq!(
            names.len(),
            compute.interfaces.len(),
            "one name, one interface"
        );
        let addresses: BTreeSet<_> = compute.interfaces.iter().map(|it| &it.mac).collect();
        assert_eq!(addresses.len(), compute.interfaces.len());
        let guests: BTreeSet<_> = compute.guests.iter().map(|(guest, _)| guest).collect();
        assert_eq!(guests.len(), compute.guests.len());
        let hostname = some_text::<Hostname>(&["one", "two.example"]);
        let system = some_text::<SystemArchitecture>(&["x86_64-linux"]);
        let (label, reason) = (some_text::<Label>(&["a", "b"]), some_text::<Reason>(&["r"]));
        let device = some_text::<DeviceName>(&["eth0", "eth1"]);
        let guest = (1..4_u128).prop_map(id);
        prop_oneof![
            (hostname.clone(), system).prop_map(|(hostname, system)| Register { hostname, system }),
            hostname.prop_map(|hostname| Rename { hostname }),
            Just(Activate),
            some_capacity().prop_map(|capacity| Update { capacity }),
            (select(vec!["eth0", "eth1", "eth2"]), 1..4_u8).prop_map(|(name, last)| AddInterface {
                interface: interface(name, last)
            }),
            device.prop_map(|name| RemoveInterface { name }),
            reason
                .clone()
                .prop_map(|reason| BeginMaintenance { reason }),
            Just(EndMaintenance),
            label.clone().prop_map(|owner| AssignOwner { owner }),
            label
                .clone()
                .prop_map(|organization| AssignOrganization { organization }),
            label.prop_map(|location| AssignLocation { location }),
            (guest.clone(), some_capacity()).prop_map(|(guest, needs)| PlaceGuest { guest, needs }),
            guest.prop_map(|guest| RemoveGuest { guest }),
            reason.prop_map(|reason| Decommission { reason }),
        ]
    });
}

#[test]
fn networks_give_each_address_once_over_any_history() {
    use cim_es_examples::infrastructure::network::NetworkCommand::*;
    check_machine(|network: &Network| {
        let addresses: BTreeSet<_> = network.attached.iter().map(|(_, it)| it).collect();
        assert_eq!(
            addresses.len(),
            network.attached.len(),
            "one address, one interface"
        );
        for address in addresses {
            let is_inside = |block: &Cidr| block.is_for_a_host(address);
            assert!(
                network.blocks.iter().any(is_inside),
                "{address} in {network:?}"
            );
        }
        let some_blocks = select(vec![
            blocks(&["10.0.0.0/29"]),
            blocks(&["10.0.0.0/30", "10.0.0.8/29"]),
            blocks(&["10.0.0.0/28"]),
            vec![],
        ]);
        let interface = (1..5_u128).prop_map(|compute| port(compute, "eth0"));
        let address = (0..16_u8).prop_map(|last| text::<Address>(&format!("10.0.0.{last}")));
        let vlan = select(vec![None, Some(Vlan::try_from(1).expect("a VLAN"))]);
        prop_oneof![
            (some_blocks.clone(), vlan).prop_map(|(blocks, vlan)| Define {
                name: text("n"),
                scope: text("s"),
                blocks,
                vlan
            }),
            some_blocks.prop_map(|blocks| Resize { blocks }),
            (interface.clone(), address)
                .prop_map(|(interface, address)| Attach { interface, address }),
            interface.prop_map(|interface| Detach { interface }),
            Just(Remove { reason: reason() }),
        ]
    });
}

#[test]
fn connections_join_two_machines_in_a_fixed_order() {
    use cim_es_examples::infrastructure::connection::ConnectionCommand::*;
    check_machine(|connection: &Connection| {
        if let Some((first, second)) = &connection.ends {
            assert!(first < second && first.compute != second.compute);
        }
        let end = (1..4_u128, select(vec!["eth0", "eth1"])).prop_map(|(id, name)| port(id, name));
        let medium = select(vec![Medium::Physical, Medium::Virtual]);
        prop_oneof![
            (end.clone(), end, medium).prop_map(|(one, other, medium)| Connect {
                one,
                other,
                medium
            }),
            Just(Sever { reason: reason() }),
        ]
    });
}

#[test]
fn software_and_policies_can_take_every_edge() {
    use cim_es_examples::infrastructure::policy::PolicyCommand::*;
    use cim_es_examples::infrastructure::software::SoftwareCommand::*;
    check_machine(|_: &Software| {
        let version = some_text::<Version>(&["1.9", "1.10", "2"]);
        prop_oneof![
            version.clone().prop_map(|version| Configure {
                compute: id(1),
                name: text("nginx"),
                version,
                dependencies: vec![]
            }),
            Just(Deploy),
            (version, any::<bool>()).prop_map(|(version, allow_downgrade)| Reconfigure {
                version,
                allow_downgrade
            }),
            Just(Retire { reason: reason() }),
        ]
    });
    check_machine(|policy: &Policy| {
        assert!(policy.name.is_none() || !policy.rules.is_empty());
        let rules = select(vec![vec![], vec![text("a")], vec![text("a"), text("b")]]);
        prop_oneof![
            rules.prop_map(|rules| Apply {
                name: text("p"),
                scope: text("s"),
                rules
            }),
            Just(Revoke { reason: reason() }),
        ]
    });
}

#[test]
fn a_site_decides_over_all_it_has_and_publishes_on_the_subjects_of_each_kind() {
    let defined = |block: &str| SiteEvent::NetworkDefined {
        name: text("office"),
        block: text(block),
    };
    assert_eq!(
        SiteEvent::TYPES,
        [
            "sites.compute.registered",
            "sites.compute.decommissioned",
            "sites.network.defined"
        ]
    );
    given([defined("10.1.0.0/16")])
        .when(SiteCommand::DefineNetwork {
            name: text("lab"),
            block: text("10.1.2.0/24"),
        })
        .then_error(SiteError::Overlap {
            asked: text("10.1.2.0/24"),
            block: text("10.1.0.0/16"),
            name: text("office"),
        });
    given([defined("10.1.0.0/16")])
        .when(SiteCommand::RegisterCompute {
            hostname: text("server01"),
            system: text("x86_64-linux"),
        })
        .then([SiteEvent::ComputeRegistered {
            hostname: text("server01"),
            system: text("x86_64-linux"),
        }]);
}

#[test]
fn a_host_has_its_name_in_any_case_on_a_site() {
    let system = || text::<SystemArchitecture>("x86_64-linux");
    let registered = |hostname: &str| SiteEvent::ComputeRegistered {
        hostname: text(hostname),
        system: system(),
    };
    given([registered("Server01")])
        .when(SiteCommand::RegisterCompute {
            hostname: text("server01"),
            system: system(),
        })
        .then_error(SiteError::Known(text("server01")));
}

#[tokio::test]
async fn a_guest_is_on_one_machine_at_a_time_and_never_on_itself() {
    use cim_es_examples::infrastructure::compute::ComputeCommand::*;
    let computes = Repository::<Compute>::new(MemoryEventStore::new());
    let execute = async |machine: u128, command: ComputeCommand| {
        let identity = MessageIdentity::new_from_user("test");
        let executed = computes.execute(&id(machine), command, &identity).await;
        executed.map(drop).map_err(|error| error.to_string())
    };
    for machine in [1, 2] {
        let register = Register {
            hostname: text(&format!("server{machine}")),
            system: text("x86_64-linux"),
        };
        let capacity = capacity(8, 8_192);
        for command in [register, Update { capacity }, Activate] {
            execute(machine, command).await.expect("it is accepted");
        }
    }
    let place = |guest| PlaceGuest {
        guest: id(guest),
        needs: capacity(1, 1_024),
    };
    assert_eq!(
        execute(1, place(1)).await,
        Err("a machine is not its own guest: name another".to_owned())
    );
    execute(1, place(7)).await.expect("there is room");
    let refused = execute(2, place(7)).await.expect_err("it is elsewhere");
    let start = format!(
        "guest `{}` is held by infrastructure.compute {}:",
        id(7),
        id(1)
    );
    assert!(refused.starts_with(&start), "{refused}");
    execute(1, RemoveGuest { guest: id(7) })
        .await
        .expect("it is there");
    execute(2, place(7)).await.expect("it is free");
}

#[test]
fn how_much_a_decommission_matters_follows_from_the_state() {
    use cim_es_examples::infrastructure::compute::{ComputeCommand::*, ComputeEvent::*, Severity};
    let registered = Registered {
        hostname: text("server01"),
        system: text("x86_64-linux"),
    };
    let started = MaintenanceStarted { reason: reason() };
    for (history, severity) in [
        (vec![], Severity::FailedProvision),
        (vec![Activated], Severity::Critical),
        (vec![Activated, started], Severity::Planned),
    ] {
        let history = [vec![registered.clone()], history].concat();
        let reason = reason();
        given(history)
            .when(Decommission {
                reason: reason.clone(),
            })
            .then([Decommissioned { reason, severity }]);
    }
}

/// Executes commands one after the other, each on an aggregate of its own; gives the scopes of the names that were taken.
async fn taken<A>(commands: Vec<A::Command>) -> Vec<Option<String>>
where
    A: Decide + Aggregate<Id = Id<A>>,
    A::Command: Clone,
{
    use cim_es::repository::ExecuteError;
    let aggregates = Repository::<A>::new(MemoryEventStore::new());
    let mut taken = Vec::new();
    for command in commands {
        let identity = MessageIdentity::new_from_user("test");
        taken.push(
            match aggregates.execute(&Id::new(), command, &identity).await {
                Ok(_) => None,
                Err(ExecuteError::NameTaken { name, .. }) => Some(name.scope().to_owned()),
                Err(error) => panic!("{error}"),
            },
        );
    }
    taken
}

#[tokio::test]
async fn what_one_aggregate_holds_no_other_gets() {
    use cim_es_examples::infrastructure::connection::ConnectionCommand::Connect;
    use cim_es_examples::infrastructure::network::NetworkCommand::Define;
    use cim_es_examples::infrastructure::policy::PolicyCommand::Apply;
    use cim_es_examples::infrastructure::software::SoftwareCommand::Configure;
    let is_taken = |scope: &str| Some(scope.to_owned());
    let connect = |one, other, medium| Connect { one, other, medium };
    let (physical, tunnel) = (Medium::Physical, Medium::Virtual);
    let connections = vec![
        connect(port(1, "eth0"), port(2, "eth0"), physical),
        connect(port(2, "eth0"), port(1, "eth0"), tunnel),
        connect(port(2, "eth0"), port(3, "eth0"), physical),
        connect(port(2, "eth0"), port(3, "eth0"), tunnel),
    ];
    assert_eq!(
        taken::<Connection>(connections).await,
        [
            None,
            is_taken("connected_pair"),
            is_taken("physical_port"),
            None
        ]
    );
    let define = |name, scope, block, vlan: u16| Define {
        name: text(name),
        scope: text(scope),
        blocks: blocks(&[block]),
        vlan: Some(vlan.try_into().expect("a VLAN")),
    };
    let networks = vec![
        define("office", "site-1", "10.1.0.0/16", 7),
        define("office", "site-1", "10.2.0.0/16", 8),
        define("lab", "site-1", "10.1.0.0/16", 8),
        define("lab", "site-1", "10.2.0.0/16", 7),
        define("office", "site-2", "10.1.0.0/16", 7),
    ];
    assert_eq!(
        taken::<Network>(networks).await,
        [
            None,
            is_taken("network_name"),
            is_taken("block"),
            is_taken("vlan"),
            None
        ]
    );
    let configure = |machine, name| Configure {
        compute: id(machine),
        name: text(name),
        version: text("1"),
        dependencies: vec![],
    };
    let programs = vec![
        configure(1, "zip"),
        configure(1, "zip"),
        configure(2, "zip"),
    ];
    assert_eq!(
        taken::<Software>(programs).await,
        [None, is_taken("installed"), None]
    );
    let apply = |name, scope| Apply {
        name: text(name),
        scope: text(scope),
        rules: vec![text("weekly")],
    };
    let policies = vec![
        apply("patching", "site-1"),
        apply("patching", "site-1"),
        apply("patching", "site-2"),
    ];
    assert_eq!(
        taken::<Policy>(policies).await,
        [None, is_taken("policy_name"), None]
    );
}

#[tokio::test]
async fn names_within_a_scope_are_told_apart_whatever_characters_they_have() {
    use cim_es_examples::infrastructure::network::NetworkCommand::Define;
    use cim_es_examples::infrastructure::policy::PolicyCommand::Apply;
    let store = MemoryEventStore::new();
    let networks = Repository::<Network>::new(store.clone());
    let policies = Repository::<Policy>::new(store);
    for (number, (name, scope)) in [("c", "a/b"), ("b/c", "a"), ("x in y", "z"), ("x", "y in z")]
        .into_iter()
        .enumerate()
    {
        let identity = || MessageIdentity::new_from_user("test");
        let define = Define {
            name: text(name),
            scope: text(scope),
            blocks: blocks(&[&format!("10.{number}.0.0/16")]),
            vlan: None,
        };
        let defined = networks.execute(&Id::new(), define, &identity()).await;
        defined.expect("another scope");
        let apply = Apply {
            name: text(&name.replace(' ', "/")),
            scope: text(scope),
            rules: vec![text("weekly")],
        };
        let set = policies.execute(&Id::new(), apply, &identity()).await;
        set.expect("another scope");
    }
}

#[test]
fn values_say_no_to_what_they_are_not() {
    for (text, is_good) in [
        ("x86_64-linux", true),
        ("aarch64-darwin", true),
        ("x86_64", false),
        ("vax-linux", false),
        ("x86_64-templeos", false),
    ] {
        assert_eq!(is_accepted::<SystemArchitecture>(text), is_good, "{text}");
    }
    for (text, is_good) in [
        ("10.0.0.0/8", true),
        ("2001:db8::/32", true),
        ("10.0.0.1/8", false),
        ("10.0.0.0/33", false),
        ("10.0.0.0", false),
    ] {
        assert_eq!(is_accepted::<Cidr>(text), is_good, "{text}");
    }
    assert_eq!(
        SystemArchitecture::new("vax").unwrap_err().to_string(),
        "\"vax\" is no system: an architecture and an operating system that Nix knows, joined by a hyphen, such as x86_64-linux"
    );
    assert!(Vlan::try_from(0).is_err() && Vlan::try_from(4095).is_err());
    assert!(serde_json::from_value::<Vlan>(4095.into()).is_err());
    assert!(Vlan::try_from(4094).is_ok());
}

#[test]
fn a_host_has_no_address_that_stands_for_its_network_or_for_all() {
    for (block, address, is_for_a_host) in [
        ("10.1.0.0/24", "10.1.0.0", false),
        ("10.1.0.0/24", "10.1.0.1", true),
        ("10.1.0.0/24", "10.1.0.255", false),
        ("10.1.0.0/24", "10.1.1.1", false),
        // Two ends of a line, and one host alone.
        ("10.1.0.0/31", "10.1.0.0", true),
        ("10.1.0.0/31", "10.1.0.1", true),
        ("10.1.0.0/32", "10.1.0.0", true),
        // The lowest one stands for the routers, and none for all.
        ("2001:db8::/64", "2001:db8::", false),
        ("2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", true),
        ("2001:db8::/64", "10.1.0.1", false),
    ] {
        let block: Cidr = text(block);
        assert_eq!(
            block.is_for_a_host(&text(address)),
            is_for_a_host,
            "{block} {address}"
        );
    }
}

#[test]
fn versions_compare_number_by_number() {
    let is_older = |one: &str, other: &str| text::<Version>(one).is_older_than(&text(other));
    for (older, newer) in [
        ("1.9", "1.10"),
        ("2.36-9+deb12u1", "2.36-9+deb12u10"),
        ("1.0", "1.0.1"),
        ("2.0~rc1", "2.0"),
        ("2.0~rc1-1", "2.0-1"),
        ("2.0~~", "2.0~rc1"),
        ("1:1.0", "1:1.0+b1"),
    ] {
        assert!(is_older(older, newer), "{older} {newer}");
        assert!(!is_older(newer, older), "{newer} {older}");
    }
    assert!(!is_older("1.0", "1.0"));
}

proptest! {
    #[test]
    fn a_block_overlaps_what_shares_an_address_with_it(a in 0..32_u32, b in 0..32_u32, x in 27..=32_u32, y in 27..=32_u32) {
        let block = |host: u32, prefix: u32| {
            let mask = u32::MAX << (32 - prefix);
            text::<Cidr>(&format!("10.0.0.{}/{prefix}", host & mask & 0xff))
        };
        let range = |host: u32, prefix: u32| {
            let size = 1 << (32 - prefix);
            let start = host / size * size;
            start..start + size
        };
        let shared = range(a, x).any(|address| range(b, y).contains(&address));
        prop_assert_eq!(block(a, x).overlaps(&block(b, y)), shared);
    }
}

#[test]
fn the_subjects_are_those_that_others_rely_on() {
    let subjects: Vec<_> = [
        ComputeEvent::TYPES,
        NetworkEvent::TYPES,
        ConnectionEvent::TYPES,
        SoftwareEvent::TYPES,
        PolicyEvent::TYPES,
    ]
    .concat();
    for subject in [
        "infrastructure.compute.registered",
        "infrastructure.compute.updated",
        "infrastructure.compute.decommissioned",
        "infrastructure.network.defined",
        "infrastructure.network.removed",
        "infrastructure.connection.established",
        "infrastructure.connection.severed",
        "infrastructure.software.configured",
        "infrastructure.policy.set",
    ] {
        assert!(subjects.contains(&subject), "{subject}");
    }
}
