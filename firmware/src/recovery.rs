//! Recovery is what a device does when it fails: it lowers its outputs, keeps the reason in retained RAM, which a
//! restart leaves as it is, and starts again. What comes up then reports the reason
//! ([`Report::Restart`](crate::telemetry::Report::Restart)).
//!
//! A board calls [`fail`] from its panic and fault handlers and [`restarted`] at its start. Where nothing runs any more,
//! its watchdog, which audio feeds ([`Processor::feed_watchdog`](crate::app::Processor::feed_watchdog)), resets it.

use serde::{Deserialize, Serialize};

/// Says why a device started again, and where it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Restart {
    /// Says what failed before the restart.
    pub cause: Cause,
    /// The line of the source file that panicked, or the address of the instruction that faulted; 0 where that is
    /// unknown. Which file it was is not kept, and where a macro of `defmt` panicked the line is one of `defmt`'s own.
    pub place: u32,
}

/// Says what made a device start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Cause {
    /// The software panicked, in its own code or in a library.
    Panic,
    /// The processor met a fault (HardFault).
    Fault,
    /// The watchdog was not fed: the software hung, or no audio came.
    Watchdog,
    /// The supply voltage fell below the level of the brown-out reset.
    BrownOut,
    /// The stack overflowed: it met its guard before it overwrote anything.
    StackOverflow,
}

/// The causes by the numbers that they have in retained RAM.
const CAUSES: [Cause; 5] = [
    Cause::Panic,
    Cause::Fault,
    Cause::Watchdog,
    Cause::BrownOut,
    Cause::StackOverflow,
];

/// The words of retained RAM that keep a reason: number of the cause, place, and a checksum.
pub type Retained = [u32; 3];

/// The checksum of a cause and a place of 0, which no memory holds by chance after power came up.
const CHECKSUM: u32 = 0x5A52_4441;

/// What recovery needs from the hardware.
pub trait Recover {
    /// Sets all outputs low, from any context.
    fn lower_outputs(&mut self);

    /// Reads the retained RAM.
    fn retained(&mut self) -> Retained;

    /// Writes the retained RAM.
    fn retain(&mut self, words: Retained);

    /// Returns what the hardware says of the last reset, if it was a failure, and makes it forget that.
    fn reset_cause(&mut self) -> Option<Cause> {
        None
    }

    /// Resets the processor; on hardware it does not return.
    fn reset(&mut self);
}

/// Lowers the outputs, keeps the reason and resets the processor.
pub fn fail(board: &mut impl Recover, restart: Restart) {
    board.lower_outputs();
    let number = CAUSES.iter().position(|&cause| cause == restart.cause);
    let number = number.unwrap_or_default() as u32;
    board.retain([number, restart.place, checksum(number, restart.place)]);
    board.reset();
}

/// Returns why the device started again, if it failed before: what was kept, or else what the hardware says. The next
/// start is told nothing of it.
pub fn restarted(board: &mut impl Recover) -> Option<Restart> {
    let [number, place, sum] = board.retained();
    board.retain([0; 3]);
    let told = board.reset_cause();
    match CAUSES.get(number as usize) {
        Some(&cause) if sum == checksum(number, place) => Some(Restart { cause, place }),
        _ => told.map(|cause| Restart { cause, place: 0 }),
    }
}

fn checksum(number: u32, place: u32) -> u32 {
    CHECKSUM ^ number.rotate_left(16) ^ place.rotate_left(1)
}

/// The brown-out reset of a processor, whose level is kept in its own flash.
pub trait BrownOut {
    /// Returns the level that is set; 0 is the lowest.
    fn level(&self) -> u8;

    /// Writes the level to flash, which wears.
    fn write(&mut self, level: u8);
}

/// Sets the level of the brown-out reset to `level` where it is lower, so that flash is written once in a board's life.
/// Returns whether it was written.
pub fn raise_brown_out(reset: &mut impl BrownOut, level: u8) -> bool {
    let lower = reset.level() < level;
    if lower {
        reset.write(level);
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A processor whose memory stays over a reset, but not over a loss of power.
    #[derive(Default)]
    struct Model {
        memory: Retained,
        outputs_high: bool,
        flag: Option<Cause>,
        /// Outputs and memory when it was reset.
        resets: std::vec::Vec<(bool, Retained)>,
        level: u8,
        writes: u32,
    }

    impl Recover for Model {
        fn lower_outputs(&mut self) {
            self.outputs_high = false;
        }

        fn retained(&mut self) -> Retained {
            self.memory
        }

        fn retain(&mut self, words: Retained) {
            self.memory = words;
        }

        fn reset_cause(&mut self) -> Option<Cause> {
            self.flag.take()
        }

        fn reset(&mut self) {
            self.resets.push((self.outputs_high, self.memory));
        }
    }

    impl BrownOut for Model {
        fn level(&self) -> u8 {
            self.level
        }

        fn write(&mut self, level: u8) {
            self.level = level;
            self.writes += 1;
        }
    }

    #[test]
    fn a_reason_is_told_once_after_the_restart_that_it_led_to() {
        for cause in CAUSES {
            let restart = Restart {
                cause,
                place: 0x0800_1234,
            };
            let mut board = Model {
                outputs_high: true,
                ..Model::default()
            };
            fail(&mut board, restart);
            // Outputs were low and the reason kept before the reset.
            assert_eq!(board.resets, [(false, board.memory)]);
            assert_eq!(restarted(&mut board), Some(restart));
            assert_eq!(restarted(&mut board), None);
        }
    }

    #[test]
    fn memory_after_power_came_up_holds_no_reason() {
        let mut random = crate::test_image::Random(1);
        let mut word = || random.below(1 << 32) as u32;
        for number in 0..100_000 {
            let memory = [number % 6, word(), word()];
            let mut board = Model {
                memory,
                ..Model::default()
            };
            assert_eq!(restarted(&mut board), None, "{memory:?}");
        }
        for pattern in [0, u32::MAX, 0xAAAA_AAAA, 0x5555_5555] {
            let mut board = Model {
                memory: [pattern; 3],
                ..Model::default()
            };
            assert_eq!(restarted(&mut board), None, "{pattern:x}");
        }
    }

    #[test]
    fn a_bit_that_flipped_in_what_was_kept_is_no_reason() {
        let restart = Restart {
            cause: Cause::Fault,
            place: 0x0800_1234,
        };
        let mut board = Model::default();
        fail(&mut board, restart);
        for bit in 0..96 {
            let mut memory = board.memory;
            memory[bit / 32] ^= 1 << (bit % 32);
            let mut damaged = Model {
                memory,
                ..Model::default()
            };
            assert_eq!(restarted(&mut damaged), None, "bit {bit}");
        }
    }

    #[test]
    fn where_software_could_not_keep_a_reason_the_hardware_tells() {
        let mut board = Model {
            flag: Some(Cause::Watchdog),
            memory: [u32::MAX; 3],
            ..Model::default()
        };
        let restart = restarted(&mut board).unwrap();
        assert_eq!((restart.cause, restart.place), (Cause::Watchdog, 0));
        assert_eq!(restarted(&mut board), None);
    }

    #[test]
    fn the_brown_out_level_is_written_once() {
        let mut board = Model::default();
        assert!(raise_brown_out(&mut board, 2));
        assert!(!raise_brown_out(&mut board, 2) && !raise_brown_out(&mut board, 1));
        assert_eq!((board.level, board.writes), (2, 1));
    }
}
