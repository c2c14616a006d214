#include "config.h"

#include "drivers/phpserver.h"

#include "../../support/php_pool.h"
#include "../../support/within.h"

/* ---- what one request does, and that the next one is not hurt ---- */

struct row {
    const char *name, *command;
    bool short_time; /* a short time-out */
    bool no_fence;   /* the same promise, or what can be promised, without fences */
    enum script_outcome outcome;
    const char *output;
    const char *detail;
    unsigned int started; /* servers, until the next request was answered */
};

static const struct row rows[] = {
    /* Their servers start before the others. */
    {"partial line, then nothing", "f partial 12", 1, 0, SCRIPT_TIMED_OUT, "",
     "limit: 3000 ms; the line was not finished", 2},
    {"never answers", "f silent", 1, 0, SCRIPT_TIMED_OUT, "", "nothing was printed", 2},
    {"wedged", "f wedge", 1, 0, SCRIPT_TIMED_OUT, "", "limit: 3000 ms", 2},
    {"answers, but never reads again", "f deaf 5", 1, 0, SCRIPT_TIMED_OUT, "",
     "the function did not end", 2},
    /* These have time. */
    {"a value", "f value 42", 0, 0, SCRIPT_OUTPUT, "42", "", 1},
    {"a value, no fences", "f value 42", 0, 1, SCRIPT_OUTPUT, "42", "", 1},
    {"in chunks", "f chunks a:1 b:2 c:3", 0, 0, SCRIPT_OUTPUT, "a:1b:2c:3", "", 1},
    {"CR LF", "f crlf 5", 0, 0, SCRIPT_OUTPUT, "5\r", "", 1},
    {"extra line", "f two 5 9992", 0, 0, SCRIPT_LOST, "", "more than one line", 2},
    {"extra line, no fences", "f two 5 9992", 0, 1, SCRIPT_LOST, "", "more than one line", 2},
    {"delayed line", "f delayed 0.1 5 9992", 0, 0, SCRIPT_LOST, "", "more than one line", 2},
    {"stray line when idle", "f stray 0.05 5 9992", 0, 0, SCRIPT_OUTPUT, "5", "", 0},
    {"two lines of a parse error", "f parse", 0, 0, SCRIPT_OUTPUT, "U", "could not parse", 1},
    {"two lines, the second late", "f backtick", 0, 0, SCRIPT_OUTPUT, "U", "could not parse", 1},
    {"the same, no fences", "f backtick", 0, 1, SCRIPT_OUTPUT, "U", "could not parse", 1},
    {"a value that looks like an error", "f error", 0, 0, SCRIPT_OUTPUT,
     "ERROR: Parse error attempting to parse string of its own", "", 1},
    {"the same, no fences", "f error", 0, 1, SCRIPT_OUTPUT,
     "ERROR: Parse error attempting to parse string of its own", "", 1},
    {"empty line", "f empty", 0, 0, SCRIPT_OUTPUT, "", "", 1},
    {"partial line, then it ends", "f partdie 12", 0, 0, SCRIPT_LOST, "", "in the middle", 2},
    {"a line of 10 MB", "f big 10", 0, 0, SCRIPT_FLOODED, "", "limit: 2047 bytes in a line", 2},
    {"NUL", "f nul", 0, 0, SCRIPT_LOST, "", "NUL", 2},
    {"binary", "f binary", 0, 0, SCRIPT_OUTPUT, NULL, "", 1},
    {"ends instead of an answer, each time", "f die", 0, 0, SCRIPT_LOST, "",
     "ended before it answered", 3},
    {"closes its output", "f close", 0, 0, SCRIPT_LOST, "", "ended before it answered", 3},
    {"ends after its answer", "f lastword 7", 0, 0, SCRIPT_OUTPUT, "7", "", 2},
    {"0, 1, 2 and what listdir opens", "f fds", 0, 0, SCRIPT_OUTPUT, "0 1 2 3", "", 1},
    {"how it was started", "f args", 0, 0, SCRIPT_OUTPUT, "--environ=spine --poller=1", "", 1},
};

enum { BEFORE, THE_ONE, AFTER, LATER, QUESTIONS };

static void assert_row(const struct row *row, const struct php_pool *w, const struct question *q)
{
    bool stray = strstr(row->name, "stray") != NULL;
    assert_answer(&q[BEFORE], "1");
    if (stray && q[THE_ONE].reply.outcome == SCRIPT_LOST) {
        assert_none(&q[THE_ONE], SCRIPT_LOST, "more than one line"); /* it came that early */
    } else if (row->outcome == SCRIPT_OUTPUT) {
        assert_answer(&q[THE_ONE], row->output == NULL ? q[THE_ONE].output : row->output);
        assert_non_null(strstr(q[THE_ONE].detail, row->detail));
    } else {
        assert_none(&q[THE_ONE], row->outcome, row->detail);
    }
    /* a stray line may cost the next request its value, but not give it a wrong one */
    if (!stray || q[AFTER].reply.outcome == SCRIPT_OUTPUT)
        assert_answer(&q[AFTER], "2");
    assert_answer(&q[LATER], "3");
    /* On a busy machine one may not start within a short time. */
    if (w->figures.started < row->started ||
        (row->started != 0 && !row->short_time && w->figures.started != row->started))
        fail_msg("%s: %d servers", row->name, (int)w->figures.started);
}

/* Each row has a server of its own, which is asked what the row says between good requests. */
static void no_answer_is_ever_taken_for_another_request(void **state)
{
    struct face *f = face_new(*state);
    struct php_pool w[ARRAY_LEN(rows)];
    struct question q[QUESTIONS][ARRAY_LEN(rows)] = {{{0}}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        w[i] = php_pool_on(f);
        if (rows[i].short_time)
            w[i].options.timeout_ms = 3000; /* they all run at once */
        w[i].options.no_fence = rows[i].no_fence;
        php_pool_open(&w[i]);
        q[BEFORE][i].command = "f value 1";
        q[THE_ONE][i].command = rows[i].command;
        q[AFTER][i].command = "f nap 0.1 2";
        q[LATER][i].command = "f value 3";
    }
    size_t hurried = 0;
    while (rows[hurried].short_time)
        ask(&w[hurried].asking, &q[BEFORE][hurried]), hurried++;
    wait_for(&w[0].asking, q[BEFORE], hurried);
    for (int k = 0; k < QUESTIONS; k++) {
        size_t first = k == BEFORE ? hurried : 0;
        for (size_t i = first; i < ARRAY_LEN(rows); i++)
            ask(&w[i].asking, &q[k][i]);
        wait_for(&w[0].asking, &q[k][first], ARRAY_LEN(rows) - first);
    }
    php_pool_end_all(w, ARRAY_LEN(rows));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct question mine[QUESTIONS] = {q[BEFORE][i], q[THE_ONE][i], q[AFTER][i],
                                                 q[LATER][i]};
        print_message("    %s\n", rows[i].name);
        assert_row(&rows[i], &w[i], mine);
        php_pool_done(&w[i]);
    }
    for (int k = 0; k < QUESTIONS; k++)
        forget(q[k], ARRAY_LEN(rows));
}

/* In bulk: what the server says about one request must not be told about another. */
static void two_hundred_requests_get_their_own_answers(void **state)
{
    enum { MANY = 200 };
    static const struct {
        const char *before, *after; /* the number of the request */
        bool lost, parse_error;
    } kinds[] = {{"f value ", "", 0, 0},  {"f two ", " 9992", 1, 0},
                 {"f parse", NULL, 0, 1}, {"f delayed 0.02 ", " 9992", 1, 0},
                 {"f die", NULL, 1, 0},   {"f chunks ", "", 0, 0}};
    struct php_pool w = php_pool_of(*state, "");
    struct question *q = mem_zalloc(MANY, sizeof(q[0]));
    char *commands[MANY];
    w.options.count = 4;
    php_pool_open(&w);
    for (int i = 0; i < MANY; i++) {
        size_t k = i % 10 == 0 ? (size_t)i / 10 % ARRAY_LEN(kinds) : 0;
        struct buf command = BUF_INIT;
        buf_puts(&command, kinds[k].before);
        if (kinds[k].after != NULL)
            buf_printf(&command, "%d%s", i, kinds[k].after);
        q[i].command = commands[i] = buf_take(&command);
    }
    ask_all(&w.asking, q, MANY);
    php_pool_end(&w);
    for (int i = 0; i < MANY; i++) {
        size_t k = i % 10 == 0 ? (size_t)i / 10 % ARRAY_LEN(kinds) : 0;
        char number[16];
        snprintf(number, sizeof(number), "%d", i);
        if (kinds[k].lost)
            assert_int_equal(q[i].reply.outcome, SCRIPT_LOST);
        else
            assert_answer(&q[i], kinds[k].parse_error ? "U" : number);
        free(commands[i]);
    }
    forget(q, MANY);
    free(q);
    php_pool_done(&w);
}

/* ---- starting ---- */

struct start_row {
    const char *name, *how;
    int64_t timeout_ms;
    bool works;
    unsigned int starts;
    const char *said; /* NULL: nothing */
};

static const struct start_row start_rows[] = {
    {"normally", "", 20000, true, 1, NULL},
    {"slowly", "slow", 20000, true, 1, NULL},
    {"prints a warning first", "warn", 20000, true, 1, "printed before it started: 'PHP Warning"},
    {"prints more after it started", "more", 20000, true, 1, NULL},
    {"ends at once", "die", 20000, false, 3,
     "ERROR: SS[0] Script Server did not start properly return message was: 'U' (it ended"},
    {"ends after it started", "diehello", 20000, false, 3, "it ended while it started"},
    {"never says that it started", "silent", 500, false, 3, "it did not start in time"},
    {"the same, ignoring SIGTERM", "wedged", 500, false, 3, "it did not start in time"},
    {"says so, but does not read", "deaf", 500, false, 3, "Script Server did not start properly"},
    {"says much, but not that", "babble", 20000, false, 3, "no hello.no hello."},
};

static void every_way_to_start_ends_in_an_answer(void **state)
{
    struct buf hows = BUF_INIT;
    struct php_pool w[ARRAY_LEN(start_rows)];
    struct question q[2 * ARRAY_LEN(start_rows)] = {{0}};
    for (size_t i = 0; i < ARRAY_LEN(start_rows); i++)
        buf_printf(&hows, "%s%s", i == 0 ? "" : ",", start_rows[i].how);
    setenv("FAKESERVER_START", buf_str(&hows), 1);
    struct face *f = face_new(*state);
    for (size_t i = 0; i < ARRAY_LEN(start_rows); i++) {
        w[i] = php_pool_on(f);
        w[i].options.version = "new_install"; /* so that the poller id comes last */
        w[i].options.poller_id = (int)i + 1;
        w[i].options.timeout_ms = start_rows[i].timeout_ms;
        php_pool_open(&w[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(q); i++) {
        q[i].command = "f value 1";
        ask(&w[i % ARRAY_LEN(start_rows)].asking, &q[i]);
    }
    wait_for(&w[0].asking, q, ARRAY_LEN(q));
    php_pool_end_all(w, ARRAY_LEN(start_rows));
    for (size_t i = 0; i < ARRAY_LEN(q); i++) {
        const struct start_row *row = &start_rows[i % ARRAY_LEN(start_rows)];
        if (row->works)
            assert_answer(&q[i], "1");
        else
            assert_none(&q[i], SCRIPT_NOT_STARTED, "no script server could be started");
    }
    for (size_t i = 0; i < ARRAY_LEN(start_rows); i++) {
        const struct start_row *row = &start_rows[i];
        print_message("    %s\n", row->name);
        assert_int_equal(w[i].figures.started, row->starts);
        if (row->said == NULL && strcmp(row->how, "more") != 0)
            assert_quiet(&w[i]);
        else if (row->said != NULL)
            assert_said(&w[i], row->said);
        php_pool_done(&w[i]);
    }
    forget(q, ARRAY_LEN(q));
    buf_done(&hows);
}

/* A start that cannot succeed is not repeated. */
static void a_php_that_cannot_be_executed_answers_everything_at_once(void **state)
{
    static const char *const binaries[] = {"/nowhere/php", "/etc", "", "/etc/passwd"};
    for (size_t i = 0; i < ARRAY_LEN(binaries); i++) {
        struct php_pool w = php_pool_of(*state, "");
        struct question q[50] = {{0}};
        w.options.php = binaries[i];
        w.options.count = 4;
        php_pool_open(&w);
        for (size_t k = 0; k < ARRAY_LEN(q); k++)
            q[k].command = "f value 1";
        ask_all(&w.asking, q, ARRAY_LEN(q));
        php_pool_end(&w);
        for (size_t k = 0; k < ARRAY_LEN(q); k++)
            assert_none(&q[k], SCRIPT_NOT_STARTED, "cannot execute");
        assert_int_equal(w.figures.failed_starts, 4);
        assert_said(&w, "ERROR: SS[3] Script Server did not start properly");
        forget(q, ARRAY_LEN(q));
        php_pool_done(&w);
    }
}

/* E72 */
static void a_request_is_asked_once_more_when_its_server_ends(void **state)
{
    struct php_pool w = php_pool_of(*state, "");
    char path[64], command[100];
    snprintf(path, sizeof(path), "/tmp/spine-dieonce-%d", (int)getpid());
    snprintf(command, sizeof(command), "f dieonce %s 5", path);
    unlink(path);
    struct question q = {.command = command};
    php_pool_open(&w);
    ask_all(&w.asking, &q, 1);
    php_pool_end(&w);
    unlink(path);
    assert_answer(&q, "5");
    assert_int_equal(w.figures.retried, 1);
    assert_int_equal(w.figures.started, 2);
    assert_said(&w, "ERROR: SS[0] PHP Script Server communications lost sending Command[f dieonce");
    forget(&q, 1);
    php_pool_done(&w);
}

/* As the real one does when it is older than the poller interval. */
static void servers_that_end_after_every_request_are_replaced(void **state)
{
    setenv("FAKESERVER_LIFE", "2", 1);
    struct php_pool w = php_pool_of(*state, "");
    unsetenv("FAKESERVER_LIFE");
    struct question q[10] = {{0}};
    php_pool_open(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        q[i].command = "f value 5";
    ask_all(&w.asking, q, ARRAY_LEN(q));
    php_pool_end(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        assert_answer(&q[i], "5");
    forget(q, ARRAY_LEN(q));
    php_pool_done(&w);
}

/* ---- many servers, one queue ---- */

/* One slow function delays no other request. */
static void a_wedged_server_does_not_delay_the_others(void **state)
{
    struct php_pool w = php_pool_of(*state, "");
    struct question q[41] = {{0}};
    w.options.count = 3;
    w.options.timeout_ms = 2500;
    php_pool_open(&w);
    q[0].command = "f wedge";
    for (size_t i = 1; i < ARRAY_LEN(q); i++)
        q[i].command = "f value 5";
    ask_all(&w.asking, q, ARRAY_LEN(q));
    php_pool_end(&w);
    assert_none(&q[0], SCRIPT_TIMED_OUT, "limit");
    for (size_t i = 1; i < ARRAY_LEN(q); i++) {
        assert_answer(&q[i], "5");
        assert_true(q[i].turn < q[0].turn);
    }
    forget(q, ARRAY_LEN(q));
    php_pool_done(&w);
}

/* Each says that it has started when all four are there. */
static void servers_are_started_when_needed_and_in_parallel(void **state)
{
    char directory[64], command[200];
    snprintf(directory, sizeof(directory), "/tmp/spine-starts-%d", (int)getpid());
    snprintf(command, sizeof(command), "rm -rf %s; mkdir %s", directory, directory);
    assert_int_equal(system(command), 0);
    setenv("FAKESERVER_STARTS", directory, 1);
    struct php_pool w = php_pool_of(*state, "gather,gather,gather,gather");
    unsetenv("FAKESERVER_STARTS");
    struct question q[8] = {{0}};
    w.options.count = 4;
    php_pool_open(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        q[i].command = "f value 2";
    ask_all(&w.asking, q, ARRAY_LEN(q));
    php_pool_end(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++) {
        assert_answer(&q[i], "2");
        assert_within(q[i].reply.server, 0, 3);
    }
    assert_int_equal(w.figures.started, 4);
    forget(q, ARRAY_LEN(q));
    php_pool_done(&w);
    snprintf(command, sizeof(command), "rm -r %s", directory);
    assert_int_equal(system(command), 0);
}

static void warming_up_starts_them_before_they_are_asked(void **state)
{
    struct php_pool w = php_pool_of(*state, "");
    struct question q = {.command = "f nap 0.2 1"};
    w.options.count = 4;
    php_pool_open(&w);
    phpserver_warm(w.asking.driver, 3);
    ask_all(&w.asking, &q, 1);
    php_pool_end(&w);
    assert_answer(&q, "1");
    assert_int_equal(w.figures.started, 3);
    forget(&q, 1);
    php_pool_done(&w);
}

static void without_a_request_nothing_is_started(void **state)
{
    struct php_pool w = php_pool_of(*state, "");
    php_pool_open(&w);
    php_pool_end(&w);
    assert_int_equal(w.figures.started, 0);
    assert_quiet(&w);
}

/* ---- what cannot be asked ---- */

static void commands_that_would_confuse_the_protocol_are_never_sent(void **state)
{
    struct php_pool w = php_pool_of(*state, "");
    char longest[1100], too_long[1100];
    memset(longest, 'x', sizeof(longest));
    memset(too_long, 'x', sizeof(too_long));
    memcpy(longest, "f length ", 9);
    memcpy(too_long, "f length ", 9);
    longest[1021] = too_long[1022] = '\0';
    struct question q[] = {
        {.command = ""},         {.command = " \t "},  {.command = "f value 1\nf value 2"},
        {.command = too_long},   {.command = longest}, {.command = longest},
        {.command = "f value 7"}};
    php_pool_open(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        ask_all(&w.asking, &q[i], 1);
    php_pool_end(&w);
    assert_none(&q[0], SCRIPT_NOT_STARTED, "empty");
    assert_none(&q[1], SCRIPT_NOT_STARTED, "empty");
    assert_none(&q[2], SCRIPT_NOT_STARTED, "more than one line");
    assert_none(&q[3], SCRIPT_NOT_STARTED, "1021");
    assert_answer(&q[4], "1012");
    assert_answer(&q[5], "1012");
    assert_answer(&q[6], "7");
    forget(q, ARRAY_LEN(q));
    php_pool_done(&w);
}

/* ---- the end ---- */

static void the_end_of_the_cycle_cancels_waiting_and_running_scripts(void **state)
{
    struct php_pool w = php_pool_of(*state, "");
    struct question q[4] = {{0}};
    php_pool_open(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        q[i] = (struct question){.command = "f silent", .within_ms = 500};
    ask_all(&w.asking, q, ARRAY_LEN(q));
    php_pool_end(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        assert_none(&q[i], SCRIPT_CANCELLED, "");
    forget(q, ARRAY_LEN(q));
    php_pool_done(&w);
}

static void quitting_cancels_everything_and_ends_busy_servers(void **state)
{
    struct php_pool w = php_pool_of(*state, "");
    struct question first = {.command = "f value 1"}, q[5] = {{0}},
                    later = {.command = "f value 1"};
    w.options.count = 2;
    php_pool_open(&w);
    ask_all(&w.asking, &first, 1);
    for (size_t i = 0; i < ARRAY_LEN(q); i++) {
        q[i].command = "f wedge";
        ask(&w.asking, &q[i]);
    }
    phpserver_quit(w.asking.driver);
    phpserver_quit(w.asking.driver);
    wait_for(&w.asking, q, ARRAY_LEN(q));
    ask_all(&w.asking, &later, 1);
    php_pool_end(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        assert_none(&q[i], SCRIPT_CANCELLED, "the cycle is over");
    assert_none(&later, SCRIPT_CANCELLED, "the cycle is over");
    forget(&first, 1);
    forget(q, ARRAY_LEN(q));
    forget(&later, 1);
    php_pool_done(&w);
}

static void servers_that_ignore_quit_and_sigterm_are_killed(void **state)
{
    struct php_pool w = php_pool_of(*state, "stubborn");
    struct question q[2] = {{.command = "f nap 0.1 1"}, {.command = "f nap 0.1 1"}};
    w.options.count = 2;
    php_pool_open(&w);
    ask_all(&w.asking, q, 2);
    php_pool_end(&w); /* looks for what is left */
    assert_answer(&q[0], "1");
    forget(q, 2);
    php_pool_done(&w);
}

static void stopping_the_supervisor_answers_every_request(void **state)
{
    struct php_pool w = php_pool_of(*state, "");
    struct question q[4] = {{0}};
    php_pool_open(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++) {
        q[i].command = "f silent";
        ask(&w.asking, &q[i]);
    }
    face_stop(w.asking.face, FACE_STOP_MS);
    wait_for(&w.asking, q, ARRAY_LEN(q));
    phpserver_pool_free(w.asking.driver);
    for (size_t i = 0; i < ARRAY_LEN(q); i++)
        assert_int_equal(q[i].reply.outcome, SCRIPT_CANCELLED);
    forget(q, ARRAY_LEN(q));
    face_free(w.asking.face);
    php_pool_done(&w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_answer_is_ever_taken_for_another_request),
        cmocka_unit_test(two_hundred_requests_get_their_own_answers),
        cmocka_unit_test(every_way_to_start_ends_in_an_answer),
        cmocka_unit_test(a_php_that_cannot_be_executed_answers_everything_at_once),
        cmocka_unit_test(a_request_is_asked_once_more_when_its_server_ends),
        cmocka_unit_test(servers_that_end_after_every_request_are_replaced),
        cmocka_unit_test(a_wedged_server_does_not_delay_the_others),
        cmocka_unit_test(servers_are_started_when_needed_and_in_parallel),
        cmocka_unit_test(warming_up_starts_them_before_they_are_asked),
        cmocka_unit_test(without_a_request_nothing_is_started),
        cmocka_unit_test(commands_that_would_confuse_the_protocol_are_never_sent),
        cmocka_unit_test(the_end_of_the_cycle_cancels_waiting_and_running_scripts),
        cmocka_unit_test(quitting_cancels_everything_and_ends_busy_servers),
        cmocka_unit_test(servers_that_ignore_quit_and_sigterm_are_killed),
        cmocka_unit_test(stopping_the_supervisor_answers_every_request),
    };
    if (access("/usr/bin/python3", X_OK) != 0) {
        print_message("SKIP: /usr/bin/python3 is not installed\n");
        return 77;
    }
    return face_run_tests(tests, ARRAY_LEN(tests), 3, false);
}
