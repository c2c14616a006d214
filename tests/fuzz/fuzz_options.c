/* Any lines as arguments, and any text as a row of Cacti's settings: what is assigned lies within the option's
 * bounds, and what is refused is refused in one line that says what to do. */
#include "config.h"

#include "fuzz.h"

#include "app/options.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

enum { ARGUMENTS_MAX = 64 };

/* ---- values ---- */

static bool is_word_of(const struct option_def *def, int64_t number)
{
    for (const struct option_word *w = def->words; w->word != NULL; w++)
        if (w->number == number)
            return true;
    return false;
}

static void check_value(const struct option_def *def, const struct option_value *v)
{
    bool within = v->number >= def->min && v->number <= def->max;
    CHECK(v->set && v->text != NULL);
    switch (def->type) {
    case OPTION_TYPE_INTEGER:
    case OPTION_TYPE_ID: CHECK(within); break;
    case OPTION_TYPE_BOOLEAN: CHECK(v->number == 0 || v->number == 1); break;
    case OPTION_TYPE_WORD: CHECK(within || is_word_of(def, v->number)); break;
    case OPTION_TYPE_IDS:
        for (size_t i = 1; i < v->ids.count; i++)
            CHECK(v->ids.ids[i - 1] < v->ids.ids[i]);
        break;
    case OPTION_TYPE_ACTION:
    case OPTION_TYPE_FLAG:
    case OPTION_TYPE_NAMED: CHECK(v->number == 1); break;
    case OPTION_TYPE_TEXT:
    case OPTION_TYPE_PATH:
    case OPTION_TYPE_SECRET: break;
    }
}

static void check_strict(const struct option_def *def, const struct option_value *v)
{
    struct option_value again = {.set = false};
    struct buf why = BUF_INIT;
    if (def->type == OPTION_TYPE_TEXT || def->type == OPTION_TYPE_PATH)
        CHECK((int64_t)strlen(v->text) >= def->min);
    if (def->type == OPTION_TYPE_IDS)
        CHECK((int64_t)v->ids.count >= def->min);
    CHECK(option_parse(def, v->text, &again, &why) && why.len == 0);
    CHECK(again.number == v->number && again.ids.count == v->ids.count);
    for (size_t i = 0; i < v->ids.count; i++)
        CHECK(again.ids.ids[i] == v->ids.ids[i]);
    option_value_done(&again);
}

/* ---- a command line ---- */

struct told {
    struct buf text; /* all that was said, in order */
    size_t given[OPTION_COUNT];
    enum configuration_request request;
    struct err err;
};

static void on_assign(void *arg, enum option_id id, struct option_value *value)
{
    struct told *t = arg;
    const struct option_def *def = option_get(id);
    CHECK(!def->row_only);
    check_value(def, value);
    check_strict(def, value);
    buf_printf(&t->text, "%s=%s\n", def->name, value->text);
    t->given[id]++;
    option_value_done(value);
}

static void on_warn(void *arg, const char *text)
{
    struct told *t = arg;
    CHECK(strncmp(text, "WARNING: ", 9) == 0);
    buf_puts(&t->text, "a warning\n");
}

static void told_parse(struct told *t, char *const *argv, int argc)
{
    struct options_sink sink = {on_assign, on_warn, t};
    memset(t, 0, sizeof(*t));
    t->request = options_parse_args(argc, argv, &sink, &t->err);
}

static void check_error(const struct told *t)
{
    static const char end[] = "; see spine --help";
    size_t len = strlen(t->err.text);
    if (t->request != CONFIG_ERROR) {
        CHECK(t->err.kind == ERR_NONE);
        return;
    }
    CHECK(t->err.kind == ERR_USAGE && strncmp(t->err.text, "ERROR: ", 7) == 0);
    CHECK(len > sizeof(end) && strcmp(t->err.text + len + 1 - sizeof(end), end) == 0);
    for (size_t i = 0; i < len; i++)
        CHECK(!iscntrl((unsigned char)t->err.text[i]));
}

static void check_told(const struct told *t)
{
    check_error(t);
    CHECK(t->given[OPTION_FIRST] <= 1 && t->given[OPTION_LAST] <= 1);
}

/* A command line that is right stays right with a request for help behind it. */
static void check_help(const struct told *t, char **argv, int argc)
{
    struct told again;
    char help[] = "--help";
    if (t->request != CONFIG_RUN)
        return;
    argv[argc] = help;
    told_parse(&again, argv, argc + 1);
    CHECK(again.request == CONFIG_HELP);
    CHECK(strcmp(buf_str(&again.text), buf_str(&t->text)) == 0);
    buf_done(&again.text);
}

/* ---- "--name=value" is "--name value" ---- */

static const struct option_def *named(const char *typed)
{
    for (int id = 0; id < OPTION_COUNT; id++) {
        const struct option_def *def = option_get((enum option_id)id);
        const char letter[] = {'-', def->letter, '\0'};
        if (def->letter != 0 && strcmp(typed, letter) == 0)
            return def;
        for (int i = 0; i < 2; i++)
            if (def->longs[i] != NULL && strncmp(typed, "--", 2) == 0 &&
                strcasecmp(typed + 2, def->longs[i]) == 0)
                return def;
    }
    return NULL;
}

static bool takes_next(const char *typed)
{
    const struct option_def *def = named(typed);
    return def != NULL && def->type != OPTION_TYPE_ACTION && def->type != OPTION_TYPE_FLAG &&
           !def->attached_only;
}

/* Cuts each "--name=value" in two; what follows a "--name" alone is its value and is left as it is. */
static int split_all(char **argv, int argc, char **ret)
{
    int n = 1;
    ret[0] = argv[0];
    for (int i = 1; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        ret[n++] = argv[i];
        if (equals != NULL) {
            *equals = '\0';
            if (takes_next(argv[i]))
                ret[n++] = equals + 1;
            else
                *equals = '=';
        } else if (takes_next(argv[i]) && i + 1 < argc) {
            ret[n++] = argv[++i];
        }
    }
    return n;
}

static void check_split(const struct told *t, char **argv, int argc)
{
    struct told again;
    char *split[2 * ARGUMENTS_MAX + 2];
    int n = split_all(argv, argc, split);
    told_parse(&again, split, n);
    CHECK(again.request == t->request);
    CHECK(strcmp(buf_str(&again.text), buf_str(&t->text)) == 0);
    buf_done(&again.text);
}

static void fuzz_arguments(struct feed *f)
{
    char *argv[ARGUMENTS_MAX + 2] = {mem_strdup("spine")};
    int argc = 1;
    struct told t;
    while (f->left > 0 && argc < ARGUMENTS_MAX)
        argv[argc++] = feed_text(f, '\n');
    told_parse(&t, argv, argc);
    check_told(&t);
    check_help(&t, argv, argc);
    check_split(&t, argv, argc); /* the last: changes them */
    buf_done(&t.text);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
}

/* ---- a row of the settings table ---- */

/* The n-th option that may have a row. */
static const struct option_def *row_option(unsigned n)
{
    for (int id = 0;; id = (id + 1) % OPTION_COUNT)
        if (option_get((enum option_id)id)->setting && n-- == 0)
            return option_get((enum option_id)id);
}

static void fuzz_row(struct feed *f)
{
    const struct option_def *def = row_option(feed_byte(f));
    char *text = feed_text(f, '\n');
    struct option_value v = {.set = false};
    struct buf why = BUF_INIT, strict = BUF_INIT;
    if (option_parse_row(def, text, &v, &why)) {
        check_value(def, &v);
        if (def->type == OPTION_TYPE_INTEGER)
            check_strict(def, &v);
        option_value_done(&v);
    }
    bool needless = option_parse(def, text, &v, &strict) && why.len > 0;
    CHECK(!needless); /* what the command line takes needs no remark */
    CHECK(strchr(buf_str(&why), '\n') == NULL);
    option_value_done(&v);
    buf_done(&why);
    buf_done(&strict);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    if (feed_byte(&f) == 'r')
        fuzz_row(&f);
    else
        fuzz_arguments(&f);
    return 0;
}
