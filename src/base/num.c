#include "config.h"

#include "base/num.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/types.h>

static bool starts_number(const char *s)
{
    if (*s == '-' || *s == '+')
        s++;
    return *s >= '0' && *s <= '9';
}

bool num_parse(const char *text, int64_t min, int64_t max, int64_t *ret)
{
    if (!starts_number(text))
        return false;
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || v < min || v > max)
        return false;
    *ret = v;
    return true;
}

int num_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int num_order(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

int num_compare_u32(const void *a, const void *b)
{
    return num_order(*(const uint32_t *)a, *(const uint32_t *)b);
}

int num_compare_pids(const void *a, const void *b)
{
    return num_order(*(const pid_t *)a, *(const pid_t *)b);
}

/* This number of digits cannot overflow. */
enum { NUM_SAFE_DIGITS = 18 };

/* Most texts are a few digits, for which the library function is slow. */
int64_t num_leading(const char *text)
{
    const char *digits = text + (*text == '-'), *at = digits;
    int64_t v = 0;
    while (*at >= '0' && *at <= '9' && at - digits < NUM_SAFE_DIGITS)
        v = v * 10 + (*at++ - '0');
    if (at == digits || (*at >= '0' && *at <= '9'))
        return strtoll(text, NULL, 10); /* white space, '+', no number, or many digits */
    return digits == text ? v : -v;
}

bool num_bool(const char *text, bool fallback)
{
    static const char *const yes[] = {"on", "yes", "true", "1"};
    static const char *const no[] = {"off", "no", "false", "0"};
    for (int i = 0; i < 4; i++) {
        if (strcasecmp(text, yes[i]) == 0)
            return true;
        if (strcasecmp(text, no[i]) == 0)
            return false;
    }
    return fallback;
}

uint64_t num_digest(uint64_t before, const void *bytes, size_t len)
{
    const unsigned char *b = bytes;
    for (size_t i = 0; i < len; i++)
        before = (before ^ b[i]) * UINT64_C(0x100000001b3);
    return before;
}
