#include "config.h"

#include "model/indextext.h"

#include "base/num.h"
#include "base/utf8.h"
#include "model/value.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

/* Bytes, not NUL-terminated; may hold any byte. */
struct bytes {
    const uint8_t *p;
    size_t len;
};

static struct bytes bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static bool indextext_is_control(uint8_t c)
{
    return c < 0x20 || c == 0x7f;
}

/* Neither control characters, but for blanks of any kind, nor anything that is not UTF-8. */
static bool is_text(struct bytes b)
{
    for (size_t i = 0, n; i < b.len; i += n) {
        n = utf8_length(b.p + i, b.len - i);
        if (n == 0 || (indextext_is_control(b.p[i]) && (b.p[i] < '\t' || b.p[i] > '\r')))
            return false;
    }
    return true;
}

/* Some devices fill a text up to its fixed size. */
static struct bytes without_padding(struct bytes b)
{
    while (b.len > 0 && (b.p[b.len - 1] == 0x00 || b.p[b.len - 1] == 0xff))
        b.len--;
    return b;
}

/* ---- what becomes of a text ---- */

/* Ways of PHP, net-snmp's tools and databases with bytes that are not ASCII, and with line ends. */
enum way {
    KEEP_ALL,
    LINES_JOINED,    /* the tools' output, line by line */
    WITHOUT_HIGH,    /* [^[:print:]] of PHP */
    WITHOUT_BAD,     /* what is not UTF-8 is left out */
    BAD_MARKED,      /* a database's '?' for each such byte */
    LONG_MARKED,     /* the same through a connection that takes three bytes for a character */
    CUT_AT_BAD,      /* a database that stores what comes before it */
    READ_AS_LATIN_1, /* ISO 8859-1, made UTF-8 */
    WAYS
};

static void put_bad(uint8_t c, enum way way, struct buf *out)
{
    if (way == BAD_MARKED || way == LONG_MARKED)
        buf_putc(out, '?');
    else if (way == KEEP_ALL || way == LINES_JOINED)
        buf_putc(out, (char)c);
}

static void put_way(struct bytes b, enum way way, struct buf *out)
{
    for (size_t i = 0, n; i < b.len; i += n) {
        uint8_t c = b.p[i];
        n = utf8_length(b.p + i, b.len - i);
        bool bad = n == 0 || (n == 4 && way == LONG_MARKED);
        if (way == READ_AS_LATIN_1 || bad)
            n = 1;
        if (bad && way == CUT_AT_BAD)
            return;
        if (c < 0x80)
            buf_putc(out, way == LINES_JOINED && (c == '\n' || c == '\r') ? ' ' : (char)c);
        else if (way == READ_AS_LATIN_1)
            utf8_put_latin1(out, c);
        else if (way != WITHOUT_HIGH && bad)
            put_bad(c, way, out);
        else if (way != WITHOUT_HIGH)
            buf_append(out, b.p + i, n);
    }
}

/* Length of the type label at the start of s, which Cacti removes wherever it stands; 0: there is
 * none. */
static size_t label_length(const char *s)
{
    static const char *const labels[] = {
        "hex:",     "counter32:", "counter64:", "gauge:",  "gauge32:",
        "gauge64:", "float:",     "ipaddress:", "string:", "integer:",
    };
    for (size_t i = 0; i < ARRAY_LEN(labels); i++)
        if (strncasecmp(s, labels[i], strlen(labels[i])) == 0)
            return strlen(labels[i]);
    return 0;
}

/* format_snmp_string(): applied to both sides, so it does not matter which of them has been through
 * it already. */
static void put_formatted(const char *s, struct buf *out)
{
    size_t start = out->len;
    while (*s != '\0') {
        size_t label = label_length(s);
        bool removed = indextext_is_control((uint8_t)*s) || strchr("\"'<>\\", *s) != NULL;
        bool leading = *s == ' ' && out->len == start;
        if (label == 0 && !removed && !leading)
            buf_putc(out, *s);
        s += label > 0 ? label : 1;
    }
    while (out->len > start && out->data[out->len - 1] == ' ')
        buf_truncate(out, out->len - 1);
}

static void indextext_put_trimmed(const char *s, struct buf *out)
{
    value_trim(s, strlen(s), out);
}

typedef void change_fn(const char *s, struct buf *out);

/* ---- comparing ---- */

/* A column that is full to its last character may have cut what was stored. */
static bool is_full(const char *stored)
{
    size_t chars = 0;
    for (; *stored != '\0'; stored++)
        chars += ((uint8_t)*stored & 0xc0) != 0x80;
    return chars >= INDEXTEXT_COLUMN_CHARS;
}

static bool same(const struct buf *stored, bool full, const struct buf *now)
{
    bool begins =
        now->len >= stored->len && strncmp(buf_str(now), buf_str(stored), stored->len) == 0;
    return begins && (now->len == stored->len || (full && stored->len > 0));
}

/* A NUL inside the octets ends no text: Cacti removes it as any other control character. */
static void drop_nuls(struct buf *text)
{
    size_t kept = 0;
    for (size_t i = 0; i < text->len; i++)
        if (text->data[i] != '\0')
            text->data[kept++] = text->data[i];
    buf_truncate(text, kept);
}

static bool same_text(const char *stored, bool full, struct bytes now, change_fn *change)
{
    struct buf raw = BUF_INIT, want = BUF_INIT, have = BUF_INIT;
    bool found = false;
    change(stored, &want);
    for (enum way way = KEEP_ALL; way < WAYS && !found; way++) {
        buf_clear(&raw);
        buf_clear(&have);
        put_way(now, way, &raw);
        drop_nuls(&raw);
        change(buf_str(&raw), &have);
        found = same(&want, full, &have);
    }
    buf_done(&raw);
    buf_done(&want);
    buf_done(&have);
    return found;
}

/* What net-snmp and Cacti put before hex pairs. */
static const char *after_hex_label(const char *s)
{
    static const char *const labels[] = {"hex-string:", "hex-", "hex:"};
    for (size_t i = 0; i < ARRAY_LEN(labels); i++)
        if (strncasecmp(s, labels[i], strlen(labels[i])) == 0)
            return s + strlen(labels[i]) + strspn(s + strlen(labels[i]), " ");
    return s;
}

/* Pairs of hex digits with one kind of separator between them, which may be missing where lines of the tools' output
 * were joined.  Without any, digits are hex only if the octets are not text: the text "5" and the
 * stored number 35 are two values. */
static bool same_hex(const char *stored, bool full, struct bytes now)
{
    const char *s = after_hex_label(stored);
    char separator = '\0';
    size_t i = 0;
    for (; i < now.len && *s != '\0'; i++) {
        if (num_hex_digit(s[0]) != now.p[i] >> 4)
            return false;
        if (s[1] == '\0')
            return full && separator != '\0';
        if (num_hex_digit(s[1]) != (now.p[i] & 15))
            return false;
        s += 2;
        if (i == 0 && *s != '\0' && strchr(" :-.", *s) != NULL)
            separator = *s;
        if (separator != '\0' && *s == separator && i + 1 < now.len)
            s++;
    }
    bool over = *s == '\0' && (i == now.len || full);
    return over && i > 0 && (separator != '\0' || !is_text(now));
}

/* net-snmp's tools print other octets as hex pairs. */
static bool is_ascii(struct bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        if (b.p[i] >= 0x80)
            return false;
    return is_text(b);
}

/* Four hex pairs are an address for Cacti, whatever they were meant to be. */
static bool same_address(const char *stored, struct bytes now)
{
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < now.len; i++)
        buf_printf(&text, "%s%u", i > 0 ? "." : "", (unsigned)now.p[i]);
    bool found = now.len == 4 && !is_ascii(now) && strcmp(stored, buf_str(&text)) == 0;
    buf_done(&text);
    return found;
}

/* A text that holds one of net-snmp's sentences about absence is stored as none. */
static bool is_banned(struct bytes now)
{
    static const char *const banned[] = {"End of MIB", "No Such", "No more"};
    struct buf text = BUF_INIT;
    put_way(now, KEEP_ALL, &text);
    bool found = false;
    for (size_t i = 0; i < ARRAY_LEN(banned); i++)
        found = found || strstr(buf_str(&text), banned[i]) != NULL;
    buf_done(&text);
    return found;
}

static bool same_octets(const char *stored, bool full, struct bytes now)
{
    return same_text(stored, full, now, put_formatted) ||
           same_text(stored, full, without_padding(now), put_formatted) ||
           same_hex(stored, full, now) || same_address(stored, now) ||
           (*stored == '\0' && is_banned(now));
}

static bool same_shown(const char *stored, bool full, const struct buf *shown)
{
    return same_text(stored, full, bytes_of(buf_str(shown)), indextext_put_trimmed);
}

/* snmpbulkwalk's form: days:hours:minutes:seconds. */
static bool same_ticks(const char *stored, uint64_t ticks)
{
    struct buf text = BUF_INIT;
    uint64_t seconds = ticks / 100;
    buf_printf(&text, "%" PRIu64 ":%u:%02u:%02u.%02u", seconds / 86400,
               (unsigned)(seconds / 3600 % 24), (unsigned)(seconds / 60 % 60),
               (unsigned)(seconds % 60), (unsigned)(ticks % 100));
    bool found = strcmp(stored, buf_str(&text)) == 0;
    buf_done(&text);
    return found;
}

static bool same_oid(const char *stored, bool full, struct oid now)
{
    uint32_t sub[OID_MAX_LEN];
    if (strncmp(stored, "OID: ", 5) == 0) /* snmpget's label, which Cacti leaves */
        stored += 5;
    size_t len = oid_parse(stored, sub);
    if (len > 0 && oid_equal(now, (struct oid){sub, len}))
        return true;
    struct buf numbers = BUF_INIT, named = BUF_INIT;
    oid_print(now, &numbers);
    oid_print_iso(now, &named);
    bool found = same_shown(stored, full, &numbers) || same_shown(stored, full, &named);
    buf_done(&numbers);
    buf_done(&named);
    return found;
}

static bool is_opaque(enum varbind_type type)
{
    return type >= VARBIND_OPAQUE && type <= VARBIND_OPAQUE_UINT64;
}

/* snmpget's labels for an Opaque value, of which Cacti leaves these. */
static const char *after_opaque_label(const char *s)
{
    static const char *const labels[] = {"opaque:", "int64:", "uint64:"};
    for (size_t i = 0; i < ARRAY_LEN(labels); i++)
        if (strncasecmp(s, labels[i], strlen(labels[i])) == 0)
            s += strlen(labels[i]) + strspn(s + strlen(labels[i]), " ");
    return s;
}

bool indextext_equal(const char *stored, const struct varbind *vb)
{
    bool full = is_full(stored);
    if (is_opaque(vb->type))
        stored = after_opaque_label(stored);
    if (vb->type == VARBIND_OCTETS || vb->type == VARBIND_OPAQUE)
        return same_octets(stored, full, (struct bytes){vb->octets.data, vb->octets.len});
    if (vb->type == VARBIND_OBJECT_ID)
        return same_oid(stored, full, vb->oid);
    if (vb->type == VARBIND_TIMETICKS && same_ticks(stored, vb->number))
        return true;
    struct buf text = BUF_INIT;
    varbind_text(vb, &text);
    bool found = same_shown(stored, full, &text);
    buf_done(&text);
    return found;
}

bool indextext_equal_output(const char *stored, const char *output, size_t len)
{
    struct bytes now = {(const uint8_t *)output, len};
    bool full = is_full(stored);
    return same_text(stored, full, now, indextext_put_trimmed) ||
           (!is_text(now) && same_hex(stored, full, now));
}

/* ---- showing ---- */

static void indextext_put_octets(const struct varbind *vb, struct buf *out)
{
    struct bytes text = without_padding((struct bytes){vb->octets.data, vb->octets.len});
    if (!is_text(text)) {
        varbind_text(vb, out);
        return;
    }
    struct buf raw = BUF_INIT;
    buf_append(&raw, text.p, text.len);
    put_formatted(buf_str(&raw), out);
    buf_done(&raw);
}

void indextext_put(const struct varbind *vb, struct buf *out)
{
    if (vb->type == VARBIND_OCTETS)
        indextext_put_octets(vb, out);
    else if (vb->type == VARBIND_OBJECT_ID)
        oid_print(vb->oid, out);
    else
        varbind_text(vb, out);
}
