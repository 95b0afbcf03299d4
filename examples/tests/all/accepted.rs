//! Asking a value object whether it takes a text.

use std::fmt::Debug;
use std::str::FromStr;

use serde::de::DeserializeOwned;

/// Whether a text makes the value, by parsing, by conversion and by decoding, which must agree.
pub fn is_accepted<T: FromStr + TryFrom<String> + DeserializeOwned + Debug>(text: &str) -> bool {
    let decoded = serde_json::from_value::<T>(text.into()).is_ok();
    assert_eq!(text.parse::<T>().is_ok(), decoded, "{text:?}");
    assert_eq!(T::try_from(text.to_owned()).is_ok(), decoded, "{text:?}");
    decoded
}
