# shellcheck shell=sh disable=SC2034 # those who source it use what it sets
# What tools/kind-up, kind-demo and kind-down share; they source it from the project's folder. A step says what it does,
# its commands' words go into a log, and when it fails it says which one and how to look. DRY_RUN=1 prints the commands.

. tools/versions
FOLDER=.cache/kind
CLUSTER=serinus
KIND=.cache/bin/kind-$KIND_VERSION
LOG=$FOLDER/log
VERSION=$(sed -n 's/^appVersion: *//p' charts/serinus/Chart.yaml)
STEP='' LOOK='' NUMBER=0 ENDED=''
PATH=$PATH:$PWD/.cache/bin # what `make setup` found missing: kubectl, helm
KUBECONFIG=$PWD/$FOLDER/kubeconfig # nobody's own configuration is touched
export PATH KUBECONFIG

begin() {
    [ -n "${DRY_RUN:-}" ] && return
    mkdir -p "$FOLDER"
    : >"$LOG"
    trap 'failed $?' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# step WHAT HOW_TO_LOOK
step() {
    STEP=$1 LOOK=$2 NUMBER=$((NUMBER + 1))
    printf '[%2d] %s\n' "$NUMBER" "$STEP"
}

# run COMMAND...: what it says goes into the log
run() {
    if [ -n "${DRY_RUN:-}" ]; then
        printf '     %s\n' "$*"
        return
    fi
    printf '\n$ %s\n' "$*" >>"$LOG"
    "$@" >>"$LOG" 2>&1
}

# within SECONDS WHAT COMMAND...: until it succeeds; a failure when it has not by then
within() {
    seconds=$1 what=$2
    shift 2
    if [ -n "${DRY_RUN:-}" ]; then
        printf '     until: %s\n' "$*"
        return
    fi
    deadline=$(($(date +%s) + seconds))
    until "$@" >>"$LOG" 2>&1; do
        [ "$(date +%s)" -lt "$deadline" ] || { echo "$what: not within $seconds s" | tee -a "$LOG" >&2; return 1; }
        sleep 2
    done
}

# need PROGRAM WHY
need() {
    command -v "$1" >/dev/null 2>&1 || { echo "expected $1 on PATH, $2; found none" >&2; exit 1; }
}

end() {
    ENDED=yes
}

failed() {
    if [ -z "$ENDED" ]; then
        {
            tail -n 25 "$LOG"
            printf '\nStep %s failed: %s\n' "$NUMBER" "$STEP"
            echo "Its log:    $PWD/$LOG"
            echo "The cluster: export KUBECONFIG=$KUBECONFIG"
            echo "To look:    $LOOK"
            echo "Once it is mended, say the same again: what is there already stays."
        } >&2
    fi
    exit "$1"
}
