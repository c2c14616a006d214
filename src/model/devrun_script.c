#include "config.h"

#include "base/mem.h"
#include "devrun_private.h"
#include "model/value.h"

#include <inttypes.h>

void devrun_script_ask(struct devrun *run, size_t i)
{
    const struct item *it = &run->device->items[i];
    enum ask_kind kind = it->action == ITEM_SCRIPT ? ASK_SCRIPT : ASK_SERVER;
    devrun_add_ask(run, kind)->script = (struct script_request){
        .command = it->arg1,
        .source = "DS",
        .device_id = run->device->id,
        .source_id = it->local_data_id,
    };
    run->asks[run->ask_count - 1].item = i;
}

/* ---- what Cacti's log viewer and operators look for (docs/contract.md 3.11) ---- */

static void say_script_trouble(struct devrun *run, const char *source, uint32_t source_id,
                               const char *command, const struct script_reply *reply)
{
    const struct device *d = run->device;
    if (reply->outcome == SCRIPT_EMPTY)
        devrun_say(run, LOG_ALWAYS,
                   "Device[%" PRIu32 "] %s[%" PRIu32 "] ERROR: Empty result [%s]: '%s'", d->id,
                   source, source_id, d->snmp.hostname, command);
    else if (reply->outcome == SCRIPT_TIMED_OUT)
        devrun_say(run, LOG_MEDIUM, "Device[%" PRIu32 "] ERROR: The NIFTY POPEN timed out", d->id);
    else if (reply->outcome == SCRIPT_NOT_STARTED)
        devrun_say(run, LOG_ALWAYS, "Device[%" PRIu32 "] ERROR: Problem executing POPEN [%s]: '%s'",
                   d->id, d->snmp.hostname, command);
}

static void say_server_trouble(struct devrun *run, const char *command,
                               const struct script_reply *reply)
{
    if (reply->outcome == SCRIPT_TIMED_OUT)
        devrun_say(run, LOG_ALWAYS,
                   "WARNING: SS[%d] The PHP Script Server did not respond in time for "
                   "Timeout[%0.2f], Command[%s] and will therefore be restarted",
                   reply->server, (double)reply->elapsed_us / 1e6, command);
    else if (reply->outcome == SCRIPT_LOST)
        devrun_say(run, LOG_ALWAYS,
                   "ERROR: SS[%d] PHP Script Server communications lost sending Command[%s].  "
                   "Restarting PHP Script Server",
                   reply->server, command);
    else if (reply->outcome == SCRIPT_FLOODED)
        devrun_say(run, LOG_ALWAYS,
                   "ERROR: SS[%d] The Script Server result was longer than the acceptable range",
                   reply->server);
}

static const char *outcome_text(enum script_outcome outcome)
{
    switch (outcome) {
    case SCRIPT_OUTPUT: break;
    case SCRIPT_EMPTY: return "printed nothing";
    case SCRIPT_TIMED_OUT: return "timed out";
    case SCRIPT_FLOODED: return "printed too much";
    case SCRIPT_NOT_STARTED: return "not started";
    case SCRIPT_LOST: return "lost";
    case SCRIPT_CANCELLED: return "cancelled";
    }
    return "has a result";
}

/* An exit status beside a result is a remark. */
static bool is_remark(enum ask_kind kind, const struct script_reply *reply)
{
    return kind == ASK_SCRIPT && reply->outcome == SCRIPT_OUTPUT && !reply->limit_hit;
}

/* That there are no script servers is logged once, by the driver that failed to start them. */
static enum log_level level_of_detail(enum ask_kind kind, const struct script_reply *reply)
{
    if (is_remark(kind, reply))
        return LOG_HIGH;
    bool known = kind == ASK_SERVER && reply->outcome == SCRIPT_NOT_STARTED && !reply->limit_hit;
    return known ? LOG_MEDIUM : LOG_ALWAYS;
}

/* The remark is put behind the reply's own detail. */
static void say_reply(struct devrun *run, enum ask_kind kind, const char *source,
                      uint32_t source_id, const char *command, const struct script_reply *reply,
                      const char *remark)
{
    if (kind == ASK_SCRIPT)
        say_script_trouble(run, source, source_id, command, reply);
    else
        say_server_trouble(run, command, reply);
    if (reply->detail != NULL)
        devrun_say(run, level_of_detail(kind, reply),
                   "Device[%" PRIu32 "] %s[%" PRIu32 "] %s: %s %s: %s%s; Command[%s]",
                   run->device->id, source, source_id, is_remark(kind, reply) ? "NOTE" : "WARNING",
                   kind == ASK_SCRIPT ? "Script" : "PHP Script Server",
                   outcome_text(reply->outcome), reply->detail, remark, command);
}

void devrun_say_script(struct devrun *run, enum ask_kind kind, const char *source,
                       uint32_t source_id, const char *command, const struct script_reply *reply)
{
    say_reply(run, kind, source, source_id, command, reply, "");
}

/* ---- items ---- */

static enum unknown_reason reason_of(enum script_outcome outcome)
{
    switch (outcome) {
    case SCRIPT_OUTPUT: return UNKNOWN_NOT;
    case SCRIPT_EMPTY: return UNKNOWN_EMPTY;
    case SCRIPT_TIMED_OUT: return UNKNOWN_NO_ANSWER;
    case SCRIPT_FLOODED: return UNKNOWN_FLOODED;
    case SCRIPT_NOT_STARTED:
    case SCRIPT_LOST:
    case SCRIPT_CANCELLED: break;
    }
    return UNKNOWN_FAILED;
}

static void items_script_say_invalid(struct devrun *run, size_t i, const struct script_reply *reply)
{
    const struct item *it = &run->device->items[i];
    struct buf sent = BUF_INIT;
    if (run->options.invalid_log != 2 && !devrun_listening(run, LOG_MEDIUM))
        return;
    value_trim(reply->output, reply->len, &sent);
    if (run->outcomes[i].reason == UNKNOWN_INVALID)
        devrun_note_no_value(run, i, buf_str(&sent));
    if (run->options.invalid_log == 2)
        devrun_say(run, LOG_ALWAYS,
                   "WARNING: Invalid Response, Device[%" PRIu32 "] HT[%d] DS[%" PRIu32
                   "] SCRIPT: %s, output: %s",
                   run->device->id, devrun_items_slice(run, i), it->local_data_id, it->arg1,
                   buf_str(&sent));
    buf_done(&sent);
}

static void settle_output(struct devrun *run, size_t i, const struct script_reply *reply)
{
    size_t text_at = run->text.len;
    bool known = reply->cut ? value_normalise_cut(reply->output, reply->len, &run->text)
                            : value_normalise(reply->output, reply->len, &run->text);
    devrun_settle_text(run, i, known ? UNKNOWN_NOT : UNKNOWN_INVALID, text_at);
}

static void items_script_note_trouble(struct devrun *run, size_t i, enum ask_kind kind,
                                      const struct script_reply *reply)
{
    bool was = reply->outcome == SCRIPT_NOT_STARTED || reply->outcome == SCRIPT_LOST ||
               reply->outcome == SCRIPT_CANCELLED;
    devrun_note_reason(run, i, "the %s %s%s%s%s",
                       kind == ASK_SCRIPT ? "script" : "PHP script server", was ? "was " : "",
                       outcome_text(reply->outcome), reply->detail == NULL ? "" : ": ",
                       reply->detail == NULL ? "" : reply->detail);
}

/* One line says all that is left out of what a script has printed. */
static void put_remark(const struct devrun *run, size_t i, struct buf *out)
{
    const struct outcome *o = &run->outcomes[i];
    if (o->reason != UNKNOWN_NOT)
        return;
    buf_printf(out, "; %zu whole fields were read",
               value_fields(run->text.data + o->text_at, o->text_len));
    size_t before = out->len;
    buf_puts(out, "; ");
    if (!devrun_value_too_wide(run, i, out))
        buf_truncate(out, before);
}

static void say_value(struct devrun *run, size_t i, const struct script_reply *reply)
{
    const struct item *it = &run->device->items[i];
    const char *value = run->text.data + run->outcomes[i].text_at;
    double ms = (double)reply->elapsed_us / 1000.0;
    int slice = devrun_items_slice(run, i);
    if (!devrun_listening(run, LOG_MEDIUM))
        return;
    if (it->action == ITEM_SCRIPT)
        devrun_say(run, LOG_MEDIUM,
                   "Device[%" PRIu32 "] HT[%d] DS[%" PRIu32 "] TT[%.2f] SCRIPT: %s, output: %s",
                   run->device->id, slice, it->local_data_id, ms, it->arg1, value);
    else
        devrun_say(run, LOG_MEDIUM,
                   "Device[%" PRIu32 "] HT[%d] DS[%" PRIu32
                   "] TT[%.2f] SS[%d] SERVER: %s, output: %s",
                   run->device->id, slice, it->local_data_id, ms, reply->server, it->arg1, value);
}

void devrun_items_script(struct devrun *run, const struct open_ask *ask,
                         const struct script_reply *reply)
{
    const struct item *it = &run->device->items[ask->item];
    struct buf remark = BUF_INIT;
    if (reply->outcome == SCRIPT_OUTPUT)
        settle_output(run, ask->item, reply);
    else
        devrun_settle_unknown(run, ask->item, reason_of(reply->outcome));
    if (reply->cut && reply->detail != NULL)
        put_remark(run, ask->item, &remark);
    say_reply(run, ask->kind, "DS", it->local_data_id, it->arg1, reply, buf_str(&remark));
    if (reply->outcome != SCRIPT_OUTPUT)
        items_script_note_trouble(run, ask->item, ask->kind, reply);
    if (devrun_is_invalid(run->outcomes[ask->item].reason))
        items_script_say_invalid(run, ask->item, reply);
    say_value(run, ask->item, reply);
    devrun_kill_spike(run, ask->item);
    if (remark.len == 0)
        devrun_say_width(run, ask->item);
    buf_done(&remark);
}
