#include "config.h"

#include "engine/timeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
        n++;
    return n;
}

static void no_name_of_a_device_can_end_the_data(void **state UNUSED)
{
    const struct census_facts facts = {.poller = 1, .driver = "async"};
    struct buf plain = BUF_INIT, odd = BUF_INIT;
    struct census *c = census_new();
    struct census_ask ended;
    struct happening e = {.type = EVENT_DEVICE_STARTED, .device = 7, .mono_us = 1, .wall_us = 1};
    timeline_print(c, &facts, &plain);
    happening_set_text(&e, "</script><!--<script>\"'&@DATA@");
    (void)census_take(c, &e, &ended);
    timeline_print(c, &facts, &odd);
    assert_int_equal(count(buf_str(&odd), "<"), count(buf_str(&plain), "<"));
    assert_int_equal(count(buf_str(&odd), "\\u003c/script>\\u003c!--\\u003cscript>\\\"'&@DATA@"),
                     1);
    assert_int_equal(count(buf_str(&plain), "@DATA@"), 0);
    census_free(c);
    buf_done(&plain);
    buf_done(&odd);
}

static void the_page_loads_nothing_from_elsewhere(void **state UNUSED)
{
    const struct census_facts facts = {.poller = 1, .driver = "legacy"};
    struct buf page = BUF_INIT;
    struct census *c = census_new();
    timeline_print(c, &facts, &page);
    assert_int_equal(count(buf_str(&page), "http:") + count(buf_str(&page), "https:"), 0);
    assert_int_equal(count(buf_str(&page), "src="), 0);
    assert_int_equal(count(buf_str(&page), "default-src 'none'"), 1);
    census_free(c);
    buf_done(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_name_of_a_device_can_end_the_data),
        cmocka_unit_test(the_page_loads_nothing_from_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
