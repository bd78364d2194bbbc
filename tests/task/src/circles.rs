//! Looks for circles between the modules of `firmware/src`. Cargo allows none between crates.
//!
//! A module depends on another if a file of it, comments and tests left out, names it as `crate::NAME`. A file belongs to the
//! module at the root of the crate in which it lies.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;

/// The folder whose modules are looked at.
const FOLDER: &str = "firmware/src/";

/// Names the modules that depend on themselves by way of others.
pub fn check(sources: &[Source]) -> (String, bool) {
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in sources {
        let Some(path) = source.path.strip_prefix(FOLDER) else {
            continue;
        };
        // What serves for tests may see everything.
        if source.is_test() || path.starts_with("hostile") {
            continue;
        }
        let module = path.split(['/', '.']).next().unwrap_or_default();
        let named = needs.entry(module).or_default();
        for line in source.product().lines() {
            let code = line.split("//").next().unwrap_or_default();
            named.extend(code.split("crate::").skip(1).filter_map(first_name));
        }
        named.remove(module);
    }
    let circular: Vec<&str> = needs
        .keys()
        .filter(|module| reached(&needs, module).contains(*module))
        .copied()
        .collect();
    let text = match circular[..] {
        [] => format!("none among the {} modules of {FOLDER}", needs.len()),
        _ => format!("in {FOLDER}, among {}", circular.join(", ")),
    };
    (text, circular.is_empty())
}

/// Returns the name of a module that a path begins with; names of items in the root have capitals.
fn first_name(path: &str) -> Option<&str> {
    let end = path
        .find(|c: char| !c.is_ascii_lowercase() && c != '_')
        .unwrap_or(path.len());
    Some(&path[..end]).filter(|name| !name.is_empty())
}

/// Returns every module that a module needs, itself only if it lies on a circle.
fn reached<'a>(needs: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = vec![from];
    while let Some(module) = open.pop() {
        for &next in needs.get(module).into_iter().flatten() {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    reached
}
