/* model/phpproto.h - the conversation with one of Cacti's PHP script servers: bytes in, decisions out.
 *
 * Why:     the protocol has no framing, so whether a line is the answer to a request is a matter of
 * rules; they are here once, without processes, clocks or threads.
 * Use:     struct phpproto p;  phpproto_init(&p, &options);
 *          each event gives a struct phpproto_do: end the process, write a fence, an answer, a note
 *          phpproto_started, _not_started, _bytes, _consumed, _closed, _time; phpproto_ask
 *          phpproto_done(&p);
 * Threads: one at a time.
 * Owns:    what a struct phpproto_do points to is valid until the next event.
 * Promise: an answer is given out only if its line came after its request, ended with a line feed,
 * and nothing else came before the server went back to reading.  How that is known: one blank (the
 * fence) is written when the line is there; it belongs to the next request, which the server trims,
 * and when it has been consumed the server is reading again, so that all of its output is here.
 * Where the system cannot tell (options.no_fence) the line is taken as it is and stray bytes are
 * found before the next request.  After any doubt the process is replaced.  At most PHPPROTO_STARTS
 * consecutive failed starts, with growing pauses.
 * Source:  docs/contract.md 15; Cacti's script_server.php.
 */
#ifndef SPINE_MODEL_PHPPROTO_H
#define SPINE_MODEL_PHPPROTO_H

#include "base/buf.h"
#include "base/compiler.h"
#include "model/ask.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PHPPROTO_STARTS = 3,
    PHPPROTO_REQUEST_MAX = 1021, /* the server reads 1023 bytes: this, and CR LF */
    PHPPROTO_HELLO_MAX = 8192    /* printed before the handshake */
};

struct phpproto_options {
    int64_t timeout_ms; /* of a request, from its sending, and of a start */
    size_t line_max;    /* bytes of an answer */
    bool no_fence;
};

enum phpproto_state {
    PHPPROTO_DOWN,     /* no process; may be started from start_at_ms on */
    PHPPROTO_STARTING, /* waiting for the handshake */
    PHPPROTO_SETTLING, /* the first fence is out */
    PHPPROTO_IDLE,     /* takes a request */
    PHPPROTO_BUSY,     /* waiting for the line */
    PHPPROTO_HELD,     /* the line is there: is it all? */
    PHPPROTO_DEAD,     /* failed to start too often: no more */
};

struct phpproto {
    struct phpproto_options options;
    enum phpproto_state state;
    int64_t start_at_ms;
    int64_t due_ms; /* when phpproto_time() must be called, INT64_MAX: not */
    int64_t asked_ms;
    int failed_starts; /* in a row */
    int fruitless;     /* processes in a row that never answered */
    bool fenced;       /* this process consumes fences */
    bool answered;     /* this process has answered at least once */
    struct buf in, text;
};

/* What is to be done, in this order. */
struct phpproto_do {
    bool end;          /* the process is to be replaced (it may have ended already) */
    bool fence;        /* write one blank and tell when it is consumed */
    bool start_failed; /* note says why, said what it printed */
    const char *note;  /* what is worth logging about it, or NULL */
    const char *said;  /* printable; with start_failed only */
    bool retry;        /* the request never got there: once more, elsewhere */
    bool answer;       /* the request is answered: */
    enum script_outcome outcome;
    const char *output; /* without its line feed */
    size_t len;
    const char *detail; /* or NULL */
};

void phpproto_init(struct phpproto *p, const struct phpproto_options *options);
void phpproto_done(struct phpproto *p);

struct phpproto_do phpproto_started(struct phpproto *p, int64_t now_ms);
/* `for_good`: trying again cannot succeed (no such file, no right). */
struct phpproto_do phpproto_not_started(struct phpproto *p, int64_t now_ms, const char *why,
                                        bool for_good);
struct phpproto_do phpproto_bytes(struct phpproto *p, int64_t now_ms, const char *bytes,
                                  size_t len);
struct phpproto_do phpproto_consumed(struct phpproto *p, int64_t now_ms);
/* The system cannot tell when a fence is consumed. */
struct phpproto_do phpproto_no_fence(struct phpproto *p, int64_t now_ms);
/* End of its output, or its exit, or its input is no longer read. */
struct phpproto_do phpproto_closed(struct phpproto *p, int64_t now_ms);
struct phpproto_do phpproto_time(struct phpproto *p, int64_t now_ms);

/* The process is being ended for a reason of our own. */
void phpproto_drop(struct phpproto *p, int64_t now_ms);

/* Only when idle, after all that it has printed was passed to phpproto_bytes().  *line gets what is
 * to be written. */
void phpproto_ask(struct phpproto *p, int64_t now_ms, const char *command, struct buf *line);
/* NULL, or why this command cannot be sent to a script server. */
const char *phpproto_refuses(const char *command);

/* The arguments of a script server after the PHP binary: `version` is Cacti's as in its table
 * ("1.2.24"), mode "online", "offline" or "recovery".  NULL-terminated; phpproto_free_argv(). */
NODISCARD char **phpproto_argv(const char *php, const char *script, const char *version,
                               int poller_id, const char *mode);
void phpproto_free_argv(char **argv);

#endif
