//! Commands as they were declared.

use proc_macro2::Ident;
use syn::Path;

pub(crate) struct Commands {
    pub ident: Ident,
    pub aggregate: Path,
    pub variants: Vec<Ident>,
}
