//! Reads `#[projection(…)]`.

use proc_macro2::Ident;
use syn::parse::ParseStream;
use syn::{Data, DeriveInput, Expr, ExprLit, Fields, Lit, LitInt, LitStr, Type};

use super::listed;
use super::model::{Home, Projection};
use crate::attr::{self, Keys, keys};
use crate::ctxt::Ctxt;
use crate::{names, reexport, shape};

keys! {
    /// The keys of `#[projection(…)]`.
    ProjectionKey of "projection" {
        Name = "name",
        Version = "version",
        Events = "events",
        Documents = "documents",
        Tables = "tables",
        PostgresTables = "postgres_tables",
        Crate = "crate",
    }
    elsewhere {
        "index" => "onto a field of the document, as `#[index]`",
    }
}

pub(crate) fn read(ctxt: &Ctxt, input: &DeriveInput) -> Option<Projection> {
    shape::refuse_generics(ctxt, input, "a projection")?;
    let ident = &input.ident;
    let declared = match &input.data {
        Data::Struct(data) => data.fields.clone(),
        _ => {
            ctxt.error(
                ident,
                "a projection is a struct: its fields are what it keeps, or what it needs to project",
            );
            Fields::Unit
        }
    };
    for field in &declared {
        attr::misplaced(ctxt, &field.attrs, &["projection"], "on the struct");
    }
    let mut keys = Keys::new();
    let (mut name, mut version): (Option<Option<LitStr>>, Option<Option<LitInt>>) = (None, None);
    let mut events = None;
    let mut homes = Homes::default();
    keys.read_all(ctxt, &input.attrs, |key, ident, value| {
        attr::equals(ident, value)?;
        match key {
            ProjectionKey::Name => name = Some(names::view(ctxt, attr::literal(value)?)),
            ProjectionKey::Version => version = Some(attr::number(ctxt, value, "a version")?),
            ProjectionKey::Events => events = Some(listed::read(ctxt, value)?),
            ProjectionKey::Documents => homes.documents = Some((ident.clone(), value.parse()?)),
            ProjectionKey::Tables => homes.sqlite = Some((ident.clone(), text(ctxt, value)?)),
            ProjectionKey::PostgresTables => {
                homes.postgres = Some((ident.clone(), text(ctxt, value)?));
            }
            ProjectionKey::Crate => {
                reexport::check(value)?;
            }
        }
        Ok(())
    });
    if !keys.has_refused {
        let missing = [
            ("name", "\"…\"", "under it the view is kept", name.is_none()),
            (
                "version",
                "1",
                "raised when the projection changes, and the view is built anew",
                version.is_none(),
            ),
            (
                "events",
                "[…]",
                "the enums of events that it is made of",
                events.is_none(),
            ),
        ];
        for (key, form, reason, _) in missing.iter().filter(|(.., is_missing)| *is_missing) {
            ctxt.error(
                ident,
                format!(
                    "the projection has no {key}: add `#[projection({key} = {form})]`, {reason}"
                ),
            );
        }
    }
    Some(Projection {
        ident: ident.clone(),
        attrs: input.attrs.clone(),
        is_empty: declared.is_empty() && matches!(input.data, Data::Struct(_)),
        declared,
        name: name.flatten(),
        version: version.flatten(),
        events: events.unwrap_or_default(),
        home: homes.one(ctxt),
    })
}

/// Where the keys say that the view is kept.
#[derive(Default)]
struct Homes {
    documents: Option<(Ident, Type)>,
    sqlite: Option<(Ident, Expr)>,
    postgres: Option<(Ident, Expr)>,
}

impl Homes {
    fn one(self, ctxt: &Ctxt) -> Home {
        let Self {
            documents,
            sqlite,
            postgres,
        } = self;
        if let Some((key, document)) = documents {
            for (other, _) in [&sqlite, &postgres].into_iter().flatten() {
                ctxt.error(
                    other,
                    format!(
                        "a view is kept in one form, and `{key}` names another: declare two projections, each with a name of its own"
                    ),
                );
            }
            return Home::Documents(Box::new(document));
        }
        if sqlite.is_none() && postgres.is_none() {
            return Home::Value;
        }
        let text = |given: Option<(Ident, Expr)>| given.map(|(_, text)| Box::new(text));
        Home::Tables {
            sqlite: text(sqlite),
            postgres: text(postgres),
        }
    }
}

/// The SQL that declares tables: a text, or what is one when the program is compiled.
fn text(ctxt: &Ctxt, value: ParseStream) -> syn::Result<Expr> {
    let text: Expr = value.parse().map_err(|error: syn::Error| {
        let expected =
            "expected the SQL that declares the tables: a text in quotes, a constant, or `include_str!(\"…\")`";
        syn::Error::new(error.span(), expected)
    })?;
    match &text {
        Expr::Lit(ExprLit {
            lit: Lit::Str(sql), ..
        }) if sql.value().contains('{') => {}
        Expr::Lit(ExprLit {
            lit: Lit::Str(sql), ..
        }) => ctxt.error(
            sql,
            "the text declares no table: write `CREATE TABLE {units} (…)`, with the name in braces, and it is the table of this version of the view",
        ),
        Expr::Lit(other) => ctxt.error(
            other,
            "the tables are declared in SQL: write it in quotes, as `\"CREATE TABLE {units} (…)\"`",
        ),
        _ => {}
    }
    Ok(text)
}
