//! Reads the list of events: `[BookEvent, lending::ReaderEvent::{Registered, Moved}]`.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Path, PathSegment, Token, braced, bracketed, token};

use super::model::Listed;
use crate::ctxt::Ctxt;
use crate::names;

const FORM: &str = "`events = [BookEvent, ReaderEvent::{Registered, Moved}]`";

/// The list, behind the `=`.
pub(super) fn read(ctxt: &Ctxt, input: ParseStream) -> syn::Result<Vec<Listed>> {
    if !input.peek(token::Bracket) {
        return Err(input.error(format!("expected a list of enums of events: {FORM}")));
    }
    let list;
    let bracket = bracketed!(list in input);
    let mut all = Vec::new();
    while !list.is_empty() {
        all.push(one(ctxt, &list)?);
        if !list.is_empty() {
            comma(&list)?;
        }
    }
    if all.is_empty() {
        ctxt.push(syn::Error::new(
            bracket.span.join(),
            format!("a view that is made of no events stays empty: {FORM}"),
        ));
    }
    Ok(all)
}

/// The path of an enum of events, and the choice behind it.
fn one(ctxt: &Ctxt, input: ParseStream) -> syn::Result<Listed> {
    let mut path = Path {
        leading_colon: input.parse()?,
        segments: Punctuated::new(),
    };
    loop {
        if !input.peek(Ident::peek_any) {
            return Err(input.error(format!("expected an enum of events: {FORM}")));
        }
        let segment = input.call(Ident::parse_any)?;
        path.segments.push_value(PathSegment::from(segment));
        if !input.peek(Token![::]) {
            break;
        }
        let separator = input.parse()?;
        if input.peek(token::Brace) {
            let choice = choice(ctxt, input)?;
            return Ok(Listed {
                events: path,
                choice: Some(choice),
            });
        }
        path.segments.push_punct(separator);
    }
    refuse_bare_variant(ctxt, &path);
    Ok(Listed {
        events: path,
        choice: None,
    })
}

/// `{Lent, Returned}`.
fn choice(ctxt: &Ctxt, input: ParseStream) -> syn::Result<Vec<Ident>> {
    let braces;
    let brace = braced!(braces in input);
    let mut variants: Vec<Ident> = Vec::new();
    while !braces.is_empty() {
        let variant: Ident = braces.parse().map_err(|error: syn::Error| {
            let expected = "expected the name of an event, without its fields";
            syn::Error::new(error.span(), expected)
        })?;
        if variants.contains(&variant) {
            let name = names::text(&variant);
            ctxt.error(
                &variant,
                format!("`{name}` is chosen twice: remove it here"),
            );
        } else {
            variants.push(variant);
        }
        if !braces.is_empty() {
            comma(&braces)?;
        }
    }
    if variants.is_empty() {
        ctxt.push(syn::Error::new(
            brace.span.join(),
            "a choice of no events matches nothing: name events, or leave `::{}` out for all of them",
        ));
    }
    Ok(variants)
}

/// `BookEvent::Lent` is one event, not an enum: types begin with a capital letter, modules do not.
fn refuse_bare_variant(ctxt: &Ctxt, path: &Path) {
    let is_type = |segment: &PathSegment| {
        let name = names::text(&segment.ident);
        name.starts_with(char::is_uppercase)
    };
    let mut ends = path.segments.iter().rev();
    if let (Some(last), Some(before)) = (ends.next(), ends.next())
        && is_type(last)
        && is_type(before)
    {
        let (events, event) = (names::text(&before.ident), names::text(&last.ident));
        ctxt.error(
            path,
            format!("`{event}` is one event: write `{events}::{{{event}}}` for a choice of events"),
        );
    }
}

fn comma(input: ParseStream) -> syn::Result<()> {
    if input.peek(Token![,]) {
        input.parse::<Token![,]>()?;
        return Ok(());
    }
    // What stands here is named, and not the end of the list behind it.
    let rest: TokenStream = input.fork().parse()?;
    let here = rest.into_iter().next();
    let span = here.map_or_else(|| input.span(), |token| token.span());
    Err(syn::Error::new(span, "expected `,` before the next events"))
}
