//! Where a file is mounted, as Linux tells it; elsewhere nothing is known.

use std::path::Path;

/// File systems that reach other machines. Their locks and shared memory hold among the processes of one machine.
const NETWORK: [&str; 13] = [
    "9p",
    "afs",
    "ceph",
    "cifs",
    "coda",
    "fuse.glusterfs",
    "fuse.s3fs",
    "fuse.sshfs",
    "lustre",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
];

/// What is known of the mount that a file lies on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mount {
    /// Whether the file itself is mounted, and not a directory above it.
    pub(super) is_the_file: bool,
    /// The kind of file system, when it reaches other machines.
    pub(super) network: Option<&'static str>,
}

/// The mount of a file, by its path without links.
pub(super) fn of(path: &Path) -> Mount {
    if !cfg!(target_os = "linux") {
        return Mount::default();
    }
    match std::fs::read("/proc/self/mountinfo") {
        Ok(table) => find(&table, path),
        // Not every container shows it.
        Err(_) => Mount::default(),
    }
}

fn find(table: &[u8], path: &Path) -> Mount {
    let mut longest = 0;
    let mut mount = Mount::default();
    for line in table.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b' ');
        let Some(point) = fields.nth(4).map(unescape) else {
            continue;
        };
        let kind = fields.skip_while(|field| *field != b"-").nth(1);
        // What is mounted later on one point hides what was there.
        if point.len() >= longest && is_above(&point, path.as_os_str().as_encoded_bytes()) {
            longest = point.len();
            mount = Mount {
                is_the_file: point == path.as_os_str().as_encoded_bytes(),
                network: NETWORK
                    .into_iter()
                    .find(|network| kind == Some(network.as_bytes())),
            };
        }
    }
    mount
}

fn is_above(point: &[u8], path: &[u8]) -> bool {
    match path.strip_prefix(point) {
        Some(rest) => rest.is_empty() || rest[0] == b'/' || point == b"/",
        None => false,
    }
}

/// Blanks and backslashes stand in the table as three octal digits behind a backslash.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let code = behind
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(byte) => {
                plain.push(byte);
                rest = &behind[3..];
            }
            None => {
                plain.push(*first);
                rest = behind;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Mount, find};

    const TABLE: &[u8] = b"22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 22 0:40 / /data rw - nfs4 server:/data rw
41 22 0:41 / /data/my\\040disk rw shared:3 - ext4 /dev/vdb rw
42 22 254:0 /some/store.db /app/store.db rw master:1 - ext4 /dev/vda rw
";

    fn at(path: &str) -> Mount {
        find(TABLE, Path::new(path))
    }

    #[test]
    fn a_file_on_a_network_is_told_from_one_on_a_disk() {
        assert_eq!(at("/store.db"), Mount::default());
        assert_eq!(at("/data/store.db").network, Some("nfs4"));
        assert_eq!(at("/database/store.db").network, None);
        assert_eq!(at("/data/my disk/store.db").network, None);
    }

    #[test]
    fn a_file_that_is_mounted_alone_is_told_from_its_directory() {
        assert!(at("/app/store.db").is_the_file);
        assert!(!at("/app/other.db").is_the_file);
        assert!(!at("/data/store.db").is_the_file);
    }
}
