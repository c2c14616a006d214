#include "config.h"

#include "model/record.h"

#include "base/jsonout.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- words ---- */

static const char *const inputs[] = {
    [DEVRUN_START] = "start",   [DEVRUN_SNMP] = "snmp", [DEVRUN_PING] = "ping",
    [DEVRUN_SCRIPT] = "script", [DEVRUN_STOP] = "stop",
};
static const char *const snmp_outcomes[] = {
    [SNMP_ANSWERED] = "answered", [SNMP_TIMED_OUT] = "timed out",   [SNMP_REFUSED] = "refused",
    [SNMP_FAILED] = "failed",     [SNMP_IMPOSSIBLE] = "impossible",
};
static const char *const ping_outcomes[] = {
    [PING_UP] = "up",
    [PING_DOWN] = "down",
    [PING_IMPOSSIBLE] = "impossible",
};
static const char *const script_outcomes[] = {
    [SCRIPT_OUTPUT] = "output",           [SCRIPT_EMPTY] = "empty",
    [SCRIPT_TIMED_OUT] = "timed out",     [SCRIPT_FLOODED] = "flooded",
    [SCRIPT_NOT_STARTED] = "not started", [SCRIPT_LOST] = "lost",
    [SCRIPT_CANCELLED] = "cancelled",
};
static const char *const varbind_types[] = {
    [VARBIND_INTEGER] = "integer",
    [VARBIND_COUNTER32] = "counter32",
    [VARBIND_GAUGE32] = "gauge32",
    [VARBIND_TIMETICKS] = "timeticks",
    [VARBIND_COUNTER64] = "counter64",
    [VARBIND_OCTETS] = "octets",
    [VARBIND_IPADDRESS] = "ipaddress",
    [VARBIND_OBJECT_ID] = "oid",
    [VARBIND_NULL] = "null",
    [VARBIND_OPAQUE] = "opaque",
    [VARBIND_OPAQUE_FLOAT] = "opaque float",
    [VARBIND_OPAQUE_DOUBLE] = "opaque double",
    [VARBIND_OPAQUE_COUNTER64] = "opaque counter64",
    [VARBIND_OPAQUE_INT64] = "opaque int64",
    [VARBIND_OPAQUE_UINT64] = "opaque uint64",
    [VARBIND_NO_SUCH_OBJECT] = "no such object",
    [VARBIND_NO_SUCH_INSTANCE] = "no such instance",
    [VARBIND_END_OF_MIB_VIEW] = "end of mib view",
    [VARBIND_UNKNOWN] = "unknown",
};
static const char *const asks[] = {
    [ASK_SNMP] = "snmp", [ASK_PING] = "ping", [ASK_SCRIPT] = "script", [ASK_SERVER] = "server"};
static const char *const operations[] = {
    [SNMP_OP_GET] = "get", [SNMP_OP_GETNEXT] = "getnext", [SNMP_OP_GETBULK] = "getbulk"};

static const struct {
    const char *const *words;
    int count;
} lists[RECORD_LISTS] = {
    [RECORD_INPUTS] = {inputs, ARRAY_LEN(inputs)},
    [RECORD_SNMP_OUTCOMES] = {snmp_outcomes, ARRAY_LEN(snmp_outcomes)},
    [RECORD_PING_OUTCOMES] = {ping_outcomes, ARRAY_LEN(ping_outcomes)},
    [RECORD_SCRIPT_OUTCOMES] = {script_outcomes, ARRAY_LEN(script_outcomes)},
    [RECORD_VARBIND_TYPES] = {varbind_types, ARRAY_LEN(varbind_types)},
};

const char *record_word(enum record_list list, int number)
{
    CHECK(number >= 0 && number < lists[list].count && lists[list].words[number] != NULL);
    return lists[list].words[number];
}

int record_number(enum record_list list, const char *word)
{
    for (int i = 0; i < lists[list].count; i++)
        if (lists[list].words[i] != NULL && strcmp(lists[list].words[i], word) == 0)
            return i;
    return -1;
}

enum record_value record_value_of(enum varbind_type type)
{
    switch (type) {
    case VARBIND_INTEGER:
    case VARBIND_OPAQUE_INT64: return RECORD_SIGNED;
    case VARBIND_COUNTER32:
    case VARBIND_GAUGE32:
    case VARBIND_TIMETICKS:
    case VARBIND_COUNTER64:
    case VARBIND_OPAQUE_COUNTER64:
    case VARBIND_OPAQUE_UINT64: return RECORD_UNSIGNED;
    case VARBIND_OPAQUE_FLOAT:
    case VARBIND_OPAQUE_DOUBLE: return RECORD_REAL;
    case VARBIND_OCTETS:
    case VARBIND_IPADDRESS:
    case VARBIND_OPAQUE: return RECORD_OCTETS;
    case VARBIND_OBJECT_ID: return RECORD_OID;
    case VARBIND_NULL:
    case VARBIND_NO_SUCH_OBJECT:
    case VARBIND_NO_SUCH_INSTANCE:
    case VARBIND_END_OF_MIB_VIEW:
    case VARBIND_UNKNOWN: break;
    }
    return RECORD_NOTHING;
}

/* ---- parts ---- */

static void put_oid(struct buf *out, const char *key, struct oid oid)
{
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < oid.len; i++)
        buf_printf(&text, "%s%u", i > 0 ? "." : "", (unsigned)oid.sub[i]);
    jsonout_text(out, key, buf_str(&text));
    buf_done(&text);
}

static void put_moment(struct buf *out, const struct moment *at)
{
    jsonout_int(out, "mono_us", at->mono_us);
    jsonout_int(out, "wall_us", at->wall_us);
}

static void put_status(struct buf *out, const char *key, const struct device_status *s)
{
    jsonout_open(out, key, '{');
    jsonout_int(out, "status", s->status);
    jsonout_int(out, "events", s->event_count);
    jsonout_int(out, "fail_date", s->fail_date);
    jsonout_int(out, "rec_date", s->rec_date);
    jsonout_text(out, "last_error", s->last_error);
    jsonout_real(out, "min_time", s->min_time);
    jsonout_real(out, "max_time", s->max_time);
    jsonout_real(out, "cur_time", s->cur_time);
    jsonout_real(out, "avg_time", s->avg_time);
    jsonout_int(out, "total_polls", s->total_polls);
    jsonout_int(out, "failed_polls", s->failed_polls);
    jsonout_real(out, "availability", s->availability);
    jsonout_close(out, '}');
}

/* ---- the start: device and options ---- */

/* The different sessions of a device, its own first, and the different secrets in them. */
struct cast {
    const struct target **targets;
    size_t target_count;
    const char **secrets;
    size_t secret_count;
};

static size_t target_index(struct cast *c, const struct target *t)
{
    for (size_t i = c->target_count; i-- > 0;)
        if (target_compare(c->targets[i], t) == 0)
            return i;
    c->targets = mem_realloc(c->targets, c->target_count + 1, sizeof(c->targets[0]));
    c->targets[c->target_count] = t;
    return c->target_count++;
}

static void put_secret(struct buf *out, const char *key, struct cast *c, const char *secret)
{
    char stand_in[32];
    size_t i = 0;
    if (secret == NULL || *secret == '\0') {
        jsonout_text(out, key, secret);
        return;
    }
    while (i < c->secret_count && strcmp(c->secrets[i], secret) != 0)
        i++;
    if (i == c->secret_count) {
        c->secrets = mem_realloc(c->secrets, c->secret_count + 1, sizeof(c->secrets[0]));
        c->secrets[c->secret_count++] = secret;
    }
    snprintf(stand_in, sizeof(stand_in), "#%zu", i + 1);
    jsonout_text(out, key, stand_in);
}

static void put_target(struct buf *out, struct cast *c, const struct target *t)
{
    jsonout_open(out, NULL, '{');
    jsonout_text(out, "hostname", t->hostname);
    jsonout_int(out, "port", t->port);
    jsonout_int(out, "version", t->version);
    jsonout_int(out, "timeout_ms", t->timeout_ms);
    put_secret(out, "community", c, t->community);
    jsonout_text(out, "username", t->username);
    put_secret(out, "password", c, t->password);
    jsonout_text(out, "auth_protocol", t->auth_protocol);
    put_secret(out, "priv_passphrase", c, t->priv_passphrase);
    jsonout_text(out, "priv_protocol", t->priv_protocol);
    jsonout_text(out, "context", t->context);
    jsonout_text(out, "engine_id", t->engine_id);
    jsonout_close(out, '}');
}

static void put_items(struct buf *out, struct cast *c, const struct device *d)
{
    jsonout_open(out, "items", '[');
    for (size_t i = 0; i < d->item_count; i++) {
        const struct item *item = &d->items[i];
        jsonout_open(out, NULL, '{');
        jsonout_int(out, "data_id", item->local_data_id);
        jsonout_int(out, "action", item->action);
        jsonout_text(out, "name", item->rrd_name);
        jsonout_text(out, "arg1", item->arg1);
        jsonout_int(out, "target", (int64_t)target_index(c, item->target));
        put_oid(out, "oid", item->oid);
        jsonout_close(out, '}');
    }
    jsonout_close(out, ']');
}

static void put_reindex(struct buf *out, const struct device *d)
{
    jsonout_open(out, "reindex", '[');
    for (size_t i = 0; i < d->reindex_count; i++) {
        const struct reindex_row *row = &d->reindex[i];
        jsonout_open(out, NULL, '{');
        jsonout_int(out, "data_query", row->data_query_id);
        jsonout_int(out, "action", row->action);
        jsonout_int(out, "op", row->op);
        jsonout_text(out, "value", row->assert_value);
        jsonout_text(out, "arg1", row->arg1);
        put_oid(out, "oid", row->oid);
        jsonout_close(out, '}');
    }
    jsonout_close(out, ']');
}

static void put_device(struct buf *out, const struct device *d)
{
    struct cast c = {0};
    (void)target_index(&c, &d->snmp);
    jsonout_open(out, "device", '{');
    jsonout_int(out, "id", d->id);
    jsonout_int(out, "threads", d->device_threads);
    jsonout_int(out, "max_oids", d->max_oids);
    jsonout_int(out, "availability", d->availability_method);
    jsonout_int(out, "ping_method", d->ping_method);
    jsonout_int(out, "ping_port", d->ping_port);
    jsonout_int(out, "ping_timeout_ms", d->ping_timeout_ms);
    jsonout_int(out, "ping_retries", d->ping_retries);
    put_status(out, "status", &d->status);
    put_items(out, &c, d);
    put_reindex(out, d);
    jsonout_open(out, "targets", '[');
    for (size_t i = 0; i < c.target_count; i++)
        put_target(out, &c, c.targets[i]);
    jsonout_close(out, ']');
    jsonout_close(out, '}');
    free(c.targets);
    free(c.secrets);
}

static void put_options(struct buf *out, const struct devrun_options *o)
{
    jsonout_open(out, "options", '{');
    jsonout_int(out, "log_level", o->log_level);
    jsonout_bool(out, "debug_device", o->debug_device);
    jsonout_int(out, "invalid_log", o->invalid_log);
    jsonout_int(out, "failure_count", o->failure_count);
    jsonout_int(out, "recovery_count", o->recovery_count);
    jsonout_bool(out, "system_info", o->system_info);
    jsonout_bool(out, "ping_only", o->ping_only);
    jsonout_bool(out, "no_scripts", o->no_scripts);
    jsonout_unsigned(out, "output_chars", o->output_chars);
    jsonout_unsigned(out, "boost_chars", o->boost_chars);
    jsonout_int(out, "agent_ms", o->agent_ms);
    if (o->known_oids > 0)
        jsonout_unsigned(out, "known_oids", o->known_oids);
    jsonout_close(out, '}');
}

/* ---- answers ---- */

static void put_varbind(struct buf *out, const struct varbind *vb)
{
    jsonout_open(out, NULL, '{');
    put_oid(out, "name", vb->name);
    jsonout_text(out, "type", record_word(RECORD_VARBIND_TYPES, vb->type));
    switch (record_value_of(vb->type)) {
    case RECORD_SIGNED: jsonout_int(out, "value", vb->integer); break;
    case RECORD_UNSIGNED: jsonout_unsigned(out, "value", vb->number); break;
    case RECORD_REAL: jsonout_real(out, "value", vb->real); break;
    case RECORD_OCTETS: jsonout_bytes(out, "value", vb->octets.data, vb->octets.len); break;
    case RECORD_OID: put_oid(out, "value", vb->oid); break;
    case RECORD_NOTHING: break;
    }
    jsonout_close(out, '}');
}

static void put_snmp_reply(struct buf *out, const struct snmp_reply *r)
{
    jsonout_text(out, "outcome", record_word(RECORD_SNMP_OUTCOMES, r->outcome));
    jsonout_int(out, "error_status", r->error_status);
    jsonout_int(out, "error_index", r->error_index);
    jsonout_int(out, "elapsed_us", r->elapsed_us);
    jsonout_text(out, "detail", r->detail);
    jsonout_open(out, "varbinds", '[');
    for (size_t i = 0; i < r->count; i++)
        put_varbind(out, &r->varbinds[i]);
    jsonout_close(out, ']');
}

static void put_ping_reply(struct buf *out, const struct ping_reply *r)
{
    jsonout_text(out, "outcome", record_word(RECORD_PING_OUTCOMES, r->outcome));
    jsonout_real(out, "time_ms", r->time_ms);
    jsonout_text(out, "text", r->text);
    jsonout_bool(out, "fell_back", r->fell_back);
    jsonout_text(out, "bad_name", r->bad_name);
}

static void put_script_reply(struct buf *out, const struct script_reply *r)
{
    jsonout_text(out, "outcome", record_word(RECORD_SCRIPT_OUTCOMES, r->outcome));
    if (r->output == NULL)
        jsonout_null(out, "output");
    else
        jsonout_bytes(out, "output", r->output, r->len);
    jsonout_unsigned(out, "lines", r->lines);
    jsonout_int(out, "server", r->server);
    jsonout_bool(out, "cut", r->cut);
    jsonout_bool(out, "limit_hit", r->limit_hit);
    jsonout_text(out, "detail", r->detail);
    jsonout_int(out, "elapsed_us", r->elapsed_us);
}

void record_event(const struct device *device, const struct devrun_options *options,
                  const struct devrun_event *e, struct buf *out)
{
    jsonout_open(out, NULL, '{');
    jsonout_text(out, "input", record_word(RECORD_INPUTS, (int)e->kind));
    put_moment(out, &e->at);
    if (e->kind == DEVRUN_SNMP || e->kind == DEVRUN_PING || e->kind == DEVRUN_SCRIPT)
        jsonout_int(out, "ask", e->ask_id);
    switch (e->kind) {
    case DEVRUN_START:
        put_device(out, device);
        put_options(out, options);
        break;
    case DEVRUN_SNMP: put_snmp_reply(out, e->snmp); break;
    case DEVRUN_PING: put_ping_reply(out, e->ping); break;
    case DEVRUN_SCRIPT: put_script_reply(out, e->script); break;
    case DEVRUN_STOP: break;
    }
    jsonout_close(out, '}');
}

/* ---- actions ---- */

/* Of which session: the device's own, or that of its n-th item. */
static void put_session(struct buf *out, const struct device *d, const struct target *t)
{
    size_t i = 0;
    while (i < d->item_count && target_compare(d->items[i].target, t) != 0)
        i++;
    if (target_compare(&d->snmp, t) == 0)
        jsonout_text(out, "session", "device");
    else if (i < d->item_count)
        jsonout_int(out, "session", (int64_t)i);
    else
        jsonout_null(out, "session");
}

static void put_ask(struct buf *out, const struct device *d, const struct ask *ask)
{
    jsonout_int(out, "id", ask->id);
    jsonout_text(out, "kind", asks[ask->kind]);
    switch (ask->kind) {
    case ASK_SNMP:
        jsonout_text(out, "op", operations[ask->snmp.op]);
        jsonout_int(out, "bulk_rows", ask->snmp.bulk_rows);
        jsonout_int(out, "limit_ms", ask->snmp.limit_ms);
        put_session(out, d, ask->snmp.target);
        jsonout_open(out, "names", '[');
        for (size_t i = 0; i < ask->snmp.count; i++)
            put_oid(out, NULL, ask->snmp.names[i]);
        jsonout_close(out, ']');
        break;
    case ASK_PING:
        jsonout_int(out, "method", ask->ping.method);
        jsonout_text(out, "hostname", ask->ping.hostname);
        jsonout_int(out, "port", ask->ping.port);
        jsonout_int(out, "timeout_ms", ask->ping.timeout_ms);
        jsonout_int(out, "retries", ask->ping.retries);
        break;
    case ASK_SCRIPT:
    case ASK_SERVER:
        jsonout_text(out, "command", ask->script.command);
        jsonout_bool(out, "count_lines", ask->script.count_lines);
        jsonout_text(out, "source", ask->script.source);
        jsonout_int(out, "source_id", ask->script.source_id);
        break;
    }
}

static void put_row(struct buf *out, const struct output_row *row)
{
    jsonout_int(out, "data_id", row->local_data_id);
    jsonout_text(out, "name", row->rrd_name);
    jsonout_int(out, "time", row->time);
    jsonout_bytes(out, "output", row->output, row->output_len);
}

static void record_put_host(struct buf *out, const struct host_row *h)
{
    jsonout_open(out, "host", '{');
    if (h->has_status)
        put_status(out, "status", &h->status);
    if (h->system != NULL) {
        jsonout_open(out, "system", '{');
        jsonout_text(out, "descr", h->system->descr);
        jsonout_text(out, "object_id", h->system->object_id);
        jsonout_text(out, "contact", h->system->contact);
        jsonout_text(out, "name", h->system->name);
        jsonout_text(out, "location", h->system->location);
        if (h->system->has_uptime)
            jsonout_int(out, "uptime_ticks", h->system->uptime_ticks);
        jsonout_close(out, '}');
    }
    if (h->has_polling_time)
        jsonout_real(out, "polling_time", h->polling_time);
    jsonout_close(out, '}');
}

static void put_result(struct buf *out, const struct devrun_result *r)
{
    jsonout_bool(out, "complete", r->complete);
    jsonout_bool(out, "down", r->down);
    jsonout_int(out, "values", (int64_t)r->values);
    jsonout_open(out, "unknown", '{');
    for (int i = 1; i < UNKNOWN_REASONS; i++)
        if (r->unknown[i] > 0)
            jsonout_int(out, unknown_reason_text((enum unknown_reason)i), (int64_t)r->unknown[i]);
    jsonout_close(out, '}');
    jsonout_int(out, "unfinished", (int64_t)r->unfinished);
    jsonout_int(out, "skipped", (int64_t)r->skipped);
    record_put_host(out, &r->host);
}

void record_action(const struct device *device, const struct action *a, struct buf *out)
{
    static const char *const kinds[] = {
        [ACTION_ASK] = "ask",         [ACTION_ROW] = "row",       [ACTION_LOG] = "log",
        [ACTION_RECACHE] = "reindex", [ACTION_ASSERT] = "assert", [ACTION_FINISHED] = "finished"};
    jsonout_open(out, NULL, '{');
    jsonout_text(out, "action", kinds[a->kind]);
    switch (a->kind) {
    case ACTION_ASK: put_ask(out, device, &a->ask); break;
    case ACTION_ROW: put_row(out, &a->row); break;
    case ACTION_LOG:
        jsonout_int(out, "level", a->log.level);
        jsonout_text(out, "text", a->log.text);
        break;
    case ACTION_RECACHE: jsonout_int(out, "data_query", a->recache.data_query_id); break;
    case ACTION_ASSERT:
        jsonout_int(out, "data_query", a->assertion.data_query_id);
        jsonout_text(out, "arg1", a->assertion.arg1);
        jsonout_text(out, "value", a->assertion.value);
        break;
    case ACTION_FINISHED: put_result(out, &a->finished); break;
    }
    jsonout_close(out, '}');
}
