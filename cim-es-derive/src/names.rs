//! Names: the convention between types, the default wire names, what a token of a subject may hold, and suggestions.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::{Lit, LitStr, Path};

use crate::ctxt::Ctxt;
use crate::nearest::nearest;

/// The longest name of a view in bytes.
const LONGEST_VIEW: usize = 64;

/// The text of an identifier without `r#`.
pub(crate) fn text(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// The identifier as generated code names it: at the author's place, but not the author's own text to lints.
pub(crate) fn generated(ident: &Ident) -> Ident {
    let mut ident = ident.clone();
    ident.set_span(Span::mixed_site().located_at(ident.span()));
    ident
}

/// A variable of the generated code: no variable of the author's can meet it, whichever macro it came from. A constant or
/// a `static` can: where the code has the author's items around it, the name is one that nobody gives to those.
pub(crate) fn variable(name: &str, at: Span) -> Ident {
    Ident::new(name, Span::mixed_site().located_at(at))
}

/// The default operation of a variant: `NKeyGenerated` is `n_key_generated`, `HTTPSet` is `http_set`.
pub(crate) fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, letter) in letters.iter().enumerate() {
        let follows_word =
            at > 0 && (letters[at - 1].is_lowercase() || letters[at - 1].is_numeric());
        let ends_acronym = at > 0
            && letters[at - 1].is_uppercase()
            && letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && (follows_word || ends_acronym) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// `ComputeState` with the suffixes `State` and `Event` is `ComputeEvent`; none when the suffix is missing.
pub(crate) fn sibling(ident: &Ident, suffix: &str, other: &str) -> Option<Path> {
    let name = text(ident);
    let base = name.strip_suffix(suffix).filter(|base| !base.is_empty())?;
    Some(Path::from(Ident::new(
        &format!("{base}{other}"),
        ident.span(),
    )))
}

/// The sibling by guess, for a type whose name does not follow the convention: `DoorPhase` has `DoorEvent`. Only what
/// stands beside an error uses it, so that the error is not followed by others.
pub(crate) fn guessed_sibling(ident: &Ident, other: &str) -> Option<Path> {
    let name = text(ident);
    let last_word = name.rfind(|letter: char| letter.is_uppercase())?;
    let base = name.get(..last_word).filter(|base| !base.is_empty())?;
    Some(Path::from(Ident::new(
        &format!("{base}{other}"),
        ident.span(),
    )))
}

/// The last segment of a path: how messages call the type.
pub(crate) fn label(path: &Path) -> String {
    path.segments
        .last()
        .map(|segment| text(&segment.ident))
        .unwrap_or_default()
}

/// ` ; did you mean …?` when a known name is near.
pub(crate) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, &known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    }
}

/// Reads a text of at least `least` tokens joined by `.`; reports what a subject cannot hold on the literal.
pub(crate) fn tokens(ctxt: &Ctxt, lit: Lit, what: &str, least: usize) -> Option<LitStr> {
    let Lit::Str(lit) = lit else {
        ctxt.error(&lit, format!("the {what} is a text: write it in quotes"));
        return None;
    };
    match check(&lit.value(), what, least) {
        Ok(()) => Some(lit),
        Err(mistake) => {
            ctxt.error(&lit, mistake);
            None
        }
    }
}

/// The one rule for names on the wire, given or made from a variant's name: at least `least` tokens joined by `.`.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn check(value: &str, what: &str, least: usize) -> Result<(), String> {
    let illegal = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let parts: Vec<&str> = value.split('.').collect();
    for part in &parts {
        if part.is_empty() {
            let mistake = if value.is_empty() {
                format!("the {what} is empty")
            } else {
                format!("{what} `{value}` has an empty token")
            };
            return Err(format!("{mistake}: write one or more tokens joined by `.`"));
        }
        if let Some(character) = part.chars().find(illegal) {
            return Err(format!(
                "{what} `{value}` has the character {character:?}, which a subject's token cannot hold: use letters, \
                 digits, `-` and `_`, and `.` between tokens"
            ));
        }
    }
    if parts.len() < least {
        let (needed, form) = match what {
            "kind" => ("a domain and a name", "<domain>.<name>"),
            _ => ("an aggregate and an operation", "<aggregate>.<operation>"),
        };
        return Err(format!("{what} `{value}` needs {needed}: write `{form}`"));
    }
    Ok(())
}

/// Reads the name of a view: what every storage can use as it is.
pub(crate) fn view(ctxt: &Ctxt, lit: Lit) -> Option<LitStr> {
    let Lit::Str(lit) = lit else {
        ctxt.error(&lit, "the name is a text: write it in quotes");
        return None;
    };
    let name = lit.value();
    let may_hold = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
    let mistake = if name.is_empty() {
        "the name is empty: give the view one".to_owned()
    } else if name.len() > LONGEST_VIEW {
        format!("name `{name}` has more than {LONGEST_VIEW} characters")
    } else if let Some(character) = name.chars().find(|c| !may_hold(c)) {
        format!(
            "name `{name}` has the character {character:?}, which not every storage takes: use `a` to `z`, digits, \
             `_` and `-`"
        )
    } else if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        format!("name `{name}` does not begin with a letter, as that of a view does")
    } else {
        return Some(lit);
    };
    ctxt.error(&lit, mistake);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_in_snake_case_keeps_acronyms_together() {
        for (variant, operation) in [
            ("Registered", "registered"),
            ("ComputeResourceRegistered", "compute_resource_registered"),
            ("NKeyGenerated", "n_key_generated"),
            ("HTTPSet", "http_set"),
            ("Sha256Computed", "sha256_computed"),
            ("A", "a"),
        ] {
            assert_eq!(snake_case(variant), operation);
        }
    }

    #[test]
    fn a_suggestion_is_made_only_for_what_is_near() {
        assert_eq!(
            suggestion("Actve", ["Retired", "Active"]),
            "; did you mean `Active`?"
        );
        assert_eq!(suggestion("active", ["Active"]), "; did you mean `Active`?");
        assert_eq!(suggestion("Atcive", ["Active"]), "; did you mean `Active`?");
        assert_eq!(suggestion("Elsewhere", ["Active"]), "");
    }
}
