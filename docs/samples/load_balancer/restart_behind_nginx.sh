#!/bin/sh
# Restart one web server behind nginx's free version without losing a request:
#   restart_behind_nginx.sh 10.0.0.11:8000 'ssh web-1 sudo systemctl restart photos'
set -eu
server=$1
restart=$2
list=${LIST:-/etc/nginx/web_servers.conf}
reload=${RELOAD:-nginx -s reload}
ask=${ASK:-curl --fail --silent --output /dev/null --max-time 2}
pause=${PAUSE:-2} # seconds until nginx's old workers take no new requests

mark() { # rewrite the server's line, in place: nginx has the file's name, and it may be a mount
    changed=$(sed "s/^server $server\( down\)\{0,1\} /server $server$1 /" "$list")
    printf '%s\n' "$changed" >"$list"
    $reload
    sleep "$pause"
}

mark " down"
sh -c "$restart"
tries=60
until $ask "http://$server/readyz"; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ]; then
        echo "$server is not ready a minute after its restart: it stays out. The others go on." >&2
        exit 1
    fi
    sleep 1
done
mark ""
