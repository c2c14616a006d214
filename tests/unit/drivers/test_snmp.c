#include "config.h"

#include "drivers/snmp.h"

#include "snmp_ber.h"

#include "base/clock.h"
#include "base/compiler.h"
#include "base/thr.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- agents that the test plays ---- */

struct asked {
    int fd;
    uint16_t port;
    struct sockaddr_in from;
    uint8_t bytes[600];
    size_t len;
};

static void asked_start(struct asked *a)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval patience = {.tv_sec = 30};
    socklen_t len = sizeof(name);
    a->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(a->fd >= 0);
    assert_int_equal(bind(a->fd, (struct sockaddr *)&name, len), 0);
    assert_int_equal(getsockname(a->fd, (struct sockaddr *)&name, &len), 0);
    assert_int_equal(setsockopt(a->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    a->port = ntohs(name.sin_port);
}

static void asked_receive(struct asked *a)
{
    socklen_t len = sizeof(a->from);
    ssize_t n = recvfrom(a->fd, a->bytes, sizeof(a->bytes), 0, (struct sockaddr *)&a->from, &len);
    assert_true(n > 0);
    a->len = (size_t)n;
}

static void asked_answer(const struct asked *a, int32_t value)
{
    struct seen r = see(a->bytes, a->len);
    struct bytes m = message_of(r.version, "secret", uptime_pdu(r.request_id, value));
    assert_int_equal(
        sendto(a->fd, m.b, m.len, 0, (const struct sockaddr *)&a->from, sizeof(a->from)), m.len);
}

/* ---- threads that ask ---- */

struct asker {
    struct give_up give_up;
    struct asked agent;
    struct snmp_reply reply;
    uint32_t value;
    pthread_t thread;
};

static struct resolver *resolver;

static void *ask_there(void *arg)
{
    static const uint32_t subs[] = {1, 3, 6, 1, 2, 1, 1, 3, 0};
    struct asker *a = arg;
    struct target t = {.hostname = "127.0.0.1",
                       .port = a->agent.port,
                       .version = 2,
                       .timeout_ms = 1800 * 1000,
                       .community = "secret"};
    struct oid name = {subs, ARRAY_LEN(subs)};
    struct snmp_request request = {.op = SNMP_OP_GET, .target = &t, .names = &name, .count = 1};
    struct snmp_options options = {.retries = 3, .resolver = resolver, .give_up = &a->give_up};
    struct snmp_agent *agent = snmp_agent_new(&options);
    snmp_agent_ask(agent, &request, clock_mono_ms() + 3600 * 1000, &a->reply);
    a->value = a->reply.count == 1 ? (uint32_t)a->reply.varbinds[0].number : 0;
    a->reply.detail = NULL; /* the agent's */
    snmp_agent_free(agent);
    return NULL;
}

static void asker_start(struct asker *a)
{
    assert_true(give_up_init(&a->give_up, NULL));
    asked_start(&a->agent);
    CHECK(thr_start(&a->thread, "asker", ask_there, a, NULL));
    asked_receive(&a->agent);
}

static void asker_done(struct asker *a)
{
    thr_join(a->thread);
    close(a->agent.fd);
    give_up_done(&a->give_up);
}

static void an_answer_is_taken_at_once(void **state UNUSED)
{
    struct asker a;
    asker_start(&a);
    asked_answer(&a.agent, 4711);
    asker_done(&a);
    assert_int_equal(a.reply.outcome, SNMP_ANSWERED);
    assert_int_equal(a.value, 4711);
}

/* Time-outs of half an hour: the test would not end if they were waited for. */
static void giving_up_ends_the_requests_of_one_cycle_only(void **state UNUSED)
{
    struct asker ended[8], other;
    asker_start(&other);
    for (size_t i = 0; i < ARRAY_LEN(ended); i++)
        asker_start(&ended[i]);
    for (size_t i = 0; i < ARRAY_LEN(ended); i++) {
        give_up_set(&ended[i].give_up);
        asker_done(&ended[i]);
        assert_int_equal(ended[i].reply.outcome, SNMP_TIMED_OUT);
    }
    asked_answer(&other.agent, 5);
    asker_done(&other);
    assert_int_equal(other.reply.outcome, SNMP_ANSWERED);
    assert_int_equal(other.value, 5);
}

static int start(void **state UNUSED)
{
    resolver = resolver_new();
    return snmp_library_start(NULL) ? 0 : -1;
}

static int stop_library(void **state UNUSED)
{
    snmp_library_stop();
    resolver_free(resolver);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_taken_at_once),
        cmocka_unit_test(giving_up_ends_the_requests_of_one_cycle_only),
    };
    return cmocka_run_group_tests(tests, start, stop_library);
}
