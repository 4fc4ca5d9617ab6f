return require "lib.circle"
