use super::*;
use crate::test_support::repository;

#[test]
fn each_system_is_built_in_with_the_costs_that_it_refers_to() {
    let files = fs::read_dir(repository("config/boards")).unwrap();
    let files = files.map(|file| name(&file.unwrap().path()));
    let nowhere = Path::new("none");
    for system in files {
        let board = Board::open(nowhere, &system).unwrap();
        assert_eq!(board.name, system);
        let (path, _) = board.costs_at.rsplit_once(':').unwrap();
        assert_eq!(path, "firmware/boards/mps3-an547/board.toml");
        // The board's folder is the same, where there is one.
        let boards = repository("firmware/boards");
        let other = Board::open(&boards, &system).unwrap();
        assert_eq!(other.instructions, board.instructions);
        assert!(other.costs_at.starts_with(boards.to_str().unwrap()));
    }
}

#[test]
fn each_folder_with_a_board_file_is_a_board() {
    let boards = repository("firmware/boards");
    let names = names(&boards).unwrap();
    assert!(names.contains(&"mps2-an386".into()) && !names.contains(&"processor".into()));
    for name in names {
        let board = Board::open(&boards, &name).unwrap();
        assert_eq!((&board.name, board.npu), (&name, None));
    }
    let nucleo = Board::open(&boards, "nucleo-h743zi").unwrap();
    assert_eq!(
        (nucleo.machine, nucleo.limits),
        (None, OwnLimits::default())
    );
    assert_eq!(nucleo.chip.as_deref(), Some("STM32H743ZITx"));
}

#[test]
fn a_mistake_in_a_file_is_answered_with_line_field_and_what_was_expected() {
    let (_, good) = BUILT_IN[1];
    let message = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        let text = good.replacen(from, to, 1);
        let read = Board::read(Path::new("none"), Path::new("desk.toml"), &text);
        read.unwrap_err().to_string()
    };
    for (from, to, expected) in [
        (
            "clock_mhz = 500",
            "clock_mhz = 0",
            "desk.toml:5: `clock_mhz`: invalid value 0.0, expected 0.001 to 1000000",
        ),
        (
            "clock_mhz = 500",
            "clock_mhz = \"fast\"",
            "desk.toml:5: `clock_mhz`: invalid type: string",
        ),
        (
            "other_load = 0.2",
            "other_load = 1",
            "desk.toml:9: `other_load`: invalid value 1, expected 0 to less",
        ),
        (
            "clock_mhz = 500",
            "clock_mhz = 5e-324",
            "desk.toml:5: `clock_mhz`: invalid value 5e-324, expected 0.001 to 1000000",
        ),
        (
            "dma_buffer_ms = 10.0",
            "dma_buffer_ms = 1e-9",
            "desk.toml:8: `dma_buffer_ms`: invalid value 1e-9, expected 0.0625 to 60000",
        ),
        (
            "driver_cycles = 5000",
            "driver_cycles = 1e300",
            "desk.toml:16: `driver_cycles`: invalid value 1e300, expected 0 to 1e12",
        ),
        (
            "output_us",
            "output_ns",
            "desk.toml:10: `output_ns`: unknown field `output_ns`, expected one of `core`",
        ),
        (
            "\"mps3-an547\"",
            "\"mps9\"",
            "desk.toml:11: `instructions_of`: no board mps9 with [instructions], expected one of mps3-an547",
        ),
        (
            "instructions_of = \"mps3-an547\"",
            "",
            "desk.toml:1: expected `instructions_of`",
        ),
        (
            "ethos-u55-256\"",
            "ethos-u9\"",
            "desk.toml:14: `target`: no NPU ethos-u9, expected one of ethos-u55-128",
        ),
        (
            "driver_cycles = 5000",
            "driver_cycles = -1",
            "desk.toml:16: `driver_cycles`: invalid value -1.0, expected 0",
        ),
        ("[npu]", "[npu", "desk.toml:13: "),
        (
            "[npu]",
            "[limits]\nram_bytes = 0\n[npu]",
            "desk.toml:14: `ram_bytes`: invalid value: integer `0`, expected a nonzero u64",
        ),
        (
            "[npu]",
            "[qemu]\nmachines = \"a\"\n[npu]",
            "desk.toml:14: `machines`: unknown field `machines`, expected `machine`",
        ),
    ] {
        let message = message(from, to);
        assert!(message.starts_with(expected), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}
