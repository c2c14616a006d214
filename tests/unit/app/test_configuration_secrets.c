/* Passwords in files of their own and in credentials of the service manager: app/configuration. */
#include "config.h"

#include "app/configuration.h"

#include "base/buf.h"
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
#include <unistd.h>

static char dir[] = "/tmp/test_secrets.XXXXXX";
static char file[64];
static struct config *c;
static struct err err;

static void assert_warning(const char *fmt, ...) PRINTF(1, 2);

static void assert_warning(const char *fmt, ...)
{
    struct buf expected = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&expected, fmt, ap);
    va_end(ap);
    char *warning = configuration_take_warning(c);
    assert_non_null(warning);
    assert_string_equal(warning, expected.data);
    free(warning);
    buf_done(&expected);
}

static void assert_no_warning(void)
{
    char *warning = configuration_take_warning(c);
    if (warning != NULL)
        fail_msg("unexpected: %s", warning);
}

static char pass_file[64], credential[64];

static void write_secret(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int set_up(void **state UNUSED)
{
    snprintf(pass_file, sizeof(pass_file), "%s/pass", dir);
    snprintf(credential, sizeof(credential), "%s/spine.db_pass", dir);
    err = (struct err)ERR_INIT;
    c = configuration_new();
    return 0;
}

static int tear_down(void **state UNUSED)
{
    unlink(pass_file);
    unlink(credential);
    unsetenv("CREDENTIALS_DIRECTORY");
    configuration_free(c);
    c = NULL;
    return 0;
}

static bool read_conf(const char *text)
{
    char program[] = "spine", option[] = "-C";
    char *argv[] = {program, option, file};
    write_secret(file, text, 0600);
    assert_int_equal(configuration_parse_args(c, 3, argv, &err), CONFIG_RUN);
    return configuration_read_file(c, &err) && configuration_read_secrets(c, &err);
}

static bool read_with_pass_file(const char *more)
{
    char text[200];
    snprintf(text, sizeof(text), "%sDB_Pass_File %s\n", more, pass_file);
    return read_conf(text);
}

static void assert_pass_source(const char *source)
{
    char expected[100];
    const char *line;
    snprintf(expected, sizeof(expected), "DB_Pass = *** (%s)", source);
    for (size_t i = 0; (line = configuration_describe(c, i)) != NULL; i++)
        if (strcmp(line, expected) == 0)
            return;
    fail_msg("no '%s'", expected);
}

static void the_first_line_of_a_password_file_is_the_password(void **state UNUSED)
{
    static const char *const texts[] = {"a b\"c", "a b\"c\n", "a b\"c\r\nnot this\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        write_secret(pass_file, texts[i], 0600);
        assert_true(read_with_pass_file(""));
        assert_string_equal(c->db.password, "a b\"c");
        assert_string_equal(c->rdb.password, "cactiuser");
    }
    assert_pass_source("DB_Pass_File");
    assert_no_warning();
}

static void a_password_file_beats_the_password_of_the_same_file(void **state UNUSED)
{
    write_secret(pass_file, "from-file\n", 0600);
    assert_true(read_with_pass_file("DB_Pass in-conf\n"));
    assert_string_equal(c->db.password, "from-file");
    assert_warning(
        "WARNING: DB_Pass in %s is not used, because DB_Pass_File is set; remove the line", file);
}

static void a_credential_of_the_service_manager_beats_both(void **state UNUSED)
{
    write_secret(pass_file, "from-file\n", 0600);
    write_secret(credential, "from-systemd", 0400);
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    assert_true(read_with_pass_file("DB_Pass in-conf\n"));
    assert_string_equal(c->db.password, "from-systemd");
    assert_pass_source("credential spine.db_pass");
}

static void without_a_credential_its_folder_changes_nothing(void **state UNUSED)
{
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    assert_true(read_conf("DB_Pass in-conf\n"));
    assert_string_equal(c->db.password, "in-conf");
    assert_pass_source("spine.conf");
}

static void a_password_file_that_all_users_can_read_is_warned_about(void **state UNUSED)
{
    write_secret(pass_file, "x\n", 0644);
    assert_true(read_with_pass_file(""));
    assert_warning("WARNING: DB_Pass_File: %s can be read or changed by every user; chmod 640 it",
                   pass_file);
}

static void a_password_file_that_gives_none_is_an_error(void **state UNUSED)
{
    assert_false(read_with_pass_file(""));
    assert_non_null(strstr(err.text, "ERROR: DB_Pass_File: "));
    assert_non_null(
        strstr(err.text, "No such file or directory; let it be a file with the password"));
    assert_int_equal(err_exit_status(&err), 78);
    write_secret(pass_file, "\nsecond line\n", 0600);
    assert_false(read_with_pass_file(""));
    assert_non_null(strstr(err.text, "its first line must hold a password"));
    assert_null(strstr(err.text, "second"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_line_of_a_password_file_is_the_password),
        TEST(a_password_file_beats_the_password_of_the_same_file),
        TEST(a_credential_of_the_service_manager_beats_both),
        TEST(without_a_credential_its_folder_changes_nothing),
        TEST(a_password_file_that_all_users_can_read_is_warned_about),
        TEST(a_password_file_that_gives_none_is_an_error),
    };
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(file, sizeof(file), "%s/spine.conf", dir);
    int failed = cmocka_run_group_tests_name("configuration_secrets", tests, NULL, NULL);
    unlink(file);
    rmdir(dir);
    return failed;
}
