#include "config.h"

#include "drivers/spool.h"

#include "base/mem.h"
#include "base/thr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOW = 1700000000, INTERVAL = 300 };

static char directory[64];
static char path[128];
static struct spool_options options;

static int set_up(void **state UNUSED)
{
    snprintf(directory, sizeof(directory), "/tmp/spine-spool.XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/spool", directory);
    options = (struct spool_options){.path = path,
                                     .cap_bytes = 1 << 20,
                                     .database = "cacti",
                                     .poller_id = 1,
                                     .interval_s = INTERVAL};
    return 0;
}

static int tear_down(void **state UNUSED)
{
    unlink(path);
    return rmdir(directory);
}

static bool append(uint32_t first, uint32_t count, int64_t time, size_t *ret_kept, struct err *err)
{
    struct output_row *rows = mem_zalloc(count, sizeof(*rows));
    for (uint32_t i = 0; i < count; i++)
        rows[i] = (struct output_row){.local_data_id = first + i,
                                      .rrd_name = "in",
                                      .time = time,
                                      .output = "it's 5",
                                      .output_len = 6};
    bool ok = spool_append(&options, rows, count, ret_kept, err);
    free(rows);
    return ok;
}

static void assert_append(uint32_t first, uint32_t count, int64_t time)
{
    size_t kept;
    struct err err = ERR_INIT;
    if (!append(first, count, time, &kept, &err) || kept != count)
        fail_msg("%zu of %u: %s", kept, count, err.text);
}

static void assert_refused(const char *words)
{
    struct err err = ERR_INIT;
    size_t kept = 1;
    assert_false(append(1, 1, NOW, &kept, &err));
    assert_int_equal(kept, 0);
    if (strstr(err.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, words);
    err = (struct err)ERR_INIT;
    assert_null(spool_take(&options, NOW, &err));
    if (strstr(err.text, words) == NULL)
        fail_msg("taking: '%s' does not say '%s'", err.text, words);
}

/* The ids of the rows given out, as "1-5 9"; `stored` finishes. */
static const char *taken(int64_t now, bool stored, struct spool_report *report)
{
    static struct buf ids = BUF_INIT;
    struct err err = ERR_INIT;
    struct batch *b;
    uint32_t first = 0, last = 0;
    buf_clear(&ids);
    struct spool *s = spool_take(&options, now, &err);
    assert_string_equal(err.text, "");
    *report = (struct spool_report){0};
    if (s == NULL)
        return "nothing";
    while ((b = spool_next(s)) != NULL) {
        assert_true(b->row_count <= 1000);
        for (size_t i = 0; i < b->row_count; i++) {
            uint32_t id = b->rows[i].local_data_id;
            assert_string_equal(b->rows[i].rrd_name, "in");
            assert_string_equal(b->rows[i].output, "it's 5");
            if (last != 0 && id == last + 1) {
                last = id;
                continue;
            }
            if (last != 0)
                buf_printf(&ids, "%u-%u ", first, last);
            first = last = id;
        }
        batch_free(b);
    }
    if (last != 0)
        buf_printf(&ids, "%u-%u", first, last);
    spool_finish(s, stored, report);
    return buf_str(&ids);
}

static off_t size_of_file(void)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void rows_stay_in_the_file_until_they_are_stored(void **state UNUSED)
{
    struct spool_report r;
    assert_string_equal(taken(NOW, true, &r), "nothing");
    assert_append(1, 2500, NOW);
    assert_append(2501, 10, NOW);
    assert_string_equal(taken(NOW, false, &r), "1-2510");
    assert_string_equal(taken(NOW, true, &r), "1-2510");
    assert_int_equal(r.rows, 2510);
    assert_int_equal(r.expired + r.damaged_bytes, 0);
    assert_string_equal(taken(NOW, true, &r), "nothing");
    assert_append(7, 1, NOW);
    assert_string_equal(taken(NOW, true, &r), "7-7");
}

static void rows_older_than_two_intervals_are_only_counted(void **state UNUSED)
{
    struct spool_report r;
    assert_append(1, 5, NOW - 2 * INTERVAL - 1);
    assert_append(6, 5, NOW - 2 * INTERVAL);
    assert_append(11, 5, NOW);
    assert_string_equal(taken(NOW, true, &r), "6-15");
    assert_int_equal(r.rows, 10);
    assert_int_equal(r.expired, 5);
}

static void other_users_may_not_read_it(void **state UNUSED)
{
    struct stat st;
    mode_t old = umask(0);
    assert_append(1, 1, NOW);
    umask(old);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(chmod(path, 0666), 0);
    assert_append(2, 1, NOW);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void the_cap_is_kept_and_what_fits_is_kept(void **state UNUSED)
{
    struct spool_report r;
    struct err err = ERR_INIT;
    size_t kept;
    options.cap_bytes = 500;
    assert_false(append(1, 100, NOW, &kept, &err));
    assert_non_null(strstr(err.text, "full (500 bytes)"));
    assert_true(kept > 5 && kept < 20);
    assert_true(size_of_file() <= 500);
    size_t more;
    assert_false(append(1, 1, NOW, &more, &err));
    assert_int_equal(more, 0);
    char expected[32];
    snprintf(expected, sizeof(expected), "1-%zu", kept);
    assert_string_equal(taken(NOW, true, &r), expected);
}

/* As a crash or a full disk leaves it; what is appended later must not hide behind it. */
static void a_torn_end_costs_only_its_own_record(void **state UNUSED)
{
    struct spool_report r;
    assert_append(1, 3, NOW);
    off_t size = size_of_file();
    assert_append(4, 1, NOW);
    off_t whole = size_of_file();
    for (off_t cut = size; cut < whole; cut++) {
        assert_int_equal(truncate(path, cut), 0);
        assert_string_equal(taken(NOW, false, &r), "1-3");
        assert_int_equal(r.damaged_bytes, cut - size);
        assert_append(4, 1, NOW);
        assert_string_equal(taken(NOW, false, &r), "1-4");
        assert_int_equal(size_of_file(), whole);
    }
}

static void a_damaged_record_costs_what_follows_it_and_is_said(void **state UNUSED)
{
    struct spool_report r;
    assert_append(1, 3, NOW);
    off_t size = size_of_file();
    assert_append(4, 3, NOW);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "\xff\xff\xff", 3, size + 9), 3);
    close(fd);
    off_t whole = size_of_file();
    assert_string_equal(taken(NOW, true, &r), "1-3");
    assert_int_equal(r.damaged_bytes, whole - size);
}

static void write_file(const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
}

static void a_header_cut_short_is_written_again(void **state UNUSED)
{
    struct spool_report r;
    write_file("SPINESP1\x0a", 9);
    assert_string_equal(taken(NOW, true, &r), "nothing");
    assert_append(1, 1, NOW);
    assert_string_equal(taken(NOW, true, &r), "1-1");
}

static void what_is_not_our_spool_is_left_alone(void **state UNUSED)
{
    struct spool_report r;
    write_file("precious\n", 9);
    assert_refused("not a spool file");
    assert_int_equal(size_of_file(), 9);
    unlink(path);
    assert_append(1, 1, NOW);
    options.poller_id = 2;
    assert_refused("belongs to poller 1 and database cacti");
    options.poller_id = 1;
    options.database = "cact";
    assert_refused("belongs to poller 1 and database cacti");
    options.database = "cacti";
    assert_string_equal(taken(NOW, true, &r), "1-1");
}

static void no_link_and_no_device_is_written_to(void **state UNUSED)
{
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_refused("cannot be opened");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused("not a regular file");
    assert_int_equal(unlink(path), 0);
    options.path = "/dev/null";
    assert_refused("not a regular file");
    options.path = "/nonexistent/spool";
    size_t kept;
    struct err err = ERR_INIT;
    assert_false(append(1, 1, NOW, &kept, &err));
    assert_non_null(strstr(err.text, strerror(ENOENT)));
}

static void a_locked_file_is_left_to_the_other_process(void **state UNUSED)
{
    struct spool_report r;
    struct err err = ERR_INIT;
    size_t kept;
    assert_append(1, 1, NOW);
    int other = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_EX), 0);
    assert_string_equal(taken(NOW, true, &r), "nothing");
    assert_false(append(2, 1, NOW, &kept, &err));
    assert_non_null(strstr(err.text, "another process uses it"));
    close(other);
    assert_string_equal(taken(NOW, true, &r), "1-1");
}

enum { WRITERS = 4, ROUNDS = 25 };

static void *write_rounds(void *arg)
{
    uint32_t first = (uint32_t)(uintptr_t)arg;
    for (uint32_t i = 0; i < ROUNDS; i++)
        assert_append(first + i, 1, NOW);
    return NULL;
}

static void threads_that_append_at_once_lose_nothing(void **state UNUSED)
{
    pthread_t threads[WRITERS];
    struct err err = ERR_INIT;
    struct spool_report r;
    for (uintptr_t i = 0; i < WRITERS; i++)
        assert_true(thr_start(&threads[i], "writer", write_rounds, (void *)(i * ROUNDS + 1), &err));
    for (int i = 0; i < WRITERS; i++)
        thr_join(threads[i]);
    (void)taken(NOW, true, &r);
    assert_int_equal(r.rows, WRITERS * ROUNDS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- a path that names something else ---- */

static void write_stranger(const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static void assert_untouched(const char *text, mode_t mode)
{
    struct stat st;
    char back[64] = "";
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    back[fread(back, 1, sizeof(back) - 1, f)] = '\0';
    fclose(f);
    assert_string_equal(back, text);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static void a_file_that_is_not_a_spool_keeps_its_mode_and_content(void **state UNUSED)
{
    static const char *const texts[] = {"DB_Host localhost\n", "#!/bin/sh\nexit 0\n", "x"};
    static const mode_t modes[] = {0644, 0755, 0666, 0640};
    for (size_t i = 0; i < ARRAY_LEN(texts) * ARRAY_LEN(modes); i++) {
        const char *text = texts[i % ARRAY_LEN(texts)];
        mode_t mode = modes[i / ARRAY_LEN(texts)];
        struct err err = ERR_INIT;
        size_t kept;
        write_stranger(text, mode);
        assert_false(append(1, 3, NOW, &kept, &err));
        assert_int_equal(kept, 0);
        assert_null(spool_take(&options, NOW, &err));
        assert_false(spool_check(&options, &err));
        assert_untouched(text, mode);
    }
}

static void a_spool_that_others_may_read_is_made_private(void **state UNUSED)
{
    struct err err = ERR_INIT;
    struct stat st;
    size_t kept;
    assert_true(append(1, 3, NOW, &kept, &err));
    assert_int_equal(chmod(path, 0644), 0);
    assert_true(spool_check(&options, &err));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644); /* a check changes nothing */
    assert_true(append(4, 3, NOW, &kept, &err));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void whether_rows_could_be_kept_is_known_before_they_must_be(void **state UNUSED)
{
    struct err err = ERR_INIT;
    struct stat st;
    assert_true(spool_check(&options, &err));
    assert_int_equal(stat(path, &st), -1); /* nothing was made */
    options.path = "/nonexistent/spool";
    assert_false(spool_check(&options, &err));
    assert_non_null(strstr(err.text, "/nonexistent/spool"));
    options.path = directory;
    assert_false(spool_check(&options, &err));
    options.path = "/dev/null";
    assert_false(spool_check(&options, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_stay_in_the_file_until_they_are_stored),
        TEST(rows_older_than_two_intervals_are_only_counted),
        TEST(other_users_may_not_read_it),
        TEST(the_cap_is_kept_and_what_fits_is_kept),
        TEST(a_torn_end_costs_only_its_own_record),
        TEST(a_damaged_record_costs_what_follows_it_and_is_said),
        TEST(a_header_cut_short_is_written_again),
        TEST(what_is_not_our_spool_is_left_alone),
        TEST(no_link_and_no_device_is_written_to),
        TEST(a_locked_file_is_left_to_the_other_process),
        TEST(threads_that_append_at_once_lose_nothing),
        TEST(a_file_that_is_not_a_spool_keeps_its_mode_and_content),
        TEST(a_spool_that_others_may_read_is_made_private),
        TEST(whether_rows_could_be_kept_is_known_before_they_must_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
