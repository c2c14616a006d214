/* base/thr.h - threads, mutexes and conditions whose errors cannot be overlooked.
 *
 * Why:     conditions wait on the monotonic clock; every thread starts with all signals blocked, so
 * signals reach only the main thread (house rule); faults (base/fatal) are not held back; a failing pthread call is a bug and aborts.
 * Threads: any.
 */
#ifndef SPINE_BASE_THR_H
#define SPINE_BASE_THR_H

#include "base/compiler.h"
#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

void thr_mutex_init(pthread_mutex_t *m);
void thr_cond_init(pthread_cond_t *c); /* CLOCK_MONOTONIC */
void thr_lock(pthread_mutex_t *m);
void thr_unlock(pthread_mutex_t *m);
void thr_wait(pthread_cond_t *c, pthread_mutex_t *m);
/* false: the monotonic deadline has passed. */
bool thr_wait_until(pthread_cond_t *c, pthread_mutex_t *m, int64_t mono_ms);

/* Start a thread named `name` (15 characters show) with all signals blocked but the fatal ones.
 * Fails with ERR_OS. */
NODISCARD bool thr_start(pthread_t *ret, const char *name, void *(*fn)(void *), void *arg,
                         struct err *err);
void thr_join(pthread_t t);

#endif
