#include "config.h"

#include "engine/stopsig.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/thr.h"
#include "core/loop.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define END_SIGNAL SIGUSR2 /* from stopsig_stop() to the thread */

static const struct sigaction stopsig_default = {.sa_handler = SIG_DFL};

/* The list ends with 0. */
static const int stopsig_list[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, 0};

struct stopsig {
    struct loop *loop; /* NULL: a thread of its own; of one that is told: under `call` */
    pthread_t thread;
    struct thr_mutex lock;
    bool ending GUARDED;                      /* under lock */
    int signo GUARDED;                        /* under lock: the first stop signal, 0 = none */
    TAILQ_HEAD(, stopsig_listener) listeners; /* under lock */

    bool told;             /* const: by stopsig_tell() */
    bool has_thread;       /* of one that is told */
    struct thr_mutex call; /* never held while a listener is called */
    pthread_cond_t called;
    uint64_t pending GUARDED; /* call: a bit for each signal */
    bool leaving GUARDED;     /* call */
    struct loop_letter letter;
};

static void stopsig_set_defaults(void)
{
    for (int i = 0; stopsig_list[i] != 0; i++)
        sigaction(stopsig_list[i], &stopsig_default, NULL);
}

/* The signals that a driver handles. */
static sigset_t stopsig_heard(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; stopsig_list[i] != 0; i++)
        sigaddset(&set, stopsig_list[i]);
    sigaddset(&set, SIGUSR1);
    return set;
}

void stopsig_normalise(void)
{
    static const int others[] = {SIGUSR1, SIGUSR2, SIGCHLD, SIGALRM};
    struct sigaction ign = {.sa_handler = SIG_IGN};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    stopsig_set_defaults();
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        sigaction(others[i], &stopsig_default, NULL);
    sigaction(SIGPIPE, &ign, NULL);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
}

void stopsig_log(int signo)
{
    if (signo == SIGINT)
        log_line(LOG_ALWAYS, "FATAL: Spine Interrupted by Console Operator");
    else if (signo == SIGQUIT)
        log_line(LOG_ALWAYS, "FATAL: Spine Encountered a Keyboard Quit Command");
    else
        log_line(LOG_ALWAYS, "FATAL: Spine Encountered An Unhandled Exception Signal Number: '%d'",
                 signo);
}

void stopsig_die(int signo)
{
    sigset_t only;
    sigaction(signo, &stopsig_default, NULL);
    sigemptyset(&only);
    sigaddset(&only, signo);
    raise(signo); /* for this thread: another one may be waiting for such a signal to take it */
    pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    _exit(128 + signo); /* not reached: the signal is delivered while unblocking */
}

/* Stop signals act by default again; SIGUSR1, which would end the process, stays out. */
static void stopsig_unblock_stops(void)
{
    sigset_t set = stopsig_heard();
    sigdelset(&set, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- telling ---- */

static void stopsig_tell_dump(struct stopsig *s)
{
    struct stopsig_listener *l;
    thr_lock(&s->lock);
    TAILQ_FOREACH (l, &s->listeners, next)
        l->dump(l->arg);
    thr_unlock(&s->lock);
}

/* false: it is not the first one. */
static bool stopsig_tell_stop(struct stopsig *s, int signo)
{
    struct stopsig_listener *l;
    thr_lock(&s->lock);
    bool first = s->signo == 0;
    if (first)
        s->signo = signo;
    for (l = TAILQ_FIRST(&s->listeners); first && l != NULL; l = TAILQ_NEXT(l, next))
        l->stop(l->arg, signo);
    thr_unlock(&s->lock);
    return first;
}

void stopsig_listen(struct stopsig *s, struct stopsig_listener *l)
{
    if (s == NULL)
        return;
    thr_lock(&s->lock);
    TAILQ_INSERT_TAIL(&s->listeners, l, next);
    if (s->signo != 0)
        l->stop(l->arg, s->signo);
    thr_unlock(&s->lock);
}

void stopsig_forget(struct stopsig *s, struct stopsig_listener *l)
{
    if (s == NULL)
        return;
    thr_lock(&s->lock);
    TAILQ_REMOVE(&s->listeners, l, next);
    thr_unlock(&s->lock);
}

/* ---- on the loop ---- */

static void stopsig_on_loop_stop(void *arg, int signo)
{
    struct stopsig *s = arg;
    stopsig_set_defaults(); /* a second one, of any number, ends the process */
    (void)stopsig_tell_stop(s, signo);
}

static void stopsig_on_loop_dump(void *arg, int signo UNUSED)
{
    stopsig_tell_dump(arg);
}

/* The kernel takes the handler away with the first signal, so that a second one of that number ends
 * the process, although the loop may be stuck and never come to set_defaults(). */
static void stopsig_hear_once(int signo)
{
    struct sigaction act;
    sigaction(signo, NULL, &act);
    act.sa_flags |= SA_RESETHAND;
    sigaction(signo, &act, NULL);
}

static void stopsig_start_on_loop(struct stopsig *s)
{
    sigset_t set = stopsig_heard();
    for (int i = 0; stopsig_list[i] != 0; i++) {
        loop_on_signal(s->loop, stopsig_list[i], stopsig_on_loop_stop, s);
        stopsig_hear_once(stopsig_list[i]);
    }
    loop_on_signal(s->loop, SIGUSR1, stopsig_on_loop_dump, s);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- on a thread of its own ---- */

static bool stopsig_is_ending(struct stopsig *s)
{
    thr_lock(&s->lock);
    bool ending = s->ending;
    thr_unlock(&s->lock);
    return ending;
}

static void *stopsig_wait_signals(void *arg)
{
    struct stopsig *s = arg;
    sigset_t set = stopsig_heard();
    sigaddset(&set, END_SIGNAL);
    for (;;) {
        int signo = 0;
        if (sigwait(&set, &signo) != 0)
            continue;
        if (signo == END_SIGNAL && stopsig_is_ending(s))
            return NULL;
        if (signo == END_SIGNAL)
            continue; /* sent by another process */
        if (signo == SIGUSR1)
            stopsig_tell_dump(s);
        else if (!stopsig_tell_stop(s, signo))
            stopsig_die(signo);
    }
}

static bool stopsig_start_thread(struct stopsig *s, struct err *err)
{
    sigset_t set = stopsig_heard();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (thr_start(&s->thread, "signals", stopsig_wait_signals, s, err))
        return true;
    stopsig_unblock_stops();
    return false;
}

static void stopsig_stop_thread(struct stopsig *s)
{
    thr_lock(&s->lock);
    s->ending = true;
    thr_unlock(&s->lock);
    pthread_kill(s->thread, END_SIGNAL);
    thr_join(s->thread);
    stopsig_unblock_stops();
}

/* ---- told by another part of the program ---- */

/* With `call` held, except while it delivers. */
static void stopsig_deliver(struct stopsig *s) REQUIRES(s->call);

static void stopsig_deliver(struct stopsig *s)
{
    uint64_t pending = s->pending;
    s->pending = 0;
    thr_unlock(&s->call);
    for (int signo = 1; signo < 64; signo++) {
        if ((pending >> signo & 1) == 0)
            continue;
        if (signo == SIGUSR1)
            stopsig_tell_dump(s);
        else
            (void)stopsig_tell_stop(s, signo);
    }
    thr_lock(&s->call);
}

static void stopsig_on_letter(void *arg)
{
    struct stopsig *s = arg;
    thr_lock(&s->call);
    stopsig_deliver(s);
    thr_unlock(&s->call);
}

static void *stopsig_wait_calls(void *arg)
{
    struct stopsig *s = arg;
    thr_lock(&s->call);
    while (!s->leaving) {
        if (s->pending != 0)
            stopsig_deliver(s);
        else
            thr_wait(&s->called, &s->call);
    }
    thr_unlock(&s->call);
    return NULL;
}

static void stopsig_start_told_thread(struct stopsig *s)
{
    struct err err = ERR_INIT;
    s->has_thread = thr_start(&s->thread, "signals", stopsig_wait_calls, s, &err);
    if (!s->has_thread)
        log_line(LOG_ALWAYS, "WARNING: stop signals are not handled: %s", err.text);
}

static void stopsig_leave_loop_told(struct stopsig *s)
{
    thr_lock(&s->call);
    s->loop = NULL;
    (void)loop_take_back(&s->letter);
    thr_unlock(&s->call);
    stopsig_start_told_thread(s); /* which delivers what was on the way */
}

static void stopsig_stop_told(struct stopsig *s)
{
    thr_lock(&s->call);
    s->leaving = true;
    (void)loop_take_back(&s->letter);
    thr_wake_one(&s->called);
    thr_unlock(&s->call);
    if (s->has_thread)
        thr_join(s->thread);
}

void stopsig_tell(struct stopsig *s, int signo)
{
    thr_lock(&s->call);
    if (s->loop != NULL && s->pending == 0)
        loop_post(s->loop, &s->letter, stopsig_on_letter, s);
    s->pending |= (uint64_t)1 << signo;
    thr_wake_one(&s->called);
    thr_unlock(&s->call);
}

/* ---- life ---- */

static void free_stopsig(struct stopsig *s)
{
    thr_cond_done(&s->called);
    thr_mutex_done(&s->call);
    thr_mutex_done(&s->lock);
    free(s);
}

static struct stopsig *stopsig_new(struct loop *loop)
{
    struct stopsig *s = mem_zalloc(1, sizeof(*s));
    s->loop = loop;
    TAILQ_INIT(&s->listeners);
    thr_mutex_init(&s->lock);
    thr_mutex_init(&s->call);
    thr_cond_init(&s->called);
    return s;
}

struct stopsig *stopsig_new_told(struct loop *loop)
{
    struct stopsig *s = stopsig_new(loop);
    s->told = true;
    if (loop == NULL)
        stopsig_start_told_thread(s);
    return s;
}

struct stopsig *stopsig_start(struct loop *loop, struct err *err)
{
    struct stopsig *s = stopsig_new(loop);
    if (loop != NULL)
        stopsig_start_on_loop(s);
    else if (!stopsig_start_thread(s, err)) {
        free_stopsig(s);
        return NULL;
    }
    return s;
}

/* Stop signals act by default again; a late SIGUSR1 has no effect. */
static void stopsig_stop_on_loop(void)
{
    sigset_t dump;
    sigemptyset(&dump);
    sigaddset(&dump, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &dump, NULL);
    stopsig_set_defaults();
}

/* Blocked from here on: what comes later waits for the thread, what came before is on the loop. */
struct stopsig *stopsig_leave_loop(struct stopsig *s, struct err *err)
{
    sigset_t set = stopsig_heard();
    if (s->told) {
        stopsig_leave_loop_told(s);
        return s;
    }
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    loop_turn_now(s->loop);
    stopsig_set_defaults();
    s->loop = NULL;
    if (stopsig_start_thread(s, err))
        return s;
    free_stopsig(s);
    return NULL;
}

void stopsig_stop(struct stopsig *s)
{
    if (s == NULL)
        return;
    if (s->told)
        stopsig_stop_told(s);
    else if (s->loop == NULL)
        stopsig_stop_thread(s);
    else
        stopsig_stop_on_loop();
    free_stopsig(s);
}
