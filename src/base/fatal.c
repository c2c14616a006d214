#include "config.h"

#include "base/fatal.h"

#include "base/lastword.h"
#include "base/mem.h"

#include <stddef.h>
#include <stdlib.h>

/* Sanitizers have handlers and stacks of their own. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define HAVE_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAVE_SANITIZER 1
#endif

#ifndef HAVE_SANITIZER
#define HAVE_SANITIZER 0
#endif

enum { STACK_BYTES = 32768 };

static const struct {
    int signo;
    const char *text;
} fatal[] = {
    {SIGSEGV, "FATAL: Spine Encountered a Segmentation Fault"},
    {SIGBUS, "FATAL: Spine Encountered a Bus Error"},
    {SIGFPE, "FATAL: Spine Encountered a Floating Point Exception"},
    {SIGABRT, "FATAL: Spine Interrupted by Abort Signal"},
    {SIGILL, "FATAL: Spine Encountered An Unhandled Exception Signal Number: '4'"},
    {SIGSYS, "FATAL: Spine Encountered An Unhandled Exception Signal Number: '31'"},
};

/* The disposition is the default one again (SA_RESETHAND): a fault repeats itself when we return,
 * what was sent is pending then. */
static void on_fatal(int signo)
{
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
        if (fatal[i].signo == signo)
            lastword_say(fatal[i].text);
    raise(signo);
}

static void fatal_take(int signo)
{
    struct sigaction old, ours = {.sa_handler = on_fatal};
    ours.sa_flags = SA_ONSTACK | (int)SA_RESETHAND;
    sigemptyset(&ours.sa_mask);
    if (sigaction(signo, NULL, &old) == 0 && (old.sa_flags & SA_SIGINFO) == 0 &&
        (old.sa_handler == SIG_DFL || old.sa_handler == SIG_IGN))
        sigaction(signo, &ours, NULL);
}

void fatal_start(void)
{
    sigset_t all;
    sigemptyset(&all);
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++) {
        fatal_take(fatal[i].signo);
        sigaddset(&all, fatal[i].signo);
    }
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    static void *stack; /* of the main thread, for the life of the process */
    if (stack == NULL)
        stack = fatal_thread_begin();
}

void fatal_unblock(sigset_t *blocked)
{
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
        sigdelset(blocked, fatal[i].signo);
}

void *fatal_thread_begin(void)
{
    if (HAVE_SANITIZER)
        return NULL;
    stack_t stack = {.ss_sp = mem_alloc(STACK_BYTES), .ss_size = STACK_BYTES};
    if (sigaltstack(&stack, NULL) == 0)
        return stack.ss_sp;
    free(stack.ss_sp);
    return NULL;
}

void fatal_thread_end(void *memory)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    if (memory != NULL && sigaltstack(&none, NULL) == 0)
        free(memory);
}
