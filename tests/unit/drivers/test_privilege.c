#include "config.h"

#include "drivers/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOBODY = 65534, STRANGER = 65533 };

/* Each test gives up its rights in a child.  What goes wrong there is said on standard error, by
 * line. */
#define DEMAND(x)                                                                                  \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: not so in the child: %s\n", __FILE__, __LINE__, #x);           \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void in_child(void (*fn)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fn();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* The number behind a name in /proc/self/status. */
static uint64_t status_number(const char *name)
{
    FILE *f = fopen("/proc/self/status", "re");
    DEMAND(f != NULL);
    char line[256];
    uint64_t number = UINT64_MAX;
    while (fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            number = strtoull(line + strlen(name) + 1, NULL, 16);
    fclose(f);
    return number;
}

static bool not_root(void)
{
    uint64_t needed = UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID |
                      UINT64_C(1) << CAP_NET_RAW | UINT64_C(1) << CAP_DAC_OVERRIDE |
                      UINT64_C(1) << CAP_CHOWN;
    if (geteuid() == 0 && (status_number("CapEff") & needed) == needed)
        return false;
    print_message("NOT TRIED: only root with its capabilities can play a privileged start\n");
    return true;
}

static void demand_caps(uint64_t left)
{
    DEMAND(status_number("CapPrm") == left);
    DEMAND(status_number("CapEff") == left);
    DEMAND(status_number("CapInh") == 0);
    uint64_t ambient = status_number("CapAmb");
    DEMAND(ambient == 0 || ambient == UINT64_MAX);
}

/* The system calls themselves: the C library's functions want every thread to have the same rights,
 * and a sanitizer may have one of its own. */
static bool become(uid_t uid)
{
    return syscall(SYS_setresuid, uid, uid, uid) == 0 || syscall(SYS_setresuid, -1, uid, -1) == 0 ||
           syscall(SYS_setreuid, uid, uid) == 0 || syscall(SYS_setuid, uid) == 0;
}

static bool join(gid_t gid)
{
    return syscall(SYS_setresgid, gid, gid, gid) == 0 || syscall(SYS_setresgid, -1, gid, -1) == 0 ||
           syscall(SYS_setregid, gid, gid) == 0 || syscall(SYS_setgid, gid) == 0;
}

static void demand_no_way_back(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct all[2] = {{.effective = UINT32_MAX, .permitted = UINT32_MAX},
                                            {.effective = 0x1ff, .permitted = 0x1ff}};
    DEMAND(syscall(SYS_capset, &header, all) != 0);
    DEMAND(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) < 0 && errno == EPERM);
    DEMAND(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6) < 0);
    DEMAND(syscall(SYS_setgroups, 0, NULL) != 0);
    DEMAND(chroot("/") != 0);
    DEMAND(!become(STRANGER) && !join(STRANGER));
    if (getuid() != 0) {
        DEMAND(!become(0));
        DEMAND(open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0);
    }
    if (getgid() != 0)
        DEMAND(!join(0));
    DEMAND(prctl(PR_GET_DUMPABLE) == 0);
    DEMAND(prctl(PR_GET_NO_NEW_PRIVS, 0L, 0L, 0L, 0L) == 0);
}

static void drop(void)
{
    struct err err = ERR_INIT;
    if (privilege_drop(&err))
        return;
    fprintf(stderr, "%s\n", err.text);
    _exit(1);
}

static void demand_ids(uid_t uid, gid_t gid)
{
    uid_t r, e, s;
    gid_t rg, eg, sg;
    DEMAND(getresuid(&r, &e, &s) == 0 && r == uid && e == uid && s == uid);
    DEMAND(getresgid(&rg, &eg, &sg) == 0 && rg == gid && eg == gid && sg == gid);
}

/* ---- starts ---- */

static uint64_t roots_rest(void)
{
    return getuid() == 0 ? UINT64_C(1) << CAP_DAC_OVERRIDE : 0;
}

static void as_whoever_runs_the_test(void)
{
    uint64_t expected = status_number("CapPrm") & roots_rest();
    uid_t uid = getuid();
    gid_t gid = getgid();
    drop();
    demand_ids(uid, gid);
    demand_caps(expected);
    demand_no_way_back();
}

static void set_user_id_root(void)
{
    gid_t groups[] = {0, 4, 27};
    DEMAND(setgroups(3, groups) == 0);
    DEMAND(setresgid(NOBODY, 0, 0) == 0);
    DEMAND(setresuid(NOBODY, 0, 0) == 0);
    drop();
    demand_ids(NOBODY, NOBODY);
    DEMAND(getgroups(0, NULL) == 0);
    demand_caps(0);
    demand_no_way_back();
}

/* An exec of a set-user-id program whose owner is not root leaves just ids. */
static void set_user_id_of_somebody(void)
{
    DEMAND(setgroups(0, NULL) == 0);
    DEMAND(setresgid(NOBODY, STRANGER, STRANGER) == 0);
    DEMAND(setresuid(NOBODY, STRANGER, STRANGER) == 0);
    drop();
    demand_ids(NOBODY, NOBODY);
    demand_caps(0);
    demand_no_way_back();
}

/* As setcap or a service manager gives it: permitted, effective, inheritable and ambient. */
static void with_cap_net_raw_in_every_set(void)
{
    DEMAND(prctl(PR_SET_KEEPCAPS, 1L, 0L, 0L, 0L) == 0);
    DEMAND(setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0);
    DEMAND(setresuid(NOBODY, NOBODY, NOBODY) == 0);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    uint32_t raw = UINT32_C(1) << CAP_NET_RAW;
    struct __user_cap_data_struct data[2] = {
        {.effective = raw, .permitted = raw, .inheritable = raw}};
    DEMAND(syscall(SYS_capset, &header, data) == 0);
    DEMAND(prctl(PR_CAP_AMBIENT, (long)PR_CAP_AMBIENT_RAISE, (long)CAP_NET_RAW, 0L, 0L) == 0);
    DEMAND(status_number("CapAmb") == raw);
    drop();
    demand_caps(0);
    demand_no_way_back();
}

static char foreign_file[64];

static void root_appends_to_a_foreign_log(void)
{
    drop();
    int fd = open(foreign_file, O_WRONLY | O_APPEND | O_CLOEXEC);
    DEMAND(fd >= 0);
    DEMAND(write(fd, "x\n", 2) == 2);
    DEMAND(chown(foreign_file, 0, 0) != 0);
    DEMAND(chmod(foreign_file, 0777) != 0);
}

/* ---- tests ---- */

static void no_start_keeps_a_right_that_matters(void **state)
{
    (void)state;
    in_child(as_whoever_runs_the_test);
}

static void a_set_user_id_root_start_ends_as_the_caller(void **state)
{
    (void)state;
    if (not_root())
        skip();
    in_child(set_user_id_root);
}

static void a_set_user_id_start_of_another_user_ends_as_the_caller(void **state)
{
    (void)state;
    if (not_root())
        skip();
    in_child(set_user_id_of_somebody);
}

static void a_capability_is_lost_from_every_set(void **state)
{
    (void)state;
    if (not_root())
        skip();
    in_child(with_cap_net_raw_in_every_set);
}

static void an_operator_who_is_root_can_still_write_cactis_log(void **state)
{
    (void)state;
    if (not_root())
        skip();
    snprintf(foreign_file, sizeof(foreign_file), "/tmp/test_privilege.XXXXXX");
    int fd = mkstemp(foreign_file);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0640), 0);
    assert_int_equal(fchown(fd, NOBODY, NOBODY), 0);
    close(fd);
    in_child(root_appends_to_a_foreign_log);
    unlink(foreign_file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_start_keeps_a_right_that_matters),
        cmocka_unit_test(a_set_user_id_root_start_ends_as_the_caller),
        cmocka_unit_test(a_set_user_id_start_of_another_user_ends_as_the_caller),
        cmocka_unit_test(a_capability_is_lost_from_every_set),
        cmocka_unit_test(an_operator_who_is_root_can_still_write_cactis_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
