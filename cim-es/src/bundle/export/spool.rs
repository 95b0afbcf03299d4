//! Blocks that wait for their manifest: it stands in front of them, and is known once the last of them was seen. So that the
//! store need not be read once more for that, they are written while it is read: behind room for the manifest, where its
//! length can be told before, and else to a file of their own, from which they are copied.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;

use super::packing::{Blocks, Handing, Packs};
use super::syncing::Syncing;
use crate::bundle::BundleError;
use crate::bundle::progress::Canceller;
use crate::store::new_file::NewFile;

/// The bytes that are gathered before they are written.
const BUFFER: usize = 256 * 1024;
/// The bytes that are copied before somebody is asked whether to go on.
const PART: u64 = 64 * 1024 * 1024;

/// The blocks, on the disk that the bundle comes to.
pub(super) struct Spool {
    blocks: NewFile,
    /// The room in front of the blocks, where there is one.
    room: Option<u64>,
    /// The file that they come to.
    target: PathBuf,
}

/// The thread that writes the blocks; it gives their length.
pub(super) type Spooling = JoinHandle<Result<u64, BundleError>>;

impl Spool {
    /// An empty one, with room for what may come in front of the blocks.
    ///
    /// # Errors
    /// As [`NewFile::beside`].
    pub(super) fn beside(target: &Path, room: Option<u64>) -> io::Result<Self> {
        Ok(Self {
            blocks: NewFile::beside(target)?,
            room,
            target: target.to_owned(),
        })
    }

    /// Has a thread write blocks, and gives what takes them.
    pub(super) fn begin(&self) -> io::Result<(Handing<Blocks>, Spooling)> {
        let (handing, packs) = Handing::new();
        let (output, name) = (self.blocks.file().try_clone()?, self.target.clone());
        let room = self.room;
        let writing = tokio::task::spawn_blocking(move || {
            spool(output, room, packs).map_err(|error| BundleError::file("written", &name, error))
        });
        Ok((handing, writing))
    }

    /// Makes the file of what stands in front of the blocks, and of the blocks of a length; says from time to time how many
    /// of the bytes of blocks are done. Gives the length of the file, which survives a power cut then.
    ///
    /// # Errors
    /// [`BundleError`]: the medium fails, or somebody cancels it.
    pub(super) fn finish(
        self,
        front: &[u8],
        length: u64,
        canceller: &Canceller,
        tell: impl FnMut(u64, u64),
    ) -> Result<u64, BundleError> {
        let failed = |error| BundleError::file("written", &self.target, error);
        let file = match self.room == Some(front.len() as u64) {
            true => {
                let mut file = self.blocks.file();
                file.rewind().map_err(failed)?;
                file.write_all(front).map_err(failed)?;
                self.blocks
            }
            false => self.copied_behind(front, length, canceller, tell)?,
        };
        file.keep()
            .map_err(|error| BundleError::file("written", &self.target, error))?;
        Ok(front.len() as u64 + length)
    }

    fn copied_behind(
        &self,
        front: &[u8],
        length: u64,
        canceller: &Canceller,
        mut tell: impl FnMut(u64, u64),
    ) -> Result<NewFile, BundleError> {
        let failed = |error| BundleError::file("written", &self.target, error);
        let new = NewFile::beside(&self.target).map_err(failed)?;
        let (mut blocks, mut output) = (self.blocks.file(), new.file());
        let start = SeekFrom::Start(self.room.unwrap_or_default());
        blocks.seek(start).map_err(failed)?;
        output.write_all(front).map_err(failed)?;
        let mut copied = 0;
        while copied < length {
            canceller.check()?;
            // From file to file it goes without a detour where the system knows a way.
            let part = io::copy(&mut blocks.take(PART), &mut output).map_err(failed)?;
            if part == 0 {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
            copied += part;
            tell(copied, length);
        }
        Ok(new)
    }
}

fn spool(mut output: File, room: Option<u64>, mut packs: Packs<Blocks>) -> io::Result<u64> {
    output.seek(SeekFrom::Start(room.unwrap_or_default()))?;
    // What is copied in the end need not be on the disk.
    let mut syncing = room.map(|_| Syncing::of(&output)).transpose()?;
    let mut output = BufWriter::with_capacity(BUFFER, output);
    let mut length = 0;
    while let Some(Blocks { blocks, wanted }) = packs.blocking_recv() {
        for part in wanted {
            length += part.len() as u64;
            if let Some(syncing) = &mut syncing {
                syncing.note(part.len());
            }
            output.write_all(&blocks[part])?;
        }
    }
    output.flush()?;
    syncing.map_or(Ok(()), Syncing::finish)?;
    Ok(length)
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    /// Blocks, and the parts of them that belong to the file.
    const PAGES: [(&str, &[Range<usize>]); 2] = [("abcdef", &[0..2, 4..6]), ("ghi", &[1..2, 2..3])];

    /// A file of some blocks behind `front`, made with room for another front, or without.
    async fn made(room: Option<u64>, front: &[u8]) -> Vec<u8> {
        let name = format!("cim-es-spool-{}", uuid::Uuid::now_v7().simple());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("a directory");
        let target = directory.join("made.car");
        let spool = Spool::beside(&target, room).expect("it is made");
        let (packs, writing) = spool.begin().expect("it begins");
        for (blocks, wanted) in PAGES {
            let (blocks, wanted) = (blocks.into(), wanted.to_vec());
            let handed = packs.hand_over(Blocks { blocks, wanted }).await;
            handed.expect("it is taken");
        }
        drop(packs);
        let length = writing.await.expect("it ends").expect("it is written");
        let mut told = Vec::new();
        let tell = |done, of| told.push((done, of));
        let written = spool.finish(front, length, &Canceller::default(), tell);
        assert_eq!(written.expect("it is written"), front.len() as u64 + length);
        let is_copied = room != Some(front.len() as u64);
        assert_eq!(told, Vec::from_iter(is_copied.then_some((length, length))));
        let made = std::fs::read(&target).expect("it is there");
        let left = std::fs::read_dir(&directory).expect("it is read");
        assert_eq!(left.count(), 1, "no draft is left");
        std::fs::remove_dir_all(&directory).expect("it can be removed");
        made
    }

    #[tokio::test]
    async fn the_blocks_stand_behind_their_front_whatever_room_was_left_for_it() {
        for room in [None, Some(0), Some(3), Some(5), Some(9)] {
            assert_eq!(made(room, b"front").await, b"frontabefhi", "{room:?}");
        }
    }
}
