//! `domain!(pub NAME = [Events, …])`: all aggregates of a domain, without two that share a subject.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Path, Token, Visibility, bracketed};

use crate::{names, reexport};

struct Input {
    reexport: Option<Path>,
    attrs: Vec<Attribute>,
    visibility: Visibility,
    name: Ident,
    members: Punctuated<Member, Token![,]>,
}

/// Events, or none of them where a `#[cfg(…)]` says so.
struct Member {
    conditions: Vec<Attribute>,
    events: Path,
}

impl Parse for Member {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let conditions = input.call(Attribute::parse_outer)?;
        if let Some(other) = conditions.iter().find(|attr| !attr.path().is_ident("cfg")) {
            return Err(syn::Error::new_spanned(
                other,
                "a member of a domain can have `#[cfg(…)]` and no other attribute",
            ));
        }
        Ok(Self {
            conditions,
            events: input.parse()?,
        })
    }
}

impl Parse for Input {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let reexport = reexport::leading(input)?;
        let attrs = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let name: Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        let list;
        bracketed!(list in input);
        let members = list.parse_terminated(Member::parse, Token![,])?;
        input.parse::<Option<Token![;]>>()?;
        if members.is_empty() {
            return Err(syn::Error::new(
                name.span(),
                "a domain has at least one enum of events",
            ));
        }
        Ok(Self {
            reexport,
            attrs,
            visibility,
            name,
            members,
        })
    }
}

pub(crate) fn domain(tokens: TokenStream) -> TokenStream {
    let input: Input = match syn::parse2(tokens) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let Input {
        reexport,
        attrs,
        visibility,
        name,
        members,
    } = &input;
    let documentation = (!attrs.iter().any(|attr| attr.path().is_ident("doc"))).then(|| {
        let text = format!(" The aggregates of the domain `{}`.", names::text(name));
        quote!(#[doc = #text])
    });
    let conditions: Vec<TokenStream> = members
        .iter()
        .map(|member| {
            let conditions = &member.conditions;
            quote!(#(#conditions)*)
        })
        .collect();
    let events: Vec<&Path> = members.iter().map(|member| &member.events).collect();
    let labels = events.iter().map(|events| names::label(events));
    let is_conditional = members.iter().any(|member| !member.conditions.is_empty());
    let checks = events.iter().enumerate().map(|(at, events)| {
        // How many stand before it is known only when the conditions are.
        let before = &conditions[..at];
        let index = if is_conditional {
            quote!(<[()]>::len(&[#(#before ()),*]))
        } else {
            quote!(#at)
        };
        let condition = &conditions[at];
        quote_spanned! {events.span()=>
            #condition
            #[allow(deprecated)]
            const _: () = ::cim_es::__private::check_domain_member(MEMBERS, &CLASHES, #index);
        }
    });
    let code = quote! {
        #documentation
        #(#attrs)*
        #[allow(deprecated)]
        #visibility const #name: ::cim_es::subject::Domain =
            ::cim_es::subject::Domain::__checked(&[
                #(#conditions ::cim_es::subject::AggregateInfo::of::<#events>()),*
            ]);
        #[allow(deprecated)]
        const _: () = {
            const MEMBERS: &[::cim_es::__private::Member] =
                &[#(#conditions ::cim_es::__private::member::<#events>(#labels)),*];
            const CLASHES: [::cim_es::__private::Clash; MEMBERS.len()] = ::cim_es::__private::clashes::<
                { MEMBERS.len() },
                { ::cim_es::__private::table_size(MEMBERS) },
            >(MEMBERS);
            #(#checks)*
        };
    };
    reexport::replace(code, reexport.as_ref())
}
