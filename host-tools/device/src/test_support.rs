//! Makes executables of known content for tests, byte by byte from the ELF specification.

pub struct Section {
    name: &'static str,
    pub flags: u32,
    address: u32,
    /// Where its bytes lie; `None`: it has none.
    load: Option<u32>,
    bytes: Vec<u8>,
}

const ALLOCATED: u32 = 2;

pub fn section(name: &'static str, address: u32, load: Option<u32>, bytes: Vec<u8>) -> Section {
    Section {
        name,
        flags: ALLOCATED,
        address,
        load,
        bytes,
    }
}

/// A 32-bit little-endian executable for Arm. Symbols: name, address, size, section.
pub fn elf(sections: &[Section], symbols: &[(&str, u32, u32, u16)]) -> Vec<u8> {
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let halves = |halves: &[u16]| {
        halves
            .iter()
            .flat_map(|half| half.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let mut strings = vec![0];
    let mut string = |text: &str| {
        let at = strings.len() as u32;
        strings.extend(text.bytes().chain([0]));
        at
    };
    let mut symbol_table = vec![0; 16];
    for &(name, address, size, section) in symbols {
        symbol_table.extend(words(&[string(name), address, size]));
        let object = u8::from(size > 0);
        symbol_table.extend([object, 0]);
        symbol_table.extend(section.to_le_bytes());
    }
    let loads: Vec<&Section> = sections.iter().filter(|s| s.load.is_some()).collect();
    let mut body = Vec::new();
    let start = 52 + 32 * loads.len();
    let (mut headers, mut programs) = (vec![0; 40], Vec::new());
    for Section {
        name,
        flags,
        address,
        load,
        bytes,
    } in sections
    {
        let (at, size) = ((start + body.len()) as u32, bytes.len() as u32);
        let no_bits = load.is_none() && *flags == ALLOCATED;
        let kind = if no_bits { 8 } else { 1 };
        headers.extend(words(&[
            string(name),
            kind,
            *flags,
            *address,
            at,
            size,
            0,
            0,
            1,
            0,
        ]));
        if let Some(load) = load {
            programs.extend(words(&[1, at, *address, *load, size, size, 4, 1]));
        }
        if !no_bits {
            body.extend(bytes);
        }
    }
    let (names, count) = (sections.len() as u32 + 2, sections.len() as u16 + 3);
    let at = (start + body.len()) as u32;
    headers.extend(words(&[
        string(".symtab"),
        2,
        0,
        0,
        at,
        symbol_table.len() as u32,
        names,
        1,
        4,
        16,
    ]));
    body.extend(symbol_table);
    let (at, name) = ((start + body.len()) as u32, string(".strtab"));
    headers.extend(words(&[
        name,
        3,
        0,
        0,
        at,
        strings.len() as u32,
        0,
        0,
        1,
        0,
    ]));
    body.extend(strings);
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(halves(&[2, 40]));
    file.extend(words(&[1, 0x0800_0400, 52, (start + body.len()) as u32, 0]));
    file.extend(halves(&[
        52,
        32,
        loads.len() as u16,
        40,
        count,
        names as u16,
    ]));
    [file, programs, body, headers].concat()
}
