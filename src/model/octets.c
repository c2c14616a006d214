#include "config.h"

#include "model/octets.h"

#include "base/utf8.h"

#include <stdbool.h>

static bool is_padding(uint8_t c)
{
    return c == 0x00 || c == 0xff;
}

static bool octets_is_printable(uint8_t c)
{
    return c >= 0x20 && c <= 0x7e;
}

static bool is_space(uint8_t c)
{
    return c >= '\t' && c <= '\r';
}

/* 80 to 9F are control characters in Unicode and in ISO 8859-1. */
static bool octets_is_high_control(const uint8_t *data, size_t len)
{
    return len == 2 && data[0] == 0xc2 && data[1] < 0xa0;
}

/* UTF-8 without control characters, but for white space. */
static bool octets_is_utf8(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t bytes = utf8_length(data + i, len - i);
        bool good = bytes == 1 ? octets_is_printable(data[i]) || is_space(data[i])
                               : bytes > 1 && !octets_is_high_control(data + i, bytes);
        if (!good)
            return false;
        i += bytes;
    }
    return true;
}

static bool is_latin1(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!octets_is_printable(data[i]) && !is_space(data[i]) && data[i] < 0xa0)
            return false;
    }
    return true;
}

void octets_count(const uint8_t *data, size_t len, size_t *ret_ascii, size_t *ret_beyond)
{
    *ret_ascii = *ret_beyond = 0;
    for (size_t i = 0; i < len; i++) {
        *ret_ascii += octets_is_printable(data[i]);
        *ret_beyond += data[i] >= 0x80;
    }
}

enum octets_kind octets_kind(const uint8_t *data, size_t len, size_t *ret_len)
{
    size_t kept = len;
    size_t ascii, beyond;
    while (kept > 0 && is_padding(data[kept - 1]))
        kept--;
    *ret_len = kept;
    octets_count(data, kept, &ascii, &beyond);
    if (kept == 0 || (kept < len && ascii + beyond == 0)) /* 0A 00 is not a padded line feed */
        return OCTETS_BINARY;
    if (octets_is_utf8(data, kept))
        return beyond == 0 ? OCTETS_ASCII : OCTETS_UTF8;
    return ascii > 0 && is_latin1(data, kept) ? OCTETS_LATIN1 : OCTETS_BINARY;
}

void octets_put_text(const uint8_t *data, size_t len, enum octets_kind kind, struct buf *out)
{
    for (size_t i = 0; i < len; i++) {
        if (kind == OCTETS_LATIN1)
            utf8_put_latin1(out, data[i]);
        else
            buf_putc(out, (char)data[i]);
    }
}
