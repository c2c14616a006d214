#include "config.h"

#include "core/child.h"

#include "base/clock.h"

#include "../../support/everyface.h"
#include "../../support/within.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- a child and all that it told ---- */

struct probe {
    struct face *face;
    struct child_order order;
    char *argv[4];
    struct child *child;
    enum spawn_result result;
    struct err err;
    struct child_report report; /* when it settled */
    struct child_report end;    /* when it was over */
    char *output;
    struct buf data, events; /* events: d, c, x (closed), s, o in the order they came */
    const char *say;         /* to be written at the start */
    bool close_input, ask_consumed, stop_on_data;
};

static void on_data(void *arg, const char *bytes, size_t len)
{
    struct probe *p = arg;
    buf_append(&p->data, bytes, len);
    if (p->events.len == 0 || p->events.data[p->events.len - 1] != 'd')
        buf_putc(&p->events, 'd');
    if (p->stop_on_data)
        child_stop(p->child);
}

static void on_consumed(void *arg)
{
    struct probe *p = arg;
    buf_putc(&p->events, 'c');
    child_close_input(p->child);
}

static void on_closed(void *arg)
{
    struct probe *p = arg;
    buf_putc(&p->events, 'x');
}

static void on_settled(void *arg)
{
    struct probe *p = arg;
    buf_putc(&p->events, 's');
    p->report = child_get_report(p->child);
    p->output = mem_strdup(p->report.output);
}

static void on_over(void *arg)
{
    struct probe *p = arg;
    buf_putc(&p->events, 'o');
    p->end = child_get_report(p->child);
    p->child = NULL;
    face_arrive(p->face);
}

static const struct child_calls keep = {
    .closed = on_closed, .consumed = on_consumed, .settled = on_settled, .over = on_over};
static const struct child_calls stream = {.data = on_data,
                                          .closed = on_closed,
                                          .consumed = on_consumed,
                                          .settled = on_settled,
                                          .over = on_over};

static void start(void *arg)
{
    struct probe *p = arg;
    p->result = child_start(p->face->children, &p->order, &p->child, &p->err);
    if (p->result != SPAWN_STARTED) {
        face_arrive(p->face);
        return;
    }
    assert_int_equal(p->events.len, 0);
    if (p->say != NULL)
        child_write(p->child, p->say, strlen(p->say));
    if (p->close_input)
        child_close_input(p->child);
    if (p->ask_consumed)
        (void)child_when_consumed(p->child);
}

static struct probe probe_of(struct face *f, const char *command)
{
    struct probe p = {.face = f};
    p.argv[0] = mem_strdup("sh");
    p.argv[1] = mem_strdup("-c");
    p.argv[2] = mem_strdup(command);
    p.order = (struct child_order){.path = "/bin/sh",
                                   .grace_ms = 100,
                                   .time_ms = 60000,
                                   .keep_bytes = 2047,
                                   .flood_bytes = 1 << 20,
                                   .limits = SPAWN_LIMITS_KEEP,
                                   .calls = &keep};
    return p;
}

static void begin(struct probe *p)
{
    p->order.argv = p->argv;
    p->order.arg = p;
    face_call(p->face, start, p);
}

static void run(struct probe *p)
{
    begin(p);
    face_wait(p->face, 1);
}

static void done(struct probe *p)
{
    for (int i = 0; i < 3; i++)
        free(p->argv[i]);
    free(p->output);
    buf_done(&p->data);
    buf_done(&p->events);
}

/* ---- the table of ends: what the child does, what is told about it ---- */

struct row {
    const char *name, *command;
    int64_t time_ms;
    const char *output; /* NULL: any */
    uint64_t lines;
    enum child_end end;
    enum child_force force; /* when it settled */
    enum child_force force_at_end;
    bool output_ended, exited;
    int status;
};

/* Less than CHILD_LINGER_MS is left when that script has closed its output; the helper of another one has it to end. */
enum { LITTLE_MS = 1001, LINGERS_MS = 60001 };

static const struct row rows[] = {
    {"prints and ends", "printf 'a\\nb\\n'", 60000, "a\nb\n", 2, CHILD_BY_ITSELF, 0, 0, 1, 1, 0},
    {"prints nothing", "exit 3", 60000, "", 0, CHILD_BY_ITSELF, 0, 0, 1, 1, 3 << 8},
    {"in chunks, no newline", "printf a; sleep 0.1; printf ' b\\000c'", 60000, "a b", 0,
     CHILD_BY_ITSELF, 0, 0, 1, 1, 0},
    {"killed by a signal", "kill -SEGV $$", 60000, "", 0, CHILD_BY_ITSELF, 0, 0, 1, 1, SIGSEGV},
    {"floods", "exec yes", 60000, NULL, 0, CHILD_FLOODED, CHILD_TERMED, CHILD_TERMED, 0, 1,
     SIGPIPE},
    {"helper keeps the output open", "sleep 99 & echo 5", 60000, "5\n", 1, CHILD_LEFT_OPEN,
     CHILD_TERMED, CHILD_TERMED, 0, 1, 0},
    {"run-away keeps the output open",
     "setsid sh -c 'trap \"\" TERM; sleep 99' & sleep 0.1; echo 5", 60000, "5\n", 1,
     CHILD_LEFT_OPEN, CHILD_TERMED, CHILD_OUT_OF_REACH, 0, 1, 0},
    /* Their time matters: they start when the others have ended. */
    {"prints, then stays", "echo 7; sleep 99", 1000, "7\n", 1, CHILD_OVERDUE, CHILD_TERMED,
     CHILD_TERMED, 0, 1, SIGTERM},
    {"closes its output, then stays", "echo 7; exec >&-; sleep 99", 2000, "7\n", 1, CHILD_BY_ITSELF,
     CHILD_UNFORCED, CHILD_TERMED, 1, 0, 0},
    {"the same, with little time", "sleep 0.55; echo 7; exec >&-; sleep 99", LITTLE_MS, "7\n", 1,
     CHILD_OVERDUE, CHILD_TERMED, CHILD_TERMED, 1, 1, SIGTERM},
    {"never prints", "sleep 99; :", 1000, "", 0, CHILD_OVERDUE, CHILD_TERMED, CHILD_TERMED, 0, 1,
     SIGTERM},
    {"ignores SIGTERM", "trap '' TERM; while :; do sleep 99; done", 1000, "", 0, CHILD_OVERDUE,
     CHILD_KILLED, CHILD_KILLED, 0, 1, SIGKILL},
    {"its helper ignores SIGTERM", "(trap '' TERM; exec sleep 99) & wait", 1000, "", 0,
     CHILD_OVERDUE, CHILD_KILLED, CHILD_KILLED, 0, 1, SIGTERM},
    {"helper finishes soon after the shell", "echo 5; (sleep 0.05; echo late) &", LINGERS_MS,
     "5\nlate\n", 2, CHILD_BY_ITSELF, 0, 0, 1, 1, 0},
};

enum { HAVE_TIME = 7 }; /* number of them */

/* The others are to have what this machine needs at the moment, as those with time have just shown. */
static int64_t time_of(const struct row *row, int64_t took_ms)
{
    return row->time_ms == LITTLE_MS || row->time_ms > 3 * took_ms ? row->time_ms : 3 * took_ms;
}

/* Two rows are about CHILD_LINGER_MS, which a busy machine may need for less. */
static bool is_out_of_time(const struct row *row, const struct child_report *r)
{
    return (row->time_ms == LITTLE_MS && !r->output_ended) ||
           (row->time_ms == LINGERS_MS && r->end == CHILD_LEFT_OPEN);
}

/* took_us: since all of them were begun. */
static void assert_row(const struct row *row, const struct probe *p, int64_t took_us)
{
    const struct child_report *r = &p->report;
    if (is_out_of_time(row, r)) {
        print_message("NOT TRIED: this busy machine has needed half a second itself\n");
        return;
    }
    if (row->output != NULL && (strcmp(p->output, row->output) != 0 || r->lines != row->lines))
        fail_msg("%s: %" PRIu64 " lines, '%s'", row->name, r->lines, p->output);
    if (r->end != row->end)
        fail_msg("%s: end %d is not %d", row->name, (int)r->end, (int)row->end);
    /* What has not gone half a second after SIGKILL counts as out of reach: on a busy machine it may be on its way. */
    if (row->force == CHILD_KILLED && r->force > CHILD_KILLED)
        return;
    assert_int_equal(r->force, row->force);
    assert_int_equal(p->end.force, row->force_at_end);
    assert_int_equal(r->output_ended, row->output_ended);
    assert_int_equal(r->exited, row->exited);
    if (row->end != CHILD_FLOODED) /* by SIGTERM or SIGPIPE, whichever comes first */
        assert_int_equal(r->status & ~0x80, row->status);
    assert_true(p->end.exited);
    assert_within(r->elapsed_us, 1, took_us);
    assert_string_equal(p->events.data, "xso");
}

/* All at once: what one child does must not touch the others. */
static void each_end_is_told_once_and_leaves_nothing(void **state)
{
    struct face *f = face_new(*state);
    struct probe p[ARRAY_LEN(rows)];
    int64_t began_us = clock_mono_us();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i == HAVE_TIME)
            face_wait(f, i);
        p[i] = probe_of(f, rows[i].command);
        p[i].order.time_ms = i < HAVE_TIME ? rows[i].time_ms
                                           : time_of(&rows[i], (clock_mono_us() - began_us) / 1000);
        if (rows[i].force_at_end == CHILD_TERMED) /* a child that reacts to SIGTERM has time to */
            p[i].order.grace_ms = rows[i].end == CHILD_BY_ITSELF ? 5000 : FACE_STOP_MS;
        begin(&p[i]);
    }
    face_wait(f, ARRAY_LEN(rows) - HAVE_TIME);
    face_stop(f, FACE_STOP_MS);
    int64_t took_us = clock_mono_us() - began_us;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("    %s\n", rows[i].name);
        assert_row(&rows[i], &p[i], took_us);
        done(&p[i]);
    }
    face_free(f);
}

/* ---- more than a row can say ---- */

static void output_beyond_the_cap_is_counted_and_not_kept(void **state)
{
    struct face *f = face_new(*state);
    struct probe p = probe_of(f, "i=0; while [ $i -lt 5000 ]; do echo 123456789; i=$((i+1)); done");
    run(&p);
    assert_int_equal(p.report.len, 2047);
    assert_int_equal(p.report.bytes, 50000);
    assert_int_equal(p.report.lines, 5000);
    assert_int_equal(p.report.end, CHILD_BY_ITSELF);
    done(&p);
    p = probe_of(f, "head -c 3000000 /dev/zero | tr '\\0' '\\n'");
    p.order.flood_bytes = 0;
    run(&p);
    assert_int_equal(p.report.lines, 3000000);
    done(&p);
    face_stop(f, FACE_STOP_MS);
    face_free(f);
}

static void a_child_can_be_talked_to(void **state)
{
    struct face *f = face_new(*state);
    struct probe p = probe_of(f, "read x; echo \"$x!\"; read y || echo end");
    p.order.talk = true;
    p.order.calls = &stream;
    p.say = "hello\n";
    p.close_input = true;
    run(&p);
    assert_string_equal(p.data.data, "hello!\nend\n");
    assert_string_equal(p.events.data, "dxso");
    done(&p);
    face_stop(f, FACE_STOP_MS);
    face_free(f);
}

/* What it says before it reads on comes before consumed, however long it takes. */
static void consumed_is_called_when_the_child_reads_again(void **state)
{
    struct face *f = face_new(*state);
    struct probe p = probe_of(f, "sleep 0.1; printf late; read x; exit 0");
    p.order.talk = true;
    p.order.calls = &stream;
    p.say = " ";
    p.ask_consumed = true;
    run(&p);
    assert_string_equal(p.data.data, "late");
    assert_string_equal(p.events.data, "dcxso");
    done(&p);
    face_stop(f, FACE_STOP_MS);
    face_free(f);
}

/* A megabyte into a pipe without a reader. */
static void a_child_that_never_reads_delays_nothing(void **state)
{
    struct face *f = face_new(*state);
    struct probe p = probe_of(f, "sleep 99");
    char *big = mem_alloc(1 << 20);
    memset(big, 'x', 1 << 20);
    big[(1 << 20) - 1] = '\0';
    p.order.talk = true;
    p.order.time_ms = 200;
    p.say = big;
    run(&p);
    assert_int_equal(p.report.end, CHILD_OVERDUE);
    done(&p);
    free(big);
    face_stop(f, FACE_STOP_MS);
    face_free(f);
}

static void a_child_that_closes_its_input_is_told_as_closed(void **state)
{
    struct face *f = face_new(*state);
    struct probe p = probe_of(f, "exec <&-; echo x; sleep 99");
    p.order.talk = true;
    p.order.calls = &stream;
    p.order.time_ms = 500;
    p.say = " ";
    p.ask_consumed = true;
    run(&p);
    assert_true(strcmp(p.events.data, "dxso") == 0 || strcmp(p.events.data, "xdso") == 0);
    done(&p);
    face_stop(f, FACE_STOP_MS);
    face_free(f);
}

static void a_child_may_be_stopped_from_its_own_callback(void **state)
{
    struct face *f = face_new(*state);
    struct probe p = probe_of(f, "while :; do echo more; done");
    p.order.calls = &stream;
    p.stop_on_data = true;
    run(&p);
    assert_int_equal(p.report.end, CHILD_STOPPED);
    done(&p);
    face_stop(f, FACE_STOP_MS);
    face_free(f);
}

static void what_cannot_be_started_is_told_at_once(void **state)
{
    struct face *f = face_new(*state);
    struct probe p = probe_of(f, "true");
    p.order.path = "/nowhere/at/all";
    run(&p);
    assert_int_equal(p.result, SPAWN_REFUSED);
    assert_int_equal(p.err.number, ENOENT);
    assert_int_equal(p.events.len, 0);
    done(&p);
    face_stop(f, FACE_STOP_MS);
    face_free(f);
}

/* ---- the end of everything ---- */

static void stopping_ends_all_children_and_what_ran_away(void **state)
{
    struct face *f = face_new(*state);
    static const char *const commands[] = {
        "sleep 99",
        "trap '' TERM; while :; do sleep 99; done",
        "(setsid sleep 99 >/dev/null &) ; sleep 99",
        "(setsid sh -c 'trap \"\" TERM; while :; do sleep 9; done' >/dev/null &); sleep 99",
        "for i in 1 2 3 4 5; do (setsid sh -c 'sleep 99 & sleep 9' >/dev/null &); done; sleep 99",
    };
    struct probe p[2 * ARRAY_LEN(commands)];
    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        p[i] = probe_of(f, commands[i % ARRAY_LEN(commands)]);
        p[i].order.grace_ms = 10000; /* stopping is in a hurry */
        begin(&p[i]);
    }
    struct probe last = probe_of(f, "true"); /* all of them have been started by then */
    run(&last);
    done(&last);
    leftovers_await("sleep 99", 2 * 11); /* and have set up their traps */
    leftovers_await("sleep 9", 2 * 6);
    face_stop(f, FACE_STOP_MS);
    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        assert_int_equal(p[i].report.end, CHILD_STOPPED);
        assert_string_equal(p[i].events.data + p[i].events.len - 2, "so");
        done(&p[i]);
    }
    face_free(f);
}

/* No time at all: whatever is there when the stop begins is still there when it is over. */
static void stop_too_late(struct face *f)
{
    if (f->kind->on_loop) {
        loop_timer_set(&f->too_late, FACE_TOO_LATE_MS);
        children_stop(f->children, clock_mono_ms(), face_on_stopped, f);
        while (!f->stopped)
            loop_run(f->loop);
        loop_timer_cancel(&f->too_late);
    } else {
        f->clean = children_end(f->children, clock_mono_ms());
    }
}

/* One of the alternatives, parted by '|', is in the text. */
static bool names_one_of(const char *text, const char *alternatives)
{
    char part[64];
    for (const char *a = alternatives;; a++) {
        size_t len = strcspn(a, "|");
        snprintf(part, sizeof(part), "%.*s", (int)len, a);
        if (strstr(text, part) != NULL)
            return true;
        a += len;
        if (*a == '\0')
            return false;
    }
}

static void what_could_not_be_ended_is_named(void **state)
{
    static const struct {
        const char *command, *name;
        bool ends;          /* the script does, when it is told to */
        const char *become; /* what is there when it has got to where it stays */
    } cases[] = {
        {"trap '' TERM; while :; do sleep 9; done", "trap '' TERM; while", false, "sleep 9"},
        {"exec sleep 99", "exec sleep 99 (pid ", false, "sleep 99"},
        {"(setsid sh -c 'trap \"\" TERM; exec sleep 96' >/dev/null &)", "sleep 96|sleep (pid ",
         true, "sleep 96"},
        {"(setsid env -i sh -c 'trap : TERM; while :; do sleep 95; done' >/dev/null &)",
         "sleep 95|sh (pid |sleep (pid ", true,
         "sleep 95"}, /* whichever of the two was seen last */
        {":", "", true, NULL},
    };
    char fifo[64], command[300];
    snprintf(fifo, sizeof(fifo), "/tmp/spine-child-%d.end", (int)getpid());
    unlink(fifo);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int to_script = open(fifo, O_RDWR | O_CLOEXEC); /* waits for no reader */
    struct face_kind kind = *(const struct face_kind *)*state;
    kind.options.orphan_grace_ms = FACE_TOO_LATE_MS; /* it lives until it is named */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct face *f = face_new(&kind);
        snprintf(command, sizeof(command), "%s%s%s", cases[i].command,
                 cases[i].ends ? "; read x <" : "", cases[i].ends ? fifo : "");
        struct probe p = probe_of(f, command);
        begin(&p);
        struct probe last = probe_of(f, "true");
        run(&last);
        if (cases[i].become != NULL)
            leftovers_await(cases[i].become, 1);
        if (cases[i].ends) {
            assert_int_equal(write(to_script, "\n", 1), 1);
            face_wait(f, 1);
        }
        stop_too_late(f);
        const char *left = children_get_left(f->children);
        if (!names_one_of(left, cases[i].name))
            fail_msg("'%s' does not name '%s'", left, cases[i].name);
        assert_int_equal(*left == '\0', *cases[i].name == '\0');
        assert_int_equal(f->clean, *left == '\0');
        face_free(f);
        done(&last);
        done(&p);
    }
    close(to_script);
    unlink(fifo);
}

static void nothing_is_started_once_it_stops(void **state)
{
    struct face *f = face_new(*state);
    face_stop(f, FACE_STOP_MS);
    if (f->kind->on_loop) {
        struct probe p = probe_of(f, "true");
        run(&p);
        assert_int_equal(p.result, SPAWN_REFUSED);
        assert_int_equal(p.err.number, ECANCELED);
        done(&p);
    } else {
        assert_false(children_call(f->children, start, NULL));
    }
    face_free(f);
}

static void free_alone_ends_children_too(void **state)
{
    struct face *f = face_new(*state);
    struct probe p = probe_of(f, "trap '' TERM; sleep 99");
    begin(&p);
    struct probe last = probe_of(f, "true");
    run(&last);
    done(&last);
    face_free(f);
    done(&p);
}

/* A helper that a live script has sent into the background is left alone until the script ends,
 * even when other scripts come and go; then it goes without waiting for the end of the cycle. */
static void a_run_away_lives_as_long_as_a_script_that_may_have_started_it(void **state)
{
    char helper[64], script[64], command[300];
    snprintf(helper, sizeof(helper), "/tmp/spine-child-%d.helper", (int)getpid());
    snprintf(script, sizeof(script), "/tmp/spine-child-%d.script", (int)getpid());
    unlink(helper);
    unlink(script);
    assert_true(mkfifo(helper, 0600) == 0 && mkfifo(script, 0600) == 0);
    int to_script = open(script, O_RDWR | O_CLOEXEC); /* waits for no reader */
    struct face *f = face_new(*state);
    snprintf(command, sizeof(command),
             "(setsid sh -c 'read x <%s; exec sleep 99' >/dev/null & echo $!);"
             " read x <%s; echo go >%s; echo reached",
             helper, script, helper);
    struct probe p = probe_of(f, command), others[10];
    begin(&p);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        char nap[32];
        snprintf(nap, sizeof(nap), "sleep 0.%02zu", 4 * i);
        others[i] = probe_of(f, nap);
        begin(&others[i]);
    }
    face_wait(f, ARRAY_LEN(others));
    assert_int_equal(write(to_script, "go\n", 3), 3);
    face_wait(f, 1);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        done(&others[i]);
    pid_t runaway = (pid_t)strtol(p.output, NULL, 10);
    assert_non_null(strstr(p.output, "\nreached\n")); /* the helper was there to read */
    assert_true(runaway > 0);
    for (int64_t until = clock_mono_ms() + 60000; kill(runaway, 0) == 0;) {
        struct probe look = probe_of(f, "true");
        run(&look);
        done(&look);
        assert_true(clock_mono_ms() < until);
    }
    done(&p);
    face_stop(f, FACE_STOP_MS);
    face_free(f);
    close(to_script);
    unlink(helper);
    unlink(script);
}

/* popen() of a library, or what a program that exec'ed us had started: same group or older. */
static void children_of_others_are_never_touched(void **state)
{
    pid_t older = fork();
    if (older == 0) {
        setpgid(0, 0);
        for (;;)
            pause();
    }
    setpgid(older, older);
    struct face *f = face_new(*state);
    f->descriptors_before = leftovers_descriptors() - 0;
    pid_t same_group = fork();
    if (same_group == 0)
        for (;;)
            pause();
    struct probe p = probe_of(f, "(setsid sleep 99 >/dev/null &); exit 0");
    run(&p);
    done(&p);
    face_stop(f, FACE_STOP_MS);
    assert_int_equal(kill(older, 0), 0);
    assert_int_equal(kill(same_group, 0), 0);
    assert_int_equal(waitpid(older, NULL, WNOHANG), 0);
    assert_int_equal(waitpid(same_group, NULL, WNOHANG), 0);
    kill(older, SIGKILL);
    kill(same_group, SIGKILL);
    assert_int_equal(waitpid(older, NULL, 0), older);
    assert_int_equal(waitpid(same_group, NULL, 0), same_group);
    f->descriptors_before = leftovers_descriptors();
    children_free(f->children);
    f->children = NULL;
    loop_timer_cancel(&f->too_late);
    loop_free(f->loop);
    assert_int_equal(leftovers_processes(), 0);
    pthread_cond_destroy(&f->changed);
    thr_mutex_done(&f->lock);
    free(f);
}

/* Two cycles in one process: the end of one touches neither the script of the other, nor what that sent into the background,
 * nor what looks after both. */
static void the_end_of_one_supervisor_leaves_the_others_processes_alone(void **state)
{
    struct face_kind kind = *(const struct face_kind *)*state;
    kind.options.no_pidfd = false; /* by SIGCHLD one supervisor takes what tells another one */
    struct face *f = face_new(&kind);
    struct probe p = probe_of(f, "(setsid sleep 94 >/dev/null &); exec sleep 93");
    begin(&p);
    leftovers_await("sleep 94", 1);
    leftovers_await("sleep 93", 1);
    struct face *second = face_new(&kind); /* younger */
    struct probe q = probe_of(second, "exec sleep 92");
    begin(&q);
    leftovers_await("sleep 92", 1);
    children_free(f->children); /* ends its own by force, and all that ran away */
    assert_int_equal(leftovers_count("sleep 94") + leftovers_count("sleep 93"), 0);
    assert_int_equal(leftovers_count("sleep 92"), 1);
    assert_null(q.output); /* nothing has been told about it */
    f->children = NULL;
    face_stop(second, FACE_STOP_MS);
    assert_int_equal(q.report.end, CHILD_STOPPED);
    children_free(second->children);
    second->children = NULL;
    face_release(second);
    face_free(f);
    done(&q);
    done(&p);
}

static void five_hundred_children_at_once(void **state)
{
    enum { MANY = 500 };
    struct face *f = face_new(*state);
    struct probe *p = mem_zalloc(MANY, sizeof(p[0]));
    for (int i = 0; i < MANY; i++) {
        p[i] = probe_of(f, "read x </dev/null; echo 1");
        begin(&p[i]);
    }
    face_wait(f, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(p[i].result, SPAWN_STARTED);
        assert_string_equal(p[i].output, "1\n");
        done(&p[i]);
    }
    free(p);
    face_stop(f, FACE_STOP_MS);
    face_free(f);
}

static const struct CMUnitTest all[] = {
    cmocka_unit_test(each_end_is_told_once_and_leaves_nothing),
    cmocka_unit_test(output_beyond_the_cap_is_counted_and_not_kept),
    cmocka_unit_test(a_child_can_be_talked_to),
    cmocka_unit_test(consumed_is_called_when_the_child_reads_again),
    cmocka_unit_test(a_child_that_never_reads_delays_nothing),
    cmocka_unit_test(a_child_that_closes_its_input_is_told_as_closed),
    cmocka_unit_test(a_child_may_be_stopped_from_its_own_callback),
    cmocka_unit_test(what_cannot_be_started_is_told_at_once),
    cmocka_unit_test(stopping_ends_all_children_and_what_ran_away),
    cmocka_unit_test(what_could_not_be_ended_is_named),
    cmocka_unit_test(nothing_is_started_once_it_stops),
    cmocka_unit_test(free_alone_ends_children_too),
    cmocka_unit_test(a_run_away_lives_as_long_as_a_script_that_may_have_started_it),
    cmocka_unit_test(children_of_others_are_never_touched),
    cmocka_unit_test(the_end_of_one_supervisor_leaves_the_others_processes_alone),
    cmocka_unit_test(five_hundred_children_at_once),
};

int main(void)
{
    return face_run_tests(all, ARRAY_LEN(all), 1, true);
}
