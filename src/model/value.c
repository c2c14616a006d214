#include "config.h"

#include "model/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* Width of poller_output.output.  A longer number would be cut to another number. */
#define COLUMN_CHARS 512

/* Bytes of a 64-bit number. */
#define HEX_BYTES 8

/* Part of somebody's text, not NUL-terminated. */
struct text {
    const char *p;
    size_t len;
};

/* --- characters (contract 13.1) --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_trimmed(char c)
{
    return is_blank(c) || c == '"' || c == '\'' || c == '\\';
}

static bool is_separator(char c)
{
    return c == ':' || c == '!';
}

/* --- text --- */

static struct text until_nul(const char *raw, size_t len)
{
    if (len == 0)
        return (struct text){"", 0}; /* raw may be NULL */
    const char *nul = memchr(raw, '\0', len);
    return (struct text){raw, nul == NULL ? len : (size_t)(nul - raw)};
}

static struct text trim(struct text t)
{
    while (t.len > 0 && is_trimmed(t.p[t.len - 1]))
        t.len--;
    while (t.len > 0 && is_trimmed(t.p[0]))
        t = (struct text){t.p + 1, t.len - 1};
    return t;
}

static size_t count(struct text t, bool (*wanted)(char))
{
    size_t n = 0;
    for (size_t i = 0; i < t.len; i++)
        n += wanted(t.p[i]);
    return n;
}

/* Takes the first word off *rest. */
static bool next_word(struct text *rest, struct text *word)
{
    size_t from = 0;
    while (from < rest->len && is_blank(rest->p[from]))
        from++;
    size_t to = from;
    while (to < rest->len && !is_blank(rest->p[to]))
        to++;
    *word = (struct text){rest->p + from, to - from};
    *rest = (struct text){rest->p + to, rest->len - to};
    return word->len > 0;
}

/* --- numbers: [+-] digits [. digits] [e [+-] digits], in the range of normal doubles --- */

#define LEAD_DIGITS 17

/* lead is the first significant digits; the first of them counts 10^power. */
struct magnitude {
    uint64_t lead;
    int lead_len; /* 0: the number is zero so far */
    int power;
};

static void add_digit(struct magnitude *m, int digit, bool fraction)
{
    if (m->lead_len == 0 && digit == 0) {
        m->power -= fraction;
        return;
    }
    m->power += !fraction;
    if (m->lead_len < LEAD_DIGITS) {
        m->lead = m->lead * 10 + (uint64_t)digit;
        m->lead_len++;
    }
}

/* Length of the digits with at most one dot at the start of t; 0 if there is no digit. */
static size_t scan_mantissa(struct text t, struct magnitude *m)
{
    *m = (struct magnitude){.power = -1};
    bool fraction = false;
    size_t i = 0;
    for (; i < t.len; i++) {
        if (is_digit(t.p[i]))
            add_digit(m, t.p[i] - '0', fraction);
        else if (t.p[i] == '.' && !fraction)
            fraction = true;
        else
            break;
    }
    return i > (size_t)fraction ? i : 0;
}

static size_t scan_sign(struct text t)
{
    return t.len > 0 && (t.p[0] == '+' || t.p[0] == '-');
}

/* All of t, which may be empty, is an exponent; saturates far outside of what can be compensated by
 * digits. */
static bool scan_exponent(struct text t, int *ret)
{
    *ret = 0;
    if (t.len == 0)
        return true;
    if (t.p[0] != 'e' && t.p[0] != 'E')
        return false;
    size_t digits = 1 + scan_sign((struct text){t.p + 1, t.len - 1});
    int n = 0;
    for (size_t i = digits; i < t.len; i++) {
        if (!is_digit(t.p[i]))
            return false;
        if (n < 100 * COLUMN_CHARS)
            n = n * 10 + (t.p[i] - '0');
    }
    if (t.len == digits)
        return false;
    *ret = t.p[1] == '-' ? -n : n;
    return true;
}

/* Between DBL_MIN and DBL_MAX, compared by their first 17 digits. */
static bool in_range(struct magnitude m)
{
    if (m.lead_len == 0)
        return true;
    for (; m.lead_len < LEAD_DIGITS; m.lead_len++)
        m.lead *= 10;
    if (m.power == 308)
        return m.lead <= UINT64_C(17976931348623157);
    if (m.power == -308)
        return m.lead >= UINT64_C(22250738585072014);
    return m.power > -308 && m.power < 308;
}

static bool is_number(struct text t)
{
    if (t.len > COLUMN_CHARS)
        return false;
    size_t sign = scan_sign(t);
    t = (struct text){t.p + sign, t.len - sign};
    struct magnitude m;
    size_t mantissa = scan_mantissa(t, &m);
    int exponent;
    if (mantissa == 0 || !scan_exponent((struct text){t.p + mantissa, t.len - mantissa}, &exponent))
        return false;
    m.power += exponent;
    return in_range(m);
}

/* "0xFF" is not zero with the unit "xFF". */
static bool is_hex_notation(struct text t)
{
    size_t sign = scan_sign(t);
    return t.len >= sign + 2 && t.p[sign] == '0' && (t.p[sign + 1] | 0x20) == 'x';
}

/* --- hex: Cacti's own definition (contract 13.3, last paragraphs) --- */

/* Two or more groups of exactly two hex digits. */
static bool is_hex(struct text t)
{
    if (t.len < 5 || t.len % 3 != 2)
        return false;
    for (size_t i = 0; i < t.len; i++) {
        bool gap = i % 3 == 2;
        if (gap ? t.p[i] != ' ' && t.p[i] != '-' : hex_digit(t.p[i]) < 0)
            return false;
    }
    return true;
}

static bool put_unknown(struct buf *out)
{
    buf_putc(out, 'U');
    return false;
}

static bool put_text(struct text t, struct buf *out)
{
    buf_append(out, t.p, t.len);
    return true;
}

static bool put_hex(struct text t, struct buf *out)
{
    if (t.len > HEX_BYTES * 3 - 1)
        return put_unknown(out);
    uint64_t n = 0;
    for (size_t i = 0; i < t.len; i++) {
        if (i % 3 != 2)
            n = n << 4 | (uint64_t)hex_digit(t.p[i]);
    }
    buf_printf(out, "%" PRIu64, n);
    return true;
}

/* --- pairs --- */

/* One word, or as many separators as words. */
static bool has_pairs_shape(struct text t)
{
    size_t separators = count(t, is_separator);
    size_t words = 0;
    struct text rest = t, word;
    while (next_word(&rest, &word))
        words++;
    return separators > 0 && (words == 1 || separators == words);
}

static bool is_not_empty(struct text value)
{
    return value.len > 0;
}

static bool is_number_or_unknown(struct text value)
{
    return is_number(value) || (value.len == 1 && value.p[0] == 'U');
}

/* Some word is a name that is not empty, a separator and a value that is `good`. */
static bool has_field(struct text t, bool (*good)(struct text value))
{
    struct text word;
    while (next_word(&t, &word)) {
        size_t name = 0;
        while (name < word.len && !is_separator(word.p[name]))
            name++;
        if (name == 0 || name == word.len)
            continue;
        if (good((struct text){word.p + name + 1, word.len - name - 1}))
            return true;
    }
    return false;
}

/* Cacti splits pairs at white space of any kind and length; we store single blanks. */
static bool put_pairs(struct text t, struct buf *out)
{
    struct text word;
    for (bool first = true; next_word(&t, &word); first = false) {
        if (!first)
            buf_putc(out, ' ');
        buf_append(out, word.p, word.len);
    }
    return true;
}

/* --- strip: units and remarks after a value --- */

static struct text strip_unit(struct text t)
{
    while (t.len > 0 && !is_digit(t.p[t.len - 1]))
        t.len--;
    return t;
}

/* Whole words only: a cut within a pair could make another value of it ("b:0xFF" -> "b:0"). */
static struct text strip_remark(struct text t)
{
    for (;;) {
        size_t keep = t.len;
        while (keep > 0 && !is_blank(t.p[keep - 1]))
            keep--;
        struct text last = {t.p + keep, t.len - keep};
        if (last.len == 0 || count(last, is_digit) > 0 || count(last, is_separator) > 0)
            return t;
        t = trim((struct text){t.p, keep});
    }
}

static bool put_stripped(struct text t, struct buf *out)
{
    struct text number = strip_unit(t);
    if (is_number(number) && !is_hex_notation(t))
        return put_text(number, out);
    struct text pairs = strip_remark(t);
    if (has_pairs_shape(pairs) && has_field(pairs, is_number_or_unknown))
        return put_pairs(pairs, out);
    return put_unknown(out);
}

/* --- public --- */

bool value_normalise(const char *raw, size_t len, struct buf *out)
{
    struct text t = trim(until_nul(raw, len));
    if (is_number(t))
        return put_text(t, out);
    if (has_pairs_shape(t))
        return has_field(t, is_not_empty) ? put_pairs(t, out) : put_unknown(out);
    if (is_hex(t))
        return put_hex(t, out);
    return put_stripped(t, out);
}

static bool put_octets_as_number(const struct varbind *vb, struct buf *out)
{
    if (vb->octets.len == 0 || vb->octets.len > HEX_BYTES)
        return put_unknown(out);
    uint64_t n = 0;
    for (size_t i = 0; i < vb->octets.len; i++)
        n = n << 8 | vb->octets.data[i];
    buf_printf(out, "%" PRIu64, n);
    return true;
}

/* varbind_text() gives printable octets as they are and others as hex, which always differs in
 * length. */
static bool put_octets(const struct varbind *vb, struct buf *out)
{
    struct buf text = BUF_INIT;
    varbind_text(vb, &text);
    bool known = text.len == vb->octets.len ? value_normalise(text.data, text.len, out)
                                            : put_octets_as_number(vb, out);
    buf_done(&text);
    return known;
}

bool value_from_varbind(const struct varbind *vb, struct buf *out)
{
    switch (vb->type) {
    case VARBIND_INTEGER:
    case VARBIND_COUNTER32:
    case VARBIND_GAUGE32:
    case VARBIND_TIMETICKS:
    case VARBIND_COUNTER64:
    case VARBIND_OPAQUE_COUNTER64:
    case VARBIND_OPAQUE_INT64:
    case VARBIND_OPAQUE_UINT64: varbind_text(vb, out); return true;
    case VARBIND_OPAQUE_FLOAT:
    case VARBIND_OPAQUE_DOUBLE:
        if (!isfinite(vb->real))
            return put_unknown(out);
        varbind_text(vb, out);
        return true;
    case VARBIND_OCTETS: return put_octets(vb, out);
    case VARBIND_OPAQUE: return put_octets_as_number(vb, out);
    case VARBIND_IPADDRESS:
    case VARBIND_OBJECT_ID:
    case VARBIND_NULL:
    case VARBIND_NO_SUCH_OBJECT:
    case VARBIND_NO_SUCH_INSTANCE:
    case VARBIND_END_OF_MIB_VIEW:
    case VARBIND_UNKNOWN: break;
    }
    return put_unknown(out);
}

void value_trim(const char *raw, size_t len, struct buf *out)
{
    struct text t = trim(until_nul(raw, len));
    buf_append(out, t.p, t.len);
}

bool value_is_unknown(const char *text)
{
    return strcmp(text, "U") == 0;
}

bool value_is_pairs(const char *text)
{
    return strchr(text, ':') != NULL;
}
