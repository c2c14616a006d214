#include "config.h"

#include "app/configuration.h"

#include "configuration_private.h"

#include <string.h>

static void describe_value(const struct state *s, enum option_id id, const struct option_value *v,
                           struct buf *out)
{
    const struct option_def *def = option_get(id);
    if (def->type == OPTION_TYPE_SECRET)
        buf_puts(out, "***");
    else if (def->type == OPTION_TYPE_FLAG || def->type == OPTION_TYPE_BOOLEAN)
        buf_puts(out, v->number != 0 ? "on" : "off");
    else if (def->type == OPTION_TYPE_IDS)
        for (size_t i = 0; i < v->ids.count; i++)
            buf_printf(out, "%s%u", i == 0 ? "" : ",", v->ids.ids[i]);
    else if (id == OPTION_PATH_CACTILOG)
        buf_puts(out, buf_str(&s->log_path));
    else
        buf_puts(out, v->text == NULL ? "" : v->text);
}

static bool is_described(const struct option_def *def)
{
    enum option_id id = option_id_of(def);
    return def->section != OPTION_COMMAND && def->type != OPTION_TYPE_NAMED &&
           id != OPTION_STDOUT && id != OPTION_DB_PREG;
}

static const char *source_of(const struct state *s, enum option_id id, enum config_source source)
{
    static const char *const sources[] = {"default", "spine.conf", "settings table", "environment",
                                          "command line"};
    const char *file = id == OPTION_DB_PASS    ? s->pass_source
                       : id == OPTION_RDB_PASS ? s->rdb_pass_source
                                               : NULL;
    return file != NULL ? file : sources[source];
}

bool configuration_entry(struct config *c, size_t i, struct configuration_entry *ret)
{
    struct state *s = state_of(c);
    for (int id = 0; id < OPTION_COUNT; id++) {
        const struct option_def *def = option_get((enum option_id)id);
        if (!is_described(def) || i-- > 0)
            continue;
        enum config_source source;
        const struct option_value *v = configuration_effective(s, (enum option_id)id, &source);
        buf_clear(&s->value);
        describe_value(s, (enum option_id)id, v, &s->value);
        ret->name = def->name;
        ret->value = buf_str(&s->value);
        ret->source = source_of(s, (enum option_id)id, source);
        return true;
    }
    return false;
}

const char *configuration_describe(struct config *c, size_t i)
{
    struct state *s = state_of(c);
    struct configuration_entry e;
    if (!configuration_entry(c, i, &e))
        return NULL;
    buf_clear(&s->description);
    buf_printf(&s->description, "%s = %s (%s)", e.name, e.value, e.source);
    return s->description.data;
}

/* Where they come from does not matter: "DB_Port 3306" and no DB_Port are the same. */
static bool configuration_is_same(const struct option_def *def, const struct option_value *a,
                                  const struct option_value *b)
{
    bool is_text = def->type == OPTION_TYPE_TEXT || def->type == OPTION_TYPE_PATH ||
                   def->type == OPTION_TYPE_SECRET;
    const char *left = a->text == NULL ? "" : a->text, *right = b->text == NULL ? "" : b->text;
    return is_text ? strcmp(left, right) == 0 : a->number == b->number;
}

size_t configuration_compare(const struct config *before, const struct config *after,
                             struct buf *out)
{
    const struct state *a = (const struct state *)before, *b = (const struct state *)after;
    enum config_source source;
    size_t count = 0;
    for (int id = 0; id < OPTION_COUNT; id++) {
        const struct option_def *def = option_get((enum option_id)id);
        if (def->key == NULL ||
            configuration_is_same(def, configuration_effective(a, (enum option_id)id, &source),
                                  configuration_effective(b, (enum option_id)id, &source)))
            continue;
        buf_printf(out, "%s%s", count++ == 0 ? "" : ", ", def->key);
    }
    return count;
}
