#include "config.h"

#include "base/mem.h"
#include "base/num.h"
#include "devrun_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void devrun_probe_begin(struct devrun *run)
{
    if (run->probe == NULL)
        run->probe = mem_zalloc(1, sizeof(*run->probe));
    run->probe->count = 0;
    run->probe->optional = PROBE_MAX;
    run->probe->at_most = PROBE_MAX;
    run->probe->guessed = false;
    for (size_t i = 0; i < PROBE_MAX; i++)
        buf_clear(&run->probe->text[i]);
}

void devrun_probe_done(struct devrun *run)
{
    for (size_t i = 0; run->probe != NULL && i < PROBE_MAX; i++)
        buf_done(&run->probe->text[i]);
    free(run->probe);
}

void devrun_probe_add(struct devrun *run, struct oid name)
{
    struct probe *p = run->probe;
    CHECK(p->count < PROBE_MAX);
    p->wanted[p->count] = name;
    p->pending[p->count] = true;
    p->got[p->count] = false;
    p->missing[p->count] = false;
    p->left_out[p->count] = false;
    p->count++;
}

void devrun_probe_add_optional(struct devrun *run, struct oid name)
{
    run->probe->optional = run->probe->count;
    devrun_probe_add(run, name);
}

bool devrun_probe_ask(struct devrun *run)
{
    struct probe *p = run->probe;
    const struct target *t = &run->device->snmp;
    size_t at_most = p->at_most < run->max_oids ? p->at_most : run->max_oids;
    p->asked_count = 0;
    for (size_t i = 0; i < p->count && p->asked_count < at_most; i++) {
        p->pending[i] = p->pending[i] && !devrun_agent_is_mute(run, t, p->wanted[i]);
        if (!p->pending[i])
            continue;
        p->names[p->asked_count] = p->wanted[i];
        p->asked[p->asked_count++] = i;
    }
    if (p->asked_count == 0)
        return false;
    devrun_ask_snmp(
        run, &(struct snmp_request){
                 .op = SNMP_OP_GET, .target = t, .names = p->names, .count = p->asked_count});
    return true;
}

/* true: the object is in the answer. */
static bool take_one(struct devrun *run, size_t k, const struct snmp_reply *reply)
{
    struct probe *p = run->probe;
    size_t slot = p->asked[k];
    bool found = false;
    for (size_t i = 0; i < reply->count && !p->got[slot]; i++) {
        const struct varbind *vb = &reply->varbinds[i];
        if (!oid_equal(vb->name, p->names[k]))
            continue;
        found = true;
        if (varbind_is_exception(vb)) {
            p->missing[slot] = true;
            continue;
        }
        if (run->phase == PHASE_SYSTEM)
            devrun_system_text(vb, &p->text[slot]);
        else
            devrun_probe_value(vb, &p->text[slot]);
        p->got[slot] = true;
    }
    return found;
}

/* What is left out of an answer is asked for again, alone at last. */
static void probe_take_values(struct devrun *run, const struct snmp_reply *reply)
{
    struct probe *p = run->probe;
    size_t found = 0, last = 0;
    for (size_t k = 0; k < p->asked_count; k++) {
        size_t slot = p->asked[k];
        bool there = take_one(run, k, reply);
        found += there;
        last = there ? k + 1 : last;
        if (there && p->left_out[slot])
            devrun_agent_made_good(run, &run->device->snmp, p->asked_count);
        p->left_out[slot] = !there;
        p->pending[slot] = !there && p->asked_count > 1;
    }
    if (p->guessed)
        devrun_agent_note_mute(run, &run->device->snmp, p->wanted[p->optional]);
    p->guessed = false;
    if (found < p->asked_count && p->asked_count > 1)
        devrun_agent_omits(run, &run->device->snmp, p->asked_count, found, found == last);
}

/* The silence may be about the optional object alone: leave it out and ask for the others again. */
static bool blame_optional(struct probe *p)
{
    for (size_t k = 0; k < p->asked_count; k++) {
        if (p->asked[k] != p->optional)
            continue;
        p->pending[p->optional] = false;
        p->missing[p->optional] = true;
        p->guessed = true;
        return true;
    }
    return false;
}

static void probe_give_up(struct probe *p)
{
    for (size_t i = 0; i < p->count; i++)
        p->pending[i] = false;
}

/* Of several objects, fewer are asked for at a time until the one is found. */
static void probe_blame_objects(struct devrun *run)
{
    struct probe *p = run->probe;
    const struct target *t = &run->device->snmp;
    if (p->asked_count > 1) {
        p->at_most = p->asked_count / 2;
        return;
    }
    p->pending[p->asked[0]] = false;
    devrun_agent_blame(run, t, p->names[0], "");
}

static void probe_take_timeout(struct devrun *run)
{
    struct probe *p = run->probe;
    const struct target *t = &run->device->snmp;
    if (!devrun_agent_gone(run, t) && blame_optional(p))
        return;
    if (run->agents.about_objects) {
        probe_blame_objects(run);
        return;
    }
    probe_give_up(p);
    if (devrun_agent_silence(run, t))
        devrun_say(run, LOG_ALWAYS,
                   "Device[%" PRIu32 "] HT[1] WARNING: SNMP timeout detected [%" PRIu32
                   " ms], ignoring host '%s'",
                   run->device->id, t->timeout_ms, t->hostname);
}

void devrun_probe_take(struct devrun *run, const struct snmp_reply *reply)
{
    struct probe *p = run->probe;
    if (reply->outcome == SNMP_TIMED_OUT) {
        probe_take_timeout(run);
        return;
    }
    if (reply->outcome == SNMP_ANSWERED && reply->error_status == SNMP_ERROR_NONE) {
        probe_take_values(run, reply);
        return;
    }
    if (reply->outcome != SNMP_ANSWERED) {
        probe_give_up(p);
        return;
    }
    size_t k = devrun_agent_names(run, reply, p->asked_count);
    if (k < p->asked_count) {
        p->pending[p->asked[k]] = false;
        p->missing[p->asked[k]] = reply->error_status == SNMP_ERROR_NO_SUCH_NAME;
    }
}

bool devrun_probe_missing(const struct devrun *run, size_t slot)
{
    return slot < run->probe->count && run->probe->missing[slot];
}

const char *devrun_probe_text(const struct devrun *run, size_t slot)
{
    const struct probe *p = run->probe;
    return slot < p->count && p->got[slot] ? buf_str(&p->text[slot]) : NULL;
}

bool devrun_probe_uptime(const struct devrun *run, size_t uptime, size_t engine, int64_t *ret_ticks)
{
    int64_t n = 0;
    const char *ticks = devrun_probe_text(run, uptime);
    const char *seconds = devrun_probe_text(run, engine);
    if (seconds != NULL && num_parse(seconds, 1, INT32_MAX, &n))
        n *= 100;
    else if (ticks == NULL || !num_parse(ticks, 0, INT64_MAX, &n))
        return false;
    *ret_ticks = n;
    return true;
}

static bool in_trim_set(char c)
{
    return c != '\0' && strchr(" \"'\\\t\n\r", c) != NULL; /* docs/contract.md 16.1 */
}

void devrun_probe_value(const struct varbind *vb, struct buf *out)
{
    struct buf raw = BUF_INIT;
    varbind_text(vb, &raw);
    const char *s = buf_str(&raw);
    size_t len = strlen(s);
    while (len > 0 && in_trim_set(s[len - 1]))
        len--;
    while (len > 0 && in_trim_set(*s)) {
        s++;
        len--;
    }
    for (size_t i = 0; i < len; i++) {
        if (vb->type == VARBIND_OCTETS && (s[i] == '"' || s[i] == '\\'))
            buf_putc(out, '\\');
        buf_putc(out, s[i]);
    }
    buf_done(&raw);
}
