/* app/version.h - what --version prints.
 *
 * Threads: main thread.
 */
#ifndef SPINE_APP_VERSION_H
#define SPINE_APP_VERSION_H

void version_print(void);

#endif
