#include "config.h"

#include "model/devrun.h"

#include "base/mem.h"
#include "base/num.h"
#include "devrun_private.h"

#include <inttypes.h>
#include <stdlib.h>

#define MAX_OIDS_DEFAULT 5 /* docs/contract.md 13.1 */
#define MAX_OIDS_LIMIT   100

/* ---- actions ---- */

struct action *devrun_add_action(struct devrun *run, enum action_kind kind)
{
    run->actions = mem_grow(run->actions, run->action_count, &run->action_cap, 1,
                            sizeof(run->actions[0])); /* most runs ask one thing at a time */
    struct action *a = &run->actions[run->action_count++];
    *a = (struct action){.kind = kind};
    return a;
}

struct action *devrun_add_verdict(struct devrun *run, enum action_kind kind)
{
    run->verdicts =
        mem_grow(run->verdicts, run->verdict_count, &run->verdict_cap, 4, sizeof(run->verdicts[0]));
    struct action *a = &run->verdicts[run->verdict_count++];
    *a = (struct action){.kind = kind};
    return a;
}

static void drop_actions(struct devrun *run)
{
    for (size_t i = 0; i < run->action_count; i++)
        if (run->actions[i].kind == ACTION_LOG)
            free(run->actions[i].log.text);
    run->action_count = 0;
    run->action_next = 0;
}

const struct action *devrun_next_action(struct devrun *run)
{
    if (run->action_next == run->action_count)
        return NULL;
    const struct action *a = &run->actions[run->action_next++];
    if (run->watcher.action != NULL)
        run->watcher.action(run->watcher.arg, run->device, a);
    return a;
}

bool devrun_listening(const struct devrun *run, enum log_level level)
{
    return run->options.debug_device || level <= run->options.log_level;
}

static PRINTF(3, 0) struct action *add_line(struct devrun *run, enum log_level level,
                                            const char *fmt, va_list ap)
{
    struct buf line = BUF_INIT;
    buf_vprintf(&line, fmt, ap);
    struct action *a = devrun_add_action(run, ACTION_LOG);
    a->log.level = run->options.debug_device ? LOG_ALWAYS : level;
    a->log.text = buf_take(&line);
    return a;
}

void devrun_say(struct devrun *run, enum log_level level, const char *fmt, ...)
{
    if (!devrun_listening(run, level))
        return;
    va_list ap;
    va_start(ap, fmt);
    (void)add_line(run, level, fmt, ap);
    va_end(ap);
}

void devrun_say_trouble(struct devrun *run, const char *fmt, ...)
{
    if (!devrun_listening(run, LOG_ALWAYS))
        return;
    va_list ap;
    va_start(ap, fmt);
    add_line(run, LOG_ALWAYS, fmt, ap)->log.of_many = !run->options.debug_device;
    va_end(ap);
}

static enum ask_purpose devrun_purpose(const struct devrun *run)
{
    switch (run->phase) {
    case PHASE_SYSTEM: return ASK_FOR_SYSTEM;
    case PHASE_REINDEX: return ASK_FOR_REINDEX;
    case PHASE_ITEMS: return ASK_FOR_ITEMS;
    default: return ASK_FOR_CHECK;
    }
}

struct ask *devrun_add_ask(struct devrun *run, enum ask_kind kind)
{
    struct action *a = devrun_add_action(run, ACTION_ASK);
    a->ask.id = ++run->last_ask;
    a->ask.kind = kind;
    a->ask.purpose = devrun_purpose(run);
    CHECK(run->ask_count < run->ask_limit);
    run->asks[run->ask_count++] = (struct open_ask){.id = a->ask.id, .kind = kind};
    return &a->ask;
}

/* ---- life ---- */

const char *unknown_reason_text(enum unknown_reason reason)
{
    static const char *const texts[UNKNOWN_REASONS] = {
        [UNKNOWN_NOT] = "value",
        [UNKNOWN_INVALID] = "invalid",
        [UNKNOWN_NO_ANSWER] = "no answer",
        [UNKNOWN_MISSING] = "missing",
        [UNKNOWN_AGENT_ERROR] = "agent error",
        [UNKNOWN_BAD_OID] = "bad OID",
        [UNKNOWN_FAILED] = "failed",
        [UNKNOWN_EMPTY] = "empty",
        [UNKNOWN_FLOODED] = "flooded",
        [UNKNOWN_UNSUPPORTED] = "unsupported",
        [UNKNOWN_SPIKE] = "spike kill",
        [UNKNOWN_RUNAWAY] = "too many steps",
    };
    return texts[reason];
}

static size_t step_limit(const struct device *d)
{
    size_t limit = DEVRUN_STEPS + d->item_count * DEVRUN_STEPS_ITEM;
    for (size_t i = 0; i < d->reindex_count; i++)
        limit +=
            DEVRUN_STEPS + (d->reindex[i].action == REINDEX_SNMP_COUNT ? DEVRUN_STEPS_COUNT : 0);
    return limit;
}

struct devrun *devrun_new(const struct device *device, const struct devrun_options *options)
{
    struct devrun *run = mem_zalloc(1, sizeof(*run));
    run->device = device;
    run->options = *options;
    run->status = device->status;
    run->ask_limit = 1;
    run->asks = mem_zalloc(1, sizeof(run->asks[0]));
    run->outcomes = mem_zalloc(device->item_count, sizeof(run->outcomes[0]));
    run->step_limit = step_limit(device);
    avail_init(&run->check);
    return run;
}

void devrun_free(struct devrun *run)
{
    if (run == NULL)
        return;
    drop_actions(run);
    devrun_probe_done(run);
    buf_done(&run->reindex.uptime);
    free(run->actions);
    free(run->asks);
    free(run->outcomes);
    free(run->verdicts);
    free(run->span.names);
    free(run->span.asked);
    free(run->suspects);
    free(run->agents.list);
    buf_done(&run->text);
    arena_done(&run->memory);
    free(run);
}

/* ---- the end ---- */

/* Rows of one data source carry one time and come together (docs/contract.md 17.2): after a stop a data
 * source with an unfinished row gives none.  Its rows need not be neighbours.  The ids are to be
 * freed. */
static uint32_t *unfinished_sources(const struct devrun *run, size_t *ret_count)
{
    uint32_t *ids = mem_zalloc(run->device->item_count, sizeof(ids[0]));
    *ret_count = 0;
    for (size_t i = 0; i < run->device->item_count; i++)
        if (!run->outcomes[i].done)
            ids[(*ret_count)++] = run->device->items[i].local_data_id;
    qsort(ids, *ret_count, sizeof(ids[0]), num_compare_u32);
    return ids;
}

static void add_rows(struct devrun *run, struct devrun_result *result)
{
    const struct device *d = run->device;
    size_t unfinished;
    uint32_t *partial = unfinished_sources(run, &unfinished);
    for (size_t i = 0; i < d->item_count; i++) {
        const struct outcome *o = &run->outcomes[i];
        if (unfinished > 0 && bsearch(&d->items[i].local_data_id, partial, unfinished,
                                      sizeof(partial[0]), num_compare_u32) != NULL) {
            result->unfinished++;
            continue;
        }
        if (o->reason == UNKNOWN_NOT)
            result->values++;
        else
            result->unknown[o->reason]++;
        devrun_say_unknown(run, i);
        struct action *a = devrun_add_action(run, ACTION_ROW);
        a->row = (struct output_row){
            .local_data_id = d->items[i].local_data_id,
            .rrd_name = d->items[i].rrd_name,
            .time = run->started.wall_us / 1000000,
            .output = run->text.data + o->text_at,
            .output_len = o->text_len,
        };
        a->origin = (struct row_origin){
            .item = &d->items[i],
            .ask_id = o->ask_id,
            .reason = o->reason,
            .why = devrun_unknown_text(o),
        };
    }
    free(partial);
}

/* One line per slice, and another whenever the list grows too long (docs/contract.md 3.12). */
static void say_invalid_summary(struct devrun *run)
{
    enum { LIST_MAX = 2047 };
    const struct device *d = run->device;
    struct buf list = BUF_INIT;
    int errors = 0, slice = 1;
    for (size_t i = 0; i <= d->item_count; i++) {
        bool end = i == d->item_count;
        int next = end ? slice + 1 : devrun_items_slice(run, i);
        if (errors > 0 && (next != slice || list.len + 12 > LIST_MAX)) {
            devrun_say(run, LOG_ALWAYS,
                       "WARNING: Invalid Response(s), Errors[%d] Device[%" PRIu32
                       "] Thread[%d] DS[%s]",
                       errors, d->id, slice, buf_str(&list));
            errors = 0;
            buf_clear(&list);
        }
        slice = next;
        if (!end && run->outcomes[i].done && devrun_is_invalid(run->outcomes[i].reason))
            buf_printf(&list, "%s%" PRIu32, errors++ > 0 ? ", " : "", d->items[i].local_data_id);
    }
    buf_done(&list);
}

void devrun_finish(struct devrun *run, bool complete, const struct moment *now)
{
    struct devrun_result result = {.complete = complete, .down = run->down};
    double seconds = (double)(now->mono_us - run->started.mono_us) / 1e6;
    if (run->down || (run->options.ping_only && complete))
        result.skipped = run->device->item_count;
    else
        add_rows(run, &result);
    /* A new assert value without the values it spoils would let them through in the next cycle. */
    for (size_t i = 0; complete && i < run->verdict_count; i++)
        *devrun_add_action(run, run->verdicts[i].kind) = run->verdicts[i];
    if (run->options.invalid_log == 1 && run->phase == PHASE_ITEMS)
        say_invalid_summary(run);
    if (!run->options.ping_only)
        devrun_say(run, LOG_MEDIUM, "Device[%" PRIu32 "] HT[1] Total Time: %0.2g Seconds",
                   run->device->id, seconds);
    result.host = (struct host_row){
        .device_id = run->device->id,
        .has_status = run->has_status,
        .status = run->status,
        .system = run->has_system ? &run->system : NULL,
        .has_polling_time = complete && !run->options.ping_only,
        .polling_time = seconds,
    };
    run->phase = PHASE_FINISHED;
    run->ask_count = 0;
    devrun_add_action(run, ACTION_FINISHED)->finished = result;
}

/* ---- events ---- */

void devrun_watch(struct devrun *run, const struct devrun_watcher *watcher)
{
    run->watcher = *watcher;
}

static void devrun_tell(const struct devrun *run, const struct devrun_event *event)
{
    if (run->watcher.event != NULL)
        run->watcher.event(run->watcher.arg, run->device, &run->options, event);
}

void devrun_feed(struct devrun *run, const struct devrun_event *e)
{
    switch (e->kind) {
    case DEVRUN_START: devrun_start(run, &e->at); break;
    case DEVRUN_SNMP: devrun_answer_snmp(run, e->ask_id, e->snmp, &e->at); break;
    case DEVRUN_PING: devrun_answer_ping(run, e->ask_id, e->ping, &e->at); break;
    case DEVRUN_SCRIPT: devrun_answer_script(run, e->ask_id, e->script, &e->at); break;
    case DEVRUN_STOP: devrun_stop(run, &e->at); break;
    }
}

static bool devrun_max_oids_fits(const struct device *d)
{
    return d->max_oids >= 1 && d->max_oids <= MAX_OIDS_LIMIT;
}

size_t devrun_max_oids(const struct device *device)
{
    return devrun_max_oids_fits(device) ? (size_t)device->max_oids : MAX_OIDS_DEFAULT;
}

size_t devrun_learned_oids(const struct devrun *run)
{
    return run->learned_oids >= 2 ? run->learned_oids : 0;
}

static void devrun_begin(struct devrun *run, const struct moment *now)
{
    const struct device *d = run->device;
    run->max_oids = devrun_max_oids(d);
    if (run->options.known_oids > 0 && run->options.known_oids < run->max_oids)
        run->max_oids = run->options.known_oids;
    if (!devrun_max_oids_fits(d))
        devrun_say(run, LOG_ALWAYS,
                   "Device[%" PRIu32
                   "] HT[1] WARNING: Max OIDS is out of range with value of '%" PRId64
                   "'.  Resetting to default of 5",
                   d->id, d->max_oids);
    /* the pseudo-device has no availability, no status, no data queries (docs/contract.md 5.3) */
    if (d->id == 0 && run->options.ping_only)
        devrun_finish(run, true, now);
    else
        run->phase = d->id == 0 ? PHASE_ITEMS : PHASE_CHECK;
}

/* No agent and no defect of this program may keep a run going forever: items without a value are U,
 * and nothing is concluded. */
static void stop_runaway(struct devrun *run, const struct moment *now)
{
    devrun_say(run, LOG_ALWAYS,
               "ERROR: Device[%" PRIu32
               "] HT[1] Polling stopped after %zu steps, more than its %zu items can need",
               run->device->id, run->steps, run->device->item_count);
    for (size_t i = 0; i < run->device->item_count; i++)
        if (!run->outcomes[i].done)
            devrun_settle_unknown(run, i, UNKNOWN_RUNAWAY);
    run->verdict_count = 0;
    devrun_finish(run, true, now);
}

/* Go on until there is nothing to do but wait, or all is over. */
static void advance(struct devrun *run, const struct moment *now)
{
    enum phase before = PHASE_FINISHED;
    run->answered = 0;
    while (run->phase != PHASE_FINISHED && (run->phase != before || run->ask_count == 0)) {
        before = run->phase;
        if (++run->steps > run->step_limit) {
            stop_runaway(run, now);
            return;
        }
        switch (run->phase) {
        case PHASE_NEW: devrun_begin(run, now); break;
        case PHASE_CHECK: devrun_check_step(run, now); break;
        case PHASE_SYSTEM: devrun_system_step(run); break;
        case PHASE_REINDEX: devrun_reindex_step(run); break;
        case PHASE_ITEMS: devrun_items_step(run, now); break;
        case PHASE_FINISHED: break;
        }
        if (run->phase == before)
            continue;
        if (run->phase == PHASE_SYSTEM)
            devrun_system_begin(run);
        else if (run->phase == PHASE_REINDEX)
            devrun_reindex_begin(run);
        else if (run->phase == PHASE_ITEMS)
            devrun_items_begin(run);
    }
}

/* Takes the ask that the answer belongs to; false: no ask waits for it. */
static bool begin_event(struct devrun *run, uint32_t ask_id, bool (*fits)(enum ask_kind),
                        struct open_ask *ret)
{
    for (size_t i = 0; i < run->ask_count; i++) {
        if (run->asks[i].id != ask_id || !fits(run->asks[i].kind))
            continue;
        *ret = run->asks[i];
        run->answered = ask_id;
        run->asks[i] = run->asks[--run->ask_count];
        drop_actions(run);
        return true;
    }
    return false;
}

static bool is_snmp(enum ask_kind kind)
{
    return kind == ASK_SNMP;
}

static bool is_ping(enum ask_kind kind)
{
    return kind == ASK_PING;
}

static bool is_script(enum ask_kind kind)
{
    return kind == ASK_SCRIPT || kind == ASK_SERVER;
}

void devrun_start(struct devrun *run, const struct moment *now)
{
    CHECK(run->phase == PHASE_NEW);
    devrun_tell(run, &(struct devrun_event){.kind = DEVRUN_START, .at = *now});
    run->started = *now;
    advance(run, now);
}

void devrun_answer_snmp(struct devrun *run, uint32_t ask_id, const struct snmp_reply *reply,
                        const struct moment *now)
{
    struct open_ask ask;
    devrun_tell(run, &(struct devrun_event){
                         .kind = DEVRUN_SNMP, .ask_id = ask_id, .at = *now, .snmp = reply});
    if (!begin_event(run, ask_id, is_snmp, &ask))
        return;
    reply = devrun_agent_hear(run, reply);
    if (reply == NULL)
        return;
    switch (run->phase) {
    case PHASE_CHECK: devrun_check_snmp(run, reply); break;
    case PHASE_SYSTEM: devrun_system_snmp(run, reply); break;
    case PHASE_REINDEX: devrun_reindex_snmp(run, reply); break;
    case PHASE_ITEMS: devrun_items_snmp(run, reply, now); break;
    case PHASE_NEW:
    case PHASE_FINISHED: break;
    }
    advance(run, now);
}

void devrun_answer_ping(struct devrun *run, uint32_t ask_id, const struct ping_reply *reply,
                        const struct moment *now)
{
    struct open_ask ask;
    devrun_tell(run, &(struct devrun_event){
                         .kind = DEVRUN_PING, .ask_id = ask_id, .at = *now, .ping = reply});
    if (!begin_event(run, ask_id, is_ping, &ask))
        return;
    devrun_check_ping(run, reply);
    advance(run, now);
}

void devrun_answer_script(struct devrun *run, uint32_t ask_id, const struct script_reply *reply,
                          const struct moment *now)
{
    struct open_ask ask;
    devrun_tell(run, &(struct devrun_event){
                         .kind = DEVRUN_SCRIPT, .ask_id = ask_id, .at = *now, .script = reply});
    if (!begin_event(run, ask_id, is_script, &ask))
        return;
    if (reply->outcome == SCRIPT_CANCELLED) { /* the cycle is over: nothing is known of the item */
        devrun_finish(run, false, now);
        return;
    }
    if (run->phase == PHASE_REINDEX)
        devrun_reindex_script(run, ask.kind, reply);
    else
        devrun_items_script(run, &ask, reply);
    advance(run, now);
}

void devrun_stop(struct devrun *run, const struct moment *now)
{
    devrun_tell(run, &(struct devrun_event){.kind = DEVRUN_STOP, .at = *now});
    if (run->phase == PHASE_FINISHED)
        return;
    drop_actions(run);
    devrun_finish(run, false, now);
}
