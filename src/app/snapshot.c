#include "config.h"

#include "app/snapshot.h"

#include "app/configuration.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SNAPSHOT_AGAIN_MS = 60000 };

struct snapshot {
    struct snapshot_options options;
    const char *path;      /* as the daemon was told it; the first configuration's */
    char *real;            /* as realpath(3) has it; NULL: not known */
    struct config *config; /* read last, or the first one, which is lent */
    struct conffile_image
        *image;              /* what config was made of; NULL: these bytes are no longer known */
    struct filewatch *watch; /* NULL: stopped */
    struct snapshot_figures figures;
    uint64_t changes; /* up to the last reading */
    char *trouble;    /* why the file is not used, as in the figures */
};

/* ---- what is said ---- */

static uint64_t snapshot_count_changes(struct snapshot *s)
{
    uint64_t now = s->watch == NULL ? 0 : filewatch_get(s->watch).changes;
    uint64_t since = now - s->changes;
    s->changes = now;
    return since;
}

static void snapshot_say_warnings(struct config *c)
{
    char *text;
    while ((text = configuration_take_warning(c)) != NULL) {
        log_line(LOG_ALWAYS, "%s", text);
        free(text);
    }
}

/* after: in the place of s->config; elsewhere: its Daemon_Socket is not where the daemon listens. */
static void snapshot_say_adopted(struct snapshot *s, const struct config *after, bool elsewhere)
{
    struct buf keys = BUF_INIT;
    size_t count = configuration_compare(s->config, after, &keys);
    log_line(LOG_ALWAYS, "NOTE: %s was read again after %" PRIu64 " changes%s; %s%s%s", s->path,
             snapshot_count_changes(s), s->trouble == NULL ? "" : " and is in order again",
             count == 0 ? "no key has another value" : "other values: ", buf_str(&keys),
             elsewhere ? "; Daemon_Socket counts when the daemon is started again" : "");
    buf_done(&keys);
}

static void snapshot_say_same(struct snapshot *s)
{
    uint64_t changes = snapshot_count_changes(s);
    if (s->trouble != NULL)
        log_line(LOG_ALWAYS, "NOTE: %s is in order again, and as it was read before", s->path);
    else
        log_line(LOG_MEDIUM, "NOTE: %s was read again after %" PRIu64 " changes; it is as it was",
                 s->path, changes);
}

static void snapshot_end_trouble(struct snapshot *s)
{
    free(s->trouble);
    s->trouble = NULL;
}

/* Once for each reason. */
static void snapshot_refuse(struct snapshot *s, const struct err *err)
{
    static const char prefix[] = "ERROR: ";
    const char *text = err->text;
    if (strncmp(text, prefix, strlen(prefix)) == 0)
        text += strlen(prefix);
    s->figures.refused++;
    (void)snapshot_count_changes(s);
    if (s->trouble != NULL && strcmp(s->trouble, text) == 0)
        return;
    log_line(LOG_ALWAYS, "WARNING: %s; until then the daemon goes on with what it has read before",
             text);
    free(s->trouble);
    s->trouble = mem_strdup(text);
}

static void snapshot_on_told(void *arg, enum filewatch_way way, const char *why)
{
    const struct snapshot *s = arg;
    switch (way) {
    case FILEWATCH_BY_KERNEL:
        log_line(LOG_ALWAYS, "NOTE: the kernel reports changes of %s again", s->path);
        break;
    case FILEWATCH_BY_LOOKING:
        log_line(LOG_ALWAYS,
                 "WARNING: the kernel does not report changes of %s, which is looked at every %d s "
                 "instead: %s",
                 s->path, s->config->watch_poll_ms / 1000, why);
        break;
    case FILEWATCH_NOT:
        log_line(LOG_ALWAYS,
                 "WARNING: changes of %s are not seen before a cycle is handed over, or the daemon "
                 "is started again (Watch_Fallback off): %s",
                 s->path, why);
        break;
    }
}

/* ---- reading ---- */

/* The configuration that these bytes give; NULL: err says why none. */
static struct config *snapshot_configure(struct snapshot *s, struct conffile_image *image,
                                         bool *ret_elsewhere, struct err *err)
{
    const struct config *first = s->options.config;
    struct config *c = configuration_new();
    bool ok = configuration_parse_args(c, s->options.argc, s->options.argv, err) == CONFIG_RUN;
    configuration_use_image(c, s->path, image);
    ok = ok && configuration_read_file(c, err) && configuration_read_environment(c, err) &&
         configuration_read_secrets(c, err);
    if (ok) {
        configuration_finish(c);
        *ret_elsewhere = strcmp(c->daemon_socket, first->daemon_socket) != 0;
        c->daemon_socket = first->daemon_socket; /* as long as it lives */
        ok = s->options.adopt(s->options.arg, c, err);
    }
    if (ok)
        return c;
    configuration_free(c);
    return NULL;
}

static bool snapshot_adopt(struct snapshot *s, struct conffile_image *image, struct err *err)
{
    bool elsewhere = false;
    struct config *before = s->config, *c = snapshot_configure(s, image, &elsewhere, err);
    if (c == NULL)
        return false;
    log_configure(&c->log);
    snapshot_say_adopted(s, c, elsewhere);
    snapshot_say_warnings(c);
    s->config = c;
    if (before != s->options.config)
        configuration_free(before);
    conffile_image_unref(s->image);
    s->image = conffile_image_ref(image);
    s->figures.adopted++;
    s->figures.last_adopted_wall_s = clock_wall_us() / 1000000;
    snapshot_end_trouble(s);
    filewatch_set(s->watch, c->reload_debounce_ms, c->watch_poll_ms);
    return true;
}

static bool snapshot_has(const struct snapshot *s, const char *digest)
{
    return strcmp(configuration_digest(s->config), digest) == 0;
}

/* The first configuration was read without keeping the bytes.  Who may read the file may have changed alone. */
static bool snapshot_use(struct snapshot *s, struct conffile_image *image, struct err *err)
{
    if (!snapshot_has(s, image->digest))
        return snapshot_adopt(s, image, err);
    conffile_image_unref(s->image);
    s->image = conffile_image_ref(image);
    return true;
}

static void snapshot_on_changed(void *arg)
{
    struct snapshot *s = arg;
    struct err err = ERR_INIT;
    uint64_t adopted = s->figures.adopted;
    struct conffile_image *image = conffile_image_read(s->path, &err);
    s->figures.readings++;
    if (image == NULL || !snapshot_use(s, image, &err)) {
        snapshot_refuse(s, &err);
    } else if (s->figures.adopted == adopted) {
        snapshot_say_same(s);
        snapshot_end_trouble(s);
    }
    conffile_image_unref(image);
}

/* What the file is now is not told if it is of no use to the client: it may be half written, and the watch
 * will report it when it is left alone. */
struct conffile_image *snapshot_take(struct snapshot *s, const char *digest)
{
    struct err err = ERR_INIT;
    if (s->image != NULL && snapshot_has(s, digest))
        return conffile_image_ref(s->image);
    if (s->watch == NULL)
        return NULL;
    struct conffile_image *image = conffile_image_read(s->path, &err);
    s->figures.readings++;
    bool ok = image != NULL && strcmp(image->digest, digest) == 0 && snapshot_use(s, image, &err);
    conffile_image_unref(image);
    if (!ok)
        return NULL;
    filewatch_settle(s->watch);
    return conffile_image_ref(s->image);
}

/* ---- life ---- */

/* Watches first and reads then, so that no change falls in between. */
struct snapshot *snapshot_start(const struct snapshot_options *options)
{
    struct snapshot *s = mem_zalloc(1, sizeof(*s));
    struct err err = ERR_INIT;
    s->options = *options;
    s->config = options->config;
    s->path = configuration_file_path(options->config);
    const struct filewatch_options o = {.loop = options->loop,
                                        .path = s->path,
                                        .debounce_ms = s->config->reload_debounce_ms,
                                        .poll_ms = s->config->watch_poll_ms,
                                        .again_ms = SNAPSHOT_AGAIN_MS,
                                        .changed = snapshot_on_changed,
                                        .told = snapshot_on_told,
                                        .arg = s};
    s->watch = filewatch_start(&o);
    struct conffile_image *image = conffile_image_read(s->path, &err);
    if (image == NULL || !snapshot_use(s, image, &err))
        snapshot_refuse(s, &err);
    conffile_image_unref(image);
    return s;
}

bool snapshot_is_file(struct snapshot *s, const char *real)
{
    if (s->real == NULL || strcmp(s->real, real) != 0) {
        free(s->real);
        s->real = realpath(s->path, NULL); /* a link on the way may lead elsewhere now */
    }
    return s->real != NULL && strcmp(s->real, real) == 0;
}

struct snapshot_figures snapshot_get(const struct snapshot *s)
{
    struct snapshot_figures f = s->figures;
    if (s->watch != NULL)
        f.watch = filewatch_get(s->watch);
    f.trouble = s->trouble;
    return f;
}

void snapshot_stop(struct snapshot *s)
{
    if (s == NULL || s->watch == NULL)
        return;
    s->figures.watch = filewatch_get(s->watch);
    s->figures.watch.why = NULL;
    filewatch_stop(s->watch);
    s->watch = NULL;
}

void snapshot_free(struct snapshot *s)
{
    if (s == NULL)
        return;
    snapshot_stop(s);
    if (s->config != s->options.config)
        configuration_free(s->config);
    conffile_image_unref(s->image);
    free(s->real);
    free(s->trouble);
    free(s);
}
