/* Bump allocation in blocks that double up to a cap; big requests get their own block. */
#include "core/base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"

enum {
    BLOCK_SIZE_MIN = 4096,
    BLOCK_SIZE_MAX = 64 * 1024,
    ALIGNMENT = alignof(max_align_t),
};

struct base_arena_block {
    struct base_arena_block *older; /* owned */
    size_t capacity_bytes;          /* of data */
    size_t used_bytes;
    alignas(max_align_t) unsigned char data[];
};

void base_arena_init(struct base_arena *arena, size_t limit_bytes)
{
    *arena = (struct base_arena){.limit_bytes = limit_bytes};
}

void base_arena_raise(struct base_arena *arena, size_t more_bytes)
{
    size_t room = SIZE_MAX - arena->limit_bytes;
    arena->limit_bytes += more_bytes < room ? more_bytes : room;
}

static void free_blocks(struct base_arena_block *block)
{
    while (block != NULL) {
        struct base_arena_block *older = block->older;
        base_free(block);
        block = older;
    }
}

void base_arena_fini(struct base_arena *arena)
{
    free_blocks(arena->blocks);
    arena->blocks = NULL;
    arena->used_bytes = 0;
}

void base_arena_reset(struct base_arena *arena)
{
    struct base_arena_block *keep = arena->blocks;
    if (keep != NULL && keep->capacity_bytes <= BLOCK_SIZE_MAX) {
        free_blocks(keep->older);
        keep->older = NULL;
        keep->used_bytes = 0;
    } else {
        free_blocks(keep);
        arena->blocks = NULL;
    }
    arena->used_bytes = 0;
}

static struct base_arena_block *add_block(struct base_arena *arena, size_t size_bytes)
{
    size_t capacity_bytes = BLOCK_SIZE_MIN;
    if (arena->blocks != NULL && arena->blocks->capacity_bytes < BLOCK_SIZE_MAX) {
        capacity_bytes = arena->blocks->capacity_bytes * 2;
    } else if (arena->blocks != NULL) {
        capacity_bytes = BLOCK_SIZE_MAX;
    }
    if (capacity_bytes < size_bytes) {
        capacity_bytes = size_bytes;
    }
    struct base_arena_block *block = base_alloc(sizeof *block + capacity_bytes);
    if (block == NULL) {
        return NULL;
    }
    block->capacity_bytes = capacity_bytes;
    block->used_bytes = 0;
    block->older = arena->blocks;
    arena->blocks = block;
    return block;
}

void *base_arena_alloc(struct base_arena *arena, size_t size_bytes)
{
    if (size_bytes > SIZE_MAX / 2) { /* room to round it up and to add a block's head */
        return NULL;
    }
    size_t rounded_bytes = (size_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (rounded_bytes > arena->limit_bytes - arena->used_bytes) {
        return NULL;
    }
    struct base_arena_block *block = arena->blocks;
    if (block == NULL || rounded_bytes > block->capacity_bytes - block->used_bytes) {
        block = add_block(arena, rounded_bytes);
        if (block == NULL) {
            return NULL;
        }
    }
    void *memory = block->data + block->used_bytes;
    block->used_bytes += rounded_bytes;
    arena->used_bytes += rounded_bytes;
    BASE_ASSERT(block->used_bytes <= block->capacity_bytes);
    BASE_ASSERT(arena->used_bytes <= arena->limit_bytes);
    return memory;
}

void *base_arena_array(struct base_arena *arena, size_t count, size_t element_size_bytes)
{
    size_t size_bytes = 0;
    if (__builtin_mul_overflow(count, element_size_bytes, &size_bytes)) {
        return NULL;
    }
    void *memory = base_arena_alloc(arena, size_bytes);
    if (memory != NULL) {
        memset(memory, 0, size_bytes);
    }
    return memory;
}

char *base_arena_strndup(struct base_arena *arena, const char *bytes, size_t length)
{
    if (length == SIZE_MAX) {
        return NULL;
    }
    char *copy = base_arena_alloc(arena, length + 1);
    if (copy != NULL) {
        if (length > 0) {
            memcpy(copy, bytes, length);
        }
        copy[length] = '\0';
    }
    return copy;
}

char *base_arena_printf(struct base_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    BASE_ASSERT(length >= 0);

    char *text = base_arena_alloc(arena, (size_t)length + 1);
    if (text != NULL) {
        va_start(args, format);
        (void)vsnprintf(text, (size_t)length + 1, format, args);
        va_end(args);
    }
    return text;
}
