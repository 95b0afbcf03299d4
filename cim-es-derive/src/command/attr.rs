//! Reads `#[command(…)]`.

use syn::{Data, DeriveInput, Path};

use super::model::Commands;
use crate::attr::{self, Keys, keys};
use crate::ctxt::Ctxt;
use crate::{names, reexport, shape};

keys! {
    /// The keys of `#[command(…)]`.
    CommandKey of "command" {
        Aggregate = "aggregate",
        Crate = "crate",
    }
}

pub(crate) fn read(ctxt: &Ctxt, input: &DeriveInput) -> Option<Commands> {
    shape::refuse_generics(ctxt, input, "an enum of commands")?;
    let Data::Enum(data) = &input.data else {
        ctxt.error(
            &input.ident,
            "commands are an enum: each variant is one command",
        );
        return None;
    };
    for variant in &data.variants {
        attr::misplaced(ctxt, &variant.attrs, &["command"], "on the enum");
        for field in &variant.fields {
            attr::misplaced(ctxt, &field.attrs, &["command"], "on the enum");
        }
    }
    let mut aggregate = None;
    Keys::new().read_all(ctxt, &input.attrs, |key, name, value| {
        attr::equals(name, value)?;
        match key {
            CommandKey::Aggregate => aggregate = Some(value.parse::<Path>()?),
            CommandKey::Crate => {
                reexport::check(value)?;
            }
        }
        Ok(())
    });
    let convention = || names::sibling(&input.ident, "Command", "");
    let aggregate = aggregate.or_else(convention).or_else(|| {
        ctxt.error(
            &input.ident,
            format!(
                "`{}` does not end in `Command`, so its aggregate must be named: add `#[command(aggregate = …)]`",
                names::text(&input.ident)
            ),
        );
        names::guessed_sibling(&input.ident, "")
    });
    Some(Commands {
        ident: input.ident.clone(),
        aggregate: aggregate?,
        variants: data
            .variants
            .iter()
            .map(|variant| variant.ident.clone())
            .collect(),
    })
}
