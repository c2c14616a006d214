#include "config.h"

#include "app/options.h"

#include "base/mem.h"
#include "base/num.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- "did you mean" ---- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance without case; texts longer than any name are simply far away. */
static size_t distance(const char *a, const char *b)
{
    enum { TOP = 40 };
    size_t row[TOP + 1], la = strlen(a), lb = strlen(b);
    if (la > TOP || lb > TOP)
        return SIZE_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            size_t best = least(least(row[j], row[j - 1]) + 1, corner + !same);
            corner = row[j];
            row[j] = best;
        }
    }
    return row[lb];
}

static void nearer(const char *typed, const char *candidate, const char **best,
                   size_t *best_distance)
{
    if (candidate == NULL)
        return;
    size_t d = distance(typed, candidate);
    if (d < *best_distance && d <= strlen(candidate) / 3 + 1 && d < strlen(candidate)) {
        *best = candidate;
        *best_distance = d;
    }
}

enum names { KEYS, SETTINGS, LONGS };

static const char *nearest(const char *typed, enum names names)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (int id = 0; id < OPTION_COUNT; id++) {
        const struct option_def *def = option_get((enum option_id)id);
        if (names == KEYS)
            nearer(typed, def->key, &best, &best_distance);
        else if (names == SETTINGS && def->setting && !def->row_only)
            nearer(typed, def->name, &best, &best_distance);
        for (int i = 0; names == LONGS && i < 2; i++)
            nearer(typed, def->longs[i], &best, &best_distance);
    }
    return best;
}

const char *option_nearest_key(const char *typed)
{
    return nearest(typed, KEYS);
}

/* ---- values ---- */

void option_value_done(struct option_value *value)
{
    if (value->text != NULL)
        explicit_bzero(value->text, strlen(value->text));
    free(value->text);
    free(value->ids.ids);
    *value = (struct option_value){0};
}

static void list_words(const struct option_word *words, struct buf *out)
{
    for (const struct option_word *w = words; w->word != NULL; w++)
        buf_printf(out, "%s%s", w == words ? "" : w[1].word == NULL ? " or " : ", ", w->word);
}

void option_expected(const struct option_def *def, struct buf *out)
{
    switch (def->type) {
    case OPTION_TYPE_INTEGER:
    case OPTION_TYPE_ID:
        buf_printf(out, "%s from %lld to %lld", def->power_of_two ? "a power of two" : "a number",
                   (long long)def->min, (long long)def->max);
        break;
    case OPTION_TYPE_BOOLEAN: buf_puts(out, "on or off"); break;
    case OPTION_TYPE_WORD:
        list_words(def->words, out);
        if (def->min <= def->max && def->max < INT32_MAX)
            buf_printf(out, ", or a number from %lld to %lld", (long long)def->min,
                       (long long)def->max);
        else if (def->min <= def->max)
            buf_puts(out, ", or a number");
        break;
    case OPTION_TYPE_IDS: buf_puts(out, "a comma list of device ids"); break;
    case OPTION_TYPE_NAMED: buf_puts(out, "setting:value"); break;
    case OPTION_TYPE_ACTION:
    case OPTION_TYPE_FLAG:
    case OPTION_TYPE_TEXT:
    case OPTION_TYPE_PATH:
    case OPTION_TYPE_SECRET:
        buf_puts(out, def->min > 0 ? "a text that is not empty" : "a text");
        break;
    }
}

static bool options_parse_digits(const char *text, int64_t min, int64_t max, int64_t *ret)
{
    return isdigit((unsigned char)*text) && num_parse(text, min, max, ret);
}

static bool parse_boolean(const char *text, int64_t *ret)
{
    *ret = num_bool(text, true);
    return num_bool(text, true) == num_bool(text, false);
}

static bool parse_word(const struct option_def *def, const char *text, int64_t *ret)
{
    for (const struct option_word *w = def->words; w->word != NULL; w++) {
        if (strcasecmp(w->word, text) == 0) {
            *ret = w->number;
            return true;
        }
    }
    return options_parse_digits(text, def->min, def->max, ret);
}

static void sort_ids(struct id_list *list)
{
    size_t n = 0;
    if (list->count == 0)
        return;
    qsort(list->ids, list->count, sizeof(*list->ids), num_compare_u32);
    for (size_t i = 0; i < list->count; i++)
        if (n == 0 || list->ids[n - 1] != list->ids[i])
            list->ids[n++] = list->ids[i];
    list->count = n;
}

/* Blanks around an id are allowed, as in the SQL list this once was.  Returns how many items were
 * no id. */
static size_t parse_ids(const char *text, struct id_list *ret)
{
    static const char blanks[] = " \t";
    size_t bad = 0, commas = 0;
    for (const char *p = text; *p != '\0'; p++)
        commas += *p == ',';
    ret->ids = mem_zalloc(commas + 1, sizeof(*ret->ids));
    ret->count = 0;
    if (text[strspn(text, blanks)] == '\0')
        return 0;
    for (const char *p = text;;) {
        size_t len = strcspn(p, ",");
        const char *start = p + strspn(p, blanks);
        size_t digits = strspn(start, "0123456789");
        const char *rest = start + digits + strspn(start + digits, blanks);
        char *id = mem_strndup(start, digits);
        int64_t number;
        if (rest == p + len && options_parse_digits(id, 0, UINT32_MAX, &number))
            ret->ids[ret->count++] = (uint32_t)number;
        else
            bad++;
        free(id);
        if (p[len] == '\0')
            break;
        p += len + 1;
    }
    sort_ids(ret);
    return bad;
}

static bool parse_by_type(const struct option_def *def, const char *text, struct option_value *v)
{
    switch (def->type) {
    case OPTION_TYPE_INTEGER:
        return num_parse(text, def->min, def->max, &v->number) &&
               (!def->power_of_two || (v->number & (v->number - 1)) == 0);
    case OPTION_TYPE_ID: return options_parse_digits(text, def->min, def->max, &v->number);
    case OPTION_TYPE_BOOLEAN: return parse_boolean(text, &v->number);
    case OPTION_TYPE_WORD: return parse_word(def, text, &v->number);
    case OPTION_TYPE_IDS: return parse_ids(text, &v->ids) == 0 && (int64_t)v->ids.count >= def->min;
    case OPTION_TYPE_ACTION:
    case OPTION_TYPE_FLAG:
    case OPTION_TYPE_NAMED: v->number = 1; return true;
    case OPTION_TYPE_TEXT:
    case OPTION_TYPE_PATH:
    case OPTION_TYPE_SECRET: return (int64_t)strlen(text) >= def->min;
    }
    return false;
}

bool option_parse(const struct option_def *def, const char *text, struct option_value *ret,
                  struct buf *why)
{
    struct option_value v = {.set = true};
    if (parse_by_type(def, text, &v)) {
        v.text = mem_strdup(text);
        *ret = v;
        return true;
    }
    option_value_done(&v);
    buf_puts(why, "must be ");
    option_expected(def, why);
    return false;
}

/* The number a row stands for, or false if the default applies.  Missing and 0 mean the same to
 * Cacti where the default applies below the bound, so those need no remark. */
static bool row_number(const struct option_def *def, const char *text, int64_t *number,
                       struct buf *why)
{
    int64_t n = num_leading(text), whole;
    if (*text != '\0' && !num_parse(text, INT64_MIN, INT64_MAX, &whole))
        buf_printf(why, "'%.200s' is not a number", text);
    bool low = n < def->min;
    if (!low && n <= def->max) {
        if (why->len > 0)
            buf_printf(why, ", %lld is used", (long long)n);
        *number = n;
        return true;
    }
    bool use_default = def->bounds == OPTION_DEFAULT || (low && def->bounds == OPTION_LOW_DEFAULT);
    *number = low ? def->min : def->max;
    if (why->len == 0 && *text != '\0')
        buf_printf(why, "%lld is not within %lld to %lld", (long long)n, (long long)def->min,
                   (long long)def->max);
    if (why->len > 0 && use_default)
        buf_printf(why, ", the default %s is used", def->standard);
    else if (why->len > 0)
        buf_printf(why, ", %lld is used", (long long)*number);
    return !use_default;
}

static bool row_word(const struct option_def *def, const char *text, struct option_value *v,
                     struct buf *why)
{
    if (parse_word(def, text, &v->number))
        return true;
    int64_t n;
    if (def->bounds == OPTION_LOW_DEFAULT && num_parse(text, INT64_MIN, INT64_MAX, &n))
        return row_number(def, text, &v->number, why);
    if (*text != '\0')
        buf_printf(why, "'%.200s' is unknown, the default %s is used", text, def->standard);
    return false;
}

static bool row_by_type(const struct option_def *def, const char *text, struct option_value *v,
                        struct buf *why)
{
    if (def->type == OPTION_TYPE_INTEGER)
        return row_number(def, text, &v->number, why);
    if (def->type == OPTION_TYPE_WORD)
        return row_word(def, text, v, why);
    if (def->type == OPTION_TYPE_BOOLEAN) {
        bool known = parse_boolean(text, &v->number);
        if (!known && *text != '\0')
            buf_printf(why, "'%.200s' is neither on nor off, it is ignored", text);
        return known;
    }
    if (def->type == OPTION_TYPE_IDS) {
        size_t bad = parse_ids(text, &v->ids);
        if (bad > 0)
            buf_printf(why, "%zu of its items are not device ids and are ignored", bad);
    }
    return def->type != OPTION_TYPE_PATH || *text != '\0';
}

bool option_parse_row(const struct option_def *def, const char *text, struct option_value *ret,
                      struct buf *why)
{
    struct option_value v = {.set = true};
    if (!row_by_type(def, text, &v, why)) {
        option_value_done(&v);
        return false;
    }
    if (def->type == OPTION_TYPE_INTEGER) {
        struct buf b = BUF_INIT;
        buf_printf(&b, "%lld", (long long)v.number);
        v.text = buf_take(&b);
    } else {
        v.text = mem_strdup(text);
    }
    *ret = v;
    return true;
}

/* ---- command line ---- */

struct reader {
    int argc, next;
    char *const *argv;
    const struct options_sink *sink;
    struct err *err;
    const char *typed;    /* the argument up to its first '=' ... */
    const char *attached; /* ... and what follows it, or NULL */
    bool given[OPTION_COUNT];
    const struct option_def *command; /* the option that has chosen one, or NULL */
};

static enum configuration_request usage(const struct reader *r, const char *fmt, ...) PRINTF(2, 3);

/* Spine's texts (docs/contract.md 1.5), plus what to do; one line whatever the arguments contain. */
static enum configuration_request usage(const struct reader *r, const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < b.len; i++)
        if (iscntrl((unsigned char)b.data[i]))
            b.data[i] = '?';
    err_set(r->err, ERR_USAGE, "ERROR: %.900s; see spine --help", b.data);
    buf_done(&b);
    return CONFIG_ERROR;
}

static const struct option_def *find_argument(const char *typed)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_def *def = option_get((enum option_id)i);
        if (typed[0] == '-' && typed[1] != '\0' && typed[1] == def->letter && typed[2] == '\0')
            return def;
        for (int j = 0; j < 2; j++)
            if (def->longs[j] != NULL && strncmp(typed, "--", 2) == 0 &&
                strcasecmp(def->longs[j], typed + 2) == 0)
                return def;
    }
    return NULL;
}

static enum configuration_request unknown_argument(const struct reader *r)
{
    const char *t = r->typed;
    if (*t == '\0')
        return usage(r, "'' is an unknown command-line parameter");
    if (strlen(t) == 2 && *t == '-' && isalpha((unsigned char)t[1])) {
        char other[3] = {'-', (char)(t[1] ^ 0x20), '\0'};
        if (find_argument(other) != NULL)
            return usage(r, "%s is an unknown command-line parameter; did you mean %s?", t, other);
    }
    const char *best = nearest(t + strspn(t, "-"), LONGS);
    if (best != NULL)
        return usage(r, "%.200s is an unknown command-line parameter; did you mean --%s?", t, best);
    return usage(r, "%.200s is an unknown command-line parameter", t);
}

static void assign(const struct reader *r, const struct option_def *def, struct option_value *value)
{
    r->sink->assign(r->sink->arg, option_id_of(def), value);
}

static enum configuration_request bad_value(const struct reader *r, const struct option_def *def,
                                            const char *value, const char *why)
{
    enum option_id id = option_id_of(def);
    if (id == OPTION_MODE)
        return usage(r, "invalid polling mode '%.200s' specified, it %s", value, why);
    if (id != OPTION_FIRST && id != OPTION_LAST)
        return usage(r, "'%.200s=%.200s' is invalid, %s %s", r->typed, value, def->name, why);
    if (value == r->typed) /* positional */
        return usage(r, "'%.200s' is invalid %s-host ID, it %s", value, def->name, why);
    return usage(r, "'%.200s=%.200s' is invalid %s-host ID, it %s", r->typed, value, def->name,
                 why);
}

static enum configuration_request set_value(struct reader *r, const struct option_def *def,
                                            const char *shown, const char *text)
{
    struct option_value value;
    struct buf why = BUF_INIT;
    enum configuration_request ret = CONFIG_RUN;
    if (option_parse(def, text, &value, &why))
        assign(r, def, &value);
    else
        ret = bad_value(r, def, shown, why.data);
    buf_done(&why);
    return ret;
}

static enum configuration_request override(struct reader *r, const char *text)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL || colon == text)
        return usage(r, "-O requires setting:value, not '%.200s'", text);
    char *name = mem_strndup(text, (size_t)(colon - text));
    const struct option_def *def = option_by_setting(name);
    enum configuration_request ret = CONFIG_RUN;
    if (def != NULL && !def->row_only) {
        ret = set_value(r, def, text, colon + 1);
    } else {
        struct buf b = BUF_INIT;
        const char *best = nearest(name, SETTINGS);
        buf_printf(&b, "WARNING: %s %.200s is ignored: ", r->typed, text);
        if (strcasecmp(name, "version") == 0 || def != NULL)
            buf_puts(&b, "the version always comes from the database");
        else if (best != NULL)
            buf_printf(&b, "there is no such setting; did you mean %s?", best);
        else
            buf_puts(&b, "there is no such setting; see spine --help");
        r->sink->warn(r->sink->arg, b.data);
        buf_done(&b);
    }
    free(name);
    return ret;
}

static enum configuration_request set_flag(const struct reader *r, const struct option_def *def)
{
    struct option_value value = {0};
    struct buf why = BUF_INIT;
    bool is_stdout = option_id_of(def) == OPTION_STDOUT;
    const struct option_def *target = is_stdout ? option_get(OPTION_LOG_DESTINATION) : def;
    CHECK(option_parse(target, is_stdout ? "STDOUT" : "on", &value, &why));
    assign(r, target, &value);
    return CONFIG_RUN;
}

/* A process carries out one command. */
static enum configuration_request choose_command(struct reader *r, const struct option_def *def)
{
    if (def->command == COMMAND_POLL)
        return CONFIG_RUN;
    if (r->command != NULL && r->command != def)
        return usage(r, "--%s and --%s cannot be used together", r->command->name, def->name);
    r->command = def;
    return CONFIG_RUN;
}

static enum configuration_request one_option(struct reader *r, const struct option_def *def)
{
    enum option_id id = option_id_of(def);
    if (def->type == OPTION_TYPE_ACTION)
        return id == OPTION_HELP ? CONFIG_HELP : CONFIG_VERSION;
    if (choose_command(r, def) == CONFIG_ERROR)
        return CONFIG_ERROR;
    if (def->type == OPTION_TYPE_FLAG)
        return set_flag(r, def);
    const char *text = r->attached;
    if (text == NULL && def->attached_only)
        text = "";
    if (text == NULL && r->next < r->argc)
        text = r->argv[r->next++];
    if (text == NULL || (*text == '\0' && def->type == OPTION_TYPE_PATH))
        return usage(r, "option %s requires a parameter", r->typed);
    if (id == OPTION_FIRST || id == OPTION_LAST) {
        if (r->given[id])
            return usage(r, "%s can only be used once", r->typed);
        r->given[id] = true;
    }
    return def->type == OPTION_TYPE_NAMED ? override(r, text) : set_value(r, def, text, text);
}

/* The first bare number is the first id, the second the last one, as far as they are still free. */
static enum configuration_request positional(struct reader *r)
{
    enum option_id id = r->given[OPTION_FIRST] ? OPTION_LAST : OPTION_FIRST;
    if (r->given[id])
        return unknown_argument(r);
    r->given[id] = true;
    return set_value(r, option_get(id), r->typed, r->typed);
}

enum configuration_request options_parse_args(int argc, char *const *argv,
                                              const struct options_sink *sink, struct err *err)
{
    struct reader r = {.argc = argc, .next = 1, .argv = argv, .sink = sink, .err = err};
    enum configuration_request ret = CONFIG_RUN;
    while (ret == CONFIG_RUN && r.next < argc) {
        const char *arg = argv[r.next++];
        const char *equals = strchr(arg, '=');
        char *typed = mem_strndup(arg, equals == NULL ? strlen(arg) : (size_t)(equals - arg));
        r.typed = typed;
        r.attached = equals == NULL ? NULL : equals + 1;
        const struct option_def *def = find_argument(typed);
        if (def != NULL)
            ret = one_option(&r, def);
        else if (*arg != '\0' && arg[strspn(arg, "0123456789")] == '\0')
            ret = positional(&r);
        else
            ret = unknown_argument(&r);
        free(typed);
    }
    return ret;
}

void options_version_line(const char *cacti, struct buf *out)
{
    if (cacti == NULL || *cacti == '\0')
        cacti = SPINE_COMPAT_VERSION;
    buf_printf(out,
               "SPINE %s  Copyright 2026 the spine authors (spine %s, compatible with Cacti %s)",
               cacti, PACKAGE_VERSION, cacti);
}
