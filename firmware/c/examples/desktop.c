/* A PC: `recognize audio.wav`. */
#include <stdio.h>

#include "port.h"

static FILE *file;

int port_open(const char *path)
{
    file = fopen(path, "rb");
    return file != NULL;
}

size_t port_read(void *to, size_t bytes)
{
    return fread(to, 1, bytes, file);
}

void port_print(const char *text)
{
    fputs(text, stdout);
}

int main(int count, char **arguments)
{
    if (count != 2) {
        fputs("usage: recognize AUDIO.wav\n", stderr);
        return 2;
    }
    return recognize(arguments[1]);
}
