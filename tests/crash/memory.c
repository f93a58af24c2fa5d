/* The memory layer: preloaded into dmsd, it lets a chosen allocation of dmsd fail, those that the
 * JSON library makes for it included. CRASH_MEMORY_FAULT: see fault.h.
 *
 * Who allocates is told by the return address: what other libraries want for themselves is not
 * ours to give or to take. */
#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/fault.h"

/* The C library's own, which it exports for layers like this one. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

enum { RANGES_MAX = 8 };

static struct range {
    uintptr_t begin;
    uintptr_t end;
} ranges[RANGES_MAX];
static size_t ranges_count;

static int add_ranges(struct dl_phdr_info *info, size_t size, void *context)
{
    bool *is_first = context; /* the program comes first */

    (void)size;
    if (*is_first || strstr(info->dlpi_name, "libjansson") != NULL) {
        for (int i = 0; i < info->dlpi_phnum && ranges_count < RANGES_MAX; i++) {
            const ElfW(Phdr) *header = &info->dlpi_phdr[i];
            if (header->p_type == PT_LOAD && (header->p_flags & PF_X) != 0) {
                uintptr_t begin = info->dlpi_addr + header->p_vaddr;
                ranges[ranges_count++] =
                    (struct range){.begin = begin, .end = begin + header->p_memsz};
            }
        }
    }
    *is_first = false;
    return 0;
}

__attribute__((constructor)) static void start(void)
{
    bool is_first = true;

    fault_open("CRASH_MEMORY_FAULT");
    (void)dl_iterate_phdr(add_ranges, &is_first);
}

static bool fails(const void *caller)
{
    for (size_t i = 0; i < ranges_count; i++) {
        if ((uintptr_t)caller >= ranges[i].begin && (uintptr_t)caller < ranges[i].end) {
            if (fault_count() != FAULT_NONE) {
                errno = ENOMEM;
                return true;
            }
            return false;
        }
    }
    return false;
}

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, size);
}
