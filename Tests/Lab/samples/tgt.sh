#!/bin/bash
# Runs anywhere, without root: tgt.sh OUT. Records what tgtadm prints about a private tgtd.
out=$1
work=$(mktemp -d) port=$((20000 + RANDOM % 10000)) control=$((RANDOM % 10000 + 100))
export TGT_IPC_SOCKET=$work/ipc
tgtd -f -C $control --iscsi portal=127.0.0.1:$port >"$work/log" 2>&1 &
daemon=$!
trap '{ kill -KILL $daemon; wait $daemon; rm -rf "$work"; } 2>/dev/null' EXIT # tgtd does not end on TERM
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -S "$work/ipc.$control" ] && break; sleep 0.1; done

tgt() { tgtadm -C $control "$@"; }
keep() { sed -e "s|$work|/srv|; s/:$port/:3260/" >"$out/$1"; }
one=(--lld iscsi --tid 1) iqn=iqn.2024-01.example.tuff:vol-a client=iqn.2024-01.example.client:one
url=iscsi://alice%secretsecret12@127.0.0.1:$port/$iqn/1

truncate -s 64M "$work/vol-a.img"
tgt "${one[@]}" --mode target --op new --targetname $iqn
tgt "${one[@]}" --mode logicalunit --op new --lun 1 --backing-store "$work/vol-a.img" --bstype rdwr
tgt "${one[@]}" --mode logicalunit --op update --lun 1 \
    --params vendor_id=TUFF,product_id=volume,scsi_sn=deadbeef00112233,scsi_id=tuff-deadbeef00112233,thin_provisioning=1
tgt --lld iscsi --mode target --op new --tid 2 --targetname $iqn-empty
tgt --lld iscsi --mode account --op new --user alice --password secretsecret12
tgt "${one[@]}" --mode account --op bind --user alice
tgt "${one[@]}" --mode target --op bind --initiator-name $client
tgt --lld iscsi --mode target --op show | keep tgt-targets.txt

iscsi-perf -i $client -t 3 "$url" >/dev/null 2>&1 & # a session that lasts
sleep 1
tgt --lld iscsi --mode target --op show | keep tgt-targets-session.txt
tgt "${one[@]}" --mode conn --op show | keep tgt-conn.txt
tgt "${one[@]}" --mode target --op show | keep tgt-target-parameters.txt
tgt --mode sys --op show | keep tgt-sys.txt
tgt --lld iscsi --mode portal --op show | keep tgt-portal.txt
tgt --lld iscsi --mode account --op show | keep tgt-account.txt
wait %2
iscsi-inq -i $client "$url" | keep iscsi-inq.txt
iscsi-inq -i $client -e 1 -c 128 "$url" | keep iscsi-inq-serial.txt
iscsi-ls -s -i $client "iscsi://alice%secretsecret12@127.0.0.1:$port" | keep iscsi-ls.txt
