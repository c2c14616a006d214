/* Any bytes as a line of a recording: it is refused with a reason, or it is an event that written again reads as the
 * same one. */
#include "config.h"

#include "fuzz.h"

#include "base/jsonout.h"
#include "drivers/recording.h"
#include "model/record.h"

#include <ctype.h>

#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

/* What model/record.h writes of an input, as a line of a recording. */
static void write_line(const struct recorded *r, struct buf *out)
{
    struct buf data = BUF_INIT;
    record_event(r->started, &r->options, &r->event, &data);
    jsonout_open(out, NULL, '{');
    jsonout_int(out, "number", r->number);
    jsonout_int(out, "pid", r->pid);
    jsonout_text(out, "type", "run.input");
    jsonout_int(out, "device", r->device);
    jsonout_raw(out, "data", buf_str(&data), data.len);
    jsonout_close(out, '}');
    buf_done(&data);
}

#ifdef HAVE_JANSSON
/* Whole numbers and truth values of what was read are in what is written.  Sessions that are equal become one, which
 * changes the numbers of sessions. */
static void check_same(const json_t *read, const json_t *written, const char *key)
{
    const char *member;
    json_t *value;
    if (json_is_integer(read) && json_is_integer(written))
        CHECK(strcmp(key, "target") == 0 ||
              json_integer_value(read) == json_integer_value(written));
    if (json_is_boolean(read) && json_is_boolean(written))
        CHECK(json_is_true(read) == json_is_true(written));
    for (size_t i = 0; strcmp(key, "targets") != 0 && i < json_array_size(read); i++)
        check_same(json_array_get(read, i), json_array_get(written, i), key);
    json_object_foreach((json_t *)(uintptr_t)read, member, value)
        check_same(value, json_object_get(written, member), member);
}

static void check_kept(const char *line, size_t len, const struct buf *again)
{
    json_t *read = json_loadb(line, len, 0, NULL);
    json_t *written = json_loadb(again->data, again->len, JSON_REJECT_DUPLICATES, NULL);
    CHECK(read != NULL && written != NULL);
    check_same(read, written, "");
    json_decref(read);
    json_decref(written);
}
#else
static void check_kept(const char *line UNUSED, size_t len UNUSED, const struct buf *again UNUSED)
{
}
#endif

static void check_input(const struct recorded *r, const char *line, size_t len)
{
    struct buf once = BUF_INIT, twice = BUF_INIT;
    struct recorded again;
    struct err err = ERR_INIT;
    CHECK((r->event.kind == DEVRUN_START) == (r->started != NULL));
    CHECK(r->started == NULL || r->started->id == r->device);
    write_line(r, &once);
    check_kept(line, len, &once);
    CHECK(recording_parse(once.data, once.len, &again, &err));
    CHECK(again.kind == RECORDED_INPUT && again.device == r->device);
    CHECK(again.number == r->number && again.pid == r->pid);
    write_line(&again, &twice);
    CHECK(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    recorded_done(&again);
    buf_done(&once);
    buf_done(&twice);
}

static void check_action(const struct recorded *r)
{
    char *again = recording_canonical(r->action, strlen(r->action));
    CHECK(again != NULL && strcmp(again, r->action) == 0);
    free(again);
}

static void check_refusal(const struct recorded *r, const struct err *err)
{
    CHECK(r->kind == RECORDED_OTHER && r->started == NULL && r->action == NULL);
    CHECK(err->kind == ERR_DATA || err->kind == ERR_UNAVAILABLE);
    CHECK(err->text[0] != '\0');
    for (const char *p = err->text; *p != '\0'; p++)
        CHECK(!iscntrl((unsigned char)*p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line = mem_alloc(size + 1); /* of exactly that size */
    struct recorded r;
    struct err err = ERR_INIT;
    memcpy(line, data, size);
    if (recording_parse(line, size, &r, &err)) {
        CHECK(r.number >= 1);
        if (r.kind == RECORDED_INPUT)
            check_input(&r, line, size);
        if (r.kind == RECORDED_ACTION)
            check_action(&r);
        recorded_done(&r);
    } else {
        check_refusal(&r, &err);
    }
    free(line);
    return 0;
}
