#include "config.h"

#include "fake_clock.h"

#include "base/clock.h"

#include <poll.h>
#include <stdatomic.h>

static _Atomic int64_t ahead_us;

static int64_t real_us(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void fake_clock_jump(int64_t mono_ms)
{
    int64_t us = mono_ms * 1000 - clock_mono_us();
    if (us > 0)
        ahead_us += us;
}

/* ---- base/clock.h ---- */

int64_t clock_mono_us(void)
{
    return real_us(CLOCK_MONOTONIC) + ahead_us;
}

int64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

int64_t clock_wall_us(void)
{
    return real_us(CLOCK_REALTIME) + ahead_us;
}

void clock_pause_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

struct timespec clock_timespec_ms(int64_t mono_ms)
{
    int64_t us = mono_ms > INT64_MAX / 1000 ? INT64_MAX : mono_ms * 1000;
    us = us < ahead_us ? 0 : us - ahead_us;
    return (struct timespec){.tv_sec = (time_t)(us / 1000000),
                             .tv_nsec = (long)(us % 1000000) * 1000};
}
