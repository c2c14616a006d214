#include "config.h"

#include "app/handover.h"

#include "app/configuration.h"
#include "app/hosting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int pair[2];

static int set_up(void **state UNUSED)
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair);
}

static int tear_down(void **state UNUSED)
{
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static void test_words_come_as_they_were_sent(void **state UNUSED)
{
    static const char *const words[] = {"poll", "", "with blanks", "with\nnewlines", "\xff\xfe"};
    struct buf m = BUF_INIT;
    struct handover got = {.count = 0};
    int fds[HANDOVER_FDS];
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        handover_put(&m, words[i]);
    assert_true(handover_send(pair[0], &m, NULL));
    assert_int_equal(handover_receive(pair[1], &got, fds), HANDOVER_MESSAGE);
    assert_int_equal(got.count, ARRAY_LEN(words));
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        assert_string_equal(got.words[i], words[i]);
    assert_int_equal(fds[0], -1);
    assert_true(handover_is(&got, "poll", 5));
    assert_false(handover_is(&got, "poll", 6));
    assert_false(handover_is(&got, "pol", 1));
    handover_done(&got);
    buf_done(&m);
}

static void test_nothing_and_the_end_are_told_apart(void **state UNUSED)
{
    struct handover got = {.count = 0};
    int fds[HANDOVER_FDS];
    assert_int_equal(handover_receive(pair[1], &got, fds), HANDOVER_NOTHING);
    close(pair[0]);
    assert_int_equal(handover_receive(pair[1], &got, fds), HANDOVER_OVER);
    pair[0] = -1;
}

static void test_what_is_no_message_is_the_end(void **state UNUSED)
{
    struct handover got = {.count = 0};
    int fds[HANDOVER_FDS];
    assert_int_equal(send(pair[0], "poll", 4, 0), 4); /* without an end of the word */
    assert_int_equal(handover_receive(pair[1], &got, fds), HANDOVER_OVER);
    char *much = calloc(1, HANDOVER_BYTES + 10);
    assert_non_null(much);
    assert_int_equal(send(pair[0], much, HANDOVER_BYTES + 10, 0), HANDOVER_BYTES + 10);
    assert_int_equal(handover_receive(pair[1], &got, fds), HANDOVER_OVER);
    free(much);
}

static void test_a_message_that_is_too_long_is_not_sent(void **state UNUSED)
{
    struct buf m = BUF_INIT;
    for (int i = 0; i < HANDOVER_BYTES / 16 + 1; i++)
        handover_put(&m, "fifteen letters");
    assert_false(handover_send(pair[0], &m, NULL));
    buf_done(&m);
}

static void test_numbers_outside_their_bounds_are_none(void **state UNUSED)
{
    static const char bytes[] = "n\0"
                                "7\0"
                                "-1\0"
                                "8x\0"
                                "\0"
                                "99999999999999999999";
    struct handover m;
    int64_t n = 0;
    assert_true(handover_parse(bytes, sizeof(bytes), &m));
    assert_true(handover_number(&m, 1, 0, 7, &n));
    assert_int_equal(n, 7);
    assert_false(handover_number(&m, 1, 8, 9, &n));
    for (size_t i = 2; i < 8; i++)
        assert_false(handover_number(&m, i, 0, INT64_MAX, &n));
    handover_done(&m);
}

/* ---- a request ---- */

static void put_request(struct buf *m, const char *count)
{
    static const char *const words[] = {
        "poll", "1.2", "/etc/spine.conf", "0123-4", "2", "4711", "123456", "/tmp", "18"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        handover_put(m, words[i]);
    handover_put(m, count);
    handover_put(m, "spine");
    handover_put(m, "--first=0");
    handover_put(m, "PATH=/bin");
    handover_put(m, "HOME=/");
}

static bool read_back(const struct buf *m, struct hosting_request *ret)
{
    struct handover got = {.count = 0};
    int fds[HANDOVER_FDS], sent[HANDOVER_FDS] = {STDOUT_FILENO, STDERR_FILENO};
    assert_true(handover_send(pair[0], m, sent));
    assert_int_equal(handover_receive(pair[1], &got, fds), HANDOVER_MESSAGE);
    bool is_request = hosting_read_request(&got, fds, ret);
    for (size_t i = 0; i < HANDOVER_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    handover_done(&got);
    return is_request;
}

static void test_a_request_has_arguments_environment_and_descriptors(void **state UNUSED)
{
    struct buf m = BUF_INIT;
    struct hosting_request r;
    put_request(&m, "2");
    assert_true(read_back(&m, &r));
    assert_string_equal(r.version, "1.2");
    assert_string_equal(r.file, "/etc/spine.conf");
    assert_string_equal(r.digest, "0123-4");
    assert_null(r.image);
    assert_string_equal(r.directory, "/tmp");
    assert_int_equal(r.mask, 022);
    assert_int_equal(r.poller, 2);
    assert_int_equal(r.pid, 4711);
    assert_int_equal(r.started_mono_us, 123456);
    assert_string_equal(r.argv[0], "spine");
    assert_string_equal(r.argv[1], "--first=0");
    assert_null(r.argv[2]);
    assert_string_equal(r.environment[0], "PATH=/bin");
    assert_string_equal(r.environment[1], "HOME=/");
    assert_null(r.environment[2]);
    for (size_t i = 0; i < HANDOVER_FDS; i++)
        assert_int_equal(fcntl(r.fds[i], F_GETFD), FD_CLOEXEC);
    int first = r.fds[0];
    hosting_request_done(&r);
    assert_int_equal(fcntl(first, F_GETFD), -1);
    buf_done(&m);
}

static void test_a_request_that_counts_wrongly_is_none(void **state UNUSED)
{
    static const char *const counts[] = {"0", "5", "-1", "x", "99999999999"};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        struct buf m = BUF_INIT;
        struct hosting_request r;
        put_request(&m, counts[i]);
        assert_false(read_back(&m, &r));
        buf_done(&m);
    }
}

/* ---- its configuration ---- */

/* A daemon reads the file and the environment of its client, not its own. */
static void test_the_configuration_of_a_client_is_made_of_its_environment(void **state UNUSED)
{
    static const char *const theirs[] = {"SPINE_EVENT_LOOPS=on", "SPINE_EVENT_LOOP=off", NULL};
    char file[] = "/tmp/test_handover.XXXXXX";
    char name[] = "spine", option[] = "-C", none[] = "/no/such/file";
    char *argv[] = {name, option, none, NULL};
    const struct configuration_origin origin = {
        .pid = 4711, .file = file, .environment = theirs, .directory = "/their/directory"};
    struct err err = ERR_INIT;
    struct config *c = configuration_new();
    int fd = mkstemp(file);
    assert_int_equal(write(fd, "Address_Limit 7\n", 16), 16);
    close(fd);
    assert_int_equal(c->pid, getpid());
    setenv("SPINE_EVENT_LOOP", "on", 1);
    setenv("SPINE_ASYNC_SNMP", "on", 1);
    assert_int_equal(configuration_parse_args(c, 3, argv, &err), CONFIG_RUN);
    configuration_adopt(c, &origin);
    assert_true(configuration_read_file(c, &err));
    assert_true(configuration_read_environment(c, &err));
    configuration_set_setting(c, "threads", "9");
    assert_int_equal(c->address_limit, 7);
    assert_false(c->event_loop);
    assert_int_equal(c->event_loop_source, SOURCE_ENVIRONMENT);
    assert_false(c->async_snmp);
    assert_int_equal(c->pid, 4711);
    assert_int_equal(c->log.pid, 4711);
    assert_string_equal(c->directory, "/their/directory");
    unsetenv("SPINE_EVENT_LOOP");
    unsetenv("SPINE_ASYNC_SNMP");
    unlink(file);
    configuration_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_words_come_as_they_were_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_and_the_end_are_told_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_message_is_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_message_that_is_too_long_is_not_sent, set_up,
                                        tear_down),
        cmocka_unit_test(test_numbers_outside_their_bounds_are_none),
        cmocka_unit_test_setup_teardown(test_a_request_has_arguments_environment_and_descriptors,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_request_that_counts_wrongly_is_none, set_up,
                                        tear_down),
        cmocka_unit_test(test_the_configuration_of_a_client_is_made_of_its_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
