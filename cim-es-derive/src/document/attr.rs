//! Reads `#[document(…)]`, and `#[index]` on the fields.

use syn::{Attribute, Data, DeriveInput, Field, Fields, Meta, MetaList};

use super::model::{Document, Index};
use crate::attr::{self, Keys, keys};
use crate::ctxt::Ctxt;
use crate::{reexport, shape};

keys! {
    /// The keys of `#[document(…)]`.
    DocumentKey of "document" {
        Crate = "crate",
    }
    elsewhere {
        "index" => "on a field, as `#[index]`",
        "name" => "into `#[projection(…)]`: a view has a name, and what it keeps has none",
        "version" => "into `#[projection(…)]`: raise it when the document changes",
    }
}

pub(crate) fn read(ctxt: &Ctxt, input: &DeriveInput) -> Option<Document> {
    shape::refuse_generics(ctxt, input, "a document")?;
    let ident = &input.ident;
    let Data::Struct(data) = &input.data else {
        ctxt.error(
            ident,
            "a document is a struct with named fields: put an enum into a field of one",
        );
        return None;
    };
    Keys::new().read_all(ctxt, &input.attrs, |key, name, value| {
        attr::equals(name, value)?;
        match key {
            DocumentKey::Crate => {
                reexport::check(value)?;
            }
        }
        Ok(())
    });
    attr::misplaced(ctxt, &input.attrs, &["index"], "on a field, as `#[index]`");
    if !matches!(data.fields, Fields::Named(_)) {
        ctxt.error(
            ident,
            "a document has named fields, which a later version of it can add to: name them",
        );
    }
    let indexes = data.fields.iter().filter_map(|field| index(ctxt, field));
    Some(Document {
        ident: ident.clone(),
        attrs: input.attrs.clone(),
        declared: data.fields.clone(),
        indexes: indexes.collect(),
    })
}

/// The field as an index, where it is one.
fn index(ctxt: &Ctxt, field: &Field) -> Option<Index> {
    attr::misplaced(ctxt, &field.attrs, &["document"], "on the struct");
    let is_index = |attr: &&Attribute| attr.path().is_ident("index");
    let mut marks = field.attrs.iter().filter(is_index);
    let first = marks.next()?;
    if let Some(second) = marks.next() {
        ctxt.error(second, "`#[index]` is given twice: remove it here");
    }
    if !matches!(first.meta, Meta::Path(_)) {
        let tokens = match &first.meta {
            Meta::List(MetaList { tokens, .. }) => tokens.clone(),
            other => quote::ToTokens::to_token_stream(other),
        };
        ctxt.error(
            tokens,
            "`#[index]` stands alone: documents are found by the whole value, under the name of the field",
        );
    }
    if let Some(skipped) = field.attrs.iter().find(|attr| is_skipped(attr)) {
        ctxt.error(
            skipped,
            "an index is found again from what is stored: store the field, or remove `#[index]`",
        );
    }
    Some(Index {
        field: field.ident.clone()?,
        ty: field.ty.clone(),
    })
}

/// Whether serde leaves a field out.
fn is_skipped(attr: &Attribute) -> bool {
    let mut found = false;
    if attr.path().is_ident("serde") {
        // What serde does not understand it reports itself.
        let _ = attr.parse_nested_meta(|meta| {
            found |= meta.path.is_ident("skip") || meta.path.is_ident("skip_serializing");
            if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<syn::Expr>()?;
            }
            Ok(())
        });
    }
    found
}
