//! Pages whose tables and diagrams are printed by the code that they describe.

use std::io::ErrorKind;
use std::path::Path;

/// Compares the marked parts of a page with what the code gives, so that the page cannot go out of date.
///
/// A part stands in the file between the lines `<!-- name: begin -->` and `<!-- name: end -->`. With `CIM_ES_BLESS=1` in
/// the environment the parts are written into the file; those that it does not have yet come at its end, each under a
/// heading, from where they can be moved. A file that is missing is made.
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
    let is_blessed = std::env::var_os("CIM_ES_BLESS").is_some();
    if let Err(message) = compared(path, parts, is_blessed) {
        panic!("{}: {message}", path.display());
    }
}

fn compared(path: &Path, parts: &[(&str, String)], is_blessed: bool) -> Result<(), String> {
    let page = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && !is_blessed => {
            return Err(format!("the file is missing: {BLESS} to write it"));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        page => page.map_err(|error| error.to_string())?,
    };
    let mut whole = page.clone();
    for name in missing(&page, parts)? {
        if !is_blessed {
            let (begin, end) = marks(name);
            return Err(format!(
                "the page has no part `{name}`: {BLESS} to add it at the end, or add these lines where it belongs\n{begin}{end}"
            ));
        }
        let (begin, end) = marks(name);
        let gap = if whole.is_empty() { "" } else { "\n" };
        whole.push_str(&format!("{gap}## {name}\n\n{begin}{end}\n"));
    }
    let present = filled(&whole, parts);
    if present == page {
        return Ok(());
    }
    if is_blessed {
        return std::fs::write(path, present).map_err(|error| error.to_string());
    }
    let differing = page.lines().zip(present.lines()).find(|(is, be)| is != be);
    let (is, be) = differing.unwrap_or(("the end of the page", "more"));
    Err(format!(
        "the page is out of date, first here:\n  it says  {is}\n  it is    {be}\n{BLESS} to bring it up to date"
    ))
}

const BLESS: &str = "run the test with CIM_ES_BLESS=1";

/// The names of the parts that the page does not have.
///
/// # Errors
/// A part that begins and does not end.
fn missing<'a>(page: &str, parts: &[(&'a str, String)]) -> Result<Vec<&'a str>, String> {
    let mut missing = Vec::new();
    for (name, _) in parts {
        let (begin, end) = marks(name);
        match page.split_once(&begin) {
            None => missing.push(*name),
            Some((_, rest)) if !rest.contains(&end) => {
                return Err(format!("part `{name}` does not end: add the line\n{end}"));
            }
            Some(_) => {}
        }
    }
    Ok(missing)
}

/// The page with its parts as they are given.
fn filled(page: &str, parts: &[(&str, String)]) -> String {
    let mut filled = page.to_owned();
    for (name, content) in parts {
        let (begin, end) = marks(name);
        let start = filled.find(&begin).map(|start| start + begin.len());
        let place = start.and_then(|start| Some(start..start + filled[start..].find(&end)?));
        if let Some(place) = place {
            filled.replace_range(place, &format!("\n{}\n\n", content.trim_end()));
        }
    }
    filled
}

fn marks(name: &str) -> (String, String) {
    (
        format!("<!-- {name}: begin -->\n"),
        format!("<!-- {name}: end -->"),
    )
}

#[cfg(test)]
mod tests {
    use super::{compared, filled};

    const PAGE: &str = "# A\n<!-- table: begin -->\n\n| a |\n\n<!-- table: end -->\nAnd on.\n";

    fn parts(names: [&'static str; 2]) -> [(&'static str, String); 2] {
        names.map(|name| (name, format!("the {name}")))
    }

    #[test]
    fn a_page_that_says_what_is_stays_as_it_is() {
        assert_eq!(filled(PAGE, &[("table", "| a |\n".to_owned())]), PAGE);
    }

    #[test]
    fn what_is_out_of_date_is_replaced_and_nothing_else() {
        let page = filled(PAGE, &[("table", "| b |\n| c |\n".to_owned())]);
        assert_eq!(page, PAGE.replace("| a |", "| b |\n| c |"));
    }

    #[test]
    fn a_page_that_is_missing_or_lacks_parts_is_written_when_blessed_and_named_otherwise() {
        let page = std::env::temp_dir().join(format!("{}.md", uuid::Uuid::now_v7()));
        let one = &parts(["one", "two"])[..1];
        assert_eq!(
            compared(&page, one, false).unwrap_err(),
            "the file is missing: run the test with CIM_ES_BLESS=1 to write it"
        );
        assert_eq!(compared(&page, one, true), Ok(()));
        assert_eq!(compared(&page, one, false), Ok(()));

        let both = &parts(["one", "two"]);
        assert_eq!(
            compared(&page, both, false).unwrap_err(),
            "the page has no part `two`: run the test with CIM_ES_BLESS=1 to add it at the end, or add these lines where it belongs\n<!-- two: begin -->\n<!-- two: end -->"
        );
        assert_eq!(compared(&page, both, true), Ok(()));
        let written = std::fs::read_to_string(&page).unwrap();
        assert_eq!(
            written,
            "## one\n\n<!-- one: begin -->\n\nthe one\n\n<!-- one: end -->\n\n## two\n\n<!-- two: begin -->\n\nthe two\n\n<!-- two: end -->\n"
        );
        std::fs::write(&page, written.replace("<!-- one: end -->\n", "")).unwrap();
        assert_eq!(
            compared(&page, both, true).unwrap_err(),
            "part `one` does not end: add the line\n<!-- one: end -->"
        );
        std::fs::remove_file(page).unwrap();
    }
}
