//! The names in format strings.

/// The names in a format string, as `std::fmt` reads it: arguments, widths and precisions.
pub(super) fn placeholders(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        rest = &rest[at + 1..];
        if let Some(escaped) = rest.strip_prefix('{') {
            rest = escaped;
            continue;
        }
        let Some(end) = rest.find('}') else {
            break;
        };
        let (argument, format) = match rest[..end].split_once(':') {
            Some((argument, format)) => (argument, format),
            None => (&rest[..end], ""),
        };
        // `}` may be the fill: `{name:}>5}`.
        let mut taken = end + 1;
        let mut format = format.to_owned();
        let is_fill = format.is_empty() && rest[..end].ends_with(':');
        if is_fill
            && rest[taken..].starts_with(['<', '^', '>'])
            && let Some(further) = rest[taken..].find('}')
        {
            format = rest[end..taken + further].to_owned();
            taken += further + 1;
        }
        names.extend(name(argument.trim_end()));
        names.extend(counts(&format));
        rest = &rest[taken..];
    }
    names
}

/// The names of width and precision: `>width$.precision$`.
fn counts(format: &str) -> Vec<String> {
    let mut letters = format.chars();
    let is_align = |letter: Option<char>| matches!(letter, Some('<' | '^' | '>'));
    let rest = match (letters.next(), letters.next()) {
        (Some(_), second) if is_align(second) => letters.as_str(),
        (first, _) if is_align(first) => &format[1..],
        _ => format,
    };
    let rest = rest.trim_start_matches(['+', '-', '#']);
    let parts = rest.split('.');
    let counted = parts.filter_map(|part| part.split_once('$').map(|(count, _)| count));
    counted
        .filter_map(|count| name(count.trim_start_matches('0')))
        .collect()
}

/// A name, and not a number.
fn name(text: &str) -> Option<String> {
    let text = text.strip_prefix("r#").unwrap_or(text);
    let is_name = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    is_name.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::placeholders;

    #[test]
    fn a_format_string_names_its_arguments_widths_and_precisions_and_nothing_else() {
        for (text, expected) in [
            ("{title}", vec!["title"]),
            ("{title:?} {by}", vec!["title", "by"]),
            ("{{title}}", vec![]),
            ("{{{title}}}", vec!["title"]),
            ("{title:>width$}", vec!["title", "width"]),
            ("{0:width$.precision$}", vec!["width", "precision"]),
            ("{:*^+#010.places$x?}", vec!["places"]),
            ("{:0width$}", vec!["width"]),
            ("{a:}>width$}{b}", vec!["a", "width", "b"]),
            ("{:.*} {} {1:?}", vec![]),
            ("{title }", vec!["title"]),
            ("{größe}", vec!["größe"]),
            ("title {", vec![]),
            ("}} title {{", vec![]),
        ] {
            assert_eq!(placeholders(text), expected, "{text}");
        }
    }
}
