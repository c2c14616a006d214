#include "config.h"

#include "app/replay.h"

#include "base/mem.h"
#include "drivers/recording.h"
#include "model/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sysexits.h>

enum { BUCKETS = 4096 };

/* One device's run in one recorded process. */
struct played {
    SLIST_ENTRY(played) next;
    int64_t pid;
    uint32_t device;
    long line; /* where it starts */
    struct recorded start;
    struct devrun *run;
    bool finished;
};

/* How far a recorded process has got. */
struct process {
    SLIST_ENTRY(process) next;
    int64_t pid, number;
};

struct replay {
    const char *path;
    long line;
    replay_show_fn *show;
    void *arg;
    FILE *out;
    SLIST_HEAD(, played) runs[BUCKETS];
    SLIST_HEAD(, process) processes;
    size_t devices, inputs, asks, rows, unknown, logs;
};

static bool wrong(const struct replay *p, struct err *err, const char *fmt, ...) PRINTF(3, 4);

static bool wrong(const struct replay *p, struct err *err, const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    err_set(err, ERR_DATA, "ERROR: %s:%ld: %s", p->path, p->line, buf_str(&text));
    buf_done(&text);
    return false;
}

/* ---- recorded against played ---- */

/* From a little before the first difference on. */
static bool differs(const struct replay *p, uint32_t device, const char *recorded,
                    const char *played, struct err *err)
{
    enum { BEFORE = 100, SHOWN = 300 };
    size_t same = 0;
    while (recorded[same] != '\0' && recorded[same] == played[same])
        same++;
    size_t from = same < BEFORE ? 0 : same - BEFORE;
    const char *dots = from > 0 ? "..." : "";
    return wrong(p, err, "Device[%" PRIu32 "]: recorded: %s%.*s; replayed: %s%.*s", device, dots,
                 SHOWN, recorded + from, dots, SHOWN, played + from);
}

static char *spell_action(const struct played *run, const struct action *a)
{
    struct buf json = BUF_INIT;
    record_action(run->start.started, a, &json);
    char *text = recording_canonical(buf_str(&json), json.len);
    CHECK(text != NULL);
    buf_done(&json);
    return text;
}

static void count_action(struct replay *p, struct played *run, const struct action *a)
{
    p->asks += a->kind == ACTION_ASK;
    p->logs += a->kind == ACTION_LOG;
    p->rows += a->kind == ACTION_ROW;
    p->unknown += a->kind == ACTION_ROW && a->row.output_len == 1 && *a->row.output == 'U';
    run->finished |= a->kind == ACTION_FINISHED;
}

static bool play_action(struct replay *p, struct played *run, const struct recorded *r,
                        struct err *err)
{
    const struct action *a = devrun_next_action(run->run);
    if (a == NULL)
        return differs(p, r->device, r->action, "nothing", err);
    char *played = spell_action(run, a);
    bool same = strcmp(played, r->action) == 0;
    if (same)
        count_action(p, run, a);
    else
        differs(p, r->device, r->action, played, err);
    free(played);
    return same;
}

static bool play_input(struct replay *p, struct played *run, const struct recorded *r,
                       struct err *err)
{
    const struct action *a;
    p->inputs++;
    /* Only a stop comes before all that was asked for has been taken up. */
    if (r->event.kind != DEVRUN_STOP && (a = devrun_next_action(run->run)) != NULL) {
        char *played = spell_action(run, a);
        differs(p, r->device, record_word(RECORD_INPUTS, (int)r->event.kind), played, err);
        free(played);
        return false;
    }
    devrun_feed(run->run, &r->event);
    return true;
}

/* ---- runs ---- */

static struct played *find_run(struct replay *p, int64_t pid, uint32_t device)
{
    struct played *run;
    SLIST_FOREACH(run, &p->runs[device % BUCKETS], next)
    if (run->device == device && run->pid == pid)
        return run;
    return NULL;
}

/* Takes what r holds. */
static struct played *begin_run(struct replay *p, struct recorded *r)
{
    struct played *run = mem_zalloc(1, sizeof(*run));
    run->pid = r->pid;
    run->device = r->device;
    run->line = p->line;
    run->start = *r;
    *r = (struct recorded){.kind = RECORDED_OTHER};
    run->run = devrun_new(run->start.started, &run->start.options);
    SLIST_INSERT_HEAD(&p->runs[run->device % BUCKETS], run, next);
    p->devices++;
    return run;
}

static void free_run(struct replay *p, struct played *run)
{
    SLIST_REMOVE(&p->runs[run->device % BUCKETS], run, played, next);
    devrun_free(run->run);
    recorded_done(&run->start);
    free(run);
}

/* The process is over: its runs should be, too.  pid -1: all of them. */
static bool end_process(struct replay *p, int64_t pid, struct err *err)
{
    bool ok = true;
    for (size_t i = 0; i < BUCKETS; i++) {
        struct played *run, *following;
        for (run = SLIST_FIRST(&p->runs[i]); run != NULL; run = following) {
            following = SLIST_NEXT(run, next);
            if (pid != -1 && run->pid != pid)
                continue;
            if (ok && !run->finished)
                ok = wrong(p, err,
                           "Device[%" PRIu32 "]: its run, begun in line %ld, has no end here",
                           run->device, run->line);
            free_run(p, run);
        }
    }
    return ok;
}

/* Line numbers of a process have no gaps; 1 is a new process. */
static bool check_number(struct replay *p, const struct recorded *r, struct err *err)
{
    struct process *of;
    SLIST_FOREACH(of, &p->processes, next)
    if (of->pid == r->pid)
        break;
    if (of == NULL) {
        of = mem_zalloc(1, sizeof(*of));
        of->pid = r->pid;
        SLIST_INSERT_HEAD(&p->processes, of, next);
    }
    if (r->number == 1 && of->number > 0) {
        of->number = 1;
        return end_process(p, r->pid, err);
    }
    if (r->number != of->number + 1)
        return wrong(p, err,
                     "lines of process %" PRId64 " are missing: number %" PRId64
                     " comes after %" PRId64,
                     r->pid, r->number, of->number);
    of->number = r->number;
    return true;
}

/* ---- the file ---- */

static bool play(struct replay *p, struct recorded *r, struct err *err)
{
    struct played *run = find_run(p, r->pid, r->device);
    bool starts = r->kind == RECORDED_INPUT && r->event.kind == DEVRUN_START;
    if (starts && run != NULL)
        return wrong(p, err, "Device[%" PRIu32 "]: starts again, after line %ld", r->device,
                     run->line);
    if (!starts && run == NULL)
        return wrong(p, err, "Device[%" PRIu32 "]: has not been started", r->device);
    if (starts) {
        run = begin_run(p, r);
        r = &run->start;
    }
    return r->kind == RECORDED_INPUT ? play_input(p, run, r, err) : play_action(p, run, r, err);
}

static bool play_line(struct replay *p, const char *line, size_t len, struct err *err)
{
    struct recorded r;
    struct err why = ERR_INIT;
    if (!recording_parse(line, len, &r, &why))
        return wrong(p, err, "%s", why.text);
    if (r.kind != RECORDED_OTHER && p->show != NULL && p->show(p->arg, r.device))
        fwrite(line, 1, len, p->out);
    bool ok = check_number(p, &r, err) && (r.kind == RECORDED_OTHER || play(p, &r, err));
    recorded_done(&r);
    return ok;
}

static bool play_file(struct replay *p, FILE *in, struct err *err)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    bool ok = true;
    while (ok && (len = getline(&line, &cap, in)) > 0) {
        p->line++;
        ok = play_line(p, line, (size_t)len, err);
    }
    free(line);
    if (ok && ferror(in))
        ok = err_set_number(err, ERR_OS, errno, "cannot read %s: %s", p->path, strerror(errno));
    return ok;
}

static void replay_release(struct replay *p)
{
    struct process *of;
    (void)end_process(p, -1, NULL);
    while ((of = SLIST_FIRST(&p->processes)) != NULL) {
        SLIST_REMOVE_HEAD(&p->processes, next);
        free(of);
    }
    free(p);
}

bool replay_file(const char *path, replay_show_fn *show, void *arg, FILE *out, struct err *err)
{
    if (!recording_available(err))
        return false;
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return err_set_number(err, ERR_DATA, errno, "cannot read %s: %s", path, strerror(errno));
    struct replay *p = mem_zalloc(1, sizeof(*p));
    p->path = path;
    p->show = show;
    p->arg = arg;
    p->out = out;
    bool ok = play_file(p, in, err) && end_process(p, -1, err);
    if (ok && p->devices == 0)
        ok = wrong(p, err, "no run in it was recorded at full detail");
    if (ok)
        fprintf(out,
                "Replayed %s: %ld lines, %zu devices, %zu inputs, %zu asks, %zu rows (%zu U), %zu "
                "log lines: all as recorded\n",
                path, p->line, p->devices, p->inputs, p->asks, p->rows, p->unknown, p->logs);
    fclose(in);
    replay_release(p);
    return ok;
}

/* ---- the command ---- */

/* Devices that were asked for by id are shown. */
static bool is_selected(void *arg, uint32_t device)
{
    const struct config *c = arg;
    return c->has_host_list ? id_list_contains(&c->host_list, device)
                            : c->has_range && device >= c->first && device <= c->last;
}

int replay_run(struct config *c)
{
    struct err err = ERR_INIT;
    if (replay_file(c->replay, is_selected, c, stdout, &err))
        return EX_OK;
    fflush(stdout);
    fprintf(stderr, "%s\n", err.text);
    return err_exit_status(&err);
}
