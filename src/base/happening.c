#include "config.h"

#include "base/happening.h"

#include "base/jsonout.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>

#define DEF(name_, help_, ...)                                                                     \
    {                                                                                              \
        .name = (name_), .help = (help_), __VA_ARGS__                                              \
    }
#define FIGURES(...) .figures = {__VA_ARGS__}

static const struct happening_def table[EVENT_TYPES] = {
    [EVENT_CYCLE_STARTED] = DEF("cycle.started", "the process begins a cycle",
                                FIGURES("poller", "threads", "event_loop", "interval_ms")),
    [EVENT_CYCLE_LOADED] = DEF("cycle.loaded", "devices and items are read",
                               FIGURES("devices", "items", "elapsed_us")),
    [EVENT_CYCLE_DEADLINE] = DEF("cycle.deadline", "polling ended because its time was over"),
    [EVENT_CYCLE_ENDED] =
        DEF("cycle.ended", "the last word of a cycle",
            FIGURES("devices", "values", "unknown", "rows", "status", "elapsed_us", "loop_lag_us")),
    [EVENT_CYCLE_ROSTER] = DEF("cycle.roster", "the devices that are to be polled are known",
                               FIGURES("devices", "elapsed_us")),
    [EVENT_DEVICE_STARTED] = DEF("device.started", "a device's run begins", .has_device = true,
                                 .text = "hostname", FIGURES("items", "reindex_rows")),
    [EVENT_DEVICE_FINISHED] =
        DEF("device.finished", "it ends; down: the availability check failed", .has_device = true,
            FIGURES("values", "unknown", "skipped", "unfinished", "down", "elapsed_us")),
    [EVENT_DEVICE_UNKNOWN] =
        DEF("device.unknown", "the number of its items that are U for this reason",
            .has_device = true, .text = "reason", FIGURES("items")),
    [EVENT_DEVICE_DOWN] = DEF("device.down", "its status has become down", .has_device = true,
                              .text = "error", FIGURES("failed_polls")),
    [EVENT_DEVICE_UP] = DEF("device.up", "its status has become up", .has_device = true),
    [EVENT_DEVICE_DROPPED] = DEF("device.dropped", "there was no time to poll it to the end",
                                 .has_device = true, FIGURES("started", "items")),
    [EVENT_DEVICE_REINDEX] = DEF("device.reindex", "Cacti is told to re-index a data query",
                                 .has_device = true, FIGURES("data_query")),
    [EVENT_ASK_STARTED] = DEF("ask.started", "a device or a script is asked", .has_device = true,
                              .detail = true, .text = "kind", FIGURES("ask", "names", "purpose")),
    [EVENT_ASK_ANSWERED] =
        DEF("ask.answered", "the answer came", .has_device = true, .detail = true, .text = "kind",
            FIGURES("ask", "elapsed_us", "repeats")),
    [EVENT_ASK_FAILED] = DEF("ask.failed", "there was no answer, or an error", .has_device = true,
                             .text = "why", FIGURES("ask", "elapsed_us", "repeats")),
    [EVENT_CHILD_STARTED] = DEF("child.started", "a script or script server was started",
                                .detail = true, .text = "command", FIGURES("child")),
    [EVENT_CHILD_ENDED] = DEF("child.ended", "it has ended, and its output is complete",
                              .detail = true, FIGURES("child", "wait_status", "elapsed_us")),
    [EVENT_CHILD_TIMEOUT] =
        DEF("child.timeout", "it used up its time and is ended", FIGURES("child", "elapsed_us")),
    [EVENT_DB_STORED] =
        DEF("db.stored", "a batch went to the database", FIGURES("rows", "hosts", "elapsed_us")),
    [EVENT_DB_RETRY] = DEF("db.retry", "statements were repeated", FIGURES("retries")),
    [EVENT_DB_REJECTED] = DEF("db.rejected", "the database refuses a value", .text = "error",
                              FIGURES("data_source", "earlier")),
    [EVENT_DB_SPOOLED] =
        DEF("db.spooled", "rows wait in Spool_File for a later cycle", FIGURES("rows")),
    [EVENT_DB_LOST] = DEF("db.lost", "rows were not stored anywhere", FIGURES("rows")),
    [EVENT_DB_DISCONNECTED] = DEF("db.disconnected", "the connection was lost", .text = "error"),
    [EVENT_DB_CONNECTED] = DEF("db.connected", "the connection was made again", FIGURES("away_ms")),
    [EVENT_UPLINK_ENDED] =
        DEF("uplink.ended", "what a remote collector has sent to the main server",
            FIGURES("rows", "kept", "rejected", "retries")),
    [EVENT_QUEUE_FULL] =
        DEF("queue.full", "new devices wait until the database has caught up", FIGURES("rows")),
    [EVENT_SIGNAL_RECEIVED] = DEF("signal.received", "a signal was taken", FIGURES("signal")),
    [EVENT_LOOP_STALLED] =
        DEF("loop.stalled", "the event loop did not turn for this time", FIGURES("elapsed_us")),
    [EVENT_RUN_INPUT] = DEF("run.input", "for replay: what went into a device's run",
                            .has_device = true, .detail = true),
    [EVENT_RUN_ACTION] =
        DEF("run.action", "for replay: what the run asked for", .has_device = true, .detail = true),
};

const struct happening_def *happening_get(enum happening_type type)
{
    CHECK(type < EVENT_TYPES);
    return &table[type];
}

static uint64_t happening_match(const char *pattern, size_t len)
{
    uint64_t types = 0;
    bool open = len > 0 && pattern[len - 1] == '*';
    for (int type = 0; type < EVENT_RUN_INPUT; type++) {
        const char *name = table[type].name;
        bool same = open ? strncmp(name, pattern, len - 1) == 0
                         : strlen(name) == len && strncmp(name, pattern, len) == 0;
        types |= (uint64_t)same << type;
    }
    return types;
}

bool happening_parse_types(const char *list, uint64_t *ret, const char **ret_bad)
{
    uint64_t types = 0;
    for (const char *p = list;; p++) {
        size_t len = strcspn(p, ",");
        uint64_t matched = happening_match(p, len);
        *ret_bad = p;
        if (matched == 0)
            return false;
        types |= matched;
        p += len;
        if (*p == '\0')
            break;
    }
    *ret = types;
    return true;
}

void happening_set_text(struct happening *e, const char *text)
{
    size_t len = text == NULL ? 0 : strnlen(text, EVENT_TEXT);
    if (len == EVENT_TEXT)
        len = utf8_cut(text, EVENT_TEXT - 1);
    memcpy(e->text, text == NULL ? "" : text, len);
    e->text[len] = '\0';
}

void happening_print(const struct happening *e, struct buf *out)
{
    const struct happening_def *def = happening_get(e->type);
    buf_puts(out, def->name);
    if (def->has_device)
        buf_printf(out, " Device[%" PRIu32 "]", e->device);
    for (size_t i = 0; i < EVENT_FIGURES && def->figures[i] != NULL; i++)
        buf_printf(out, " %s=%" PRId64, def->figures[i], e->figures[i]);
    if (def->text == NULL)
        return;
    buf_printf(out, " %s=", def->text);
    for (const char *p = e->text; *p != '\0'; p++)
        buf_putc(out, (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
}

void happening_json(const struct happening *e, struct buf *out)
{
    const struct happening_def *def = happening_get(e->type);
    if (def->has_device)
        jsonout_int(out, "device", e->device);
    for (size_t i = 0; i < EVENT_FIGURES && def->figures[i] != NULL; i++)
        jsonout_int(out, def->figures[i], e->figures[i]);
    if (def->text != NULL)
        jsonout_text(out, def->text, e->text);
}
