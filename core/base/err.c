/* Texts of the result codes. */
#include "core/base/err.h"

#include "core/base/assert.h"

#define BASE_ERR_TEXT_ROW(name, text) text,
static const char *const texts[BASE_ERR_COUNT] = {BASE_ERR_LIST(BASE_ERR_TEXT_ROW)};
#undef BASE_ERR_TEXT_ROW

const char *base_err_text(enum base_err err)
{
    BASE_ASSERT(err < BASE_ERR_COUNT);
    return texts[err];
}
