#include "config.h"

#include "base/mem.h"
#include "devrun_private.h"
#include "model/value.h"

#include <inttypes.h>
#include <string.h>

/* ---- what became of an item ---- */

int devrun_items_slice(const struct devrun *run, size_t item)
{
    return (int)(item / run->slice_items) + 1;
}

void devrun_settle_unknown(struct devrun *run, size_t i, enum unknown_reason reason)
{
    size_t text_at = run->text.len;
    buf_putc(&run->text, 'U');
    devrun_settle_text(run, i, reason, text_at);
}

void devrun_settle_text(struct devrun *run, size_t i, enum unknown_reason reason, size_t text_at)
{
    struct outcome *o = &run->outcomes[i];
    o->done = true;
    o->reason = reason;
    o->ask_id = run->answered;
    o->text_at = text_at;
    o->text_len = (uint32_t)(run->text.len - text_at);
    buf_putc(&run->text, '\0');
}

/* What the agent sent, not the U that it became: that is what the operator wants to see
 * (docs/contract.md 3.12). */
static void items_say_invalid(struct devrun *run, size_t i, const char *sent)
{
    const struct device *d = run->device;
    const struct item *it = &d->items[i];
    if (run->options.invalid_log != 2)
        return;
    devrun_say(run, LOG_ALWAYS,
               "WARNING: Invalid Response, Device[%" PRIu32 "] HT[%d] DS[%" PRIu32
               "] SNMP: v%d: %s, dsname: %s, oid: %s, value: %s",
               d->id, devrun_items_slice(run, i), it->local_data_id, d->snmp.version,
               d->snmp.hostname, it->rrd_name, it->arg1, sent);
}

static void say_invalid_varbind(struct devrun *run, size_t i, const struct varbind *vb)
{
    struct buf sent = BUF_INIT;
    if (run->options.invalid_log != 2 && !devrun_listening(run, LOG_MEDIUM))
        return;
    devrun_probe_value(vb, &sent);
    if (!varbind_is_exception(vb))
        devrun_note_no_value(run, i, buf_str(&sent));
    items_say_invalid(run, i, buf_str(&sent));
    buf_done(&sent);
}

static void settle_varbind(struct devrun *run, size_t i, const struct varbind *vb)
{
    if (varbind_is_exception(vb)) {
        devrun_settle_unknown(run, i, UNKNOWN_MISSING);
        devrun_note_reason(run, i, "the agent has no such object (%s)", devrun_exception_name(vb));
        say_invalid_varbind(run, i, vb);
        return;
    }
    size_t text_at = run->text.len;
    bool known = value_from_varbind(vb, &run->text);
    devrun_settle_text(run, i, known ? UNKNOWN_NOT : UNKNOWN_INVALID, text_at);
    if (!known)
        say_invalid_varbind(run, i, vb);
}

/* After logging and before storing: a value without ':' is of no use after the counters went back
 * (docs/contract.md 11.8). */
void devrun_kill_spike(struct devrun *run, size_t i)
{
    const struct outcome *o = &run->outcomes[i];
    if (run->spike_kill && o->reason == UNKNOWN_NOT && !value_is_pairs(run->text.data + o->text_at))
        devrun_settle_unknown(run, i, UNKNOWN_SPIKE);
}

bool devrun_value_too_wide(const struct devrun *run, size_t i, struct buf *out)
{
    const struct outcome *o = &run->outcomes[i];
    const struct devrun_options *options = &run->options;
    size_t chars = options->output_chars == 0 ? VALUE_COLUMN_CHARS : options->output_chars;
    bool boost = options->boost_chars > 0 && options->boost_chars < chars;
    size_t left_out = 0;
    if (boost)
        chars = options->boost_chars;
    if (o->reason != UNKNOWN_NOT || o->text_len <= chars)
        return false;
    const char *value = run->text.data + o->text_at;
    (void)value_fit(value, o->text_len, chars, &left_out);
    buf_printf(out,
               "the value has %" PRIu32
               " characters and the column output of %s takes %zu, so that %zu of "
               "%zu fields are left out",
               o->text_len, boost ? "poller_output_boost" : "poller_output", chars, left_out,
               value_fields(value, o->text_len));
    return true;
}

void devrun_say_width(struct devrun *run, size_t i)
{
    const struct device *d = run->device;
    struct buf words = BUF_INIT;
    if (devrun_value_too_wide(run, i, &words))
        devrun_say(run, LOG_ALWAYS,
                   "Device[%" PRIu32 "] HT[%d] DS[%" PRIu32 "] WARNING: Not all is stored: %s",
                   d->id, devrun_items_slice(run, i), d->items[i].local_data_id, buf_str(&words));
    buf_done(&words);
}

static void say_snmp_value(struct devrun *run, size_t i, int64_t now_us)
{
    const struct device *d = run->device;
    const struct item *it = &d->items[i];
    const struct outcome *o = &run->outcomes[i];
    const char *value = run->text.data + o->text_at;
    if (devrun_listening(run, LOG_MEDIUM))
        devrun_say(run, LOG_MEDIUM,
                   "Device[%" PRIu32 "] HT[%d] DS[%" PRIu32
                   "] TT[%.2f] SNMP: v%d: %s, dsname: %s, oid: %s, value: %s",
                   d->id, devrun_items_slice(run, i), it->local_data_id,
                   (double)(now_us - run->span.started_us) / 1000.0, d->snmp.version,
                   d->snmp.hostname, it->rrd_name, it->arg1, value);
}

static void settled(struct devrun *run, size_t i, const struct moment *now)
{
    say_snmp_value(run, i, now->mono_us);
    devrun_kill_spike(run, i);
    devrun_say_width(run, i);
}

/* ---- answers ---- */

/* Answers are matched by object identifier, never by position alone (docs/contract.md 13.4). */
static const struct varbind *find_varbind(const struct snmp_reply *reply, struct oid name,
                                          size_t hint)
{
    if (hint < reply->count && oid_equal(reply->varbinds[hint].name, name))
        return &reply->varbinds[hint];
    for (size_t i = 0; i < reply->count; i++)
        if (oid_equal(reply->varbinds[i].name, name))
            return &reply->varbinds[i];
    return NULL;
}

/* An object that is left out of an answer is asked for again; alone and still left out it is
 * missing. */
static void items_take_values(struct devrun *run, const struct snmp_reply *reply,
                              const struct moment *now)
{
    size_t n = run->span.count, found = 0, last = 0;
    const struct target *t = run->agents.asked.target;
    for (size_t k = 0; k < n; k++) {
        const struct varbind *vb = find_varbind(reply, run->span.names[k], k);
        size_t i = run->span.asked[k];
        bool was_left_out = run->outcomes[i].left_out;
        run->outcomes[i].left_out = vb == NULL;
        if (vb == NULL && n > 1)
            continue;
        if (vb == NULL) {
            devrun_settle_unknown(run, i, UNKNOWN_MISSING);
            devrun_note_reason(run, i, "the agent leaves the object out of its answers");
            items_say_invalid(run, i, "left out of the answer");
        } else {
            found++;
            last = k + 1;
            if (was_left_out)
                devrun_agent_made_good(run, t, n);
            settle_varbind(run, i, vb);
        }
        settled(run, i, now);
    }
    if (found < n && n > 1)
        devrun_agent_omits(run, t, n, found, found == last);
}

/* why: NULL if the reason says all. */
static void take_failure(struct devrun *run, enum unknown_reason reason, const char *why,
                         const struct moment *now)
{
    for (size_t k = 0; k < run->span.count; k++) {
        devrun_settle_unknown(run, run->span.asked[k], reason);
        if (why != NULL)
            devrun_note_reason(run, run->span.asked[k], "%s", why);
        settled(run, run->span.asked[k], now);
    }
}

static void settle_error(struct devrun *run, size_t i, long status, const struct moment *now)
{
    const char *name = devrun_error_name(status);
    bool missing = status == SNMP_ERROR_NO_SUCH_NAME;
    devrun_settle_unknown(run, i, missing ? UNKNOWN_MISSING : UNKNOWN_AGENT_ERROR);
    devrun_note_reason(run, i,
                       missing ? "the agent has no such object (%s)"
                               : "the agent answers with an error (%s)",
                       name);
    items_say_invalid(run, i, name);
    settled(run, i, now);
}

/* An error status answers for one object, named by its index, which is left out of the next request;
 * a request that is too big, or an error without an index, is asked again in halves
 * (docs/contract.md 13.5). */
static void take_error(struct devrun *run, const struct snmp_reply *reply, const struct moment *now)
{
    size_t k = devrun_agent_names(run, reply, run->span.count);
    if (k < run->span.count)
        settle_error(run, run->span.asked[k], reply->error_status, now);
}

static void add_suspects(struct devrun *run, size_t first, size_t end)
{
    run->suspects = mem_grow(run->suspects, run->suspects_count, &run->suspects_cap, 8,
                             sizeof(run->suspects[0]));
    run->suspects[run->suspects_count++] = (struct suspects){first, end};
}

/* The agent lives, so one of the objects is to blame: it is found by halves, after everything else
 * has been asked for. */
static void items_blame_objects(struct devrun *run, const struct moment *now)
{
    struct span *s = &run->span;
    if (s->count > 1) {
        size_t half = s->asked[s->count / 2], end = s->asked[s->count - 1] + 1;
        add_suspects(run, s->asked[0], half);
        add_suspects(run, half, end);
        s->first = end;
        return;
    }
    struct buf whose = BUF_INIT;
    const struct item *it = &run->device->items[s->asked[0]];
    buf_printf(&whose, "DS[%" PRIu32 "] ", it->local_data_id);
    devrun_agent_blame(run, it->target, it->oid, buf_str(&whose));
    buf_done(&whose);
    take_failure(run, UNKNOWN_NO_ANSWER, NULL, now);
}

static void items_take_timeout(struct devrun *run, const struct moment *now)
{
    const struct device *d = run->device;
    const struct target *t = run->agents.asked.target;
    if (run->agents.about_objects) {
        items_blame_objects(run, now);
        return;
    }
    for (size_t k = 0; k < run->span.count && !run->agents.unexplained; k++)
        devrun_say(run, LOG_ALWAYS,
                   "Device[%" PRIu32 "] HT[%d] DS[%" PRIu32
                   "] WARNING: SNMP timeout detected [%" PRIu32 " ms], ignoring host '%s'",
                   d->id, devrun_items_slice(run, run->span.asked[k]),
                   d->items[run->span.asked[k]].local_data_id, t->timeout_ms, t->hostname);
    take_failure(run, UNKNOWN_NO_ANSWER, NULL, now);
    devrun_agent_silence(run, t);
}

void devrun_items_snmp(struct devrun *run, const struct snmp_reply *reply, const struct moment *now)
{
    run->span.open = false;
    switch (reply->outcome) {
    case SNMP_TIMED_OUT: items_take_timeout(run, now); break;
    case SNMP_REFUSED:
    case SNMP_FAILED:
    case SNMP_IMPOSSIBLE: take_failure(run, UNKNOWN_FAILED, reply->detail, now); break;
    case SNMP_ANSWERED:
        if (reply->error_status != SNMP_ERROR_NONE)
            take_error(run, reply, now);
        else
            items_take_values(run, reply, now);
        break;
    }
}

/* ---- requests ---- */

/* The next SNMP items in polling order that share a session, up to max_oids (docs/contract.md 13.1). */
static bool find_ahead(struct devrun *run)
{
    const struct device *d = run->device;
    struct span *s = &run->span;
    size_t i = run->next_snmp;
    while (i < d->item_count && (run->outcomes[i].done || d->items[i].action != ITEM_SNMP))
        i++;
    if (i == d->item_count)
        return false;
    s->first = i;
    size_t taken = 0;
    for (; i < d->item_count && taken < run->max_oids; i++) {
        if (d->items[i].action != ITEM_SNMP || run->outcomes[i].done)
            continue;
        if (target_compare(d->items[i].target, d->items[s->first].target) != 0)
            break;
        taken++;
    }
    s->end = run->next_snmp = i;
    s->started_us = 0;
    return true;
}

static bool find_suspects(struct devrun *run)
{
    if (run->suspects_next == run->suspects_count)
        return false;
    const struct suspects *found = &run->suspects[run->suspects_next++];
    run->span.first = found->first;
    run->span.end = found->end;
    run->span.started_us = 0;
    return true;
}

/* Asking cannot succeed. */
static bool is_hopeless(const struct devrun *run, size_t i)
{
    const struct item *it = &run->device->items[i];
    return devrun_agent_gone(run, it->target) || devrun_agent_is_mute(run, it->target, it->oid);
}

/* Fill the request with what is still open in the span; false if nothing is. */
static bool fill_request(struct devrun *run)
{
    struct span *s = &run->span;
    s->count = 0;
    for (size_t i = s->first; i < s->end && s->count < run->max_oids; i++) {
        if (run->outcomes[i].done || run->device->items[i].action != ITEM_SNMP)
            continue;
        if (is_hopeless(run, i)) {
            devrun_settle_unknown(run, i, UNKNOWN_NO_ANSWER);
            if (devrun_agent_gone(run, run->device->items[i].target))
                devrun_note_reason(run, i, "its agent is no longer asked in this cycle");
            continue;
        }
        s->names[s->count] = run->device->items[i].oid;
        s->asked[s->count++] = i;
    }
    return s->count > 0;
}

/* The first item of the next request, or the number of items: none can be begun now. */
static size_t next_snmp(struct devrun *run)
{
    bool found = !run->span.open && fill_request(run);
    while (!run->span.open && !found && (find_ahead(run) || find_suspects(run)))
        found = fill_request(run);
    return found ? run->span.asked[0] : run->device->item_count;
}

static void items_ask_snmp(struct devrun *run, const struct moment *now)
{
    struct span *s = &run->span;
    s->open = true;
    if (s->started_us == 0)
        s->started_us = now->mono_us;
    devrun_ask_snmp(run, &(struct snmp_request){
                             .op = SNMP_OP_GET,
                             .target = run->device->items[s->asked[0]].target,
                             .names = s->names,
                             .count = s->count,
                         });
}

static size_t next_script(struct devrun *run)
{
    const struct device *d = run->device;
    while (run->next_script < d->item_count &&
           (run->outcomes[run->next_script].done || !item_is_script(&d->items[run->next_script])))
        run->next_script++;
    return run->next_script;
}

/* In polling order as far as places for asks are free (docs/contract.md 5.6). */
void devrun_items_step(struct devrun *run, const struct moment *now)
{
    size_t end = run->device->item_count;
    while (run->ask_count < run->ask_limit) {
        size_t snmp = next_snmp(run), script = next_script(run);
        if (snmp == end && script == end)
            break;
        if (snmp < script)
            items_ask_snmp(run, now);
        else
            devrun_script_ask(run, run->next_script++);
    }
    if (run->ask_count > 0)
        return;
    for (size_t i = 0; i < end; i++)
        if (!run->outcomes[i].done)
            devrun_settle_unknown(run, i, UNKNOWN_NO_ANSWER);
    devrun_finish(run, true, now);
}

/* ---- the begin ---- */

/* Items that cannot be asked for. */
static void settle_hopeless(struct devrun *run)
{
    const struct device *d = run->device;
    for (size_t i = 0; i < d->item_count; i++) {
        const struct item *it = &d->items[i];
        if (it->action == ITEM_SNMP && it->oid.len == 0) {
            devrun_say(run, LOG_ALWAYS,
                       "Device[%" PRIu32 "] DS[%" PRIu32
                       "] ERROR: Problems parsing Multi SNMP OID! (oid: %s), Set MAX_OIDS to 1 for "
                       "this host to isolate bad OID",
                       d->id, it->local_data_id, it->arg1);
            devrun_settle_unknown(run, i, UNKNOWN_BAD_OID);
        } else if (item_is_script(it)) {
            if (run->options.no_scripts)
                devrun_settle_unknown(run, i, UNKNOWN_FAILED);
        } else if (it->action != ITEM_SNMP) {
            devrun_say(run, LOG_ALWAYS,
                       "Device[%" PRIu32 "] HT[%d] DS[%" PRIu32
                       "] ERROR: Unknown Poller Action: %s",
                       d->id, devrun_items_slice(run, i), it->local_data_id, it->arg1);
            devrun_settle_unknown(run, i, UNKNOWN_UNSUPPORTED);
        }
    }
}

void devrun_items_begin(struct devrun *run)
{
    const struct device *d = run->device;
    size_t threads = d->device_threads < 1 ? 1 : (size_t)d->device_threads;
    if (threads > d->item_count)
        threads = d->item_count;
    run->slice_items = threads == 0 ? 1 : (d->item_count + threads - 1) / threads;
    run->ask_limit = threads == 0 ? 1 : threads;
    run->asks = mem_realloc(run->asks, run->ask_limit, sizeof(run->asks[0]));
    run->span.names = mem_zalloc(run->max_oids, sizeof(run->span.names[0]));
    run->span.asked = mem_zalloc(run->max_oids, sizeof(run->span.asked[0]));
    if (d->item_count > 0)
        devrun_say(run, LOG_MEDIUM,
                   "Device[%" PRIu32 "] HT[1] NOTE: There are '%zu' Polling Items for this Device",
                   d->id, d->item_count);
    settle_hopeless(run);
}
