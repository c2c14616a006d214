#include "config.h"

#include "base/notify.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A manager's socket at this name, '@' for an abstract one. */
static int listen_at(const char *name)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    memcpy(at.sun_path, name, len);
    if (name[0] == '@')
        at.sun_path[0] = '\0';
    assert_int_equal(
        bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
        0);
    return fd;
}

static void assert_received(int fd, const char *expected)
{
    char text[256];
    ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    assert_string_equal(text, expected);
}

static void test_a_manager_is_told_that_the_daemon_is_ready(void **state UNUSED)
{
    char path[64], abstract[64];
    snprintf(path, sizeof(path), "/tmp/spine-test-notify-%d", (int)getpid());
    snprintf(abstract, sizeof(abstract), "@spine-test-notify-%d", (int)getpid());
    const char *const names[] = {path, abstract};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        unlink(path);
        int fd = listen_at(names[i]);
        setenv("NOTIFY_SOCKET", names[i], 1);
        notify_start();
        notify_say("READY=1\nSTATUS=%d cycles", 3);
        assert_received(fd, "READY=1\nSTATUS=3 cycles");
        assert_null(getenv("NOTIFY_SOCKET"));
        notify_stop();
        close(fd);
    }
    unlink(path);
}

static void test_without_a_manager_nothing_is_sent(void **state UNUSED)
{
    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "3000000", 1);
    notify_start();
    notify_say("READY=1");
    assert_int_equal(notify_watchdog_ms(), 0);
    notify_stop();
}

static void test_a_manager_that_does_not_read_delays_nothing(void **state UNUSED)
{
    char name[64];
    snprintf(name, sizeof(name), "@spine-test-notify-full-%d", (int)getpid());
    int fd = listen_at(name);
    setenv("NOTIFY_SOCKET", name, 1);
    notify_start();
    for (int i = 0; i < 10000; i++)
        notify_say("STATUS=%d", i);
    assert_received(fd, "STATUS=0");
    notify_stop();
    close(fd);
}

static void test_the_watchdog_of_another_process_is_not_ours(void **state UNUSED)
{
    static const struct {
        const char *usec;
        int pid; /* 0: none is named, -1: this process */
        int64_t expected_ms;
    } cases[] = {
        {"30000000", 0, 30000},
        {"30000000", -1, 30000},
        {"30000000", 1, 0},
        {"500", 0, 0},
        {"x", 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char pid[16];
        snprintf(pid, sizeof(pid), "%d", cases[i].pid < 0 ? (int)getpid() : cases[i].pid);
        setenv("NOTIFY_SOCKET", "@no-one", 1);
        setenv("WATCHDOG_USEC", cases[i].usec, 1);
        if (cases[i].pid != 0)
            setenv("WATCHDOG_PID", pid, 1);
        notify_start();
        assert_int_equal(notify_watchdog_ms(), cases[i].expected_ms);
        assert_null(getenv("WATCHDOG_PID"));
        notify_stop();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_manager_is_told_that_the_daemon_is_ready),
        cmocka_unit_test(test_without_a_manager_nothing_is_sent),
        cmocka_unit_test(test_a_manager_that_does_not_read_delays_nothing),
        cmocka_unit_test(test_the_watchdog_of_another_process_is_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
