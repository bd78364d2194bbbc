/* What recognize.c needs of the machine: desktop.c has it for a PC, semihosted.c for a board in QEMU. */
#ifndef PORT_H
#define PORT_H
#include <stddef.h>

/* Opens a file of the host; 0 if it cannot be read. */
int port_open(const char *path);
/* Reads at most so many bytes of it; 0 at its end. */
size_t port_read(void *to, size_t bytes);
/* Prints text. */
void port_print(const char *text);

/* Hears a WAV file; the program's exit code. */
int recognize(const char *path);
#endif
