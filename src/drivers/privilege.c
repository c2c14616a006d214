#include "config.h"

#include "drivers/privilege.h"

#include <errno.h>
#include <grp.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#define SAME_UID ((uid_t)-1)
#define SAME_GID ((gid_t)-1)

static bool failed(struct err *err, const char *what)
{
    return err_set_number(err, ERR_OS, errno, "cannot give up privileges: %s: %s", what,
                          strerror(errno));
}

static bool regained(struct err *err, const char *what)
{
    return err_set(err, ERR_OS, "cannot give up privileges: %s could be regained", what);
}

/* ---- capabilities ---- */

#ifdef __linux__

struct caps {
    uint64_t effective, permitted, inheritable;
};

/* By system calls: there is one thread, and 20 lines do not justify a dependency on libcap. */
static bool get_caps(struct caps *ret)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, data) != 0)
        return false;
    *ret = (struct caps){
        .effective = data[0].effective | (uint64_t)data[1].effective << 32,
        .permitted = data[0].permitted | (uint64_t)data[1].permitted << 32,
        .inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32,
    };
    return true;
}

static bool set_caps(const struct caps *caps)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
        {.effective = (uint32_t)caps->effective,
         .permitted = (uint32_t)caps->permitted,
         .inheritable = (uint32_t)caps->inheritable},
        {.effective = (uint32_t)(caps->effective >> 32),
         .permitted = (uint32_t)(caps->permitted >> 32),
         .inheritable = (uint32_t)(caps->inheritable >> 32)},
    };
    return syscall(SYS_capset, &header, data) == 0;
}

static bool can_regain_a_cap(const struct caps *kept)
{
    for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++) {
        struct caps more = *kept;
        more.permitted |= UINT64_C(1) << cap;
        if (more.permitted != kept->permitted && set_caps(&more))
            return true;
    }
    return false;
}

static bool drop_caps(uid_t ruid, struct err *err)
{
    struct caps had, left;
    if (!get_caps(&had))
        return failed(err, "capget");
    uint64_t keep = ruid == 0 ? had.permitted & (UINT64_C(1) << CAP_DAC_OVERRIDE) : 0;
    struct caps kept = {.effective = keep, .permitted = keep};
    if (!set_caps(
            &kept)) /* empties the ambient set too: it is never more than the inheritable one */
        return failed(err, "capset");
    if (!get_caps(&left))
        return failed(err, "capget");
    if (left.effective != keep || left.permitted != keep || left.inheritable != 0)
        return err_set(err, ERR_OS, "cannot give up privileges: capabilities are left");
    if (can_regain_a_cap(&kept))
        return regained(err, "a capability");
    return true;
}

/* The database's password is in our memory.  After the ids have changed, which sets this too. */
static bool hide_memory(struct err *err)
{
    return prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) == 0 || failed(err, "PR_SET_DUMPABLE");
}

#else

static bool drop_caps(uid_t ruid UNUSED, struct err *err UNUSED)
{
    return true;
}

static bool hide_memory(struct err *err UNUSED)
{
    return true;
}

#endif

/* ---- ids ---- */

static bool ids_are(uid_t uid, gid_t gid)
{
    uid_t ru, eu, su;
    gid_t rg, eg, sg;
    return getresuid(&ru, &eu, &su) == 0 && getresgid(&rg, &eg, &sg) == 0 && ru == uid &&
           eu == uid && su == uid && rg == gid && eg == gid && sg == gid;
}

static bool drop_ids(uid_t ruid, gid_t rgid, struct err *err)
{
    /* Not allowed in some user namespaces; the remaining groups are then the caller's own. */
    if (geteuid() == 0 && setgroups(0, NULL) != 0 && errno != EPERM)
        return failed(err, "setgroups");
    if (setresgid(rgid, rgid, rgid) != 0)
        return failed(err, "setresgid");
    if (setresuid(ruid, ruid, ruid) != 0)
        return failed(err, "setresuid");
    return true;
}

static bool ids_are_gone(uid_t ruid, gid_t rgid, uid_t had_uid, gid_t had_gid, struct err *err)
{
    if (!ids_are(ruid, rgid))
        return err_set(err, ERR_OS, "cannot give up privileges: user or group ids are left");
    if (ruid != 0 && setresuid(SAME_UID, 0, SAME_UID) == 0)
        return regained(err, "uid 0");
    if (had_uid != ruid && setresuid(SAME_UID, had_uid, SAME_UID) == 0)
        return regained(err, "the effective user id");
    if (rgid != 0 && setresgid(SAME_GID, 0, SAME_GID) == 0)
        return regained(err, "gid 0");
    if (had_gid != rgid && setresgid(SAME_GID, had_gid, SAME_GID) == 0)
        return regained(err, "the effective group id");
    return true;
}

bool privilege_drop(struct err *err)
{
    uid_t ruid = getuid(), had_uid = geteuid();
    gid_t rgid = getgid(), had_gid = getegid();
    return drop_ids(ruid, rgid, err) && drop_caps(ruid, err) &&
           ids_are_gone(ruid, rgid, had_uid, had_gid, err) && hide_memory(err);
}
