/* base/compiler.h - what we ask of the compiler, under short names.
 *
 * NODISCARD     the caller must look at the result.
 * PRINTF(f, a)  argument f is a printf format, a the first value.
 * UNUSED        a parameter that a callback type demands and this function does not need.
 *
 * Locks, as clang checks them (-Wthread-safety); other compilers see nothing:
 *
 * CAPABILITY(what)     a type whose objects are held: a mutex, a role.
 * GUARDED              a member that is only touched while a lock is held; which one, the comment says.
 * GUARDED_BY(lock)     the same for a variable of the file, whose lock the compiler can name.
 * REQUIRES(lock)       the caller holds it.    EXCLUDES(lock)       the caller does not.
 * ACQUIRE, RELEASE, TRY_ACQUIRE(result, lock)  what a function does to a lock.
 * ASSERTS(role)        checks at run time that the caller holds it.
 * UNCHECKED_LOCKS      a function that makes or ends what is guarded, when no other thread knows it.
 */
#ifndef SPINE_BASE_COMPILER_H
#define SPINE_BASE_COMPILER_H

#define NODISCARD    __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define UNUSED       __attribute__((unused))
#define NORETURN     __attribute__((noreturn))

#ifdef __clang__
#define LOCK_ATTRIBUTE(x) __attribute__((x))
#else
#define LOCK_ATTRIBUTE(x)
#endif
#define CAPABILITY(what)          LOCK_ATTRIBUTE(capability(what))
#define GUARDED                   LOCK_ATTRIBUTE(guarded_var)
#define GUARDED_BY(lock)          LOCK_ATTRIBUTE(guarded_by(lock))
#define REQUIRES(...)             LOCK_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define EXCLUDES(...)             LOCK_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...)              LOCK_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define RELEASE(...)              LOCK_ATTRIBUTE(release_capability(__VA_ARGS__))
#define TRY_ACQUIRE(result, lock) LOCK_ATTRIBUTE(try_acquire_capability(result, lock))
#define ASSERTS(role)             LOCK_ATTRIBUTE(assert_capability(role))
#define UNCHECKED_LOCKS           LOCK_ATTRIBUTE(no_thread_safety_analysis)

#define ARRAY_LEN(a)              (sizeof(a) / sizeof((a)[0]))

#endif
