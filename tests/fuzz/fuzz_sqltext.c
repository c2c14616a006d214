/* Any bytes as texts of rows: a statement is the one without texts, and its literals hold these texts.
 *
 * Why: with a text that ended its literal a device could write other rows.  The statement is cut into literals
 * and the rest as a server does it; the rest must be that of the same rows with empty texts, to the byte, and each
 * literal must decode to its text.  The escaper is the real one, with a connection that was never opened.
 *
 * Input: kind, options, then three texts for each row, each ended by \x1f. */
#include "config.h"

#include "fuzz.h"

#include "base/utf8.h"
#include "model/pushtext.h"
#include "model/sqltext.h"

#include "../../src/drivers/db_private.h"

#include <mysql.h>

enum { ROWS_MAX = 6, TEXTS = 3, SEPARATOR = '\x1f', SHORT = 40 };

struct row {
    char *name[TEXTS]; /* without NUL */
    char *bytes;       /* of the last one, with NULs */
    size_t len;
};

struct rows {
    struct row row[ROWS_MAX];
    size_t count;
    uint8_t options;
    bool empty; /* the same rows without texts */
};

/* ---- a statement, as a server reads it ---- */

struct cut {
    struct buf rest; /* each literal is '' */
    struct buf literals[ROWS_MAX * PUSHTEXT_HOST_FIELDS + 8];
    size_t count;
};

static char unescaped(char c)
{
    switch (c) {
    case '0': return '\0';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'Z': return '\x1a';
    default: return c;
    }
}

/* From behind its first quote; what follows the last one. */
static const char *cut_literal(const char *p, const char *end, struct buf *out)
{
    for (; p < end; p++) {
        if (*p == '\\' && p + 1 < end) {
            buf_putc(out, unescaped(*++p));
        } else if (*p == '\'' && p + 1 < end && p[1] == '\'') {
            buf_putc(out, *p++);
        } else if (*p == '\'') {
            return p + 1;
        } else {
            buf_putc(out, *p);
        }
    }
    CHECK(!"a literal has no end");
    return end;
}

/* Outside of literals a statement of ours has no comment, no other quote and no second statement. */
static void cut_statement(const struct buf *sql, struct cut *ret)
{
    const char *p = buf_str(sql), *end = p + sql->len;
    while (p < end) {
        buf_putc(&ret->rest, *p);
        if (*p == '\'') {
            CHECK(ret->count < ARRAY_LEN(ret->literals));
            p = cut_literal(p + 1, end, &ret->literals[ret->count++]);
            buf_putc(&ret->rest, '\'');
            continue;
        }
        CHECK(*p >= ' ' && *p < 0x7f && strchr("\"`;#\\", *p) == NULL);
        CHECK(p + 1 == end || (memcmp(p, "--", 2) != 0 && memcmp(p, "/*", 2) != 0));
        p++;
    }
}

static void cut_done(struct cut *c)
{
    for (size_t i = 0; i < c->count; i++)
        buf_done(&c->literals[i]);
    buf_done(&c->rest);
    c->count = 0;
}

/* ---- what a literal must be ---- */

/* Invalid bytes are taken for characters of ISO 8859-1. */
static void put_expected(struct buf *out, const char *text, size_t len)
{
    for (size_t n; len > 0; text += n, len -= n) {
        n = utf8_length(text, len);
        if (n > 0)
            buf_append(out, text, n);
        else
            utf8_put_latin1(out, (unsigned char)*text);
        n = n > 0 ? n : 1;
    }
}

/* A column that may be shorter gets the first characters; of invalid bytes it is not known which. */
static void check_literal(const struct buf *literal, const char *text, size_t len, bool may_be_cut)
{
    struct buf expected = BUF_INIT;
    put_expected(&expected, text, len);
    may_be_cut = may_be_cut && len > SHORT;
    CHECK(utf8_is_valid(buf_str(literal), literal->len));
    CHECK(literal->len == expected.len || (may_be_cut && literal->len >= SHORT));
    if (!may_be_cut || utf8_is_valid(text, len))
        CHECK(literal->len <= expected.len &&
              memcmp(buf_str(literal), buf_str(&expected), literal->len) == 0);
    buf_done(&expected);
}

/* ---- the statements ---- */

static const char *name_of(const struct rows *r, size_t i, size_t text)
{
    return r->empty ? "" : r->row[i].name[text];
}

static struct sqltext_limits limits_of(const struct rows *r)
{
    return (struct sqltext_limits){.rows = 1 + (r->options >> 2 & 7),
                                   .bytes = (r->options & 32) != 0 ? 300 : 1 << 20,
                                   .row_alias = (r->options & 1) != 0,
                                   .form = (r->options & 2) != 0 ? SQLTEXT_MARIADB : SQLTEXT_ANY};
}

typedef size_t make_fn(struct buf *out, const struct rows *r, size_t at, size_t count,
                       const struct sqltext_limits *limits, struct db *db);

static size_t make_outputs(struct buf *out, const struct rows *r, size_t at, size_t count,
                           const struct sqltext_limits *limits, struct db *db)
{
    struct output_row rows[ROWS_MAX];
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct output_row){.local_data_id = (uint32_t)(at + i),
                                      .rrd_name = name_of(r, at + i, 0),
                                      .time = 1700000000,
                                      .output = r->empty ? "" : r->row[at + i].bytes,
                                      .output_len = r->empty ? 0 : r->row[at + i].len};
    return sqltext_outputs(out, "poller_output", rows, count, SIZE_MAX, limits, db_escape, db);
}

static size_t make_asserts(struct buf *out, const struct rows *r, size_t at, size_t count,
                           const struct sqltext_limits *limits, struct db *db)
{
    struct assert_row rows[ROWS_MAX];
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct assert_row){.device_id = (uint32_t)(at + i),
                                      .data_query_id = (uint32_t)(at + i) / 2,
                                      .arg1 = name_of(r, at + i, 0),
                                      .value = name_of(r, at + i, 1)};
    return sqltext_asserts(out, rows, count, limits, db_escape, db);
}

static size_t make_hosts(struct buf *out, const struct rows *r, size_t at, size_t count,
                         const struct sqltext_limits *limits, struct db *db)
{
    struct host_row rows[ROWS_MAX];
    struct system_info info[ROWS_MAX];
    for (size_t i = 0; i < count; i++) {
        info[i] =
            (struct system_info){.name = name_of(r, at + i, 1), .contact = name_of(r, at + i, 2)};
        rows[i] = (struct host_row){.device_id = (uint32_t)(at + i),
                                    .status = {.status = 3, .last_error = name_of(r, at + i, 0)},
                                    .has_status = true,
                                    .system = &info[i]};
    }
    return sqltext_hosts(out, rows, count, limits, db_escape, db);
}

static size_t make_pushed(struct buf *out, const struct rows *r, size_t at, size_t count,
                          const struct sqltext_limits *limits, struct db *db)
{
    struct pushed_host rows[ROWS_MAX];
    memset(rows, 0, sizeof(rows));
    for (size_t i = 0; i < count; i++) {
        rows[i].id = (uint32_t)(at + i);
        for (size_t t = 0; t < TEXTS; t++) {
            static const size_t field[TEXTS] = {0, 4, 10}; /* texts */
            rows[i].fields[field[t]] = name_of(r, at + i, t);
            rows[i].lengths[field[t]] = strlen(rows[i].fields[field[t]]);
        }
    }
    return pushtext_hosts(out, rows, count, limits, db_escape, db);
}

static size_t make_steps(struct buf *out, const struct rows *r, size_t at, size_t count,
                         const struct sqltext_limits *limits, struct db *db)
{
    struct pushed_step rows[ROWS_MAX];
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct pushed_step){.next_step = 60,
                                       .local_data_id = (uint32_t)(at + i),
                                       .rrd_name = name_of(r, at + i, 0)};
    return pushtext_steps(out, rows, count, limits, db_escape, db);
}

/* A literal of each row: which text it is, and whether its column may be shorter. */
struct place {
    size_t text;
    bool may_be_cut;
    bool bytes;
};

static const struct kind {
    make_fn *make;
    struct place places[TEXTS];
    size_t count;
} kinds[] = {
    {make_outputs, {{0, false, false}, {0, false, true}}, 2},
    {make_asserts, {{0, false, false}, {1, true, false}}, 2},
    {make_hosts, {{0, true, false}, {2, true, false}, {1, true, false}}, 3},
    {make_pushed, {{0, false, false}, {1, false, false}, {2, false, false}}, 3},
    {make_steps, {{0, false, false}}, 1},
};

static void check_texts(const struct kind *kind, const struct rows *r, size_t at, size_t count,
                        const struct cut *c)
{
    CHECK(c->count >= count * kind->count);
    for (size_t i = 0; i < count * kind->count; i++) {
        const struct row *row = &r->row[at + i / kind->count];
        const struct place *p = &kind->places[i % kind->count];
        const char *text = p->bytes ? row->bytes : row->name[p->text];
        check_literal(&c->literals[i], text, p->bytes ? row->len : strlen(text), p->may_be_cut);
    }
}

/* The same rows without texts; all of them in one statement. */
static void check_rest(const struct kind *kind, struct rows *r, size_t at, size_t count,
                       const struct cut *c, struct db *db)
{
    static struct cut plain;
    struct buf sql = BUF_INIT;
    struct sqltext_limits limits = limits_of(r);
    limits.rows = count;
    limits.bytes = SIZE_MAX / 2;
    r->empty = true;
    CHECK(kind->make(&sql, r, at, count, &limits, db) == count);
    r->empty = false;
    cut_statement(&sql, &plain);
    CHECK(plain.rest.len == c->rest.len);
    CHECK(memcmp(buf_str(&plain.rest), buf_str(&c->rest), c->rest.len) == 0);
    CHECK(plain.count == c->count);
    for (size_t i = count * kind->count; i < c->count; i++) /* constants behind the rows */
        CHECK(strcmp(plain.literals[i].data, c->literals[i].data) == 0);
    cut_done(&plain);
    buf_done(&sql);
}

static void fuzz_statements(const struct kind *kind, struct rows *r, struct db *db)
{
    static struct cut cut;
    const struct sqltext_limits limits = limits_of(r);
    struct buf sql = BUF_INIT;
    for (size_t at = 0, n; at < r->count; at += n) {
        buf_clear(&sql);
        n = kind->make(&sql, r, at, r->count - at, &limits, db);
        CHECK(n >= 1 && n <= r->count - at && n <= limits.rows);
        CHECK(n == 1 || sql.len <= limits.bytes);
        cut_statement(&sql, &cut);
        check_texts(kind, r, at, n, &cut);
        check_rest(kind, r, at, n, &cut, db);
        cut_done(&cut);
    }
    buf_done(&sql);
}

static void take_row(struct feed *f, struct row *row)
{
    for (size_t t = 0; t < TEXTS; t++) {
        const char *start;
        size_t len = feed_span(f, SEPARATOR, &start);
        row->name[t] = mem_strndup(start, strnlen(start, len));
        if (t + 1 < TEXTS)
            continue;
        row->bytes = mem_alloc(len + 1);
        memcpy(row->bytes, start, len);
        row->bytes[len] = '\0';
        row->len = len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct db db;
    struct feed f = {data, size};
    const struct kind *kind = &kinds[(uint8_t)(feed_byte(&f) - '0') % ARRAY_LEN(kinds)];
    struct rows r = {.options = feed_byte(&f)};
    if (db.mysql == NULL)
        db.mysql = mysql_init(NULL);
    while (f.left > 0 && r.count < ROWS_MAX)
        take_row(&f, &r.row[r.count++]);
    fuzz_statements(kind, &r, &db);
    for (size_t i = 0; i < r.count; i++) {
        for (size_t t = 0; t < TEXTS; t++)
            free(r.row[i].name[t]);
        free(r.row[i].bytes);
    }
    return 0;
}
