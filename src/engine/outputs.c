#include "config.h"

#include "engine/outputs.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/thr.h"
#include "core/lease.h"
#include "drivers/wholefile.h"
#include "engine/census.h"
#include "engine/meter.h"
#include "engine/metrics.h"
#include "engine/report.h"
#include "engine/timeline.h"
#include "engine/tracefile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Events that may wait, and for how long they are gathered: the thread wakes rarely, and a burst of
 * some thousand asks is not lost. */
enum { OUTPUTS_QUEUE = 16384, OUTPUTS_GATHER_MS = 100 };

/* How often the progress line changes. */
enum { OUTPUTS_PROGRESS_MS = 250 };

/* node_exporter is another user; the other files name devices. */
enum { OUTPUTS_PUBLIC = 0644, OUTPUTS_PRIVATE = 0640 };

struct outputs {
    char *metrics, *report, *trace, *timeline; /* paths; NULL: not wanted */
    bool progress;                             /* standard error is a terminal */
    struct stream_reader *reader;
    struct lease *lease; /* stop's */
    int64_t cpu_before_us;

    struct thr_mutex lock;
    bool dropped GUARDED; /* lock */
    int status GUARDED;   /* lock: set by stop, before it closes the stream, as is the driver */
    enum config_driver driver GUARDED;

    /* the thread's */
    struct census *census;
    struct census_facts facts;
    struct stream_items items;
    uint64_t taken;
    int64_t told_mono_ms;        /* the progress */
    struct tracefile *tracefile; /* NULL: not wanted, or cannot be written */
};

/* ---- names of files ---- */

char *outputs_path(const struct config *config, const char *pattern)
{
    struct buf b = BUF_INIT;
    if (*pattern == '\0')
        return NULL;
    for (const char *p = pattern; *p != '\0'; p++) {
        if (p[0] == '%' && p[1] == 'p')
            buf_printf(&b, "%d", config->poller_id);
        else if (p[0] == '%' && p[1] == 'f')
            buf_printf(&b, "%" PRIu32, config->has_range ? config->first : 0);
        else
            buf_putc(&b, *p);
        if (p[0] == '%' && p[1] != '\0' && strchr("pf%", p[1]) != NULL)
            p++;
    }
    return buf_take(&b);
}

/* ---- the thread ---- */

static void outputs_say_unwritten(const char *what, const struct err *err)
{
    log_line(LOG_ALWAYS, "WARNING: %s is not written: %s", what, err->text);
}

static void outputs_follow(struct outputs *o)
{
    struct census_ask ended;
    for (size_t i = 0; i < o->items.count; i++) {
        const struct happening *e = &o->items.items[i].event;
        bool is_end = census_take(o->census, e, &ended);
        if (o->tracefile != NULL)
            tracefile_take(o->tracefile, o->census, e, is_end ? &ended : NULL);
    }
    o->taken += o->items.count;
}

static int64_t outputs_cpu_us(const struct rusage *usage)
{
    return (int64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000 +
           usage->ru_utime.tv_usec + usage->ru_stime.tv_usec;
}

/* What a daemon has used before is not this cycle's. */
static int64_t outputs_cpu_before_us(const struct config *config)
{
    struct rusage usage = {0};
    if (config->environment != NULL)
        getrusage(RUSAGE_SELF, &usage);
    return outputs_cpu_us(&usage);
}

static void outputs_gather_facts(struct outputs *o)
{
    struct rusage usage = {0};
    struct census_facts *f = &o->facts;
    thr_lock(&o->lock);
    f->status = o->status;
    f->driver = config_driver_text(o->driver);
    thr_unlock(&o->lock);
    getrusage(RUSAGE_SELF, &usage);
    f->cpu_us = outputs_cpu_us(&usage) - o->cpu_before_us;
    f->resident_bytes = (int64_t)usage.ru_maxrss * 1024;
    f->ended_wall_us = clock_wall_us();
    f->missing = stream_offered(o->reader) - o->taken;
}

static void outputs_put(const char *what, const char *path, mode_t mode, const struct buf *text)
{
    struct err err = ERR_INIT;
    if (!wholefile_write(path, mode, buf_str(text), text->len, &err))
        outputs_say_unwritten(what, &err);
}

static void outputs_put_metrics(struct outputs *o)
{
    struct buf text = BUF_INIT;
    if (o->metrics == NULL)
        return;
    metrics_print(o->census, &o->facts, &text);
    outputs_put("Metrics_File", o->metrics, OUTPUTS_PUBLIC, &text);
    buf_done(&text);
}

static void outputs_put_timeline(struct outputs *o)
{
    struct buf text = BUF_INIT;
    if (o->timeline == NULL)
        return;
    timeline_print(o->census, &o->facts, &text);
    outputs_put("Timeline_File", o->timeline, OUTPUTS_PRIVATE, &text);
    buf_done(&text);
}

/* An earlier report at the same place has the history. */
static void outputs_put_report(struct outputs *o)
{
    struct buf text = BUF_INIT;
    struct pastreport past;
    struct err err = ERR_INIT;
    if (o->report == NULL)
        return;
    if (!pastreport_read(o->report, &past, &err))
        log_line(LOG_ALWAYS, "WARNING: Report_File %s: its history is not used: %s", o->report,
                 err.text);
    report_print(o->census, &o->facts, &past, &text);
    outputs_put("Report_File", o->report, OUTPUTS_PRIVATE, &text);
    pastreport_done(&past);
    buf_done(&text);
}

static void outputs_begin_trace(struct outputs *o)
{
    struct err err = ERR_INIT;
    if (o->trace == NULL)
        return;
    o->tracefile = tracefile_begin(o->trace, &err);
    if (o->tracefile == NULL)
        outputs_say_unwritten("Trace_File", &err);
}

static void outputs_end_trace(struct outputs *o)
{
    struct err err = ERR_INIT;
    struct tracefile *t = o->tracefile;
    if (t == NULL)
        return;
    o->tracefile = NULL;
    if (!tracefile_end(t, o->census, &o->facts, &err))
        outputs_say_unwritten("Trace_File", &err);
}

static void outputs_tell_progress(struct outputs *o)
{
    struct buf text = BUF_INIT;
    int64_t now_us = clock_mono_us();
    if (!o->progress || now_us / 1000 - o->told_mono_ms < OUTPUTS_PROGRESS_MS)
        return;
    o->told_mono_ms = now_us / 1000;
    meter_print(census_sums(o->census), now_us, &text);
    if (text.len > 0)
        log_progress(buf_str(&text));
    buf_done(&text);
}

static bool outputs_is_dropped(struct outputs *o)
{
    thr_lock(&o->lock);
    bool is = o->dropped;
    thr_unlock(&o->lock);
    return is;
}

/* One turn; closed: the stream is.  false: all is written. */
static bool outputs_turn(struct outputs *o, bool closed)
{
    outputs_follow(o);
    outputs_tell_progress(o);
    if (!closed || o->items.count > 0)
        return true;
    if (outputs_is_dropped(o))
        return false;
    outputs_gather_facts(o);
    log_line(LOG_DEBUGGING, "DEBUG: the table of %zu devices takes %zu bytes",
             census_count(o->census), census_bytes(o->census));
    outputs_put_metrics(o);
    outputs_put_report(o);
    outputs_end_trace(o);
    outputs_put_timeline(o);
    return false;
}

/* All that touches a file may hang, and is done under the lease. */
static void outputs_main(struct lease *l, void *arg)
{
    struct outputs *o = arg;
    bool more = true;
    lease_enter(l);
    outputs_begin_trace(o);
    while (more) {
        if (!lease_leave(l))
            return;
        bool closed = stream_is_closed(o->reader);
        int64_t patience_ms = o->progress ? OUTPUTS_PROGRESS_MS : 60000;
        (void)stream_take(o->reader, &o->items, clock_mono_ms() + patience_ms);
        lease_enter(l);
        more = outputs_turn(o, closed);
    }
    if (!lease_leave(l))
        return; /* released by now */
}

/* ---- life ---- */

static void outputs_release(void *arg)
{
    struct outputs *o = arg;
    stream_unsubscribe(o->reader);
    stream_items_done(&o->items);
    free(o->items.items);
    tracefile_abandon(o->tracefile);
    census_free(o->census);
    thr_mutex_done(&o->lock);
    free(o->metrics);
    free(o->report);
    free(o->trace);
    free(o->timeline);
    free(o);
}

static bool outputs_have_terminal(const struct config *config)
{
    const char *kind = config_variable(config->environment, "TERM");
    return log_is_terminal(true) && kind != NULL && *kind != '\0' && strcmp(kind, "dumb") != 0;
}

static struct outputs *outputs_new(const struct config *config)
{
    struct outputs *o = mem_zalloc(1, sizeof(*o));
    o->facts = (struct census_facts){
        .poller = config->poller_id,
        .has_range = config->has_range,
        .first = config->has_range ? config->first : 0,
        .last = config->has_range ? config->last : 0,
    };
    o->metrics = outputs_path(config, config->metrics_file);
    o->report = outputs_path(config, config->report_file);
    o->trace = outputs_path(config, config->trace_file);
    o->timeline = outputs_path(config, config->timeline_file);
    o->progress = outputs_have_terminal(config);
    o->cpu_before_us = outputs_cpu_before_us(config);
    o->census = census_new();
    thr_mutex_init(&o->lock);
    return o;
}

struct outputs *outputs_start(const struct config *config, struct err *err)
{
    static const struct stream_queue queue = {
        .events = OUTPUTS_QUEUE, .frequent = true, .gather_ms = OUTPUTS_GATHER_MS};
    struct outputs *o = outputs_new(config);
    bool wanted = o->progress || o->metrics != NULL || o->report != NULL || o->trace != NULL ||
                  o->timeline != NULL;
    if (wanted) {
        o->reader = stream_subscribe(&queue);
        o->lease = lease_start("outputs", outputs_main, o, outputs_release, err);
    }
    if (o->lease != NULL)
        return o;
    outputs_release(o);
    return NULL;
}

void outputs_drop(struct outputs *o)
{
    if (o == NULL)
        return;
    thr_lock(&o->lock);
    o->dropped = true;
    thr_unlock(&o->lock);
}

void outputs_stop(struct outputs *o, enum config_driver driver, int status)
{
    if (o == NULL)
        return;
    thr_lock(&o->lock);
    o->status = status;
    o->driver = driver;
    thr_unlock(&o->lock);
    stream_close(o->reader);
    if (lease_end(o->lease, clock_mono_ms() + OUTPUTS_END_MS, NULL))
        outputs_release(o);
    else
        log_line(LOG_ALWAYS,
                 "WARNING: Metrics_File, Report_File, Trace_File and Timeline_File may not be "
                 "written: the file system does not answer");
}
