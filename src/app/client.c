#include "config.h"

#include "app/client.h"

#include "app/configuration.h"
#include "app/handover.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/loop.h"
#include "engine/budget.h"
#include "engine/stopsig.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Until the daemon has read the settings it is not known how long the cycle is.  What it says itself about an end has
 * CLIENT_GRACE_MS to get here. */
enum { CLIENT_START_MS = 60000, CLIENT_GRACE_MS = 1000 };

enum client_state { ASKED, WENT, BEGUN };

struct client {
    struct loop *loop;
    struct stopsig_listener listener;
    int fd;
    pid_t daemon;
    struct loop_watch watch;
    struct loop_timer timer;
    int64_t until_mono_ms; /* of a cycle that was told to go */
    enum client_state state;
    int signo; /* that was forwarded; 0: none */
    enum client_outcome outcome;
    struct app_end *end;
    struct err *why;
};

/* ---- the request ---- */

/* A file that the daemon would look for in a directory of its own; NULL: there is none. */
static const char *client_relative_path(struct config *c)
{
    struct configuration_entry e;
    for (size_t i = 0; configuration_entry(c, i, &e); i++)
        for (int id = 0; id < OPTION_COUNT; id++) {
            const struct option_def *def = option_get((enum option_id)id);
            if (id != OPTION_CONF && def->type == OPTION_TYPE_PATH && def->name == e.name &&
                *e.value != '\0' && *e.value != '/')
                return def->name;
        }
    return NULL;
}

static void client_put_strings(struct buf *m, char *const *strings)
{
    for (; *strings != NULL; strings++)
        handover_put(m, *strings);
}

/* There is no other way to ask for it that works on every kernel. */
static mode_t client_umask(void)
{
    mode_t mask = umask(077);
    (void)umask(mask);
    return mask;
}

static bool client_put_request(const struct config *c, int64_t started_mono_us, char *const *argv,
                               struct buf *m, struct err *why)
{
    char *file = realpath(configuration_file_path(c), NULL), *directory = getcwd(NULL, 0);
    bool ok = file != NULL && directory != NULL;
    size_t count = 0;
    while (argv[count] != NULL)
        count++;
    if (ok) {
        handover_put(m, "poll");
        handover_put(m, PACKAGE_VERSION);
        handover_put(m, file);
        handover_put(m, configuration_digest(c));
        handover_put_number(m, c->poller_id);
        handover_put_number(m, c->pid);
        handover_put_number(m, started_mono_us);
        handover_put(m, directory);
        handover_put_number(m, client_umask());
        handover_put_number(m, (int64_t)count);
        client_put_strings(m, argv);
        client_put_strings(m, environ);
    } else {
        err_set(why, ERR_OS,
                "the names of the configuration file and the directory are not known: %s",
                strerror(errno));
    }
    free(file);
    free(directory);
    return ok;
}

/* In the place of what this process was started without. */
static bool client_send_request(int fd, const struct buf *m)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int fds[HANDOVER_FDS] = {STDOUT_FILENO, STDERR_FILENO};
    for (size_t i = 0; i < HANDOVER_FDS; i++)
        if (fcntl(fds[i], F_GETFD) < 0)
            fds[i] = null;
    bool sent = handover_send(fd, m, fds);
    if (null >= 0)
        close(null);
    return sent;
}

/* ---- the conversation ---- */

/* A stop signal that no cycle has got ends this process, as it would have without a daemon. */
static void client_over(struct client *cl, enum client_outcome outcome)
{
    bool stopped = outcome == CLIENT_ALONE && cl->signo != 0;
    if (stopped)
        *cl->end = (struct app_end){.signo = cl->signo};
    cl->outcome = stopped ? CLIENT_DONE : outcome;
    loop_timer_cancel(&cl->timer);
    loop_watch_stop(&cl->watch);
    loop_stop(cl->loop);
}

/* What the daemon has not begun is polled here. */
static void client_give_up(struct client *cl, const char *what)
{
    err_set(cl->why, ERR_UNAVAILABLE, "the daemon (pid %d) %s", (int)cl->daemon, what);
    client_over(cl, cl->state == BEGUN ? CLIENT_ORPHANED : CLIENT_ALONE);
}

static void client_on_time(void *arg)
{
    struct client *cl = arg;
    if (cl->state == ASKED) {
        client_give_up(cl, "has not answered within 200 ms");
        return;
    }
    cl->state = BEGUN; /* it may begin still, for all that is known */
    client_give_up(cl, "has not ended the cycle in time");
}

static void client_set_until(struct client *cl, int64_t mono_ms)
{
    cl->until_mono_ms = mono_ms + CLIENT_GRACE_MS;
    loop_timer_set_at_us(&cl->timer, cl->until_mono_ms * 1000);
}

static void client_take_end(struct client *cl, const struct handover *m)
{
    int64_t status, signo;
    if (!handover_number(m, 1, 0, 255, &status) || !handover_number(m, 2, 0, 64, &signo)) {
        client_give_up(cl, "has said something that is not understood");
        return;
    }
    *cl->end = (struct app_end){.status = (int)status, .signo = (int)signo};
    client_over(cl, CLIENT_DONE);
}

static void client_take(struct client *cl, const struct handover *m)
{
    int64_t mono_ms;
    if (cl->state == ASKED && handover_is(m, "offer", 1)) {
        cl->state = WENT;
        client_set_until(cl, clock_mono_ms() + CLIENT_START_MS);
        if (!handover_say(cl->fd, "go", NULL))
            client_give_up(cl, "does not listen");
    } else if (cl->state != BEGUN && handover_is(m, "refused", 2)) {
        err_set(cl->why, ERR_UNAVAILABLE, "the daemon (pid %d) does not take the cycle: %.500s",
                (int)cl->daemon, m->words[1]);
        client_over(cl, CLIENT_ALONE);
    } else if (cl->state == WENT && handover_is(m, "begun", 1)) {
        cl->state = BEGUN;
    } else if (cl->state == BEGUN && handover_is(m, "until", 2)) {
        if (handover_number(m, 1, 0, INT64_MAX / 2000, &mono_ms))
            client_set_until(cl, mono_ms);
    } else if (cl->state == BEGUN && handover_is(m, "ended", 3)) {
        client_take_end(cl, m);
    } else if (cl->state == BEGUN && handover_is(m, "lost", 2)) {
        err_set(cl->why, ERR_TEMPORARY, "the daemon (pid %d) has given the cycle up: %.700s",
                (int)cl->daemon, m->words[1]);
        client_over(cl, CLIENT_ORPHANED);
    } else {
        client_give_up(cl, "has said something that is not understood");
    }
}

static void client_on_readable(void *arg)
{
    struct client *cl = arg;
    struct handover m = {.count = 0};
    int none[HANDOVER_FDS];
    switch (handover_receive(cl->fd, &m, none)) {
    case HANDOVER_MESSAGE: client_take(cl, &m); break;
    case HANDOVER_NOTHING: break;
    case HANDOVER_OVER: client_give_up(cl, "has ended"); break;
    }
    for (size_t i = 0; i < HANDOVER_FDS; i++)
        if (none[i] >= 0)
            close(none[i]);
    handover_done(&m);
}

static void client_forward(struct client *cl, int signo)
{
    struct buf m = BUF_INIT;
    handover_put(&m, "signal");
    handover_put_number(&m, signo);
    (void)handover_send(cl->fd, &m, NULL);
    buf_done(&m);
}

static void client_on_stop(void *arg, int signo)
{
    struct client *cl = arg;
    cl->signo = signo;
    if (cl->state == ASKED) { /* nothing is open */
        client_over(cl, CLIENT_ALONE);
        return;
    }
    client_forward(cl, signo);
    int64_t until = clock_mono_ms() + BUDGET_HURRY_MS + 2 * BUDGET_CLOSE_MS + BUDGET_RESCUE_MS;
    if (until + CLIENT_GRACE_MS < cl->until_mono_ms)
        client_set_until(cl, until);
}

static void client_on_dump(void *arg)
{
    struct client *cl = arg;
    if (cl->state != ASKED)
        client_forward(cl, SIGUSR1);
}

static enum client_outcome client_converse(struct client *cl, struct err *why)
{
    struct err err = ERR_INIT;
    cl->loop = loop_new(LOOP_LIBEVENT, why);
    if (cl->loop == NULL)
        return CLIENT_ALONE;
    cl->listener =
        (struct stopsig_listener){.stop = client_on_stop, .dump = client_on_dump, .arg = cl};
    struct stopsig *signals = stopsig_start(cl->loop, &err);
    stopsig_listen(signals, &cl->listener);
    loop_timer_init(&cl->timer, cl->loop, client_on_time, cl);
    loop_timer_set(&cl->timer, HANDOVER_ANSWER_MS);
    loop_watch_start(&cl->watch, cl->loop, cl->fd, LOOP_READABLE, client_on_readable, cl);
    loop_run(cl->loop);
    stopsig_forget(signals, &cl->listener);
    stopsig_stop(signals);
    loop_free(cl->loop);
    return cl->outcome;
}

enum client_outcome client_poll(struct config *config, int64_t started_mono_us, char *const *argv,
                                struct app_end *ret_end, struct err *why)
{
    struct client cl = {.end = ret_end, .why = why};
    struct ucred peer;
    struct buf m = BUF_INIT;
    const char *relative = client_relative_path(config);
    enum client_outcome outcome = CLIENT_ALONE;
    if (!loop_kind_is_built(LOOP_LIBEVENT)) {
        err_set(why, ERR_UNAVAILABLE, "there is no daemon in a build without libevent");
    } else if (relative != NULL) {
        err_set(why, ERR_CONFIG, "%s is a relative path, which a daemon would not find", relative);
    } else if (client_put_request(config, started_mono_us, argv, &m, why) &&
               (cl.fd = handover_connect(config->daemon_socket, &peer, why)) >= 0) {
        cl.daemon = peer.pid;
        if (peer.uid != geteuid())
            err_set(why, ERR_UNAVAILABLE, "the daemon (pid %d) belongs to another user",
                    (int)peer.pid);
        else if (client_send_request(cl.fd, &m))
            outcome = client_converse(&cl, why);
        else
            err_set(why, ERR_UNAVAILABLE, "the request cannot be sent to the daemon: %s",
                    strerror(errno));
        close(cl.fd);
    }
    buf_done(&m);
    return outcome;
}
