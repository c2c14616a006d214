#include "config.h"

#include "base/jsonout.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- text ---- */

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

static void jsonout_begin(struct buf *out, const char *key)
{
    char last = out->len == 0 ? '\n' : out->data[out->len - 1];
    if (last != '{' && last != '[' && last != '\n')
        buf_putc(out, ',');
    if (key != NULL)
        buf_printf(out, "\"%s\":", key);
}

void jsonout_open(struct buf *out, const char *key, char bracket)
{
    jsonout_begin(out, key);
    buf_putc(out, bracket);
}

void jsonout_close(struct buf *out, char bracket)
{
    buf_putc(out, bracket);
}

void jsonout_null(struct buf *out, const char *key)
{
    jsonout_begin(out, key);
    buf_puts(out, "null");
}

void jsonout_bool(struct buf *out, const char *key, bool value)
{
    jsonout_begin(out, key);
    buf_puts(out, value ? "true" : "false");
}

void jsonout_int(struct buf *out, const char *key, int64_t value)
{
    jsonout_begin(out, key);
    buf_printf(out, "%" PRId64, value);
}

void jsonout_unsigned(struct buf *out, const char *key, uint64_t value)
{
    jsonout_begin(out, key);
    buf_printf(out, value > INT64_MAX ? "\"%" PRIu64 "\"" : "%" PRIu64, value);
}

/* 17 digits name one double and no other; printf() writes the locale's radix character, which may
 * be several bytes. */
void jsonout_real(struct buf *out, const char *key, double value)
{
    jsonout_begin(out, key);
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
    jsonout_begin(out, key);
    if (utf8_is_valid(p, len) && memchr(p, 0, len) == NULL) {
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
    jsonout_begin(out, key);
    buf_append(out, json, len);
}
