/* Calls that are wrong, one after another: a line with the status of each. host-tools/cli/tests/c compares them. */
#include <stdio.h>
#include <string.h>

#include "zerda.h"
#include "zerda_image.h"

extern const unsigned char zerda_image[ZERDA_IMAGE_BYTES];
static _Alignas(ZERDA_ALIGNMENT) unsigned char storage[ZERDA_IMAGE_STORAGE_BYTES + ZERDA_ALIGNMENT];
static _Alignas(ZERDA_ALIGNMENT) unsigned char copy[ZERDA_IMAGE_BYTES + ZERDA_ALIGNMENT];
static _Alignas(ZERDA_ALIGNMENT) unsigned char moved[ZERDA_STATE_BYTES];
static const ZerdaCallbacks silent;
static Zerda *zerda;

static void said(const char *call, ZerdaStatus status)
{
    printf("%s: %d %s\n", call, (int)status, zerda_status_text(status));
}

static ZerdaStatus init(const void *image, size_t image_bytes)
{
    return zerda_init(storage, sizeof storage, image, image_bytes, &silent, &zerda);
}

/* The image, changed in one byte. */
static ZerdaStatus changed(size_t at)
{
    memcpy(copy, zerda_image, sizeof zerda_image);
    copy[at] ^= 1;
    return init(copy, sizeof zerda_image);
}

static void on_logits(void *context, const int8_t *logits, size_t count)
{
    (void)logits;
    (void)count;
    ZerdaStatus *inner = context;
    Zerda *made = zerda;
    inner[0] = zerda_reset(made);
    inner[1] = init(zerda_image, sizeof zerda_image);
    zerda = made;
}

static void on_fault(void *context, const ZerdaFault *fault)
{
    (void)context;
    printf("fault %d, %u samples\n", (int)fault->kind, (unsigned)fault->lost_samples);
}

static void storages(void)
{
    const size_t needed = ZERDA_IMAGE_STORAGE_BYTES, length = sizeof zerda_image;
    said("storage NULL", zerda_init(NULL, needed, zerda_image, length, &silent, &zerda));
    printf("handle after a failure: %s\n", zerda == NULL ? "NULL" : "left");
    said("storage + 8", zerda_init(storage + 8, needed, zerda_image, length, &silent, &zerda));
    said("storage - 1", zerda_init(storage, needed - 1, zerda_image, length, &silent, &zerda));
    said("storage of 0", zerda_init(storage, 0, zerda_image, length, &silent, &zerda));
    said("callbacks NULL", zerda_init(storage, needed, zerda_image, length, NULL, &zerda));
    said("handle NULL", zerda_init(storage, needed, zerda_image, length, &silent, NULL));
    memcpy(copy, zerda_image, length);
    said("storage on the image", zerda_init(copy, needed, copy, length, &silent, &zerda));
    said("storage to spare", zerda_init(storage, sizeof storage, zerda_image, length, &silent, &zerda));
}

static void images(void)
{
    const size_t length = sizeof zerda_image;
    said("image NULL", init(NULL, length));
    said("image of 0 bytes", init(zerda_image, 0));
    said("image too long for memory", init(zerda_image, SIZE_MAX));
    said("image - 1", init(zerda_image, length - 1));
    said("image of 64 bytes", init(zerda_image, 64));
    memcpy(copy + 1, zerda_image, length);
    said("image misaligned", init(copy + 1, length));
    memcpy(copy, zerda_image, length);
    said("image + 1", init(copy, length + 1));
    said("foreign image", changed(0));
    said("next version", changed(4));
    said("damaged image", changed(length / 2));
    printf("storage bytes of a header, of less, of no image: %zu %zu %zu\n",
           zerda_storage_bytes(zerda_image, 64) - ZERDA_IMAGE_STORAGE_BYTES, zerda_storage_bytes(zerda_image, 63),
           zerda_storage_bytes(NULL, 64));
}

static void handles(void)
{
    static const int16_t pcm[1600];
    memset(storage, 0, sizeof storage);
    said("push to NULL", zerda_push(NULL, pcm, 160));
    said("push before init", zerda_push((Zerda *)storage, pcm, 160));
    said("push to no address of one", zerda_push((Zerda *)(storage + 4), pcm, 160));
    said("init", init(zerda_image, sizeof zerda_image));
    said("push NULL", zerda_push(zerda, NULL, 160));
    said("push NULL of nothing", zerda_push(zerda, NULL, 0));
    said("push misaligned", zerda_push(zerda, (const int16_t *)((const char *)pcm + 1), 160));
    said("push too long", zerda_push(zerda, pcm, SIZE_MAX / 2));
    memcpy(moved, storage, sizeof moved);
    said("push to a copy", zerda_push((Zerda *)moved, pcm, 160));
    said("finish, reset, lose, check NULL", zerda_finish(NULL) & zerda_reset(NULL) & zerda_lost(NULL, 1) & zerda_check_image(NULL));

    ZerdaStatus inner[2] = {ZERDA_STATUS_OK, ZERDA_STATUS_OK};
    const ZerdaCallbacks calling = {.context = inner, .on_logits = on_logits};
    zerda_init(storage, sizeof storage, zerda_image, sizeof zerda_image, &calling, &zerda);
    said("push", zerda_push(zerda, pcm, 1600) | zerda_finish(zerda));
    said("reset from a callback", inner[0]);
    said("init from a callback", inner[1]);
    said("push after that", zerda_push(zerda, pcm, 1600));
}

static void thresholds(void)
{
    char longest[66];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    uint8_t threshold = 0;
    init(zerda_image, sizeof zerda_image);
    said("threshold", zerda_set_threshold(zerda, "yes", 200));
    said("reset", zerda_reset(zerda));
    said("what is in force", zerda_threshold(zerda, "yes", &threshold));
    printf("threshold of yes: %d\n", threshold);
    said("threshold 2", zerda_set_threshold(zerda, "yes", 2));
    said("threshold 254", zerda_set_threshold(zerda, "yes", 254));
    said("threshold of no label", zerda_set_threshold(zerda, "maybe", 100));
    said("threshold of a long name", zerda_set_threshold(zerda, longest, 100));
    said("threshold of silence", zerda_set_threshold(zerda, "_silence_", 100));
    said("threshold of NULL", zerda_set_threshold(zerda, NULL, 100));
    said("threshold to NULL", zerda_threshold(zerda, "yes", NULL));
    zerda_threshold(zerda, "yes", &threshold);
    printf("threshold of yes: %d\n", threshold);
    said("off", zerda_set_threshold(zerda, "yes", 0));
}

static void smoothing(void)
{
    uint8_t frames = 0;
    init(zerda_image, sizeof zerda_image);
    said("smoothing", zerda_set_smoothing(zerda, 32));
    said("reset", zerda_reset(zerda));
    said("smoothing 0", zerda_set_smoothing(zerda, 0));
    said("smoothing 33", zerda_set_smoothing(zerda, 33));
    said("smoothing to NULL", zerda_smoothing(zerda, NULL));
    said("what is in force", zerda_smoothing(zerda, &frames));
    printf("smoothing: %d\n", frames);
}

static void faults(void)
{
    const ZerdaCallbacks telling = {.on_fault = on_fault};
    memcpy(copy, zerda_image, sizeof zerda_image);
    zerda_init(storage, sizeof storage, copy, sizeof zerda_image, &telling, &zerda);
    said("lost", zerda_lost(zerda, 480));
    said("check", zerda_check_image(zerda));
    copy[sizeof zerda_image - 1] ^= 0x10;
    said("check after a bit flipped", zerda_check_image(zerda));
    said("no status", 99);
    said("no status", -1);
    printf("version %s\n", zerda_version());
}

int main(void)
{
    storages();
    images();
    handles();
    thresholds();
    smoothing();
    faults();
    return 0;
}
