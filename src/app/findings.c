#include "config.h"

#include "app/findings.h"

#include "base/jsonout.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void findings_done(struct findings *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->all[i].text);
        free(f->all[i].remedy);
    }
    free(f->all);
    *f = (struct findings)FINDINGS_INIT;
}

/* One line, in UTF-8: what is not is taken for ISO 8859-1. */
static char *findings_clean(const char *text)
{
    struct buf b = BUF_INIT;
    size_t len = strlen(text), at = 0;
    buf_puts(&b, "");
    while (at < len) {
        unsigned char c = (unsigned char)text[at];
        size_t n = c < 0x80 ? 1 : utf8_length(text + at, len - at);
        if (n == 0)
            utf8_put_latin1(&b, c);
        else if (iscntrl(c))
            buf_putc(&b, ' ');
        else
            buf_append(&b, text + at, n);
        at += n == 0 ? 1 : n;
    }
    return buf_take(&b);
}

void findings_add(struct findings *f, enum verdict verdict, const char *name, const char *remedy,
                  const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    f->all = mem_realloc(f->all, f->count + 1, sizeof(*f->all));
    struct finding *one = &f->all[f->count++];
    *one = (struct finding){.verdict = verdict, .name = name, .text = findings_clean(buf_str(&b))};
    one->remedy = remedy == NULL ? NULL : findings_clean(remedy);
    buf_done(&b);
}

void findings_take(struct findings *f, struct findings *from)
{
    f->all = mem_realloc(f->all, f->count + from->count + 1, sizeof(*f->all));
    for (size_t i = 0; i < from->count; i++)
        f->all[f->count++] = from->all[i];
    free(from->all);
    *from = (struct findings)FINDINGS_INIT;
}

enum verdict findings_worst(const struct findings *f)
{
    enum verdict worst = FINDING_OK;
    for (size_t i = 0; i < f->count; i++)
        if (f->all[i].verdict > worst)
            worst = f->all[i].verdict;
    return worst;
}

static const char *verdict_word(enum verdict verdict)
{
    static const char *const words[] = {
        [FINDING_OK] = "OK", [FINDING_WARN] = "WARN", [FINDING_FAIL] = "FAIL"};
    return words[verdict];
}

void findings_print(const struct findings *f, FILE *out)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct finding *one = &f->all[i];
        fprintf(out, "%-4s  %-18s %s%s%s\n", verdict_word(one->verdict), one->name, one->text,
                one->remedy == NULL ? "" : "; ", one->remedy == NULL ? "" : one->remedy);
    }
}

void findings_json(const struct findings *f, const char *key, struct buf *out)
{
    jsonout_open(out, key, '[');
    for (size_t i = 0; i < f->count; i++) {
        const struct finding *one = &f->all[i];
        jsonout_open(out, NULL, '{');
        jsonout_text(out, "name", one->name);
        jsonout_text(out, "verdict", verdict_word(one->verdict));
        jsonout_text(out, "text", one->text);
        jsonout_text(out, "remedy", one->remedy);
        jsonout_close(out, '}');
    }
    jsonout_close(out, ']');
}
