/* libFuzzer target: a configuration file of any bytes is taken or refused with one sentence,
 * and what was taken is in range. */
#define _GNU_SOURCE /* memfd_create */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/assert.h"
#include "core/main/broker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_sentence(const char *error)
{
    size_t length = strnlen(error, MAIN_CONFIG_ERROR_SIZE);
    BASE_ASSERT(length > 0);
    BASE_ASSERT(length < MAIN_CONFIG_ERROR_SIZE);
    BASE_ASSERT(memchr(error, '\n', length) == NULL);
}

static void check_ranges(const struct main_config *config)
{
#define CHECK_TEXT(name, least, most) BASE_ASSERT(main_config_text(config, MAIN_##name) != NULL);
#define CHECK_BOOL(name, least, most) (void)main_config_bool(config, MAIN_##name);
#define CHECK_INT(name, least, most)                              \
    BASE_ASSERT(main_config_int(config, MAIN_##name) >= (least)); \
    BASE_ASSERT(main_config_int(config, MAIN_##name) <= (most));
#define CHECK(name, key, type, value, least, most, help) CHECK_##type(name, least, most)
    MAIN_CONFIG_LIST(CHECK)
#undef CHECK
#undef CHECK_INT
#undef CHECK_BOOL
#undef CHECK_TEXT
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[MAIN_CONFIG_ERROR_SIZE] = "";
    char path[64];
    int fd = memfd_create("dmsd-fuzz-config", 0);
    BASE_ASSERT(fd >= 0);
    BASE_ASSERT(write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);

    struct main_config *config = main_config_create();
    BASE_ASSERT(config != NULL);
    if (main_config_load(config, path, error) != BASE_ERR_OK) {
        check_sentence(error);
    } else {
        check_ranges(config);
        if (main_broker_check(config, error) != BASE_ERR_OK) {
            check_sentence(error);
        }
    }
    main_config_close(&config);
    (void)close(fd);
    return 0;
}
