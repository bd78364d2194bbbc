//! Device registers are known by their address.

/// A device register of 32 bits.
#[derive(Clone, Copy)]
pub struct Register(usize);

impl Register {
    /// Names the register at `address`.
    ///
    /// # Safety
    ///
    /// A device register of 32 bits lies there on the machine that this runs on, and neither reading nor writing it
    /// has an effect on memory.
    pub const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    /// Reads the register as it is now.
    pub fn read(self) -> u32 {
        // SAFETY: whoever named it promised that it is a register which is harmless to read.
        unsafe { (self.0 as *const u32).read_volatile() }
    }

    /// Writes all bits of the register.
    pub fn write(self, value: u32) {
        // SAFETY: whoever named it promised that it is a register which is harmless to write.
        unsafe { (self.0 as *mut u32).write_volatile(value) }
    }
}
