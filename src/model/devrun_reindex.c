#include "config.h"

#include "base/num.h"
#include "devrun_private.h"
#include "model/value.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define SYS_UPTIME  ".1.3.6.1.2.1.1.3.0"
#define ENGINE_TIME ".1.3.6.1.6.3.10.2.1.3.0"

/* How many rows a GETBULK of the index count asks for. */
enum { WALK_ROWS = 25 };

static const uint32_t sys_uptime[] = {1, 3, 6, 1, 2, 1, 1, 3, 0};
static const uint32_t engine_time[] = {1, 3, 6, 1, 6, 3, 10, 2, 1, 3, 0};

enum { SLOT_UPTIME = 0, SLOT_ENGINE = 1 };

static const struct reindex_row *this_row(const struct devrun *run)
{
    return &run->device->reindex[run->reindex.row];
}

static bool is_uptime(const struct reindex_row *r)
{
    return r->action == REINDEX_SNMP &&
           (strstr(r->arg1, SYS_UPTIME) != NULL || strstr(r->arg1, ENGINE_TIME) != NULL);
}

void devrun_reindex_begin(struct devrun *run)
{
    const struct device *d = run->device;
    if (d->reindex_count == 0)
        devrun_say(run, LOG_HIGH,
                   "Device[%" PRIu32 "] HT[1] Device has no information for recache.", d->id);
    else
        devrun_say(run, LOG_DEBUGGING,
                   "DEBUG: Device[%" PRIu32
                   "] HT[1] RECACHE: Processing %zu items in the auto reindex cache for '%s'",
                   d->id, d->reindex_count, d->snmp.hostname);
}

/* ---- judging (contract 8.4) ---- */

/* Rules 2 to 4; rule 4 exempts an assert value of 0, which Cacti stores for "not yet known". */
static bool has_failed(const struct reindex_row *r, const char *result)
{
    int64_t wanted = num_leading(r->assert_value);
    int64_t seen = num_leading(result);
    switch (r->op) {
    case '=': return strcmp(r->assert_value, result) != 0;
    case '>': return wanted < seen;
    case '<': return strcmp(r->assert_value, "0") != 0 && wanted > seen;
    default: return false;
    }
}

static void fail_row(struct devrun *run, const char *result)
{
    const struct reindex_row *r = this_row(run);
    uint32_t id = run->device->id;
    devrun_say(run, LOG_ALWAYS,
               "Device[%" PRIu32 "] HT[1] DQ[%" PRIu32 "] RECACHE ASSERT FAILED: '%s%c%s'", id,
               r->data_query_id, r->assert_value, r->op, result);
    devrun_add_verdict(run, ACTION_RECACHE)->recache =
        (struct recache_row){.device_id = id, .data_query_id = r->data_query_id};
    run->reindex.skip_query = true;
    run->reindex.failed_query = r->data_query_id;
    if (r->op == '<' || strcmp(r->arg1, SYS_UPTIME) == 0) {
        run->spike_kill = true;
        devrun_say(run, run->options.invalid_log == 2 ? LOG_ALWAYS : LOG_MEDIUM,
                   "Device[%" PRIu32 "] HT[1] NOTICE: Spike Kill in Effect for '%s'", id,
                   run->device->snmp.hostname);
    }
}

/* result NULL: none was obtained; nothing is concluded and the assert value stays (Q4, Q6). */
static void judge(struct devrun *run, const char *result)
{
    const struct reindex_row *r = this_row(run);
    if (result != NULL && strcmp(result, "U") != 0 && strcasecmp(result, "No Such Instance") != 0) {
        bool failed = has_failed(r, result);
        if (failed)
            fail_row(run, result);
        if ((failed || r->op == '>' || r->op == '<') && strcmp(result, r->assert_value) != 0)
            devrun_add_verdict(run, ACTION_ASSERT)->assertion = (struct assert_row){
                .device_id = run->device->id,
                .data_query_id = r->data_query_id,
                .arg1 = r->arg1,
                .value = arena_strdup(&run->memory, result),
            };
    }
    run->reindex.probing = false;
    run->reindex.row++;
}

static void say_probe(struct devrun *run, const char *what, const char *result)
{
    const struct reindex_row *r = this_row(run);
    if (!devrun_listening(run, LOG_MEDIUM))
        return;
    if (strcmp(what, "OID") == 0)
        devrun_say(run, LOG_MEDIUM,
                   "Device[%" PRIu32 "] HT[1] DQ[%" PRIu32
                   "] RECACHE OID: %s, (assert: %s %c output: %s)",
                   run->device->id, r->data_query_id, r->arg1, r->assert_value, r->op, result);
    else
        devrun_say(run, LOG_MEDIUM,
                   "Device[%" PRIu32 "] HT[1] DQ[%" PRIu32 "] RECACHE %s: %s, output: %s",
                   run->device->id, r->data_query_id, what, r->arg1, result);
}

/* ---- single values ---- */

static void begin_get(struct devrun *run)
{
    const struct reindex_row *r = this_row(run);
    devrun_probe_begin(run);
    if (strstr(r->arg1, SYS_UPTIME) != NULL)
        devrun_probe_add(run, (struct oid){sys_uptime, ARRAY_LEN(sys_uptime)});
    if (is_uptime(r))
        devrun_probe_add_optional(run, (struct oid){engine_time, ARRAY_LEN(engine_time)});
    else if (r->oid.len > 0)
        devrun_probe_add(run, r->oid);
}

/* One unit for the whole uptime family: 1/100 s; engine time wins, because sysUpTime wraps
 * (contract 8.3, Q4, Q5). */
static const char *take_uptime(struct devrun *run)
{
    const struct reindex_row *r = this_row(run);
    bool both = run->probe.count == 2;
    const char *ticks = both ? devrun_probe_text(run, SLOT_UPTIME) : NULL;
    const char *seconds = devrun_probe_text(run, both ? SLOT_ENGINE : 0);
    int64_t t = 0, s = 0;
    bool has_ticks = ticks != NULL && num_parse(ticks, 0, INT64_MAX, &t);
    bool has_seconds = seconds != NULL && num_parse(seconds, 0, INT32_MAX, &s);
    if (both)
        devrun_say(run, LOG_MEDIUM,
                   "Device[%" PRIu32 "] HT[1] DQ[%" PRIu32
                   "] Legacy Uptime Result: %s, Is Numeric: %d",
                   run->device->id, r->data_query_id, ticks == NULL ? "U" : ticks, has_ticks);
    devrun_say(run, LOG_MEDIUM,
               "Device[%" PRIu32 "] HT[1] DQ[%" PRIu32
               "] Extended Uptime Result: %s, Is Numeric: %d",
               run->device->id, r->data_query_id, seconds == NULL ? "U" : seconds, has_seconds);
    /* An engine time that should be there and was not obtained is no reason to compare another clock with it. */
    bool unsure = both && !has_seconds && !devrun_probe_missing(run, SLOT_ENGINE);
    if ((!has_ticks && !has_seconds) || unsure)
        return NULL;
    run->reindex.has_uptime = true;
    buf_clear(&run->reindex.uptime);
    buf_printf(&run->reindex.uptime, "%" PRId64, has_seconds ? s * 100 : t);
    return buf_str(&run->reindex.uptime);
}

static void step_get(struct devrun *run)
{
    const struct reindex_row *r = this_row(run);
    if (!run->reindex.probing) {
        if (is_uptime(r) && run->reindex.has_uptime) {
            say_probe(run, "OID", buf_str(&run->reindex.uptime));
            judge(run, buf_str(&run->reindex.uptime));
            return;
        }
        run->reindex.probing = true;
        begin_get(run);
    }
    if (!run->snmp_silent && devrun_probe_ask(run))
        return;
    const char *result = is_uptime(r) ? take_uptime(run) : devrun_probe_text(run, 0);
    say_probe(run, "OID", result == NULL ? "U" : result);
    judge(run, result);
}

/* ---- index counts (contract 8.5, Q7) ---- */

static void end_walk(struct devrun *run, bool counted)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "%" PRIu64, run->reindex.walked);
    say_probe(run, "OID COUNT", counted ? buf_str(&text) : "U");
    judge(run, counted ? buf_str(&text) : NULL);
    buf_done(&text);
}

static bool walks_by_bulk(const struct devrun *run)
{
    return run->device->snmp.version != 1 && !run->reindex.one_by_one;
}

static void step_walk(struct devrun *run)
{
    const struct reindex_row *r = this_row(run);
    struct reindex *x = &run->reindex;
    if (run->snmp_silent || r->oid.len == 0) {
        end_walk(run, false);
        return;
    }
    if (!x->probing) {
        x->probing = true;
        x->walked = 0;
        x->last_len = r->oid.len;
        memcpy(x->last, r->oid.sub, r->oid.len * sizeof(x->last[0]));
    }
    x->last_name = (struct oid){x->last, x->last_len};
    devrun_add_ask(run, ASK_SNMP)->snmp = (struct snmp_request){
        .op = walks_by_bulk(run) ? SNMP_OP_GETBULK : SNMP_OP_GETNEXT,
        .bulk_rows = WALK_ROWS,
        .target = &run->device->snmp,
        .names = &x->last_name,
        .count = 1,
    };
}

/* true: the walk goes on. */
static bool count_row(struct devrun *run, const struct varbind *vb)
{
    struct reindex *x = &run->reindex;
    struct oid last = {x->last, x->last_len};
    if (varbind_is_exception(vb) || !oid_within(this_row(run)->oid, vb->name))
        return false;
    if (oid_compare(vb->name, last) <= 0) {
        devrun_say(run, LOG_ALWAYS,
                   "Device[%" PRIu32 "] HT[1] DQ[%" PRIu32 "] ERROR: OID not increasing",
                   run->device->id, this_row(run)->data_query_id);
        return false;
    }
    x->walked++;
    x->last_len = vb->name.len;
    memcpy(x->last, vb->name.sub, vb->name.len * sizeof(x->last[0]));
    return true;
}

static void say_walk_timeout(struct devrun *run)
{
    devrun_say(run, LOG_ALWAYS,
               "Device[%" PRIu32 "] HT[1] DQ[%" PRIu32
               "] ERROR: Timeout detected in Cacti snmp_count",
               run->device->id, this_row(run)->data_query_id);
}

/* The end of a v1 view is an error status; any other one leaves the count unknown.  An agent that cannot answer for many
 * rows at once is asked for one at a time, from where it got to, before anything is concluded. */
static void take_walk(struct devrun *run, const struct snmp_reply *reply)
{
    bool answered = reply->outcome == SNMP_ANSWERED && reply->error_status == SNMP_ERROR_NONE;
    if (!answered && walks_by_bulk(run)) {
        run->reindex.one_by_one = true;
        return;
    }
    if (reply->outcome == SNMP_TIMED_OUT) {
        say_walk_timeout(run);
        run->snmp_silent = true;
    }
    if (!answered) {
        end_walk(run,
                 reply->outcome == SNMP_ANSWERED && reply->error_status == SNMP_ERROR_NO_SUCH_NAME);
        return;
    }
    bool more = reply->count > 0;
    for (size_t i = 0; more && i < reply->count; i++)
        more = count_row(run, &reply->varbinds[i]);
    if (!more)
        end_walk(run, true);
}

/* ---- scripts (contract 8.3) ---- */

static bool counts_lines(const struct reindex_row *r)
{
    return r->action == REINDEX_SCRIPT_COUNT || r->action == REINDEX_SERVER_COUNT;
}

static void ask_script(struct devrun *run, enum ask_kind kind)
{
    const struct reindex_row *r = this_row(run);
    devrun_add_ask(run, kind)->script = (struct script_request){
        .command = r->arg1,
        .count_lines = counts_lines(r),
        .source = "DQ",
        .device_id = run->device->id,
        .source_id = r->data_query_id,
    };
}

void devrun_reindex_script(struct devrun *run, enum ask_kind kind, const struct script_reply *reply)
{
    const struct reindex_row *r = this_row(run);
    bool count = counts_lines(r);
    struct buf text = BUF_INIT;
    devrun_say_script(run, kind, "DQ", r->data_query_id, r->arg1, reply);
    if (reply->outcome != SCRIPT_OUTPUT)
        buf_puts(&text, "U"); /* from which nothing is concluded */
    else if (count)
        buf_printf(&text, "%" PRIu64, reply->lines);
    else
        value_trim(reply->output, reply->len, &text);
    if (kind == ASK_SCRIPT)
        say_probe(run, count ? "CMD COUNT" : "CMD", buf_str(&text));
    else
        say_probe(run, count ? "SERVER COUNT" : "SERVER", buf_str(&text));
    judge(run, buf_str(&text));
    buf_done(&text);
}

/* ---- the phase ---- */

static void step_snmp(struct devrun *run)
{
    const struct reindex_row *r = this_row(run);
    if (!target_usable(&run->device->snmp)) {
        devrun_say(run, LOG_ALWAYS,
                   "WARNING: Device[%" PRIu32 "] HT[1] DQ[%" PRIu32
                   "] Reindex Check FAILED: No SNMP Session.  If not an SNMP host, don't use "
                   "Uptime Goes Backwards!",
                   run->device->id, r->data_query_id);
        judge(run, NULL);
    } else if (r->action == REINDEX_SNMP) {
        step_get(run);
    } else {
        step_walk(run);
    }
}

static void step_row(struct devrun *run)
{
    const struct reindex_row *r = this_row(run);
    if (run->options.no_scripts && reindex_is_script(r)) {
        judge(run, NULL);
        return;
    }
    switch (r->action) {
    case REINDEX_SNMP:
    case REINDEX_SNMP_COUNT: step_snmp(run); break;
    case REINDEX_SCRIPT:
    case REINDEX_SCRIPT_COUNT: ask_script(run, ASK_SCRIPT); break;
    case REINDEX_SERVER:
    case REINDEX_SERVER_COUNT: ask_script(run, ASK_SERVER); break;
    default:
        devrun_say(run, LOG_ALWAYS, "Device[%" PRIu32 "] HT[1] ERROR: Unknown Assert Action!",
                   run->device->id);
        judge(run, NULL);
    }
}

void devrun_reindex_step(struct devrun *run)
{
    struct reindex *x = &run->reindex;
    if (x->row == run->device->reindex_count)
        run->phase = PHASE_ITEMS;
    else if (x->skip_query && this_row(run)->data_query_id == x->failed_query)
        x->row++;
    else
        step_row(run);
}

void devrun_reindex_snmp(struct devrun *run, const struct snmp_reply *reply)
{
    if (this_row(run)->action == REINDEX_SNMP_COUNT)
        take_walk(run, reply);
    else
        devrun_probe_take(run, reply);
}
