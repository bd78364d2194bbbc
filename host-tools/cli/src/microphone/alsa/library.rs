//! Declares what is called of `libasound.so.2`, and wraps it in types that can be used safely.
//!
//! All `unsafe` of this program is here. The library is never unloaded, so that functions of it, and threads that its
//! plug-ins begin, last as long as the process.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use std::ptr;
use std::sync::OnceLock;

use super::{Device, first_line};

/// A code of ALSA's: a number of errno.h, negated.
pub type Code = c_long;

/// A handle of ALSA's: `snd_pcm_t *` or `snd_pcm_hw_params_t *`.
type Handle = *mut c_void;

/// A handler of messages, `snd_local_error_handler_t`: file, line, function, error, format; its last argument, a
/// `va_list`, is left alone.
type Handler = extern "C" fn(*const c_char, c_int, *const c_char, c_int, *const c_char);

/// Declares functions of the library, and has all of them looked up at once.
macro_rules! functions {
    ($($name:ident($($argument:ty),*) -> $result:ty;)*) => {
        /// ALSA's library, and its functions that are called.
        pub struct Library {
            $($name: unsafe extern "C" fn($($argument),*) -> $result,)*
        }

        impl Library {
            fn load() -> Result<Library, libloading::Error> {
                // SAFETY: what the library runs when it is loaded is its own, and it expects to be loaded by any program.
                let library = unsafe { libloading::Library::new("libasound.so.2") }?;
                let library: &'static _ = Box::leak(Box::new(library));
                Ok(Library {
                    $($name: {
                        // SAFETY: the signature is that of alsa-lib's headers for this name.
                        *unsafe { library.get(stringify!($name)) }?
                    },)*
                })
            }
        }
    };
}

functions! {
    snd_pcm_open(*mut Handle, *const c_char, c_int, c_int) -> c_int;
    snd_pcm_close(Handle) -> c_int;
    snd_pcm_readi(Handle, *mut c_void, c_ulong) -> c_long;
    snd_pcm_bytes_to_frames(Handle, isize) -> c_long;
    snd_pcm_recover(Handle, c_int, c_int) -> c_int;
    snd_pcm_hw_params(Handle, Handle) -> c_int;
    snd_pcm_hw_params_malloc(*mut Handle) -> c_int;
    snd_pcm_hw_params_free(Handle) -> ();
    snd_pcm_hw_params_any(Handle, Handle) -> c_int;
    snd_pcm_hw_params_set_access(Handle, Handle, c_int) -> c_int;
    snd_pcm_hw_params_set_format(Handle, Handle, c_int) -> c_int;
    snd_pcm_hw_params_set_rate_resample(Handle, Handle, c_uint) -> c_int;
    snd_pcm_hw_params_set_channels_near(Handle, Handle, *mut c_uint) -> c_int;
    snd_pcm_hw_params_set_rate_min(Handle, Handle, *mut c_uint, *mut c_int) -> c_int;
    snd_pcm_hw_params_set_rate_near(Handle, Handle, *mut c_uint, *mut c_int) -> c_int;
    snd_pcm_hw_params_set_buffer_time_near(Handle, Handle, *mut c_uint, *mut c_int) -> c_int;
    snd_pcm_hw_params_set_period_time_near(Handle, Handle, *mut c_uint, *mut c_int) -> c_int;
    snd_strerror(c_int) -> *const c_char;
    snd_lib_error_set_local(Option<Handler>) -> Option<Handler>;
    snd_device_name_hint(c_int, *const c_char, *mut *mut Handle) -> c_int;
    snd_device_name_get_hint(*const c_void, *const c_char) -> *mut c_char;
    snd_device_name_free_hint(*mut Handle) -> c_int;
}

unsafe extern "C" {
    /// Frees what ALSA allocated by malloc: the C library's own, which every program of Linux has.
    fn free(memory: *mut c_void);
}

/// `SND_PCM_STREAM_CAPTURE` of `pcm.h` asks for a device that captures.
const CAPTURE: c_int = 1;
/// `SND_PCM_NO_AUTO_CHANNELS` of `pcm.h` asks for a device with channels of its own.
const OWN_CHANNELS: c_int = 0x0002_0000;
/// `SND_PCM_ACCESS_RW_INTERLEAVED` of `pcm.h` asks for frames, each of one sample a channel.
const INTERLEAVED: c_int = 3;

/// Turns a result of ALSA's, which is negative where it failed, into the code.
fn check(result: c_int) -> Result<(), Code> {
    if result < 0 {
        return Err(result.into());
    }
    Ok(())
}

impl Library {
    /// Returns the library, which is loaded by the first call; `None` where it is not to be had.
    pub fn get() -> Option<&'static Library> {
        static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
        LIBRARY.get_or_init(|| Library::load().ok()).as_ref()
    }

    /// Lets the library print nothing from this thread: what matters comes as a result.
    pub fn quiet(&self) {
        extern "C" fn ignore(
            _: *const c_char,
            _: c_int,
            _: *const c_char,
            _: c_int,
            _: *const c_char,
        ) {
        }
        // SAFETY: the handler lasts for ever and looks at none of its arguments.
        unsafe { (self.snd_lib_error_set_local)(Some(ignore)) };
    }

    /// Says what a code means.
    pub fn message(&self, code: Code) -> String {
        let code = c_int::try_from(code).unwrap_or_default();
        // SAFETY: any code is allowed; the text is static, or the thread's until its next call.
        let text = unsafe { (self.snd_strerror)(code) };
        match text.is_null() {
            true => format!("error {code}"),
            // SAFETY: it is a C string, copied before any other call.
            false => first_line(unsafe { CStr::from_ptr(text) }),
        }
    }

    /// Opens a device to capture, in blocking mode. Fails with ALSA's code.
    pub fn open(&'static self, device: &CStr) -> Result<Pcm, Code> {
        let mut handle = ptr::null_mut();
        // SAFETY: the name is a C string, and the handle is written where it succeeds.
        let opened =
            unsafe { (self.snd_pcm_open)(&mut handle, device.as_ptr(), CAPTURE, OWN_CHANNELS) };
        check(opened)?;
        Ok(Pcm {
            library: self,
            handle,
        })
    }

    /// Returns the devices that capture, as far as the configuration tells of them.
    pub fn devices(&self) -> Vec<Device> {
        let mut hints: *mut Handle = ptr::null_mut();
        // SAFETY: -1 stands for all cards, the name is a C string, and the list is written where it succeeds.
        let found = unsafe { (self.snd_device_name_hint)(-1, c"pcm".as_ptr(), &mut hints) };
        if found < 0 || hints.is_null() {
            return Vec::new();
        }
        let mut devices = Vec::new();
        for number in 0.. {
            // SAFETY: the list ends with a null pointer, at which this loop ends.
            let hint = unsafe { *hints.add(number) };
            if hint.is_null() {
                break;
            }
            let direction = self.hint(hint, c"IOID");
            let captures = direction.is_none_or(|of| of.as_c_str() == c"Input");
            if let Some(name) = self.hint(hint, c"NAME").filter(|_| captures) {
                let description = self.hint(hint, c"DESC");
                devices.push(Device {
                    name: first_line(&name),
                    description: description.map_or(String::new(), |text| first_line(&text)),
                });
            }
        }
        // SAFETY: it is the list that was made above, freed once.
        unsafe { (self.snd_device_name_free_hint)(hints) };
        devices
    }

    /// Returns what a hint says of a device under this key.
    fn hint(&self, hint: Handle, key: &CStr) -> Option<CString> {
        // SAFETY: the hint is of a list that is not freed yet, the key is a C string.
        let text = unsafe { (self.snd_device_name_get_hint)(hint, key.as_ptr()) };
        if text.is_null() {
            return None;
        }
        // SAFETY: it is a C string, which is ours to copy and to free, once.
        let copy = unsafe { CStr::from_ptr(text) }.to_owned();
        // SAFETY: as above; ALSA made it by malloc.
        unsafe { free(text.cast()) };
        Some(copy)
    }
}

/// A device that is open.
pub struct Pcm {
    library: &'static Library,
    handle: Handle,
}

// SAFETY: ALSA lets a device be used by any thread, by one at a time, and this is the only handle of it.
unsafe impl Send for Pcm {}

impl Pcm {
    pub fn library(&self) -> &'static Library {
        self.library
    }

    /// Waits for as many frames as the buffer holds, of the size that the device itself states. Returns how many came, or
    /// ALSA's code.
    pub fn read(&mut self, buffer: &mut [u8]) -> Code {
        // SAFETY: the handle is open. It returns how many frames the bytes make, or a negative code.
        let frames =
            unsafe { (self.library.snd_pcm_bytes_to_frames)(self.handle, buffer.len() as _) };
        if frames <= 0 {
            return frames;
        }
        let start = buffer.as_mut_ptr().cast();
        // SAFETY: the buffer holds so many frames, as the device says.
        let read = unsafe { (self.library.snd_pcm_readi)(self.handle, start, frames as c_ulong) };
        read.min(frames)
    }

    /// Has a device go on after an overrun or a suspension, of that code.
    pub fn recover(&mut self, code: Code) -> Result<(), Code> {
        let code = c_int::try_from(code).unwrap_or_default();
        // SAFETY: the handle is open; 1 keeps it silent.
        check(unsafe { (self.library.snd_pcm_recover)(self.handle, code, 1) })
    }
}

impl Drop for Pcm {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and not used any more.
        unsafe { (self.library.snd_pcm_close)(self.handle) };
    }
}

/// The settings that a device can still take, each call of which leaves fewer. All fail with ALSA's code.
pub struct Params<'a> {
    pcm: &'a Pcm,
    handle: Handle,
}

/// A function that takes the nearest value that a device has.
type Near = unsafe extern "C" fn(Handle, Handle, *mut c_uint, *mut c_int) -> c_int;

impl<'a> Params<'a> {
    /// Begins with all that a device can take.
    pub fn any(pcm: &'a Pcm) -> Result<Params<'a>, Code> {
        let mut handle = ptr::null_mut();
        // SAFETY: the handle is written where it succeeds.
        check(unsafe { (pcm.library.snd_pcm_hw_params_malloc)(&mut handle) })?;
        let params = Params { pcm, handle };
        // SAFETY: both handles are valid.
        check(unsafe { (pcm.library.snd_pcm_hw_params_any)(pcm.handle, handle) })?;
        Ok(params)
    }

    pub fn interleaved(&mut self) -> Result<(), Code> {
        let set = self.pcm.library.snd_pcm_hw_params_set_access;
        // SAFETY: both handles are valid.
        check(unsafe { set(self.pcm.handle, self.handle, INTERLEAVED) })
    }

    /// Takes the format that has this number in ALSA.
    pub fn format(&mut self, number: i32) -> Result<(), Code> {
        let set = self.pcm.library.snd_pcm_hw_params_set_format;
        // SAFETY: both handles are valid.
        check(unsafe { set(self.pcm.handle, self.handle, number) })
    }

    /// Leaves only rates of the device's own.
    pub fn own_rates(&mut self) -> Result<(), Code> {
        let set = self.pcm.library.snd_pcm_hw_params_set_rate_resample;
        // SAFETY: both handles are valid.
        check(unsafe { set(self.pcm.handle, self.handle, 0) })
    }

    pub fn channels_near(&mut self, mut channels: u32) -> Result<u32, Code> {
        let set = self.pcm.library.snd_pcm_hw_params_set_channels_near;
        // SAFETY: both handles are valid, and the number is read and written.
        check(unsafe { set(self.pcm.handle, self.handle, &mut channels) })?;
        Ok(channels)
    }

    /// Leaves only rates from this one on, in Hz.
    pub fn rate_from(&mut self, rate: u32) -> Result<u32, Code> {
        self.near(self.pcm.library.snd_pcm_hw_params_set_rate_min, rate)
    }

    /// Takes the rate in Hz that is nearest to this one.
    pub fn rate_near(&mut self, rate: u32) -> Result<u32, Code> {
        self.near(self.pcm.library.snd_pcm_hw_params_set_rate_near, rate)
    }

    /// Takes the buffer whose time in µs is nearest to this one.
    pub fn buffer_us_near(&mut self, us: u32) -> Result<u32, Code> {
        let set = self.pcm.library.snd_pcm_hw_params_set_buffer_time_near;
        self.near(set, us)
    }

    /// Takes the period whose time in µs is nearest to this one.
    pub fn period_us_near(&mut self, us: u32) -> Result<u32, Code> {
        let set = self.pcm.library.snd_pcm_hw_params_set_period_time_near;
        self.near(set, us)
    }

    fn near(&mut self, set: Near, mut value: u32) -> Result<u32, Code> {
        let mut direction = 0;
        // SAFETY: both handles are valid, and the two numbers are read and written.
        check(unsafe { set(self.pcm.handle, self.handle, &mut value, &mut direction) })?;
        Ok(value)
    }

    /// Gives the settings to the device, which is ready then.
    pub fn finish(self) -> Result<(), Code> {
        // SAFETY: both handles are valid.
        check(unsafe { (self.pcm.library.snd_pcm_hw_params)(self.pcm.handle, self.handle) })
    }
}

impl Drop for Params<'_> {
    fn drop(&mut self) {
        // SAFETY: the settings are freed once, and not used any more.
        unsafe { (self.pcm.library.snd_pcm_hw_params_free)(self.handle) };
    }
}
