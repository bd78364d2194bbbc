//! Reads what the debug information knows: which crate and module each instruction was written in, and the
//! types of statics.
//!
//! Fat LTO inlines across crates. An instruction belongs to the innermost function that it was inlined
//! from, unless that is of the language (`core`): then to the function that called it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use gimli::{
    Attribute, AttributeValue, DebugInfoOffset, DebuggingInformationEntry, EndianSlice,
    LittleEndian, Operation, SectionId, Unit, constants as dw,
};
use object::read::elf::ElfFile32;
use object::{Object, ObjectSection};

use crate::names::Owner;

type Reader<'a> = EndianSlice<'a, LittleEndian>;
type Entry<'abbrev, 'unit, 'a> = DebuggingInformationEntry<'abbrev, 'unit, Reader<'a>>;
type Dwarf<'a> = gimli::Dwarf<Reader<'a>>;

/// Facts that the debug information holds.
#[derive(Default)]
pub struct DebugInfo {
    /// Ranges of code and whose they are, in an order in which later ones lie within earlier ones.
    pub code: Vec<(Range<u64>, Owner)>,
    /// Names of the types that statics have, by address.
    pub statics: HashMap<u64, String>,
    /// Bytes of `zerda_firmware::app::App`, in which a board's `main` keeps the recognizer.
    pub application_bytes: Option<u64>,
}

/// Reads all of it; an ELF without any gives nothing.
pub fn read(elf: &ElfFile32) -> gimli::Result<DebugInfo> {
    let load = |id: SectionId| -> gimli::Result<Reader<'_>> {
        let section = elf.section_by_name(id.name());
        let bytes = section.and_then(|section| section.data().ok());
        Ok(EndianSlice::new(bytes.unwrap_or_default(), LittleEndian))
    };
    let dwarf = Dwarf::load(load)?;
    let mut found = Found::default();
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        found.unit(&dwarf, &dwarf.unit(header)?)?;
    }
    Ok(found.finish())
}

/// Says what a function belongs to: the path of its definition, or what another definition says.
enum Definition {
    In(Rc<str>),
    As(DebugInfoOffset),
}

/// Code of a function, or of one that was inlined into another.
struct Code {
    ranges: Vec<Range<u64>>,
    function: DebugInfoOffset,
    /// Number of the code that it was inlined into.
    within: Option<usize>,
}

/// Facts that an entry's children know of it.
#[derive(Clone)]
struct Scope {
    /// Names of the namespaces that it lies in, joined with `::`.
    path: Rc<str>,
    code: Option<usize>,
}

#[derive(Default)]
struct Found {
    definitions: HashMap<DebugInfoOffset, Definition>,
    /// Paths of functions: they are namespaces of what is defined in them, but no modules.
    functions: HashSet<String>,
    code: Vec<Code>,
    types: HashMap<DebugInfoOffset, String>,
    statics: Vec<(u64, DebugInfoOffset)>,
    application_bytes: Option<u64>,
}

impl Found {
    fn unit(&mut self, dwarf: &Dwarf<'_>, unit: &Unit<Reader<'_>>) -> gimli::Result<()> {
        let root = Scope {
            path: "".into(),
            code: None,
        };
        let mut scopes = vec![root];
        let mut depth = 0;
        let mut entries = unit.entries();
        while let Some((change, entry)) = entries.next_dfs()? {
            depth += change;
            scopes.truncate(depth as usize + 1);
            let outer = scopes[scopes.len() - 1].clone();
            let inner = self.entry(dwarf, unit, entry, outer)?;
            scopes.push(inner);
        }
        Ok(())
    }

    fn entry(
        &mut self,
        dwarf: &Dwarf<'_>,
        unit: &Unit<Reader<'_>>,
        entry: &Entry<'_, '_, '_>,
        mut scope: Scope,
    ) -> gimli::Result<Scope> {
        let name = || -> gimli::Result<String> {
            Ok(match entry.attr_value(dw::DW_AT_name)? {
                Some(value) => dwarf.attr_string(unit, value)?.to_string_lossy().into(),
                None => String::new(),
            })
        };
        let here = entry.offset().to_debug_info_offset(&unit.header);
        let Some(here) = here else { return Ok(scope) };
        let reference = |attribute| -> gimli::Result<Option<DebugInfoOffset>> {
            let value = entry.attr(attribute)?;
            Ok(value.and_then(|value| target(unit, &value)))
        };
        match entry.tag() {
            dw::DW_TAG_namespace => scope.path = joined(&scope.path, &name()?).into(),
            dw::DW_TAG_subprogram => {
                let origin = reference(dw::DW_AT_abstract_origin)?;
                let definition = match origin.or(reference(dw::DW_AT_specification)?) {
                    Some(other) => Definition::As(other),
                    None => {
                        let name = name()?;
                        let bare = name.split('<').next().unwrap_or_default();
                        self.functions.insert(joined(&scope.path, bare));
                        Definition::In(scope.path.clone())
                    }
                };
                self.definitions.insert(here, definition);
                scope.code = self.code(dwarf, unit, entry, here, None)?;
            }
            dw::DW_TAG_inlined_subroutine => {
                if let Some(origin) = reference(dw::DW_AT_abstract_origin)? {
                    let within = scope.code;
                    scope.code = self.code(dwarf, unit, entry, origin, within)?.or(within);
                }
            }
            dw::DW_TAG_structure_type => {
                let name = name()?;
                if is_told_apart(&name) {
                    self.types.insert(here, name.to_string());
                }
                if name.starts_with("App<") && &*scope.path == "zerda_firmware::app" {
                    let bytes = entry.attr_value(dw::DW_AT_byte_size)?;
                    let bytes = bytes.and_then(|value| value.udata_value());
                    self.application_bytes = self.application_bytes.max(bytes);
                }
            }
            dw::DW_TAG_variable => {
                let location = entry.attr_value(dw::DW_AT_location)?;
                if let Some(AttributeValue::Exprloc(expression)) = location
                    && let Some(Operation::Address { address }) =
                        expression.operations(unit.encoding()).next()?
                    && let Some(kind) = reference(dw::DW_AT_type)?
                {
                    self.statics.push((address, kind));
                }
            }
            _ => {}
        }
        Ok(scope)
    }

    /// Notes an entry's code; returns `None` if it has none.
    fn code(
        &mut self,
        dwarf: &Dwarf<'_>,
        unit: &Unit<Reader<'_>>,
        entry: &Entry<'_, '_, '_>,
        function: DebugInfoOffset,
        within: Option<usize>,
    ) -> gimli::Result<Option<usize>> {
        let mut found = dwarf.die_ranges(unit, entry)?;
        let mut ranges = Vec::new();
        while let Some(range) = found.next()? {
            ranges.push(range.begin..range.end);
        }
        if ranges.is_empty() {
            return Ok(None);
        }
        self.code.push(Code {
            ranges,
            function,
            within,
        });
        Ok(Some(self.code.len() - 1))
    }

    fn finish(self) -> DebugInfo {
        let mut owners: Vec<Option<Owner>> = Vec::new();
        for code in &self.code {
            let within = code.within.and_then(|outer| owners[outer].clone());
            let own = self.owner(code.function);
            let own = own.filter(|own| within.is_none() || !own.is_language());
            owners.push(own.or(within));
        }
        let code = self.code.into_iter().zip(owners);
        let code = code.filter_map(|(code, owner)| Some((code.ranges, owner?)));
        let types = self.types;
        let statics = self.statics.into_iter();
        DebugInfo {
            code: code
                .flat_map(|(ranges, owner)| {
                    ranges.into_iter().map(move |range| (range, owner.clone()))
                })
                .collect(),
            statics: statics
                .filter_map(|(address, kind)| Some((address, types.get(&kind)?.clone())))
                .collect(),
            application_bytes: self.application_bytes,
        }
    }

    fn owner(&self, function: DebugInfoOffset) -> Option<Owner> {
        let mut at = function;
        // From code to its abstract function, and from there to its declaration in a type.
        for _ in 0..4 {
            match self.definitions.get(&at)? {
                Definition::As(other) => at = *other,
                Definition::In(path) => return self.owner_of(path),
            }
        }
        None
    }

    fn owner_of(&self, path: &str) -> Option<Owner> {
        let mut parts = path.split("::");
        let krate = parts.next().filter(|name| !name.is_empty())?;
        let mut prefix = krate.to_string();
        // Modules end where a function begins, an `impl`, a closure or a type.
        let is_module = |part: &&str| {
            prefix = joined(&prefix, part);
            part.starts_with(char::is_lowercase) && !self.functions.contains(&prefix)
        };
        let modules = parts.take_while(is_module);
        Some(Owner::new(krate, modules))
    }
}

/// Says whether statics are found by a type of this name.
fn is_told_apart(name: &str) -> bool {
    is_memory(name) || is_ring(name)
}

/// Says whether a type is the recognizer's memory, whatever cell it is in.
pub fn is_memory(type_name: &str) -> bool {
    type_name.contains("zerda_firmware::recognizer::Memory<")
}

/// Says whether a type is the ring of audio blocks, whatever cell it is in.
pub fn is_ring(type_name: &str) -> bool {
    type_name.contains("zerda_firmware::audio::Block")
        && type_name.contains("Queue")
        && !type_name.contains("Producer")
        && !type_name.contains("Consumer")
}

fn joined(path: &str, name: &str) -> String {
    match path {
        "" => name.into(),
        path => format!("{path}::{name}"),
    }
}

fn target(unit: &Unit<Reader<'_>>, attribute: &Attribute<Reader<'_>>) -> Option<DebugInfoOffset> {
    match attribute.value() {
        AttributeValue::UnitRef(offset) => offset.to_debug_info_offset(&unit.header),
        AttributeValue::DebugInfoRef(offset) => Some(offset),
        _ => None,
    }
}
