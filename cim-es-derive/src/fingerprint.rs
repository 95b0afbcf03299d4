//! A digest of a declaration: the same tokens give the same number with every compiler.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a over the tokens, without documentation and without regard to spacing and final commas.
pub(crate) fn of(tokens: TokenStream) -> u64 {
    let mut hash = OFFSET;
    add_all(&mut hash, tokens);
    hash
}

fn add_all(hash: &mut u64, tokens: TokenStream) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if let TokenTree::Punct(punct) = &token
            && punct.as_char() == '#'
            && tokens.peek().is_some_and(is_documentation)
        {
            tokens.next();
            continue;
        }
        match token {
            // A formatter adds and drops the last comma of a list.
            TokenTree::Punct(punct) if punct.as_char() == ',' && tokens.peek().is_none() => {}
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                add(hash, open);
                add_all(hash, group.stream());
                add(hash, close);
            }
            other => add(hash, &other.to_string()),
        }
    }
}

fn is_documentation(token: &TokenTree) -> bool {
    let TokenTree::Group(group) = token else {
        return false;
    };
    group.delimiter() == Delimiter::Bracket
        && matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(name)) if name == "doc")
}

/// A text and an end mark, so that `ab c` and `a bc` differ.
fn add(hash: &mut u64, text: &str) {
    if text.is_empty() {
        return;
    }
    for byte in text.bytes().chain([0]) {
        *hash = (*hash ^ u64::from(byte)).wrapping_mul(PRIME);
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::of;

    #[test]
    fn documentation_does_not_count_and_all_else_does() {
        let plain = of(quote!(
            enum A {
                #[event(version = 1)]
                B { c: u8 },
            }
        ));
        let documented = of(quote!(
            #[doc = "x"]
            enum A {
                #[event(version = 1)]
                B {
                    #[doc = "y"]
                    c: u8,
                },
            }
        ));
        let changed = of(quote!(
            enum A {
                #[event(version = 2)]
                B { c: u8 },
            }
        ));
        assert_eq!(plain, documented);
        assert_ne!(plain, changed);
    }

    #[test]
    fn the_digest_is_the_same_for_ever() {
        let declaration = quote!(
            enum A {
                B,
            }
        );
        assert_eq!(of(declaration), 12474138593299785957);
    }
}
