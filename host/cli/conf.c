#include "cli/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "script/conf.h"

static const char usual_path[] = "moonkeep.conf";

struct reading {
  struct settings *settings;
  uint64_t command;
  const char *path;
};

/* In Lua a name has no dash: log_level. */
static bool is_name(const struct option *option, const char *name) {
  size_t i = 0;
  for (; option->name[i]; i++)
    if (name[i] != option->name[i] && !(option->name[i] == '-' && name[i] == '_')) return false;
  return name[i] == '\0';
}

/* An option of the file, not of one run of the program. */
static bool can_be_in_file(const struct option *option) {
  return option->env && strcmp(option->name, "config") != 0;
}

static enum moonkeep_code unknown(const struct reading *reading, const char *name, struct err *err) {
  const char *known[64], *near;
  char lua[64] = "";
  size_t count = 0;
  for (size_t i = 0; i < options_count; i++)
    if (can_be_in_file(&options_table[i])) known[count++] = options_table[i].name;
  near = nearest_name(name, known, count, sizeof *known);
  if (!near) return err_set(err, MOONKEEP_INVALID, "%s: unknown setting \"%.64s\"", reading->path, name);
  snprintf(lua, sizeof lua, "%s", near);
  for (char *c = lua; *c; c++)
    if (*c == '-') *c = '_';
  return err_set(err, MOONKEEP_INVALID, "%s: unknown setting \"%.64s\": did you mean %s?", reading->path,
                 name, lua);
}

/* A setting that the command has no use for, or that argv overrules, is only checked. */
static enum moonkeep_code take(struct reading *reading, const struct option *option, const char *name,
                               const char *text, struct err *err) {
  struct settings *settings = reading->settings, scratch = {0};
  size_t number = (size_t)(option - options_table);
  bool counts = option_is_taken(option, reading->command) && !(settings->given >> number & 1);
  char origin[300];
  snprintf(origin, sizeof origin, "%.64s in %.200s", name, reading->path);
  char *copy = mem_copy(text, strlen(text));
  if (!copy) return err_memory(err);
  enum moonkeep_code code =
      options_take(counts ? settings : &scratch, option, ORIGIN_FILE, origin, copy, err);
  if (!counts)
    mem_free(copy);
  else {
    mem_free(settings->owned[number]);
    settings->owned[number] = copy;
  }
  return code;
}

static enum moonkeep_code visit(void *ctx, const char *name, const char *text, struct err *err) {
  struct reading *reading = ctx;
  for (size_t i = 0; i < options_count; i++)
    if (can_be_in_file(&options_table[i]) && is_name(&options_table[i], name))
      return take(reading, &options_table[i], name, text, err);
  return unknown(reading, name, err);
}

enum moonkeep_code conf_settle(struct settings *settings, uint64_t command, struct err *err) {
  const char *named = settings->config ? settings->config : getenv("MOONKEEP_CONFIG");
  struct reading reading = {settings, command, named ? named : usual_path};
  if (!named && access(usual_path, F_OK) != 0) return MOONKEEP_OK;
  if (named && !*named) return MOONKEEP_OK; /* options_settle says that it is empty */
  settings->conf_path = reading.path;
  return conf_read(reading.path, visit, &reading, err);
}

void conf_free(struct settings *settings) {
  for (size_t i = 0; i < options_count; i++) {
    mem_free(settings->owned[i]);
    settings->owned[i] = NULL;
  }
}
