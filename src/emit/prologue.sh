set -euo pipefail -f

# What ovn-nbctl remarks on its own speed (timeval) is of no use here.
nbctl() { ovn-nbctl --timeout=300 -vtimeval:err "$@"; }

declare -A have=()     # UUIDs of rows that exist
declare -A uuid_of=()  # UUIDs of named rows that exist, by table and name
declare -A wanted=()   # UUIDs of rows below
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
    [[ $pass == check ]] || txn+=(-- add "$@")
}

# tidy PARENT COLUMN TABLE: takes this owner's rows that are not below out of their parents.
tidy() {
    [[ $pass == write ]] || return 0
    local -A own=()
    local list uuid parent child children
    list=$(nbctl --bare --columns=_uuid find "$3" "external_ids:northc-owner=$owner")
    for uuid in $list; do own[$uuid]=1; done
    list=$(nbctl --format=csv --data=bare --no-headings --columns="_uuid,$2" list "$1")
    while IFS=, read -r parent children; do
        for child in $children; do
            [[ -z ${own[$child]:-} || -n ${wanted[$child]:-} ]] || txn+=(-- remove "$1" "$parent" "$2" "$child")
        done
    done <<<"$list"
}

# tidy_root TABLE: destroys this owner's rows of a table that are not below.
tidy_root() {
    [[ $pass == write ]] || return 0
    local list uuid
    list=$(nbctl --bare --columns=_uuid find "$1" "external_ids:northc-owner=$owner")
    for uuid in $list; do
        [[ -n ${wanted[$uuid]:-} ]] || txn+=(-- destroy "$1" "$uuid")
    done
}

# commit: one transaction, all of it or nothing.
commit() {
    [[ $pass == check || ${#txn[@]} -eq 0 ]] || nbctl "${txn[@]}" >/dev/null
    txn=()
}
