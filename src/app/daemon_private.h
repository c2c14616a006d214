/* What daemon.c and daemon_link.c share. */
#ifndef SPINE_APP_DAEMON_PRIVATE_H
#define SPINE_APP_DAEMON_PRIVATE_H

#include "app/app.h"
#include "app/hosting.h"
#include "app/listener.h"
#include "app/snapshot.h"
#include "app/status.h"
#include "core/loop.h"
#include "engine/config.h"
#include "engine/services.h"
#include "engine/stopsig.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/types.h>

enum {
    DAEMON_LINKS_MAX = 256,        /* that are open at a time */
    DAEMON_PATIENCE_MS = 5000,     /* with one that has something to say */
    DAEMON_ABANDONED_MAX = 16,     /* cycles that hang in a call; then no more are begun */
    DAEMON_LISTENERS_MAX = 32,     /* of the links: the others are for cycles */
    DAEMON_SPARE_DESCRIPTORS = 32, /* with fewer a cycle would be a failure */
};

struct link;

struct daemon {
    const struct config *config; /* as the file was read last */
    char *file;                  /* of the configuration, as realpath(3) has it */
    gid_t group;
    bool has_group;
    bool has_pidfd;
    int max_cycles;
    struct snapshot *snapshot;

    struct loop *loop;
    struct services *services;
    int lock, listener; /* -1: not open */
    dev_t socket_dev;
    ino_t socket_ino;
    struct loop_watch watch;
    struct loop_timer again; /* it watches again after a lack of descriptors */
    bool is_short;           /* that has been said */
    struct loop_timer alive; /* for the service manager */
    struct stopsig_listener stop_listener;
    bool stopping;

    TAILQ_HEAD(, link) links;
    size_t link_count, cycle_count, listener_count;
    int64_t started_mono_ms;
    uint64_t begun, ended, failed, lost, refused, abandoned;
    int64_t lag_us; /* the largest so far */
    struct status_cycle last;
    bool has_last;
};

/* ---- daemon_link.c: one connection ---- */

/* A connection that was accepted; closed here if it is not welcome. */
void daemon_link_new(struct daemon *d, int fd);
/* The daemon stops: a link with a cycle tells it, others end. */
void daemon_link_stop(struct link *l, int signo);
/* The last cycle of a daemon that stops has ended: a link that reads events gets the last ones, and ends. */
void daemon_link_finish(struct link *l);

/* ---- daemon.c, for a link ---- */

/* After each change: the service manager's text, and the end of a daemon that stops. */
void daemon_changed(struct daemon *d);
/* To be freed by status_facts_done(). */
struct status_facts daemon_get_facts(struct daemon *d);
/* A link's cycle; false: it has none. */
bool daemon_link_get_cycle(const struct link *l, struct status_cycle *ret);
/* What a link reads of events; false: nothing. */
bool daemon_link_get_listener(const struct link *l, struct status_listener *ret);
struct link *daemon_link_next(const struct link *l);

#endif
