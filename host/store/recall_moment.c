/* Moments as people write them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/recall.h"

/* Seconds since 1970, with a fraction; milliseconds are told from them by their size. */
static bool read_number(const char *text, int64_t *ms) {
  if (strspn(text, "0123456789.") != strlen(text)) return false;
  if (strspn(text, "0123456789") == 8) return false; /* a date */
  char *end;
  double seconds = strtod(text, &end);
  if (end == text || *end || !(seconds >= 0 && seconds < 1e11)) return false;
  *ms = (int64_t)(seconds * 1000 + 0.5);
  return true;
}

/* Digits behind a point, of which the first three count. */
static const char *read_fraction(const char *text, int *ms) {
  *ms = 0;
  if (*text != '.' && *text != ',') return text;
  int scale = 100;
  for (text++; *text >= '0' && *text <= '9'; text++, scale /= 10) *ms += (*text - '0') * scale;
  return text;
}

/* Z, or an offset; *local where there is none. */
static bool read_zone(const char *text, int *minutes, bool *local) {
  int hours = 0, rest = 0, taken = 0;
  *minutes = 0;
  *local = !*text;
  if (!*text || strcmp(text, "Z") == 0 || strcmp(text, "z") == 0) return true;
  if (*text != '+' && *text != '-') return false;
  if (sscanf(text + 1, "%2d:%2d%n", &hours, &rest, &taken) != 2 &&
      sscanf(text + 1, "%2d%2d%n", &hours, &rest, &taken) != 2 &&
      sscanf(text + 1, "%2d%n", &hours, &taken) != 1)
    return false;
  if (text[1 + taken] || hours > 23 || rest < 0 || rest > 59 || hours < 0) return false;
  *minutes = (hours * 60 + rest) * (*text == '-' ? -1 : 1);
  return true;
}

/* The date and the time of day: what is left behind them, or NULL. */
static const char *read_date(const char *text, struct tm *tm) {
  static const char *const forms[] = {"%4d-%2d-%2dT%2d:%2d%n", "%4d-%2d-%2d %2d:%2d%n", "%4d%2d%2dT%2d%2d%n"};
  int taken = 0;
  for (size_t i = 0; i < 3; i++) {
    *tm = (struct tm){.tm_isdst = -1};
    if (sscanf(text, forms[i], &tm->tm_year, &tm->tm_mon, &tm->tm_mday, &tm->tm_hour, &tm->tm_min, &taken) !=
        5)
      continue;
    text += taken;
    if (*text == ':') text++;
    if (*text < '0' || *text > '9') return text;
    return sscanf(text, "%2d%n", &tm->tm_sec, &taken) == 1 ? text + taken : NULL;
  }
  *tm = (struct tm){.tm_isdst = -1};
  return sscanf(text, "%4d-%2d-%2d%n", &tm->tm_year, &tm->tm_mon, &tm->tm_mday, &taken) == 3 ? text + taken
                                                                                             : NULL;
}

static int days_of(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[month - 1];
}

static bool is_date(const struct tm *tm) {
  return tm->tm_year >= 1970 && tm->tm_mon >= 1 && tm->tm_mon <= 12 && tm->tm_mday >= 1 &&
         tm->tm_mday <= days_of(tm->tm_year, tm->tm_mon) && tm->tm_hour >= 0 && tm->tm_hour <= 23 &&
         tm->tm_min >= 0 && tm->tm_min <= 59 && tm->tm_sec >= 0 && tm->tm_sec <= 60;
}

bool recall_moment(const char *text, int64_t *ms) {
  static const char prefix[] = "appdata-";
  struct tm tm;
  int fraction, minutes;
  bool local;
  char copy[64];
  if (strlen(text) >= sizeof copy) return false;
  if (strncmp(text, prefix, sizeof prefix - 1) == 0) text += sizeof prefix - 1;
  strcpy(copy, text);
  char *end = strstr(copy, ".db");
  if (end && !end[3]) *end = '\0';
  if (read_number(copy, ms)) return true;
  const char *rest = read_date(copy, &tm);
  if (!rest || !is_date(&tm)) return false;
  rest = read_fraction(rest, &fraction);
  if (!read_zone(rest, &minutes, &local)) return false;
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  time_t seconds = local ? mktime(&tm) : timegm(&tm);
  *ms = ((int64_t)seconds - minutes * 60) * 1000 + fraction;
  return *ms >= 0;
}
