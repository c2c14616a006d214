#include "config.h"

#include "app/snapshot.h"

#include "app/configuration.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/scope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FAR_MS = 60000 };

/* Left alone for the shortest time, or for longer than any test takes. */
#define SOON  "Reload_Debounce_ms 20\nDaemon_Socket /run/first.sock\n"
#define LATER "Reload_Debounce_ms 60000\nDaemon_Socket /run/first.sock\n"

struct bench {
    char home[64], path[96], log[96];
    struct scope *scope, *before;
    struct loop *loop;
    struct loop_timer stopper; /* turns a hang into a failure */
    bool too_late;
    struct config *config; /* of the start */
    struct snapshot *snapshot;
    const struct config *adopted; /* last */
    const char *object;           /* NULL: all is adopted */
};

static void on_too_late(void *arg)
{
    struct bench *b = arg;
    b->too_late = true;
}

static bool on_adopt(void *arg, const struct config *config, struct err *err)
{
    struct bench *b = arg;
    if (b->object != NULL)
        return err_set(err, ERR_CONFIG, "%s", b->object);
    b->adopted = config;
    return true;
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* As a whole: no reader finds a part of it. */
static void replace(const struct bench *b, const char *text)
{
    char beside[100];
    snprintf(beside, sizeof(beside), "%s.new", b->path);
    put(beside, text);
    assert_int_equal(rename(beside, b->path), 0);
}

static void begin(struct bench *b, const char *text)
{
    struct err err = ERR_INIT;
    *b = (struct bench){.home = "/tmp/test_snapshot.XXXXXX"};
    assert_non_null(mkdtemp(b->home));
    snprintf(b->path, sizeof(b->path), "%s/spine.conf", b->home);
    snprintf(b->log, sizeof(b->log), "%s/log", b->home);
    replace(b, text);
    b->scope = scope_new();
    b->before = scope_enter(b->scope);
    log_own(-1, open(b->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    log_start();
    char name[] = "spine", daemon[] = "--daemon", option[] = "-C";
    char *argv[] = {name, daemon, option, b->path, NULL};
    b->adopted = b->config = configuration_new();
    assert_int_equal(configuration_parse_args(b->config, 4, argv, &err), CONFIG_RUN);
    assert_true(configuration_read_file(b->config, &err));
    log_configure(&b->config->log);
    b->loop = loop_new(LOOP_POLL, NULL);
    loop_timer_init(&b->stopper, b->loop, on_too_late, b);
    loop_timer_set(&b->stopper, FAR_MS);
}

/* The arguments are read for each reading. */
static void start(struct bench *b)
{
    static char name[] = "spine", daemon[] = "--daemon";
    static char *argv[] = {name, daemon, NULL};
    const struct snapshot_options o = {
        .loop = b->loop, .config = b->config, .argc = 2, .argv = argv, .adopt = on_adopt, .arg = b};
    b->snapshot = snapshot_start(&o);
}

static void end(struct bench *b)
{
    snapshot_free(b->snapshot);
    loop_timer_cancel(&b->stopper);
    loop_free(b->loop);
    configuration_free(b->config);
    log_stop();
    (void)scope_enter(b->before);
    scope_unref(b->scope);
    unlink(b->path);
    unlink(b->log);
    rmdir(b->home);
}

static void wait_for_readings(struct bench *b, uint64_t count)
{
    while (snapshot_get(b->snapshot).readings < count && !b->too_late)
        loop_turn(b->loop);
    assert_false(b->too_late);
}

/* How often it is there. */
static int count_in_log(const struct bench *b, const char *text)
{
    static char all[32 * 1024];
    int count = 0, fd = open(b->log, O_RDONLY | O_CLOEXEC);
    ssize_t len = read(fd, all, sizeof(all) - 1);
    close(fd);
    all[len < 0 ? 0 : len] = '\0';
    for (const char *p = all; (p = strstr(p, text)) != NULL; p++)
        count++;
    return count;
}

static void digest_of(const struct bench *b, char ret[CONFFILE_DIGEST])
{
    struct conffile_image *image = conffile_image_read(b->path, NULL);
    assert_non_null(image);
    memcpy(ret, image->digest, CONFFILE_DIGEST);
    conffile_image_unref(image);
}

/* ---- a changed file ---- */

static void a_changed_file_counts_and_its_keys_are_named_without_their_values(void **state UNUSED)
{
    struct bench b;
    begin(&b, SOON "DB_Pass verysecret\n");
    start(&b);
    replace(&b, SOON "DB_Pass othersecret\nDaemon_Cycles 3\nDB_Port 3306 # as it is\n");
    wait_for_readings(&b, 1);
    assert_int_equal(b.adopted->daemon_cycles, 3);
    assert_int_equal(count_in_log(&b, "; other values: Daemon_Cycles, DB_Pass"), 1);
    assert_int_equal(count_in_log(&b, "was read again"), 1);
    assert_int_equal(count_in_log(&b, "secret"), 0);
    assert_int_equal(snapshot_get(b.snapshot).adopted, 1);
    assert_true(snapshot_get(b.snapshot).last_adopted_wall_s > 0);
    end(&b);
}

static void another_text_with_the_same_values_says_so(void **state UNUSED)
{
    struct bench b;
    begin(&b, SOON "Watch_Fallback on\n");
    start(&b);
    replace(&b, SOON "# nothing\nWatch_Fallback 1\n");
    wait_for_readings(&b, 1);
    assert_int_equal(count_in_log(&b, "no key has another value"), 1);
    end(&b);
}

static void the_arguments_of_the_daemon_count_for_each_reading(void **state UNUSED)
{
    struct bench b;
    begin(&b, SOON);
    start(&b);
    replace(&b, SOON "Daemon_Cycles 3\n");
    wait_for_readings(&b, 1);
    assert_int_equal(b.adopted->command, COMMAND_DAEMON);
    assert_string_equal(configuration_file_path(b.adopted), b.path);
    end(&b);
}

static void the_socket_stays_where_the_daemon_listens(void **state UNUSED)
{
    struct bench b;
    begin(&b, SOON);
    start(&b);
    replace(&b, "Reload_Debounce_ms 20\nDaemon_Socket /run/second.sock\n");
    wait_for_readings(&b, 1);
    assert_string_equal(b.adopted->daemon_socket, "/run/first.sock");
    assert_int_equal(
        count_in_log(&b, "Daemon_Socket; Daemon_Socket counts when the daemon is started again"),
        1);
    end(&b);
}

/* ---- one that cannot be used ---- */

static void a_broken_file_changes_nothing_and_is_told_once(void **state UNUSED)
{
    struct bench b;
    begin(&b, SOON "Daemon_Cycles 3\n");
    start(&b);
    replace(&b, SOON "Daemon_Cycles many\n");
    wait_for_readings(&b, 1);
    assert_int_equal(b.adopted->daemon_cycles, 3);
    assert_int_equal(count_in_log(&b, "WARNING: /tmp/"), 1);
    assert_int_equal(count_in_log(&b, "spine.conf:3: Daemon_Cycles must be a number"), 1);
    assert_non_null(strstr(snapshot_get(b.snapshot).trouble, "spine.conf:3: Daemon_Cycles"));
    replace(&b, SOON "Daemon_Cycles many\n# still\n");
    wait_for_readings(&b, 2);
    assert_int_equal(count_in_log(&b, "WARNING"), 1);
    assert_int_equal(unlink(b.path), 0); /* another reason */
    wait_for_readings(&b, 3);
    assert_int_equal(count_in_log(&b, "WARNING"), 2);
    assert_int_equal(count_in_log(&b, "No such file"), 1);
    assert_int_equal(snapshot_get(b.snapshot).refused, 3);
    assert_int_equal(snapshot_get(b.snapshot).adopted, 0);
    replace(&b, SOON "Daemon_Cycles 4\n");
    wait_for_readings(&b, 4);
    assert_int_equal(count_in_log(&b, "is in order again; other values: Daemon_Cycles"), 1);
    assert_null(snapshot_get(b.snapshot).trouble);
    assert_int_equal(count_in_log(&b, "NOTE"), 1);
    end(&b);
}

static void a_file_that_is_again_as_it_was_is_in_order(void **state UNUSED)
{
    struct bench b;
    begin(&b, SOON);
    start(&b);
    replace(&b, SOON "Daemon_Cycles many\n");
    wait_for_readings(&b, 1);
    replace(&b, SOON);
    wait_for_readings(&b, 2);
    assert_int_equal(count_in_log(&b, "is in order again, and as it was read before"), 1);
    assert_null(snapshot_get(b.snapshot).trouble);
    end(&b);
}

static void what_the_daemon_objects_to_is_not_used(void **state UNUSED)
{
    struct bench b;
    begin(&b, SOON "Daemon_Cycles 3\n");
    start(&b);
    b.object = "there is no group x";
    replace(&b, SOON "Daemon_Cycles 4\n");
    wait_for_readings(&b, 1);
    assert_int_equal(b.adopted->daemon_cycles, 3);
    assert_int_equal(count_in_log(&b, "WARNING: there is no group x; until then"), 1);
    end(&b);
}

static void a_file_that_was_changed_while_the_daemon_started_is_read_again(void **state UNUSED)
{
    struct bench b;
    begin(&b, LATER "Daemon_Cycles 3\n");
    replace(&b, LATER "Daemon_Cycles 4\n");
    start(&b);
    assert_int_equal(b.adopted->daemon_cycles, 4);
    end(&b);
}

/* ---- the bytes of a client ---- */

static void a_cycle_gets_the_bytes_that_its_client_has_read(void **state UNUSED)
{
    struct bench b;
    char digest[CONFFILE_DIGEST];
    struct buf out = BUF_INIT;
    begin(&b, LATER "Daemon_Cycles 3\n");
    start(&b);
    digest_of(&b, digest);
    struct conffile_image *image = snapshot_take(b.snapshot, digest);
    assert_non_null(image);
    assert_string_equal(image->digest, digest);
    put(b.path, "half a f"); /* while it is written, cycles have the last state */
    struct conffile_image *second = snapshot_take(b.snapshot, digest);
    assert_ptr_equal(second, image);
    conffile_image_unref(second);
    assert_int_equal(snapshot_get(b.snapshot).readings, 0);
    buf_append(&out, image->bytes, image->len);
    assert_string_equal(buf_str(&out), LATER "Daemon_Cycles 3\n");
    conffile_image_unref(image);
    buf_done(&out);
    end(&b);
}

static void a_client_that_has_read_the_next_state_need_not_wait(void **state UNUSED)
{
    struct bench b;
    char first[CONFFILE_DIGEST], next[CONFFILE_DIGEST];
    begin(&b, LATER "Daemon_Cycles 3\n");
    start(&b);
    digest_of(&b, first);
    struct conffile_image *before = snapshot_take(b.snapshot, first);
    replace(&b, SOON "Daemon_Cycles 4\n");
    digest_of(&b, next);
    struct conffile_image *image = snapshot_take(b.snapshot, next);
    assert_non_null(image);
    assert_int_equal(b.adopted->daemon_cycles, 4);
    assert_int_equal(count_in_log(&b, "other values: Daemon_Cycles"), 1);
    assert_string_equal(before->digest, first); /* a cycle that runs keeps what it began with */
    assert_null(snapshot_take(b.snapshot, first));
    conffile_image_unref(image);
    conffile_image_unref(before);
    end(&b);
}

static void a_client_that_has_read_something_else_is_refused(void **state UNUSED)
{
    struct bench b;
    begin(&b, LATER "Daemon_Cycles 3\n");
    start(&b);
    replace(&b, LATER "Daemon_Cycles 4\n");
    assert_null(snapshot_take(b.snapshot, "0123456789abcdef-9"));
    assert_int_equal(b.adopted->daemon_cycles, 3);
    assert_int_equal(count_in_log(&b, "spine.conf"), 0);
    end(&b);
}

/* It is told when it is left alone, by the watch. */
static void a_file_that_is_broken_when_a_client_asks_is_not_told_at_once(void **state UNUSED)
{
    struct bench b;
    char digest[CONFFILE_DIGEST];
    begin(&b, SOON "Daemon_Cycles 3\n");
    start(&b);
    replace(&b, SOON "Daemon_Cycles many\n");
    digest_of(&b, digest);
    assert_null(snapshot_take(b.snapshot, digest));
    assert_int_equal(count_in_log(&b, "WARNING"), 0);
    wait_for_readings(&b, 2);
    assert_int_equal(count_in_log(&b, "WARNING"), 1);
    end(&b);
}

static void the_name_of_the_file_may_lead_elsewhere(void **state UNUSED)
{
    struct bench b;
    char one[120], two[120];
    begin(&b, SOON);
    snprintf(one, sizeof(one), "%s/one", b.home);
    snprintf(two, sizeof(two), "%s/two", b.home);
    put(one, SOON);
    put(two, SOON "Daemon_Cycles 5\n");
    unlink(b.path);
    assert_int_equal(symlink("one", b.path), 0);
    start(&b);
    assert_true(snapshot_is_file(b.snapshot, one));
    assert_false(snapshot_is_file(b.snapshot, two));
    unlink(b.path);
    assert_int_equal(symlink("two", b.path), 0);
    wait_for_readings(&b, 1);
    assert_true(snapshot_is_file(b.snapshot, two));
    assert_false(snapshot_is_file(b.snapshot, one));
    unlink(one);
    unlink(two);
    end(&b);
}

/* ---- the end ---- */

static void nothing_is_read_after_the_stop(void **state UNUSED)
{
    struct bench b;
    begin(&b, SOON);
    start(&b);
    replace(&b, SOON "Daemon_Cycles 4\n");
    loop_turn(b.loop); /* the change is known */
    assert_true(snapshot_get(b.snapshot).watch.changes > 0);
    uint64_t readings =
        snapshot_get(b.snapshot).readings; /* on a slow machine it is done already */
    snapshot_stop(b.snapshot);
    loop_timer_set(&b.stopper, 40); /* later than the reading would be */
    while (!b.too_late)
        loop_turn(b.loop);
    assert_int_equal(snapshot_get(b.snapshot).readings, readings);
    assert_true(snapshot_get(b.snapshot).watch.changes > 0);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_file_counts_and_its_keys_are_named_without_their_values),
        cmocka_unit_test(another_text_with_the_same_values_says_so),
        cmocka_unit_test(the_arguments_of_the_daemon_count_for_each_reading),
        cmocka_unit_test(the_socket_stays_where_the_daemon_listens),
        cmocka_unit_test(a_broken_file_changes_nothing_and_is_told_once),
        cmocka_unit_test(a_file_that_is_again_as_it_was_is_in_order),
        cmocka_unit_test(what_the_daemon_objects_to_is_not_used),
        cmocka_unit_test(a_file_that_was_changed_while_the_daemon_started_is_read_again),
        cmocka_unit_test(a_cycle_gets_the_bytes_that_its_client_has_read),
        cmocka_unit_test(a_client_that_has_read_the_next_state_need_not_wait),
        cmocka_unit_test(a_client_that_has_read_something_else_is_refused),
        cmocka_unit_test(a_file_that_is_broken_when_a_client_asks_is_not_told_at_once),
        cmocka_unit_test(the_name_of_the_file_may_lead_elsewhere),
        cmocka_unit_test(nothing_is_read_after_the_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
