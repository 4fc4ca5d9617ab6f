#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, TEXT, LEVEL, FORMAT, BYTES, SECONDS, GRACE, BUDGET, COUNT, ARCHIVE };

#define AT(member) offsetof(struct settings, member)

const struct option options_table[] = {
    {"data", "DIR", "data", "the data folder: the store file and the control socket", "MOONKEEP_DATA",
     C_HOSTS | C_STORE | C_FILES | C_SAFETY | C_CONTROL, TEXT, AT(data)},
    {"store", "NAME", "appData", "the store that the command is about", "MOONKEEP_STORE", C_STORE | C_FILES,
     TEXT, AT(store)},
    {"json", NULL, NULL, "one line of JSON, also on a terminal", "MOONKEEP_JSON",
     C_STORE | C_IMPORT | C_SAFETY | C_CONTROL, FLAG, AT(json)},
    {"backups", "DIR", "DATA/backups", "the folder of the backups, of this data folder alone",
     "MOONKEEP_BACKUPS", C_HOSTS | C_SAFETY | C_STORE | C_FILES, TEXT, AT(backups)},
    {"backup-every", "SECONDS", "900", "how often a backup is made where something has changed; 0: never",
     "MOONKEEP_BACKUP_EVERY", C_HOSTS, GRACE, AT(backup_every_s)},
    {"archive", "MODE", "on",
     "keep each change beside the backups: off, on (within a second), sync (before it counts as saved)",
     "MOONKEEP_ARCHIVE", C_HOSTS | C_STORE | C_FILES, ARCHIVE, AT(archive)},
    {"limit", "N", NULL, "at most so many keys", "MOONKEEP_LIMIT", C_SELECT | C_KEYS, COUNT, AT(limit)},
    {"after", "KEY", NULL, "only keys behind this one", "MOONKEEP_AFTER", C_SELECT | C_KEYS, TEXT, AT(after)},
    {"default", "JSON", NULL, "what the function gets where there is no such key", "MOONKEEP_DEFAULT",
     C_UPDATE, TEXT, AT(preset)},
    {"ttl", "SECONDS", NULL, "the key expires so long from now", "MOONKEEP_TTL", C_SET, SECONDS, AT(ttl_s)},
    {"expires-at", "SECONDS", NULL, "the key expires at this time, in seconds since 1970",
     "MOONKEEP_EXPIRES_AT", C_SET, SECONDS, AT(expires_at_s)},
    {"batch", "N", NULL, "save N keys at a time, instead of all of them or none", "MOONKEEP_BATCH", C_IMPORT,
     COUNT, AT(batch)},
    {"follow", NULL, NULL, "go on with what comes (also -f)", "MOONKEEP_FOLLOW", C_LOGS, FLAG, AT(follow)},
    {"watch", NULL, NULL, "draw it anew every second", "MOONKEEP_WATCH", C_STATUS, FLAG, AT(watch)},
    {"lines", "N", "100", "how many lines of the past", "MOONKEEP_LINES", C_LOGS, COUNT, AT(lines)},
    {"yes", NULL, NULL, "do it without asking", "MOONKEEP_YES", C_DELETE_LIKE | C_RESTORE, FLAG, AT(yes)},
    {"at", "TIME", NULL, "the state of this moment: 2026-11-23T10:15:00Z, or without Z in local time",
     "MOONKEEP_AT", C_RESTORE, TEXT, AT(at)},
    {"dry-run", NULL, NULL, "only say what would be done", "MOONKEEP_DRY_RUN", C_RESTORE, FLAG, AT(dry_run)},
    {"full", NULL, NULL, "every row of every file, not only their structure", "MOONKEEP_FULL", C_CHECK_STORE,
     FLAG, AT(full)},
    {"grace", "SECONDS", "10", "how long sleepers may go on at the end, and old versions after a reload",
     "MOONKEEP_GRACE", C_HOSTS, GRACE, AT(grace_s)},
    {"cpu-budget", "SECONDS", "1", "how long a script may compute without giving way", "MOONKEEP_CPU_BUDGET",
     C_SCRIPTS, BUDGET, AT(cpu_budget_s)},
    {"trust", NULL, NULL, "give scripts all of Lua: files, processes, C modules", "MOONKEEP_TRUST", C_HOSTS,
     FLAG, AT(trust)},
    {"memory", "BYTES", "64M", "the most memory that a script may use", "MOONKEEP_MEMORY", C_SCRIPTS, BYTES,
     AT(memory_bytes)},
    {"cache", "BYTES", "64M", "memory for values that are read often", "MOONKEEP_CACHE", C_HOSTS, BYTES,
     AT(cache_bytes)},
    {"value-limit", "BYTES", "4M", "the largest value, as JSON", "MOONKEEP_VALUE_LIMIT",
     C_SCRIPTS | C_STORE | C_IMPORT, BYTES, AT(value_bytes)},
    {"no-supervise", NULL, NULL, "without the process that starts a crashed host again",
     "MOONKEEP_NO_SUPERVISE", C_RUN, FLAG, AT(no_supervise)},
    {"echo", NULL, NULL, "print the lines of a recorded conversation as they are read", "MOONKEEP_ECHO",
     C_CHAT, FLAG, AT(echo)},
    {"log-level", "LEVEL", NULL, "debug, info, warn or error (run: info, chat: warn)", "MOONKEEP_LOG_LEVEL",
     C_SCRIPTS | C_STORE | C_FILES, LEVEL, AT(log_level)},
    {"config", "FILE", "moonkeep.conf where there is one", "the configuration file", "MOONKEEP_CONFIG",
     C_ALL & ~C_HELP & ~C_COMPLETION & ~C_MANUAL, TEXT, AT(config)},
    {"log-format", "text|json", "text", "how log lines are written", "MOONKEEP_LOG_FORMAT", C_HOSTS, FORMAT,
     AT(log_format)},
    {"listen", "HOST:PORT", NULL, "the control socket over TCP too, on this machine alone", "MOONKEEP_LISTEN",
     C_HOSTS, TEXT, AT(listen)},
    {"token-file", "FILE", NULL, "the token that whoever comes there has to say", "MOONKEEP_TOKEN_FILE",
     C_HOSTS, TEXT, AT(token_file)},
    {"metrics", "HOST:PORT", NULL, "serve /metrics, /healthz and /readyz there over HTTP", "MOONKEEP_METRICS",
     C_HOSTS, TEXT, AT(metrics)},
    {"serve", NULL, NULL, "stay until stopped: events come over the control socket, not from stdin",
     "MOONKEEP_SERVE", C_RUN, FLAG, AT(serve)},
    {"help", NULL, NULL, "this text, or a command's (also -h)", NULL, C_ALL, FLAG, AT(help)},
    {"version", NULL, NULL, "the version (also -V)", NULL, C_ALL, FLAG, AT(version)},
};
enum { OPTIONS = sizeof options_table / sizeof *options_table };
const size_t options_count = OPTIONS;
_Static_assert(OPTIONS <= 64, "settings.given has a bit for each");

/* ---- near names ---- */

static size_t least(size_t a, size_t b, size_t c) {
  size_t least_of_two = a < b ? a : b;
  return least_of_two < c ? least_of_two : c;
}

enum { LONGEST = 32 };

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* How many letters have to be put in, taken out or changed. */
static size_t distance(const char *a, const char *b) {
  size_t row[LONGEST + 1], a_len = strlen(a), b_len = strlen(b);
  if (a_len > LONGEST || b_len > LONGEST) return LONGEST;
  for (size_t j = 0; j <= b_len; j++) row[j] = j;
  for (size_t i = 1; i <= a_len; i++) {
    size_t corner = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b_len; j++) {
      size_t above = row[j];
      row[j] = least(row[j] + 1, row[j - 1] + 1, corner + (lower(a[i - 1]) != lower(b[j - 1])));
      corner = above;
    }
  }
  return row[b_len];
}

const char *nearest_name(const char *word, const void *names, size_t count, size_t step) {
  const char *best = NULL;
  size_t best_distance = strlen(word) / 3 + 2; /* from there on it is another word */
  for (size_t i = 0; i < count; i++) {
    const char *name = *(const char *const *)(const void *)((const char *)names + i * step);
    size_t d = distance(word, name);
    if (d >= best_distance || d >= strlen(name)) continue;
    best = name;
    best_distance = d;
  }
  return best;
}

/* ---- one value ---- */

static bool parse_bytes(const char *text, uint64_t *bytes) {
  char *end;
  if (*text < '0' || *text > '9') return false;
  errno = 0;
  unsigned long long number = strtoull(text, &end, 10);
  int shift = 0;
  if (*end == 'K' || *end == 'k') shift = 10;
  if (*end == 'M' || *end == 'm') shift = 20;
  if (*end == 'G' || *end == 'g') shift = 30;
  if (shift) end++;
  if (errno || *end || number == 0 || number > (UINT32_MAX >> shift)) return false;
  *bytes = (uint64_t)number << shift;
  return true;
}

static bool parse_count(const char *text, uint64_t *count) {
  char *end;
  if (*text < '0' || *text > '9') return false;
  errno = 0;
  unsigned long long number = strtoull(text, &end, 10);
  if (errno || *end || number == 0 || number > INT64_MAX) return false;
  *count = number;
  return true;
}

static bool parse_seconds(const char *text, double *seconds) {
  if (strspn(text, "0123456789.") != strlen(text)) return false;
  char *end;
  *seconds = strtod(text, &end);
  return end != text && *end == '\0' && *seconds <= 1e15;
}

static bool parse_flag(const char *text, bool *flag) {
  static const char *const yes[] = {"1", "yes", "true", "on"}, *const no[] = {"0", "no", "false", "off"};
  for (int i = 0; i < 4; i++) {
    if (strcmp(text, yes[i]) != 0 && strcmp(text, no[i]) != 0) continue;
    *flag = strcmp(text, yes[i]) == 0;
    return true;
  }
  return false;
}

static bool parse_archive(const char *text, enum store_archive *archive) {
  static const char *const modes[] = {
      [STORE_ARCHIVE_OFF] = "off", [STORE_ARCHIVE_ON] = "on", [STORE_ARCHIVE_SYNC] = "sync"};
  for (int i = 0; i < 3; i++) {
    if (strcmp(text, modes[i]) != 0) continue;
    *archive = (enum store_archive)i;
    return true;
  }
  return false;
}

/* Puts the value in its place; NULL, or what a value has to be. */
static const char *store_value(struct settings *settings, const struct option *option, const char *text) {
  void *place = (char *)settings + option->offset;
  switch ((enum kind)option->kind) {
  case FLAG: return parse_flag(text, place) ? NULL : "yes or no";
  case TEXT: *(const char **)place = text; return NULL;
  case LEVEL:
    if (!log_level_parse(text, place)) return "debug, info, warn or error";
    settings->has_log_level = true;
    return NULL;
  case FORMAT:
    if (strcmp(text, "text") != 0 && strcmp(text, "json") != 0) return "text or json";
    *(int *)place = strcmp(text, "json") == 0;
    return NULL;
  case BYTES: return parse_bytes(text, place) ? NULL : "a number of bytes, such as 512K or 4M";
  case ARCHIVE: return parse_archive(text, place) ? NULL : "off, on or sync";
  case COUNT: return parse_count(text, place) ? NULL : "a whole number above 0";
  case GRACE: return parse_seconds(text, place) && *(double *)place <= 1e6 ? NULL : "a number of seconds";
  case BUDGET:
    return parse_seconds(text, place) && *(double *)place >= 0.001 && *(double *)place <= 1e6
               ? NULL
               : "a number of seconds from 0.001 up";
  case SECONDS:
    return parse_seconds(text, place) && *(double *)place > 0 ? NULL : "a number of seconds above 0";
  }
  return NULL;
}

static void note_origin(struct settings *settings, const struct option *option, enum origin origin,
                        const char *text) {
  settings->origins[option - options_table] = (unsigned char)origin;
  settings->texts[option - options_table] = text;
}

bool option_flag(const char *text) {
  bool flag = false;
  parse_flag(text, &flag);
  return flag;
}

enum origin option_origin(const struct settings *settings, const char *name) {
  size_t i = 0;
  while (strcmp(options_table[i].name, name) != 0) i++;
  return settings->origins[i];
}

enum moonkeep_code options_take(struct settings *settings, const struct option *option, enum origin from,
                                const char *origin, const char *text, struct err *err) {
  note_origin(settings, option, from, text);
  if (!*text) return err_set(err, MOONKEEP_INVALID, "%s is empty", origin);
  const char *wanted = store_value(settings, option, text);
  if (wanted)
    return err_set(err, MOONKEEP_INVALID, "%s is \"%.100s\" and has to be %s", origin, text, wanted);
  return MOONKEEP_OK;
}

/* ---- argv ---- */

struct reader {
  struct settings *settings;
  int argc, at;
  char **argv;
  bool only_arguments; /* `--` has been seen */
};

static const struct option *find_option(const char *name, size_t len) {
  for (size_t i = 0; i < OPTIONS; i++)
    if (strlen(options_table[i].name) == len && memcmp(options_table[i].name, name, len) == 0)
      return &options_table[i];
  return NULL;
}

static enum moonkeep_code no_such_option(const char *word, size_t len, struct err *err) {
  char name[64] = "";
  memcpy(name, word, len < sizeof name - 1 ? len : sizeof name - 1);
  const char *near = nearest_name(name, options_table, OPTIONS, sizeof *options_table);
  if (near) return err_set(err, MOONKEEP_INVALID, "unknown option --%s: did you mean --%s?", name, near);
  return err_set(err, MOONKEEP_INVALID, "unknown option --%s", name);
}

static enum moonkeep_code read_flag(struct settings *settings, const struct option *option, const char *value,
                                    struct err *err) {
  if (value) return err_set(err, MOONKEEP_INVALID, "--%s takes no value", option->name);
  *(bool *)(void *)((char *)settings + option->offset) = true;
  note_origin(settings, option, ORIGIN_OPTION, "true");
  return MOONKEEP_OK;
}

static enum moonkeep_code read_option(struct reader *reader, const char *word, struct err *err) {
  const char *equals = strchr(word, '=');
  size_t len = equals ? (size_t)(equals - word) : strlen(word);
  const struct option *option = find_option(word, len);
  if (!option) return no_such_option(word, len, err);
  const char *value = equals ? equals + 1 : NULL;
  reader->settings->given |= UINT64_C(1) << (option - options_table);
  if (option->kind == FLAG) return read_flag(reader->settings, option, value, err);
  if (!value && reader->at < reader->argc) value = reader->argv[reader->at++];
  if (!value)
    return err_set(err, MOONKEEP_INVALID, "--%s needs a value: --%s %s", option->name, option->name,
                   option->argument);
  char origin[40] = "--";
  strncat(origin, option->name, sizeof origin - 3);
  return options_take(reader->settings, option, ORIGIN_OPTION, origin, value, err);
}

static void read_argument(struct settings *settings, const char *word) {
  if (!settings->command)
    settings->command = word;
  else if (settings->argument_count++ < ARGUMENTS)
    settings->arguments[settings->argument_count - 1] = word;
}

static enum moonkeep_code read_word(struct reader *reader, const char *word, struct err *err) {
  const char *command = reader->settings->command;
  if (reader->only_arguments || word[0] != '-') {
    read_argument(reader->settings, word);
  } else if (strcmp(word, "--") == 0) {
    reader->only_arguments = true;
  } else if (word[1] == '-') {
    return read_option(reader, word + 2, err);
  } else if (strcmp(word, "-h") == 0) {
    reader->settings->help = true;
  } else if (strcmp(word, "-V") == 0) {
    reader->settings->version = true;
  } else if (strcmp(word, "-f") == 0 && command && strcmp(command, "logs") == 0) {
    return read_option(reader, "follow", err);
  } else if ((word[1] >= 'a' && word[1] <= 'z') || (word[1] >= 'A' && word[1] <= 'Z')) {
    return err_set(err, MOONKEEP_INVALID, "unknown option %s (an argument that begins so goes behind --)",
                   word);
  } else {
    read_argument(reader->settings, word); /* a negative number, most likely */
  }
  return MOONKEEP_OK;
}

enum moonkeep_code options_read(struct settings *settings, int argc, char **argv, struct err *err) {
  *settings = (struct settings){
      .data = "data", .store = "appData", .grace_s = 10, .backup_every_s = 900, .archive = STORE_ARCHIVE_ON};
  struct reader reader = {.settings = settings, .argc = argc, .at = 1, .argv = argv};
  while (reader.at < argc) {
    enum moonkeep_code code = read_word(&reader, argv[reader.at++], err);
    if (code) return code;
  }
  return MOONKEEP_OK;
}

/* ---- the environment ---- */

/* `config` shows them all. */
bool option_is_taken(const struct option *option, uint64_t command) {
  return (option->commands & command) || ((command & C_CONFIG) && option->env);
}

static enum moonkeep_code settle(struct settings *settings, const struct option *option, bool given,
                                 uint64_t command, const char *command_name, struct err *err) {
  bool takes = option_is_taken(option, command);
  if (given && !takes)
    return err_set(err, MOONKEEP_INVALID, "%s does not take --%s", command_name, option->name);
  const char *text = option->env && takes && !given ? getenv(option->env) : NULL;
  if (!text) return MOONKEEP_OK;
  char origin[64] = "";
  strncat(origin, option->env, sizeof origin - 1);
  strncat(origin, " in the environment", sizeof origin - strlen(origin) - 1);
  return options_take(settings, option, ORIGIN_ENVIRONMENT, origin, text, err);
}

enum moonkeep_code options_settle(struct settings *settings, uint64_t command, const char *command_name,
                                  struct err *err) {
  for (size_t i = 0; i < OPTIONS; i++) {
    enum moonkeep_code code =
        settle(settings, &options_table[i], settings->given >> i & 1, command, command_name, err);
    if (code) return code;
  }
  return MOONKEEP_OK;
}
