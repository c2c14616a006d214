#include "config.h"

#include "core/spawn.h"

#include "../../support/leftovers.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

/* ---- what the tests share ---- */

static int descriptors_before;

static int begin(void **state)
{
    (void)state;
    descriptors_before = leftovers_descriptors();
    return 0;
}

static int end(void **state)
{
    (void)state;
    assert_int_equal(leftovers_processes(), 0);
    assert_int_equal(leftovers_descriptors(), descriptors_before);
    return 0;
}

static char *const *words(const char *a, const char *b, const char *c)
{
    static char text[3][256];
    static char *argv[4];
    const char *given[] = {a, b, c};
    for (int i = 0; i < 3; i++) {
        argv[i] = given[i] == NULL ? NULL : text[i];
        if (given[i] != NULL)
            snprintf(text[i], sizeof(text[i]), "%s", given[i]);
    }
    return argv;
}

static struct spawn_order shell(const char *command)
{
    return (struct spawn_order){
        .path = "/bin/sh", .argv = words("sh", "-c", command), .limits = SPAWN_LIMITS_KEEP};
}

static void read_to_end(int fd, struct buf *out)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (;;) {
        char chunk[4096];
        assert_int_equal(poll(&p, 1, 60000), 1);
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n == 0)
            return;
        assert_true(n > 0);
        buf_append(out, chunk, (size_t)n);
    }
}

static int finish(const struct spawned *s)
{
    int status = -1;
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    close(s->from);
    if (s->to >= 0)
        close(s->to);
    if (s->pidfd >= 0)
        close(s->pidfd);
    return status;
}

/* Runs to the end; the text belongs to the caller. */
static char *output_of(struct spawn_order order, int *ret_status)
{
    struct spawned s;
    struct err err = ERR_INIT;
    struct buf out = BUF_INIT;
    char **env = spawn_env_new(NULL, NULL, NULL);
    if (order.envp == NULL)
        order.envp = env;
    assert_int_equal(spawn_start(&order, &s, &err), SPAWN_STARTED);
    read_to_end(s.from, &out);
    int status = finish(&s);
    if (ret_status != NULL)
        *ret_status = status;
    spawn_env_free(env);
    buf_puts(&out, "");
    return buf_take(&out);
}

static void assert_output(struct spawn_order order, const char *expected)
{
    char *text = output_of(order, NULL);
    assert_string_equal(text, expected);
    free(text);
}

/* In a process of its own, because it changes what cannot be changed back.  The body returns 0 if
 * all is well, 77 if it cannot be done here. */
static void in_another_process(int (*body)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(body());
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("NOT TRIED: the system does not let this be tried\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static enum spawn_result try(struct spawn_order order, int *ret_errno)
{
    struct spawned s;
    struct err err = ERR_INIT;
    static char *no_env[] = {NULL};
    if (order.envp == NULL)
        order.envp = no_env;
    enum spawn_result result = spawn_start(&order, &s, &err);
    *ret_errno = err.number;
    if (result == SPAWN_STARTED)
        finish(&s);
    return result;
}

static void assert_refused(const char *path, int number, const char *word)
{
    struct spawned s;
    struct err err = ERR_INIT;
    char *const no_env[] = {NULL};
    struct spawn_order order = {
        .path = path, .argv = words("x", NULL, NULL), .envp = no_env, .limits = SPAWN_LIMITS_KEEP};
    assert_int_equal(spawn_start(&order, &s, &err), SPAWN_REFUSED);
    assert_int_equal(err.number, number);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, word));
}

static const char *file(const char *name, const char *text, mode_t mode)
{
    static char path[64];
    snprintf(path, sizeof(path), "/tmp/spine-spawn-%d-%s", (int)getpid(), name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    chmod(path, mode);
    return path;
}

/* ---- tests ---- */

static void what_a_process_prints_and_how_it_ends_is_reported(void **state)
{
    (void)state;
    int status;
    char *text = output_of(shell("echo one; echo two; exit 7"), &status);
    assert_string_equal(text, "one\ntwo\n");
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    free(text);
}

static void it_reads_nothing_from_our_standard_input(void **state)
{
    (void)state;
    assert_output(shell("readlink /proc/self/fd/0; cat"), "/dev/null\n");
}

static void it_can_be_talked_to(void **state)
{
    (void)state;
    struct spawn_order order = shell("read x; echo \"got $x\"");
    struct spawned s;
    struct err err = ERR_INIT;
    struct buf out = BUF_INIT;
    char *no_env[] = {NULL};
    order.talk = true;
    order.envp = no_env;
    assert_int_equal(spawn_start(&order, &s, &err), SPAWN_STARTED);
    assert_int_equal(write(s.to, "this\n", 5), 5);
    read_to_end(s.from, &out);
    finish(&s);
    assert_string_equal(out.data, "got this\n");
    buf_done(&out);
}

/* D68 */
static void it_has_descriptors_0_1_2_and_no_other(void **state)
{
    (void)state;
    int leaky = open("/dev/null", O_RDONLY); /* as what poller.php leaves open: no close-on-exec */
    int high = fcntl(leaky, F_DUPFD, 700);
    assert_true(leaky > 2 && high >= 700);
    /* 3 is what ls itself opens to look */
    assert_output(shell("ls /proc/self/fd | tr '\\n' ' '"), "0 1 2 3 ");
    close(leaky);
    close(high);
}

/* D68 */
static void signals_are_at_their_defaults_and_none_is_blocked(void **state)
{
    (void)state;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before[3];
    const int signals[] = {SIGPIPE, SIGHUP, SIGCHLD};
    sigset_t all, mask;
    for (int i = 0; i < 2; i++)
        sigaction(signals[i], &ignore, &before[i]);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    assert_output(shell("grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\t\\n'"),
                  "SigBlk:0000000000000000SigIgn:0000000000000000");
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    for (int i = 0; i < 2; i++)
        sigaction(signals[i], &before[i], NULL);
}

static void on_signal(int signo)
{
    (void)signo;
}

static void a_handler_of_ours_is_not_its(void **state)
{
    (void)state;
    struct sigaction handler = {.sa_handler = on_signal}, before;
    sigaction(SIGTERM, &handler, &before);
    int status;
    free(output_of(shell("kill -TERM $$; echo still here"), &status));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
    struct sigaction after;
    sigaction(SIGTERM, &before, &after);
    assert_ptr_equal(after.sa_handler, on_signal); /* and ours is still ours */
}

/* D68 */
static void it_has_no_capability_to_pass_on(void **state)
{
    (void)state;
    assert_output(shell("grep -E '^Cap(Inh|Amb)' /proc/self/status | tr -d '\\t\\n'"),
                  "CapInh:0000000000000000CapAmb:0000000000000000");
}

/* D68 */
static void the_environment_is_ours_without_what_is_dropped(void **state)
{
    (void)state;
    setenv("SPINE_TEST_SECRET", "word", 1);
    setenv("SPINE_TEST_KEPT", "a b", 1);
    setenv("MIBS", "ALL", 1);
    const char *const set[] = {"MIBS=", NULL}, *const drop[] = {"SPINE_TEST_SECRET", NULL};
    char **env = spawn_env_new(NULL, set, drop);
    struct spawn_order order =
        shell("echo \"[${SPINE_TEST_SECRET-none}][$SPINE_TEST_KEPT][${MIBS-unset}]\"");
    order.envp = env;
    assert_output(order, "[none][a b][]\n");
    spawn_env_free(env);
    spawn_env_free(NULL);
    unsetenv("MIBS");
    unsetenv("SPINE_TEST_SECRET");
}

/* Of a cycle that is carried out for another process. */
static void environment_and_directory_may_be_those_of_another_process(void **state)
{
    (void)state;
    setenv("SPINE_TEST_OURS", "ours", 1);
    const char *const base[] = {"SPINE_TEST_THEIRS=theirs", "PATH=/usr/bin:/bin", NULL};
    char **env = spawn_env_new(base, NULL, NULL);
    struct spawn_order order =
        shell("echo \"[$SPINE_TEST_THEIRS][${SPINE_TEST_OURS-unset}] $PWD\"; pwd -P");
    order.envp = env;
    order.directory = "/proc";
    assert_output(order, "[theirs][unset] /proc\n/proc\n");
    struct spawned s;
    struct err err = ERR_INIT;
    order.directory = "/no/such/directory";
    assert_int_equal(spawn_start(&order, &s, &err), SPAWN_REFUSED);
    assert_int_equal(err.number, ENOENT);
    spawn_env_free(env);
    unsetenv("SPINE_TEST_OURS");
}

static void it_leads_a_process_group_of_its_own(void **state)
{
    (void)state;
    struct spawned s;
    struct err err = ERR_INIT;
    char *no_env[] = {NULL};
    struct spawn_order order = shell("exec sleep 99");
    order.envp = no_env;
    assert_int_equal(spawn_start(&order, &s, &err), SPAWN_STARTED);
    assert_int_equal(getpgid(s.pid), s.pid);
    assert_int_equal(getsid(s.pid), getsid(0));
    kill(-s.pid, SIGKILL);
    finish(&s);
}

static void limits_hold_and_are_never_raised(void **state)
{
    (void)state;
    struct spawn_order order = shell("ulimit -St; ulimit -Ht; ulimit -n; ulimit -Hc;"
                                     " cat /proc/self/oom_score_adj");
    order.limits =
        (struct spawn_limits){.cpu_s = 77, .files = 100, .core_bytes = 0, .oom_score_adj = 321};
    assert_output(order, "77\n78\n100\n0\n321\n");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    order = shell("ulimit -n");
    order.limits.files = (int64_t)files.rlim_max + 1000;
    char *text = output_of(order, NULL);
    assert_int_equal(strtoll(text, NULL, 10), files.rlim_max);
    free(text);
}

/* By it a run-away is found, whatever it does to its session and its environment. */
static void the_mark_passes_on_to_everything_that_a_script_starts(void **state)
{
    (void)state;
    static const char *const commands[] = {
        "sed -n 's/^Max realtime timeout *\\([0-9][0-9]*\\) .*/\\1/p' /proc/self/limits",
        "env -i sed -n 's/^Max realtime timeout *\\([0-9][0-9]*\\) .*/\\1/p' /proc/self/limits",
        ("setsid -w sh -c \"setsid -w sed -n 's/^Max realtime timeout *\\([0-9][0-9]*\\) .*/\\1/p' "
         "/proc/self/limits\""),
    };
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        struct spawn_order order = shell(commands[i]);
        order.mark = 4611686018427387909;
        assert_output(order, "4611686018427387909\n");
    }
    assert_output(shell(commands[0]), ""); /* "unlimited" */
}

static void a_script_that_eats_the_cpu_is_ended_by_its_limit(void **state)
{
    (void)state;
    struct spawn_order order = shell("while :; do :; done");
    int status;
    order.limits.cpu_s = 0;
    free(output_of(order, &status));
    assert_true(WIFSIGNALED(status));
}

/* D64 */
static void why_it_cannot_be_executed_is_told_apart(void **state)
{
    (void)state;
    assert_refused("/nowhere/php", ENOENT, "No such file");
    assert_refused("/etc", EACCES, "denied");
    assert_refused("php", ENOENT, "No such file"); /* no search */
    const char *path = file("plain", "echo no first line\n", 0755);
    assert_refused(path, ENOEXEC, "format");
    unlink(path);
    path = file("unexecutable", "#!/bin/sh\n", 0644);
    assert_refused(path, EACCES, "denied");
    unlink(path);
    path = file("interpreter", "#!/nowhere/perl\n", 0755);
    assert_refused(path, ENOENT, "No such file");
    unlink(path);
}

/* D65 */
static void an_argument_of_100_kb_is_passed_one_of_200_kb_is_too_big(void **state)
{
    (void)state;
    int number;
    char *big = mem_alloc(200001);
    memset(big, '#', 200000);
    big[200000] = '\0';
    char *argv[] = {words("sh", "-c", NULL)[0], words("sh", "-c", NULL)[1], big, NULL};
    struct spawn_order order = {.path = "/bin/sh", .argv = argv, .limits = SPAWN_LIMITS_KEEP};
    assert_int_equal(try(order, &number), SPAWN_REFUSED);
    assert_int_equal(number, E2BIG);
    big[100000] = '\0';
    memcpy(big, "echo ${#0}; #", 13);
    assert_output(order, "2\n");
    free(big);
}

static int no_process_to_be_had(void)
{
    struct rlimit none = {1, 1};
    int number;
    if (geteuid() == 0 &&
        (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
        return 77;
    setrlimit(RLIMIT_NPROC, &none);
    if (try(shell("exit 0"), &number) == SPAWN_STARTED)
        return 77;
    return number == EAGAIN && try(shell("exit 0"), &number) == SPAWN_NO_PROCESS ? 0 : 1;
}

/* D66 */
static void lack_of_processes_is_told_apart(void **state)
{
    (void)state;
    in_another_process(no_process_to_be_had);
}

static int no_descriptor_to_be_had(void)
{
    struct rlimit files;
    int number, last;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = 40;
    setrlimit(RLIMIT_NOFILE, &files);
    while ((last = dup(2)) >= 0)
        ;
    for (int room = 0; room <= 4; room++) { /* in pipe2(), then in clone(CLONE_PIDFD) */
        struct spawn_order order = shell("exit 0");
        order.talk = true;
        if (try(order, &number) != SPAWN_NO_DESCRIPTOR || number != EMFILE)
            return 10 + room;
        close(39 - room);
    }
    return try(shell("exit 0"), &number) == SPAWN_STARTED ? 0 : 1;
}

/* D67 */
static void lack_of_descriptors_is_told_apart_and_leaks_nothing(void **state)
{
    (void)state;
    in_another_process(no_descriptor_to_be_had);
}

static int without_standard_descriptors(void)
{
    struct spawned s;
    struct err err = ERR_INIT;
    struct buf out = BUF_INIT;
    char *no_env[] = {NULL};
    struct spawn_order order = shell("ls /proc/self/fd | tr '\\n' ' '; readlink /proc/self/fd/2");
    order.envp = no_env;
    order.talk = true;
    close(0);
    close(1);
    close(2);
    if (spawn_start(&order, &s, &err) != SPAWN_STARTED || s.from < 3 || s.to < 3)
        return 1;
    read_to_end(s.from, &out);
    finish(&s);
    return strcmp(out.data, "0 1 2 3 /dev/null\n") == 0 ? 0 : 2;
}

static void a_parent_without_0_1_2_does_no_harm(void **state)
{
    (void)state;
    in_another_process(without_standard_descriptors);
}

static pid_t sleeper_of(pid_t parent)
{
    char path[64];
    struct buf text = BUF_INIT;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
    leftovers_read(path, &text);
    pid_t pid = (pid_t)atoi(buf_str(&text));
    buf_done(&text);
    return pid;
}

/* It is adopted by us, killed by the kernel. */
static void it_dies_when_its_parent_is_killed(void **state)
{
    (void)state;
    int ready[2];
    char c;
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        struct spawned s;
        struct err err = ERR_INIT;
        char *no_env[] = {NULL};
        struct spawn_order order = shell("exec sleep 99");
        order.die_with_parent = true;
        order.envp = no_env;
        if (spawn_start(&order, &s, &err) != SPAWN_STARTED || write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    pid_t sleeper = sleeper_of(parent);
    assert_true(sleeper > 0);
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    int status = 0;
    assert_int_equal(waitpid(sleeper, &status, 0), sleeper);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    close(ready[0]);
    close(ready[1]);
}

static void its_end_can_be_watched_where_the_kernel_has_pidfd(void **state)
{
    (void)state;
    struct spawned s;
    struct err err = ERR_INIT;
    char *no_env[] = {NULL};
    struct spawn_order order = shell("exit 3");
    order.envp = no_env;
    assert_int_equal(spawn_start(&order, &s, &err), SPAWN_STARTED);
    if (s.pidfd < 0)
        print_message("NOT TRIED: no pidfd in this kernel\n");
    struct pollfd p = {.fd = s.pidfd, .events = POLLIN};
    assert_int_equal(s.pidfd < 0 ? 1 : poll(&p, 1, 60000), 1);
    finish(&s);
    order.no_pidfd = true;
    assert_int_equal(spawn_start(&order, &s, &err), SPAWN_STARTED);
    assert_int_equal(s.pidfd, -1);
    finish(&s);
}

static void *spawn_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        struct spawned s;
        struct err err = ERR_INIT;
        struct buf out = BUF_INIT;
        char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"echo $PPID"}, NULL};
        char *no_env[] = {NULL};
        struct spawn_order order = {
            .path = "/bin/sh", .argv = argv, .envp = no_env, .limits = SPAWN_LIMITS_KEEP};
        CHECK(spawn_start(&order, &s, &err) == SPAWN_STARTED);
        read_to_end(s.from, &out);
        CHECK(atoi(out.data) == getpid());
        finish(&s);
        buf_done(&out);
    }
    return NULL;
}

static void many_threads_may_start_processes_at_once(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, spawn_many, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_process_prints_and_how_it_ends_is_reported),
        TEST(it_reads_nothing_from_our_standard_input),
        TEST(it_can_be_talked_to),
        TEST(it_has_descriptors_0_1_2_and_no_other),
        TEST(signals_are_at_their_defaults_and_none_is_blocked),
        TEST(a_handler_of_ours_is_not_its),
        TEST(it_has_no_capability_to_pass_on),
        TEST(the_environment_is_ours_without_what_is_dropped),
        TEST(environment_and_directory_may_be_those_of_another_process),
        TEST(it_leads_a_process_group_of_its_own),
        TEST(limits_hold_and_are_never_raised),
        TEST(the_mark_passes_on_to_everything_that_a_script_starts),
        TEST(a_script_that_eats_the_cpu_is_ended_by_its_limit),
        TEST(why_it_cannot_be_executed_is_told_apart),
        TEST(an_argument_of_100_kb_is_passed_one_of_200_kb_is_too_big),
        TEST(lack_of_processes_is_told_apart),
        TEST(lack_of_descriptors_is_told_apart_and_leaks_nothing),
        TEST(a_parent_without_0_1_2_does_no_harm),
        TEST(it_dies_when_its_parent_is_killed),
        TEST(its_end_can_be_watched_where_the_kernel_has_pidfd),
        TEST(many_threads_may_start_processes_at_once),
    };
    leftovers_mark();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
