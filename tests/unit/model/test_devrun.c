#include "config.h"

#include "model/devrun.h"

#include "devrun_bench.h"
#include "devrun_drive.h"

#include <time.h>
#include <unistd.h>

#define UPTIME ".1.3.6.1.2.1.1.3.0"

/* ---- agents (docs/contract.md 13.4, 13.5) ---- */

/* arg: 'r' reversed, 'l' the third is left out, 'e' an unknown object first, 'd' each one twice,
 * 'n' nothing, 'i' text */
static void untidy(const struct snmp_request *rq, struct answer *a)
{
    static const uint32_t strange[] = {1, 3, 6, 1, 4, 1, 98, 1, 0};
    if (b.arg == 'e')
        put(a, (struct oid){strange, SUBS});
    for (size_t i = 0; i < rq->count && b.arg != 'n'; i++) {
        if (b.arg == 'l' && i == 2)
            continue;
        put(a, rq->names[b.arg == 'r' ? rq->count - 1 - i : i]);
        if (b.arg == 'd')
            put(a, rq->names[i]);
        if (b.arg == 'i')
            a->vb[i] = (struct varbind){.name = rq->names[i],
                                        .type = VARBIND_OCTETS,
                                        .octets = {(const uint8_t *)"no value", 8}};
    }
}

/* noSuchName for item 4 as long as it is asked for. */
static void without_item_4(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    for (size_t i = 0; i < rq->count; i++)
        if (item_of(rq->names[i]) == 4) {
            a->reply.error_status = SNMP_ERROR_NO_SUCH_NAME;
            a->reply.error_index = (long)i + 1;
        }
}

/* genErr; arg: of the last object, or index 0, too large, negative, of the first. */
static void broken(const struct snmp_request *rq, struct answer *a)
{
    const long index[] = {(long)rq->count, 0, (long)rq->count + 1, -1, 1};
    honest(rq, a);
    a->reply.error_status = 5;
    a->reply.error_index = index[b.arg];
}

/* tooBig above arg objects; the index tells nothing. */
static void narrow(const struct snmp_request *rq, struct answer *a)
{
    if (rq->count <= (size_t)b.arg) {
        honest(rq, a);
        return;
    }
    a->reply.error_status = SNMP_ERROR_TOO_BIG;
    a->reply.error_index = 1;
}

static void full_of_holes(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    a->vb[1].type = VARBIND_NO_SUCH_OBJECT;
    a->vb[3].type = VARBIND_NO_SUCH_INSTANCE;
    a->vb[5].type = VARBIND_END_OF_MIB_VIEW;
}

/* No answer from the arg-th request on. */
static void dying(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    if (b.snmp_count >= b.arg)
        a->reply.outcome = SNMP_TIMED_OUT;
}

static void unreachable(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    if (strcmp(rq->target->hostname, "10.0.0.2") == 0)
        a->reply.outcome = SNMP_FAILED;
}

/* ---- what becomes of a device's SNMP items ---- */

#define TEN_TIMES(x)  x x x x x x x x x x
#define FIVE_TIMES(x) x x x x x

static struct polling {
    const char *name;
    size_t items;
    int64_t max_oids;
    agent_fn *agent;
    int arg;
    const char *asks; /* sizes of the requests */
    size_t values, unknown;
    enum unknown_reason reason;
} pollings[] = {
    {"35 items in GETs of 10", 35, 10, honest, 0, "10 10 10 5 ", 35, 0, 0},
    {"max_oids 1", 3, 1, honest, 0, "1 1 1 ", 3, 0, 0},
    {"max_oids 100", 101, 100, honest, 0, "100 1 ", 101, 0, 0},
    {"no items", 0, 10, honest, 0, "", 0, 0, 0},
    {"reordered answer", 12, 10, untidy, 'r', "10 2 ", 12, 0, 0},
    {"answer that leaves one out", 12, 10, untidy, 'l', "10 1 2 ", 12, 0, 0},
    {"answer with an unknown object", 12, 10, untidy, 'e', "10 2 ", 12, 0, 0},
    {"answer with everything twice", 12, 10, untidy, 'd', "10 2 ", 12, 0, 0},
    {"empty answer", 12, 10, untidy, 'n', "10 5 2 " TEN_TIMES("1 ") "1 1 ", 0, 12, UNKNOWN_MISSING},
    {"text that is not a value", 12, 10, untidy, 'i', "10 2 ", 0, 12, UNKNOWN_INVALID},
    {"noSuchName at 5 of 10", 10, 10, without_item_4, 0, "10 9 ", 9, 1, UNKNOWN_MISSING},
    {"noSuchName for a single item is missing, too", 5, 1, without_item_4, 0, "1 1 1 1 1 ", 4, 1,
     UNKNOWN_MISSING},
    {"genErr for every item", 12, 4, broken, 0, "4 3 2 1 4 3 2 1 4 3 2 1 ", 0, 12,
     UNKNOWN_AGENT_ERROR},
    {"genErr for each first item", 4, 4, broken, 4, "4 3 2 1 ", 0, 4, UNKNOWN_AGENT_ERROR},
    {"error index 0", 10, 10, broken, 1, "10 5 2 " TEN_TIMES("1 "), 0, 10, UNKNOWN_AGENT_ERROR},
    {"error index too large", 10, 10, broken, 2, "10 5 2 " TEN_TIMES("1 "), 0, 10,
     UNKNOWN_AGENT_ERROR},
    {"error index negative", 10, 10, broken, 3, "10 5 2 " TEN_TIMES("1 "), 0, 10,
     UNKNOWN_AGENT_ERROR},
    {"tooBig gives values", 13, 10, narrow, 3, "10 5 2 2 2 2 2 2 1 ", 13, 0, 0},
    {"tooBig down to one", 15, 10, narrow, 1, "10 5 2 " TEN_TIMES("1 ") FIVE_TIMES("1 "), 15, 0, 0},
    {"tooBig for one", 1, 10, narrow, 0, "1 ", 0, 1, UNKNOWN_AGENT_ERROR},
    {"exceptions do not touch their neighbours", 8, 10, full_of_holes, 0, "8 ", 5, 3,
     UNKNOWN_MISSING},
    {"time-out in the third of four requests", 35, 10, dying, 3, "10 10 10 1 ", 20, 15,
     UNKNOWN_NO_ANSWER},
};

static void polled_as_expected(void **state)
{
    const struct polling *p = *state;
    add_items(p->items);
    b.device.max_oids = p->max_oids;
    b.agent = p->agent;
    b.arg = p->arg;
    run_device();
    assert_string_equal(buf_str(&b.asks), p->asks);
    assert_int_equal(b.result.values, p->values);
    assert_int_equal(b.result.unknown[p->reason], p->unknown);
    assert_int_equal(unknown_total(), p->unknown);
    assert_true(b.result.complete && !b.result.down);
}

/* Another error may be about one bad object. */
static void only_a_message_that_is_too_big_says_how_many_are_answered(void **state)
{
    add_items(13);
    b.agent = narrow;
    b.arg = 3;
    run_device();
    assert_int_equal(b.learned, 2);
    set_up(state);
    add_items(13);
    b.agent = broken;
    b.arg = 1;
    run_device();
    assert_int_equal(b.learned, 0);
}

static void max_oids_out_of_range_is_five(void **state)
{
    (void)state;
    const int64_t bad[] = {0, 101, -1, INT64_C(5000000000)};
    add_items(12);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char line[200];
        snprintf(line, sizeof(line),
                 "Device[7] HT[1] WARNING: Max OIDS is out of range with value of '%" PRId64
                 "'.  Resetting to default of 5",
                 bad[i]);
        b.device.max_oids = bad[i];
        run_device();
        assert_string_equal(buf_str(&b.asks), "5 5 2 ");
        assert_logged(LOG_ALWAYS, line);
        forget_run();
    }
}

static void sessions_never_share_a_request(void **state)
{
    (void)state;
    struct target other[6];
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        other[i] = b.target;
    other[1].hostname = "10.0.0.2";
    other[2].port = 1161;
    other[3].community = "secret";
    other[4].version = 1;
    other[5].timeout_ms = 700;
    add_items(24);
    for (size_t i = 0; i < 24; i++) /* each between two of the first */
        b.items[i].target = &other[i / 2 % 2 * (i / 4)];
    b.agent = unreachable; /* and one that fails does not stop the next */
    run_device();
    assert_string_equal(buf_str(&b.asks), "6 2 2 2 2 2 2 2 2 2 ");
    assert_int_equal(b.result.values, 22);
    assert_int_equal(b.result.unknown[UNKNOWN_FAILED], 2);
    assert_logged(LOG_ALWAYS, "Device[7] HT[1] ERROR: SNMP request to '10.0.0.2' failed: no route; "
                              "correct this in the device's settings");
}

static void equal_sessions_share_wherever_they_are_written(void **state)
{
    (void)state;
    struct target copy = b.target;
    char name[] = "10.0.0.1";
    copy.hostname = name;
    add_items(4);
    b.items[1].target = b.items[3].target = &copy;
    run_device();
    assert_string_equal(buf_str(&b.asks), "4 ");
}

static void what_cannot_be_asked_is_unknown(void **state)
{
    (void)state;
    const char *const bad[] = {"ifInOctets.1", ""};
    char line[200];
    add_items(5);
    for (size_t i = 0; i < 2; i++) {
        b.items[i + 1].oid.len = 0;
        b.items[i + 1].arg1 = bad[i];
    }
    b.items[3].action = 11;
    run_device();
    assert_string_equal(buf_str(&b.asks), "2 ");
    assert_int_equal(b.result.values, 2);
    assert_int_equal(b.result.unknown[UNKNOWN_BAD_OID], 2);
    assert_int_equal(b.result.unknown[UNKNOWN_UNSUPPORTED], 1);
    for (int i = 0; i < 2; i++) {
        snprintf(
            line, sizeof(line),
            "Device[7] DS[%d] ERROR: Problems parsing Multi SNMP OID! (oid: %s), Set MAX_OIDS to 1 "
            "for this host to isolate bad OID",
            101 + i, bad[i]);
        assert_logged(LOG_ALWAYS, line);
    }
    assert_logged(LOG_ALWAYS, "Device[7] HT[1] DS[103] ERROR: Unknown Poller Action: arg1");
}

static void two_items_may_share_an_oid(void **state)
{
    (void)state;
    add_items(4);
    memcpy(b.subs[3], b.subs[0], sizeof(b.subs[0]));
    run_device();
    assert_string_equal(buf_str(&b.asks), "4 ");
    assert_string_equal(b.rows[3].output, "1000");
}

static void device_0_has_no_check_and_no_status(void **state)
{
    (void)state;
    b.device.id = 0;
    b.device.availability_method = AVAIL_PING_AND_SNMP;
    b.device.max_oids = 1;
    add_items(3);
    run_device();
    assert_string_equal(buf_str(&b.asks), "1 1 1 ");
    assert_int_equal(b.result.values, 3);
    assert_false(b.result.host.has_status);
}

static void an_answer_before_the_start_is_ignored(void **state)
{
    (void)state;
    add_items(3);
    struct devrun *run = devrun_new(&b.device, &b.options);
    struct moment when = now();
    answer_strangers(run);
    devrun_start(run, &when);
    assert_true(take_actions(run)); /* and not: finished, all U */
    devrun_free(run);
}

/* ---- availability (docs/contract.md 7) ---- */

/* Indexed by arg: answered, an error status, timed out, failed, impossible. */
static void moody(const struct snmp_request *rq, struct answer *a)
{
    static const enum snmp_outcome outcomes[] = {SNMP_ANSWERED, SNMP_ANSWERED, SNMP_TIMED_OUT,
                                                 SNMP_FAILED, SNMP_IMPOSSIBLE};
    honest(rq, a);
    if (rq->target != &b.device.snmp)
        return;
    a->reply.outcome = outcomes[b.arg];
    a->reply.error_status = b.arg == 1 ? SNMP_ERROR_NO_SUCH_NAME : SNMP_ERROR_NONE;
}

/* u up, d down, ? not tested; by the outcome of the SNMP test as above.  Ping: up, down,
 * impossible. */
static const struct {
    int method;
    bool community;
    const char *asks[3];
    const char *verdict[3];
} checks[] = {
    {AVAIL_NONE, true, {"", "", ""}, {"uuuuu", "uuuuu", "uuuuu"}},
    {AVAIL_NONE, false, {"", "", ""}, {"uuuuu", "uuuuu", "uuuuu"}},
    {AVAIL_PING_AND_SNMP, true, {"P C ", "P ", "P C "}, {"uudd?", "ddddd", "uudd?"}},
    {AVAIL_PING_AND_SNMP, false, {"P ", "P ", "P "}, {"uuuuu", "ddddd", "?????"}},
    {AVAIL_SNMP_UPTIME, true, {"C ", "C ", "C "}, {"uudd?", "uudd?", "uudd?"}},
    {AVAIL_SNMP_UPTIME, false, {"", "", ""}, {"uuuuu", "uuuuu", "uuuuu"}},
    {AVAIL_PING, true, {"P ", "P ", "P "}, {"uuuuu", "ddddd", "?????"}},
    {AVAIL_PING, false, {"P ", "P ", "P "}, {"uuuuu", "ddddd", "?????"}},
    {AVAIL_PING_OR_SNMP, true, {"P ", "P C ", "P C "}, {"uuuuu", "uudd?", "uu???"}},
    {AVAIL_PING_OR_SNMP, false, {"P ", "P ", "P "}, {"uuuuu", "ddddd", "?????"}},
    {AVAIL_SNMP_DESC, true, {"C ", "C ", "C "}, {"uudd?", "uudd?", "uudd?"}},
    {AVAIL_SNMP_DESC, false, {"", "", ""}, {"uuuuu", "uuuuu", "uuuuu"}},
    {AVAIL_SNMP_GETNEXT, true, {"C ", "C ", "C "}, {"uudd?", "uudd?", "uudd?"}},
    {AVAIL_SNMP_GETNEXT, false, {"", "", ""}, {"uuuuu", "uuuuu", "uuuuu"}},
    {7, true, {"", "", ""}, {"ddddd", "ddddd", "ddddd"}},
    {7, false, {"", "", ""}, {"ddddd", "ddddd", "ddddd"}},
};

static void check_device(size_t k, int ping)
{
    char expected = checks[k].verdict[ping][b.arg];
    char asks[16];
    forget_run();
    b.device.availability_method = checks[k].method;
    b.device.snmp.community = checks[k].community ? "public" : "";
    b.ping.outcome = (enum ping_outcome)ping;
    run_device();
    snprintf(asks, sizeof(asks), "%s%s", checks[k].asks[ping], expected == 'd' ? "" : "3 ");
    assert_string_equal(buf_str(&b.asks), asks);
    assert_int_equal(b.result.down, expected == 'd');
    assert_int_equal(b.row_count, expected == 'd' ? 0 : 3);
    assert_int_equal(b.result.host.has_status, expected != '?');
    assert_int_equal(b.result.host.status.failed_polls, expected == 'd');
    assert_int_equal(b.result.host.status.total_polls, expected != '?');
}

static void the_check_decides_as_the_contract_says(void **state)
{
    (void)state;
    add_items(3);
    b.agent = moody;
    for (size_t k = 0; k < ARRAY_LEN(checks); k++)
        for (int ping = PING_UP; ping <= PING_IMPOSSIBLE; ping++)
            for (b.arg = 0; b.arg < 5; b.arg++)
                check_device(k, ping);
}

static void ping_only_means_no_items(void **state)
{
    (void)state;
    add_items(3);
    b.device.availability_method = AVAIL_PING;
    b.options.ping_only = true;
    run_device();
    assert_string_equal(buf_str(&b.asks), "P ");
    assert_true(b.result.host.has_status && !b.result.host.has_polling_time);
    assert_int_equal(b.result.skipped, 3);
    assert_silent("Total Time");
}

/* ---- the log (docs/contract.md 3.10 to 3.12) ---- */

static const struct {
    int method;
    const char *community;
    int agent; /* moody's arg */
    int status;
    int level;
    const char *line;
} said[] = {
    {0, "public", 0, HOST_UP, LOG_HIGH, "Device[7] No Device Availability Method Selected"},
    {0, "public", 0, HOST_UP, LOG_HIGH, "Device[7] HT[1] Device has no information for recache."},
    {2, "", 0, HOST_UP, LOG_MEDIUM,
     "Device[7] HT[1] No host availability check possible for '10.0.0.1'"},
    {2, "public", 0, HOST_UP, LOG_HIGH, "Device[7] SNMP Result: Device responded to SNMP"},
    {2, "public", 2, HOST_UP, LOG_HIGH, "Device[7] SNMP Result: Device did not respond to SNMP"},
    {2, "public", 2, HOST_UP, LOG_HIGH, "Device[7] SNMP Ping Timeout"},
    {2, "public", 3, HOST_UP, LOG_HIGH, "Device[7] SNMP Result: Invalid SNMP Session"},
    {2, "public", 2, HOST_UP, LOG_ALWAYS,
     "Device[7] Hostname[10.0.0.1] ERROR: HOST EVENT: Device is DOWN Message: Device did not "
     "respond to SNMP"},
    {2, "public", 0, HOST_DOWN, LOG_ALWAYS,
     "Device[7] Hostname[10.0.0.1] NOTICE: HOST EVENT: Device Returned from DOWN State"},
    {2, "public", 3, HOST_UP, LOG_HIGH, "Device[7] SNMP Ping Unknown Error: no route"},
    {3, "public", 0, HOST_UP, LOG_HIGH, "Device[7] PING Result: UDP: Device is Alive"},
    {3, "public", 0, HOST_UP, LOG_ALWAYS,
     "Device[7] DEBUG Falling back to UDP Ping Due to SetUID Issues"},
    {0, "public", 0, HOST_UP, LOG_MEDIUM,
     "Device[7] HT[1] NOTE: There are '2' Polling Items for this Device"},
    {0, "public", 0, HOST_UP, LOG_MEDIUM,
     "Device[7] HT[1] DS[101] TT[1.50] SNMP: v2: 10.0.0.1, dsname: n1, oid: arg1, value: 1001"},
    {0, "public", 0, HOST_UP, LOG_MEDIUM, "Device[7] HT[1] Total Time: 0.0015 Seconds"},
};

/* Said at its level and above, and at every level, as ALWAYS, for a debug device. */
static void lines_are_said_at_their_level(void **state)
{
    (void)state;
    add_items(2);
    b.agent = moody;
    b.options.failure_count = b.options.recovery_count = 1;
    for (size_t i = 0; i < ARRAY_LEN(said); i++)
        for (int level = LOG_ALWAYS; level <= LOG_DEVDBG; level++)
            for (int debug = 0; debug < 2; debug++) {
                forget_run();
                b.device.availability_method = said[i].method;
                b.device.snmp.community = said[i].community;
                b.device.status.status = said[i].status;
                b.ping.fell_back = strstr(said[i].line, "Falling back") != NULL;
                b.arg = said[i].agent;
                b.options.log_level = (enum log_level)level;
                b.options.debug_device = debug;
                run_device();
                int as = debug ? LOG_ALWAYS : said[i].level;
                if (level >= as)
                    assert_logged(as, said[i].line);
                else
                    assert_silent(said[i].line);
                if (!b.ping.fell_back)
                    assert_silent("Falling back");
            }
}

static void every_item_of_a_silent_agent_is_named(void **state)
{
    (void)state;
    char line[160];
    add_items(35);
    b.agent = dying;
    b.arg = 3;
    run_device();
    for (int ds = 100; ds < 135; ds++) {
        snprintf(line, sizeof(line),
                 "Device[7] HT[1] DS[%d] WARNING: SNMP timeout detected [500 ms], ignoring host "
                 "'10.0.0.1'",
                 ds);
        assert_int_equal(count_lines(LOG_ALWAYS, line), ds >= 120 && ds < 130);
    }
}

static void invalid_values_are_told_as_configured(void **state)
{
    (void)state;
    add_items(2);
    b.agent = untidy;
    b.arg = 'i';
    run_device();
    assert_silent("Invalid Response");
    forget_run();
    b.options.invalid_log = 2;
    b.options.log_level = LOG_ALWAYS;
    run_device();
    assert_logged(LOG_ALWAYS,
                  "WARNING: Invalid Response, Device[7] HT[1] DS[101] SNMP: v2: 10.0.0.1, "
                  "dsname: n1, oid: arg1, value: no value");
    forget_run();
    b.options.invalid_log = 1;
    run_device();
    assert_logged(LOG_ALWAYS,
                  "WARNING: Invalid Response(s), Errors[2] Device[7] Thread[1] DS[100, 101]");
    forget_run();
    b.agent = full_of_holes;
    b.arg = 0;
    add_items(6);
    run_device();
    assert_logged(LOG_ALWAYS,
                  "WARNING: Invalid Response(s), Errors[3] Device[7] Thread[1] DS[101, 103, 105]");
    forget_run();
    b.agent = dying;
    run_device();
    assert_silent("Invalid Response"); /* not counted (docs/contract.md 3.12) */
}

static void a_long_list_of_invalid_values_is_split(void **state UNUSED)
{
    size_t lines = 0, seen = 0;
    add_items(ITEMS_MAX);
    for (uint32_t i = 0; i < ITEMS_MAX; i++)
        b.items[i].local_data_id = 4000000000 + i;
    b.device.max_oids = 100;
    b.agent = untidy;
    b.arg = 'i';
    b.options.invalid_log = 1;
    b.options.log_level = LOG_ALWAYS;
    run_device();
    for (const char *p = buf_str(&b.log); *p != '\0'; p = strchr(p, '\n') + 1, lines++) {
        const char *list = strstr(p, "DS[") + 3;
        assert_within(strcspn(list, "]"), 12, 2047);
        size_t in_line = 0;
        for (; strtoul(list, NULL, 10) == 4000000000 + seen; seen++, in_line++)
            list += 10 + 2 * (list[10] == ',');
        assert_int_equal(strtoul(strstr(p, "Errors[") + 7, NULL, 10), in_line);
    }
    assert_int_equal(seen, ITEMS_MAX);
    assert_int_equal(lines, 3); /* 170 of 12 characters are 2038 */
}

/* ---- stopping (docs/contract.md 6.3, 20.2) ---- */

static void stopped_anywhere_no_item_is_lost_or_torn(void **state)
{
    (void)state;
    add_items(35);
    for (size_t i = 0; i < 35; i++)
        b.items[i].local_data_id = (uint32_t)(100 + i % 12); /* rows far apart */
    b.device.availability_method = AVAIL_PING_AND_SNMP;
    for (int blind = 0; blind < 2; blind++)
        for (int n = 0; n <= 6; n++) {
            forget_run();
            b.stop_blind = blind;
            b.stop_after = n;
            run_device();
            assert_int_equal(b.result.complete, n == 6);
            assert_false(b.result.down);
            assert_int_equal(b.row_count, n < 5 ? 0 : n == 5 ? 20 : 35);
        }
}

static void nothing_is_torn_when_half_is_hopeless(void **state)
{
    (void)state;
    add_items(12);
    for (size_t i = 0; i < 12; i++)
        b.items[i].local_data_id = (uint32_t)(100 + i / 2);
    b.items[0].action = 10; /* U at once, but its sibling is not known yet */
    b.items[2].action = b.items[3].action = 10;
    b.stop_after = 0;
    run_device();
    assert_int_equal(b.row_count, 2);
    assert_int_equal(b.result.unfinished, 10);
}

/* ---- everything at random ---- */

static uint64_t random_state;

static int pick(int below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int)(random_state >> 33) % below;
}

static void erratic(const struct snmp_request *rq, struct answer *a)
{
    static const enum varbind_type types[] = {VARBIND_INTEGER, VARBIND_INTEGER, VARBIND_INTEGER,
                                              VARBIND_NO_SUCH_OBJECT, VARBIND_END_OF_MIB_VIEW};
    static const uint32_t strange[] = {1, 3, 6, 1, 4, 1, 98, 1, 0};
    int mood = pick(12);
    for (size_t i = 0; i < rq->count; i++) {
        if (mood == 1 && pick(3) == 0)
            continue;
        if (mood == 2 && pick(3) == 0)
            put(a, (struct oid){strange, SUBS});
        put(a, rq->names[mood == 3 ? rq->count - 1 - i : i]);
        if (mood == 4)
            a->vb[i].type = types[pick(ARRAY_LEN(types))];
    }
    if (mood == 5 || mood == 6) {
        a->reply.error_status = pick(6);
        a->reply.error_index = pick((int)rq->count + 3) - 1;
    } else if (mood == 7 && pick(3) == 0) {
        a->reply.outcome = (enum snmp_outcome)(1 + pick(3));
    } else if (mood == 8 && rq->count > 3) {
        a->reply.error_status = SNMP_ERROR_TOO_BIG;
    }
}

static void erratic_script(int item, struct script_reply *reply)
{
    prints_value(item, reply);
    if (pick(4) == 0)
        *reply = (struct script_reply){.outcome = (enum script_outcome)(1 + pick(6)),
                                       .output = "",
                                       .detail = pick(2) == 0 ? NULL : "why"};
}

static size_t any(size_t open)
{
    return (size_t)pick((int)open);
}

static struct reindex_row random_assertion(void)
{
    static const uint32_t uptime[] = {1, 3, 6, 1, 2, 1, 1, 3, 0};
    static const int actions[] = {REINDEX_SNMP,   REINDEX_SNMP_COUNT,   REINDEX_SCRIPT,
                                  REINDEX_SERVER, REINDEX_SCRIPT_COUNT, 9};
    return (struct reindex_row){.data_query_id = (uint32_t)pick(3),
                                .action = actions[pick(ARRAY_LEN(actions))],
                                .op = "=<>"[pick(3)],
                                .assert_value = pick(2) == 0 ? "99999" : "1",
                                .arg1 = UPTIME,
                                .oid = {uptime, pick(5) == 0 ? 0 : SUBS}};
}

static void random_device(struct target targets[3], struct reindex_row assertions[3])
{
    static const int actions[] = {ITEM_SNMP, ITEM_SNMP,   ITEM_SNMP,   ITEM_SNMP, ITEM_SNMP,
                                  ITEM_SNMP, ITEM_SCRIPT, ITEM_SERVER, 10};
    int items = pick(40), sources = 1 + pick(40);
    for (int i = 0; i < items; i++) {
        struct item *it = add_item(actions[pick(ARRAY_LEN(actions))]);
        it->local_data_id = (uint32_t)(100 + i % sources);
        it->target = &targets[pick(4) == 0 ? pick(3) : 0];
        if (pick(15) == 0)
            it->oid.len = 0;
    }
    b.device.id = (uint32_t)pick(4);
    b.device.max_oids = pick(14) - 1;
    b.device.availability_method = pick(3) == 0 ? pick(8) : AVAIL_NONE;
    b.device.snmp.community = pick(4) == 0 ? "" : "public";
    b.device.status.status = pick(4);
    b.device.status.event_count = pick(3);
    b.options.log_level = (enum log_level)(1 + pick(6));
    b.options.debug_device = pick(5) == 0;
    b.options.invalid_log = pick(3);
    b.ping.outcome = (enum ping_outcome)pick(3);
    b.options.system_info = pick(4) == 0;
    b.options.ping_only = pick(9) == 0;
    b.device.reindex = assertions;
    b.device.reindex_count = pick(3) == 0 ? (size_t)pick(4) : 0;
    for (int i = 0; i < 3; i++)
        assertions[i] = random_assertion();
    b.stop_after = pick(3) == 0 ? pick(12) : NEVER;
    b.stop_blind = pick(2);
    b.agent = erratic;
    b.script = erratic_script;
    b.choose = any;
    b.device.device_threads = pick(3) == 0 ? pick(OPEN_MAX) : 1;
    b.options.no_scripts = pick(9) == 0;
    b.options.agent_ms = pick(4) == 0 ? pick(30) : 0;
}

static void promises_hold_for_any_device_and_agent(void **state)
{
    const char *given = getenv("TEST_SEED");
    uint64_t seed =
        given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
    print_message("seed: TEST_SEED=%" PRIu64 "\n", seed);
    random_state = seed | 1;
    for (int i = 0; i < 20000; i++) {
        set_up(state);
        struct target targets[3] = {b.target, b.target, b.target};
        targets[1].port = 1161;
        targets[2].community = "other";
        struct reindex_row assertions[3];
        random_device(targets, assertions);
        run_device();
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    struct CMUnitTest table[ARRAY_LEN(pollings)];
    for (size_t i = 0; i < ARRAY_LEN(pollings); i++)
        table[i] = (struct CMUnitTest){pollings[i].name, polled_as_expected, set_up, tear_down,
                                       &pollings[i]};
    const struct CMUnitTest tests[] = {
        TEST(max_oids_out_of_range_is_five),
        TEST(only_a_message_that_is_too_big_says_how_many_are_answered),
        TEST(sessions_never_share_a_request),
        TEST(equal_sessions_share_wherever_they_are_written),
        TEST(what_cannot_be_asked_is_unknown),
        TEST(two_items_may_share_an_oid),
        TEST(device_0_has_no_check_and_no_status),
        TEST(an_answer_before_the_start_is_ignored),
        TEST(the_check_decides_as_the_contract_says),
        TEST(ping_only_means_no_items),
        TEST(lines_are_said_at_their_level),
        TEST(every_item_of_a_silent_agent_is_named),
        TEST(invalid_values_are_told_as_configured),
        TEST(a_long_list_of_invalid_values_is_split),
        TEST(stopped_anywhere_no_item_is_lost_or_torn),
        TEST(nothing_is_torn_when_half_is_hopeless),
        TEST(promises_hold_for_any_device_and_agent),
    };
    int failed = cmocka_run_group_tests_name("polling of SNMP items", table, NULL, NULL);
    return failed + cmocka_run_group_tests_name("devrun", tests, NULL, NULL);
}
