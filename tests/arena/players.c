/* Some hundred players, in one program: they walk about, hit who is near, and find, offer and buy things.
 *
 *     players DATA [--players N] [--asks N] [--seconds S] [--told FILE] [--kills N]
 *
 * Whom they hit and what they ask depends on SEED in the environment and on what they hear alone. It ends
 * when everybody has had so many answers, or after so many seconds. FILE gets a line for each word that
 * counts, as audit/audit.lua reads them. With --kills they also kill the server (SIGKILL), at any moment;
 * whoever runs them starts it again, and they find it by DATA/address. */
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
  NAME_BYTES = 16,
  WORD_BYTES = 32,
  LINE_BYTES = 1400,
  LIST_MOST = 48,
  RATE = 60,        /* words a second of a player, at most */
  AGAIN_MS = 250,   /* without an answer a request is sent again */
  SILENCE_MS = 400, /* without any word the server may be another one by now */
};

struct list { /* of words; a full one forgets at random */
  int count;
  char words[LIST_MOST][WORD_BYTES];
};

struct player {
  char name[NAME_BYTES];
  uint64_t random;
  int socket;
  int64_t heard_ms;
  float dx, dy;
  struct list near, items, offers;
  long tick;         /* of the last state; 0: none of this server */
  long number;       /* of the newest request; -1: not known before the server has said hello */
  char request[128]; /* the words of it; "": it is answered */
  int64_t asked_ms;
  long answers;
};

static const char *data;
static struct player *players;
static long count = 100, asks = 0, kills = 0;
static double seconds = 3600;
static FILE *told;
static struct sockaddr_in server;
static pid_t server_process; /* 0: killed, and not yet heard of the next one */
static volatile sig_atomic_t asked_to_end;
static long answers, bought, states, missing, killed;

/* ---- chance and time ---- */

static uint64_t below(uint64_t *random, uint64_t bound) {
  *random ^= *random << 13;
  *random ^= *random >> 7;
  *random ^= *random << 17;
  return *random % bound;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- lists ---- */

static void add(struct list *list, const char *word, uint64_t *random) {
  if (strlen(word) >= WORD_BYTES) return;
  int at = list->count < LIST_MOST ? list->count++ : (int)below(random, LIST_MOST);
  strcpy(list->words[at], word);
}

static const char *any(const struct list *list, uint64_t *random) {
  return list->words[below(random, (uint64_t)list->count)];
}

static void take(struct list *list, const char *word) {
  for (int i = 0; i < list->count; i++)
    if (strcmp(list->words[i], word) == 0) {
      memmove(list->words[i], list->words[--list->count], WORD_BYTES);
      return;
    }
}

static void add_words(struct list *list, char *words, int every, uint64_t *random) {
  char *rest = words;
  int n = 0;
  for (char *word; (word = strtok_r(rest, " ", &rest));)
    if (n++ % every == 0) add(list, word, random);
}

/* ---- saying ---- */

__attribute__((format(printf, 2, 3))) static void say(const struct player *player, const char *format, ...) {
  char line[LINE_BYTES];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  sendto(player->socket, line, (size_t)len, 0, (struct sockaddr *)&server, sizeof server);
}

static void say_request(struct player *player) {
  player->asked_ms = now_ms();
  say(player, "ask %ld %s", player->number, player->request);
}

/* The next wish, by what this player knows of. */
static void ask(struct player *player) {
  uint64_t *random = &player->random, wish = below(random, 100);
  char *words = player->request;
  size_t size = sizeof player->request;
  player->number++;
  if (wish < 45 && player->offers.count > 0) {
    const char *item = any(&player->offers, random);
    snprintf(words, size, "accept %s", item);
    take(&player->offers, item);
  } else if (wish < 85 && player->items.count > 0 && count > 1) {
    snprintf(words, size, "offer p%d %s %d", (int)below(random, (uint64_t)count), any(&player->items, random),
             (int)below(random, 30));
  } else {
    snprintf(words, size, "%s", wish < 3 ? "daily" : wish < 6 ? "top" : "bag");
  }
  say_request(player);
}

static void act(struct player *player) {
  int64_t now = now_ms();
  if (now - player->heard_ms > SILENCE_MS) {
    player->heard_ms = now;
    say(player, "join %s", player->name);
    return;
  }
  if (below(&player->random, RATE) == 0) {
    float angle = (float)below(&player->random, 360) * 0.0174533f;
    player->dx = cosf(angle);
    player->dy = sinf(angle);
  }
  say(player, "move %.2f %.2f", (double)player->dx, (double)player->dy);
  if (player->near.count > 0 && below(&player->random, 15) == 0)
    say(player, "hit %s", any(&player->near, &player->random));
  if (player->number < 0 || (asks > 0 && player->answers >= asks)) return;
  if (!player->request[0])
    ask(player);
  else if (now - player->asked_ms > AGAIN_MS)
    say_request(player);
}

/* ---- hearing ---- */

static void remember(const struct player *player, const char *line) {
  if (told) fprintf(told, "{\"event\":\"told\",\"player\":\"%s\",\"text\":\"%s\"}\n", player->name, line);
}

static void on_answer(struct player *player, char *line) {
  char item[WORD_BYTES];
  long number;
  int text = 0;
  if (sscanf(line, "answer %ld %n", &number, &text) != 1 || !text) return;
  remember(player, line);
  if (number != player->number || !player->request[0]) return; /* it came twice */
  char *answer = line + text;
  if (strncmp(answer, "bag ", 4) == 0) {
    player->items.count = 0;
    strtok_r(answer, " ", &answer);
    strtok_r(answer, " ", &answer); /* the coins */
    add_words(&player->items, answer, 1, &player->random);
  } else if (sscanf(answer, "bought %31s", item) == 1) {
    add(&player->items, item, &player->random);
    bought++;
  }
  player->request[0] = '\0';
  player->answers++;
  answers++;
}

static void on_told(struct player *player, const char *line) {
  char item[WORD_BYTES];
  remember(player, line);
  if (sscanf(line, "told offer %*s %31s", item) == 1) add(&player->offers, item, &player->random);
  if (sscanf(line, "told found %31s", item) == 1) add(&player->items, item, &player->random);
  if (sscanf(line, "told sold %31s", item) == 1) take(&player->items, item);
}

/* A state comes every third tick. */
static void on_state(struct player *player, char *line) {
  enum { EVERY_TICKS = 3 };
  int names = 0;
  long tick;
  player->near.count = 0;
  if (sscanf(line, "state %ld %*f %*f %*d%n", &tick, &names) != 1 || !names) return;
  add_words(&player->near, line + names, 3, &player->random);
  if (player->tick) missing += tick - player->tick - EVERY_TICKS;
  player->tick = tick;
  states++;
}

static void on_line(struct player *player, char *line) {
  long number;
  player->heard_ms = now_ms();
  if (strncmp(line, "state ", 6) == 0) on_state(player, line);
  if (strncmp(line, "answer ", 7) == 0) on_answer(player, line);
  if (strncmp(line, "told ", 5) == 0) on_told(player, line);
  if (strcmp(line, "who") == 0) say(player, "join %s", player->name);
  if (sscanf(line, "hello %ld", &number) == 1 && number > player->number) player->number = number;
}

static void hear(struct player *player) {
  char line[LINE_BYTES + 1];
  struct sockaddr_in from;
  socklen_t size = sizeof from;
  ssize_t len;
  while ((len = recvfrom(player->socket, line, LINE_BYTES, 0, (struct sockaddr *)&from, &size)) >= 0) {
    line[len] = '\0';
    if (from.sin_port == server.sin_port) on_line(player, line);
  }
}

/* ---- the server ---- */

static void find_server(void) {
  char path[4096];
  int port, process;
  snprintf(path, sizeof path, "%s/address", data);
  FILE *file = fopen(path, "r");
  if (!file) return;
  if (fscanf(file, "%d %d", &port, &process) == 2 && htons((uint16_t)port) != server.sin_port) {
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server_process = process;
    for (long i = 0; i < count; i++) players[i].heard_ms = players[i].tick = 0;
  }
  fclose(file);
}

/* The kills are spread over the answers; which word or write is the last of a server is chance. */
static void kill_server(void) {
  if (killed >= kills || !server_process || answers < (killed + 1) * count * asks / (kills + 1)) return;
  if (kill(server_process, SIGKILL) == 0) killed++;
  server_process = 0;
}

/* ---- playing ---- */

static bool make_players(void) {
  const char *seed_text = getenv("SEED");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 1;
  players = calloc((size_t)count, sizeof *players);
  if (!players) return false;
  for (long i = 0; i < count; i++) {
    struct player *player = &players[i];
    snprintf(player->name, sizeof player->name, "p%d", (int)i);
    player->random = (seed * 1000003 + (uint64_t)i + 1) * 0x9E3779B97F4A7C15u | 1;
    player->number = -1;
    player->socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (player->socket < 0) return false;
  }
  return true;
}

static bool is_over(void) {
  for (long i = 0; i < count; i++)
    if (players[i].answers < asks) return false;
  return asks > 0;
}

static void play(void) {
  int64_t end = now_ms() + (int64_t)(seconds * 1000), next = now_ms();
  while (!is_over() && !asked_to_end && now_ms() < end) {
    find_server();
    for (long i = 0; i < count; i++) hear(&players[i]);
    kill_server();
    if (told) fflush(told);
    if (now_ms() >= next && server.sin_port) {
      for (long i = 0; i < count; i++) act(&players[i]);
      next += 1000 / RATE;
      if (next < now_ms()) next = now_ms();
    }
    poll(NULL, 0, 1 + (int)below(&players[0].random, 3));
  }
}

static bool read_options(int argc, char **argv) {
  static const struct option options[] = {
      {"players", required_argument, NULL, 'p'}, {"asks", required_argument, NULL, 'a'},
      {"seconds", required_argument, NULL, 's'}, {"told", required_argument, NULL, 't'},
      {"kills", required_argument, NULL, 'k'},   {NULL, 0, NULL, 0}};
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    if (option == 'p') count = atol(optarg);
    if (option == 'a') asks = atol(optarg);
    if (option == 's') seconds = atof(optarg);
    if (option == 'k') kills = atol(optarg);
    if (option == 't' && !(told = fopen(optarg, "w"))) return false;
    if (option == '?') return false;
  }
  data = argv[optind];
  return optind + 1 == argc && count > 0;
}

static void on_signal(int number) {
  (void)number;
  asked_to_end = 1;
}

int main(int argc, char **argv) {
  if (!read_options(argc, argv) || !make_players()) {
    fprintf(stderr, "usage: players DATA [--players N] [--asks N] [--seconds S] [--told FILE] [--kills N]\n");
    return 2;
  }
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  play();
  printf("%ld answers, %ld trades, %ld states, %ld ticks missing, %ld kills\n", answers, bought, states,
         missing, killed);
  if (told) fclose(told);
  free(players);
  return 0;
}
