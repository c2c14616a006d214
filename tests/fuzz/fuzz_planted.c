/* A property that does not hold, as scripts/fuzz must notice: for the word "spine" alone. */
#include "config.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    char *word = feed_text(&f, '\n');
    CHECK(strcmp(word, "spine") != 0);
    free(word);
    return 0;
}
