//! The paths of a shape, taken apart: `interfaces[].name`, `labels{}`, `owner(Person).id`.

/// The path of a field of the struct at a path.
pub(super) fn child(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// The path without its last step.
pub(super) fn parent(path: &str) -> &str {
    let end = path.rfind(['.', '[', '{', '(']).unwrap_or(0);
    &path[..end]
}

/// The last name of a path.
pub(super) fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Whether the path names a field, not what a list, a map or a variant holds.
pub(super) fn is_field(path: &str) -> bool {
    !path.ends_with([']', '}', ')'])
}
