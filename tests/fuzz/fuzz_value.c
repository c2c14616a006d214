/* Any bytes as output of a script and as an SNMP value: the result is "U" or something that Cacti
 * can read, by an acceptance test that shares nothing with model/value.c.
 */
#include "config.h"

#include "fuzz.h"

#include "model/oid.h"
#include "model/value.h"

#include <float.h>
#include <math.h>

/* --- what may be stored --- */

static bool consists_of(const char *text, const char *set)
{
    return text[strspn(text, set)] == '\0';
}

static bool is_decimal(const char *text)
{
    char *end;
    if (!consists_of(text, "0123456789+-.eE") || strlen(text) > 512)
        return false;
    double d = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(d);
}

/* Fields with single blanks between them: a name, ':' or '!', and a number or U. */
static bool is_pairs(const char *text)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    struct buf copy = BUF_INIT;
    bool good = text[0] != '\0';
    buf_puts(&copy, text);
    char *rest = copy.data;
    while (good && rest != NULL) {
        char *word = strsep(&rest, " ");
        size_t len = strspn(word, name);
        good = len > 0 && (word[len] == ':' || word[len] == '!') &&
               (strcmp(word + len + 1, "U") == 0 || is_decimal(word + len + 1));
    }
    buf_done(&copy);
    return good;
}

static void check_result(bool known, const struct buf *out)
{
    CHECK(out->len > 0 && strlen(out->data) == out->len);
    CHECK(known == (strcmp(out->data, "U") != 0));
    CHECK(!known || is_decimal(out->data) || is_pairs(out->data));
}

static void check_idempotent(bool known, const struct buf *out)
{
    struct buf again = BUF_INIT;
    CHECK(value_normalise(out->data, out->len, &again) == known);
    CHECK(again.len == out->len && memcmp(again.data, out->data, out->len) == 0);
    buf_done(&again);
}

/* --- what must be stored --- */

static void check_plain_number_is_kept(const char *text, const struct buf *out)
{
    if (!is_decimal(text))
        return;
    double d = fabs(strtod(text, NULL));
    if (d < DBL_MAX && d > DBL_MIN)
        CHECK(strcmp(out->data, text) == 0);
}

/* Whatever is left out of a value, what stays is a value that begins it. */
static void check_fits(bool known, const struct buf *out)
{
    struct buf part = BUF_INIT;
    for (size_t chars = 0; known && chars <= out->len; chars = chars * 2 + 1) {
        size_t left_out, len = value_fit(out->data, out->len, chars, &left_out);
        CHECK(len <= chars);
        buf_clear(&part);
        buf_append(&part, out->data, len);
        CHECK(len == 0 || is_decimal(part.data) || is_pairs(part.data));
        CHECK((len == 0 ? 0 : value_fields(part.data, len)) + left_out ==
              value_fields(out->data, out->len));
    }
    buf_done(&part);
}

/* Surroundings that mean nothing change nothing. */
static void check_quoted_is_the_same(const char *text, const struct buf *out)
{
    struct buf quoted = BUF_INIT, again = BUF_INIT;
    buf_printf(&quoted, " \"\t'%s'\\\r\n", text);
    (void)value_normalise(quoted.data, quoted.len, &again);
    CHECK(strcmp(again.data, out->data) == 0);
    buf_done(&quoted);
    buf_done(&again);
}

static void fuzz_cut(const uint8_t *data, size_t size)
{
    struct buf out = BUF_INIT;
    check_result(value_normalise_cut((const char *)data, size, &out), &out);
    buf_done(&out);
}

static void fuzz_text(const uint8_t *data, size_t size)
{
    struct buf out = BUF_INIT;
    bool known = value_normalise((const char *)data, size, &out);
    check_result(known, &out);
    check_idempotent(known, &out);
    check_fits(known, &out);
    struct buf text = BUF_INIT;
    buf_append(&text, data, size);
    check_plain_number_is_kept(text.data, &out);
    check_quoted_is_the_same(text.data, &out);
    buf_done(&text);
    buf_done(&out);
}

static void fuzz_varbind(const uint8_t *data, size_t size, enum varbind_type type)
{
    const struct varbind vb = {.type = type, .octets = {data, size}};
    struct buf out = BUF_INIT, text = BUF_INIT;
    bool known = value_from_varbind(&vb, &out);
    check_result(known, &out);
    check_idempotent(known, &out);
    varbind_text(&vb, &text);
    CHECK(text.len >= size);
    buf_done(&text);
    buf_done(&out);
}

static void fuzz_oid(const uint8_t *data, size_t size)
{
    struct buf text = BUF_INIT, printed = BUF_INIT;
    uint32_t sub[OID_MAX_LEN], again[OID_MAX_LEN];
    buf_append(&text, data, size);
    size_t len = oid_parse(text.data, sub);
    if (len > 0) {
        oid_print((struct oid){sub, len}, &printed);
        CHECK(len >= 2 && len <= OID_MAX_LEN);
        CHECK(oid_parse(printed.data, again) == len);
        CHECK(memcmp(sub, again, len * sizeof(sub[0])) == 0);
    }
    buf_done(&text);
    buf_done(&printed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_text(data, size);
    fuzz_cut(data, size);
    fuzz_varbind(data, size, VARBIND_OCTETS);
    fuzz_varbind(data, size, VARBIND_OPAQUE);
    fuzz_varbind(data, size, VARBIND_IPADDRESS);
    fuzz_oid(data, size);
    return 0;
}
