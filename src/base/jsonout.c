#include "config.h"

#include "base/jsonout.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- text ---- */

/* The length of the character that begins here, 0 if it is none (RFC 3629: no surrogates, shortest
 * form, at most U+10FFFF). */
static size_t utf8_length(const uint8_t *p, size_t left)
{
    static const struct {
        uint8_t low, high;               /* of the first byte */
        uint8_t second_low, second_high; /* the others are 80..BF */
        size_t len;
    } forms[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        size_t len = forms[i].len;
        if (p[0] < forms[i].low || p[0] > forms[i].high)
            continue;
        if (len > left || (len > 1 && (p[1] < forms[i].second_low || p[1] > forms[i].second_high)))
            return 0;
        for (size_t k = 2; k < len; k++)
            if (p[k] < 0x80 || p[k] > 0xbf)
                return 0;
        return len;
    }
    return 0;
}

static bool is_utf8(const uint8_t *p, size_t len)
{
    for (size_t at = 0, n; at < len; at += n) {
        n = utf8_length(p + at, len - at);
        if (n == 0)
            return false;
    }
    return true;
}

static void put_escaped(struct buf *out, const uint8_t *p, size_t len)
{
    size_t plain = 0; /* bytes before p that need no escape */
    for (size_t i = 0; i <= len; i++) {
        if (i < len && p[i] >= 0x20 && p[i] != '"' && p[i] != '\\' && p[i] != 0x7f) {
            plain++;
            continue;
        }
        buf_append(out, p + i - plain, plain);
        plain = 0;
        if (i == len)
            return;
        if (p[i] == '"' || p[i] == '\\')
            buf_printf(out, "\\%c", p[i]);
        else
            buf_printf(out, "\\u%04x", (unsigned)p[i]);
    }
}

/* ---- values ---- */

static void begin(struct buf *out, const char *key)
{
    char last = out->len == 0 ? '\n' : out->data[out->len - 1];
    if (last != '{' && last != '[' && last != '\n')
        buf_putc(out, ',');
    if (key != NULL)
        buf_printf(out, "\"%s\":", key);
}

void jsonout_open(struct buf *out, const char *key, char bracket)
{
    begin(out, key);
    buf_putc(out, bracket);
}

void jsonout_close(struct buf *out, char bracket)
{
    buf_putc(out, bracket);
}

void jsonout_null(struct buf *out, const char *key)
{
    begin(out, key);
    buf_puts(out, "null");
}

void jsonout_bool(struct buf *out, const char *key, bool value)
{
    begin(out, key);
    buf_puts(out, value ? "true" : "false");
}

void jsonout_int(struct buf *out, const char *key, int64_t value)
{
    begin(out, key);
    buf_printf(out, "%" PRId64, value);
}

void jsonout_unsigned(struct buf *out, const char *key, uint64_t value)
{
    begin(out, key);
    buf_printf(out, value > INT64_MAX ? "\"%" PRIu64 "\"" : "%" PRIu64, value);
}

/* 17 digits name one double and no other; printf() writes the locale's radix character, which may
 * be several bytes. */
void jsonout_real(struct buf *out, const char *key, double value)
{
    begin(out, key);
    if (!isfinite(value)) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof(bits));
        buf_printf(out, "{\"bits\":\"%016" PRIx64 "\"}", bits);
        return;
    }
    struct buf digits = BUF_INIT;
    buf_printf(&digits, "%.17g", value);
    size_t whole = strspn(digits.data, "-0123456789");
    const char *rest = digits.data + whole; /* nothing, an exponent, or a radix and more */
    buf_append(out, digits.data, whole);
    if (*rest == '\0')
        rest = ".0"; /* or it would be an integer, which has no -0 */
    if (*rest != 'e')
        buf_putc(out, '.');
    buf_puts(out, *rest == 'e' ? rest : rest + strcspn(rest, "0123456789"));
    buf_done(&digits);
}

void jsonout_text(struct buf *out, const char *key, const char *text)
{
    if (text == NULL)
        jsonout_null(out, key);
    else
        jsonout_bytes(out, key, text, strlen(text));
}

void jsonout_bytes(struct buf *out, const char *key, const void *bytes, size_t len)
{
    const uint8_t *p = len == 0 ? (const uint8_t *)"" : bytes;
    begin(out, key);
    if (is_utf8(p, len)) {
        buf_putc(out, '"');
        put_escaped(out, p, len);
        buf_putc(out, '"');
        return;
    }
    buf_puts(out, "{\"hex\":\"");
    for (size_t i = 0; i < len; i++)
        buf_printf(out, "%02x", (unsigned)p[i]);
    buf_puts(out, "\"}");
}

void jsonout_raw(struct buf *out, const char *key, const char *json, size_t len)
{
    begin(out, key);
    buf_append(out, json, len);
}
