//! Runs a QEMU process: the firmware, what it hears, and what it says.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use defmt_decoder::{DecodeError, Table};
use tempfile::NamedTempFile;
use zerda_support::error::{Error, Result, say};
use zerda_support::escape;
use zerda_support::files;
use zerda_support::interrupt;

use crate::boards::Project;

/// Options with which QEMU starts no other program, whatever the firmware asks for.
const SANDBOX: [&str; 2] = ["-sandbox", "on,spawn=deny"];

/// Time between two looks at the state of the process; what it sends is seen at once.
const POLL: Duration = Duration::from_millis(10);

/// A machine of QEMU's that runs the firmware of a board.
pub struct Machine<'a> {
    /// Name of the board, which errors begin with.
    name: &'a str,
    /// Name of the program that emulates the board's core.
    emulator: String,
    program: PathBuf,
    /// Says whether the program takes [`SANDBOX`].
    sandbox: bool,
    /// Name that QEMU has for the machine.
    machine: &'a str,
    /// Copy of the firmware, which no other build replaces.
    elf: NamedTempFile,
    defmt: Option<Table>,
}

/// Says where the bytes of the machine's serial port go.
pub enum Serial<'a> {
    Here(&'a mut dyn FnMut(&[u8]) -> Result<()>),
    /// The bytes go to whoever connects to this address; the machine waits for that.
    Served(SocketAddr),
}

/// Describes one start of the machine.
pub struct Boot<'a> {
    /// Folder in which QEMU runs: names of files in it, relative to it, hold no character that an argument could not.
    pub folder: &'a Path,
    /// Arguments that the firmware gets.
    pub arguments: Vec<String>,
    /// Says whether time passes as on the board, at 125 million instructions a second. Otherwise it
    /// passes at about one million, so that instructions are counted in units of the board's clock.
    pub realtime: bool,
    pub serial: Serial<'a>,
    /// Says whether the firmware's logs are printed on standard error.
    pub logs: bool,
    /// Time after which QEMU is stopped; `None` means never.
    pub limit: Option<Duration>,
}

impl<'a> Machine<'a> {
    /// Makes a machine with the firmware in `path`, which it copies.
    pub fn new(project: &'a Project, path: &Path) -> Result<Self> {
        let bytes = files::read(path).map_err(|error| Error::read(path, error))?;
        let defmt = Table::parse(&bytes)
            .map_err(|error| Error::check(format!("{}: its logs: {error}", path.display())))?;
        let elf = NamedTempFile::new()
            .and_then(|mut file| file.write_all(&bytes).map(|()| file))
            .map_err(|error| Error::write("a temporary file", error))?;
        let core = core(&project.target);
        let emulator = format!("qemu-system-{core}");
        let program = program(project, core, &emulator)?;
        Ok(Machine {
            name: &project.board.name,
            emulator,
            sandbox: has_sandbox(&program),
            program,
            machine: project.qemu_machine()?,
            elf,
            defmt,
        })
    }

    /// Runs the firmware until it ends.
    pub fn boot(&self, boot: Boot<'_>) -> Result<()> {
        // Otherwise a signal would end this process and leave QEMU behind.
        interrupt::watch();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|error| self.failed(&format!("no loopback socket: {error}")))?;
        let port = match &boot.serial {
            Serial::Served(address) => format!("tcp:{address},server=on,wait=on"),
            Serial::Here(_) => match listener.local_addr() {
                Ok(address) => format!("tcp:{address}"),
                Err(error) => return Err(self.failed(&format!("no loopback socket: {error}"))),
            },
        };
        let (status, said) = thread::scope(|scope| {
            let mut child = Command::new(&self.program)
                .args(self.arguments(&boot, &port))
                .current_dir(boot.folder)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .map(Running)
                .map_err(|error| {
                    self.failed(&format!("{} cannot be started: {error}", self.emulator))
                })?;
            if let Some(stdout) = child.0.stdout.take() {
                let table = self.defmt.as_ref().filter(|_| boot.logs);
                scope.spawn(move || logs(stdout, table));
            }
            let stderr = child.0.stderr.take();
            let said = scope.spawn(|| {
                let mut said = Vec::new();
                // What came before an error is all there is.
                let _ = stderr.map(|mut stderr| stderr.read_to_end(&mut said));
                String::from_utf8_lossy(&said).into_owned()
            });
            let status = self.attend(&mut child, &listener, boot)?;
            Ok((status, said.join().unwrap_or_default()))
        })?;
        match status.success() {
            true => Ok(()),
            false => Err(self.failed(&cause(&self.emulator, status, &said))),
        }
    }

    fn arguments(&self, boot: &Boot<'_>, serial: &str) -> Vec<String> {
        let mut semihosting = "enable=on,target=native,arg=fw".to_string();
        for argument in &boot.arguments {
            // A comma would begin the next option.
            semihosting += &format!(",arg={}", argument.replace(',', ",,"));
        }
        let shift = if boot.realtime { 3 } else { 10 };
        let icount = format!("shift={shift},align=off,sleep=off");
        let mut fixed = vec!["-nographic", "-monitor", "none", "-M", self.machine];
        if self.emulator.contains("riscv") {
            // Else the machine starts firmware of its own first.
            fixed.extend(["-bios", "none"]);
        }
        let options = ["-serial", serial, "-icount", &icount];
        let sandbox: &[&str] = if self.sandbox { &SANDBOX } else { &[] };
        let all = fixed.iter().chain(&options).chain(sandbox);
        let mut all: Vec<String> = all.map(|&s| s.into()).collect();
        all.extend(["-semihosting-config".into(), semihosting, "-kernel".into()]);
        all.push(self.elf.path().display().to_string());
        all
    }

    /// Handles what comes over the line until the process ends.
    fn attend(
        &self,
        child: &mut Running,
        listener: &TcpListener,
        mut boot: Boot<'_>,
    ) -> Result<ExitStatus> {
        let begin = Instant::now();
        let (sender, receiver) = mpsc::channel();
        let mut sender = Some(sender);
        let mut handle = |bytes: Vec<u8>| match &mut boot.serial {
            Serial::Here(handler) => handler(&bytes),
            Serial::Served(_) => Ok(()),
        };
        let status = loop {
            accept(listener, &mut sender);
            match receiver.recv_timeout(POLL) {
                Ok(bytes) => handle(bytes)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => thread::sleep(POLL),
            }
            if interrupt::requested() {
                return Err(Error::Interrupted);
            }
            if let Some(limit) = boot.limit.filter(|&limit| begin.elapsed() > limit) {
                return Err(self.failed(&format!(
                    "no end after {} s, QEMU was stopped: the firmware hangs, or this machine is \
                     too busy",
                    limit.as_secs()
                )));
            }
            let ended = child.0.try_wait();
            if let Some(status) = ended.map_err(|error| self.failed(&error.to_string()))? {
                break status;
            }
        };
        // Some bytes may still be on their way.
        accept(listener, &mut sender);
        drop(sender);
        receiver.iter().try_for_each(handle)?;
        Ok(status)
    }

    fn failed(&self, why: &str) -> Error {
        Error::check(format!("{}: {why}", self.name))
    }
}

/// Child process that is killed when its owner drops it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Errors mean that it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns QEMU's name for the cores of a target.
fn core(target: &str) -> &'static str {
    match target.starts_with("riscv32") {
        true => "riscv32",
        false => "arm",
    }
}

/// Finds QEMU on the path, or else where the set-up script puts it, which it calls.
fn program(project: &Project, core: &str, emulator: &str) -> Result<PathBuf> {
    let works = |program: &Path| {
        let mut command = Command::new(program);
        let command = command.arg("--version").stdin(Stdio::null());
        command.output().is_ok_and(|output| output.status.success())
    };
    if works(Path::new(emulator)) {
        return Ok(emulator.into());
    }
    project.set_up(&["qemu", core])?;
    Ok(project.tools()?.join("bin").join(emulator))
}

/// Says whether this QEMU takes [`SANDBOX`]: others than Linux's do not, nor those that were built without it.
fn has_sandbox(program: &Path) -> bool {
    let mut command = Command::new(program);
    let command = command.args(SANDBOX).arg("--version").stdin(Stdio::null());
    command.output().is_ok_and(|output| output.status.success())
}

/// Takes QEMU's connection, if it is there, and sends on what it says.
fn accept(listener: &TcpListener, sender: &mut Option<Sender<Vec<u8>>>) {
    if sender.is_none() {
        return;
    }
    let Ok((mut stream, _)) = listener.accept() else {
        return;
    };
    let Some(sender) = sender
        .take()
        .filter(|_| stream.set_nonblocking(false).is_ok())
    else {
        return;
    };
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            if sender.send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    });
}

/// Prints the logs on standard error as they come; without a table they are only read.
fn logs(mut stdout: impl Read, table: Option<&Table>) {
    let mut decoder = table.map(|table| (table.new_stream_decoder(), table.encoding()));
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stdout.read(&mut buffer) {
        let Some((stream, encoding)) = &mut decoder else {
            continue;
        };
        stream.received(&buffer[..read]);
        loop {
            match stream.decode() {
                Ok(frame) => {
                    let text = escape::text(&frame.display(false).to_string());
                    let _ = writeln!(io::stderr(), "{text}");
                }
                Err(DecodeError::UnexpectedEof) => break,
                Err(DecodeError::Malformed) if encoding.can_recover() => {}
                Err(DecodeError::Malformed) => {
                    say("the logs cannot be decoded further");
                    decoder = None;
                    break;
                }
            }
        }
    }
}

/// Says why QEMU did not end well, by what it and the firmware said.
fn cause(emulator: &str, status: ExitStatus, said: &str) -> String {
    let chatter = |line: &str| line.contains(": warning: ") || line.contains(": info: ");
    let lines = || said.lines().filter(|line| !chatter(line));
    if let Some(fatal) = lines().find_map(|line| line.strip_prefix("qemu: fatal: ")) {
        return format!("the processor stopped: {fatal}");
    }
    let own = |line: &'_ str| {
        line.strip_prefix(emulator)?
            .strip_prefix(": ")
            .map(String::from)
    };
    if let Some(own) = lines().find_map(own) {
        return format!("QEMU: {own}");
    }
    match lines().collect::<Vec<_>>().join(" ").trim() {
        "" => format!("QEMU ended with {status}"),
        line => format!("the firmware stopped: {line}"),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn the_cause_is_one_line_by_whoever_knew() {
        let exit = ExitStatus::from_raw(1 << 8);
        let abort = ExitStatus::from_raw(6);
        let cases = [
            (
                abort,
                "qemu: fatal: Lockup: can't escalate 3 to HardFault\n\nR00=00000000 R01=0\n",
                "the processor stopped: Lockup: can't escalate 3 to HardFault",
            ),
            (
                exit,
                "qemu-system-arm: warning: nic lan9118.0 has no peer\na.wav: no WAV file\n",
                "the firmware stopped: a.wav: no WAV file",
            ),
            (
                exit,
                "qemu-system-arm: -serial tcp:x: address already in use\n",
                "QEMU: -serial tcp:x: address already in use",
            ),
            (
                exit,
                "qemu-system-arm: -serial tcp:x: info: QEMU waiting for connection\n",
                "QEMU ended with exit status: 1",
            ),
        ];
        for (status, said, expected) in cases {
            assert_eq!(cause("qemu-system-arm", status, said), expected);
        }
    }
}
