set -euo pipefail -f

# What ovn-nbctl remarks on its own speed (timeval) is of no use here.
nbctl() { ovn-nbctl --timeout=300 -vtimeval:err "$@"; }

declare -A have=()     # UUIDs of rows that exist
declare -A uuid_of=()  # UUIDs of named rows that exist, by table and name
declare -A wanted=()   # UUIDs of rows below
declare -A member_of=()  # memberships below: parent, column, member
declare -A gone=()     # UUIDs of rows that this run destroys
txn=()
pass='check'

# have_named TABLE: notes a table's rows and their names.
have_named() {
    local list uuid name
    list=$(nbctl --format=csv --data=bare --no-headings --columns=_uuid,name list "$1")
    while IFS=, read -r uuid name; do
        [[ $name != \"*\" ]] || { name=${name:1:-1} && name=${name//\"\"/\"}; }
        [[ -z $uuid ]] || have[$uuid]=1 uuid_of["$1 $name"]=$uuid
    done <<<"$list"
}

# have_unnamed TABLE: notes a table's rows.
have_unnamed() {
    local list uuid
    list=$(nbctl --bare --columns=_uuid list "$1")
    for uuid in $list; do have[$uuid]=1; done
}

# named TABLE UUID NAME COLUMN=VALUE...: a row whose name nobody else may have.
named() {
    local other=${uuid_of["$1 $3"]:-$2}
    if [[ $other != "$2" ]]; then
        printf '%s: %s "%s" exists as row %s, which is not of this script: nothing was written\n' \
            "$0" "$1" "$3" "$other" >&2
        exit 3
    fi
    row "$1" "$2" "${@:4}"
}

# row TABLE UUID COLUMN=VALUE...: creates the row, or sets every column that is managed.
row() {
    if [[ $pass == check ]]; then
        wanted[$2]=1
    elif [[ -n ${have[$2]:-} ]]; then
        [[ -z ${said[$1]:-} ]] || txn+=(-- remove "$1" "$2" external_ids "${said[$1]}")
        # shellcheck disable=SC2206 # words, on purpose
        txn+=(-- set "$1" "$2" ${blank[$1]} "${@:3}")
    else
        txn+=(-- "--id=$2" create "$1" "${@:3}")
    fi
}

# member TABLE UUID COLUMN UUID...: puts rows into a parent's set.
member() {
    local child
    if [[ $pass == check ]]; then
        for child in "${@:4}"; do member_of["$2 $3 $child"]=1; done
    else
        txn+=(-- add "$@")
    fi
}

# tidy PARENT COLUMN TABLE: takes this owner's rows that are not below out of their parents.
tidy() {
    [[ $pass == write ]] || return 0
    local -A stale=()
    local list uuid parent child children
    list=$(nbctl --bare --columns=_uuid find "$3" "external_ids:northc-owner=$owner")
    for uuid in $list; do [[ -n ${wanted[$uuid]:-} ]] || stale[$uuid]=1; done
    (( ${#stale[@]} )) || return 0
    list=$(nbctl --format=csv --data=bare --no-headings --columns="_uuid,$2" list "$1")
    while IFS=, read -r parent children; do
        [[ -n $parent && -z ${gone[$parent]:-} ]] || continue
        for child in $children; do
            [[ -z ${stale[$child]:-} ]] || txn+=(-- remove "$1" "$parent" "$2" "$child")
        done
    done <<<"$list"
}

# tidy_members PARENT COLUMN TABLE: takes this owner's rows out of those sets below that do not list them.
tidy_members() {
    [[ $pass == write ]] || return 0
    local -A own=()
    local list uuid parent child children
    list=$(nbctl --bare --columns=_uuid find "$3" "external_ids:northc-owner=$owner")
    for uuid in $list; do own[$uuid]=1; done
    (( ${#own[@]} )) || return 0
    list=$(nbctl --format=csv --data=bare --no-headings --columns="_uuid,$2" \
        find "$1" "external_ids:northc-owner=$owner")
    while IFS=, read -r parent children; do
        [[ -n $parent && -n ${wanted[$parent]:-} ]] || continue
        for child in $children; do
            [[ -z ${own[$child]:-} || -n ${member_of["$parent $2 $child"]:-} ]] ||
                txn+=(-- remove "$1" "$parent" "$2" "$child")
        done
    done <<<"$list"
}

# tidy_root TABLE: destroys this owner's rows of a table that are not below.
tidy_root() {
    [[ $pass == write ]] || return 0
    local list uuid
    list=$(nbctl --bare --columns=_uuid find "$1" "external_ids:northc-owner=$owner")
    for uuid in $list; do
        [[ -n ${wanted[$uuid]:-} ]] || gone[$uuid]=1 txn+=(-- destroy "$1" "$uuid")
    done
}

# commit: one transaction, all of it or nothing.
commit() {
    [[ $pass == check || ${#txn[@]} -eq 0 ]] || nbctl "${txn[@]}" >/dev/null
    txn=()
}
