//! Each call says by a status whether it did what it was asked for.

use core::ffi::CStr;

use zerda_firmware::image::Problem;

/// Says whether a call did what it was asked for. If not, nothing was changed. `zerda_status_text` has a line on each.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZerdaStatus {
    /// The call did what it was asked for.
    Ok = 0,
    /// A pointer that must point to something is NULL.
    NullPointer = 1,
    /// A pointer is not aligned as what it points to needs; storage needs 16 bytes.
    Misaligned = 2,
    /// The storage is shorter than `zerda_storage_bytes`.
    ShortStorage = 3,
    /// Storage and image overlap.
    Overlap = 4,
    /// More bytes are named than an object can have.
    TooLong = 5,
    /// The recognizer was never made by `zerda_init`, or it was moved or overwritten.
    NotInitialized = 6,
    /// Another call works on this recognizer: this one came from a callback, an interrupt or another thread.
    Busy = 7,
    /// The bytes are no image.
    NotAnImage = 8,
    /// The image has a format version that this library does not read.
    ImageVersion = 9,
    /// The image is shorter or longer than its header says.
    ImageLength = 10,
    /// The image does not lie 16-byte aligned.
    ImageMisaligned = 11,
    /// The bytes of the image were changed.
    ImageChecksum = 12,
    /// A field of the image is wrong although its checksum is right.
    ImageField = 13,
    /// The image detects no label of this name.
    UnknownLabel = 14,
    /// The threshold is neither 0 nor from 3 to 253.
    ThresholdRange = 15,
    /// The number of frames to average over is not from 1 to 32.
    SmoothingRange = 16,
}

impl From<Problem> for ZerdaStatus {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::NotAnImage => Self::NotAnImage,
            Problem::Version => Self::ImageVersion,
            Problem::Length => Self::ImageLength,
            Problem::Misaligned => Self::ImageMisaligned,
            Problem::Checksum => Self::ImageChecksum,
            Problem::Field => Self::ImageField,
        }
    }
}

/// Holds a line on each status, in their order.
const TEXTS: [&CStr; 17] = [
    c"it worked",
    c"a pointer is NULL: pass one to what the function needs",
    c"a pointer is misaligned: align storage to ZERDA_ALIGNMENT bytes, others as their types need",
    c"the storage is too short: it needs zerda_storage_bytes() of the image",
    c"storage and image overlap: the image stays where it is, storage is memory of its own",
    c"more bytes than an object can have: check the length",
    c"no recognizer: call zerda_init() first, and leave its storage where it is",
    c"another call works on this recognizer: make no call from a callback or an interrupt",
    c"not a Zerda image: link the file that `zerda compile` wrote",
    c"the image has another format version: compile it by the zerda of this library's version",
    c"the image is shorter or longer than its header says: link all of the file, and no more",
    c"the image is misaligned: align it to ZERDA_ALIGNMENT bytes",
    c"the image is damaged, its checksum is wrong: write it again",
    c"a field of the image is wrong: `zerda inspect` says which one",
    c"the image detects no label of this name: `zerda inspect` lists those that it does",
    c"the threshold is out of range: it is 3 to 253, or 0 to switch the label off",
    c"the smoothing is out of range: it is 1 to 32 frames",
];

/// Returns the line on a status; a number that is none has its own.
pub fn text(status: i32) -> &'static CStr {
    let text = usize::try_from(status).ok().and_then(|at| TEXTS.get(at));
    text.copied().unwrap_or(c"not a status of this library")
}
