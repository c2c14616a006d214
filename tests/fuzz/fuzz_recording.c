/* Any bytes as a line of a recording: it is refused with a reason, or it is an event that written again reads as the
 * same one. */
#include "config.h"

#include "fuzz.h"

#include "base/jsonout.h"
#include "drivers/recording.h"
#include "model/record.h"

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

static void check_input(const struct recorded *r)
{
    struct buf once = BUF_INIT, twice = BUF_INIT;
    struct recorded again;
    struct err err = ERR_INIT;
    CHECK((r->event.kind == DEVRUN_START) == (r->started != NULL));
    CHECK(r->started == NULL || r->started->id == r->device);
    write_line(r, &once);
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
    CHECK(err->text[0] != '\0' && strchr(err->text, '\n') == NULL);
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
            check_input(&r);
        if (r.kind == RECORDED_ACTION)
            check_action(&r);
        recorded_done(&r);
    } else {
        check_refusal(&r, &err);
    }
    free(line);
    return 0;
}
