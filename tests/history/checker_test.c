/* The checker of histories by itself: small histories that a store can have, and ones that no store can. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "history/history.h"

/* The lines of a history, each at 1000 ms unless it begins with a time of its own. */
static enum history_verdict check(const char *lines) {
  struct buf text = {0}, why = {0};
  char copy[4096];
  CHECK(strlen(lines) < sizeof copy);
  strcpy(copy, lines);
  for (char *rest = copy, *line; (line = strsep(&rest, "\n"));) {
    if (!*line) continue;
    if (*line < '0' || *line > '9') buf_puts(&text, "1000 ");
    buf_printf(&text, "%s\n", line);
  }
  enum history_verdict verdict = history_check(text.data, text.len, &why, NULL);
  if (verdict == HISTORY_VIOLATED && why.len == 0) FAIL("it does not say why");
  buf_deinit(&text);
  buf_deinit(&why);
  return verdict;
}

#define HOLDS(lines)  CHECK_INT(check(lines), HISTORY_HOLDS)
#define CANNOT(lines) CHECK_INT(check(lines), HISTORY_VIOLATED)

/* Calls that are over: a set of one key, a get. */
#define WROTE(id, key)        "+ " #id " set s 0 " key "\n- " #id "\n"
#define READ(id, key, writer) "+ " #id " get s " key "\n- " #id " " #writer "\n"
#define LOOKED(id, rows)      "+ " #id " select s % 0 .\n- " #id " " rows "\n= looked\n"

TEST(a_read_sees_the_newest_that_was_acknowledged) {
  HOLDS(READ(1, "k", 0) WROTE(2, "k") READ(3, "k", 2));
  CANNOT(WROTE(1, "k") READ(2, "k", 0));
  CANNOT(WROTE(1, "k") WROTE(2, "k") READ(3, "k", 1));
  CANNOT(READ(1, "k", 7));
}

TEST(a_read_beside_a_change_sees_either_but_does_not_go_back) {
  HOLDS("+ 1 set s 0 k\n" READ(2, "k", 0) READ(3, "k", 1) "- 1\n");
  CANNOT("+ 1 set s 0 k\n" READ(2, "k", 1) READ(3, "k", 0) "- 1\n");
  HOLDS("+ 1 set s 0 k\n+ 2 get s k\n+ 3 get s k\n- 2 1\n- 3 0\n- 1\n");
}

TEST(changes_at_once_have_one_order) {
  HOLDS("+ 1 set s 0 k\n+ 2 set s 0 k\n- 1\n- 2\n" READ(3, "k", 1) READ(4, "k", 1));
  HOLDS("+ 1 set s 0 k\n+ 2 set s 0 k\n- 1\n- 2\n" READ(3, "k", 2));
  CANNOT("+ 1 set s 0 k\n+ 2 set s 0 k\n- 1\n- 2\n" READ(3, "k", 1) READ(4, "k", 2));
  /* two keys: each of two tasks sees one change and misses the other */
  CANNOT("+ 1 set s 0 a\n+ 2 set s 0 b\n" READ(3, "a", 1) READ(4, "b", 0)
             READ(5, "b", 2) "+ 6 select s % 0 .\n"
                             "- 6 b=2:0\n- 1\n- 2\n");
  CANNOT("+ 1 set s 0 a\n+ 2 set s 0 b\n+ 3 select s % 0 .\n+ 4 select s % 0 .\n- 3 a=1:0\n- 4 b=2:0\n- 1\n- "
         "2\n");
}

TEST(no_update_is_lost) {
  HOLDS("+ 1 update s k write 0\n+ 2 update s k write 0\n~ 1 0\n~ 2 1\n- 1 1\n- 2 2\n" READ(3, "k", 2));
  CANNOT("+ 1 update s k write 0\n+ 2 update s k write 0\n~ 1 0\n~ 2 0\n- 1 1\n- 2 2\n");
  CANNOT(WROTE(1, "k") "+ 2 update s k write 0\n~ 2 0\n- 2 2\n");
  CANNOT("+ 1 update s k write 0\n~ 1 0\n~ 1 0\n- 1 1\n"); /* twice */
  CANNOT("+ 1 update s k write 0\n- 1 1\n");               /* never */
  CANNOT(WROTE(1, "k") "+ 2 update s k write 0\n~ 2 1\n- 2 1\n");
}

TEST(an_update_that_writes_nothing_changes_nothing) {
  HOLDS(WROTE(1, "k") "+ 2 update s k keep 0\n~ 2 1\n- 2 1\n+ 3 update s k raise 0\n~ 3 1\n- 3 raised\n" READ(
      4, "k", 1));
  CANNOT(WROTE(1, "k") WROTE(2, "k") "+ 3 update s k keep 0\n~ 3 1\n- 3 1\n");
  CANNOT(WROTE(1, "k") "+ 3 update s k raise 0\n~ 3 1\n- 3 1\n");
  HOLDS(WROTE(1, "k") "+ 2 update s k drop 0\n~ 2 1\n- 2 0\n" READ(3, "k", 0));
  CANNOT(WROTE(1, "k") "+ 2 update s k drop 0\n~ 2 1\n- 2 0\n" READ(3, "k", 1));
}

TEST(a_delete_knows_whether_the_key_was_there) {
  HOLDS(WROTE(1, "k") "+ 2 delete s k\n- 2 1\n" READ(3, "k", 0) "+ 4 delete s k\n- 4 0\n");
  CANNOT(WROTE(1, "k") "+ 2 delete s k\n- 2 0\n");
  CANNOT(WROTE(1, "k") "+ 2 delete s k\n- 2 1\n" READ(3, "k", 1));
}

TEST(delete_like_takes_all_that_match_at_once) {
  HOLDS(WROTE(1, "a:1") WROTE(2, "a:2") WROTE(3, "b") "+ 4 deleteLike s a:%\n- 4 2\n" LOOKED(5, "b=3:0"));
  CANNOT(WROTE(1, "a:1") WROTE(2, "a:2") "+ 4 deleteLike s a:%\n- 4 1\n");
  CANNOT(WROTE(1, "a:1") "+ 2 deleteLike s a:%\n- 2 1\n" READ(3, "a:1", 1));
  CANNOT(WROTE(1, "a:1") WROTE(2, "a:2") "+ 3 deleteLike s a:%\n" READ(4, "a:1", 0)
             READ(5, "a:2", 2) "- 3 2\n");
  CANNOT("+ 1 deleteLike s a:%\n" WROTE(2, "a:1") READ(3, "a:1", 2) "- 1 0\n" READ(4, "a:1", 0));
}

TEST(a_list_is_never_half) {
  HOLDS("+ 1 set s 0 a b\n" READ(2, "a", 1) READ(3, "b", 1) "- 1\n");
  CANNOT("+ 1 set s 0 a b\n" READ(2, "a", 1) READ(3, "b", 0) "- 1\n");
  CANNOT("+ 1 set s 0 a b\n+ 2 select s % 0 .\n- 2 a=1:0\n- 1\n");
  CANNOT("+ 1 set s 0 a b\n! killed\n" LOOKED(2, "b=1:0"));
}

TEST(a_scan_sees_one_moment) {
  HOLDS(WROTE(1, "a") WROTE(2, "b") "+ 3 select s % 0 .\n" WROTE(4, "a") WROTE(5, "b") "- 3 a=4:0 b=2:0\n");
  CANNOT(WROTE(1, "a") WROTE(2, "b") "+ 3 select s % 0 .\n" WROTE(4, "a") WROTE(5, "b") "- 3 a=1:0 b=5:0\n");
  CANNOT(WROTE(1, "a") WROTE(2, "b") "+ 3 count s %\n- 3 1\n");
  CANNOT(WROTE(1, "a") "+ 2 keys s % 0 .\n- 2 b=-:-\n" WROTE(3, "b"));
}

TEST(a_scan_keeps_to_its_order_and_range) {
  HOLDS(WROTE(1, "a") WROTE(2, "b")
            WROTE(3, "c") "+ 4 select s % 1 a\n- 4 b=2:0\n+ 5 keys s % 2 .\n- 5 a=-:- b=-:-\n");
  CANNOT(WROTE(1, "a") WROTE(2, "b") "+ 4 select s % 0 .\n- 4 b=2:0 a=1:0\n");
  CANNOT(WROTE(1, "a") WROTE(2, "b") "+ 4 select s % 1 .\n- 4 a=1:0 b=2:0\n");
  CANNOT(WROTE(1, "a") WROTE(2, "b") "+ 4 select s % 0 a\n- 4 a=1:0 b=2:0\n");
  CANNOT(WROTE(1, "a") WROTE(2, "b") "+ 4 select s % 1 .\n- 4 b=2:0\n");
  CANNOT(WROTE(1, "a") "+ 4 select s % 0 .\n- 4 a=1:7\n");
}

TEST(each_visits_what_is_there_throughout) {
  HOLDS(WROTE(1, "a") WROTE(2, "b") "+ 3 each s %\n" WROTE(4, "a") WROTE(5, "b") "- 3 a=1:- b=5:-\n");
  CANNOT(WROTE(1, "a") WROTE(2, "b") "+ 3 each s %\n" WROTE(4, "a") "- 3 b=2:-\n");
  HOLDS(WROTE(1, "a") "+ 3 each s %\n+ 4 delete s a\n- 4 1\n- 3 \n");
  CANNOT(WROTE(1, "a") WROTE(2, "a") "+ 3 each s %\n- 3 a=1:-\n");
}

TEST(what_is_expired_is_gone_at_that_moment) {
  HOLDS("1000 + 1 set s +50 k\n1000 - 1\n1049 + 2 get s k\n1049 - 2 1\n1050 + 3 get s k\n1050 - 3 0\n");
  CANNOT("1000 + 1 set s +50 k\n1000 - 1\n1049 + 2 get s k\n1049 - 2 0\n");
  CANNOT("1000 + 1 set s +50 k\n1000 - 1\n1050 + 2 get s k\n1050 - 2 1\n");
  HOLDS("1000 + 1 set s +50 k\n1000 - 1\n1049 + 2 get s k\n1050 - 2 0\n");
  CANNOT("1000 + 1 set s +50 k\n1000 - 1\n1050 + 2 select s % 0 .\n1050 - 2 k=1:1050\n");
  CANNOT("1000 + 1 set s +50 k\n1000 - 1\n1050 + 2 update s k write 0\n1050 ~ 2 1\n1050 - 2 2\n");
  HOLDS("1000 + 1 set s +50 k\n1000 - 1\n1050 + 2 deleteLike s %\n1050 - 2 0\n1050 + 3 delete s k\n1050 - 3 "
        "0\n");
}

TEST(an_update_keeps_the_expiry_and_set_does_not) {
#define EXPIRING "1000 + 1 set s +50 k\n1000 - 1\n"
  CANNOT(EXPIRING "1001 + 2 update s k write 0\n1001 ~ 2 1\n1001 - 2 2\n1050 + 3 get s k\n1050 - 3 2\n");
  HOLDS(EXPIRING "1001 + 2 update s k write +90\n1001 ~ 2 1\n1001 - 2 2\n1050 + 3 get s k\n1050 - 3 2\n");
  HOLDS(EXPIRING "1001 + 2 set s 0 k\n1001 - 2\n1050 + 3 get s k\n1050 - 3 2\n");
}

TEST(a_scan_does_not_show_what_had_gone_before_the_rest_was_written) {
  CANNOT("1000 + 1 set s +50 a\n1000 - 1\n1049 + 2 select s % 0 .\n1050 + 3 set s 0 b\n1050 - 3\n"
         "1050 - 2 a=1:1050 b=3:0\n");
  HOLDS("1000 + 1 set s +50 a\n1000 - 1\n1049 + 2 select s % 0 .\n1050 + 3 set s 0 b\n1050 - 3\n"
        "1050 - 2 a=1:1050\n");
}

TEST(what_was_acknowledged_or_read_survives_a_kill) {
  HOLDS(WROTE(1, "k") "! killed\n" LOOKED(2, "k=1:0"));
  CANNOT(WROTE(1, "k") "! killed\n" LOOKED(2, ""));
  HOLDS("+ 1 set s 0 k\n! killed\n" LOOKED(2, "k=1:0"));
  HOLDS("+ 1 set s 0 k\n! killed\n" LOOKED(2, "") READ(3, "k", 0));
  CANNOT("+ 1 set s 0 k\n" READ(2, "k", 1) "! killed\n" LOOKED(3, ""));
}

TEST(what_a_kill_has_cut_off_happened_before_it_or_never) {
  CANNOT("+ 1 set s 0 k\n! killed\n" LOOKED(2, "") READ(3, "k", 1));
  CANNOT(
      "+ 1 set s 0 k\n+ 2 update s k write 0\n! killed\n" LOOKED(3, "k=2:0")); /* its function had not run */
  HOLDS("+ 1 set s 0 k\n+ 2 update s k write 0\n~ 2 1\n! killed\n" LOOKED(3, "k=2:0"));
  CANNOT(WROTE(1, "k") "+ 2 update s k write 0\n~ 2 1\n+ 3 set s 0 k\n- 3\n! killed\n" LOOKED(4, "k=1:0"));
  HOLDS("+ 1 set s 0 k\n! killed\n! killed\n" LOOKED(2, "k=1:0"));
}

TEST(a_store_that_was_brought_back_is_what_it_was) {
  HOLDS(WROTE(1, "k") LOOKED(2, "k=1:0") WROTE(3, "k") "1000 ! killed\n1001 < 1000\n" READ(4, "k", 1));
  CANNOT(WROTE(1, "k") LOOKED(2, "k=1:0") WROTE(3, "k") "1000 ! killed\n1001 < 1000\n" READ(4, "k", 3));
  CANNOT(WROTE(1, "k") LOOKED(2, "k=1:0") "+ 3 set s 0 k\n1000 ! killed\n1001 < 1000\n" READ(4, "k", 3));
  HOLDS(WROTE(1, "k") LOOKED(2, "k=1:0") "1001 < 1000\n" WROTE(3, "k") "1000 ! killed\n" READ(4, "k", 3));
  CANNOT(WROTE(1, "k") LOOKED(2, "k=1:0") "1001 < 1000\n" WROTE(3, "k") "1000 ! killed\n" READ(4, "k", 1));
  CANNOT(WROTE(1, "k") LOOKED(2, "k=1:0") "1001 < 999\n");
}

TEST(what_is_no_history_does_not_hold) {
  CANNOT("nonsense\n");
  CANNOT("+ 1 get s k\n- 1 error io: the disk\n");
  CANNOT("- 1 0\n");
  CANNOT(WROTE(1, "k") WROTE(1, "k"));
  CANNOT("a script raised an error\n");
}
