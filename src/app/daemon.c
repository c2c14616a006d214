#include "config.h"

#include "app/daemon.h"

#include "daemon_private.h"

#include "app/configuration.h"
#include "app/run.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notify.h"
#include "base/stream.h"
#include "drivers/snmp.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

enum { DAEMON_BACKLOG = 64, DAEMON_SHORT_MS = 1000, DAEMON_HEAPS = 2 };

/* ---- the socket ---- */

/* The lock says whether a daemon lives; its file stays, because a second one may be waiting at it. */
static bool daemon_lock(struct daemon *d, struct err *err)
{
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s.lock", d->config->daemon_socket);
    d->lock = open(buf_str(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = d->lock >= 0 && flock(d->lock, LOCK_EX | LOCK_NB) == 0;
    if (!ok && errno == EWOULDBLOCK)
        err_set(err, ERR_UNAVAILABLE, "another daemon listens at %.300s; end that one first",
                d->config->daemon_socket);
    else if (!ok)
        err_set_number(err, ERR_OS, errno,
                       "cannot lock %.300s: %s; let Daemon_Socket be in a directory that this user "
                       "can write",
                       buf_str(&path), strerror(errno));
    buf_done(&path);
    return ok;
}

/* What a daemon has left that was killed.  Anything else at that name is not ours to remove. */
static bool daemon_take_over(const char *path, struct err *err)
{
    struct stat st;
    struct ucred peer;
    if (lstat(path, &st) != 0)
        return true;
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, ERR_CONFIG, "%.300s is not a socket; remove it, or set Daemon_Socket",
                       path);
    int fd = handover_connect(path, &peer, NULL);
    if (fd >= 0) {
        close(fd);
        return err_set(err, ERR_UNAVAILABLE, "process %d listens at %.300s", (int)peer.pid, path);
    }
    if (unlink(path) != 0 && errno != ENOENT)
        return err_set_number(err, ERR_OS, errno, "cannot remove the old %.300s: %s", path,
                              strerror(errno));
    return true;
}

/* No other user can connect before the mode is set. */
static bool daemon_bind(struct daemon *d, const struct sockaddr_un *at, struct err *err)
{
    const char *path = d->config->daemon_socket;
    struct stat st;
    mode_t before = umask(0177);
    bool ok = bind(d->listener, (const struct sockaddr *)at, sizeof(*at)) == 0;
    umask(before);
    ok = ok && (!d->has_group || chown(path, (uid_t)-1, d->group) == 0) && chmod(path, 0660) == 0 &&
         listen(d->listener, DAEMON_BACKLOG) == 0 && lstat(path, &st) == 0;
    if (!ok)
        return err_set_number(err, ERR_OS, errno, "cannot listen at %.300s: %s", path,
                              strerror(errno));
    d->socket_dev = st.st_dev;
    d->socket_ino = st.st_ino;
    return true;
}

/* No name: no group. */
static bool daemon_find_group(const char *name, gid_t *ret_group, bool *ret_has, struct err *err)
{
    *ret_has = false;
    if (*name == '\0')
        return true;
    const struct group *g = getgrnam(name);
    if (g == NULL)
        return err_set(err, ERR_CONFIG, "there is no group %.100s (Daemon_Group)", name);
    *ret_group = g->gr_gid;
    *ret_has = true;
    return true;
}

static void daemon_on_connect(void *arg);

static void daemon_watch(void *arg)
{
    struct daemon *d = arg;
    loop_watch_start(&d->watch, d->loop, d->listener, LOOP_READABLE, daemon_on_connect, d);
}

/* Who waits stays readable: without a pause the loop would turn for nothing else.  Their processes poll by themselves
 * meanwhile. */
static void daemon_pause(struct daemon *d, int error)
{
    loop_watch_stop(&d->watch);
    loop_timer_set(&d->again, DAEMON_SHORT_MS);
    if (!d->is_short)
        log_line(LOG_ALWAYS, "WARNING: no process can be answered for now: %s", strerror(error));
    d->is_short = true;
}

static void daemon_on_connect(void *arg)
{
    struct daemon *d = arg;
    int fd;
    while ((fd = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        d->is_short = false;
        daemon_link_new(d, fd);
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        daemon_pause(d, errno);
}

static bool daemon_listen(struct daemon *d, struct err *err)
{
    struct sockaddr_un at;
    if (!handover_address(d->config->daemon_socket, &at, err) ||
        !daemon_find_group(d->config->daemon_group, &d->group, &d->has_group, err) ||
        !daemon_lock(d, err) || !daemon_take_over(d->config->daemon_socket, err))
        return false;
    d->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (d->listener < 0)
        return err_set_number(err, ERR_OS, errno, "cannot make a socket: %s", strerror(errno));
    if (!daemon_bind(d, &at, err))
        return false;
    daemon_watch(d);
    return true;
}

/* Not a socket that another daemon may have put there since. */
static void daemon_stop_listening(struct daemon *d)
{
    struct stat st;
    const char *path = d->config->daemon_socket;
    loop_watch_stop(&d->watch);
    loop_timer_cancel(&d->again);
    if (d->listener < 0)
        return;
    if (lstat(path, &st) == 0 && st.st_dev == d->socket_dev && st.st_ino == d->socket_ino)
        unlink(path);
    close(d->listener);
    d->listener = -1;
}

/* ---- its own keys, when the file has changed ---- */

/* The name is looked up only where it is another one, because that may take its time. */
static bool daemon_change_group(struct daemon *d, const struct config *config, struct err *err)
{
    const char *path = config->daemon_socket, *name = config->daemon_group;
    gid_t group = getegid();
    bool has_group;
    if (strcmp(d->config->daemon_group, name) == 0)
        return true;
    if (!daemon_find_group(name, &group, &has_group, err))
        return false;
    if (chown(path, (uid_t)-1, group) != 0)
        return err_set_number(err, ERR_CONFIG, errno,
                              "%.300s cannot be given to the group %.100s (Daemon_Group): %s", path,
                              name, strerror(errno));
    d->group = group;
    d->has_group = has_group;
    return true;
}

static bool daemon_adopt(void *arg, const struct config *config, struct err *err)
{
    struct daemon *d = arg;
    if (!daemon_change_group(d, config, err))
        return false;
    d->max_cycles = d->has_pidfd ? config->daemon_cycles : 1;
    d->config = config;
    return true;
}

/* ---- state ---- */

struct status_facts daemon_get_facts(struct daemon *d)
{
    struct status_facts f = {
        .config = d->config,
        .pid = (int)getpid(),
        .uptime_s = (clock_mono_ms() - d->started_mono_ms) / 1000,
        .stopping = d->stopping,
        .running = mem_zalloc(d->link_count + 1, sizeof(f.running[0])),
        .listeners = mem_zalloc(d->link_count + 1, sizeof(f.listeners[0])),
        .events = stream_figures(),
        .last = d->has_last ? &d->last : NULL,
        .begun = d->begun,
        .ended = d->ended,
        .failed = d->failed,
        .lost = d->lost,
        .refused = d->refused,
        .abandoned = d->abandoned,
        .snapshot = snapshot_get(d->snapshot),
    };
    f.shared = services_figures(d->services);
    int64_t lag_us = loop_take_lag_us(d->loop);
    d->lag_us = lag_us > d->lag_us ? lag_us : d->lag_us;
    f.lag_us = d->lag_us;
    for (struct link *l = TAILQ_FIRST(&d->links); l != NULL; l = daemon_link_next(l)) {
        f.running_count += daemon_link_get_cycle(l, &f.running[f.running_count]);
        f.listener_count += daemon_link_get_listener(l, &f.listeners[f.listener_count]);
    }
    return f;
}

void daemon_changed(struct daemon *d)
{
    notify_say("STATUS=%s%zu cycles, %" PRIu64 " since the start", d->stopping ? "stopping, " : "",
               d->cycle_count, d->begun);
    if (d->stopping && TAILQ_EMPTY(&d->links))
        loop_stop(d->loop);
    if (!d->stopping || d->cycle_count > 0)
        return;
    for (struct link *l = TAILQ_FIRST(&d->links); l != NULL; l = daemon_link_next(l))
        daemon_link_finish(l);
}

/* ---- life ---- */

static void daemon_on_alive(void *arg)
{
    struct daemon *d = arg;
    notify_say("WATCHDOG=1");
    loop_timer_set(&d->alive, notify_watchdog_ms() / 2);
}

static void daemon_on_stop(void *arg, int signo)
{
    struct daemon *d = arg;
    struct link *next;
    d->stopping = true;
    log_line(LOG_ALWAYS, "NOTE: the daemon stops (signal %d), %zu cycles with it", signo,
             d->cycle_count);
    notify_say("STOPPING=1");
    daemon_stop_listening(d);
    snapshot_stop(d->snapshot);
    for (struct link *l = TAILQ_FIRST(&d->links); l != NULL; l = next) {
        next = daemon_link_next(l);
        daemon_link_stop(l, signo);
    }
    daemon_changed(d);
}

static void daemon_on_dump(void *arg)
{
    struct buf text = BUF_INIT;
    struct status_facts facts = daemon_get_facts(arg);
    status_print(&facts, FORMAT_TEXT, &text);
    for (char *line = text.data, *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
        log_line(LOG_ALWAYS, "NOTE: %.*s", (int)(end - line), line);
    status_facts_done(&facts);
    buf_done(&text);
}

/* Without it the exits of children are told by a signal that one cycle would take from another. */
static bool daemon_has_pidfd(void)
{
#ifdef SYS_pidfd_open
    int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
#else
    return false;
#endif
}

static void daemon_serve(struct daemon *d, struct stopsig *signals)
{
    stopsig_listen(signals, &d->stop_listener);
    log_line(LOG_ALWAYS, "NOTE: the daemon is ready: version " PACKAGE_VERSION ", %s, %s", d->file,
             d->config->daemon_socket);
    notify_say("READY=1");
    daemon_changed(d);
    if (notify_watchdog_ms() > 0)
        daemon_on_alive(d);
    if (!d->stopping)
        loop_run(d->loop);
    loop_timer_cancel(&d->alive);
    stopsig_forget(signals, &d->stop_listener);
}

static bool daemon_start(struct daemon *d, const struct ping_sockets *sockets, struct err *err)
{
    d->loop = loop_new(LOOP_LIBEVENT, err);
    if (d->loop == NULL)
        return false;
    loop_timer_init(&d->alive, d->loop, daemon_on_alive, d);
    loop_timer_init(&d->again, d->loop, daemon_watch, d);
    snmp_library_warm();
    stream_keep((size_t)d->config->event_buffer);
    d->services = services_new(sockets, err);
    d->has_pidfd = daemon_has_pidfd();
    d->max_cycles = d->has_pidfd ? d->config->daemon_cycles : 1;
    return d->services != NULL && daemon_listen(d, err);
}

/* What hangs in a call may still use all of it. */
static void daemon_release(struct daemon *d)
{
    daemon_stop_listening(d);
    if (d->abandoned > 0)
        return;
    stream_keep(0);
    snapshot_free(d->snapshot);
    services_free(d->services);
    loop_free(d->loop);
    if (d->lock >= 0)
        close(d->lock);
    free(d->file);
}

/* Before the first client can be answered. */
static void daemon_follow(struct daemon *d, struct config *config, int argc, char *const *argv)
{
    const struct snapshot_options o = {.loop = d->loop,
                                       .config = config,
                                       .argc = argc,
                                       .argv = argv,
                                       .adopt = daemon_adopt,
                                       .arg = d};
    d->snapshot = snapshot_start(&o);
}

static struct app_end daemon_live(struct config *config, const struct ping_sockets *sockets,
                                  int argc, char *const *argv)
{
    struct app_end end = {.status = EX_OK};
    struct err err = ERR_INIT;
    struct daemon *d = mem_zalloc(1, sizeof(*d));
    *d =
        (struct daemon){.config = config,
                        .file = realpath(configuration_file_path(config), NULL),
                        .lock = -1,
                        .listener = -1,
                        .stop_listener = {.stop = daemon_on_stop, .dump = daemon_on_dump, .arg = d},
                        .started_mono_ms = clock_mono_ms()};
    TAILQ_INIT(&d->links);
    bool ok = d->file != NULL || err_set_number(&err, ERR_OS, errno, "%.300s: %s",
                                                configuration_file_path(config), strerror(errno));
    ok = ok && daemon_start(d, sockets, &err);
    if (ok)
        daemon_follow(d, config, argc, argv);
    struct stopsig *signals = ok ? stopsig_start(d->loop, &err) : NULL;
    if (signals != NULL)
        daemon_serve(d, signals);
    else
        end.status = app_fail(&err);
    stopsig_stop(signals);
    daemon_release(d);
    end.at_once = d->abandoned > 0;
    if (!end.at_once)
        free(d);
    return end;
}

/* glibc gives each new thread another heap, up to eight for each core, and a cycle has threads of its own: the heaps would grow
 * one after the other for thousands of cycles. */
static void daemon_share_heaps(void)
{
#ifdef M_ARENA_MAX
    (void)mallopt(M_ARENA_MAX, DAEMON_HEAPS);
#endif
}

struct app_end daemon_run(struct config *config, const struct ping_sockets *sockets, int argc,
                          char *const *argv)
{
    struct app_end end = {.status = EX_OK};
    struct err err = ERR_INIT;
    daemon_share_heaps();
    notify_start();
    if (!loop_kind_is_built(LOOP_LIBEVENT))
        err_set(&err, ERR_UNAVAILABLE,
                "--daemon needs libevent, which this build does not have; without a daemon each "
                "process polls by itself");
    if (err.kind != ERR_NONE || !run_configure(config, &err) || !run_start_libraries(&err)) {
        end.status = app_fail(&err);
        return end;
    }
    end = daemon_live(config, sockets, argc, argv);
    if (!end.at_once)
        run_stop_libraries();
    notify_stop();
    return end;
}
