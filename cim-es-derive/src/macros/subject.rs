//! `subject!(Events, "…")` and `filter!(Events, "…")`: the text is checked against the declared subjects.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{LitStr, Path, Token};

use crate::{names, reexport};

struct Input {
    reexport: Option<Path>,
    events: Path,
    text: LitStr,
}

impl Parse for Input {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let reexport = reexport::leading(input)?;
        let events = input.parse()?;
        if input.is_empty() {
            return Err(input.error("expected the events and a text, such as `ComputeEvent, \"infrastructure.compute.registered\"`"));
        }
        input.parse::<Token![,]>()?;
        let text = input.parse().map_err(|error| {
            syn::Error::new(
                error.span(),
                "expected a text in quotes, such as `\"infrastructure.compute.registered\"`",
            )
        })?;
        input.parse::<Option<Token![,]>>()?;
        if !input.is_empty() {
            return Err(input.error("nothing can follow the text"));
        }
        Ok(Self {
            reexport,
            events,
            text,
        })
    }
}

pub(crate) fn subject(tokens: TokenStream) -> TokenStream {
    expand(tokens, "check_subject", "Subject", |_| Ok(()))
}

pub(crate) fn filter(tokens: TokenStream) -> TokenStream {
    expand(tokens, "check_filter", "Filter", well_formed)
}

fn expand(
    tokens: TokenStream,
    check: &str,
    ty: &str,
    own_check: impl Fn(&LitStr) -> syn::Result<()>,
) -> TokenStream {
    let input: Input = match syn::parse2(tokens) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let Input {
        reexport,
        events,
        text,
    } = &input;
    let label = names::label(events);
    let check = proc_macro2::Ident::new(check, text.span());
    let ty = proc_macro2::Ident::new(ty, proc_macro2::Span::call_site());
    let check = match own_check(text) {
        Ok(()) => quote_spanned! {text.span()=>
            #[allow(deprecated)]
            const _: () = ::cim_es::__private::#check::<#events>(#text, #label);
        },
        Err(error) => error.to_compile_error(),
    };
    let code = quote! {
        {
            #check
            ::cim_es::subject::#ty::<#events>::__checked(#text)
        }
    };
    reexport::replace(code, reexport.as_ref())
}

/// The rules of NATS for a pattern: no empty token, `*` and `>` alone in theirs, `>` last.
fn well_formed(text: &LitStr) -> syn::Result<()> {
    let pattern = text.value();
    let error = |reason: String| {
        Err(syn::Error::new(
            text.span(),
            format!("filter `{pattern}` {reason}"),
        ))
    };
    let parts: Vec<&str> = pattern.split('.').collect();
    for (at, part) in parts.iter().enumerate() {
        if part.is_empty() {
            return error("has an empty token: write tokens joined by `.`".to_owned());
        }
        if *part == ">" && at + 1 < parts.len() {
            return error(
                "goes on behind `>`, which stands for all the rest: put it last".to_owned(),
            );
        }
        if matches!(*part, "*" | ">") {
            continue;
        }
        if part.contains(['*', '>']) {
            return error(format!(
                "has `{part}`: `*` and `>` stand for whole tokens, alone between dots"
            ));
        }
        if let Some(character) = part.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return error(format!(
                "has the character {character:?}, which no subject holds"
            ));
        }
    }
    Ok(())
}
