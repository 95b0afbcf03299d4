//! Writes the commands' implementation.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

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
    let broken = is_broken.then(|| {
        quote!(
            const BROKEN: bool = true;
        )
    });
    let checks = variants.iter().enumerate().map(|(at, variant)| {
        quote_spanned! {variant.span()=>
            const _: () = ::cim_es::__private::check_command_is_accepted::<#ident>(#at);
        }
    });
    let (label, aggregate_label) = (names::text(ident), names::label(aggregate));
    let decided = quote_spanned! {ident.span()=>
        const _: () = ::cim_es::__private::check_commands_are_decided::<#ident>(#label, #aggregate_label);
    };
    let checks = (!is_broken).then(|| quote!(#decided #(#checks)*));
    quote! {
        #[automatically_derived]
        impl ::cim_es::aggregate::Command for #ident {
            type Aggregate = #aggregate;
            const VARIANTS: &'static [&'static str] = &[#(#names),*];
            #broken
            #index
        }
        #checks
    }
}
