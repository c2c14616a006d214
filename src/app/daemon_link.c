#include "config.h"

#include "daemon_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/config.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum link_state { LINK_NEW, LINK_OFFERED, LINK_POLLING, LINK_LISTENING };

struct link {
    TAILQ_ENTRY(link) next;
    struct daemon *daemon;
    int fd;
    struct ucred peer;
    enum link_state state;
    struct loop_watch watch;
    struct loop_timer patience;
    struct hosting_request request; /* offered */
    struct hosting *hosting;        /* polling */
    struct status_cycle cycle;      /* polling */
    int64_t began_mono_ms;
    bool client_gone;          /* nothing more is said to it */
    struct listener *listener; /* listening */
};

/* ---- the end ---- */

static void link_free(struct link *l)
{
    struct daemon *d = l->daemon;
    TAILQ_REMOVE(&d->links, l, next);
    d->link_count--;
    d->listener_count -= l->state == LINK_LISTENING;
    listener_free(l->listener);
    loop_timer_cancel(&l->patience);
    loop_watch_stop(&l->watch);
    close(l->fd);
    hosting_request_done(&l->request);
    free(l);
    daemon_changed(d);
}

static void link_refuse(struct link *l, const char *why)
{
    l->daemon->refused += l->state == LINK_OFFERED || l->request.argv != NULL;
    (void)handover_say(l->fd, "refused", why);
    link_free(l);
}

static void link_on_patience(void *arg)
{
    link_free(arg);
}

/* ---- a cycle ---- */

static void link_say_numbers(struct link *l, const char *verb, int64_t first, int64_t second,
                             size_t count)
{
    struct buf m = BUF_INIT;
    handover_put(&m, verb);
    handover_put_number(&m, first);
    if (count > 1)
        handover_put_number(&m, second);
    if (!l->client_gone)
        (void)handover_send(l->fd, &m, NULL);
    buf_done(&m);
}

static void link_on_until(void *arg, int64_t mono_ms)
{
    link_say_numbers(arg, "until", mono_ms, 0, 1);
}

/* Of a cycle that ended, or that was given up. */
static void link_book_end(struct link *l, const struct app_end *end)
{
    struct daemon *d = l->daemon;
    l->cycle.elapsed_ms = clock_mono_ms() - l->began_mono_ms;
    l->cycle.status = end->status;
    l->cycle.signo = end->signo;
    d->cycle_count--;
    d->last = l->cycle;
    d->has_last = true;
}

static void link_on_over(void *arg, const struct app_end *end)
{
    struct link *l = arg;
    struct daemon *d = l->daemon;
    link_say_numbers(l, "ended", end->status, end->signo, 2);
    d->ended++;
    d->failed += end->status != 0 || end->signo != 0;
    link_book_end(l, end);
    if (!hosting_free(l->hosting))
        d->abandoned++;
    l->hosting = NULL;
    link_free(l);
}

/* It counts as abandoned until its thread returns. */
static void daemon_on_returned(void *arg)
{
    struct daemon *d = arg;
    d->abandoned--;
    log_line(LOG_ALWAYS, "NOTE: a cycle that was given up has returned");
}

static void link_on_lost(void *arg, const char *line)
{
    static const struct app_end given_up = {.status = 75};
    struct link *l = arg;
    struct daemon *d = l->daemon;
    log_line(LOG_ALWAYS, "%s (poller %d, client %d)", line, l->cycle.poller, l->cycle.client_pid);
    if (!l->client_gone)
        (void)handover_say(l->fd, "lost", line);
    d->lost++;
    d->abandoned++;
    link_book_end(l, &given_up);
    hosting_abandon(l->hosting, daemon_on_returned, d);
    l->hosting = NULL;
    link_free(l);
}

static void link_begin(struct link *l)
{
    struct daemon *d = l->daemon;
    struct err err = ERR_INIT;
    const struct hosting_options o = {.loop = d->loop,
                                      .services = d->services,
                                      .until = link_on_until,
                                      .over = link_on_over,
                                      .lost = link_on_lost,
                                      .arg = l};
    l->cycle = (struct status_cycle){.poller = l->request.poller,
                                     .client_pid = l->request.pid,
                                     .began_wall_s = clock_wall_us() / 1000000};
    /* First: what is said is said before the cycle does anything. */
    if (!handover_say(l->fd, "begun", NULL)) {
        link_free(l);
        return;
    }
    loop_timer_cancel(&l->patience);
    l->state = LINK_POLLING;
    l->began_mono_ms = clock_mono_ms();
    l->hosting = hosting_start(&o, &l->request, &err);
    if (l->hosting == NULL) {
        log_line(LOG_ALWAYS, "ERROR: a cycle cannot be begun: %s", err.text);
        (void)handover_say(l->fd, "lost", err.text);
        link_free(l);
        return;
    }
    d->begun++;
    d->cycle_count++;
    daemon_changed(d);
}

/* ---- what the other side says ---- */

/* What libraries read in the environment of the process, which is the daemon's: the times of log lines, names, and where
 * the database "localhost" is. */
static const char *link_other_variable(const struct hosting_request *q)
{
    static const char *const names[] = {"TZ",
                                        "RES_OPTIONS",
                                        "LOCALDOMAIN",
                                        "HOSTALIASES",
                                        "MYSQL_UNIX_PORT",
                                        "MARIADB_UNIX_PORT",
                                        "MYSQL_TCP_PORT",
                                        "MARIADB_TCP_PORT"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *theirs = config_variable(q->environment, names[i]), *own = getenv(names[i]);
        bool same = theirs == NULL || own == NULL ? theirs == own : strcmp(theirs, own) == 0;
        if (!same)
            return names[i];
    }
    return NULL;
}

/* A cycle is to have the rights that its process has; text: room for the reason. */
static const char *link_objection_to_process(const struct link *l, char *text, size_t size)
{
    const struct hosting_request *q = &l->request;
    const char *name = link_other_variable(q);
    if (l->peer.uid != geteuid())
        return "it polls for its own user only";
    if (l->peer.gid != getegid())
        return "it polls for its own group only";
    if (access(q->directory, X_OK) != 0)
        return "it cannot enter the directory of the process";
    if (name == NULL)
        return NULL;
    snprintf(text, size, "the process has another %s in its environment", name);
    return text;
}

/* NULL: its cycle may begin.  From then on it has the bytes that its client has read.  text: room for the reason. */
static const char *link_objection(struct link *l, char *text, size_t size)
{
    const struct daemon *d = l->daemon;
    struct hosting_request *q = &l->request;
    const char *to_process = link_objection_to_process(l, text, size);
    if (d->stopping)
        return "it is stopping";
    if (to_process != NULL)
        return to_process;
    if (strcmp(q->version, PACKAGE_VERSION) != 0)
        return "it is version " PACKAGE_VERSION;
    if (q->image == NULL && !snapshot_is_file(d->snapshot, q->file))
        return "it was started with another configuration file";
    if (d->cycle_count >= (size_t)d->max_cycles)
        return "it polls as many cycles as it may (Daemon_Cycles)";
    if (d->abandoned >= DAEMON_ABANDONED_MAX)
        return "too many of its cycles hang in calls that do not return; restart it";
    if (!loop_can_open(DAEMON_SPARE_DESCRIPTORS, NULL))
        return "it has too few descriptors left (LimitNOFILE)";
    if (q->image == NULL && (q->image = snapshot_take(d->snapshot, q->digest)) == NULL)
        return "the process has read another state of the configuration file";
    return NULL;
}

static void link_take_request(struct link *l)
{
    char text[100];
    const char *objection = link_objection(l, text, sizeof(text));
    if (objection != NULL) {
        link_refuse(l, objection);
        return;
    }
    l->state = LINK_OFFERED;
    if (!handover_say(l->fd, "offer", NULL))
        link_free(l);
}

static void link_take_go(struct link *l)
{
    char text[100];
    const char *objection =
        link_objection(l, text, sizeof(text)); /* others may have begun meanwhile */
    if (objection != NULL)
        link_refuse(l, objection);
    else
        link_begin(l);
}

static void link_take_status(struct link *l, const struct handover *request)
{
    struct buf text = BUF_INIT, m = BUF_INIT;
    struct status_facts facts = daemon_get_facts(l->daemon);
    const char *format = request->words[1];
    facts.verbose = request->count > 2;
    status_print(&facts, strcmp(format, "json") == 0 ? FORMAT_JSON : FORMAT_TEXT, &text);
    handover_put(&m, "status");
    handover_put(&m, buf_str(&text));
    (void)handover_send(l->fd, &m, NULL);
    status_facts_done(&facts);
    buf_done(&m);
    buf_done(&text);
    link_free(l);
}

static void link_on_told_all(void *arg)
{
    link_free(arg);
}

static void link_take_events(struct link *l, const struct handover *m)
{
    struct daemon *d = l->daemon;
    struct err why = ERR_INIT;
    const struct listener_options o = {.loop = d->loop,
                                       .fd = l->fd,
                                       .pid = (int)l->peer.pid,
                                       .uid = (int)l->peer.uid,
                                       .over = link_on_told_all,
                                       .arg = l};
    if (d->stopping)
        err_set(&why, ERR_UNAVAILABLE, "it is stopping");
    else if (d->listener_count >= DAEMON_LISTENERS_MAX)
        err_set(&why, ERR_UNAVAILABLE, "too many processes read its events");
    else
        l->listener = listener_new(&o, m, &why);
    if (l->listener == NULL) {
        link_refuse(l, why.text);
        return;
    }
    loop_timer_cancel(&l->patience);
    l->state = LINK_LISTENING;
    d->listener_count++;
}

static void link_take(struct link *l, struct handover *m, int fds[HANDOVER_FDS])
{
    int64_t signo;
    if (l->state == LINK_NEW && handover_is(m, "status", 2))
        link_take_status(l, m);
    else if (l->state == LINK_NEW && listener_is_request(m))
        link_take_events(l, m);
    else if (l->state == LINK_NEW && hosting_read_request(m, fds, &l->request))
        link_take_request(l);
    else if (l->state == LINK_OFFERED && handover_is(m, "go", 1))
        link_take_go(l);
    else if (l->state == LINK_POLLING && handover_is(m, "signal", 2) &&
             handover_number(m, 1, 1, 63, &signo))
        hosting_tell(l->hosting, (int)signo);
    else if (l->state != LINK_POLLING)
        link_refuse(l, "it does not understand the request");
}

/* The client was killed: its cycle ends as by SIGTERM, with what is complete stored and the row closed. */
static void link_on_gone(struct link *l)
{
    if (l->state != LINK_POLLING) {
        link_free(l);
        return;
    }
    loop_watch_stop(&l->watch);
    l->client_gone = true;
    log_line(LOG_ALWAYS, "NOTE: client %d of poller %d has ended; its cycle is stopped",
             l->cycle.client_pid, l->cycle.poller);
    hosting_tell(l->hosting, SIGTERM);
}

static void link_on_readable(void *arg)
{
    struct link *l = arg;
    struct handover m = {.count = 0};
    int fds[HANDOVER_FDS];
    switch (handover_receive(l->fd, &m, fds)) {
    case HANDOVER_MESSAGE: link_take(l, &m, fds); break;
    case HANDOVER_NOTHING: break;
    case HANDOVER_OVER: link_on_gone(l); break;
    }
    for (size_t i = 0; i < HANDOVER_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    handover_done(&m);
}

/* ---- life ---- */

static bool link_is_welcome(const struct daemon *d, int fd, const struct ucred *peer)
{
    gid_t groups[256];
    socklen_t len = sizeof(groups);
    if (peer->uid == geteuid() || peer->uid == 0)
        return true;
    if (!d->has_group)
        return false;
    if (peer->gid == d->group)
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
        return false;
    for (size_t i = 0; i < len / sizeof(groups[0]); i++)
        if (groups[i] == d->group)
            return true;
    return false;
}

void daemon_link_new(struct daemon *d, int fd)
{
    struct ucred peer;
    const char *objection = NULL;
    if (!handover_peer(fd, &peer) || !link_is_welcome(d, fd, &peer))
        objection = "it listens to its own user, root and the members of Daemon_Group only";
    else if (d->link_count >= DAEMON_LINKS_MAX)
        objection = "too many processes ask it";
    if (objection != NULL) {
        (void)handover_say(fd, "refused", objection);
        close(fd);
        return;
    }
    struct link *l = mem_zalloc(1, sizeof(*l));
    *l = (struct link){.daemon = d, .fd = fd, .peer = peer};
    TAILQ_INSERT_TAIL(&d->links, l, next);
    d->link_count++;
    loop_timer_init(&l->patience, d->loop, link_on_patience, l);
    loop_timer_set(&l->patience, DAEMON_PATIENCE_MS);
    loop_watch_start(&l->watch, d->loop, fd, LOOP_READABLE, link_on_readable, l);
}

void daemon_link_stop(struct link *l, int signo)
{
    if (l->state == LINK_POLLING)
        hosting_tell(l->hosting, signo);
    else if (l->state != LINK_LISTENING) /* they hear of the ends of cycles */
        link_refuse(l, "it is stopping");
}

void daemon_link_finish(struct link *l)
{
    if (l->state == LINK_LISTENING)
        listener_finish(l->listener);
}

bool daemon_link_get_listener(const struct link *l, struct status_listener *ret)
{
    if (l->state != LINK_LISTENING)
        return false;
    *ret = listener_get(l->listener);
    return true;
}

bool daemon_link_get_cycle(const struct link *l, struct status_cycle *ret)
{
    if (l->state != LINK_POLLING)
        return false;
    *ret = l->cycle;
    ret->elapsed_ms = clock_mono_ms() - l->began_mono_ms;
    return true;
}

struct link *daemon_link_next(const struct link *l)
{
    return TAILQ_NEXT(l, next);
}
