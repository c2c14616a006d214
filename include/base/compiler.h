/* base/compiler.h - what we ask of the compiler, under short names.
 *
 * NODISCARD     the caller must look at the result.
 * PRINTF(f, a)  argument f is a printf format, a the first value.
 * UNUSED        a parameter that a callback type demands and this function does not need.
 */
#ifndef SPINE_BASE_COMPILER_H
#define SPINE_BASE_COMPILER_H

#define NODISCARD    __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define UNUSED       __attribute__((unused))
#define NORETURN     __attribute__((noreturn))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
