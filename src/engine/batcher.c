#include "config.h"

#include "engine/batcher.h"

void batcher_put(struct batcher *b, struct batch *batch, int64_t now_ms)
{
    if (b->waiting == NULL) {
        b->waiting = batch;
        b->oldest_ms = now_ms;
        return;
    }
    batch_merge(b->waiting, batch);
}

bool batcher_is_full(const struct batcher *b)
{
    return b->waiting != NULL &&
           (b->waiting->row_count >= BATCHER_ROWS || b->waiting->host_count >= BATCHER_HOSTS);
}

int64_t batcher_due_ms(const struct batcher *b)
{
    if (b->waiting == NULL)
        return INT64_MAX;
    return batcher_is_full(b) ? b->oldest_ms : b->oldest_ms + BATCHER_WAIT_MS;
}

bool batcher_is_due(const struct batcher *b, int64_t now_ms)
{
    return batcher_is_full(b) || batcher_due_ms(b) <= now_ms;
}

bool batcher_is_overfull(const struct batcher *b)
{
    return b->waiting != NULL &&
           (b->waiting->row_count >= BATCHER_ROWS_MAX || b->waiting->bytes >= BATCHER_BYTES_MAX);
}

size_t batcher_rows(const struct batcher *b)
{
    return b->waiting == NULL ? 0 : b->waiting->row_count;
}

struct batch *batcher_take(struct batcher *b)
{
    struct batch *taken = b->waiting;
    b->waiting = NULL;
    return taken;
}
