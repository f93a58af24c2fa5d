/* Decompression of what clients put into a batch, with a hard bound on memory.
 *
 * gzip members; snappy raw (librdkafka) and in xerial blocks (Java); lz4 frames;
 * zstd frames. No size that the data declares is believed before it is compared
 * with what the writer may still take. */
#ifndef LOGSTORE_COMPRESSION_H
#define LOGSTORE_COMPRESSION_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/base/writer.h"
#include "logstore/batch.h"

/* Appends the plain bytes of `packed` to out, at most to its limit. Streams must be
 * complete and nothing may follow them. From any thread.
 *
 *   MALFORMED    packed is not what codec says, or ends early
 *   TOO_LARGE    the plain bytes do not fit in out's limit
 *   UNSUPPORTED  no such codec (NONE just copies)
 *   NOMEM
 * On error out holds an unspecified part of the data: drop it. */
BASE_MUST_USE enum base_err logstore_decompress(unsigned codec, struct base_slice packed,
                                                struct base_writer *out);

#endif
