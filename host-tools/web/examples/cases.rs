//! A module that tries the kernels on the cases on which those of a board are tried, for a test in a browser.
#![no_std]

use core::fmt::{self, Write};

use zerda_firmware::kernels::{cases::check, choice::available};

#[link(wasm_import_module = "page")]
unsafe extern "C" {
    /// Takes the next part of a text, in UTF-8.
    fn text(start: *const u8, bytes: usize);
}

/// Takes a text in parts.
struct Text;

impl fmt::Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        // SAFETY: the page reads the part before it returns.
        unsafe { text(part.as_ptr(), part.len()) };
        Ok(())
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Compares all kernels with the plain ones, and returns the number of cases in which they are equal; 0, and a line, where
/// they are not.
#[unsafe(no_mangle)]
pub extern "C" fn zerda_cases() -> u32 {
    let mut all = 0;
    for kernels in available() {
        match check(kernels) {
            Ok(cases) => {
                let _ = write!(Text, "{} ", kernels.name);
                all += cases;
            }
            Err(mismatch) => {
                let _ = write!(Text, "{mismatch}");
                return 0;
            }
        }
    }
    all
}
