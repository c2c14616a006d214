/* Simulated cycles by the thousand.
 *
 *   simulate                     as make check: the seeds of sim/seeds.txt in TEST_SRCDIR, and some hundred more
 *   simulate --cycles=N --seconds=N --first=SEED --jobs=N
 *   simulate --quick ...         until the first failure, which is not made smaller
 *   simulate --seed=SEED         that one, with its plan (SIM_LOG=1: and its log)
 *   simulate --list=FILE         the seeds of a file, one a line, which once failed
 *
 * Seeds run in children, a batch each, so that a crash costs one of them.  A seed that fails is made smaller and
 * printed. */
#include "config.h"

#include "run.h"
#include "sim.h"

#include "base/mem.h"
#include "drivers/snmp.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 50,
    CYCLES = 400,
    MOST_FAILURES = 5,
    HANGS_AFTER_S = 60, /* a seed takes less than a second, or some on a busy machine */
    JOBS_MAX = 64
};
enum {
    AGAIN_EVERY = 16
}; /* this number of seeds, one runs twice: the same must happen, and no memory stays */

struct options {
    uint64_t cycles, first, seed;
    bool one;
    bool quick; /* stop at the first failure and make nothing smaller */
    int64_t seconds;
    int jobs;
    const char *list;
};

/* Shared with the children. */
struct progress {
    uint64_t at[JOBS_MAX];     /* the seed in progress */
    uint64_t cycles[JOBS_MAX]; /* run so far */
};

static struct progress *progress;

/* ---- in a child ---- */

static void compare_drivers(struct plan *plan, const struct buf *result, uint64_t *cycles)
{
    enum plan_driver first = plan->driver;
    for (enum plan_driver d = 0; d < DRIVERS; d++) {
        struct buf other = BUF_INIT;
        if (d == first)
            continue;
        plan->driver = d;
        run_plan(plan, &other);
        (*cycles)++;
        SIM_CHECK(strcmp(buf_str(result), buf_str(&other)) == 0,
                  "%s and %s store different things:\n%s----\n%s", plan_driver_names[first],
                  plan_driver_names[d], buf_str(result), buf_str(&other));
        buf_done(&other);
    }
    plan->driver = first;
}

/* The first time may fill caches, the other ones not. */
static void run_again(const struct plan *plan, uint64_t *cycles)
{
    uint64_t trace[2];
    size_t used[2];
    for (int i = 0; i < 2; i++) {
        struct buf result = BUF_INIT;
        run_plan(plan, &result);
        buf_done(&result);
        trace[i] = sim_trace();
        used[i] = mallinfo2().uordblks;
        (*cycles)++;
    }
    SIM_CHECK(trace[0] == trace[1], "two runs of one seed differ");
    SIM_CHECK(sim_hanging() > 0 || used[1] <= used[0], "%zu bytes of memory are left",
              used[1] - used[0]);
}

static void run_seed(struct plan *plan, uint64_t *cycles)
{
    struct buf result = BUF_INIT;
    run_plan(plan, &result);
    (*cycles)++;
    if (sim_hanging() == 0 && plan_is_timeless(plan))
        compare_drivers(plan, &result, cycles);
    buf_done(&result);
    if (plan->seed % AGAIN_EVERY == 0 && sim_hanging() == 0)
        run_again(plan, cycles);
}

/* ---- one plan in a child of its own: does it fail, and how? ---- */

static void be_quiet(void)
{
    (void)!freopen("/dev/null", "w", stderr);
}

static bool fails(const struct plan *plan, bool quiet)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct plan copy = *plan;
        uint64_t cycles = 0;
        if (quiet)
            be_quiet();
        alarm(HANGS_AFTER_S);
        run_seed(&copy, &cycles);
        _exit(0);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!quiet && WIFSIGNALED(status))
        fprintf(stderr, "FAILED: killed by signal %d\n", WTERMSIG(status));
    return status != 0;
}

static void make_smaller(struct plan *plan)
{
    bool again = true;
    while (again) {
        again = false;
        for (size_t i = 0; i < plan_parts(plan); i++) {
            struct plan smaller = *plan;
            if (!plan_drop(&smaller, i) || !fails(&smaller, true))
                continue;
            *plan = smaller;
            again = true;
        }
    }
}

static void report(uint64_t seed, bool quick)
{
    struct plan plan;
    plan_make(&plan, seed);
    if (quick) {
        (void)fails(&plan, false);
        printf("found by seed %" PRIu64 "\n", seed);
        return;
    }
    printf("\nseed %" PRIu64 " fails; simulate --seed=%" PRIu64 " repeats it\n", seed, seed);
    fflush(stdout);
    make_smaller(&plan);
    fflush(stdout);
    if (!fails(&plan, false))
        printf("it fails only behind others of its batch\n");
    printf("made smaller:\n");
    plan_print(&plan);
    fflush(stdout);
}

/* ---- many ---- */

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static pid_t start_batch(int job, const uint64_t *seeds, size_t count)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    be_quiet();
    for (size_t i = 0; i < count; i++) {
        struct plan plan;
        alarm(HANGS_AFTER_S);
        plan_make(&plan, seeds[i]);
        progress->at[job] = seeds[i];
        run_seed(&plan, &progress->cycles[job]);
    }
    _exit(0);
}

struct work {
    const uint64_t *list; /* NULL: seeds count on */
    size_t list_count;
    uint64_t next, done;
    int failures;
    bool quick;
    double until;
};

struct slot {
    pid_t pid; /* 0: free */
    uint64_t seeds[BATCH];
    size_t count;
};

static size_t deal(struct work *w, const struct options *o, struct slot *s)
{
    s->count = 0;
    bool over = w->failures >= MOST_FAILURES || now_s() >= w->until;
    while (!over && s->count < BATCH) {
        if (w->list != NULL ? w->done >= w->list_count : w->done >= o->cycles)
            break;
        s->seeds[s->count++] = w->list != NULL ? w->list[w->done] : w->next++;
        w->done++;
    }
    return s->count;
}

/* After a failure the rest of the batch goes on in another child. */
static void end_batch(struct work *w, struct slot *s, int job, int status)
{
    s->pid = 0;
    if (status == 0) {
        s->count = 0;
        return;
    }
    uint64_t failed = progress->at[job];
    size_t i = 0;
    while (i < s->count && s->seeds[i] != failed)
        i++;
    w->failures++;
    report(failed, w->quick);
    if (w->quick)
        w->failures = MOST_FAILURES;
    s->count = i + 1 < s->count ? s->count - i - 1 : 0;
    memmove(s->seeds, s->seeds + i + 1, s->count * sizeof(s->seeds[0]));
}

static int run_many(const struct options *o, const uint64_t *list, size_t list_count)
{
    struct slot slots[JOBS_MAX] = {{0}};
    double began = now_s();
    struct work w = {.list = list, .list_count = list_count, .next = o->first, .quick = o->quick};
    w.until = o->seconds > 0 ? began + (double)o->seconds : 1e18;
    for (;;) {
        int running = 0, status;
        for (int i = 0; i < o->jobs; i++) {
            if (slots[i].pid == 0 && w.failures < MOST_FAILURES &&
                (slots[i].count > 0 || deal(&w, o, &slots[i]) > 0))
                slots[i].pid = start_batch(i, slots[i].seeds, slots[i].count);
            running += slots[i].pid != 0;
        }
        if (running == 0)
            break;
        pid_t pid = wait(&status);
        for (int i = 0; i < o->jobs; i++)
            if (slots[i].pid == pid)
                end_batch(&w, &slots[i], i, status);
    }
    uint64_t cycles = 0;
    for (int i = 0; i < JOBS_MAX; i++)
        cycles += progress->cycles[i];
    printf("%" PRIu64 " seeds from %" PRIu64 ", %" PRIu64 " cycles, %d failures, %.1f s, %.0f "
           "cycles per second\n",
           w.done, o->first, cycles, w.failures, now_s() - began,
           (double)cycles / (now_s() - began));
    return w.failures > 0;
}

static int run_list(const struct options *o)
{
    uint64_t seeds[1000];
    size_t count = 0;
    char line[200];
    FILE *f = fopen(o->list, "r");
    if (f == NULL) {
        fprintf(stderr, "cannot read %s: %s\n", o->list, strerror(errno));
        return 2;
    }
    while (count < 1000 && fgets(line, sizeof(line), f) != NULL)
        if (line[0] != '#' && line[0] != '\n')
            seeds[count++] = strtoull(line, NULL, 10);
    fclose(f);
    return run_many(o, seeds, count);
}

static int run_known(struct options *o)
{
    const char *top = getenv("TEST_SRCDIR");
    char path[1000];
    snprintf(path, sizeof(path), "%s/sim/seeds.txt", top == NULL ? "" : top);
    o->list = path;
    int failed = top == NULL ? 0 : run_list(o);
    o->list = NULL;
    return failed;
}

static int run_one(const struct options *o)
{
    struct plan plan;
    plan_make(&plan, o->seed);
    plan_print(&plan);
    fflush(stdout);
    bool failed = fails(&plan, false);
    if (failed)
        report(o->seed, false);
    else
        printf("seed %" PRIu64 " is good\n", o->seed);
    return failed;
}

/* ---- the command line ---- */

/* Memory that was freed must not count as used, so that a byte that is left is seen. */
static void have_plain_malloc(char **argv)
{
    static const char name[] = "GLIBC_TUNABLES", plain[] = "glibc.malloc.tcache_count=0";
    const char *now = getenv(name);
    if (now == NULL || strcmp(now, plain) != 0) {
        setenv(name, plain, 1);
        execv("/proc/self/exe", argv);
    }
    mallopt(M_MXFAST, 0);
}

static bool take_number(const char *arg, const char *name, uint64_t *ret)
{
    size_t n = strlen(name);
    if (strncmp(arg, name, n) != 0)
        return false;
    *ret = strtoull(arg + n, NULL, 10);
    return true;
}

static bool take_option(struct options *o, const char *arg)
{
    uint64_t n;
    if (take_number(arg, "--cycles=", &o->cycles) || take_number(arg, "--first=", &o->first))
        return true;
    if (take_number(arg, "--seconds=", &n)) {
        o->seconds = (int64_t)n;
        o->cycles = UINT64_MAX;
        return true;
    }
    if (take_number(arg, "--jobs=", &n)) {
        o->jobs = n < 1 ? 1 : n > JOBS_MAX ? JOBS_MAX : (int)n;
        return true;
    }
    if (take_number(arg, "--seed=", &o->seed))
        return o->one = true;
    if (strcmp(arg, "--quick") == 0)
        return o->quick = true;
    if (strncmp(arg, "--list=", 7) == 0) {
        o->list = arg + 7;
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    have_plain_malloc(argv);
    struct options o = {.cycles = CYCLES, .first = 1, .jobs = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    for (int i = 1; i < argc; i++)
        if (!take_option(&o, argv[i])) {
            fprintf(stderr, "unknown option %s\n", argv[i]);
            return 2;
        }
    if (o.jobs > JOBS_MAX)
        o.jobs = JOBS_MAX;
    progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    agents_begin(&(struct plan){.seed = 0}); /* once for all children */
    if (progress == MAP_FAILED || !snmp_library_start(NULL))
        return 2;
    if (o.one)
        return run_one(&o);
    if (argc == 1)
        return run_known(&o) + run_many(&o, NULL, 0);
    return o.list != NULL ? run_list(&o) : run_many(&o, NULL, 0);
}
