#include "config.h"

#include "app/hosting.h"

#include "app/configuration.h"
#include "app/run.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/stream.h"
#include "base/thr.h"
#include "base/trace.h"
#include "drivers/db.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

struct hosting {
    struct hosting_options options;
    struct hosting_request request;
    struct run_told told;
    struct scope *scope;
    struct services *services; /* lent to this cycle */
    struct config *config;     /* the thread's, until it has ended */
    pthread_t thread;
    struct app_end end; /* the thread's, until it has ended */
    struct loop_letter over;
    void (*returned)(void *arg); /* NULL: it is not abandoned */
    void *returned_arg;

    struct thr_mutex lock;
    int64_t until_mono_ms GUARDED; /* lock */
    char *line GUARDED;            /* lock: of lost() */
    struct loop_letter until, lost;
};

/* ---- the request ---- */

enum {
    WORD_VERSION = 1,
    WORD_FILE,
    WORD_DIGEST,
    WORD_POLLER,
    WORD_PID,
    WORD_STARTED,
    WORD_DIRECTORY,
    WORD_UMASK,
    WORD_COUNT,
    WORDS
};

static void hosting_close_fds(int fds[HANDOVER_FDS])
{
    for (size_t i = 0; i < HANDOVER_FDS; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

bool hosting_read_request(struct handover *message, int fds[HANDOVER_FDS],
                          struct hosting_request *ret)
{
    int64_t poller, pid, started, mask, count;
    bool ok = handover_is(message, "poll", WORDS + 1) && fds[0] >= 0 && fds[1] >= 0 &&
              handover_number(message, WORD_POLLER, 1, INT_MAX, &poller) &&
              handover_number(message, WORD_PID, 1, INT_MAX, &pid) &&
              handover_number(message, WORD_STARTED, 1, INT64_MAX / 2, &started) &&
              handover_number(message, WORD_UMASK, 0, 0777, &mask) &&
              handover_number(message, WORD_COUNT, 1, (int64_t)(message->count - WORDS), &count);
    if (!ok)
        return false;
    *ret = (struct hosting_request){
        .message = *message,
        .poller = (int)poller,
        .pid = (int)pid,
        .started_mono_us = started,
        .version = message->words[WORD_VERSION],
        .file = message->words[WORD_FILE],
        .digest = message->words[WORD_DIGEST],
        .directory = message->words[WORD_DIRECTORY],
        .mask = (mode_t)mask,
        .argv = mem_zalloc((size_t)count + 1, sizeof(char *)),
        .environment = (const char *const *)&message->words[WORDS + count],
    };
    memcpy(ret->argv, &message->words[WORDS], (size_t)count * sizeof(char *));
    memcpy(ret->fds, fds, sizeof(ret->fds));
    *message = (struct handover){.count = 0};
    for (size_t i = 0; i < HANDOVER_FDS; i++)
        fds[i] = -1;
    return true;
}

void hosting_request_done(struct hosting_request *r)
{
    if (r->argv != NULL)
        hosting_close_fds(r->fds);
    conffile_image_unref(r->image);
    free(r->argv);
    handover_done(&r->message);
    *r = (struct hosting_request){.argv = NULL};
}

/* ---- what the cycle tells, on the daemon's thread ---- */

static void hosting_on_until(void *arg)
{
    struct hosting *h = arg;
    thr_lock(&h->lock);
    int64_t mono_ms = h->until_mono_ms;
    thr_unlock(&h->lock);
    if (h->returned == NULL)
        h->options.until(h->options.arg, mono_ms);
}

static void hosting_on_lost(void *arg)
{
    struct hosting *h = arg;
    thr_lock(&h->lock);
    char *line = h->line;
    h->line = NULL;
    thr_unlock(&h->lock);
    if (h->returned == NULL)
        h->options.lost(h->options.arg, line);
    free(line);
}

static void hosting_on_over(void *arg)
{
    struct hosting *h = arg;
    thr_join(h->thread);
    if (h->returned == NULL) {
        h->options.over(h->options.arg, &h->end);
        return;
    }
    void (*returned)(void *arg) = h->returned;
    void *returned_arg = h->returned_arg;
    if (hosting_free(h))
        returned(returned_arg);
}

static void hosting_note_until(void *arg, int64_t mono_ms)
{
    struct hosting *h = arg;
    thr_lock(&h->lock);
    h->until_mono_ms = mono_ms;
    thr_unlock(&h->lock);
    loop_post(h->options.loop, &h->until, hosting_on_until, h);
}

static void hosting_note_lost(void *arg, const char *line)
{
    struct hosting *h = arg;
    thr_lock(&h->lock);
    bool first = h->line == NULL;
    if (first)
        h->line = mem_strdup(line);
    thr_unlock(&h->lock);
    if (first)
        loop_post(h->options.loop, &h->lost, hosting_on_lost, h);
}

/* ---- on the cycle's thread ---- */

static struct app_end hosting_poll(struct hosting *h)
{
    const struct hosting_request *q = &h->request;
    const struct configuration_origin origin = {.pid = q->pid,
                                                .file = q->file,
                                                .image = q->image,
                                                .environment = q->environment,
                                                .directory = q->directory};
    struct app_end end = {.status = EX_OK};
    struct err err = ERR_INIT;
    int argc = 0;
    while (q->argv[argc] != NULL)
        argc++;
    enum configuration_request asked = configuration_parse_args(h->config, argc, q->argv, &err);
    configuration_adopt(h->config, &origin);
    if (asked != CONFIG_RUN || h->config->command != COMMAND_POLL) {
        err_set(&err, ERR_USAGE, "only a cycle can be handed over");
        end.status = app_fail(&err);
        return end;
    }
    const struct run_host host = {.services = h->services,
                                  .told = &h->told,
                                  .until = hosting_note_until,
                                  .lost = hosting_note_lost,
                                  .arg = h};
    return run_hosted(h->config, &host, q->started_mono_us);
}

/* For this thread and those that it will start: the directory and the umask of the client, also for what it starts.  Where
 * that is refused, scripts have the daemon's umask. */
static void hosting_enter_place(const struct hosting_request *q)
{
    if (unshare(CLONE_FS) != 0)
        return;
    (void)umask(q->mask);
    if (chdir(q->directory) != 0)
        log_line(LOG_ALWAYS, "WARNING: the directory %s cannot be entered: %s", q->directory,
                 strerror(errno));
}

static void *hosting_main(void *arg)
{
    struct hosting *h = arg;
    log_start();
    hosting_enter_place(&h->request);
    db_thread_start();
    h->end = hosting_poll(h);
    db_thread_stop();
    log_stop(); /* the client's descriptors, too: its reader waits for their end */
    loop_post(h->options.loop, &h->over, hosting_on_over, h);
    return NULL;
}

/* ---- life ---- */

UNCHECKED_LOCKS static void hosting_release(struct hosting *h)
{
    (void)loop_take_back(&h->until);
    (void)loop_take_back(&h->lost);
    (void)loop_take_back(&h->over);
    free(h->line);
    configuration_free(h->config);
    scope_unref(h->scope);
    hosting_request_done(&h->request);
    run_told_done(&h->told);
    services_free(h->services);
    thr_mutex_done(&h->lock);
    free(h);
}

/* The cycle's log, stream and trace are made before its thread, which begins in them. */
static bool hosting_begin(struct hosting *h, struct err *err)
{
    struct scope *before = scope_enter(h->scope);
    log_own(h->request.fds[0], h->request.fds[1]);
    stream_own(&(struct stream_origin){.poller = h->request.poller, .pid = h->request.pid});
    trace_own();
    bool ok = thr_start(&h->thread, "cycle", hosting_main, h, err);
    (void)scope_enter(before);
    return ok;
}

struct hosting *hosting_start(const struct hosting_options *options,
                              struct hosting_request *request, struct err *err)
{
    struct hosting *h = mem_zalloc(1, sizeof(*h));
    h->options = *options;
    h->request = *request;
    *request = (struct hosting_request){.argv = NULL};
    h->scope = scope_new();
    h->services = services_lend(options->services);
    h->config = configuration_new();
    run_told_init(&h->told);
    thr_mutex_init(&h->lock);
    bool ok = hosting_begin(h, err);
    for (size_t i = 0; i < HANDOVER_FDS; i++)
        h->request.fds[i] = -1; /* the log's */
    if (ok)
        return h;
    hosting_release(h);
    return NULL;
}

void hosting_tell(struct hosting *h, int signo)
{
    run_tell(&h->told, signo);
}

bool hosting_free(struct hosting *h)
{
    if (h->end.at_once) {
        services_drop(h->services);
        return false;
    }
    hosting_release(h);
    return true;
}

/* Its lock may be held by what hangs. */
static void *hosting_silence(void *arg UNUSED)
{
    log_stop();
    return NULL;
}

void hosting_abandon(struct hosting *h, void (*returned)(void *arg), void *arg)
{
    pthread_t thread;
    h->returned = returned;
    h->returned_arg = arg;
    services_drop(h->services);
    struct scope *before = scope_enter(h->scope);
    if (thr_start(&thread, "silence", hosting_silence, NULL, NULL))
        thr_detach(thread);
    (void)scope_enter(before);
}
