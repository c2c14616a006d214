/* Each case dies in a child process, whose standard error, or log, is read here. */
#include "config.h"

#include "base/fatal.h"

#include "base/compiler.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define HAVE_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAVE_THREAD_SANITIZER 1
#endif
#endif

/* ThreadSanitizer ends a process that asks for too much by itself. */
#ifdef HAVE_THREAD_SANITIZER
enum { ALLOCATOR_IS_OURS = 0 };
#else
enum { ALLOCATOR_IS_OURS = 1 };
#endif

static char said[4096];

/* Runs fn in a child, takes what it said and returns its status as from waitpid(2). */
static int die(void (*fn)(void))
{
    int fds[2], status;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        for (int signo = 1; signo < 32; signo++) { /* cmocka's own handlers */
            struct sigaction dfl = {.sa_handler = SIG_DFL};
            sigaction(signo, &dfl, NULL);
        }
        fatal_start();
        fn();
        _exit(0);
    }
    close(fds[1]);
    size_t len = 0;
    for (ssize_t n; (n = read(fds[0], said + len, sizeof(said) - 1 - len)) > 0;)
        len += (size_t)n;
    said[len] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void assert_died(int status, int signo, const char *text)
{
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), signo);
    if (strstr(said, text) == NULL)
        fail_msg("'%s' does not say '%s'", said, text);
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

static void send_segv(void)
{
    kill(getpid(), SIGSEGV);
}

static void send_bus_blocked_and_ignored(void)
{
    struct sigaction ign = {.sa_handler = SIG_IGN};
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigaction(SIGBUS, &ign, NULL);
    fatal_start();
    kill(getpid(), SIGBUS);
}

static void *fault(void *arg UNUSED)
{
    static volatile uintptr_t nowhere = 8;
    *(volatile int *)nowhere = 1; /* NOLINT */
    return NULL;
}

static void fault_in_a_thread(void)
{
    pthread_t thread;
    struct err err = ERR_INIT;
    if (thr_start(&thread, "fault", fault, NULL, &err))
        thr_join(thread);
}

/* Not a tail call, and the compiler cannot know that it never ends. */
static int dig(volatile const char *above, long depth)
{
    volatile char here[4096];
    here[0] = above[0];
    return depth == 0 ? here[0] : here[0] + dig(here, depth - 1) + here[1];
}

static void *overflow(void *arg UNUSED)
{
    static int depth;
    static const char first[1];
    depth = dig(first, 1000000);
    return &depth;
}

static void overflow_in_a_thread(void)
{
    pthread_t thread;
    struct err err = ERR_INIT;
    if (thr_start(&thread, "overflow", overflow, NULL, &err))
        thr_join(thread);
}

static void each_fatal_signal_leaves_one_line_and_ends_by_itself(void **state UNUSED)
{
    assert_died(die(send_segv), SIGSEGV, "FATAL: Spine Encountered a Segmentation Fault\n");
    assert_died(die(abort), SIGABRT, "FATAL: Spine Interrupted by Abort Signal\n");
}

static void a_blocked_and_ignored_fatal_signal_is_taken_nevertheless(void **state UNUSED)
{
    assert_died(die(send_bus_blocked_and_ignored), SIGBUS,
                "FATAL: Spine Encountered a Bus Error\n");
}

static void a_fault_in_any_thread_is_told(void **state UNUSED)
{
    assert_died(die(fault_in_a_thread), SIGSEGV, "Segmentation Fault\n");
}

static void a_stack_overflow_in_any_thread_is_told(void **state UNUSED)
{
#ifdef HAVE_THREAD_SANITIZER /* gives threads no stack for signals, and lets us give none */
    int status = die(overflow_in_a_thread);
    assert_true(WIFSIGNALED(status));
#else
    assert_died(die(overflow_in_a_thread), SIGSEGV, "Segmentation Fault\n");
#endif
}

static void theirs(int signo UNUSED)
{
    _exit(42);
}

static void send_to_another_handler(void)
{
    struct sigaction other = {.sa_handler = theirs};
    sigaction(SIGILL, &other, NULL);
    fatal_start();
    kill(getpid(), SIGILL);
}

static void a_handler_that_was_there_before_stays(void **state UNUSED)
{
    int status = die(send_to_another_handler);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
    assert_string_equal(said, "");
}

static void fail_a_check(void)
{
    int two = 2;
    CHECK(two + two == 5);
}

static void use_up_memory(void)
{
    struct rlimit little = {(rlim_t)1 << 20, (rlim_t)1 << 20};
    if (setrlimit(RLIMIT_DATA, &little) != 0 || setrlimit(RLIMIT_AS, &little) != 0)
        _exit(97);
    for (;;)
        if (mem_alloc((size_t)1 << 30) == NULL)
            _exit(98);
}

/* Nothing comes after the reason. */
static void a_failed_check_says_which_one(void **state UNUSED)
{
    assert_died(
        die(fail_a_check), SIGABRT,
        "FATAL: Spine Interrupted by Abort Signal: internal check failed: two + two == 5 (");
}

static void lack_of_memory_is_named(void **state UNUSED)
{
#if defined(__SANITIZE_ADDRESS__) || defined(HAVE_THREAD_SANITIZER)
    print_message("NOT TRIED: a sanitizer's allocator needs the memory\n");
    skip();
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    print_message("NOT TRIED: a sanitizer's allocator needs the memory\n");
    skip();
#endif
#endif
    assert_died(die(use_up_memory), SIGABRT,
                "FATAL: Spine Interrupted by Abort Signal: out of memory\n");
}

/* ---- ends of our own making ---- */

/* A sanitizer would end the program itself. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static char log_path[] = "/tmp/test_fatal.XXXXXX";

static void open_log(void)
{
    const struct log_options o = {.level = LOG_ALWAYS,
                                  .destination = LOG_TO_FILE,
                                  .path = log_path,
                                  .date_separator = '/',
                                  .poller_id = 1};
    log_start();
    log_configure(&o);
    log_line(LOG_ALWAYS, "the cycle goes on");
}

static void fail_a_check_with_a_log(void)
{
    open_log();
    CHECK(log_path[0] == 'x');
}

static void *fail_a_check_here(void *arg UNUSED)
{
    CHECK(log_path[1] == 'x');
    return NULL;
}

static void fail_a_check_in_a_thread(void)
{
    pthread_t thread;
    struct err err = ERR_INIT;
    open_log();
    if (thr_start(&thread, "check", fail_a_check_here, NULL, &err))
        thr_join(thread);
}

static volatile size_t too_much = SIZE_MAX / 4;

static void ask_for_too_much(void)
{
    open_log();
    free(mem_alloc(too_much));
}

static void ask_for_too_much_zeroed(void)
{
    open_log();
    free(mem_zalloc(too_much, 16));
}

static void grow_too_much(void)
{
    open_log();
    free(mem_realloc(mem_alloc(1), too_much, 1));
}

static void grow_beyond_all_numbers(void)
{
    open_log();
    free(mem_realloc(NULL, too_much, 16));
}

static void abort_without_a_word(void)
{
    open_log();
    abort();
}

/* What the log says after "the cycle goes on". */
static void assert_last_words(void (*fn)(void), const char *text)
{
    char line[1024];
    snprintf(log_path, sizeof(log_path), "%s", "/tmp/test_fatal.XXXXXX");
    int fd = mkstemp(log_path);
    assert_true(fd >= 0);
    int status = die(fn);
    ssize_t n = read(fd, line, sizeof(line) - 1);
    close(fd);
    unlink(log_path);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_true(n > 0);
    line[n] = '\0';
    char *last = strchr(line, '\n');
    assert_non_null(last);
    if (strstr(last, text) == NULL || strchr(last + 1, '\n') != line + n - 1)
        fail_msg("the log ends with '%s', not with one line '%s'", last + 1, text);
}

static void the_reason_of_an_end_of_our_own_making_is_the_last_word_of_the_log(void **state UNUSED)
{
    assert_last_words(
        fail_a_check_with_a_log,
        "FATAL: Spine Interrupted by Abort Signal: internal check failed: log_path[0] == 'x' (");
    assert_last_words(
        fail_a_check_in_a_thread,
        "FATAL: Spine Interrupted by Abort Signal: internal check failed: log_path[1] == 'x' (");
    if (ALLOCATOR_IS_OURS) {
        assert_last_words(ask_for_too_much,
                          "FATAL: Spine Interrupted by Abort Signal: out of memory\n");
        assert_last_words(ask_for_too_much_zeroed,
                          "FATAL: Spine Interrupted by Abort Signal: out of memory\n");
        assert_last_words(grow_too_much,
                          "FATAL: Spine Interrupted by Abort Signal: out of memory\n");
    }
    assert_last_words(grow_beyond_all_numbers,
                      "FATAL: Spine Interrupted by Abort Signal: internal check failed: size == 0");
    assert_last_words(abort_without_a_word, "FATAL: Spine Interrupted by Abort Signal\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fatal_signal_leaves_one_line_and_ends_by_itself),
        cmocka_unit_test(a_blocked_and_ignored_fatal_signal_is_taken_nevertheless),
        cmocka_unit_test(a_fault_in_any_thread_is_told),
        cmocka_unit_test(a_stack_overflow_in_any_thread_is_told),
        cmocka_unit_test(a_handler_that_was_there_before_stays),
        cmocka_unit_test(a_failed_check_says_which_one),
        cmocka_unit_test(lack_of_memory_is_named),
        cmocka_unit_test(the_reason_of_an_end_of_our_own_making_is_the_last_word_of_the_log),
    };
    return cmocka_run_group_tests_name("fatal", tests, NULL, NULL);
}
