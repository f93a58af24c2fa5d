/* Intrusive doubly linked list with a sentinel. Every operation is O(1).
 *
 * Threads: none of its own; whoever owns the head guards the list. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/assert.h"

/* A head or a node. A node outside every list has next == NULL. */
struct base_list {
    struct base_list *next;
    struct base_list *prev;
};

/* The object whose `member` is at `node`. */
#define BASE_CONTAINER_OF(node, type, member) \
    ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void base_list_init(struct base_list *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool base_list_is_empty(const struct base_list *head)
{
    return head->next == head;
}

static inline bool base_list_is_linked(const struct base_list *node)
{
    return node->next != NULL;
}

/* Puts node in front of position; with the head as position that is the end of the list. */
static inline void base_list_insert_before(struct base_list *position, struct base_list *node)
{
    BASE_ASSERT(node->next == NULL);
    node->prev = position->prev;
    node->next = position;
    position->prev->next = node;
    position->prev = node;
}

static inline void base_list_push_back(struct base_list *head, struct base_list *node)
{
    base_list_insert_before(head, node);
}

static inline void base_list_push_front(struct base_list *head, struct base_list *node)
{
    base_list_insert_before(head->next, node);
}

static inline void base_list_remove(struct base_list *node)
{
    BASE_ASSERT(node->next != NULL);
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = NULL;
    node->prev = NULL;
}

/* First node, removed; NULL when the list is empty. */
static inline struct base_list *base_list_pop_front(struct base_list *head)
{
    if (base_list_is_empty(head)) {
        return NULL;
    }
    struct base_list *node = head->next;
    base_list_remove(node);
    return node;
}

/* Moves all nodes of source to the end of target; source is empty afterwards. */
static inline void base_list_splice_back(struct base_list *target, struct base_list *source)
{
    if (base_list_is_empty(source)) {
        return;
    }
    source->next->prev = target->prev;
    target->prev->next = source->next;
    source->prev->next = target;
    target->prev = source->prev;
    base_list_init(source);
}

#endif
