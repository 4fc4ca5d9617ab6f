/* A doubly linked list of the structs that embed its node. The head is a node too, linked to itself when the
 * list is empty. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
  struct list *prev, *next;
};

/* The struct of this type in which `node` is the member called `member`. */
#define list_of(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *head) {
  head->prev = head->next = head;
}

static inline bool list_empty(const struct list *head) {
  return head->next == head;
}

static inline void list_add(struct list *head, struct list *node) { /* at the end */
  node->prev = head->prev;
  node->next = head;
  head->prev->next = node;
  head->prev = node;
}

static inline void list_take(struct list *node) { /* safe on a node that is in no list but initialised */
  node->prev->next = node->next;
  node->next->prev = node->prev;
  list_init(node);
}

/* Takes the first node out; NULL when there is none. */
static inline struct list *list_pop(struct list *head) {
  struct list *node = head->next;
  if (node == head) return NULL;
  list_take(node);
  return node;
}

/* Moves all of `from` to the end of `to`. */
static inline void list_join(struct list *to, struct list *from) {
  if (list_empty(from)) return;
  from->next->prev = to->prev;
  to->prev->next = from->next;
  from->prev->next = to;
  to->prev = from->prev;
  list_init(from);
}

#endif
