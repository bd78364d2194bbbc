//! A board, and stand-ins for the tools.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::root;

const MEMORY: &str = "MEMORY\n{\n  FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 512K\n  \
    RAM : ORIGIN = 0x20000000, LENGTH = 64K\n}\n";

/// A board's folder and a folder of tools, the only ones that zerda finds.
pub struct Bench(TempDir);

impl Bench {
    /// The board is flashed if it has a chip; its build gives `elf`.
    pub fn new(elf: &[u8], chip: bool) -> Bench {
        let bench = Bench(tempfile::tempdir().expect("a folder"));
        let board = bench.path("firmware/boards/desk");
        fs::create_dir_all(board.join(".cargo")).unwrap();
        fs::create_dir(bench.path("bin")).unwrap();
        let there = root().join("firmware/boards/nucleo-h743zi/board.toml");
        let facts = fs::read_to_string(there)
            .unwrap()
            .replace("mps2-an386", "mps3-an547");
        let (unflashed, _) = facts.split_once("[probe-rs]").expect("a chip");
        let facts = if chip { &facts } else { unflashed };
        fs::write(board.join("board.toml"), facts).unwrap();
        fs::write(board.join("memory.x"), MEMORY).unwrap();
        let config = "[build]\ntarget = \"thumbv7em-none-eabihf\"\n";
        fs::write(board.join(".cargo/config.toml"), config).unwrap();
        let path = bench.path("desk.elf");
        fs::write(&path, elf).unwrap();
        let message = json!({ "reason": "compiler-artifact", "executable": path });
        // What runs firmware/setup.sh, which runs cargo.
        bench.tool("bash", 0, &format!("{message}\n"), "");
        bench.tool("probe-rs", 0, "", "");
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A tool that notes its call, says these texts and exits with this code.
    pub fn tool(&self, name: &str, code: i32, stdout: &str, stderr: &str) {
        self.tool_failing_at("", name, code, stdout, stderr);
    }

    /// The same for calls whose first argument is `at`, or all; others succeed.
    pub fn tool_failing_at(&self, at: &str, name: &str, code: i32, stdout: &str, stderr: &str) {
        let text = |end: &str, text: &str| {
            let path = self.path(&format!("{name}.{end}"));
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let script = format!(
            "#!/bin/sh\necho {name} \"$@\" >>{log}\n[ -z '{at}' ] || [ \"$1\" = '{at}' ] || exit 0\n\
             while IFS= read -r line; do printf '%s\\n' \"$line\"; done <{out}\n\
             while IFS= read -r line; do printf '%s\\n' \"$line\" >&2; done <{err}\nexit {code}\n",
            log = self.path("log").display(),
            out = text("out", stdout),
            err = text("err", stderr),
        );
        let path = self.path("bin").join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Exit code, standard output, standard error.
    pub fn flash(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_zerda"))
            .args(["flash", "--board", "desk", "--boards"])
            .arg(self.path("firmware/boards"))
            .args(arguments)
            .current_dir(root())
            .env("PATH", self.path("bin"))
            .output()
            .expect("zerda starts");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let code = output.status.code().expect("an exit code, not a signal");
        (code, text(output.stdout), text(output.stderr))
    }

    /// Calls of the tool, without its name.
    pub fn calls(&self, tool: &str) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        let calls = log.lines().filter_map(|line| line.strip_prefix(tool));
        calls.map(|call| call.trim().to_string()).collect()
    }

    pub fn elf(&self) -> String {
        let path = self.path("desk.elf").canonicalize().unwrap();
        path.display().to_string()
    }
}
