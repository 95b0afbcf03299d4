//! Blocks that wait for their manifest: it stands in front of them, and is known once the last of them was seen. So that the
//! store need not be read once more for that, they are written to a file without a name, and copied behind it.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek};
use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;

use super::packing::{Packing, Packs};
use super::write;
use crate::bundle::BundleError;
use crate::bundle::progress::Canceller;
use crate::car::CarWriter;
use crate::store::new_file::NewFile;

/// The bytes that are gathered before they are written.
const BUFFER: usize = 256 * 1024;
/// The bytes that are copied before somebody is asked whether to go on.
const PART: u64 = 64 * 1024 * 1024;

/// The blocks, on the disk that the bundle comes to.
pub(super) struct Spool {
    blocks: File,
    /// The file that it becomes a part of, for errors.
    name: PathBuf,
}

impl Spool {
    /// An empty one, which is gone with the program, however that ends.
    ///
    /// # Errors
    /// As [`NewFile::beside`].
    pub(super) fn beside(path: &Path) -> io::Result<Self> {
        Ok(Self {
            blocks: NewFile::beside(path)?.without_name()?,
            name: path.to_owned(),
        })
    }

    /// Has a thread write the blocks of events, and gives what takes the events.
    pub(super) fn begin(&self) -> io::Result<(Packing, JoinHandle<Result<(), BundleError>>)> {
        let (packing, packs) = Packing::new();
        let (output, name) = (self.blocks.try_clone()?, self.name.clone());
        let writing = tokio::task::spawn_blocking(move || spool(output, &name, packs));
        Ok((packing, writing))
    }

    /// Writes a file of roots, which it begins with, and of the blocks behind them; says from time to time how many of the
    /// bytes of blocks are done. Gives the length of the file.
    ///
    /// # Errors
    /// [`BundleError`]: the medium fails, or somebody cancels it.
    pub(super) fn copy_behind(
        self,
        roots: &[Vec<u8>],
        mut output: &File,
        canceller: &Canceller,
        mut tell: impl FnMut(u64, u64),
    ) -> Result<u64, BundleError> {
        let failed = |error| BundleError::file("written", &self.name, error);
        let mut blocks = &self.blocks;
        let length = blocks.stream_position().map_err(failed)?;
        blocks.rewind().map_err(failed)?;
        let car = write::begin(&mut output, roots, &self.name)?;
        let begun = car.written();
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
        Ok(begun + copied)
    }
}

fn spool(output: File, name: &Path, mut packs: Packs) -> Result<(), BundleError> {
    let output = BufWriter::with_capacity(BUFFER, output);
    let mut car = CarWriter::behind_header(output);
    while let Some(pack) = packs.blocking_recv() {
        for event in pack {
            write::event(&mut car, &event, name)?;
        }
    }
    car.finish()
        .map(drop)
        .map_err(|error| write::failed(name, error))
}
