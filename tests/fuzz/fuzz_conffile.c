/* Any bytes as spine.conf: what is read is what the lines say, by a reading that shares nothing with
 * app/conffile.c, and any value that was read can be written so that it is read again. */
#include "config.h"

#include "fuzz.h"

#include "app/conffile.h"

#include <stdio.h>

static const char white[] = " \t\r\v\f";

/* ---- what was read ---- */

struct told {
    char *keys[4096], *values[4096];
    int lines[4096];
    bool rests[4096];
    size_t count;
};

static bool told_add(void *arg, const struct conffile_entry *e, struct err *err)
{
    struct told *t = arg;
    CHECK(t->count < ARRAY_LEN(t->keys) && err != NULL);
    t->keys[t->count] = mem_strdup(e->key);
    t->values[t->count] = mem_strdup(e->value);
    t->lines[t->count] = e->line;
    t->rests[t->count] = e->has_rest;
    t->count++;
    return true;
}

static void told_done(struct told *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->keys[i]);
        free(t->values[i]);
    }
    t->count = 0;
}

static bool told_read(const char *text, size_t len, struct told *t, struct err *err)
{
    char *copy = mem_alloc(len + 1);
    memcpy(copy, text, len);
    copy[len] = 'x'; /* is overwritten */
    bool read = conffile_parse(copy, len, "spine.conf", told_add, t, err);
    free(copy);
    return read;
}

/* ---- what the lines say ---- */

/* The words of a line, as far as the third. */
static size_t words(char *line, char *word[3])
{
    size_t n = 0;
    for (char *rest = line, *w; n < 3 && (w = strsep(&rest, white)) != NULL;)
        if (*w != '\0')
            word[n++] = w;
    return n;
}

/* A line without quotes, NUL and end. */
static void check_plain_line(const char *line, const struct told *t, size_t i)
{
    char *copy = mem_strdup(line), *word[3] = {NULL, NULL, NULL};
    size_t n = words(copy, word);
    CHECK(strcmp(t->keys[i], word[0]) == 0);
    CHECK(strcmp(t->values[i], n > 1 ? word[1] : "") == 0);
    CHECK(t->rests[i] == (n > 2 && word[2][0] != '#'));
    free(copy);
}

static void check_lines(const char *text, size_t len, const struct told *t)
{
    struct feed f = {(const uint8_t *)text, len};
    size_t i = 0;
    for (int number = 1; f.left > 0; number++) {
        if (number == 1 && len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
            (void)feed_number(&f, 3);
        char *line = feed_text(&f, '\n');
        const char *first = line + strspn(line, white);
        if (*first != '\0' && *first != '#') {
            CHECK(i < t->count && t->lines[i] == number);
            if (strchr(line, '"') == NULL)
                check_plain_line(line, t, i);
            i++;
        }
        free(line);
    }
    CHECK(i == t->count);
}

static void check_entries(const struct told *t)
{
    for (size_t i = 0; i < t->count; i++) {
        CHECK(t->keys[i][0] != '\0' && t->keys[i][strcspn(t->keys[i], white)] == '\0');
        CHECK(strpbrk(t->keys[i], "\n") == NULL && strpbrk(t->values[i], "\n") == NULL);
    }
}

/* ---- what is written ---- */

static void put_quoted(struct buf *out, const char *value)
{
    buf_putc(out, '"');
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\')
            buf_putc(out, '\\');
        buf_putc(out, *value);
    }
    buf_puts(out, "\" # a comment\r\n");
}

static void check_written_again(const struct told *t)
{
    static struct told again;
    struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    buf_puts(&text, "\n"); /* a key may begin with what is a mark at the start of a file */
    for (size_t i = 0; i < t->count; i++) {
        buf_printf(&text, "%s ", t->keys[i]);
        put_quoted(&text, t->values[i]);
    }
    CHECK(told_read(text.data, text.len, &again, &err));
    CHECK(again.count == t->count);
    for (size_t i = 0; i < t->count; i++) {
        CHECK(strcmp(again.keys[i], t->keys[i]) == 0);
        CHECK(strcmp(again.values[i], t->values[i]) == 0);
        CHECK(!again.rests[i]);
    }
    told_done(&again);
    buf_done(&text);
}

/* ---- what is refused ---- */

static bool has_long_line(const char *text, size_t len)
{
    struct feed f = {(const uint8_t *)text, len};
    const char *line;
    while (f.left > 0)
        if (feed_span(&f, '\n', &line) >= CONFFILE_LINE_MAX)
            return true;
    return false;
}

static void check_refusal(const char *text, size_t len, const struct err *err)
{
    CHECK(memchr(text, '\0', len) != NULL || has_long_line(text, len));
    CHECK(strncmp(err->text, "ERROR: spine.conf:", 18) == 0 && strchr(err->text, '\n') == NULL);
    CHECK(err_exit_status(err) == 78);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct told t;
    struct err err = ERR_INIT;
    if (size > 2 * ARRAY_LEN(t.keys)) /* an entry and its end are two bytes */
        return 0;
    if (told_read((const char *)data, size, &t, &err)) {
        CHECK(memchr(data, '\0', size) == NULL);
        check_lines((const char *)data, size, &t);
        check_entries(&t);
        check_written_again(&t);
    } else {
        check_refusal((const char *)data, size, &err);
    }
    told_done(&t);
    return 0;
}
