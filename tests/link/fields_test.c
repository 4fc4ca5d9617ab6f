/* Reading a few members of an object. */
#include <string.h>

#include "check.h"
#include "link/fields.h"

static enum fields_verdict read_two(const char *text, struct field fields[2], bool strict, struct err *err) {
  fields[0].name = "a";
  fields[1].name = "b";
  return fields_read(text, strlen(text), fields, 2, strict, err);
}

TEST(members_are_found_as_slices) {
  struct field f[2];
  CHECK_INT(read_two(" { \"x\" : [ {\"a\":0} ], \"a\" : { \"b\": [1, 2] } , \"\\u0062\":\"t\\n\" } ", f,
                     false, NULL),
            FIELDS_OK);
  CHECK_INT(f[0].type, JSON_OBJECT);
  CHECK_BYTES(f[0].at, f[0].len, "{ \"b\": [1, 2] }", 15);
  CHECK_INT(f[1].type, JSON_STRING);
  struct buf text = {0};
  CHECK(field_text(&f[1], &text));
  CHECK_BYTES(text.data, text.len, "t\n", 2);
  CHECK(!field_text(&f[0], &text));
  buf_deinit(&text);
}

TEST(the_last_of_doubled_members_counts_and_absent_ones_are_told) {
  struct field f[2];
  CHECK_INT(read_two("{\"a\":1,\"a\":22}", f, false, NULL), FIELDS_OK);
  CHECK_BYTES(f[0].at, f[0].len, "22", 2);
  CHECK_INT(f[1].type, JSON_END);
}

TEST(what_is_no_object_or_no_json_is_told_apart) {
  struct field f[2];
  struct err err;
  CHECK_INT(read_two("[{\"a\":1}]", f, false, &err), FIELDS_NOT_OBJECT);
  CHECK_INT(read_two("5", f, false, &err), FIELDS_NOT_OBJECT);
  CHECK_INT(read_two("", f, false, &err), FIELDS_NOT_JSON);
  CHECK_INT(read_two("{\"a\":1", f, false, &err), FIELDS_NOT_JSON);
  CHECK_INT(read_two("{\"a\":1} x", f, false, &err), FIELDS_NOT_JSON);
  CHECK_INT(read_two("[1", f, false, &err), FIELDS_NOT_JSON);
  CHECK_INT(read_two("{\"c\":1,\"a\":2}", f, true, &err), FIELDS_UNKNOWN);
  CHECK(strstr(err.message, "\"c\"") != NULL);
}

TEST(an_array_is_walked_element_by_element) {
  struct array_walk walk;
  struct field element;
  const char *text = "[ 1, [2,3] , {\"a\":4}, \"five\" ]";
  array_walk_init(&walk, text, strlen(text));
  static const char *const wanted[] = {"1", "[2,3]", "{\"a\":4}", "\"five\""};
  for (int i = 0; i < 4; i++) {
    CHECK(array_walk_next(&walk, &element));
    CHECK_BYTES(element.at, element.len, wanted[i], strlen(wanted[i]));
  }
  CHECK(!array_walk_next(&walk, &element));
  CHECK(!array_walk_next(&walk, &element));
  array_walk_deinit(&walk);
}

TEST(text_that_is_not_utf8_is_written_with_replacement_characters) {
  struct buf out = {0};
  put_any_text(&out, "a\xff\xc3(b", 5);
  CHECK_BYTES(out.data, out.len, "\"a\xEF\xBF\xBD\xEF\xBF\xBD(b\"", 11);
  buf_deinit(&out);
}

TEST(a_row_is_written_as_import_takes_it) {
  struct buf out = {0};
  static const char whole[] = "{\"store\":\"a\",\"key\":\"k\",\"value\":[1],\"expires_at\":1.5",
                    least[] = "{\"key\":\"k\",\"value\":2";
  put_store_row(&out, "a", "k", 1, "[1]", 3, 1500);
  CHECK_BYTES(out.data, out.len, whole, sizeof whole - 1);
  buf_clear(&out);
  put_store_row(&out, NULL, "k", 1, "2", 1, 0);
  CHECK_BYTES(out.data, out.len, least, sizeof least - 1);
  buf_deinit(&out);
}
