//! Measures what a firmware takes of its board's memory: the regions of `memory.x`, the sections and
//! symbols of the ELF.

use std::ops::Range;
use std::path::Path;

use object::read::elf::{ElfFile32, ProgramHeader};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionIndex, SymbolKind, elf};
use zerda_firmware::image::{ALIGNMENT, MAGIC, field};

use zerda_support::error::{Error, Result};
use zerda_support::files;
use zerda_support::image_file::ImageFile;

/// Size in bytes from which on symbols are parts of their own.
const LARGE: u64 = 1024;
/// Largest alignment that the end of a section has, in bytes: a stack which begins no further above the
/// sections was not reserved, it takes what they leave.
const SECTION_ALIGNMENT: u64 = 32;

/// Name of the region for the slot of images that is spare: it counts apart, since it may lie outside.
pub const SPARE: &str = "SPARE";
/// Name of the region for the journal of updates, which takes all of it.
pub const JOURNAL: &str = "JOURNAL";

/// Region that one line of `MEMORY { ... }` declares; origin and length are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    pub name: String,
    pub origin: u64,
    pub length: u64,
}

impl Region {
    fn contains(&self, range: &Range<u64>) -> bool {
        self.origin <= range.start && range.end <= self.origin.saturating_add(self.length)
    }
}

/// Something that lies in a region, with its size in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    pub bytes: u64,
}

/// Region, and the parts that lie in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub region: Region,
    pub parts: Vec<Part>,
}

impl Usage {
    pub fn used(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

/// Reads the regions of a linker script: one a line, as `NAME (attributes) : ORIGIN = n, LENGTH = n`, where
/// n is a decimal or hexadecimal number, with K or M.
pub fn regions(path: &Path) -> Result<Vec<Region>> {
    let text = files::read_to_string(path).map_err(|error| Error::read(path, error))?;
    let wrong = |what: String| Error::usage(format!("{}:{what}", path.display()));
    let (mut memory, mut inside, mut regions) = (false, false, Vec::new());
    for (number, line) in without_comments(&text).lines().enumerate() {
        let line = line.trim();
        if !inside {
            // The brace may stand on the next line.
            memory |= line.starts_with("MEMORY");
            inside = memory && line.ends_with('{');
        } else if line == "}" {
            break;
        } else if !line.is_empty() {
            regions.push(region(line).ok_or_else(|| {
                wrong(format!(
                    "{}: cannot read `{line}`, expected a region such as `RAM : ORIGIN = \
                     0x20000000, LENGTH = 128K`",
                    number + 1
                ))
            })?);
        }
    }
    match regions.is_empty() {
        true => Err(wrong(
            " no region, expected `MEMORY {`, then a line for each, then `}`".into(),
        )),
        false => Ok(regions),
    }
}

/// Removes comments, but keeps the ends of their lines.
fn without_comments(text: &str) -> String {
    let mut parts = text.split("/*");
    let mut script = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (comment, rest) = part.split_once("*/").unwrap_or((part, ""));
        script.extend(comment.chars().filter(|&c| c == '\n'));
        script += rest;
    }
    script
}

fn region(line: &str) -> Option<Region> {
    let (name, fields) = line.split_once(':')?;
    let (name, _attributes) = name.split_once('(').unwrap_or((name, ""));
    let (origin, length) = fields.split_once(',')?;
    Some(Region {
        name: name.trim().to_string(),
        origin: value(origin, &["ORIGIN", "org", "o"])?,
        length: value(length, &["LENGTH", "len", "l"])?,
    })
}

fn value(field: &str, names: &[&str]) -> Option<u64> {
    let (name, number) = field.split_once('=')?;
    if !names.contains(&name.trim()) {
        return None;
    }
    let number = number.trim();
    let (digits, unit) = match number.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1 << 10),
        None => match number.strip_suffix(['M', 'm']) {
            Some(digits) => (digits, 1 << 20),
            None => (number, 1),
        },
    };
    let hexadecimal = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let number = match hexadecimal {
        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
        None => digits.parse().ok()?,
    };
    number.checked_mul(unit)
}

/// Kind of what lies somewhere in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Section(SectionIndex),
    /// Initial values, in flash, of a section that is in RAM.
    InitialValues(SectionIndex),
    /// Stack that `_stack_end` reserves.
    Stack,
}

/// Range of addresses that something takes in the region of this number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub region: usize,
    pub range: Range<u64>,
    pub what: What,
}

/// Reads the bytes of a firmware; `path` is for the message.
pub fn parse<'data>(path: &Path, bytes: &'data [u8]) -> Result<ElfFile32<'data>> {
    ElfFile32::parse(bytes)
        .map_err(|error| Error::usage(format!("{}: not a 32-bit ELF: {error}", path.display())))
}

/// Returns what the ELF puts into each region: sections, and of them the model image and large symbols on
/// their own; initial values of RAM where they lie in flash; the stack, where `_stack_end` reserves it.
pub fn usage(path: &Path, regions: Vec<Region>) -> Result<Vec<Usage>> {
    let bytes = files::read(path).map_err(|error| Error::read(path, error))?;
    let elf = parse(path, &bytes)?;
    let placements = placements(path, &elf, &regions)?;
    let mut usages: Vec<Usage> = regions
        .into_iter()
        .map(|region| Usage {
            region,
            parts: Vec::new(),
        })
        .collect();
    for placed in placements {
        let bytes = placed.range.end - placed.range.start;
        let section = |index| elf.section_by_index(index).ok();
        let title = |index| section(index).map_or("?".into(), |section| title(&section));
        let one = |name| vec![Part { name, bytes }];
        usages[placed.region].parts.extend(match placed.what {
            What::Section(index) => section(index).map_or(Vec::new(), |s| parts(&elf, &s)),
            What::InitialValues(index) => one(format!("{}, initial values", title(index))),
            What::Stack => one("stack, reserved".into()),
        });
    }
    Ok(usages)
}

/// Returns where everything lies that the ELF puts into memory, in the order of its sections. What lies in
/// no region, or in the bytes that are reserved for the stack, is an error.
pub fn placements(path: &Path, elf: &ElfFile32, regions: &[Region]) -> Result<Vec<Placed>> {
    let name = path.display();
    let mut placements = Vec::new();
    let mut put = |title: &str, range: &Range<u64>, what| {
        let Some(region) = regions.iter().position(|region| region.contains(range)) else {
            return Err(Error::usage(format!(
                "{name}: {title} at {:#010x} to {:#010x} lies in no region of memory.x; expected a \
                 firmware of this board",
                range.start, range.end
            )));
        };
        let range = range.clone();
        placements.push(Placed {
            region,
            range,
            what,
        });
        Ok(())
    };
    let stack = stack(elf);
    let mut stack_is_reserved = true;
    for section in elf.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
            continue;
        };
        if !sh_flags.contains(elf::SHF_ALLOC) || section.size() == 0 {
            continue;
        }
        let title = title(&section);
        let range = section.address()..section.address() + section.size();
        // The runtime of RISC-V makes a section of the stack itself.
        if stack.as_ref() == Some(&range) {
            continue;
        }
        put(&title, &range, What::Section(section.index()))?;
        if let Some(load) = load_address(elf, &range)
            && load != range.start
        {
            let range = load..load + section.size();
            put(&title, &range, What::InitialValues(section.index()))?;
        }
        if let Some(stack) = &stack {
            if range.start < stack.end && stack.start < range.end {
                let overlap = range.end.min(stack.end) - stack.start.max(range.start);
                return Err(Error::check(format!(
                    "{name}: {overlap} bytes of {title} lie in the {} bytes reserved for the \
                     stack: raise `_stack_end` in memory.x or choose a smaller model",
                    stack.end - stack.start
                )));
            }
            stack_is_reserved &= !(range.end..range.end + SECTION_ALIGNMENT).contains(&stack.start);
        }
    }
    if let Some(stack) = stack.filter(|_| stack_is_reserved) {
        put("the stack", &stack, What::Stack)?;
    }
    Ok(placements)
}

fn title<'data>(section: &impl ObjectSection<'data>) -> String {
    section.name().unwrap_or("?").into()
}

/// Returns the addresses from `_stack_end` up to `_stack_start`, if there are any.
fn stack(elf: &ElfFile32) -> Option<Range<u64>> {
    let address = |name| Some(elf.symbol_by_name(name)?.address());
    let stack = address("_stack_end")?..address("_stack_start")?;
    (!stack.is_empty()).then_some(stack)
}

/// Returns where the section's bytes are when the device starts, or `None` where it has no bytes.
fn load_address(elf: &ElfFile32, section: &Range<u64>) -> Option<u64> {
    let endian = elf.endian();
    elf.elf_program_headers().iter().find_map(|header| {
        let address = u64::from(header.p_vaddr(endian));
        let bytes = address..address + u64::from(header.p_filesz(endian));
        let is_loaded = header.p_type(endian) == elf::PT_LOAD;
        (is_loaded && bytes.contains(&section.start))
            .then(|| u64::from(header.p_paddr(endian)) + section.start - address)
    })
}

/// Returns a section's parts: the image, large symbols, the rest.
fn parts<'data>(elf: &ElfFile32<'data>, section: &impl ObjectSection<'data>) -> Vec<Part> {
    let title = title(section);
    let mut parts = Vec::new();
    let image = section
        .data()
        .ok()
        .and_then(|data| image(data, section.address()));
    if let Some(image) = &image {
        parts.push(Part {
            name: "model image".into(),
            bytes: image.end - image.start,
        });
    }
    let is_part = |symbol: &object::read::elf::ElfSymbol32| {
        let start = symbol.address();
        let in_image = |image: &Range<u64>| image.contains(&start);
        symbol.section_index() == Some(section.index())
            && symbol.kind() == SymbolKind::Data
            && symbol.size() >= LARGE
            && !image.as_ref().is_some_and(in_image)
    };
    // All of the vector table is one symbol.
    if title != ".vector_table" {
        let mut symbols: Vec<_> = elf.symbols().filter(is_part).collect();
        // Equal constants are merged, with a symbol for each.
        symbols.sort_by_key(object::ObjectSymbol::address);
        symbols.dedup_by_key(|symbol| symbol.address());
        symbols.sort_by_key(|symbol| std::cmp::Reverse(symbol.size()));
        parts.extend(symbols.iter().map(|symbol| Part {
            name: format!(
                "{title} {:#}",
                rustc_demangle::demangle(symbol.name().unwrap_or("?"))
            ),
            bytes: symbol.size(),
        }));
    }
    let named: u64 = parts.iter().map(|part| part.bytes).sum();
    let rest = Part {
        name: title,
        bytes: section.size().saturating_sub(named),
    };
    if rest.bytes > 0 {
        parts.push(rest);
    }
    parts
}

/// Returns where the image lies in the bytes of a section, which begins at `address`: symbols may be
/// stripped or named anyhow.
pub fn image(data: &[u8], address: u64) -> Option<Range<u64>> {
    let first = address.next_multiple_of(ALIGNMENT as u64) - address;
    (first as usize..data.len())
        .step_by(ALIGNMENT)
        .find_map(|start| {
            let rest = data
                .get(start..)?
                .strip_prefix(&MAGIC)
                .map(|_| &data[start..])?;
            let length = u32::from_le_bytes(rest.get(field::TOTAL_LENGTH)?.try_into().ok()?);
            let bytes = rest.get(..length as usize)?;
            ImageFile::new(Path::new(""), bytes).image().ok()?;
            let start = address + start as u64;
            Some(start..start + u64::from(length))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(script: &str) -> Result<Vec<Region>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.x");
        std::fs::write(&path, script).unwrap();
        regions(&path)
    }

    fn region(name: &str, origin: u64, length: u64) -> Region {
        Region {
            name: name.into(),
            origin,
            length,
        }
    }

    #[test]
    fn regions_of_a_linker_script_are_read_with_units_attributes_and_comments() {
        let script = "/* Two\nlines */ MEMORY\n{\n  FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 2M\n\
            RAM : org = 0x24000000, len = 512K /* AXI */\n\n  BACKUP(rw): o = 4096, l = 0x1000\n}\n\
            _stack_end = ORIGIN(RAM) + LENGTH(RAM) - 32K;\nSECTIONS {\n  .a : {\n  } > RAM\n}\n";
        let expected = [
            region("FLASH", 0x0800_0000, 2 << 20),
            region("RAM", 0x2400_0000, 512 << 10),
            region("BACKUP", 4096, 4096),
        ];
        assert_eq!(read(script).unwrap(), expected);
        assert_eq!(
            read(&script.replace(" MEMORY\n{", " MEMORY {")).unwrap(),
            expected
        );
    }

    #[test]
    fn what_cannot_be_read_is_shown_with_its_line() {
        for line in [
            "RAM : ORIGIN = 0, LENGTH = LENGTH(FLASH)",
            "RAM : ORIGIN = 0",
            "RAM ORIGIN = 0, LENGTH = 4K",
            "RAM : LENGTH = 4K, ORIGIN = 0",
            "RAM : ORIGIN = 0, LENGTH = 99999999999999999999",
            "INCLUDE device.x",
        ] {
            let error = read(&format!("/* x\n*/\nMEMORY {{\n{line}\n}}\n")).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains(&format!("memory.x:4: cannot read `{line}`")),
                "{error}"
            );
        }
        let error = read("_stack_end = 0;\n").unwrap_err().to_string();
        assert!(error.contains("memory.x: no region"), "{error}");
    }
}
