/* engine/metrics.h - the figures of a cycle as text for node_exporter's textfile collector.
 *
 * Use:     metrics_print(census, &facts, &text);
 * Threads: any; pure.
 * Promise: the text format of Prometheus, each metric with # HELP and # TYPE, `promtool check metrics` has
 *          nothing to say about it.  Figures of a cycle are gauges, because the next cycle begins at 0 again.
 *          All metrics are there in each cycle, and docs/metrics.md has their names and helps
 *          (test_figures compares).
 */
#ifndef SPINE_ENGINE_METRICS_H
#define SPINE_ENGINE_METRICS_H

#include "base/buf.h"
#include "engine/census.h"

void metrics_print(const struct census *c, const struct census_facts *facts, struct buf *out);

#endif
