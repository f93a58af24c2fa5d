/* CRC-32C (Castagnoli), the checksum of record batches and of every stored object. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Checksum of data appended to bytes whose checksum is crc; start with 0. */
uint32_t base_crc32c(uint32_t crc, const void *data, size_t length);

/* The table-driven form that runs where the processor has no instruction for it. */
uint32_t base_crc32c_portable(uint32_t crc, const void *data, size_t length);

#endif
