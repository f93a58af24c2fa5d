/* Tagged fields on the wire, for message bodies and frame headers. */
#ifndef KPROTO_DECODE_PRIV_H
#define KPROTO_DECODE_PRIV_H

#include "core/base/reader.h"

/* Reads one tagged field of a section. *previous starts at -1: tags must rise (KIP-482),
 * which also refuses duplicates. False after failure. */
bool kproto__tag_take(struct base_reader *reader, int64_t *previous, struct base_slice *value);

#endif
