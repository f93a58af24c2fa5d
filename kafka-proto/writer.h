/* Where an encoded frame grows: bytes in memory, and at some positions between them chunks
 * (record batches in a log's buffers and files) that are sent without being copied.
 *
 * One thread. As with base_writer, the first failure sticks in bytes.err and later writes do
 * nothing. */
#ifndef KPROTO_WRITER_H
#define KPROTO_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/chunk.h"
#include "core/base/err.h"
#include "core/base/writer.h"

struct kproto_insert;

/* Public so that it can live on the stack. Plain bytes go straight to `bytes`. */
struct kproto_writer {
    struct base_writer bytes;
    struct kproto_insert *inserts; /* owned; by rising position */
    uint32_t inserts_count;
    uint32_t inserts_capacity;
    uint32_t chunks_count;  /* of all inserts */
    size_t inserted_length; /* bytes of all inserts */
};

/* limit_bytes bounds the bytes in memory, not the inserted chunks. */
void kproto_writer_init(struct kproto_writer *writer, size_t limit_bytes);

/* Drops what was written. */
void kproto_writer_fini(struct kproto_writer *writer);

/* Bytes written so far, inserted chunks included. */
size_t kproto_writer_length(const struct kproto_writer *writer);

/* Sends count chunks after what has been written so far. The chunks are borrowed until the
 * writer is finished or dropped. length is the sum of theirs. */
void kproto_writer_insert(struct kproto_writer *writer, const struct base_chunk *chunks,
                          uint32_t count, size_t length);

/* Turns everything written into one run of chunks, as net_conn_send() takes it: *out is an
 * array in the arena, and each of its chunks holds a reference of its own that the caller
 * owns. The references of inserted chunks stay with their owner, who releases them as
 * before. The writer is empty afterwards and may be used again.
 *
 * Errors, with *out NULL and no reference taken: what bytes.err says; TOO_LARGE or NOMEM
 * from the arena. */
BASE_MUST_USE enum base_err kproto_writer_finish(struct kproto_writer *writer,
                                                 struct base_arena *arena, struct base_chunk **out,
                                                 size_t *out_count);

#endif
