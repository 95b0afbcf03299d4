//! Files with keys, one on each line.

use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::AgeKeyError;

/// What the lines of a file hold, without those that are empty or begin with `#`.
pub(super) fn lines<T>(
    path: &Path,
    what: &'static str,
    parse: impl Fn(&str) -> Result<T, AgeKeyError>,
) -> Result<Vec<T>, AgeKeyError> {
    let text = std::fs::read_to_string(path).map_err(|error| AgeKeyError::File {
        path: path.to_owned(),
        source: Arc::new(error),
    })?;
    let text = Zeroizing::new(text);
    let lines = text.lines().map(str::trim).enumerate();
    let keys = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let parsed = keys.map(|(at, line)| {
        parse(line).map_err(|source| AgeKeyError::Line {
            path: path.to_owned(),
            line: at + 1,
            source: Box::new(source),
        })
    });
    let parsed = parsed.collect::<Result<Vec<_>, _>>()?;
    match parsed.is_empty() {
        true => Err(AgeKeyError::Empty {
            path: path.to_owned(),
            what,
        }),
        false => Ok(parsed),
    }
}
