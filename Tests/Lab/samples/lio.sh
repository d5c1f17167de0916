#!/bin/bash
# Runs in a guest: lio.sh HERE OUT. Lists the whole tree of a target that a kernel initiator is logged in to.
. "$1/lib.sh"
out=$2

# One line per object: mode, path, and for a link where it points, for a file what it says.
tree() {
    find "$@" -printf '%m %y %p %l\n' | LC_ALL=C sort -k3 | while read -r mode type path link; do
        case $type in
        d) echo "$mode $path/" ;;
        l) echo "$mode $path -> $link" ;;
        f)
            text='(write only)'
            [ -z "$(find "$path" -perm /444)" ] || text=$(tr '\0' '~' <"$path" 2>&1)
            echo "$mode $path = ${text//$'\n'/$'\n'        }"
            ;;
        esac
    done
}

make_vg vg0 /dev/ubda
make_thin_pool vg0 pool 1g
lvcreate -q -q --type thin -V 64m --thinpool pool -n v-a vg0
core=/sys/kernel/config/target/core
target=/sys/kernel/config/target/iscsi/iqn.2024-01.example.tuff:vol-a
tpg=$target/tpgt_1
client=iqn.2024-01.example.client:one

# The order that works: backstore, its identity, enable, its attributes; then everything of the target; enable last.
mkdir -p $core/iblock_0/vol-a
echo "udev_path=/dev/vg0/v-a" >$core/iblock_0/vol-a/control
echo deadbeef00112233 >$core/iblock_0/vol-a/wwn/vpd_unit_serial
echo 1 >$core/iblock_0/vol-a/enable
echo 1 >$core/iblock_0/vol-a/attrib/emulate_tpu # before enable, this write is a NULL dereference in the kernel

truncate -s 64m /run/file.img
mkdir -p $core/fileio_0/file
echo "fd_dev_name=/run/file.img,fd_dev_size=67108864" >$core/fileio_0/file/control
echo 1 >$core/fileio_0/file/enable

mkdir -p $tpg
echo 0 >$tpg/attrib/generate_node_acls
echo 1 >$tpg/attrib/authentication
mkdir $tpg/lun/lun_0
ln -s $core/iblock_0/vol-a $tpg/lun/lun_0/vol-a
mkdir $tpg/acls/$client
chmod 600 $tpg/acls/$client/auth/*
printf alice >$tpg/acls/$client/auth/userid
printf secretsecret12 >$tpg/acls/$client/auth/password
mkdir $tpg/acls/$client/lun_0
ln -s $tpg/lun/lun_0 $tpg/acls/$client/lun_0/lun_0
mkdir $tpg/np/127.0.0.1:3260
{
    echo "# An iblock backstore, exported; a fileio backstore, enabled but not exported; a target that is not yet enabled."
    tree /sys/kernel/config/target
} >"$out/lio-tree.txt"

echo 1 >$tpg/enable
start_iscsid $client
{
    echo "# What differs once enabled and while an initiator is logged in."
    login 127.0.0.1:3260 iqn.2024-01.example.tuff:vol-a alice secretsecret12
    tree $core/iblock_0/vol-a/info $tpg/enable $tpg/dynamic_sessions $tpg/acls/*/info $tpg/acls/*/param
} >"$out/lio-tree-session.txt"
logout 127.0.0.1:3260 iqn.2024-01.example.tuff:vol-a

# The order of taking it down.
rm $tpg/acls/$client/lun_0/lun_0
rmdir $tpg/acls/$client/lun_0 $tpg/acls/$client
echo 0 >$tpg/enable
rm $tpg/lun/lun_0/vol-a
rmdir $tpg/lun/lun_0 $tpg/np/127.0.0.1:3260 $tpg $target $core/iblock_0/vol-a $core/iblock_0 \
    $core/fileio_0/file $core/fileio_0
