/* fake_snmp.h - devices that do as they are told, in the place of drivers/snmp.o and ping.o.
 *
 * Use:     set the upper half of `fake_snmp`, run a cycle, read the lower half.
 * Threads: as drivers/snmp.h; the figures may be read when the cycle is over.
 * Promise: item .1.3.6.1.4.1.99.<device>.<n> has the value device * 1000 + n.  Nothing waits for
 * time to pass, except where a real agent would be waited for until the deadline, and the scene can bring
 * that about (`over_at_ms`).
 */
#ifndef FAKE_SNMP_H
#define FAKE_SNMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fake_mood {
    FAKE_ANSWERS,
    FAKE_TIMES_OUT,     /* at once */
    FAKE_FAILS,         /* no session */
    FAKE_TOO_BIG,       /* for more than one object */
    FAKE_UNTIL_GIVE_UP, /* no answer before the cycle gives up */
    FAKE_UNTIL_DEADLINE,
    FAKE_AT_THE_END, /* answers when the time for polling is over (`over_at_ms`), which ends the polling */
    FAKE_BELL,    /* sends `bell` to the process when `bell_after` devices are through, then as
                     FAKE_UNTIL_GIVE_UP */
    FAKE_PARTING, /* as FAKE_UNTIL_GIVE_UP; the thread that gives up rings the bell */
    FAKE_HANGS,   /* as FAKE_BELL, but never returns */
    FAKE_LATE,    /* hangs until fake_snmp_bring_back() */
    FAKE_STUCK,   /* as FAKE_BELL, but sends it again when given up and never returns */
};

extern struct fake_snmp {
    int bell[2]; /* signals; 0 = none */
    size_t bell_after;
    /* The time for polling is over, by a jump of the clock to over_at_ms, when over_through devices
     * have finished and over_asks asks are in progress.  0 = the clock does not jump. */
    int64_t over_at_ms;
    size_t over_through;
    int over_asks;
    int crowd; /* answers only when so many asks have been in progress at once */

    size_t answered; /* values given for items */
    size_t written;  /* rows that have reached the store */
    size_t backlog;  /* the most that were answered and not written */
    int peak;        /* the most asks in progress */
    size_t through;  /* agents freed */
    size_t alive;    /* agents not freed */
    size_t stack;    /* the most that one thread's stack differed between two devices, in bytes */
} fake_snmp;

/* The host's mood from now on; others answer. */
void fake_snmp_mood(const char *hostname, enum fake_mood mood);

/* From the fake store: `rows` have been written. */
void fake_snmp_written(size_t rows);
/* Wait until more than `limit` values are on their way to the store, for at most `ms`. */
void fake_snmp_wait_backlog(size_t limit, int ms);
/* Wait until the signals sent are taken: one that is not when the process stops listening ends it by
 * default, as it should. */
void fake_snmp_await_bells(void);
/* Asks of earlier tests that will never return no longer count as in progress. */
void fake_snmp_forget_asks(void);
/* Let the asks of FAKE_LATE return, and wait until no agent is left. */
void fake_snmp_bring_back(void);

#endif
