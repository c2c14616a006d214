/* The main of a fuzz target without libFuzzer: runs its corpus, or the files named by its arguments.  Each file runs
 * whole and cut at each of its first bytes, as an input that ends early is the commonest kind of damage. */
#include "config.h"

#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

enum { CUTS_MAX = 300 };

static bool replay_read(const char *path, struct buf *input)
{
    char chunk[4096];
    size_t n;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_append(input, chunk, n);
    bool read = ferror(f) == 0;
    return fclose(f) == 0 && read;
}

/* In memory of exactly that size. */
static void replay_bytes(const char *bytes, size_t len)
{
    uint8_t *copy = mem_alloc(len + 1);
    if (len > 0)
        memcpy(copy + 1, bytes, len);
    (void)LLVMFuzzerTestOneInput(copy + 1, len);
    free(copy);
}

static bool replay_file(const char *path)
{
    struct buf input = BUF_INIT;
    bool read = replay_read(path, &input);
    if (!read)
        perror(path);
    else
        fprintf(stderr, "%s\n", path); /* if it aborts, the last line says where */
    for (size_t cut = 0; read && cut < input.len && cut < CUTS_MAX; cut++)
        replay_bytes(input.data, cut);
    if (read)
        replay_bytes(buf_str(&input), input.len);
    buf_done(&input);
    return read;
}

/* false: not one file, or one that cannot be read. */
static bool replay_folder(const char *path)
{
    size_t count = 0;
    bool good = true;
    DIR *dir = opendir(path);
    for (const struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        struct buf file = BUF_INIT;
        buf_printf(&file, "%s/%s", path, e->d_name);
        good = replay_file(file.data) && good;
        buf_done(&file);
        count++;
    }
    if (dir == NULL || closedir(dir) != 0)
        perror(path);
    printf("%zu inputs\n", count);
    return good && count > 0;
}

int main(int argc, char **argv)
{
    bool good = true;
    for (int i = 1; i < argc; i++)
        good = replay_file(argv[i]) && good;
    if (argc > 1)
        return good ? EXIT_SUCCESS : EXIT_FAILURE;
    const char *tests = getenv("TEST_SRCDIR"), *name = strstr(argv[0], "fuzz_");
    for (const char *later; name != NULL && (later = strstr(name + 1, "fuzz_")) != NULL;)
        name = later;
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/fuzz/corpus/%s", tests != NULL ? tests : "tests",
               name != NULL ? name + strlen("fuzz_") : argv[0]);
    good = replay_folder(path.data);
    buf_done(&path);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
