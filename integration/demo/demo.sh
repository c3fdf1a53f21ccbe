# The guest's side of the demo. It runs as root, which only mounts and unmounts;
# all else runs as the ordinary user $DEMO_USER.
set -eu
export HOME=/scratch/home/$DEMO_USER
export NIX_CONFIG='sandbox = false
substituters ='
export NIX_PATH=
cd "$HOME"
printf %s "$EXPRESSION" >hello.nix

now() { date +%s%N; }

# shown PROMPT COMMAND AS-RUN...: shows the command as a person would type it, runs
# it, and says how long it took.
shown() {
	printf '\n%s %s\n' "$1" "$2"
	shift 2
	begin=$(now)
	"$@" 2>&1
	printf '  [%d ms]\n' $((($(now) - begin) / 1000000))
}
drop="setpriv --reuid=$DEMO_USER --regid=$DEMO_USER --clear-groups"
user() { shown '$' "$1" $drop sh -c "$1"; }
root() { shown '#' "$1" sh -c "$1"; }

start=$(now)
printf '\n$ nixnfsd serve &\n'
$drop nixnfsd serve >serve.log 2>&1 &
server=$!
mount_command=
until [ -n "$mount_command" ]; do
	kill -0 $server || { cat serve.log; exit 1; }
	sleep 0.1
	mount_command=$(grep -o 'mount -t nfs .*' serve.log) || :
done
cat serve.log

root "$mount_command"
user 'nixnfsd check'
user 'nix-build hello.nix'
user 'result/bin/hello'
user 'ls -l /nix/store'
user 'nix-store --verify --check-contents'
user 'rm result; nix-store --gc'
user 'ls -l /nix/store'
root 'umount /nix'
printf '\n$ kill %s\n' $server
kill $server
wait $server || { echo "nixnfsd ended with status $?"; exit 1; }
printf '\nBuilt, run, verified and collected in a /nix that user %s serves: %d ms in all.\n' \
	"$DEMO_USER" $((($(now) - start) / 1000000))
