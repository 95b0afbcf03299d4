//! `crate = path`: the runtime crate under another name, or through a crate that re-exports it.
//!
//! The code is written with `::cim_es`, and this path stands in its place at the end, so that no part of it can be
//! forgotten.

use proc_macro2::{Group, Ident, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Meta, Path, Token};

use crate::names;

/// The attributes that take the key.
const ATTRIBUTES: [&str; 8] = [
    "aggregate",
    "aggregate_id",
    "command",
    "document",
    "event",
    "index_field",
    "machine",
    "projection",
];

/// Reads the path, behind the `=`.
pub(crate) fn check(input: ParseStream) -> syn::Result<Path> {
    input.call(Path::parse_mod_style).map_err(|error| {
        let expected = "expected the path of the crate, such as `crate = facade::cim_es`";
        syn::Error::new(error.span(), expected)
    })
}

/// The path that one of the attributes names; what cannot be read is reported by who reads the attribute.
pub(crate) fn path(attrs: &[Attribute]) -> Option<Path> {
    let ours = |attr: &&Attribute| ATTRIBUTES.iter().any(|name| attr.path().is_ident(name));
    attrs.iter().filter(ours).find_map(|attr| {
        let Meta::List(list) = &attr.meta else {
            return None;
        };
        let parser = |input: ParseStream| {
            let mut found = None;
            while !input.is_empty() {
                let is_key = input
                    .fork()
                    .call(Ident::parse_any)
                    .is_ok_and(|key| names::text(&key) == "crate");
                if is_key && input.peek2(Token![=]) {
                    input.call(Ident::parse_any)?;
                    input.parse::<Token![=]>()?;
                    found = Some(check(input)?);
                }
                while !input.is_empty() && !input.peek(Token![,]) {
                    input.parse::<TokenTree>()?;
                }
                input.parse::<Option<Token![,]>>()?;
            }
            Ok(found)
        };
        parser.parse2(list.tokens.clone()).ok().flatten()
    })
}

/// `crate = path,` in front of what a macro takes.
pub(crate) fn leading(input: ParseStream) -> syn::Result<Option<Path>> {
    if !(input.peek(Token![crate]) && input.peek2(Token![=])) {
        return Ok(None);
    }
    input.parse::<Token![crate]>()?;
    input.parse::<Token![=]>()?;
    let path = check(input)?;
    input.parse::<Token![,]>()?;
    Ok(Some(path))
}

/// The code with a path in place of `::cim_es`.
pub(crate) fn replace(code: TokenStream, path: Option<&Path>) -> TokenStream {
    match path {
        None => code,
        Some(path) => replaced(code, path),
    }
}

fn replaced(code: TokenStream, path: &Path) -> TokenStream {
    let tokens: Vec<TokenTree> = code.into_iter().collect();
    let is_colon = |at: usize, spacing: Option<Spacing>| {
        matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':'
            && spacing.is_none_or(|spacing| punct.spacing() == spacing))
    };
    let mut code = TokenStream::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let is_start = is_colon(at, Some(Spacing::Joint)) && is_colon(at + 1, None);
        match (token, tokens.get(at + 2)) {
            (_, Some(TokenTree::Ident(name))) if is_start && name == "cim_es" => {
                // Messages still point where the code stood.
                for mut token in path.to_token_stream() {
                    token.set_span(name.span().resolved_at(token.span()));
                    code.extend([token]);
                }
                at += 3;
            }
            (TokenTree::Group(group), _) => {
                let mut inner = Group::new(group.delimiter(), replaced(group.stream(), path));
                inner.set_span(group.span());
                code.extend([TokenTree::Group(inner)]);
                at += 1;
            }
            (token, _) => {
                code.extend([token.clone()]);
                at += 1;
            }
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::parse_quote;

    use super::*;

    #[test]
    fn the_path_stands_in_place_of_the_crate_at_every_depth_and_nowhere_else() {
        let code = quote! {
            impl ::cim_es::event::DomainEvent for cim_es::Own {
                fn index(&self) -> usize {
                    <Self as ::cim_es::A<{ ::cim_es::b() }>>::C; my::cim_es_like();
                }
            }
        };
        let path: Path = parse_quote!(facade::es);
        let expected = quote! {
            impl facade::es::event::DomainEvent for cim_es::Own {
                fn index(&self) -> usize {
                    <Self as facade::es::A<{ facade::es::b() }>>::C; my::cim_es_like();
                }
            }
        };
        assert_eq!(replace(code, Some(&path)).to_string(), expected.to_string());
    }

    #[test]
    fn the_path_is_found_among_other_keys_and_attributes() {
        let attrs: Vec<Attribute> = vec![
            parse_quote!(#[serde(crate = "other")]),
            parse_quote!(#[aggregate(domain = "a", error = E<A, B>, crate = facade::es, name = "b")]),
        ];
        let found = path(&attrs).map(|path| path.to_token_stream().to_string());
        assert_eq!(found.as_deref(), Some("facade :: es"));
        assert!(path(&[parse_quote!(#[aggregate(domain = "a")])]).is_none());
        assert!(path(&[parse_quote!(#[aggregate(crate)])]).is_none());
    }
}
