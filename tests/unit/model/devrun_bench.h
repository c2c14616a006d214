/* The bench of test_devrun: one device, a scripted agent, and a record of all that the run did. */
#ifndef DEVRUN_BENCH_H
#define DEVRUN_BENCH_H

#include "model/devrun.h"

#include "../../support/within.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ITEMS_MAX = 400, SUBS = 9, OPEN_MAX = 8, SESSIONS_MAX = 16, NEVER = -1 };
#define START_US 1000000
#define WALL_S   1700000000
#define STEP_US  1500             /* every answer takes this long, */
#define JUMP_US  INT64_C(7000000) /* and the wall clock runs away */

struct answer {
    struct snmp_reply reply;
    struct varbind vb[ITEMS_MAX];
};

typedef void agent_fn(const struct snmp_request *rq, struct answer *a);
/* item -1: a re-index check. */
typedef void script_fn(int item, struct script_reply *reply);
/* Which of the open asks is answered next. */
typedef size_t choose_fn(size_t open);

struct row {
    uint32_t id;
    char name[8];
    char output[24];
};

/* What the bench has seen of a session. */
struct session {
    const struct target *target, *last; /* of this request, of the one before */
    bool answered;
    int unheard; /* time-outs in a row */
    bool silent; /* it has never answered, or not even when asked for something it had answered */
};

static struct bench {
    struct device device;
    struct target target;
    struct item items[ITEMS_MAX];
    uint32_t subs[ITEMS_MAX][SUBS];
    char names[ITEMS_MAX][8];
    struct devrun_options options;
    agent_fn *agent;
    int arg; /* the agent's */
    struct ping_reply ping;
    script_fn *script;
    choose_fn *choose;
    int stop_after;  /* answers, or NEVER */
    bool stop_blind; /* without having looked at the actions of the last event */

    /* "P" ping, "C" SNMP of the check, "S" script, "V" script server, sizes of the requests for
     * items: as they were answered */
    struct buf asks;
    struct ask open[OPEN_MAX];
    size_t open_count, most_open;
    uint32_t last_id;
    struct buf log; /* "level text\n" */
    int ask_count, snmp_count, timeouts;
    bool answered[ITEMS_MAX]; /* the agent gave a value */
    struct session sessions[SESSIONS_MAX];
    size_t session_count;
    bool doubt; /* the request only asks whether the agent lives */
    struct row rows[ITEMS_MAX];
    size_t row_count;
    int finished;
    size_t learned; /* devrun_learned_oids() */
    struct devrun_result result;
    struct system_info system; /* of the result; its texts are freed with the run */
    char location[24];
} b;

static int64_t value_of(struct oid name)
{
    return name.len == SUBS ? (int64_t)name.sub[7] + 1000 : 12345;
}

/* The names of a request are the items' own numbers, so the pointer tells which item is meant. */
static int item_of(struct oid name)
{
    for (size_t i = 0; i < b.device.item_count; i++)
        if (name.sub == b.subs[i])
            return (int)i;
    return -1;
}

static void put(struct answer *a, struct oid name)
{
    a->vb[a->reply.count++] =
        (struct varbind){.name = name, .type = VARBIND_INTEGER, .integer = value_of(name)};
}

static void honest(const struct snmp_request *rq, struct answer *a)
{
    for (size_t i = 0; i < rq->count; i++)
        put(a, rq->names[i]);
}

static UNUSED void prints_value(int item, struct script_reply *reply)
{
    static char text[24];
    snprintf(text, sizeof(text), "%" PRId64 "\n",
             item < 0 ? INT64_C(12345) : value_of(b.items[item].oid));
    reply->output = text;
    reply->len = strlen(text);
    reply->lines = 1;
}

static UNUSED size_t oldest(size_t open)
{
    (void)open;
    return 0;
}

static struct item *add_item(int action)
{
    size_t i = b.device.item_count++;
    const uint32_t numbers[SUBS] = {1, 3, 6, 1, 4, 1, 99, (uint32_t)i, 0};
    memcpy(b.subs[i], numbers, sizeof(numbers));
    snprintf(b.names[i], sizeof(b.names[i]), "n%u", (unsigned)i % 1000);
    b.items[i] = (struct item){.local_data_id = (uint32_t)(100 + i),
                               .action = action,
                               .rrd_name = b.names[i],
                               .arg1 = action == ITEM_SNMP ? "arg1" : b.names[i],
                               .target = &b.target,
                               .oid = {b.subs[i], SUBS}};
    return &b.items[i];
}

static UNUSED void add_items(size_t n)
{
    while (n-- > 0)
        add_item(ITEM_SNMP);
}

static void forget_run(void)
{
    buf_done(&b.asks);
    buf_done(&b.log);
    memset(&b.asks, 0, sizeof(b) - offsetof(struct bench, asks));
}

static int tear_down(void **state)
{
    (void)state;
    forget_run();
    return 0;
}

static UNUSED int set_up(void **state)
{
    tear_down(state);
    memset(&b, 0, sizeof(b));
    b.target = (struct target){.hostname = "10.0.0.1",
                               .port = 161,
                               .version = 2,
                               .timeout_ms = 500,
                               .community = "public",
                               .username = "",
                               .password = "",
                               .auth_protocol = "",
                               .priv_passphrase = "",
                               .priv_protocol = "",
                               .context = "",
                               .engine_id = ""};
    b.device = (struct device){.id = 7,
                               .max_oids = 10,
                               .snmp = b.target,
                               .ping_method = 2,
                               .status = {.status = HOST_UP, .last_error = "", .min_time = 9.99999},
                               .items = b.items};
    b.options =
        (struct devrun_options){.log_level = LOG_MEDIUM, .failure_count = 2, .recovery_count = 3};
    b.agent = honest;
    b.script = prints_value;
    b.choose = oldest;
    b.ping =
        (struct ping_reply){.outcome = PING_UP, .time_ms = 2.5, .text = "UDP: Device is Alive"};
    b.stop_after = NEVER;
    return 0;
}

#endif
