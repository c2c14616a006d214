/* The ways in which children are supervised, for tests that must pass on all of them: on the loop
 * (event path) or on a thread of its own (legacy loop), by pidfd or by SIGCHLD, with the kernel's
 * list of children or without. */
#ifndef SPINE_TESTS_FACE_H
#define SPINE_TESTS_FACE_H

#include "leftovers.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"
#include "core/children.h"
#include "core/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { FACE_TOO_LATE_MS = 120000 }; /* turns a hang into a failure */
enum { FACE_STOP_MS = 60000 };      /* for a stop that is to be clean */

struct face_kind {
    const char *name;
    bool on_loop;
    struct children_options options;
};

static const struct face_kind face_kinds[] = {
    {"loop", true, {0}},
    {"loop, SIGCHLD, /proc", true, {.no_pidfd = true, .no_children_file = true}},
    {"thread", false, {0}},
    {"thread, SIGCHLD, /proc", false, {.no_pidfd = true, .no_children_file = true}},
};

struct face {
    const struct face_kind *kind;
    struct children *children;
    struct loop *loop;
    struct loop_timer too_late;
    int descriptors_before;
    bool stopped, clean;

    struct thr_mutex lock; /* the thread's side wakes the test's */
    pthread_cond_t changed;
    int arrived;
};

static inline void face_on_too_late(void *arg)
{
    (void)arg;
    fail_msg("too late");
}

static inline struct face *face_new(const struct face_kind *kind)
{
    struct face *f = mem_zalloc(1, sizeof(*f));
    struct err err = ERR_INIT;
    static const char *const set[] = {"MIBS=", NULL};
    struct children_options options = kind->options;
    sigset_t all;
    sigfillset(&all); /* as the program does before its first thread */
    sigdelset(&all, SIGINT);
    sigdelset(&all, SIGTERM);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    options.env_set = set;
    options.force_ms = FACE_TOO_LATE_MS;
    f->kind = kind;
    f->descriptors_before = leftovers_descriptors();
    thr_mutex_init(&f->lock);
    thr_cond_init(&f->changed);
    if (kind->on_loop) {
        f->loop = loop_new(LOOP_LIBEVENT, &err);
        assert_non_null(f->loop);
        loop_timer_init(&f->too_late, f->loop, face_on_too_late, NULL);
        f->children = children_new_on_loop(f->loop, &options, &err);
    }
    if (!kind->on_loop)
        f->children = children_new_on_thread(&options, &err);
    assert_non_null(f->children);
    return f;
}

/* One thing that was waited for has come; from the supervising thread. */
static inline void face_arrive(struct face *f)
{
    thr_lock(&f->lock);
    f->arrived++;
    pthread_cond_signal(&f->changed);
    thr_unlock(&f->lock);
    if (f->kind->on_loop)
        loop_stop(f->loop);
}

/* Until n have come since the last time. */
static inline void face_wait(struct face *f, int n)
{
    int64_t until_ms = clock_mono_ms() + FACE_TOO_LATE_MS;
    if (f->kind->on_loop) {
        loop_timer_set(&f->too_late, FACE_TOO_LATE_MS);
        while (f->arrived < n)
            loop_run(f->loop);
        loop_timer_cancel(&f->too_late);
        f->arrived -= n;
        return;
    }
    thr_lock(&f->lock);
    while (f->arrived < n)
        if (!thr_wait_until(&f->changed, &f->lock, until_ms))
            face_on_too_late(NULL);
    f->arrived -= n;
    thr_unlock(&f->lock);
}

static inline void face_call(struct face *f, children_fn *fn, void *arg)
{
    assert_true(children_call(f->children, fn, arg));
}

static inline void face_on_stopped(void *arg, bool clean)
{
    struct face *f = arg;
    f->clean = clean;
    f->stopped = true;
    loop_stop(f->loop);
}

/* Everything has ended within the time, or it is a failure. */
static inline void face_stop(struct face *f, int64_t within_ms)
{
    if (f->kind->on_loop) {
        loop_timer_set(&f->too_late, FACE_TOO_LATE_MS);
        children_stop(f->children, clock_mono_ms() + within_ms, face_on_stopped, f);
        while (!f->stopped)
            loop_run(f->loop);
        loop_timer_cancel(&f->too_late);
    }
    if (!f->kind->on_loop)
        f->clean = children_end(f->children, clock_mono_ms() + within_ms);
    assert_true(f->clean);
}

static inline void face_release(struct face *f)
{
    children_free(f->children);
    if (f->kind->on_loop) {
        loop_timer_cancel(&f->too_late);
        loop_free(f->loop);
    }
    pthread_cond_destroy(&f->changed);
    thr_mutex_done(&f->lock);
    free(f);
}

/* After face_stop(): no process and no descriptor is left. */
static inline void face_free(struct face *f)
{
    int descriptors_before = f->descriptors_before;
    face_release(f);
    assert_int_equal(leftovers_processes(), 0);
    assert_int_equal(leftovers_descriptors(), descriptors_before);
}

#endif
