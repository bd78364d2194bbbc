//! `memory-report` on the boards that ship: SKIPPED where their targets or QEMU cannot be had, but not in CI.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use object::elf::{PT_LOAD, SHF_ALLOC};
use object::read::elf::{ElfFile32, ProgramHeader};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind};
use serde_json::Value;
use zerda_device::boards::Project;
use zerda_device::elf::{JOURNAL, SPARE, regions};
use zerda_support::board;
use zerda_support::image_file::ImageFile;
use zerda_support::test_support::{in_ci, say_skipped};

use crate::bench::{assert_sums, image, root};

/// Why the boards cannot be built or run here.
fn lacking() -> Option<String> {
    for arguments in [
        &[
            "targets",
            "thumbv7em-none-eabihf",
            "thumbv8m.main-none-eabihf",
        ][..],
        &["qemu"],
    ] {
        let script = root().join("firmware/setup.sh");
        let output = Command::new("bash").arg(script).args(arguments).output();
        match output {
            Ok(output) if output.status.success() => {}
            Ok(output) => return Some(String::from_utf8_lossy(&output.stderr).trim().into()),
            Err(error) => return Some(format!("bash: {error}")),
        }
    }
    None
}

/// Addresses that a region's use must cover, from the headers of the ELF: sections, the initial values
/// of those that are loaded elsewhere, the stack; joined where they meet or only alignment is between them.
fn covered(elf: &ElfFile32, origin: u64, length: u64) -> u64 {
    let mut ranges = Vec::new();
    let endian = elf.endian();
    for section in elf.sections().filter(|section| section.size() > 0) {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
            panic!("flags of an ELF");
        };
        if !sh_flags.contains(SHF_ALLOC) {
            continue;
        }
        let (address, size) = (section.address(), section.size());
        ranges.push((address, address + size, section.align()));
        for header in elf.elf_program_headers() {
            let virtual_address = u64::from(header.p_vaddr(endian));
            let in_file = virtual_address..virtual_address + u64::from(header.p_filesz(endian));
            if header.p_type(endian) == PT_LOAD && in_file.contains(&address) {
                let load = u64::from(header.p_paddr(endian)) + address - virtual_address;
                ranges.push((load, load + size, section.align()));
            }
        }
    }
    let address = |name| elf.symbol_by_name(name).expect("a symbol").address();
    ranges.push((address("_stack_end"), address("_stack_start"), 1));
    ranges.retain(|(start, _, _)| (origin..origin + length).contains(start));
    ranges.sort();
    ranges.dedup();
    let mut end = origin;
    let mut bytes = 0;
    for (start, stop, align) in ranges {
        assert!(start >= end, "{start:#x} lies before {end:#x}");
        bytes += stop - start + if start - end < align { start - end } else { 0 };
        end = stop;
    }
    bytes
}

/// The start of a sample, with its first word: in QEMU a third of the time.
fn two_seconds(folder: &Path) -> PathBuf {
    const HEADER: usize = 44;
    let mut wav = fs::read(root().join("models/samples/answers.wav")).unwrap();
    wav.truncate(HEADER + 2 * 16_000 * 2);
    for (at, before) in [(4, 8), (HEADER - 4, HEADER)] {
        let bytes = (wav.len() - before) as u32;
        wav[at..at + 4].copy_from_slice(&bytes.to_le_bytes());
    }
    let path = folder.join("two_seconds.wav");
    fs::write(&path, wav).unwrap();
    path
}

fn memory_report(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_memory-report"))
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("memory-report starts")
}

/// Bytes of this kind directly in a region, in all of them.
fn of_kind(report: &Value, kind: &str) -> u64 {
    let regions = report["parts"].as_array().unwrap().iter();
    let parts = regions.flat_map(|region| region["children"].as_array().unwrap());
    let parts = parts.filter(|part| part["kind"] == kind);
    parts.map(|part| part["bytes"].as_u64().unwrap()).sum()
}

#[test]
fn every_byte_of_each_board_is_accounted_for_and_within_its_budget() {
    if let Some(why) = lacking() {
        assert!(!in_ci(), "needed in CI: {why}");
        return say_skipped("the boards' memory", &why);
    }
    let folder = tempfile::tempdir().unwrap();
    let audio = two_seconds(folder.path());
    let output = memory_report(&["--json", "--audio", audio.to_str().unwrap()]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let reports: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let boards = root().join("firmware/boards");
    let names = reports
        .iter()
        .map(|report| report["board"].as_str().unwrap());
    assert!(names.eq(board::names(&boards).unwrap()));
    let image = image();
    let file = ImageFile::open(&root().join("models/shrunk.zerda")).unwrap();
    let mut firmwares = Vec::new();
    for report in &reports {
        let name = report["board"].as_str().unwrap();
        // With updates, where the board takes them, as in the report.
        let project = Project {
            stand_in_key: true,
            ..Project::open(&boards, name).unwrap()
        };
        let firmware = project.build(&file, None).unwrap();
        let bytes = fs::read(&firmware.elf).unwrap();
        let elf = ElfFile32::parse(&*bytes).unwrap();

        // The parts fill each region, and what is used is what the ELF puts there.
        let mut used = 0;
        let (spare, regions): (Vec<_>, Vec<_>) = regions(&project.directory.join("memory.x"))
            .unwrap()
            .into_iter()
            .partition(|region| region.name == SPARE);
        // A slot for updates counts apart.
        let spare: u64 = spare.iter().map(|region| region.length).sum();
        assert_eq!(report["spare_slot_bytes"].as_u64().unwrap_or(0), spare);
        for (index, region) in regions.iter().enumerate() {
            let part = &report["parts"][index];
            assert_sums(part);
            assert_eq!(part["bytes"], region.length);
            let covered = match region.name == JOURNAL {
                true => region.length, // the updater's
                false => covered(&elf, region.origin, region.length),
            };
            assert_eq!(
                report["regions"][index]["used"], covered,
                "{name} {}",
                region.name
            );
            used += covered;
        }
        assert_eq!(report["total_bytes"], used);
        assert_eq!(report["verdict"], "pass");

        let parsed = image.image().unwrap();
        assert_eq!(of_kind(report, "model"), image.bytes().len() as u64);
        assert_eq!(of_kind(report, "caches"), parsed.cache_bytes() as u64);
        assert_eq!(of_kind(report, "arena"), parsed.arena_bytes() as u64);
        let text = elf
            .sections()
            .filter(|part| part.kind() == SectionKind::Text);
        let text: u64 = text.map(|part| part.size()).sum();
        assert_eq!(of_kind(report, "code"), text);
        // 15 blocks and a free slot, each of 160 samples and where they start.
        assert!(of_kind(report, "ring") > 16 * 2 * 160, "{name}");
        // Nearly all code is some crate's.
        let mut parts = report["parts"][0]["children"].as_array().unwrap().iter();
        let code = parts.find(|part| part["kind"] == "code").unwrap();
        let crates = code["children"].as_array().unwrap().iter();
        let crates = crates.filter(|part| !part["name"].as_str().unwrap().contains(' '));
        let known: u64 = crates.map(|part| part["bytes"].as_u64().unwrap()).sum();
        assert!(known * 100 > text * 97, "{name}: {known} of {text}");

        let stack = &report["stack"];
        let measured = stack["bytes"].as_u64().unwrap();
        assert_eq!(
            measured + stack["margin"].as_u64().unwrap(),
            of_kind(report, "stack")
        );
        // A step takes some KiB, and the stack has not overflowed.
        assert!((4096..30_000).contains(&measured), "{name}: {stack}");
        let basis = stack["basis"].as_str().unwrap();
        match project.board.machine {
            Some(_) => assert_eq!(basis, "measured in QEMU"),
            None => assert!(basis.starts_with("estimated, as measured on "), "{basis}"),
        }
        let copy = folder.path().join(format!("{name}.elf"));
        fs::write(&copy, bytes).unwrap();
        firmwares.push((project, copy));
    }
    one_byte_too_many(&reports, &firmwares);
}

/// The three largest of the image, the crates, and the other sections in flash, where there may be a gap between pages:
/// name, bytes, how the cure begins.
fn largest_of_flash(report: &Value) -> Vec<(String, u64, &'static str)> {
    let regions = report["parts"].as_array().unwrap().iter();
    let code = regions.flat_map(|region| region["children"].as_array().unwrap());
    let code = code.filter(|part| part["kind"] == "code");
    let crates = code.flat_map(|part| part["children"].as_array().unwrap());
    let crates = crates.map(|part| {
        let name = format!("code of {}", part["name"].as_str().unwrap());
        (name, part["bytes"].as_u64().unwrap(), "`opt-level = ")
    });
    let image = (
        "model image".into(),
        of_kind(report, "model"),
        "fewer layers",
    );
    let regions = report["parts"].as_array().unwrap().iter();
    let flash = regions.filter(|region| region["name"] == "FLASH");
    let others = flash.flat_map(|region| region["children"].as_array().unwrap());
    let others = others.filter(|part| part["kind"] == "other").map(|part| {
        let bytes = part["bytes"].as_u64().unwrap();
        ("other sections".into(), bytes, "the sections and ")
    });
    let mut all: Vec<_> = crates.chain([image]).chain(others).collect();
    all.sort_by_key(|(_, bytes, _)| std::cmp::Reverse(*bytes));
    all.truncate(3);
    all
}

/// With limits one byte below what each board's flash takes, each fails and says what is large. The firmware is the one
/// that was measured; here QEMU runs no board, so that nothing is measured again.
fn one_byte_too_many(reports: &[Value], firmwares: &[(Project, PathBuf)]) {
    let boards = tempfile::tempdir().unwrap();
    for ((project, _), report) in firmwares.iter().zip(reports) {
        let folder = boards.path().join(&project.board.name);
        fs::create_dir_all(folder.join(".cargo")).unwrap();
        for file in ["memory.x", ".cargo/config.toml"] {
            fs::copy(project.directory.join(file), folder.join(file)).unwrap();
        }
        let facts = fs::read_to_string(&project.board.path).unwrap();
        let mut facts: toml::Table = facts.parse().unwrap();
        facts.remove("qemu");
        let flash = report["flash"]["used"].as_u64().unwrap() as i64;
        let limits = toml::Table::from_iter([("flash_bytes".into(), (flash - 1).into())]);
        facts.insert("limits".into(), limits.into());
        fs::write(folder.join("board.toml"), facts.to_string()).unwrap();
    }
    for ((project, elf), report) in firmwares.iter().zip(reports) {
        let name = &project.board.name;
        let [boards, elf] = [boards.path(), elf].map(|path| path.to_str().unwrap());
        let output = memory_report(&["--board", name, "--boards", boards, "--elf", elf]);
        assert_eq!(output.status.code(), Some(1));
        let line = String::from_utf8_lossy(&output.stderr);
        assert!(
            line.starts_with(&format!("memory-report: {name}: flash ")),
            "{line}"
        );
        assert!(line.contains(", 1 above the budget of"), "{line}");
        let mut rest = &line[..];
        for (name, bytes, cure) in largest_of_flash(report) {
            let part = format!("{name} {bytes} ({cure}");
            let at = rest.find(&part);
            rest = &rest[at.unwrap_or_else(|| panic!("no {part}: {line}"))..];
        }
    }
}
