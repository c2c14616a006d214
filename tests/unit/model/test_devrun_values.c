/* What becomes of texts that are too long for their column, and of the system texts of a device. */
#include "config.h"

#include "devrun_drive.h"

static const char *sent; /* by the agent and by the script */
static size_t sent_len;
static bool sent_cut;

static void send_text(const struct snmp_request *rq, struct answer *a)
{
    for (size_t i = 0; i < rq->count; i++)
        a->vb[a->reply.count++] = (struct varbind){.name = rq->names[i],
                                                   .type = VARBIND_OCTETS,
                                                   .octets = {(const uint8_t *)sent, sent_len}};
}

static void print_text(int item, struct script_reply *reply)
{
    (void)item;
    *reply = (struct script_reply){
        .outcome = SCRIPT_OUTPUT, .output = sent, .len = sent_len, .cut = sent_cut};
    if (sent_cut)
        reply->detail = "limit: output cut to 2047 of 5001 bytes";
    reply->limit_hit = sent_cut;
}

/* Runs the device with one item, or with none, up to its end; the run is still there, for what its
 * result borrows. */
static struct devrun *run_with(const char *text, size_t len)
{
    sent = text;
    sent_len = len;
    b.agent = send_text;
    b.script = print_text;
    struct devrun *run = devrun_new(&b.device, &b.options);
    struct moment when = now();
    devrun_start(run, &when);
    while (take_actions(run))
        answer_one(run);
    return run;
}

/* "name:NNNN" so often that they have `chars` characters, the last of them longer if need be. */
static void make_pairs(size_t chars, struct buf *out)
{
    for (int i = 1000; out->len + 20 <= chars; i++)
        buf_printf(out, "field:%d ", i);
    buf_puts(out, "last:");
    while (out->len < chars)
        buf_putc(out, '4');
}

static struct buf run_pairs(int action, size_t chars, size_t output_chars, size_t boost_chars)
{
    struct buf text = BUF_INIT;
    set_up(NULL);
    make_pairs(chars, &text);
    add_item(action);
    b.options.output_chars = output_chars;
    b.options.boost_chars = boost_chars;
    devrun_free(run_with(text.data, text.len));
    return text;
}

static void fields_that_the_column_cannot_take_are_told_once(void **state)
{
    (void)state;
    const int actions[] = {ITEM_SNMP, ITEM_SCRIPT, ITEM_SERVER};
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        struct buf text = run_pairs(actions[i], 513, 0, 0);
        assert_int_equal(b.result.values, 1);
        assert_logged(LOG_ALWAYS,
                      "Device[7] HT[1] DS[100] WARNING: Not all is stored: the value has "
                      "513 characters and the column output of poller_output takes 512, "
                      "so that 1 of 46 fields are left out");
        buf_done(&text);
    }
}

static void what_the_column_takes_is_not_told(void **state)
{
    (void)state;
    static const size_t sizes[][3] = {
        {512, 0, 0}, {512, 512, 512}, {1500, 2000, 0}, {1500, 2000, 1500}};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf text = run_pairs(ITEM_SNMP, sizes[i][0], sizes[i][1], sizes[i][2]);
        assert_int_equal(b.result.values, 1);
        assert_silent("WARNING");
        buf_done(&text);
    }
}

static void the_narrower_column_is_named(void **state)
{
    (void)state;
    struct buf text = run_pairs(ITEM_SNMP, 1500, 2000, 512);
    assert_logged(LOG_ALWAYS,
                  "Device[7] HT[1] DS[100] WARNING: Not all is stored: the value has 1500 "
                  "characters and the column output of poller_output_boost takes 512, so "
                  "that 90 of 136 fields are left out");
    buf_done(&text);
    text = run_pairs(ITEM_SNMP, 300, 200, 512);
    assert_logged(LOG_ALWAYS,
                  "Device[7] HT[1] DS[100] WARNING: Not all is stored: the value has 300 "
                  "characters and the column output of poller_output takes 200, so that "
                  "9 of 27 fields are left out");
    buf_done(&text);
    text = run_pairs(ITEM_SNMP, 300, 200, 200);
    assert_int_equal(lines_with("output of poller_output takes 200"), 1);
    buf_done(&text);
}

static void output_that_was_cut_keeps_whole_fields_and_is_told_in_one_line(void **state)
{
    static const struct {
        const char *text, *output, *line;
    } cases[] = {
        {"in:5 out:6 last:4", "in:5 out:6", "; 2 whole fields were read"},
        {"in:5 out:6\n", "in:5 out:6", "; 2 whole fields were read"},
        {"in:5 out:1e1", "in:5", "; 1 whole fields were read"},
        {"12345", "U", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char line[200];
        set_up(state);
        add_item(ITEM_SCRIPT);
        sent_cut = true;
        devrun_free(run_with(cases[i].text, strlen(cases[i].text)));
        sent_cut = false;
        assert_string_equal(b.rows[0].output, cases[i].output);
        snprintf(
            line, sizeof(line),
            "Device[7] DS[100] WARNING: Script has a result: limit: output cut to 2047 of 5001 "
            "bytes%s; Command[n0]",
            cases[i].line);
        assert_logged(LOG_ALWAYS, line);
        assert_silent("Not all is stored");
    }
}

static void output_that_is_cut_twice_is_told_in_one_line(void **state)
{
    (void)state;
    sent_cut = true;
    struct buf text = run_pairs(ITEM_SCRIPT, 2047, 0, 0);
    sent_cut = false;
    assert_logged(
        LOG_ALWAYS,
        "Device[7] DS[100] WARNING: Script has a result: limit: output cut to 2047 of 5001 "
        "bytes; 185 whole fields were read; the value has 2034 characters and the column "
        "output of poller_output takes 512, so that 139 of 185 fields are left out; "
        "Command[n0]");
    assert_silent("Not all is stored");
    buf_done(&text);
}

static void a_number_that_does_not_fit_is_told(void **state)
{
    (void)state;
    set_up(NULL);
    add_item(ITEM_SNMP);
    b.options.output_chars = 3;
    devrun_free(run_with("12345", 5));
    assert_logged(LOG_ALWAYS,
                  "Device[7] HT[1] DS[100] WARNING: Not all is stored: the value has 5 "
                  "characters and the column output of poller_output takes 3, so that 1 "
                  "of 1 fields are left out");
}

static void system_texts_are_stored_as_text(void **state)
{
    static const struct {
        const char *sent, *stored;
    } cases[] = {
        {"Z\xc3\xbcrich", "Z\xc3\xbcrich"},
        {"Z\xfcrich", "Z\xc3\xbcrich"},
        {"\xe5\x8c\x97\xe4\xba\xac", "\xe5\x8c\x97\xe4\xba\xac"},
        {"caf\xe9 \xb0 \xff", "caf\xc3\xa9 \xc2\xb0"},
        {"it's \"quoted\" and \\ here", "it's \"quoted\" and \\ here"},
        {"a\\b\"c", "a\\b\"c"},
        {"two\nlines\n", "two\nlines"},
        {"  blanks ", "blanks"},
        {"padded\xff\xff", "padded"},
        {"", ""},
        {"\xde\xad\xbe\xef", "DE AD BE EF"},
        {"\x01\x02", "01 02"},
        {"a\x1b[0m", "61 1B 5B 30 6D"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        set_up(state);
        b.options.system_info = true;
        b.device.availability_method = AVAIL_SNMP_UPTIME;
        struct devrun *run = run_with(cases[i].sent, strlen(cases[i].sent));
        const struct system_info *s = b.result.host.system;
        assert_non_null(s);
        assert_string_equal(s->contact, cases[i].stored);
        assert_string_equal(s->location, cases[i].stored);
        devrun_free(run);
    }
}

static void a_nul_behind_a_system_text_is_not_part_of_it(void **state)
{
    (void)state;
    b.options.system_info = true;
    b.device.availability_method = AVAIL_SNMP_UPTIME;
    struct devrun *run = run_with("gr\xc3\xbcn\0\0", 7);
    assert_string_equal(b.result.host.system->name, "gr\xc3\xbcn");
    devrun_free(run);
}

static void without_system_texts_none_are_stored(void **state)
{
    (void)state;
    b.device.availability_method = AVAIL_SNMP_UPTIME;
    run_device();
    assert_null(b.result.host.system);
}

static void the_log_shows_what_an_agent_has_sent(void **state)
{
    static const struct {
        const char *text, *shown;
    } texts[] = {
        {"no value", "no value"},
        {" \t\"no value\"\r\n", "no value"},
        {"not \"a\" value", "not \\\"a\\\" value"},
        {"C:\\data", "C:\\\\data"},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char line[160];
        set_up(state);
        add_item(ITEM_SNMP);
        b.options.invalid_log = 2;
        devrun_free(run_with(texts[i].text, strlen(texts[i].text)));
        snprintf(line, sizeof(line),
                 "WARNING: Invalid Response, Device[7] HT[1] DS[100] SNMP: v2: 10.0.0.1, dsname: "
                 "n0, oid: arg1, value: %s",
                 texts[i].shown);
        assert_logged(LOG_ALWAYS, line);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fields_that_the_column_cannot_take_are_told_once),
        TEST(what_the_column_takes_is_not_told),
        TEST(the_narrower_column_is_named),
        TEST(output_that_was_cut_keeps_whole_fields_and_is_told_in_one_line),
        TEST(output_that_is_cut_twice_is_told_in_one_line),
        TEST(a_number_that_does_not_fit_is_told),
        TEST(system_texts_are_stored_as_text),
        TEST(a_nul_behind_a_system_text_is_not_part_of_it),
        TEST(without_system_texts_none_are_stored),
        TEST(the_log_shows_what_an_agent_has_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
