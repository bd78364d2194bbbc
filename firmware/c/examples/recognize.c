/* Hears a WAV file (16 kHz, mono, 16 bit) and prints what is detected in it, and at the end the CRC-32 of all logits, as
 * `zerda run` prints it. */
#include "port.h"
#include "zerda.h"
#include "zerda_image.h"

extern const unsigned char zerda_image[ZERDA_IMAGE_BYTES];
static _Alignas(ZERDA_ALIGNMENT) unsigned char storage[ZERDA_IMAGE_STORAGE_BYTES];

/* What the callbacks count. */
struct heard {
    uint32_t crc, steps;
};

static void print_number(uint32_t number, uint32_t base, int digits)
{
    char text[11], *at = text + sizeof text;
    *--at = 0;
    do {
        *--at = "0123456789abcdef"[number % base];
        number /= base;
    } while (--digits > 0 || number > 0);
    port_print(at);
}

static void print_field(const char *name, uint32_t number)
{
    port_print(name);
    print_number(number, 10, 1);
}

static void on_detection(void *context, const ZerdaDetection *detection)
{
    (void)context;
    port_print(detection->wake_word ? "wake word " : "command ");
    port_print(detection->name);
    print_field(", score ", detection->score);
    print_field("/256, from ", detection->start_ms);
    print_field(" to ", detection->end_ms);
    print_field(" ms, decided at ", detection->decided_ms);
    port_print(" ms\n");
}

static void on_wake(void *context, const ZerdaWake *wake)
{
    (void)context;
    if (wake->awake) {
        print_field("awake until ", wake->until_ms);
    } else {
        print_field("asleep at ", wake->at_ms);
    }
    port_print(" ms\n");
}

static void on_speech(void *context, const ZerdaSpeech *speech)
{
    (void)context;
    print_field(speech->speech ? "speech from " : "quiet from ", speech->at_ms);
    port_print(" ms\n");
}

static void on_logits(void *context, const int8_t *logits, size_t count)
{
    struct heard *heard = context;
    heard->steps++;
    for (size_t i = 0; i < count; i++) {
        heard->crc ^= (uint8_t)logits[i];
        for (int bit = 0; bit < 8; bit++) {
            heard->crc = heard->crc >> 1 ^ (heard->crc & 1 ? 0xEDB88320u : 0);
        }
    }
}

static int failed(const char *what, const char *why)
{
    port_print(what);
    port_print(": ");
    port_print(why);
    port_print("\n");
    return 1;
}

/* Opens the file at its first sample; the bytes of samples that follow, or 0. Integers are little-endian here. */
static uint32_t open_wav(const char *path)
{
    uint32_t head[3], chunk[2];
    if (!port_open(path) || port_read(head, sizeof head) != sizeof head || head[0] != 0x46464952) {
        return 0;
    }
    while (port_read(chunk, sizeof chunk) == sizeof chunk) {
        if (chunk[0] == 0x61746164) {
            return chunk[1];
        }
        uint8_t skipped;
        for (uint32_t i = 0; i < chunk[1] && port_read(&skipped, 1) == 1; i++) {
        }
    }
    return 0;
}

int recognize(const char *path)
{
    struct heard heard = {0xFFFFFFFF, 0};
    const ZerdaCallbacks callbacks = {
        .context = &heard, .on_detection = on_detection, .on_wake = on_wake, .on_speech = on_speech, .on_logits = on_logits};
    Zerda *zerda;
    ZerdaStatus status = zerda_init(storage, sizeof storage, zerda_image, sizeof zerda_image, &callbacks, &zerda);
    uint32_t bytes = open_wav(path);
    if (bytes == 0) {
        return failed(path, "no WAV file, expected 16 kHz, mono, 16 bit");
    }
    int16_t pcm[160]; /* 10 ms, as a microphone's DMA would hand them over */
    while (status == ZERDA_STATUS_OK && bytes > 0) {
        size_t read = port_read(pcm, bytes < sizeof pcm ? bytes : sizeof pcm);
        if (read == 0) {
            return failed(path, "is cut short");
        }
        status = zerda_push(zerda, pcm, read / sizeof *pcm);
        bytes -= read;
    }
    if (status == ZERDA_STATUS_OK) {
        status = zerda_finish(zerda);
    }
    if (status != ZERDA_STATUS_OK) {
        return failed("zerda", zerda_status_text(status));
    }
    print_number(heard.steps, 10, 1);
    port_print(" steps, logits ");
    print_number(~heard.crc, 16, 8);
    port_print("\n");
    return 0;
}
