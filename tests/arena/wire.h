/* What goes over the wire: one line of text a datagram, so that it can be read with tcpdump.
 *
 *     player → arena                             arena → player
 *     join NAME                                  hello N          the last request that was answered
 *     move DX DY                                 state TICK X Y HEALTH, then NAME X Y of those in reach
 *     hit NAME                                   told …           something that has happened
 *     ask N WORD ARGUMENT…                       answer N …
 *                                                who              join first
 *
 * Datagrams get lost, and so does a server. Positions are sent again and again anyway; a request (`ask`) is
 * sent again until it is answered, with the same number, and is done once all the same: the rules see to
 * that (rules/lib/asks.lua). */
#ifndef ARENA_WIRE_H
#define ARENA_WIRE_H

#include "rules.h"
#include "world.h"

enum { DATAGRAM_BYTES = 1200 };

int wire_open(void); /* a socket on 127.0.0.1; -1: errno says why */
int wire_port(int socket);

void wire_receive(int socket, struct world *world, struct rules *rules); /* all that has come */
void wire_send_states(int socket, struct world *world); /* to a third of the players: 20 a second each */
void wire_tell(int socket, const struct player *player, const char *line);

#endif
