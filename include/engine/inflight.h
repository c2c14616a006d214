/* engine/inflight.h - SNMP requests and pings that wait on the loop, thousands at the same time.
 *
 * Why:     a device that waits holds some kilobytes and a descriptor, and no thread.  One place bounds
 *          what is asked at once: how many devices, how many requests that are young, how many to one
 *          address.
 * Use:     struct inflight *f = inflight_new(&options, &err);
 *          if (inflight_has_room(f)) fl = flight_new(f, was_down);    one per device
 *          flight_begin(fl, &ask, deadline, done, arg);               SNMP or a ping; done(arg) comes once
 *          flight_get_snmp(fl, &reply);                               in done(), or flight_get_ping()
 *          if (!flight_give_up(fl)) ... done() comes when a job has ended ...
 *          flight_free(fl);
 *          inflight_end(f);  inflight_free(f);
 * Threads: the loop's.  The pool makes keys from pass phrases.
 * Owns:    the session of each flight.  Asks and their targets are borrowed until done().
 * Promise: done() is called once for each begin, on the loop's thread, never from within a call of this
 *          module; not at all if flight_give_up() returns true.  One request at a time per flight; at
 *          most address_limit devices at a time are asked at one address, whatever the port and by all
 *          cycles that share the services, each until its flight is freed or asks elsewhere; their
 *          time-outs begin when they are asked.
 * Limits:  a request is young until it is a few round trips old.  No new device begins while there are
 *          INFLIGHT_YOUNG_MAX of them, because an agent and a network must cope with them; older ones, whose devices are
 *          presumably dead, only hold memory and a descriptor, which bound the number of devices.
 */
#ifndef SPINE_ENGINE_INFLIGHT_H
#define SPINE_ENGINE_INFLIGHT_H

#include "core/loop.h"
#include "drivers/ping.h"
#include "drivers/snmp.h"
#include "engine/services.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    INFLIGHT_YOUNG_MAX = 512,
    INFLIGHT_DEVICES_MAX = 8192, /* with that many descriptors */
    INFLIGHT_DEVICES_MIN = 16,   /* with fewer it is not worth while */
};

struct inflight;
struct flight;

struct inflight_options {
    struct loop *loop;
    struct services *services;
    struct snmp_options snmp;
    int address_limit;
    int other_descriptors; /* what else will be open */
};

/* ERR_OS: not enough descriptors, or no thread. */
NODISCARD struct inflight *inflight_new(const struct inflight_options *options, struct err *err);
/* Everything was given up: wait for the jobs, which compute for some milliseconds and call nothing
 * that may hang. */
void inflight_end(struct inflight *f);
void inflight_free(struct inflight *f); /* after its flights; NULL allowed */

/* May one more device begin?  fn: called when room may have appeared. */
bool inflight_has_room(const struct inflight *f);
void inflight_on_room(struct inflight *f, loop_fn *fn, void *arg);

/* was_down: in the last cycle; those come last where devices wait for an address. */
NODISCARD struct flight *flight_new(struct inflight *f, bool was_down);
void flight_free(struct flight *fl); /* nothing has begun; NULL allowed */
/* A limit of the request's own counts from when it is sent. */
void flight_begin(struct flight *fl, const struct ask *ask, int64_t deadline_mono_ms, loop_fn *done,
                  void *arg);
/* true: it has ended and done() is not called.  false: done() is called when a job has ended. */
NODISCARD bool flight_give_up(struct flight *fl);

/* The reply's contents are valid until the next begin. */
void flight_get_snmp(const struct flight *fl, struct snmp_reply *ret);
void flight_get_ping(const struct flight *fl, struct ping_reply *ret);

#endif
