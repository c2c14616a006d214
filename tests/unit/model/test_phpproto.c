#include "config.h"

#include "model/phpproto.h"

#include "../../support/within.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- a conversation, in short ----
 *
 * A script is words; each is an event, what came of it is written down:
 *   start   fail   forgood   eat (the fence was consumed)   close   +MS (time passes)   ask
 *   =text   bytes, with \n for a line feed, \0 for a NUL, ~ for a blank
 * Notation of what is to be done: E end, F fence, n note, S start failed, R retry,
 * A:outcome:text answer, T: the text of detail follows. */

static struct phpproto_do last;

static void bytes(struct phpproto *p, int64_t now, const char *text, struct buf *out)
{
    struct buf b = BUF_INIT;
    (void)out;
    for (; *text != '\0'; text++) {
        if (text[0] == '\\' && (text[1] == 'n' || text[1] == '0'))
            buf_putc(&b, *++text == 'n' ? '\n' : '\0');
        else
            buf_putc(&b, *text == '~' ? ' ' : *text);
    }
    last = phpproto_bytes(p, now, buf_str(&b), b.len);
    buf_done(&b);
}

static void write_down(struct buf *out, const struct phpproto_do *d)
{
    static const char *const outcomes[] = {"output",      "empty", "timeout",  "flood",
                                           "not-started", "lost",  "cancelled"};
    buf_printf(out, "%s%s%s%s%s", d->end ? "E" : "", d->fence ? "F" : "",
               d->note != NULL ? "n" : "", d->start_failed ? "S" : "", d->retry ? "R" : "");
    if (d->answer) {
        buf_printf(out, "A:%s:", outcomes[d->outcome]);
        buf_append(out, d->output, d->len);
    }
    buf_putc(out, ' ');
}

/* Returns what came of all events; the caller frees it. */
static char *play(struct phpproto *p, const char *script)
{
    struct buf out = BUF_INIT, line = BUF_INIT;
    char *copy = strdup(script), *save = NULL;
    int64_t now = 1000;
    for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        last = (struct phpproto_do){.end = false};
        if (strcmp(w, "start") == 0)
            last = phpproto_started(p, now);
        else if (strcmp(w, "fail") == 0)
            last = phpproto_not_started(p, now, "why", false);
        else if (strcmp(w, "forgood") == 0)
            last = phpproto_not_started(p, now, "why", true);
        else if (strcmp(w, "eat") == 0)
            last = phpproto_consumed(p, now);
        else if (strcmp(w, "close") == 0)
            last = phpproto_closed(p, now);
        else if (strcmp(w, "ask") == 0)
            phpproto_ask(p, now, "file function", &line);
        else if (w[0] == '=')
            bytes(p, now, w + 1, &out);
        else if (w[0] == '+')
            last = phpproto_time(p, now += atoi(w + 1));
        else
            fail_msg("what is '%s'?", w);
        write_down(&out, &last);
    }
    buf_done(&line);
    free(copy);
    buf_puts(&out, "");
    return buf_take(&out);
}

#define HELLO "start =PHP~Script~Server~has~Started~-~Parent~is~cmd\\n eat"

struct conversation {
    const char *name, *script, *done;
    enum phpproto_state state; /* in the end */
    bool no_fence;
};

static const struct conversation conversations[] = {
    {"starts", HELLO, " F  ", PHPPROTO_IDLE, false},
    {"starts without fences", "start =Started\\n", "  ", PHPPROTO_IDLE, true},
    {"starts in pieces", "start =Sta =rted =now\\n eat", "   F  ", PHPPROTO_IDLE, false},
    {"warns first", "start =Warning\\nStarted\\n eat", " Fn  ", PHPPROTO_IDLE, false},
    {"warns afterwards", "start =Started\\n =Notice\\n eat", " F n  ", PHPPROTO_IDLE, false},
    {"does not take the fence", "start +3000 =Started\\n +1999 +1", "  F  EnS ", PHPPROTO_DOWN,
     false},
    {"is late", "start =No +5000", "  EnS ", PHPPROTO_DOWN, false},
    {"is nearly late", "start +4999", "  ", PHPPROTO_STARTING, false},
    {"ends while it starts", "start close", " EnS ", PHPPROTO_DOWN, false},
    {"ends after its greeting", "start =Started\\n close", " F EnS ", PHPPROTO_DOWN, false},
    {"three starts and no more", "fail fail fail", "nS nS nS ", PHPPROTO_DEAD, false},
    {"a good one in between", "fail fail " HELLO " close fail fail", "nS nS  F  En nS nS ",
     PHPPROTO_DOWN, false},
    {"no such file", "forgood", "nS ", PHPPROTO_DEAD, false},

    {"answers", HELLO " ask =42\\n eat", " F   F A:output:42 ", PHPPROTO_IDLE, false},
    {"answers twice", HELLO " ask =42\\n eat ask =43\\n eat", " F   F A:output:42  F A:output:43 ",
     PHPPROTO_IDLE, false},
    {"answers without fences", "start =Started\\n ask =42\\n", "   A:output:42 ", PHPPROTO_IDLE,
     true},
    {"answers in pieces", HELLO " ask =4 =2 =\\n eat", " F     F A:output:42 ", PHPPROTO_IDLE,
     false},
    {"answers with an empty line", HELLO " ask =\\n eat", " F   F A:output: ", PHPPROTO_IDLE,
     false},
    {"two lines at once", HELLO " ask =1\\n2\\n eat", " F   F EA:lost: ", PHPPROTO_DOWN, false},
    {"two lines, the second later", HELLO " ask =1\\n +4000 =2\\n eat",
     " F   F   EA:lost: ", PHPPROTO_DOWN, false},
    {"a line and a bit", HELLO " ask =1\\n2 eat", " F   F EA:lost: ", PHPPROTO_DOWN, false},
    {"two lines without fences", "start =Started\\n ask =1\\n2\\n", "   EA:lost: ", PHPPROTO_DOWN,
     true},
    {"a stray line before it is asked", HELLO " =9992\\n", " F  En ", PHPPROTO_DOWN, false},
    {"a stray line instead of the answer", HELLO " ask =9992\\n =7\\n eat",
     " F   F  EA:lost: ", PHPPROTO_DOWN, false},
    {"a parse error", HELLO " ask =ERROR:~Parse~error~attempting~to~parse~string~'x'\\nU\\n eat",
     " F   F A:output:U ", PHPPROTO_IDLE, false},
    {"a backtick", HELLO " ask =ERROR:~Backtic~(`)~characters~not~allowed~'`'\\n =U\\n eat",
     " F   F  A:output:U ", PHPPROTO_IDLE, false},
    {"a parse error and U with CR LF",
     HELLO " ask =ERROR:~Parse~error~attempting~to~parse~string\\nU\r\\n eat", " F   F A:output:U ",
     PHPPROTO_IDLE, false},
    {"a parse error and another letter",
     HELLO " ask =ERROR:~Parse~error~attempting~to~parse~string\\nX\\n eat",
     " F   F EA:lost: ", PHPPROTO_DOWN, false},
    {"a parse error and two letters",
     HELLO " ask =ERROR:~Parse~error~attempting~to~parse~string\\nUX\\n eat",
     " F   F EA:lost: ", PHPPROTO_DOWN, false},
    {"a parse error and two lines",
     HELLO " ask =ERROR:~Parse~error~attempting~to~parse~string\\nU\\n2\\n eat",
     " F   F EA:lost: ", PHPPROTO_DOWN, false},
    {"a parse error and two lines with CR LF",
     HELLO " ask =ERROR:~Parse~error~attempting~to~parse~string\\nU\r\\n2\\n eat",
     " F   F EA:lost: ", PHPPROTO_DOWN, false},
    {"U after another long line",
     HELLO " ask =ERROR:~neither~a~parse~error~nor~a~Backtic,~but~as~long\\nU\\n eat",
     " F   F EA:lost: ", PHPPROTO_DOWN, false},
    {"no parse error after all", HELLO " ask =ERROR:~Parse~error~attempting~to~parse~string\\n eat",
     " F   F A:output:ERROR: Parse error attempting to parse string ", PHPPROTO_IDLE, false},
    {"a parse error without fences",
     "start =Started\\n ask =ERROR:~Parse~error~attempting~to~parse~string~'x'\\n +50 =U\\n",
     "     A:output:U ", PHPPROTO_IDLE, true},
    {"none after all, without fences",
     "start =Started\\n ask =ERROR:~Parse~error~attempting~to~parse~string\\n +99 +1",
     "     A:output:ERROR: Parse error attempting to parse string ", PHPPROTO_IDLE, true},
    {"nothing in time", HELLO " ask +4999 +1", " F    EA:timeout: ", PHPPROTO_DOWN, false},
    {"half a line in time", HELLO " ask =4 +5000", " F    EA:timeout: ", PHPPROTO_DOWN, false},
    {"a line, but no end", HELLO " ask =4\\n +5000", " F   F EA:timeout: ", PHPPROTO_DOWN, false},
    {"too long", HELLO " ask =12345678901", " F   EA:flood: ", PHPPROTO_DOWN, false},
    {"just not too long", HELLO " ask =1234567890\\n eat", " F   F A:output:1234567890 ",
     PHPPROTO_IDLE, false},
    {"too long with its end", HELLO " ask =12345678901\\n", " F   EA:flood: ", PHPPROTO_DOWN,
     false},
    {"a NUL", HELLO " ask =1\\02\\n", " F   EA:lost: ", PHPPROTO_DOWN, false},
    {"ends without a byte", HELLO " ask close", " F   EnR ", PHPPROTO_DOWN, false},
    {"ends with half a line", HELLO " ask =4 close", " F    EA:lost: ", PHPPROTO_DOWN, false},
    {"ends after its line", HELLO " ask =4\\n close", " F   F EA:output:4 ", PHPPROTO_DOWN, false},
    {"ends after two lines", HELLO " ask =4\\n5\\n close", " F   F EA:lost: ", PHPPROTO_DOWN,
     false},
    {"ends when idle", HELLO " close", " F  En ", PHPPROTO_DOWN, false},
    {"late bytes of a replaced one", HELLO " ask +5000 =42\\n close",
     " F   EA:timeout:   ", PHPPROTO_DOWN, false},
};

static void every_conversation_ends_as_it_must(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(conversations); i++) {
        const struct conversation *c = &conversations[i];
        const struct phpproto_options options = {
            .timeout_ms = 5000, .line_max = 10, .no_fence = c->no_fence};
        struct phpproto_options wide = options;
        struct phpproto p;
        if (strstr(c->script, "ERROR") != NULL)
            wide.line_max = 100;
        phpproto_init(&p, &wide);
        char *done = play(&p, c->script);
        if (strcmp(done, c->done) != 0 || p.state != c->state)
            fail_msg("%s: '%s' is not '%s', state %d", c->name, done, c->done, (int)p.state);
        free(done);
        phpproto_done(&p);
    }
}

static void pauses_between_starts_grow(void **state)
{
    (void)state;
    const struct phpproto_options options = {.timeout_ms = 5000, .line_max = 10, .no_fence = true};
    struct phpproto p;
    phpproto_init(&p, &options);
    assert_int_equal(p.start_at_ms, 0);
    phpproto_not_started(&p, 1000, "why", false);
    assert_int_equal(p.start_at_ms, 1250);
    phpproto_not_started(&p, 2000, "why", false);
    assert_int_equal(p.start_at_ms, 2500);
    phpproto_done(&p);

    phpproto_init(&p, &options); /* started well, but never of any use */
    static const int64_t pauses[] = {0, 0, 0, 250, 500, 1000, 2000, 2000};
    for (size_t i = 0; i < ARRAY_LEN(pauses); i++) {
        free(play(&p, "start =Started\\n ask close"));
        assert_int_equal(p.start_at_ms, 1000 + pauses[i]);
    }
    free(play(&p, "start =Started\\n ask =1\\n close")); /* one that was */
    assert_int_equal(p.start_at_ms, 1000);
    phpproto_done(&p);
}

static void notes_hold_printable_text_only(void **state)
{
    (void)state;
    const struct phpproto_options options = {.timeout_ms = 5000, .line_max = 10};
    struct phpproto p;
    phpproto_init(&p, &options);
    free(play(&p, "start =<?\\n\\0\x1b[31m\xff close"));
    assert_string_equal(last.said, "<?...[31m.");
    phpproto_done(&p);
}

static void a_note_holds_the_beginning_of_a_long_text(void **state)
{
    (void)state;
    const struct phpproto_options options = {.timeout_ms = 5000, .line_max = 10};
    char text[201];
    memset(text, 'x', sizeof(text));
    for (size_t len = 200; len <= 201; len++) {
        struct phpproto p;
        phpproto_init(&p, &options);
        phpproto_started(&p, 1000);
        phpproto_bytes(&p, 1000, text, len);
        last = phpproto_closed(&p, 1000);
        assert_memory_equal(last.said, text, 200);
        assert_string_equal(last.said + 200, len == 200 ? "" : "...");
        phpproto_done(&p);
    }
}

static void a_greeting_may_be_long_but_not_endless(void **state)
{
    (void)state;
    const struct phpproto_options options = {.timeout_ms = 5000, .line_max = 10};
    static char text[PHPPROTO_HELLO_MAX];
    struct phpproto p;
    memset(text, 'x', sizeof(text));
    phpproto_init(&p, &options);
    phpproto_started(&p, 1000);
    assert_false(phpproto_bytes(&p, 1000, text, sizeof(text)).start_failed);
    assert_int_equal(p.state, PHPPROTO_STARTING);
    assert_true(phpproto_bytes(&p, 1000, "x", 1).start_failed);
    assert_int_equal(p.state, PHPPROTO_DOWN);
    phpproto_done(&p);
}

static void bytes_behind_an_answer_are_kept_up_to_a_limit(void **state)
{
    (void)state;
    enum { KEPT = 10 + 8192 };
    const struct phpproto_options options = {.timeout_ms = 5000, .line_max = 10};
    static char text[KEPT - 2];
    struct phpproto p;
    memset(text, 'x', sizeof(text));
    phpproto_init(&p, &options);
    free(play(&p, HELLO " ask =1\\n"));
    phpproto_bytes(&p, 1000, text, sizeof(text));
    assert_int_equal(p.in.len, KEPT);
    phpproto_bytes(&p, 1000, text, sizeof(text));
    assert_int_equal(p.in.len, KEPT);
    assert_int_equal(phpproto_consumed(&p, 1000).outcome, SCRIPT_LOST);
    phpproto_done(&p);
}

static void a_time_out_says_what_was_missing(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {HELLO " ask +5000", "limit: 5000 ms; nothing was printed"},
        {HELLO " ask =4 +5000", "limit: 5000 ms; the line was not finished"},
        {HELLO " ask =4\\n +5000",
         "limit: 5000 ms; a line was printed, but the function did not end"},
    };
    const struct phpproto_options options = {.timeout_ms = 5000, .line_max = 10};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct phpproto p;
        phpproto_init(&p, &options);
        free(play(&p, cases[i][0]));
        assert_string_equal(last.detail, cases[i][1]);
        phpproto_done(&p);
    }
}

static void a_server_that_is_dropped_may_be_started_again_at_once(void **state)
{
    (void)state;
    static const char *const scripts[] = {"start", HELLO, HELLO " ask", HELLO " ask =1\\n"};
    const struct phpproto_options options = {.timeout_ms = 5000, .line_max = 10};
    struct phpproto p;
    phpproto_init(&p, &options);
    for (int round = 0; round < 3; round++) /* and that is no failure of the server */
        for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
            free(play(&p, scripts[i]));
            phpproto_drop(&p, 7000);
            assert_int_equal(p.state, PHPPROTO_DOWN);
            assert_int_equal(p.start_at_ms, 7000);
        }
    phpproto_done(&p);
}

static void to_drop_what_does_not_run_changes_nothing(void **state)
{
    (void)state;
    const struct phpproto_options options = {.timeout_ms = 5000, .line_max = 10};
    struct phpproto p;
    phpproto_init(&p, &options);
    free(play(&p, "fail"));
    phpproto_drop(&p, 7000);
    assert_int_equal(p.state, PHPPROTO_DOWN);
    assert_int_equal(p.start_at_ms, 1250);
    free(play(&p, "forgood"));
    phpproto_drop(&p, 7000);
    assert_int_equal(p.state, PHPPROTO_DEAD);
    phpproto_done(&p);
}

static void a_request_fits_into_what_the_server_reads(void **state)
{
    (void)state;
    char command[1024];
    memset(command, 'x', sizeof(command));
    command[1022] = '\0';
    assert_non_null(phpproto_refuses(command));
    for (size_t len = 1019; len <= 1021; len++) {
        const struct phpproto_options options = {.timeout_ms = 5000, .no_fence = true};
        struct buf line = BUF_INIT;
        struct phpproto p;
        command[len] = '\0';
        assert_null(phpproto_refuses(command));
        phpproto_init(&p, &options);
        free(play(&p, "start =Started\\n"));
        phpproto_ask(&p, 0, command, &line);
        assert_within(line.len, len + 1, 1022); /* and one blank before it */
        assert_int_equal(line.data[line.len - 1], '\n');
        buf_done(&line);
        phpproto_done(&p);
        memset(command, 'x', sizeof(command));
    }
    assert_non_null(phpproto_refuses(""));
    assert_non_null(phpproto_refuses(" \t\r"));
    assert_non_null(phpproto_refuses("a b\nc d"));
    assert_null(phpproto_refuses("a b c"));
}

static void assert_argv(const char *version, int poller_id, const char *mode, const char *expected)
{
    struct buf out = BUF_INIT;
    char **argv = phpproto_argv("/usr/bin/php", "/s/script_server.php", version, poller_id, mode);
    for (char **a = argv; *a != NULL; a++)
        buf_printf(&out, "%s%s", a == argv ? "" : " ", *a);
    assert_string_equal(out.data, expected);
    buf_done(&out);
    phpproto_free_argv(argv);
}

/* docs/contract.md 15.2 */
static void arguments_follow_version_and_poller(void **state)
{
    (void)state;
    assert_argv("1.2.24", 1, "online",
                "/usr/bin/php -q /s/script_server.php --environ=spine --poller=1");
    assert_argv("1.2.23", 1, "recovery",
                "/usr/bin/php -q /s/script_server.php --environ=spine --poller=1");
    assert_argv("1.2.30", 2, "online",
                "/usr/bin/php -q /s/script_server.php --environ=spine --poller=2 --mode=online");
    assert_argv("1.3.0", 3, "offline",
                "/usr/bin/php -q /s/script_server.php --environ=spine --poller=3 --mode=offline");
    assert_argv("2.0", 3, "recovery",
                "/usr/bin/php -q /s/script_server.php --environ=spine --poller=3 --mode=offline");
    assert_argv("1.2.22", 1, "online", "/usr/bin/php -q /s/script_server.php spine 1");
    assert_argv("1.2.22.1", 1, "online", "/usr/bin/php -q /s/script_server.php spine 1");
    assert_argv("1.2.9", 2, "online", "/usr/bin/php -q /s/script_server.php spine 2");
    assert_argv("new_install", 1, "online", "/usr/bin/php -q /s/script_server.php spine 1");
    assert_argv(NULL, 1, NULL, "/usr/bin/php -q /s/script_server.php spine 1");
    phpproto_free_argv(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_conversation_ends_as_it_must),
        cmocka_unit_test(pauses_between_starts_grow),
        cmocka_unit_test(notes_hold_printable_text_only),
        cmocka_unit_test(a_note_holds_the_beginning_of_a_long_text),
        cmocka_unit_test(a_greeting_may_be_long_but_not_endless),
        cmocka_unit_test(bytes_behind_an_answer_are_kept_up_to_a_limit),
        cmocka_unit_test(a_time_out_says_what_was_missing),
        cmocka_unit_test(a_server_that_is_dropped_may_be_started_again_at_once),
        cmocka_unit_test(to_drop_what_does_not_run_changes_nothing),
        cmocka_unit_test(a_request_fits_into_what_the_server_reads),
        cmocka_unit_test(arguments_follow_version_and_poller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
