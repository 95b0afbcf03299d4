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
    expand(tokens, "check_subject", "Subject")
}

pub(crate) fn filter(tokens: TokenStream) -> TokenStream {
    expand(tokens, "check_filter", "Filter")
}

fn expand(tokens: TokenStream, check: &str, ty: &str) -> TokenStream {
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
    let check = quote_spanned! {text.span()=>
        #[allow(deprecated)]
        const _: () = ::cim_es::__private::#check::<#events>(#text, #label);
    };
    let code = quote! {
        {
            #check
            ::cim_es::subject::#ty::<#events>::__checked(#text)
        }
    };
    reexport::replace(code, reexport.as_ref())
}
