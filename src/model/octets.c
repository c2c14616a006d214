#include "config.h"

#include "model/octets.h"

#include <stdbool.h>

static bool is_padding(uint8_t c)
{
    return c == 0x00 || c == 0xff;
}

static bool is_printable(uint8_t c)
{
    return c >= 0x20 && c <= 0x7e;
}

static bool is_space(uint8_t c)
{
    return c >= '\t' && c <= '\r';
}

/* The length of the UTF-8 character beyond ASCII at the start of data, 0 if there is none.  Overlong
 * forms, surrogates and control characters are none. */
static size_t utf8_length(const uint8_t *data, size_t len)
{
    static const struct {
        uint8_t mask, lead;
        uint32_t least;
    } forms[] = {{0xe0, 0xc0, 0xa0}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t form = 0; form < 3; form++) {
        if ((data[0] & forms[form].mask) != forms[form].lead)
            continue;
        size_t bytes = form + 2;
        uint32_t code = data[0] & (uint8_t)~forms[form].mask;
        if (len < bytes)
            return 0;
        for (size_t i = 1; i < bytes; i++) {
            if ((data[i] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (data[i] & 0x3f);
        }
        bool good = code >= forms[form].least && code <= 0x10ffff && (code & 0xfffff800) != 0xd800;
        return good ? bytes : 0;
    }
    return 0;
}

static bool is_utf8(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t bytes = is_printable(data[i]) || is_space(data[i]) ? 1 : 0;
        if (bytes == 0)
            bytes = utf8_length(data + i, len - i);
        if (bytes == 0)
            return false;
        i += bytes;
    }
    return true;
}

/* 80 to 9F are control characters in ISO 8859-1. */
static bool is_latin1(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_printable(data[i]) && !is_space(data[i]) && data[i] < 0xa0)
            return false;
    }
    return true;
}

void octets_count(const uint8_t *data, size_t len, size_t *ret_ascii, size_t *ret_beyond)
{
    *ret_ascii = *ret_beyond = 0;
    for (size_t i = 0; i < len; i++) {
        *ret_ascii += is_printable(data[i]);
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
    if (kept == 0 || (kept < len && ascii + beyond == 0)) /* 0A 00 is no padded line feed */
        return OCTETS_BINARY;
    if (is_utf8(data, kept))
        return beyond == 0 ? OCTETS_ASCII : OCTETS_UTF8;
    return ascii > 0 && is_latin1(data, kept) ? OCTETS_LATIN1 : OCTETS_BINARY;
}

void octets_put_text(const uint8_t *data, size_t len, enum octets_kind kind, struct buf *out)
{
    for (size_t i = 0; i < len; i++) {
        if (kind != OCTETS_LATIN1 || data[i] < 0x80) {
            buf_putc(out, (char)data[i]);
        } else {
            buf_putc(out, (char)(0xc0 | data[i] >> 6));
            buf_putc(out, (char)(0x80 | (data[i] & 0x3f)));
        }
    }
}
