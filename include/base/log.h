/* base/log.h - lines for Cacti's log, the system log, standard output and the console.
 *
 * Why:      operators and Cacti's log viewer parse these lines; format and destinations are Cacti's
 *           (docs/contract.md 3).
 * Use:      log_start();                      before anything can fail: lines go to the console and
 * are kept (up to a bound) until log_configure() names the file log_configure(&options); again
 * whenever better knowledge arrives log_line(LOG_MEDIUM, "Device[%u] ...", id); log_stop();
 * Threads:  log_line from any; log_start/configure/stop from the main thread.
 * Promise:  each scope (base/scope) that has called log_own() has a log of its own; crashes are told in that of the
 * process alone.  One line = one write(2) in append mode, ended by exactly one newline; control
 * characters in the text (CR and LF included) become blanks and "<?" is broken, so that a device
 * cannot forge lines.  The file is reopened when it was renamed, removed or replaced.  A file that
 * cannot be opened costs one notice on standard output and nothing else.  Logging never fails a
 * caller.
 */
#ifndef SPINE_BASE_LOG_H
#define SPINE_BASE_LOG_H

#include "base/compiler.h"

#include <stdbool.h>

/* Cacti's verbosity; a line is written when its level <= the configured one.  LOG_ALWAYS lines are
 * the unconditional ones ("low" in Cacti's words); with LOG_NONE configured the file gets nothing
 * at all. */
enum log_level {
    LOG_NONE = 1,
    LOG_ALWAYS = 2,
    LOG_MEDIUM = 3,
    LOG_HIGH = 4,
    LOG_DEBUGGING = 5,
    LOG_DEVDBG = 6,
};

enum log_destination {
    LOG_TO_JOURNAL = -2, /* of a service: every line to standard error, for the service manager */
    LOG_TO_STDERR = -1,  /* of a person's command: errors and warnings, nothing else */
    LOG_TO_NOTHING = 0,  /* an undefined number: only a terminal gets lines */
    LOG_TO_FILE = 1,
    LOG_TO_BOTH = 2, /* file and system log */
    LOG_TO_SYSLOG = 3,
    LOG_TO_STDOUT = 4,
};

struct log_options {
    enum log_level level;
    enum log_destination destination;
    const char *path;    /* NULL or "" = no file known; copied */
    char date_separator; /* '-', '/' or '.' */
    int poller_id;
    int pid;              /* shown in each line; 0 = of this process */
    bool syslog_errors;   /* log_perror */
    bool syslog_warnings; /* log_pwarn */
    bool syslog_stats;    /* log_pstats */
};

/* The calling thread's scope gets a log of its own, not started, which prints to these descriptors and owns them: log_stop()
 * closes them.  -1: nothing is printed there. */
void log_own(int out, int err);
void log_start(void);
void log_configure(const struct log_options *options);
void log_stop(void); /* writes what was kept; idempotent */

bool log_wants(enum log_level level);
/* Whether errors and warnings appear on standard error. */
bool log_shows_errors(void);
/* Whether standard output or error, or what the scope has instead, is a terminal. */
bool log_is_terminal(bool error);
/* A text for the person who started the program, as it is, to standard output or error; a reader that has stopped is waited
 * for as with lines. */
void log_print(bool error, const char *fmt, ...) PRINTF(2, 3);
/* A text at the bottom of the terminal that is standard error, replaced by the next one and moved out of the way of
 * lines; a terminal that does not take it at once goes without.  Short, and without control characters. */
void log_progress(const char *text);
void log_end_progress(void); /* removes it; later ones are not shown */
void log_line(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

#endif
