#include "config.h"

#include "drivers/wholefile.h"

#include "base/buf.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/test_wholefile.XXXXXX";

static const char *in_directory(const char *name)
{
    static char path[200];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void write_text(const char *name, const char *text)
{
    struct err err = ERR_INIT;
    if (!wholefile_write(in_directory(name), 0644, text, strlen(text), &err))
        fail_msg("%s", err.text);
}

static void assert_text(const char *name, const char *text)
{
    char got[100] = "";
    FILE *f = fopen(in_directory(name), "r");
    assert_non_null(f);
    got[fread(got, 1, sizeof(got) - 1, f)] = '\0';
    fclose(f);
    assert_string_equal(got, text);
}

static size_t files(void)
{
    size_t n = 0;
    DIR *d = opendir(directory);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void a_reader_sees_the_old_file_until_the_new_one_is_whole(void **state UNUSED)
{
    struct err err = ERR_INIT;
    struct stat st;
    umask(077);
    write_text("f", "old");
    struct wholefile *f = wholefile_begin(in_directory("f"), 0644, &err);
    assert_non_null(f);
    wholefile_put(f, "ne", 2);
    assert_text("f", "old");
    wholefile_put(f, "w", 1);
    assert_true(wholefile_end(f, &err));
    assert_text("f", "new");
    assert_int_equal(stat(in_directory("f"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(files(), 1);
}

static void nothing_remains_of_a_file_that_is_abandoned(void **state UNUSED)
{
    struct err err = ERR_INIT;
    write_text("f", "old");
    struct wholefile *f = wholefile_begin(in_directory("f"), 0644, &err);
    assert_non_null(f);
    wholefile_put(f, "new", 3);
    wholefile_abandon(f);
    wholefile_abandon(NULL);
    assert_text("f", "old");
    assert_int_equal(files(), 1);
}

static void what_is_no_regular_file_is_not_replaced(void **state UNUSED)
{
    struct err err = ERR_INIT;
    struct stat st;
    assert_null(wholefile_begin("/dev/null", 0644, &err));
    assert_non_null(strstr(err.text, "not a regular file"));
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    assert_null(wholefile_begin(directory, 0644, &err));
    assert_null(wholefile_begin(in_directory("no/such/folder"), 0644, &err));
    assert_non_null(strstr(err.text, strerror(ENOENT)));
}

/* A limit of the size of files stands for a full disk. */
static void a_full_disk_leaves_the_old_file_and_nothing_else(void **state UNUSED)
{
    static char much[5000];
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    struct rlimit old, small;
    struct err err = ERR_INIT;
    write_text("f", "old");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 4096, .rlim_max = old.rlim_max};
    sigaction(SIGXFSZ, &ignore, &before);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool written = wholefile_write(in_directory("f"), 0644, much, sizeof(much), &err);
    setrlimit(RLIMIT_FSIZE, &old);
    sigaction(SIGXFSZ, &before, NULL);
    assert_false(written);
    assert_non_null(strstr(err.text, strerror(EFBIG)));
    assert_text("f", "old");
    assert_int_equal(files(), 1);
}

static void a_symbolic_link_stays_and_its_file_is_replaced(void **state UNUSED)
{
    struct stat st;
    write_text("f", "old");
    char *target = mem_strdup(in_directory("f"));
    assert_int_equal(symlink(target, in_directory("link")), 0);
    write_text("link", "new");
    assert_text("f", "new");
    assert_int_equal(lstat(in_directory("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    unlink(in_directory("link"));
    free(target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_sees_the_old_file_until_the_new_one_is_whole),
        cmocka_unit_test(nothing_remains_of_a_file_that_is_abandoned),
        cmocka_unit_test(what_is_no_regular_file_is_not_replaced),
        cmocka_unit_test(a_full_disk_leaves_the_old_file_and_nothing_else),
        cmocka_unit_test(a_symbolic_link_stays_and_its_file_is_replaced),
    };
    if (mkdtemp(directory) == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(in_directory("f"));
    rmdir(directory);
    return failed;
}
