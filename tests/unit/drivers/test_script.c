#include "config.h"

#include "drivers/script.h"

#include "../../support/asking.h"
#include "../../support/within.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* ---- a runner on a face ---- */

struct world {
    struct asking asking; /* first */
    struct script_options options;
};

static void start(void *driver, const struct script_request *request, int64_t deadline_mono_ms,
                  script_done_fn *done, void *arg)
{
    script_start(driver, request, deadline_mono_ms, done, arg);
}

static struct world world_on(struct face *f)
{
    struct world w = {.asking = {.face = f, .start = start}, .options = script_default_options()};
    w.options.timeout_ms = 20000;
    w.options.grace_ms = 100;
    return w;
}

static struct world world_of(const struct face_kind *kind)
{
    return world_on(face_new(kind));
}

static void open_runner(struct world *w)
{
    w->options.note = asking_note;
    w->options.note_arg = &w->asking;
    w->asking.driver = script_runner_new(w->asking.face->children, &w->options);
}

/* Returns how many scripts ran at the same time. */
static size_t end(struct world *w)
{
    face_stop(w->asking.face, FACE_STOP_MS);
    struct script_figures figures = script_get_figures(w->asking.driver);
    script_runner_free(w->asking.driver);
    face_free(w->asking.face);
    buf_done(&w->asking.notes);
    return figures.most_running;
}

/* ---- one fault, one promise ---- */

struct row {
    const char *name, *command;
    int64_t timeout_ms; /* 0: long */
    bool count_lines;
    enum script_outcome outcome;
    const char *output; /* NULL: any */
    const char *detail; /* part of it */
    const char *note;   /* part of what is said after the reply; NULL: nothing may be */
};

static const struct row rows[] = {
    {"prints a number", "echo 42", 0, 0, SCRIPT_OUTPUT, "42\n", "", NULL},
    {"leaves a daemon behind", "(setsid sleep 99 >/dev/null 2>&1 &); echo 8", 0, 0, SCRIPT_OUTPUT,
     "8\n", "", NULL},
    {"the daemon holds its output", "(setsid sleep 99 &); echo 8", 0, 0, SCRIPT_OUTPUT, "8\n",
     "kept its output open", "left its group"},
    {"the daemon is stubborn",
     "(setsid sh -c 'trap \"\" TERM; while :; do sleep 99; done' >/dev/null 2>&1 &); echo 8", 0, 0,
     SCRIPT_OUTPUT, "8\n", "", NULL},
    {"floods", "yes", 0, 0, SCRIPT_FLOODED, NULL, "limit: 1048576 bytes of output; ended", NULL},
    {"floods without a line", "cat /dev/zero", 0, 0, SCRIPT_FLOODED, NULL, "limit: 1048576", NULL},
    {"prints more than the cap", "printf '%05000d\\n' 1", 0, 0, SCRIPT_OUTPUT, NULL,
     "limit: output cut to 2047 of 5001 bytes", NULL},
    {"in two chunks", "printf 'a:1 '; sleep 0.2; echo b:2", 0, 0, SCRIPT_OUTPUT, "a:1 b:2\n", "",
     NULL},
    {"byte by byte", "for i in 1 2 3 4 5 6; do printf $i; done", 0, 0, SCRIPT_OUTPUT, "123456", "",
     NULL},
    {"no newline", "printf 5", 0, 0, SCRIPT_OUTPUT, "5", "", NULL},
    {"CR LF", "printf '5\\r\\n'", 0, 0, SCRIPT_OUTPUT, "5\r\n", "", NULL},
    {"8 bit", "printf '\\303\\244\\377\\n'", 0, 0, SCRIPT_OUTPUT, "\303\244\377\n", "", NULL},
    {"several lines", "printf 'a:1\\nb:2\\n'", 0, 0, SCRIPT_OUTPUT, "a:1\nb:2\n", "", NULL},
    {"fails with output", "echo 12; exit 9", 0, 0, SCRIPT_OUTPUT, "12\n", "exit status 9", NULL},
    {"fails without output", "exit 9", 0, 0, SCRIPT_EMPTY, "", "exit status 9", NULL},
    {"killed by a signal", "kill -KILL $$", 0, 0, SCRIPT_EMPTY, "", "ended by signal 9", NULL},
    {"dumps core", "ulimit -c 0; echo 4; kill -SEGV $$", 0, 0, SCRIPT_OUTPUT, "4\n",
     "ended by signal 11", NULL},
    {"no such command", "exec 2>/dev/null; no-such-command-anywhere 1", 0, 0, SCRIPT_EMPTY, "",
     "exit status 127: the shell did not find the command", NULL},
    {"no such file", "exec 2>/dev/null; /nowhere/script.pl 1", 0, 0, SCRIPT_EMPTY, "",
     "exit status 127", NULL},
    {"a directory", "exec 2>/dev/null; /etc", 0, 0, SCRIPT_EMPTY, "",
     "exit status 126: the shell could not execute the command", NULL},
    {"quotes and more", "printf '%s|' \"a'b\" 'c\"d' \"$((1+2))\" `echo e` 'f\ng' '$h \\'", 0, 0,
     SCRIPT_OUTPUT, "a'b|c\"d|3|e|f\ng|$h \\|", "", NULL},
    {"descriptors", "ls /proc/self/fd | tr '\\n' ' '", 0, 0, SCRIPT_OUTPUT, "0 1 2 3 ", "", NULL},
    {"standard input", "readlink /proc/self/fd/0; cat", 0, 0, SCRIPT_OUTPUT, "/dev/null\n", "",
     NULL},
    {"signals", "grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\t\\n'", 0, 0, SCRIPT_OUTPUT,
     "SigBlk:0000000000000000SigIgn:0000000000000000", "", NULL},
    {"capabilities", "grep -E '^Cap(Inh|Amb)' /proc/self/status | tr -d '\\t\\n'", 0, 0,
     SCRIPT_OUTPUT, "CapInh:0000000000000000CapAmb:0000000000000000", "", NULL},
    {"environment", "echo \"${MIBS-unset}|$HOME\"", 0, 0, SCRIPT_OUTPUT, "|/spine-home\n", "",
     NULL},
    {"a broken pipe ends a pipeline", "yes | head -1", 0, 0, SCRIPT_OUTPUT, "y\n", "", NULL},
    {"limits", "ulimit -n; ulimit -c", 0, 0, SCRIPT_OUTPUT, "1024\n0\n", "", NULL},
    {"lines are counted to the end", "seq 1 200000", 0, 1, SCRIPT_OUTPUT, NULL, "", NULL},
    {"lines: none", "true", 0, 1, SCRIPT_EMPTY, "", "exit status 0", NULL},
    {"lines: a helper may still print", "sleep 99 & seq 1 10", 0, 1, SCRIPT_TIMED_OUT, NULL,
     "kept its output open", NULL},
    {"lines: more than a flood", "yes | head -c 4000000", 0, 1, SCRIPT_OUTPUT, NULL, "", NULL},
    /* Their time starts when the others have ended. */
    {"prints, then stays", "echo 7; sleep 99", 1000, 0, SCRIPT_OUTPUT, "7\n",
     " ms; it had not ended and had printed 2 bytes; ended by SIGTERM", NULL},
    {"prints half a line, then stays", "printf 12; sleep 99", 1000, 0, SCRIPT_TIMED_OUT, NULL,
     "limit: ", NULL},
    {"a line and a half", "printf 'a:1\\nb:'; sleep 99", 1000, 0, SCRIPT_OUTPUT, "a:1\n",
     "limit: ", NULL},
    {"value, closes its output, stays", "echo 7; exec >&-; sleep 99", 2000, 0, SCRIPT_OUTPUT, "7\n",
     "", "went on after its result"},
    {"closes its output without printing", "exec >&-; sleep 99", 2000, 0, SCRIPT_EMPTY, "",
     "closed its output without printing anything", "ended by SIGTERM"},
    {"never prints", "sleep 99; :", 1000, 0, SCRIPT_TIMED_OUT, "", "ended by SIGTERM", NULL},
    {"nor does its helper", "sh -c 'sleep 99; :' | cat", 1000, 0, SCRIPT_TIMED_OUT, "",
     "ended by SIGTERM", NULL},
    {"ignores SIGTERM", "trap '' TERM; while :; do sleep 99; done", 1000, 0, SCRIPT_TIMED_OUT, "",
     "ignored SIGTERM, ended by SIGKILL", NULL},
    {"ignores SIGTERM, has a value", "trap '' TERM; echo 3; while :; do sleep 99; done", 1000, 0,
     SCRIPT_OUTPUT, "3\n", "ignored SIGTERM, ended by SIGKILL", NULL},
    {"lines: not known to be all", "seq 1 10; sleep 99", 1000, 1, SCRIPT_TIMED_OUT, NULL,
     "limit: ", NULL},
};

static const struct {
    const char *name;
    uint64_t lines;
} line_counts[] = {
    {"lines are counted to the end", 200000},
    {"lines: more than a flood", 2000000},
    {"several lines", 2},
};

/* What has not gone half a second after SIGKILL counts as out of reach: on a busy machine it may be on its way. */
static bool says(const char *detail, const char *wanted)
{
    static const char *const late[] = {"what keeps its output open has left its group",
                                       "not even SIGKILL could end it"};
    bool killed = strcmp(wanted, "ignored SIGTERM, ended by SIGKILL") == 0;
    return strstr(detail, wanted) != NULL ||
           (killed && (strstr(detail, late[0]) != NULL || strstr(detail, late[1]) != NULL));
}

static void assert_row(const struct row *row, const struct question *q)
{
    if (q->reply.outcome != row->outcome)
        fail_msg("%s: outcome %d, detail '%s'", row->name, (int)q->reply.outcome, q->detail);
    if (row->output != NULL && strcmp(q->output, row->output) != 0)
        fail_msg("%s: output is '%s'", row->name, q->output);
    if (!says(q->detail, row->detail) || (row->detail[0] == '\0' && q->detail[0] != '\0'))
        fail_msg("%s: detail is '%s', not '%s'", row->name, q->detail, row->detail);
    for (size_t i = 0; i < ARRAY_LEN(line_counts); i++)
        if (strcmp(line_counts[i].name, row->name) == 0)
            assert_int_equal(q->reply.lines, line_counts[i].lines);
    assert_true(q->reply.elapsed_us > 0);
}

struct look {
    struct world *worlds;
    bool complete;
};

/* On the supervising thread: has every script printed what was expected? */
static void look_at_notes(void *arg)
{
    struct look *l = arg;
    l->complete = true;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].note != NULL &&
            strstr(buf_str(&l->worlds[i].asking.notes), rows[i].note) == NULL)
            l->complete = false;
    face_arrive(l->worlds[0].asking.face);
}

static void wait_for_notes(struct world *w)
{
    struct look look = {.worlds = w};
    for (int64_t until_ms = clock_mono_ms() + 60000;;) {
        struct question nap = {.command = "sleep 0.1; echo 1"};
        face_call(w[0].asking.face, look_at_notes, &look);
        face_wait(w[0].asking.face, 1);
        if (look.complete)
            return;
        if (clock_mono_ms() > until_ms)
            fail_msg("something was not noted");
        ask_all(&w[0].asking, &nap, 1);
        forget(&nap, 1);
    }
}

/* What obeys SIGTERM has all the time that a busy machine needs for it; what does not, or is out of reach, need not be
 * waited for.  What has closed its output is given that time, too, before the signal is sent: as long as its time-out. */
static int64_t grace_of(const struct row *row, int64_t timeout_ms)
{
    bool obeys = strstr(row->detail, "ended by SIGTERM") != NULL ||
                 row->outcome == SCRIPT_FLOODED ||
                 (strstr(row->detail, "kept its output open") != NULL && row->note == NULL);
    bool closes = row->note != NULL && strstr(row->note, "ended by SIGTERM") != NULL;
    return obeys ? 60000 : closes ? timeout_ms : 100;
}

/* Rows with a time-out are about what a script does in it, such as to print, or to set a trap: it is to be longer
 * than this machine needs for that at the moment, as all rows without one have just shown. */
static int64_t timeout_of(const struct row *row, int64_t quick_took_ms)
{
    int64_t patience_ms = 3 * quick_took_ms;
    return patience_ms > row->timeout_ms ? patience_ms : row->timeout_ms;
}

static void open_row(struct world *w, const struct row *row, int64_t timeout_ms)
{
    w->options.timeout_ms = timeout_ms;
    w->options.grace_ms = grace_of(row, timeout_ms);
    open_runner(w);
}

/* All rows at once: what one script does must not touch the others. */
static void every_fault_of_a_script_has_its_promised_outcome(void **state)
{
    struct face *f = face_new(*state);
    struct world w[ARRAY_LEN(rows)];
    struct question q[ARRAY_LEN(rows)] = {{0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        w[i] = world_on(f);
        q[i].command = rows[i].command;
        q[i].count_lines = rows[i].count_lines;
    }
    size_t quick = 0;
    int64_t began_ms = clock_mono_ms();
    for (; rows[quick].timeout_ms == 0; quick++) {
        open_row(&w[quick], &rows[quick], w[quick].options.timeout_ms);
        ask(&w[quick].asking, &q[quick]);
    }
    wait_for(&w[0].asking, q, quick);
    int64_t took_ms = clock_mono_ms() - began_ms;
    for (size_t i = quick; i < ARRAY_LEN(rows); i++) {
        open_row(&w[i], &rows[i], timeout_of(&rows[i], took_ms));
        ask(&w[i].asking, &q[i]);
    }
    wait_for(&w[0].asking, q + quick, ARRAY_LEN(q) - quick);
    wait_for_notes(w);
    face_stop(f, FACE_STOP_MS);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *note = rows[i].note;
        assert_row(&rows[i], &q[i]);
        if (note == NULL)
            assert_string_equal(buf_str(&w[i].asking.notes), "");
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        script_runner_free(w[i].asking.driver);
        buf_done(&w[i].asking.notes);
    }
    forget(q, ARRAY_LEN(q));
    face_free(f);
}

/* D65 */
static void a_command_is_passed_in_full_or_refused(void **state)
{
    struct world w = world_of(*state);
    char *big = mem_alloc(200001);
    struct question q[2] = {{.command = big}, {.command = big + 100000}};
    memset(big, ' ', 200000);
    big[200000] = '\0';
    memcpy(big, "printf '", 8);
    memcpy(big + 100000, "printf %d 5", 11);
    open_runner(&w);
    ask_all(&w.asking, q, 2);
    assert_int_equal(q[0].reply.outcome, SCRIPT_NOT_STARTED);
    assert_non_null(strstr(q[0].detail, "Argument list too long"));
    assert_non_null(strstr(q[0].detail, "200000 bytes"));
    assert_int_equal(q[1].reply.outcome, SCRIPT_OUTPUT);
    assert_string_equal(q[1].output, "5");
    forget(q, 2);
    memset(big, 'x', 700);
    memcpy(big, "printf '", 8);
    strcpy(big + 700, "'");
    struct question long_one = {.command = big};
    ask_all(&w.asking, &long_one, 1);
    assert_int_equal(strlen(long_one.output), 692);
    forget(&long_one, 1);
    free(big);
    end(&w);
}

/* ---- slots ---- */

/* Naps on two slots, one after another longer than the time-out, of which each has `naps` times its own length: whether
 * all of them had a value. */
static bool naps_are_slept(void *kind, size_t naps)
{
    struct world w = world_of(kind);
    size_t count = 2 * (naps + 1), slept = 0;
    struct question *q = mem_zalloc(count, sizeof(q[0]));
    w.options.slots = 2;
    w.options.timeout_ms = (int)naps * 300;
    open_runner(&w);
    for (size_t i = 0; i < count; i++)
        q[i].command = "sleep 0.3; echo 1";
    ask_all(&w.asking, q, count);
    for (size_t i = 0; i < count; i++)
        slept += q[i].reply.outcome == SCRIPT_OUTPUT;
    forget(q, count);
    free(q);
    assert_int_equal(end(&w), 2);
    return slept == count;
}

/* The time-out does not run while a script waits for its slot.  A busy machine may need more than the time-out for one
 * nap, so it gets more of it, of which waiting would still take all. */
static void busy_slots_make_no_false_unknowns(void **state)
{
    size_t naps = 4;
    while (!naps_are_slept(*state, naps) && naps < 100)
        naps *= 2;
    assert_true(naps < 100);
}

static void slots_go_to_the_oldest_request(void **state)
{
    struct world w = world_of(*state);
    struct question q[10] = {{0}};
    w.options.slots = 1;
    open_runner(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        q[i].command = "echo 1";
    ask_all(&w.asking, q, ARRAY_LEN(q));
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        assert_int_equal(q[i].turn, i);
    forget(q, ARRAY_LEN(q));
    assert_int_equal(end(&w), 1);
}

/* D69 in small. */
static void two_hundred_scripts_share_twenty_slots(void **state)
{
    struct world w = world_of(*state);
    struct question *q = mem_zalloc(200, sizeof(q[0]));
    open_runner(&w);
    for (size_t i = 0; i < 200; i++)
        q[i].command = "echo 1";
    ask_all(&w.asking, q, 200);
    for (size_t i = 0; i < 200; i++)
        assert_string_equal(q[i].output, "1\n");
    forget(q, 200);
    free(q);
    assert_within(end(&w), 1, 20);
}

static void the_end_of_the_cycle_cancels_waiting_and_running_scripts(void **state)
{
    struct world w = world_of(*state);
    struct question q[4] = {{0}};
    w.options.slots = 2;
    open_runner(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        q[i] = (struct question){.command = "sleep 99", .within_ms = 200};
    ask_all(&w.asking, q, ARRAY_LEN(q));
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        assert_int_equal(q[i].reply.outcome, SCRIPT_CANCELLED);
    forget(q, ARRAY_LEN(q));
    end(&w);
}

static void giving_up_cancels_everything_at_once(void **state)
{
    struct world w = world_of(*state);
    struct question q[6] = {{0}}, later = {.command = "echo 1"};
    w.options.slots = 2;
    open_runner(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++) {
        q[i].command = "trap '' TERM; while :; do sleep 99; done";
        ask(&w.asking, &q[i]);
    }
    struct question ticket = {.command = "sleep 99"};
    ask(&w.asking, &ticket);
    script_give_up(w.asking.driver);
    script_give_up(w.asking.driver);
    if (w.asking.face->kind->on_loop) {
        face_wait(w.asking.face, (int)ARRAY_LEN(q) + 1);
    } else {
        wait_for(&w.asking, q, ARRAY_LEN(q));
        wait_for(&w.asking, &ticket, 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        assert_int_equal(q[i].reply.outcome, SCRIPT_CANCELLED);
    ask_all(&w.asking, &later, 1);
    assert_int_equal(later.reply.outcome, SCRIPT_CANCELLED);
    forget(q, ARRAY_LEN(q));
    forget(&ticket, 1);
    forget(&later, 1);
    end(&w);
}

static void stopping_the_supervisor_answers_every_request(void **state)
{
    struct world w = world_of(*state);
    struct question q[6] = {{0}};
    w.options.slots = 2;
    open_runner(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++) {
        q[i].command = "sleep 99";
        ask(&w.asking, &q[i]);
    }
    face_stop(w.asking.face, FACE_STOP_MS);
    wait_for(&w.asking, q, ARRAY_LEN(q));
    script_runner_free(w.asking.driver);
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        assert_int_equal(q[i].reply.outcome, SCRIPT_CANCELLED);
    forget(q, ARRAY_LEN(q));
    face_free(w.asking.face);
    buf_done(&w.asking.notes);
}

/* ---- what the system has not to give ---- */

/* D67 */
static void lack_of_descriptors_delays_and_does_not_fail(void **state)
{
    struct world w = world_of(*state);
    struct question q[8] = {{0}};
    struct rlimit before, few;
    open_runner(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        q[i].command = "sleep 0.05; echo 1";
    int last = dup(2);
    close(last);
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = (rlim_t)last + 5; /* room for one script at a time */
    setrlimit(RLIMIT_NOFILE, &few);
    ask_all(&w.asking, q, ARRAY_LEN(q));
    setrlimit(RLIMIT_NOFILE, &before);
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        assert_int_equal(q[i].reply.outcome, SCRIPT_OUTPUT);
    forget(q, ARRAY_LEN(q));
    assert_within(end(&w), 1, 4);
}

static void no_descriptor_at_all_is_told_when_the_time_out_is_over(void **state)
{
    struct world w = world_of(*state);
    struct question q = {.command = "echo 1"};
    struct rlimit before, none;
    w.options.timeout_ms = 200;
    open_runner(&w);
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    ask_all(&w.asking, &q, 1);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(q.reply.outcome, SCRIPT_NOT_STARTED);
    assert_non_null(strstr(q.detail, "Too many open files"));
    forget(&q, 1);
    end(&w);
}

static enum script_outcome ask_echo(struct world *w, bool *ret_why)
{
    struct question q = {.command = "echo 1"};
    ask_all(&w->asking, &q, 1);
    *ret_why = strstr(q.detail, "Resource temporarily unavailable") != NULL;
    forget(&q, 1);
    return q.reply.outcome;
}

static int ask_without_processes(const struct face_kind *kind)
{
    struct rlimit few;
    bool why;
    if (geteuid() == 0 &&
        (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
        return 77;
    struct world w = world_of(kind);
    open_runner(&w);
    getrlimit(RLIMIT_NPROC, &few);
    few.rlim_cur = 1;
    setrlimit(RLIMIT_NPROC, &few);
    enum script_outcome outcome = ask_echo(&w, &why);
    if (outcome == SCRIPT_OUTPUT)
        return 77;
    int rc = outcome == SCRIPT_NOT_STARTED && why ? 0 : 2;
    few.rlim_cur = few.rlim_max;
    setrlimit(RLIMIT_NPROC, &few);
    if (ask_echo(&w, &why) != SCRIPT_OUTPUT) /* and the process goes on */
        rc = rc == 0 ? 3 : rc;
    end(&w);
    return rc;
}

/* In a process of its own with another user, because a limit on processes does not hold for
 * root. */
static void lack_of_processes_is_tried_again_and_then_reported(void **state)
{
    const struct face_kind *kind = *state;
    if (kind->on_loop)
        return; /* the queue is the same; the loop cannot be taken into another process */
    pid_t pid = fork();
    if (pid == 0)
        _exit(ask_without_processes(kind));
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("NOT TRIED: the system does not let this be tried\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_of_a_script_has_its_promised_outcome),
        cmocka_unit_test(a_command_is_passed_in_full_or_refused),
        cmocka_unit_test(busy_slots_make_no_false_unknowns),
        cmocka_unit_test(slots_go_to_the_oldest_request),
        cmocka_unit_test(two_hundred_scripts_share_twenty_slots),
        cmocka_unit_test(the_end_of_the_cycle_cancels_waiting_and_running_scripts),
        cmocka_unit_test(giving_up_cancels_everything_at_once),
        cmocka_unit_test(stopping_the_supervisor_answers_every_request),
        cmocka_unit_test(lack_of_descriptors_delays_and_does_not_fail),
        cmocka_unit_test(no_descriptor_at_all_is_told_when_the_time_out_is_over),
        cmocka_unit_test(lack_of_processes_is_tried_again_and_then_reported),
    };
    setenv("HOME", "/spine-home", 1);
    setenv("MIBS", "ALL", 1);
    return face_run_tests(tests, ARRAY_LEN(tests), 1, true);
}
