#include "config.h"

#include "base/happening.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void every_type_has_a_name_of_its_own_and_an_explanation(void **state UNUSED)
{
    for (int i = 0; i < EVENT_TYPES; i++) {
        const struct happening_def *def = happening_get((enum happening_type)i);
        assert_non_null(def->name);
        assert_non_null(strchr(def->name, '.'));
        assert_true(strlen(def->help) > 10);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(def->name, happening_get((enum happening_type)k)->name);
    }
}

/* Every line of an event log has these. */
static void no_field_is_called_like_one_that_every_line_has(void **state UNUSED)
{
    static const char *const taken[] = {"number",  "pid",  "poller_id", "client_pid", "time",
                                        "mono_us", "type", "device",    "data"};
    for (int i = 0; i < EVENT_TYPES; i++) {
        const struct happening_def *def = happening_get((enum happening_type)i);
        for (size_t t = 0; t < ARRAY_LEN(taken); t++) {
            assert_true(def->text == NULL || strcmp(def->text, taken[t]) != 0);
            for (size_t k = 0; k < EVENT_FIGURES && def->figures[k] != NULL; k++)
                assert_string_not_equal(def->figures[k], taken[t]);
        }
    }
}

static void a_long_text_is_cut_between_characters(void **state UNUSED)
{
    struct happening e = {.type = EVENT_DB_DISCONNECTED};
    char text[100] = "";
    for (int i = 0; i < 31; i++)
        strcat(text, "\xc3\xa4");
    strcat(text, "x\xc3\xa4");
    happening_set_text(&e, text);
    assert_int_equal(strlen(e.text), EVENT_TEXT - 1); /* 62 + "x" */
    memmove(text + 1, text, strlen(text) + 1);
    text[0] = 'x';
    happening_set_text(&e, text); /* the 63rd byte would be half of a character */
    assert_int_equal(strlen(e.text), EVENT_TEXT - 1);
    text[0] = 'y';
    memmove(text + 1, text, strlen(text) + 1);
    happening_set_text(&e, text);
    assert_int_equal(strlen(e.text), EVENT_TEXT - 2);
    happening_set_text(&e, NULL);
    assert_string_equal(e.text, "");
}

static void printed_and_written_events_show_their_fields(void **state UNUSED)
{
    struct happening e = {.type = EVENT_DEVICE_DOWN, .device = 7, .figures = {3, 99}};
    struct buf b = BUF_INIT;
    happening_set_text(&e, "no\nanswer");
    happening_print(&e, &b);
    assert_string_equal(b.data, "device.down Device[7] failed_polls=3 error=no answer");
    buf_clear(&b);
    happening_json(&e, &b);
    assert_string_equal(b.data, "\"device\":7,\"failed_polls\":3,\"error\":\"no\\u000aanswer\"");
    buf_done(&b);
}

/* ---- docs/events.md ---- */

static char *read_document(void)
{
    const char *dir = getenv("TEST_SRCDIR");
    char path[4096], chunk[4096];
    struct buf b = BUF_INIT;
    if (dir == NULL)
        return NULL;
    snprintf(path, sizeof(path), "%s/../docs/events.md", dir);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        fail_msg("%s cannot be read", path);
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f)) > 0;)
        buf_append(&b, chunk, n);
    fclose(f);
    return buf_take(&b);
}

/* As a row of the table should be. */
static void describe(const struct happening_def *def, struct buf *out)
{
    const char *comma = "";
    buf_printf(out, "\n| `%s` | %s | ", def->name, def->detail ? "full" : "normal");
    if (def->has_device) {
        buf_puts(out, "`device`");
        comma = ", ";
    }
    for (size_t i = 0; i < EVENT_FIGURES && def->figures[i] != NULL; i++) {
        buf_printf(out, "%s`%s`", comma, def->figures[i]);
        comma = ", ";
    }
    if (def->text != NULL)
        buf_printf(out, "%s`%s`", comma, def->text);
    buf_printf(out, " | %s", def->help);
}

static uint64_t parsed(const char *list)
{
    uint64_t types = 0;
    const char *bad;
    assert_true(happening_parse_types(list, &types, &bad));
    return types;
}

static void assert_names_none(const char *list, const char *where)
{
    uint64_t types;
    const char *bad;
    assert_false(happening_parse_types(list, &types, &bad));
    assert_string_equal(bad, where);
}

static void types_are_named_one_by_one_or_by_their_beginning(void **state UNUSED)
{
    assert_int_equal(parsed("device.up"), UINT64_C(1) << EVENT_DEVICE_UP);
    assert_int_equal(parsed("device.up,db.lost"),
                     UINT64_C(1) << EVENT_DEVICE_UP | UINT64_C(1) << EVENT_DB_LOST);
    assert_int_equal(parsed("ask.*"), UINT64_C(1) << EVENT_ASK_STARTED |
                                          UINT64_C(1) << EVENT_ASK_ANSWERED |
                                          UINT64_C(1) << EVENT_ASK_FAILED);
    assert_int_equal(parsed("*"), (UINT64_C(1) << EVENT_RUN_INPUT) - 1); /* none for replay */
    assert_names_none("", "");
    assert_names_none("device.up,", "");
    assert_names_none("device.up,devise.*,x", "devise.*,x");
    assert_names_none("device", "device");
    assert_names_none("device.upper", "device.upper");
    assert_names_none("run.input", "run.input");
}

static void the_document_describes_each_type(void **state UNUSED)
{
    char *document = read_document();
    struct buf row = BUF_INIT;
    if (document == NULL) {
        print_message("SKIP: TEST_SRCDIR, which `make check` sets, does not say where it is\n");
        skip();
    }
    for (int i = 0; i < EVENT_TYPES; i++) {
        buf_clear(&row);
        describe(happening_get((enum happening_type)i), &row);
        if (strstr(document, row.data) == NULL)
            fail_msg("docs/events.md has no such row:%s", row.data);
    }
    buf_done(&row);
    free(document);
}

static void the_document_describes_nothing_else(void **state UNUSED)
{
    char *document = read_document();
    int rows = 0;
    if (document == NULL) {
        print_message("SKIP: TEST_SRCDIR, which `make check` sets, does not say where it is\n");
        skip();
    }
    for (const char *p = document; (p = strstr(p, "\n| `")) != NULL; p++)
        rows += strstr(p, "` | normal |") == p + strcspn(p + 4, "`") + 4 ||
                strstr(p, "` | full |") == p + strcspn(p + 4, "`") + 4;
    assert_int_equal(rows, EVENT_TYPES);
    free(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_a_name_of_its_own_and_an_explanation),
        cmocka_unit_test(no_field_is_called_like_one_that_every_line_has),
        cmocka_unit_test(a_long_text_is_cut_between_characters),
        cmocka_unit_test(printed_and_written_events_show_their_fields),
        cmocka_unit_test(types_are_named_one_by_one_or_by_their_beginning),
        cmocka_unit_test(the_document_describes_each_type),
        cmocka_unit_test(the_document_describes_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
