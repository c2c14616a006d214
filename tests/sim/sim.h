/* sim.h - a world in which a poll cycle runs without a kernel: time, threads, network, database and
 * children are simulated, and a seed decides everything.
 *
 * Why:     what may happen in either order happens in every order; a failure is repeated by its seed.
 * Use:     sim_begin(&plan);  ... the engine, through its usual headers ...  sim_end();
 * Threads: there is one.  Threads of the engine (base/thr.h) are coroutines; exactly one runs, until it waits,
 *          or at a lock where the seed says so.
 * Time:    stands still while a coroutine runs, but for some microseconds per switch, and jumps to the next
 *          event when all of them wait.
 */
#ifndef SIM_H
#define SIM_H

#include "base/compiler.h"
#include "plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the world (world.c) ---- */

void sim_begin(const struct plan *plan);
/* After the cycle: fails if a thread, a descriptor or a child is left. */
void sim_end(void);
const struct plan *sim_plan(void);

/* The run has failed: tells why, and ends the process. */
NORETURN void sim_fail(const char *fmt, ...) PRINTF(1, 2);
#define SIM_CHECK(condition, ...)                                                                  \
    do {                                                                                           \
        if (!(condition))                                                                          \
            sim_fail(__VA_ARGS__);                                                                 \
    } while (0)

int64_t sim_now_us(void);
int64_t sim_start_us(void);    /* when the cycle's process started */
uint32_t sim_rand(uint32_t n); /* 0 .. n - 1 */
bool sim_chance(uint32_t per_mille);
uint64_t sim_trace(void);     /* a hash of all that happened: two runs of one plan have the same */
void sim_note(uint64_t what); /* into the trace */

typedef void sim_fn(void *arg);
/* fn(arg) at that time, between two steps of the threads; it must not wait. */
void sim_at(int64_t us, sim_fn *fn, void *arg);
void sim_sleep(int64_t us);
/* Wait until ready(arg); false: until that time. INT64_MAX: without an end. */
bool sim_wait(bool (*ready)(void *arg), void *arg, int64_t until_us);
void sim_kick(void);          /* what a ready() looks at has changed */
NORETURN void sim_hang(void); /* the calling thread never returns */
size_t sim_hanging(void);
void sim_step_wall(int64_t us); /* the wall clock jumps */

/* ---- descriptors (net.c) ---- */

/* What the loop watches and wire_sockets opens. */
int sim_fd_open(int kind);
void sim_fd_close(int fd);
bool sim_fd_ready(int fd, bool writable);
void sim_bell_set(int fd, bool rings);
size_t sim_fds_open(void);
/* From then on no message may be sent, but for the slack of the plan's threads. */
void sim_net_until(int64_t us);
void sim_net_begin(void);
void sim_net_end(void);

/* ---- agents (agent.c) ---- */

void agents_begin(const struct plan *plan);
/* The agent of that device is asked; false: it says nothing. */
bool agents_answer(size_t device, const uint8_t *bytes, size_t len, int64_t now_ms, uint8_t *ret,
                   size_t *ret_len);
enum { AGENTS_ROOM = 66100 };

/* ---- the log (fake_log.c) ---- */

void sim_log_forget(void);
void sim_log_print(void); /* the last lines, to standard error */

#endif
