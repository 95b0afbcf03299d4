//! The phases that every derive goes through.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::ctxt::Ctxt;
use crate::reexport;

/// What a derive stands on: a declaration that is read from the attributes, checked, and written
/// out as code.
pub(crate) trait Declaration: Sized {
    /// Reads the attributes; none when no code can stand beside what it reported.
    fn read(ctxt: &Ctxt, input: &DeriveInput) -> Option<Self>;

    /// Reports what is wrong with the declaration as a whole.
    fn check(&self, _: &Ctxt) {}

    /// The code of a declaration without mistakes.
    fn code(&self) -> TokenStream;

    /// What stands beside the errors: it compiles, and it is marked so that nothing more is
    /// reported about it.
    fn fallback(&self) -> TokenStream;
}

/// Writes the code of one declaration, or all that is wrong with it.
pub(crate) fn expand<D: Declaration>(tokens: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(tokens) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let ctxt = Ctxt::new();
    let declaration = D::read(&ctxt, &input);
    if let Some(declaration) = &declaration {
        declaration.check(&ctxt);
    }
    let code = match ctxt.finish() {
        Ok(()) => declaration
            .map(|declaration| declaration.code())
            .unwrap_or_default(),
        Err(errors) => {
            let fallback = declaration.as_ref().map(D::fallback);
            quote!(#errors #fallback)
        }
    };
    reexport::replace(code, reexport::path(&input.attrs).as_ref())
}
