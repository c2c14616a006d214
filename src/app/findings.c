#include "config.h"

#include "app/findings.h"

#include "base/jsonout.h"
#include "base/mem.h"

#include <ctype.h>
#include <stdlib.h>

void findings_done(struct findings *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->all[i].text);
        free(f->all[i].remedy);
    }
    free(f->all);
    *f = (struct findings)FINDINGS_INIT;
}

static void make_one_line(char *text)
{
    for (char *p = text; p != NULL && *p != '\0'; p++)
        if (iscntrl((unsigned char)*p))
            *p = ' ';
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
    *one = (struct finding){.verdict = verdict, .name = name, .text = buf_take(&b)};
    one->remedy = remedy == NULL ? NULL : mem_strdup(remedy);
    make_one_line(one->text);
    make_one_line(one->remedy);
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
