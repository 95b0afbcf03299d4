//! The values of the domain: each is valid once it exists, also when it is read back from a store.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;

use cim_es::prelude::*;
use ipnet::IpNet;

use super::Compute;
pub use crate::quickstart::values::{DeviceName, Hostname, Interface, Label, MacAddress, Reason};

/// Processor architectures for which Nix knows a system.
const ARCHITECTURES: [&str; 11] = [
    "x86_64",
    "i686",
    "aarch64",
    "armv6l",
    "armv7l",
    "powerpc64",
    "powerpc64le",
    "riscv32",
    "riscv64",
    "s390x",
    "mips64el",
];
/// Operating systems for which Nix knows one.
const OPERATING_SYSTEMS: [&str; 7] = [
    "linux", "darwin", "freebsd", "openbsd", "netbsd", "windows", "cygwin",
];

value! {
    /// What programs for a machine are built for, as Nix names it, such as `x86_64-linux`.
    pub SystemArchitecture(String): "system",
    "an architecture and an operating system that Nix knows, joined by a hyphen, such as x86_64-linux",
    |text| {
        let (architecture, system) = text.split_once('-')?;
        let is_known = ARCHITECTURES.contains(&architecture) && OPERATING_SYSTEMS.contains(&system);
        is_known.then(|| text.to_owned())
    }
}

value! {
    /// A block of addresses, such as `10.1.0.0/16` or `2001:db8::/48`.
    pub Cidr(IpNet): "block of addresses",
    "an IPv4 or IPv6 address without host bits and the length of its prefix, such as 10.1.0.0/16",
    |text| text.parse().ok().filter(|net: &IpNet| net.trunc() == *net)
}

value! {
    /// The address of one interface.
    pub Address(IpAddr): "address",
    "an IPv4 or IPv6 address, such as 10.1.0.7",
    |text| text.parse().ok()
}

value! {
    /// The version of a program: numbers and words between dots, hyphens, plus signs, colons, tildes and
    /// underscores, such as `1:2.36-9+deb12u1`.
    pub Version(String): "version",
    "1 to 128 letters, digits and . - + : ~ _, the first of them a letter or a digit",
    |text| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || ".-+:~_".contains(c);
        let is_version = (1..=128).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(is_allowed);
        is_version.then(|| text.to_owned())
    }
}

value! {
    /// The name of a program or a policy, such as `libc6:amd64`.
    pub Name(String): "name",
    "1 to 128 letters, digits and . - + : _ /, without spaces",
    |text| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || ".-+:_/".contains(c);
        ((1..=128).contains(&text.len()) && text.chars().all(is_allowed)).then(|| text.to_owned())
    }
}

impl Cidr {
    /// Whether it shares addresses with another block.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }

    /// Whether an interface may have the address: it lies in the block and is neither that of the network nor, in IPv4,
    /// that for all hosts. Blocks of one and two addresses have no such ones (RFC 3021).
    pub fn is_for_a_host(&self, address: &Address) -> bool {
        let hosts = self.0.max_prefix_len() - self.0.prefix_len();
        let is_reserved = hosts > 1
            && (address.0 == self.0.network()
                || (address.0.is_ipv4() && address.0 == self.0.broadcast()));
        self.0.contains(&address.0) && !is_reserved
    }
}

impl Version {
    /// Whether it is older than another: their numbers are compared as numbers, everything else as text. What a tilde
    /// begins comes before what it stands behind, as Debian writes `2.0~rc1` for what leads to `2.0`.
    pub fn is_older_than(&self, other: &Self) -> bool {
        self.parts() < other.parts()
    }

    /// The parts in an order in which they compare: a tilde, then the end, then text, then a number.
    fn parts(&self) -> Vec<(u8, Option<u64>, &str)> {
        let is_edge =
            |a: char, b: char| a.is_ascii_digit() != b.is_ascii_digit() || a == '~' || b == '~';
        let (text, mut parts, mut start) = (&self.0, Vec::new(), 0);
        let pairs = text.char_indices().zip(text.chars().skip(1));
        let edges = pairs
            .filter(|((_, a), b)| is_edge(*a, *b))
            .map(|((at, a), _)| at + a.len_utf8());
        for end in edges.chain([text.len()]) {
            let part = &text[start..end];
            let rank = if part == "~" { 0 } else { 2 };
            parts.push((rank, part.parse().ok(), part.trim_start_matches('0')));
            start = end;
        }
        parts.push((1, None, ""));
        parts
    }
}

/// The number of a virtual network, by IEEE 802.1Q from 1 to 4094.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Vlan(u16);

impl TryFrom<u16> for Vlan {
    type Error = ValueError;

    fn try_from(number: u16) -> Result<Self, ValueError> {
        match number {
            1..=4094 => Ok(Self(number)),
            _ => Err(ValueError::new(number.to_string(), "VLAN", "1 to 4094")),
        }
    }
}

impl From<Vlan> for u16 {
    fn from(vlan: Vlan) -> Self {
        vlan.0
    }
}

/// What a machine can give, and what a guest on it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Logical processors.
    pub cores: NonZeroU32,
    /// Main memory in MiB.
    pub memory_mib: NonZeroU32,
}

/// One interface of one machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InterfaceRef {
    /// The machine.
    pub compute: Id<Compute>,
    /// The interface on it.
    pub name: DeviceName,
}

impl fmt::Display for InterfaceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.compute, self.name)
    }
}
