/* drivers/phpserver.h - Cacti's PHP script servers: some processes, one queue of requests.
 *
 * Use:     struct phpserver_options o = phpserver_default_options();  o.php = ...; o.count = ...;
 *          struct phpserver_pool *p = phpserver_pool_new(children, &o);
 *          phpserver_warm(p, items);                                   optional, as soon as known
 *          phpserver_start(p, &request, deadline, done, arg);
 *          phpserver_quit(p);  ... children_stop() or children_end() ...  phpserver_pool_free(p);
 * Threads: as drivers/script.h: new and free before and after everything else; start on the
 * supervising thread; warm, quit and give_up on the loop or, with a supervisor that has a thread of
 * its own, on any.
 * Owns:    as drivers/script.h.  The options' strings are copied.
 * Promise: each request is answered exactly once, never from within a function of this module, at
 * the latest at its deadline.  Servers are started when there is something to ask, in parallel; any
 * idle one takes the next request, one at a time; the time-out counts from its sending.  A server
 * that times out, floods, prints what cannot be attributed or ends is replaced when it is needed
 * again (model/phpproto.h has the rules); what it had to answer is U, or is asked once more if it
 * ended without a byte.  Three failed starts in a row, or a PHP that cannot be executed, and a slot
 * is dead; when all are, every request is answered at once.  Ending: quit, end of input, SIGTERM
 * after 0.5 s, SIGKILL 1.5 s later.
 *   a line, without its line feed; reply.server says whose          -> SCRIPT_OUTPUT (may be empty)
 *   no line in time                                                 -> SCRIPT_TIMED_OUT
 *   a line longer than line_max                                     -> SCRIPT_FLOODED
 *   it ended, more than one line, a NUL byte                        -> SCRIPT_LOST
 *   all servers dead, or not a command for a script server          -> SCRIPT_NOT_STARTED
 *   deadline, phpserver_quit(), children_stop()                     -> SCRIPT_CANCELLED
 * Source:  docs/contract.md 15.
 */
#ifndef SPINE_DRIVERS_PHPSERVER_H
#define SPINE_DRIVERS_PHPSERVER_H

#include "drivers/script.h"

#include <stdbool.h>

enum { PHPSERVER_MAX = 15 };

struct phpserver_pool;

struct phpserver_options {
    int count;           /* 1 to PHPSERVER_MAX */
    const char *php;     /* setting path_php_binary */
    const char *script;  /* <path_webroot>/script_server.php */
    const char *version; /* of Cacti */
    int poller_id;
    const char *mode;   /* "online", "offline" or "recovery" */
    int64_t timeout_ms; /* of a request and of a start */
    size_t line_max;    /* bytes of an answer */
    bool no_fence;      /* as on a system that cannot tell what was read */
    struct spawn_limits limits;
    script_note_fn *note; /* complete lines for the log; on the supervising thread; may be NULL */
    void *note_arg;
    void (*ready)(void *arg); /* a server takes requests; on the supervising thread; may be NULL */
    void *ready_arg;
};

struct phpserver_figures {
    uint64_t asked, answered, retried, started, failed_starts;
    uint64_t timed_out, flooded, lost, not_started, cancelled;
    size_t waiting, most_waiting;
};

/* 2 servers, 25 s, 2047 bytes, poller 1; 1024 files, no core. */
struct phpserver_options phpserver_default_options(void);

NODISCARD struct phpserver_pool *phpserver_pool_new(struct children *children,
                                                    const struct phpserver_options *options);
/* After the supervisor has stopped, which answers what is outstanding, and before it is freed. */
void phpserver_pool_free(struct phpserver_pool *p); /* NULL allowed */

/* This number of requests will come: start servers for them now. */
void phpserver_warm(struct phpserver_pool *p, size_t requests);
/* request->count_lines is not looked at: a script server answers with one line. */
void phpserver_start(struct phpserver_pool *p, const struct script_request *request,
                     int64_t deadline_mono_ms, script_done_fn *done, void *arg);
/* Every request, waiting, running or to come, is cancelled; the servers are asked to quit. */
void phpserver_quit(struct phpserver_pool *p);
/* On the supervising thread, or after its end. */
struct phpserver_figures phpserver_get_figures(const struct phpserver_pool *p);

#endif
