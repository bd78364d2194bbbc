//! Tells whose a symbol is, by its name as rustc mangles it.

/// Crate that something belongs to, and the module within it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    pub krate: String,
    /// Module, which is `a` or `a::b`, and empty in the crate's root.
    pub module: String,
}

/// Number of modules of a path that are told apart.
const DEPTH: usize = 2;

impl Owner {
    /// Makes an owner of the crate and the modules within it, from outside.
    pub fn new<'a>(krate: &str, modules: impl Iterator<Item = &'a str>) -> Owner {
        let modules: Vec<_> = modules.take(DEPTH).collect();
        Owner {
            krate: krate.into(),
            module: modules.join("::"),
        }
    }

    /// Says whether it is of the language: then what calls it is more telling.
    pub fn is_language(&self) -> bool {
        matches!(self.krate.as_str(), "core" | "alloc" | "std")
    }
}

/// Returns the path that a symbol names, without a hash; for a table that a `match` became, its function's.
pub fn path(symbol: &str) -> Option<String> {
    let symbol = symbol.strip_prefix(".Lswitch.table.").unwrap_or(symbol);
    let name = rustc_demangle::try_demangle(symbol).ok()?;
    Some(format!("{name:#}"))
}

/// Returns whose a symbol is, or `None` if it has no name of Rust's. Methods of a generic type belong to
/// the crate of the type; those of a trait to that of the type, unless the type is of the language.
pub fn owner(symbol: &str) -> Option<Owner> {
    let path = path(symbol)?;
    let Some(inner) = path.strip_prefix('<') else {
        return first_path(&path);
    };
    let (of_type, of_trait) = match inner.split_once(" as ") {
        Some((of_type, of_trait)) => (of_type, Some(of_trait)),
        None => (inner, None),
    };
    let of_type = first_path(of_type);
    let of_trait = of_trait.and_then(first_path);
    match (of_type, of_trait) {
        (Some(own), Some(of_trait)) if own.is_language() => Some(of_trait),
        (own, of_trait) => own.or(of_trait),
    }
}

/// Returns the owner that a text's first path with a crate names; the last part of the path is no module.
fn first_path(text: &str) -> Option<Owner> {
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
    let mut paths = text.split(|c| !in_name(c));
    let path = paths.find(|path| path.contains("::"))?;
    let mut parts: Vec<_> = path.split("::").filter(|part| !part.is_empty()).collect();
    parts.pop();
    let (krate, modules) = parts.split_first()?;
    // Types and functions that hold others are no modules.
    let is_module = |part: &&&str| part.starts_with(|c: char| c.is_lowercase() || c == '_');
    Some(Owner::new(
        krate,
        modules.iter().take_while(is_module).copied(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner_of(symbol: &str) -> (String, String) {
        let owner = owner(symbol).unwrap();
        (owner.krate, owner.module)
    }

    #[test]
    fn names_of_both_manglings_tell_crate_and_module() {
        let cases = [
            (
                "_ZN13nucleo_h743zi10microphone6BUFFER17h58e7a12f79c7c667E",
                ("nucleo_h743zi", "microphone"),
            ),
            (
                "_ZN14zerda_firmware3CRC17h00893f881718f3cbE",
                ("zerda_firmware", ""),
            ),
            ("_RNvNtCs1234_7mycrate3foo3bar", ("mycrate", "foo")),
            (
                ".Lswitch.table._ZN5defmt6export3fmt17h159861fd5b1a490dE",
                ("defmt", "export"),
            ),
        ];
        for (symbol, (krate, module)) in cases {
            assert_eq!(owner_of(symbol), (krate.into(), module.into()), "{symbol}");
        }
    }

    #[test]
    fn methods_belong_to_their_type_or_to_the_trait_of_a_type_of_the_language() {
        let state = "_ZN103_$LT$embassy_stm32.._generated..peripherals..USART3$u20$as$u20$embassy_stm32\
                     ..usart..SealedInstance$GT$5state5STATE17h4245f9a2f97a59beE";
        assert_eq!(
            owner_of(state),
            ("embassy_stm32".into(), "_generated::peripherals".into())
        );
        let option = "_ZN63_$LT$core..option..Option$LT$T$GT$$u20$as$u20$defmt..Format$GT$6format17h\
                      0123456789abcdefE";
        assert_eq!(owner_of(option).0, "defmt");
        let generic = "_ZN44_$LT$$RF$T$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE";
        assert_eq!(owner_of(generic), ("core".into(), "fmt".into()));
    }

    #[test]
    fn what_rust_did_not_name_has_no_owner() {
        for symbol in ["Reset", "__aeabi_memcpy", ".Lanon.c7d4fd4a.257", "main"] {
            assert_eq!(owner(symbol), None);
        }
    }
}
