#include "config.h"

#include "drivers/pastreport.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void pastreport_done(struct pastreport *past)
{
    free(past->devices);
    arena_done(&past->memory);
    *past = (struct pastreport){0};
}

#ifdef HAVE_JANSSON

#include <jansson.h>

bool pastreport_is_built(void)
{
    return true;
}

/* ---- values; a wrong one makes the whole history wrong ---- */

static bool past_take_int(json_t *object, const char *key, int64_t *ret)
{
    json_t *v = json_object_get(object, key);
    *ret = json_integer_value(v);
    return json_is_integer(v);
}

static bool past_take_cycle(json_t *object, struct past_cycle *ret)
{
    return past_take_int(object, "started_us", &ret->started_us) &&
           past_take_int(object, "duration_us", &ret->duration_us) &&
           past_take_int(object, "devices", &ret->devices) &&
           past_take_int(object, "down", &ret->down) &&
           past_take_int(object, "unknown", &ret->unknown) &&
           past_take_int(object, "status", &ret->status);
}

/* A text of `count` characters, all of them among those allowed. */
static bool past_take_marks(json_t *object, const char *key, const char *allowed, size_t count,
                            char *ret)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL || strlen(text) != count || strspn(text, allowed) != count)
        return false;
    memcpy(ret, text, count + 1);
    return true;
}

static bool past_take_device(json_t *object, struct pastreport *past)
{
    static const char states[] = ".dxABCDEFGHIJKLMNOPQRSTUVWXYZ";
    struct past_device *d = &past->devices[past->device_count];
    json_t *hostname = json_object_get(object, "hostname");
    int64_t id;
    if (!past_take_int(object, "device", &id) || id < 0 || id > UINT32_MAX ||
        (!json_is_string(hostname) && !json_is_object(hostname)) ||
        !past_take_marks(object, "states", states, past->cycle_count, d->states) ||
        !past_take_marks(object, "slow", "01", past->cycle_count, d->slow))
        return false;
    d->id = (uint32_t)id;
    /* An object is a name that is not UTF-8 (base/jsonout.h). */
    d->hostname =
        arena_strdup(&past->memory, json_is_string(hostname) ? json_string_value(hostname) : "");
    if (past->device_count > 0 && d[-1].id >= d->id)
        return false;
    past->device_count++;
    return true;
}

static bool past_take_history(json_t *history, struct pastreport *past)
{
    json_t *cycles = json_object_get(history, "cycles");
    json_t *devices = json_object_get(history, "devices");
    size_t count = json_array_size(cycles), many = json_array_size(devices);
    if (!json_is_array(cycles) || !json_is_array(devices) || count > PAST_CYCLES ||
        many > PAST_DEVICES_MAX)
        return false;
    for (; past->cycle_count < count; past->cycle_count++)
        if (!past_take_cycle(json_array_get(cycles, past->cycle_count),
                             &past->cycles[past->cycle_count]))
            return false;
    past->devices = mem_zalloc(many + 1, sizeof(past->devices[0]));
    for (size_t i = 0; i < many; i++)
        if (!past_take_device(json_array_get(devices, i), past))
            return false;
    return true;
}

static bool past_take_report(json_t *report, struct pastreport *past)
{
    int64_t form;
    return past_take_int(report, "report", &form) && form == PAST_REPORT &&
           past_take_int(report, "poller", &past->poller) &&
           past_take_int(report, "first", &past->first) &&
           past_take_history(json_object_get(report, "history"), past);
}

/* ---- the file ---- */

/* -1: err says why not, or there is none. */
static int past_open(const char *path, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        if (errno != ENOENT)
            err_set_number(err, ERR_OS, errno, "%s", strerror(errno));
        return -1;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= PAST_BYTES_MAX)
        return fd;
    err_set(err, ERR_DATA, "it is not a file of a report's size");
    close(fd);
    return -1;
}

bool pastreport_read(const char *path, struct pastreport *ret, struct err *err)
{
    struct err why = ERR_INIT;
    json_error_t error;
    *ret = (struct pastreport){0};
    int fd = past_open(path, &why);
    if (fd < 0) {
        *err = why;
        return why.kind == ERR_NONE;
    }
    json_t *report = json_loadfd(fd, JSON_REJECT_DUPLICATES, &error);
    close(fd);
    bool ok = report != NULL && past_take_report(report, ret);
    json_decref(report);
    if (ok)
        return true;
    pastreport_done(ret);
    return err_set(err, ERR_DATA, "it holds no report of this form");
}

#else

bool pastreport_is_built(void)
{
    return false;
}

bool pastreport_read(const char *path, struct pastreport *ret, struct err *err)
{
    (void)path;
    (void)err;
    *ret = (struct pastreport){0};
    return true;
}

#endif
