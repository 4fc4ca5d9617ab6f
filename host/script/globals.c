#include "script/globals.h"

#include <stdint.h>
#include <string.h>

enum {
  HEADER_BYTES = 4 + 1 + 1 + 6 + 3, /* signature, version, format, data, three sizes */
  GETTABUP = 11,                    /* R[A] := UpValue[B][K[C]] */
  SETTABUP = 15,                    /* UpValue[A][K[B]] := RK(C) */
  INSTRUCTION_BYTES = 4,
  LEVELS = 200, /* of functions in functions: the compiler allows no more */
  ABSOLUTE = -128,
};

struct text {
  const char *bytes; /* NULL: none, or not a string */
  size_t len;
};

struct reader {
  const unsigned char *at, *end;
  bool broken;
  globals_visit *visit;
  void *ctx;
};

/* A list as it stands there: `count` of something that begins at `at`. */
struct part {
  const unsigned char *at;
  size_t count;
};

static const unsigned char *take(struct reader *reader, size_t len) {
  const unsigned char *at = reader->at;
  if (len > (size_t)(reader->end - at)) {
    reader->broken = true;
    reader->at = reader->end;
    return NULL;
  }
  reader->at += len;
  return at;
}

static unsigned take_byte(struct reader *reader) {
  const unsigned char *at = take(reader, 1);
  return at ? *at : 0;
}

/* Seven bits a byte, the highest first; the last byte is marked. */
static size_t take_size(struct reader *reader) {
  size_t size = 0;
  for (int i = 0; i < 10 && !reader->broken; i++) {
    unsigned byte = take_byte(reader);
    size = size << 7 | (byte & 0x7f);
    if (byte & 0x80) return size;
  }
  reader->broken = true;
  return 0;
}

static struct text take_text(struct reader *reader) {
  size_t size = take_size(reader);
  if (size == 0) return (struct text){0};
  return (struct text){(const char *)take(reader, size - 1), size - 1};
}

static struct part take_list(struct reader *reader, size_t item_bytes) {
  struct part part = {.count = take_size(reader)};
  if (part.count > (size_t)(reader->end - reader->at) / item_bytes) reader->broken = true;
  part.at = reader->broken ? NULL : take(reader, part.count * item_bytes);
  return part;
}

static struct text take_constant(struct reader *reader) {
  switch (take_byte(reader)) {
  case 0x04: /* strings, short and long */
  case 0x14: return take_text(reader);
  case 0x03: /* an integer, a float */
  case 0x13: take(reader, 8); return (struct text){0};
  case 0x00: /* nil, false, true */
  case 0x01:
  case 0x11: return (struct text){0};
  default: reader->broken = true; return (struct text){0};
  }
}

/* The text of this number in a list, which is read again up to there; a reader that is not broken stays so.
 */
static struct text text_at(struct reader *reader, const struct part *part, size_t n,
                           struct text (*take_one)(struct reader *)) {
  const unsigned char *before = reader->at;
  struct text text = {0};
  if (n >= part->count) return text;
  reader->at = part->at;
  for (size_t i = 0; i <= n; i++) text = take_one(reader);
  reader->at = before;
  return text;
}

static struct part take_texts(struct reader *reader, struct text (*take_one)(struct reader *)) {
  struct part part = {.count = take_size(reader)};
  part.at = reader->at;
  for (size_t i = 0; i < part.count && !reader->broken; i++) take_one(reader);
  return part;
}

/* ---- one function ---- */

struct function {
  int line; /* where it begins */
  struct part code, constants, lines, absolute, upvalues;
};

/* The line of an instruction whose own is not told as a step from the one before. */
static int absolute_line(const struct reader *reader, const struct function *function, size_t pc) {
  struct reader again = {.at = function->absolute.at, .end = reader->end};
  for (size_t i = 0; i < function->absolute.count && !again.broken; i++) {
    size_t at = take_size(&again), line = take_size(&again);
    if (at == pc) return (int)line;
  }
  return function->line;
}

static bool is_environment(struct reader *reader, const struct function *function, unsigned upvalue) {
  struct text name = text_at(reader, &function->upvalues, upvalue, take_text);
  return name.bytes && name.len == 4 && memcmp(name.bytes, "_ENV", 4) == 0;
}

static void look_at(struct reader *reader, const struct function *function, uint32_t instruction, int line) {
  unsigned op = instruction & 0x7f, a = instruction >> 7 & 0xff, b = instruction >> 16 & 0xff,
           c = instruction >> 24;
  if (op != GETTABUP && op != SETTABUP) return;
  if (!is_environment(reader, function, op == GETTABUP ? b : a)) return;
  struct text name = text_at(reader, &function->constants, op == GETTABUP ? c : b, take_constant);
  if (name.bytes) reader->visit(reader->ctx, name.bytes, name.len, line, op == SETTABUP);
}

static void look_through(struct reader *reader, const struct function *function) {
  int line = function->line;
  for (size_t pc = 0; pc < function->code.count; pc++) {
    uint32_t instruction;
    int step = pc < function->lines.count ? (signed char)function->lines.at[pc] : 0;
    line = step == ABSOLUTE ? absolute_line(reader, function, pc) : line + step;
    memcpy(&instruction, function->code.at + pc * INSTRUCTION_BYTES, INSTRUCTION_BYTES);
    look_at(reader, function, instruction, line);
  }
}

static void take_pairs(struct reader *reader, size_t count) {
  for (size_t i = 0; i < count && !reader->broken; i++) take_size(reader), take_size(reader);
}

static void take_function(struct reader *reader, unsigned level) {
  struct function function;
  take_text(reader); /* the source's name */
  function.line = (int)take_size(reader);
  take_size(reader); /* the last line */
  take(reader, 3);   /* parameters, varargs, stack */
  function.code = take_list(reader, INSTRUCTION_BYTES);
  function.constants = take_texts(reader, take_constant);
  take_list(reader, 3); /* upvalues: in stack, index, kind */
  size_t count = take_size(reader);
  if (level == LEVELS) reader->broken = true;
  for (size_t i = 0; i < count && !reader->broken; i++) take_function(reader, level + 1);
  function.lines = take_list(reader, 1);
  function.absolute.count = take_size(reader);
  function.absolute.at = reader->at;
  take_pairs(reader, function.absolute.count);
  count = take_size(reader); /* local variables: a name and two places */
  for (size_t i = 0; i < count && !reader->broken; i++) take_text(reader), take_pairs(reader, 1);
  function.upvalues = take_texts(reader, take_text);
  if (!reader->broken) look_through(reader, &function);
}

bool globals_each(const char *code, size_t len, globals_visit *visit, void *ctx) {
  struct reader reader = {.at = (const unsigned char *)code, .visit = visit, .ctx = ctx};
  reader.end = reader.at + len;
  const unsigned char *header = take(&reader, HEADER_BYTES);
  if (!header || memcmp(header, "\033Lua\x54\0", 6) != 0 || header[12] != INSTRUCTION_BYTES ||
      header[13] != 8 || header[14] != 8)
    return false;
  take(&reader, 8 + 8 + 1); /* a number of each kind, and how many upvalues */
  take_function(&reader, 0);
  return !reader.broken;
}
