//! Accounts for a board's firmware: every byte of every region, and what it is.

use std::ops::Range;
use std::path::{Path, PathBuf};

use object::read::elf::ElfFile32;
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionIndex, SymbolKind, elf};
use zerda_device::elf::{Placed, Region, What};
use zerda_support::error::{Error, Result};
use zerda_support::files;
use zerda_support::image_file::ImageFile;

use crate::debug_info::{self, DebugInfo};
use crate::memory::{self, Bytes};
use crate::names;
use crate::part::{Kind, Part};

/// Label that says what a part of a section is: its kind, and its path within that.
pub type Label = (Kind, Vec<String>);

/// Name of the part for code whose symbol has no name of Rust's.
const NO_CRATE: &str = "assembly and intrinsics";
/// Name of the part for constants and statics whose symbol has no name of Rust's.
const OTHER_SYMBOLS: &str = "other symbols";
/// Name of the part for the bytes of a section of code or constants that no symbol covers.
const GAPS: &str = "literals and padding";

/// Region of memory, and what lies in it.
#[derive(Clone, Debug)]
pub struct Memory {
    pub region: Region,
    /// Says whether it holds variables or the stack; otherwise it is flash.
    pub is_ram: bool,
    /// Tree that covers all of the region, what is unused too.
    pub part: Part,
}

impl Memory {
    pub fn used(&self) -> u64 {
        let unused = self.part.child(Kind::Unused).map_or(0, |part| part.bytes);
        self.region.length - unused
    }
}

/// Contents of an ELF that was read.
pub struct Firmware {
    pub memories: Vec<Memory>,
    /// Bytes of the spare slot for images, if the board takes updates; it is none of the memories.
    pub spare_slot_bytes: Option<u64>,
    /// Bytes that are reserved from `_stack_end` to `_stack_start`.
    pub stack_bytes: u64,
    /// Bytes of the stack that `main` keeps the application and its recognizer in, if the debug information
    /// says so.
    pub application_bytes: Option<u64>,
}

impl Firmware {
    /// Reads the ELF in `path` of a board with these regions, which must hold this image.
    pub fn read(path: &Path, regions: Vec<Region>, image: &ImageFile) -> Result<Firmware> {
        let bytes = files::read(path).map_err(|error| Error::read(path, error))?;
        let elf = zerda_device::elf::parse(path, &bytes)?;
        let placements = zerda_device::elf::placements(path, &elf, &regions)?;
        let debug = debug_info::read(&elf).map_err(|error| {
            // Some have several lines.
            let error = error.to_string();
            let error: Vec<_> = error.split_whitespace().collect();
            Error::usage(format!(
                "{}: its debug information cannot be read: {}",
                path.display(),
                error.join(" ")
            ))
        })?;
        let reader = Reader {
            path: path.into(),
            elf: &elf,
            debug,
            image,
        };
        reader.check_image(&placements)?;
        let stack = placements.iter().find(|placed| placed.what == What::Stack);
        let stack = stack.ok_or_else(|| {
            Error::usage(format!(
                "{}: reserves no stack; set `_stack_end` in memory.x",
                path.display()
            ))
        })?;
        let spare = |region: &Region| region.name == zerda_device::elf::SPARE;
        let spare_slot_bytes = regions.iter().find(|&region| spare(region));
        let spare_slot_bytes = spare_slot_bytes.map(|region| region.length);
        let here = regions.into_iter().enumerate();
        let here = here.filter(|(_, region)| !spare(region));
        let memories = here.map(|(number, region)| {
            let own = placements.iter().filter(|placed| placed.region == number);
            reader.memory(region, own.cloned().collect())
        });
        Ok(Firmware {
            memories: memories.collect::<Result<_>>()?,
            spare_slot_bytes,
            stack_bytes: stack.range.end - stack.range.start,
            application_bytes: reader.debug.application_bytes,
        })
    }
}

struct Reader<'a, 'data> {
    path: PathBuf,
    elf: &'a ElfFile32<'data>,
    debug: DebugInfo,
    image: &'a ImageFile,
}

impl Reader<'_, '_> {
    /// Checks that the firmware holds the image that the report is about.
    fn check_image(&self, placements: &[Placed]) -> Result<()> {
        let name = self.path.display();
        let mut images = placements.iter().filter_map(|placed| match placed.what {
            What::Section(index) => {
                let section = self.elf.section_by_index(index).ok()?;
                let data = section.data().ok()?;
                let range = zerda_device::elf::image(data, section.address())?;
                let at = |address: u64| (address - section.address()) as usize;
                data.get(at(range.start)..at(range.end))
            }
            _ => None,
        });
        match images.next() {
            None => Err(Error::usage(format!(
                "{name}: holds no model image; expected a firmware of a board in firmware/boards"
            ))),
            Some(found) if found != self.image.bytes() => Err(Error::usage(format!(
                "{name}: holds another image than the one of --image ({} bytes, expected {}); name \
                 the one that it was built with, or build it again",
                found.len(),
                self.image.bytes().len()
            ))),
            Some(_) => Ok(()),
        }
    }

    /// Accounts for a region by what was placed in it.
    fn memory(&self, region: Region, mut placements: Vec<Placed>) -> Result<Memory> {
        placements.sort_by_key(|placed| placed.range.start);
        let is_ram = placements.iter().any(|placed| match placed.what {
            What::Stack => true,
            What::Section(index) => self.is_written(index),
            What::InitialValues(_) => false,
        });
        let mut part = Part::new(Kind::Other, &region.name, &region.name);
        let mut end = region.origin;
        for placed in &placements {
            if placed.range.start < end {
                return Err(Error::usage(format!(
                    "{}: two sections lie at {:#010x} in {}",
                    self.path.display(),
                    placed.range.start,
                    region.name
                )));
            }
            let gap = placed.range.start - end;
            // What alignment leaves free, no other section could have.
            let kind = match gap < self.alignment(placed.what) {
                true => Kind::Padding,
                false => Kind::Unused,
            };
            put(&mut part, &(kind, Vec::new()), gap);
            end = placed.range.end;
            let one =
                |kind, path: &str| vec![((kind, vec![path.into()]), end - placed.range.start)];
            let labels = match placed.what {
                What::Section(index) => self.section(index),
                What::InitialValues(index) => one(Kind::InitialValues, &self.title(index)),
                // Divided when it has been measured.
                What::Stack => vec![((Kind::Stack, Vec::new()), end - placed.range.start)],
            };
            for (label, bytes) in labels {
                put(&mut part, &label, bytes);
            }
        }
        let unused = region
            .origin
            .saturating_add(region.length)
            .saturating_sub(end);
        let rest = match region.name == zerda_device::elf::JOURNAL {
            true => Kind::Journal,
            false => Kind::Unused,
        };
        put(&mut part, &(rest, Vec::new()), unused);
        part.sort();
        Ok(Memory {
            region,
            is_ram,
            part,
        })
    }

    fn is_written(&self, index: SectionIndex) -> bool {
        let section = self.elf.section_by_index(index);
        section.is_ok_and(|section| match section.flags() {
            SectionFlags::Elf { sh_flags, .. } => sh_flags.contains(elf::SHF_WRITE),
            _ => false,
        })
    }

    fn alignment(&self, what: What) -> u64 {
        match what {
            What::Section(index) | What::InitialValues(index) => {
                let section = self.elf.section_by_index(index);
                section.map_or(1, |section| section.align().max(1))
            }
            What::Stack => 1,
        }
    }

    fn title(&self, index: SectionIndex) -> String {
        let section = self.elf.section_by_index(index);
        let name = section.and_then(|section| section.name().map(String::from));
        name.unwrap_or("?".into())
    }

    /// Returns what a section is, byte by byte.
    fn section(&self, index: SectionIndex) -> Vec<(Label, u64)> {
        let Ok(section) = self.elf.section_by_index(index) else {
            return Vec::new();
        };
        let title = self.title(index);
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
            return Vec::new();
        };
        let range = section.address()..section.address() + section.size();
        let (kind, rest) = match title.as_str() {
            _ if sh_flags.contains(elf::SHF_EXECINSTR) => (Kind::Code, vec![GAPS.into()]),
            _ if sh_flags.contains(elf::SHF_WRITE) => {
                (Kind::Statics, vec!["alignment padding".into()])
            }
            // All of the vector table is one symbol.
            ".vector_table" => (Kind::VectorTable, Vec::new()),
            ".rodata" | ".image" => (Kind::Constants, vec![GAPS.into()]),
            _ => (Kind::Other, vec![title]),
        };
        let mut bytes = Bytes::new(range, (kind, rest));
        if kind.is_by_crate() {
            self.symbols(index, kind, &mut bytes);
        }
        if kind == Kind::Code {
            for (range, owner) in &self.debug.code {
                let path = vec![owner.krate.clone(), module(&owner.module)];
                bytes.paint(range.clone(), (kind, path));
            }
        }
        let data = section.data().unwrap_or_default();
        if let Some(image) = zerda_device::elf::image(data, section.address()) {
            memory::paint_image(&mut bytes, image.start, self.image);
        }
        bytes.count()
    }

    /// Paints what the section's symbols name.
    fn symbols(&self, index: SectionIndex, kind: Kind, bytes: &mut Bytes) {
        let own = |symbol: &object::read::elf::ElfSymbol32| {
            symbol.section_index() == Some(index) && symbol.size() > 0
        };
        for symbol in self.elf.symbols().filter(own) {
            let name = symbol.name().unwrap_or("?");
            // Thumb's functions have odd addresses.
            let start = match symbol.kind() {
                SymbolKind::Text => symbol.address() & !1,
                _ => symbol.address(),
            };
            let range = start..start + symbol.size();
            if self.recognizer(kind, name, &range, bytes) {
                continue;
            }
            let label = match names::owner(name) {
                Some(owner) if kind == Kind::Code => vec![owner.krate, module(&owner.module)],
                Some(owner) => vec![owner.krate, names::path(name).unwrap_or(name.into())],
                None if kind == Kind::Code => vec![NO_CRATE.into(), name.into()],
                None if name.starts_with(".L") && kind == Kind::Constants => vec![GAPS.into()],
                None => vec![OTHER_SYMBOLS.into(), name.into()],
            };
            bytes.paint(range, (kind, label));
        }
    }

    /// Paints the recognizer's memory or the audio ring, if the symbol is one of them: by its type, or
    /// where there is no debug information by its name, and by its size. Returns false if it is neither.
    fn recognizer(&self, kind: Kind, name: &str, range: &Range<u64>, bytes: &mut Bytes) -> bool {
        if kind != Kind::Statics {
            return false;
        }
        let is = |of_type: fn(&str) -> bool, called: &str| {
            let last = || names::path(name).is_some_and(|path| path.ends_with(called));
            let known = self.debug.statics.get(&range.start);
            known.map_or_else(last, |name| of_type(name))
        };
        let size = range.end - range.start;
        if is(debug_info::is_memory, "::MEMORY") {
            return memory::paint_memory(bytes, range, self.image);
        }
        let is_ring = is(debug_info::is_ring, "::RING") && size >= memory::BLOCK_BYTES;
        if is_ring {
            let name = names::path(name).unwrap_or(name.into());
            bytes.paint(range.clone(), (Kind::Ring, vec![name]));
        }
        is_ring
    }
}

fn module(name: &str) -> String {
    match name {
        "" => "(root)".into(),
        name => name.into(),
    }
}

/// Adds bytes to a region's tree.
fn put(region: &mut Part, (kind, path): &Label, bytes: u64) {
    if bytes > 0 {
        let whole = [kind.name().to_string()];
        let path: Vec<_> = whole.iter().chain(path).cloned().collect();
        region.add(*kind, &path, bytes);
    }
}
