#include "config.h"

#include "base/arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void objects_are_zeroed_and_aligned_whatever_came_before(void **state UNUSED)
{
    struct arena a = ARENA_INIT;
    for (size_t size = 1; size < 300; size++) {
        assert_non_null(arena_strndup(&a, "xyz", size % 4));
        unsigned char *p = arena_zalloc(&a, size);
        assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, size);
    }
    arena_done(&a);
}

/* Sizes around one block, so that the rest of a block is used up, just missed or skipped. */
static void objects_never_overlap(void **state UNUSED)
{
    enum { COUNT = 400 };
    static const size_t sizes[] = {1, 15, 16, 17, 1000, 30000, 65535, 65536, 65537, 200000, 0};
    struct arena a = ARENA_INIT;
    unsigned char *at[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        at[i] = arena_zalloc(&a, sizes[i % ARRAY_LEN(sizes)]);
        memset(at[i], (int)(i % 251), sizes[i % ARRAY_LEN(sizes)]);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < sizes[i % ARRAY_LEN(sizes)]; j += 7)
            assert_int_equal(at[i][j], i % 251);
    arena_done(&a);
}

static void texts_are_copies(void **state UNUSED)
{
    struct arena a = ARENA_INIT;
    char source[] = "hello";
    const char *copy = arena_strdup(&a, source);
    const char *part = arena_strndup(&a, source, 2);
    const char *nothing = arena_strdup(&a, "");
    memset(source, 'x', 5);
    assert_string_equal(copy, "hello");
    assert_string_equal(part, "he");
    assert_string_equal(nothing, "");
    arena_done(&a);
}

static void a_hundred_thousand_strings_stay_intact(void **state UNUSED)
{
    enum { COUNT = 100000 };
    static const char *texts[COUNT];
    struct arena a = ARENA_INIT;
    char text[32];
    size_t bytes = 0;
    for (int i = 0; i < COUNT; i++) {
        bytes += (size_t)snprintf(text, sizeof(text), "text %d", i) + 1;
        texts[i] = arena_strdup(&a, text);
    }
    for (int i = 0; i < COUNT; i++) {
        snprintf(text, sizeof(text), "text %d", i);
        assert_string_equal(texts[i], text);
    }
    assert_true(a.bytes >= bytes);
    assert_true(a.bytes < bytes + bytes / 10 + 200000);
    arena_done(&a);
}

static void a_finished_arena_can_be_used_again(void **state UNUSED)
{
    struct arena a = ARENA_INIT;
    arena_done(&a);
    assert_non_null(arena_zalloc(&a, 10));
    assert_true(a.bytes > 0);
    arena_done(&a);
    assert_int_equal(a.bytes, 0);
    assert_null(a.blocks);
    assert_string_equal(arena_strdup(&a, "again"), "again");
    arena_done(&a);
    arena_done(&a);
}

static void a_size_that_overflows_ends_the_program(void **state UNUSED)
{
    pid_t pid = fork();
    if (pid == 0) {
        static const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        close(STDERR_FILENO);
        struct arena a = ARENA_INIT;
        volatile size_t huge = SIZE_MAX - 8;
        void *p = arena_zalloc(&a, huge);
        _exit(p == NULL);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_zeroed_and_aligned_whatever_came_before),
        cmocka_unit_test(objects_never_overlap),
        cmocka_unit_test(texts_are_copies),
        cmocka_unit_test(a_hundred_thousand_strings_stay_intact),
        cmocka_unit_test(a_finished_arena_can_be_used_again),
        cmocka_unit_test(a_size_that_overflows_ends_the_program),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
