#!/bin/sh
# An agent of `beadle demo`, called after the one it plays. It draws as that one does, talks to nobody, and ends when the
# directory of the demo has gone. $DEMO_PART says how its day goes.
kind=${0##*/}
is_over() { [ ! -d "$BEADLE_DEMO" ]; }

case $kind in mcp-*)
  # A helper: it speaks when it is spoken to, and nobody does.
  trap '' HUP
  until is_over; do sleep 2; done
  exit 0 ;;
esac

dim='\033[2m' off='\033[0m' bold='\033[1m' blue='\033[34m' green='\033[32m' red='\033[31m'
rule='────────────────────────────────────────────────────────────'
foot=0 began=0 n=0 state=working typed=

nl='
'

# How long a turn waits for a key, in tenths of a second: who does nothing wakes up rarely.
pace() { stty -icanon -echo min 0 time $1 2>/dev/null; }
pace 4
mcp-server-filesystem . >/dev/null 2>&1 </dev/null &
[ "$kind" = goose ] || mcp-server-github >/dev/null 2>&1 </dev/null &

erase() { [ $foot -eq 0 ] || printf '\033[%dA\r\033[J' $foot; foot=0; }

# The lines at the bottom, as each kind has them.
footer() {
  erase
  n=$((n + 1)) began=$((began + 1))
  case $((n % 4)) in 0) s=✶ b=⠋ g=◐ ;; 1) s=✻ b=⠙ g=◓ ;; 2) s=✽ b=⠹ g=◑ ;; *) s=✢ b=⠸ g=◒ ;; esac
  t=$((began / 2))s
  case $kind-$state in
    claude-working) foot=7; printf "\n${red}$s Working…${off} ${dim}($t · ↓ $((began * 37)) tokens)${off}\n\n${dim}$rule${off}\n❯ \n${dim}$rule${off}\n  ? for shortcuts\n" ;;
    claude-asking) foot=10; printf "${dim}$rule${off}\n ${bold}Bash command${off}\n\n   $ask\n\n Do you want to proceed?\n ${blue}❯ 1. Yes${off}\n   2. No (esc)\n\n ${dim}Esc to cancel · Tab to amend · ctrl+e to explain${off}\n" ;;
    claude-limit) foot=6; printf "  └  ${red}You've hit your limit · resets 3pm (UTC)${off}\n\n${dim}$rule${off}\n❯ \n${dim}$rule${off}\n  ? for shortcuts\n" ;;
    claude-*) foot=6; printf "\n${dim}✻ Worked for $t\n\n$rule${off}\n❯ \n${dim}$rule${off}\n" ;;
    codex-working) foot=6; printf "\n• ${bold}Working${off} ${dim}($t • esc to interrupt)${off}\n\n› Ask Codex to do anything\n\n  ${dim}gpt-5 high · 98%% context left${off}\n" ;;
    codex-asking) foot=8; printf "  Would you like to run the following command?\n\n  \$ $ask\n\n${blue}› 1. Yes, proceed (y)${off}\n  2. No, and tell Codex what to do differently (esc)\n\n  Press enter to confirm or esc to cancel\n" ;;
    codex-*) foot=5; printf "\n${dim}─ Worked for $t ──────────────────────────────${off}\n\n› Ask Codex to do anything\n\n" ;;
    goose-working) foot=2; printf "\n$g  Herding cats...  ${dim}(Ctrl+C to interrupt)${off}\n" ;;
    goose-*) foot=2; printf "\n( O)> \n" ;;
    *-working) foot=5; printf "\n$b Reticulating splines… ${dim}(esc to cancel, $t)${off}\n\n >   Type your message or @path/to/file\n ${dim}no sandbox   auto${off}\n" ;;
    *) foot=3; printf "\n >   Type your message or @path/to/file\n ${dim}no sandbox   auto${off}\n" ;;
  esac
}

say() { erase; printf '%b\n' "$1"; footer; }

# One turn of the clock; what was typed meanwhile is in $typed.
turn() {
  is_over && exit 0
  typed=$(dd bs=200 count=1 2>/dev/null; echo .)
  typed=${typed%.}
  [ -z "$typed" ] || typed=$(printf %s "$typed" | tr -cd '[:print:]\n'; echo .) typed=${typed%.}
  [ -t 0 ] || sleep 1
  footer
}

turns() { i=0; while [ $i -lt "$1" ]; do turn; [ -z "$typed" ] || return 0; i=$((i + 1)); done; }

pick() { by=$1; shift; shift $((k * by % $#)); word=$1; }

# A piece of work: something is read, changed, tried; a tool uses the processor for a moment.
work() {
  k=$((${k:-$$ % 97} + 1))
  pick 7 session login tokens schema cart invoice search routes cache upload worker mailer; a=$word
  pick 5 src lib api web tests core jobs; d=$word
  pick 3 'retries are counted' 'the error names its cause' 'a guard was missing' 'two queries became one' 'time is an argument now'; w=$word
  case $((k % 3)) in
    0) say "${green}●${off} ${bold}Read${off}($d/$a.rs)"; turns 2; say "  ${dim}└  read, $w${off}" ;;
    1) say "${green}●${off} ${bold}Update${off}($d/$a.rs)"; turns 2; say "  ${dim}└${off}  ${green}+ $w in $a${off}" ;;
    *) say "${green}●${off} ${bold}Bash${off}(cargo test $d::$a)"; sh -c 'i=0; while [ $i -lt 60000 ]; do i=$((i + 1)); done'
       say "  ${dim}└  $a: all pass${off}" ;;
  esac
  turns 3
}

# Waits for an answer.
ask() {
  state=asking ask=$1 typed=; footer; pace 100
  asked=0
  until case $typed in *1*|*y*|*2*|*n*|*"$nl"*) : ;; *) false ;; esac; do
    turn
    # In a demo somebody else answers after a while.
    asked=$((asked + 1)); [ $asked -lt "${2:-1000}" ] || break
  done
  case $typed in *2*|*n*) say "${dim}  not that, then${off}" ;; esac
  pace 4; state=working typed= began=0
}

# At its prompt, until somebody types a line.
rest() {
  state=idle typed=; footer; pace 100
  while [ -z "$typed" ]; do turn; done
  pace 4; say "\n❯ ${typed%"$nl"}\n"; state=working typed= began=0
}

job() { i0=0; while [ $i0 -lt "$1" ]; do work; i0=$((i0 + 1)); done; }

printf '\033]0;%s\007' "${DEMO_TITLE:-$kind}"
say "${bold}$kind${off} ${dim}· $(pwd)${off}\n\n❯ ${DEMO_TASK:-begin}\n"
case $DEMO_PART in
  asks) job 2; while :; do ask "rm -r target/debug" 3; job 6; done ;;
  asks-late) job 8; ask "git push --force origin main"; job 100000 ;;
  rests) job 2; while :; do rest; job 3; done ;;
  hangs) job 2; pace 100; while :; do turn; done ;;
  limited) job 1; state=limit; pace 100; while :; do turn; done ;;
  leaves) job 3; say "${green}●${off} Done. The development server listens on port 5173."; exit 0 ;;
  fails) job 2; say "${red}error${off}: the registry did not answer"; exit 1 ;;
  *) job 100000 ;;
esac
