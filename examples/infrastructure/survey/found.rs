//! What is found on a machine: itself, its interfaces, the networks they are in, its routes and its packages.
//!
//! Interfaces without a device behind them are left out, as are the loopback and link-local networks; of interfaces that
//! share a hardware address, as those of a bond do, the first is kept. Routes are those that Linux lists for IPv4; packages
//! are those of dpkg and apk.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;

use cim_es::value::ValueError;
use ipnet::{IpNet, Ipv4Net};
use sysinfo::Networks;

use super::super::values::{
    Address, Capacity, Cidr, DeviceName, Hostname, Interface, Name, SystemArchitecture, Version,
};
use crate::quickstart::host::{Host, HostError};

/// What is found on a machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The same for one machine at every run.
    pub machine: cim_es::prelude::Uuid,
    pub hostname: Hostname,
    pub system: SystemArchitecture,
    pub capacity: Option<Capacity>,
    pub interfaces: Vec<Interface>,
    /// The addresses of the interfaces, each with the network that it is in.
    pub addresses: BTreeSet<(DeviceName, Address, Cidr)>,
    /// The networks that a gateway leads to.
    pub routes: BTreeSet<Cidr>,
    /// The packages that are installed.
    pub packages: BTreeMap<Name, Version>,
    /// How many packages have a name or a version that the domain does not take.
    pub left_out: usize,
}

/// Why a machine could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// The machine itself could not be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// It has something that the domain does not take.
    #[error("this machine has a value that cannot be kept")]
    Value(#[from] ValueError),
    /// A file of the system could not be read.
    #[error("{path} cannot be read")]
    File {
        /// The file.
        path: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The networks could not be read.
    #[error("the networks of this machine cannot be read: {0}")]
    Networks(String),
}

impl Found {
    /// Reads the machine that the program runs on.
    ///
    /// # Errors
    /// [`FoundError`] says what could not be read.
    pub fn read() -> Result<Self, FoundError> {
        let mut host = Host::read()?;
        let mut seen = BTreeSet::new();
        host.interfaces.retain(|it| seen.insert(it.mac.clone()));
        let (cores, memory) = (host.capabilities.cores, host.capabilities.memory_mib);
        let memory = u32::try_from(memory).unwrap_or(u32::MAX);
        let capacity = cores.try_into().ok().zip(memory.try_into().ok());
        let (packages, left_out) = packages()?;
        let is_hardware = |name: &DeviceName| host.interfaces.iter().any(|it| it.name == *name);
        Ok(Self {
            machine: host.machine,
            system: system(host.system.as_str())?,
            capacity: capacity.map(|(cores, memory_mib)| Capacity { cores, memory_mib }),
            addresses: addresses()?
                .into_iter()
                .filter(|(name, ..)| is_hardware(name))
                .collect(),
            routes: routes(&text_of("/proc/net/route")?.unwrap_or_default()),
            hostname: host.hostname,
            interfaces: host.interfaces,
            packages,
            left_out,
        })
    }
}

/// A machine's own name for its system, as Nix names it.
///
/// # Errors
/// [`ValueError`] for one that Nix does not know.
pub fn system(own: &str) -> Result<SystemArchitecture, ValueError> {
    let (architecture, system) = own.split_once('-').unwrap_or((own, ""));
    let architecture = match architecture {
        "i386" | "i486" | "i586" | "x86" => "i686",
        "ppc64" => "powerpc64",
        "ppc64le" => "powerpc64le",
        other => other,
    };
    let system = match system {
        "macos" => "darwin",
        other => other,
    };
    SystemArchitecture::new(format!("{architecture}-{system}"))
}

/// The text of a file; none when there is no such file.
fn text_of(path: &'static str) -> Result<Option<String>, FoundError> {
    if !Path::new(path).exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(path).map_err(|source| FoundError::File { path, source })?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn addresses() -> Result<Vec<(DeviceName, Address, Cidr)>, FoundError> {
    let networks = Networks::new_with_refreshed_list()
        .map_err(|error| FoundError::Networks(format!("{error:?}")))?;
    let mut found = Vec::new();
    for (name, network) in networks.iter() {
        for ip in network.ip_networks() {
            let Ok(block) = IpNet::new(ip.addr, ip.prefix) else {
                continue;
            };
            let is_local = match ip.addr {
                std::net::IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
                std::net::IpAddr::V6(address) => {
                    address.is_loopback() || address.is_unicast_link_local()
                }
            };
            if !is_local {
                let name = name.to_string_lossy().parse()?;
                let (address, block) = (ip.addr.to_string(), block.trunc().to_string());
                found.push((name, Address::new(address)?, Cidr::new(block)?));
            }
        }
    }
    Ok(found)
}

/// The destinations with a gateway, of the table that Linux prints in `/proc/net/route`: little-endian numbers in
/// hexadecimal digits.
pub fn routes(table: &str) -> BTreeSet<Cidr> {
    const HAS_GATEWAY: u32 = 0x2;
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    let route = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let flags = number(fields.get(3)?)?;
        let destination = Ipv4Addr::from(number(fields.get(1)?)?.to_le_bytes());
        let mask = Ipv4Addr::from(number(fields.get(7)?)?.to_le_bytes());
        let block = Ipv4Net::with_netmask(destination, mask).ok()?;
        (flags & HAS_GATEWAY != 0).then(|| Cidr::new(block.trunc().to_string()).ok())?
    };
    table.lines().skip(1).filter_map(route).collect()
}

/// Installed packages by name, and how many have a name or version that is not taken.
fn packages() -> Result<(BTreeMap<Name, Version>, usize), FoundError> {
    let mut found = Vec::new();
    if let Some(status) = text_of("/var/lib/dpkg/status")? {
        found.extend(dpkg(&status));
    }
    if let Some(installed) = text_of("/lib/apk/db/installed")? {
        found.extend(apk(&installed));
    }
    let all = found.len();
    let valid = found
        .into_iter()
        .filter_map(|(name, version)| Some((Name::new(name).ok()?, Version::new(version).ok()?)));
    let mut packages = BTreeMap::new();
    let mut taken = 0;
    for (name, version) in valid {
        taken += 1;
        packages.insert(name, version);
    }
    Ok((packages, all - taken))
}

/// The installed packages of a dpkg status file; one that may be installed for several architectures carries its own in
/// its name.
pub fn dpkg(status: &str) -> Vec<(String, String)> {
    let field = |paragraph: &str, name: &str| {
        let mut lines = paragraph.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(|value| value.trim().to_owned())
    };
    let package = |paragraph: &str| {
        let is_installed = field(paragraph, "Status")?.ends_with(" installed");
        let name = field(paragraph, "Package")?;
        let architecture = field(paragraph, "Architecture").unwrap_or_default();
        let name = match field(paragraph, "Multi-Arch").as_deref() {
            Some("same") => format!("{name}:{architecture}"),
            _ => name,
        };
        is_installed.then(|| Some((name, field(paragraph, "Version")?)))?
    };
    status.split("\n\n").filter_map(package).collect()
}

/// The packages of an apk database.
pub fn apk(installed: &str) -> Vec<(String, String)> {
    let package = |paragraph: &str| {
        let field = |name| paragraph.lines().find_map(|line| line.strip_prefix(name));
        Some((field("P:")?.to_owned(), field("V:")?.to_owned()))
    };
    installed.split("\n\n").filter_map(package).collect()
}
