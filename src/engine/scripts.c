#include "config.h"

#include "engine/scripts.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thr.h"
#include "core/children.h"
#include "drivers/phpserver.h"
#include "drivers/script.h"

#include <stdio.h>
#include <stdlib.h>

/* The OOM killer takes a script rather than the database. */
enum { SCRIPT_OOM_SCORE = 200, CPU_GRACE_S = 5 };

struct scripts {
    struct services *services;
    struct children *children;
    struct script_runner *runner;
    struct phpserver_pool *servers;
    scripts_stopped_fn *stopped;
    void *stopped_arg;
};

/* An ask on its way to the supervising thread and back. */
struct errand {
    struct scripts *scripts;
    struct ask ask;
    int64_t deadline_mono_ms;
    script_done_fn *done;
    void *arg;
};

static void scripts_note(void *arg UNUSED, const char *line)
{
    log_line(LOG_ALWAYS, "%s", line);
}

static struct spawn_limits limits_of(const struct config *c)
{
    return (struct spawn_limits){.cpu_s = SPAWN_KEEP,
                                 .files = c->script_files,
                                 .core_bytes = c->script_core ? SPAWN_KEEP : 0,
                                 .oom_score_adj = SPAWN_KEEP};
}

static struct script_runner *new_runner(struct children *children, const struct config *c,
                                        const struct services *services)
{
    struct script_options o = script_default_options();
    o.slots = c->max_scripts;
    o.places = services->user;
    o.timeout_ms = (int64_t)c->script_timeout_s * 1000;
    o.limits = limits_of(c);
    o.limits.cpu_s = c->script_cpu_s > 0 ? c->script_cpu_s : c->script_timeout_s + CPU_GRACE_S;
    o.limits.oom_score_adj = SCRIPT_OOM_SCORE;
    o.note = scripts_note;
    return script_runner_new(children, &o);
}

static struct phpserver_options server_options(const struct config *c, struct buf *script)
{
    static const char *const modes[] = {
        [MODE_ONLINE] = "online", [MODE_OFFLINE] = "offline", [MODE_RECOVERY] = "recovery"};
    struct phpserver_options o = phpserver_default_options();
    buf_printf(script, "%s/script_server.php", c->path_webroot);
    o.count = c->php_servers;
    o.php = c->path_php_binary;
    o.script = buf_str(script);
    o.version = c->cacti_version_text;
    o.poller_id = c->poller_id;
    o.mode = modes[c->mode];
    o.timeout_ms = (int64_t)c->script_timeout_s * 1000;
    o.limits = limits_of(c);
    o.note = scripts_note;
    return o;
}

static struct phpserver_pool *new_servers(struct children *children, const struct config *c)
{
    struct buf script = BUF_INIT;
    struct phpserver_options o = server_options(c, &script);
    struct phpserver_pool *p = phpserver_pool_new(children, &o);
    buf_done(&script);
    return p;
}

static struct children *scripts_new_children(const struct config *c, struct loop *loop,
                                             struct err *err)
{
    static const char *const env[] = {"MIBS=", NULL}; /* Cacti's scripts load no MIB files */
    const struct children_options o = {
        .env = c->environment, .directory = c->directory, .env_set = env};
    return loop != NULL ? children_new_on_loop(loop, &o, err) : children_new_on_thread(&o, err);
}

struct scripts *scripts_new(const struct config *config, struct services *services,
                            struct loop *loop, struct err *err)
{
    struct children *children = scripts_new_children(config, loop, err);
    if (children == NULL)
        return NULL;
    struct scripts *s = mem_zalloc(1, sizeof(*s));
    s->services = services;
    s->children = children;
    services_set_children(services, children);
    s->runner = new_runner(children, config, services);
    s->servers = new_servers(children, config);
    return s;
}

/* ---- a trial ---- */

struct trial {
    struct thr_mutex lock;
    pthread_cond_t changed;
    bool ready GUARDED, failed GUARDED; /* lock */
    struct buf why GUARDED;             /* lock: the first failure */
};

static void trial_ready(void *arg)
{
    struct trial *t = arg;
    thr_lock(&t->lock);
    t->ready = true;
    thr_wake_all(&t->changed);
    thr_unlock(&t->lock);
}

static void trial_note(void *arg, const char *line)
{
    struct trial *t = arg;
    thr_lock(&t->lock);
    if (!t->failed)
        buf_puts(&t->why, line);
    t->failed = true;
    thr_wake_all(&t->changed);
    thr_unlock(&t->lock);
}

static bool trial_wait(struct trial *t, int64_t until_mono_ms, struct err *err)
{
    thr_lock(&t->lock);
    bool in_time = true;
    while (in_time && !t->ready && !t->failed)
        in_time = thr_wait_until(&t->changed, &t->lock, until_mono_ms);
    bool ready = t->ready;
    if (t->failed && !ready)
        err_set(err, ERR_OS, "%.900s", buf_str(&t->why));
    else if (!ready)
        err_set(err, ERR_OS, "the PHP script server has not said in time that it is ready");
    thr_unlock(&t->lock);
    return ready;
}

UNCHECKED_LOCKS bool scripts_try_server(const struct config *c, int64_t until_mono_ms,
                                        struct err *err)
{
    struct trial t = {.why = BUF_INIT};
    struct buf script = BUF_INIT;
    struct children *children = scripts_new_children(c, NULL, err);
    if (children == NULL)
        return false;
    thr_mutex_init(&t.lock);
    thr_cond_init(&t.changed);
    struct phpserver_options o = server_options(c, &script);
    o.count = 1;
    o.note = trial_note;
    o.ready = trial_ready;
    o.note_arg = o.ready_arg = &t;
    struct phpserver_pool *servers = phpserver_pool_new(children, &o);
    phpserver_warm(servers, 1);
    bool ok = trial_wait(&t, until_mono_ms, err);
    phpserver_quit(servers);
    children_end(children, clock_mono_ms() + SCRIPTS_END_MS);
    phpserver_pool_free(servers);
    children_free(children);
    buf_done(&script);
    buf_done(&t.why);
    thr_cond_done(&t.changed);
    thr_mutex_done(&t.lock);
    return ok;
}

void scripts_free(struct scripts *s)
{
    if (s == NULL)
        return;
    script_runner_free(s->runner);
    phpserver_pool_free(s->servers);
    services_set_children(s->services, NULL);
    children_free(s->children);
    free(s);
}

void scripts_warm(struct scripts *s, size_t servers)
{
    if (servers > 0)
        phpserver_warm(s->servers, servers);
}

static void scripts_on_done(void *arg, const struct script_reply *script)
{
    struct errand *e = arg;
    e->done(e->arg, script);
    free(e);
}

static void scripts_start(void *arg)
{
    struct errand *e = arg;
    if (e->ask.kind == ASK_SCRIPT)
        script_start(e->scripts->runner, &e->ask.script, e->deadline_mono_ms, scripts_on_done, e);
    else
        phpserver_start(e->scripts->servers, &e->ask.script, e->deadline_mono_ms, scripts_on_done,
                        e);
}

void scripts_begin(struct scripts *s, const struct ask *ask, int64_t deadline_mono_ms,
                   script_done_fn *done, void *arg)
{
    static const struct script_reply cancelled = {.outcome = SCRIPT_CANCELLED, .output = ""};
    struct errand *e = mem_zalloc(1, sizeof(*e));
    *e = (struct errand){s, *ask, deadline_mono_ms, done, arg};
    if (!children_call(s->children, scripts_start, e))
        scripts_on_done(e, &cancelled); /* the supervisor's thread has ended */
}

void scripts_give_up(struct scripts *s)
{
    script_give_up(s->runner);
    phpserver_quit(s->servers);
}

static void scripts_report(const struct scripts *s, bool clean)
{
    if (!clean)
        log_line(LOG_ALWAYS, "WARNING: A script could not be ended, not even by SIGKILL: %s",
                 children_get_left(s->children));
}

static void on_stopped(void *arg, bool clean)
{
    struct scripts *s = arg;
    scripts_report(s, clean);
    s->stopped(s->stopped_arg);
}

void scripts_stop(struct scripts *s, int64_t deadline_mono_ms, scripts_stopped_fn *done, void *arg)
{
    s->stopped = done;
    s->stopped_arg = arg;
    scripts_give_up(s);
    children_stop(s->children, deadline_mono_ms, on_stopped, s);
}

void scripts_end(struct scripts *s, int64_t deadline_mono_ms)
{
    scripts_give_up(s);
    scripts_report(s, children_end(s->children, deadline_mono_ms));
}
