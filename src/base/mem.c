#include "config.h"

#include "base/mem.h"

#include "base/lastword.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line for the log, with the words that Cacti's users know and the reason; then the signal ends the
 * process without another line. */
NORETURN static void mem_die(const char *why)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    char line[300];
    snprintf(line, sizeof(line), "FATAL: Spine Interrupted by Abort Signal: %s", why);
    lastword_say(line);
    sigaction(SIGABRT, &dfl, NULL);
    abort();
}

void mem_lack(void)
{
    mem_die("out of memory");
}

void *mem_need(void *p)
{
    if (p == NULL)
        mem_lack();
    return p;
}

void *mem_alloc(size_t size)
{
    return mem_need(malloc(size == 0 ? 1 : size));
}

void *mem_zalloc(size_t count, size_t size)
{
    return mem_need(calloc(count == 0 ? 1 : count, size == 0 ? 1 : size));
}

void *mem_realloc(void *p, size_t count, size_t size)
{
    CHECK(size == 0 || count <= SIZE_MAX / size);
    return mem_need(realloc(p, count * size == 0 ? 1 : count * size));
}

void *mem_grow(void *p, size_t count, size_t *cap, size_t first, size_t size)
{
    if (count < *cap)
        return p;
    *cap = *cap == 0 ? first : *cap * 2;
    return mem_realloc(p, *cap, size);
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t len)
{
    char *copy = mem_alloc(len + 1);
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

void mem_check_failed(const char *what, const char *file, int line)
{
    char why[200];
    snprintf(why, sizeof(why), "internal check failed: %s (%s:%d)", what, file, line);
    mem_die(why);
}
