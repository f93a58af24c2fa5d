/* Assertions that stay on in release builds: a broken promise inside the
 * program stops it before it can write anything wrong. Never for input. */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#define BASE_ASSERT(condition)                    \
    (__builtin_expect(!!(condition), 1) ? (void)0 \
                                        : base_assert_fail(#condition, __FILE__, __LINE__))

/* A place that cannot be reached; text says why. */
#define BASE_UNREACHABLE(text) base_assert_fail((text), __FILE__, __LINE__)

/* Prints the broken condition to standard error and aborts. */
_Noreturn void base_assert_fail(const char *condition, const char *file, int line);

#endif
