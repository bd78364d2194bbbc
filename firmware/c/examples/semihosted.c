/* A Cortex-M board in QEMU, without a C library: start-up code, and files and text by semihosting. The recording is the
 * last argument that QEMU gives. */
#include <stdint.h>

#include "port.h"

/* What the linker script says. */
extern uint32_t data_start, data_end, data_load, bss_start, bss_end, stack_top;

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_GET_CMDLINE = 0x15, SYS_EXIT_EXTENDED = 0x20 };

static int32_t semihosting(uint32_t operation, const void *arguments)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

static uint32_t length(const char *text)
{
    uint32_t count = 0;
    while (text[count]) {
        count++;
    }
    return count;
}

/* Modes as of fopen: 1 is "rb", 4 is "w". */
static int32_t open(const char *path, uint32_t mode)
{
    const uint32_t arguments[] = {(uint32_t)path, mode, length(path)};
    return semihosting(SYS_OPEN, arguments);
}

static int32_t file;

int port_open(const char *path)
{
    file = open(path, 1);
    return file != -1;
}

size_t port_read(void *to, size_t bytes)
{
    const uint32_t arguments[] = {(uint32_t)file, (uint32_t)to, bytes};
    return bytes - (uint32_t)semihosting(SYS_READ, arguments);
}

void port_print(const char *text)
{
    static int32_t terminal;
    if (!terminal) {
        terminal = open(":tt", 4);
    }
    const uint32_t arguments[] = {(uint32_t)terminal, (uint32_t)text, length(text)};
    semihosting(SYS_WRITE, arguments);
}

static void quit(int code)
{
    const uint32_t arguments[] = {0x20026 /* the application ended */, (uint32_t)code};
    semihosting(SYS_EXIT_EXTENDED, arguments);
    for (;;) {
    }
}

static void fault(void)
{
    port_print("the processor took an exception\n");
    quit(1);
}

void start(void);

void start(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xF << 20; /* CPACR: floating point, and MVE where the core has it */
    __asm__ volatile("dsb\n isb");
    for (uint32_t *to = &data_start, *from = &data_load; to < &data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end;) {
        *to++ = 0;
    }
    static char line[256];
    uint32_t arguments[] = {(uint32_t)line, sizeof line};
    if (semihosting(SYS_GET_CMDLINE, arguments) != 0) {
        quit(2);
    }
    const char *path = line;
    for (const char *at = line; *at; at++) {
        path = *at == ' ' ? at + 1 : path;
    }
    quit(recognize(path));
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, start, fault, fault, fault, fault, fault, fault, 0, 0, 0, fault, fault, 0, fault, fault};
