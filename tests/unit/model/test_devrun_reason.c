/* What an operator reads about what does not work, at the usual verbosities. */
#include "config.h"

#include "devrun_drive.h"

static enum snmp_outcome outcome; /* of every SNMP request */
static const char *detail;
static long error_status;
static enum varbind_type type;

static void agent(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    a->reply.outcome = outcome;
    a->reply.detail = detail;
    if (rq->target == &b.device.snmp)
        return;
    a->reply.error_status = error_status;
    a->reply.error_index = error_status == 0 ? 0 : 1;
    a->vb[0].type = type;
}

static enum script_outcome printed;

static void print(int item, struct script_reply *reply)
{
    prints_value(item, reply);
    if (printed == SCRIPT_OUTPUT)
        return;
    *reply = (struct script_reply){.outcome = printed, .output = "", .elapsed_us = STEP_US};
}

static void begin(int method)
{
    set_up(NULL);
    outcome = SNMP_ANSWERED;
    detail = "";
    error_status = 0;
    type = VARBIND_INTEGER;
    printed = SCRIPT_OUTPUT;
    b.agent = agent;
    b.script = print;
    b.device.availability_method = method;
    b.options.log_level = LOG_ALWAYS;
}

#define DOWN   "The device does not pass its availability check"
#define UP     "The device passes its availability check, but not all of it works"
#define NO_WAY "The device cannot be checked, it is polled nevertheless"
#define OWN                                                                                        \
    "; this is a failure of the poller's machine (descriptors, memory, rights, name server), not " \
    "of the device"
#define ALIVE "check that the host is up and that port 33439 is not filtered"

static const struct {
    int method;
    int version;
    enum snmp_outcome snmp;
    const char *detail;
    enum ping_outcome ping;
    const char *text, *bad_name;
    const char *line; /* behind "WARNING: "; NULL: none */
} checks[] = {
    {AVAIL_SNMP_UPTIME, 2, SNMP_ANSWERED, "", PING_UP, "", "", NULL},
    {AVAIL_SNMP_UPTIME, 2, SNMP_TIMED_OUT, "no answer", PING_UP, "", "",
     DOWN ": SNMP v2c, port 161: no answer; check the community, the port and that an agent runs "
          "and lets this host in"},
    {AVAIL_SNMP_DESC, 1, SNMP_TIMED_OUT, "Connection refused", PING_UP, "", "",
     DOWN ": SNMP v1, port 161: Connection refused; check the community, the port and that an "
          "agent runs and lets this host in"},
    {AVAIL_SNMP_GETNEXT, 3, SNMP_TIMED_OUT, "no answer", PING_UP, "", "",
     DOWN ": SNMP v3, port 161: no answer; check the port and that an agent runs and lets this "
          "host in"},
    {AVAIL_SNMP_UPTIME, 3, SNMP_REFUSED, "the agent refuses: wrong digest", PING_UP, "", "",
     DOWN ": SNMP v3, port 161: the agent refuses: wrong digest; check the device's SNMPv3 user "
          "name, pass phrases, protocols, engine id and context"},
    {AVAIL_SNMP_UPTIME, 3, SNMP_FAILED, "unknown SNMPv3 privacy protocol 'ROT13'", PING_UP, "", "",
     DOWN ": SNMP v3, port 161: unknown SNMPv3 privacy protocol 'ROT13'; correct this in the "
          "device's settings"},
    {AVAIL_SNMP_UPTIME, 2, SNMP_IMPOSSIBLE, "cannot create a socket: Too many open files", PING_UP,
     "", "", NO_WAY ": SNMP v2c, port 161: cannot create a socket: Too many open files" OWN},
    {AVAIL_PING, 2, SNMP_ANSWERED, "", PING_UP, "UDP: Device is Alive", "", NULL},
    {AVAIL_PING, 2, SNMP_ANSWERED, "", PING_DOWN, "UDP: Ping timed out", "",
     DOWN ": UDP: Ping timed out; " ALIVE},
    {AVAIL_PING, 2, SNMP_ANSWERED, "", PING_DOWN, "?", "Unable to determine address info for x (y)",
     DOWN ": Unable to determine address info for x (y); correct the device's hostname"},
    {AVAIL_PING, 2, SNMP_ANSWERED, "", PING_IMPOSSIBLE, "UDP: Ping not sent", "",
     NO_WAY ": UDP: Ping not sent" OWN},
    {AVAIL_PING_AND_SNMP, 2, SNMP_ANSWERED, "", PING_DOWN, "UDP: Ping timed out", "",
     DOWN ": UDP: Ping timed out; " ALIVE},
    {AVAIL_PING_AND_SNMP, 3, SNMP_FAILED, "no SNMPv3 user name", PING_UP, "UDP: alive", "",
     DOWN ": SNMP v3, port 161: no SNMPv3 user name; correct this in the device's settings"},
    {AVAIL_PING_OR_SNMP, 2, SNMP_TIMED_OUT, "no answer", PING_DOWN, "UDP: Ping timed out", "",
     DOWN ": SNMP v2c, port 161: no answer; check the community, the port and that an agent runs "
          "and lets this host in; UDP: Ping timed out; " ALIVE},
    {AVAIL_PING_OR_SNMP, 2, SNMP_ANSWERED, "", PING_DOWN, "UDP: Ping timed out", "", NULL},
    {AVAIL_PING_OR_SNMP, 2, SNMP_ANSWERED, "", PING_IMPOSSIBLE, "UDP: Ping not sent", "",
     UP ": UDP: Ping not sent" OWN},
};

static size_t count_of(const char *part)
{
    size_t n = 0;
    for (const char *p = buf_str(&b.log); (p = strstr(p, part)) != NULL; p++)
        n++;
    return n;
}

static void why_a_device_is_down_is_told_in_one_line_with_the_remedy(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        for (int level = LOG_ALWAYS; level <= LOG_MEDIUM; level++) {
            char line[500];
            begin(checks[i].method);
            b.options.log_level = (enum log_level)level;
            b.device.snmp.version = checks[i].version;
            b.device.ping_port = 33439;
            outcome = checks[i].snmp;
            detail = checks[i].detail;
            b.ping.outcome = checks[i].ping;
            b.ping.text = checks[i].text;
            snprintf(b.ping.bad_name, sizeof(b.ping.bad_name), "%s", checks[i].bad_name);
            run_device();
            snprintf(line, sizeof(line), "Device[7] Hostname[10.0.0.1] WARNING: %s",
                     checks[i].line == NULL ? "" : checks[i].line);
            if (checks[i].line != NULL)
                assert_logged(LOG_ALWAYS, line);
            assert_int_equal(count_of("] WARNING: "), checks[i].line != NULL);
        }
}

/* Many requests, one line; each agent has its own. */
static void credentials_that_can_never_work_are_told_once_for_each_agent(void **state)
{
    (void)state;
    static const char *const details[] = {
        "Error generating SNMPv3 Ku from authentication pass phrase: it is too short",
        "the SNMPv3 engine id 'xyz' is not 32 bytes at most in hexadecimal",
        "unknown SNMPv3 privacy protocol 'DSE'",
        "no SNMPv3 user name",
    };
    struct target other;
    for (size_t i = 0; i < ARRAY_LEN(details); i++) {
        char line[300];
        begin(AVAIL_NONE);
        add_items(40);
        other = b.target;
        other.hostname = "10.0.0.2";
        for (size_t k = 20; k < 40; k++)
            b.items[k].target = &other;
        outcome = SNMP_FAILED;
        detail = details[i];
        run_device();
        for (int host = 1; host <= 2; host++) {
            snprintf(line, sizeof(line),
                     "Device[7] HT[1] ERROR: SNMP request to '10.0.0.%d' failed: %s; correct this "
                     "in the device's settings",
                     host, details[i]);
            assert_logged(LOG_ALWAYS, line);
        }
        assert_int_equal(count_of("ERROR"), 2);
        assert_int_equal(b.result.unknown[UNKNOWN_FAILED], 40);
    }
}

/* What the check has said is not said again of the items. */
static void what_the_check_has_told_is_not_told_again(void **state)
{
    (void)state;
    begin(AVAIL_SNMP_UPTIME);
    add_items(20);
    outcome = SNMP_IMPOSSIBLE;
    detail = "cannot create a socket: Too many open files";
    run_device();
    assert_int_equal(count_of("Too many open files"), 1);
    assert_int_equal(b.result.unknown[UNKNOWN_FAILED], 20);
}

static const struct {
    int action;
    enum snmp_outcome outcome;
    long error_status;
    enum varbind_type type;
    enum script_outcome printed;
    const char *words;
    bool reported; /* by spine_log_level */
} unknowns[] = {
    {ITEM_SNMP, SNMP_TIMED_OUT, 0, VARBIND_INTEGER, 0, "no answer in time", false},
    {ITEM_SNMP, SNMP_ANSWERED, 0, VARBIND_NO_SUCH_OBJECT, 0,
     "the agent has no such object (noSuchObject)", true},
    {ITEM_SNMP, SNMP_ANSWERED, 0, VARBIND_NO_SUCH_INSTANCE, 0,
     "the agent has no such object (noSuchInstance)", true},
    {ITEM_SNMP, SNMP_ANSWERED, 0, VARBIND_END_OF_MIB_VIEW, 0,
     "the agent has no such object (endOfMibView)", true},
    {ITEM_SNMP, SNMP_ANSWERED, SNMP_ERROR_NO_SUCH_NAME, VARBIND_INTEGER, 0,
     "the agent has no such object (noSuchName)", true},
    {ITEM_SNMP, SNMP_ANSWERED, 5, VARBIND_INTEGER, 0, "the agent answers with an error (genErr)",
     true},
    {ITEM_SNMP, SNMP_ANSWERED, 18, VARBIND_INTEGER, 0,
     "the agent answers with an error (inconsistentName)", true},
    {ITEM_SNMP, SNMP_ANSWERED, 19, VARBIND_INTEGER, 0,
     "the agent answers with an error (an unknown error)", true},
    {ITEM_SNMP, SNMP_ANSWERED, 4711, VARBIND_INTEGER, 0,
     "the agent answers with an error (an unknown error)", true},
    {ITEM_SNMP, SNMP_ANSWERED, 0, VARBIND_NULL, 0,
     "'NULL' is neither a number nor pairs of name and number", true},
    {ITEM_SNMP, SNMP_FAILED, 0, VARBIND_INTEGER, 0, "no SNMPv3 user name", false},
    {ITEM_SNMP, SNMP_REFUSED, 0, VARBIND_INTEGER, 0, "no SNMPv3 user name", false},
    {ITEM_SNMP, SNMP_IMPOSSIBLE, 0, VARBIND_INTEGER, 0, "no SNMPv3 user name", false},
    {ITEM_SCRIPT, SNMP_ANSWERED, 0, 0, SCRIPT_EMPTY, "the script printed nothing", true},
    {ITEM_SCRIPT, SNMP_ANSWERED, 0, 0, SCRIPT_TIMED_OUT, "the script timed out", false},
    {ITEM_SCRIPT, SNMP_ANSWERED, 0, 0, SCRIPT_FLOODED, "the script printed too much", false},
    {ITEM_SCRIPT, SNMP_ANSWERED, 0, 0, SCRIPT_NOT_STARTED, "the script was not started", false},
    {ITEM_SERVER, SNMP_ANSWERED, 0, 0, SCRIPT_LOST, "the PHP script server was lost", false},
    {ITEM_SERVER, SNMP_ANSWERED, 0, 0, SCRIPT_TIMED_OUT, "the PHP script server timed out", false},
    {77, SNMP_ANSWERED, 0, 0, 0, "the poller action is unknown", false},
};

static void run_unknown(size_t i, enum log_level level, int invalid_log)
{
    begin(AVAIL_NONE);
    add_item(unknowns[i].action);
    b.options.log_level = level;
    b.options.invalid_log = invalid_log;
    outcome = unknowns[i].outcome;
    detail = "no SNMPv3 user name";
    error_status = unknowns[i].error_status;
    type = unknowns[i].type;
    printed = unknowns[i].printed;
    b.arg = type == VARBIND_NULL ? 'i' : 0; /* an answer that is not a value */
    run_device();
    assert_string_equal(b.rows[0].output, "U");
}

static void every_U_has_its_reason_at_medium(void **state)
{
    (void)state;
    char line[200];
    for (size_t i = 0; i < ARRAY_LEN(unknowns); i++) {
        snprintf(line, sizeof(line), "Device[7] HT[1] DS[100] NOTE: 'n0' is U: %s",
                 unknowns[i].words);
        run_unknown(i, LOG_ALWAYS, 0);
        assert_silent("NOTE: 'n0' is U");
        run_unknown(i, LOG_MEDIUM, 0);
        assert_logged(LOG_MEDIUM, line);
        assert_int_equal(count_of(" is U"), 1);
    }
    begin(AVAIL_NONE);
    add_item(ITEM_SNMP)->oid.len = 0;
    b.options.log_level = LOG_MEDIUM;
    run_device();
    assert_logged(LOG_MEDIUM,
                  "Device[7] HT[1] DS[100] NOTE: 'n0' is U: the object identifier cannot be read");
    begin(AVAIL_NONE);
    add_items(3);
    b.options.log_level = LOG_MEDIUM;
    run_device();
    assert_silent(" is U");
}

/* The agent sends, or the script prints, the text. */
static const char *words;

static void say_words(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    for (size_t i = 0; i < rq->count; i++) {
        a->vb[i].type = VARBIND_OCTETS;
        a->vb[i].octets.data = (const uint8_t *)words;
        a->vb[i].octets.len = strlen(words);
    }
}

static void print_words(int item UNUSED, struct script_reply *reply)
{
    *reply = (struct script_reply){
        .outcome = SCRIPT_OUTPUT, .output = words, .len = strlen(words), .elapsed_us = STEP_US};
}

#define TEN          "xxxxxxxxxx"
#define TEN_HALVES   "\xbf\xbf\xbf\xbf\xbf\xbf\xbf\xbf\xbf\xbf"
#define SEVENTY_NINE TEN TEN TEN TEN TEN TEN TEN "xxxxxxxxx"

static void what_is_not_a_value_is_shown_as_far_as_it_can_be_recognised(void **state)
{
    (void)state;
#define NO_VALUE "' is neither a number nor pairs of name and number"
    static const char *const texts[][2] = {
        {"up", "'up" NO_VALUE},
        {"apples 12", "'apples 12" NO_VALUE},
        {"1,234", "'1,234" NO_VALUE},
        {"http://x/y", "'http://x/y" NO_VALUE},
        {SEVENTY_NINE "y", "'" SEVENTY_NINE "y" NO_VALUE},
        {SEVENTY_NINE "yz", "'" SEVENTY_NINE "y..." NO_VALUE},
        {"U", "the answer is U itself"},
        {"u", "the answer is U itself"},
        {" ", "the answer is empty"},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        for (int action = ITEM_SNMP; action <= ITEM_SERVER; action++) {
            char line[300];
            begin(AVAIL_NONE);
            add_item(action);
            words = texts[i][0];
            b.agent = say_words;
            b.script = print_words;
            b.arg = 'i';
            b.options.log_level = LOG_MEDIUM;
            run_device();
            snprintf(line, sizeof(line), "Device[7] HT[1] DS[100] NOTE: 'n0' is U: %s",
                     texts[i][1]);
            assert_logged(LOG_MEDIUM, line);
        }
    begin(AVAIL_NONE);
    add_item(ITEM_SCRIPT);
    words = SEVENTY_NINE "\xc3\xa9z"; /* the eightieth octet is half a character */
    b.script = print_words;
    b.arg = 'i';
    b.options.log_level = LOG_MEDIUM;
    run_device();
    assert_int_equal(count_of("'" SEVENTY_NINE "...' is neither"), 1);
    begin(AVAIL_NONE);
    add_item(ITEM_SCRIPT);
    words = TEN_HALVES TEN_HALVES TEN_HALVES TEN_HALVES TEN_HALVES TEN_HALVES TEN_HALVES TEN_HALVES
        TEN_HALVES; /* no character at all */
    b.script = print_words;
    b.arg = 'i';
    b.options.log_level = LOG_MEDIUM;
    run_device();
    assert_int_equal(count_of("'...' is neither"), 1);
}

/* ---- agents that fall silent, or always were ---- */

static int answers; /* of the agent, before it is silent */

static void silent_later(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    if (answers-- <= 0) {
        a->reply.outcome = SNMP_TIMED_OUT;
        a->reply.detail = detail;
    }
}

#define SILENT "Device[7] HT[1] WARNING: '10.0.0.1' does not answer by SNMP v2c, port 161: "
#define LOOK   "; check the community, the port and that an agent runs and lets this host in"

/* Checked by ping or not at all, so that the items find out. */
static void a_silent_agent_is_told_once_with_the_remedy(void **state)
{
    (void)state;
    static const char *const details[][2] = {
        {"no answer", SILENT "no answer" LOOK},
        {"Connection refused", SILENT "Connection refused" LOOK},
        {"", SILENT "no answer" LOOK},
    };
    for (size_t i = 0; i < ARRAY_LEN(details); i++)
        for (int method = AVAIL_NONE; method <= AVAIL_PING; method += AVAIL_PING - AVAIL_NONE) {
            begin(method);
            add_items(30);
            b.agent = silent_later;
            answers = 0;
            detail = details[i][0];
            run_device();
            assert_logged(LOG_ALWAYS, details[i][1]);
            assert_int_equal(count_of("does not answer by SNMP"), 1);
        }
}

static void an_agent_that_has_answered_before_has_another_remedy(void **state)
{
    (void)state;
    begin(AVAIL_SNMP_UPTIME);
    add_items(30);
    b.agent = silent_later;
    answers = 2;
    detail = "no answer";
    run_device();
    assert_logged(LOG_ALWAYS, SILENT "no answer; it has answered before in this cycle: it may be "
                                     "overloaded, or need a longer SNMP time-out");
    assert_int_equal(count_of("does not answer by SNMP"), 1);
}

static void an_item_that_is_not_asked_for_has_its_reason(void **state)
{
    (void)state;
    begin(AVAIL_NONE);
    add_items(30);
    b.agent = silent_later;
    answers = 0;
    detail = "no answer";
    b.options.log_level = LOG_MEDIUM;
    run_device();
    assert_int_equal(count_of("is U: no answer in time"), 10);
    assert_int_equal(count_of("is U: its agent is no longer asked in this cycle"), 20);
}

static void a_check_that_cannot_be_made_has_its_reason(void **state)
{
    (void)state;
    begin(99);
    run_device();
    assert_logged(LOG_ALWAYS, "Device[7] Hostname[10.0.0.1] WARNING: " DOWN
                              ": availability method 99 is unknown; choose another");
    begin(AVAIL_PING);
    b.device.ping_method = 9;
    b.ping.outcome = PING_DOWN;
    b.ping.text = "Ping not performed due to setting.";
    run_device();
    assert_logged(LOG_ALWAYS, "Device[7] Hostname[10.0.0.1] WARNING: " DOWN
                              ": Ping not performed due to setting.; ping method 9 is unknown, "
                              "choose another");
}

static void each_kind_of_ping_has_its_remedy(void **state)
{
    static const struct {
        int method;
        bool fell_back; /* to UDP */
        const char *remedy;
    } kinds[] = {
        {PING_METHOD_ICMP, false, "check that the host is up and that echo requests reach it"},
        {PING_METHOD_ICMP, true, ALIVE},
        {PING_METHOD_UDP, false, ALIVE},
        {PING_METHOD_TCP_CLOSED, false, ALIVE},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char line[300];
        begin(AVAIL_PING);
        b.device.ping_method = kinds[i].method;
        b.device.ping_port = 33439;
        b.ping = (struct ping_reply){
            .outcome = PING_DOWN, .text = "Ping timed out", .fell_back = kinds[i].fell_back};
        run_device();
        snprintf(line, sizeof(line),
                 "Device[7] Hostname[10.0.0.1] WARNING: " DOWN ": Ping timed out; %s",
                 kinds[i].remedy);
        assert_logged(LOG_ALWAYS, line);
    }
}

static void a_version_that_does_not_exist_is_named_as_the_error(void **state)
{
    (void)state;
    for (int version = 0; version <= 4; version++) {
        bool exists = version >= 1 && version <= 3;
        begin(AVAIL_NONE);
        add_item(ITEM_SNMP);
        b.target.version = (uint8_t)version;
        outcome = SNMP_FAILED;
        detail = "it is wrong";
        run_device();
        assert_int_equal(count_of("SNMP Version Error for Device '10.0.0.1': it is wrong"),
                         !exists);
        assert_int_equal(count_of("SNMP request to '10.0.0.1' failed: it is wrong"), exists);
    }
}

/* As Spine 1.2.24 counts them: whatever became U without being a time-out or a local failure. */
static void spine_log_level_reports_what_the_agent_lacks(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(unknowns); i++)
        for (int invalid_log = 0; invalid_log <= 2; invalid_log++) {
            run_unknown(i, LOG_ALWAYS, invalid_log);
            const char *start =
                invalid_log == 1
                    ? "WARNING: Invalid Response(s), Errors[1] Device[7] Thread[1] DS[100]"
                    : "WARNING: Invalid Response, Device[7] HT[1] DS[100] S";
            assert_int_equal(count_of("Invalid Response"), invalid_log > 0 && unknowns[i].reported);
            assert_int_equal(count_of(start), invalid_log > 0 && unknowns[i].reported);
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(why_a_device_is_down_is_told_in_one_line_with_the_remedy),
        TEST(credentials_that_can_never_work_are_told_once_for_each_agent),
        TEST(what_the_check_has_told_is_not_told_again),
        TEST(a_silent_agent_is_told_once_with_the_remedy),
        TEST(an_agent_that_has_answered_before_has_another_remedy),
        TEST(a_check_that_cannot_be_made_has_its_reason),
        TEST(each_kind_of_ping_has_its_remedy),
        TEST(a_version_that_does_not_exist_is_named_as_the_error),
        TEST(every_U_has_its_reason_at_medium),
        TEST(an_item_that_is_not_asked_for_has_its_reason),
        TEST(what_is_not_a_value_is_shown_as_far_as_it_can_be_recognised),
        TEST(spine_log_level_reports_what_the_agent_lacks),
    };
    return cmocka_run_group_tests_name("devrun_reason", tests, NULL, NULL);
}
