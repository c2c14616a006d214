#include "config.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void names_and_foreign_messages_make_no_second_line(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_false(err_set(&err, ERR_CONFIG, "cannot open %s: %s", "a\nERROR: b",
                         "gr\xc3\xbc\033[31m\x7f\r\n"));
    assert_string_equal(err.text, "cannot open a ERROR: b: gr\xc3\xbc [31m   ");
    assert_false(err_set_number(&err, ERR_UNAVAILABLE, 2013, "database: %s", "x\ny"));
    assert_string_equal(err.text, "database: x y");
    assert_int_equal(err.number, 2013);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_foreign_messages_make_no_second_line),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
