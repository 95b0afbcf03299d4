//! The shapes of JSON as a page has them.

use std::collections::{BTreeMap, BTreeSet};

use cim_es::block::Cid;
use cim_es::message::Timestamp;
use serde_json::Value;

/// The shapes on a page, by what prints them.
pub struct Document(BTreeMap<String, Field>);

/// A place in an object: what may stand there.
#[derive(Clone, Debug, Default)]
struct Field {
    /// `text`, `number` and the like; none where there is something below.
    leaf: Option<String>,
    below: BTreeMap<String, Field>,
    is_list: bool,
    may_be_missing: bool,
    /// As the page writes it.
    path: String,
}

impl Document {
    /// The shapes of a page: blocks of text whose first line ends with a colon and what it is a line for.
    pub fn of(page: &str) -> Self {
        let blocks = page.split("```text\n").skip(1);
        let blocks = blocks.filter_map(|block| block.split("```").next());
        let mut shapes: BTreeMap<String, Field> = BTreeMap::new();
        for shape in blocks.flat_map(|block| block.split("\n\n")) {
            let mut lines = shape.lines();
            let head = lines.next().and_then(|line| line.split_once(": "));
            let Some((names, _)) = head.filter(|(names, _)| !names.starts_with(' ')) else {
                continue;
            };
            let mut root = Field::default();
            for line in lines {
                let mut words = line.split_whitespace();
                let (path, kind) = (words.next(), words.next());
                let (Some(path), Some(kind)) = (path, kind) else {
                    panic!("`{line}` has no path and no type");
                };
                match kind {
                    "as" => {
                        let other = words.skip(1).collect::<Vec<_>>().join(" ");
                        root.add(path, &format!("as of {other}"));
                    }
                    kind => root.add(path, kind),
                }
            }
            for name in names.split(", ") {
                shapes.insert(name.to_owned(), root.clone());
            }
        }
        let copies = shapes.clone();
        for shape in shapes.values_mut() {
            for field in shape.below.values_mut() {
                let other = field
                    .leaf
                    .as_deref()
                    .and_then(|it| it.strip_prefix("as of "));
                if let Some(other) = other.map(str::to_owned) {
                    field.leaf = None;
                    field.below = copies[&other].below.clone();
                    let path = field.path.clone();
                    field.below.values_mut().for_each(|it| it.move_below(&path));
                }
            }
        }
        Self(shapes)
    }

    /// What prints something.
    pub fn headings(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Every path of every shape.
    pub fn paths(&self) -> Vec<(String, String)> {
        let mut paths = Vec::new();
        for (heading, root) in &self.0 {
            root.each(&mut |field| paths.push((heading.clone(), field.path.clone())));
        }
        paths
    }

    /// The names of the fields that a command prints, in all of its shapes.
    pub fn fields(&self, command: &str) -> BTreeSet<String> {
        let mut fields = BTreeSet::new();
        let is_of =
            |heading: &str| heading == command || heading.starts_with(&format!("{command} -"));
        for (_, root) in self.0.iter().filter(|(heading, _)| is_of(heading)) {
            root.each(&mut |field| {
                let last = field.path.rsplit('.').next().unwrap_or_default();
                fields.insert(last.trim_end_matches(['[', ']', '?']).to_owned());
            });
        }
        fields
    }

    /// Holds a value against a shape, and notes the paths that it has.
    pub fn check(
        &self,
        heading: &str,
        value: &Value,
        seen: &mut BTreeSet<(String, String)>,
    ) -> Result<(), String> {
        let Some(root) = self.0.get(heading) else {
            return Err(format!("the page does not have `{heading}`"));
        };
        let mut paths = BTreeSet::new();
        root.check(value, &mut paths)
            .map_err(|wrong| format!("{heading}: {wrong} in {value}"))?;
        seen.extend(paths.into_iter().map(|path| (heading.to_owned(), path)));
        Ok(())
    }
}

impl Field {
    fn add(&mut self, path: &str, kind: &str) {
        let mut field = self;
        let mut so_far = String::new();
        for part in path.split('.') {
            so_far.push_str(match so_far.is_empty() {
                true => "",
                false => ".",
            });
            so_far.push_str(part);
            let name = part.trim_end_matches(['[', ']', '?']);
            field = field.below.entry(name.to_owned()).or_default();
            field.is_list |= part.contains("[]");
            field.may_be_missing |= part.ends_with('?');
            field.path.clone_from(&so_far);
        }
        field.may_be_missing |= kind.ends_with('?');
        field.leaf = Some(kind.trim_end_matches('?').to_owned());
    }

    fn move_below(&mut self, path: &str) {
        self.path = format!("{path}.{}", self.path);
        self.below.values_mut().for_each(|it| it.move_below(path));
    }

    /// Every place at which something stands.
    fn each(&self, tell: &mut impl FnMut(&Self)) {
        match self.leaf {
            Some(_) => tell(self),
            None => self.below.values().for_each(|it| it.each(tell)),
        }
    }

    fn check(&self, value: &Value, seen: &mut BTreeSet<String>) -> Result<(), String> {
        if value.is_null() && self.may_be_missing {
            return Ok(());
        }
        if !self.is_list {
            return self.check_one(value, seen);
        }
        let Some(list) = value.as_array() else {
            return Err(format!("`{}` is no list", self.path));
        };
        list.iter().try_for_each(|one| self.check_one(one, seen))
    }

    fn check_one(&self, value: &Value, seen: &mut BTreeSet<String>) -> Result<(), String> {
        let text = value.as_str();
        let fits = match self.leaf.as_deref() {
            None => return self.check_object(value, seen),
            Some("any") => true,
            Some("text") => text.is_some(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            Some("time") => text.is_some_and(|it| it.parse::<Timestamp>().is_ok()),
            Some("cid") => text.is_some_and(|it| it.parse::<Cid>().is_ok()),
            Some(other) => return Err(format!("`{other}` is no type")),
        };
        seen.insert(self.path.clone());
        match fits {
            true => Ok(()),
            false => Err(format!("`{}` is not as documented", self.path)),
        }
    }

    fn check_object(&self, value: &Value, seen: &mut BTreeSet<String>) -> Result<(), String> {
        let Some(object) = value.as_object() else {
            return Err(format!("`{}` is no object", self.path));
        };
        if let Some(name) = object.keys().find(|name| !self.below.contains_key(*name)) {
            return Err(format!("`{name}` is not documented"));
        }
        for (name, field) in &self.below {
            match object.get(name) {
                Some(value) => field.check(value, seen)?,
                None if field.may_be_missing => {}
                None => return Err(format!("`{name}` is missing")),
            }
        }
        Ok(())
    }
}
