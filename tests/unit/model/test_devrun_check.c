/* The availability check of a device: what it asks for and what the log says of it. */
#include "config.h"

#include "devrun_drive.h"

#define UPTIME ".1.3.6.1.2.1.1.3.0"
#define DESCR  ".1.3.6.1.2.1.1.1.0"

static enum snmp_op last_op;
static char last_name[40];

static void curious(const struct snmp_request *rq, struct answer *a)
{
    struct buf name = BUF_INIT;
    honest(rq, a);
    oid_print(rq->names[0], &name);
    snprintf(last_name, sizeof(last_name), "%s", name.data);
    last_op = rq->op;
    buf_done(&name);
}

static void the_check_asks_what_the_method_says(void **state)
{
    (void)state;
    const char *const names[] = {NULL, UPTIME, UPTIME, NULL, UPTIME, DESCR, ".1.3"};
    b.agent = curious;
    b.ping.outcome = PING_IMPOSSIBLE;
    b.device.snmp.version = 3; /* needs no community */
    b.device.snmp.community = "";
    for (int m = 0; m < (int)ARRAY_LEN(names); m++) {
        forget_run();
        last_name[0] = '\0';
        b.device.availability_method = m;
        run_device();
        assert_string_equal(last_name, names[m] == NULL ? "" : names[m]);
        if (names[m] != NULL)
            assert_int_equal(last_op, m == AVAIL_SNMP_GETNEXT ? SNMP_OP_GETNEXT : SNMP_OP_GET);
        assert_silent("Polling Items");
    }
}

static void the_log_names_the_kind_of_ping(void **state)
{
    static const struct {
        int method;
        const char *line;
    } kinds[] = {
        {PING_METHOD_ICMP, "Device[7] DEBUG: Entering ICMP Ping"},
        {PING_METHOD_UDP, "Device[7] DEBUG: Entering UDP Ping"},
        {PING_METHOD_TCP, "Device[7] DEBUG: Entering TCP Ping"},
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        set_up(state);
        b.options.log_level = LOG_DEBUGGING;
        b.device.availability_method = AVAIL_PING;
        b.device.ping_method = kinds[i].method;
        run_device();
        assert_logged(LOG_DEBUGGING, kinds[i].line);
    }
}

/* Where the ping alone decides, its text says what to do. */
static void a_name_without_an_address_is_told(void **state)
{
    static const struct {
        int method;
        const char *line;
    } methods[] = {
        {AVAIL_PING,
         "Device[7] PING Result: PING: Device is Unknown or is IPV6.  Please use the SNMP "
         "ping options only."},
        {AVAIL_PING_OR_SNMP, "Device[7] PING Result: PING: no address"},
    };
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        set_up(state);
        b.options.log_level = LOG_HIGH;
        b.device.availability_method = methods[i].method;
        b.ping = (struct ping_reply){
            .outcome = PING_DOWN, .text = "PING: no address", .bad_name = "no such name"};
        run_device();
        assert_logged(LOG_HIGH, methods[i].line);
        assert_logged(LOG_ALWAYS, "WARNING: no such name");
    }
}

static void a_check_that_was_made_was_possible(void **state)
{
    (void)state;
    b.device.availability_method = AVAIL_SNMP_UPTIME;
    run_device();
    assert_silent("No host availability check possible");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_check_asks_what_the_method_says),
        TEST(the_log_names_the_kind_of_ping),
        TEST(a_name_without_an_address_is_told),
        TEST(a_check_that_was_made_was_possible),
    };
    return cmocka_run_group_tests_name("devrun: check", tests, NULL, NULL);
}
