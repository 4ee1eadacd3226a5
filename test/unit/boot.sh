#!/bin/bash
# boot.sh NAME TREE STAGE DISK: a systemd of its own over a Debian tree, which stays as it is (overlay), with the controllers of
# cgroup v1 delegated, so that DeviceAllow=, MemoryMax= and TasksMax= hold. STAGE/files is copied over the tree,
# STAGE/binds ("from to" lines) are bind-mounted. The process of systemd is the one this script becomes; its network is the
# machine's (with a fifth word `alone`: none but its own loopback), and everything else ends with it. What it writes lies in memory, DISK
# at most (size= of tmpfs). STAGE/old is where the machine's own tree is put away while it is set up.
set -euo pipefail
name=$1 tree=$2 stage=$3 disk=$4
controllers=()
for c in cpu cpuacct cpuset memory devices freezer blkio pids; do
  [ -d "/sys/fs/cgroup/$c" ] && controllers+=("$c")
done
for c in "${controllers[@]}" systemd unified; do
  [ -d "/sys/fs/cgroup/$c" ] || continue
  mkdir -p "/sys/fs/cgroup/$c/$name"
  if [ "$c" = cpuset ]; then
    for file in cpus mems; do cat "/sys/fs/cgroup/cpuset/cpuset.$file" > "/sys/fs/cgroup/cpuset/$name/cpuset.$file"; done
  fi
  echo $$ > "/sys/fs/cgroup/$c/$name/cgroup.procs"
done
export name tree stage disk controllers_text="${controllers[*]}"
network=()
[ "${5:-}" != alone ] || network=(--net)
exec unshare "${network[@]}" --cgroup --mount --pid --fork --kill-child --uts --ipc --propagation private bash -euo pipefail -c '
read -ra controllers <<<"$controllers_text"
mount -t tmpfs tmpfs "$stage/mnt" -o "size=$disk"
mkdir "$stage/mnt/upper" "$stage/mnt/work" "$stage/mnt/root"
R="$stage/mnt/root"
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$stage/mnt/upper,workdir=$stage/mnt/work" "$R"
cp -a "$stage/files/." "$R/"
mount -t proc proc "$R/proc" -o nosuid,nodev,noexec
mount -t sysfs sysfs "$R/sys" -o ro,nosuid,nodev,noexec
mount -t tmpfs tmpfs "$R/dev" -o mode=755,nosuid
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
  IFS=: read -r file major minor <<<"$node"; mknod -m 666 "$R/dev/$file" c "$major" "$minor"
done
mkdir "$R/dev/pts" "$R/dev/shm"
mount -t devpts devpts "$R/dev/pts" -o newinstance,ptmxmode=0666,mode=620,gid=5
ln -s pts/ptmx "$R/dev/ptmx"; ln -s /proc/self/fd "$R/dev/fd"
mount -t tmpfs tmpfs "$R/dev/shm"
# A null of its own: systemd gives the console to a group and takes it from everybody else. Where it was the /dev/null of this
# machine, bound there, nobody but root could open that any more (incident of 2026-11-28).
mknod -m 600 "$R/dev/console" c 1 3
mount -t tmpfs tmpfs "$R/run" -o mode=755
mount -t tmpfs tmpfs "$R/tmp" -o mode=1777
while read -r from to; do
  [ -n "$from" ] || continue
  mkdir -p "$(dirname "$R$to")"
  if [ -d "$from" ]; then mkdir -p "$R$to"; else touch "$R$to"; fi
  mount --bind "$from" "$R$to"
done < "$stage/binds"
mount -t tmpfs tmpfs "$R/sys/fs/cgroup" -o mode=755
for c in "${controllers[@]}"; do mkdir "$R/sys/fs/cgroup/$c"; mount -t cgroup -o "$c" cgroup "$R/sys/fs/cgroup/$c"; done
mkdir "$R/sys/fs/cgroup/systemd"; mount -t cgroup -o none,name=systemd cgroup "$R/sys/fs/cgroup/systemd"
if [ -d /sys/fs/cgroup/unified ]; then
  mkdir "$R/sys/fs/cgroup/unified"; mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup/unified"
fi
hostname "$name"
mkdir -p "$R/.old"; cd "$R"; pivot_root . .old; umount -l /.old
# As on a machine: credentials come to a service by a mount that spreads. In a container systemd leaves that to whoever made it.
mount --make-rshared /
export container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec /lib/systemd/systemd --log-target=journal --show-status=no </dev/null'
