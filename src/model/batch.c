#include "config.h"

#include "model/batch.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct batch *batch_new(void)
{
    return mem_zalloc(1, sizeof(struct batch));
}

void batch_free(struct batch *b)
{
    if (b == NULL)
        return;
    free(b->rows);
    free(b->hosts);
    free(b->recaches);
    free(b->asserts);
    arena_done(&b->text);
    free(b);
}

/* Room for one element more in an array of elements of this size. */
static void *grow(void *array, size_t count, size_t *cap, size_t size)
{
    return mem_grow(array, count, cap, 16, size);
}

static const char *copy_text(struct batch *b, const char *text)
{
    if (text == NULL)
        return "";
    b->bytes += strlen(text);
    return arena_strdup(&b->text, text);
}

void batch_add_row(struct batch *b, const struct output_row *row)
{
    b->rows = grow(b->rows, b->row_count, &b->row_cap, sizeof(*b->rows));
    struct output_row *copy = &b->rows[b->row_count++];
    *copy = *row;
    copy->rrd_name = copy_text(b, row->rrd_name);
    copy->output_len = row->output == NULL ? 0 : row->output_len;
    b->bytes += copy->output_len;
    copy->output =
        arena_strndup(&b->text, row->output == NULL ? "" : row->output, copy->output_len);
}

static const char *copy_optional(struct batch *b, const char *text)
{
    return text == NULL ? NULL : arena_strdup(&b->text, text);
}

static const struct system_info *copy_system(struct batch *b, const struct system_info *from)
{
    struct system_info *copy = arena_zalloc(&b->text, sizeof(*copy));
    *copy = *from;
    copy->descr = copy_optional(b, from->descr);
    copy->object_id = copy_optional(b, from->object_id);
    copy->contact = copy_optional(b, from->contact);
    copy->name = copy_optional(b, from->name);
    copy->location = copy_optional(b, from->location);
    return copy;
}

void batch_add_host(struct batch *b, const struct host_row *host)
{
    b->hosts = grow(b->hosts, b->host_count, &b->host_cap, sizeof(*b->hosts));
    struct host_row *copy = &b->hosts[b->host_count++];
    *copy = *host;
    copy->status.last_error = copy_text(b, host->status.last_error);
    if (host->system != NULL)
        copy->system = copy_system(b, host->system);
}

void batch_add_recache(struct batch *b, const struct recache_row *recache)
{
    b->recaches = grow(b->recaches, b->recache_count, &b->recache_cap, sizeof(*b->recaches));
    b->recaches[b->recache_count++] = *recache;
}

void batch_add_assert(struct batch *b, const struct assert_row *assertion)
{
    b->asserts = grow(b->asserts, b->assert_count, &b->assert_cap, sizeof(*b->asserts));
    struct assert_row *copy = &b->asserts[b->assert_count++];
    *copy = *assertion;
    copy->arg1 = copy_text(b, assertion->arg1);
    copy->value = copy_text(b, assertion->value);
}

void batch_merge(struct batch *to, struct batch *from)
{
    if (to->row_count + to->host_count + to->recache_count + to->assert_count == 0) {
        struct batch empty = *to;
        *to = *from; /* nothing to keep: no copy */
        *from = empty;
    }
    for (size_t i = 0; i < from->row_count; i++)
        batch_add_row(to, &from->rows[i]);
    for (size_t i = 0; i < from->host_count; i++)
        batch_add_host(to, &from->hosts[i]);
    for (size_t i = 0; i < from->recache_count; i++)
        batch_add_recache(to, &from->recaches[i]);
    for (size_t i = 0; i < from->assert_count; i++)
        batch_add_assert(to, &from->asserts[i]);
    batch_free(from);
}
