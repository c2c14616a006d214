#include "config.h"

#include "model/value.h"

#include "base/num.h"
#include "model/octets.h"

#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* A longer number is not accepted: the column that Cacti's schema has would cut it to another one.
 * */
#define NUMBER_CHARS VALUE_COLUMN_CHARS

/* Bytes of a 64-bit number. */
#define HEX_BYTES 8

/* Part of a text that is not owned, not NUL-terminated. */
struct text {
    const char *p;
    size_t len;
};

/* --- characters (docs/contract.md 16.1) --- */

static bool value_is_digit(char c)
{
    return c >= '0' && c <= '9';
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

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Of a field of pairs. */
static bool is_name(char c)
{
    return is_letter(c) || value_is_digit(c) || c == '_' || c == '-' || c == '.';
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
        if (value_is_digit(t.p[i]))
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
        if (!value_is_digit(t.p[i]))
            return false;
        if (n < 100 * NUMBER_CHARS)
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

static bool value_is_number(struct text t)
{
    if (t.len > NUMBER_CHARS)
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

/* --- hex: Cacti's own definition, but for ':', which times of day and MAC addresses have --- */

/* Two or more groups of exactly two hex digits. */
static bool is_hex(struct text t)
{
    if (t.len < 5 || t.len % 3 != 2)
        return false;
    for (size_t i = 0; i < t.len; i++) {
        bool gap = i % 3 == 2;
        if (gap ? t.p[i] != ' ' && t.p[i] != '-' : num_hex_digit(t.p[i]) < 0)
            return false;
    }
    return true;
}

static bool put_unknown(struct buf *out)
{
    buf_putc(out, 'U');
    return false;
}

static bool value_put_text(struct text t, struct buf *out)
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
            n = n << 4 | (uint64_t)num_hex_digit(t.p[i]);
    }
    buf_printf(out, "%" PRIu64, n);
    return true;
}

/* --- pairs: the programs that read the results do not check them --- */

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

/* A name, a separator, and a number or U; a numeric name has no letter and no '_'. */
static bool is_field(struct text word, bool *ret_numeric_name)
{
    size_t name = 0;
    *ret_numeric_name = true;
    while (name < word.len && is_name(word.p[name])) {
        *ret_numeric_name = *ret_numeric_name && !is_letter(word.p[name]) && word.p[name] != '_';
        name++;
    }
    if (name == 0 || name == word.len || !is_separator(word.p[name]))
        return false;
    struct text value = {word.p + name + 1, word.len - name - 1};
    return value_is_number(value) || (value.len == 1 && value.p[0] == 'U');
}

static size_t count_bare_words(struct text t)
{
    struct text word;
    size_t bare = 0;
    while (next_word(&t, &word))
        bare += count(word, is_separator) == 0;
    return bare;
}

/* Every usable field, with single blanks between them; the rest is dropped.  Prose has times of day
 * in it ("1 day, 2:03"): beside words that are not pairs a field needs a letter in its name. */
static bool put_fields(struct text t, struct buf *out)
{
    struct text word;
    bool numeric;
    size_t before = out->len, bare = count_bare_words(t);
    while (next_word(&t, &word)) {
        struct text field = trim(word);
        if (!is_field(field, &numeric) || (numeric && bare > 0))
            continue;
        if (out->len > before)
            buf_putc(out, ' ');
        buf_append(out, field.p, field.len);
    }
    return out->len > before || put_unknown(out);
}

/* --- strip: the unit behind a number --- */

static struct text strip_unit(struct text t)
{
    while (t.len > 0 && !value_is_digit(t.p[t.len - 1]))
        t.len--;
    return t;
}

static bool is_number_with_unit(struct text t)
{
    return value_is_number(strip_unit(t)) && !is_hex_notation(t);
}

/* --- public: texts --- */

static bool value_put_trimmed(struct text t, struct buf *out)
{
    if (value_is_number(t))
        return value_put_text(t, out);
    if (is_hex(t))
        return put_hex(t, out);
    if (!has_pairs_shape(t) && is_number_with_unit(t))
        return value_put_text(strip_unit(t), out);
    return put_fields(t, out);
}

bool value_normalise(const char *raw, size_t len, struct buf *out)
{
    return value_put_trimmed(trim(until_nul(raw, len)), out);
}

/* The rest of a number may stand behind the cut, but for a number that a unit follows. */
static bool ends_in_unit(struct text t)
{
    for (size_t i = strip_unit(t).len; i < t.len; i++) {
        if (memchr("+-.eE", t.p[i], 5) == NULL)
            return true;
    }
    return false;
}

bool value_normalise_cut(const char *raw, size_t len, struct buf *out)
{
    struct text t = until_nul(raw, len);
    size_t whole = t.len;
    if (t.len < len)
        return value_put_trimmed(trim(t), out); /* it ended before the cut */
    while (whole > 0 && !is_blank(t.p[whole - 1]))
        whole--;
    struct text words = trim((struct text){t.p, whole}), all = trim(t);
    if (words.len == 0 && count(all, is_separator) == 0 && ends_in_unit(all))
        return value_put_trimmed(all, out);
    return value_put_trimmed(words, out);
}

size_t value_fit(const char *text, size_t len, size_t chars, size_t *ret_left_out)
{
    struct text t = {text, len}, word;
    *ret_left_out = 0;
    if (len <= chars || (count(t, is_separator) == 0 && !value_is_number(t)))
        return len;
    size_t fit = 0;
    while (next_word(&t, &word)) {
        if ((size_t)(word.p - text) + word.len <= chars)
            fit = (size_t)(word.p - text) + word.len;
        else
            ++*ret_left_out;
    }
    return fit;
}

size_t value_fields(const char *text, size_t len)
{
    struct text t = {text, len}, word;
    size_t n = 0;
    while (next_word(&t, &word))
        n++;
    return n;
}

/* --- public: SNMP values --- */

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

static bool begins_as_number(struct text t)
{
    struct magnitude m;
    size_t sign = scan_sign(t);
    return scan_mantissa((struct text){t.p + sign, t.len - sign}, &m) > 0;
}

/* Octets beyond ASCII that give no value as text: are they text nevertheless?  Any octets may happen
 * to be printable in ISO 8859-1, so that most of such a text has to be ASCII.  Few happen to be UTF-8,
 * but one of thirty pairs does. */
static bool is_prose(const struct varbind *vb, size_t len, enum octets_kind kind)
{
    size_t ascii, beyond;
    octets_count(vb->octets.data, len, &ascii, &beyond);
    return kind == OCTETS_UTF8 ? ascii > 0 || len > 2 : ascii >= 3 * beyond;
}

/* Text is text, padded or not; only what cannot be text is a binary number.  An Opaque value is meant
 * to be binary, so that only a number is taken for text there. */
static bool value_put_octets(const struct varbind *vb, struct buf *out)
{
    size_t len, before = out->len;
    enum octets_kind kind = octets_kind(vb->octets.data, vb->octets.len, &len);
    if (kind == OCTETS_BINARY)
        return put_octets_as_number(vb, out);
    struct text t = trim((struct text){(const char *)vb->octets.data, len});
    if (vb->type == VARBIND_OPAQUE && !begins_as_number(t))
        return put_octets_as_number(vb, out);
    bool known = value_put_trimmed(t, out);
    if (known || kind == OCTETS_ASCII || begins_as_number(t) || is_prose(vb, len, kind))
        return known;
    buf_truncate(out, before);
    return put_octets_as_number(vb, out);
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
    case VARBIND_OCTETS:
    case VARBIND_OPAQUE: return value_put_octets(vb, out);
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

bool value_is_pairs(const char *text)
{
    return strchr(text, ':') != NULL;
}
