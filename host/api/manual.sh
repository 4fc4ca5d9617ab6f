#!/bin/sh
# The manual's page of the C library, moonkeep(3), made of the header, which is its reference.
#
#   host/api/manual.sh HEADER VERSION           the page
#   host/api/manual.sh --names HEADER           the functions in it, which are names of the page, too
set -eu

names() {
  grep -oE '\bmoonkeep_[a-z_]+\(' "$1" | tr -d '(' | sort -u
}

if [ "$1" = --names ]; then
  names "$2"
  exit
fi

printf '.TH MOONKEEP 3 "" "moonkeep %s" "The C library"\n.SH NAME\nmoonkeep' "$2"
printf ' \\- bot and game logic in Lua, with data that cannot be lost: the C library\n'
# shellcheck disable=SC2016 # a command that stands in the page
printf '.SH SYNOPSIS\n.nf\n#include <moonkeep.h>\n.sp\ncc \\-o server server.c $(pkg\\-config \\-\\-cflags \\-\\-libs moonkeep)\n.fi\n'
printf '.SH DESCRIPTION\n'
LC_ALL=C.UTF-8 awk '
  function escaped(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/\047/, "\\(aq", text)
    gsub(/`/, "\\(ga", text)
    gsub(/\^/, "\\(ha", text)
    gsub(/~/, "\\(ti", text)
    gsub(/…/, "\\[u2026]", text)
    return (text ~ /^\./) ? "\\\\&" text : text
  }
  function as_is(on) {
    if (on == literal) return
    print on ? ".PP\n.nf" : ".fi\n.PP"
    literal = on
  }
  function code(line) {
    if (line == "" && !literal) return
    as_is(1)
    if (line == "") empty = 1
    else {
      if (empty) print ".sp"
      empty = 0
      print escaped(line)
    }
  }
  function prose(line) {
    if (line == "") { as_is(0); print ".PP"; return }
    if (line ~ /^    /) { as_is(1); print escaped(line); return }
    as_is(0)
    print escaped(line)
  }
  /^#|^extern "C"/ { skipping = skipping || /^#ifdef __cplusplus/; next }
  skipping { skipping = 0; next }
  /^\/\* ---- .* ----/ {
    as_is(0)
    title = $0
    sub(/^\/\* ---- /, "", title)
    sub(/ ----.*/, "", title)
    print ".SH " escaped(toupper(title))
    comment = !/\*\//
    next
  }
  /^\/\*/ && !comment { comment = 1; empty = 0; as_is(0); print ".PP" }
  comment {
    line = $0
    sub(/^\/\* ?/, "", line)
    sub(/^ \* ?/, "", line)
    ends = sub(/ ?\*\/ *$/, "", line)
    if (line != "" || !ends) prose(line)
    if (ends) comment = 0
    next
  }
  { code($0) }
  END { as_is(0) }
' "$1" | awk '$0 == ".PP" && last == ".PP" { next } { print; last = $0 }'
printf '.SH SEE ALSO\n.BR moonkeep (1)\n'
