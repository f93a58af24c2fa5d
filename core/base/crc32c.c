/* CRC-32C in three forms, one of which is chosen at the first call.
 *
 * The processor's CRC instruction takes 8 bytes a cycle but answers three cycles
 * later, so three stretches of the data run side by side. A stretch's checksum is
 * then moved over the n bytes that follow it: times x^(8n) modulo the polynomial.
 * The carry-less multiplication gives the 64-bit product, the CRC instruction itself
 * does the modulo (and multiplies by x^32; reflected operands add another x, hence
 * the 33 below).
 *
 * Bit order: bit 31 of a checksum is the coefficient of x^0. */
#include "core/base/crc32c.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_INSTRUCTION 1
#define TARGET __attribute__((target("sse4.2,pclmul")))
#elif defined(__aarch64__)
#include <arm_neon.h>
#include <sys/auxv.h>
#define HAVE_INSTRUCTION 1
#define TARGET /* the assembler is told in place */
#else
#define HAVE_INSTRUCTION 0
#endif

enum {
    SLICES_COUNT = 8,
    WORD_SIZE = 8,
    WORDS_MAX = 128,     /* of one stretch */
    STRETCH_MIN = 2 * 8, /* bytes; below, three in a row are faster than merging */
};

static const uint32_t polynomial = 0x82f63b78U; /* reflected */

static uint64_t load_word(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are taken low byte first");

/* slices[k][b]: what byte b does to the checksum when k more bytes follow it. */
static uint32_t slices[SLICES_COUNT][256];
static pthread_once_t slices_once = PTHREAD_ONCE_INIT;

static void make_slices(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (polynomial & (~(crc & 1) + 1));
        }
        slices[0][byte] = crc;
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        for (unsigned k = 1; k < SLICES_COUNT; k++) {
            uint32_t before = slices[k - 1][byte];
            slices[k][byte] = before >> 8 ^ slices[0][before & 0xff];
        }
    }
}

uint32_t base_crc32c_portable(uint32_t crc, const void *data, size_t length)
{
    const uint8_t *bytes = data;

    (void)pthread_once(&slices_once, make_slices);
    crc = ~crc;
    for (; length >= WORD_SIZE; length -= WORD_SIZE, bytes += WORD_SIZE) {
        uint64_t word = load_word(bytes) ^ crc;
        uint32_t low = slices[7][word & 0xff] ^ slices[6][word >> 8 & 0xff] ^
                       slices[5][word >> 16 & 0xff] ^ slices[4][word >> 24 & 0xff];
        uint32_t high = slices[3][word >> 32 & 0xff] ^ slices[2][word >> 40 & 0xff] ^
                        slices[1][word >> 48 & 0xff] ^ slices[0][word >> 56];
        crc = low ^ high;
    }
    for (; length > 0; length--, bytes++) {
        crc = crc >> 8 ^ slices[0][(crc ^ *bytes) & 0xff];
    }
    return ~crc;
}

typedef uint32_t crc_function(uint32_t crc, const void *data, size_t length);

#if HAVE_INSTRUCTION

/* What moves a checksum over one and over two stretches of `words` words. */
struct shift {
    uint64_t over_one;
    uint64_t over_two;
};
static struct shift shifts[WORDS_MAX + 1]; /* [0] unused */

#if defined(__x86_64__)

TARGET static inline uint64_t crc_word(uint64_t crc, uint64_t word)
{
    return _mm_crc32_u64(crc, word);
}

TARGET static inline uint64_t crc_byte(uint64_t crc, uint8_t byte)
{
    return _mm_crc32_u8((uint32_t)crc, byte);
}

TARGET static inline uint64_t multiply(uint64_t a, uint64_t b)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)a), _mm_cvtsi64_si128((int64_t)b), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

static bool have_instruction(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

#else

/* Assembly, because compilers differ in how they offer these without -march. */
static inline uint64_t crc_word(uint64_t crc, uint64_t word)
{
    uint32_t out;
    __asm__(".arch_extension crc\n\tcrc32cx %w0, %w1, %x2"
            : "=r"(out)
            : "r"((uint32_t)crc), "r"(word));
    return out;
}

static inline uint64_t crc_byte(uint64_t crc, uint8_t byte)
{
    uint32_t out;
    __asm__(".arch_extension crc\n\tcrc32cb %w0, %w1, %w2"
            : "=r"(out)
            : "r"((uint32_t)crc), "r"((uint32_t)byte));
    return out;
}

static inline uint64_t multiply(uint64_t a, uint64_t b)
{
    uint64x2_t product;
    __asm__(".arch_extension aes\n\tpmull %0.1q, %1.1d, %2.1d"
            : "=w"(product)
            : "w"(vdupq_n_u64(a)), "w"(vdupq_n_u64(b)));
    return vgetq_lane_u64(product, 0);
}

static bool have_instruction(void)
{
    enum { HWCAP_BIT_PMULL = 1 << 4, HWCAP_BIT_CRC32 = 1 << 7 };
    unsigned long capabilities = getauxval(AT_HWCAP);
    return (capabilities & HWCAP_BIT_PMULL) != 0 && (capabilities & HWCAP_BIT_CRC32) != 0;
}

#endif

/* Three stretches of `words` words each. */
TARGET static inline uint64_t crc_stretches(uint64_t crc, const uint8_t *bytes, size_t words)
{
    const uint8_t *first = bytes;
    const uint8_t *second = bytes + words * WORD_SIZE;
    const uint8_t *third = second + words * WORD_SIZE;
    uint64_t crc_second = 0;
    uint64_t crc_third = 0;

    for (size_t i = 0; i < words; i++) {
        crc = crc_word(crc, load_word(first + i * WORD_SIZE));
        crc_second = crc_word(crc_second, load_word(second + i * WORD_SIZE));
        crc_third = crc_word(crc_third, load_word(third + i * WORD_SIZE));
    }
    uint64_t moved =
        multiply(crc, shifts[words].over_two) ^ multiply(crc_second, shifts[words].over_one);
    return crc_word(0, moved) ^ crc_third;
}

TARGET static uint32_t crc_fast(uint32_t seed, const void *data, size_t length)
{
    const size_t whole = (size_t)WORDS_MAX * WORD_SIZE * 3;
    const uint8_t *bytes = data;
    uint64_t crc = ~seed;

    while (length >= whole) {
        crc = crc_stretches(crc, bytes, WORDS_MAX);
        bytes += whole;
        length -= whole;
    }
    if (length >= (size_t)STRETCH_MIN * 3) {
        size_t words = length / ((size_t)WORD_SIZE * 3);
        crc = crc_stretches(crc, bytes, words);
        bytes += words * (size_t)WORD_SIZE * 3;
        length -= words * (size_t)WORD_SIZE * 3;
    }
    for (; length >= WORD_SIZE; length -= WORD_SIZE, bytes += WORD_SIZE) {
        crc = crc_word(crc, load_word(bytes));
    }
    for (; length > 0; length--, bytes++) {
        crc = crc_byte(crc, *bytes);
    }
    return ~(uint32_t)crc;
}

/* value times x^count modulo the polynomial. */
static uint32_t times_x(uint32_t value, unsigned count)
{
    while (count-- > 0) {
        value = value >> 1 ^ (polynomial & (~(value & 1) + 1));
    }
    return value;
}

static void make_shifts(void)
{
    enum { WORD_BITS = 64, LOST = 33 }; /* LOST: see the top of this file */
    static_assert(WORD_BITS > LOST, "the smallest power is positive");
    uint32_t powers[2 * WORDS_MAX + 1]; /* [i] = x^(64 i - 33) */

    powers[1] = times_x(0x80000000U, WORD_BITS - LOST);
    for (unsigned i = 2; i <= 2 * WORDS_MAX; i++) {
        powers[i] = times_x(powers[i - 1], WORD_BITS);
    }
    for (unsigned words = 1; words <= WORDS_MAX; words++) {
        shifts[words].over_one = powers[words];
        shifts[words].over_two = powers[(size_t)2 * words];
    }
}

static pthread_once_t shifts_once = PTHREAD_ONCE_INIT;

static crc_function *choose(void)
{
    if (!have_instruction()) {
        return base_crc32c_portable;
    }
    (void)pthread_once(&shifts_once, make_shifts);
    return crc_fast;
}

#else

static crc_function *choose(void)
{
    return base_crc32c_portable;
}

#endif

static uint32_t choose_and_run(uint32_t crc, const void *data, size_t length);

/* Acquire goes with the tables that choose() filled; on x86 it is a plain load. */
static _Atomic(crc_function *) chosen = choose_and_run;

static uint32_t choose_and_run(uint32_t crc, const void *data, size_t length)
{
    crc_function *function = choose();
    atomic_store_explicit(&chosen, function, memory_order_release);
    return function(crc, data, length);
}

uint32_t base_crc32c(uint32_t crc, const void *data, size_t length)
{
    crc_function *function = atomic_load_explicit(&chosen, memory_order_acquire);
    return function(crc, data, length);
}
