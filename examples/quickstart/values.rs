//! The values of the domain: each is valid once it exists, also when it is read back from a store.

use cim_es::prelude::*;

value! {
    /// The name of a host, by RFC 1123, section 2.1, and the lengths of RFC 1035, section 2.3.4.
    pub Hostname: "host name",
    "labels of 1 to 63 letters, digits and inner hyphens, joined by dots, 253 characters at most",
    |text| text.len() <= 253 && text.split('.').all(is_host_label)
}

value! {
    /// What programs for the machine are built for: architecture and operating system, such as `x86_64-linux`.
    pub System: "system",
    "architecture and operating system, each 1 to 32 small letters, digits and underscores, joined by a hyphen",
    |text| text.split_once('-').is_some_and(|(architecture, system)| {
        is_plain_word(architecture) && is_plain_word(system)
    })
}

value! {
    /// What the system calls a device, such as `/dev/nvme0n1p2` or `eth0`.
    pub DeviceName: "device name",
    "1 to 255 bytes without control characters",
    |text| is_line(text, 255)
}

value! {
    /// A name that people gave: of a processor, an operating system, a file system.
    pub Label: "label",
    "1 to 128 bytes in one line, without spaces around it",
    |text| is_line(text, 128) && text.trim() == text
}

value! {
    /// Why something was done, in the words of whoever did it.
    pub Reason: "reason",
    "1 to 500 bytes in one line, without spaces around it",
    |text| is_line(text, 500) && text.trim() == text
}

value! {
    /// The hardware address of one network interface, such as `02:fc:00:00:00:01`.
    pub MacAddress: "hardware address",
    "six pairs of hexadecimal digits in small letters, joined by colons, of a single device",
    |text| match mac_bytes(text) {
        Some(bytes) => bytes != [0; 6] && bytes[0] & MULTICAST == 0,
        None => false,
    }
}

impl MacAddress {
    /// Whether the address was chosen by software rather than given by the maker of the device.
    pub fn is_locally_administered(&self) -> bool {
        mac_bytes(&self.0).is_some_and(|bytes| bytes[0] & LOCALLY_ADMINISTERED != 0)
    }
}

/// What the machine can give to work that runs on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceCapabilities {
    /// The operating system with its version.
    pub operating_system: Label,
    /// The model of the processor.
    pub processor: Label,
    /// The number of logical processors.
    pub cores: u32,
    /// The main memory in MiB.
    pub memory_mib: u64,
}

/// A file system on a disk of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The device.
    pub device: DeviceName,
    /// The kind of file system.
    pub file_system: Label,
    /// The size in bytes.
    pub bytes: u64,
}

/// A network interface of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The device.
    pub name: DeviceName,
    /// Its hardware address.
    pub mac: MacAddress,
}

/// The bits of the first byte of a hardware address, by IEEE 802, section 8.2.
const MULTICAST: u8 = 0b01;
const LOCALLY_ADMINISTERED: u8 = 0b10;

fn is_host_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_plain_word(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=32).contains(&text.len()) && text.bytes().all(is_plain)
}

fn is_line(text: &str, max_bytes: usize) -> bool {
    (1..=max_bytes).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn mac_bytes(text: &str) -> Option<[u8; 6]> {
    let pair = |pair: &str| {
        let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        (pair.len() == 2 && pair.bytes().all(is_hex)).then(|| u8::from_str_radix(pair, 16).ok())?
    };
    let bytes: Option<Vec<u8>> = text.split(':').map(pair).collect();
    bytes?.try_into().ok()
}
