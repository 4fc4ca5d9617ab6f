/* JSON and tables, for people. */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include "link/console.h"

/* Appends the value over several lines, indented, coloured where standard output is. */
void print_pretty(const struct console *console, struct buf *out, const char *json, size_t len);

/* Appends the rows of `select` as a table as wide as the terminal. */
void print_table(const struct console *console, struct buf *out, const char *rows, size_t len);

#endif
