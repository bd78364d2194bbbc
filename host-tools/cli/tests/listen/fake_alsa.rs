//! A `libasound.so.2` that plays one file: a microphone of two channels at 48 kHz, in 32 bits, as many of USB are.
//!
//! FAKE_AUDIO names the file; at each frame of FAKE_OVERRUNS audio was lost, and at its end the device is unplugged. The
//! device `busy` belongs to somebody else, and with FAKE_NONE there is none.
#![allow(clippy::missing_safety_doc)]

use std::env;
use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use std::fs::File;
use std::io::Read;
use std::sync::Mutex;

type Handle = *mut c_void;

const FRAME: usize = 8;
const ENOENT: c_int = -2;
const EBUSY: c_int = -16;
const ENODEV: c_int = -19;
const EINVAL: c_int = -22;
const EPIPE: c_int = -32;

struct Device {
    audio: File,
    frames: usize,
    overruns: Vec<usize>,
    /// After an overrun nothing works but to recover.
    lost: bool,
}

static DEVICE: Mutex<Option<Device>> = Mutex::new(None);

unsafe extern "C" {
    fn strdup(text: *const c_char) -> *mut c_char;
}

/// Defines functions of ALSA that have nothing to do here, and succeed.
macro_rules! succeed {
    ($($name:ident($($argument:ty),*);)*) => {
        $(
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($(_: $argument),*) -> c_int {
                0
            }
        )*
    };
}

succeed! {
    snd_pcm_close(Handle);
    snd_pcm_hw_params_any(Handle, Handle);
    snd_pcm_hw_params(Handle, Handle);
    snd_pcm_hw_params_set_rate_resample(Handle, Handle, c_uint);
    snd_pcm_hw_params_set_rate_min(Handle, Handle, *mut c_uint, *mut c_int);
    snd_pcm_hw_params_set_buffer_time_near(Handle, Handle, *mut c_uint, *mut c_int);
    snd_pcm_hw_params_set_period_time_near(Handle, Handle, *mut c_uint, *mut c_int);
    snd_device_name_free_hint(*mut Handle);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn snd_pcm_open(
    to: *mut Handle,
    name: *const c_char,
    stream: c_int,
    _: c_int,
) -> c_int {
    assert_eq!(stream, 1, "capture");
    match unsafe { CStr::from_ptr(name) }.to_str() {
        Ok("default") => {}
        Ok("busy") => return EBUSY,
        _ => return ENOENT,
    }
    let overruns = env::var("FAKE_OVERRUNS").unwrap_or_default();
    let overruns = overruns.split_terminator(',').map(|at| at.parse().unwrap());
    *DEVICE.lock().unwrap() = Some(Device {
        audio: File::open(env::var("FAKE_AUDIO").unwrap()).unwrap(),
        frames: 0,
        overruns: overruns.collect(),
        lost: false,
    });
    unsafe { *to = to.cast() };
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn snd_pcm_readi(_: Handle, to: *mut c_void, frames: c_ulong) -> c_long {
    let mut device = DEVICE.lock().unwrap();
    let device = device.as_mut().unwrap();
    if device.lost {
        return EPIPE.into();
    }
    if device
        .overruns
        .first()
        .is_some_and(|&at| device.frames >= at)
    {
        device.overruns.remove(0);
        device.lost = true;
        return EPIPE.into();
    }
    let to = unsafe { std::slice::from_raw_parts_mut(to.cast::<u8>(), frames as usize * FRAME) };
    let mut read = 0;
    while read < to.len() {
        match device.audio.read(&mut to[read..]).unwrap() {
            0 => break,
            more => read += more,
        }
    }
    device.frames += read / FRAME;
    match read / FRAME {
        0 => ENODEV.into(),
        frames => frames as c_long,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn snd_pcm_recover(_: Handle, error: c_int, _: c_int) -> c_int {
    assert_eq!(error, EPIPE);
    DEVICE.lock().unwrap().as_mut().unwrap().lost = false;
    0
}

#[unsafe(no_mangle)]
pub extern "C" fn snd_pcm_bytes_to_frames(_: Handle, bytes: isize) -> c_long {
    (bytes / FRAME as isize) as c_long
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn snd_pcm_hw_params_malloc(to: *mut Handle) -> c_int {
    unsafe { *to = to.cast() };
    0
}

#[unsafe(no_mangle)]
pub extern "C" fn snd_pcm_hw_params_free(_: Handle) {}

#[unsafe(no_mangle)]
pub extern "C" fn snd_pcm_hw_params_set_access(_: Handle, _: Handle, access: c_int) -> c_int {
    if access == 3 { 0 } else { EINVAL }
}

/// Takes S32_LE and nothing else.
#[unsafe(no_mangle)]
pub extern "C" fn snd_pcm_hw_params_set_format(_: Handle, _: Handle, format: c_int) -> c_int {
    if format == 10 { 0 } else { EINVAL }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn snd_pcm_hw_params_set_channels_near(
    _: Handle,
    _: Handle,
    value: *mut c_uint,
) -> c_int {
    unsafe { *value = 2 };
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn snd_pcm_hw_params_set_rate_near(
    _: Handle,
    _: Handle,
    value: *mut c_uint,
    _: *mut c_int,
) -> c_int {
    unsafe { *value = 48_000 };
    0
}

#[unsafe(no_mangle)]
pub extern "C" fn snd_strerror(code: c_int) -> *const c_char {
    let text = match code {
        ENOENT => c"No such file or directory",
        EBUSY => c"Device or resource busy",
        ENODEV => c"No such device",
        _ => c"Invalid argument",
    };
    text.as_ptr()
}

#[unsafe(no_mangle)]
pub extern "C" fn snd_lib_error_set_local(_: *const c_void) -> *const c_void {
    std::ptr::null()
}

/// Names, directions and descriptions of what there is.
const HINTS: [[Option<&CStr>; 3]; 3] = [
    [
        Some(c"default"),
        Some(c"Input"),
        Some(c"Two channels\nof an array"),
    ],
    [Some(c"speakers"), Some(c"Output"), Some(c"Loud")],
    [Some(c"sysdefault:CARD=Fake"), None, None],
];

#[unsafe(no_mangle)]
pub unsafe extern "C" fn snd_device_name_hint(
    _: c_int,
    _: *const c_char,
    to: *mut *mut Handle,
) -> c_int {
    let hints: &[_] = if env::var("FAKE_NONE").is_ok() {
        &[]
    } else {
        &HINTS
    };
    let handle = |hint: &'static [Option<&CStr>; 3]| std::ptr::from_ref(hint) as Handle;
    let hints = hints.iter().map(handle).chain([std::ptr::null_mut()]);
    unsafe { *to = Box::leak(hints.collect::<Box<_>>()).as_mut_ptr() };
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn snd_device_name_get_hint(
    hint: *const c_void,
    key: *const c_char,
) -> *mut c_char {
    let hint = unsafe { &*hint.cast::<[Option<&CStr>; 3]>() };
    let value = match unsafe { CStr::from_ptr(key) }.to_str() {
        Ok("NAME") => hint[0],
        Ok("IOID") => hint[1],
        _ => hint[2],
    };
    value.map_or(std::ptr::null_mut(), |text| unsafe {
        strdup(text.as_ptr())
    })
}
