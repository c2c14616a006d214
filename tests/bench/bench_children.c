/* How fast scripts run, and how long the loop stands still meanwhile.
 *
 *   bench_children [COMMAND [BALLAST_MB]]
 *
 * Each line: scripts, slots, wall time, scripts per second, own CPU; with a star also how late at most
 * a timer of one millisecond was on the loop meanwhile. */
#include "config.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"
#include "core/children.h"
#include "core/loop.h"
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
    struct script_request request;
    struct thr_mutex lock;
    pthread_cond_t all_done;
    struct loop *loop;
    struct loop_timer tick;
    int64_t due_us, stall_us;
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

static void tick_again(struct bench *b)
{
    b->due_us = clock_mono_us() + 1000;
    loop_timer_set(&b->tick, 1);
}

static void on_tick(void *arg)
{
    struct bench *b = arg;
    int64_t late_us = clock_mono_us() - b->due_us;
    if (late_us > b->stall_us)
        b->stall_us = late_us;
    tick_again(b);
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

static void on_loop(int scripts, int slots, const char *what, bool tick)
{
    struct err err = ERR_INIT;
    struct children_options co = {0};
    struct script_options so = script_default_options();
    struct bench b = {.wanted = scripts};
    struct script_request request = {.command = what};
    so.slots = slots;
    b.loop = loop_new(LOOP_LIBEVENT, &err);
    b.children = children_new_on_loop(b.loop, &co, &err);
    CHECK(b.children != NULL);
    b.runner = script_runner_new(b.children, &so);
    loop_timer_init(&b.tick, b.loop, on_tick, &b);
    int64_t begun_us = clock_mono_us();
    double cpu = own_cpu();
    for (int i = 0; i < scripts; i++)
        script_start(b.runner, &request, clock_mono_ms() + 600000, on_done, &b);
    if (tick)
        tick_again(&b);
    loop_run(b.loop);
    report(tick ? "loop*" : "loop", scripts, slots, begun_us, cpu, b.stall_us, b.bad);
    loop_timer_cancel(&b.tick);
    children_stop(b.children, clock_mono_ms() + 5000, on_stopped, &b);
    loop_run(b.loop);
    script_runner_free(b.runner);
    children_free(b.children);
    loop_free(b.loop);
}

static void on_done_there(void *arg, const struct script_reply *reply)
{
    struct bench *b = arg;
    thr_lock(&b->lock);
    b->bad += reply->outcome != SCRIPT_OUTPUT;
    if (++b->done == b->wanted)
        pthread_cond_signal(&b->all_done);
    thr_unlock(&b->lock);
}

static void start_there(void *arg)
{
    struct bench *b = arg;
    script_start(b->runner, &b->request, clock_mono_ms() + 600000, on_done_there, b);
}

static void on_thread(int scripts, int slots)
{
    struct err err = ERR_INIT;
    struct children_options co = {0};
    struct script_options so = script_default_options();
    struct bench b = {.wanted = scripts, .request = {.command = command}};
    thr_mutex_init(&b.lock);
    thr_cond_init(&b.all_done);
    so.slots = slots;
    b.children = children_new_on_thread(&co, &err);
    CHECK(b.children != NULL);
    b.runner = script_runner_new(b.children, &so);
    int64_t begun_us = clock_mono_us();
    double cpu = own_cpu();
    for (int i = 0; i < scripts; i++)
        CHECK(children_call(b.children, start_there, &b));
    thr_lock(&b.lock);
    while (b.done < b.wanted)
        thr_wait(&b.all_done, &b.lock);
    thr_unlock(&b.lock);
    report("thread", scripts, slots, begun_us, cpu, 0, b.bad);
    children_end(b.children, clock_mono_ms() + 5000);
    script_runner_free(b.runner);
    children_free(b.children);
    pthread_cond_destroy(&b.all_done);
    thr_mutex_done(&b.lock);
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
    if (loop_kind_is_built(LOOP_LIBEVENT)) {
        on_loop(200, 20, command, false);
        on_loop(2000, 20, command, false);
        on_loop(2000, 20, command, true);
        on_loop(500, 500, "sleep 1; echo 1", true); /* all alive at the same time */
    }
    on_thread(200, 20);
    on_thread(2000, 20);
    free(memory);
    return 0;
}
