/* base/lastword.h - one line for the log when the log itself can no longer be used.
 *
 * Why:     a process that dies by a fatal signal, or because a library call does not return, must
 *          log the reason once, although memory may be damaged and another thread may hold the
 *          log's mutex.
 * Use:     lastword_aim(fd, '/', poller_id);      base/log does, whenever its file changes
 *          lastword_say("FATAL: ...");            from a signal handler, or any thread
 * Threads: any; lastword_say() is async-signal-safe and takes no lock.
 * Owns:    nothing: the descriptor stays the log's.
 * Promise: the line goes to standard error and to the descriptor, whole, in the log's format (the
 *          time zone's offset is that of the last aim); without a reader it is dropped, not waited
 *          for.  errno is kept.
 */
#ifndef SPINE_BASE_LASTWORD_H
#define SPINE_BASE_LASTWORD_H

#include <stddef.h>
#include <stdint.h>

/* fd -1: standard error only. */
void lastword_aim(int fd, char date_separator, int poller_id);
void lastword_say(const char *text);

/* The pieces, for the test: write "YYYY/MM/DD hh:mm:ss" of a local time given in seconds since 1970
 * into 20 bytes. */
void lastword_date(int64_t local_seconds, char separator, char ret[20]);

#endif
