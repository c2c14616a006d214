#include "config.h"

#include "app/explain.h"

#include "app/look.h"
#include "app/run.h"
#include "base/jsonout.h"

#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

static double explain_ms(int64_t us)
{
    return (double)us / 1000.0;
}

static const struct look_ask *explain_ask_of(const struct look_device *d, uint32_t ask_id)
{
    for (size_t i = 0; ask_id != 0 && i < d->ask_count; i++)
        if (d->asks[i].id == ask_id)
            return &d->asks[i];
    return NULL;
}

static const char *explain_kind(enum ask_kind kind)
{
    static const char *const kinds[] = {
        [ASK_SNMP] = "SNMP", [ASK_PING] = "ping", [ASK_SCRIPT] = "script", [ASK_SERVER] = "server"};
    return kinds[kind];
}

static const char *explain_availability(int method)
{
    switch (method) {
    case AVAIL_NONE: return "none";
    case AVAIL_PING_AND_SNMP: return "ping and SNMP uptime";
    case AVAIL_SNMP_UPTIME: return "SNMP uptime";
    case AVAIL_PING: return "ping";
    case AVAIL_PING_OR_SNMP: return "ping or SNMP uptime";
    case AVAIL_SNMP_DESC: return "SNMP description";
    case AVAIL_SNMP_GETNEXT: return "SNMP GETNEXT";
    default: return "unknown method";
    }
}

static const char *explain_state(const struct look_device *d)
{
    if (!d->finished || !d->result.complete)
        return "not polled to its end";
    return d->result.down ? "does not pass its availability check" : "polled";
}

static size_t explain_unknown(const struct look_device *d)
{
    size_t sum = 0;
    for (int i = 1; i < UNKNOWN_REASONS; i++)
        sum += d->result.unknown[i];
    return sum;
}

/* ---- for people ---- */

static void explain_text_head(const struct look_device *d, const char *driver, struct buf *out)
{
    buf_printf(out, "Device %" PRIu32 " '%s', driver %s: %s", d->id, d->hostname, driver,
               explain_state(d));
    if (d->result.host.has_polling_time)
        buf_printf(out, " in %.1f ms", d->result.host.polling_time * 1000);
    buf_printf(out, "; %zu values, %zu U", d->result.values, explain_unknown(d));
    if (d->result.skipped > 0)
        buf_printf(out, ", %zu items not asked for", d->result.skipped);
    if (d->result.unfinished > 0)
        buf_printf(out, ", %zu items unfinished", d->result.unfinished);
    buf_putc(out, '\n');
    buf_printf(out, "  Availability: %s", explain_availability(d->availability_method));
    if (d->result.host.has_status)
        buf_printf(out, ": %s, %.2f ms%s%s", d->result.down ? "failed" : "passed",
                   d->result.host.status.cur_time, d->result.down ? ": " : "",
                   d->result.down ? d->result.host.status.last_error : "");
    buf_putc(out, '\n');
}

static void explain_text_ask(const struct look_ask *a, struct buf *out)
{
    const struct snmp_traffic *t = &a->traffic;
    buf_printf(out, "    #%-3" PRIu32 " at %8.1f ms  %-6s %s\n", a->id, explain_ms(a->began_us),
               explain_kind(a->kind), a->what);
    buf_printf(out, "         %s in %.1f ms", a->answered ? a->outcome : "no answer yet",
               explain_ms(a->elapsed_us));
    if (a->kind == ASK_SNMP)
        buf_printf(out,
                   "; %zu objects; %" PRIu32 " messages sent (%" PRIu32 " bytes, %" PRIu32
                   " repeats), %" PRIu32 " received (%" PRIu32 " bytes)",
                   a->names, t->sent, t->bytes_sent, t->repeats, t->received, t->bytes_received);
    else if (a->kind != ASK_PING)
        buf_printf(out, "; %zu bytes printed", a->output_bytes);
    if (a->detail != NULL && *a->detail != '\0')
        buf_printf(out, "; %s", a->detail);
    buf_putc(out, '\n');
}

static void explain_text_item(const struct look_device *d, const struct look_item *it,
                              struct buf *out)
{
    const struct look_ask *a = explain_ask_of(d, it->ask_id);
    buf_printf(out, "    DS %" PRIu32 " %s = ", it->local_data_id, it->rrd_name);
    if (it->reason == UNKNOWN_NOT)
        buf_printf(out, "%s", it->value);
    else
        buf_printf(out, "U (%s: %s)", unknown_reason_text(it->reason), it->why);
    if (a != NULL)
        buf_printf(out, "  [#%" PRIu32 ", %.1f ms]", a->id, explain_ms(a->elapsed_us));
    else
        buf_puts(out, "  [not asked for]");
    buf_printf(out, "  %s\n", it->arg1);
}

static void explain_text_query(const struct look_query *q, struct buf *out)
{
    buf_printf(out, "    data query %" PRIu32 ": %zu assertions, %zu changed: %s\n",
               q->data_query_id, q->assertions, q->changed,
               q->reindex ? "Cacti would re-index it" : "stays as it is");
}

static void explain_text_device(const struct look_device *d, const char *driver, struct buf *out)
{
    explain_text_head(d, driver, out);
    buf_printf(out, "  Requests: %zu\n", d->ask_count);
    for (size_t i = 0; i < d->ask_count; i++)
        explain_text_ask(&d->asks[i], out);
    buf_printf(out, "  Items: %zu\n", d->item_count);
    for (size_t i = 0; i < d->item_count; i++)
        explain_text_item(d, &d->items[i], out);
    if (d->query_count > 0)
        buf_puts(out, "  Re-index checks:\n");
    for (size_t i = 0; i < d->query_count; i++)
        explain_text_query(&d->queries[i], out);
    if (d->line_count > 0)
        buf_puts(out, "  Log lines:\n");
    for (size_t i = 0; i < d->line_count; i++)
        buf_printf(out, "    %s\n", d->lines[i]);
}

static void explain_print_text(const struct look *l, const char *driver, struct buf *out)
{
    for (size_t i = 0; i < look_count(l); i++) {
        if (i > 0)
            buf_putc(out, '\n');
        explain_text_device(look_at(l, i), driver, out);
    }
}

/* ---- JSON ---- */

static void explain_json_ask(const struct look_ask *a, struct buf *out)
{
    jsonout_open(out, NULL, '{');
    jsonout_unsigned(out, "request", a->id);
    jsonout_text(out, "kind", explain_kind(a->kind));
    jsonout_text(out, "what", a->what);
    jsonout_int(out, "began_us", a->began_us);
    jsonout_int(out, "elapsed_us", a->elapsed_us);
    jsonout_text(out, "outcome", a->answered ? a->outcome : "unanswered");
    jsonout_bool(out, "failed", a->failed || !a->answered);
    jsonout_text(out, "detail", a->detail);
    if (a->kind == ASK_SNMP) {
        jsonout_unsigned(out, "objects", a->names);
        jsonout_unsigned(out, "messages_sent", a->traffic.sent);
        jsonout_unsigned(out, "messages_received", a->traffic.received);
        jsonout_unsigned(out, "repeats", a->traffic.repeats);
        jsonout_unsigned(out, "bytes_sent", a->traffic.bytes_sent);
        jsonout_unsigned(out, "bytes_received", a->traffic.bytes_received);
    } else if (a->kind != ASK_PING) {
        jsonout_unsigned(out, "bytes_printed", a->output_bytes);
    }
    jsonout_close(out, '}');
}

static void explain_json_item(const struct look_item *it, struct buf *out)
{
    jsonout_open(out, NULL, '{');
    jsonout_unsigned(out, "local_data_id", it->local_data_id);
    jsonout_text(out, "rrd_name", it->rrd_name);
    jsonout_int(out, "action", it->action);
    jsonout_text(out, "source", it->arg1);
    jsonout_unsigned(out, "request", it->ask_id);
    jsonout_text(out, "value", it->value);
    jsonout_text(out, "unknown",
                 it->reason == UNKNOWN_NOT ? NULL : unknown_reason_text(it->reason));
    jsonout_text(out, "why", it->why);
    jsonout_close(out, '}');
}

static void explain_json_query(const struct look_query *q, struct buf *out)
{
    jsonout_open(out, NULL, '{');
    jsonout_unsigned(out, "data_query", q->data_query_id);
    jsonout_unsigned(out, "assertions", q->assertions);
    jsonout_unsigned(out, "changed", q->changed);
    jsonout_bool(out, "reindex", q->reindex);
    jsonout_close(out, '}');
}

static void explain_json_device(const struct look_device *d, struct buf *out)
{
    jsonout_open(out, NULL, '{');
    jsonout_unsigned(out, "device", d->id);
    jsonout_text(out, "hostname", d->hostname);
    jsonout_int(out, "snmp_version", d->snmp_version);
    jsonout_int(out, "snmp_port", d->snmp_port);
    jsonout_bool(out, "complete", d->finished && d->result.complete);
    jsonout_bool(out, "down", d->result.down);
    jsonout_text(out, "availability", explain_availability(d->availability_method));
    if (d->result.host.has_status) {
        jsonout_real(out, "availability_ms", d->result.host.status.cur_time);
        jsonout_text(out, "availability_error",
                     d->result.down ? d->result.host.status.last_error : NULL);
    }
    jsonout_int(out, "elapsed_us", (int64_t)(d->result.host.polling_time * 1e6));
    jsonout_unsigned(out, "values", d->result.values);
    jsonout_unsigned(out, "unknown", explain_unknown(d));
    jsonout_unsigned(out, "skipped", d->result.skipped);
    jsonout_unsigned(out, "unfinished", d->result.unfinished);
    jsonout_open(out, "requests", '[');
    for (size_t i = 0; i < d->ask_count; i++)
        explain_json_ask(&d->asks[i], out);
    jsonout_close(out, ']');
    jsonout_open(out, "items", '[');
    for (size_t i = 0; i < d->item_count; i++)
        explain_json_item(&d->items[i], out);
    jsonout_close(out, ']');
    jsonout_open(out, "data_queries", '[');
    for (size_t i = 0; i < d->query_count; i++)
        explain_json_query(&d->queries[i], out);
    jsonout_close(out, ']');
    jsonout_open(out, "log", '[');
    for (size_t i = 0; i < d->line_count; i++)
        jsonout_text(out, NULL, d->lines[i]);
    jsonout_close(out, ']');
    jsonout_close(out, '}');
}

static void explain_print_json(const struct look *l, const char *driver, struct buf *out)
{
    jsonout_open(out, NULL, '{');
    jsonout_text(out, "driver", driver);
    jsonout_open(out, "devices", '[');
    for (size_t i = 0; i < look_count(l); i++)
        explain_json_device(look_at(l, i), out);
    jsonout_close(out, ']');
    jsonout_close(out, '}');
    buf_putc(out, '\n');
}

/* ---- the command ---- */

static int explain_status(const struct look *l)
{
    for (size_t i = 0; i < look_count(l); i++)
        if (!look_at(l, i)->finished || !look_at(l, i)->result.complete)
            return EX_TEMPFAIL;
    return look_count(l) == 0 ? EX_NOINPUT : EX_OK;
}

static void explain_work(struct run *r, void *arg)
{
    struct err err = ERR_INIT;
    struct config *c = arg;
    struct look *l = look_new(true, c->log.level);
    if (!run_look(r, l, &err)) {
        run_set_status(r, app_fail(&err));
    } else {
        const char *driver = config_driver_text(run_driver(r));
        struct buf out = BUF_INIT;
        look_sort(l);
        if (c->format == FORMAT_JSON)
            explain_print_json(l, driver, &out);
        else
            explain_print_text(l, driver, &out);
        fwrite(buf_str(&out), 1, out.len, stdout);
        buf_done(&out);
        run_set_status(r, explain_status(l));
    }
    if (!run_is_left_behind(r))
        look_free(l);
}

struct app_end explain_run(struct config *c, const struct ping_sockets *sockets,
                           int64_t started_mono_us)
{
    return run_command(c, sockets, started_mono_us, explain_work, c);
}
