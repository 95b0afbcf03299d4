//! Reading the machine that the program runs on.
//!
//! Only facts that stay the same while nobody changes the machine are read, so that a run that finds a difference
//! means something. Left out are free memory and free space, addresses that a network hands out, removable media,
//! loop devices and interfaces that software made up, such as bridges and the ends of containers' cables.

use std::collections::BTreeMap;
use std::path::Path;

use cim_es::value::ValueError;
use sysinfo::{Disks, MemoryRefreshKind, Networks, System as OperatingSystem};
use uuid::Uuid;

use super::values::{Disk, Hostname, Interface, Label, MacAddress, ResourceCapabilities, System};

/// The namespace of the ids of machines, so that the id in a store does not tell the machine's own secret id.
const MACHINES: Uuid = Uuid::from_u128(0x6b0c_9a0e_5f0d_4a57_9d3e_2f4b_8c1a_7e60);

/// The grain in which memory is kept, in MiB: a kernel holds a slightly different part of it back at each start.
const MEMORY_GRAIN_MIB: u64 = 64;

/// What is read of a machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// Stays the same from run to run: from the id that the operating system or the firmware gave the machine, or,
    /// where there is none, from the name of the host.
    pub machine: Uuid,
    /// Its name.
    pub hostname: Hostname,
    /// What programs for it are built for.
    pub system: System,
    /// Its operating system, processor and memory.
    pub capabilities: ResourceCapabilities,
    /// Its disks, by device.
    pub disks: Vec<Disk>,
    /// Its network interfaces, by name.
    pub interfaces: Vec<Interface>,
}

/// Why the machine could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HostError {
    /// The operating system does not tell.
    #[error("the {what} of this machine cannot be read: {reason}")]
    Unreadable {
        /// What was to be read.
        what: &'static str,
        /// What the system said.
        reason: String,
    },
    /// The operating system tells something that the domain does not take.
    #[error("this machine has a value that cannot be kept")]
    Value(#[from] ValueError),
}

impl Host {
    /// Reads the machine that the program runs on.
    ///
    /// # Errors
    /// [`HostError`] says what could not be read.
    pub fn read() -> Result<Self, HostError> {
        let hostname = hostname()?;
        Ok(Self {
            machine: machine(&hostname),
            system: system()?,
            capabilities: capabilities()?,
            disks: disks()?,
            interfaces: interfaces()?,
            hostname,
        })
    }
}

fn unreadable<E: std::fmt::Debug>(what: &'static str) -> impl FnOnce(E) -> HostError {
    move |error| HostError::Unreadable {
        what,
        reason: format!("{error:?}"),
    }
}

fn machine(hostname: &Hostname) -> Uuid {
    let own = operating_system_id().or_else(firmware_id);
    let known_by = own.unwrap_or_else(|| format!("hostname:{hostname}"));
    Uuid::new_v5(&MACHINES, known_by.as_bytes())
}

/// The id of an installation of Linux or one of the BSDs.
fn operating_system_id() -> Option<String> {
    ["/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostid"]
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .map(|text| text.trim().replace('-', ""))
        .find(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The id in the firmware; not on Linux, where only root may read it and the answer would depend on who runs this.
fn firmware_id() -> Option<String> {
    if cfg!(target_os = "linux") {
        return None;
    }
    let id = sysinfo::Product::uuid().ok()?;
    Some(id.to_ascii_lowercase()).filter(|id| Uuid::try_parse(id).is_ok_and(|id| !id.is_nil()))
}

/// The name of the host; a character that RFC 1123 does not know, which systems do let pass, becomes a hyphen.
fn hostname() -> Result<Hostname, HostError> {
    let name = OperatingSystem::host_name().map_err(unreadable("name"))?;
    let name: String = name
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || c == '.' => c,
            _ => '-',
        })
        .collect();
    Ok(name.trim_matches(['-', '.']).parse()?)
}

/// The architecture by its usual name, which systems spell in different ways.
fn system() -> Result<System, ValueError> {
    let architecture = OperatingSystem::cpu_arch().to_ascii_lowercase();
    let architecture = match architecture.as_str() {
        "amd64" | "x64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    };
    format!("{architecture}-{}", std::env::consts::OS).parse()
}

fn capabilities() -> Result<ResourceCapabilities, HostError> {
    let mut system = OperatingSystem::new().map_err(unreadable("processor"))?;
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
    let name = OperatingSystem::name().unwrap_or_else(|_| std::env::consts::OS.to_owned());
    let version = OperatingSystem::os_version().unwrap_or_default();
    let processor = system.cpus().first().map_or("", |cpu| cpu.brand());
    Ok(ResourceCapabilities {
        operating_system: label(&format!("{name} {version}"))?,
        processor: label(processor)?,
        cores: u32::try_from(system.cpus().len()).unwrap_or(u32::MAX),
        memory_mib: coarse_mib(system.total_memory()),
    })
}

fn coarse_mib(bytes: u64) -> u64 {
    let grain = MEMORY_GRAIN_MIB << 20;
    (bytes.saturating_add(grain / 2) / grain) * MEMORY_GRAIN_MIB
}

/// What the system says, on one line and cut to what a label holds.
fn label(text: &str) -> Result<Label, ValueError> {
    let words: Vec<_> = text.split_whitespace().collect();
    let mut line = words.join(" ");
    line.retain(|c| !c.is_control());
    line.truncate(line.floor_char_boundary(128));
    let line = line.trim();
    let line = if line.is_empty() { "unknown" } else { line };
    line.parse()
}

fn disks() -> Result<Vec<Disk>, HostError> {
    let disks = Disks::new_with_refreshed_list().map_err(unreadable("disks"))?;
    // A device that is mounted in several places is one disk.
    let mut found = BTreeMap::new();
    for disk in disks.iter().filter(|disk| !disk.is_removable()) {
        let name = disk.name().to_string_lossy();
        let device = if cfg!(target_os = "linux") {
            name
        } else {
            disk.mount_point().to_string_lossy()
        };
        if cfg!(target_os = "linux") && !is_disk_device(&device) {
            continue;
        }
        let kept = Disk {
            device: device.parse()?,
            file_system: label(&disk.file_system().to_string_lossy())?,
            bytes: disk.total_space(),
        };
        found.insert(device.into_owned(), kept);
    }
    Ok(found.into_values().collect())
}

/// Whether Linux names a disk so, rather than a file system in memory, on the network or in a file.
fn is_disk_device(name: &str) -> bool {
    name.strip_prefix("/dev/").is_some_and(|device| {
        !["loop", "ram", "zram", "fuse"]
            .iter()
            .any(|kind| device.starts_with(kind))
    })
}

fn interfaces() -> Result<Vec<Interface>, HostError> {
    let networks = Networks::new_with_refreshed_list().map_err(unreadable("networks"))?;
    let mut found = BTreeMap::new();
    for (name, network) in networks.iter() {
        let name = name.to_string_lossy();
        // An address of zeros, as the loopback interface has it, is none.
        let Ok(mac) = network.mac_address().to_string().parse::<MacAddress>() else {
            continue;
        };
        if is_hardware(&name, &mac) {
            let interface = Interface {
                name: name.parse()?,
                mac,
            };
            found.insert(name.into_owned(), interface);
        }
    }
    Ok(found.into_values().collect())
}

/// Whether a device stands behind the interface. Linux says so; elsewhere the maker's address is the best sign.
fn is_hardware(name: &str, mac: &MacAddress) -> bool {
    let classes = Path::new("/sys/class/net");
    if classes.is_dir() {
        return classes.join(name).join("device").exists();
    }
    !mac.is_locally_administered()
}
