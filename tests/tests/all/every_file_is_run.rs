//! The tests of a package are one program, and a file of it that the program does not name would never run.

use std::fs;
use std::path::Path;

/// The modules that stand in a folder of tests.
fn files(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names
        .filter(|name| name != "main.rs")
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_program_of_tests_names_every_file_beside_it() {
    for program in [
        "cim-es/tests/all",
        "cim-es/tests/cli",
        "examples/tests/all",
        "tests/tests/all",
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(program);
        let main = fs::read_to_string(folder.join("main.rs")).unwrap();
        let mut named: Vec<_> = main
            .lines()
            .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
            .collect();
        named.sort_unstable();
        assert_eq!(files(&folder), named, "{program}/main.rs");
    }
}
