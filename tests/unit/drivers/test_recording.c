/* What model/record.h writes is what drivers/recording.h reads, and it reads nothing else. */
#include "config.h"

#include "drivers/recording.h"

#include "base/jsonout.h"
#include "model/record.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- a device with everything ---- */

static const uint32_t numbers[] = {1, 3, 6, 1, 4, 1, 4294967295, 0};
static const struct oid name = {numbers, ARRAY_LEN(numbers)};

static const struct target v2 = {
    .hostname = "udp:10.0.0.1",
    .port = 161,
    .version = 2,
    .timeout_ms = 500,
    .community = "sesame",
    .username = "",
    .password = "",
    .auth_protocol = "",
    .priv_passphrase = "",
    .priv_protocol = "",
    .context = "",
    .engine_id = "",
};
static const struct target v3 = {
    .hostname = "h\xff",
    .port = 65535,
    .version = 3,
    .timeout_ms = 4294967295,
    .community = "",
    .username = "u",
    .password = "sesame",
    .auth_protocol = "SHA",
    .priv_passphrase = "open \"quoted\"",
    .priv_protocol = "AES",
    .context = "ctx",
    .engine_id = "80",
};

static struct item items[] = {
    {.local_data_id = 1, .action = ITEM_SNMP, .rrd_name = "in", .arg1 = ".1.3", .target = &v2},
    {.local_data_id = 2, .action = ITEM_SCRIPT, .rrd_name = "", .arg1 = "a 'b'\n", .target = &v3},
    {.local_data_id = 4294967295, .action = -7, .rrd_name = "x", .arg1 = "", .target = &v2},
};
static struct reindex_row rows[] = {
    {.data_query_id = 3,
     .action = REINDEX_SCRIPT_COUNT,
     .op = '=',
     .assert_value = "5",
     .arg1 = "ls"},
    {.data_query_id = 4, .action = REINDEX_SNMP, .op = '<', .assert_value = "", .arg1 = ".1.3"},
};
static struct device device;
static struct devrun_options options;

static int make_device(void **state UNUSED)
{
    items[0].oid = rows[1].oid = name;
    device = (struct device){
        .id = 7,
        .device_threads = 2,
        .max_oids = 10,
        .snmp = v2,
        .availability_method = AVAIL_PING_OR_SNMP,
        .ping_method = PING_METHOD_TCP,
        .ping_port = 23,
        .ping_timeout_ms = 400,
        .ping_retries = 1,
        .status = {.status = HOST_RECOVERING,
                   .event_count = 3,
                   .fail_date = 1700000000,
                   .rec_date = -1,
                   .last_error = "it \x80 broke",
                   .min_time = 0.1,
                   .max_time = (double)INFINITY,
                   .cur_time = 1.0 / 3,
                   .avg_time = -0.0,
                   .total_polls = INT64_MAX,
                   .failed_polls = INT64_MIN,
                   .availability = 99.99999},
        .items = items,
        .item_count = ARRAY_LEN(items),
        .reindex = rows,
        .reindex_count = ARRAY_LEN(rows),
    };
    options = (struct devrun_options){.log_level = LOG_DEVDBG,
                                      .debug_device = true,
                                      .invalid_log = 2,
                                      .failure_count = 2,
                                      .recovery_count = 3,
                                      .system_info = true,
                                      .no_scripts = true,
                                      .agent_ms = 94000};
    return 0;
}

/* ---- lines ---- */

static struct buf line;

static void open_line(const char *type, const struct buf *data)
{
    buf_clear(&line);
    jsonout_open(&line, NULL, '{');
    jsonout_int(&line, "number", 5);
    jsonout_int(&line, "pid", 4711);
    jsonout_text(&line, "type", type);
    jsonout_int(&line, "device", device.id);
    jsonout_raw(&line, "data", data->data, data->len);
    jsonout_close(&line, '}');
}

static void write_event(const struct devrun_event *e)
{
    struct buf data = BUF_INIT;
    record_event(&device, &options, e, &data);
    open_line("run.input", &data);
    buf_done(&data);
}

static void write_action(const struct action *a)
{
    struct buf data = BUF_INIT;
    record_action(&device, a, &data);
    open_line("run.action", &data);
    buf_done(&data);
}

static void parse(struct recorded *r)
{
    struct err err = ERR_INIT;
    if (!recording_parse(line.data, line.len, r, &err))
        fail_msg("%s in %s", err.text, line.data);
    assert_int_equal(r->number, 5);
    assert_int_equal(r->pid, 4711);
    assert_int_equal(r->device, device.id);
}

/* Written, read and written again it is the same. */
static void assert_survives(const struct devrun_event *e)
{
    struct recorded r;
    struct buf again = BUF_INIT;
    write_event(e);
    parse(&r);
    assert_int_equal(r.kind, RECORDED_INPUT);
    assert_int_equal(r.event.kind, e->kind);
    assert_int_equal(r.event.ask_id, e->ask_id);
    assert_memory_equal(&r.event.at, &e->at, sizeof(e->at));
    record_event(r.started, &r.options, &r.event, &again);
    assert_non_null(strstr(line.data, again.data));
    buf_done(&again);
    recorded_done(&r);
}

static const struct moment at = {.mono_us = 123456789012, .wall_us = 1700000000123456};

/* ---- the tests ---- */

static void a_start_is_read_back_with_device_and_options(void **state UNUSED)
{
    struct devrun_event e = {.kind = DEVRUN_START, .at = at};
    struct recorded r;
    assert_survives(&e);
    parse(&r);
    assert_int_equal(r.started->item_count, 3);
    assert_ptr_equal(r.started->items[0].target, r.started->items[2].target);
    assert_string_equal(r.started->items[1].arg1, "a 'b'\n");
    assert_string_equal(r.started->status.last_error, "it \x80 broke");
    assert_true(oid_equal(r.started->items[0].oid, name));
    assert_memory_equal(&r.options, &options, sizeof(options.log_level) + sizeof(bool));
    recorded_done(&r);
}

static void secrets_are_not_written_but_their_equality_is(void **state UNUSED)
{
    struct devrun_event e = {.kind = DEVRUN_START, .at = at};
    struct recorded r;
    write_event(&e);
    assert_null(strstr(line.data, "sesame"));
    assert_null(strstr(line.data, "quoted"));
    parse(&r);
    const struct target *a = r.started->items[0].target, *b = r.started->items[1].target;
    assert_string_equal(a->community, b->password);
    assert_string_not_equal(b->password, b->priv_passphrase);
    assert_string_equal(b->community, "");
    assert_true(target_usable(a));
    recorded_done(&r);
}

static void every_kind_of_varbind_is_read_back(void **state UNUSED)
{
    const struct varbind varbinds[] = {
        {.name = name, .type = VARBIND_INTEGER, .integer = INT64_MIN},
        {.name = name, .type = VARBIND_COUNTER32, .number = UINT32_MAX},
        {.name = name, .type = VARBIND_GAUGE32},
        {.name = name, .type = VARBIND_TIMETICKS, .number = 1},
        {.name = name, .type = VARBIND_COUNTER64, .number = UINT64_MAX},
        {.name = name, .type = VARBIND_OCTETS, .octets = {(const uint8_t *)"\0\xff", 2}},
        {.name = name, .type = VARBIND_OCTETS, .octets = {(const uint8_t *)"\xc3\xa4 \"", 4}},
        {.name = name, .type = VARBIND_OCTETS},
        {.name = name, .type = VARBIND_IPADDRESS, .octets = {(const uint8_t *)"\x0a\0\0\1", 4}},
        {.name = name, .type = VARBIND_OBJECT_ID, .oid = name},
        {.name = {0}, .type = VARBIND_NULL},
        {.name = name, .type = VARBIND_OPAQUE, .octets = {(const uint8_t *)"\x9f", 1}},
        {.name = name, .type = VARBIND_OPAQUE_FLOAT, .real = 0.1},
        {.name = name, .type = VARBIND_OPAQUE_DOUBLE, .real = -(double)NAN},
        {.name = name, .type = VARBIND_OPAQUE_COUNTER64, .number = 1},
        {.name = name, .type = VARBIND_OPAQUE_INT64, .integer = -1},
        {.name = name, .type = VARBIND_OPAQUE_UINT64, .number = (uint64_t)INT64_MAX + 1},
        {.name = name, .type = VARBIND_NO_SUCH_OBJECT},
        {.name = name, .type = VARBIND_NO_SUCH_INSTANCE},
        {.name = name, .type = VARBIND_END_OF_MIB_VIEW},
        {.name = name, .type = VARBIND_UNKNOWN},
    };
    struct snmp_reply reply = {.varbinds = varbinds, .count = ARRAY_LEN(varbinds), .detail = ""};
    struct devrun_event e = {.kind = DEVRUN_SNMP, .ask_id = 3, .at = at, .snmp = &reply};
    struct recorded r;
    assert_survives(&e);
    parse(&r);
    assert_int_equal(r.event.snmp->varbinds[4].number, UINT64_MAX);
    assert_int_equal(r.event.snmp->varbinds[5].octets.len, 2);
    assert_memory_equal(r.event.snmp->varbinds[5].octets.data, "\0\xff", 2);
    double nan = -(double)NAN;
    assert_memory_equal(&r.event.snmp->varbinds[13].real, &nan, sizeof(nan));
    recorded_done(&r);
}

static void every_answer_is_read_back(void **state UNUSED)
{
    for (int i = SNMP_ANSWERED; i <= SNMP_IMPOSSIBLE; i++) {
        struct snmp_reply reply = {.outcome = (enum snmp_outcome)i,
                                   .error_status = 5,
                                   .error_index = -1,
                                   .detail = i == 0 ? NULL : "why\n",
                                   .elapsed_us = 17};
        assert_survives(&(struct devrun_event){
            .kind = DEVRUN_SNMP, .ask_id = UINT32_MAX, .at = at, .snmp = &reply});
    }
    for (int i = PING_UP; i <= PING_IMPOSSIBLE; i++) {
        struct ping_reply reply = {.outcome = (enum ping_outcome)i,
                                   .time_ms = 0.1,
                                   .text = "Host is alive",
                                   .fell_back = i == 1,
                                   .bad_name = "no such name"};
        assert_survives(
            &(struct devrun_event){.kind = DEVRUN_PING, .ask_id = 1, .at = at, .ping = &reply});
    }
    for (int i = SCRIPT_OUTPUT; i <= SCRIPT_CANCELLED; i++) {
        struct script_reply reply = {.outcome = (enum script_outcome)i,
                                     .output = i == 1 ? NULL : "1\0\xff\n",
                                     .len = i == 1 ? 0 : 4,
                                     .lines = UINT64_MAX,
                                     .server = 14,
                                     .limit_hit = i == 2,
                                     .detail = "exit status 1",
                                     .elapsed_us = 99};
        assert_survives(
            &(struct devrun_event){.kind = DEVRUN_SCRIPT, .ask_id = 2, .at = at, .script = &reply});
    }
    assert_survives(&(struct devrun_event){.kind = DEVRUN_STOP, .at = at});
}

/* One of each; two of a kind differ in one thing. */
static size_t all_actions(struct action *a)
{
    static const struct oid names[] = {{numbers, 8}, {numbers, 7}};
    static char text[] = "WARNING: \xff";
    static const struct system_info info = {.descr = "d", .has_uptime = true, .uptime_ticks = 1};
    static const struct system_info other = {.descr = "d"};
    const struct action all[] = {
        {.kind = ACTION_ASK,
         .ask = {1, ASK_SNMP, .snmp = {.target = &v2, .names = names, .count = 2}}},
        {.kind = ACTION_ASK,
         .ask = {2, ASK_SNMP, .snmp = {.target = &v2, .names = names, .count = 2}}},
        {.kind = ACTION_ASK,
         .ask = {1, ASK_SNMP, .snmp = {.target = &v2, .names = names, .count = 1}}},
        {.kind = ACTION_ASK,
         .ask = {1, ASK_SNMP, .snmp = {.target = &v3, .names = names, .count = 1}}},
        {.kind = ACTION_ASK, .ask = {1, ASK_SNMP, .snmp = {SNMP_OP_GETBULK, 10, &v2, names, 1, 0}}},
        {.kind = ACTION_ASK, .ask = {1, ASK_PING, .ping = {1, "h", 23, 400, 1}}},
        {.kind = ACTION_ASK, .ask = {1, ASK_PING, .ping = {1, "h", 23, 400, 2}}},
        {.kind = ACTION_ASK, .ask = {1, ASK_SCRIPT, .script = {.command = "ls"}}},
        {.kind = ACTION_ASK, .ask = {1, ASK_SERVER, .script = {.command = "ls"}}},
        {.kind = ACTION_ASK,
         .ask = {1, ASK_SCRIPT, .script = {.command = "ls", .count_lines = true}}},
        {.kind = ACTION_ASK,
         .ask = {1, ASK_SCRIPT, .script = {.command = "ls ", .count_lines = true}}},
        {.kind = ACTION_ASK, .ask = {1, ASK_SCRIPT, .script = {.command = "ls", .source = "DS"}}},
        {.kind = ACTION_ASK, .ask = {1, ASK_SCRIPT, .script = {.command = "ls", .source_id = 1}}},
        {.kind = ACTION_ROW, .row = {1, "in", 1700000000, "5", 1}},
        {.kind = ACTION_ROW, .row = {1, "in", 1700000000, "5\0", 2}},
        {.kind = ACTION_ROW, .row = {1, "in", 1700000001, "5", 1}},
        {.kind = ACTION_LOG, .log = {.level = LOG_ALWAYS, .text = text}},
        {.kind = ACTION_LOG, .log = {.level = LOG_MEDIUM, .text = text}},
        {.kind = ACTION_RECACHE, .recache = {7, 3}},
        {.kind = ACTION_RECACHE, .recache = {7, 4}},
        {.kind = ACTION_ASSERT, .assertion = {7, 3, "ls", "5"}},
        {.kind = ACTION_ASSERT, .assertion = {7, 3, "ls", "6"}},
        {.kind = ACTION_FINISHED, .finished = {.complete = true, .values = 1}},
        {.kind = ACTION_FINISHED, .finished = {.complete = true, .values = 2}},
        {.kind = ACTION_FINISHED, .finished = {.unknown = {[UNKNOWN_SPIKE] = 1}}},
        {.kind = ACTION_FINISHED, .finished = {.unknown = {[UNKNOWN_INVALID] = 1}}},
        {.kind = ACTION_FINISHED, .finished = {.host = {.has_status = true}}},
        {.kind = ACTION_FINISHED,
         .finished = {.host = {.has_status = true, .status = {.avg_time = 5e-324}}}},
        {.kind = ACTION_FINISHED, .finished = {.host = {.system = &info}}},
        {.kind = ACTION_FINISHED, .finished = {.host = {.system = &other}}},
    };
    memcpy(a, all, sizeof(all));
    return ARRAY_LEN(all);
}

static void two_actions_are_written_alike_only_if_they_are(void **state UNUSED)
{
    struct action all[40];
    struct recorded r[40];
    size_t n = all_actions(all);
    for (size_t i = 0; i < n; i++) {
        write_action(&all[i]);
        parse(&r[i]);
        assert_int_equal(r[i].kind, RECORDED_ACTION);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(r[i].action, r[k].action);
    }
    for (size_t i = 0; i < n; i++)
        recorded_done(&r[i]);
}

static void blanks_and_the_order_of_keys_do_not_matter(void **state UNUSED)
{
    const char *a = "{\"b\":[1,2.5],\"a\":\"x\"}", *b = " { \"a\" : \"x\", \"b\": [1, 25e-1] }\n";
    char *x = recording_canonical(a, strlen(a)), *y = recording_canonical(b, strlen(b));
    assert_string_equal(x, y);
    assert_null(recording_canonical("{", 1));
    free(x);
    free(y);
}

static void assert_refused(const char *text, const char *why)
{
    struct recorded r;
    struct err err = ERR_INIT;
    assert_false(recording_parse(text, strlen(text), &r, &err));
    assert_int_equal(err.kind, ERR_DATA);
    if (strstr(err.text, why) == NULL)
        fail_msg("'%s' is not in: %s", why, err.text);
}

#define HEAD "{\"number\":1,\"pid\":1,\"device\":7,\"type\":\"run.input\","

static void what_is_wrong_with_a_line_is_said(void **state UNUSED)
{
    assert_refused("", "not a JSON object");
    assert_refused("[]", "not a JSON object");
    assert_refused("{}", "\"type\" is missing");
    assert_refused("{\"type\":\"x\",\"pid\":1,\"number\":0}", "\"number\" is not a number in its");
    assert_refused("{\"type\":\"x\",\"type\":\"y\"}", "duplicate");
    assert_refused(HEAD "\"data\":{\"input\":\"stopp\"}}", "\"input\" is not a word");
    assert_refused(HEAD "\"data\":{\"input\":\"stop\",\"mono_us\":1.5,\"wall_us\":1}}",
                   "\"mono_us\" is not a number");
    assert_refused(HEAD "\"data\":{\"input\":{\"hex\":\"7g\"}}}", "\"input\" is not a text");
    assert_refused(HEAD "\"data\":{\"input\":{\"hex\":\"7\"}}}", "\"input\" is not a text");
    assert_refused(HEAD "\"data\":[]}", "\"input\" is missing");
}

static void lines_of_other_types_are_passed_over(void **state UNUSED)
{
    struct recorded r;
    struct err err = ERR_INIT;
    const char *text = "{\"number\":9,\"pid\":1,\"type\":\"from.the.future\",\"x\":[]}";
    assert_true(recording_parse(text, strlen(text), &r, &err));
    assert_int_equal(r.kind, RECORDED_OTHER);
    assert_int_equal(r.number, 9);
    recorded_done(&r);
}

/* ---- damaged lines ---- */

/* A line that is accepted must not hurt the core. */
static void try_line(const char *bytes, size_t len)
{
    struct recorded r;
    struct err err = ERR_INIT;
    if (!recording_parse(bytes, len, &r, &err)) {
        assert_int_equal(err.kind, ERR_DATA);
        return;
    }
    if (r.started != NULL) {
        struct devrun *run = devrun_new(r.started, &r.options);
        devrun_start(run, &r.event.at);
        while (devrun_next_action(run) != NULL)
            ;
        devrun_stop(run, &r.event.at);
        while (devrun_next_action(run) != NULL)
            ;
        devrun_free(run);
    }
    recorded_done(&r);
}

static uint32_t dice(void)
{
    static uint32_t x = 2463534242;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
}

/* Written to memory of exactly its size, so that a sanitizer sees a byte read too far. */
static void damage_line(int rounds)
{
    static const char spice[] = "\"\\{}[]:,0-9.eEx\0\x80\xff";
    for (size_t len = 0; len < line.len; len += 1 + line.len / 400) {
        char *cut = malloc(len + 1);
        memcpy(cut, line.data, len);
        try_line(cut, len);
        free(cut);
    }
    for (int i = 0; i < rounds; i++) {
        char *copy = malloc(line.len);
        memcpy(copy, line.data, line.len);
        for (uint32_t k = dice() % 3 + 1; k > 0; k--)
            copy[dice() % line.len] = dice() % 2 ? spice[dice() % sizeof(spice)] : (char)dice();
        try_line(copy, line.len);
        free(copy);
    }
}

static void damaged_lines_are_refused_or_harmless(void **state UNUSED)
{
    const struct varbind vb[] = {{.name = name, .type = VARBIND_OBJECT_ID, .oid = name},
                                 {.name = name, .type = VARBIND_OPAQUE_DOUBLE, .real = 1.5}};
    struct snmp_reply snmp = {.varbinds = vb, .count = 2};
    struct script_reply script = {.output = "\xff", .len = 1};
    struct action all[40];
    write_event(&(struct devrun_event){.kind = DEVRUN_START, .at = at});
    damage_line(4000);
    write_event(&(struct devrun_event){.kind = DEVRUN_SNMP, .ask_id = 1, .at = at, .snmp = &snmp});
    damage_line(4000);
    write_event(
        &(struct devrun_event){.kind = DEVRUN_SCRIPT, .ask_id = 1, .at = at, .script = &script});
    damage_line(4000);
    for (size_t i = all_actions(all); i-- > 0;) {
        write_action(&all[i]);
        damage_line(100);
    }
}

static int release(void **state UNUSED)
{
    buf_done(&line);
    return 0;
}

int main(void)
{
    struct err why = ERR_INIT;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_is_read_back_with_device_and_options),
        cmocka_unit_test(secrets_are_not_written_but_their_equality_is),
        cmocka_unit_test(every_kind_of_varbind_is_read_back),
        cmocka_unit_test(every_answer_is_read_back),
        cmocka_unit_test(two_actions_are_written_alike_only_if_they_are),
        cmocka_unit_test(blanks_and_the_order_of_keys_do_not_matter),
        cmocka_unit_test(what_is_wrong_with_a_line_is_said),
        cmocka_unit_test(lines_of_other_types_are_passed_over),
        cmocka_unit_test(damaged_lines_are_refused_or_harmless),
    };
    if (!recording_available(&why)) {
        printf("SKIP: recordings are not read: %s\n", why.text);
        return 77;
    }
    return cmocka_run_group_tests(tests, make_device, release);
}
