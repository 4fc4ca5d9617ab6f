return {upper = string.upper}
