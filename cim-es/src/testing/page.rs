//! Pages whose tables and diagrams are printed by the code that they describe.

use std::path::Path;

/// Compares the marked parts of a page with what the code gives, so that the page cannot go out of date.
///
/// A part stands in the file between the lines `<!-- name: begin -->` and `<!-- name: end -->`. With `CIM_ES_BLESS=1` in
/// the environment the parts are written into the file.
///
/// ```no_run
/// # use cim_es::testing::check_page;
/// check_page("README.md", &[("subjects", "| subject |\n|---|\n".to_owned())]);
/// ```
///
/// # Panics
/// When a part is missing or differs, and when the file cannot be read or written; the message says what to do.
#[track_caller]
pub fn check_page(path: impl AsRef<Path>, parts: &[(&str, String)]) {
    let path = path.as_ref();
    let page =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let present = filled(&page, parts).unwrap_or_else(|name| {
        let (begin, end) = marks(&name);
        panic!(
            "{} has no part `{name}`: add the lines\n{begin}{end}",
            path.display()
        )
    });
    if present == page {
        return;
    }
    if std::env::var_os("CIM_ES_BLESS").is_some() {
        std::fs::write(path, present).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return;
    }
    let differing = page.lines().zip(present.lines()).find(|(is, be)| is != be);
    let (is, be) = differing.unwrap_or(("the end of the page", "more"));
    panic!(
        "{} is out of date, first here:\n  it says  {is}\n  it is    {be}\nRun the test with CIM_ES_BLESS=1 to bring it up to date.",
        path.display()
    );
}

/// The page with its parts as they are given; the name of a part that it does not have.
fn filled(page: &str, parts: &[(&str, String)]) -> Result<String, String> {
    let mut filled = page.to_owned();
    for (name, content) in parts {
        let (begin, end) = marks(name);
        let start = filled.find(&begin).map(|start| start + begin.len());
        let place = start.and_then(|start| Some(start..start + filled[start..].find(&end)?));
        let place = place.ok_or_else(|| (*name).to_owned())?;
        filled.replace_range(place, &format!("\n{}\n\n", content.trim_end()));
    }
    Ok(filled)
}

fn marks(name: &str) -> (String, String) {
    (
        format!("<!-- {name}: begin -->\n"),
        format!("<!-- {name}: end -->"),
    )
}

#[cfg(test)]
mod tests {
    use super::filled;

    const PAGE: &str = "# A\n<!-- table: begin -->\n\n| a |\n\n<!-- table: end -->\nAnd on.\n";

    #[test]
    fn a_page_that_says_what_is_stays_as_it_is() {
        let page = filled(PAGE, &[("table", "| a |\n".to_owned())]);
        assert_eq!(page.as_deref(), Ok(PAGE));
    }

    #[test]
    fn what_is_out_of_date_is_replaced_and_nothing_else() {
        let page = filled(PAGE, &[("table", "| b |\n| c |\n".to_owned())]);
        let expected = PAGE.replace("| a |", "| b |\n| c |");
        assert_eq!(page, Ok(expected));
    }

    #[test]
    fn a_part_that_is_not_there_is_named() {
        let page = filled(PAGE, &[("diagram", String::new())]);
        assert_eq!(page, Err("diagram".to_owned()));
    }
}
