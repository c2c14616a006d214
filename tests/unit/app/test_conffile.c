#include "config.h"

#include "app/conffile.h"

#include "base/mem.h"

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
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

static char dir[] = "/tmp/test_conf.XXXXXX";
static char file[64];

/* Entries as "line:key=[value]", with '+' where something follows the value. */
static bool collect(void *arg, const struct conffile_entry *e, UNUSED struct err *err)
{
    buf_printf(arg, "%d:%s=[%s]%s\n", e->line, e->key, e->value, e->has_rest ? "+" : "");
    return true;
}

static bool refuse(void *arg, const struct conffile_entry *e, struct err *err)
{
    ++*(int *)arg;
    return err_set(err, ERR_CONFIG, "line %d", e->line);
}

static bool read_conf(const char *path, conffile_entry_fn *on_entry, void *arg, bool *ret_readable,
                      struct err *err)
{
    struct conffile_image *image = conffile_image_read(path, err);
    if (image == NULL)
        return false;
    *ret_readable = image->world_readable;
    bool ok = conffile_image_parse(image, path, on_entry, arg, err);
    conffile_image_unref(image);
    return ok;
}

static void write_conf(const void *bytes, size_t len)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

static void assert_entries(const char *text, const char *expected)
{
    struct buf got = BUF_INIT;
    struct err err = ERR_INIT;
    bool readable;
    write_conf(text, strlen(text));
    assert_true(read_conf(file, collect, &got, &readable, &err));
    if (strcmp(buf_str(&got), expected) != 0)
        fail_msg("'%s' gives '%s'", text, buf_str(&got));
    assert_false(readable);
    buf_done(&got);
}

static void lines_as_the_original_reads_them(void **state UNUSED)
{
    assert_entries("DB_Host localhost\nDB_Port\t3306\n",
                   "1:DB_Host=[localhost]\n2:DB_Port=[3306]\n");
    assert_entries("DB_Host \t  a \t \n", "1:DB_Host=[a]\n");
    assert_entries("# comment\n\nDB_User x\n", "3:DB_User=[x]\n");
    assert_entries("\tDB_User x\n", "1:DB_User=[x]\n");
    assert_entries("DB_Pass\nDB_Pass \n", "1:DB_Pass=[]\n2:DB_Pass=[]\n");
    assert_entries("DB_Pass a#b=c'd\n", "1:DB_Pass=[a#b=c'd]\n");
    assert_entries("DB_Pass #x\n", "1:DB_Pass=[#x]\n");
    assert_entries("DB_Host=x\n", "1:DB_Host=x=[]\n");
    assert_entries("DB_Pass p\xc3\xa4ss\n", "1:DB_Pass=[p\xc3\xa4ss]\n");
    assert_entries("", "");
    assert_entries("\n\n", "");
}

static void what_the_original_missed_is_read(void **state UNUSED)
{
    assert_entries("DB_User x\nDB_Pass y", "1:DB_User=[x]\n2:DB_Pass=[y]\n"); /* no newline */
    assert_entries("DB_Pass", "1:DB_Pass=[]\n");
    assert_entries("  DB_User x\n", "1:DB_User=[x]\n");
    assert_entries("  # comment\n", "");
    assert_entries("DB_User x\r\n\r\n# c\r\nDB_Pass y\r\n", "1:DB_User=[x]\n4:DB_Pass=[y]\n");
    assert_entries("\xef\xbb\xbf"
                   "DB_User x\n",
                   "1:DB_User=[x]\n");
    assert_entries("\xef\xbb\xbf# comment\n", "");
    assert_entries("\xef\xbb\xbf", "");
}

static void quoted_values_may_hold_blanks(void **state UNUSED)
{
    assert_entries("DB_Pass \"a b\"\n", "1:DB_Pass=[a b]\n");
    assert_entries("DB_Pass \"a \\\" \\\\ \\n b\"\n", "1:DB_Pass=[a \" \\ \\n b]\n");
    assert_entries("DB_Pass \"\"\n", "1:DB_Pass=[]\n");
    assert_entries("DB_Pass \" \"", "1:DB_Pass=[ ]\n");
    assert_entries("DB_Pass \"# x\"\r\n", "1:DB_Pass=[# x]\n");
    assert_entries("DB_Pass \"a\" # comment\n", "1:DB_Pass=[a]\n");
    assert_entries("DB_Pass \"a\" b\n", "1:DB_Pass=[a]+\n");
    assert_entries("DB_Pass \"a\\\\\"\n", "1:DB_Pass=[a\\]\n");
}

static void quotes_that_quote_nothing_are_part_of_the_value(void **state UNUSED)
{
    assert_entries("DB_Pass \"abc\n", "1:DB_Pass=[\"abc]\n");
    assert_entries("DB_Pass \"\n", "1:DB_Pass=[\"]\n");
    assert_entries("DB_Pass \"a\"b\n", "1:DB_Pass=[\"a\"b]\n");
    assert_entries("DB_Pass \"a\\\"\n", "1:DB_Pass=[\"a\\\"]\n");
    assert_entries("DB_Pass a\"b\"\n", "1:DB_Pass=[a\"b\"]\n");
    assert_entries("DB_Pass 'a b'\n", "1:DB_Pass=['a]+\n");
    assert_entries("DB_Pass \"a b\nDB_User x\"\n", "1:DB_Pass=[\"a]+\n2:DB_User=[x\"]\n");
}

static void what_follows_a_word_is_reported_unless_it_is_a_comment(void **state UNUSED)
{
    assert_entries("DB_Pass a b\n", "1:DB_Pass=[a]+\n");
    assert_entries("DB_Port 3306 # default\n", "1:DB_Port=[3306]\n");
    assert_entries("DB_Port 3306   \n", "1:DB_Port=[3306]\n");
}

static void values_have_any_length_up_to_a_line_of_64_kib(void **state UNUSED)
{
    struct buf text = BUF_INIT, got = BUF_INIT;
    struct err err = ERR_INIT;
    bool readable;
    buf_puts(&text, "DB_User x\nDB_Pass ");
    while (text.len < strlen("DB_User x\n") + CONFFILE_LINE_MAX - 1)
        buf_putc(&text, 'p');
    buf_puts(&text, "\nDB_Host h\n");
    write_conf(text.data, text.len);
    assert_true(read_conf(file, collect, &got, &readable, &err));
    assert_int_equal(got.len, strlen("1:DB_User=[x]\n2:DB_Pass=[]\n3:DB_Host=[h]\n") +
                                  CONFFILE_LINE_MAX - 1 - strlen("DB_Pass "));
    buf_clear(&text);
    buf_puts(&text, "DB_User x\n");
    while (text.len < strlen("DB_User x\n") + CONFFILE_LINE_MAX)
        buf_putc(&text, 'p');
    write_conf(text.data, text.len);
    assert_false(read_conf(file, collect, &got, &readable, &err));
    char expected[256];
    snprintf(expected, sizeof(expected),
             "ERROR: %s:2: the line has 65536 bytes; at most 65535 are allowed, shorten it", file);
    assert_string_equal(err.text, expected);
    assert_int_equal(err_exit_status(&err), 78);
    buf_done(&text);
    buf_done(&got);
}

/* err: why; it says so as expected. */
static bool is_unreadable(const char *path, const char *reason, struct err *err)
{
    struct buf got = BUF_INIT;
    bool readable;
    char expected[512];
    snprintf(expected, sizeof(expected), "ERROR: Could not read config file: %s: %s", path, reason);
    return !read_conf(path, collect, &got, &readable, err) && got.len == 0 &&
           strncmp(err->text, expected, strlen(expected)) == 0 && err_exit_status(err) == 78;
}

static void assert_unreadable(const char *path, const char *reason)
{
    struct err err = ERR_INIT;
    if (!is_unreadable(path, reason, &err))
        fail_msg("%s", err.text);
}

static void what_is_not_a_file_is_refused_at_once(void **state UNUSED)
{
    char other[80];
    assert_unreadable("/nonexistent/spine.conf", "No such file or directory; name a readable");
    assert_unreadable(dir, "it is a directory, not a regular file; name a readable");
    snprintf(other, sizeof(other), "%s/fifo", dir);
    assert_int_equal(mkfifo(other, 0600), 0);
    assert_unreadable(other, "it is not a regular file;");
    unlink(other);
    assert_unreadable("/dev/zero", "it is not a regular file;");
}

static void a_file_without_permission_is_refused(void **state UNUSED)
{
    struct err err = ERR_INIT;
    int status = -1;
    write_conf("x y\n", 4);
    chmod(file, 0);
    chmod(dir, 0711);
    pid_t pid = fork();
    if (pid == 0) {
        bool other = geteuid() != 0 || setuid(65534) == 0; /* root may read everything */
        _exit(!other ? 2 : is_unreadable(file, "Permission denied", &err) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    unlink(file);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void binary_and_huge_files_are_refused(void **state UNUSED)
{
    struct buf got = BUF_INIT;
    struct err err = ERR_INIT;
    bool readable;
    char expected[256];
    write_conf("DB_Host a\nDB_\0Pass x\n", 21);
    assert_false(read_conf(file, collect, &got, &readable, &err));
    snprintf(expected, sizeof(expected), "ERROR: %s:2: a NUL byte; this is not a text file", file);
    assert_memory_equal(err.text, expected, strlen(expected));
    write_conf("\xff\xfe"
               "D\0B\0",
               6); /* UTF-16 */
    assert_false(read_conf(file, collect, &got, &readable, &err));
    write_conf("DB_Host a\n\0", 11);
    assert_false(read_conf(file, collect, &got, &readable, &err));
    assert_int_equal(truncate(file, 10 << 20), 0);
    assert_false(read_conf(file, collect, &got, &readable, &err));
    assert_non_null(strstr(err.text, "larger than 1048576 bytes"));
    buf_done(&got);
}

static void the_receiver_can_stop_the_reading(void **state UNUSED)
{
    int calls = 0;
    struct err err = ERR_INIT;
    bool readable;
    write_conf("# c\na b\nc d\n", 12);
    assert_false(read_conf(file, refuse, &calls, &readable, &err));
    assert_int_equal(calls, 1);
    assert_string_equal(err.text, "line 2");
}

static void a_file_that_all_users_can_read_is_noticed(void **state UNUSED)
{
    struct buf got = BUF_INIT;
    bool readable = false;
    write_conf("a b\n", 4);
    chmod(file, 0644);
    assert_true(read_conf(file, collect, &got, &readable, NULL));
    assert_true(readable);
    chmod(file, 0640);
    assert_true(read_conf(file, collect, &got, &readable, NULL));
    assert_false(readable);
    buf_done(&got);
}

/* No descriptor is open while entries are reported, nor afterwards. */
static bool count_descriptors(void *arg, UNUSED const struct conffile_entry *e,
                              UNUSED struct err *err)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    *(int *)arg = fd;
    close(fd);
    return true;
}

static void the_file_is_closed_at_once(void **state UNUSED)
{
    int before, during = -1;
    bool readable;
    count_descriptors(&before, NULL, NULL);
    write_conf("a b\n", 4);
    assert_true(read_conf(file, count_descriptors, &during, &readable, NULL));
    assert_int_equal(during, before);
}

static void an_image_stays_as_the_file_was(void **state UNUSED)
{
    struct buf got = BUF_INIT;
    write_conf("a b\n", 4);
    struct conffile_image *image = conffile_image_read(file, NULL), *again, *other;
    struct conffile_image *second = conffile_image_ref(image);
    again = conffile_image_read(file, NULL);
    assert_string_equal(image->digest, again->digest);
    write_conf("a c\n", 4);
    other = conffile_image_read(file, NULL);
    assert_string_not_equal(image->digest, other->digest);
    conffile_image_unref(image);
    for (int i = 0; i < 2; i++)
        assert_true(conffile_image_parse(second, file, collect, &got, NULL));
    assert_string_equal(buf_str(&got), "1:a=[b]\n1:a=[b]\n");
    conffile_image_unref(second);
    conffile_image_unref(again);
    conffile_image_unref(other);
    conffile_image_unref(NULL);
    assert_null(conffile_image_ref(NULL));
    buf_done(&got);
}

/* ---- search ---- */

static void the_working_directory_comes_first_unless_privileged(void **state UNUSED)
{
    struct buf why = BUF_INIT;
    char sub[80], up[80], before[4096];
    assert_non_null(getcwd(before, sizeof(before)));
    snprintf(sub, sizeof(sub), "%s/bin", dir);
    snprintf(up, sizeof(up), "%s/etc", dir);
    assert_int_equal(mkdir(sub, 0700) | mkdir(up, 0700) | chdir(sub), 0);
    static const char *const system_places[] = {"/etc/spine.conf", "/etc/cacti/spine.conf"};
    bool system_has_one = false;
    for (size_t i = 0; i < ARRAY_LEN(system_places); i++)
        system_has_one |= access(system_places[i], F_OK) == 0;

    if (!system_has_one) {
        char *none = conffile_find(false, &why);
        assert_true(none == NULL || strcmp(none, SYSCONFDIR "/spine.conf") == 0);
        free(none);
        assert_string_equal(buf_str(&why), "");
        close(open("../etc/spine.conf", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        char *relative = conffile_find(true, &why);
        assert_string_equal(relative, "../etc/spine.conf");
        free(relative);
    }
    assert_int_equal(mkdir("spine.conf", 0700), 0);
    char *path = conffile_find(false, &why);
    assert_true(path == NULL || strcmp(path, "spine.conf") != 0);
    assert_string_equal(why.data, "spine.conf: it is a directory, not a regular file");
    free(path);
    rmdir("spine.conf");
    close(open("spine.conf", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    path = conffile_find(false, &why);
    assert_string_equal(path, "spine.conf");
    free(path);
    path = conffile_find(true, &why);
    assert_true(path == NULL || strcmp(path, "spine.conf") != 0);
    free(path);
    unlink("spine.conf");
    unlink("../etc/spine.conf");
    assert_int_equal(chdir(before), 0);
    rmdir(sub);
    rmdir(up);
    buf_done(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_as_the_original_reads_them),
        cmocka_unit_test(what_the_original_missed_is_read),
        cmocka_unit_test(quoted_values_may_hold_blanks),
        cmocka_unit_test(quotes_that_quote_nothing_are_part_of_the_value),
        cmocka_unit_test(what_follows_a_word_is_reported_unless_it_is_a_comment),
        cmocka_unit_test(values_have_any_length_up_to_a_line_of_64_kib),
        cmocka_unit_test(what_is_not_a_file_is_refused_at_once),
        cmocka_unit_test(a_file_without_permission_is_refused),
        cmocka_unit_test(binary_and_huge_files_are_refused),
        cmocka_unit_test(the_receiver_can_stop_the_reading),
        cmocka_unit_test(a_file_that_all_users_can_read_is_noticed),
        cmocka_unit_test(the_file_is_closed_at_once),
        cmocka_unit_test(an_image_stays_as_the_file_was),
        cmocka_unit_test(the_working_directory_comes_first_unless_privileged),
    };
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(file, sizeof(file), "%s/spine.conf", dir);
    int failed = cmocka_run_group_tests_name("conf", tests, NULL, NULL);
    unlink(file);
    rmdir(dir);
    return failed;
}
