//! `zerda.h` is what cbindgen makes of the C interface's sources.

use std::fs;

use cbindgen::{Builder, Config, DocumentationStyle, EnumConfig, Language, RenameRule, Style};
use zerda_support::output;
use zerda_tests::repository;

const HEADER: &str = "firmware/c/include/zerda.h";

/// What cbindgen makes of the sources as they are now.
fn made() -> String {
    let config = Config {
        language: Language::C,
        cpp_compat: true,
        style: Style::Both,
        documentation_style: DocumentationStyle::C,
        header: Some(
            "/* Zerda recognizes spoken commands in a stream of audio. firmware/c/README.md says how to use it.\n \
             * Made by cbindgen of firmware/c/src: `cargo task header` makes it anew. */"
                .into(),
        ),
        include_guard: Some("ZERDA_H".into()),
        no_includes: true,
        sys_includes: ["stdbool.h", "stddef.h", "stdint.h"].map(String::from).into(),
        usize_is_size_t: true,
        enumeration: EnumConfig {
            rename_variants: RenameRule::QualifiedScreamingSnakeCase,
            ..EnumConfig::default()
        },
        ..Config::default()
    };
    let files = ["status", "events", "state", "lib"];
    let files = files.map(|name| repository(&format!("firmware/c/src/{name}.rs")));
    let builder = files.iter().fold(Builder::new(), Builder::with_src);
    let bindings = builder
        .with_config(config)
        .generate()
        .expect("sources that parse");
    let mut text = Vec::new();
    bindings.write(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn the_header_is_what_cbindgen_makes_of_the_sources() {
    let header = fs::read_to_string(repository(HEADER)).unwrap();
    assert_eq!(
        header,
        made(),
        "{HEADER}: make it anew with `cargo task header`"
    );
}

/// `cargo task header` runs this.
#[test]
#[ignore = "writes the header"]
fn renew() {
    output::replace(&repository(HEADER), made().as_bytes()).unwrap();
}
