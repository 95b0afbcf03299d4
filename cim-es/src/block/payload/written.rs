//! Values other than events, such as what a snapshot keeps.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_ipld_dagcbor::ser::{BufWriter, Serializer};

use super::check::compare;
use super::inspect::{Inspection, Refused, inspect};

/// A value that would not read back as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", at(.0), .0.reason)]
pub(crate) struct NotReadBack(Refused);

impl NotReadBack {
    /// The field at a path reads back as another value, although both are written alike.
    pub(crate) fn at(path: &str, reason: String) -> Self {
        Self(Refused {
            path: path.to_owned(),
            reason,
        })
    }
}

fn at(refused: &Refused) -> String {
    match refused.path.as_str() {
        "" => String::new(),
        path => format!("field `{path}`: "),
    }
}

/// The bytes of a value, which read back as `U` and are written again to the same bytes.
///
/// # Errors
/// [`NotReadBack`] with the path of the field that does not.
pub(crate) fn written<T, U>(value: &T) -> Result<Vec<u8>, NotReadBack>
where
    T: Serialize,
    U: Serialize + DeserializeOwned,
{
    written_and_read::<T, U>(value).map(|(bytes, _)| bytes)
}

/// The bytes of a value, as [`written`] gives them, and the value that they read back as.
///
/// # Errors
/// [`NotReadBack`] with the path of the field that does not.
pub(crate) fn written_and_read<T, U>(value: &T) -> Result<(Vec<u8>, U), NotReadBack>
where
    T: Serialize,
    U: Serialize + DeserializeOwned,
{
    checked::<T, U>(value).map_err(NotReadBack)
}

/// The bytes of a value.
pub(crate) fn encoded<T: Serialize>(value: &T) -> Result<Vec<u8>, NotReadBack> {
    write(value).map_err(NotReadBack)
}

/// The room that is taken before a value is written: most need no more, and it does not grow byte by byte.
const ROOM: usize = 256;

fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, Refused> {
    let mut serializer = Serializer::new(BufWriter::new(Vec::with_capacity(ROOM)));
    match value.serialize(&mut serializer) {
        Ok(()) => Ok(serializer.into_inner().into_inner()),
        Err(error) => {
            let unfit = inspect(value, Inspection::Keys).err();
            Err(unfit.unwrap_or_else(|| Refused::new(error.to_string())))
        }
    }
}

fn checked<T, U>(value: &T) -> Result<(Vec<u8>, U), Refused>
where
    T: Serialize,
    U: Serialize + DeserializeOwned,
{
    let met = inspect(value, Inspection::Values)?;
    let bytes = write(value)?;
    let read: Result<U, _> = serde_ipld_dagcbor::from_slice(&bytes);
    let read_back = read.map_err(|error| {
        let unfit = inspect(value, Inspection::Keys).err();
        unfit.unwrap_or_else(|| Refused::new(format!("it does not read back: {error}")))
    })?;
    let again = None::<fn() -> Result<U, String>>;
    compare(value, &read_back, &bytes, &met, write::<U>, again)?;
    Ok((bytes, read_back))
}
