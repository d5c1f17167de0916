# The observation's one command, as facts.md explains it; sourced by lvm.sh and to be run as it is on any host.
report() {
    lvm fullreport --reportformat json --units b --nosuffix \
        --configreport vg -o vg_name,vg_uuid,vg_attr,vg_size,vg_free,vg_extent_size,vg_missing_pv_count,vg_lock_type,vg_tags,vg_mda_free,vg_mda_size \
        --configreport pv -o pv_name,pv_uuid,pv_size,pv_free,pv_missing,pv_duplicate \
        --configreport lv -o lv_name,lv_uuid,lv_attr,lv_size,lv_tags,lv_active,pool_lv,origin,data_percent,metadata_percent,lv_metadata_size,lv_layout,lv_role,lv_device_open,lv_path,lv_kernel_major,lv_kernel_minor,lv_suspended,lv_when_full,lv_health_status,lv_skip_activation \
        --configreport seg -o lv_uuid,segtype,chunk_size -S 'chunk_size>0' \
        --configreport pvseg -S 'pvseg_size=0' "$@"
}
