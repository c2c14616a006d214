#include "config.h"

#include "engine/eventline.h"

#include "base/jsonout.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static void eventline_put_time(struct buf *out, int64_t wall_us)
{
    char text[40];
    struct tm tm;
    time_t seconds = (time_t)(wall_us / 1000000);
    gmtime_r(&seconds, &tm);
    size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof(text) - n, ".%06dZ", (int)(wall_us % 1000000));
    jsonout_text(out, "time", text);
}

static void eventline_put_origin(struct buf *out, const struct stream_origin *origin)
{
    if (origin->pid == 0) {
        jsonout_null(out, "poller_id");
        jsonout_null(out, "client_pid");
        return;
    }
    jsonout_int(out, "poller_id", origin->poller);
    jsonout_int(out, "client_pid", origin->pid);
}

void eventline_json(struct buf *out, const struct stream_item *item, enum eventline_scope scope)
{
    const struct happening *e = &item->event;
    jsonout_open(out, NULL, '{');
    jsonout_unsigned(out, "number", item->number);
    bool handed_over = scope == EVENTLINE_OF_A_CYCLE && item->origin.pid != 0;
    jsonout_int(out, "pid", handed_over ? item->origin.pid : getpid());
    if (scope == EVENTLINE_OF_MANY)
        eventline_put_origin(out, &item->origin);
    eventline_put_time(out, e->wall_us);
    jsonout_int(out, "mono_us", e->mono_us);
    jsonout_text(out, "type", happening_get(e->type)->name);
    happening_json(e, out);
    if (item->detail != NULL)
        jsonout_raw(out, "data", item->detail, item->detail_len);
    jsonout_close(out, '}');
    buf_putc(out, '\n');
}

void eventline_text(struct buf *out, const struct stream_item *item)
{
    char text[40];
    struct tm tm;
    time_t seconds = (time_t)(item->event.wall_us / 1000000);
    localtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    buf_printf(out, "%s.%03d ", text, (int)(item->event.wall_us / 1000 % 1000));
    if (item->origin.pid == 0)
        buf_puts(out, "daemon: ");
    else
        buf_printf(out, "poller %d, %d: ", item->origin.poller, item->origin.pid);
    happening_print(&item->event, out);
    buf_putc(out, '\n');
}

void eventline_json_gap(struct buf *out, uint64_t dropped)
{
    jsonout_open(out, NULL, '{');
    jsonout_text(out, "type", "events.dropped");
    jsonout_unsigned(out, "dropped", dropped);
    jsonout_close(out, '}');
    buf_putc(out, '\n');
}

void eventline_text_gap(struct buf *out, uint64_t dropped)
{
    buf_printf(out, "%" PRIu64 " events are missing here: this reader was too slow\n", dropped);
}
