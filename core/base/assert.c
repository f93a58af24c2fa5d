/* The end of the program when a promise inside it is broken. */
#include "core/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void base_assert_fail(const char *condition, const char *file, int line)
{
    fprintf(stderr, "event=ASSERTION_FAILED condition=\"%s\" file=%s line=%d\n", condition, file,
            line);
    abort();
}
