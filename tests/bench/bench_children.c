/* How fast scripts run, and how long the loop stands still meanwhile.
 *
 *   bench_children [COMMAND [BALLAST_MB]]
 *
 * Each line: scripts, slots, wall time, scripts per second, own CPU, and the longest time that
 * nothing else could happen on the loop. */
#include "config.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"
#include "core/children.h"
#ifdef HAVE_LIBEVENT
#include "core/loop.h"
#endif
#include "drivers/script.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char *command = "echo 1";

struct bench {
    struct children *children;
    struct script_runner *runner;
    int wanted, done, bad;
    pthread_mutex_t lock;
    int next; /* under lock */
#ifdef HAVE_LIBEVENT
    struct loop *loop;
    struct loop_timer *tick;
    int64_t ticked_us, stall_us;
#endif
};

static double own_cpu(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void report(const char *face, int scripts, int slots, int64_t begun_us, double cpu,
                   int64_t stall_us, int bad)
{
    double wall = (double)(clock_mono_us() - begun_us) / 1e6;
    printf("%-7s %5d scripts %4d slots %7.3f s %7.0f /s  %6.3f s CPU  stall %6.2f ms%s\n", face,
           scripts, slots, wall, scripts / wall, own_cpu() - cpu, (double)stall_us / 1e3,
           bad > 0 ? "  SOME FAILED" : "");
}

#ifdef HAVE_LIBEVENT
static void on_tick(void *arg)
{
    struct bench *b = arg;
    int64_t now_us = clock_mono_us();
    if (b->ticked_us != 0 && now_us - b->ticked_us > b->stall_us)
        b->stall_us = now_us - b->ticked_us;
    b->ticked_us = now_us;
    loop_timer_set(b->tick, 0);
}

static void on_done(void *arg, const struct script_reply *reply)
{
    struct bench *b = arg;
    b->bad += reply->outcome != SCRIPT_OUTPUT;
    if (++b->done == b->wanted)
        loop_stop(b->loop);
}

static void on_stopped(void *arg, bool clean)
{
    struct bench *b = arg;
    b->bad += !clean;
    loop_stop(b->loop);
}

/* The tick keeps the loop turning, so that its longest turn is seen; it costs CPU. */
static void on_loop(int scripts, int slots, bool tick)
{
    struct err err = ERR_INIT;
    struct children_options co = {0};
    struct script_options so = script_default_options();
    struct bench b = {.wanted = scripts};
    struct script_request request = {.command = command};
    so.slots = slots;
    b.loop = loop_new(&err);
    b.children = children_new_on_loop(b.loop, &co, &err);
    CHECK(b.children != NULL);
    b.runner = script_runner_new(b.children, &so);
    b.tick = loop_timer_new(b.loop, on_tick, &b);
    int64_t begun_us = clock_mono_us();
    double cpu = own_cpu();
    for (int i = 0; i < scripts; i++)
        script_start(b.runner, &request, clock_mono_ms() + 600000, on_done, &b);
    if (tick)
        loop_timer_set(b.tick, 0);
    loop_run(b.loop);
    report(tick ? "loop*" : "loop", scripts, slots, begun_us, cpu, b.stall_us, b.bad);
    loop_timer_cancel(b.tick);
    children_stop(b.children, clock_mono_ms() + 5000, on_stopped, &b);
    loop_run(b.loop);
    loop_timer_free(b.tick);
    script_runner_free(b.runner);
    children_free(b.children);
    loop_free(b.loop);
}
#endif

static void *poll_some(void *arg)
{
    struct bench *b = arg;
    for (;;) {
        struct script_request request = {.command = command};
        struct script_answer answer;
        thr_lock(&b->lock);
        int mine = b->next++;
        thr_unlock(&b->lock);
        if (mine >= b->wanted)
            return NULL;
        script_run(b->runner, &request, clock_mono_ms() + 600000, &answer);
        thr_lock(&b->lock);
        b->bad += answer.reply.outcome != SCRIPT_OUTPUT;
        thr_unlock(&b->lock);
        script_answer_done(&answer);
    }
}

static void on_thread(int scripts, int slots, int threads)
{
    struct err err = ERR_INIT;
    struct children_options co = {0};
    struct script_options so = script_default_options();
    struct bench b = {.wanted = scripts};
    pthread_t *t = mem_zalloc((size_t)threads, sizeof(t[0]));
    thr_mutex_init(&b.lock);
    so.slots = slots;
    b.children = children_new_on_thread(&co, &err);
    CHECK(b.children != NULL);
    b.runner = script_runner_new(b.children, &so);
    int64_t begun_us = clock_mono_us();
    double cpu = own_cpu();
    for (int i = 0; i < threads; i++)
        CHECK(thr_start(&t[i], "poll", poll_some, &b, &err));
    for (int i = 0; i < threads; i++)
        thr_join(t[i]);
    report("thread", scripts, slots, begun_us, cpu, 0, b.bad);
    children_end(b.children, clock_mono_ms() + 5000);
    script_runner_free(b.runner);
    children_free(b.children);
    pthread_mutex_destroy(&b.lock);
    free(t);
}

int main(int argc, char **argv)
{
    sigset_t set;
    sigfillset(&set);
    sigdelset(&set, SIGINT);
    sigdelset(&set, SIGTERM);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    if (argc > 1)
        command = argv[1];
    size_t ballast = argc > 2 ? (size_t)atoi(argv[2]) << 20 : 0;
    char *memory = mem_alloc(ballast + 1);
    memset(memory, 1, ballast + 1);
    setvbuf(stdout, NULL, _IOLBF, 0);
#ifdef HAVE_LIBEVENT
    on_loop(200, 20, false);
    on_loop(2000, 20, false);
    on_loop(500, 500, true);
    on_loop(2000, 20, true);
#endif
    on_thread(200, 20, 20);
    on_thread(2000, 20, 20);
    free(memory);
    return 0;
}
