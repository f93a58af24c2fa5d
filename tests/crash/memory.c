/* The memory layer: preloaded into dmsd, it lets a chosen allocation of dmsd fail.
 * CRASH_MEMORY_FAULT: see fault.h.
 *
 * Who allocates is told by the return address: what libraries want for themselves is not counted.
 * Nor is what Jansson allocates through dmsd: an allocation that fails inside its parser leaves
 * its buffers inconsistent (2.14: an assertion of its own, or a damaged heap). */
#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <stdlib.h>

#include "tests/crash/fault.h"

/* The C library's own, which it exports for layers like this one. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static uintptr_t code_begin; /* the program's */
static uintptr_t code_end;

/* Called for the program first, and for nothing else. */
static int find_code(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    (void)context;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD && (header->p_flags & PF_X) != 0) {
            code_begin = info->dlpi_addr + header->p_vaddr;
            code_end = code_begin + header->p_memsz;
        }
    }
    return 1;
}

__attribute__((constructor)) static void start(void)
{
    fault_open("CRASH_MEMORY_FAULT");
    (void)dl_iterate_phdr(find_code, NULL);
}

static bool fails(const void *caller)
{
    if ((uintptr_t)caller < code_begin || (uintptr_t)caller >= code_end ||
        fault_count() == FAULT_NONE) {
        return false;
    }
    errno = ENOMEM;
    return true;
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
