//! Value objects: texts and what is parsed from texts, valid once they exist, also when they are read back from a store.

/// A text that does not make the value that it was meant for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: {rule}")]
pub struct ValueError {
    text: String,
    what: &'static str,
    rule: &'static str,
}

impl ValueError {
    /// The error for a text that was to be `what`, and what `rule` asks for: `"web_1" is no host name: labels of …`.
    pub fn new(text: impl Into<String>, what: &'static str, rule: &'static str) -> Self {
        let text = text.into();
        Self { text, what, rule }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Declares a value object: a text with a rule, or what is parsed from a text.
///
/// The value is made by `new`, by `parse()` and by decoding, all of which apply the rule and give a [`ValueError`] that
/// says what was asked for. It prints as its text, and that is what is stored, so that a subscriber in another language
/// reads it too. The field is private to the module in which the value is declared.
///
/// ```
/// use std::net::IpAddr;
///
/// use cim_es::value;
///
/// value! {
///     /// What a thing is called.
///     pub Label: "label", "1 to 40 bytes without spaces around them",
///     |text| (1..=40).contains(&text.len()) && text.trim() == text
/// }
///
/// value! {
///     /// Where a host is found.
///     pub Address(IpAddr): "address", "an IPv4 or IPv6 address, such as 10.1.0.7",
///     |text| text.parse().ok()
/// }
///
/// assert_eq!(Label::new("rack 4")?.as_str(), "rack 4");
/// assert_eq!("10.1.0.7".parse::<Address>()?.to_string(), "10.1.0.7");
/// assert_eq!(
///     "10.1".parse::<Address>().unwrap_err().to_string(),
///     r#""10.1" is no address: an IPv4 or IPv6 address, such as 10.1.0.7"#
/// );
/// let decoded = serde_json::from_str::<Label>(r#"" rack""#);
/// assert!(decoded.unwrap_err().to_string().starts_with(r#"" rack" is no label"#));
/// # Ok::<(), cim_es::value::ValueError>(())
/// ```
///
/// A value that is parsed prints as its field does (`Display`), which has to parse again; the field's type also has
/// `Clone`, `Debug`, `Eq`, `Ord` and `Hash`.
#[macro_export]
macro_rules! value {
    (
        $(#[$attribute:meta])* $visibility:vis $name:ident: $what:literal, $rule:literal, $is_valid:expr $(,)?
    ) => {
        $crate::value! {
            $(#[$attribute])* $visibility $name(::std::string::String): $what, $rule,
            |text| {
                let is_valid: fn(&str) -> bool = $is_valid;
                is_valid(text).then(|| text.to_owned())
            }
        }

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
    (
        $(#[$attribute:meta])* $visibility:vis $name:ident($inner:ty): $what:literal, $rule:literal, $parse:expr $(,)?
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility struct $name($inner);

        impl $name {
            /// The value of a text.
            ///
            /// # Errors
            /// [`ValueError`](cim_es::value::ValueError) says what the text should have been.
            pub fn new(
                text: impl ::std::convert::Into<::std::string::String>,
            ) -> ::std::result::Result<Self, $crate::value::ValueError> {
                let text: ::std::string::String = text.into();
                let parse: fn(&str) -> ::std::option::Option<$inner> = $parse;
                match parse(&text) {
                    ::std::option::Option::Some(value) => ::std::result::Result::Ok(Self(value)),
                    ::std::option::Option::None => ::std::result::Result::Err(
                        $crate::value::ValueError::new(text, $what, $rule),
                    ),
                }
            }
        }

        impl ::std::convert::TryFrom<::std::string::String> for $name {
            type Error = $crate::value::ValueError;

            fn try_from(text: ::std::string::String) -> ::std::result::Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::value::ValueError;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl ::std::convert::From<$name> for ::std::string::String {
            fn from(value: $name) -> Self {
                ::std::string::ToString::to_string(&value)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl $crate::document::IndexField for $name {}

        impl $crate::__private::Serialize for $name {
            fn serialize<S: $crate::__private::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> $crate::__private::Deserialize<'de> for $name {
            fn deserialize<D: $crate::__private::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                let text = <::std::string::String as $crate::__private::Deserialize>::deserialize(deserializer)?;
                Self::new(text).map_err(<D::Error as $crate::__private::DecodeError>::custom)
            }
        }
    };
}
