//! `memory-report` on a firmware of known content, on what is none, and on the boards that ship.

use std::fs;

use serde_json::{Value, json};

mod bench;
mod boards;

use bench::{Bench, STACK, assert_sums, firmware, image, part};

fn one_line(stderr: &str, expected: &str) {
    assert!(
        stderr.starts_with(&format!("memory-report: {expected}")),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

/// By hand: vectors, code, constants and image, initial values.
fn flash() -> u64 {
    1024 + 8192 + image().bytes().len() as u64 + 32 + 2048 + 5 + 64
}

/// Data, the recognizer's memory in its cell, a buffer of 300 bytes, the stack.
fn ram() -> u64 {
    64 + image().image().unwrap().memory_bytes() as u64 + 16 + 300 + u64::from(STACK)
}

#[test]
fn every_byte_of_a_known_firmware_is_accounted_for_by_whose_it_is() {
    let report = Bench::new().report();
    assert_eq!(
        (&report["version"], &report["board"]),
        (&json!(1), &json!("desk"))
    );
    assert_eq!(
        (&report["verdict"], &report["failures"]),
        (&json!("pass"), &json!([]))
    );
    assert_eq!(
        report["flash"],
        json!({ "used": flash(), "budget": 327_680 })
    );
    assert_eq!(report["ram"], json!({ "used": ram(), "budget": 98_304 }));
    assert_eq!(report["total_bytes"], flash() + ram());
    assert_eq!(report["budget_bytes"], 6_000_000);
    report["parts"]
        .as_array()
        .unwrap()
        .iter()
        .for_each(assert_sums);
    let file = image();
    let image = file.image().unwrap();
    for (path, bytes) in [
        (&["FLASH"][..], 512 * 1024),
        (&["FLASH", "unused"], 512 * 1024 - flash()),
        (&["FLASH", "vector table"], 1024),
        // What the alias covers counts once, for the later name.
        (&["FLASH", "code", "board", "(root)"], 3000),
        (&["FLASH", "code", "zerda_firmware", "kernels::dsp"], 3000),
        (
            &["FLASH", "code", "assembly and intrinsics", "__aeabi_memcpy"],
            100,
        ),
        (&["FLASH", "code", "literals and padding"], 8192 - 6100),
        (&["FLASH", "read-only data", "board", "board::TABLE"], 2048),
        (&["FLASH", "read-only data", "literals and padding"], 37),
        (&["FLASH", "initial values", ".data"], 64),
        (&["FLASH", "model image"], file.bytes().len() as u64),
        (&["FLASH", "model image", "header"], 64),
        // 16384 weights; 4 bytes of bias, 5 of multiplier and shift for each of 64 channels.
        (
            &[
                "FLASH",
                "model image",
                "operators",
                "3 FullyConnected 10x256 -> 10x64",
            ],
            16384 + 64 * 9,
        ),
        (
            &[
                "FLASH",
                "model image",
                "operators",
                "3 FullyConnected 10x256 -> 10x64",
                "biases",
            ],
            256,
        ),
        (&["RAM"], 128 * 1024),
        (&["RAM", "unused"], 128 * 1024 - ram()),
        (&["RAM", "caches"], image.cache_bytes() as u64),
        (&["RAM", "arena"], image.arena_bytes() as u64),
        (&["RAM", "statics", "board", "board::BUFFER"], 300),
        (&["RAM", "stack", "margin"], STACK.into()),
    ] {
        assert_eq!(part(&report, path)["bytes"], bytes, "{path:?}");
    }
    assert_eq!(
        report["stack"],
        json!({
            "bytes": null,
            "margin": STACK,
            "basis": "not measured: QEMU runs no board with its kernels"
        })
    );
    let first = &report["arena"][0];
    assert_eq!(first["name"], "0 FullyConnected 10x40 -> 10x64");
    assert_eq!((&first["bytes"], &first["first"]), (&json!(640), &json!(0)));
}

#[test]
fn a_budget_one_byte_below_the_use_fails_and_says_what_would_cure_it() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["--renew"]).0, 0);
    let total = flash() + ram();
    bench.budgets(total, flash(), ram());
    assert_eq!(bench.run(&[]).0, 0);
    let weights = format!(
        "model image {} (fewer layers or a smaller",
        image().bytes().len()
    );
    for (budgets, name, expected) in [
        ((total - 1, flash(), ram()), "flash and RAM together", &weights),
        ((total, flash() - 1, ram()), "flash", &weights),
        (
            (total, flash(), ram() - 1),
            "RAM",
            &"caches 37680 (profile low-latency, or a smaller `cached` or `hidden`), stack 16384 (16384 \
              bytes of it are margin, which `_stack_end` in memory.x sets), arena 9440 (profile"
                .to_string(),
        ),
    ] {
        bench.budgets(budgets.0, budgets.1, budgets.2);
        let (code, stdout, stderr) = bench.run(&[]);
        assert_eq!(code, 1);
        let used = [total, flash(), ram()].into_iter().zip([budgets.0, budgets.1, budgets.2]);
        let (used, budget) = used.into_iter().find(|(used, budget)| used > budget).unwrap();
        one_line(
            &stderr,
            &format!(
                "desk: {name} {used} bytes, 1 above the budget of {budget}; the largest: {expected}"
            ),
        );
        assert!(stdout.contains("desk: FAIL"), "{stdout}");
        let (_, stdout, _) = bench.run(&["--json"]);
        let report: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(report["verdict"], "fail");
        let (_, stdout, _) = bench.run(&["--markdown"]);
        assert!(stdout.starts_with("### Memory: FAIL"), "{stdout}");
    }
}

#[test]
fn what_grew_by_more_than_3_percent_fails_until_the_baseline_is_renewed() {
    let bench = Bench::new();
    let (code, _, stderr) = bench.run(&[]);
    assert_eq!(code, 2);
    one_line(
        &stderr,
        &format!(
            "{}: there is no baseline",
            bench.path("baseline.toml").display()
        ),
    );
    assert_eq!(bench.run(&["--renew"]).0, 0);

    // 3 % of the RAM is 1917 bytes.
    bench.write("desk.elf", firmware(300 + 1900));
    assert_eq!(bench.run(&[]).0, 0);
    bench.write("desk.elf", firmware(300 + 1930));
    let (code, stdout, stderr) = bench.run(&[]);
    assert_eq!(code, 1);
    one_line(
        &stderr,
        "desk: RAM grew by 3.02 %, more than 3 %: statics of board +1930; make it smaller, or agree to it",
    );
    assert!(stdout.contains("+3.0 % against the baseline"), "{stdout}");
    let (code, stdout, _) = bench.run(&["--renew", "--json"]);
    assert_eq!(code, 0);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["baseline"]["bytes"], flash() + ram());
    assert_eq!(
        report["baseline"]["parts"],
        json!([{ "region": "RAM", "name": "statics of board", "was": 300, "bytes": 2230 }])
    );
    assert_eq!(bench.run(&[]).0, 0);
    // What shrinks is no fault.
    bench.write("desk.elf", firmware(300));
    assert_eq!(bench.run(&[]).0, 0);

    bench.write("baseline.toml", "");
    let (code, stdout, _) = bench.run(&[]);
    assert_eq!(code, 0);
    assert!(stdout.starts_with("desk: PASS, NEW\n"), "{stdout}");
    assert!(stdout.contains("NEW: not in the baseline"), "{stdout}");
    assert!(stdout.ends_with("memory PASS\n"), "{stdout}");
    let folder = bench.path("report");
    let (code, stdout, _) = bench.run(&["--markdown", "--output", folder.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(stdout.contains(" | NEW |\n"), "{stdout}");
    let page = fs::read_to_string(folder.join("memory.html")).unwrap();
    assert!(page.contains("PASS, NEW</span>"), "{page}");
}

#[test]
fn a_mistake_in_budgets_or_baseline_is_answered_with_file_line_and_field() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["--renew"]).0, 0);
    let budgets = fs::read_to_string(bench.path("budgets.toml")).unwrap();
    let path = bench.path("budgets.toml");
    for (text, expected) in [
        (
            budgets.replace("flash_bytes = 327680", "flash_bytes = 320K"),
            ":2: `flash_bytes`: ",
        ),
        (
            budgets.replace("flash_bytes = 327680", "flash_bytes = -1"),
            ":2: `flash_bytes`: invalid value: integer `-1`, expected a nonzero u64",
        ),
        (
            budgets.replace("ram_bytes", "rom_bytes"),
            ":3: `rom_bytes`: unknown field `rom_bytes`, expected one of",
        ),
        (
            format!("{budgets}[boards.desk]\n"),
            ":6: [boards.desk]: unknown field `boards`, expected one of",
        ),
    ] {
        bench.write("budgets.toml", text);
        let (code, stdout, stderr) = bench.run(&[]);
        assert_eq!((code, stdout.as_str()), (2, ""));
        one_line(&stderr, &format!("{}{expected}", path.display()));
    }
    bench.write("budgets.toml", budgets);
    bench.write("baseline.toml", "[boards.desk]\nflash = 1\n");
    let (code, _, stderr) = bench.run(&[]);
    assert_eq!(code, 2);
    let path = bench.path("baseline.toml");
    one_line(
        &stderr,
        &format!("{}:2: `flash`: unknown field `flash`", path.display()),
    );
}

#[test]
fn what_is_no_firmware_with_this_image_is_one_line() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["--renew"]).0, 0);
    let elf = bench.path("desk.elf");
    let foreign = fs::read(env!("CARGO_BIN_EXE_memory-report")).unwrap();
    let whole = firmware(300);
    for (bytes, expected) in [
        (foreign.as_slice(), "not a 32-bit ELF"),
        (b"text", "not a 32-bit ELF"),
        (&whole[..whole.len() / 2], "not a 32-bit ELF"),
        (&whole[..whole.len() - 1], "not a 32-bit ELF"),
        (&elf_without_image(), "holds no model image"),
    ] {
        bench.write("desk.elf", bytes);
        let (code, stdout, stderr) = bench.run(&[]);
        assert_eq!((code, stdout.as_str()), (2, ""));
        one_line(&stderr, &format!("{}: {expected}", elf.display()));
    }
    bench.write("desk.elf", whole);
    let memory_x = bench.path("firmware/boards/desk/memory.x");
    let regions = fs::read_to_string(&memory_x).unwrap();
    fs::write(&memory_x, regions.replace("0x08000000", "0")).unwrap();
    let (code, _, stderr) = bench.run(&[]);
    assert_eq!(code, 2);
    let expected = ".vector_table at 0x08000000 to 0x08000400 lies in no region of memory.x";
    one_line(&stderr, &format!("{}: {expected}", elf.display()));
    fs::write(&memory_x, regions).unwrap();

    fs::remove_file(&elf).unwrap();
    let (code, _, stderr) = bench.run(&[]);
    assert_eq!(code, 2);
    one_line(&stderr, &format!("{}: cannot be read", elf.display()));

    bench.write("desk.elf", firmware(300));
    let other = zerda_firmware::image::section::test_section::with_npu(image().bytes());
    bench.write("other.zerda", other.get());
    let path = bench.path("other.zerda").display().to_string();
    let (code, _, stderr) = bench.run(&["--image", &path]);
    assert_eq!(code, 2);
    one_line(
        &stderr,
        &format!("{}: holds another image than", elf.display()),
    );
    let (code, _, stderr) = bench.run(&["--image", "none.zerda"]);
    assert_eq!(code, 2);
    one_line(&stderr, "none.zerda: there is no image");
}

fn elf_without_image() -> Vec<u8> {
    let mut bytes = firmware(300);
    let at = bytes
        .windows(4)
        .position(|window| window == b"ZRDA")
        .unwrap();
    bytes[at] = b'z';
    bytes
}

#[test]
fn the_journal_of_updates_is_flash_and_the_spare_slot_counts_apart() {
    let bench = Bench::new();
    let before = bench.report();
    assert_eq!(before["spare_slot_bytes"], Value::Null);
    let memory_x = bench.path("firmware/boards/desk/memory.x");
    let regions = fs::read_to_string(&memory_x).unwrap();
    let more = "SPARE : ORIGIN = 0x08100000, LENGTH = 384K\n  JOURNAL : ORIGIN = 0x08180000, LENGTH = 8K\n}";
    fs::write(&memory_x, regions.replace('}', more)).unwrap();
    let report = bench.report();
    assert_eq!(report["spare_slot_bytes"], 384 * 1024);
    assert_eq!(report["flash"]["used"], flash() + 8 * 1024);
    assert_eq!(
        part(&report, &["JOURNAL", "journal of updates"])["bytes"],
        8 * 1024
    );
    let (_, page, _) = bench.run(&["--markdown"]);
    assert!(page.contains("desk: 393,216 bytes of a spare slot for updates, counted apart."));
    let (_, text, _) = bench.run(&[]);
    assert!(
        text.contains("  spare     393,216 for updates, counted apart\n"),
        "{text}"
    );
    let folder = bench.path("report");
    bench.run(&["--output", folder.to_str().unwrap()]);
    let page = fs::read_to_string(folder.join("memory.html")).unwrap();
    assert!(page.contains("Spare slot for updates, counted apart: 393,216 bytes."));
}

#[test]
fn all_forms_are_written_and_the_page_needs_nothing_else() {
    let bench = Bench::new();
    let folder = bench.path("report");
    let (code, stdout, _) = bench.run(&["--renew", "--output", folder.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(stdout.ends_with("memory PASS\n"), "{stdout}");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert!(read("memory.md").starts_with("### Memory: PASS"));
    let report: Value = serde_json::from_str(&read("memory.json")).unwrap();
    let html = read("memory.html");
    for outside in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
    // A rectangle for each tensor of the arena, and for what takes flash and RAM.
    let tensors = report["arena"].as_array().unwrap().len();
    assert!(html.matches("<rect").count() > tensors + 100);
    assert!(html.contains("RAM › caches › 1 keys 125x64: 8,000 bytes"));
    assert!(html.contains("9 Add 40x110: 4,400 bytes from"));
}
