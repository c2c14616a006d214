/* base/thr.h - threads, mutexes and conditions whose errors cannot be overlooked.
 *
 * Why:     conditions wait on the monotonic clock; every thread starts with all signals blocked except
 *          faults (base/fatal), so that a signal arrives where engine/stopsig expects it
 *          (docs/threads.md); a failing pthread call is a bug and aborts.  Threads, waits and wake-ups pass
 *          through this module alone, so that the simulation (tests/sim) can be the scheduler.
 * Threads: any.
 */
#ifndef SPINE_BASE_THR_H
#define SPINE_BASE_THR_H

#include "base/compiler.h"
#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct CAPABILITY("mutex") thr_mutex {
    pthread_mutex_t mutex;
};

#define THR_MUTEX_INITIALIZER                                                                      \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER                                                                  \
    }

void thr_mutex_init(struct thr_mutex *m);
void thr_mutex_done(struct thr_mutex *m);
void thr_lock(struct thr_mutex *m) ACQUIRE(*m);
bool thr_trylock(struct thr_mutex *m) TRY_ACQUIRE(true, *m);
void thr_unlock(struct thr_mutex *m) RELEASE(*m);

void thr_cond_init(pthread_cond_t *c); /* CLOCK_MONOTONIC */
void thr_cond_done(pthread_cond_t *c);
void thr_wake_one(pthread_cond_t *c);
void thr_wake_all(pthread_cond_t *c);
void thr_wait(pthread_cond_t *c, struct thr_mutex *m) REQUIRES(*m);
/* false: the monotonic deadline has passed. */
bool thr_wait_until(pthread_cond_t *c, struct thr_mutex *m, int64_t mono_ms) REQUIRES(*m);

/* What only one thread does at a time, such as using a database connection.  A role is free until a
 * thread adopts it, which another thread may do when the first one has finished. */
struct CAPABILITY("role") thr_role {
    pthread_t thread;
    bool adopted;
};

void thr_role_adopt(struct thr_role *r) ASSERTS(*r);
/* Aborts unless the calling thread has adopted it. */
void thr_role_assert(const struct thr_role *r) ASSERTS(*r);

/* Start a thread named `name` (15 characters show) with all signals blocked but the fatal ones, in the
 * scope (base/scope) of the caller.  Fails with ERR_OS. */
NODISCARD bool thr_start(pthread_t *ret, const char *name, void *(*fn)(void *), void *arg,
                         struct err *err);
void thr_join(pthread_t t);
void thr_detach(pthread_t t); /* no thread joins it */
pthread_t thr_self(void);

#endif
