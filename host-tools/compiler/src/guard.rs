//! Keeps a panic of tract, which runs what a file says, from ending the program.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use tract_onnx::prelude::{TractError, TractResult};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs work of tract on this thread; a panic becomes an error, and nothing of it is printed.
pub fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> TractResult<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.try_with(Cell::get).unwrap_or(false) {
                before(info);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    result.unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or(payload.downcast_ref::<&str>().copied());
        let line = text
            .and_then(|text| text.lines().next())
            .unwrap_or_default();
        Err(TractError::msg(format!("tract gave up: {line}")))
    })
}

/// Returns the cause of an error of tract, in one line.
pub fn cause(error: &TractError) -> String {
    let text = error.root_cause().to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_of_one_line() {
        let error = guarded::<()>(|| panic!("no such axis\nof {}", 7)).unwrap_err();
        assert_eq!(error.to_string(), "tract gave up: no such axis");
        assert_eq!(guarded(|| Ok(3)).unwrap(), 3);
    }
}
