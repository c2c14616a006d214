/* What a check does to a device's row, written from the contract and from nothing else: docs/contract.md 7 (which
 * test decides), 8.1 (polls, availability), 8.2 and 8.3 (status and count), 8.4 (times), 8.5 (last error). */
#include "config.h"

#include "run.h"

#include "sim.h"
#include "tables.h"

#include "base/compiler.h"

#include <math.h>
#include <string.h>

enum { UNKNOWN, DOWN, RECOVERING, UP };
enum { OLD_FAIL_DATE = 1600000000, OLD_REC_DATE = 1600000100 };
#define OLD_CUR_TIME 1.5
#define OLD_ERROR    "an old error"

/* 7.1, with 9.5: a closed port is a sign of life for a ping, and none for SNMP. */
enum certainty status_verdict(const struct plan_device *d)
{
    bool calm = d->loss == 0 && d->late == 0;
    if (d->method == 0)
        return SURELY_UP;
    if (d->method > 6 || d->agent == AGENT_DEAD)
        return SURELY_DOWN;
    if (!calm || d->agent == AGENT_DIES || d->agent == AGENT_RETURNS)
        return UNCERTAIN;
    if (d->agent == AGENT_ALIVE)
        return SURELY_UP;
    return d->method == 3 || d->method == 4 ? SURELY_UP : SURELY_DOWN;
}

struct model {
    int64_t status, count, total, failed;
    bool fail_date, rec_date; /* set to now */
};

/* 8.2 */
static void model_fails(struct model *m, const struct plan *p)
{
    m->total++;
    m->failed++;
    if (m->status == UP) {
        m->count++;
        if (m->count == 1 || (m->count >= p->failure_count && p->failure_count == 1))
            m->fail_date = true;
        if (m->count >= p->failure_count)
            m->status = DOWN;
    } else if (m->status == RECOVERING) {
        m->status = DOWN;
        m->count = 1;
    } else if (m->status == UNKNOWN) {
        m->status = DOWN;
        m->count = 0;
    } else {
        m->count++;
    }
}

/* 8.3 */
static void model_succeeds(struct model *m, const struct plan *p)
{
    m->total++;
    if (m->status != DOWN && m->status != RECOVERING) {
        m->status = UP;
        m->count = 0;
        return;
    }
    m->count = m->status == DOWN ? 1 : m->count + 1;
    m->status = RECOVERING;
    if (m->count == 1)
        m->rec_date = true;
    if (m->count >= p->recovery_count) {
        m->status = UP;
        m->count = 0;
        m->rec_date = p->recovery_count == 1;
    }
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-4 * (1 + fabs(b));
}

#define MUST(condition, what)                                                                      \
    SIM_CHECK(condition, "device %u (method %d, was %d/%d, %s): " what, d->id, d->method,          \
              d->status, (int)d->event_count, up ? "up" : "down")

/* 8.4: a sample changes the four times, a failure none. */
static void check_times(const struct table_host *h, const struct plan_device *d, bool up)
{
    int64_t good = h->total_polls - h->failed_polls;
    if (!up) {
        MUST(near(h->cur_time, OLD_CUR_TIME), "a failed check changes cur_time");
        MUST(near(h->min_time, d->min_time), "a failed check changes min_time");
        MUST(near(h->max_time, d->max_time), "a failed check changes max_time");
        MUST(near(h->avg_time, d->avg_time), "a failed check changes avg_time");
        return;
    }
    double t = h->cur_time;
    bool nothing_tested = d->method == 0;
    MUST(t >= 0 && (!nothing_tested || t < 1e-9), "cur_time without a test");
    MUST(nothing_tested || t > 0, "cur_time is 0 although a test has succeeded");
    MUST(near(h->min_time, fmin(d->min_time, t)), "min_time");
    MUST(near(h->max_time, fmax(d->max_time, t)), "max_time");
    MUST(good <= 0 || near(h->avg_time, ((double)(good - 1) * d->avg_time + t) / (double)good),
         "avg_time");
}

/* 7.5 and 8.5 */
static void check_error(const struct table_host *h, const struct plan_device *d, bool up)
{
    const char *snmp = "Device did not respond to SNMP";
    if (up) {
        MUST(strcmp(h->last_error, OLD_ERROR) == 0, "a good check changes status_last_error");
        return;
    }
    if (d->method == 2 || d->method == 5 || d->method == 6)
        MUST(strcmp(h->last_error, snmp) == 0, "status_last_error is not SNMP's");
    else if (d->method == 4)
        MUST(strncmp(h->last_error, snmp, strlen(snmp)) == 0 && strstr(h->last_error, ", ") != NULL,
             "status_last_error does not name both tests");
    else if (d->method == 1)
        MUST(strstr(h->last_error, ", ") != NULL, "status_last_error does not name both tests");
    else if (d->method > 6)
        MUST(strcmp(h->last_error, "Ping not performed due to setting.") == 0,
             "status_last_error of no method");
}

void status_check(const struct run *run, const struct plan_device *d)
{
    const struct table_host *h = &tables.hosts[d->id];
    bool up = !run->devices[d->id].down;
    struct model m = {d->status, d->event_count, d->total_polls, d->failed_polls, false, false};
    enum certainty certain = status_verdict(d);
    MUST(certain == UNCERTAIN || up == (certain == SURELY_UP), "the verdict is wrong");
    if (up)
        model_succeeds(&m, run->plan);
    else
        model_fails(&m, run->plan);
    MUST(h->status == m.status, "status");
    MUST(h->event_count == m.count, "status_event_count");
    MUST(h->total_polls == m.total && h->failed_polls == m.failed, "polls");
    MUST(near(h->availability, 100.0 * (double)(m.total - m.failed) / (double)m.total),
         "availability");
    MUST(m.fail_date == (h->fail_date != OLD_FAIL_DATE), "status_fail_date");
    MUST(m.rec_date == (h->rec_date != OLD_REC_DATE), "status_rec_date");
    check_times(h, d, up);
    check_error(h, d, up);
}
