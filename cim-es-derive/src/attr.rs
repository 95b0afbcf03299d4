//! What all attributes have in common: keys, each once, with a value or without.

use proc_macro2::{Ident, TokenTree};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Attribute, Lit, LitInt, Meta, MetaList, Token};

use crate::ctxt::Ctxt;
use crate::names;

/// The keys of an attribute. They are an enum, and who reads them matches it without a wildcard: a new key is then read
/// somewhere, or does not compile. The macro `keys!` writes it.
pub(crate) trait Key: Copy + Eq + 'static {
    /// The attribute's name.
    const ATTRIBUTE: &'static str;
    /// Each key as it is written.
    const ALL: &'static [(&'static str, Self)];
    /// Those that may be given more than once.
    const REPEATABLE: &'static [Self];
    /// Keys that are not of this attribute, and where they belong.
    const ELSEWHERE: &'static [(&'static str, &'static str)];
}

/// Declares the keys of an attribute.
macro_rules! keys {
    (
        $(#[$meta:meta])*
        $name:ident of $attribute:literal {
            $($key:ident = $text:literal),+ $(,)?
        }
        $(repeatable { $($again:ident),+ $(,)? })?
        $(elsewhere { $($other:literal => $home:literal),+ $(,)? })?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum $name {
            $($key),+
        }

        impl $crate::attr::Key for $name {
            const ATTRIBUTE: &'static str = $attribute;
            const ALL: &'static [(&'static str, Self)] = &[$(($text, Self::$key)),+];
            const REPEATABLE: &'static [Self] = &[$($(Self::$again),+)?];
            const ELSEWHERE: &'static [(&'static str, &'static str)] =
                &[$($(($other, $home)),+)?];
        }
    };
}
pub(crate) use keys;

/// Reads the keys of one attribute's name, each once unless it may be repeated.
pub(crate) struct Keys<K> {
    seen: Vec<K>,
    /// Whether something was not understood: what is missing then may have been meant by it.
    pub(crate) has_refused: bool,
}

impl<K: Key> Keys<K> {
    pub(crate) fn new() -> Self {
        Self {
            seen: Vec::new(),
            has_refused: false,
        }
    }

    /// Reads all attributes of this name; `value` reads what follows a key, beginning with its `=`.
    pub(crate) fn read_all(
        &mut self,
        ctxt: &Ctxt,
        attrs: &[Attribute],
        mut value: impl FnMut(K, &Ident, ParseStream) -> syn::Result<()>,
    ) {
        for attr in attrs
            .iter()
            .filter(|attr| attr.path().is_ident(K::ATTRIBUTE))
        {
            self.read(ctxt, attr, &mut value);
        }
    }

    /// Reads one attribute.
    pub(crate) fn read(
        &mut self,
        ctxt: &Ctxt,
        attr: &Attribute,
        mut value: impl FnMut(K, &Ident, ParseStream) -> syn::Result<()>,
    ) {
        let Some(list) = list(ctxt, attr, K::ATTRIBUTE, "key = value, …") else {
            self.has_refused = true;
            return;
        };
        let parser = |input: ParseStream| {
            while !input.is_empty() {
                let name = input.call(Ident::parse_any)?;
                match self.accepted(ctxt, &name) {
                    Some(key) => value(key, &name, input)?,
                    None => {
                        self.has_refused = true;
                        skip_value(input)?;
                    }
                }
                if !input.is_empty() {
                    comma(input)?;
                }
            }
            Ok(())
        };
        if ctxt.keep(list.parse_args_with(parser)).is_none() {
            self.has_refused = true;
        }
    }

    /// The key of this name; one that is unknown, or given twice, is reported.
    fn accepted(&mut self, ctxt: &Ctxt, ident: &Ident) -> Option<K> {
        let name = names::text(ident);
        if let Some((_, home)) = K::ELSEWHERE.iter().find(|(other, _)| *other == name) {
            let message = format!("`{name}` has no meaning here: it belongs {home}");
            ctxt.error(ident, message);
            return None;
        }
        let Some((_, key)) = K::ALL.iter().find(|(text, _)| *text == name) else {
            let known: Vec<&str> = K::ALL.iter().map(|(text, _)| *text).collect();
            let hint = names::suggestion(&name, known.iter().copied());
            let hint = if hint.is_empty() {
                format!("; its keys are {}", listed(&known))
            } else {
                hint
            };
            let attribute = K::ATTRIBUTE;
            ctxt.error(
                ident,
                format!("`#[{attribute}(…)]` has no key `{name}`{hint}"),
            );
            return None;
        };
        if self.seen.contains(key) && !K::REPEATABLE.contains(key) {
            ctxt.error(ident, format!("`{name}` is given twice: keep one"));
            return None;
        }
        self.seen.push(*key);
        Some(*key)
    }
}

/// The attribute with its parentheses; an attribute without any, or without content, is reported.
pub(crate) fn list<'a>(
    ctxt: &Ctxt,
    attr: &'a Attribute,
    name: &str,
    content: &str,
) -> Option<&'a MetaList> {
    match &attr.meta {
        Meta::List(list) if !list.tokens.is_empty() => Some(list),
        _ => {
            ctxt.error(
                attr,
                format!("`#[{name}]` is empty: write `#[{name}({content})]`"),
            );
            None
        }
    }
}

/// A literal, such as a text in quotes.
pub(crate) fn literal(input: ParseStream) -> syn::Result<Lit> {
    input.parse().map_err(|error| {
        syn::Error::new(
            error.span(),
            "expected a literal: a text in quotes, or a number",
        )
    })
}

/// A whole number from 1; another one is reported.
pub(crate) fn number(ctxt: &Ctxt, input: ParseStream, what: &str) -> syn::Result<Option<LitInt>> {
    let lit = literal(input)?;
    if let Lit::Int(number) = &lit
        && number.base10_parse::<u32>().is_ok_and(|value| value > 0)
    {
        return Ok(Some(number.clone()));
    }
    ctxt.error(
        &lit,
        format!("{what} is a whole number from 1 to {}", u32::MAX),
    );
    Ok(None)
}

/// The `=` between a key and its value.
pub(crate) fn equals(key: &Ident, input: ParseStream) -> syn::Result<()> {
    if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        return Ok(());
    }
    let name = names::text(key);
    Err(syn::Error::new(
        key.span(),
        format!("`{name}` has no value: write `{name} = …`"),
    ))
}

/// A key that stands alone.
pub(crate) fn flag(key: &Ident, input: ParseStream) -> syn::Result<()> {
    if input.peek(Token![=]) {
        let name = names::text(key);
        return Err(input.error(format!("`{name}` takes no value: write `{name}` alone")));
    }
    Ok(())
}

fn comma(input: ParseStream) -> syn::Result<()> {
    if input.peek(Token![,]) {
        input.parse::<Token![,]>()?;
        return Ok(());
    }
    Err(input.error("expected `,` before the next key"))
}

/// Reports the attributes of a derive that stand where they have no meaning.
pub(crate) fn misplaced(ctxt: &Ctxt, attrs: &[Attribute], names: &[&str], home: &str) {
    for attr in attrs {
        if let Some(name) = names.iter().find(|name| attr.path().is_ident(name)) {
            ctxt.error(
                attr.path(),
                format!("`#[{name}(…)]` has no meaning here: it belongs {home}"),
            );
        }
    }
}

/// `a`, `b` and `c`, each in backquotes.
pub(crate) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Skips the value of a key that is not understood, up to the next comma.
fn skip_value(input: ParseStream) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}
