#include "config.h"

#include "base/thr.h"

#include "base/clock.h"
#include "base/fatal.h"
#include "base/mem.h"
#include "base/scope.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* A hundred threads of the default 8 MB would need 800 MB of address space; name service modules and key derivation are
 * content with far less than this. */
#define STACK_BYTES ((size_t)1024 * 1024)

#define PTOK(call)  CHECK((call) == 0)

void thr_mutex_init(struct thr_mutex *m)
{
    PTOK(pthread_mutex_init(&m->mutex, NULL));
}

void thr_mutex_done(struct thr_mutex *m)
{
    PTOK(pthread_mutex_destroy(&m->mutex));
}

UNCHECKED_LOCKS void thr_lock(struct thr_mutex *m)
{
    PTOK(pthread_mutex_lock(&m->mutex));
}

UNCHECKED_LOCKS bool thr_trylock(struct thr_mutex *m)
{
    return pthread_mutex_trylock(&m->mutex) == 0;
}

UNCHECKED_LOCKS void thr_unlock(struct thr_mutex *m)
{
    PTOK(pthread_mutex_unlock(&m->mutex));
}

void thr_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    PTOK(pthread_condattr_init(&attr));
    PTOK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    PTOK(pthread_cond_init(c, &attr));
    PTOK(pthread_condattr_destroy(&attr));
}

void thr_cond_done(pthread_cond_t *c)
{
    PTOK(pthread_cond_destroy(c));
}

void thr_wake_one(pthread_cond_t *c)
{
    PTOK(pthread_cond_signal(c));
}

void thr_wake_all(pthread_cond_t *c)
{
    PTOK(pthread_cond_broadcast(c));
}

void thr_wait(pthread_cond_t *c, struct thr_mutex *m)
{
    PTOK(pthread_cond_wait(c, &m->mutex));
}

bool thr_wait_until(pthread_cond_t *c, struct thr_mutex *m, int64_t mono_ms)
{
    struct timespec ts = clock_timespec_ms(mono_ms);
    int rc = pthread_cond_timedwait(c, &m->mutex, &ts);
    CHECK(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

void thr_role_adopt(struct thr_role *r)
{
    r->thread = thr_self();
    r->adopted = true;
}

void thr_role_assert(const struct thr_role *r)
{
    CHECK(r->adopted && pthread_equal(r->thread, thr_self()));
}

struct begin {
    void *(*fn)(void *);
    void *arg;
    struct scope *scope; /* a reference, the thread's */
};

static void *thr_run(void *arg)
{
    struct begin begin = *(struct begin *)arg;
    free(arg);
    void *stack = fatal_thread_begin();
    (void)scope_enter(begin.scope);
    void *result = begin.fn(begin.arg);
    (void)scope_enter(NULL);
    scope_unref(begin.scope);
    fatal_thread_end(stack);
    return result;
}

bool thr_start(pthread_t *ret, const char *name, void *(*fn)(void *), void *arg, struct err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    fatal_unblock(&all);
    PTOK(pthread_sigmask(SIG_SETMASK, &all, &before));
    pthread_attr_t attr;
    PTOK(pthread_attr_init(&attr));
    PTOK(pthread_attr_setstacksize(&attr, STACK_BYTES));
    struct begin *begin = mem_alloc(sizeof(*begin));
    *begin = (struct begin){fn, arg, scope_ref(scope_get())};
    int rc = pthread_create(ret, &attr, thr_run, begin);
    PTOK(pthread_attr_destroy(&attr));
    PTOK(pthread_sigmask(SIG_SETMASK, &before, NULL));
    if (rc != 0) {
        scope_unref(begin->scope);
        free(begin);
        return err_set_number(err, ERR_OS, rc, "cannot start thread %s: %s", name, strerror(rc));
    }
    char shown[16];
    strncpy(shown, name, sizeof(shown) - 1);
    shown[sizeof(shown) - 1] = '\0';
    pthread_setname_np(*ret, shown);
    return true;
}

void thr_join(pthread_t t)
{
    PTOK(pthread_join(t, NULL));
}

void thr_detach(pthread_t t)
{
    PTOK(pthread_detach(t));
}

pthread_t thr_self(void)
{
    return pthread_self();
}
