//! Writes the commands' implementation.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::model::Commands;
use crate::{names, shape};

pub(crate) fn code(commands: &Commands, is_broken: bool) -> TokenStream {
    let Commands {
        ident,
        aggregate,
        variants,
    } = commands;
    let names = variants.iter().map(names::text);
    let index = shape::index(ident, variants);
    let owner = quote_spanned!(aggregate.span()=> type Aggregate = #aggregate;);
    let broken = is_broken.then(|| {
        quote!(
            const BROKEN: bool = true;
        )
    });
    let checks = variants.iter().enumerate().map(|(at, variant)| {
        quote_spanned! {variant.span()=>
            #[allow(deprecated)]
            const _: () = ::cim_es::__private::check_command_is_accepted::<#ident>(#at);
        }
    });
    let (label, aggregate_label) = (names::text(ident), names::label(aggregate));
    let decided = quote_spanned! {ident.span()=>
        #[allow(deprecated)]
        const _: () = ::cim_es::__private::check_commands_are_decided::<#ident>(#label, #aggregate_label);
    };
    let checks = (!is_broken).then(|| quote!(#decided #(#checks)*));
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::aggregate::Command for #ident {
            #owner
            const VARIANTS: &'static [&'static str] = &[#(#names),*];
            #broken
            #index
        }
        #checks
    }
}
