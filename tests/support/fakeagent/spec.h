/*
 * The spec: text that says which agents exist and how they behave (README.md has the language).
 *
 * The same parser reads the file at the start and, line by line, what a test writes to stdin later.
 * Errors are "file:line: message" in `error`.
 */
#ifndef FAKEAGENT_SPEC_H
#define FAKEAGENT_SPEC_H

#include "agent.h"

enum { SPEC_MAX_OBJECTS = 1000000, SPEC_MAX_AGENTS = 1000000 };

struct spec {
    struct farm *farm;
    const char *file;
    int line;
    int64_t now_ms; /* when the lines take effect */
    struct set *current;
    bool v6;        /* some agent lives on ::1 */
    char *log_path; /* from the log directive, or NULL */
    char error[512];
};

void spec_init(struct spec *s, struct farm *farm, const char *file);
/* Reads the whole file. */
bool spec_load(struct spec *s);
/* One line, which is changed in place. Sets are fit for requests afterwards. */
bool spec_line(struct spec *s, char *text);

#endif
