/* What the asks of a device run on the bench are answered with. */
#ifndef DEVRUN_ANSWERS_H
#define DEVRUN_ANSWERS_H

#include "devrun_bench.h"

static struct moment now(void)
{
    return (struct moment){.mono_us = START_US + b.ask_count * STEP_US,
                           .wall_us = WALL_S * INT64_C(1000000) + b.ask_count * JUMP_US};
}

/* In words of its own, as target_compare() is under test. */
static bool same_session(const struct target *a, const struct target *t)
{
    return strcmp(a->hostname, t->hostname) == 0 && a->port == t->port &&
           a->version == t->version && a->timeout_ms == t->timeout_ms &&
           strcmp(a->community, t->community) == 0 && strcmp(a->username, t->username) == 0;
}

static struct session *session_of(const struct snmp_request *rq)
{
    size_t i = 0;
    while (i < b.session_count && !same_session(b.sessions[i].target, rq->target))
        i++;
    assert_within(i, 0, SESSIONS_MAX - 1);
    b.sessions[i].target = rq->target;
    b.session_count += i == b.session_count;
    return &b.sessions[i];
}

static void note_request(const struct snmp_request *rq)
{
    const struct session *s = session_of(rq);
    b.snmp_count++;
    for (size_t i = 0; i < rq->count; i++)
        assert_within(rq->names[i].len, 2, OID_MAX_LEN);
    /* A check that ran out of time is followed by no question whether its agent lives: the next
     * request is an item's, and names another target. */
    b.doubt = s->answered && s->unheard == 1 && rq->count == 1 && s->last == rq->target;
    if (rq->target == &b.device.snmp) {
        buf_puts(&b.asks, "C ");
        return;
    }
    buf_printf(&b.asks, "%zu ", rq->count);
    assert_false(s->silent); /* a silent agent is left alone */
    for (size_t i = 0; i < rq->count; i++) {
        int k = item_of(rq->names[i]);
        if (k < 0 && b.doubt)
            continue;
        assert_within(k, 0, ITEMS_MAX);
        assert_int_equal(b.items[k].action, ITEM_SNMP);
        assert_true(same_session(b.items[k].target, rq->target));
        assert_false(b.answered[k] && !b.doubt); /* what is known is not asked again */
    }
}

static void note_reply(const struct snmp_request *rq, const struct snmp_reply *reply)
{
    struct session *s = session_of(rq);
    bool check = rq->target == &b.device.snmp;
    bool timed_out = reply->outcome == SNMP_TIMED_OUT;
    b.timeouts += timed_out;
    s->unheard = timed_out ? s->unheard + 1 : 0;
    s->last = rq->target;
    s->answered |= reply->outcome == SNMP_ANSWERED && reply->error_status != SNMP_ERROR_TOO_BIG;
    s->silent |= !check && timed_out && (!s->answered || s->unheard > 1);
    if (check || b.doubt || reply->outcome != SNMP_ANSWERED ||
        reply->error_status != SNMP_ERROR_NONE)
        return;
    for (size_t i = 0; i < rq->count; i++)
        for (size_t k = 0; k < reply->count; k++)
            if (oid_equal(rq->names[i], reply->varbinds[k].name) &&
                !varbind_is_exception(&reply->varbinds[k]))
                b.answered[item_of(rq->names[i])] = true;
}

static void answer_script(struct devrun *run, const struct ask *ask, const struct moment *when)
{
    struct script_reply reply = {.output = "", .elapsed_us = STEP_US};
    int item = -1;
    for (size_t i = 0; i < b.device.item_count; i++)
        if (b.items[i].arg1 == ask->script.command)
            item = (int)i;
    if (item >= 0)
        assert_int_equal(ask->kind == ASK_SCRIPT, b.items[item].action == ITEM_SCRIPT);
    buf_puts(&b.asks, ask->kind == ASK_SCRIPT ? "S " : "V ");
    b.script(item, &reply);
    if (item >= 0) {
        assert_false(b.answered[item]);
        b.answered[item] = reply.outcome == SCRIPT_OUTPUT;
    }
    devrun_answer_script(run, ask->id, &reply, when);
}

static void answer_snmp(struct devrun *run, const struct ask *ask, const struct moment *when)
{
    static struct answer a;
    a.reply = (struct snmp_reply){.varbinds = a.vb, .elapsed_us = STEP_US, .detail = "no route"};
    note_request(&ask->snmp);
    b.agent(&ask->snmp, &a);
    note_reply(&ask->snmp, &a.reply);
    devrun_answer_snmp(run, ask->id, &a.reply, when);
}

static void answer_one(struct devrun *run)
{
    size_t at = b.choose(b.open_count);
    struct ask ask = b.open[at];
    struct moment when;
    memmove(&b.open[at], &b.open[at + 1], (--b.open_count - at) * sizeof(b.open[0]));
    b.ask_count++;
    when = now();
    if (ask.kind == ASK_PING) {
        buf_puts(&b.asks, "P ");
        devrun_answer_ping(run, ask.id, &b.ping, &when);
    } else if (ask.kind == ASK_SNMP) {
        answer_snmp(run, &ask, &when);
    } else {
        answer_script(run, &ask, &when);
    }
}

/* Answers that no ask waits for have no effect, nor those of another kind. */
static void answer_strangers(struct devrun *run)
{
    struct moment when = now();
    struct snmp_reply no = {.outcome = SNMP_TIMED_OUT};
    struct script_reply words = {.outcome = SCRIPT_OUTPUT, .output = "1", .len = 1};
    for (size_t i = 0; i < b.open_count + 3; i++) {
        bool open = i < b.open_count;
        uint32_t id = open ? b.open[i].id
                           : (const uint32_t[]){0, b.last_id + 1, UINT32_MAX}[i - b.open_count];
        enum ask_kind kind = open ? b.open[i].kind : ASK_PING;
        if (!open || kind != ASK_SNMP)
            devrun_answer_snmp(run, id, &no, &when);
        if (!open || kind != ASK_PING)
            devrun_answer_ping(run, id, &b.ping, &when);
        if (!open || kind == ASK_SNMP || kind == ASK_PING)
            devrun_answer_script(run, id, &words, &when);
    }
    assert_null(devrun_next_action(run));
}

/* ---- looking at it ---- */

static UNUSED size_t count_lines(int level, const char *text)
{
    struct buf wanted = BUF_INIT;
    size_t n = 0;
    buf_printf(&wanted, "%d %s\n", level, text);
    for (const char *p = buf_str(&b.log); *p != '\0'; p = strchr(p, '\n') + 1)
        n += strncmp(p, buf_str(&wanted), wanted.len) == 0;
    buf_done(&wanted);
    return n;
}

static UNUSED size_t lines_with(const char *text)
{
    size_t n = 0;
    for (const char *p = buf_str(&b.log); (p = strstr(p, text)) != NULL; p++)
        n++;
    return n;
}

static UNUSED void assert_logged(int level, const char *text)
{
    if (count_lines(level, text) != 1)
        fail_msg("expected once at level %d: %s\nlogged:\n%s", level, text, buf_str(&b.log));
}

static UNUSED void assert_silent(const char *part)
{
    if (strstr(buf_str(&b.log), part) != NULL)
        fail_msg("not expected: %s\nlogged:\n%s", part, buf_str(&b.log));
}

#endif
