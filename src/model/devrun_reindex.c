#include "config.h"

#include "base/num.h"
#include "devrun_private.h"
#include "model/indextext.h"
#include "model/value.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define SYS_UPTIME  ".1.3.6.1.2.1.1.3.0"
#define ENGINE_TIME ".1.3.6.1.6.3.10.2.1.3.0"

/* How many rows a GETBULK of the index count asks for. */
enum { WALK_ROWS = 25 };

/* How long the agent may take for all index counts of a device.  The values are polled afterwards, and a longer
 * count would leave no time for them in a short interval. */
enum { WALK_SECONDS = 30 };

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

/* ---- judging (docs/contract.md 11.4) ---- */

/* Rules 2 to 4; rule 4 exempts an assert value of 0, which Cacti stores for "not yet known". */
static bool has_failed(const struct reindex_row *r, const char *result, bool equal)
{
    int64_t wanted = num_leading(r->assert_value);
    int64_t seen = num_leading(result);
    switch (r->op) {
    case '=': return !equal;
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

/* result NULL: none was obtained; nothing is concluded and the assert value stays.  equal: it is the assert
 * value, perhaps written in another way. */
static void judge_as(struct devrun *run, const char *result, bool equal)
{
    const struct reindex_row *r = this_row(run);
    if (result != NULL && strcmp(result, "U") != 0 && strcasecmp(result, "No Such Instance") != 0) {
        bool failed = has_failed(r, result, equal);
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

static void reindex_judge(struct devrun *run, const char *result)
{
    judge_as(run, result, result != NULL && strcmp(this_row(run)->assert_value, result) == 0);
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
    run->reindex.equal = false;
    run->reindex.looked_below = false;
    run->reindex.is_column = false;
    if (is_uptime(r)) {
        devrun_probe_add(run, (struct oid){sys_uptime, ARRAY_LEN(sys_uptime)});
        devrun_probe_add_optional(run, (struct oid){engine_time, ARRAY_LEN(engine_time)});
    } else if (r->oid.len > 0) {
        devrun_probe_add(run, r->oid);
    }
}

static void say_clock(struct devrun *run, const char *name, size_t slot, int64_t min, int64_t max)
{
    int64_t n;
    const char *text = devrun_probe_text(run, slot);
    devrun_say(run, LOG_MEDIUM,
               "Device[%" PRIu32 "] HT[1] DQ[%" PRIu32 "] %s Uptime Result: %s, Is Numeric: %d",
               run->device->id, this_row(run)->data_query_id, name, text == NULL ? "U" : text,
               text != NULL && num_parse(text, min, max, &n));
}

/* One unit for the whole uptime family: 1/100 s (docs/contract.md 11.3). */
static const char *take_uptime(struct devrun *run)
{
    int64_t ticks;
    say_clock(run, "Legacy", SLOT_UPTIME, 0, INT64_MAX);
    say_clock(run, "Extended", SLOT_ENGINE, 0, INT32_MAX);
    if (!devrun_probe_uptime(run, SLOT_UPTIME, SLOT_ENGINE, &ticks))
        return NULL;
    run->reindex.has_uptime = true;
    buf_clear(&run->reindex.uptime);
    buf_printf(&run->reindex.uptime, "%" PRId64, ticks);
    return buf_str(&run->reindex.uptime);
}

static bool is_of_this_query(const struct devrun *run, size_t row)
{
    return row < run->device->reindex_count &&
           run->device->reindex[row].data_query_id == this_row(run)->data_query_id;
}

/* The number of indexes as an object of its own (Cacti's oid_num_indexes): the only row of its data query, a number,
 * a scalar.  Cacti counts the indexes by itself, so an agent without the object would be re-indexed
 * in every cycle. */
static bool is_index_count(const struct devrun *run)
{
    const struct reindex_row *r = this_row(run);
    int64_t n;
    size_t row = run->reindex.row;
    bool alone = !is_of_this_query(run, row + 1) && (row == 0 || !is_of_this_query(run, row - 1));
    return alone && r->oid.sub[r->oid.len - 1] == 0 && num_parse(r->assert_value, 0, INT64_MAX, &n);
}

/* The agent says that a row to be verified is not there. */
static bool is_gone(const struct devrun *run)
{
    return this_row(run)->op == '=' && devrun_probe_missing(run, 0) && !is_index_count(run);
}

/* For a field whose source is the index Cacti writes the column's name, which no agent has a value
 * for: then no row is missing. The object that follows shows which case it is. */
static void look_below(struct devrun *run)
{
    run->reindex.looked_below = true;
    devrun_ask_snmp(run, &(struct snmp_request){
                             .op = SNMP_OP_GETNEXT,
                             .target = &run->device->snmp,
                             .names = &this_row(run)->oid,
                             .count = 1,
                         });
}

/* In any case the agent has answered for the row itself. */
static void take_below(struct devrun *run, const struct snmp_reply *reply)
{
    struct oid row = this_row(run)->oid;
    run->reindex.is_column =
        reply->outcome == SNMP_ANSWERED && reply->error_status == SNMP_ERROR_NONE &&
        reply->count > 0 && !varbind_is_exception(&reply->varbinds[0]) &&
        oid_within(row, reply->varbinds[0].name) && !oid_equal(row, reply->varbinds[0].name);
}

/* Cacti's own text of a value, where it has to be compared with what Cacti has stored.  NULL is not
 * a value, and says nothing about the object. */
static void take_value(struct devrun *run, const struct snmp_reply *reply)
{
    const struct reindex_row *r = this_row(run);
    devrun_probe_take(run, reply);
    if (is_uptime(r) || devrun_probe_text(run, 0) == NULL)
        return;
    const struct varbind *vb = reply->varbinds;
    while (!oid_equal(vb->name, r->oid) || varbind_is_exception(vb))
        vb++;
    struct buf *text = &run->probe->text[0];
    buf_clear(text);
    indextext_put(vb, text);
    run->probe->got[0] = vb->type != VARBIND_NULL;
    run->reindex.equal = indextext_equal(r->assert_value, vb);
}

static void end_get(struct devrun *run, const char *result)
{
    say_probe(run, "OID", result == NULL ? "U" : result);
    if (is_uptime(this_row(run)))
        reindex_judge(run, result);
    else
        judge_as(run, result,
                 run->reindex.equal ||
                     (result != NULL && *result == '\0' && *this_row(run)->assert_value == '\0'));
}

static void step_get(struct devrun *run)
{
    const struct reindex_row *r = this_row(run);
    struct reindex *x = &run->reindex;
    if (!x->probing) {
        if (is_uptime(r) && x->has_uptime) {
            end_get(run, buf_str(&x->uptime));
            return;
        }
        x->probing = true;
        begin_get(run);
    }
    if (!x->looked_below && !devrun_agent_gone(run, &run->device->snmp) && devrun_probe_ask(run))
        return;
    if (is_uptime(r))
        end_get(run, take_uptime(run));
    else if (!is_gone(run))
        end_get(run, devrun_probe_text(run, 0));
    else if (!x->looked_below)
        look_below(run);
    else
        end_get(run, x->is_column ? NULL : "");
}

/* ---- index counts (docs/contract.md 11.11) ---- */

static void end_walk(struct devrun *run, bool counted)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "%" PRIu64, run->reindex.walked);
    say_probe(run, "OID COUNT", counted ? buf_str(&text) : "U");
    reindex_judge(run, counted ? buf_str(&text) : NULL);
    buf_done(&text);
}

/* Nothing is concluded, in this cycle and probably in the next: one log line tells an operator who
 * waits for a re-index why. */
static void give_up_walk(struct devrun *run, const char *reason)
{
    devrun_say(run, LOG_ALWAYS,
               "Device[%" PRIu32 "] HT[1] DQ[%" PRIu32
               "] %s; the number of indexes below %s is not known",
               run->device->id, this_row(run)->data_query_id, reason, this_row(run)->arg1);
    end_walk(run, false);
}

static bool walks_by_bulk(const struct devrun *run)
{
    return run->device->snmp.version != 1 && !run->reindex.one_by_one;
}

static void begin_walk(struct devrun *run)
{
    const struct reindex_row *r = this_row(run);
    struct reindex *x = &run->reindex;
    if (x->last == NULL) { /* few devices need them, and thousands wait at the same time */
        x->last = arena_zalloc(&run->memory, OID_MAX_LEN * sizeof(x->last[0]));
        x->stray = arena_zalloc(&run->memory, OID_MAX_LEN * sizeof(x->stray[0]));
    }
    x->walked = 0;
    x->last_len = r->oid.len;
    memcpy(x->last, r->oid.sub, r->oid.len * sizeof(x->last[0]));
}

static void step_walk(struct devrun *run)
{
    struct reindex *x = &run->reindex;
    const struct target *t = &run->device->snmp;
    struct oid table = this_row(run)->oid;
    if (table.len == 0 || devrun_agent_gone(run, t) || devrun_agent_is_mute(run, t, table)) {
        end_walk(run, false);
        return;
    }
    if (!x->probing) {
        x->probing = true;
        x->walk_asks = 0;
        x->has_stray = false;
        x->stray_counted = false;
        begin_walk(run);
    }
    if (x->walk_asks++ == DEVRUN_STEPS_COUNT || x->walked_us > WALK_SECONDS * INT64_C(1000000)) {
        give_up_walk(run, "WARNING: Too many rows to be counted in a cycle");
        return;
    }
    x->last_name = (struct oid){x->last, x->last_len};
    devrun_ask_snmp(run, &(struct snmp_request){
                             .op = walks_by_bulk(run) ? SNMP_OP_GETBULK : SNMP_OP_GETNEXT,
                             .bulk_rows = WALK_ROWS,
                             .target = &run->device->snmp,
                             .names = &x->last_name,
                             .count = 1,
                         });
}

enum walked { WALKED_ROW, WALKED_END, WALKED_NOWHERE };

/* Behind the table.  Agents that begin again at the start of their MIB behind its end, or say NULL there, are believed
 * if they came here row by row: then the whole table has been seen. */
static enum walked judge_outside(const struct devrun *run, const struct varbind *vb, int order)
{
    bool proper = order > 0 && vb->type != VARBIND_NULL;
    bool at_its_end = run->reindex.walked > 0 && !walks_by_bulk(run);
    return proper || at_its_end ? WALKED_END : WALKED_NOWHERE;
}

static void note_stray(struct devrun *run, struct oid name)
{
    struct reindex *x = &run->reindex;
    x->has_stray = true;
    x->stray_len = name.len;
    memcpy(x->stray, name.sub, name.len * sizeof(x->stray[0]));
}

static enum walked walk_on(struct devrun *run, const struct varbind *vb)
{
    struct reindex *x = &run->reindex;
    int order = oid_compare(vb->name, (struct oid){x->last, x->last_len});
    if (varbind_is_exception(vb))
        return WALKED_END;
    if (!oid_within(this_row(run)->oid, vb->name))
        return judge_outside(run, vb, order);
    if (order <= 0 || vb->type == VARBIND_NULL) {
        if (order < 0 && vb->type != VARBIND_NULL && walks_by_bulk(run))
            note_stray(run, vb->name);
        return WALKED_NOWHERE;
    }
    x->walked++;
    x->last_len = vb->name.len;
    memcpy(x->last, vb->name.sub, vb->name.len * sizeof(x->last[0]));
    if (x->has_stray && oid_equal(vb->name, (struct oid){x->stray, x->stray_len}))
        x->stray_counted = true;
    return WALKED_ROW;
}

/* Of an agent that lives, the table alone is given up. */
static void take_walk_timeout(struct devrun *run)
{
    devrun_say(run, LOG_ALWAYS,
               "Device[%" PRIu32 "] HT[1] DQ[%" PRIu32
               "] ERROR: Timeout detected in Cacti snmp_count",
               run->device->id, this_row(run)->data_query_id);
    if (run->agents.about_objects)
        devrun_agent_blame(run, &run->device->snmp, this_row(run)->oid, "");
    else
        devrun_agent_silence(run, &run->device->snmp);
}

/* No rows of an answer could be taken: the end of a v1 view, or an error. */
static void take_no_rows(struct devrun *run, const struct snmp_reply *reply)
{
    const struct target *t = &run->device->snmp;
    if (walks_by_bulk(run) && !devrun_agent_gone(run, t)) {
        run->reindex.one_by_one = true;
        return;
    }
    if (reply->outcome == SNMP_TIMED_OUT)
        take_walk_timeout(run);
    if (reply->outcome == SNMP_ANSWERED && reply->error_status == SNMP_ERROR_NONE)
        give_up_walk(run, "WARNING: The agent answers without objects");
    else
        end_walk(run,
                 reply->outcome == SNMP_ANSWERED && reply->error_status == SNMP_ERROR_NO_SUCH_NAME);
}

/* Rows behind the end of the table: the answer is in no order at all. */
static bool has_rows(struct devrun *run, const struct varbind *varbinds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct varbind *vb = &varbinds[i];
        if (!varbind_is_exception(vb) && vb->type != VARBIND_NULL &&
            oid_within(this_row(run)->oid, vb->name)) {
            note_stray(run, vb->name);
            return true;
        }
    }
    return false;
}

static enum walked walk_answer(struct devrun *run, const struct snmp_reply *reply)
{
    size_t asked = walks_by_bulk(run) ? WALK_ROWS : 1; /* what some agents add is not a row */
    size_t count = reply->count < asked ? reply->count : asked;
    enum walked found = WALKED_ROW;
    size_t i = 0;
    while (found == WALKED_ROW && i < count)
        found = walk_on(run, &reply->varbinds[i++]);
    if (found == WALKED_END && has_rows(run, reply->varbinds + i, count - i))
        found = WALKED_NOWHERE;
    return found;
}

/* The end of a v1 view is an error status; any other one leaves the count unknown.  An agent that cannot answer for many
 * rows at once is asked for one at a time, from where it got to; one whose rows contradict each other, from the start,
 * before anything is concluded. */
static void take_walk(struct devrun *run, const struct snmp_reply *reply)
{
    struct reindex *x = &run->reindex;
    x->walked_us += reply->elapsed_us;
    if (reply->outcome != SNMP_ANSWERED || reply->error_status != SNMP_ERROR_NONE ||
        reply->count == 0) {
        take_no_rows(run, reply);
        return;
    }
    enum walked found = walk_answer(run, reply);
    if (found == WALKED_NOWHERE && walks_by_bulk(run)) {
        x->one_by_one = true;
        begin_walk(run);
    } else if (found == WALKED_NOWHERE) {
        give_up_walk(run, "ERROR: OID not increasing");
    } else if (found == WALKED_END && x->has_stray && !x->stray_counted) {
        give_up_walk(run, "WARNING: The agent leaves rows out");
    } else if (found == WALKED_END) {
        end_walk(run, true);
    }
}

/* ---- scripts (docs/contract.md 11.2) ---- */

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
    if (!count && reply->outcome == SCRIPT_OUTPUT)
        judge_as(run, buf_str(&text),
                 indextext_equal_output(r->assert_value, reply->output, reply->len));
    else
        reindex_judge(run, buf_str(&text));
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
        reindex_judge(run, NULL);
    } else if (r->action == REINDEX_SNMP) {
        step_get(run);
    } else {
        step_walk(run);
    }
}

static void reindex_step_row(struct devrun *run)
{
    const struct reindex_row *r = this_row(run);
    if (run->options.no_scripts && reindex_is_script(r)) {
        reindex_judge(run, NULL);
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
        reindex_judge(run, NULL);
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
        reindex_step_row(run);
}

void devrun_reindex_snmp(struct devrun *run, const struct snmp_reply *reply)
{
    if (this_row(run)->action == REINDEX_SNMP_COUNT)
        take_walk(run, reply);
    else if (run->reindex.looked_below)
        take_below(run, reply);
    else
        take_value(run, reply);
}
