#include "config.h"

#include "engine/stopsig.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/thr.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define END_SIGNAL SIGUSR2 /* from stopsig_stop() to the thread */

const int stopsig_list[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, 0};

struct stopsig {
    pthread_t thread;
    pthread_mutex_t lock;
    bool ending; /* under lock */
    struct stopsig_calls calls;
    void *arg;
};

/* What a driver hears. */
static sigset_t heard(void)
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
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    struct sigaction ign = {.sa_handler = SIG_IGN};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    for (int i = 0; stopsig_list[i] != 0; i++)
        sigaction(stopsig_list[i], &dfl, NULL);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        sigaction(others[i], &dfl, NULL);
    sigaction(SIGPIPE, &ign, NULL);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
}

void stopsig_unblock(void)
{
    sigset_t set = heard();
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Stop signals act by default again; what else comes late has no effect. */
void stopsig_block(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
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
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    sigaction(signo, &dfl, NULL);
    sigemptyset(&only);
    sigaddset(&only, signo);
    raise(signo); /* for this thread: another one may be waiting for such a signal to take it */
    pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    _exit(128 + signo); /* not reached: the signal is delivered while unblocking */
}

static void unblock_stops(void)
{
    sigset_t set = heard();
    sigdelset(&set, SIGUSR1); /* would end us now */
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static bool is_ending(struct stopsig *s)
{
    thr_lock(&s->lock);
    bool ending = s->ending;
    thr_unlock(&s->lock);
    return ending;
}

static void *wait_signals(void *arg)
{
    struct stopsig *s = arg;
    sigset_t set = heard();
    sigaddset(&set, END_SIGNAL);
    for (int seen = 0;;) {
        int signo = 0;
        if (sigwait(&set, &signo) != 0)
            continue;
        if (signo == END_SIGNAL && is_ending(s))
            return NULL;
        if (signo == END_SIGNAL)
            continue; /* a stranger's */
        if (signo == SIGUSR1)
            s->calls.dump(s->arg);
        else if (seen++ > 0)
            stopsig_die(signo);
        else
            s->calls.stop(s->arg, signo);
    }
}

struct stopsig *stopsig_start(const struct stopsig_calls *calls, void *arg, struct err *err)
{
    struct stopsig *s = mem_zalloc(1, sizeof(*s));
    s->calls = *calls;
    s->arg = arg;
    thr_mutex_init(&s->lock);
    sigset_t set = heard();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (thr_start(&s->thread, "signals", wait_signals, s, err))
        return s;
    unblock_stops();
    pthread_mutex_destroy(&s->lock);
    free(s);
    return NULL;
}

void stopsig_stop(struct stopsig *s)
{
    if (s == NULL)
        return;
    thr_lock(&s->lock);
    s->ending = true;
    thr_unlock(&s->lock);
    pthread_kill(s->thread, END_SIGNAL);
    thr_join(s->thread);
    pthread_mutex_destroy(&s->lock);
    free(s);
    unblock_stops();
}
