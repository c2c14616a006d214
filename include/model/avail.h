/* model/avail.h - is the device up, and what that does to its row: truth table and arithmetic.
 *
 * Threads: any; pure.
 * Source:  docs/contract.md 7 and 8.  cmd.php differs and is not followed.
 */
#ifndef SPINE_MODEL_AVAIL_H
#define SPINE_MODEL_AVAIL_H

#include "base/arena.h"
#include "model/ask.h"
#include "model/device.h"

#include <stdbool.h>
#include <stdint.h>

#define AVAIL_SYS_UPTIME ".1.3.6.1.2.1.1.3.0"

/* What the tests of one check said. */
struct avail_probe {
    bool done; /* the test was made (or is waived, see text) */
    bool up;
    bool impossible; /* a local failure: the test says nothing about the device */
    double time_ms;
    const char *text; /* docs/contract.md 9.9 */
};

struct avail_check {
    struct avail_probe ping;
    struct avail_probe snmp;
};

enum avail_next {
    AVAIL_ASK_PING,
    AVAIL_ASK_SNMP,
    AVAIL_DECIDED_UP,
    AVAIL_DECIDED_DOWN,
    AVAIL_DECIDED_UNTESTED, /* no test was possible: treated as up, the status stays as it is */
};

/* An empty check: nothing tested yet, texts as docs/contract.md 7.5. */
void avail_init(struct avail_check *check);

/* The ping of a device, as its row has it, and what a driver makes of that: a time-out of 0 or less is 500 ms,
 * negative retries are 2, and there are PING_RETRIES_MAX at most (docs/contract.md 9.2). */
struct ping_request avail_ping(const struct device *device);
int avail_ping_timeout_ms(const struct ping_request *ping);
int avail_ping_attempts(const struct ping_request *ping); /* retries + 1 */

/* How long it takes to find out that a device is silent: the tests that avail_next() wants, none of which is
 * answered.  snmp_retries: of each SNMP request. */
int64_t avail_silent_ms(const struct device *device, int snmp_retries);

/* Which test is needed next, given what is known, or the verdict. */
enum avail_next avail_next(const struct device *device, const struct avail_check *check);

enum avail_event { AVAIL_NO_EVENT, AVAIL_WENT_DOWN, AVAIL_CAME_BACK };

/* The status arithmetic of one check, up or down (docs/contract.md 8.1 to 8.5).  last_error is copied into
 * `memory`. */
enum avail_event avail_settle(const struct device *device, const struct avail_check *check, bool up,
                              int failure_count, int recovery_count, int64_t now_s,
                              struct device_status *status, struct arena *memory);

#endif
