#include "config.h"

#include "model/avail.h"

#include "base/buf.h"

#include <math.h>

enum { AVAIL_PING_TIMEOUT_MS = 500, AVAIL_PING_RETRIES = 2 };

void avail_init(struct avail_check *check)
{
    *check = (struct avail_check){
        .ping = {.text = "Ping not performed due to setting."},
        .snmp = {.text = "SNMP not performed due to setting or ping result"},
    };
}

/* An empty community with v1/v2c waives the SNMP test (docs/contract.md 7.3). */
static bool snmp_waived(const struct device *d)
{
    return d->snmp.version < 3 && d->snmp.community[0] == '\0';
}

static enum avail_next verdict(bool up)
{
    return up ? AVAIL_DECIDED_UP : AVAIL_DECIDED_DOWN;
}

static enum avail_next settle_one(const struct avail_probe *probe)
{
    return probe->impossible ? AVAIL_DECIDED_UNTESTED : verdict(probe->up);
}

static enum avail_next next_ping_and_snmp(const struct device *d, const struct avail_check *c)
{
    if (!c->ping.done)
        return AVAIL_ASK_PING;
    if (!c->ping.up && !c->ping.impossible)
        return AVAIL_DECIDED_DOWN; /* the SNMP test could not change that */
    if (snmp_waived(d))
        return settle_one(&c->ping);
    if (!c->snmp.done)
        return AVAIL_ASK_SNMP;
    return settle_one(&c->snmp);
}

static enum avail_next next_ping_or_snmp(const struct device *d, const struct avail_check *c)
{
    if (!c->ping.done)
        return AVAIL_ASK_PING;
    if (c->ping.up)
        return AVAIL_DECIDED_UP;
    if (snmp_waived(d))
        return settle_one(&c->ping);
    if (!c->snmp.done)
        return AVAIL_ASK_SNMP;
    if (c->snmp.up)
        return AVAIL_DECIDED_UP;
    return c->ping.impossible ? AVAIL_DECIDED_UNTESTED : settle_one(&c->snmp);
}

enum avail_next avail_next(const struct device *d, const struct avail_check *c)
{
    switch (d->availability_method) {
    case AVAIL_NONE: return AVAIL_DECIDED_UP;
    case AVAIL_PING_AND_SNMP: return next_ping_and_snmp(d, c);
    case AVAIL_PING_OR_SNMP: return next_ping_or_snmp(d, c);
    case AVAIL_PING: return c->ping.done ? settle_one(&c->ping) : AVAIL_ASK_PING;
    case AVAIL_SNMP_UPTIME:
    case AVAIL_SNMP_DESC:
    case AVAIL_SNMP_GETNEXT:
        if (snmp_waived(d))
            return AVAIL_DECIDED_UP;
        return c->snmp.done ? settle_one(&c->snmp) : AVAIL_ASK_SNMP;
    default: return AVAIL_DECIDED_DOWN;
    }
}

struct ping_request avail_ping(const struct device *d)
{
    return (struct ping_request){
        .method = d->ping_method,
        .hostname = d->snmp.hostname,
        .port = d->ping_port,
        .timeout_ms = d->ping_timeout_ms,
        .retries = d->ping_retries,
    };
}

int avail_ping_timeout_ms(const struct ping_request *ping)
{
    return ping->timeout_ms > 0 ? ping->timeout_ms : AVAIL_PING_TIMEOUT_MS;
}

int avail_ping_attempts(const struct ping_request *ping)
{
    int retries = ping->retries >= 0 ? ping->retries : AVAIL_PING_RETRIES;
    return (retries < PING_RETRIES_MAX ? retries : PING_RETRIES_MAX) + 1;
}

static int64_t silent_ping_ms(const struct device *d)
{
    struct ping_request ping = avail_ping(d);
    switch (ping.method) {
    case PING_METHOD_ICMP:
    case PING_METHOD_UDP:
    case PING_METHOD_TCP:
    case PING_METHOD_TCP_CLOSED:
        return (int64_t)avail_ping_timeout_ms(&ping) * avail_ping_attempts(&ping);
    default: return 0; /* no ping is sent */
    }
}

int64_t avail_silent_ms(const struct device *d, int snmp_retries)
{
    struct avail_check c;
    int64_t ms = 0;
    avail_init(&c);
    for (;;) {
        switch (avail_next(d, &c)) {
        case AVAIL_ASK_PING:
            c.ping.done = true;
            ms += silent_ping_ms(d);
            break;
        case AVAIL_ASK_SNMP:
            c.snmp.done = true;
            ms += (int64_t)d->snmp.timeout_ms * (snmp_retries + 1);
            break;
        default: return ms;
        }
    }
}

static double sample_ms(const struct device *d, const struct avail_check *c)
{
    double ping = c->ping.up ? c->ping.time_ms : 0;
    double snmp = c->snmp.up ? c->snmp.time_ms : 0;
    switch (d->availability_method) {
    case AVAIL_PING_AND_SNMP:
        if (c->ping.impossible)
            return snmp;
        return snmp_waived(d) ? ping : (ping + snmp) / 2;
    case AVAIL_SNMP_UPTIME:
    case AVAIL_SNMP_DESC:
    case AVAIL_SNMP_GETNEXT: return snmp;
    case AVAIL_PING: return ping;
    case AVAIL_PING_OR_SNMP: return c->ping.up ? ping : snmp; /* of the test that succeeded */
    default: return 0;
    }
}

static void last_error(const struct device *d, const struct avail_check *c, struct buf *out)
{
    switch (d->availability_method) {
    case AVAIL_PING_AND_SNMP:
    case AVAIL_PING_OR_SNMP:
        if (snmp_waived(d))
            buf_puts(out, c->ping.text);
        else
            buf_printf(out, "%s, %s", c->snmp.text, c->ping.text);
        break;
    case AVAIL_SNMP_UPTIME:
    case AVAIL_SNMP_DESC:
    case AVAIL_SNMP_GETNEXT: buf_puts(out, c->snmp.text); break;
    default: buf_puts(out, c->ping.text); break;
    }
}

static enum avail_event step_down(struct device_status *s, int failure_count, int64_t now_s)
{
    s->failed_polls++;
    switch (s->status) {
    case HOST_UP:
        s->event_count++;
        if (s->event_count >= failure_count) {
            s->status = HOST_DOWN;
            if (failure_count == 1)
                s->fail_date = now_s;
            return AVAIL_WENT_DOWN;
        }
        if (s->event_count == 1)
            s->fail_date = now_s;
        return AVAIL_NO_EVENT;
    case HOST_RECOVERING:
        s->event_count = 1;
        s->status = HOST_DOWN;
        return AVAIL_NO_EVENT;
    case HOST_UNKNOWN:
        s->event_count = 0;
        s->status = HOST_DOWN;
        return AVAIL_NO_EVENT;
    default: s->event_count++; return AVAIL_NO_EVENT;
    }
}

static enum avail_event step_up(struct device_status *s, int recovery_count, int64_t now_s)
{
    if (s->status == HOST_DOWN) {
        s->status = HOST_RECOVERING;
        s->event_count = 1;
    } else if (s->status == HOST_RECOVERING) {
        s->event_count++;
    } else {
        s->status = HOST_UP;
        s->event_count = 0;
        return AVAIL_NO_EVENT;
    }
    if (s->event_count >= recovery_count) {
        s->status = HOST_UP;
        s->event_count = 0;
        if (recovery_count == 1)
            s->rec_date = now_s;
        return AVAIL_CAME_BACK;
    }
    if (s->event_count == 1)
        s->rec_date = now_s;
    return AVAIL_NO_EVENT;
}

static void take_sample(struct device_status *s, double t)
{
    int64_t successes = s->total_polls - s->failed_polls;
    s->cur_time = t;
    s->max_time = fmax(s->max_time, t);
    s->min_time = fmin(s->min_time, t);
    if (successes > 0)
        s->avg_time = ((double)(successes - 1) * s->avg_time + t) / (double)successes;
}

enum avail_event avail_settle(const struct device *device, const struct avail_check *check, bool up,
                              int failure_count, int recovery_count, int64_t now_s,
                              struct device_status *s, struct arena *memory)
{
    enum avail_event event;
    s->total_polls++;
    if (up) {
        event = step_up(s, recovery_count, now_s);
        take_sample(s, sample_ms(device, check));
    } else {
        event = step_down(s, failure_count, now_s);
        struct buf text = BUF_INIT;
        last_error(device, check, &text);
        s->last_error = arena_strdup(memory, buf_str(&text));
        buf_done(&text);
    }
    s->availability = 100.0 * (double)(s->total_polls - s->failed_polls) / (double)s->total_polls;
    return event;
}
