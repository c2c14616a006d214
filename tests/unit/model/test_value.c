#include "config.h"

#include "model/value.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

/* --- the tables of docs/values.md, which describes the syntax --- */

static bool put_escape(const char **p, const char *end, struct buf *out)
{
    static const char names[] = "nrt0\\s", bytes[] = "\n\r\t\0\\ ";
    if (*p == end)
        return false;
    char c = *(*p)++;
    const char *name = strchr(names, c);
    if (c != '\0' && name != NULL) {
        buf_putc(out, bytes[name - names]);
        return true;
    }
    if (c != 'x' || end - *p < 2 || !isxdigit((unsigned char)(*p)[0]) ||
        !isxdigit((unsigned char)(*p)[1]))
        return false;
    char digits[] = {(*p)[0], (*p)[1], '\0'};
    buf_putc(out, (char)strtoul(digits, NULL, 16));
    *p += 2;
    return true;
}

static bool unescape(const char *p, const char *end, struct buf *out);

/* "unit*count}" */
static bool put_repeated(const char **p, const char *end, struct buf *out)
{
    const char *close = memchr(*p, '}', (size_t)(end - *p));
    const char *star = close == NULL ? NULL : memrchr(*p, '*', (size_t)(close - *p));
    if (star == NULL)
        return false;
    struct buf unit = BUF_INIT;
    bool good = unescape(*p, star, &unit) && unit.len > 0;
    unsigned long count = strtoul(star + 1, NULL, 10);
    for (unsigned long i = 0; good && i < count; i++)
        buf_append(out, unit.data, unit.len);
    buf_done(&unit);
    *p = close + 1;
    return good && count > 0;
}

static bool unescape(const char *p, const char *end, struct buf *out)
{
    while (p < end) {
        char c = *p++;
        if (c == '\\') {
            if (!put_escape(&p, end, out))
                return false;
        } else if (c == '{') {
            if (!put_repeated(&p, end, out))
                return false;
        } else {
            buf_putc(out, c);
        }
    }
    return true;
}

/* The next column without the blanks and the backquotes around it; *line moves behind it. */
static bool next_column(char **line, struct buf *out)
{
    if (*line == NULL)
        return false;
    char *p = strsep(line, "|");
    p += strspn(p, " ");
    size_t len = strcspn(p, "\n");
    while (len > 0 && p[len - 1] == ' ')
        len--;
    if (len >= 2 && p[0] == '`' && p[len - 1] == '`')
        return unescape(p + 1, p + len - 1, out);
    return unescape(p, p + len, out);
}

static void print_bytes(const char *name, const struct buf *b)
{
    enum { SHOWN = 80 };
    printf("    %s (%zu bytes): ", name, b->len);
    for (size_t i = 0; i < b->len && i < SHOWN; i++) {
        unsigned char c = (unsigned char)b->data[i];
        printf(c >= 0x20 && c <= 0x7e ? "%c" : "\\x%02x", c);
    }
    printf("%s\n", b->len > SHOWN ? "..." : "");
}

static bool equal(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && memcmp(buf_str(a), buf_str(b), a->len) == 0;
}

static const struct {
    const char *name;
    enum varbind_type type;
} snmp_kinds[] = {
    {"octets", VARBIND_OCTETS},       {"opaque", VARBIND_OPAQUE},
    {"ipaddress", VARBIND_IPADDRESS}, {"integer", VARBIND_INTEGER},
    {"counter32", VARBIND_COUNTER32}, {"gauge32", VARBIND_GAUGE32},
    {"timeticks", VARBIND_TIMETICKS}, {"counter64", VARBIND_COUNTER64},
    {"float", VARBIND_OPAQUE_DOUBLE},
};

/* The varbind of a row; false: there is no such kind. */
static bool make_varbind(const char *kind, const struct buf *input, struct varbind *ret)
{
    size_t i = 0;
    while (i < sizeof(snmp_kinds) / sizeof(snmp_kinds[0]) && strcmp(kind, snmp_kinds[i].name) != 0)
        i++;
    if (i == sizeof(snmp_kinds) / sizeof(snmp_kinds[0]))
        return false;
    *ret = (struct varbind){.type = snmp_kinds[i].type};
    if (ret->type == VARBIND_INTEGER) {
        ret->integer = strtoll(buf_str(input), NULL, 10);
    } else if (ret->type == VARBIND_OPAQUE_DOUBLE) {
        ret->real = strtod(buf_str(input), NULL);
    } else if (ret->type == VARBIND_OCTETS || ret->type == VARBIND_OPAQUE ||
               ret->type == VARBIND_IPADDRESS) {
        ret->octets.data = (const uint8_t *)buf_str(input);
        ret->octets.len = input->len;
    } else {
        ret->number = strtoull(buf_str(input), NULL, 10);
    }
    return true;
}

static bool is_kind(const char *kind)
{
    struct varbind vb;
    const struct buf nothing = BUF_INIT;
    return strcmp(kind, "text") == 0 || strcmp(kind, "cut") == 0 ||
           make_varbind(kind, &nothing, &vb);
}

static bool normalise(const struct buf *kind, const struct buf *input, struct buf *out)
{
    struct varbind vb;
    if (make_varbind(buf_str(kind), input, &vb))
        return value_from_varbind(&vb, out);
    if (strcmp(buf_str(kind), "cut") == 0)
        return value_normalise_cut(buf_str(input), input->len, out);
    return value_normalise(buf_str(input), input->len, out);
}

static bool case_holds(const struct buf *kind, const struct buf *input, const struct buf *expected,
                       int number)
{
    struct buf actual = BUF_INIT, again = BUF_INIT;
    bool known = normalise(kind, input, &actual);
    bool holds = equal(&actual, expected) && known == (strcmp(buf_str(expected), "U") != 0);
    if (!holds) {
        printf("values.md:%d: returned %s\n", number, known ? "true" : "false");
        print_bytes("input   ", input);
        print_bytes("expected", expected);
        print_bytes("actual  ", &actual);
    }
    if (value_normalise(actual.data, actual.len, &again) != known || !equal(&again, &actual)) {
        printf("values.md:%d: normalising the result changes it\n", number);
        holds = false;
    }
    buf_done(&actual);
    buf_done(&again);
    return holds;
}

static bool line_holds(char *line, int number)
{
    struct buf kind = BUF_INIT, input = BUF_INIT, expected = BUF_INIT;
    bool holds = next_column(&line, &kind) && next_column(&line, &input) &&
                 next_column(&line, &expected) && expected.len > 0;
    if (holds)
        holds = case_holds(&kind, &input, &expected, number);
    else
        printf("values.md:%d: not a case\n", number);
    buf_done(&kind);
    buf_done(&input);
    buf_done(&expected);
    return holds;
}

static FILE *open_cases(void)
{
    const char *dir = getenv("TEST_SRCDIR");
    if (dir == NULL)
        fail_msg("TEST_SRCDIR is not set: run me by \"make check\"");
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/../docs/values.md", dir);
    FILE *f = fopen(path.data, "re");
    if (f == NULL)
        fail_msg("cannot open %s", path.data);
    buf_done(&path);
    return f;
}

/* The row behind its first bar if it is one of a table of cases; the head and other tables are not. */
static char *find_row(char *line)
{
    struct buf kind = BUF_INIT;
    char *row = NULL;
    if (strncmp(line, "| ", 2) == 0) {
        size_t len = strcspn(line + 2, " ");
        buf_append(&kind, line + 2, len);
        row = is_kind(buf_str(&kind)) ? line + 1 : NULL;
        if (row == NULL && strncmp(line + 2, "kind ", 5) != 0)
            row = line; /* no case, and told so */
    }
    buf_done(&kind);
    return row;
}

static void every_row_of_the_document_is_true(void **state)
{
    (void)state;
    FILE *f = open_cases();
    char *line = NULL;
    size_t size = 0;
    int cases = 0, failed = 0;
    for (int number = 1; getline(&line, &size, f) > 0; number++) {
        char *row = find_row(line);
        if (row == NULL)
            continue;
        cases++;
        failed += !line_holds(row, number);
    }
    free(line);
    (void)fclose(f);
    assert_true(cases > 350);
    if (failed > 0)
        fail_msg("%d of %d cases failed", failed, cases);
}

/* --- what a table cannot say --- */

static void the_result_is_appended(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    buf_puts(&out, "[");
    assert_true(value_normalise("5 ms", 4, &out));
    buf_puts(&out, "][");
    assert_false(value_normalise(NULL, 0, &out));
    buf_puts(&out, "][");
    assert_true(value_normalise("12 34", 5, &out));
    buf_puts(&out, "][");
    assert_true(value_normalise("a:1\nb:2\n", 8, &out));
    buf_puts(&out, "]");
    assert_string_equal(out.data, "[5][U][4660][a:1 b:2]");
    buf_done(&out);
}

/* A page that can be used between two that cannot: a step too far is a SIGSEGV. */
static char *fenced_page(size_t *ret_size)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 3 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages + size, size, PROT_READ | PROT_WRITE), 0);
    *ret_size = size;
    return pages + size;
}

static void use_text(const char *text, size_t len, struct buf *out)
{
    buf_clear(out);
    (void)value_normalise(text, len, out);
    assert_true(out->len > 0);
    buf_clear(out);
    (void)value_normalise_cut(text, len, out);
    assert_true(out->len > 0);
}

static void nothing_is_read_before_a_text_or_behind_it(void **state)
{
    (void)state;
    static const char text[] = "-1.5e-1 0x12-34 a:1 !\\ +";
    struct buf out = BUF_INIT;
    size_t size;
    char *page = fenced_page(&size);
    for (size_t from = 0; from < sizeof(text); from++) {
        for (size_t len = 1; len < sizeof(text) - from; len++) {
            memcpy(page + size - len, text + from, len);
            use_text(page + size - len, len, &out);
            memcpy(page, text + from, len);
            use_text(page, len, &out);
        }
    }
    assert_int_equal(munmap(page - size, 3 * size), 0);
    buf_done(&out);
}

static void what_stands_behind_the_length_does_not_count(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    assert_true(value_normalise("1e+5", 2, &out)); /* "e" is a unit */
    assert_string_equal(buf_str(&out), "1");
    buf_done(&out);
}

static void check_fit(const char *text, size_t chars, const char *stored, size_t left_out)
{
    size_t left = 99, len = value_fit(text, strlen(text), chars, &left);
    assert_int_equal(len, strlen(stored));
    assert_memory_equal(text, stored, len);
    assert_int_equal(left, left_out);
}

static void a_column_gets_whole_fields_and_never_half_a_number(void **state)
{
    (void)state;
    check_fit("in:5 out:6 last:42", 18, "in:5 out:6 last:42", 0);
    check_fit("in:5 out:6 last:42", 17, "in:5 out:6", 1); /* not last:4 */
    check_fit("in:5 out:6 last:42", 11, "in:5 out:6", 1);
    check_fit("in:5 out:6 last:42", 10, "in:5 out:6", 1);
    check_fit("in:5 out:6 last:42", 9, "in:5", 2);
    check_fit("in:5 out:6 last:42", 3, "", 3);
    check_fit("a:1e12 b:1e12", 12, "a:1e12", 1); /* not 1e1 */
    check_fit("a:-1.25 b:U c:1", 11, "a:-1.25 b:U", 1);
    check_fit("123456", 6, "123456", 0);
    check_fit("123456", 5, "", 1);
    check_fit("", 0, "", 0);
    check_fit("U", 0, "U", 0); /* unknown is left as it is */
    assert_int_equal(value_fields("in:5 out:6 last:42", 18), 3);
    assert_int_equal(value_fields("42", 2), 1);
}

static void a_colon_exempts_from_the_spike_kill(void **state)
{
    (void)state;
    assert_true(value_is_pairs("in:1 out:2"));
    assert_true(value_is_pairs("12:30:00"));
    assert_false(value_is_pairs("in!1 out!2"));
    assert_false(value_is_pairs("5"));
    assert_false(value_is_pairs("U"));
    assert_false(value_is_pairs(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_document_is_true),
        cmocka_unit_test(the_result_is_appended),
        cmocka_unit_test(nothing_is_read_before_a_text_or_behind_it),
        cmocka_unit_test(what_stands_behind_the_length_does_not_count),
        cmocka_unit_test(a_column_gets_whole_fields_and_never_half_a_number),
        cmocka_unit_test(a_colon_exempts_from_the_spike_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
