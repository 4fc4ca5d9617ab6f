#include "link/methods.h"

#define STORE_METHOD(name) name, method_store

const struct method methods[] = {
    {"auth", method_auth, {"token"}, 1, 0},

    {STORE_METHOD("get"), {"key", "store"}, 1, 0},
    {STORE_METHOD("set"), {"key", "value", "expires_at", "ttl", "store"}, 2, 0},
    {STORE_METHOD("setAll"), {"rows", "store"}, 1, 0},
    {"update", method_update, {"key", "function", "default", "store"}, 2, 0},
    {STORE_METHOD("delete"), {"key", "store"}, 1, 0},
    {STORE_METHOD("deleteLike"), {"pattern", "store"}, 1, 0},
    {STORE_METHOD("select"), {"pattern", "limit", "after", "store"}, 0, METHOD_LARGE},
    {STORE_METHOD("keys"), {"pattern", "limit", "after", "store"}, 0, METHOD_LARGE},
    {STORE_METHOD("count"), {"pattern", "store"}, 0, 0},
    {"backup", method_backup, {0}, 0, 0},
    {"backups", method_backups, {0}, 0, METHOD_HOST},
    {"reload", method_reload, {"script"}, 0, METHOD_HOST},

    {"emit", method_emit, {"event", "wait"}, 1, METHOD_HOST},
    {"subscribe", method_subscribe, {0}, 0, METHOD_HOST | METHOD_TELLS},
    {"unsubscribe", method_unsubscribe, {0}, 0, METHOD_HOST | METHOD_TELLS},

    {"eval", method_eval, {"code"}, 1, METHOD_HOST | METHOD_TELLS},
    {"complete", method_complete, {"code"}, 1, METHOD_HOST | METHOD_TELLS},
    {"status", method_status, {0}, 0, METHOD_HOST},
    {"metrics", method_metrics, {0}, 0, METHOD_HOST},
    {"logs", method_logs, {"lines", "follow"}, 0, METHOD_HOST},
    {"stop", method_stop, {0}, 0, METHOD_HOST},
};
const size_t methods_count = sizeof methods / sizeof *methods;
