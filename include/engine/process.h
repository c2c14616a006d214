/* engine/process.h - what lives as long as the process and is lent to its cycles.
 *
 * Why:     a cycle begins and ends; the loop, the ping sockets, the resolver, the signals and the
 *          watchdog are there before and after, for one cycle after the other or several at once.
 * Use:     struct process *p = process_new(config, &sockets, watchdog, &err);
 *          struct process_run run = {.cycle = cycle_new(config, store, started, &err)};
 *          process_poll(p, &run, 1);
 *          process_free(p);
 * Threads: one thread, the main one or that of a cycle in a daemon; process_signal() from any.
 * Owns:    the ping sockets, as soon as process_new() has succeeded, and with them the resolver; what
 *          process_new_hosted() is given stays its host's.  Everything else is lent.
 * Promise: process_poll() carries out each cycle by the driver that the configuration names; where no
 *          event loop can be made, by the legacy loop, which one WARNING says.  No cycle waits for
 *          the end of another one.  Nothing of a cycle remains but what hangs in a call that never
 *          returns.
 */
#ifndef SPINE_ENGINE_PROCESS_H
#define SPINE_ENGINE_PROCESS_H

#include "drivers/ping.h"
#include "engine/cycle.h"

struct process;
struct services;
struct watchdog;

struct process_run {
    struct cycle *cycle;
    bool polled; /* false: it could not begin, err says why */
    struct err err;
};

NODISCARD struct process *process_new(const struct config *config,
                                      const struct ping_sockets *sockets, struct watchdog *watchdog,
                                      struct err *err);
/* In a process that has other cycles, with services that they share.  No signals are handled but those that
 * process_signal() tells.  Without an event loop it polls by the legacy loop, as above. */
NODISCARD struct process *process_new_hosted(const struct config *config, struct services *services,
                                             struct watchdog *watchdog);
/* A stop signal, or SIGUSR1, has come for the cycles of this one. */
void process_signal(struct process *p, int signo);
void process_poll(struct process *p, struct process_run *runs, size_t count);
/* A thread of its cycles was abandoned and may still use it: stop handling signals, free nothing.
 * */
void process_leave(struct process *p);
void process_free(struct process *p); /* NULL allowed */

#endif
