//! The domain of the quickstart: its rules, one by one, and its lifecycle as a whole.

use crate::support::{disk, host, interface};
use cim_es::testing::proptest::prelude::*;
use cim_es::testing::proptest::sample::select;
use cim_es::testing::{check_machine, given};
use cim_es_examples::quickstart::domain::{
    Compute, ComputeCommand, ComputeCommand::*, ComputeError, ComputeEvent, ComputeEvent::*,
};
use cim_es_examples::quickstart::values::{DeviceName, Hostname, Reason, ResourceCapabilities};

fn registered() -> ComputeEvent {
    Registered {
        hostname: host().hostname,
        system: host().system,
    }
}

fn with_devices() -> [ComputeEvent; 3] {
    let (disk, interface) = (disk("/dev/sda1", 1), interface("eth0", "02:fc:00:00:00:01"));
    [
        registered(),
        DiskAdded { disk },
        InterfaceAdded { interface },
    ]
}

#[test]
fn the_same_name_again_is_nothing_new() {
    let hostname = host().hostname;
    given([registered()])
        .when(Rename { hostname })
        .then_nothing();
    let hostname: Hostname = "other".parse().expect("a name");
    given([registered()])
        .when(Rename {
            hostname: hostname.clone(),
        })
        .then([Renamed { hostname }]);
}

#[test]
fn the_same_capabilities_again_are_nothing_new() {
    let capabilities = host().capabilities;
    let updated = || Updated {
        capabilities: capabilities.clone(),
    };
    let update = || Update {
        capabilities: capabilities.clone(),
    };
    given([registered()]).when(update()).then([updated()]);
    given([registered(), updated()])
        .when(update())
        .then_nothing();
}

#[test]
fn a_device_is_added_once() {
    let (disk, interface) = (disk("/dev/sda1", 2), interface("eth0", "02:fc:00:00:00:02"));
    let duplicate = ComputeError::Duplicate(disk.device.clone());
    given(with_devices())
        .when(AddDisk { disk })
        .then_error(duplicate);
    let duplicate = ComputeError::Duplicate(interface.name.clone());
    given(with_devices())
        .when(AddInterface { interface })
        .then_error(duplicate);
}

#[test]
fn only_a_known_device_is_removed() {
    let [device, name] = ["/dev/sda1", "eth0"].map(|name| name.parse::<DeviceName>());
    let (device, name) = (device.expect("a device"), name.expect("a device"));
    let unknown = ComputeError::Unknown(device.clone());
    given([registered()])
        .when(RemoveDisk {
            device: device.clone(),
        })
        .then_error(unknown);
    given(with_devices())
        .when(RemoveDisk {
            device: device.clone(),
        })
        .then([DiskRemoved { device }]);
    let unknown = ComputeError::Unknown(name.clone());
    given([registered()])
        .when(RemoveInterface { name: name.clone() })
        .then_error(unknown);
    given(with_devices())
        .when(RemoveInterface { name: name.clone() })
        .then([InterfaceRemoved { name }]);
}

#[test]
fn a_decommissioned_machine_takes_no_command() {
    let reason: Reason = "sold".parse().expect("a reason");
    let gone = || {
        [
            registered(),
            Decommissioned {
                reason: reason.clone(),
            },
        ]
    };
    given(gone())
        .when(Rename {
            hostname: host().hostname,
        })
        .then_not_accepted();
    given(gone())
        .when(Decommission {
            reason: reason.clone(),
        })
        .then_not_accepted();
}

fn commands() -> impl Strategy<Value = ComputeCommand> {
    let (hostname, system) = (host().hostname, host().system);
    let capabilities = host().capabilities;
    let disks = select(vec![disk("/dev/sda1", 1), disk("/dev/sdb1", 2)]);
    let interfaces = select(vec![
        interface("eth0", "02:fc:00:00:00:01"),
        interface("eth1", "02:fc:00:00:00:02"),
    ]);
    let reason: Reason = "sold".parse().expect("a reason");
    prop_oneof![
        Just(Register { hostname, system }),
        select(vec!["a", "b"]).prop_map(|name| Rename {
            hostname: name.parse().expect("a name"),
        }),
        (1..4_u32).prop_map(move |cores| {
            let capabilities = capabilities.clone();
            let capabilities = ResourceCapabilities {
                cores,
                ..capabilities
            };
            Update { capabilities }
        }),
        disks.clone().prop_map(|disk| AddDisk { disk }),
        disks.prop_map(|disk| RemoveDisk {
            device: disk.device
        }),
        interfaces
            .clone()
            .prop_map(|interface| AddInterface { interface }),
        interfaces.prop_map(|interface| RemoveInterface {
            name: interface.name
        }),
        Just(Decommission { reason }),
    ]
}

#[test]
fn every_edge_of_the_lifecycle_can_be_taken() {
    let report = check_machine::<Compute, _>(|_| commands());
    assert_eq!(report.taken.len(), 8, "{report:?}");
}
