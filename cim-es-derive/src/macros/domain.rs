//! `domain!(pub NAME = [Events, …])`: all aggregates of a domain, without two that share a subject.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Path, Token, Visibility, bracketed};

use crate::names;

struct Input {
    attrs: Vec<Attribute>,
    visibility: Visibility,
    name: Ident,
    members: Punctuated<Path, Token![,]>,
}

impl Parse for Input {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let name: Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        let list;
        bracketed!(list in input);
        let members = list.parse_terminated(Path::parse, Token![,])?;
        input.parse::<Option<Token![;]>>()?;
        if members.is_empty() {
            return Err(syn::Error::new(
                name.span(),
                "a domain has at least one enum of events",
            ));
        }
        Ok(Self {
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
        attrs,
        visibility,
        name,
        members,
    } = &input;
    let members: Vec<&Path> = members.iter().collect();
    let documentation = (!attrs.iter().any(|attr| attr.path().is_ident("doc"))).then(|| {
        let text = format!(" The aggregates of the domain `{}`.", names::text(name));
        quote!(#[doc = #text])
    });
    let labels = members.iter().map(|member| names::label(member));
    let count = members.len();
    let checks = members.iter().enumerate().map(|(at, member)| {
        quote_spanned! {member.span()=>
            const _: () = ::cim_es::__private::check_domain_member(MEMBERS, &CLASHES, #at);
        }
    });
    quote! {
        #documentation
        #(#attrs)*
        #visibility const #name: ::cim_es::subject::Domain =
            ::cim_es::subject::Domain::__checked(&[
                #(::cim_es::subject::AggregateInfo::of::<#members>()),*
            ]);
        const _: () = {
            const MEMBERS: &[::cim_es::__private::Member; #count] =
                &[#(::cim_es::__private::member::<#members>(#labels)),*];
            const CLASHES: [::cim_es::__private::Clash; #count] = ::cim_es::__private::clashes::<
                #count,
                { ::cim_es::__private::table_size(MEMBERS) },
            >(MEMBERS);
            #(#checks)*
        };
    }
}
