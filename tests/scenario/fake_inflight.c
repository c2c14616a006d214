/* In the place of engine/inflight.o: the fake agents block, so no scene lets SNMP wait on the loop
 * (tests/unit/engine/test_inflight and the integration tests do). */
#include "config.h"

#include "engine/inflight.h"

#include "base/mem.h"

#include <stdlib.h>

NORETURN static void refuse_flight(void)
{
    CHECK(!"a scene with async_snmp");
    abort();
}

struct inflight *inflight_new(const struct inflight_options *options UNUSED, struct err *err UNUSED)
{
    refuse_flight();
}

void inflight_end(struct inflight *f UNUSED)
{
    refuse_flight();
}

void inflight_free(struct inflight *f)
{
    CHECK(f == NULL);
}

bool inflight_has_room(const struct inflight *f UNUSED)
{
    refuse_flight();
}

void inflight_on_room(struct inflight *f UNUSED, loop_fn *fn UNUSED, void *arg UNUSED)
{
    refuse_flight();
}

struct flight *flight_new(struct inflight *f UNUSED, bool was_down UNUSED)
{
    refuse_flight();
}

void flight_free(struct flight *fl)
{
    CHECK(fl == NULL);
}

void flight_begin(struct flight *fl UNUSED, const struct ask *ask UNUSED,
                  int64_t deadline_mono_ms UNUSED, loop_fn *done UNUSED, void *arg UNUSED)
{
    refuse_flight();
}

bool flight_give_up(struct flight *fl UNUSED)
{
    refuse_flight();
}

void flight_get_snmp(const struct flight *fl UNUSED, struct snmp_reply *ret UNUSED)
{
    refuse_flight();
}

void flight_get_ping(const struct flight *fl UNUSED, struct ping_reply *ret UNUSED)
{
    refuse_flight();
}
