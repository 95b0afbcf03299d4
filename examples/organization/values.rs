//! The values of the domain: each is valid once it exists, also when it is read back from a store.

use std::fmt;
use std::str::FromStr;

pub use chrono::NaiveDate;
use cim_es::prelude::*;

pub use crate::quickstart::values::{Label, Reason};

value! {
    /// What an organization calls one of its parts, or a register an organization: `RND`, `HQ-2`, `4711.01`.
    pub Code: "code",
    "1 to 32 capital letters, digits and . _ -, the first of them a letter or a digit",
    |text| {
        let is_plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        let is_allowed = |b: u8| is_plain(b) || b"._-".contains(&b);
        (1..=32).contains(&text.len())
            && text.bytes().all(is_allowed)
            && text.bytes().next().is_some_and(is_plain)
    }
}

/// Declares a choice of a few words, with the words under which it is stored, read and printed.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident: $what:literal, $rule:literal, [$($(#[$case_doc:meta])* $case:ident = $word:literal),+]) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum $name {
            $($(#[$case_doc])* $case,)+
        }

        impl $name {
            /// Every choice.
            pub const ALL: &[Self] = &[$(Self::$case),+];
        }

        impl TryFrom<String> for $name {
            type Error = ValueError;

            fn try_from(text: String) -> Result<Self, ValueError> {
                match text.as_str() {
                    $($word => Ok(Self::$case),)+
                    _ => Err(ValueError::new(text, $what, $rule)),
                }
            }
        }

        impl FromStr for $name {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, ValueError> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$case => $word,)+
                })
            }
        }
    };
}

choice!(
    /// What kind of body an organization is.
    OrganizationType: "type of organization",
    "company, nonprofit, government, cooperative, school or other",
    [
        /// It is run for profit.
        Company = "company",
        /// It is run for a purpose.
        Nonprofit = "nonprofit",
        /// It is a public authority.
        Government = "government",
        /// It belongs to its members.
        Cooperative = "cooperative",
        /// It teaches.
        School = "school",
        /// It is something else.
        Other = "other"
    ]
);

choice!(
    /// How two organizations became one.
    MergerType: "type of merger",
    "acquisition, merger_of_equals or consolidation",
    [
        /// The survivor bought the one that ends.
        Acquisition = "acquisition",
        /// Both joined on equal terms, under the name of the survivor.
        MergerOfEquals = "merger_of_equals",
        /// A group joined two of its own.
        Consolidation = "consolidation"
    ]
);
