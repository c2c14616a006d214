/* Several cycles in one process by the real engine on agents and a database of our own (fake_snmp,
 * fake_store), one after the other and at once, on both drivers. */
#include "config.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thr.h"
#include "check_stream.h"
#include "core/loop.h"
#include "engine/process.h"
#include "engine/services.h"
#include "engine/stopsig.h"
#include "fake_snmp.h"
#include "fake_store.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { FAR_AWAY_MS = 200000, HANGS_AFTER_S = 60, RUNS = 2 };

/* One process and what its cycles need; a cycle may have ended before another begins. */
struct house {
    struct config configs[RUNS];
    struct store *stores[RUNS];
    struct process *process;
    struct process_run runs[RUNS];
    struct ledger_figures figures[RUNS];
    uint64_t turns[RUNS];
};

static bool *driver_is_event; /* the test's state */
static struct process *still_used[RUNS];
static size_t still_used_count;

static struct config config_of(uint32_t first, uint32_t last)
{
    return (struct config){.poller_id = 1,
                           .pid = (int)getpid(),
                           .spool_file = "",
                           .event_loop = *driver_is_event,
                           .has_range = true,
                           .first = first,
                           .last = last,
                           .threads = 4,
                           .poller_interval_s = 300,
                           .active_profiles = 1,
                           .snmp_client_address = "",
                           .ping_failure_count = 1,
                           .ping_recovery_count = 1,
                           .log = {.level = LOG_ALWAYS, .destination = LOG_TO_NOTHING}};
}

static void on_hang(int signo UNUSED)
{
    static const char text[] = "two cycles have not ended within a minute\n";
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        _exit(1);
    abort();
}

static void begin(struct house *h, struct fake_store databases)
{
    alarm(HANGS_AFTER_S);
    struct ping_sockets sockets = ping_open_sockets();
    struct err err = ERR_INIT;
    *h = (struct house){.configs = {config_of(1, 20), config_of(21, 40)}};
    fake_store = databases;
    fake_snmp = (struct fake_snmp){0};
    fake_snmp_forget_asks();
    log_configure(&h->configs[0].log);
    check_stream_begin();
    h->process = process_new(&h->configs[0], &sockets, NULL, &err);
    assert_non_null(h->process);
}

/* Polling ends poll_ms from now. */
static void add_cycle(struct house *h, int i, int64_t poll_ms)
{
    struct err err = ERR_INIT;
    int64_t polls_ms = budget_make(0, h->configs[i].poller_interval_s).poll_until;
    int64_t start_us = (clock_mono_ms() + poll_ms - polls_ms) * 1000;
    h->stores[i] = store_open(&h->configs[i].db, 0, &err);
    h->runs[i].cycle = cycle_new(&h->configs[i], h->stores[i], start_us, &err);
    assert_non_null(h->runs[i].cycle);
}

static void end_cycle(struct house *h, int i)
{
    struct cycle *c = h->runs[i].cycle;
    assert_true(h->runs[i].polled);
    h->figures[i] = ledger_get(&c->ledger);
    h->turns[i] = c->loop_turns;
    assert_int_equal(h->figures[i].values + ledger_unknown(&h->figures[i]) +
                         h->figures[i].unfinished + h->figures[i].skipped,
                     (size_t)c->items_due);
    cycle_unref(c);
    store_close(h->stores[i]); /* checks that the row is closed */
}

static void end(struct house *h)
{
    struct ledger_figures sum = h->figures[0];
    const struct ledger_figures *f = &h->figures[1];
    sum.values += f->values;
    sum.unfinished += f->unfinished;
    sum.skipped += f->skipped;
    sum.down += f->down;
    sum.dropped += f->dropped;
    sum.stored += f->stored;
    for (int i = 0; i < UNKNOWN_REASONS; i++)
        sum.unknown[i] += f->unknown[i];
    check_stream_end();
    check_stream(&sum, RUNS);
    assert_int_equal(sum.stored, fake_store.rows);
    assert_int_equal(fake_store.last_row, RUNS);
    assert_int_equal(fake_store.open_rows, 0);
    fake_store_sort(); /* checks that no row is there twice */
    alarm(0);
}

static void forget_results(void)
{
    buf_done(&fake_store.calls);
    buf_done(&fake_store.results);
}

static const struct fake_store forty = {.groups = {{.hostname = "a", .devices = 40, .items = 5}}};

static void two_at_once_store_each_its_own(void **state)
{
    struct house h;
    driver_is_event = *state;
    begin(&h, forty);
    add_cycle(&h, 0, FAR_AWAY_MS);
    add_cycle(&h, 1, FAR_AWAY_MS);
    process_poll(h.process, h.runs, RUNS);
    assert_int_equal(h.runs[0].cycle->row.pid, h.runs[1].cycle->row.pid);
    assert_int_not_equal(h.runs[0].cycle->row.id, h.runs[1].cycle->row.id);
    for (int i = 0; i < RUNS; i++) {
        end_cycle(&h, i);
        assert_int_equal(h.figures[i].devices, 20);
        assert_int_equal(h.figures[i].values, 100);
        assert_int_equal(h.figures[i].stored, 100);
        assert_int_equal(h.turns[i] > 0, *driver_is_event);
        assert_true(h.turns[i] < LEDGER_TURNS);
    }
    process_free(h.process);
    end(&h);
    assert_int_equal(fake_snmp.alive, 0);
    forget_results();
}

/* The first has no time left; the second beside it is not touched by that. */
static void the_deadline_of_one_does_not_stop_the_other(void **state)
{
    struct house h;
    driver_is_event = *state;
    begin(&h, (struct fake_store){.groups = {{.hostname = "slow", .devices = 20, .items = 5},
                                             {.hostname = "a", .devices = 20, .items = 5}}});
    fake_snmp_mood("slow", FAKE_UNTIL_GIVE_UP);
    add_cycle(&h, 0, 300);
    add_cycle(&h, 1, FAR_AWAY_MS);
    process_poll(h.process, h.runs, RUNS);
    assert_true(h.runs[0].cycle->out_of_time);
    assert_false(h.runs[1].cycle->out_of_time);
    end_cycle(&h, 0);
    end_cycle(&h, 1);
    assert_int_equal(h.figures[0].dropped, 20);
    assert_int_equal(h.figures[0].stored, 0);
    assert_int_equal(h.figures[1].dropped, 0);
    assert_int_equal(h.figures[1].stored, 100);
    process_free(h.process);
    end(&h);
    forget_results();
}

/* What was given up in the first is asked in the second. */
static void the_next_cycle_begins_afresh(void **state)
{
    struct house h;
    driver_is_event = *state;
    begin(&h, forty);
    fake_snmp_mood("a", FAKE_UNTIL_GIVE_UP);
    add_cycle(&h, 0, 300);
    process_poll(h.process, &h.runs[0], 1);
    end_cycle(&h, 0);
    assert_int_equal(h.figures[0].dropped, 20);
    fake_snmp_mood("a", FAKE_ANSWERS);
    add_cycle(&h, 1, FAR_AWAY_MS);
    process_poll(h.process, &h.runs[1], 1);
    end_cycle(&h, 1);
    assert_int_equal(h.figures[1].values, 100);
    assert_int_equal(h.figures[1].stored, 100);
    process_free(h.process);
    end(&h);
    assert_int_equal(fake_snmp.alive, 0);
    forget_results();
}

/* Two threads hang in the library forever; they and their two devices are all that it costs. */
static void a_hanging_library_costs_threads_but_not_the_next_cycle(void **state)
{
    struct house h;
    driver_is_event = *state;
    begin(&h, (struct fake_store){.groups = {{.hostname = "a", .devices = 17, .items = 5},
                                             {.hostname = "hangs", .devices = 2, .items = 5},
                                             {.hostname = "end", .devices = 1, .items = 5},
                                             {.hostname = "a", .devices = 20, .items = 5}}});
    fake_snmp_mood("hangs", FAKE_HANGS);
    fake_snmp_mood("end", FAKE_AT_THE_END);
    add_cycle(&h, 0, FAR_AWAY_MS);
    fake_snmp.over_at_ms = h.runs[0].cycle->budget.poll_until;
    fake_snmp.over_through = 17;
    fake_snmp.over_asks = 3;
    process_poll(h.process, &h.runs[0], 1);
    assert_int_equal(h.runs[0].cycle->left_behind, 2);
    end_cycle(&h, 0);
    assert_int_equal(h.figures[0].dropped, 3);
    assert_int_equal(h.figures[0].stored, 85);
    add_cycle(&h, 1, FAR_AWAY_MS);
    process_poll(h.process, &h.runs[1], 1);
    assert_int_equal(h.runs[1].cycle->left_behind, 0);
    end_cycle(&h, 1);
    assert_int_equal(h.figures[1].stored, 100);
    process_leave(h.process);
    still_used[still_used_count++] = h.process; /* by the two threads */
    end(&h);
    forget_results();
}

/* The first goes on when the second has closed its row, and gets no answer otherwise. */
static void a_cycle_without_room_on_the_loop_is_polled_beside_it(void **state)
{
    struct house h;
    struct rlimit before, few;
    driver_is_event = *state;
    begin(&h, (struct fake_store){.groups = {{.hostname = "late", .devices = 20, .items = 5},
                                             {.hostname = "a", .devices = 20, .items = 5}},
                                  .late = true});
    fake_snmp_mood("late", FAKE_LATE);
    h.configs[1].threads = 200; /* with a descriptor each */
    add_cycle(&h, 0, 20000);
    add_cycle(&h, 1, FAR_AWAY_MS);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    process_poll(h.process, h.runs, RUNS);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < RUNS; i++) {
        end_cycle(&h, i);
        assert_int_equal(h.figures[i].dropped, 0);
        assert_int_equal(h.figures[i].stored, 100);
    }
    process_free(h.process);
    end(&h);
    forget_results();
}

/* ---- in a daemon ---- */

/* A cycle with a thread, as the daemon has it. */
struct guest {
    struct services *services;
    const struct config *config;
    struct process_run *run;
    int signo; /* that is told to it; 0: none */
};

static void *guest_main(void *arg)
{
    struct guest *g = arg;
    struct process *p = process_new_hosted(g->config, g->services, NULL);
    if (g->signo != 0)
        process_signal(p, g->signo);
    process_poll(p, g->run, 1);
    process_free(p);
    return NULL;
}

/* Both borrow one resolver; the signal of the first is none of the second, nor of the process. */
static void a_signal_that_is_told_to_one_cycle_does_not_stop_its_neighbour(void **state)
{
    struct house h;
    struct guest guests[RUNS];
    pthread_t threads[RUNS];
    struct err err = ERR_INIT;
    struct ping_sockets none = {.fd4 = -1, .fd6 = -1};
    driver_is_event = *state;
    begin(&h, (struct fake_store){.groups = {{.hostname = "slow", .devices = 20, .items = 5},
                                             {.hostname = "a", .devices = 20, .items = 5}}});
    fake_snmp_mood("slow", FAKE_UNTIL_GIVE_UP); /* however late the signal is seen */
    process_free(h.process);
    struct services *services = services_new(&none, &err);
    assert_non_null(services);
    for (int i = 0; i < RUNS; i++) {
        add_cycle(&h, i, FAR_AWAY_MS);
        guests[i] = (struct guest){services, &h.configs[i], &h.runs[i], i == 0 ? SIGTERM : 0};
        assert_true(thr_start(&threads[i], "guest", guest_main, &guests[i], &err));
    }
    for (int i = 0; i < RUNS; i++)
        thr_join(threads[i]);
    assert_int_equal(h.runs[0].cycle->stop_signal, SIGTERM);
    assert_int_equal(h.runs[1].cycle->stop_signal, 0);
    end_cycle(&h, 0);
    end_cycle(&h, 1);
    assert_int_equal(h.figures[0].stored, 0);
    assert_int_equal(h.figures[1].stored, 100);
    services_free(services);
    end(&h);
    assert_int_equal(fake_snmp.alive, 0);
    forget_results();
}

static size_t open_descriptors(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

static void fifty_cycles_leave_no_descriptor(void **state)
{
    struct house h;
    size_t before = 0;
    driver_is_event = *state;
    for (int i = 0; i < 50; i++) {
        begin(&h, forty);
        add_cycle(&h, 0, FAR_AWAY_MS);
        add_cycle(&h, 1, FAR_AWAY_MS);
        process_poll(h.process, h.runs, RUNS);
        end_cycle(&h, 0);
        end_cycle(&h, 1);
        process_free(h.process);
        end(&h);
        forget_results();
        if (i == 0)
            before = open_descriptors();
    }
    assert_int_equal(open_descriptors(), before);
}

#define ON(f, driver)                                                                              \
    {                                                                                              \
        .name = #f ": " #driver, .test_func = (f), .initial_state = &(driver)                      \
    }

static int run_on(bool *driver)
{
    static bool legacy = false, event = true;
    const struct CMUnitTest on_legacy[] = {
        ON(two_at_once_store_each_its_own, legacy),
        ON(the_deadline_of_one_does_not_stop_the_other, legacy),
        ON(the_next_cycle_begins_afresh, legacy),
        ON(a_signal_that_is_told_to_one_cycle_does_not_stop_its_neighbour, legacy),
        ON(fifty_cycles_leave_no_descriptor, legacy),
        ON(a_hanging_library_costs_threads_but_not_the_next_cycle, legacy),
    };
    const struct CMUnitTest on_event[] = {
        ON(two_at_once_store_each_its_own, event),
        ON(the_deadline_of_one_does_not_stop_the_other, event),
        ON(the_next_cycle_begins_afresh, event),
        ON(a_cycle_without_room_on_the_loop_is_polled_beside_it, event),
        ON(a_signal_that_is_told_to_one_cycle_does_not_stop_its_neighbour, event),
        ON(fifty_cycles_leave_no_descriptor, event),
        ON(a_hanging_library_costs_threads_but_not_the_next_cycle, event),
    };
    return *driver ? cmocka_run_group_tests_name("event", on_event, NULL, NULL)
                   : cmocka_run_group_tests_name("legacy", on_legacy, NULL, NULL);
}

int main(void)
{
    bool legacy = false, event = true;
    stopsig_normalise();
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_hang}, NULL);
    log_start();
    int failed = run_on(&legacy);
    if (loop_kind_is_built(LOOP_LIBEVENT))
        failed += run_on(&event);
    return failed;
}
