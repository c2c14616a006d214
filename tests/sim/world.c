/* The scheduler, in the place of base/thr.o and base/clock.o: threads are coroutines on one thread. */
#include "config.h"

#include "process.h"
#include "sim.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum {
    THREADS_MAX = 400,
    STACK_BYTES = 512 * 1024,
    STEPS_MAX = 4000000,
    SWITCH_US = 12,
    LATEST_S = 1200,
};

enum thread_state { THREAD_READY, THREAD_WAITS, THREAD_HANGS, THREAD_OVER };

struct thread {
    ucontext_t context;
    char *stack;
    enum thread_state state;
    char name[16];
    void *(*fn)(void *);
    void *arg;
    const void *on; /* what it waits on: a condition, a mutex, a thread; NULL: ready() or time */
    bool (*ready)(void *);
    void *ready_arg;
    int64_t until_us; /* INT64_MAX: no limit */
    int64_t not_before_us;
    bool timed_out, detached, joined;
};

struct event {
    int64_t us;
    uint64_t number;
    sim_fn *fn;
    void *arg;
};

static struct {
    const struct plan *plan;
    uint64_t rng, trace;
    int64_t now_us, wall_ahead_us, start_us;
    struct thread *threads[THREADS_MAX]; /* 0: the caller of sim_begin() */
    size_t thread_count, hanging;
    struct thread *running;
    struct event *heap;
    size_t event_count, event_cap;
    uint64_t next_event, steps;
    bool kicked;
    char *stacks[THREADS_MAX]; /* free ones */
    size_t stack_count;
} world;

static struct thread main_thread = {.name = "main", .until_us = INT64_MAX};

/* ---- chance ---- */

uint64_t plan_mix(uint64_t a, uint64_t b)
{
    uint64_t z = a + 0x9e3779b97f4a7c15U * (b + 1);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

uint32_t sim_rand(uint32_t n)
{
    world.rng = plan_mix(world.rng, 1);
    return n == 0 ? 0 : (uint32_t)((world.rng >> 16) % n);
}

bool sim_chance(uint32_t per_mille)
{
    return per_mille > 0 && sim_rand(1000) < per_mille;
}

void sim_note(uint64_t what)
{
    world.trace = plan_mix(world.trace, what);
}

uint64_t sim_trace(void)
{
    return world.trace;
}

const struct plan *sim_plan(void)
{
    return world.plan;
}

/* ---- time and events ---- */

int64_t sim_now_us(void)
{
    return world.now_us;
}

int64_t sim_start_us(void)
{
    return world.start_us;
}

void sim_step_wall(int64_t us)
{
    world.wall_ahead_us += us;
}

static bool is_earlier(const struct event *a, const struct event *b)
{
    return a->us != b->us ? a->us < b->us : a->number < b->number;
}

void sim_at(int64_t us, sim_fn *fn, void *arg)
{
    world.heap =
        mem_grow(world.heap, world.event_count, &world.event_cap, 256, sizeof(*world.heap));
    struct event e = {us < world.now_us ? world.now_us : us, world.next_event++, fn, arg};
    size_t i = world.event_count++;
    for (; i > 0 && is_earlier(&e, &world.heap[(i - 1) / 2]); i = (i - 1) / 2)
        world.heap[i] = world.heap[(i - 1) / 2];
    world.heap[i] = e;
}

static struct event take_event(void)
{
    struct event first = world.heap[0], last = world.heap[--world.event_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= world.event_count)
            break;
        if (child + 1 < world.event_count && is_earlier(&world.heap[child + 1], &world.heap[child]))
            child++;
        if (!is_earlier(&world.heap[child], &last))
            break;
        world.heap[i] = world.heap[child];
        i = child;
    }
    world.heap[i] = last;
    return first;
}

static void fire_events(void)
{
    while (world.event_count > 0 && world.heap[0].us <= world.now_us) {
        struct event e = take_event();
        e.fn(e.arg);
    }
}

/* ---- the scheduler ---- */

static void make_ready(struct thread *t, bool timed_out)
{
    t->state = THREAD_READY;
    t->timed_out = timed_out;
    t->on = NULL;
    t->ready = NULL;
    t->until_us = INT64_MAX;
    t->not_before_us = 0;
    if (sim_chance(world.plan->starves))
        t->not_before_us = world.now_us + sim_rand((uint32_t)world.plan->starve_us + 1);
}

static void look_at_waits(void)
{
    for (size_t i = 0; i < world.thread_count; i++) {
        struct thread *t = world.threads[i];
        if (t->state != THREAD_WAITS)
            continue;
        if (world.kicked && t->ready != NULL && t->ready(t->ready_arg))
            make_ready(t, false);
        else if (t->until_us <= world.now_us)
            make_ready(t, true);
    }
    world.kicked = false;
}

static void print_waits(void)
{
    for (size_t i = 0; i < world.thread_count; i++) {
        const struct thread *t = world.threads[i];
        fprintf(stderr, "  thread %zu %s: state %d on %p\n", i, t->name, (int)t->state, t->on);
    }
}

/* The next moment at which something can happen. */
static void go_on_in_time(void)
{
    int64_t next = world.event_count > 0 ? world.heap[0].us : INT64_MAX;
    for (size_t i = 0; i < world.thread_count; i++) {
        const struct thread *t = world.threads[i];
        int64_t at = INT64_MAX;
        if (t->state == THREAD_WAITS)
            at = t->until_us;
        else if (t->state == THREAD_READY)
            at = t->not_before_us;
        next = at < next ? at : next;
    }
    if (next == INT64_MAX || next > world.start_us + LATEST_S * INT64_C(1000000)) {
        print_waits();
        sim_fail(next == INT64_MAX ? "every thread waits, and nothing will happen"
                                   : "the cycle does not end");
    }
    if (next > world.now_us)
        world.now_us = next;
}

static struct thread *pick(void)
{
    struct thread *able[THREADS_MAX];
    for (;;) {
        size_t n = 0;
        fire_events();
        look_at_waits();
        for (size_t i = 0; i < world.thread_count; i++)
            if (world.threads[i]->state == THREAD_READY &&
                world.threads[i]->not_before_us <= world.now_us)
                able[n++] = world.threads[i];
        if (n > 0)
            return able[sim_rand((uint32_t)n)];
        go_on_in_time();
    }
}

static void forget_over(void)
{
    size_t n = 0;
    for (size_t i = 0; i < world.thread_count; i++) {
        struct thread *t = world.threads[i];
        if (t->state == THREAD_OVER && (t->joined || t->detached) && t != world.running) {
            world.stacks[world.stack_count++] = t->stack;
            free(t);
        } else {
            world.threads[n++] = t;
        }
    }
    world.thread_count = n;
}

/* Another thread runs, or this one goes on. */
static void sim_switch(void)
{
    struct thread *from = world.running;
    if (++world.steps > STEPS_MAX) {
        print_waits();
        sim_fail("the threads run in circles");
    }
    world.now_us += 1 + sim_rand(SWITCH_US);
    struct thread *to = pick();
    sim_note((uint64_t)world.now_us);
    if (to == from)
        return;
    world.running = to;
    swapcontext(&from->context, &to->context);
    forget_over();
}

static bool wait_on(const void *on, bool (*ready)(void *), void *arg, int64_t until_us)
{
    struct thread *t = world.running;
    t->state = THREAD_WAITS;
    t->on = on;
    t->ready = ready;
    t->ready_arg = arg;
    t->until_us = until_us;
    sim_switch();
    return !t->timed_out;
}

static void wake(const void *on, bool all)
{
    struct thread *waiting[THREADS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < world.thread_count; i++)
        if (world.threads[i]->state == THREAD_WAITS && world.threads[i]->on == on)
            waiting[n++] = world.threads[i];
    if (!all && n > 1) {
        waiting[0] = waiting[sim_rand((uint32_t)n)];
        n = 1;
    }
    for (size_t i = 0; i < n; i++)
        make_ready(waiting[i], false);
}

static void may_yield(void)
{
    if (world.plan != NULL && sim_chance(world.plan->yields))
        sim_switch();
}

void sim_sleep(int64_t us)
{
    (void)wait_on(NULL, NULL, NULL, world.now_us + us);
}

bool sim_wait(bool (*ready)(void *arg), void *arg, int64_t until_us)
{
    if (ready(arg))
        return true;
    if (until_us <= world.now_us)
        return false;
    return wait_on(NULL, ready, arg, until_us) || ready(arg);
}

void sim_kick(void)
{
    world.kicked = true;
}

void sim_hang(void)
{
    world.running->state = THREAD_HANGS;
    world.hanging++;
    sim_switch();
    abort();
}

size_t sim_hanging(void)
{
    return world.hanging;
}

/* ---- base/thr.h ---- */

/* A mutex of the world is the thread that holds it. */
static struct thread *holder(const struct thr_mutex *m)
{
    struct thread *t;
    memcpy(&t, &m->mutex, sizeof(t));
    return t;
}

static void set_holder(struct thr_mutex *m, struct thread *t)
{
    memcpy(&m->mutex, &t, sizeof(t));
}

void thr_mutex_init(struct thr_mutex *m)
{
    memset(m, 0, sizeof(*m));
}

void thr_mutex_done(struct thr_mutex *m)
{
    SIM_CHECK(holder(m) == NULL, "a mutex is destroyed while it is held");
}

UNCHECKED_LOCKS void thr_lock(struct thr_mutex *m)
{
    may_yield();
    SIM_CHECK(holder(m) != world.running, "thread %s locks a mutex twice", world.running->name);
    while (holder(m) != NULL)
        (void)wait_on(m, NULL, NULL, INT64_MAX);
    set_holder(m, world.running);
}

UNCHECKED_LOCKS bool thr_trylock(struct thr_mutex *m)
{
    if (holder(m) != NULL)
        return false;
    set_holder(m, world.running);
    return true;
}

UNCHECKED_LOCKS void thr_unlock(struct thr_mutex *m)
{
    SIM_CHECK(holder(m) == world.running, "a mutex is unlocked by another thread");
    set_holder(m, NULL);
    wake(m, true);
    may_yield();
}

void thr_cond_init(pthread_cond_t *c)
{
    memset(c, 0, sizeof(*c));
}

void thr_cond_done(pthread_cond_t *c)
{
    for (size_t i = 0; i < world.thread_count; i++)
        SIM_CHECK(world.threads[i]->state != THREAD_WAITS || world.threads[i]->on != c,
                  "a condition is destroyed while thread %s waits on it", world.threads[i]->name);
}

void thr_wake_one(pthread_cond_t *c)
{
    wake(c, false);
}

void thr_wake_all(pthread_cond_t *c)
{
    wake(c, true);
}

static bool wait_cond(pthread_cond_t *c, struct thr_mutex *m, int64_t until_us)
{
    SIM_CHECK(holder(m) == world.running, "a wait without the mutex");
    set_holder(m, NULL);
    wake(m, true);
    bool in_time = wait_on(c, NULL, NULL, until_us);
    while (holder(m) != NULL)
        (void)wait_on(m, NULL, NULL, INT64_MAX);
    set_holder(m, world.running);
    return in_time;
}

void thr_wait(pthread_cond_t *c, struct thr_mutex *m)
{
    (void)wait_cond(c, m, INT64_MAX);
}

bool thr_wait_until(pthread_cond_t *c, struct thr_mutex *m, int64_t mono_ms)
{
    int64_t us = mono_ms > INT64_MAX / 1000 ? INT64_MAX : mono_ms * 1000;
    if (us <= world.now_us) {
        thr_unlock(m);
        thr_lock(m);
        return false;
    }
    return wait_cond(c, m, us);
}

pthread_t thr_self(void)
{
    return (pthread_t)(uintptr_t)world.running;
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

static void thread_main(void)
{
    struct thread *t = world.running;
    (void)t->fn(t->arg);
    t->state = THREAD_OVER;
    wake(t, true);
    sim_switch();
    abort();
}

static char *new_stack(void)
{
    if (world.stack_count > 0)
        return world.stacks[--world.stack_count];
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(stack != MAP_FAILED);
    CHECK(mprotect(stack, 4096, PROT_NONE) == 0);
    return stack;
}

bool thr_start(pthread_t *ret, const char *name, void *(*fn)(void *), void *arg,
               struct err *err UNUSED)
{
    SIM_CHECK(world.thread_count < THREADS_MAX, "too many threads");
    struct thread *t = mem_zalloc(1, sizeof(*t));
    t->fn = fn;
    t->arg = arg;
    t->stack = new_stack();
    snprintf(t->name, sizeof(t->name), "%s", name);
    CHECK(getcontext(&t->context) == 0);
    t->context.uc_stack.ss_sp = t->stack;
    t->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&t->context, thread_main, 0);
    make_ready(t, false);
    world.threads[world.thread_count++] = t;
    *ret = (pthread_t)(uintptr_t)t;
    may_yield();
    return true;
}

void thr_join(pthread_t thread)
{
    struct thread *t = (struct thread *)(uintptr_t)thread;
    SIM_CHECK(!t->joined && !t->detached, "thread %s is joined twice", t->name);
    while (t->state != THREAD_OVER)
        (void)wait_on(t, NULL, NULL, INT64_MAX);
    t->joined = true;
    forget_over();
}

void thr_detach(pthread_t thread)
{
    ((struct thread *)(uintptr_t)thread)->detached = true;
}

/* ---- base/clock.h ---- */

int64_t clock_mono_us(void)
{
    return world.now_us;
}

int64_t clock_mono_ms(void)
{
    return world.now_us / 1000;
}

int64_t clock_wall_us(void)
{
    return INT64_C(1700000000000000) + world.now_us + world.wall_ahead_us;
}

void clock_pause_ms(int ms)
{
    sim_sleep((int64_t)ms * 1000);
}

struct timespec clock_timespec_ms(int64_t mono_ms)
{
    return (struct timespec){.tv_sec = (time_t)(mono_ms / 1000),
                             .tv_nsec = (long)(mono_ms % 1000) * 1000000};
}

/* ---- begin and end ---- */

void sim_begin(const struct plan *plan)
{
    world.plan = plan;
    world.rng = plan_mix(plan->seed, 77);
    world.trace = plan->seed;
    world.now_us = INT64_C(1000000000) + (int64_t)(plan->seed % 1000);
    world.start_us = world.now_us;
    world.wall_ahead_us = 0;
    main_thread = (struct thread){.name = "main", .until_us = INT64_MAX};
    world.running = &main_thread;
    world.threads[0] = &main_thread;
    world.thread_count = 1;
    world.hanging = 0;
    world.event_count = 0;
    world.steps = 0;
    sim_log_forget();
    sim_net_begin();
    agents_begin(plan);
}

/* Messages on their way and the like: they arrive nowhere, and are freed. */
static void drain_events(void)
{
    while (world.event_count > 0) {
        struct event e = take_event();
        e.fn(e.arg);
    }
}

void sim_end(void)
{
    for (size_t i = 1; i < world.thread_count; i++)
        SIM_CHECK(world.threads[i]->state == THREAD_OVER || world.threads[i]->state == THREAD_HANGS,
                  "thread %s is left", world.threads[i]->name);
    forget_over();
    SIM_CHECK(sim_processes() == 0, "%zu processes are left", sim_processes());
    if (world.hanging == 0)
        SIM_CHECK(world.thread_count == 1, "thread %s was never joined", world.threads[1]->name);
    sim_net_end();
    drain_events();
    world.plan = NULL;
}

void sim_fail(const char *fmt, ...)
{
    va_list args;
    fprintf(stderr, "FAILED at %.3f ms: ", (double)(world.now_us - world.start_us) / 1000);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    sim_log_print();
    fflush(stderr);
    _exit(3);
}
