/* Zerda recognizes spoken commands in a stream of audio. firmware/c/README.md says how to use it.
 * Made by cbindgen of firmware/c/src: `cargo task header` makes it anew. */

#ifndef ZERDA_H
#define ZERDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 The alignment that storage and image need, in bytes.
 */
#define ZERDA_ALIGNMENT 16

/*
 The bytes of storage that a recognizer takes besides the memory that its image needs. It is more than the recognizer's
 size, on every target, so that this number seldom changes.
 */
#define ZERDA_STATE_BYTES 6144

/*
 Says whether a call did what it was asked for. If not, nothing was changed. `zerda_status_text` has a line on each.
 */
enum ZerdaStatus
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /*
   The call did what it was asked for.
   */
  ZERDA_STATUS_OK = 0,
  /*
   A pointer that must point to something is NULL.
   */
  ZERDA_STATUS_NULL_POINTER = 1,
  /*
   A pointer is not aligned as what it points to needs; storage needs 16 bytes.
   */
  ZERDA_STATUS_MISALIGNED = 2,
  /*
   The storage is shorter than `zerda_storage_bytes`.
   */
  ZERDA_STATUS_SHORT_STORAGE = 3,
  /*
   Storage and image overlap.
   */
  ZERDA_STATUS_OVERLAP = 4,
  /*
   More bytes are named than an object can have.
   */
  ZERDA_STATUS_TOO_LONG = 5,
  /*
   The recognizer was never made by `zerda_init`, or it was moved or overwritten.
   */
  ZERDA_STATUS_NOT_INITIALIZED = 6,
  /*
   Another call works on this recognizer: this one came from a callback, an interrupt or another thread.
   */
  ZERDA_STATUS_BUSY = 7,
  /*
   The bytes are no image.
   */
  ZERDA_STATUS_NOT_AN_IMAGE = 8,
  /*
   The image has a format version that this library does not read.
   */
  ZERDA_STATUS_IMAGE_VERSION = 9,
  /*
   The image is shorter or longer than its header says.
   */
  ZERDA_STATUS_IMAGE_LENGTH = 10,
  /*
   The image does not lie 16-byte aligned.
   */
  ZERDA_STATUS_IMAGE_MISALIGNED = 11,
  /*
   The bytes of the image were changed.
   */
  ZERDA_STATUS_IMAGE_CHECKSUM = 12,
  /*
   A field of the image is wrong although its checksum is right.
   */
  ZERDA_STATUS_IMAGE_FIELD = 13,
  /*
   The image detects no label of this name.
   */
  ZERDA_STATUS_UNKNOWN_LABEL = 14,
  /*
   The threshold is neither 0 nor from 3 to 253.
   */
  ZERDA_STATUS_THRESHOLD_RANGE = 15,
  /*
   The number of frames to average over is not from 1 to 32.
   */
  ZERDA_STATUS_SMOOTHING_RANGE = 16,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ZerdaStatus ZerdaStatus;
#else
typedef int32_t ZerdaStatus;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/*
 Says what kind of fault it is.
 */
enum ZerdaFaultKind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /*
   Samples were lost, as `zerda_lost` was told; the stream starts afresh.
   */
  ZERDA_FAULT_KIND_LOST_AUDIO = 1,
  /*
   The image changed in flash, as `zerda_check_image` found.
   */
  ZERDA_FAULT_KIND_IMAGE_CHANGED = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ZerdaFaultKind ZerdaFaultKind;
#else
typedef int32_t ZerdaFaultKind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/*
 A recognizer of spoken commands, in storage of the caller's.
 */
typedef struct Zerda Zerda;

/*
 A command or a wake word that was detected. Times count in ms of audio from the start of the stream, or from its reset.
 */
typedef struct ZerdaDetection {
  /*
   The name of the command or wake word, a string that is there until the callback returns.
   */
  const char *name;
  /*
   The number that the command or wake word has in the image.
   */
  uint8_t number;
  /*
   Says whether it is a wake word.
   */
  bool wake_word;
  /*
   The lowest average that one of its words reached, of 256.
   */
  uint8_t score;
  /*
   The time at which its first word starts.
   */
  uint32_t start_ms;
  /*
   The time at which the frame ends that decided its last word.
   */
  uint32_t end_ms;
  /*
   The time at which the audio ends that was needed to decide.
   */
  uint32_t decided_ms;
} ZerdaDetection;

/*
 Says that the window in which commands count opened, stays open for longer, or closed.
 */
typedef struct ZerdaWake {
  /*
   Says whether commands count from now on.
   */
  bool awake;
  /*
   The time at which it happened, in ms of audio.
   */
  uint32_t at_ms;
  /*
   The time at which the window will close, in ms of audio; 0 where it closed.
   */
  uint32_t until_ms;
} ZerdaWake;

/*
 Says that somebody speaks, and the network runs, or that nobody does, and it rests. A stream begins at rest, and so it does
 after `zerda_reset` and `zerda_lost`, which is not told.
 */
typedef struct ZerdaSpeech {
  /*
   Says whether the network runs from now on.
   */
  bool speech;
  /*
   The time, in ms of audio, at which the first frame starts that it hears, or the first that it does not; that was
   400 ms ago, or more.
   */
  uint32_t at_ms;
} ZerdaSpeech;

/*
 Says what went wrong.
 */
typedef struct ZerdaFault {
  /*
   Says what kind of fault it is.
   */
  ZerdaFaultKind kind;
  /*
   The number of samples that were lost.
   */
  uint32_t lost_samples;
} ZerdaFault;

/*
 Functions that are called with `context`, from within the calls that bring what they tell of; each may be NULL. They
 make no call on the same recognizer: it would return `ZERDA_STATUS_BUSY`.
 */
typedef struct ZerdaCallbacks {
  /*
   The first argument of each function.
   */
  void *context;
  /*
   Is told of each command and wake word.
   */
  void (*on_detection)(void *context, const struct ZerdaDetection *detection);
  /*
   Is told where commands begin or cease to count, of an image that names wake words.
   */
  void (*on_wake)(void *context, const struct ZerdaWake *wake);
  /*
   Is told when the network begins to run and to rest, of an image that has a gate for the quiet.
   */
  void (*on_speech)(void *context, const struct ZerdaSpeech *speech);
  /*
   Is told of faults.
   */
  void (*on_fault)(void *context, const struct ZerdaFault *fault);
  /*
   Is given the logits of each step of the network, one a frame and class.
   */
  void (*on_logits)(void *context, const int8_t *logits, size_t count);
} ZerdaCallbacks;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Returns the bytes of storage that a recognizer of this image needs, as the image's header states them: 64 bytes of
 it are enough. Returns 0 if it is no image. `zerda_image.h`, which build.sh writes, has the number as a constant.

 # Safety

 `image` is null, or `image_bytes` bytes can be read there.
 */
size_t zerda_storage_bytes(const void *image,
                           size_t image_bytes);

/*
 Makes a recognizer in `storage`, and writes it to `*zerda`; NULL if it fails. The storage needs no initial value; it
 is 16-byte aligned and belongs to the recognizer until it is no longer used, or made anew by another call. The image
 is read in place, 16-byte aligned, and stays as it is for as long. The callbacks are copied.

 # Safety

 Each pointer is null, or what it says can be read or written there; the image and the storage stay there and nobody
 else writes to them for as long as the recognizer is used.
 */
ZerdaStatus zerda_init(void *storage,
                       size_t storage_bytes,
                       const void *image,
                       size_t image_bytes,
                       const struct ZerdaCallbacks *callbacks,
                       struct Zerda **zerda);

/*
 Takes `count` samples (16 kHz, mono, signed 16 bit) and calls the callbacks for all that happens in them. How a stream
 is split does not matter. A step of the network runs within the call as soon as its last sample is there.

 # Safety

 `zerda` is null, or what `zerda_init` made, in storage that is still there; `pcm` is null, or `count` samples can be
 read there.
 */
ZerdaStatus zerda_push(struct Zerda *zerda,
                       const int16_t *pcm,
                       size_t count);

/*
 Pushes the silence that decides the last word of a recording, where no more samples come.

 # Safety

 As of `zerda_push`.
 */
ZerdaStatus zerda_finish(struct Zerda *zerda);

/*
 Starts afresh, as if nothing had been pushed; thresholds and smoothing that were set stay. Times count from 0 again. If
 the window of a wake word was open, it closes, and `on_wake` is called.

 # Safety

 As of `zerda_push`.
 */
ZerdaStatus zerda_reset(struct Zerda *zerda);

/*
 Says that so many samples were lost before the next ones, as of a buffer that ran over. Calls `on_fault`, and starts
 afresh as `zerda_reset` does: audio from before and after a gap is never joined.

 # Safety

 As of `zerda_push`.
 */
ZerdaStatus zerda_lost(struct Zerda *zerda,
                       uint32_t samples);

/*
 Computes the image's checksum again, over all of it, and calls `on_fault` where flash changed since `zerda_init`.

 # Safety

 As of `zerda_push`.
 */
ZerdaStatus zerda_check_image(struct Zerda *zerda);

/*
 Sets the score (256 is certainty) at which a word is detected from now on: 3 to 253, or 0, which switches it off.
 `label` is the word, as a string; words of longer commands have thresholds of their own.

 # Safety

 As of `zerda_push`; `label` is null, or a string that ends with a zero.
 */
ZerdaStatus zerda_set_threshold(struct Zerda *zerda,
                                const char *label,
                                uint8_t threshold);

/*
 Writes the score at which a word is detected to `*threshold`; 0: never.

 # Safety

 As of `zerda_set_threshold`; `threshold` is null, or can be written.
 */
ZerdaStatus zerda_threshold(struct Zerda *zerda, const char *label, uint8_t *threshold);

/*
 Sets the number of frames, of 10 ms each, that scores are averaged over from now on: 1 to 32. Fewer make words quicker
 to hear, more make false alarms fewer.

 # Safety

 As of `zerda_push`.
 */
ZerdaStatus zerda_set_smoothing(struct Zerda *zerda,
                                uint8_t frames);

/*
 Writes the number of frames that scores are averaged over to `*frames`.

 # Safety

 As of `zerda_push`; `frames` is null, or can be written.
 */
ZerdaStatus zerda_smoothing(struct Zerda *zerda, uint8_t *frames);

/*
 Returns a line on a status, which says what to do. It is a constant string, for any number.
 */
const char *zerda_status_text(int32_t status);

/*
 Returns the version of this library, as "0.1.0". It is a constant string.
 */
const char *zerda_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ZERDA_H */
