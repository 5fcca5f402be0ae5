# Creates, starts and stops a PostgreSQL server. It ends when its standard input ends, so that no server outlives the process
# that started it, however that process ends.
#   $1 folder of PostgreSQL's programs   $2 folder for the server, which is removed at the end   $3 port   $4 on or off: fsync
bin=$1 folder=$2 port=$3 fsync=$4

start() {
    if "$bin/pg_ctl" -D "$folder/data" -w -t 60 -l "$folder/log" -o "-p $port" start >/dev/null 2>&1; then
        echo ready
    else
        tail -n 3 "$folder/log" >&2
        echo failed
    fi
}

stop() {
    "$bin/pg_ctl" -D "$folder/data" -w -m immediate stop >/dev/null 2>&1
}

if "$bin/initdb" -D "$folder/data" -U postgres -A scram-sha-256 --pwfile="$folder/password" \
    -E UTF8 --locale=C --no-sync >"$folder/initdb" 2>&1; then
    cat >>"$folder/data/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = $fsync
full_page_writes = $fsync
max_connections = 200
shared_buffers = 64MB
END
    start
else
    tail -n 3 "$folder/initdb" >&2
    echo failed
fi

while read -r command; do
    case $command in
    stop) stop; echo stopped ;;
    start) start ;;
    esac
done
stop
rm -rf "$folder"
