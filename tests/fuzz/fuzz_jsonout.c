/* Any bytes as values of an event: what is written is one line of JSON in UTF-8 and holds these values, which another
 * program's parser reads. */
#include "config.h"

#include "fuzz.h"

#include "base/jsonout.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>

#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

enum { SEPARATOR = '\x1f', TEXTS_MAX = 8 };

struct values {
    int64_t integer;
    uint64_t number;
    double real;
    const char *text[TEXTS_MAX];
    size_t len[TEXTS_MAX];
    size_t count;
};

static struct values take_values(struct feed *f)
{
    struct values v = {.count = 0};
    uint64_t bits = feed_number(f, 8);
    v.integer = (int64_t)bits;
    v.number = feed_number(f, 8);
    memcpy(&v.real, &bits, sizeof(v.real));
    while (f->left > 0 && v.count < TEXTS_MAX) {
        v.len[v.count] = feed_span(f, SEPARATOR, &v.text[v.count]);
        v.count++;
    }
    return v;
}

static void write_values(struct buf *out, const struct values *v)
{
    jsonout_open(out, NULL, '{');
    jsonout_int(out, "integer", v->integer);
    jsonout_unsigned(out, "number", v->number);
    jsonout_real(out, "real", v->real);
    jsonout_open(out, "texts", '[');
    for (size_t i = 0; i < v->count; i++)
        jsonout_bytes(out, NULL, v->text[i], v->len[i]);
    jsonout_close(out, ']');
    jsonout_open(out, "empty", '{');
    jsonout_close(out, '}');
    jsonout_null(out, "none");
    jsonout_text(out, "nothing", NULL);
    jsonout_bool(out, "odd", v->number % 2 == 1);
    jsonout_close(out, '}');
}

#ifdef HAVE_JANSSON
static void check_real(const json_t *read, double real)
{
    uint64_t bits, expected;
    if (isfinite(real)) {
        CHECK(json_is_real(read));
        double again = json_real_value(read);
        CHECK(memcmp(&again, &real, sizeof(real)) == 0);
        return;
    }
    memcpy(&expected, &real, sizeof(expected));
    CHECK(sscanf(json_string_value(json_object_get(read, "bits")), "%16lx", &bits) == 1);
    CHECK(bits == expected);
}

static void check_text(const json_t *read, const char *text, size_t len)
{
    if (json_is_string(read)) {
        CHECK(json_string_length(read) == len);
        CHECK(memcmp(json_string_value(read), text, len) == 0);
        return;
    }
    const char *hex = json_string_value(json_object_get(read, "hex"));
    CHECK(hex != NULL && strlen(hex) == 2 * len);
    for (size_t i = 0; i < len; i++) {
        unsigned byte;
        CHECK(sscanf(hex + 2 * i, "%2x", &byte) == 1 && byte == (unsigned char)text[i]);
    }
}

static void check_read(const struct buf *line, const struct values *v)
{
    json_t *read = json_loadb(line->data, line->len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *texts = json_object_get(read, "texts");
    CHECK(json_object_size(read) == 8);
    CHECK(json_integer_value(json_object_get(read, "integer")) == v->integer);
    const json_t *number = json_object_get(read, "number");
    if (v->number > INT64_MAX)
        CHECK(strtoull(json_string_value(number), NULL, 10) == v->number);
    else
        CHECK(json_is_integer(number) && (uint64_t)json_integer_value(number) == v->number);
    check_real(json_object_get(read, "real"), v->real);
    CHECK(json_array_size(texts) == v->count);
    for (size_t i = 0; i < v->count; i++)
        check_text(json_array_get(texts, i), v->text[i], v->len[i]);
    CHECK(json_is_object(json_object_get(read, "empty")));
    CHECK(json_is_null(json_object_get(read, "none")) &&
          json_is_null(json_object_get(read, "nothing")));
    CHECK(json_is_true(json_object_get(read, "odd")) == (v->number % 2 == 1));
    json_decref(read);
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    struct values v = take_values(&f);
    struct buf line = BUF_INIT;
    write_values(&line, &v);
    CHECK(utf8_is_valid(line.data, line.len));
    for (size_t i = 0; i < line.len; i++)
        CHECK((unsigned char)line.data[i] >= 0x20 && line.data[i] != 0x7f);
#ifdef HAVE_JANSSON
    check_read(&line, &v);
#endif
    buf_done(&line);
    return 0;
}
