/* What is in a recording, and what is left out; drivers/test_recording.c has what is read back. */
#include "config.h"

#include "model/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool found_in(struct buf *out, const char *text)
{
    bool found = strstr(buf_str(out), text) != NULL;
    buf_done(out);
    return found;
}

static bool action_has(const struct device *device, const struct action *action, const char *text)
{
    struct buf out = BUF_INIT;
    record_action(device, action, &out);
    return found_in(&out, text);
}

static bool has(const struct host_row *host, const char *text)
{
    const struct device device = {.id = 7};
    return action_has(&device, &(struct action){.kind = ACTION_FINISHED, .finished.host = *host},
                      text);
}

static bool start_has(const struct device *device, const struct devrun_options *options,
                      const char *text)
{
    struct buf out = BUF_INIT;
    record_event(device, options, &(struct devrun_event){.kind = DEVRUN_START}, &out);
    return found_in(&out, text);
}

static void a_host_row_has_what_is_known(void **state UNUSED)
{
    const struct system_info fresh = {.name = "n"};
    const struct system_info old = {.name = "n", .has_uptime = true, .uptime_ticks = 4711};
    const struct host_row empty = {.device_id = 7};
    const struct host_row status = {.has_status = true, .status.last_error = "it broke"};
    const struct host_row polled = {.has_polling_time = true, .polling_time = 0.5};
    assert_true(has(&empty, "\"host\":{}"));
    assert_true(has(&status, "\"host\":{\"status\":{") &&
                has(&status, "\"last_error\":\"it broke\""));
    assert_true(has(&polled, "\"host\":{\"polling_time\":0.5}"));
    assert_true(has(&(struct host_row){.system = &old}, "\"uptime_ticks\":4711"));
    assert_true(has(&(struct host_row){.system = &fresh}, "\"name\":\"n\""));
    assert_false(has(&(struct host_row){.system = &fresh}, "uptime_ticks"));
}

static void only_reasons_that_occurred_are_written(void **state UNUSED)
{
    const struct device device = {.id = 7};
    const struct action none = {.kind = ACTION_FINISHED};
    const struct action one = {.kind = ACTION_FINISHED, .finished.unknown[UNKNOWN_SPIKE] = 2};
    assert_true(action_has(&device, &none, "\"unknown\":{}"));
    assert_true(action_has(&device, &one, "\"unknown\":{\""));
    assert_true(action_has(&device, &one, "\":2}"));
}

static void a_size_is_written_if_it_is_known(void **state UNUSED)
{
    const struct device device = {.id = 7};
    const struct devrun_options unknown = {.known_oids = 0}, known = {.known_oids = 5};
    assert_false(start_has(&device, &unknown, "known_oids"));
    assert_true(start_has(&device, &known, "\"known_oids\":5"));
}

static void different_secrets_have_different_numbers(void **state UNUSED)
{
    const struct devrun_options options = {.known_oids = 0};
    const struct device device = {
        .snmp = {.community = "a", .password = "b", .priv_passphrase = "c"}};
    assert_true(start_has(&device, &options, "\"community\":\"#1\""));
    assert_true(start_has(&device, &options, "\"password\":\"#2\""));
    assert_true(start_has(&device, &options, "\"priv_passphrase\":\"#3\""));
}

static struct target named(const char *hostname)
{
    return (struct target){.hostname = hostname,
                           .community = "",
                           .username = "",
                           .password = "",
                           .auth_protocol = "",
                           .priv_passphrase = "",
                           .priv_protocol = "",
                           .context = "",
                           .engine_id = ""};
}

static void an_ask_names_the_session_of_the_device_or_of_an_item(void **state UNUSED)
{
    static const uint32_t subs[] = {1, 3};
    static const struct oid name = {subs, ARRAY_LEN(subs)};
    const struct target own = named("own"), first = named("first"), second = named("second"),
                        other = named("other");
    struct item items[] = {{.target = &first}, {.target = &second}};
    const struct device device = {.snmp = own, .items = items, .item_count = ARRAY_LEN(items)};
    const struct {
        const struct target *target;
        const char *text;
    } cases[] = {{&own, "\"session\":\"device\""},
                 {&first, "\"session\":0"},
                 {&second, "\"session\":1"},
                 {&other, "\"session\":null"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct action ask = {
            .kind = ACTION_ASK,
            .ask = {1, ASK_SNMP, .snmp = {.target = cases[i].target, .names = &name, .count = 1}}};
        assert_true(action_has(&device, &ask, cases[i].text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_row_has_what_is_known),
        cmocka_unit_test(only_reasons_that_occurred_are_written),
        cmocka_unit_test(a_size_is_written_if_it_is_known),
        cmocka_unit_test(different_secrets_have_different_numbers),
        cmocka_unit_test(an_ask_names_the_session_of_the_device_or_of_an_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
