/* A scene: devices in groups, how they behave, and what fails; played by test_scenario.c on each driver. */
#ifndef SCENE_H
#define SCENE_H

#include "base/log.h"
#include "core/loop.h"
#include "fake_snmp.h"
#include "fake_store.h"

#include <stdbool.h>

/* Groups of a scene: n devices with k items each. */
#define DEVICES(name, n, k)                                                                        \
    {                                                                                              \
        .hostname = (name), .devices = (n), .items = (k)                                           \
    }
#define DELETED(name, n, k)                                                                        \
    {                                                                                              \
        .hostname = (name), .devices = (n), .items = (k), .deleted = true                          \
    }
#define CHECKED(name, n, k, how, was)                                                              \
    {                                                                                              \
        .hostname = (name), .devices = (n), .items = (k), .method = (how), .status = (was)         \
    }

struct mood {
    const char *hostname;
    enum fake_mood mood;
};

struct scene {
    struct fake_group groups[FAKE_GROUPS_MAX];
    struct mood moods[4];
    int threads;         /* 0 = 3 */
    int poll_ms;         /* until polling must end; 0 = far away, see also over_through */
    int active_profiles; /* 0 = 1 */
    enum log_level log;  /* 0 = LOG_ALWAYS */
    bool read_only;
    struct fake_store store; /* what fails */
    struct fake_snmp snmp;   /* bells and crowds */
};

/* ---- the drivers ---- */

static const struct driver {
    const char *name;
    bool event_loop;
} drivers[] = {
    {"legacy", false}, {"event", true}, /* last: not every build has it */
};

static inline size_t driver_count(void)
{
    return loop_kind_is_built(LOOP_LIBEVENT) ? ARRAY_LEN(drivers) : ARRAY_LEN(drivers) - 1;
}

#endif
