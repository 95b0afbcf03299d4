//! A digest of what a declaration means: the same meaning gives the same number, however it is
//! written and with every compiler, and another meaning another number.
//!
//! Each derive says in `meaning` of what its declarations consist. The order in which the parts of
//! a set stand does not count, nor what is for readers and for lints; a part that is not understood
//! counts with all its tokens.

use proc_macro2::{Delimiter, Group, Ident, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Attribute, Field, Fields, Lit, Meta};

use crate::names;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Attributes without a meaning for what is stored and folded: those of readers, of lints and of
/// the compiler.
const WITHOUT_MEANING: &[&str] = &[
    "allow",
    "automatically_derived",
    "cfg",
    "cfg_attr",
    "clippy",
    "deny",
    "deprecated",
    "derive",
    "diagnostic",
    "doc",
    "expect",
    "forbid",
    "inline",
    "must_use",
    "non_exhaustive",
    "repr",
    "rustfmt",
    "warn",
];
/// Attributes whose keys are read into the model, and count from there.
const READ: &[&str] = &[
    "aggregate",
    "apply",
    "command",
    "document",
    "event",
    "in_state",
    "index",
    "index_field",
    "machine",
    "on",
    "projection",
    "state",
    "upcast",
];

/// FNV-1a over the parts of a declaration.
#[derive(Clone, Copy)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) fn new() -> Self {
        Self(OFFSET)
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }

    /// A part, with an end mark, so that `ab c` and `a bc` differ.
    pub(crate) fn text(mut self, text: &str) -> Self {
        for byte in text.bytes().chain([0]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(PRIME);
        }
        self
    }

    pub(crate) fn name(self, ident: &Ident) -> Self {
        self.text(&names::text(ident))
    }

    /// Rust code, without regard to how it is laid out.
    pub(crate) fn code(self, code: &impl ToTokens) -> Self {
        let mut digest = self;
        add_all(&mut digest, code.to_token_stream(), false);
        digest.text("")
    }

    /// Parts whose order has a meaning.
    pub(crate) fn list(self, parts: impl IntoIterator<Item = Self>) -> Self {
        let mut digest = self;
        for part in parts {
            digest = digest.text(&part.0.to_string());
        }
        digest.text("")
    }

    /// Parts whose order has none.
    pub(crate) fn set(self, parts: impl IntoIterator<Item = Self>) -> Self {
        let mut parts: Vec<Self> = parts.into_iter().collect();
        parts.sort_by_key(|part| part.0);
        self.list(parts)
    }

    /// What attributes say beside the derives' own: those of serde, each key for itself, and those
    /// of others.
    pub(crate) fn attributes(self, attrs: &[Attribute]) -> Self {
        self.set(attrs.iter().filter(|attr| has_meaning(attr)).flat_map(keys))
    }

    /// Fields with their types, in order of declaration.
    pub(crate) fn fields_in_order(self, fields: &Fields) -> Self {
        self.list(fields.iter().map(field))
    }

    /// Fields with their types, in whatever order.
    pub(crate) fn fields(self, fields: &Fields) -> Self {
        self.set(fields.iter().map(field))
    }
}

fn field(field: &Field) -> Digest {
    let digest = match &field.ident {
        Some(name) => Digest::new().name(name),
        None => Digest::new(),
    };
    digest.code(&field.ty).attributes(&field.attrs)
}

fn has_meaning(attr: &Attribute) -> bool {
    let first = attr.path().segments.first();
    let is_any =
        |names: &[&str]| first.is_some_and(|first| names.iter().any(|name| first.ident == name));
    !is_any(WITHOUT_MEANING) && !is_any(READ)
}

/// `#[serde(a, b)]` is the same as `#[serde(a)] #[serde(b)]`.
fn keys(attr: &Attribute) -> Vec<Digest> {
    let name = Digest::new().code(attr.path());
    match &attr.meta {
        Meta::List(list) if attr.path().is_ident("serde") => {
            let tokens: Vec<TokenTree> = list.tokens.clone().into_iter().collect();
            let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
            let keys = tokens.split(is_comma).filter(|key| !key.is_empty());
            keys.map(|key| name.code(&TokenStream::from_iter(key.iter().cloned())))
                .collect()
        }
        meta => vec![Digest::new().code(meta)],
    }
}

/// Adds tokens; `is_list` says that a comma behind the last one means nothing.
fn add_all(digest: &mut Digest, tokens: TokenStream, is_list: bool) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let next = tokens.get(at + 1);
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ',' => {
                let is_last = match next {
                    None => is_list,
                    // Behind the last type of `<A, B,>`.
                    Some(TokenTree::Punct(next)) => next.as_char() == '>',
                    Some(_) => false,
                };
                if !is_last {
                    *digest = digest.text(",");
                }
            }
            TokenTree::Punct(punct) => {
                let pair = match next {
                    // `a & &b` is not `a && b`.
                    Some(TokenTree::Punct(next))
                        if punct.spacing() == Spacing::Joint
                            && punct.as_char() == next.as_char()
                            && matches!(punct.as_char(), '&' | '|' | '<') =>
                    {
                        at += 1;
                        String::from_iter([punct.as_char(), next.as_char()])
                    }
                    _ => punct.as_char().to_string(),
                };
                *digest = digest.text(&pair);
            }
            TokenTree::Ident(ident) => *digest = digest.text(&unraw(ident)),
            TokenTree::Literal(_) => *digest = digest.text(&literal(token)),
            TokenTree::Group(group) => {
                add_group(digest, group, at.checked_sub(1).map(|at| &tokens[at]))
            }
        }
        at += 1;
    }
}

fn add_group(digest: &mut Digest, group: &Group, before: Option<&TokenTree>) {
    let stream = group.stream();
    let (open, close, is_list) = match group.delimiter() {
        Delimiter::Brace => ("{", "}", true),
        Delimiter::Bracket => ("[", "]", true),
        Delimiter::Parenthesis => ("(", ")", !is_tuple_of_one(&stream, before)),
        // What a macro was given holds together as if in parentheses, where there is something to
        // hold together.
        Delimiter::None if stream.clone().into_iter().nth(1).is_none() => {
            return add_all(digest, stream, false);
        }
        Delimiter::None => ("(", ")", false),
    };
    *digest = digest.text(open);
    add_all(digest, stream, is_list);
    *digest = digest.text(close);
}

/// `(a,)`, whose comma makes the tuple; that of the call `f(a,)` means nothing.
fn is_tuple_of_one(stream: &TokenStream, before: Option<&TokenTree>) -> bool {
    let is_call = match before {
        Some(TokenTree::Ident(name)) => syn::parse2::<Ident>(name.to_token_stream()).is_ok(),
        Some(TokenTree::Group(group)) => group.delimiter() != Delimiter::Brace,
        _ => false,
    };
    let is_comma =
        |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    !is_call && stream.clone().into_iter().filter(is_comma).count() == 1
}

/// A name without `r#`; a keyword keeps it, since without it it is another thing.
fn unraw(ident: &Ident) -> String {
    let plain = ident.unraw().to_string();
    match syn::parse_str::<Ident>(&plain) {
        Ok(_) => plain,
        Err(_) => ident.to_string(),
    }
}

/// The value of a literal: `01` is `1`, and `r"a"` is `"a"`.
fn literal(token: &TokenTree) -> String {
    match syn::parse2::<Lit>(token.to_token_stream()) {
        Ok(Lit::Int(int)) => format!("{}{}", int.base10_digits(), int.suffix()),
        Ok(Lit::Float(float)) => format!("{}{}", decimal(float.base10_digits()), float.suffix()),
        Ok(Lit::Str(text)) => format!("{:?}{}", text.value(), text.suffix()),
        Ok(Lit::Char(char)) => format!("{:?}{}", char.value(), char.suffix()),
        Ok(Lit::ByteStr(bytes)) => format!("b{:?}{}", bytes.value(), bytes.suffix()),
        Ok(Lit::Byte(byte)) => format!("b{}{}", byte.value(), byte.suffix()),
        _ => token.to_string(),
    }
}

/// Digits without those that say nothing: `1.50` is `1.5`. A power of ten stays as it is written.
fn decimal(digits: &str) -> &str {
    if digits.contains('.') && !digits.contains(['e', 'E']) {
        digits.trim_end_matches('0')
    } else {
        digits
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
    use quote::quote;

    use super::Digest;

    fn of(code: TokenStream) -> u64 {
        Digest::new().code(&code).value()
    }

    #[test]
    fn code_counts_by_what_it_says() {
        for (one, other) in [
            (quote!(f(a, b)), quote!(f(a, b,))),
            (quote!(f(a)), quote!(f(a,))),
            (quote!([a, b]), quote!([a, b,])),
            (quote!(Vec<A, B>), quote!(Vec<A, B,>)),
            (quote!(1), quote!(01)),
            (quote!(16_u8), quote!(0x10u8)),
            (quote!(1.5), quote!(1.50)),
            (quote!("ab"), quote!(r"ab")),
            (quote!("ab"), quote!("a\u{62}")),
            (quote!(r#title), quote!(title)),
        ] {
            assert_eq!(of(one.clone()), of(other.clone()), "{one} and {other}");
        }
    }

    #[test]
    fn code_that_says_something_else_counts_as_something_else() {
        for (one, other) in [
            (quote!((a)), quote!((a,))),
            (quote!(return (a)), quote!(return (a,))),
            (quote!(a && b), quote!(a & &b)),
            (quote!(1u8), quote!(1u16)),
            (quote!("1"), quote!(1)),
            (quote!(1.0), quote!(1)),
            (quote!(1.5), quote!(15)),
            (quote!(b"a"), quote!("a")),
            (quote!(a - b), quote!(b - a)),
            (quote!((a - b) - c), quote!(a - (b - c))),
        ] {
            assert_ne!(of(one.clone()), of(other.clone()), "{one} and {other}");
        }
    }

    #[test]
    fn what_a_macro_was_given_counts_as_in_parentheses() {
        let given = |inner| TokenTree::Group(Group::new(Delimiter::None, inner));
        let sum = given(quote!(1 + 1));
        assert_eq!(of(quote!(a * #sum)), of(quote!(a * (1 + 1))));
        assert_ne!(of(quote!(a * #sum)), of(quote!(a * 1 + 1)));
        let one = given(quote!(1));
        assert_eq!(of(quote!(a * #one)), of(quote!(a * 1)));
    }

    #[test]
    fn the_digest_is_the_same_for_ever() {
        let digest = Digest::new().text("a").code(&quote!(b(1) && "c"));
        assert_eq!(digest.value(), 1642024384357734253);
    }
}
