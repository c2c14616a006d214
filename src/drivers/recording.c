#include "config.h"

#include "drivers/recording.h"

#include "base/mem.h"
#include "base/num.h"
#include "model/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_JANSSON

#include <jansson.h>

/* Where the values of a line go; the first thing that is wrong is kept, what follows gives zeros. */
struct reader {
    struct arena *memory;
    struct err *err;
    bool failed;
};

static void recording_fail(struct reader *r, const char *key, const char *what)
{
    if (!r->failed)
        err_set(r->err, ERR_DATA, "\"%s\" %s", key, what);
    r->failed = true;
}

/* ---- simple values ---- */

static json_t *get(struct reader *r, json_t *object, const char *key)
{
    json_t *v = json_object_get(object, key);
    if (v == NULL)
        recording_fail(r, key, "is missing");
    return v;
}

static int64_t get_int(struct reader *r, json_t *object, const char *key, int64_t min, int64_t max)
{
    json_t *v = get(r, object, key);
    if (v == NULL)
        return min;
    int64_t n = json_integer_value(v);
    if (json_is_integer(v) && n >= min && n <= max)
        return n;
    recording_fail(r, key, "is not a number in its range");
    return min;
}

static uint32_t get_id(struct reader *r, json_t *object, const char *key)
{
    return (uint32_t)get_int(r, object, key, 0, UINT32_MAX);
}

static int get_small(struct reader *r, json_t *object, const char *key)
{
    return (int)get_int(r, object, key, INT32_MIN, INT32_MAX);
}

static int64_t get_big(struct reader *r, json_t *object, const char *key)
{
    return get_int(r, object, key, INT64_MIN, INT64_MAX);
}

static bool get_bool(struct reader *r, json_t *object, const char *key)
{
    json_t *v = get(r, object, key);
    if (v != NULL && !json_is_boolean(v))
        recording_fail(r, key, "is neither true nor false");
    return json_is_true(v);
}

static bool recording_parse_digits(const char *text, int base, uint64_t *ret)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t n = 0;
    for (const char *p = text; *p != '\0'; p++) {
        const char *digit = strchr(digits, *p);
        uint64_t value = digit == NULL ? UINT64_MAX : (uint64_t)(digit - digits);
        if (value >= (uint64_t)base || n > (UINT64_MAX - value) / (uint64_t)base)
            return false;
        n = n * (uint64_t)base + value;
    }
    *ret = n;
    return *text != '\0';
}

static uint64_t get_unsigned(struct reader *r, json_t *object, const char *key)
{
    json_t *v = get(r, object, key);
    uint64_t n = 0;
    if (json_is_integer(v) && json_integer_value(v) >= 0)
        return (uint64_t)json_integer_value(v);
    if (v != NULL && (!json_is_string(v) || !recording_parse_digits(json_string_value(v), 10, &n)))
        recording_fail(r, key, "is not a number from 0 to 2^64-1");
    return n;
}

static double get_real(struct reader *r, json_t *object, const char *key)
{
    json_t *v = get(r, object, key);
    const char *bits = json_string_value(json_object_get(v, "bits"));
    uint64_t n;
    double real = 0;
    if (json_is_number(v))
        return json_number_value(v);
    if (bits != NULL && recording_parse_digits(bits, 16, &n))
        memcpy(&real, &n, sizeof(real));
    else if (v != NULL)
        recording_fail(r, key, "is not a number");
    return real;
}

/* ---- text ---- */

static const char *decode_hex(struct reader *r, const char *hex, size_t *ret_len)
{
    size_t len = strlen(hex) / 2;
    char *bytes = arena_zalloc(r->memory, len + 1), pair[3] = "";
    for (size_t i = 0; i < len; i++) {
        uint64_t value;
        memcpy(pair, hex + 2 * i, 2);
        if (!recording_parse_digits(pair, 16, &value))
            return NULL;
        bytes[i] = (char)value;
    }
    *ret_len = len;
    return strlen(hex) % 2 == 0 ? bytes : NULL;
}

/* NULL if null (or wrong). */
static const char *get_bytes(struct reader *r, json_t *object, const char *key, size_t *ret_len)
{
    json_t *v = get(r, object, key);
    const char *hex = json_string_value(json_object_get(v, "hex")), *bytes = NULL;
    *ret_len = 0;
    if (json_is_string(v)) {
        *ret_len = json_string_length(v);
        return arena_strndup(r->memory, json_string_value(v), *ret_len);
    }
    if (hex != NULL)
        bytes = decode_hex(r, hex, ret_len);
    if (v != NULL && bytes == NULL && !json_is_null(v))
        recording_fail(r, key, "is not a text");
    return bytes;
}

static const char *get_optional_text(struct reader *r, json_t *object, const char *key)
{
    size_t len;
    return get_bytes(r, object, key, &len);
}

static const char *get_text(struct reader *r, json_t *object, const char *key)
{
    const char *text = get_optional_text(r, object, key);
    if (text == NULL)
        recording_fail(r, key, "is not a text");
    return text == NULL ? "" : text;
}

static struct oid parse_oid(struct reader *r, const char *key, const char *text)
{
    uint32_t sub[OID_MAX_LEN];
    size_t n = 0;
    while (*text != '\0') {
        char digits[16];
        size_t len = strcspn(text, ".");
        int64_t number;
        snprintf(digits, sizeof(digits), "%.*s", (int)(len < 15 ? len : 15), text);
        if (n == OID_MAX_LEN || !num_parse(digits, 0, UINT32_MAX, &number)) {
            recording_fail(r, key, "is not an object identifier");
            return (struct oid){0};
        }
        sub[n++] = (uint32_t)number;
        text += text[len] == '.' ? len + 1 : len;
    }
    if (n == 0)
        return (struct oid){0};
    uint32_t *kept = arena_zalloc(r->memory, n * sizeof(sub[0]));
    memcpy(kept, sub, n * sizeof(sub[0]));
    return (struct oid){.sub = kept, .len = n};
}

static struct oid get_oid(struct reader *r, json_t *object, const char *key)
{
    return parse_oid(r, key, get_text(r, object, key));
}

static int get_word(struct reader *r, json_t *object, const char *key, enum record_list list)
{
    int n = record_number(list, get_text(r, object, key));
    if (n < 0)
        recording_fail(r, key, "is not a word of its list");
    return n < 0 ? 0 : n;
}

static json_t *get_array(struct reader *r, json_t *object, const char *key, size_t *ret_count)
{
    json_t *v = get(r, object, key);
    if (v != NULL && !json_is_array(v))
        recording_fail(r, key, "is not a list");
    *ret_count = json_array_size(v);
    return v;
}

/* ---- device and options ---- */

static struct device_status get_status(struct reader *r, json_t *o)
{
    return (struct device_status){
        .status = get_small(r, o, "status"),
        .event_count = get_big(r, o, "events"),
        .fail_date = get_big(r, o, "fail_date"),
        .rec_date = get_big(r, o, "rec_date"),
        .last_error = get_optional_text(r, o, "last_error"),
        .min_time = get_real(r, o, "min_time"),
        .max_time = get_real(r, o, "max_time"),
        .cur_time = get_real(r, o, "cur_time"),
        .avg_time = get_real(r, o, "avg_time"),
        .total_polls = get_big(r, o, "total_polls"),
        .failed_polls = get_big(r, o, "failed_polls"),
        .availability = get_real(r, o, "availability"),
    };
}

static struct target get_target(struct reader *r, json_t *o)
{
    return (struct target){
        .hostname = get_text(r, o, "hostname"),
        .port = (uint16_t)get_int(r, o, "port", 0, UINT16_MAX),
        .version = (uint8_t)get_int(r, o, "version", 0, UINT8_MAX),
        .timeout_ms = get_id(r, o, "timeout_ms"),
        .community = get_text(r, o, "community"),
        .username = get_text(r, o, "username"),
        .password = get_text(r, o, "password"),
        .auth_protocol = get_text(r, o, "auth_protocol"),
        .priv_passphrase = get_text(r, o, "priv_passphrase"),
        .priv_protocol = get_text(r, o, "priv_protocol"),
        .context = get_text(r, o, "context"),
        .engine_id = get_text(r, o, "engine_id"),
    };
}

/* The first is the device's own. */
static const struct target *get_targets(struct reader *r, json_t *o, size_t *ret_count)
{
    json_t *list = get_array(r, o, "targets", ret_count);
    struct target *targets = arena_zalloc(r->memory, (*ret_count + 1) * sizeof(targets[0]));
    for (size_t i = 0; i < *ret_count && !r->failed; i++)
        targets[i] = get_target(r, json_array_get(list, i));
    if (*ret_count == 0)
        recording_fail(r, "targets", "is empty");
    return targets;
}

static void get_items(struct reader *r, json_t *o, const struct target *targets, size_t count,
                      struct device *d)
{
    json_t *list = get_array(r, o, "items", &d->item_count);
    d->items = arena_zalloc(r->memory, (d->item_count + 1) * sizeof(d->items[0]));
    for (size_t i = 0; i < d->item_count && !r->failed; i++) {
        json_t *item = json_array_get(list, i);
        d->items[i] = (struct item){
            .local_data_id = get_id(r, item, "data_id"),
            .action = get_small(r, item, "action"),
            .rrd_name = get_text(r, item, "name"),
            .arg1 = get_text(r, item, "arg1"),
            .target = &targets[get_int(r, item, "target", 0, (int64_t)count - 1)],
            .oid = get_oid(r, item, "oid"),
        };
    }
}

static void get_reindex(struct reader *r, json_t *o, struct device *d)
{
    json_t *list = get_array(r, o, "reindex", &d->reindex_count);
    d->reindex = arena_zalloc(r->memory, (d->reindex_count + 1) * sizeof(d->reindex[0]));
    for (size_t i = 0; i < d->reindex_count && !r->failed; i++) {
        json_t *row = json_array_get(list, i);
        d->reindex[i] = (struct reindex_row){
            .data_query_id = get_id(r, row, "data_query"),
            .action = get_small(r, row, "action"),
            .op = (char)get_int(r, row, "op", 0, 127),
            .assert_value = get_text(r, row, "value"),
            .arg1 = get_text(r, row, "arg1"),
            .oid = get_oid(r, row, "oid"),
        };
    }
}

static struct device *get_device(struct reader *r, json_t *o)
{
    struct device *d = arena_zalloc(r->memory, sizeof(*d));
    size_t count;
    const struct target *targets = get_targets(r, o, &count);
    if (r->failed)
        return d;
    *d = (struct device){
        .id = get_id(r, o, "id"),
        .device_threads = get_small(r, o, "threads"),
        .max_oids = get_big(r, o, "max_oids"),
        .snmp = targets[0],
        .availability_method = get_small(r, o, "availability"),
        .ping_method = get_small(r, o, "ping_method"),
        .ping_port = (uint16_t)get_int(r, o, "ping_port", 0, UINT16_MAX),
        .ping_timeout_ms = get_small(r, o, "ping_timeout_ms"),
        .ping_retries = get_small(r, o, "ping_retries"),
        .status = get_status(r, get(r, o, "status")),
    };
    get_items(r, o, targets, count, d);
    get_reindex(r, o, d);
    return d;
}

static struct devrun_options get_options(struct reader *r, json_t *o)
{
    return (struct devrun_options){
        .log_level = (enum log_level)get_int(r, o, "log_level", LOG_NONE, LOG_DEVDBG),
        .debug_device = get_bool(r, o, "debug_device"),
        .invalid_log = get_small(r, o, "invalid_log"),
        .failure_count = get_small(r, o, "failure_count"),
        .recovery_count = get_small(r, o, "recovery_count"),
        .system_info = get_bool(r, o, "system_info"),
        .ping_only = get_bool(r, o, "ping_only"),
        .no_scripts = get_bool(r, o, "no_scripts"),
        .output_chars = (size_t)get_unsigned(r, o, "output_chars"),
        .boost_chars = (size_t)get_unsigned(r, o, "boost_chars"),
        .agent_ms = get_int(r, o, "agent_ms", 0, INT32_MAX),
        .known_oids =
            json_object_get(o, "known_oids") == NULL ? 0 : (size_t)get_unsigned(r, o, "known_oids"),
    };
}

/* ---- answers ---- */

static struct varbind get_varbind(struct reader *r, json_t *o)
{
    struct varbind vb = {
        .name = get_oid(r, o, "name"),
        .type = (enum varbind_type)get_word(r, o, "type", RECORD_VARBIND_TYPES),
    };
    switch (record_value_of(vb.type)) {
    case RECORD_SIGNED: vb.integer = get_big(r, o, "value"); break;
    case RECORD_UNSIGNED: vb.number = get_unsigned(r, o, "value"); break;
    case RECORD_REAL: vb.real = get_real(r, o, "value"); break;
    case RECORD_OCTETS:
        vb.octets.data = (const uint8_t *)get_bytes(r, o, "value", &vb.octets.len);
        break;
    case RECORD_OID: vb.oid = get_oid(r, o, "value"); break;
    case RECORD_NOTHING: break;
    }
    return vb;
}

static const struct snmp_reply *get_snmp_reply(struct reader *r, json_t *o)
{
    struct snmp_reply *reply = arena_zalloc(r->memory, sizeof(*reply));
    json_t *list = get_array(r, o, "varbinds", &reply->count);
    struct varbind *varbinds = arena_zalloc(r->memory, (reply->count + 1) * sizeof(varbinds[0]));
    for (size_t i = 0; i < reply->count && !r->failed; i++)
        varbinds[i] = get_varbind(r, json_array_get(list, i));
    reply->varbinds = varbinds;
    reply->outcome = (enum snmp_outcome)get_word(r, o, "outcome", RECORD_SNMP_OUTCOMES);
    reply->error_status = (long)get_big(r, o, "error_status");
    reply->error_index = (long)get_big(r, o, "error_index");
    reply->elapsed_us = get_big(r, o, "elapsed_us");
    reply->detail = get_optional_text(r, o, "detail");
    return reply;
}

static const struct ping_reply *get_ping_reply(struct reader *r, json_t *o)
{
    struct ping_reply *reply = arena_zalloc(r->memory, sizeof(*reply));
    reply->outcome = (enum ping_outcome)get_word(r, o, "outcome", RECORD_PING_OUTCOMES);
    reply->time_ms = get_real(r, o, "time_ms");
    reply->text = get_text(r, o, "text");
    reply->fell_back = get_bool(r, o, "fell_back");
    snprintf(reply->bad_name, sizeof(reply->bad_name), "%s", get_text(r, o, "bad_name"));
    return reply;
}

static const struct script_reply *get_script_reply(struct reader *r, json_t *o)
{
    struct script_reply *reply = arena_zalloc(r->memory, sizeof(*reply));
    reply->outcome = (enum script_outcome)get_word(r, o, "outcome", RECORD_SCRIPT_OUTCOMES);
    reply->output = get_bytes(r, o, "output", &reply->len);
    reply->lines = get_unsigned(r, o, "lines");
    reply->server = get_small(r, o, "server");
    reply->cut = get_bool(r, o, "cut");
    reply->limit_hit = get_bool(r, o, "limit_hit");
    reply->detail = get_optional_text(r, o, "detail");
    reply->elapsed_us = get_big(r, o, "elapsed_us");
    return reply;
}

static void get_input(struct reader *r, json_t *o, struct recorded *ret)
{
    struct devrun_event *e = &ret->event;
    e->kind = (enum devrun_event_kind)get_word(r, o, "input", RECORD_INPUTS);
    e->at.mono_us = get_big(r, o, "mono_us");
    e->at.wall_us = get_big(r, o, "wall_us");
    if (e->kind == DEVRUN_SNMP || e->kind == DEVRUN_PING || e->kind == DEVRUN_SCRIPT)
        e->ask_id = get_id(r, o, "ask");
    switch (e->kind) {
    case DEVRUN_START:
        ret->started = get_device(r, get(r, o, "device"));
        ret->options = get_options(r, get(r, o, "options"));
        break;
    case DEVRUN_SNMP: e->snmp = get_snmp_reply(r, o); break;
    case DEVRUN_PING: e->ping = get_ping_reply(r, o); break;
    case DEVRUN_SCRIPT: e->script = get_script_reply(r, o); break;
    case DEVRUN_STOP: break;
    }
}

/* ---- lines ---- */

static char *spell(const json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    char *own = text == NULL ? NULL : mem_strdup(text);
    free(text);
    return own;
}

char *recording_canonical(const char *json, size_t len)
{
    json_t *object = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
    char *text = object == NULL ? NULL : spell(object);
    json_decref(object);
    return text;
}

static void get_line(struct reader *r, json_t *line, struct recorded *ret)
{
    const char *type = get_text(r, line, "type");
    ret->pid = get_big(r, line, "pid");
    ret->number = get_int(r, line, "number", 1, INT64_MAX);
    bool input = strcmp(type, "run.input") == 0;
    if (r->failed || (!input && strcmp(type, "run.action") != 0))
        return;
    json_t *data = get(r, line, "data");
    ret->kind = input ? RECORDED_INPUT : RECORDED_ACTION;
    ret->device = get_id(r, line, "device");
    if (input)
        get_input(r, data, ret);
    else if (!json_is_object(data))
        recording_fail(r, "data", "is not an object");
    else
        ret->action = spell(data);
    if (ret->started != NULL && ret->started->id != ret->device)
        recording_fail(r, "device", "is not the id of the device that starts");
}

bool recording_parse(const char *line, size_t len, struct recorded *ret, struct err *err)
{
    json_error_t why;
    *ret = (struct recorded){.kind = RECORDED_OTHER};
    struct reader r = {.memory = &ret->memory, .err = err};
    json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
    if (object == NULL || !json_is_object(object)) {
        err_set(err, ERR_DATA, "not a JSON object: %s",
                object == NULL ? why.text : "something else");
        r.failed = true;
    } else {
        get_line(&r, object, ret);
    }
    json_decref(object);
    if (r.failed)
        recorded_done(ret);
    return !r.failed;
}

bool recording_available(struct err *err UNUSED)
{
    return true;
}

#else

bool recording_available(struct err *err)
{
    return err_set(err, ERR_UNAVAILABLE,
                   "this build cannot read recordings (jansson): build it --with-jansson");
}

bool recording_parse(const char *line UNUSED, size_t len UNUSED, struct recorded *ret,
                     struct err *err)
{
    *ret = (struct recorded){.kind = RECORDED_OTHER};
    return recording_available(err);
}

char *recording_canonical(const char *json UNUSED, size_t len UNUSED)
{
    return NULL;
}

#endif

void recorded_done(struct recorded *r)
{
    free(r->action);
    arena_done(&r->memory);
    *r = (struct recorded){.kind = RECORDED_OTHER};
}
