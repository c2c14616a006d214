#include "config.h"

#include "engine/witness.h"

#include "base/stream.h"
#include "model/record.h"

#include <stdio.h>

static const char *const ask_kinds[] = {
    [ASK_SNMP] = "snmp", [ASK_PING] = "ping", [ASK_SCRIPT] = "script", [ASK_SERVER] = "server"};

/* ---- what goes in ---- */

static void tell_answer(const struct device *device, const struct devrun_event *e, bool failed,
                        int64_t elapsed_us, unsigned repeats, const char *text)
{
    stream_emit_text(
        (struct happening){
            .type = failed ? EVENT_ASK_FAILED : EVENT_ASK_ANSWERED,
            .device = device->id,
            .mono_us = e->at.mono_us,
            .wall_us = e->at.wall_us,
            .figures = {e->ask_id, elapsed_us, repeats},
        },
        text);
}

static void tell_snmp(const struct device *device, const struct devrun_event *e)
{
    const struct snmp_reply *r = e->snmp;
    bool failed = r->outcome != SNMP_ANSWERED;
    char why[EVENT_TEXT];
    if (failed && r->detail != NULL && *r->detail != '\0')
        snprintf(why, sizeof(why), "snmp %s: %.40s",
                 record_word(RECORD_SNMP_OUTCOMES, (int)r->outcome), r->detail);
    else
        snprintf(why, sizeof(why), "snmp %s", record_word(RECORD_SNMP_OUTCOMES, (int)r->outcome));
    tell_answer(device, e, failed, r->elapsed_us, r->traffic.repeats, failed ? why : "snmp");
}

static void tell_ping(const struct device *device, const struct devrun_event *e)
{
    const struct ping_reply *r = e->ping;
    char why[EVENT_TEXT];
    snprintf(why, sizeof(why), "ping %s: %.40s", record_word(RECORD_PING_OUTCOMES, (int)r->outcome),
             r->text);
    tell_answer(device, e, r->outcome != PING_UP, (int64_t)(r->time_ms * 1000), 0,
                r->outcome != PING_UP ? why : "ping");
}

static void tell_script(const struct device *device, const struct devrun_event *e)
{
    const struct script_reply *r = e->script;
    char why[EVENT_TEXT];
    snprintf(why, sizeof(why), "script %s", record_word(RECORD_SCRIPT_OUTCOMES, (int)r->outcome));
    tell_answer(device, e, r->outcome != SCRIPT_OUTPUT, r->elapsed_us, 0,
                r->outcome != SCRIPT_OUTPUT ? why : "script");
}

static void tell_start(const struct device *device, const struct devrun_event *e)
{
    stream_emit_text(
        (struct happening){
            .type = EVENT_DEVICE_STARTED,
            .device = device->id,
            .mono_us = e->at.mono_us,
            .wall_us = e->at.wall_us,
            .figures = {(int64_t)device->item_count, (int64_t)device->reindex_count},
        },
        device->snmp.hostname);
}

static void on_event(void *arg UNUSED, const struct device *device,
                     const struct devrun_options *options, const struct devrun_event *e)
{
    switch (e->kind) {
    case DEVRUN_START: tell_start(device, e); break;
    case DEVRUN_SNMP: tell_snmp(device, e); break;
    case DEVRUN_PING: tell_ping(device, e); break;
    case DEVRUN_SCRIPT: tell_script(device, e); break;
    case DEVRUN_STOP: break; /* cycle_drop() tells */
    }
    if (stream_wants_details()) {
        struct buf json = BUF_INIT;
        record_event(device, options, e, &json);
        stream_emit_detail(EVENT_RUN_INPUT, device->id, &json);
    }
}

/* ---- what comes out ---- */

static void tell_ask(const struct device *device, const struct ask *ask)
{
    int64_t names = ask->kind == ASK_SNMP ? (int64_t)ask->snmp.count : 1;
    stream_emit_text((struct happening){.type = EVENT_ASK_STARTED,
                                        .device = device->id,
                                        .figures = {ask->id, names, (int64_t)ask->purpose}},
                     ask_kinds[ask->kind]);
}

static void on_action(void *arg UNUSED, const struct device *device, const struct action *action)
{
    if (action->kind == ACTION_ASK)
        tell_ask(device, &action->ask);
    else if (action->kind == ACTION_RECACHE)
        stream_emit(&(struct happening){.type = EVENT_DEVICE_REINDEX,
                                        .device = device->id,
                                        .figures = {action->recache.data_query_id}});
    if (stream_wants_details()) {
        struct buf json = BUF_INIT;
        record_action(device, action, &json);
        stream_emit_detail(EVENT_RUN_ACTION, device->id, &json);
    }
}

const struct devrun_watcher witness = {.event = on_event, .action = on_action};
