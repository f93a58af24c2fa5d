/* Bytes with chunks between them. */
#include "kafka-proto/writer.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"

enum { INSERTS_CAPACITY_MIN = 8 };

struct kproto_insert {
    size_t position; /* in the written bytes */
    const struct base_chunk *chunks;
    uint32_t chunks_count;
};

void kproto_writer_init(struct kproto_writer *writer, size_t limit_bytes)
{
    BASE_ASSERT(writer != NULL);

    *writer = (struct kproto_writer){0};
    base_writer_init(&writer->bytes, limit_bytes);
}

void kproto_writer_fini(struct kproto_writer *writer)
{
    base_writer_fini(&writer->bytes);
    base_free(writer->inserts);
    writer->inserts = NULL;
    writer->inserts_count = 0;
    writer->inserts_capacity = 0;
}

size_t kproto_writer_length(const struct kproto_writer *writer)
{
    return writer->bytes.length + writer->inserted_length;
}

static bool grow_inserts(struct kproto_writer *writer)
{
    uint32_t capacity =
        writer->inserts_capacity == 0 ? INSERTS_CAPACITY_MIN : writer->inserts_capacity * 2;
    struct kproto_insert *bigger =
        base_realloc_array(writer->inserts, capacity, sizeof writer->inserts[0]);
    if (bigger == NULL) {
        writer->bytes.err = BASE_ERR_NOMEM;
        return false;
    }
    writer->inserts = bigger;
    writer->inserts_capacity = capacity;
    return true;
}

void kproto_writer_insert(struct kproto_writer *writer, const struct base_chunk *chunks,
                          uint32_t count, size_t length)
{
    BASE_ASSERT(chunks != NULL);
    BASE_ASSERT(count > 0);

    size_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += chunks[i].length;
    }
    BASE_ASSERT(sum == length); /* the length is on the wire already */

    if (writer->bytes.err != BASE_ERR_OK) {
        return;
    }
    if (writer->inserts_count == writer->inserts_capacity && !grow_inserts(writer)) {
        return;
    }
    writer->inserts[writer->inserts_count++] = (struct kproto_insert){
        .position = writer->bytes.length, .chunks = chunks, .chunks_count = count};
    writer->chunks_count += count;
    writer->inserted_length += length;
}

/* Appends the written bytes from *position up to end, if there are any. */
static struct base_chunk *put_bytes(struct base_chunk *next, struct base_buffer *buffer,
                                    size_t *position, size_t end)
{
    if (end > *position) {
        *next++ = (struct base_chunk){
            .buffer = base_buffer_hold(buffer), .position = *position, .length = end - *position};
        *position = end;
    }
    return next;
}

enum base_err kproto_writer_finish(struct kproto_writer *writer, struct base_arena *arena,
                                   struct base_chunk **out, size_t *out_count)
{
    *out = NULL;
    *out_count = 0;
    if (writer->bytes.err != BASE_ERR_OK) {
        return writer->bytes.err;
    }
    size_t count_max = (size_t)writer->chunks_count + writer->inserts_count + 1;
    struct base_chunk *chunks = base_arena_array(arena, count_max, sizeof *chunks);
    if (chunks == NULL) {
        return base_arena_err(arena, count_max * sizeof *chunks);
    }

    size_t length;
    struct base_buffer *buffer = base_writer_take(&writer->bytes, &length);
    struct base_chunk *next = chunks;
    size_t position = 0;
    for (uint32_t i = 0; i < writer->inserts_count; i++) {
        const struct kproto_insert *insert = &writer->inserts[i];
        next = put_bytes(next, buffer, &position, insert->position);
        for (uint32_t k = 0; k < insert->chunks_count; k++) {
            *next++ = base_chunk_hold(&insert->chunks[k]);
        }
    }
    next = put_bytes(next, buffer, &position, length);
    BASE_ASSERT((size_t)(next - chunks) <= count_max);
    base_buffer_release(&buffer);

    writer->inserts_count = 0;
    writer->chunks_count = 0;
    writer->inserted_length = 0;
    *out = chunks;
    *out_count = (size_t)(next - chunks);
    return BASE_ERR_OK;
}
