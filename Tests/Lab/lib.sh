# Functions for scripts that run in a lab guest:  . "$lab/lib.sh"
# Each prints what it made only where that is stated, and returns the failing tool's code.

# The default metadata area (508 KiB usable) is full at about 1,000 volumes with a few tags each.
make_vg() { # NAME DEVICE...
    local vg=$1
    shift
    vgcreate -q -q --metadatasize 16m "$vg" "$@"
}

make_thin_pool() { # VG POOL SIZE
    lvcreate -q -q --type thin-pool -L "$3" -n "$2" "$1"
}

# A VG full of thin volumes in seconds instead of the minutes that as many lvcreate need: the pool's own metadata is
# written by thin_restore, LVM's by vgcfgrestore. The volumes are real (they can be activated, written, removed).
# Each is named v-vol-00001, is 64 MiB large and has the tags of a volume of the stack `default`.
make_many_thin() { # VG POOL COUNT
    local vg=$1 pool=$2 count=$3 work table chunk blocks extent
    work=$(mktemp -d /run/lab/many.XXXXXX) || return
    table=$(dmsetup table "${vg//-/--}-${pool//-/--}_tmeta") || return
    read -r chunk blocks extent < <(lvs --noheadings --nosuffix --units s -o chunk_size,lv_size,vg_extent_size "$vg/$pool")
    vgchange -q -q -an "$vg" && vgcfgbackup -q -q -f "$work/vg" "$vg" || return

    awk -v n="$count" -v chunk="$chunk" -v blocks="$((blocks / chunk))" 'BEGIN {
        printf "<superblock uuid=\"\" time=\"0\" transaction=\"%d\" data_block_size=\"%d\" nr_data_blocks=\"%d\">\n",
            n, chunk, blocks
        for (i = 1; i <= n; i++)
            printf "<device dev_id=\"%d\" mapped_blocks=\"0\" transaction=\"0\" creation_time=\"0\" " \
                "snap_time=\"0\"></device>\n", i
        print "</superblock>"
    }' >"$work/pool.xml"
    dmsetup create lab-many --table "$table" &&
        thin_restore -i "$work/pool.xml" -o /dev/mapper/lab-many >"$work/log" &&
        dmsetup remove lab-many || return

    # The text ends: logical_volumes { ... } } and then a few lines of its own about the backup.
    awk -v n="$count" -v pool="$pool" -v extents="$((131072 / extent))" '
        function digits(i, width,   s) {
            for (; width > 0; width--) { s = substr("abcdefghijklmnopqrstuvwxyz234567", i % 32 + 1, 1) s; i = int(i / 32) }
            return s
        }
        function volume(i,   s) {
            printf "\t\tv-vol-%05d {\n\t\t\tid = \"many00-0000-0000-0000-0000-0000-%06d\"\n", i, i
            print "\t\t\tstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\n\t\t\tflags = []"
            printf "\t\t\ttags = [\"tuff:iqn=iqn.2026-01.dev.tuff:vol-%05d\", \"tuff:uid=%s\", \"tuff:vol=vol-%05d\", \"tuff:stack=default\"]\n", i, digits(i, 16), i
            print "\t\t\tcreation_time = 1700000000\n\t\t\tcreation_host = \"tufflab\"\n\t\t\tsegment_count = 1"
            printf "\t\t\tsegment1 {\n\t\t\t\tstart_extent = 0\n\t\t\t\textent_count = %d\n", extents
            printf "\t\t\t\ttype = \"thin\"\n\t\t\t\tthin_pool = \"%s\"\n\t\t\t\ttransaction_id = 0\n", pool
            printf "\t\t\t\tdevice_id = %d\n\t\t\t}\n\t\t}\n", i
        }
        { if ($1 == "transaction_id") $3 = n; print } # 0 would mean a pool without volumes, activated in another way
        /^\tlogical_volumes \{/ { for (i = 1; i <= n; i++) volume(i) }' "$work/vg" >"$work/many"
    vgcfgrestore -q -q --force --yes -f "$work/many" "$vg" >"$work/log" 2>&1 || { cat "$work/log" >&2; return 1; }
    rm -r "$work"
    vgchange -q -q -ay "$vg"
}

# The kernel's own initiator under a given name, with a configuration of its own (guest-init covers /etc/iscsi).
start_iscsid() { # INITIATOR-IQN
    echo "InitiatorName=$1" >/etc/iscsi/initiatorname.iscsi
    cat >/etc/iscsi/iscsid.conf <<'CONF'
node.startup = manual
node.session.timeo.replacement_timeout = 5
node.conn[0].timeo.login_timeout = 10
node.session.initial_login_retry_max = 1
CONF
    mkdir -p /run/lock/iscsi
    iscsid
}

# Prints the block devices of the new session, one a line.
login() { # PORTAL TARGET-IQN [USER PASSWORD [TARGET-USER TARGET-PASSWORD]]
    local node=(iscsiadm -m node -T "$2" -p "$1") session found=
    "${node[@]}" -o new >/dev/null || return
    [ $# -lt 4 ] || "${node[@]}" -o update -n node.session.auth.authmethod -v CHAP \
        -n node.session.auth.username -v "$3" -n node.session.auth.password -v "$4" || return
    # The target has to prove that it is the one, too.
    [ $# -lt 6 ] || "${node[@]}" -o update -n node.session.auth.username_in -v "$5" \
        -n node.session.auth.password_in -v "$6" || return
    "${node[@]}" --login >/dev/null || return
    for _ in 1 2 3 4 5 6 7 8 9 10; do # the scan goes on after the login
        for session in /sys/class/iscsi_session/*; do
            [ "$(cat "$session/targetname")" = "$2" ] || continue
            for device in "$session"/device/target*/*/block/*; do
                [ -b "/dev/${device##*/}" ] && echo "/dev/${device##*/}" && found=1
            done
        done
        [ -z "$found" ] || return 0
        sleep 0.2
    done
    echo "login: no disk from $2" >&2
    return 1
}

logout() { # PORTAL TARGET-IQN
    iscsiadm -m node -T "$2" -p "$1" --logout >/dev/null && iscsiadm -m node -T "$2" -p "$1" -o delete
}
