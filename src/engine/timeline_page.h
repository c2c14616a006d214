/* The page that engine/timeline fills, share/timeline.html; build-aux/embed makes it a source. */
#ifndef SPINE_ENGINE_TIMELINE_PAGE_H
#define SPINE_ENGINE_TIMELINE_PAGE_H

#include <stddef.h>

extern const unsigned char timeline_page[];
extern const size_t timeline_page_len;

#endif
