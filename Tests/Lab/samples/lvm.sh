#!/bin/bash
# Runs in a guest: lvm.sh HERE OUT first|second. The second boot has lost the second disk.
. "$1/lib.sh"
. "$1/samples/report.sh"
out=$2

if [ "$3" = second ]; then
    report >"$out/lvm-missing-pv.json" 2>"$out/lvm-missing-pv.stderr.txt"
    vgchange -ay vg0 >"$out/lvm-missing-pv.activation.txt" 2>&1
    echo "exit $?" >>"$out/lvm-missing-pv.activation.txt"
    exit 0
fi

report >"$out/lvm-empty.json"
pvcreate -q -q /dev/ubda
report >"$out/lvm-orphan-pv.json"

make_vg vg0 /dev/ubda
report >"$out/lvm-vg-without-lv.json"
make_thin_pool vg0 pool 1g
lvcreate -q -q --type thin -V 64m --thinpool pool -n v-a --addtag tuff:uid=aaaaaaaaaaaaaaa2 --addtag tuff:vol=a vg0
lvcreate -q -q --type thin -an -V 64m --thinpool pool -n v-b --addtag tuff:uid=aaaaaaaaaaaaaaa3 --addtag tuff:vol=b vg0
report >"$out/lvm-thin.json"

# Everything else an observer meets: snapshots of both kinds, a thick volume, a suspended and an open one, two VGs.
make_vg vg1 /dev/ubdb
lvcreate -q -q -s -kn -an --addtag tuff:uid=aaaaaaaaaaaaaaa4 -n s-a vg0/v-a
lvcreate -q -q -s -n s-skip vg0/v-a
lvcreate -q -q -y -Wy -L 64m -n thick vg1
lvcreate -q -q -s -L 16m -n thick-snap vg1/thick
lvcreate -q -q -y -L 64m -n open vg1
vgchange -q -q --addtag site:a --addtag tuff.node vg1
mkfs.ext4 -q /dev/vg1/open && mount /dev/vg1/open /mnt
dmsetup suspend vg0-v--a
report >"$out/lvm-mixed.json"
dmsetup resume vg0-v--a
umount /mnt

# For the second boot: a VG on two disks, of which one carries the pool.
lvremove -q -q -y vg1 && vgremove -q -q vg1 && vgextend -q -q vg0 /dev/ubdb 2>/dev/null ||
    { pvremove -q -q -ff -y /dev/ubdb && vgextend -q -q vg0 /dev/ubdb; }
lvcreate -q -q -y -L 64m -n thick-here vg0 /dev/ubda
lvcreate -q -q -y -L 64m -n thick-gone vg0 /dev/ubdb
