#!/bin/sh
# Export this user's Claude login for containers: ~/.claude-container/.credentials.json gets the access token, its scopes and its expiry,
# never the refresh token, whose use in a copy would log the user out. The same as `ccterm auth export`, for macOS and Linux before anything
# is installed: it needs sh, awk and the usual small tools, and on macOS `security`. Nothing of Claude's own is written.
#
#   scripts/export-claude-credentials.sh [--print-path]     --print-path: print the file's path on stdout
set -eu
LC_ALL=C
export LC_ALL
umask 077

name=.credentials.json
home=${HOME:-/nonexistent}
target=$home/.claude-container/$name
print_path=''
log_in='run claude and type /login, or ccterm auth setup for a token that lasts a year'
renew='run claude once, which renews it, then export again; or ccterm auth setup for a token that lasts a year'

refuse() {
    printf 'export-claude-credentials: %s\n' "$1${2:+; $2}" >&2
    exit "${3:-3}"
}

case $#:${1-} in
    0:) ;;
    1:--print-path) print_path=1 ;;
    1:-h | 1:--help)
        sed -n '2,6s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) refuse "unknown argument $1" 'it takes --print-path and nothing else' 2 ;;
esac

# Reads a login document from stdin. Prints a problem (an empty line when there is none), the expiry in milliseconds, and what containers get.
parse_login() {
    awk '
    function fail() { bad = 1; return 0 }
    function space() { while (substr(text, at, 1) ~ /[ \t\r\n]/) at++ }
    function taken(pattern) {
        if (!match(substr(text, at), pattern)) return 0
        token = substr(text, at, RLENGTH); at += RLENGTH
        return 1
    }
    function value(path, depth,    begin) {
        if (bad || depth > 100) return fail()
        space(); begin = substr(text, at, 1)
        if (begin == "{") return object(path, depth)
        if (begin == "[") return array(path, depth)
        if (begin == "\"") {
            if (!taken(string)) return fail()
            kind[path] = "string"; held[path] = substr(token, 2, length(token) - 2)
        } else if (taken("^(true|false|null)")) kind[path] = token
        else if (taken("^-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?")) { kind[path] = "number"; held[path] = token }
        else return fail()
        return 1
    }
    function object(path, depth,    key) {
        kind[path] = "object"; at++; space()
        if (substr(text, at, 1) == "}") { at++; return 1 }
        while (!bad) {
            space()
            if (!taken(string)) return fail()
            key = substr(token, 2, length(token) - 2); space()
            if (substr(text, at++, 1) != ":") return fail()
            if (!value(path "/" key, depth + 1)) return fail()
            space()
            if (substr(text, at, 1) == "}") { at++; return 1 }
            if (substr(text, at++, 1) != ",") return fail()
        }
        return 0
    }
    function array(path, depth,    n) {
        kind[path] = "array"; held[path] = n = 0; at++; space()
        if (substr(text, at, 1) == "]") { at++; return 1 }
        while (!bad) {
            if (!value(path "/" n, depth + 1)) return fail()
            held[path] = ++n; space()
            if (substr(text, at, 1) == "]") { at++; return 1 }
            if (substr(text, at++, 1) != ",") return fail()
        }
        return 0
    }
    function has(field, wanted) {
        return kind[login "/" field] == "" || kind[login "/" field] == "null" || kind[login "/" field] == wanted
    }
    function say(problem) { print problem; print expires; print document; exit }
    { text = text (NR > 1 ? "\n" : "") $0 }
    END {
        login = "/claudeAiOauth"; at = 1
        hex = "[0-9a-fA-F]"
        string = "^\"([^\"\\\\\001-\037]|\\\\[\"\\\\/bfnrt]|\\\\u" hex hex hex hex ")*\""
        value("", 0); space()
        if (bad || at <= length(text) || kind[login] != "object" || kind[login "/accessToken"] != "string") say("is malformed")
        if (!has("refreshToken", "string") || !has("expiresAt", "number") || !has("scopes", "array") || !has("subscriptionType", "string"))
            say("is malformed")
        access = held[login "/accessToken"]; given = held[login "/expiresAt"]; plan = held[login "/subscriptionType"]
        if (given != "" && (given !~ /^(0|[1-9][0-9]*)$/ || length(given) > 14)) say("is malformed")
        if (kind[login "/subscriptionType"] == "string" && (plan !~ /^[A-Za-z0-9_.-]+$/ || length(plan) > 64)) say("is malformed")
        for (i = 0; i < held[login "/scopes"]; i++) if (kind[login "/scopes/" i] != "string") say("is malformed")
        if (access == "" || given == "0") say("was logged out by a failed refresh")
        if (access !~ /^[!-~]+$/ || access ~ /["\\]/ || length(access) > 8192) say("is malformed")
        for (i = 0; i < held[login "/scopes"]; i++) {
            scope = held[login "/scopes/" i]
            if (scope !~ /^[A-Za-z0-9:._\/-]+$/ || length(scope) > 100) say("is malformed")
            scopes = scopes (i ? ", " : "") "\"" scope "\""
            if (scope == "user:inference") inference = 1
        }
        if (!inference) say("lacks the scope user:inference")
        if (given == "") say("does not say when it expires")
        expires = length(given) < 12 ? given "000" : given
        document = "{\"claudeAiOauth\": {\"accessToken\": \"" access "\", \"scopes\": [" scopes "], \"expiresAt\": " expires
        document = document (plan == "" ? "" : ", \"subscriptionType\": \"" plan "\"") "}}"
        say("")
    }'
}

# Looks at one login: remembers the freshest that can be used, and what is wrong with the first that cannot.
consider() { # WHERE DOCUMENT
    parsed=$(printf '%s\n' "$2" | parse_login)
    trouble=$(printf '%s\n' "$parsed" | sed -n 1p)
    expires=$(printf '%s\n' "$parsed" | sed -n 2p)
    if [ -n "$trouble" ]; then
        problem=${problem:-the Claude login in $1 $trouble}
    elif [ "$expires" -gt "$best_expires" ]; then
        best=$(printf '%s\n' "$parsed" | sed -n 3p)
        best_expires=$expires
        best_where=$1
    fi
}

consider_file() {
    file=${CLAUDE_CONFIG_DIR:-$home/.claude}/$name
    [ -e "$file" ] || return 0
    if [ ! -f "$file" ]; then
        problem=${problem:-the Claude login in $file is not a regular file}
    elif [ ! -r "$file" ]; then
        problem=${problem:-the Claude login in $file cannot be read}
    elif [ "$(wc -c <"$file")" -gt 65536 ]; then
        problem=${problem:-the Claude login in $file is larger than 64 KiB}
    elif [ "$(tr -d '\000' <"$file" | wc -c)" -ne "$(wc -c <"$file")" ] || ! iconv -f UTF-8 -t UTF-8 <"$file" >/dev/null 2>&1; then
        problem=${problem:-the Claude login in $file is malformed}
    else
        consider "$file" "$(cat "$file")"
    fi
}

# Asks the macOS keychain, whose dialog may wait for the user: five seconds at most.
consider_keychain() {
    item='Claude Code-credentials'
    if [ -n "${CLAUDE_CONFIG_DIR-}" ]; then
        item=$item-$(printf %s "$CLAUDE_CONFIG_DIR" | shasum -a 256 | cut -c 1-8)
    fi
    command -v security >/dev/null 2>&1 || return 0
    answer=$(
        security find-generic-password -s "$item" -w </dev/null 2>/dev/null &
        asked=$!
        { sleep 5; kill "$asked"; } >/dev/null 2>&1 &
        guard=$!
        code=0
        wait "$asked" 2>/dev/null || code=$? # some shells say "Terminated" here
        kill "$guard" 2>/dev/null || :
        printf '\n%s' "$code"
    )
    code=$(printf '%s' "$answer" | tail -n 1)
    case $code in
        0) consider 'the macOS keychain' "$(printf '%s\n' "$answer" | sed '$d' | decoded)" ;;
        36) closed='the macOS keychain is locked; security unlock-keychain, then try again' ;;
        51) closed='the macOS keychain refused the password; security unlock-keychain, then try again' ;;
        128) closed='access to the Claude item of the macOS keychain was denied; try again and allow it' ;;
        143) closed='the macOS keychain does not answer; look for its dialog, allow it, then try again' ;;
    esac
}

# Some versions of `security` print the item as hexadecimal.
decoded() {
    awk '
    { text = text (NR > 1 ? "\n" : "") $0 }
    END {
        sub(/[ \t\r\n]+$/, "", text)
        if (text !~ /^[0-9a-fA-F]+$/ || length(text) % 2) { print text; exit }
        for (i = 1; i < length(text); i += 2) {
            byte = 16 * (index("0123456789abcdef", tolower(substr(text, i, 1))) - 1) + index("0123456789abcdef", tolower(substr(text, i + 1, 1))) - 1
            printf "%s", byte < 128 ? sprintf("%c", byte) : "?"
        }
    }'
}

# Writes the file whole or not at all, readable by this user alone from the start; the directory is entered first and then looked at.
write() { # DOCUMENT
    directory=${target%/*}
    foreign="$directory belongs to another user, is a link, or can be written to by others"
    [ -d "$directory" ] || [ -L "$directory" ] || mkdir -m 700 "$directory" 2>/dev/null || [ -d "$directory" ] ||
        refuse "$directory cannot be made" 'look at it, then try again'
    cd -P "$home" 2>/dev/null || refuse "$home cannot be entered" 'set HOME'
    beneath=$(pwd -P)
    if [ -L .claude-container ] || ! cd -P .claude-container 2>/dev/null; then
        refuse "$foreign" "chmod 700 $directory, or move it away"
    fi
    [ "$(pwd -P)" = "${beneath%/}/.claude-container" ] || refuse "$foreign" "move $directory away"
    user=$(id -u)
    [ -n "$(find . -prune -type d -user "$user" ! -perm -020 ! -perm -002)" ] || refuse "$foreign" "chmod 700 $directory, or move it away"
    chmod 700 .
    if [ -L "$name" ] || [ -e "$name" ]; then
        [ -n "$(find "$name" -prune -type f -user "$user")" ] || refuse "$target is not a regular file of this user" 'move it away'
    fi
    same=''
    [ "$(cat "$name" 2>/dev/null || :)" != "$1" ] || same=1
    find . ! -name . -prune -type f -name "$name.*" -mmin +1 -exec rm -f {} + # what was left by one that was killed holds a secret, too
    unfinished=$(mktemp "$name.XXXXXXXX") || refuse "$target cannot be written" "look at $directory, then try again"
    trap 'rm -f "$unfinished"' EXIT
    trap 'exit 130' HUP INT TERM
    printf '%s\n' "$1" >"$unfinished" || refuse "$target cannot be written" "look at $directory, then try again"
    sync "$unfinished" 2>/dev/null || sync
    mv -f "$unfinished" "$name"
    sync . 2>/dev/null || sync
}

problem='' closed='' best='' best_expires=0 best_where=''
[ "$(uname)" != Darwin ] || consider_keychain
consider_file
if [ -z "$best" ]; then
    [ -z "$closed" ] || refuse "$closed"
    refuse "${problem:-there is no Claude login to export}" "$log_in"
fi
seconds=$((best_expires / 1000))
left=$((seconds - $(date +%s)))
if [ "$left" -le 0 ]; then
    when=$(date -d "@$seconds" '+%a %H:%M' 2>/dev/null || date -r "$seconds" '+%a %H:%M')
    refuse "the Claude login in $best_where expired $when" "$renew"
fi
write "$best"
minutes=$(((left + 30) / 60))
if [ "$minutes" -lt 60 ]; then spelled="$minutes min"; else spelled=$(printf '%d h %02d min' $((minutes / 60)) $((minutes % 60))); fi
words="a new token, $spelled left"
[ -z "$same" ] || words="the same token as before, $spelled left"
if [ -n "$same" ] || [ "$left" -lt 3600 ]; then words="$words; run claude once, or ccterm auth setup for a token that lasts a year"; fi
printf 'the Claude login is in %s: %s\n' "$target" "$words" >&2
[ -z "$print_path" ] || printf '%s\n' "$target"
