//! What all attributes have in common: keys, each once, with a value or without.

use proc_macro2::{Ident, TokenTree};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Attribute, Lit, LitInt, Meta, MetaList, Token};

use crate::ctxt::Ctxt;
use crate::names;

/// The keys of one attribute's name, and where each of them was given first.
pub(crate) struct Keys {
    attribute: &'static str,
    known: &'static [&'static str],
    elsewhere: &'static [(&'static str, &'static str)],
    repeatable: &'static [&'static str],
    seen: Vec<String>,
    /// Whether something was not understood: what is missing then may have been meant by it.
    pub(crate) has_refused: bool,
}

impl Keys {
    pub(crate) fn new(attribute: &'static str, known: &'static [&'static str]) -> Self {
        Self {
            attribute,
            known,
            elsewhere: &[],
            repeatable: &[],
            seen: Vec::new(),
            has_refused: false,
        }
    }

    /// Keys that are not of this attribute, and where they belong.
    pub(crate) fn elsewhere(mut self, keys: &'static [(&'static str, &'static str)]) -> Self {
        self.elsewhere = keys;
        self
    }

    /// Keys that may be given more than once.
    pub(crate) fn repeatable(mut self, keys: &'static [&'static str]) -> Self {
        self.repeatable = keys;
        self
    }

    /// Reads one attribute; `value` reads what follows a key, beginning with its `=`.
    pub(crate) fn read(
        &mut self,
        ctxt: &Ctxt,
        attr: &Attribute,
        mut value: impl FnMut(&Ident, ParseStream) -> syn::Result<()>,
    ) {
        let Some(list) = list(ctxt, attr, self.attribute, "key = value, …") else {
            self.has_refused = true;
            return;
        };
        let parser = |input: ParseStream| {
            while !input.is_empty() {
                let key = input.call(Ident::parse_any)?;
                if self.accepts(ctxt, &key) {
                    value(&key, input)?;
                } else {
                    skip_value(input)?;
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

    fn accepts(&mut self, ctxt: &Ctxt, key: &Ident) -> bool {
        let is_accepted = self.is_accepted(ctxt, key);
        self.has_refused |= !is_accepted;
        is_accepted
    }

    fn is_accepted(&mut self, ctxt: &Ctxt, key: &Ident) -> bool {
        let name = names::text(key);
        let attribute = self.attribute;
        if let Some((_, home)) = self.elsewhere.iter().find(|(other, _)| *other == name) {
            ctxt.error(
                key,
                format!("`{name}` has no meaning here: it belongs {home}"),
            );
            return false;
        }
        if !self.known.contains(&name.as_str()) {
            let hint = names::suggestion(&name, self.known.iter().copied());
            let hint = if hint.is_empty() {
                format!("; its keys are {}", listed(self.known))
            } else {
                hint
            };
            ctxt.error(
                key,
                format!("`#[{attribute}(…)]` has no key `{name}`{hint}"),
            );
            return false;
        }
        if self.seen.contains(&name) && !self.repeatable.contains(&name.as_str()) {
            ctxt.error(key, format!("`{name}` is given twice: keep one"));
            return false;
        }
        self.seen.push(name);
        true
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
