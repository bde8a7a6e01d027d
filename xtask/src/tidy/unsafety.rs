//! Rules for files with unsafe code: they say so in front, and justify every place.

use super::{File, Rule};
use crate::finding::Finding;
use crate::source::has_word;

pub(super) const RULES: [Rule; 2] = [opening, notes];

fn opening(file: &File<'_>) -> Vec<Finding> {
    let Some((number, _)) = file.code_lines().find(|(_, line)| has_word(line, "unsafe")) else {
        return Vec::new();
    };
    let compact: String = file.code.split_whitespace().collect();
    if compact.contains("#![expect(unsafe_code,reason") {
        return Vec::new();
    }
    vec![Finding::at(
        file.path,
        number,
        "unsafe code in a file that does not announce it",
        "open the file with `#![expect(unsafe_code, reason = \"…\")]` and its invariants",
    )]
}

fn notes(file: &File<'_>) -> Vec<Finding> {
    let places: Vec<usize> = file
        .code_lines()
        .filter(|(_, line)| is_unsafe_place(line))
        .map(|(number, _)| number)
        .collect();
    let notes = file.text.matches("SAFETY:").count();
    match places.last() {
        Some(&last) if places.len() > notes => vec![Finding::at(
            file.path,
            last,
            format!("{} unsafe blocks and impls, {notes} safety notes", places.len()),
            "write `// SAFETY:` above each, with the invariants that hold and why",
        )],
        _ => Vec::new(),
    }
}

fn is_unsafe_place(line: &str) -> bool {
    line.match_indices("unsafe").any(|(start, word)| {
        let rest = line[start + word.len()..].trim_start();
        has_word(line, word)
            && (rest.is_empty() || rest.starts_with('{') || rest.starts_with("impl"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    const ISLAND: &str = "sk-toy/src/island.rs";
    const HEAD: &str =
        "//! Island.\n#![expect(\n    unsafe_code,\n    reason = \"maps memory\"\n)]\n";

    #[test]
    fn unsafe_code_is_announced() {
        let code = "fn a() { unsafe { b() } }\n";
        assert_eq!(found(opening, ISLAND, code).len(), 1);
        assert!(found(opening, ISLAND, &format!("{HEAD}{code}")).is_empty());
        assert!(
            found(opening, ISLAND, "// Nothing unsafe here.\nlet a = \"unsafe\";\n").is_empty()
        );
    }

    #[test]
    fn each_unsafe_place_has_a_note() {
        let bare = "unsafe impl Send for A {}\nfn a() {\n    unsafe { b() };\n}\n";
        let found_bare = found(notes, ISLAND, bare);
        assert!(found_bare[0].contains(":3: 2 unsafe blocks and impls, 0"), "{found_bare:?}");
        let told = format!("// SAFETY: one.\n// SAFETY: two.\n{bare}");
        assert!(found(notes, ISLAND, &told).is_empty());
        assert!(found(notes, ISLAND, "unsafe fn a();\n").is_empty());
    }
}
