#include "config.h"

#include "engine/meter.h"

static void meter_put_time(struct buf *out, double seconds)
{
    if (seconds < 10)
        buf_printf(out, "%.1f s", seconds);
    else
        buf_printf(out, "%.0f s", seconds);
}

void meter_print(const struct census_sums *s, int64_t now_mono_us, struct buf *out)
{
    size_t done = s->finished + s->stopped + s->skipped_devices;
    double elapsed = (double)(now_mono_us - s->started_mono_us) / 1e6;
    if (s->started_mono_us == 0 || elapsed < 0)
        return;
    buf_printf(out, "%zu", done);
    if (s->roster > 0)
        buf_printf(out, " of %zu", s->roster);
    buf_printf(out, " devices, %zu down, %ju U, ", s->down, (uintmax_t)s->unknown);
    meter_put_time(out, elapsed);
    if (done > 0 && done < s->roster && elapsed * 1e6 >= METER_GUESS_US) {
        buf_puts(out, ", about ");
        meter_put_time(out, elapsed * (double)(s->roster - done) / (double)done);
        buf_puts(out, " left");
    }
    if (out->len > METER_WIDTH)
        buf_truncate(out, METER_WIDTH);
}
