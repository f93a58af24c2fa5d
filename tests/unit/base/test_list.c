/* The list: order, removal, splice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/list.h"

struct item {
    int number;
    struct base_list link;
};

static void assert_order(const struct base_list *head, const int *numbers, size_t count)
{
    const struct base_list *node = head->next;
    const struct base_list *previous = head;
    for (size_t i = 0; i < count; i++) {
        assert_ptr_not_equal(node, head);
        assert_ptr_equal(node->prev, previous);
        const struct item *item = BASE_CONTAINER_OF(node, struct item, link);
        assert_int_equal(item->number, numbers[i]);
        previous = node;
        node = node->next;
    }
    assert_ptr_equal(node, head);
}

static void nodes_keep_their_order(void **state)
{
    (void)state;
    struct base_list head;
    struct item items[4] = {{1, {0}}, {2, {0}}, {3, {0}}, {4, {0}}};

    base_list_init(&head);
    assert_true(base_list_is_empty(&head));
    assert_null(base_list_pop_front(&head));
    base_list_push_back(&head, &items[0].link);
    base_list_push_back(&head, &items[1].link);
    base_list_push_front(&head, &items[2].link);
    base_list_insert_before(&items[1].link, &items[3].link);
    assert_order(&head, (const int[]){3, 1, 4, 2}, 4);

    base_list_remove(&items[0].link);
    assert_false(base_list_is_linked(&items[0].link));
    assert_true(base_list_is_linked(&items[3].link));
    assert_order(&head, (const int[]){3, 4, 2}, 3);
    base_list_push_back(&head, &items[0].link); /* a removed node may go in again */
    assert_ptr_equal(base_list_pop_front(&head), &items[2].link);
    assert_order(&head, (const int[]){4, 2, 1}, 3);
}

static void splice_moves_everything(void **state)
{
    (void)state;
    struct base_list first;
    struct base_list second;
    struct item items[3] = {{1, {0}}, {2, {0}}, {3, {0}}};

    base_list_init(&first);
    base_list_init(&second);
    base_list_splice_back(&first, &second);
    assert_true(base_list_is_empty(&first));

    base_list_push_back(&second, &items[0].link);
    base_list_push_back(&second, &items[1].link);
    base_list_splice_back(&first, &second);
    assert_true(base_list_is_empty(&second));
    assert_order(&first, (const int[]){1, 2}, 2);

    base_list_push_back(&second, &items[2].link);
    base_list_splice_back(&first, &second);
    assert_order(&first, (const int[]){1, 2, 3}, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_keep_their_order),
        cmocka_unit_test(splice_moves_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
