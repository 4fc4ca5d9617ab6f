/* `moonkeep metrics`: the status of a running host in the text format of Prometheus. */
#include "cli/access.h"
#include "cli/cli.h"
#include "link/fields.h"

static void put_line(struct buf *text, const struct buf *json) {
  buf_add(text, json->data, json->len);
  buf_putc(text, '\n');
}

enum exit_status command_metrics(struct cli *cli) {
  struct buf result = {0}, text = {0};
  struct err err;
  enum moonkeep_code code = access_host(cli, "metrics", NULL, 0, &result, &err);
  struct field string = {.type = JSON_STRING, .at = result.data, .len = result.len};
  if (!code && cli->settings.json)
    put_line(&text, &result);
  else if (!code && !field_text(&string, &text))
    code = err_memory(&err);
  buf_deinit(&result);
  enum exit_status status = code ? failed(cli, &err) : EXIT_DONE;
  if (!status && console_write(&cli->console, CONSOLE_OUT, text.data, text.len) != 0) status = EXIT_FAILED;
  buf_deinit(&text);
  return status;
}
