#!/bin/bash
# Runs in the emulated machine of scripts/package-test-arm64; each line of its report begins with @.
say() { printf '@ %s\n' "$*"; }
try() { # NAME COMMAND…: its output is shown where it fails
  local name=$1 out
  shift
  if out=$("$@" 2>&1); then
    say "ok $name${out:+: ${out:0:200}}"
  else
    say "FAILED $name"
    printf '%s\n' "$out" | head -40 | while IFS= read -r line; do say "  ${line:0:300}"; done
  fi
}
wait_for() { # SECONDS COMMAND…
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { systemctl status --no-pager --lines=30 meter-gateway; meter-gateway status; return 1; }
    sleep 2
  done
}
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
node=/usr/lib/meter-gateway/node/bin/node
field() { # EXPRESSION of the snapshot s
  meter-gateway status --json | "$node" -e "const s=JSON.parse(require('fs').readFileSync(0,'utf8'));const v=$1;if(v===false||v===undefined)process.exit(1);console.log(v)"
}
all_read() { field 's.ports.length === 2 && s.ports.every((p) => p.open && p.meters.every((m) => m.intervalsRead > 5))'; }

try "the machine" uname -mr
try "systemd" bash -c 'wait_=$(systemctl is-system-running); echo "$wait_"; systemctl --version | head -1'
try "apt install without a network" bash -c 'apt-get install -y --no-install-recommends /root/meter-gateway.deb >/root/apt.log 2>&1 || { tail -30 /root/apt.log; exit 1; }; dpkg-query -W -f "\${Version} \${Architecture} \${db:Status-Abbrev}" meter-gateway'
try "meter-gateway --version" meter-gateway --version
try "a fresh installation runs, and waits for a configuration" bash -c "$(declare -f wait_for); wait_for 300 systemctl is-active --quiet meter-gateway && systemctl is-active meter-gateway"
try "Node" "$node" -p 'process.version + " " + process.arch'
for unit in /usr/lib/systemd/system/meter-*.service; do
  try "exposure of ${unit##*/} at most 1.3" bash -c "systemd-analyze security --offline=yes --threshold=13 $unit | tail -1"
done
try "the clock is asked" bash -c 'systemctl start meter-gateway-clock.service && cat /run/meter-gateway-clock'
try "secret set" bash -c 'printf s3cr3t-pw | meter-gateway secret set meter && meter-gateway secret list'

uart=$(for port in /sys/class/tty/ttyS*; do [ "$(cat "$port/type" 2>/dev/null)" = 0 ] || echo "/dev/${port##*/}"; done | head -1)
try "a UART of the board" test -c "$uart"
meters() { # LETTER NUMBER…
  local letter=$1 n
  shift
  for n in "$@"; do
    printf '[[port.meter]]\nid = "%s%s"\npoint = "%s%s"\nserial = "6012000%s"\nclient = 17\nphysical = %s\nauth = "lls"\nsecret = "credential:meter"\n' "$letter" "$n" "$letter" "$n" "$n" $((1000 + n))
  done
}
systemd-run -q --unit simulator meter-simulator run --meters 2 --pty /run/ttyMETER --password s3cr3t-pw
wait_for 60 test -e /run/ttyMETER
chgrp dialout "$(readlink /run/ttyMETER)" && chmod 660 "$(readlink /run/ttyMETER)"
mkdir -p /etc/systemd/system/meter-gateway.service.d
printf '[Service]\nDeviceAllow=char-pts rw\n' > /etc/systemd/system/meter-gateway.service.d/pseudo.conf
systemctl daemon-reload
{
  printf '[gateway]\nid = "arm"\ntenant = "t"\ntime_zone = "UTC"\npoll_offset_s = 0\nback_fill_days = 1\nstate_directory = "/var/lib/meter-gateway"\n'
  printf '[mqtt]\nurl = "mqtt://127.0.0.1:1883"\n'
  printf '[[port]]\nname = "pty"\ndevice = "/run/ttyMETER"\nbaud = 9600\n'
  meters p 1 2
  printf '[[port]]\nname = "uart"\ndevice = "%s"\nbaud = 9600\n' "$uart"
  meters u 3 4
} > /etc/meter-gateway/gateway.toml
try "config check" bash -c 'out=$(meter-gateway config check /etc/meter-gateway/gateway.toml 2>&1) || { echo "$out"; exit 1; }'
# By the line, and again where the broker is not there yet; this machine resolves no names.
(until stdbuf -oL mosquitto_sub -h 127.0.0.1 -t '#' -v -W 1200; do sleep 1; done) > /root/heard 2>&1 &
printf 'METER_CENTRAL="--broker mqtt://127.0.0.1:1883 --tenant t"\n' > /etc/meter-central/central.conf
try "meter-central starts" systemctl start meter-central
try "the service is READY" systemctl restart meter-gateway
try "meters are read over the pseudo-terminal and over the UART" bash -c "$(declare -f wait_for field all_read); node=$node; wait_for 600 all_read && field 's.ports.map((p) => p.meters.map((m) => m.intervalsRead))'"
try "the broker has it" bash -c "$(declare -f wait_for); wait_for 120 grep -aq '/up/' /root/heard || { head -c 600 /root/heard; exit 1; }; grep -ac '/up/' /root/heard"
stored() { meter-central list --store /var/lib/meter-central/central.db; }
try "meter-central has it, and acknowledges it" bash -c "$(declare -f wait_for field stored); node=$node; wait_for 300 field 's.store.pending === 0' && stored | cut -c1-60 | head -2"
epoch=$(field s.store.epoch)
try "restarted: the store is the same" bash -c "$(declare -f wait_for field); node=$node; systemctl restart meter-gateway && wait_for 60 field 's.store.epoch === $epoch'"
pid=$(systemctl show -p MainPID --value meter-gateway)
try "memory" grep VmRSS "/proc/$pid/status"
# What the gateway has open, the check does not open; a pseudo-terminal it may not. Nothing keeps the clock of this machine, and that
# is the one thing that it finds.
checked() {
  systemctl start meter-gateway-check
  journalctl -u meter-gateway-check -o cat --no-pager > /root/checked
  grep -q 'gateway.clock_trust: the kernel says' /root/checked && grep -q ': 1 fault$' /root/checked || { cat /root/checked; return 1; }
}
try "meter-gateway-check finds the clock, and nothing else" bash -c "$(declare -f wait_for field checked); node=$node; wait_for 120 field 's.ports.every((p) => p.open)'; checked"
try "stopped cleanly" bash -c 'systemctl stop meter-gateway && systemctl show -p Result --value meter-gateway'
try "purge" bash -c 'apt-get purge -y meter-gateway >/root/apt.log 2>&1 || { tail -30 /root/apt.log; exit 1; }; ! test -e /usr/lib/meter-gateway && ! test -e /var/lib/private/meter-gateway && test -e /var/lib/private/meter-central/central.db'
say "all done"
