//! Makes UF2 files, which the boot loader of a board takes from a drive: <https://github.com/microsoft/uf2>.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use object::elf;
use object::read::elf::{ElfFile32, ProgramHeader};
use zerda_support::error::{Error, Result};
use zerda_support::output;

/// Number of bytes that a block writes to flash.
const PAGE: usize = 256;
/// Name of the file by which a drive says that it is one.
const DRIVE: &str = "INFO_UF2.TXT";

/// File that a board's flash is written with.
pub struct Uf2 {
    pub path: PathBuf,
    pub family: u32,
    on_drive: bool,
}

impl Uf2 {
    /// Plans to write to `path`: a file, or the folder where the board's drive is mounted.
    pub fn plan(path: &Path, board: &str, family: u32) -> Result<Uf2> {
        let on_drive = path.is_dir();
        if on_drive && !path.join(DRIVE).is_file() {
            return Err(Error::usage(format!(
                "{}: a folder without {DRIVE}, expected a file to write, or the folder where the board's drive is \
                 mounted: it appears while BOOTSEL is held down as the board is connected",
                path.display()
            )));
        }
        let path = match on_drive {
            true => path.join(format!("{board}.uf2")),
            false => path.into(),
        };
        Ok(Uf2 {
            path,
            family,
            on_drive,
        })
    }

    /// Writes the file, beside its place and then renamed; to a drive, which knows no renaming, as it comes.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        if !self.on_drive {
            return output::write(&self.path, bytes);
        }
        let write = || {
            let mut file = File::create(&self.path)?;
            file.write_all(bytes)?;
            // The drive goes away with the last block, which may look like an error.
            let _ = file.sync_all();
            Ok(())
        };
        write().map_err(|error| Error::write(&self.path, error))
    }
}

/// Returns the bytes of a file that writes what the ELF loads.
pub fn bytes(elf: &ElfFile32, family: u32) -> Vec<u8> {
    let pages = pages(elf);
    let count = pages.len() as u32;
    let numbered = (0..).zip(&pages);
    numbered
        .flat_map(|(number, (&address, page))| block(address, page, [number, count], family))
        .collect()
}

/// Returns the pages of flash that the ELF loads, by their addresses; what it leaves out of them is 0.
fn pages(elf: &ElfFile32) -> BTreeMap<u32, [u8; PAGE]> {
    let endian = elf.endian();
    let mut pages = BTreeMap::new();
    for header in elf.elf_program_headers() {
        if header.p_type(endian) != elf::PT_LOAD {
            continue;
        }
        let bytes = header.data(endian, elf.data()).unwrap_or_default();
        let start = header.p_paddr(endian);
        for (address, &byte) in (u64::from(start)..).zip(bytes) {
            let within = address as usize % PAGE;
            let page = address as u32 - within as u32;
            pages.entry(page).or_insert([0; PAGE])[within] = byte;
        }
    }
    pages
}

/// Returns a block of 512 bytes: a head of 32, a page, zeros, and a last word.
fn block(address: u32, page: &[u8; PAGE], [number, count]: [u32; 2], family: u32) -> Vec<u8> {
    const MAGIC: [u32; 2] = [0x0A32_4655, 0x9E5D_5157];
    const LAST: u32 = 0x0AB1_6F30;
    const WITH_FAMILY: u32 = 0x2000;
    let head = [
        MAGIC[0],
        MAGIC[1],
        WITH_FAMILY,
        address,
        PAGE as u32,
        number,
        count,
        family,
    ];
    let mut block: Vec<u8> = head.iter().flat_map(|word| word.to_le_bytes()).collect();
    block.extend(page);
    block.resize(508, 0);
    block.extend(LAST.to_le_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{elf, section};

    /// Offsets and values are those of the specification's table.
    #[test]
    fn blocks_hold_the_pages_that_are_loaded_with_their_addresses_and_numbers() {
        let code: Vec<u8> = (0..=255).chain(0..44).collect();
        // 300 bytes in two pages, and the initial values of RAM, which are loaded to a third.
        let sections = [
            section(".text", 0x1000_0080, Some(0x1000_0080), code.clone()),
            section(".data", 0x2000_0000, Some(0x1000_0300), vec![7; 4]),
        ];
        let bytes = elf(&sections, &[]);
        let elf = ElfFile32::parse(&bytes[..]).unwrap();
        let file = super::bytes(&elf, 0xE48B_FF59);
        assert_eq!(file.len(), 3 * 512);
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        for (number, address) in [(0, 0x1000_0000), (1, 0x1000_0100), (2, 0x1000_0300)] {
            let at = number * 512;
            let head = [0, 4, 8, 12, 16, 20, 24, 28].map(|offset| word(at + offset));
            let number = number as u32;
            let expected = [
                0x0A32_4655,
                0x9E5D_5157,
                0x2000,
                address,
                256,
                number,
                3,
                0xE48B_FF59,
            ];
            assert_eq!((head, word(at + 508)), (expected, 0x0AB1_6F30));
        }
        assert_eq!(file[32..160], [0; 128]);
        assert_eq!(file[160..288], code[..128]);
        assert_eq!(file[512 + 32..512 + 204], code[128..]);
        assert_eq!(file[512 + 204..512 + 508], [0; 304]);
        assert_eq!(file[1024 + 32..1024 + 37], [7, 7, 7, 7, 0]);
    }
}
