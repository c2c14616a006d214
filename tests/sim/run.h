/* run.h - one cycle of a plan by one driver, and what came of it. */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "plan.h"

#include "base/buf.h"
#include "engine/budget.h"
#include "engine/ledger.h"

enum { RUN_DEVICES = 32 };

/* What the event stream has said about a device. */
struct run_device {
    unsigned started, finished, dropped, dropped_unread;
    size_t values, unknown, skipped, unfinished, dropped_items;
    bool down;
};

struct run {
    const struct plan *plan;
    struct run_device devices[RUN_DEVICES]; /* by id */
    struct ledger_figures figures;
    struct budget budget;
    size_t items_due, left_behind, spooled_rows;
    /* Of an earlier run: where its rows are afterwards. */
    struct run_earlier {
        bool stored, kept;
    } earlier[PLAN_EARLIER];
    size_t rejected_earlier;
    bool polled, out_of_time, loaded, writer_lost;
    int stop_signal, status;
    int64_t begun_ms, ended_us, wall_first_s, wall_last_s;
    size_t stored_sum, spooled_sum, lost_sum, retries_sum, rejected_count;
};

/* Runs and checks it; the run fails by sim_fail(). ret_result: what does not depend on time, to be compared. */
void run_plan(const struct plan *plan, struct buf *ret_result);
void run_check(const struct run *run);                         /* check.c */
void run_print_result(const struct run *run, struct buf *out); /* check.c */

/* The status of a device after a check, by docs/contract.md 7 and 8 (status_model.c). */
void status_check(const struct run *run, const struct plan_device *d);

enum certainty { SURELY_UP, SURELY_DOWN, UNCERTAIN };
enum certainty status_verdict(const struct plan_device *d);

#endif
