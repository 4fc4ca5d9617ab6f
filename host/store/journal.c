#include "store/journal.h"

#include <string.h>

static void put_number(struct buf *out, uint64_t n) {
  char bytes[10];
  size_t len = 0;
  for (; n >= 0x80; n >>= 7) bytes[len++] = (char)(n | 0x80);
  bytes[len++] = (char)n;
  buf_add(out, bytes, len);
}

static void put_time(struct buf *out, int64_t ms) {
  put_number(out, ((uint64_t)ms << 1) ^ (ms < 0 ? UINT64_MAX : 0));
}

static void put_text(struct buf *out, const char *text, size_t len) {
  put_number(out, len);
  buf_add(out, text, len);
}

void journal_begin(struct buf *out, uint64_t epoch) {
  buf_putc(out, JOURNAL_VERSION);
  put_number(out, epoch);
}

void journal_bucket(struct buf *out, const char *name) {
  buf_putc(out, 'b');
  put_text(out, name, strlen(name));
}

void journal_put(struct buf *out, const char *key, size_t key_len, const char *json, size_t json_len,
                 int64_t expires_at_ms) {
  buf_putc(out, 'p');
  put_text(out, key, key_len);
  put_time(out, expires_at_ms);
  put_text(out, json, json_len);
}

void journal_erase(struct buf *out, const char *key, size_t key_len) {
  buf_putc(out, 'e');
  put_text(out, key, key_len);
}

void journal_erase_like(struct buf *out, const char *pattern, size_t len, int64_t moment_ms) {
  buf_putc(out, 'l');
  put_text(out, pattern, len);
  put_time(out, moment_ms);
}

static uint64_t get_number(struct journal_reader *reader) {
  uint64_t n = 0;
  for (int shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
    unsigned char byte = *reader->at++;
    n |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80) return n;
  }
  reader->broken = true;
  return 0;
}

static int64_t get_time(struct journal_reader *reader) {
  uint64_t n = get_number(reader);
  return (int64_t)(n >> 1) ^ -(int64_t)(n & 1);
}

static const char *get_text(struct journal_reader *reader, size_t *len) {
  uint64_t n = get_number(reader);
  if (n > (uint64_t)(reader->end - reader->at)) reader->broken = true;
  *len = reader->broken ? 0 : (size_t)n;
  const char *text = (const char *)reader->at;
  reader->at += *len;
  return text;
}

void journal_read(struct journal_reader *reader, const void *bytes, size_t len) {
  *reader = (struct journal_reader){.at = bytes, .end = (const unsigned char *)bytes + len};
  if (len == 0 || *reader->at++ != JOURNAL_VERSION)
    reader->broken = true;
  else
    reader->epoch = get_number(reader);
}

bool journal_next(struct journal_reader *reader, struct journal_change *change) {
  while (!reader->broken && reader->at < reader->end) {
    char op = (char)*reader->at++;
    if (op == 'b') {
      reader->bucket = get_text(reader, &reader->bucket_len);
      continue;
    }
    *change = (struct journal_change){.op = op, .bucket = reader->bucket, .bucket_len = reader->bucket_len};
    change->key = get_text(reader, &change->key_len);
    if (op == 'p' || op == 'l') change->time_ms = get_time(reader);
    if (op == 'p') change->json = get_text(reader, &change->json_len);
    if (!reader->bucket || (op != 'p' && op != 'e' && op != 'l')) reader->broken = true;
    return !reader->broken;
  }
  return false;
}
