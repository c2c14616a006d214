/* app/handover.h - what a daemon and the processes that ask it say to each other.
 *
 * Why:     both sides are this program, in one version; what they say is a few words in messages that
 *          keep their bounds (SOCK_SEQPACKET), so there is no framing and no partial message.
 * Use:     int fd = handover_connect(path, &peer, &err);
 *          struct buf m = BUF_INIT;
 *          handover_put(&m, "signal");  handover_put_number(&m, 15);
 *          handover_send(fd, &m, NULL);
 *          switch (handover_receive(fd, &got, fds)) ... handover_done(&got);
 * Threads: one thread for each socket.
 * Owns:    a received message owns its words; descriptors that came with it are the caller's.
 * Promise: nothing waits.  A message of more than HANDOVER_BYTES, or not of words, is the end.
 *
 *   client                                        daemon
 *   poll VERSION FILE DIGEST POLLER PID STARTED_US DIRECTORY
 *        COUNT ARGUMENT... VARIABLE...            offer | refused WHY
 *     with standard output and error
 *   go                                            begun | refused WHY
 *   signal NUMBER                                 until MONO_MS, ended STATUS SIGNAL | lost WHY
 *   status FORMAT [verbose]                       status TEXT
 *   events FORMAT PAST FOLLOW BUFFER POLLER TYPES lines TEXT, over | refused WHY
 */
#ifndef SPINE_APP_HANDOVER_H
#define SPINE_APP_HANDOVER_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

enum {
    HANDOVER_BYTES = 128 * 1024,
    HANDOVER_FDS = 2,         /* standard output and error */
    HANDOVER_ANSWER_MS = 200, /* from connecting to the offer */
};

struct handover {
    char *bytes;
    char **words; /* NULL-terminated; they lie in bytes */
    size_t count;
};

enum handover_event { HANDOVER_MESSAGE, HANDOVER_NOTHING, HANDOVER_OVER };

void handover_put(struct buf *message, const char *word);
void handover_put_number(struct buf *message, int64_t number);
/* The words of a message, which is copied.  false: it is none. */
NODISCARD bool handover_parse(const char *bytes, size_t len, struct handover *ret);
void handover_done(struct handover *m); /* a zeroed one is allowed, as below */
bool handover_is(const struct handover *m, const char *verb, size_t least_words);
/* The word as a number within the bounds; false: it is none. */
NODISCARD bool handover_number(const struct handover *m, size_t word, int64_t least, int64_t most,
                               int64_t *ret);

/* false: too long for a name of a socket. */
NODISCARD bool handover_address(const char *path, struct sockaddr_un *ret, struct err *err);
/* -1: err says why there is no connection. */
NODISCARD int handover_connect(const char *path, struct ucred *ret_peer, struct err *err);
NODISCARD bool handover_peer(int fd, struct ucred *ret);
/* fds: HANDOVER_FDS descriptors to go with it, or NULL.  false: it is not sent. */
bool handover_send(int fd, const struct buf *message, const int *fds);
/* One word, and a second one if it is not NULL. */
bool handover_say(int fd, const char *verb, const char *word);
/* fds: -1 where none came.  Replaces what was in *ret. */
NODISCARD enum handover_event handover_receive(int fd, struct handover *ret, int fds[HANDOVER_FDS]);

#endif
