//! A board in a temporary folder, and its firmware, of known content.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use zerda_support::image_file::ImageFile;

use zerda_device::test_support::{elf, section};

pub const STACK: u32 = 16 * 1024;
const MEMORY_X: &str = "MEMORY\n{\n  FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 512K\n  \
    RAM : ORIGIN = 0x20000000, LENGTH = 128K\n}\n";
/// Flags of a section: written, executed.
const WRITE: u32 = 1;
const EXECUTE: u32 = 4;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub fn image() -> ImageFile {
    ImageFile::open(&root().join("models/shrunk.zerda")).expect("the shipped image")
}

/// Vectors of 1 KiB, 8 KiB of code, constants with the image, a table of 2 KiB and 37 other bytes, 64
/// bytes of data, then the recognizer's memory in a cell of 16 bytes more, `extra` bytes of a buffer, and
/// the last 16 KiB of 128 for the stack.
pub fn firmware(extra: usize) -> Vec<u8> {
    let (text, rodata, bss) = (0x0800_0400, 0x0800_2400, 0x2000_0040);
    let image = image();
    let bytes = image.bytes();
    let memory = image.image().unwrap().memory_bytes() as u32 + 16;
    let constants = [vec![1; 32], bytes.to_vec(), vec![2; 2048 + 5]].concat();
    let table = rodata + 32 + bytes.len() as u32;
    let data = rodata + constants.len() as u32;
    let mut code = section(".text", text, Some(text), vec![0; 0x2000]);
    code.flags |= EXECUTE;
    let mut initialized = section(".data", 0x2000_0000, Some(data), vec![0; 64]);
    initialized.flags |= WRITE;
    let mut zeroed = section(".bss", bss, None, vec![0; memory as usize + extra]);
    zeroed.flags |= WRITE;
    let sections = [
        section(
            ".vector_table",
            0x0800_0000,
            Some(0x0800_0000),
            vec![0; 1024],
        ),
        code,
        section(".rodata", rodata, Some(rodata), constants),
        initialized,
        zeroed,
    ];
    let symbols = [
        ("__INTERRUPTS", 0x0800_0000, 1024, 1),
        (
            "_ZN14zerda_firmware7kernels3dsp3dot17h0123456789abcdefE",
            text,
            6000,
            2,
        ),
        // An alias of its first half.
        ("_ZN5board3dot17h0123456789abcdefE", text, 3000, 2),
        ("__aeabi_memcpy", text + 6000, 100, 2),
        ("_ZN5board5TABLE17h0123456789abcdefE", table, 2048, 3),
        ("_ZN5board6MEMORY17h0123456789abcdefE", bss, memory, 5),
        (
            "_ZN5board6BUFFER17h0123456789abcdefE",
            bss + memory,
            extra as u32,
            5,
        ),
        ("_stack_start", 0x2002_0000, 0, 0xfff1),
        ("_stack_end", 0x2002_0000 - STACK, 0, 0xfff1),
    ];
    elf(&sections, &symbols)
}

/// A board that QEMU does not run, its firmware, budgets and a baseline.
pub struct Bench(TempDir);

impl Bench {
    pub fn new() -> Bench {
        let bench = Bench(tempfile::tempdir().expect("a folder"));
        let board = bench.path("firmware/boards/desk");
        fs::create_dir_all(board.join(".cargo")).unwrap();
        let there = root().join("firmware/boards/nucleo-h743zi/board.toml");
        let facts = fs::read_to_string(there)
            .unwrap()
            .replace("mps2-an386", "mps3-an547");
        fs::write(board.join("board.toml"), facts).unwrap();
        fs::write(board.join("memory.x"), MEMORY_X).unwrap();
        let config = "[build]\ntarget = \"thumbv7em-none-eabihf\"\n";
        fs::write(board.join(".cargo/config.toml"), config).unwrap();
        bench.write("desk.elf", firmware(300));
        bench.budgets(6_000_000, 327_680, 98_304);
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn budgets(&self, total: u64, flash: u64, ram: u64) {
        let text = format!(
            "total_bytes = {total}\nflash_bytes = {flash}\nram_bytes = {ram}\ngrowth_percent = 3\n\
             latency_ms = 160\n"
        );
        self.write("budgets.toml", text);
    }

    /// Exit code, standard output, standard error.
    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_memory-report"))
            .args(["--board", "desk", "--boards"])
            .arg(self.path("firmware/boards"))
            .arg("--elf")
            .arg(self.path("desk.elf"))
            .arg("--budgets")
            .arg(self.path("budgets.toml"))
            .arg("--baseline")
            .arg(self.path("baseline.toml"))
            .args(arguments)
            .current_dir(root())
            .output()
            .expect("memory-report starts");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let code = output.status.code().expect("an exit code, not a signal");
        (code, text(output.stdout), text(output.stderr))
    }

    /// The report as JSON, with a baseline that is as it is.
    pub fn report(&self) -> Value {
        let (code, stdout, stderr) = self.run(&["--renew", "--json"]);
        assert_eq!((code, stderr.as_str()), (0, ""));
        serde_json::from_str(&stdout).expect("one line of JSON")
    }
}

/// The part of a report with this path.
pub fn part<'a>(report: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(report, |parent, name| {
        let parts = match parent.get("parts") {
            Some(parts) => parts,
            None => &parent["children"],
        };
        let mut parts = parts.as_array().expect("parts").iter();
        let found = parts.find(|part| part["name"] == *name);
        found.unwrap_or_else(|| panic!("no {name} of {path:?} in {parent}"))
    })
}

/// Checks that each part is the sum of those within it.
pub fn assert_sums(part: &Value) {
    let children = part["children"].as_array().expect("children");
    if !children.is_empty() {
        let sum: u64 = children
            .iter()
            .map(|child| child["bytes"].as_u64().unwrap())
            .sum();
        assert_eq!(part["bytes"], sum, "{}", part["name"]);
    }
    children.iter().for_each(assert_sums);
}
