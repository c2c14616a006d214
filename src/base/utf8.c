#include "config.h"

#include "base/utf8.h"

#include "base/compiler.h"

#include <stdint.h>

size_t utf8_length(const void *bytes, size_t len)
{
    static const struct {
        uint8_t low, high;               /* of the first byte */
        uint8_t second_low, second_high; /* the others are 80..BF */
        size_t len;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    const uint8_t *p = bytes;
    for (size_t i = 0; len > 0 && i < ARRAY_LEN(forms); i++) {
        size_t n = forms[i].len;
        if (p[0] < forms[i].low || p[0] > forms[i].high)
            continue;
        if (n > len || (n > 1 && (p[1] < forms[i].second_low || p[1] > forms[i].second_high)))
            return 0;
        for (size_t k = 2; k < n; k++)
            if (p[k] < 0x80 || p[k] > 0xbf)
                return 0;
        return n;
    }
    return 0;
}

bool utf8_is_valid(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    for (size_t at = 0, n; at < len; at += n) {
        n = utf8_length(p + at, len - at);
        if (n == 0)
            return false;
    }
    return true;
}

size_t utf8_cut(const char *text, size_t at)
{
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80)
        at--;
    return at;
}

void utf8_put_latin1(struct buf *out, unsigned char c)
{
    if (c >= 0x80)
        buf_putc(out, (char)(0xc0 | c >> 6));
    buf_putc(out, (char)(c < 0x80 ? c : 0x80 | (c & 0x3f)));
}
